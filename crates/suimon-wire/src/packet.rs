//! The headers of one captured or sampled frame.
//!
//! Only the outermost IP header counts: for an ICMP error, a GRE tunnel or IP in IP the addresses are those on the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::PacketHeader;
use suimon_base::flow::Fragment;

/// What a frame begins with (numbers: tcpdump.org, *Link-layer header types*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet (1).
    Ethernet,
    /// An IPv4 or IPv6 header (101; 228 and 229; 12 and 14 on some systems).
    RawIp,
    /// Linux "cooked" capture (113).
    LinuxSll,
    /// Linux "cooked" capture version 2 (276).
    LinuxSll2,
    /// BSD loopback: four octets of address family (0 and 108).
    Loopback,
    /// An MPLS label stack; only in sFlow (header protocol 13).
    Mpls,
    /// Something else, which is not read.
    Other(u32),
}

impl From<u32> for LinkType {
    fn from(number: u32) -> Self {
        match number {
            1 => LinkType::Ethernet,
            12 | 14 | 101 | 228 | 229 => LinkType::RawIp,
            113 => LinkType::LinuxSll,
            276 => LinkType::LinuxSll2,
            0 | 108 => LinkType::Loopback,
            other => LinkType::Other(other),
        }
    }
}

/// A parsed frame.
#[derive(Clone, Copy, Debug)]
pub struct Parsed<'a> {
    /// The outermost IP header and the transport header behind it.
    pub header: PacketHeader,
    /// Outermost VLAN id; 0 for none.
    pub vlan: u16,
    /// Payload of a UDP datagram that is not fragmented, as far as it was captured.
    pub udp: Option<&'a [u8]>,
}

/// Tags and labels that are looked through before a frame counts as nonsense.
const MAX_TAGS: usize = 8;
/// IPv6 extension headers that are looked through (RFC 8200 §4.1 foresees seven).
const MAX_EXTENSIONS: usize = 12;

/// Parses a frame; `wire_len` is its length in octets before it was cut short, and serves where the IP header carries no
/// length (segmentation offload). `None` where no IP header is found.
pub fn parse_frame(link: LinkType, frame: &[u8], wire_len: u32) -> Option<(PacketHeader, Option<&[u8]>)> {
    parse(link, frame, wire_len).map(|p| (p.header, p.udp))
}

/// [`parse_frame`] with the VLAN id.
#[inline(always)]
pub fn parse(link: LinkType, frame: &[u8], wire_len: u32) -> Option<Parsed<'_>> {
    let (rest, vlan) = match link {
        LinkType::Ethernet => ether(be16(frame, 12)?, frame.get(14..)?)?,
        LinkType::RawIp => (frame, 0),
        LinkType::LinuxSll => ether(be16(frame, 14)?, frame.get(16..)?)?,
        LinkType::LinuxSll2 => ether(be16(frame, 0)?, frame.get(20..)?)?,
        LinkType::Loopback => (frame.get(4..)?, 0),
        LinkType::Mpls => (mpls(frame)?, 0),
        LinkType::Other(_) => return None,
    };
    let before = u32::try_from(frame.len() - rest.len()).unwrap_or(u32::MAX);
    let ip_len = wire_len.saturating_sub(before);
    let (header, udp) = match rest.first()? >> 4 {
        4 => ipv4(rest, ip_len)?,
        6 => ipv6(rest, ip_len)?,
        _ => return None,
    };
    Some(Parsed { header, vlan, udp })
}

#[inline(always)]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// Looks through VLAN tags, MPLS labels and PPPoE; returns what should be an IP header and the outer VLAN.
#[inline(always)]
fn ether(mut kind: u16, mut rest: &[u8]) -> Option<(&[u8], u16)> {
    let mut vlan = 0;
    for _ in 0..MAX_TAGS {
        match kind {
            0x0800 | 0x86dd => return Some((rest, vlan)),
            // 802.1Q, 802.1ad, and the tags of the time before 802.1ad
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                if vlan == 0 {
                    vlan = be16(rest, 0)? & 0x0fff;
                }
                kind = be16(rest, 2)?;
                rest = rest.get(4..)?;
            }
            0x8847 | 0x8848 => return mpls(rest).map(|inner| (inner, vlan)),
            // PPPoE session (RFC 2516) with IPv4 or IPv6 in PPP
            0x8864 if matches!(be16(rest, 6)?, 0x0021 | 0x0057) => return Some((rest.get(8..)?, vlan)),
            _ => return None,
        }
    }
    None
}

