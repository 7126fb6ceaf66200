//! Reading object groups of addresses and ports, which stand beside the lists that name them.

use super::super::ParseError;
use super::super::names::ios_port_of;
use super::super::scan::{Word, Words, error};
use super::facts::{Facts, ObjectGroups};
use crate::range::{Family, RangeSet, bounds, number};
use ipnet::{IpNet, Ipv4Net};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// Most members of all groups of a text.
const MAX_MEMBERS: usize = 1_000_000;

/// What the groups of a text hold.
#[derive(Default)]
pub struct Defined {
    nets: HashMap<(Family, String), RangeSet>,
    ports: HashMap<String, RangeSet>,
}

/// What a group holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nets(Family),
    Ports,
}

/// A group whose members follow.
struct Open {
    kind: Kind,
    name: String,
    list: Vec<(u128, u128)>,
    line: usize,
}

impl Defined {
    /// The addresses of a group.
    pub fn net(&self, family: Family, name: &str) -> Option<&RangeSet> {
        self.nets.get(&(family, name.to_owned()))
    }
    /// The ports of a group.
    pub fn port(&self, name: &str) -> Option<&RangeSet> {
        self.ports.get(name)
    }

    /// Every group of a text.
    ///
    /// # Errors
    /// At the first line of a group that is not understood.
    pub fn of(facts: &Facts, text: &str) -> Result<Defined, ParseError> {
        let mut out = Defined::default();
        let Some(of) = facts.groups.filter(|_| text.contains("object-group")) else { return Ok(out) };
        let mut open: Option<Open> = None;
        let mut members = 0;
        for (i, line) in text.lines().enumerate() {
            let mut w = Words::new(i + 1, line)?;
            let Some(first) = w.peek() else { continue };
            let inside = open.is_some() && is_member(line);
            if let Some(group) = open.as_mut().filter(|_| inside) {
                member(&of, &mut w, group.kind, &out, &mut group.list)?;
                members += 1;
                if members > MAX_MEMBERS {
                    return Err(error(i + 1, 1, "too many members of groups", &format!("at most {MAX_MEMBERS}")));
                }
                continue;
            }
            if let Some(group) = open.take() {
                out.close(group)?;
            }
            if first.text == "object-group" {
                let (kind, name) = head(&of, &mut w)?;
                open = Some(Open { kind, name: name.text.to_owned(), list: Vec::new(), line: i + 1 });
            }
        }
        if let Some(group) = open.take() {
            out.close(group)?;
        }
        Ok(out)
    }

    fn close(&mut self, Open { kind, name, list, line }: Open) -> Result<(), ParseError> {
        if list.is_empty() {
            return Err(error(line, 1, &format!("the group {name:?} has no members"), "a member on the next line"));
        }
        let set = RangeSet::new(list);
        let again = match kind {
            Kind::Nets(family) => self.nets.insert((family, name), set).is_some(),
            Kind::Ports => self.ports.insert(name, set).is_some(),
        };
        if again { Err(error(line, 1, "a group of the same name stands above", "each group once")) } else { Ok(()) }
    }
}

/// Whether a line after the head of a group is one of its members; anything else ends the group.
pub fn is_member(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    // NX-OS numbers its members.
    if words.peek().is_some_and(|w| w.bytes().all(|b| b.is_ascii_digit())) {
        words.next();
    }
    match words.next() {
        None => true,
        // A nested group has a name and nothing else.
        Some("object-group") => words.count() == 1,
        Some(word) => {
            matches!(
                word,
                "host" | "range" | "any" | "description" | "group-object" | "eq" | "neq" | "lt" | "gt" | "!" | "exit"
            ) || word.parse::<IpAddr>().is_ok()
                || word.parse::<IpNet>().is_ok()
        }
    }
}

/// Takes a head such as `object-group network ipv4 NAME`.
fn head<'a>(of: &ObjectGroups, w: &mut Words<'a>) -> Result<(Kind, Word<'a>), ParseError> {
    let families = Family::BOTH.map(|f| (Kind::Nets(f), of.nets[f as usize]));
    let heads = families.into_iter().chain(of.ports.map(|p| (Kind::Ports, p.0))).filter(|h| !h.1.is_empty());
    let expected = heads.clone().map(|h| format!("{} NAME", h.1)).collect::<Vec<_>>().join(", ");
    let mut given: Vec<Word<'a>> = Vec::new();
    while let Some(word) = w.next() {
        given.push(word);
    }
    let same = |head: &str| {
        let words: Vec<&str> = head.split(' ').collect();
        given.len() == words.len() + 1 && given.iter().zip(&words).all(|(g, h)| g.text == *h)
    };
    let found = heads.clone().find(|h| same(h.1)).map(|h| h.0);
    match (found, given.last()) {
        (Some(kind), Some(name)) => Ok((kind, *name)),
        (_, last) => {
            let word = given.get(1).or(last).copied().unwrap_or(Word { text: "", column: 1 });
            Err(w.unknown(word, &format!("{expected} (other groups are not read)")))
        }
    }
}

