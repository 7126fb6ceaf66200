//! Writing lists, classes and policies.

use super::super::Written;
use super::super::compact::Drops;
use super::super::names::FLAGS;
use super::compact::{self, Groups};
use super::facts::{Facts, Flags};
use super::names_of::names;
use super::plan::{plan, rate, refuse};
use super::{police, swap};
use crate::boxes;
use crate::compile::{CompileError, Options};
use crate::cover::{Line, Shape};
use crate::range::Family;
use ipnet::IpNet;
use std::fmt::Write as _;
use suimon_base::{PortRange, Rule, RuleSet};

/// Distance between sequence numbers, so that a person can put a line between two.
const STEP: usize = 10;
/// TCP flags that the platforms know: fin syn rst psh ack urg.
const KNOWN_FLAGS: u8 = 0x3f;

/// Lists for the families that the rules touch, and a policy for their rates. The lines that drop are those of `compact`
/// where they are given, else the least of profile `basic`.
pub fn write(
    facts: &Facts,
    rules: &RuleSet,
    options: &Options,
    compact: Option<&Drops>,
) -> Result<Written, CompileError> {
    for (rule, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = refused(facts, r) {
            return refuse(facts.dialect, rule, reason);
        }
    }
    let shape = Shape { port_ranges: false, flag_bits: KNOWN_FLAGS, lengths: facts.lengths, port_protos: &[6, 17] };
    let plan = plan(rules, facts.dialect, shape, compact.is_none())?;
    for l in &plan.limits {
        rate(facts.dialect, l, facts.police.bps, facts.police.pps, facts.police.no_pps)?;
    }
    let lines = || plan.drops.iter().chain(plan.limits.iter().flat_map(|l| &l.lines)).flatten();
    if let Some(line) = lines().find(|l| !says_flags(facts, l.flags)) {
        return refuse(
            facts.dialect,
            line.order,
            "several rules together leave a test of TCP flags that one line of this \
             dialect cannot say; it names one flag that is set",
        );
    }
    let name = options.full_name();
    let drops = [0, 1].map(|f| compact.map_or(plan.drops[f].is_empty(), |c| c.lines[f].is_empty())).map(|none| !none);
    let names = names(&name, drops, &plan.limits);
    names.check(facts.dialect, facts.list_name, facts.class_name)?;
    let mut out =
        Written { text: String::new(), undo: String::new(), lines: 0, least: plan.least, warnings: Vec::new() };
    let mut groups = Groups::new(facts, &name);
    let mut lists = String::new();
    for family in Family::BOTH {
        let Some(list) = &names.lists[family as usize] else { continue };
        let mut rows: Vec<String> = match compact {
            None => plan.drops[family as usize].iter().map(|l| entry(facts, "deny", l, family)).collect(),
            Some(c) => {
                let rows = c.lines[family as usize].iter().map(|l| compact::entry(facts, l, family, &mut groups));
                rows.collect::<Result<_, _>>()?
            }
        };
        rows.push(format!("permit {} any any", facts.any(family)));
        out.lines += rows.len();
        list_text(facts, &mut lists, family, list, &rows, options);
    }
    groups.check()?;
    let heads = groups.heads();
    out.text = groups.text() + &lists;
    for (limit, (_, lists)) in plan.limits.iter().zip(&names.classes) {
        for family in Family::BOTH {
            let Some(list) = &lists[family as usize] else { continue };
            let guard = limit
                .guard
                .filter(|_| facts.class_deny)
                .map(|p| format!("deny {} any any fragments", proto(facts, Some(p), family)));
            let selects = limit.lines[family as usize].iter().map(|l| entry(facts, "permit", l, family));
            let rows: Vec<String> = guard.into_iter().chain(selects).collect();
            out.lines += rows.len();
            list_text(facts, &mut out.text, family, list, &rows, options);
        }
    }
    police::write(facts, &mut out.text, &names, &plan.limits);
    if out.text.is_empty() {
        return Err(CompileError::Nothing);
    }
    if facts.commit {
        out.text.push_str("commit\n");
    }
    out.undo = swap::undo(facts, &names, &heads, options);
    out.warnings = swap::steps(facts, &names, options);
    if !heads.is_empty() {
        out.warnings.push(
            "a list with object groups takes as many hardware entries as its members multiplied; see `filter plan` for the \
             device"
                .into(),
        );
    }
    let v6 = names.all_lists().iter().any(|l| l.0 == Family::V6);
    if !v6 {
        out.warnings.push("the request names no IPv6 addresses: IPv6 traffic is not filtered".into());
    }
    Ok(out)
}

