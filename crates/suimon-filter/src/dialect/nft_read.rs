//! Reading nftables rulesets: what [`super::nft`] writes and the usual hand-written subset of it.
//!
//! One filter chain; matches on addresses, protocol, ports, TCP flags, fragments and lengths; sets, named and in place;
//! `drop`, `accept`, `limit rate over … drop`. Everything else is an error, since leaving it out would change the meaning.

use super::names::{decimal, flag_of, ios_port_of, nft_proto_of};
use super::scan::{clip, error};
use super::{Listing, ParseError};
use crate::boxes;
use crate::range::{Family, RangeSet, bounds, number};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule};

/// Most tokens of a ruleset.
pub const MAX_TOKENS: usize = 16_000_000;

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        let mut start: Option<(usize, usize)> = None;
        for (column, (at, c)) in code.char_indices().enumerate() {
            let mark = matches!(c, '{' | '}' | ';' | ',' | '(' | ')' | '|' | '&');
            if (c.is_whitespace() || mark)
                && let Some((from, col)) = start.take()
            {
                out.push(Token { text: &code[from..at], line: i + 1, column: col });
            }
            if mark {
                out.push(Token { text: &code[at..at + 1], line: i + 1, column: column + 1 });
            } else if !c.is_whitespace() && start.is_none() {
                start = Some((at, column + 1));
            }
        }
        if let Some((from, col)) = start {
            out.push(Token { text: &code[from..], line: i + 1, column: col });
        }
        // A line end ends a statement.
        out.push(Token { text: "\n", line: i + 1, column: line.chars().count() + 1 });
        if out.len() > MAX_TOKENS {
            return Err(error(i + 1, 1, "the ruleset is too long", &format!("at most {MAX_TOKENS} words")));
        }
    }
    Ok(out)
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    sets: HashMap<&'a str, (Family, RangeSet)>,
    out: Listing,
    chain: bool,
    policy_drop: bool,
}