/// Adds what a member holds.
fn member(
    of: &ObjectGroups,
    w: &mut Words<'_>,
    kind: Kind,
    known: &Defined,
    list: &mut Vec<(u128, u128)>,
) -> Result<(), ParseError> {
    if w.peek().is_some_and(|x| x.text.bytes().all(|b| b.is_ascii_digit())) {
        w.next();
    }
    let Some(first) = w.next() else { return Ok(()) };
    match (first.text, kind) {
        ("description", _) => return Ok(()),
        ("!" | "exit", _) => {}
        ("group-object" | "object-group", _) => {
            let name = w.need("the name of a group")?;
            let set = match kind {
                Kind::Nets(family) => known.net(family, name.text),
                Kind::Ports => known.port(name.text),
            };
            list.extend(set.ok_or_else(|| w.unknown(name, "a group that stands above"))?.ranges());
        }
        (op, Kind::Ports) => list.extend(ports(w, first, op)?),
        ("any", Kind::Nets(family)) => list.push((0, family.max())),
        ("host", Kind::Nets(family)) => {
            let a = address(w, family)?;
            list.push((a, a));
        }
        ("range", Kind::Nets(family)) => {
            let (a, b) = (address(w, family)?, address(w, family)?);
            if b < a {
                return Err(w.error(first, "the range ends before it starts", "the lower address first"));
            }
            list.push((a, b));
        }
        (text, Kind::Nets(family)) => {
            if let Ok(net) = text.parse::<IpNet>() {
                if Family::of_net(&net) != family {
                    return Err(w.error(first, "an address of the other family", "the family of the group"));
                }
                list.push(bounds(&net.trunc()));
            } else {
                list.extend(masked(of, w, first)?);
            }
        }
    }
    w.done("the end of the line")
}

/// An address with a subnet mask (IOS) or a wildcard (NX-OS).
fn masked(of: &ObjectGroups, w: &mut Words<'_>, first: Word<'_>) -> Result<Vec<(u128, u128)>, ParseError> {
    let expected =
        if of.slash { "a prefix, or an address and a wildcard" } else { "a subnet mask such as 255.255.255.0" };
    let addr: Ipv4Addr = first.text.parse().map_err(|_| w.unknown(first, "host, range, or an IPv4 address"))?;
    let mask = w.need(expected)?;
    let bits: Ipv4Addr = mask.text.parse().map_err(|_| w.unknown(mask, expected))?;
    if of.slash {
        let nets = super::words::wildcard(addr.to_bits(), bits.to_bits());
        let nets = nets.ok_or_else(|| w.unknown(mask, "a wildcard with fewer separate one bits"))?;
        return Ok(if nets.is_empty() { vec![(0, Family::V4.max())] } else { nets.iter().map(bounds).collect() });
    }
    let net = Ipv4Net::with_netmask(addr, bits).map_err(|_| w.unknown(mask, expected))?;
    Ok(vec![bounds(&IpNet::V4(net.trunc()))])
}

/// `eq N`, `range A B`, `gt N`, `lt N`, `neq N`; names of ports are those of TCP and UDP.
fn ports(w: &mut Words<'_>, first: Word<'_>, op: &str) -> Result<Vec<(u128, u128)>, ParseError> {
    let expected = "eq, neq, gt, lt or range and a port";
    if !matches!(op, "eq" | "neq" | "gt" | "lt" | "range") {
        return Err(w.unknown(first, expected));
    }
    let mut one = || {
        let word = w.need(expected)?;
        let port = ios_port_of(word.text, 6).or_else(|| ios_port_of(word.text, 17));
        port.map(u128::from).ok_or_else(|| w.unknown(word, "a port from 0 to 65535 or its name"))
    };
    let p = one()?;
    let max = u128::from(u16::MAX);
    let list = match op {
        "eq" => vec![(p, p)],
        "gt" => vec![(p + 1, max)],
        "lt" => p.checked_sub(1).map(|hi| (0, hi)).into_iter().collect(),
        "range" => vec![(p, one()?)],
        _ => RangeSet::one(0, max).subtract(&RangeSet::one(p, p)).ranges().to_vec(),
    };
    if list.is_empty() || list.iter().any(|r| r.0 > r.1) {
        return Err(w.error(first, "this takes no port at all", "a condition that some port fulfils"));
    }
    Ok(list)
}

fn address(w: &mut Words<'_>, family: Family) -> Result<u128, ParseError> {
    let word = w.need("an address")?;
    let addr = word.text.parse::<IpAddr>().ok().filter(|a| Family::of(*a) == family);
    addr.map(number).ok_or_else(|| w.unknown(word, "an address of the group's family"))
}
