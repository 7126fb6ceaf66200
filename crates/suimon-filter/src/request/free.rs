//! Free text, Japanese or English, as customers mail it under stress.
//!
//! Addresses, ports and protocols are picked out wherever they stand; headings (送信元, 宛先, source, destination, ポート)
//! say what the following ones mean. Words that would change the meaning and are not understood (exceptions, countries)
//! are refused instead of ignored.

use super::lex::{self, Kind, Token};
use super::{MAX_ITEMS, Notes, RequestError, at};
use crate::range::{Family, RangeSet, bounds, number};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Src,
    Dst,
}

/// A protocol with or without ports.
#[derive(Clone, PartialEq)]
struct Service {
    /// `None` for ports without a protocol.
    proto: Option<u8>,
    ports: Option<PortRange>,
    side: Side,
}

/// Addresses and what is asked of them.
#[derive(Default)]
struct Group {
    src: Vec<IpNet>,
    dst: Vec<IpNet>,
    services: Vec<Service>,
    /// Whether an address came before any service; `None` while empty.
    address_first: Option<bool>,
    last_is_address: bool,
    /// Index of the first token, for errors.
    first: usize,
}

impl Group {
    fn has_address(&self) -> bool {
        !self.src.is_empty() || !self.dst.is_empty()
    }
}

#[derive(Default)]
struct Free {
    tokens: Vec<Token>,
    at: usize,
    groups: Vec<Group>,
    address_side: Option<Side>,
    port_side: Option<Side>,
    in_ports: bool,
    /// Protocols of a heading such as `TCP:`.
    heading: Vec<u8>,
    used_since_heading: bool,
    items: usize,
    notes: Notes,
}

/// Protocol number of a name (`icmp` is IPv4's) or a decimal number.
pub fn protocol(name: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 18] = [
        ("icmp", 1),
        ("igmp", 2),
        ("ipip", 4),
        ("tcp", 6),
        ("egp", 8),
        ("udp", 17),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("icmp6", 58),
        ("eigrp", 88),
        ("ospf", 89),
        ("pim", 103),
        ("vrrp", 112),
        ("l2tpv3", 115),
        ("sctp", 132),
        ("udplite", 136),
    ];
    let lower = name.to_ascii_lowercase();
    NAMES.iter().find(|n| n.0 == lower).map(|n| n.1).or_else(|| lower.parse().ok())
}

fn with_ports(word: &str) -> Option<u8> {
    protocol(word).filter(|p| matches!(p, 6 | 17 | 132) && !word.starts_with(|c: char| c.is_ascii_digit()))
}

/// Words after which a request means something else than its addresses and ports say.
const REFUSED: [(&str, &str); 19] = [
    ("以外", "exceptions"),
    ("除く", "exceptions"),
    ("除き", "exceptions"),
    ("除い", "exceptions"),
    ("のぞく", "exceptions"),
    ("except", "exceptions"),
    ("excluding", "exceptions"),
    ("exclude", "exceptions"),
    ("permit", "permits"),
    ("allow", "permits"),
    ("許可", "permits"),
    ("unblock", "releases"),
    ("unblocked", "releases"),
    ("whitelist", "permits"),
    ("海外", "countries"),
    ("国外", "countries"),
    ("国内", "countries"),
    ("country", "countries"),
    ("countries", "countries"),
];

/// Words that ask for a drop, and those before them that turn it round.
const DROPS: [&str; 8] = ["block", "blocking", "drop", "dropping", "filter", "filtering", "deny", "discard"];
const TURNS: [&str; 7] = ["not", "don", "dont", "never", "stop", "without", "no"];
/// Japanese words that ask not to drop, or to take a drop away.
const NOT_DROPPED: [&str; 7] =
    ["遮断しない", "遮断せず", "遮断不要", "ブロックしない", "フィルタしない", "止めない", "落とさない"];
const RELEASES: [&str; 7] =
    ["遮断を解除", "遮断の解除", "遮断解除", "ブロックを解除", "ブロック解除", "フィルタを解除", "フィルタ解除"];