/// Why the platform cannot say this, if it cannot.
fn refused(facts: &Facts, rule: &Rule) -> Option<&'static str> {
    let m = &rule.matches;
    let v6 = boxes::of_match(m, Family::V6).is_some();
    if !m.lengths.is_empty() && !facts.lengths {
        return Some("an access list cannot test the packet length; nftables and Flowspec can");
    }
    if !m.lengths.is_empty() && v6 {
        return Some(
            "packet-length is the total length in IPv4; for IPv6 its meaning is not documented, so name the IPv4 \
                     addresses",
        );
    }
    if m.tcp_flags.is_some_and(|t| t.mask & !KNOWN_FLAGS != 0) {
        return Some("an access list tests only the TCP flags fin syn rst psh ack urg, not ece and cwr");
    }
    if facts.flags == Flags::Signed && m.tcp_flags.is_some() && v6 {
        return Some("an IPv6 access list cannot say that a TCP flag is not set; name the IPv4 addresses");
    }
    if m.tcp_flags.is_some_and(|t| !says_flags(facts, Some((t.mask, t.value)))) {
        return Some(
            "a line names one TCP flag that is set; neither a flag that is not set nor several at once can be \
                     said",
        );
    }
    let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    if ports && !m.proto.is_some_and(|p| matches!(p, 6 | 17)) {
        return Some("an access list takes ports only with tcp and udp");
    }
    None
}

fn says_flags(facts: &Facts, flags: Option<(u8, u8)>) -> bool {
    facts.flags == Flags::Signed || flags.is_none_or(|(mask, value)| mask == value && mask.is_power_of_two())
}

fn list_text(facts: &Facts, out: &mut String, family: Family, name: &str, rows: &[String], options: &Options) {
    let _ = writeln!(out, "{} {name}", facts.head[family as usize]);
    let (indent, word) = (facts.indent, facts.sequence[family as usize]);
    let mut number = 0;
    let mut next = || {
        number += STEP;
        number
    };
    for r in options.remarks() {
        let _ = match facts.numbered_remarks {
            true => writeln!(out, "{indent}{} remark {r}", next()),
            false => writeln!(out, "{indent}remark {r}"),
        };
    }
    for row in rows {
        let _ = writeln!(out, "{indent}{word}{} {row}", next());
    }
    if facts.commit {
        out.push_str("!\n");
    }
}

/// The word of a protocol.
pub fn proto(facts: &Facts, proto: Option<u8>, family: Family) -> String {
    let Some(p) = proto else { return facts.any(family).into() };
    let word = facts.protos[family as usize].iter().find(|x| x.1 == p);
    word.map_or_else(|| p.to_string(), |x| x.0.into())
}

fn entry(facts: &Facts, action: &str, l: &Line, family: Family) -> String {
    let (src, dst) = (address(facts, &l.src), address(facts, &l.dst));
    let mut s = format!("{action} {} {src}{} {dst}{}", proto(facts, l.proto, family), port(l.sport), port(l.dport));
    if let Some(test) = l.flags {
        s.push_str(&flag_words(facts, test));
    }
    if l.later {
        s.push_str(" fragments");
    }
    if let Some(n) = l.length {
        s.push_str(&length(n.lo.into(), n.hi.into()));
    }
    s
}

/// A test of TCP flags (mask, value), with a space before it.
pub fn flag_words(facts: &Facts, (mask, value): (u8, u8)) -> String {
    let mut s = String::new();
    if facts.flags == Flags::Signed {
        s.push_str(" match-all");
    }
    for (name, bit) in FLAGS.iter().filter(|f| mask & f.1 != 0) {
        let sign = match facts.flags {
            Flags::OneSet => "",
            Flags::Signed if value & bit != 0 => "+",
            Flags::Signed => "-",
        };
        let _ = write!(s, " {sign}{name}");
    }
    s
}

/// A range of lengths in octets, with a space before it.
pub fn length(lo: u128, hi: u128) -> String {
    if lo == hi { format!(" packet-length eq {lo}") } else { format!(" packet-length range {lo} {hi}") }
}

fn port(p: Option<PortRange>) -> String {
    p.map_or_else(String::new, |p| format!(" eq {}", p.lo))
}

/// A prefix as a line writes it.
pub fn address(facts: &Facts, net: &IpNet) -> String {
    let host = net.prefix_len() == net.max_prefix_len();
    match net {
        n if n.prefix_len() == 0 => "any".into(),
        n if host && facts.host => format!("host {}", n.addr()),
        IpNet::V4(n) if !facts.slash => format!("{} {}", n.network(), n.hostmask()),
        n => n.to_string(),
    }
}
