//! The words of one entry: protocol, addresses, ports, and what follows them.

use super::super::ParseError;
use super::super::names::decimal;
use super::super::names::{flag_of, ios_port_of};
use super::super::scan::{Word, Words};
use super::facts::{Facts, Flags, known};
use super::groups::Defined;
use crate::range::{Family, RangeSet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Match, PortRange};

/// Most prefixes that one non-contiguous wildcard may stand for.
pub const MAX_WILDCARD: usize = 4_096;

pub fn protocol<'a>(facts: &Facts, w: &mut Words<'a>, family: Family) -> Result<(Option<u8>, Word<'a>), ParseError> {
    let word = w.need("a protocol: ip, tcp, udp, icmp, gre, esp, a number …")?;
    let any = facts.any(family);
    if word.text == any {
        return Ok((None, word));
    }
    match known(word.text, family).or_else(|| decimal(word.text)) {
        Some(p) => Ok((Some(p), word)),
        None => Err(w.unknown(word, &format!("a protocol: {any}, tcp, udp, icmp, gre, esp, a number from 0 to 255"))),
    }
}

pub fn address(facts: &Facts, groups: &Defined, w: &mut Words<'_>, family: Family) -> Result<Vec<IpNet>, ParseError> {
    let expected = match family {
        Family::V4 => "any, host ADDRESS, or ADDRESS WILDCARD",
        Family::V6 => "any, host ADDRESS, or PREFIX/LENGTH",
    };
    let word = w.need(expected)?;
    if facts.groups.as_ref().is_some_and(|g| g.net_word == word.text) {
        let name = w.need("the name of a group")?;
        let set = groups.net(family, name.text);
        let set = set.ok_or_else(|| w.unknown(name, "a group of addresses that is defined in this text"))?;
        let nets = set.prefixes(family);
        return Ok(if nets.iter().any(|n| n.prefix_len() == 0) { Vec::new() } else { nets });
    }
    match (word.text, family) {
        ("any", _) => Ok(Vec::new()),
        ("host", Family::V4) => {
            let a = w.need("an IPv4 address")?;
            let addr: Ipv4Addr = a.text.parse().map_err(|_| w.unknown(a, "an IPv4 address"))?;
            Ok(vec![IpNet::V4(Ipv4Net::from(addr))])
        }
        ("host", Family::V6) => {
            let a = w.need("an IPv6 address")?;
            let addr: Ipv6Addr = a.text.parse().map_err(|_| w.unknown(a, "an IPv6 address"))?;
            Ok(vec![IpNet::V6(Ipv6Net::from(addr))])
        }
        (text, Family::V6) => {
            let net: Ipv6Net = text.parse().map_err(|_| w.unknown(word, expected))?;
            Ok(vec![IpNet::V6(net.trunc())])
        }
        (text, Family::V4) if text.contains('/') && facts.reads_slash => {
            let net: Ipv4Net = text.parse().map_err(|_| w.unknown(word, expected))?;
            Ok(if net.prefix_len() == 0 { Vec::new() } else { vec![IpNet::V4(net.trunc())] })
        }
        (text, Family::V4) => {
            let addr: Ipv4Addr = text.parse().map_err(|_| w.unknown(word, expected))?;
            let mask = w.need("a wildcard mask")?;
            let wild: Ipv4Addr = mask.text.parse().map_err(|_| w.unknown(mask, "a wildcard mask such as 0.0.0.255"))?;
            wildcard(addr.to_bits(), wild.to_bits()).ok_or_else(|| {
                let message = format!("the wildcard {wild} stands for more than {MAX_WILDCARD} prefixes");
                w.error(mask, &message, "a wildcard with fewer separate one bits")
            })
        }
    }
}

