//! Writers of profile `compact`: Cisco IOS with port lists, permits, wildcards and object groups; nftables with sets;
//! Flowspec with lists of protocols, ports and lengths.

use super::names::FLAGS as NAMES;
use super::{Dialect, Written, acl, nft};
use crate::boxes::{DPORT, DST, FLAGS, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC, all, flag_test};
use crate::compact::{self, Caps, CompactLine, Found};
use crate::compile::{CompileError, Options, parts};
use crate::range::{Family, RangeSet};
use std::fmt::Write as _;
use suimon_base::{Action, RuleSet};

/// What a line can say in this profile; `None` where the dialect has no such profile.
pub fn caps(dialect: Dialect, family: Family) -> Option<Caps> {
    let v4 = family == Family::V4;
    let sets = Caps {
        port_ranges: true,
        port_list: usize::MAX,
        port_sets: true,
        proto_sets: true,
        flag_bits: 0xff,
        lengths: true,
        length_sets: true,
        port_protos: &[6, 17],
        permits: false,
        permit_takes_fragments: false,
        wildcards: false,
        address_sets: false,
    };
    match dialect {
        Dialect::Flowspec => Some(sets),
        Dialect::Nftables => Some(Caps { address_sets: true, port_protos: &[6, 17, 132, 136], ..sets }),
        Dialect::CiscoIos => Some(Caps {
            port_list: MAX_EQ,
            port_sets: false,
            proto_sets: false,
            flag_bits: if v4 { 0x3f } else { 0 },
            lengths: false,
            length_sets: false,
            permits: true,
            permit_takes_fragments: true,
            wildcards: v4,
            address_sets: v4,
            ..sets
        }),
        _ => None,
    }
}

/// Most ports after one `eq` in IOS.
const MAX_EQ: usize = 10;
/// Distance between sequence numbers.
const STEP: usize = 10;

/// Text of the profile and the fewest lines that any text of it has.
///
/// # Errors
/// Where the dialect has no such profile, a rule is a rate, or the rules cannot be said.
pub fn write(rules: &RuleSet, dialect: Dialect, options: &Options) -> Result<(Written, usize), CompileError> {
    if let Some(rule) = rules.rules.iter().position(|r| matches!(r.action, Action::LimitPps(_) | Action::LimitBps(_))) {
        let reason = "profile compact joins lines that drop; a rate belongs to its rule: use profile basic".into();
        return Err(CompileError::Unsupported { dialect, rule, reason });
    }
    let mut found: Vec<(Family, Found)> = Vec::new();
    for family in Family::BOTH {
        let Some(caps) = caps(dialect, family) else {
            let reason = "it has no profile compact here: use profile basic".into();
            return Err(CompileError::Unsupported { dialect, rule: 0, reason });
        };
        let boxes = parts(rules, family, dialect)?.discards;
        let lines = compact::lines(family, &boxes, &caps).map_err(|reason| CompileError::Cover { dialect, reason })?;
        if !lines.lines.is_empty() {
            found.push((family, lines));
        }
    }
    if found.is_empty() {
        return Err(CompileError::Nothing);
    }
    let mut written = match dialect {
        Dialect::CiscoIos => ios(&found, options)?,
        Dialect::Nftables => {
            let lines = found.iter().flat_map(|(f, l)| l.lines.iter().map(|l| (*f, l.order, &l.fields)));
            nft::compact(lines, options)?
        }
        _ => flowspec(&found, options)?,
    };
    let counted: usize = found.iter().map(|f| f.1.lines.len()).sum();
    let at_least = found.iter().map(|f| f.1.at_least).sum::<usize>() + (written.lines - counted);
    written.least = at_least == written.lines;
    Ok((written, at_least))
}

fn flag_words(b: &HeaderBox) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
    let (mask, value) = flag_test(&b[FLAGS])?;
    let names = |bits: u8| NAMES.iter().filter(|f| bits & f.1 != 0).map(|f| f.0).collect();
    Some((names(value), names(mask & !value)))
}

fn cannot(dialect: Dialect, l: &CompactLine, what: &str) -> CompileError {
    CompileError::Unsupported {
        dialect,
        rule: l.order,
        reason: format!("the joined lines leave {what}: use profile basic"),
    }
}

