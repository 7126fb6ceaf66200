//! Reading Nokia SR OS filters of the MD-CLI, flat (`/configure filter …`) or in braces.
//!
//! A filter whose `default-action` is not given drops. Entries are asked in the order of their numbers. SR OS compares
//! the ports and flags of non-first fragments as zero, so an entry that a zero fulfils takes them too.

use super::names::{decimal, flag_of, sros_proto_of};
use super::nokia::{prefix_list, proto_word, takes_later};
use super::scan::error;
use super::terms::{Draft, implicit_deny};
use super::tree::{Ends, Path, Token, walk};
use super::{Listing, ParseError};
use crate::boxes;
use crate::range::{Family, RangeSet, bounds};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule};

/// Most entries of one filter.
pub const MAX_ENTRIES: usize = 2_000_000;

/// A range whose ends come in two lines.
#[derive(Clone, Copy, Default)]
struct Ranged<'a> {
    whole: Option<PortRange>,
    start: Option<u16>,
    end: Option<u16>,
    list: Option<Token<'a>>,
    at: Option<Token<'a>>,
}

#[derive(Default)]
struct Entry<'a> {
    draft: Draft,
    proto_list: Option<Token<'a>>,
    src_list: Option<Token<'a>>,
    dst_list: Option<Token<'a>>,
    sport: Ranged<'a>,
    dport: Ranged<'a>,
    length: Ranged<'a>,
    mask: u8,
    value: u8,
    action: Option<Action>,
    limit: Option<Action>,
    at: Option<Token<'a>>,
}

#[derive(Default)]
struct Filter<'a> {
    name: Option<&'a str>,
    passes: bool,
    entries: BTreeMap<u32, Entry<'a>>,
}