/// Why a country is not read.
pub const COUNTRY: &str = "a country is not a set of addresses: registration, geolocation, origin AS, operator and ingress link differ; name the prefixes, or see what each would take with `suimon filter request --data DIR`";

fn refused(token: &Token, kind: &str) -> RequestError {
    token.error(match kind {
        "exceptions" => "exceptions are not read from free text, since a wrong guess would drop the wrong half; name what to drop, or use TOML with action = \"permit\" before the rule",
        "releases" => "this asks not to drop, or to take a drop away, and a request names what to drop; a filter that was given out is taken away by its undo",
        "permits" => "permits are not read from free text; name only what to drop, or use TOML with action = \"permit\" before the rule",
        _ => COUNTRY,
    })
}

/// Whether a token is a word after which a request means something else than its addresses and ports say.
pub fn changes_meaning(token: &Token) -> bool {
    match &token.kind {
        Kind::Word(w) => REFUSED.iter().any(|(r, _)| r == w),
        Kind::Text(t) => REFUSED.iter().any(|(r, _)| t.contains(r)),
        _ => false,
    }
}

/// The rules of a free text. Where the writer's own lines name addresses, those of quoted lines are left out: what was asked
/// before, or said to be over, is not asked now.
pub fn parse(text: &str) -> Result<(RuleSet, Notes), RequestError> {
    if let Some(own) = lex::without_quotes(text) {
        let addresses = |tokens: &[Token]| tokens.iter().filter(|t| matches!(t.kind, Kind::Addr(_))).count();
        let tokens = lex::tokens(&own)?;
        if addresses(&tokens) > 0 {
            let quoted = text.lines().zip(own.lines()).filter(|(all, own)| all != own).map(|(all, _)| all);
            let named = |line: &&str| lex::tokens(line).is_ok_and(|t| addresses(&t) > 0);
            let left_out = quoted.filter(named).map(|l| l.trim().chars().take(60).collect()).collect();
            return of_tokens(tokens, &own, Notes { left_out, ..Notes::default() });
        }
    }
    of_tokens(lex::tokens(text)?, text, Notes::default())
}

fn of_tokens(tokens: Vec<Token>, text: &str, notes: Notes) -> Result<(RuleSet, Notes), RequestError> {
    let mut f = Free { tokens, notes: Notes { free: true, ..notes }, ..Free::default() };
    while f.at < f.tokens.len() {
        f.step()?;
        if f.items > MAX_ITEMS {
            let line = f.tokens.get(f.at.saturating_sub(1)).map_or(1, |t| t.line);
            return Err(at(line, 1, "", &format!("more than {MAX_ITEMS} addresses and ports")));
        }
    }
    f.finish(text)
}

impl Free {
    fn kind(&self, i: usize) -> Option<&Kind> {
        self.tokens.get(i).map(|t| &t.kind)
    }
    fn is_word(&self, i: usize, words: &[&str]) -> bool {
        matches!(self.kind(i), Some(Kind::Word(w)) if words.contains(&w.as_str()))
    }
    fn text_starts(&self, i: usize, starts: &[&str]) -> bool {
        matches!(self.kind(i), Some(Kind::Text(t)) if starts.iter().any(|s| t.starts_with(s)))
    }
    fn proto_at(&self, i: usize) -> Option<u8> {
        match self.kind(i) {
            Some(Kind::Word(w)) => with_ports(w),
            _ => None,
        }
    }

