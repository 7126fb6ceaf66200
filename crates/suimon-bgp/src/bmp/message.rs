//! BMP messages (RFC 7854, with RFC 8671 and RFC 9069) from octets. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::Asn;

/// Version of RFC 7854 §4.1.
const VERSION: u8 = 3;
/// Length of the common head, octets.
pub const COMMON_OCTETS: usize = 6;
/// Length of the head about a peer, octets.
const PEER_OCTETS: usize = 42;
/// Longest message, octets. A Peer Up holds two OPENs of at most 4,096 and text; RFC 8654 allows an UPDATE of 65,535.
pub const MAX_OCTETS: usize = 1 << 18;

/// A message that cannot be read; the session cannot go on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("octet {offset} of the BMP message: {reason}")]
pub struct BmpError {
    /// Where, from the start of the message.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// Which table of a router a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Adj-RIB-In before policy: what arrived.
    InPre,
    /// Adj-RIB-In after policy: what was accepted.
    InPost,
    /// Adj-RIB-Out before policy (RFC 8671).
    OutPre,
    /// Adj-RIB-Out after policy: what was passed on.
    OutPost,
    /// Loc-RIB (RFC 9069): what is used.
    LocRib,
}

/// Who a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    /// Whether it stands for the router's own table.
    pub loc_rib: bool,
    /// Route distinguisher of the instance; 0 for the main one.
    pub distinguisher: u64,
    /// The peer's address; unspecified for the router's own table.
    pub address: IpAddr,
}

/// The head about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerHead {
    /// Who.
    pub id: PeerId,
    /// Which table.
    pub view: View,
    /// Its AS.
    pub asn: Asn,
    /// Its BGP identifier.
    pub bgp_id: Ipv4Addr,
    /// Whether AS_PATH has two octets an AS.
    pub two_octet: bool,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bmp<'a> {
    /// Route Monitoring: the BGP message, head included.
    Route(PeerHead, &'a [u8]),
    /// Peer Up: families with ADD-PATH in both OPENs are not read, since their NLRI look otherwise.
    Up(PeerHead, Vec<(u16, u8)>),
    /// Peer Down.
    Down(PeerHead),
    /// Initiation: sysName, where it is there.
    Initiation(Option<&'a str>),
    /// Termination.
    Termination,
    /// Statistics, mirrored messages and types that are not known.
    Other,
}

struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], BmpError> {
        let slice = self.all.get(self.at..).and_then(|rest| rest.get(..n));
        let slice = slice.ok_or(BmpError { offset: self.at, reason: "it ends too early" })?;
        self.at += n;
        Ok(slice)
    }
    fn number(&mut self, n: usize) -> Result<u64, BmpError> {
        Ok(self.take(n)?.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)))
    }
    fn left(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }
}

/// Length of the message at the start of a buffer; `None` while its head is not there yet.
///
/// # Errors
/// When it is no BMP message, or a longer one than anybody sends.
pub fn length(buffer: &[u8]) -> Result<Option<usize>, BmpError> {
    let Some(head) = buffer.get(..COMMON_OCTETS) else { return Ok(None) };
    if head[0] != VERSION {
        return Err(BmpError { offset: 0, reason: "not BMP version 3" });
    }
    let length = head[1..5].iter().fold(0usize, |sum, b| sum << 8 | usize::from(*b));
    match length {
        l if l < COMMON_OCTETS => Err(BmpError { offset: 1, reason: "shorter than its own head" }),
        l if l > MAX_OCTETS => Err(BmpError { offset: 1, reason: "longer than any message" }),
        l => Ok(Some(l)),
    }
}

/// Reads one whole message.
///
/// # Errors
/// At the first octet that does not fit the format.
pub fn read(message: &[u8]) -> Result<Bmp<'_>, BmpError> {
    match length(message)? {
        Some(l) if l == message.len() => {}
        _ => return Err(BmpError { offset: 1, reason: "the length is another one" }),
    }
    let mut b = Bytes { all: message, at: COMMON_OCTETS };
    Ok(match message[COMMON_OCTETS - 1] {
        0 => {
            let head = peer(&mut b)?;
            Bmp::Route(head, b.left())
        }
        2 => Bmp::Down(peer(&mut b)?),
        3 => {
            let head = peer(&mut b)?;
            // Local address and both ports.
            b.take(20)?;
            let sent = open(&mut b)?;
            let received = open(&mut b)?;
            Bmp::Up(head, sent.into_iter().filter(|f| received.contains(f)).collect())
        }
        4 => {
            let mut name = None;
            while !b.left().is_empty() {
                let kind = b.number(2)?;
                let length = b.number(2)? as usize;
                let value = b.take(length)?;
                if kind == 2 {
                    name = std::str::from_utf8(value).ok();
                }
            }
            Bmp::Initiation(name)
        }
        5 => Bmp::Termination,
        _ => Bmp::Other,
    })
}

