//! Reading Junos firewall filters, in braces or as `set` lines.
//!
//! A filter ends with an implicit discard. A term without a terminating action accepts. A policer discards what exceeds
//! it and the rest of its packets is accepted by the term. `count`, `log` and their kind change nothing.

use super::except::longest;
use super::names::{decimal, flag_of, ios_port_of, junos_proto_of};
use super::scan::error;
use super::terms::{Draft, implicit_deny, scaled};
use super::tree::{Ends, Path, Token, walk};
use super::{Listing, ParseError};
use crate::boxes;
use crate::range::Family;
use ipnet::IpNet;
use std::collections::HashMap;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule};

/// Most terms of one filter.
pub const MAX_TERMS: usize = 2_000_000;

#[derive(Default)]
struct Policer<'a> {
    rate: Option<Action>,
    discards: bool,
    shared: bool,
    used: usize,
    at: Option<Token<'a>>,
}

#[derive(Default)]
struct Term<'a> {
    draft: Draft,
    /// Prefix lists: whether of the source, the name, whether taken out.
    lists: Vec<(bool, Token<'a>, bool)>,
    /// Prefixes that are taken out: whether of the source.
    except: Vec<(bool, IpNet)>,
    action: Option<Action>,
    policer: Option<Token<'a>>,
    at: Option<Token<'a>>,
}