#[derive(Default)]
struct Reader<'a> {
    nets: HashMap<(Family, &'a str), Vec<IpNet>>,
    /// What is taken out of a list of prefixes.
    outside: HashMap<(Family, &'a str), Vec<IpNet>>,
    protos: HashMap<&'a str, Vec<u8>>,
    ports: HashMap<&'a str, Vec<PortRange>>,
    filters: [Filter<'a>; 2],
}

pub fn parse(text: &str) -> Result<Listing, ParseError> {
    let mut r = Reader::default();
    walk(text, Ends::Line, |words| r.statement(words))?;
    if r.filters.iter().all(|f| f.name.is_none()) {
        let line = text.lines().count().max(1);
        return Err(error(line, 1, "there is no filter", "/configure filter ip-filter \"NAME\" entry 10 …"));
    }
    r.finish()
}

impl<'a> Reader<'a> {
    fn statement(&mut self, words: &[Token<'a>]) -> Result<(), ParseError> {
        let mut p = Path::new(words);
        for names in [&["/configure", "configure"][..], &["filter"]] {
            let word = p.need("/configure filter")?;
            if !names.contains(&word.text) {
                return word.unknown("/configure filter");
            }
            if p.peek().is_none() {
                return Ok(());
            }
        }
        let word = p.need("match-list, ip-filter or ipv6-filter")?;
        match word.text {
            "match-list" => self.match_list(&mut p),
            "ip-filter" => self.filter(&mut p, Family::V4),
            "ipv6-filter" => self.filter(&mut p, Family::V6),
            _ => word.unknown("match-list, ip-filter or ipv6-filter"),
        }
    }

    fn match_list(&mut self, p: &mut Path<'_, 'a>) -> Result<(), ParseError> {
        let kinds = "ip-prefix-list, ipv6-prefix-list, port-list or protocol-list";
        let kind = p.need(kinds)?;
        let name = p.need("the name of the list")?;
        let family = match kind.text {
            "ip-prefix-list" => Family::V4,
            "ipv6-prefix-list" => Family::V6,
            "port-list" => return self.port_list(p, name),
            "protocol-list" => return self.protocol_list(p, name),
            _ => return kind.unknown(kinds),
        };
        let list = self.nets.entry((family, name.text)).or_default();
        let Some(word) = p.peek() else { return Ok(()) };
        p.need("prefix")?;
        match word.text {
            "prefix" => list.push(prefix(p.need("a prefix")?, family)?),
            "prefix-exclude" => {
                let net = prefix(p.need("a prefix")?, family)?;
                self.outside.entry((family, name.text)).or_default().push(net);
            }
            "description" => {
                p.need("a text")?;
            }
            _ => return word.unknown("prefix, prefix-exclude or description"),
        }
        p.done()
    }

    fn protocol_list(&mut self, p: &mut Path<'_, 'a>, name: Token<'a>) -> Result<(), ParseError> {
        let list = self.protos.entry(name.text).or_default();
        let Some(word) = p.peek() else { return Ok(()) };
        p.need("protocol")?;
        match word.text {
            "protocol" => {
                let at = p.need("a protocol")?;
                let Some(proto) = sros_proto_of(at.text) else {
                    return at.unknown("a protocol name or a number from 0 to 255");
                };
                list.push(proto);
            }
            "description" => {
                p.need("a text")?;
            }
            _ => return word.unknown("protocol or description"),
        }
        p.done()
    }

    fn port_list(&mut self, p: &mut Path<'_, 'a>, name: Token<'a>) -> Result<(), ParseError> {
        let list = self.ports.entry(name.text).or_default();
        let Some(word) = p.peek() else { return Ok(()) };
        p.need("port or range")?;
        match word.text {
            "port" => list.push(PortRange::one(number(p.need("a port")?)?)),
            "range" => {
                let mut r = PortRange { lo: 0, hi: 0 };
                for (word, slot) in [("start", &mut r.lo), ("end", &mut r.hi)] {
                    let at = p.need(word)?;
                    if at.text != word {
                        return at.unknown("start A end B");
                    }
                    *slot = number(p.need("a port")?)?;
                }
                if r.lo > r.hi {
                    return word.fail("the range ends before it starts", "the lower port first");
                }
                list.push(r);
            }
            "description" => {
                p.need("a text")?;
            }
            _ => return word.unknown("port, range or description"),
        }
        p.done()
    }

    fn filter(&mut self, p: &mut Path<'_, 'a>, family: Family) -> Result<(), ParseError> {
        let name = p.need("the name of the filter")?;
        let filter = &mut self.filters[family as usize];
        if filter.name.is_some_and(|known| known != name.text) {
            return name.fail("a second filter of the same family", "one filter of each family in one text");
        }
        filter.name = Some(name.text);
        let Some(word) = p.peek() else { return Ok(()) };
        p.need("entry")?;
        match word.text {
            "default-action" => {
                let at = p.need("accept or drop")?;
                filter.passes = match at.text {
                    "accept" => true,
                    "drop" => false,
                    _ => return at.unknown("accept or drop"),
                };
            }
            "description" | "filter-id" => {
                p.need("a value")?;
            }
            "scope" => {
                let at = p.need("template or exclusive")?;
                if !matches!(at.text, "template" | "exclusive") {
                    return at.unknown("template or exclusive");
                }
            }
            "type" => {
                let at = p.need("normal or packet-length")?;
                if !matches!(at.text, "normal" | "packet-length") {
                    return at.unknown("normal or packet-length");
                }
            }
            "entry" => {
                let at = p.need("the number of the entry")?;
                let Some(number) = decimal::<u32>(at.text).filter(|n| *n > 0) else {
                    return at.unknown("a number from 1");
                };
                if filter.entries.len() >= MAX_ENTRIES {
                    return at.fail("too many entries", &format!("at most {MAX_ENTRIES}"));
                }
                let entry = filter.entries.entry(number).or_default();
                entry.at.get_or_insert(at);
                if p.peek().is_some() {
                    entry_part(p, entry, family)?;
                }
            }
            _ => return word.unknown("default-action, description, filter-id, scope, type or entry"),
        }
        p.done()
    }

    fn finish(mut self) -> Result<Listing, ParseError> {
        let mut out = Listing::default();
        for ((family, name), outside) in std::mem::take(&mut self.outside) {
            let list = self.nets.entry((family, name)).or_default();
            let of = |nets: &[IpNet]| RangeSet::new(nets.iter().map(bounds));
            *list = of(list).subtract(&of(&outside)).prefixes(family);
        }
        if let Some((name, _)) = self.ports.iter().find(|l| l.1.is_empty()) {
            return Err(error(1, 1, &format!("the port list {name:?} has no ports"), "port 53"));
        }
        for family in Family::BOTH {
            let filter = std::mem::take(&mut self.filters[family as usize]);
            for (_, entry) in filter.entries {
                self.entry(entry, family, &mut out)?;
            }
            if filter.name.is_some() && !filter.passes {
                out.rules.rules.push(implicit_deny(family));
                out.lines.push(0);
            }
        }
        Ok(out)
    }

    fn entry(&self, mut e: Entry<'a>, family: Family, out: &mut Listing) -> Result<(), ParseError> {
        let Some(at) = e.at else { return Ok(()) };
        for (name, side) in [(e.src_list, &mut e.draft.m.src), (e.dst_list, &mut e.draft.m.dst)] {
            let Some(name) = name else { continue };
            let Some(list) = self.nets.get(&(family, name.text)).filter(|l| !l.is_empty()) else {
                return name.unknown(&format!("a match-list {} of this text with a prefix", prefix_list(family)));
            };
            side.extend(list);
        }
        if let Some(name) = e.proto_list {
            let Some(list) = self.protos.get(name.text).filter(|l| !l.is_empty()) else {
                return name.unknown("a match-list protocol-list of this text with a protocol");
            };
            e.draft.protos = Some(list.clone());
        }
        e.draft.m.src_ports = self.ranged(e.sport)?;
        e.draft.m.dst_ports = self.ranged(e.dport)?;
        e.draft.m.lengths = self.ranged(e.length)?;
        if e.mask != 0 {
            e.draft.flags = vec![TcpFlags { mask: e.mask, value: e.value }];
        }
        let action = match (e.action, e.limit) {
            (Some(Action::Discard), None) => Action::Discard,
            (Some(Action::Permit), None) => Action::Permit,
            (None | Some(Action::Permit), Some(limit)) => limit,
            (None, None) => return at.fail("an entry without an action is inactive", "action accept or drop"),
            _ => return at.fail("an entry that drops has no rate", "action accept with the rate-limit"),
        };
        let matches = e.draft.matches(family);
        let limited = matches!(action, Action::LimitBps(_));
        if limited && matches.len() > 1 {
            return at.fail("one rate over several protocols is not supported", "one protocol in an entry with a rate");
        }
        for m in matches {
            let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
            if ports && !m.proto.is_some_and(|p| matches!(p, 6 | 17 | 132)) {
                return at
                    .fail("a port without tcp, udp or sctp", "match protocol (IPv6: next-header) tcp, udp or sctp");
            }
            if let Some(reason) = boxes::invalid(&m) {
                return at.fail(&reason, "conditions that can be true together");
            }
            let mut list = vec![m.clone()];
            if takes_later(&m) {
                if limited {
                    return at.fail(
                        "non-first fragments compare as port 0 and would share this rate",
                        "ports above 0 in an entry with a rate",
                    );
                }
                let fragment = Some(FragmentMatch::Later);
                let (src_ports, dst_ports) = (Vec::new(), Vec::new());
                list.push(Match { src_ports, dst_ports, tcp_flags: None, fragment, ..m });
            }
            for matches in list {
                out.rules.rules.push(Rule { matches, action });
                out.lines.push(at.line);
            }
        }
        Ok(())
    }

    fn ranged(&self, r: Ranged<'a>) -> Result<Vec<PortRange>, ParseError> {
        if let Some(name) = r.list {
            let Some(list) = self.ports.get(name.text) else {
                return name.unknown("a match-list port-list of this text");
            };
            return Ok(list.clone());
        }
        match (r.start, r.end, r.at) {
            (Some(lo), Some(hi), _) if lo <= hi => Ok(vec![PortRange { lo, hi }]),
            (None, None, _) => Ok(r.whole.into_iter().collect()),
            (_, _, Some(at)) => {
                at.fail("a range has a start and an end that is not below it", "range start A, range end B")
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn entry_part<'a>(p: &mut Path<'_, 'a>, e: &mut Entry<'a>, family: Family) -> Result<(), ParseError> {
    let word = p.need("match, action or description")?;
    match word.text {
        "description" => {
            p.need("a text")?;
            Ok(())
        }
        "match" if p.peek().is_none() => Ok(()),
        "match" => match_part(p, e, family),
        "action" => {
            let word = p.need("accept, drop or rate-limit")?;
            match word.text {
                "accept" => e.action = Some(Action::Permit),
                "drop" => e.action = Some(Action::Discard),
                "rate-limit" => {
                    let pir = p.need("pir")?;
                    if pir.text != "pir" {
                        return pir.unknown("pir");
                    }
                    let at = p.need("kilobits a second")?;
                    let kbps = decimal::<u64>(at.text).filter(|n| *n > 0).and_then(|n| n.checked_mul(1000));
                    let Some(bits) = kbps else { return at.unknown("kilobits a second, above 0") };
                    e.limit = Some(Action::LimitBps(bits));
                }
                _ => return word.unknown("accept, drop or rate-limit pir N"),
            }
            Ok(())
        }
        _ => word.unknown("match, action or description"),
    }
}

fn match_part<'a>(p: &mut Path<'_, 'a>, e: &mut Entry<'a>, family: Family) -> Result<(), ParseError> {
    let word = p.need("a criterion")?;
    match word.text {
        "protocol" | "next-header" if (word.text == "protocol") == (family == Family::V4) => {
            let at = p.need("a protocol")?;
            let Some(protos) =
                (if at.text == "tcp-udp" { Some(vec![6, 17]) } else { sros_proto_of(at.text).map(|p| vec![p]) })
            else {
                return at.unknown("a protocol name or a number from 0 to 255");
            };
            e.draft.protos = Some(protos);
        }
        "protocol-list" | "next-header-list" if word.text.strip_suffix("-list") == Some(proto_word(family)) => {
            e.proto_list = Some(p.need("the name of a list")?);
        }
        "src-ip" | "dst-ip" => {
            let source = word.text == "src-ip";
            let kind = p.need("address or a prefix list")?;
            let at = p.need("a prefix or the name of a list")?;
            match kind.text {
                "address" => {
                    let net = prefix(at, family)?;
                    *(if source { &mut e.draft.m.src } else { &mut e.draft.m.dst }) = vec![net];
                }
                kind if kind == prefix_list(family) => {
                    *(if source { &mut e.src_list } else { &mut e.dst_list }) = Some(at);
                }
                _ => return kind.unknown(&format!("address or {}", prefix_list(family))),
            }
        }
        "src-port" => ranged_part(p, &mut e.sport, word, true)?,
        "dst-port" => ranged_part(p, &mut e.dport, word, true)?,
        "packet-length" if family == Family::V4 => ranged_part(p, &mut e.length, word, false)?,
        "fragment" => {
            let at = p.need("non-first-only")?;
            if at.text != "non-first-only" {
                return at.unknown("non-first-only (true, false and first-only are not in the neutral model)");
            }
            e.draft.m.fragment = Some(FragmentMatch::Later);
        }
        "tcp-flags" => {
            let at = p.need("a flag")?;
            let Some(bit) = flag_of(at.text) else { return at.unknown("fin, syn, rst, psh, ack, urg, ece or cwr") };
            let value = p.need("true or false")?;
            e.mask |= bit;
            e.value = match value.text {
                "true" => e.value | bit,
                "false" => e.value & !bit,
                _ => return value.unknown("true or false"),
            };
        }
        _ => {
            return word.unknown(
                "protocol or protocol-list (IPv6: next-header, next-header-list), src-ip, dst-ip, src-port, dst-port, packet-length (IPv4), tcp-flags or fragment",
            );
        }
    }
    Ok(())
}

fn ranged_part<'a>(p: &mut Path<'_, 'a>, r: &mut Ranged<'a>, word: Token<'a>, port: bool) -> Result<(), ParseError> {
    let op = p.need("eq, lt, gt, range or a list")?;
    let at = p.need("a number")?;
    let fresh = Ranged { at: Some(word), ..Ranged::default() };
    let none = || at.fail("this takes no number at all", "a condition that some number fulfils");
    match op.text {
        "eq" => *r = Ranged { whole: Some(PortRange::one(number(at)?)), ..fresh },
        "lt" => {
            let Some(hi) = number(at)?.checked_sub(1) else { return none() };
            *r = Ranged { whole: Some(PortRange { lo: 0, hi }), ..fresh };
        }
        "gt" => {
            let Some(lo) = number(at)?.checked_add(1) else { return none() };
            *r = Ranged { whole: Some(PortRange { lo, hi: u16::MAX }), ..fresh };
        }
        "port-list" if port => *r = Ranged { list: Some(at), ..fresh },
        "range" => {
            if r.whole.is_some() || r.list.is_some() {
                *r = fresh;
            }
            r.at = Some(word);
            let mut at = at;
            loop {
                let value = number(p.need("a number")?)?;
                match at.text {
                    "start" => r.start = Some(value),
                    "end" => r.end = Some(value),
                    _ => return at.unknown("start or end"),
                }
                let Some(next) = p.peek() else { break };
                p.need("end")?;
                at = next;
            }
        }
        _ => return op.unknown(if port { "eq, lt, gt, range or port-list" } else { "eq, lt, gt or range" }),
    }
    Ok(())
}

fn number(at: Token<'_>) -> Result<u16, ParseError> {
    decimal(at.text).map_or_else(|| at.unknown("a number from 0 to 65535"), Ok)
}

fn prefix(at: Token<'_>, family: Family) -> Result<IpNet, ParseError> {
    let net = match at.text.parse::<IpNet>() {
        Ok(n) => n.trunc(),
        Err(_) => at.text.parse::<std::net::IpAddr>().map(IpNet::from).or_else(|_| at.unknown("a prefix"))?,
    };
    if Family::of_net(&net) == family {
        return Ok(net);
    }
    at.fail("a prefix of the other family", "a prefix of this filter's family")
}
