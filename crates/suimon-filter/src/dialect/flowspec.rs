//! Writing Flowspec rules as text: one rule (one NLRI with its action) a line.
//!
//! `match destination 192.0.2.1/32 protocol =17 source-port =53 then discard`, with the components of RFC 8955 §4.2.2
//! (RFC 8956 for IPv6) in the order of their types.

use super::compact::{Drops, cannot};
use super::names::FLAGS;
use super::{Dialect, Written};
use crate::boxes::{self, DPORT, DST, FLAGS as FLAG_FIELD, FRAG, LEN, PROTO, SPORT, SRC, all, flag_test};
use crate::compact::CompactLine;
use crate::compile::{CompileError, Options, least_lines, parts};
use crate::cover::{self, Line, Shape};
use crate::range::{Family, RangeSet};
use std::fmt::Write as _;
use suimon_base::{Action, PortRange, RuleSet};

const SHAPE: Shape = Shape { port_ranges: true, flag_bits: 0xff, lengths: true, port_protos: &[6, 17] };

pub fn write(rules: &RuleSet, options: &Options, compact: Option<&Drops>) -> Result<Written, CompileError> {
    let refuse = |rule: usize, reason: &str| {
        Err(CompileError::Unsupported { dialect: Dialect::Flowspec, rule, reason: reason.into() })
    };
    let mut out = Written { text: String::new(), undo: String::new(), lines: 0, least: true, warnings: Vec::new() };
    let _ = writeln!(out.text, "# {}", options.full_name());
    for r in options.remarks() {
        let _ = writeln!(out.text, "# {r}");
    }
    let mut row = |text: &str, then: &str| {
        let _ = writeln!(out.text, "match {text} then {then}");
        let _ = writeln!(out.undo, "withdraw match {text}");
        out.lines += 1;
    };
    let mut least = true;
    for (rule, r) in rules.rules.iter().enumerate() {
        let ports = !r.matches.src_ports.is_empty() || !r.matches.dst_ports.is_empty();
        if ports && !r.matches.proto.is_some_and(|p| SHAPE.port_protos.contains(&p)) {
            return refuse(rule, "RFC 8955 defines the port components for TCP and UDP");
        }
    }
    let mut limited = vec![0usize; rules.rules.len()];
    let mut warnings = Vec::new();
    for family in Family::BOTH {
        let p = parts(rules, family, Dialect::Flowspec)?;
        match compact {
            None => {
                let (lines, proven) = least_lines(rules, family, Dialect::Flowspec, SHAPE)?;
                least &= proven;
                lines.iter().for_each(|l| row(&components(l, family), "discard"));
            }
            Some(drops) => {
                for l in &drops.lines[family as usize] {
                    row(&listed(l, family)?, "discard");
                }
            }
        }
        for (i, pieces) in &p.limits {
            let then = match rules.rules[*i].action {
                Action::LimitBps(bits) if bits % 8 != 0 => {
                    return refuse(*i, "the rate is in octets a second: use a multiple of 8 bits a second");
                }
                Action::LimitBps(bits) if !exact_float(bits / 8) => {
                    return refuse(*i, "the rate travels as a 32-bit float and this one is not exact in it");
                }
                Action::LimitPps(n) if !exact_float(n) => {
                    return refuse(*i, "the rate travels as a 32-bit float and this one is not exact in it");
                }
                Action::LimitBps(bits) => format!("rate-bytes {}", bits / 8),
                Action::LimitPps(n) => {
                    warnings.push(
                        "traffic-rate-packets (RFC 8955 §7.2) is not understood by GoBGP 3.10 and FRR 8.4".to_owned(),
                    );
                    format!("rate-packets {n}")
                }
                _ => continue,
            };
            if p.discards.iter().any(|d| pieces.iter().any(|x| boxes::overlap(x, &d.1))) {
                return refuse(
                    *i,
                    "it overlaps a discard, and RFC 8955 §5.1, not the request, orders overlapping rules",
                );
            }
            let boxes: Vec<_> = pieces.iter().map(|b| (*i, b.clone())).collect();
            let (lines, _) = cover::lines(family, &boxes, SHAPE)
                .map_err(|reason| CompileError::Cover { dialect: Dialect::Flowspec, reason })?;
            limited[*i] += lines.len();
            for l in &lines {
                row(&components(l, family), &then);
            }
        }
    }
    if let Some(i) = limited.iter().position(|&n| n > 1) {
        return refuse(
            i,
            "it needs several Flowspec rules, each with a rate of its own; name one prefix and one port range",
        );
    }
    out.least = least;
    warnings.dedup();
    warnings.push(
        "first read back what is announced (`gobgp global rib -a ipv4-flowspec` and `-a ipv6-flowspec`; BIRD `show route`; FRR \
         `show bgp ipv4 flowspec detail` and `show bgp ipv6 flowspec detail`) and keep it: a rule with the same components \
         replaces the one that is there. Announce the new version, then withdraw what only the old one has"
            .to_owned(),
    );
    out.warnings = warnings;
    if out.lines == 0 { Err(CompileError::Nothing) } else { Ok(out) }
}

