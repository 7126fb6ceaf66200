//! Lines of profile `compact`: lists and ranges of ports, wildcards, object groups, permits before denies.

use super::super::compact::{cannot, wildcard};
use super::facts::{Facts, ObjectGroups};
use super::write::{flag_words, length, proto};
use crate::boxes::{DPORT, DST, FLAGS, FRAG, LEN, PROTO, SPORT, SRC, all, flag_test};
use crate::compact::CompactLine;
use crate::compile::CompileError;
use crate::range::{Family, RangeSet};
use ipnet::IpNet;
use std::fmt::Write as _;

/// The groups that lines of one text name, each content once.
pub struct Groups<'a> {
    facts: &'a Facts,
    list: &'a str,
    nets: Vec<(Family, RangeSet)>,
    ports: Vec<RangeSet>,
}

impl<'a> Groups<'a> {
    /// None yet; their names begin with that of the list.
    pub fn new(facts: &'a Facts, list: &'a str) -> Self {
        Groups { facts, list, nets: Vec::new(), ports: Vec::new() }
    }

    fn net(&mut self, family: Family, set: &RangeSet) -> Option<String> {
        let of = self.facts.groups.as_ref().filter(|g| !g.nets[family as usize].is_empty())?;
        let at = self.nets.iter().position(|g| g.0 == family && g.1 == *set).unwrap_or_else(|| {
            self.nets.push((family, set.clone()));
            self.nets.len() - 1
        });
        Some(format!("{} {}", of.net_word, self.net_name(at)))
    }

    fn port(&mut self, set: &RangeSet) -> Option<String> {
        let (_, word) = self.facts.groups.and_then(|g| g.ports)?;
        let at = self.ports.iter().position(|g| g == set).unwrap_or_else(|| {
            self.ports.push(set.clone());
            self.ports.len() - 1
        });
        Some(format!("{word} {}", self.port_name(at)))
    }

    fn net_name(&self, at: usize) -> String {
        format!("{}-G{}", self.list, at + 1)
    }

    fn port_name(&self, at: usize) -> String {
        format!("{}-P{}", self.list, at + 1)
    }

    /// Head with name, and members, of every group.
    fn each(&self) -> impl Iterator<Item = (String, Vec<String>)> + '_ {
        let facts = self.facts.groups;
        let nets = self.nets.iter().enumerate().filter_map(move |(i, (family, set))| {
            let of = facts?;
            Some((format!("{} {}", of.nets[*family as usize], self.net_name(i)), addresses(&of, *family, set)))
        });
        let ports = self.ports.iter().enumerate().filter_map(move |(i, set)| {
            let (head, _) = facts?.ports?;
            let one = |&(lo, hi): &(u128, u128)| if lo == hi { format!("eq {lo}") } else { format!("range {lo} {hi}") };
            Some((format!("{head} {}", self.port_name(i)), set.ranges().iter().map(one).collect()))
        });
        nets.chain(ports)
    }

    /// Their definitions, to stand before the lists.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (head, members) in self.each() {
            let _ = writeln!(out, "{head}");
            for m in members {
                let _ = writeln!(out, "{}{m}", self.facts.indent);
            }
            if self.facts.commit {
                out.push_str("!\n");
            }
        }
        out
    }

    /// Their heads with names.
    pub fn heads(&self) -> Vec<String> {
        self.each().map(|g| g.0).collect()
    }

    /// Refuses a name that the platform would cut.
    pub fn check(&self) -> Result<(), CompileError> {
        let names =
            (0..self.nets.len()).map(|i| self.net_name(i)).chain((0..self.ports.len()).map(|i| self.port_name(i)));
        let (dialect, max) = (self.facts.dialect, self.facts.list_name);
        match names.into_iter().find(|n| n.len() > max) {
            Some(name) => Err(CompileError::LongName { dialect, name, max }),
            None => Ok(()),
        }
    }
}

/// The members of a group of addresses.
fn addresses(of: &ObjectGroups, family: Family, set: &RangeSet) -> Vec<String> {
    let prefix = |n: &IpNet| match n {
        n if n.prefix_len() == n.max_prefix_len() => format!("host {}", n.addr()),
        IpNet::V4(v4) if !of.slash => format!("{} {}", v4.network(), v4.netmask()),
        n => n.to_string(),
    };
    let mut out = Vec::new();
    for &(lo, hi) in set.ranges() {
        let nets = RangeSet::one(lo, hi).prefixes(family);
        if of.ranges && nets.len() > 1 {
            out.push(format!("range {} {}", family.addr(lo), family.addr(hi)));
        } else {
            out.extend(nets.iter().map(prefix));
        }
    }
    out
}

/// One entry without its number.
pub fn entry(facts: &Facts, l: &CompactLine, family: Family, groups: &mut Groups<'_>) -> Result<String, CompileError> {
    let (b, whole) = (&l.fields, all(family));
    let bad = |what: &str| cannot(facts.dialect, l, what);
    let number = match b[PROTO].ranges() {
        _ if b[PROTO] == whole[PROTO] => None,
        [(lo, hi)] if lo == hi => Some(*lo as u8),
        _ => return Err(bad("several protocols")),
    };
    let mut s = format!("{} {}", if l.deny { "deny" } else { "permit" }, proto(facts, number, family));
    for (side, field) in [(SRC, SPORT), (DST, DPORT)] {
        let place = address(facts, &b[side], family, groups).ok_or_else(|| bad("several prefixes"))?;
        let _ = write!(s, " {place}");
        if b[field] != whole[field] {
            let ports = ports(facts, &b[field], groups).ok_or_else(|| bad("several ranges of ports"))?;
            let _ = write!(s, " {ports}");
        }
    }
    if b[FLAGS] != whole[FLAGS] {
        let test = flag_test(&b[FLAGS]).ok_or_else(|| bad("several tests of flags"))?;
        s.push_str(&flag_words(facts, test));
    }
    if b[FRAG].is(1, 1) {
        s.push_str(" fragments");
    }
    if b[LEN] != whole[LEN] {
        let [(lo, hi)] = b[LEN].ranges() else { return Err(bad("several ranges of lengths")) };
        s.push_str(&length(*lo, *hi));
    }
    Ok(s)
}

/// Addresses as a line writes them: a prefix, a wildcard, or a group.
fn address(facts: &Facts, set: &RangeSet, family: Family, groups: &mut Groups<'_>) -> Option<String> {
    if set.is(0, family.max()) {
        return Some("any".into());
    }
    if let [net] = set.prefixes(family)[..] {
        return Some(super::write::address(facts, &net));
    }
    let odd = wildcard(set).filter(|_| facts.wildcards && family == Family::V4);
    match odd {
        Some((value, free)) => Some(format!("{} {}", family.addr(value.into()), family.addr(free.into()))),
        None => groups.net(family, set),
    }
}

fn ports(facts: &Facts, set: &RangeSet, groups: &mut Groups<'_>) -> Option<String> {
    match set.ranges() {
        [(lo, hi)] if lo == hi => Some(format!("eq {lo}")),
        [(lo, hi)] if hi - lo > 1 || facts.eq_ports < 2 => Some(format!("range {lo} {hi}")),
        _ if set.count() <= facts.eq_ports as u128 => {
            let singles: Vec<String> = set.ranges().iter().flat_map(|r| r.0..=r.1).map(|p| p.to_string()).collect();
            Some(format!("eq {}", singles.join(" ")))
        }
        _ => groups.port(set),
    }
}