/// The prefixes of a wildcard, contiguous or not; bits of `addr` under the wildcard do not count.
pub fn wildcard(addr: u32, wild: u32) -> Option<Vec<IpNet>> {
    let low = wild.trailing_ones();
    let low_mask = if low == 32 { u32::MAX } else { (1u32 << low) - 1 };
    let high = wild & !low_mask;
    if high.count_ones() as usize > MAX_WILDCARD.ilog2() as usize {
        return None;
    }
    let base = addr & !wild;
    let mut out = Vec::new();
    let mut sub = 0u32;
    loop {
        let start = u128::from(base | sub);
        out.push((start, start + u128::from(low_mask)));
        sub = sub.wrapping_sub(high) & high;
        if sub == 0 {
            break;
        }
    }
    let nets = RangeSet::new(out).prefixes(Family::V4);
    Some(if nets.iter().any(|n| n.prefix_len() == 0) { Vec::new() } else { nets })
}

pub fn ports(
    facts: &Facts,
    groups: &Defined,
    w: &mut Words<'_>,
    proto: Option<u8>,
    named: Word<'_>,
) -> Result<Vec<PortRange>, ParseError> {
    let group = facts.groups.as_ref().and_then(|g| g.ports).map_or("", |p| p.1);
    let is_op = |x: &Word<'_>| matches!(x.text, "eq" | "neq" | "gt" | "lt" | "range") || x.text == group;
    let Some(op) = w.peek().filter(is_op) else {
        return Ok(Vec::new());
    };
    let Some(proto) = proto.filter(|p| matches!(p, 6 | 17 | 132)) else {
        let message =
            format!("{:?} names a port, but the protocol is {}: a port needs tcp or udp", op.text, named.text);
        return Err(w.error(op, &message, "tcp or udp as the protocol, or no port"));
    };
    w.next();
    let list = |set: &RangeSet| set.ranges().iter().map(|r| PortRange { lo: r.0 as u16, hi: r.1 as u16 }).collect();
    if op.text == group {
        let name = w.need("the name of a group")?;
        let set = groups.port(name.text);
        return set.map(list).ok_or_else(|| w.unknown(name, "a group of ports that is defined in this text"));
    }
    let (p, word) = one_port(w, proto)?;
    let none = |w: &Words<'_>| w.error(word, "this takes no port at all", "a condition that some port fulfils");
    Ok(match op.text {
        "eq" | "neq" => {
            let mut many = vec![p];
            while facts.eq_ports > 1 && w.peek().is_some_and(|x| ios_port_of(x.text, proto).is_some()) {
                many.push(one_port(w, proto)?.0);
            }
            let set = RangeSet::new(many.iter().map(|&p| (u128::from(p), u128::from(p))));
            list(&if op.text == "eq" { set } else { RangeSet::one(0, 65_535).subtract(&set) })
        }
        "gt" => vec![PortRange { lo: p.checked_add(1).ok_or_else(|| none(w))?, hi: u16::MAX }],
        "lt" => vec![PortRange { lo: 0, hi: p.checked_sub(1).ok_or_else(|| none(w))? }],
        _ => {
            let (q, last) = one_port(w, proto)?;
            if q < p {
                return Err(w.error(last, "the range ends before it starts", "the higher port last"));
            }
            vec![PortRange { lo: p, hi: q }]
        }
    })
}

fn one_port<'a>(w: &mut Words<'a>, proto: u8) -> Result<(u16, Word<'a>), ParseError> {
    let word = w.need("a port")?;
    match ios_port_of(word.text, proto) {
        Some(p) => Ok((p, word)),
        None => Err(w.unknown(word, "a port from 0 to 65535 or its name")),
    }
}