/// Skips labels to the bottom of the stack (RFC 3032 §2.1). What follows has no type; the IP version tells.
fn mpls(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_TAGS {
        let (label, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        if label[2] & 1 == 1 {
            return Some(rest);
        }
    }
    None
}

#[inline(always)]
fn ipv4(ip: &[u8], wire_len: u32) -> Option<(PacketHeader, Option<&[u8]>)> {
    let fixed = ip.first_chunk::<20>()?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < 20 {
        return None;
    }
    let total = match u16::from_be_bytes([fixed[2], fixed[3]]) {
        0 => u16::try_from(wire_len).unwrap_or(u16::MAX),
        len => len,
    };
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]);
    let fragment = match (flags & 0x1fff, flags & 0x2000) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    };
    let end = ip.len().min(usize::from(total));
    let inner = transport(fixed[9], fragment, ip.get(header_len..end).unwrap_or_default());
    let header = PacketHeader {
        src: IpAddr::V4(Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15])),
        dst: IpAddr::V4(Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19])),
        proto: fixed[9],
        ports: inner.ports,
        tcp_flags: inner.tcp_flags,
        icmp: inner.icmp,
        fragment,
        ip_len: total,
        tos: fixed[1],
        ttl: fixed[8],
    };
    Some((header, inner.udp))
}

#[inline]
fn ipv6(ip: &[u8], wire_len: u32) -> Option<(PacketHeader, Option<&[u8]>)> {
    let (fixed, mut rest) = ip.split_first_chunk::<40>()?;
    let total = match u16::from_be_bytes([fixed[4], fixed[5]]) {
        0 => u16::try_from(wire_len).unwrap_or(u16::MAX).max(40),
        len => len.saturating_add(40),
    };
    rest = rest.get(..usize::from(total) - 40).unwrap_or(rest);
    let mut next = fixed[6];
    let mut fragment = Fragment::Whole;
    for _ in 0..MAX_EXTENSIONS {
        // RFC 8200 §4; AH (51) counts its length in units of four octets.
        let len = match (next, rest) {
            (0 | 43 | 60 | 135 | 139 | 140, [_, units, ..]) => (usize::from(*units) + 1) * 8,
            (51, [_, units, ..]) => (usize::from(*units) + 2) * 4,
            (44, [_, _, hi, lo, ..]) => {
                let word = u16::from_be_bytes([*hi, *lo]);
                fragment = match (word >> 3, word & 1) {
                    (0, 0) => Fragment::Whole, // an atomic fragment (RFC 6946)
                    (0, _) => Fragment::First,
                    _ => Fragment::Later,
                };
                8
            }
            _ => break,
        };
        let Some((extension, tail)) = rest.split_at_checked(len) else { break };
        next = extension[0];
        rest = tail;
        if fragment == Fragment::Later {
            break;
        }
    }
    let address = |at: usize| {
        let octets = fixed.get(at..).and_then(|tail| tail.first_chunk::<16>()).copied().unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let inner = transport(next, fragment, rest);
    let header = PacketHeader {
        src: address(8),
        dst: address(24),
        proto: next,
        ports: inner.ports,
        tcp_flags: inner.tcp_flags,
        icmp: inner.icmp,
        fragment,
        ip_len: total,
        tos: fixed[0] << 4 | fixed[1] >> 4,
        ttl: fixed[7],
    };
    Some((header, inner.udp))
}

/// What stands in a transport header.
struct Transport<'a> {
    ports: Option<(u16, u16)>,
    tcp_flags: u8,
    icmp: u16,
    udp: Option<&'a [u8]>,
}

/// Ports, flags, ICMP type, and the payload of an unfragmented UDP datagram.
#[inline(always)]
fn transport(proto: u8, fragment: Fragment, rest: &[u8]) -> Transport<'_> {
    let mut found = Transport { ports: None, tcp_flags: 0, icmp: 0, udp: None };
    if fragment == Fragment::Later {
        return found;
    }
    match proto {
        // TCP, UDP, DCCP, SCTP, UDP-Lite
        6 | 17 | 33 | 132 | 136 => {
            let Some(word) = rest.first_chunk::<4>() else { return found };
            found.ports = Some((u16::from_be_bytes([word[0], word[1]]), u16::from_be_bytes([word[2], word[3]])));
            if proto == 6 {
                found.tcp_flags = rest.get(13).copied().unwrap_or(0);
            } else if proto == 17 && fragment == Fragment::Whole {
                let len = be16(rest, 4).map_or(0, usize::from);
                found.udp = rest.get(8..rest.len().min(len));
            }
        }
        1 | 58 => found.icmp = be16(rest, 0).unwrap_or(0),
        _ => {}
    }
    found
}
