//! Whether what a customer offers by BGP stands within its memorandum. Pure.

use super::Memorandum;
use crate::codec;
use crate::route::{FlowAction, Route, RouteKey, Target};
use crate::update::{self, Update};
use rustbgpd_wire::flowspec::decode_flowspec_nlri;
use rustbgpd_wire::{BitmaskMatch, FlowSpecComponent, FlowSpecPrefix, NumericMatch};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Asn, Match, PortRange, Timestamp};

/// Type and subtype of traffic-rate-bytes.
const TRAFFIC_RATE_BYTES: u64 = 0x8006;

/// Why an offer is refused. Its kind names a counter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The memorandum does not hold yet, or no longer.
    #[error("the memorandum {id} {why}")]
    Memorandum {
        /// Which.
        id: String,
        /// In which way.
        why: String,
    },
    /// A route of somebody else's.
    #[error("the path ends in {0}, for which the memorandum does not let this customer speak (子AS・孫AS)")]
    Origin(String),
    /// A path that does not start with the customer.
    #[error("the path does not start with the customer's AS")]
    Path,
    /// No agreed community.
    #[error("it carries no community that the memorandum names")]
    Community,
    /// Not a host.
    #[error("a black hole is asked for with a /32 or /128 only")]
    NotHost,
    /// Outside the memorandum.
    #[error("{0} is not within the memorandum's prefixes")]
    Space(String),
    /// Flowspec is not agreed.
    #[error("the memorandum does not speak of Flowspec")]
    NoFlowspec,
    /// A rule or action that is not understood exactly.
    #[error("the rule cannot be taken: {0}")]
    Rule(String),
    /// Too many.
    #[error("more than the {0} routes that the memorandum allows")]
    TooMany(usize),
    /// A guard rail.
    #[error("the guard rails refuse: {0}")]
    Guard(String),
}

impl Refused {
    /// A word for counters.
    pub const fn kind(&self) -> &'static str {
        match self {
            Refused::Memorandum { .. } => "memorandum",
            Refused::Origin(_) => "origin",
            Refused::Path => "path",
            Refused::Community => "community",
            Refused::NotHost => "length",
            Refused::Space(_) => "space",
            Refused::NoFlowspec => "flowspec",
            Refused::Rule(_) => "rule",
            Refused::TooMany(_) => "count",
            Refused::Guard(_) => "guard",
        }
    }
}

/// Judges one offer of a customer whose AS is `asn`. The guard rails come afterwards, and [`room`] last.
///
/// # Errors
/// The first thing that the memorandum does not cover.
pub fn judge(memo: &Memorandum, asn: Asn, key: &RouteKey, offer: &Update, now: Timestamp) -> Result<Route, Refused> {
    let memorandum = |why: String| Err(Refused::Memorandum { id: memo.id.clone(), why });
    if now < memo.signed {
        return memorandum(format!("holds from {} on", memo.signed));
    }
    if now >= memo.until {
        return memorandum(format!("ended at {}", memo.until));
    }
    if offer.path.first() != Some(&asn) {
        return Err(Refused::Path);
    }
    let strangers = offer.path.iter().find(|a| **a != asn && !memo.origins.contains(a));
    if let Some(stranger) = strangers {
        return Err(Refused::Origin(stranger.to_string()));
    }
    let route = if key.family.is_flow() { flow(memo, key, offer)? } else { hole(memo, key, offer)? };
    let within = |net: &ipnet::IpNet| memo.prefixes.iter().any(|p| p.contains(net));
    match route.target.destination() {
        None => return Err(Refused::Space("a rule without destination".to_owned())),
        Some(net) if !within(&net) => return Err(Refused::Space(net.to_string())),
        Some(_) => {}
    }
    Ok(route)
}

/// Whether one more may stand beside `taken` others.
///
/// # Errors
/// When the memorandum allows no more.
pub const fn room(memo: &Memorandum, taken: usize) -> Result<(), Refused> {
    if taken < memo.max_routes { Ok(()) } else { Err(Refused::TooMany(memo.max_routes)) }
}

fn hole(memo: &Memorandum, key: &RouteKey, offer: &Update) -> Result<Route, Refused> {
    let net = update::prefix(key).ok_or_else(|| Refused::Rule("its prefix cannot be read".to_owned()))?;
    if net.prefix_len() != net.max_prefix_len() {
        return Err(Refused::NotHost);
    }
    if !offer.communities.iter().any(|c| memo.communities.contains(c)) {
        return Err(Refused::Community);
    }
    Ok(Route::black_hole(net))
}