fn peer(b: &mut Bytes<'_>) -> Result<PeerHead, BmpError> {
    let start = b.at;
    let kind = b.number(1)?;
    let flags = b.number(1)?;
    let distinguisher = b.number(8)?;
    let address: [u8; 16] = b.take(16)?.try_into().map_err(|_| BmpError { offset: start, reason: "no address" })?;
    let asn = Asn(b.number(4)? as u32);
    let bgp_id = Ipv4Addr::from(b.number(4)? as u32);
    b.take(8)?;
    debug_assert_eq!(b.at - start, PEER_OCTETS);
    let loc_rib = kind == 3;
    if kind > 3 {
        return Err(BmpError { offset: start, reason: "a type of peer that is not known" });
    }
    let (v6, post, two_octet, out) = (flags & 0x80 != 0, flags & 0x40 != 0, flags & 0x20 != 0, flags & 0x10 != 0);
    let view = match (loc_rib, out, post) {
        (true, ..) => View::LocRib,
        (_, false, false) => View::InPre,
        (_, false, true) => View::InPost,
        (_, true, false) => View::OutPre,
        (_, true, true) => View::OutPost,
    };
    let address = match address {
        _ if loc_rib => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        a if v6 => IpAddr::V6(Ipv6Addr::from(a)),
        [.., a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
    };
    // In a message about the own table the flags mean something else, and its paths have four octets (RFC 9069 §4.2).
    let two_octet = two_octet && !loc_rib;
    Ok(PeerHead { id: PeerId { loc_rib, distinguisher, address }, view, asn, bgp_id, two_octet })
}

/// Families with ADD-PATH (capability 69, RFC 7911) of an OPEN.
fn open(b: &mut Bytes<'_>) -> Result<Vec<(u16, u8)>, BmpError> {
    let start = b.at;
    let head = b.take(crate::update::HEAD_OCTETS)?;
    let length = usize::from(u16::from_be_bytes([head[16], head[17]]));
    let body = length.checked_sub(crate::update::HEAD_OCTETS);
    let body = b.take(body.ok_or(BmpError { offset: start, reason: "an OPEN shorter than its own head" })?)?;
    let mut out = Vec::new();
    let mut parameters = Bytes { all: body.get(10..).unwrap_or_default(), at: 0 };
    // What cannot be read of the parameters is none of our business: the session it opened runs.
    while let (Ok(kind), Ok(length)) = (parameters.number(1), parameters.number(1)) {
        let Ok(value) = parameters.take(length as usize) else { break };
        if kind != 2 {
            continue;
        }
        let mut capabilities = Bytes { all: value, at: 0 };
        while let (Ok(code), Ok(length)) = (capabilities.number(1), capabilities.number(1)) {
            let Ok(value) = capabilities.take(length as usize) else { break };
            if code == 69 {
                out.extend(value.chunks_exact(4).map(|f| (u16::from_be_bytes([f[0], f[1]]), f[2])));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend((COMMON_OCTETS as u32 + body.len() as u32).to_be_bytes());
        out.push(kind);
        out.extend(body);
        out
    }

    pub(crate) fn head(kind: u8, flags: u8, last: u8) -> Vec<u8> {
        let mut out = vec![kind, flags];
        out.extend([0; 8]);
        out.extend([0; 12]);
        out.extend([192, 0, 2, last]);
        out.extend(64500u32.to_be_bytes());
        out.extend([192, 0, 2, 10]);
        out.extend([0; 8]);
        out
    }

    fn open_message(add_path: bool) -> Vec<u8> {
        let capabilities: &[u8] = if add_path { &[1, 4, 0, 1, 0, 1, 69, 4, 0, 1, 1, 3] } else { &[1, 4, 0, 1, 0, 1] };
        let mut body =
            vec![4, 0xfb, 0xf4, 0, 90, 192, 0, 2, 1, capabilities.len() as u8 + 2, 2, capabilities.len() as u8];
        body.extend(capabilities);
        let mut out = vec![0xff; 16];
        out.extend((19 + body.len() as u16).to_be_bytes());
        out.push(1);
        out.extend(body);
        out
    }

    pub(crate) fn up(kind: u8, flags: u8, last: u8, add_path: bool) -> Vec<u8> {
        message(3, &[head(kind, flags, last), vec![0; 20], open_message(add_path), open_message(add_path)].concat())
    }

    #[test]
    fn views_and_peers() {
        for (kind, flags, view) in [
            (0, 0, View::InPre),
            (0, 0x40, View::InPost),
            (0, 0x10, View::OutPre),
            (1, 0x50, View::OutPost),
            (3, 0x80, View::LocRib),
        ] {
            let m = message(0, &[head(kind, flags, 1), vec![9]].concat());
            let Ok(Bmp::Route(h, [9])) = read(&m) else { panic!("{:?}", read(&m)) };
            assert_eq!((h.view, h.asn, h.bgp_id), (view, Asn(64500), Ipv4Addr::new(192, 0, 2, 10)));
            assert_eq!(h.id.address.is_unspecified(), kind == 3);
        }
        let Ok(Bmp::Up(_, families)) = read(&up(0, 0, 1, true)).clone() else { panic!() };
        assert_eq!(families, [(1, 1)]);
        assert!(matches!(read(&up(0, 0, 1, false)), Ok(Bmp::Up(_, f)) if f.is_empty()));
        assert_eq!(read(&message(4, &[0, 2, 0, 2, b'r', b'1'])), Ok(Bmp::Initiation(Some("r1"))));
        assert_eq!(read(&message(0, &head(4, 0, 1))).unwrap_err().reason, "a type of peer that is not known");
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(length(&[3, 0, 0]), Ok(None));
        assert!(length(&[2, 0, 0, 0, 6, 0]).is_err());
        assert!(length(&[3, 0, 0, 0, 5, 0]).is_err());
        assert!(length(&[3, 0xff, 0, 0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..8u8) {
            let _ = read(&octets);
            let _ = read(&message(kind, &octets));
        }

        #[test]
        fn cut_messages_are_errors(cut in 0..200usize, at in 0..200usize, v: u8) {
            let whole = up(0, 0, 1, true);
            if cut < whole.len() {
                prop_assert!(read(&whole[..cut]).is_err());
                // Cut, and the length put right.
                let body = whole.get(COMMON_OCTETS..cut).unwrap_or_default();
                prop_assert!(read(&message(3, body)).is_err());
            }
            let mut other = whole;
            if let Some(octet) = other.get_mut(at) {
                *octet = v;
            }
            let _ = read(&other);
        }
    }
}