fn flowspec(found: &[(Family, Found)], options: &Options) -> Result<Written, CompileError> {
    let mut out = Written { text: String::new(), undo: String::new(), lines: 0, least: true, warnings: Vec::new() };
    let _ = writeln!(out.text, "# {}", options.full_name());
    for r in options.remarks() {
        let _ = writeln!(out.text, "# {r}");
    }
    for (family, l) in found.iter().flat_map(|(f, l)| l.lines.iter().map(move |l| (*f, l))) {
        let b = &l.fields;
        let whole = all(family);
        let mut parts: Vec<String> = Vec::new();
        for (field, word) in [(DST, "destination"), (SRC, "source")] {
            let nets = b[field].prefixes(family);
            let [net] = nets[..] else { return Err(cannot(Dialect::Flowspec, l, "several prefixes")) };
            // A rule without any prefix would not say its family.
            if net.prefix_len() > 0 || (field == DST && b[SRC] == whole[SRC]) {
                parts.push(format!("{word} {net}"));
            }
        }
        for (field, word) in [(PROTO, "protocol"), (DPORT, "destination-port"), (SPORT, "source-port")] {
            if b[field] != whole[field] {
                parts.push(format!("{word} {}", numeric(&b[field])));
            }
        }
        if b[FLAGS] != whole[FLAGS] {
            let (set, unset) = flag_words(b).ok_or_else(|| cannot(Dialect::Flowspec, l, "several tests of flags"))?;
            let terms = [("=", set), ("!", unset)].into_iter().filter(|t| !t.1.is_empty());
            let terms: Vec<String> = terms.map(|(sign, names)| format!("{sign}{}", names.join("+"))).collect();
            parts.push(format!("tcp-flags {}", terms.join("&")));
        }
        if b[LEN] != whole[LEN] {
            parts.push(format!("packet-length {}", numeric(&b[LEN])));
        }
        if b[FRAG].is(1, 1) {
            parts.push("fragment is-fragment".into());
        }
        let text = parts.join(" ");
        let _ = writeln!(out.text, "match {text} then discard");
        let _ = writeln!(out.undo, "withdraw match {text}");
        out.lines += 1;
    }
    Ok(out)
}

fn numeric(set: &RangeSet) -> String {
    let one = |&(lo, hi): &(u128, u128)| if lo == hi { format!("={lo}") } else { format!(">={lo}&<={hi}") };
    set.ranges().iter().map(one).collect::<Vec<_>>().join("|")
}

/// Named lists with the groups they use.
fn ios(found: &[(Family, Found)], options: &Options) -> Result<Written, CompileError> {
    let name = options.full_name();
    let mut out = Written { text: String::new(), undo: String::new(), lines: 0, least: true, warnings: Vec::new() };
    let mut groups: Vec<RangeSet> = Vec::new();
    let mut lists = String::new();
    let drops = Family::BOTH.map(|f| found.iter().any(|(g, _)| *g == f));
    let facts = &acl::facts::IOS;
    let names = acl::names_of::names(&name, drops, &[]);
    names.check(Dialect::CiscoIos, facts.list_name, facts.class_name)?;
    for (family, found) in found {
        let (list, kind, word, any) = match family {
            Family::V4 => (name.clone(), "ip access-list extended", "", "ip"),
            Family::V6 => (format!("{name}-V6"), "ipv6 access-list", "sequence ", "ipv6"),
        };
        let _ = writeln!(lists, "{kind} {list}");
        for r in options.remarks() {
            let _ = writeln!(lists, " remark {r}");
        }
        let mut number = 0;
        let mut row = |body: &str| {
            number += STEP;
            let _ = writeln!(lists, " {word}{number} {body}");
        };
        for l in &found.lines {
            row(&entry(l, *family, any, &name, &mut groups)?);
        }
        row(&format!("permit {any} any any"));
        out.lines += found.lines.len() + 1;
    }
    out.undo = acl::undo(facts, &names, options);
    out.warnings = acl::steps(facts, &names, options);
    if !drops[Family::V6 as usize] {
        out.warnings.push("the request names no IPv6 addresses: IPv6 traffic is not filtered".into());
    }
    for (i, set) in groups.iter().enumerate() {
        let _ = writeln!(out.text, "object-group network {}", group_name(&name, i));
        for &(lo, hi) in set.ranges() {
            let (a, b) = (Family::V4.addr(lo), Family::V4.addr(hi));
            let _ = match RangeSet::one(lo, hi).prefixes(Family::V4)[..] {
                [_] if lo == hi => writeln!(out.text, " host {a}"),
                [net] => writeln!(out.text, " {a} {}", net.netmask()),
                _ => writeln!(out.text, " range {a} {b}"),
            };
        }
        let _ = writeln!(out.undo, "no object-group network {}", group_name(&name, i));
    }
    if !groups.is_empty() {
        out.warnings.push(
            "a list with object groups takes as many hardware entries as its members multiplied; see `filter plan` for the \
             device"
                .into(),
        );
    }
    out.text.push_str(&lists);
    Ok(out)
}