fn flow(memo: &Memorandum, key: &RouteKey, offer: &Update) -> Result<Route, Refused> {
    if !memo.flowspec {
        return Err(Refused::NoFlowspec);
    }
    let bad = |why: &str| Refused::Rule(why.to_owned());
    let matches = rule(key).map_err(|why| bad(&why))?;
    let action = match &offer.extended[..] {
        [] => return Err(bad("it names no action")),
        // Traffic-rate-bytes (RFC 8955 §7.1), the AS in it left aside. Negative rates and no numbers are not guessed at.
        [one] if one >> 48 == TRAFFIC_RATE_BYTES => match f32::from_bits(*one as u32) {
            0.0 => FlowAction::Discard,
            rate if rate > 0.0 && rate.is_finite() => FlowAction::RateBytes(rate),
            _ => return Err(bad("a rate is 0 or more")),
        },
        [_] => return Err(bad("only discard and a rate in octets may be asked for")),
        _ => return Err(bad("it carries more than one extended community")),
    };
    Ok(Route::flow(matches, vec![action]))
}

/// The match of a Flowspec key. What was read is written again: only what comes out the same was understood.
fn rule(key: &RouteKey) -> Result<Match, String> {
    let (afi, _) = codec::afi_safi(key.family);
    let rules = decode_flowspec_nlri(&key.nlri, afi).map_err(|e| e.to_string())?;
    let [one] = &rules[..] else { return Err("not one rule".to_owned()) };
    let mut m = Match::default();
    for component in &one.components {
        match component {
            FlowSpecComponent::DestinationPrefix(p) => m.dst = vec![prefix(p)?],
            FlowSpecComponent::SourcePrefix(p) => m.src = vec![prefix(p)?],
            FlowSpecComponent::IpProtocol(list) => match ranges(list)?[..] {
                [PortRange { lo, hi }] if lo == hi => m.proto = u8::try_from(lo).ok(),
                _ => return Err("one protocol, please".to_owned()),
            },
            FlowSpecComponent::DestinationPort(list) => m.dst_ports = ranges(list)?,
            FlowSpecComponent::SourcePort(list) => m.src_ports = ranges(list)?,
            FlowSpecComponent::PacketLength(list) => m.lengths = ranges(list)?,
            FlowSpecComponent::TcpFlags(list) => m.tcp_flags = Some(flags(list)?),
            FlowSpecComponent::Fragment(_) => m.fragment = Some(FragmentMatch::Later),
            other => return Err(format!("component {} is not taken", other.type_code())),
        }
    }
    let again = codec::key(&Target::Flow(Box::new(m.clone()))).map_err(|e| e.to_string())?;
    if again != *key {
        return Err("it says something that is not taken".to_owned());
    }
    Ok(m)
}

fn prefix(p: &FlowSpecPrefix) -> Result<ipnet::IpNet, String> {
    let net = match p {
        FlowSpecPrefix::V4(p) => ipnet::IpNet::new(p.addr.into(), p.len),
        FlowSpecPrefix::V6(p) if p.offset == 0 => ipnet::IpNet::new(p.prefix.addr.into(), p.prefix.len),
        FlowSpecPrefix::V6(_) => return Err("a prefix with an offset is not taken".to_owned()),
    };
    net.map(|n| n.trunc()).map_err(|e| e.to_string())
}

fn ranges(list: &[NumericMatch]) -> Result<Vec<PortRange>, String> {
    let value = |m: &NumericMatch| u16::try_from(m.value).map_err(|_| "a number is too large".to_owned());
    let mut out = Vec::new();
    let mut rest = list;
    loop {
        rest = match rest {
            [] => return Ok(out),
            [one, rest @ ..] if one.eq && !one.lt && !one.gt => {
                out.push(PortRange::one(value(one)?));
                rest
            }
            [lo, hi, rest @ ..] if lo.gt && lo.eq && hi.lt && hi.eq && hi.and_bit => {
                out.push(PortRange { lo: value(lo)?, hi: value(hi)? });
                rest
            }
            _ => return Err("numbers are taken as =n and >=a&<=b only".to_owned()),
        }
    }
}

