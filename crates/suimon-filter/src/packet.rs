//! One packet in words: `udp 198.51.100.1:53 > 192.0.2.7:4242`, as `filter explain` takes it.

use crate::range::Family;
use crate::request::protocol;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use suimon_base::PacketHeader;
use suimon_base::flow::Fragment;

/// Longest description, in octets.
pub const MAX_PACKET: usize = 1_000;

/// A packet of which some fields may be unsaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// IP protocol.
    pub proto: u8,
    /// Source and destination port; `None` where the packet carries none.
    pub ports: Option<(u16, u16)>,
    /// TCP flags, low octet; `None` is unsaid.
    pub tcp_flags: Option<u8>,
    /// Fragmentation; a packet is whole unless said otherwise.
    pub fragment: Fragment,
    /// Total IP length in octets; `None` is unsaid.
    pub ip_len: Option<u16>,
}

impl Packet {
    /// As a header, with 0 for what is unsaid.
    pub fn header(&self) -> PacketHeader {
        PacketHeader {
            src: self.src,
            dst: self.dst,
            proto: self.proto,
            ports: self.ports,
            tcp_flags: self.tcp_flags.unwrap_or(0),
            icmp: 0,
            fragment: self.fragment,
            ip_len: self.ip_len.unwrap_or(0),
            tos: 0,
            ttl: 64,
        }
    }
}

/// Why a description of a packet is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "packet {text:?}: {message}; write it as `udp 198.51.100.1:53 > 192.0.2.7:4242`, `tcp [2001:db8::1]:1024 > [2001:db8::2]:80 [S] length 60`, `icmp A > B`, `gre A > B`, `udp A > B later-fragment`"
)]
pub struct PacketError {
    /// The words in question, at most 60 characters.
    pub text: String,
    /// What is wrong with them.
    pub message: String,
}

fn fail<T>(text: &str, message: &str) -> Result<T, PacketError> {
    Err(PacketError { text: text.chars().take(60).collect(), message: message.into() })
}

/// An address with or without a port: `192.0.2.1:53`, `[2001:db8::1]:53`, `[2001:db8::1]`, `2001:db8::1`.
fn end(text: &str) -> Result<(IpAddr, Option<u16>), PacketError> {
    let port = |p: &str| match p.parse::<u16>() {
        Ok(n) if p.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(n)),
        _ => fail(text, "a port is a number from 0 to 65535"),
    };
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inside, after)) = rest.split_once(']') else { return fail(text, "the bracket is not closed") };
        let Ok(a) = inside.parse::<Ipv6Addr>() else { return fail(inside, "this is not an IPv6 address") };
        return match (after, after.strip_prefix(':')) {
            ("", _) => Ok((a.into(), None)),
            (_, Some(p)) => Ok((a.into(), port(p)?)),
            _ => fail(text, "after the bracket stands `:` and the port, or nothing"),
        };
    }
    if let Ok(a) = text.parse::<IpAddr>() {
        return Ok((a, None));
    }
    match text.rsplit_once(':') {
        Some((a, p)) => match a.parse::<IpAddr>() {
            Ok(IpAddr::V4(a)) => Ok((a.into(), port(p)?)),
            Ok(IpAddr::V6(_)) => fail(text, "an IPv6 address with a port stands in brackets"),
            Err(_) => fail(a, "this is not an address"),
        },
        None => fail(text, "this is not an address"),
    }
}

/// TCP flags as tcpdump prints them: `[S]`, `[S.]`, `[R]`, `[none]`.
fn flags(text: &str) -> Result<u8, PacketError> {
    let inside = text.trim_start_matches('[').trim_end_matches(']');
    if matches!(inside, "none" | "") {
        return Ok(0);
    }
    inside.chars().try_fold(0, |all, c| {
        let bit = match c.to_ascii_uppercase() {
            'F' => 1,
            'S' => 2,
            'R' => 4,
            'P' => 8,
            '.' | 'A' => 16,
            'U' => 32,
            'E' => 64,
            'W' | 'C' => 128,
            _ => return fail(text, "TCP flags are letters of S . R F P U E W, `.` being ACK"),
        };
        Ok(all | bit)
    })
}

impl FromStr for Packet {
    type Err = PacketError;

