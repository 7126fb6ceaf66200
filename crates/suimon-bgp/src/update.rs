//! What an UPDATE message of somebody else says: keys of routes and attributes, by octets. Pure.
//!
//! Routes are kept under the same keys as ours ([`RouteKey`]), so that they can be compared without being understood.
//! Nothing is passed on from here: it is read to be judged.

use crate::codec;
use crate::route::{Community, Family, LargeCommunity, RouteKey};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use suimon_base::Asn;

/// Length of a BGP message's head, octets (RFC 4271 §4.1).
pub const HEAD_OCTETS: usize = 19;
/// Type code of UPDATE.
pub const UPDATE: u8 = 2;

const AS_PATH: u8 = 2;
const COMMUNITIES: u8 = 8;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const EXTENDED_COMMUNITIES: u8 = 16;
const LARGE_COMMUNITIES: u8 = 32;
const AS_SEQUENCE: u8 = 2;

/// An UPDATE that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("octet {offset} of the UPDATE: {reason}")]
pub struct UpdateError {
    /// Where, from the start of the body.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// What an UPDATE says about the families that we know; others are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Routes that go.
    pub withdrawn: Vec<RouteKey>,
    /// Routes that come, with the attributes below.
    pub announced: Vec<RouteKey>,
    /// The ASes of the path's sequences, nearest first.
    pub path: Vec<Asn>,
    /// RFC 1997.
    pub communities: Vec<Community>,
    /// RFC 8092.
    pub large_communities: Vec<LargeCommunity>,
    /// RFC 4360, as numbers.
    pub extended: Vec<u64>,
    /// The family whose end this message marks (RFC 4724 §2).
    pub end_of: Option<Family>,
    /// NLRI attributes of families that we do not know.
    pub foreign: usize,
}

/// The prefix of a unicast key.
pub fn prefix(key: &RouteKey) -> Option<IpNet> {
    let (length, octets) = key.nlri.split_first()?;
    match key.family {
        Family::Ipv4 => {
            let mut a = [0; 4];
            a.get_mut(..octets.len())?.copy_from_slice(octets);
            Some(Ipv4Net::new(a.into(), *length).ok()?.trunc().into())
        }
        Family::Ipv6 => {
            let mut a = [0; 16];
            a.get_mut(..octets.len())?.copy_from_slice(octets);
            Some(Ipv6Net::new(a.into(), *length).ok()?.trunc().into())
        }
        Family::Flow4 | Family::Flow6 => None,
    }
}

struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Bytes<'a> {
    fn left(&self) -> &'a [u8] {
        self.all.get(self.at..self.end).unwrap_or_default()
    }
    fn take(&mut self, n: usize) -> Result<&'a [u8], UpdateError> {
        let slice = self.left().get(..n).ok_or(UpdateError { offset: self.at, reason: "it ends too early" })?;
        self.at += n;
        Ok(slice)
    }
    fn number(&mut self, n: usize) -> Result<usize, UpdateError> {
        Ok(self.take(n)?.iter().fold(0, |sum, b| sum << 8 | usize::from(*b)))
    }
    fn within(&mut self, n: usize) -> Result<Bytes<'a>, UpdateError> {
        let at = self.at;
        self.take(n)?;
        Ok(Bytes { all: self.all, at, end: at + n })
    }
    fn keys(mut self, family: Family) -> Result<Vec<RouteKey>, UpdateError> {
        let mut out = Vec::new();
        while !self.left().is_empty() {
            let (at, start) = (self.at, self.left());
            let bad = |reason| UpdateError { offset: at, reason };
            let length = self.number(1)?;
            if family.is_flow() {
                // RFC 8955 §4.1: from 240 octets on the length takes two.
                let octets = if length >= 0xf0 { (length & 0x0f) << 8 | self.number(1)? } else { length };
                self.take(octets)?;
            } else {
                if length > if family.is_v4() { 32 } else { 128 } {
                    return Err(bad("a prefix is too long"));
                }
                self.take(length.div_ceil(8))?;
            }
            let nlri = start.get(..self.at - at).ok_or(bad("it ends too early"))?.to_vec();
            let mut key = RouteKey { family, nlri };
            if let Some(net) = prefix(&key) {
                // Bits behind the length mean nothing (RFC 4271 §4.3), so they must not make another route.
                key = codec::key(&crate::route::Target::Prefix(net)).map_err(|_| bad("no prefix"))?;
            }
            out.push(key);
        }
        Ok(out)
    }
}