#[derive(Default)]
struct Reader<'a> {
    policers: HashMap<&'a str, Policer<'a>>,
    prefixes: HashMap<&'a str, Vec<IpNet>>,
    /// Name of the filter of each family, and its terms in order.
    names: [Option<&'a str>; 2],
    terms: [Vec<Term<'a>>; 2],
    by_name: [HashMap<&'a str, usize>; 2],
}

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut r = Reader::default();
    walk(text, Ends::Semicolon, |words| r.statement(words))?;
    if r.names.iter().all(Option::is_none) {
        let line = text.lines().count().max(1);
        return Err(error(line, 1, "there is no filter", "firewall { family inet { filter NAME { … } } }"));
    }
    r.finish()
}

impl<'a> Reader<'a> {
    fn statement(&mut self, words: &[Token<'a>]) -> Result<(), ParseError> {
        let mut p = Path::new(words);
        let first = p.need("firewall")?;
        match first.text {
            "policy-options" => {
                let kind = p.need("prefix-list")?;
                if kind.text != "prefix-list" {
                    return kind.unknown("prefix-list");
                }
                let name = p.need("the name of the list")?;
                let list = self.prefixes.entry(name.text).or_default();
                if let Some(word) = p.peek() {
                    list.push(word.text.parse().or_else(|_| word.unknown("a prefix"))?);
                    p.need("a prefix")?;
                }
                p.done()
            }
            "firewall" => {
                let word = p.need("family or policer")?;
                match word.text {
                    "policer" => self.policer(&mut p),
                    "family" => {
                        let word = p.need("inet or inet6")?;
                        let family = match word.text {
                            "inet" => Family::V4,
                            "inet6" => Family::V6,
                            _ => return word.unknown("inet or inet6"),
                        };
                        let word = p.need("filter")?;
                        if word.text != "filter" {
                            return word.unknown("filter");
                        }
                        self.filter(&mut p, family)
                    }
                    // Filters at the top are of family inet.
                    "filter" => self.filter(&mut p, Family::V4),
                    _ => word.unknown("family, policer or filter"),
                }
            }
            _ => first.unknown("firewall or policy-options"),
        }
    }

    fn policer(&mut self, p: &mut Path<'_, 'a>) -> Result<(), ParseError> {
        let name = p.need("the name of the policer")?;
        let policer = self.policers.entry(name.text).or_default();
        policer.at.get_or_insert(name);
        let word = p.need("if-exceeding, if-exceeding-pps or then")?;
        match word.text {
            "if-exceeding" | "if-exceeding-pps" => {
                let field = p.need("bandwidth-limit, pps-limit or a burst")?;
                let value = p.need("a number")?;
                let n = scaled(value.text);
                let (Some(n), Some(exact)) = (n, n.filter(|&n| n > 0)) else {
                    return value.unknown("a number above 0, also with k, m or g");
                };
                match (word.text, field.text) {
                    ("if-exceeding", "bandwidth-limit") => policer.rate = Some(Action::LimitBps(exact)),
                    ("if-exceeding-pps", "pps-limit") => policer.rate = Some(Action::LimitPps(n)),
                    ("if-exceeding", "burst-size-limit") | ("if-exceeding-pps", "packet-burst") => {}
                    _ => return field.unknown("bandwidth-limit, burst-size-limit, pps-limit or packet-burst"),
                }
            }
            "then" => {
                let word = p.need("discard")?;
                if word.text != "discard" {
                    return word.unknown("discard");
                }
                policer.discards = true;
            }
            "filter-specific" => policer.shared = true,
            _ => return word.unknown("if-exceeding, if-exceeding-pps, filter-specific or then"),
        }
        p.done()
    }

    fn filter(&mut self, p: &mut Path<'_, 'a>, family: Family) -> Result<(), ParseError> {
        let name = p.need("the name of the filter")?;
        let slot = &mut self.names[family as usize];
        if slot.is_some_and(|known| known != name.text) {
            return name.fail("a second filter of the same family", "one filter of each family in one text");
        }
        *slot = Some(name.text);
        let Some(word) = p.peek() else { return Ok(()) };
        p.need("term")?;
        if word.text == "interface-specific" {
            return p.done();
        }
        if word.text != "term" {
            return word.unknown("term");
        }
        let name = p.need("the name of the term")?;
        let list = &mut self.terms[family as usize];
        let index = *self.by_name[family as usize].entry(name.text).or_insert(list.len());
        if index == list.len() {
            if index >= MAX_TERMS {
                return name.fail("too many terms", &format!("at most {MAX_TERMS}"));
            }
            list.push(Term { at: Some(name), ..Term::default() });
        }
        let Some(term) = list.get_mut(index) else { return Ok(()) };
        let Some(word) = p.peek() else { return Ok(()) };
        p.need("from or then")?;
        match word.text {
            "from" if p.peek().is_none() => Ok(()),
            "from" => condition(p, term, family),
            "then" if p.peek().is_none() => Ok(()),
            "then" => action(p, term),
            _ => word.unknown("from or then"),
        }
    }

    fn finish(mut self) -> Result<Listing, ParseError> {
        let mut out = Listing::default();
        for family in Family::BOTH {
            for term in std::mem::take(&mut self.terms[family as usize]) {
                self.term(term, family, &mut out)?;
            }
            if self.names[family as usize].is_some() {
                out.rules.rules.push(implicit_deny(family));
                out.lines.push(0);
            }
        }
        Ok(out)
    }

    fn term(&mut self, mut term: Term<'a>, family: Family, out: &mut Listing) -> Result<(), ParseError> {
        let Some(at) = term.at else { return Ok(()) };
        for (source, name, out) in std::mem::take(&mut term.lists) {
            let Some(list) = self.prefixes.get(name.text) else {
                return name.unknown("a prefix list of this text (policy-options prefix-list NAME)");
            };
            let own = list.iter().filter(|n| Family::of_net(n) == family);
            if out {
                term.except.extend(own.map(|n| (source, *n)));
                continue;
            }
            let side = if source { &mut term.draft.m.src } else { &mut term.draft.m.dst };
            side.extend(own);
            if side.is_empty() {
                return name.fail("this list has no prefix of the family", "a list with prefixes of the family");
            }
        }
        for source in [true, false] {
            let except: Vec<IpNet> = term.except.iter().filter(|e| e.0 == source).map(|e| e.1).collect();
            if except.is_empty() {
                continue;
            }
            let side = if source { &mut term.draft.m.src } else { &mut term.draft.m.dst };
            match longest(family, side, &except) {
                Ok(nets) => *side = nets,
                Err(reason) => return at.fail(reason, "prefixes with exceptions inside them"),
            }
        }
        let matches = term.draft.matches(family);
        let action = match (term.policer, term.action) {
            (None, action) => action.unwrap_or(Action::Permit),
            (Some(name), None | Some(Action::Permit)) => self.limit(name, matches.len())?,
            (Some(name), _) => return name.fail("a policer in a term that discards", "then policer NAME; accept;"),
        };
        for m in matches {
            check(&m, at)?;
            out.rules.rules.push(Rule { matches: m, action });
            out.lines.push(at.line);
        }
        Ok(())
    }

    fn limit(&mut self, name: Token<'a>, matches: usize) -> Result<Action, ParseError> {
        let Some(policer) = self.policers.get_mut(name.text) else {
            return name.unknown("a policer of this text");
        };
        policer.used += 1;
        if matches > 1 {
            return name.fail(
                "one rate over several protocols or flag tests is not supported",
                "one protocol in a term with a policer",
            );
        }
        if policer.shared && policer.used > 1 {
            return name.fail(
                "a filter-specific policer in several terms is not supported",
                "one term, or no filter-specific",
            );
        }
        match policer.rate {
            Some(rate) if policer.discards => Ok(rate),
            _ => name.fail("this policer has no rate or does not discard", "if-exceeding { … } then discard;"),
        }
    }
}

fn check(m: &Match, at: Token<'_>) -> Result<(), ParseError> {
    let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    if ports && !m.proto.is_some_and(|p| boxes::PORT_PROTOS.contains(&p)) {
        return at.fail(
            "a port without a protocol that carries ports: Junos would compare any protocol's octets",
            "protocol tcp, udp or sctp in the term",
        );
    }
    boxes::invalid(m).map_or(Ok(()), |reason| at.fail(&reason, "conditions that can be true together"))
}

fn action<'a>(p: &mut Path<'_, 'a>, term: &mut Term<'a>) -> Result<(), ParseError> {
    let word = p.need("accept, discard or policer")?;
    let action = match word.text {
        "accept" => Action::Permit,
        "discard" => Action::Discard,
        "reject" => {
            if p.peek().is_some() {
                p.need("a message type")?;
            }
            Action::Discard
        }
        "policer" => {
            term.policer = Some(p.need("the name of a policer")?);
            return p.done();
        }
        "count" => {
            p.need("the name of a counter")?;
            return p.done();
        }
        "log" | "syslog" | "sample" => return p.done(),
        _ => return word.unknown("accept, discard, reject, policer, count, log, syslog or sample"),
    };
    if term.action.replace(action).is_some_and(|a| a != action) {
        return word.fail("a second terminating action", "one of accept, discard, reject");
    }
    p.done()
}

fn condition<'a>(p: &mut Path<'_, 'a>, term: &mut Term<'a>, family: Family) -> Result<(), ParseError> {
    let word = p.need("a condition")?;
    let d = &mut term.draft;
    match word.text {
        "source-address" | "destination-address" => {
            let at = p.need("a prefix")?;
            let net: IpNet = match at.text.parse::<IpNet>() {
                Ok(n) => n.trunc(),
                Err(_) => at.text.parse::<std::net::IpAddr>().map(IpNet::from).or_else(|_| at.unknown("a prefix"))?,
            };
            if Family::of_net(&net) != family {
                return at.fail("a prefix of the other family", "a prefix of this filter's family");
            }
            let source = word.text == "source-address";
            match excepted(p)? {
                true => term.except.push((source, net)),
                false => if source { &mut d.m.src } else { &mut d.m.dst }.push(net),
            }
        }
        "source-prefix-list" | "destination-prefix-list" => {
            let name = p.need("the name of a prefix list")?;
            let out = excepted(p)?;
            term.lists.push((word.text == "source-prefix-list", name, out));
        }
        "protocol" | "payload-protocol" | "next-header" if (word.text == "protocol") == (family == Family::V4) => {
            let at = p.need("a protocol")?;
            let Some(proto) = junos_proto_of(at.text) else {
                return at.unknown("a protocol name or a number from 0 to 255");
            };
            d.protos.get_or_insert_default().push(proto);
        }
        "source-port" => d.m.src_ports.push(range(p.need("a port")?, true)?),
        "destination-port" => d.m.dst_ports.push(range(p.need("a port")?, true)?),
        "packet-length" => d.m.lengths.push(range(p.need("a length")?, false)?),
        "is-fragment" if family == Family::V4 => d.m.fragment = Some(FragmentMatch::Later),
        "tcp-flags" => d.flags = flags(p.need("flags")?)?,
        "tcp-initial" => d.flags = vec![TcpFlags { mask: 18, value: 2 }],
        "tcp-established" => d.flags = [16, 4].map(|b| TcpFlags { mask: b, value: b }).to_vec(),
        _ => {
            return word.unknown(
                "source-address, destination-address, a prefix list, protocol (inet6: payload-protocol), source-port, \
                 destination-port, packet-length, tcp-flags or is-fragment (inet)",
            );
        }
    }
    p.done()
}