    fn from_str(text: &str) -> Result<Self, PacketError> {
        if text.len() > MAX_PACKET {
            return fail(text, "the description is too long");
        }
        let spaced = text.replace("->", " > ").replace('>', " > ");
        let mut words = spaced.split_whitespace();
        let Some(proto_word) = words.next() else { return fail(text, "nothing is said") };
        let (Some(src), Some(">"), Some(dst)) = (words.next(), words.next(), words.next()) else {
            return fail(text, "a protocol, a source, `>` and a destination are needed");
        };
        let Some(mut proto) = protocol(proto_word) else { return fail(proto_word, "this protocol is not known") };
        let ((src, src_port), (dst, dst_port)) = (end(src)?, end(dst)?);
        if Family::of(src) != Family::of(dst) {
            return fail(text, "source and destination are of different address families");
        }
        if proto_word.eq_ignore_ascii_case("icmp") && Family::of(src) == Family::V6 {
            proto = 58;
        }
        let (mut tcp_flags, mut ip_len, mut fragment) = (None, None, Fragment::Whole);
        while let Some(word) = words.next() {
            match word {
                "length" | "len" => match words.next().map(str::parse::<u16>) {
                    Some(Ok(n)) => ip_len = Some(n),
                    _ => return fail(word, "after it stands the IP length in octets, 0 to 65535"),
                },
                "first-fragment" => fragment = Fragment::First,
                "later-fragment" | "fragment" | "frag" => fragment = Fragment::Later,
                _ if word.starts_with('[') && proto == 6 => tcp_flags = Some(flags(word)?),
                _ if word.starts_with('[') => return fail(word, "only TCP has flags"),
                _ => {
                    return fail(
                        word,
                        "this is not understood; after the destination may stand [flags], length N, first-fragment, later-fragment",
                    );
                }
            }
        }
        let ports = match (src_port, dst_port) {
            (Some(s), Some(d)) => Some((s, d)),
            (None, None) => None,
            _ => return fail(text, "either both ports are said or none"),
        };
        let carries = crate::boxes::PORT_PROTOS.contains(&proto);
        if ports.is_some() && !carries {
            return fail(proto_word, "this protocol has no ports");
        }
        if ports.is_some() && fragment == Fragment::Later {
            return fail(text, "a later fragment carries no ports");
        }
        if ports.is_none() && carries && fragment != Fragment::Later {
            return fail(text, "both ports are needed, or later-fragment");
        }
        if tcp_flags.is_some() && fragment == Fragment::Later {
            return fail(text, "a later fragment carries no TCP flags");
        }
        if proto != 6 || fragment == Fragment::Later {
            tcp_flags = Some(0);
        }
        Ok(Packet { src, dst, proto, ports, tcp_flags, fragment, ip_len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_forms() {
        let p: Packet = "udp 198.51.100.1:53 > 192.0.0.1:4242".parse().unwrap();
        assert_eq!((p.proto, p.ports, p.fragment), (17, Some((53, 4242)), Fragment::Whole));
        let p: Packet = "tcp [2001:db8::1]:1024->[2001:db8::2]:80 [S.] length 60".parse().unwrap();
        assert_eq!((p.tcp_flags, p.ip_len, p.dst), (Some(18), Some(60), "2001:db8::2".parse().unwrap()));
        let p: Packet = "icmp 2001:db8::1 > [2001:db8::2]".parse().unwrap();
        assert_eq!(p.proto, 58);
        let p: Packet = "UDP 192.0.2.1 > 192.0.2.2 later-fragment".parse().unwrap();
        assert_eq!((p.fragment, p.ports), (Fragment::Later, None));
        assert_eq!("47 192.0.2.1 > 192.0.2.2".parse::<Packet>().unwrap().proto, 47);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("", "nothing"),
            ("udp 192.0.2.1:53", "destination are needed"),
            ("udp 192.0.2.1:53 > 192.0.2.2", "both ports"),
            ("udp 192.0.2.1 > 192.0.2.2", "both ports are needed"),
            ("gre 192.0.2.1:1 > 192.0.2.2:1", "no ports"),
            ("udp 192.0.2.1:53 > [2001:db8::1]:5", "families"),
            ("udp 192.0.2.1:70000 > 192.0.2.2:1", "0 to 65535"),
            ("udp 192.0.2.1:5 > 192.0.2.2:1 [S]", "only TCP"),
            ("tcp 192.0.2.1:5 > 192.0.2.2:1 [X]", "letters"),
            ("tcp 192.0.2.1:5 > 192.0.2.2:1 later-fragment", "no ports"),
            ("tcp 192.0.2.1:5 > 192.0.2.2:1 length", "octets"),
            ("foo 192.0.2.1 > 192.0.2.2", "not known"),
        ] {
            let e = text.parse::<Packet>().unwrap_err();
            assert!(e.message.contains(words), "{text}: {e}");
        }
    }
}