/// Reads the body of an UPDATE. AS numbers take four octets with `four_octet`, else two.
///
/// # Errors
/// At the first octet that does not fit the format.
pub fn read(body: &[u8], four_octet: bool) -> Result<Update, UpdateError> {
    let mut b = Bytes { all: body, at: 0, end: body.len() };
    let length = b.number(2)?;
    let mut out = Update { withdrawn: b.within(length)?.keys(Family::Ipv4)?, ..Update::default() };
    let length = b.number(2)?;
    let mut attributes = b.within(length)?;
    let mut empty_unreach = None;
    let bare = attributes.left().is_empty();
    while !attributes.left().is_empty() {
        let flags = attributes.number(1)?;
        let kind = attributes.number(1)? as u8;
        let length = attributes.number(if flags & 0x10 != 0 { 2 } else { 1 })?;
        let mut value = attributes.within(length)?;
        match kind {
            AS_PATH => out.path = path(value, if four_octet { 4 } else { 2 })?,
            COMMUNITIES => {
                while !value.left().is_empty() {
                    out.communities.push(Community(value.number(4)? as u32));
                }
            }
            EXTENDED_COMMUNITIES => {
                while !value.left().is_empty() {
                    out.extended.push(value.number(8)? as u64);
                }
            }
            LARGE_COMMUNITIES => {
                while !value.left().is_empty() {
                    let mut one = || value.number(4).map(|n| n as u32);
                    out.large_communities.push(LargeCommunity(one()?, one()?, one()?));
                }
            }
            MP_REACH => match family(&mut value)? {
                Some(family) => {
                    let next_hop = value.number(1)?;
                    value.take(next_hop + 1)?;
                    out.announced.extend(value.keys(family)?);
                }
                None => out.foreign += 1,
            },
            MP_UNREACH => match family(&mut value)? {
                Some(family) => {
                    let keys = value.keys(family)?;
                    if keys.is_empty() {
                        empty_unreach = Some(family);
                    }
                    out.withdrawn.extend(keys);
                }
                None => out.foreign += 1,
            },
            _ => {}
        }
    }
    out.announced.extend(b.keys(Family::Ipv4)?);
    if out.announced.is_empty() && out.withdrawn.is_empty() && out.foreign == 0 {
        out.end_of = if bare { Some(Family::Ipv4) } else { empty_unreach };
    }
    Ok(out)
}

/// Reads an UPDATE whose three parts were cut already.
///
/// # Errors
/// As [`read`].
pub fn read_parts(withdrawn: &[u8], attributes: &[u8], nlri: &[u8], four_octet: bool) -> Result<Update, UpdateError> {
    let too_long = UpdateError { offset: 0, reason: "a part is too long" };
    let length = |part: &[u8]| u16::try_from(part.len()).map(u16::to_be_bytes).map_err(|_| too_long);
    let body = [&length(withdrawn)?, withdrawn, &length(attributes)?, attributes, nlri].concat();
    read(&body, four_octet)
}

fn family(b: &mut Bytes<'_>) -> Result<Option<Family>, UpdateError> {
    let numbers = (b.number(2)?, b.number(1)?);
    let number = |f: &Family| {
        let (afi, safi) = codec::afi_safi(*f);
        (usize::from(afi as u16), usize::from(safi as u8))
    };
    Ok(Family::ALL.into_iter().find(|f| number(f) == numbers))
}