/// Whether `except` follows.
fn excepted(p: &mut Path<'_, '_>) -> Result<bool, ParseError> {
    match p.peek() {
        Some(word) if word.text == "except" => p.need("except").map(|_| true),
        Some(word) => word.unknown("except, or the end of the statement"),
        None => Ok(false),
    }
}

fn range(at: Token<'_>, port: bool) -> Result<PortRange, ParseError> {
    let one = |s: &str| {
        let named =
            || (if s == "http" { Some(80) } else { ios_port_of(s, 17).or_else(|| ios_port_of(s, 6)) }).filter(|_| port);
        decimal::<u16>(s).or_else(named)
    };
    if let Some(n) = one(at.text) {
        return Ok(PortRange::one(n));
    }
    let pair = at.text.split_once('-').map(|(a, b)| (one(a), one(b)));
    match pair {
        Some((Some(lo), Some(hi))) if lo <= hi => Ok(PortRange { lo, hi }),
        _ => at.unknown("a number from 0 to 65535, or A-B"),
    }
}

/// `(syn & !ack)`; alternatives with `|`.
fn flags(at: Token<'_>) -> Result<Vec<TcpFlags>, ParseError> {
    let expected = "flags such as (syn & !ack)";
    let mut out = Vec::new();
    for part in at.text.split('|') {
        let mut t = TcpFlags { mask: 0, value: 0 };
        let part = part.trim();
        let part = part.strip_prefix('(').and_then(|p| p.strip_suffix(')')).unwrap_or(part);
        for word in part.split(['&', '+']) {
            let word = word.trim();
            let (name, set) = word.strip_prefix('!').map_or((word, true), |n| (n.trim(), false));
            let spelled = match name {
                "push" => "psh",
                "urgent" => "urg",
                n => n,
            };
            let Some(bit) = flag_of(spelled).filter(|&b| b < 64 && t.mask & b == 0) else {
                return at.unknown(expected);
            };
            t = TcpFlags { mask: t.mask | bit, value: if set { t.value | bit } else { t.value } };
        }
        out.push(t);
    }
    Ok(out)
}
