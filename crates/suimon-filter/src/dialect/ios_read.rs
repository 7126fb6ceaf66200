//! Reading Cisco IOS extended access lists: named, numbered and without a heading, IPv4 and IPv6.
//!
//! Two habits of IOS matter for the meaning. A list ends with an implicit deny. And where a non-first fragment meets a
//! line that names ports or flags, a `permit` takes it if the addresses and the protocol fit, while a `deny` does not.

use super::names::{flag_of, ios_port_of, ios_proto_of};
use super::scan::{Word, Words, error};
use super::{Listing, ParseError};
use crate::range::{Family, RangeSet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule};

/// Most prefixes that one non-contiguous wildcard may stand for.
pub const MAX_WILDCARD: usize = 4_096;
/// Most lines of a list.
pub const MAX_ENTRIES: usize = 2_000_000;

#[derive(Default)]
struct Reader {
    out: Listing,
    /// Names of the IPv4 and IPv6 list, once one began.
    lists: [Option<String>; 2],
    current: Option<Family>,
}

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut r = Reader::default();
    for (i, line) in text.lines().enumerate() {
        r.line(i + 1, line)?;
        if r.out.rules.rules.len() > MAX_ENTRIES {
            return Err(error(i + 1, 1, "too many lines", &format!("at most {MAX_ENTRIES}")));
        }
    }
    if r.lists.iter().all(Option::is_none) {
        return Err(error(text.lines().count().max(1), 1, "there is no access list", "ip access-list extended NAME"));
    }
    for family in Family::BOTH {
        if r.lists[family as usize].is_some() {
            let matches = Match { dst: vec![family.net(0, 0)], ..Match::default() };
            r.out.rules.rules.push(Rule { matches, action: Action::Discard });
            r.out.lines.push(0);
        }
    }
    Ok(r.out)
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), ParseError> {
        let mut w = Words::new(number, line)?;
        let Some(first) = w.peek() else { return Ok(()) };
        if first.text.starts_with('!') || matches!(first.text, "end" | "exit" | "remark") {
            return Ok(());
        }
        if matches!(first.text, "ip" | "ipv6") {
            return self.heading(&mut w, first);
        }
        if w.take("access-list") {
            let name = w.need("a list number from 100 to 199 or 2000 to 2699")?;
            let good = name.text.parse::<u16>().is_ok_and(|n| matches!(n, 100..=199 | 2000..=2699));
            if !good {
                return Err(w.unknown(name, "a list number from 100 to 199 or 2000 to 2699"));
            }
            self.open(&w, Family::V4, name)?;
            return if w.take("remark") { Ok(()) } else { self.entry(number, &mut w, Family::V4) };
        }
        w.take("sequence");
        if w.peek().is_some_and(|x| x.text.bytes().all(|b| b.is_ascii_digit())) {
            w.next();
        }
        if w.take("remark") {
            return Ok(());
        }
        let family = self.current.unwrap_or(Family::V4);
        if self.current.is_none() {
            self.open(&w, family, Word { text: "", column: 1 })?;
        }
        self.entry(number, &mut w, family)
    }

    fn heading(&mut self, w: &mut Words<'_>, first: Word<'_>) -> Result<(), ParseError> {
        w.next();
        let expected = "ip access-list extended NAME or ipv6 access-list NAME";
        let word = w.need(expected)?;
        if word.text != "access-list" {
            return Err(w.unknown(word, expected));
        }
        let family = if first.text == "ip" { Family::V4 } else { Family::V6 };
        if family == Family::V4 && !w.take("extended") {
            let word = w.need(expected)?;
            return Err(w.unknown(word, "extended (a standard list cannot name destinations or ports)"));
        }
        let name = w.need("the name of the list")?;
        self.open(w, family, name)
    }

    fn open(&mut self, w: &Words<'_>, family: Family, name: Word<'_>) -> Result<(), ParseError> {
        let slot = &mut self.lists[family as usize];
        match slot {
            Some(known) if known.as_str() != name.text => {
                let message = format!("a second list of the same family, after {known:?}");
                Err(w.error(name, &message, "one IPv4 and one IPv6 list in one text"))
            }
            _ => {
                *slot = Some(name.text.to_owned());
                self.current = Some(family);
                Ok(())
            }
        }
    }

    fn entry(&mut self, number: usize, w: &mut Words<'_>, family: Family) -> Result<(), ParseError> {
        let expected = "permit, deny or remark";
        let word = w.need(expected)?;
        let action = match word.text {
            "permit" => Action::Permit,
            "deny" => Action::Discard,
            _ => return Err(w.unknown(word, expected)),
        };
        let (proto, src) = protocol(w, family)?;
        let mut m = Match { proto, ..Match::default() };
        m.src = address(w, family)?;
        m.src_ports = ports(w, proto, src)?;
        m.dst = address(w, family)?;
        m.dst_ports = ports(w, proto, src)?;
        if m.src.is_empty() && m.dst.is_empty() {
            // "any any" of an IPv4 list says nothing about IPv6.
            m.dst = vec![family.net(0, 0)];
        }
        let matches = tail(w, m, src, family)?;
        for m in matches {
            let upper = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
            let mut rules = vec![m.clone()];
            if upper && action == Action::Permit {
                rules.push(Match {
                    src_ports: Vec::new(),
                    dst_ports: Vec::new(),
                    tcp_flags: None,
                    fragment: Some(FragmentMatch::Later),
                    ..m
                });
            }
            for matches in rules {
                self.out.rules.rules.push(Rule { matches, action });
                self.out.lines.push(number);
            }
        }
        Ok(())
    }
}