fn path(mut b: Bytes<'_>, octets: usize) -> Result<Vec<Asn>, UpdateError> {
    let mut out = Vec::new();
    while !b.left().is_empty() {
        let kind = b.number(1)? as u8;
        for _ in 0..b.number(1)? {
            let asn = Asn(b.number(octets)? as u32);
            // Sets come from aggregation; which of their ASes is where is not known.
            if kind == AS_SEQUENCE {
                out.push(asn);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::PeerAttributes;
    use crate::route::{FlowAction, Route};
    use proptest::prelude::*;
    use suimon_base::{Match, PortRange};

    pub(crate) fn attributes() -> PeerAttributes {
        PeerAttributes {
            local_as: 64500,
            internal: false,
            four_octet_as: true,
            next_hop_v4: Some([192, 0, 2, 254].into()),
            next_hop_v6: Some("2001:db8:ffff::1".parse().unwrap()),
            rtbh_communities: vec![Community::BLACKHOLE],
            flowspec_communities: vec![Community::NO_EXPORT],
            large_communities: vec![LargeCommunity(64500, 1, 2)],
        }
    }

    fn all() -> Vec<Route> {
        let hole = |t: &str| Route::black_hole(t.parse().unwrap());
        let flow = |t: &str| {
            let m = Match {
                dst: vec![t.parse().unwrap()],
                proto: Some(17),
                src_ports: (0..90).map(|i| PortRange::one(1000 + 7 * i)).collect(),
                ..Match::default()
            };
            Route::flow(m, vec![FlowAction::Discard])
        };
        vec![hole("198.51.100.7/32"), hole("2001:db8::7/128"), flow("198.51.100.8/32"), flow("2001:db8::8/128")]
    }

    #[test]
    fn what_our_encoder_wrote_is_read_with_the_same_keys() {
        for route in all() {
            let key = codec::key(&route.target).unwrap();
            let messages = codec::announce(key.family, &[(&key, &route)], &attributes()).unwrap();
            let update = read(&messages[0][HEAD_OCTETS..], true).unwrap();
            assert_eq!(update.announced, std::slice::from_ref(&key), "{route:?}");
            assert_eq!(update.path, [Asn(64500)]);
            assert_eq!(update.large_communities, [LargeCommunity(64500, 1, 2)]);
            assert_eq!(update.communities.len(), 1);
            assert_eq!(update.extended.len(), usize::from(key.family.is_flow()));
            let messages = codec::withdraw(key.family, &[(&key, &route.target)]).unwrap();
            let update = read(&messages[0][HEAD_OCTETS..], true).unwrap();
            assert_eq!((update.withdrawn, update.end_of), (vec![key], None));
        }
    }

    #[test]
    fn ends_of_tables_and_stray_bits() {
        assert_eq!(read(&[0, 0, 0, 0], true).unwrap().end_of, Some(Family::Ipv4));
        let end = [0, 0, 0, 6, 0x80, 15, 3, 0, 1, 133];
        assert_eq!(read(&end, true).unwrap().end_of, Some(Family::Flow4));
        let stray = [0, 0, 0, 0, 25, 198, 51, 100, 0x7f];
        assert_eq!(read(&stray, true).unwrap().announced[0].nlri, [25, 198, 51, 100, 0]);
        assert_eq!(read(&[0, 0, 0, 0, 33, 1, 2, 3, 4, 5], true).unwrap_err().reason, "a prefix is too long");
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200), four: bool) {
            let _ = read(&octets, four);
        }

        #[test]
        fn cut_and_changed_messages_are_errors_or_other_words(which in 0..4usize, cut in 0..400usize, at in 0..400usize, v: u8) {
            let route = &all()[which];
            let key = codec::key(&route.target).unwrap();
            let message = codec::announce(key.family, &[(&key, route)], &attributes()).unwrap().remove(0);
            let body = &message[HEAD_OCTETS..];
            // Cut off after the attributes, a withdrawn IPv4 body would still be whole; no other cut is.
            if cut < body.len() && key.family != Family::Ipv4 {
                prop_assert!(read(&body[..cut], true).is_err());
            }
            let mut other = body.to_vec();
            if let Some(octet) = other.get_mut(at) {
                *octet = v;
            }
            let _ = read(&other, true);
        }
    }
}
