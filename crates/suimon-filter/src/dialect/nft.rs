//! Writing an nftables ruleset: one table of its own, so that deleting the table is the exact undo.
//!
//! The chain hooks into prerouting before defragmentation and connection tracking (priority -400), so that fragments are
//! seen as they arrive and dropped packets cost no tracking entry. A rule takes sets, so equal rules are joined.
//!
//! The kernel reads `th` and `tcp` of a non-first fragment too, from octets that are no ports (seen with Linux 6.18: of
//! IPv4 from the payload, of IPv6 from the IPv6 header). So a rule with ports or flags must not be asked for them: IPv4
//! rules say so themselves; for IPv6, where no single rule can (a packet without fragment header has no offset), a line
//! lets those fragments go before the first such rule.

use super::compact::Drops;
use super::names::{FLAGS, nft_proto};
use super::{Dialect, Written};
use crate::boxes::{DPORT, DST, FLAGS as FLAG_FIELD, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC, all, flag_test, overlap};
use crate::compile::{CompileError, Options, parts};
use crate::range::{Family, RangeSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use suimon_base::{Action, RuleSet};

/// Just before defragmentation (-400).
const PRIORITY: i32 = -450;
/// Lets non-first fragments of IPv6 go.
const GUARD: &str = "frag frag-off != 0 accept";

pub fn write(rules: &RuleSet, options: &Options, compact: Option<&Drops>) -> Result<Written, CompileError> {
    let name = options.full_name().to_ascii_lowercase().replace('-', "_");
    let mut sets = Sets::default();
    let mut body: Vec<String> = Vec::new();
    let mut upper: Vec<String> = Vec::new();
    let mut limits: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut early: Vec<String> = Vec::new();
    let mut guarded = false;
    for family in Family::BOTH {
        let p = parts(rules, family, Dialect::Nftables)?;
        let mut discards = match compact {
            None => p.discards,
            Some(c) => c.lines[family as usize].iter().map(|l| (l.order, l.fields.clone())).collect(),
        };
        if compact.is_none() {
            join(&mut discards);
        }
        let ports = |b: &HeaderBox| family == Family::V6 && has_upper(b, family);
        guarded |= discards.iter().any(|d| ports(&d.1)) || p.limits.iter().any(|l| l.1.iter().any(ports));
        for (i, b) in &discards {
            let list = if ports(b) { &mut upper } else { &mut body };
            list.push(format!("{} drop", statement(b, family, *i, &mut sets)?));
        }
        for (i, pieces) in &p.limits {
            let rate = match rules.rules[*i].action {
                Action::LimitBps(bits) if bits % 8 == 0 && bits > 0 => format!("{} bytes/second", bits / 8),
                Action::LimitPps(n) if n > 0 => format!("{n}/second"),
                _ => return refuse(*i, "a rate is above 0, and one of bits a second a multiple of 8"),
            };
            let mut pieces: Vec<_> = pieces.iter().map(|b| (*i, b.clone())).collect();
            join(&mut pieces);
            for (_, b) in &pieces {
                let single = b[PROTO].count() == 1 || b[PROTO] == all(family)[PROTO];
                if !single {
                    return refuse(*i, "exceptions leave several protocols under one rate; name one protocol");
                }
                let text = format!("{} limit rate over {rate} drop", statement(b, family, *i, &mut sets)?);
                // A limit of IPv6 that takes fragments stands before the line that lets them go.
                if guarded && family == Family::V6 && !ports(b) {
                    if discards.iter().any(|(_, d)| ports(d) && overlap(d, b)) {
                        return refuse(
                            *i,
                            "a limit of IPv6 fragments cannot stand before the ports discarded out of it",
                        );
                    }
                    early.push(text.clone());
                }
                limits.entry(*i).or_default().push(text);
            }
        }
    }
    if let Some((i, _)) = limits.iter().find(|(_, l)| l.len() > 1) {
        return refuse(*i, "it needs several rules, each with a rate of its own; limit one family without exceptions");
    }
    body.extend(early.iter().cloned());
    if guarded {
        body.push(GUARD.into());
    }
    body.extend(upper);
    body.extend(limits.into_values().flatten().filter(|l| !early.contains(l)));
    if body.is_empty() {
        return Err(CompileError::Nothing);
    }
    Ok(table(&name, &sets, &body, options))
}

fn table(name: &str, sets: &Sets, body: &[String], options: &Options) -> Written {
    let mut text = String::new();
    for r in options.remarks() {
        let _ = writeln!(text, "# {r}");
    }
    // `create` fails where the table exists, so a new version never mixes with an old one.
    let _ = writeln!(text, "create table inet {name}");
    let _ = writeln!(text, "table inet {name} {{");
    sets.write(&mut text);
    let _ = writeln!(text, "\tchain prerouting {{");
    let _ = writeln!(text, "\t\ttype filter hook prerouting priority {PRIORITY}; policy accept;");
    for line in body {
        let _ = writeln!(text, "\t\t{line}");
    }
    text.push_str("\t}\n}\n");
    let warnings = vec![format!(
        "first read back what is there with `nft list ruleset` and keep it; load with `nft -f FILE`, all or nothing. The table \
         stands beside others and replaces nothing: to replace an earlier version, put `delete table inet` with its name \
         before `create table inet {name}` in the same file"
    )];
    Written { text, undo: format!("delete table inet {name}\n"), lines: body.len(), least: false, warnings }
}

fn refuse<T>(rule: usize, reason: &str) -> Result<T, CompileError> {
    Err(CompileError::Unsupported { dialect: Dialect::Nftables, rule, reason: reason.into() })
}

/// Joins boxes that differ in one field only, until none do.
pub(super) fn join(list: &mut Vec<(usize, HeaderBox)>) {
    loop {
        let before = list.len();
        for field in [DST, SRC, DPORT, SPORT, LEN, PROTO] {
            let mut groups: BTreeMap<HeaderBox, (usize, Vec<RangeSet>)> = BTreeMap::new();
            for (i, b) in list.drain(..) {
                let mut key = b;
                let own = std::mem::take(&mut key[field]);
                let slot = groups.entry(key).or_insert((i, Vec::new()));
                slot.0 = slot.0.min(i);
                slot.1.push(own);
            }
            list.extend(groups.into_iter().map(|(mut b, (i, sets))| {
                b[field] = RangeSet::new(sets.iter().flat_map(|s| s.ranges().iter().copied()));
                (i, b)
            }));
        }
        if list.len() >= before {
            list.sort();
            return;
        }
    }
}

/// Named sets of addresses, one for each distinct content.
#[derive(Default)]
struct Sets {
    names: BTreeMap<(Family, RangeSet), String>,
    order: Vec<(Family, RangeSet)>,
}

impl Sets {
    fn reference(&mut self, family: Family, set: &RangeSet) -> String {
        if set.ranges().len() == 1 {
            return range(family, set.ranges()[0]);
        }
        let next = self.order.len() + 1;
        let key = (family, set.clone());
        let order = &mut self.order;
        let name = self.names.entry(key).or_insert_with_key(|key| {
            order.push(key.clone());
            format!("addresses{next}")
        });
        format!("@{name}")
    }
    fn write(&self, text: &mut String) {
        for key in &self.order {
            let Some(name) = self.names.get(key) else { continue };
            let kind = if key.0 == Family::V4 { "ipv4_addr" } else { "ipv6_addr" };
            let _ = writeln!(text, "\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval");
            let list: Vec<String> = key.1.ranges().iter().map(|&r| range(key.0, r)).collect();
            let _ = writeln!(text, "\t\telements = {{ {} }}\n\t}}", list.join(",\n\t\t\t     "));
        }
    }
}

fn range(family: Family, r: (u128, u128)) -> String {
    let nets = RangeSet::one(r.0, r.1).prefixes(family);
    match nets[..] {
        [net] if net.prefix_len() == family.bits() => net.addr().to_string(),
        [net] => net.to_string(),
        _ => format!("{}-{}", family.addr(r.0), family.addr(r.1)),
    }
}

fn values(set: &RangeSet, word: impl Fn(u128) -> String) -> String {
    let one = |&(lo, hi): &(u128, u128)| if lo == hi { word(lo) } else { format!("{lo}-{hi}") };
    match set.ranges() {
        [r] => one(r),
        list => format!("{{ {} }}", list.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

/// Whether a rule for it looks behind the IP header.
fn has_upper(b: &HeaderBox, family: Family) -> bool {
    let whole = all(family);
    [SPORT, DPORT, FLAG_FIELD].iter().any(|&f| b[f] != whole[f])
}

fn statement(b: &HeaderBox, family: Family, rule: usize, sets: &mut Sets) -> Result<String, CompileError> {
    let whole = all(family);
    let ip = if family == Family::V4 { "ip" } else { "ip6" };
    let mut out: Vec<String> = Vec::new();
    if b[SRC] == whole[SRC] && b[DST] == whole[DST] {
        out.push(format!("meta nfproto {}", if family == Family::V4 { "ipv4" } else { "ipv6" }));
    }
    for (field, word) in [(SRC, "saddr"), (DST, "daddr")] {
        if b[field] != whole[field] {
            out.push(format!("{ip} {word} {}", sets.reference(family, &b[field])));
        }
    }
    let upper = has_upper(b, family);
    if b[PROTO] != whole[PROTO] {
        out.push(format!("meta l4proto {}", values(&b[PROTO], |p| nft_proto(p as u8))));
    }
    if b[FRAG].is(1, 1) {
        out.push(if family == Family::V4 { "ip frag-off & 0x1fff != 0" } else { "frag frag-off != 0" }.into());
    } else if b[FRAG].is(0, 0) && !upper {
        return refuse(rule, "only whole packets and first fragments, without a port or flag, cannot be said");
    } else if upper && family == Family::V4 {
        out.push("ip frag-off & 0x1fff == 0".into());
    }
    for (field, word) in [(SPORT, "sport"), (DPORT, "dport")] {
        if b[field] != whole[field] {
            out.push(format!("th {word} {}", values(&b[field], |p| p.to_string())));
        }
    }
    if b[FLAG_FIELD] != whole[FLAG_FIELD] {
        let Some((mask, value)) = flag_test(&b[FLAG_FIELD]) else {
            return refuse(rule, "after the exceptions the TCP flags are not one test of a mask");
        };
        let names = |bits: u8| {
            let list: Vec<&str> =
                FLAGS.iter().filter(|f| bits & f.1 != 0).map(|f| if f.1 == 64 { "ecn" } else { f.0 }).collect();
            if list.is_empty() { "0x0".to_owned() } else { list.join(" | ") }
        };
        out.push(format!("tcp flags & ({}) == {}", names(mask), names(value)));
    }
    if b[LEN] != whole[LEN] {
        // `ip6 length` leaves the header out, `meta length` does not.
        let what = if family == Family::V4 { "ip length" } else { "meta length" };
        out.push(format!("{what} {}", values(&b[LEN], |p| p.to_string())));
    }
    Ok(out.join(" "))
}