fn protocol<'a>(w: &mut Words<'a>, family: Family) -> Result<(Option<u8>, Word<'a>), ParseError> {
    let word = w.need("a protocol: ip, tcp, udp, icmp, gre, esp, a number …")?;
    let any = if family == Family::V4 { "ip" } else { "ipv6" };
    if word.text == any {
        return Ok((None, word));
    }
    match ios_proto_of(word.text, family) {
        Some(p) => Ok((Some(p), word)),
        None => Err(w.unknown(word, &format!("a protocol: {any}, tcp, udp, icmp, gre, esp, a number from 0 to 255"))),
    }
}

fn address(w: &mut Words<'_>, family: Family) -> Result<Vec<IpNet>, ParseError> {
    let expected = match family {
        Family::V4 => "any, host ADDRESS, or ADDRESS WILDCARD",
        Family::V6 => "any, host ADDRESS, or PREFIX/LENGTH",
    };
    let word = w.need(expected)?;
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
fn wildcard(addr: u32, wild: u32) -> Option<Vec<IpNet>> {
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

fn ports(w: &mut Words<'_>, proto: Option<u8>, named: Word<'_>) -> Result<Vec<PortRange>, ParseError> {
    let Some(op) = w.peek().filter(|x| matches!(x.text, "eq" | "neq" | "gt" | "lt" | "range")) else {
        return Ok(Vec::new());
    };
    let Some(proto) = proto.filter(|p| matches!(p, 6 | 17 | 132)) else {
        let message =
            format!("{:?} names a port, but the protocol is {}: a port needs tcp or udp", op.text, named.text);
        return Err(w.error(op, &message, "tcp or udp as the protocol, or no port"));
    };
    w.next();
    let (p, word) = one_port(w, proto)?;
    let none = |w: &Words<'_>| w.error(word, "this takes no port at all", "a condition that some port fulfils");
    Ok(match op.text {
        "eq" | "neq" => {
            let mut list = vec![p];
            while w.peek().is_some_and(|x| ios_port_of(x.text, proto).is_some()) {
                list.push(one_port(w, proto)?.0);
            }
            let set = RangeSet::new(list.iter().map(|&p| (u128::from(p), u128::from(p))));
            let set = if op.text == "eq" { set } else { RangeSet::one(0, 65_535).subtract(&set) };
            set.ranges().iter().map(|r| PortRange { lo: r.0 as u16, hi: r.1 as u16 }).collect()
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
fn tail(w: &mut Words<'_>, m: Match, named: Word<'_>, family: Family) -> Result<Vec<Match>, ParseError> {
    let mut flags: Vec<TcpFlags> = Vec::new();
    let mut later = false;
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
            "match-all" | "match-any" if tcp && family == Family::V4 => flags = signed(w, word.text == "match-all")?,
            text if tcp && flag_of(text).is_some_and(|b| b < 64) => {
                let bit = flag_of(text).unwrap_or(0);
                flags.push(TcpFlags { mask: bit, value: bit });
            }
            text if flag_of(text).is_some() || matches!(text, "established" | "match-all" | "match-any") => {
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