fn exact_float(n: u64) -> bool {
    n > 0 && (n as f32) as u64 == n
}

fn components(l: &Line, family: Family) -> String {
    let mut parts: Vec<String> = Vec::new();
    // A rule without any prefix would not say its family.
    if l.dst.prefix_len() > 0 || l.src.prefix_len() == 0 {
        parts.push(format!("destination {}", if l.dst.prefix_len() > 0 { l.dst } else { family.net(0, 0) }));
    }
    if l.src.prefix_len() > 0 {
        parts.push(format!("source {}", l.src));
    }
    parts.extend(l.proto.map(|p| format!("protocol ={p}")));
    parts.extend(l.dport.map(|p| format!("destination-port {}", numeric(p))));
    parts.extend(l.sport.map(|p| format!("source-port {}", numeric(p))));
    parts.extend(l.flags.map(flag_words));
    parts.extend(l.length.map(|p| format!("packet-length {}", numeric(p))));
    if l.later {
        parts.push("fragment is-fragment".into());
    }
    parts.join(" ")
}

/// The components of a line with lists of numbers.
fn listed(l: &CompactLine, family: Family) -> Result<String, CompileError> {
    let (b, whole) = (&l.fields, all(family));
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
            parts.push(format!("{word} {}", numbers(&b[field])));
        }
    }
    if b[FLAG_FIELD] != whole[FLAG_FIELD] {
        let test = flag_test(&b[FLAG_FIELD]).ok_or_else(|| cannot(Dialect::Flowspec, l, "several tests of flags"))?;
        parts.push(flag_words(test));
    }
    if b[LEN] != whole[LEN] {
        parts.push(format!("packet-length {}", numbers(&b[LEN])));
    }
    if b[FRAG].is(1, 1) {
        parts.push("fragment is-fragment".into());
    }
    Ok(parts.join(" "))
}

fn numbers(set: &RangeSet) -> String {
    let one = |r: &(u128, u128)| numeric(PortRange { lo: r.0 as u16, hi: r.1 as u16 });
    set.ranges().iter().map(one).collect::<Vec<_>>().join("|")
}

fn flag_words((mask, value): (u8, u8)) -> String {
    let names = |bits: u8| FLAGS.iter().filter(|f| bits & f.1 != 0).map(|f| f.0).collect::<Vec<_>>().join("+");
    let set = (value != 0).then(|| format!("={}", names(value)));
    let unset = (mask & !value != 0).then(|| format!("!{}", names(mask & !value)));
    format!("tcp-flags {}", set.into_iter().chain(unset).collect::<Vec<_>>().join("&"))
}

fn numeric(p: PortRange) -> String {
    if p.lo == p.hi { format!("={}", p.lo) } else { format!(">={}&<={}", p.lo, p.hi) }
}