/// A rule as it is read; protocols may be several.
#[derive(Default)]
struct Draft {
    family: Option<Family>,
    m: Match,
    protos: Option<RangeSet>,
    limit: Option<Action>,
    /// Non-first fragments are excluded; ports and flags exclude them in the neutral model anyhow.
    not_later: bool,
}

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let tokens = tokens(text)?;
    let mut r =
        Reader { tokens, at: 0, sets: HashMap::new(), out: Listing::default(), chain: false, policy_drop: false };
    // Sets may stand after the chain that uses them, so they are read first.
    r.collect_sets()?;
    r.at = 0;
    r.top()?;
    if !r.chain {
        let line = text.lines().count().max(1);
        return Err(error(
            line,
            1,
            "there is no filter chain",
            "table inet NAME { chain NAME { type filter hook … } }",
        ));
    }
    if r.policy_drop {
        r.out.rules.rules.push(Rule { matches: Match::default(), action: Action::Discard });
        r.out.lines.push(0);
    }
    Ok(r.out)
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or_else(|| {
            let (line, column) = self.tokens.last().map_or((1, 1), |t| (t.line, t.column));
            Token { text: "", line, column }
        })
    }
    fn next(&mut self) -> Token<'a> {
        let t = self.peek();
        self.at += 1;
        t
    }
    fn take(&mut self, text: &str) -> bool {
        let yes = self.peek().text == text;
        self.at += usize::from(yes);
        yes
    }
    fn lines(&mut self) {
        while matches!(self.peek().text, "\n" | ";") {
            self.at += 1;
        }
    }
    fn fail<T>(&self, t: Token<'_>, message: &str, expected: &str) -> Result<T, ParseError> {
        Err(error(t.line, t.column, message, expected))
    }
    fn unknown<T>(&self, t: Token<'_>, expected: &str) -> Result<T, ParseError> {
        let message = match t.text {
            "" => "the text ends here".to_owned(),
            "\n" => "the line ends here".to_owned(),
            text => format!("{:?} is not understood here", clip(text)),
        };
        self.fail(t, &message, expected)
    }
    fn need(&mut self, text: &str) -> Result<(), ParseError> {
        let t = self.next();
        if t.text == text { Ok(()) } else { self.unknown(t, text) }
    }

    fn collect_sets(&mut self) -> Result<(), ParseError> {
        while self.at < self.tokens.len() {
            let t = self.next();
            let begins = self.at >= 2 && matches!(self.tokens[self.at - 2].text, "\n" | ";" | "{" | "}");
            if t.text == "set" && begins {
                let name = self.next();
                self.need("{")?;
                self.lines();
                self.need("type")?;
                let kind = self.next();
                let family = match kind.text {
                    "ipv4_addr" => Family::V4,
                    "ipv6_addr" => Family::V6,
                    _ => return self.unknown(kind, "ipv4_addr or ipv6_addr"),
                };
                let mut set = RangeSet::default();
                loop {
                    self.lines();
                    let t = self.next();
                    match t.text {
                        "}" => break,
                        "flags" => while self.take("interval") || self.take("constant") || self.take(",") {},
                        "auto-merge" => {}
                        "elements" => {
                            self.need("=")?;
                            set = self.addresses(family)?;
                        }
                        _ => return self.unknown(t, "flags, auto-merge, elements or }"),
                    }
                }
                self.sets.insert(name.text, (family, set));
            }
        }
        Ok(())
    }

    fn top(&mut self) -> Result<(), ParseError> {
        loop {
            self.lines();
            let t = self.next();
            match t.text {
                "" => return Ok(()),
                "create" | "add" | "delete" | "destroy" | "flush" => {
                    let word = self.next();
                    if !matches!(word.text, "table" | "ruleset") {
                        return self.unknown(word, "table");
                    }
                    while !matches!(self.peek().text, "\n" | "" | ";") {
                        let t = self.next();
                        if t.text == "{" {
                            return self.unknown(t, "the end of the line");
                        }
                    }
                }
                "table" => self.table()?,
                _ => return self.unknown(t, "table inet NAME {"),
            }
        }
    }

    fn table(&mut self) -> Result<(), ParseError> {
        let family = self.next();
        let implied = match family.text {
            "inet" => None,
            "ip" => Some(Family::V4),
            "ip6" => Some(Family::V6),
            _ => return self.unknown(family, "inet, ip or ip6"),
        };
        self.next();
        self.need("{")?;
        loop {
            self.lines();
            let t = self.next();
            match t.text {
                "}" => return Ok(()),
                "set" => {
                    let mut depth = 0;
                    loop {
                        let t = self.next();
                        match t.text {
                            "{" => depth += 1,
                            "}" => depth -= 1,
                            "" => return self.unknown(t, "}"),
                            _ => {}
                        }
                        if depth == 0 && t.text == "}" {
                            break;
                        }
                    }
                }
                "chain" => {
                    if self.chain {
                        return self.fail(t, "a second chain", "one filter chain in the text");
                    }
                    self.chain = true;
                    self.chain(implied)?;
                }
                _ => return self.unknown(t, "set, chain or }"),
            }
        }
    }

    fn chain(&mut self, implied: Option<Family>) -> Result<(), ParseError> {
        self.next();
        self.need("{")?;
        self.lines();
        let t = self.peek();
        if t.text != "type" {
            return self.fail(t, "this chain has no hook, so nothing passes it", "type filter hook …");
        }
        loop {
            self.lines();
            let t = self.peek();
            match t.text {
                "}" => {
                    self.at += 1;
                    return Ok(());
                }
                "type" => {
                    self.at += 1;
                    self.need("filter")?;
                    while !matches!(self.peek().text, ";" | "\n" | "") {
                        self.at += 1;
                    }
                }
                "policy" => {
                    self.at += 1;
                    let p = self.next();
                    self.policy_drop = match p.text {
                        "accept" => false,
                        "drop" => true,
                        _ => return self.unknown(p, "accept or drop"),
                    };
                }
                _ => self.rule(t, implied)?,
            }
        }
    }

    fn rule(&mut self, first: Token<'a>, implied: Option<Family>) -> Result<(), ParseError> {
        let mut d = Draft { family: implied, ..Draft::default() };
        let action = loop {
            let t = self.next();
            match t.text {
                "drop" => break d.limit.unwrap_or(Action::Discard),
                "accept" if d.limit.is_none() => break Action::Permit,
                "counter" => {
                    if self.take("packets") {
                        self.next();
                        self.need("bytes")?;
                        self.next();
                    }
                }
                "limit" => d.limit = Some(self.limit()?),
                _ => self.condition(t, &mut d)?,
            }
        };
        let end = self.peek();
        if !matches!(end.text, "\n" | ";" | "}") {
            return self.unknown(end, "the end of the rule");
        }
        self.finish(first, d, action)
    }

    fn finish(&mut self, first: Token<'a>, d: Draft, action: Action) -> Result<(), ParseError> {
        let Draft { family, mut m, protos, not_later, .. } = d;
        let upper = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
        if not_later && !upper {
            return self.fail(
                first,
                "a rule for only whole packets and first fragments, without a port or flag, is not supported",
                "a port or flag in the rule, or no test of the fragment offset",
            );
        }
        if let Some(f) = family
            && m.src.is_empty()
            && m.dst.is_empty()
        {
            m.dst = vec![f.net(0, 0)];
        }
        let protos: Vec<Option<u8>> = match protos {
            None => vec![None],
            Some(set) => set.ranges().iter().flat_map(|r| r.0..=r.1).map(|p| Some(p as u8)).collect(),
        };
        let limits = |a: Action| matches!(a, Action::LimitPps(_) | Action::LimitBps(_));
        if limits(action) && protos.len() > 1 {
            return self.fail(
                first,
                "one rate over several protocols is not supported",
                "one protocol in a rule with a limit",
            );
        }
        for proto in protos {
            let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
            let matches = Match { proto, ..m.clone() };
            if ports && !proto.is_some_and(|p| boxes::PORT_PROTOS.contains(&p)) {
                return self.fail(first, "a port without tcp, udp or sctp before it", "meta l4proto tcp … th dport …");
            }
            if let Some(reason) = boxes::invalid(&matches) {
                return self.fail(first, &reason, "conditions that can be true together");
            }
            // Packets under an earlier limit go on to later rules, which "the first match decides" cannot say.
            let earlier = self.out.rules.rules.iter().zip(&self.out.lines).find(|(r, _)| {
                limits(r.action)
                    && action != Action::Permit
                    && Family::BOTH.iter().any(|&f| {
                        let pair = (boxes::of_match(&r.matches, f), boxes::of_match(&matches, f));
                        matches!(pair, (Some(a), Some(b)) if boxes::overlap(&a, &b))
                    })
            });
            if let Some((_, line)) = earlier {
                let message = format!("packets that pass the limit of line {line} meet this rule too");
                return self.fail(first, &message, "rules after a limit that do not overlap it");
            }
            self.out.rules.rules.push(Rule { matches, action });
            self.out.lines.push(first.line);
        }
        Ok(())
    }

    fn condition(&mut self, t: Token<'a>, d: &mut Draft) -> Result<(), ParseError> {
        match t.text {
            "ip" | "ip6" => {
                let family = if t.text == "ip" { Family::V4 } else { Family::V6 };
                self.set_family(t, d, family)?;
                self.ip_field(family, d)
            }
            "meta" => {
                let field = self.next();
                match field.text {
                    "l4proto" => self.protocols(d),
                    "length" => {
                        d.m.lengths = self.numbers(None)?;
                        Ok(())
                    }
                    "nfproto" => {
                        let v = self.next();
                        match v.text {
                            "ipv4" => self.set_family(v, d, Family::V4),
                            "ipv6" => self.set_family(v, d, Family::V6),
                            _ => self.unknown(v, "ipv4 or ipv6"),
                        }
                    }
                    _ => self.unknown(field, "l4proto, nfproto or length"),
                }
            }
            "tcp" | "udp" | "sctp" | "th" => {
                let proto = nft_proto_of(t.text);
                if let Some(p) = proto {
                    self.narrow(t, d, RangeSet::one(p.into(), p.into()))?;
                }
                let field = self.next();
                match field.text {
                    "sport" => d.m.src_ports = self.numbers(proto)?,
                    "dport" => d.m.dst_ports = self.numbers(proto)?,
                    "flags" if proto == Some(6) => d.m.tcp_flags = Some(self.flags()?),
                    _ => return self.unknown(field, "sport, dport or (tcp) flags"),
                }
                Ok(())
            }
            "frag" => {
                self.set_family(t, d, Family::V6)?;
                for word in ["frag-off", "!=", "0"] {
                    self.need(word)?;
                }
                d.m.fragment = Some(FragmentMatch::Later);
                Ok(())
            }
            _ => self.unknown(t, "ip, ip6, meta, tcp, udp, th, frag, limit, counter, drop or accept"),
        }
    }

    fn ip_field(&mut self, family: Family, d: &mut Draft) -> Result<(), ParseError> {
        let field = self.next();
        match (field.text, family) {
            ("saddr", _) => d.m.src = self.addresses(family)?.prefixes(family),
            ("daddr", _) => d.m.dst = self.addresses(family)?.prefixes(family),
            ("protocol", Family::V4) => self.protocols(d)?,
            ("length", Family::V4) => d.m.lengths = self.numbers(None)?,
            ("frag-off", Family::V4) => {
                self.need("&")?;
                self.need("0x1fff")?;
                let op = self.next();
                match op.text {
                    "!=" => d.m.fragment = Some(FragmentMatch::Later),
                    "==" => d.not_later = true,
                    _ => return self.unknown(op, "!= or =="),
                }
                self.need("0")?;
            }
            _ => return self.unknown(field, "saddr, daddr, protocol, length or frag-off & 0x1fff != 0"),
        }
        Ok(())
    }

    fn set_family(&self, t: Token<'_>, d: &mut Draft, family: Family) -> Result<(), ParseError> {
        match d.family.replace(family) {
            Some(other) if other != family => self.fail(t, "IPv4 and IPv6 in one rule", "one family in a rule"),
            _ => Ok(()),
        }
    }

    fn narrow(&self, t: Token<'_>, d: &mut Draft, set: RangeSet) -> Result<(), ParseError> {
        let both = d.protos.as_ref().map_or(set.clone(), |p| p.intersect(&set));
        if both.is_empty() {
            return self.fail(t, "two protocols that no packet has", "one protocol");
        }
        d.protos = Some(both);
        Ok(())
    }

    /// One item or `{ a, b }`; each item is handed to `f`.
    fn list(
        &mut self,
        mut f: impl FnMut(&Self, Token<'a>) -> Result<(u128, u128), ParseError>,
    ) -> Result<RangeSet, ParseError> {
        if !self.take("{") {
            let t = self.next();
            return Ok(RangeSet::new([f(self, t)?]));
        }
        let mut out = Vec::new();
        loop {
            while self.take("\n") || self.take(",") {}
            if self.take("}") {
                return Ok(RangeSet::new(out));
            }
            let t = self.next();
            out.push(f(self, t)?);
        }
    }

    fn addresses(&mut self, family: Family) -> Result<RangeSet, ParseError> {
        if let Some(name) = self.peek().text.strip_prefix('@') {
            let t = self.next();
            return match self.sets.get(name) {
                Some((f, set)) if *f == family => Ok(set.clone()),
                _ => self.unknown(t, "the name of a set of this family"),
            };
        }
        self.list(|r, t| {
            let expected = "an address, a prefix, or A-B";
            let of = |s: &str| s.parse::<IpAddr>().ok().filter(|a| Family::of(*a) == family);
            if let Some((a, b)) = t.text.split_once('-') {
                let (Some(a), Some(b)) = (of(a), of(b)) else { return r.unknown(t, expected) };
                if number(a) > number(b) {
                    return r.fail(t, "the range ends before it starts", "the lower address first");
                }
                return Ok((number(a), number(b)));
            }
            if let Some(a) = of(t.text) {
                return Ok((number(a), number(a)));
            }
            match t.text.parse::<IpNet>() {
                Ok(n) if Family::of_net(&n) == family => Ok(bounds(&n)),
                _ => r.unknown(t, expected),
            }
        })
    }

    fn numbers(&mut self, proto: Option<u8>) -> Result<Vec<PortRange>, ParseError> {
        let of = |s: &str| decimal::<u16>(s).or_else(|| proto.and_then(|p| ios_port_of(s, p)));
        let set = self.list(|r, t| {
            let (a, b) = t.text.split_once('-').unwrap_or((t.text, t.text));
            match (of(a), of(b)) {
                (Some(a), Some(b)) if a <= b => Ok((a.into(), b.into())),
                _ => r.unknown(t, "a number from 0 to 65535, or A-B"),
            }
        })?;
        Ok(set.ranges().iter().map(|r| PortRange { lo: r.0 as u16, hi: r.1 as u16 }).collect())
    }

    fn protocols(&mut self, d: &mut Draft) -> Result<(), ParseError> {
        let first = self.peek();
        let set = self.list(|r, t| {
            let (a, b) = t.text.split_once('-').unwrap_or((t.text, t.text));
            let one = |s: &str| nft_proto_of(s);
            match (one(t.text), one(a), one(b)) {
                (Some(p), _, _) => Ok((p.into(), p.into())),
                (_, Some(a), Some(b)) if a <= b => Ok((a.into(), b.into())),
                _ => r.unknown(t, "a protocol name or a number from 0 to 255"),
            }
        })?;
        self.narrow(first, d, set)
    }

    /// `& (syn | ack) == syn`.
    fn flags(&mut self) -> Result<TcpFlags, ParseError> {
        self.need("&")?;
        let mask = self.flag_bits()?;
        self.need("==")?;
        let at = self.peek();
        let value = self.flag_bits()?;
        if value & !mask != 0 {
            return self.fail(at, "a flag that the mask leaves out", "flags of the mask");
        }
        Ok(TcpFlags { mask, value })
    }

    fn flag_bits(&mut self) -> Result<u8, ParseError> {
        let open = self.take("(");
        let mut bits = 0;
        loop {
            let t = self.next();
            let hex = t.text.strip_prefix("0x").and_then(|h| u8::from_str_radix(h, 16).ok());
            match flag_of(t.text.replace("ecn", "ece").as_str()).or(hex) {
                Some(b) => bits |= b,
                None => return self.unknown(t, "fin, syn, rst, psh, ack, urg, ecn, cwr, joined by |"),
            }
            if !self.take("|") {
                break;
            }
        }
        if open {
            self.need(")")?;
        }
        Ok(bits)
    }

    /// `rate over 100/second` or `rate over 1000 bytes/second`.
    fn limit(&mut self) -> Result<Action, ParseError> {
        self.need("rate")?;
        self.need("over")?;
        let t = self.next();
        let packets = t.text.strip_suffix("/second").and_then(decimal::<u64>);
        let action = match packets {
            Some(n) => Action::LimitPps(n),
            None => {
                let Some(n) = decimal::<u64>(t.text).filter(|n| *n <= u64::MAX / 8) else {
                    return self.unknown(t, "N/second or N bytes/second");
                };
                self.need("bytes/second")?;
                Action::LimitBps(n * 8)
            }
        };
        if self.take("burst") {
            self.next();
            if matches!(self.peek().text, "packets" | "bytes") {
                self.next();
            }
        }
        Ok(action)
    }
}