    fn step(&mut self) -> Result<(), RequestError> {
        let i = self.at;
        let Some(token) = self.tokens.get(i).cloned() else { return Ok(()) };
        self.at += 1;
        match &token.kind {
            Kind::Break(true) if self.used_since_heading => {
                self.address_side = None;
                self.port_side = None;
                self.in_ports = false;
                self.heading.clear();
                self.used_since_heading = false;
            }
            Kind::Break(_) if self.used_since_heading && !self.list_goes_on() => {
                self.in_ports = false;
                self.port_side = None;
                self.heading.clear();
            }
            Kind::Addr(a) => self.address(i, *a, None)?,
            Kind::Number(_) => self.number(i)?,
            Kind::Word(w) => self.word(i, &token, w)?,
            Kind::Text(t) => self.text(&token, t)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether the next line begins like another entry of a list of ports.
    fn list_goes_on(&self) -> bool {
        let mut i = self.at;
        while matches!(self.kind(i), Some(Kind::Comma | Kind::Dash | Kind::Other)) {
            i += 1;
        }
        matches!(self.kind(i), Some(Kind::Number(_))) || self.proto_at(i).is_some()
    }

    fn heading_side(&mut self, side: Side, ports: bool) {
        let mut next = self.at;
        while matches!(self.kind(next), Some(Kind::Colon)) || self.text_starts(next, &["の"]) {
            next += 1;
        }
        let ports = ports
            || self.is_word(next, &["port", "ports"])
            || matches!(self.kind(next), Some(Kind::Number(_)))
            || self.text_starts(next, &["ポート", "のポート"]);
        self.used_since_heading = false;
        self.notes.direction |= !ports;
        if ports {
            self.port_side = Some(side);
            self.in_ports = true;
        } else {
            self.address_side = Some(side);
            self.in_ports = false;
        }
    }

    fn text(&mut self, token: &Token, t: &str) -> Result<(), RequestError> {
        if let Some((_, kind)) = REFUSED.iter().find(|(w, _)| t.contains(w)) {
            return Err(refused(token, kind));
        }
        // "の遮断を解除" asks for it now, "9時に遮断を解除" says when it ends.
        let before = |w: &&str| t.find(*w).map(|at| t[..at].chars().last());
        let comma = self.at > 1 && matches!(self.kind(self.at - 2), Some(Kind::Comma));
        let now = |last: Option<char>| matches!(last, Some('の' | 'は' | 'も')) || (last.is_none() && !comma);
        if NOT_DROPPED.iter().any(|w| t.contains(w)) || RELEASES.iter().filter_map(before).any(now) {
            return Err(refused(token, "releases"));
        }
        let until = t.contains("まで") && !["これまで", "それまで", "今まで", "ここまで"].iter().any(|w| t.contains(w));
        if until || ["期限", "終了", "解除", "期間"].iter().any(|w| t.contains(w)) {
            self.notes.end = true;
        }
        if ["双方向", "両方向", "戻り", "受信方向", "送信方向"].iter().any(|w| t.contains(w)) {
            self.notes.direction = true;
        }
        let ports = t.contains("ポート");
        let src = ["送信元", "発信元", "攻撃元", "ソース"].iter().any(|w| t.contains(w));
        let dst = ["宛先", "あて先", "送信先", "受信先", "攻撃先"].iter().any(|w| t.contains(w));
        if src != dst {
            self.heading_side(if src { Side::Src } else { Side::Dst }, ports);
        } else if ports {
            // A list of ports under a sided heading stays sided while its lines go on.
            if !self.in_ports || self.used_since_heading {
                self.port_side = None;
            }
            self.in_ports = true;
        }
        if t.ends_with("プロトコル") || t.ends_with("プロトコル番号") {
            self.protocol_number()?;
        }
        Ok(())
    }

    fn protocol_number(&mut self) -> Result<(), RequestError> {
        let i = self.at + usize::from(matches!(self.kind(self.at), Some(Kind::Colon)));
        let Some(&Kind::Number(n)) = self.kind(i) else { return Ok(()) };
        if matches!(self.kind(i + 1), Some(Kind::Slash)) {
            return Ok(());
        }
        let token = &self.tokens[i];
        let proto = u8::try_from(n).map_err(|_| token.error("a protocol number is 0 to 255"))?;
        self.at = i + 1;
        self.service(i, Some(proto), None);
        Ok(())
    }

    fn word(&mut self, i: usize, token: &Token, w: &str) -> Result<(), RequestError> {
        // "do not block", "don't drop", "stop filtering".
        if DROPS.contains(&w) && (1..=3).any(|n| i >= n && self.is_word(i - n, &TURNS)) {
            return Err(refused(token, "releases"));
        }
        if let Some((_, kind)) = REFUSED.iter().find(|(r, _)| *r == w) {
            return Err(refused(token, kind));
        }
        match w {
            "source" | "src" | "sources" => self.heading_side(Side::Src, false),
            "destination" | "destinations" | "dst" | "dest" => self.heading_side(Side::Dst, false),
            "from" | "to" => {
                if let Some(&Kind::Addr(a)) = self.kind(i + 1) {
                    self.at = i + 2;
                    self.address(i + 1, a, Some(if w == "from" { Side::Src } else { Side::Dst }))?;
                }
            }
            "port" | "ports" => self.in_ports = true,
            "protocol" | "proto" => self.protocol_number()?,
            "until" | "expire" | "expires" | "expiry" | "hours" | "duration" | "end" => self.notes.end = true,
            "inbound" | "outbound" | "bidirectional" | "incoming" | "outgoing" => self.notes.direction = true,
            "syn" | "rst" | "fin" | "synack" => self.notes.flag_words.push(w.to_ascii_uppercase()),
            _ if with_ports(w).is_some() => self.proto_first(i)?,
            _ => {
                let named = protocol(w).filter(|_| !w.starts_with(|c: char| c.is_ascii_digit()));
                if let Some(proto) = named {
                    self.service(i, Some(proto), None);
                }
            }
        }
        Ok(())
    }

    /// `TCP,UDP`, `TCP/UDP`, `TCPとUDP` from token `i`; the protocols and the token after them.
    fn proto_list(&self, mut i: usize) -> (Vec<u8>, usize) {
        let mut list: Vec<u8> = Vec::new();
        while let Some(p) = self.proto_at(i) {
            if !list.contains(&p) {
                list.push(p);
            }
            i += 1;
            let joined = matches!(self.kind(i), Some(Kind::Comma | Kind::Slash))
                || self.is_word(i, &["and", "or"])
                || matches!(self.kind(i), Some(Kind::Text(t)) if matches!(t.as_str(), "と" | "および" | "及び" | "又は" | "または"));
            if !joined || self.proto_at(i + 1).is_none() {
                break;
            }
            i += 1;
        }
        (list, i)
    }

    /// `UDP/53`, `UDP 53`, `udp port 53-60`, or the protocol alone.
    fn proto_first(&mut self, start: usize) -> Result<(), RequestError> {
        let (protos, mut i) = self.proto_list(start);
        self.at = i;
        let colon = matches!(self.kind(i), Some(Kind::Colon));
        if colon && matches!(self.kind(i + 1), Some(Kind::Break(_))) {
            self.heading = protos;
            self.in_ports = true;
            self.used_since_heading = false;
            return Ok(());
        }
        while matches!(self.kind(i), Some(Kind::Slash | Kind::Colon))
            || self.is_word(i, &["port", "ports"])
            || self.text_starts(i, &["ポート", "の"])
        {
            i += 1;
        }
        if matches!(self.kind(i), Some(Kind::Number(_))) {
            let (ranges, next) = self.numbers(i)?;
            let own = matches!(self.kind(next), Some(Kind::Slash)) && self.proto_at(next + 1).is_some();
            if !own {
                self.at = next;
                self.services(start, &protos, &ranges);
                return Ok(());
            }
        }
        for p in protos {
            self.service(start, Some(p), None);
        }
        Ok(())
    }

    /// `53`, `80,443`, `1000-2000` from token `i`; the ranges and the token after them.
    fn numbers(&self, mut i: usize) -> Result<(Vec<PortRange>, usize), RequestError> {
        let port = |i: usize| -> Option<Result<u16, RequestError>> {
            let t = self.tokens.get(i)?;
            let Kind::Number(n) = t.kind else { return None };
            Some(u16::try_from(n).map_err(|_| t.error("a port is 0 to 65535")))
        };
        let mut out = Vec::new();
        while let Some(lo) = port(i) {
            let lo = lo?;
            let mut range = PortRange::one(lo);
            let sep = matches!(self.kind(i + 1), Some(Kind::Tilde | Kind::Dash));
            if let Some(hi) = port(i + 2).filter(|_| sep) {
                range.hi = hi?;
                if range.hi < lo {
                    let text = format!("{lo}-{}", range.hi);
                    let t = &self.tokens[i];
                    return Err(at(t.line, t.column, &text, "the port range ends before it starts"));
                }
                i += 2;
            }
            out.push(range);
            i += 1;
            let next_is_number = matches!(self.kind(i + 1), Some(Kind::Number(_)));
            if !(matches!(self.kind(i), Some(Kind::Comma)) && next_is_number) {
                break;
            }
            i += 1;
        }
        Ok((out, i))
    }

    /// A number that is no part of an address: a port if something says so.
    fn number(&mut self, i: usize) -> Result<(), RequestError> {
        // The end of the list is found without judging the values: only a port must be below 65536.
        let mut end = i;
        while matches!(self.kind(end), Some(Kind::Number(_) | Kind::Tilde | Kind::Dash | Kind::Comma)) {
            end += 1;
        }
        while end > i + 1 && !matches!(self.kind(end - 1), Some(Kind::Number(_))) {
            end -= 1;
        }
        let slash = matches!(self.kind(end), Some(Kind::Slash));
        let proto_at = end + usize::from(slash);
        let named = self.proto_at(proto_at).is_some();
        let counted = self.text_starts(end, &["番"]);
        let after_slash =
            i > 0 && matches!(self.kind(i - 1), Some(Kind::Slash | Kind::Colon | Kind::Dash | Kind::Tilde));
        if named {
            let (ranges, next) = self.numbers(i)?;
            if next == end {
                let (protos, next) = self.proto_list(proto_at);
                self.at = next;
                self.services(i, &protos, &ranges);
                return Ok(());
            }
        }
        if counted
            || (self.in_ports && !slash && !after_slash)
            || (self.in_ports && i > 0 && matches!(self.kind(i - 1), Some(Kind::Colon)))
        {
            let (ranges, next) = self.numbers(i)?;
            self.at = next;
            let protos = self.heading.clone();
            if protos.is_empty() {
                for r in ranges {
                    self.service(i, None, Some(r));
                }
            } else {
                self.services(i, &protos, &ranges);
            }
            return Ok(());
        }
        let part = slash || after_slash || matches!(self.kind(i + 1), Some(Kind::Dash | Kind::Colon));
        if !part && self.notes.unread.len() < 20 {
            self.notes.unread.push(self.tokens[i].text.clone());
        }
        Ok(())
    }

    fn services(&mut self, i: usize, protos: &[u8], ranges: &[PortRange]) {
        for r in ranges {
            for &p in protos {
                self.service(i, Some(p), Some(*r));
            }
        }
    }

    fn service(&mut self, i: usize, proto: Option<u8>, ports: Option<PortRange>) {
        self.items += 1;
        self.used_since_heading = true;
        self.notes.unsided_ports |= ports.is_some() && self.port_side.is_none();
        let side = self.port_side.unwrap_or(Side::Dst);
        // A story often names "UDP" alone before the list: that is no group of its own.
        let story = |g: &Group| {
            ports.is_some() && g.services.iter().all(|s| s.ports.is_none() && matches!(s.proto, Some(6 | 17 | 132)))
        };
        let new = self.groups.last().is_none_or(|g| g.address_first == Some(false) && g.last_is_address && !story(g));
        if new {
            self.groups.push(Group { first: i, address_first: Some(false), ..Group::default() });
        }
        if let Some(g) = self.groups.last_mut() {
            g.last_is_address = false;
            let service = Service { proto, ports, side };
            if !g.services.contains(&service) {
                g.services.push(service);
            }
        }
    }

    fn address(&mut self, i: usize, a: IpAddr, said: Option<Side>) -> Result<(), RequestError> {
        let nets = self.block(i, a, said)?;
        let mut side = said.or(self.address_side).unwrap_or(Side::Dst);
        if self.text_starts(self.at, &["から", "より", "発"]) {
            side = Side::Src;
            self.notes.direction = true;
        } else if self.text_starts(self.at, &["宛", "あて", "へ", "向け"]) {
            side = Side::Dst;
            self.notes.direction = true;
        }
        self.notes.direction |= said.is_some();
        self.items += nets.len();
        self.used_since_heading = true;
        self.in_ports &= self.at < self.tokens.len() && matches!(self.kind(self.at), Some(Kind::Colon));
        let new = self.groups.last().is_none_or(|g| {
            let filled = if side == Side::Src { &g.src } else { &g.dst };
            // The same address again, once in the story and once in the list, is the same group.
            let again = nets.iter().all(|n| filled.contains(n));
            !g.services.is_empty() && g.address_first == Some(true) && !filled.is_empty() && !again
        });
        if new {
            self.groups.push(Group { first: i, address_first: Some(true), ..Group::default() });
        }
        if let Some(g) = self.groups.last_mut() {
            g.last_is_address = true;
            if side == Side::Src { g.src.extend(nets) } else { g.dst.extend(nets) }
        }
        // `192.0.2.1:53` names a port.
        if matches!(self.kind(self.at), Some(Kind::Colon)) {
            let number = matches!(self.kind(self.at + 1), Some(Kind::Number(_)));
            let close = self.tokens.get(self.at + 1).is_some_and(|t| !t.spaced);
            self.in_ports = number && close;
        }
        Ok(())
    }

    /// `netmask 255.255.255.0`, `（ワイルドカード 0.0.0.255）` from token `i`: the token after it and the mask.
    fn named_mask(&self, mut i: usize) -> Option<(usize, Ipv4Addr)> {
        let start = i;
        loop {
            let named = self.is_word(i, &["netmask", "mask", "subnet", "wildcard"])
                || matches!(self.kind(i), Some(Kind::Text(t)) if t.contains("マスク") || t.contains("ワイルドカード"));
            match self.kind(i) {
                _ if named => i += 1,
                Some(Kind::Other | Kind::Colon) => i += 1,
                Some(&Kind::Addr(IpAddr::V4(m))) if matches!(m.octets()[0], 0 | 255) && i > start => {
                    return Some((i + 1, m));
                }
                _ => return None,
            }
            if i - start > 4 {
                return None;
            }
        }
    }

    /// The prefixes of an address, prefix, range, netmask or wildcard that starts at token `i`.
    fn block(&mut self, i: usize, a: IpAddr, said: Option<Side>) -> Result<Vec<IpNet>, RequestError> {
        let family = Family::of(a);
        let start = self.tokens[i].clone();
        let fail = |text: String, message: &str| Err(at(start.line, start.column, &text, message));
        if let Some((next, mask)) = self.named_mask(i + 1) {
            self.at = next;
            return masked(a, mask).map_or_else(|m| fail(format!("{a} {mask}"), &m), Ok);
        }
        match (self.kind(i + 1).cloned(), self.kind(i + 2).cloned()) {
            (Some(Kind::Slash), Some(Kind::Number(len))) if self.proto_at(i + 4).is_none() || len <= 128 => {
                self.at = i + 3;
                let text = format!("{a}/{len}");
                let Some(len) = u8::try_from(len).ok().filter(|&l| l <= family.bits()) else {
                    return fail(text, &format!("a prefix length is 0 to {}", family.bits()));
                };
                let net = family.net(number(a), len).trunc();
                if net.addr() != a {
                    return fail(text, &format!("host bits are set; the network is {net}"));
                }
                return Ok(vec![net]);
            }
            (Some(Kind::Slash), Some(Kind::Addr(IpAddr::V4(mask)))) => {
                self.at = i + 3;
                return masked(a, mask).map_or_else(|m| fail(format!("{a}/{mask}"), &m), Ok);
            }
            (Some(Kind::Addr(IpAddr::V4(mask))), _) if matches!(mask.octets()[0], 0 | 255) => {
                self.at = i + 2;
                return masked(a, mask).map_or_else(|m| fail(format!("{a} {mask}"), &m), Ok);
            }
            _ => {}
        }
        let dash = matches!(self.kind(i + 1), Some(Kind::Tilde | Kind::Dash));
        let worded = self.is_word(i + 1, &["to", "through", "thru"]) || self.text_starts(i + 1, &["から"]);
        if !dash && !worded {
            return Ok(vec![IpNet::from(a)]);
        }
        let mut j = i + 2;
        // Mail programs wrap long lines after the sign.
        while dash && matches!(self.kind(j), Some(Kind::Break(false))) {
            j += 1;
        }
        let b = match self.kind(j) {
            Some(&Kind::Addr(b)) => b,
            Some(&Kind::Number(n)) if dash => match a {
                IpAddr::V4(v4) if n <= 255 => {
                    let [x, y, z, _] = v4.octets();
                    IpAddr::V4(Ipv4Addr::new(x, y, z, n as u8))
                }
                _ => return fail(format!("{a}-{n}"), "the end of the range is not an address"),
            },
            _ if dash => return fail(format!("{}{}", start.text, self.tokens[i + 1].text), "the range has no end"),
            _ => return Ok(vec![IpNet::from(a)]),
        };
        // 「AからBへ」 is a source and a destination, 「AからBまで」 a range.
        if self.text_starts(i + 1, &["から"]) && self.text_starts(j + 1, &["へ", "宛", "あて", "に向", "向け"])
        {
            return Ok(vec![IpNet::from(a)]);
        }
        if said == Some(Side::Src) && self.is_word(i + 1, &["to"]) {
            let message = "this may be a range or a source and a destination; write A-B, or source A destination B";
            return fail(format!("from {a} to {b}"), message);
        }
        self.at = j + 1;
        if self.text_starts(self.at, &["まで"]) {
            self.at += 1;
        }
        let text = format!("{a}{}{b}", if dash { self.tokens[i + 1].text.as_str() } else { "-" });
        if Family::of(b) != family {
            return fail(text, "a range needs two addresses of one family");
        }
        if number(b) < number(a) {
            return fail(text, "the range ends before it starts");
        }
        Ok(RangeSet::one(number(a), number(b)).prefixes(family))
    }

    fn finish(mut self, text: &str) -> Result<(RuleSet, Notes), RequestError> {
        let served = self.groups.iter().any(|g| !g.services.is_empty());
        let addressed = self.groups.iter().any(Group::has_address);
        if !addressed {
            let line = text.lines().count().max(1);
            return Err(at(line, 1, "", "no address is named; a filter names at least one source or destination"));
        }
        if let Some(g) = self.groups.iter().find(|g| served && (g.services.is_empty() || !g.has_address())) {
            let token = &self.tokens[g.first];
            return Err(token.error(if g.has_address() {
                "these addresses have no port or protocol of their own, while others have; write the ports again for them, or all addresses before the ports"
            } else {
                "these ports have no addresses of their own, while others have"
            }));
        }
        self.notes.paired = self.groups.len() > 1;
        let mut rules = RuleSet::default();
        for g in &mut self.groups {
            settle(g, &mut self.notes);
            group_rules(g, &mut rules);
        }
        Ok((rules, self.notes))
    }
}

/// Joins a protocol named alone with ports named alone, and lets ports win over the same protocol named alone: a story
/// mentions "UDP" before the list says which port.
fn settle(g: &mut Group, notes: &mut Notes) {
    let bare: Vec<u8> = g
        .services
        .iter()
        .filter(|s| s.ports.is_none())
        .filter_map(|s| s.proto.filter(|p| matches!(p, 6 | 17 | 132)))
        .collect();
    let loose = g.services.iter().any(|s| s.proto.is_none());
    let with_ports: Vec<u8> = g.services.iter().filter(|s| s.ports.is_some()).filter_map(|s| s.proto).collect();
    notes.without_protocol |= loose && bare.is_empty();
    notes.protocol_alone |= bare.iter().any(|p| loose || with_ports.contains(p));
    let carriers = if bare.is_empty() { vec![6, 17] } else { bare.clone() };
    let mut out: Vec<Service> = Vec::new();
    for s in g.services.drain(..) {
        let protos = match s.proto {
            Some(p) if s.ports.is_none() && bare.contains(&p) && (loose || with_ports.contains(&p)) => continue,
            Some(p) => vec![p],
            None => carriers.clone(),
        };
        for p in protos {
            let service = Service { proto: Some(p), ..s.clone() };
            if !out.contains(&service) {
                out.push(service);
            }
        }
    }
    g.services = out;
}

fn group_rules(g: &Group, rules: &mut RuleSet) {
    let merged = |nets: &[IpNet]| {
        let of = |f: Family| RangeSet::new(nets.iter().filter(|n| Family::of_net(n) == f).map(bounds)).prefixes(f);
        Family::BOTH.into_iter().flat_map(of).collect::<Vec<IpNet>>()
    };
    let (src, dst) = (merged(&g.src), merged(&g.dst));
    let base = Match { src, dst, ..Match::default() };
    let mut push = |matches: Match| rules.rules.push(Rule { matches, action: Action::Discard });
    if g.services.is_empty() {
        push(base);
        return;
    }
    for s in &g.services {
        let ports: Vec<PortRange> = s.ports.into_iter().collect();
        let (src_ports, dst_ports) = if s.side == Side::Src { (ports, Vec::new()) } else { (Vec::new(), ports) };
        if s.proto != Some(1) {
            push(Match { proto: s.proto, src_ports, dst_ports, ..base.clone() });
            continue;
        }
        // "ICMP" means ICMPv6 where the addresses are IPv6.
        for (family, proto) in [(Family::V4, 1), (Family::V6, 58)] {
            let only =
                |nets: &[IpNet]| nets.iter().filter(|n| Family::of_net(n) == family).copied().collect::<Vec<_>>();
            let (src, dst) = (only(&base.src), only(&base.dst));
            let fits = (base.src.is_empty() || !src.is_empty()) && (base.dst.is_empty() || !dst.is_empty());
            if fits {
                push(Match { src, dst, proto: Some(proto), ..Match::default() });
            }
        }
    }
}

/// Most separate blocks that one wildcard may stand for.
const MAX_WILDCARD_BLOCKS: u32 = 4_096;

/// A netmask (255…) or a wildcard (0…) after an address; the one bits of a wildcard need not be together.
fn masked(a: IpAddr, mask: Ipv4Addr) -> Result<Vec<IpNet>, String> {
    let IpAddr::V4(a) = a else { return Err("an IPv4 mask after an IPv6 address".into()) };
    let netmask = mask.octets()[0] == 255;
    let wild = if netmask { !mask.to_bits() } else { mask.to_bits() };
    let host = wild.trailing_ones();
    let scattered = if host == 32 { 0 } else { wild & !((1u32 << host) - 1) };
    if netmask && scattered != 0 {
        return Err("this is neither a netmask nor a wildcard".into());
    }
    if scattered.count_ones() > MAX_WILDCARD_BLOCKS.ilog2() {
        return Err(format!("the wildcard stands for more than {MAX_WILDCARD_BLOCKS} separate blocks"));
    }
    if a.to_bits() & wild != 0 {
        return Err(format!("host bits are set; the network is {} {mask}", Ipv4Addr::from_bits(a.to_bits() & !wild)));
    }
    let size = if host == 32 { u32::MAX } else { (1u32 << host) - 1 };
    let mut blocks = Vec::new();
    let mut part = 0u32;
    loop {
        let first = a.to_bits() | part;
        blocks.push((u128::from(first), u128::from(first | size)));
        // The next subset of the scattered bits.
        part = part.wrapping_sub(scattered) & scattered;
        if part == 0 {
            break;
        }
    }
    Ok(RangeSet::new(blocks).prefixes(Family::V4))
}