fn group_name(list: &str, index: usize) -> String {
    format!("{list}-G{}", index + 1)
}

fn entry(
    l: &CompactLine,
    family: Family,
    any: &str,
    list: &str,
    groups: &mut Vec<RangeSet>,
) -> Result<String, CompileError> {
    let (b, whole) = (&l.fields, all(family));
    let bad = |what: &str| cannot(Dialect::CiscoIos, l, what);
    let proto = match b[PROTO].ranges() {
        _ if b[PROTO] == whole[PROTO] => any.to_owned(),
        [(6, 6)] => "tcp".into(),
        [(17, 17)] => "udp".into(),
        [(1, 1)] if family == Family::V4 => "icmp".into(),
        [(lo, hi)] if lo == hi => lo.to_string(),
        _ => return Err(bad("several protocols")),
    };
    let mut s = format!("{} {proto}", if l.deny { "deny" } else { "permit" });
    for (side, ports) in [(SRC, SPORT), (DST, DPORT)] {
        let place = place(&b[side], family, list, groups).ok_or_else(|| bad("several prefixes"))?;
        let _ = write!(s, " {place}");
        if b[ports] != whole[ports] {
            let _ = match b[ports].ranges() {
                [(lo, hi)] if hi - lo > 1 => write!(s, " range {lo} {hi}"),
                list => {
                    let singles: Vec<String> = list.iter().flat_map(|r| r.0..=r.1).map(|p| p.to_string()).collect();
                    if singles.len() > MAX_EQ {
                        return Err(bad("several ranges of ports"));
                    }
                    write!(s, " eq {}", singles.join(" "))
                }
            };
        }
    }
    if b[FLAGS] != whole[FLAGS] {
        let (set, unset) = flag_words(b).ok_or_else(|| bad("several tests of flags"))?;
        s.push_str(" match-all");
        for (sign, names) in [('+', set), ('-', unset)] {
            names.iter().for_each(|n| {
                let _ = write!(s, " {sign}{n}");
            });
        }
    }
    if b[FRAG].is(1, 1) {
        s.push_str(" fragments");
    }
    Ok(s)
}

/// Addresses as a line writes them: a prefix, a wildcard, or a group.
fn place(set: &RangeSet, family: Family, list: &str, groups: &mut Vec<RangeSet>) -> Option<String> {
    if set.is(0, family.max()) {
        return Some("any".into());
    }
    let nets = set.prefixes(family);
    if family == Family::V6 {
        let [net] = nets[..] else { return None };
        return Some(if net.prefix_len() == 128 { format!("host {}", net.addr()) } else { net.to_string() });
    }
    if let Some((value, free)) = wildcard(set) {
        return Some(match free {
            0 => format!("host {}", family.addr(value.into())),
            _ => format!("{} {}", family.addr(value.into()), family.addr(free.into())),
        });
    }
    let at = groups.iter().position(|g| g == set).unwrap_or_else(|| {
        groups.push(set.clone());
        groups.len() - 1
    });
    Some(format!("object-group {}", group_name(list, at)))
}

/// The IPv4 address and the bits that may differ from it, where these say exactly the set.
pub fn wildcard(set: &RangeSet) -> Option<(u32, u32)> {
    let first = set.ranges().first()?.0;
    // Within a range every bit up to the highest that its ends differ in takes both values somewhere.
    let within = |&(lo, hi): &(u128, u128)| {
        let differ = lo ^ hi;
        let low = if differ == 0 { 0 } else { u128::MAX >> differ.leading_zeros() };
        (lo ^ first) | low
    };
    let free = set.ranges().iter().map(within).fold(0, |m, x| m | x);
    let (value, free) = (u32::try_from(first & !free).ok()?, u32::try_from(free).ok()?);
    (set.count() == 1u128 << free.count_ones()).then_some((value, free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_sets_of_free_bits() {
        assert_eq!(wildcard(&RangeSet::new([(0, 0), (4, 4)])), Some((0, 4)));
        assert_eq!(wildcard(&RangeSet::new([(8, 9), (12, 13)])), Some((8, 5)));
        assert_eq!(wildcard(&RangeSet::new([(0, 0), (3, 3)])), None);
        assert_eq!(wildcard(&RangeSet::new([(1, 2)])), None);
        assert_eq!(wildcard(&RangeSet::one(16, 31)), Some((16, 15)));
    }
}
