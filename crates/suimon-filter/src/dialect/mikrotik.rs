//! Writing MikroTik RouterOS 7 rules: a chain of its own in the raw table, before connection tracking, so that dropped
//! packets cost no entry there. What no rule takes returns to where the chain was jumped from.

use super::compact::Drops;
use super::names::{FLAGS, routeros_proto};
use super::terms::{Entry, entries, list_name, nothing, refuse, remark};
use super::{Dialect, Written};
use crate::compile::{CompileError, Options};
use crate::cover::Shape;
use crate::range::Family;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use suimon_base::{Action, PortRange, RuleSet};

const SHAPE: Shape = Shape { port_ranges: true, flag_bits: 0xff, lengths: true, port_protos: &[6, 17] };
/// Most ports in one condition; a range counts as two.
pub const MAX_PORTS: usize = 15;
/// Least burst of a limit: packets, and bits (ten full packets).
const BURST: (u64, u64) = (5, 120_000);

pub fn write(rules: &RuleSet, options: &Options, compact: Option<&Drops>) -> Result<Written, CompileError> {
    let lists = entries(rules, Dialect::Mikrotik, SHAPE, compact)?;
    let mut out = nothing(&lists)?;
    for r in options.remarks() {
        let _ = writeln!(out.text, "# {r}");
    }
    let full = options.full_name();
    let comment = match remark(options) {
        r if r.is_empty() => options.full_name(),
        r => format!("{}: {r}", options.full_name()),
    };
    for family in Family::BOTH {
        let list = &lists[family as usize];
        if list.is_empty() {
            continue;
        }
        let name = list_name(options, family);
        let menu = menu(family);
        let mut addresses = AddressLists { base: &name, comment: &full, ..AddressLists::default() };
        let mut body = String::new();
        for e in list {
            let conditions = conditions(e, family, &mut addresses)?;
            let limit = limit(e)?;
            let mut row = |action: &str, limit: &str| {
                let _ = writeln!(body, "add chain={name} action={action}{conditions}{limit} comment=\"{comment}\"");
                out.lines += 1;
            };
            if let Some(limit) = limit {
                row("return", &limit);
            }
            row(if e.action == Action::Permit { "return" } else { "drop" }, "");
        }
        if !addresses.text.is_empty() {
            let _ = write!(out.text, "/{menu} firewall address-list\n{}", addresses.text);
        }
        let _ = write!(out.text, "/{menu} firewall raw\n{body}");
        let _ = writeln!(out.undo, "/{menu} firewall raw remove [find jump-target=\"{name}\"]");
        let _ = writeln!(out.undo, "/{menu} firewall raw remove [find chain=\"{name}\"]");
        for list in addresses.names.values() {
            let _ = writeln!(out.undo, "/{menu} firewall address-list remove [find list=\"{list}\"]");
        }
        if list.iter().any(|e| e.matches.fragment.is_some()) {
            out.warnings.push(
                "fragment=yes takes nothing while connection tracking is on: it reassembles packets before the raw table"
                    .into(),
            );
        }
        if list.iter().any(|e| !matches!(e.action, Action::Discard | Action::Permit)) {
            out.warnings.push("read the limit back with `print detail`: the router may round the rate".into());
        }
        let only = options.interface.as_ref().map_or_else(String::new, |i| format!(" in-interface=\"{i}\""));
        out.warnings.push(format!(
            "first read back what is there with `/{menu} firewall raw print where chain=prerouting` and keep it; bind with \
             `/{menu} firewall raw add chain=prerouting action=jump jump-target={name}{only} place-before=0` (the table empty: \
             without place-before), then remove the jump to the list that it replaces; the undo takes the jump away with the list"
        ));
        if options.outbound {
            out.warnings
                .push("the raw table sees packets as they arrive, also those that will leave by the interface".into());
        }
    }
    Ok(out)
}

/// The menu of a family.
pub fn menu(family: Family) -> &'static str {
    if family == Family::V4 { "ip" } else { "ipv6" }
}

/// Named lists of addresses, one for each distinct content.
#[derive(Default)]
struct AddressLists<'a> {
    base: &'a str,
    comment: &'a str,
    names: BTreeMap<Vec<IpNet>, String>,
    text: String,
}

impl AddressLists<'_> {
    fn name(&mut self, list: &[IpNet]) -> String {
        if let Some(name) = self.names.get(list) {
            return name.clone();
        }
        let name = format!("{}-n{}", self.base, self.names.len() + 1);
        for n in list {
            let _ = writeln!(self.text, "add list={name} address={n} comment=\"{}\"", self.comment);
        }
        self.names.insert(list.to_vec(), name.clone());
        name
    }
}

fn limit(e: &Entry) -> Result<Option<String>, CompileError> {
    match e.action {
        Action::LimitPps(0) | Action::LimitBps(0) => refuse(Dialect::Mikrotik, e.rule, "a rate is above 0"),
        Action::LimitPps(n) => Ok(Some(format!(" limit={n},{}:packet", (n / 10).max(BURST.0)))),
        Action::LimitBps(n) => Ok(Some(format!(" limit={n},{}:bit", (n / 200).max(BURST.1)))),
        Action::Discard | Action::Permit => Ok(None),
    }
}

fn conditions(e: &Entry, family: Family, lists: &mut AddressLists<'_>) -> Result<String, CompileError> {
    let m = &e.matches;
    let no = |reason: &str| refuse(Dialect::Mikrotik, e.rule, reason);
    let mut out = String::new();
    if !e.protos.is_empty() {
        return no("a rule names one protocol");
    }
    match m.proto {
        Some(0) => return no("protocol=0 means every protocol, not protocol number 0"),
        Some(p) => {
            let _ = write!(out, " protocol={}", routeros_proto(p));
        }
        None => {}
    }
    for (word, list) in [("src-address", &m.src), ("dst-address", &m.dst)] {
        let _ = match &list[..] {
            [] => Ok(()),
            [one] => write!(out, " {word}={one}"),
            list => write!(out, " {word}-list={}", lists.name(list)),
        };
    }
    for (word, list) in [("src-port", &m.src_ports), ("dst-port", &m.dst_ports)] {
        if list.is_empty() {
            continue;
        }
        if list.iter().map(|p| if p.lo == p.hi { 1 } else { 2 }).sum::<usize>() > MAX_PORTS {
            return no("a rule takes at most 15 ports, a range counting as two, and a rate needs one rule");
        }
        let all: Vec<String> = list.iter().map(PortRange::to_string).collect();
        let _ = write!(out, " {word}={}", all.join(","));
    }
    if let Some(t) = m.tcp_flags {
        let all: Vec<String> = FLAGS
            .iter()
            .filter(|f| t.mask & f.1 != 0)
            .map(|f| format!("{}{}", if t.value & f.1 == 0 { "!" } else { "" }, f.0))
            .collect();
        let _ = write!(out, " tcp-flags={}", all.join(","));
    }
    match &m.lengths[..] {
        [] => {}
        [one] => {
            let _ = write!(out, " packet-size={one}");
        }
        _ => return no("a rule has one range of packet sizes"),
    }
    if m.fragment.is_some() {
        if family == Family::V6 {
            return no("an IPv6 rule can test for a fragment header, which first fragments have too");
        }
        out.push_str(" fragment=yes");
    }
    Ok(out)
}