/// Flags, fragments and logging after the addresses; `established` and lists of flags give several matches.
pub fn tail(
    facts: &Facts,
    w: &mut Words<'_>,
    m: Match,
    named: Word<'_>,
    family: Family,
) -> Result<Vec<Match>, ParseError> {
    let mut flags: Vec<TcpFlags> = Vec::new();
    let mut later = false;
    let mut m = m;
    while let Some(word) = w.next() {
        let tcp = m.proto == Some(6);
        match word.text {
            "log" | "log-input" => {}
            "fragments" => {
                if !m.src_ports.is_empty() || !m.dst_ports.is_empty() {
                    return Err(w.error(word, "non-first fragments carry no ports", "fragments without ports"));
                }
                later = true;
            }
            "established" if tcp => flags.extend([16, 4].map(|b| TcpFlags { mask: b, value: b })),
            "packet-length" if facts.lengths && family == Family::V4 => m.lengths = lengths(w)?,
            "match-all" | "match-any" if tcp && family == Family::V4 && facts.flags == Flags::Signed => {
                flags = signed(w, word.text == "match-all")?
            }
            text if tcp && flag_of(text).is_some_and(|b| b < 64) => {
                if facts.flags == Flags::OneSet && !flags.is_empty() {
                    let message = "whether several flags mean all of them or any differs between releases";
                    return Err(w.error(word, message, "one flag a line"));
                }
                let bit = flag_of(text).unwrap_or(0);
                flags.push(TcpFlags { mask: bit, value: bit });
            }
            text if !tcp && (flag_of(text).is_some() || matches!(text, "established" | "match-all" | "match-any")) => {
                let message = format!("{text} tests TCP flags, but the protocol is {}", named.text);
                return Err(w.error(word, &message, "tcp as the protocol"));
            }
            _ => return Err(w.unknown(word, "fragments, log, TCP flags, or the end of the line")),
        }
    }
    if later && !flags.is_empty() {
        return Err(error_at_end(w, "non-first fragments carry no TCP flags", "fragments without flags"));
    }
    let fragment = later.then_some(FragmentMatch::Later);
    if flags.is_empty() {
        return Ok(vec![Match { fragment, ..m }]);
    }
    Ok(flags.into_iter().map(|t| Match { tcp_flags: Some(t), ..m.clone() }).collect())
}

fn error_at_end(w: &Words<'_>, message: &str, expected: &str) -> ParseError {
    w.error(Word { text: "", column: 1 }, message, expected)
}

fn signed(w: &mut Words<'_>, all: bool) -> Result<Vec<TcpFlags>, ParseError> {
    let expected = "flags with a sign, such as +syn -ack";
    let mut list: Vec<TcpFlags> = Vec::new();
    while let Some(word) = w.peek().filter(|x| x.text.starts_with(['+', '-'])) {
        let bit = flag_of(&word.text[1..]).filter(|&b| b < 64).ok_or_else(|| w.unknown(word, expected))?;
        list.push(TcpFlags { mask: bit, value: if word.text.starts_with('+') { bit } else { 0 } });
        w.next();
    }
    if list.is_empty() {
        let word = w.need(expected)?;
        return Err(w.unknown(word, expected));
    }
    if !all {
        return Ok(list);
    }
    let mut both = TcpFlags { mask: 0, value: 0 };
    for t in list {
        if both.mask & t.mask != 0 && both.value & t.mask != t.value {
            return Err(error_at_end(w, "a flag is asked to be set and not set", expected));
        }
        both = TcpFlags { mask: both.mask | t.mask, value: both.value | t.value };
    }
    Ok(vec![both])
}

/// `eq N`, `range A B`, `gt N`, `lt N`, `neq N` of a total length in octets.
fn lengths(w: &mut Words<'_>) -> Result<Vec<PortRange>, ParseError> {
    let expected = "eq, neq, gt, lt or range and a length from 0 to 65535";
    let op = w.need(expected)?;
    let mut number = || {
        let word = w.need(expected)?;
        decimal::<u16>(word.text).map(|n| (n, word)).ok_or_else(|| w.unknown(word, expected))
    };
    let (n, word) = number()?;
    let one = |lo: Option<u16>, hi: Option<u16>| lo.zip(hi).map(|(lo, hi)| vec![PortRange { lo, hi }]);
    let list = match op.text {
        "eq" => one(Some(n), Some(n)),
        "gt" => one(n.checked_add(1), Some(u16::MAX)),
        "lt" => one(Some(0), n.checked_sub(1)),
        "range" => {
            let (high, _) = number()?;
            if high < n { None } else { one(Some(n), Some(high)) }
        }
        "neq" => {
            let below = n.checked_sub(1).map(|hi| PortRange { lo: 0, hi });
            let above = n.checked_add(1).map(|lo| PortRange { lo, hi: u16::MAX });
            Some(below.into_iter().chain(above).collect())
        }
        _ => return Err(w.unknown(op, expected)),
    };
    list.ok_or_else(|| w.error(word, "this takes no length at all", "a condition that some length fulfils"))
}