fn flags(list: &[BitmaskMatch]) -> Result<TcpFlags, String> {
    let (mut mask, mut value) = (0u8, 0u8);
    for one in list {
        let bits = u8::try_from(one.value).map_err(|_| "a TCP flag that is not known".to_owned())?;
        mask |= bits;
        value |= if one.not_bit { 0 } else { bits };
    }
    Ok(TcpFlags { mask, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Community, Family};

    const AS: Asn = Asn(64501);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn memo() -> Memorandum {
        Memorandum {
            id: "M-7".into(),
            customer: "a".into(),
            contact: "noc".into(),
            responsible_party: "the customer".into(),
            prefixes: vec!["198.51.100.0/24".parse().unwrap(), "2001:db8:a::/48".parse().unwrap()],
            origins: vec![Asn(64510)],
            communities: vec![Community(0xfbf4_029a)],
            flowspec: true,
            max_routes: 2,
            signed: at("2026-01-01T00:00:00Z"),
            until: at("2027-01-01T00:00:00Z"),
            end: "by-hand:24h".into(),
        }
    }

    fn key(text: &str) -> RouteKey {
        codec::key(&Target::Prefix(text.parse().unwrap())).unwrap()
    }

    fn offer() -> Update {
        Update { path: vec![AS], communities: vec![Community(0xfbf4_029a)], ..Update::default() }
    }

    fn ask(key: &RouteKey, offer: &Update) -> Result<Route, Refused> {
        judge(&memo(), AS, key, offer, at("2026-05-01T00:00:00Z"))
    }

    #[test]
    fn a_host_with_the_community_is_taken() {
        for text in ["198.51.100.7/32", "2001:db8:a::7/128"] {
            assert_eq!(ask(&key(text), &offer()), Ok(Route::black_hole(text.parse().unwrap())));
        }
        assert!(ask(&key("198.51.100.7/32"), &Update { path: vec![AS, Asn(64510)], ..offer() }).is_ok());
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (text, kind) in [
            ("0.0.0.0/0", "length"),
            ("::/0", "length"),
            ("198.51.100.0/24", "length"),
            ("203.0.113.7/32", "space"),
            ("2001:db8:b::7/128", "space"),
        ] {
            assert_eq!(ask(&key(text), &offer()).unwrap_err().kind(), kind, "{text}");
        }
        let host = key("198.51.100.7/32");
        let kind = |u: Update| ask(&host, &u).unwrap_err().kind();
        assert_eq!(kind(Update { communities: vec![Community::BLACKHOLE], ..offer() }), "community");
        assert_eq!(kind(Update { path: vec![AS, Asn(64777)], ..offer() }), "origin");
        assert_eq!(kind(Update { path: vec![Asn(64777)], ..offer() }), "path");
        assert_eq!(kind(Update { path: vec![], ..offer() }), "path");
        let when = |now: &str| judge(&memo(), AS, &host, &offer(), at(now)).unwrap_err().kind();
        assert_eq!(when("2025-12-31T23:59:59Z"), "memorandum");
        assert_eq!(when("2027-01-01T00:00:00Z"), "memorandum");
        assert_eq!((room(&memo(), 1), room(&memo(), 2)), (Ok(()), Err(Refused::TooMany(2))));
    }

    fn rate(rate: f32) -> u64 {
        0x8006_0000_0000_0000 | u64::from(rate.to_bits())
    }

    #[test]
    fn flowspec_is_taken_where_it_is_understood_to_the_last_octet() {
        let m = Match {
            dst: vec!["198.51.100.7/32".parse().unwrap()],
            proto: Some(6),
            src_ports: vec![PortRange::one(53), PortRange { lo: 100, hi: 200 }],
            tcp_flags: Some(TcpFlags { mask: 18, value: 2 }),
            ..Match::default()
        };
        let flow = codec::key(&Target::Flow(Box::new(m.clone()))).unwrap();
        let with = |extended: Vec<u64>| Update { extended, communities: vec![], ..offer() };
        assert_eq!(ask(&flow, &with(vec![rate(0.0)])), Ok(Route::flow(m.clone(), vec![FlowAction::Discard])));
        assert_eq!(ask(&flow, &with(vec![rate(1e6)])), Ok(Route::flow(m, vec![FlowAction::RateBytes(1e6)])));
        for extended in
            [vec![], vec![rate(-1.0)], vec![rate(f32::NAN)], vec![rate(0.0), rate(1.0)], vec![0x8008_fbf4_0000_0001]]
        {
            assert_eq!(ask(&flow, &with(extended)).unwrap_err().kind(), "rule");
        }
        let nlri = |octets: &[u8]| {
            let nlri = [&[octets.len() as u8][..], octets].concat();
            RouteKey { family: Family::Flow4, nlri }
        };
        // A DSCP, a port on either side, "not equal", an empty rule, no destination.
        for octets in [
            &[1, 32, 198, 51, 100, 7, 11, 0x81, 8][..],
            &[1, 32, 198, 51, 100, 7, 4, 0x81, 53],
            &[1, 32, 198, 51, 100, 7, 3, 0x86, 6],
            &[],
        ] {
            assert_eq!(ask(&nlri(octets), &with(vec![rate(0.0)])).unwrap_err().kind(), "rule", "{octets:?}");
        }
        assert!(ask(&nlri(&[3, 0x81, 17]), &with(vec![rate(0.0)])).is_err());
        let mut memo = memo();
        memo.flowspec = false;
        let now = at("2026-05-01T00:00:00Z");
        assert_eq!(judge(&memo, AS, &flow, &with(vec![rate(0.0)]), now).unwrap_err().kind(), "flowspec");
        for default in ["0.0.0.0/0", "::/0"] {
            let m = Match { dst: vec![default.parse().unwrap()], proto: Some(17), ..Match::default() };
            let key = codec::key(&Target::Flow(Box::new(m))).unwrap();
            assert_eq!(ask(&key, &with(vec![rate(0.0)])).unwrap_err().kind(), "space");
        }
    }
}
