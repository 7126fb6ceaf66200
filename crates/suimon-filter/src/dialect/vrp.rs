//! Writing Huawei VRP advanced ACLs, traffic policies and the steps around them.
//!
//! In a traffic policy an ACL rule that denies drops the packet whatever the behavior says, so the ACL of a class only
//! permits; that is exact, because a VRP rule with ports takes no non-first fragments.

use super::acl::names_of::{Names, names};
use super::acl::plan::{Limit, plan, rate, refuse};
use super::compact::{Drops, cannot, wildcard};
use super::{Dialect, Written};
use crate::boxes::{self, DPORT, DST, FRAG, PROTO, SPORT, SRC, all};
use crate::compact::CompactLine;
use crate::compile::{CompileError, Options};
use crate::cover::{Line, Shape};
use crate::range::Family;
use ipnet::IpNet;
use std::fmt::Write as _;
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, Rule, RuleSet};

const SHAPE: Shape = Shape { port_ranges: false, flag_bits: 0, lengths: false, port_protos: &[6, 17] };
/// Distance between rule numbers: the default step.
const STEP: usize = 5;
/// Longest name of an ACL, in characters.
const ACL_NAME: usize = 32;
/// Longest name of a classifier, behavior or policy, in characters.
const CLASS_NAME: usize = 31;
/// Longest description, in characters.
const DESCRIPTION: usize = 127;
/// Bits of the unit in which `car` counts.
const KBIT: u64 = 1_000;
/// Rates that `car` takes, in bits a second.
const BPS: (u64, u64) = (8 * KBIT, 4_294_967_295 * KBIT);
/// Rates that `car … limit-type pps` takes, in packets a second.
const PPS: (u64, u64) = (1, 4_294_967_295);

/// Protocol words that are written, by family; everything else is a number.
pub const PROTOS: [&[(&str, u8)]; 2] = [
    &[("gre", 47), ("icmp", 1), ("igmp", 2), ("ospf", 89), ("tcp", 6), ("udp", 17)],
    &[("icmpv6", 58), ("tcp", 6), ("udp", 17)],
];

fn head(family: Family) -> &'static str {
    if family == Family::V4 { "acl name" } else { "acl ipv6 name" }
}

/// ACLs for the families that the rules touch, and a traffic policy for their rates. The rules that drop are those of
/// `compact` where they are given, else the least of profile `basic`.
pub fn write(rules: &RuleSet, options: &Options, compact: Option<&Drops>) -> Result<Written, CompileError> {
    let dialect = Dialect::HuaweiVrp;
    for (rule, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = refused(r) {
            return refuse(dialect, rule, reason);
        }
    }
    let plan = plan(rules, dialect, SHAPE, compact.is_none())?;
    for l in &plan.limits {
        rate(dialect, l, Some(BPS), Some(PPS), "")?;
    }
    let drops = [0, 1].map(|f| compact.map_or(plan.drops[f].is_empty(), |c| c.lines[f].is_empty())).map(|none| !none);
    let names = names(&options.full_name(), drops, &plan.limits);
    names.check(dialect, ACL_NAME, CLASS_NAME)?;
    let mut out =
        Written { text: String::new(), undo: String::new(), lines: 0, least: plan.least, warnings: Vec::new() };
    for family in Family::BOTH {
        let Some(list) = &names.lists[family as usize] else { continue };
        let mut rows: Vec<String> = match compact {
            None => plan.drops[family as usize].iter().map(|l| entry("deny", l, family)).collect(),
            Some(c) => c.lines[family as usize].iter().map(|l| joined(l, family)).collect::<Result<_, _>>()?,
        };
        rows.push(format!("permit {}", any(family)));
        out.lines += rows.len();
        acl(&mut out.text, family, list, &rows, options);
    }
    for (limit, (_, lists)) in plan.limits.iter().zip(&names.classes) {
        for family in Family::BOTH {
            let Some(list) = &lists[family as usize] else { continue };
            let rows: Vec<String> = limit.lines[family as usize].iter().map(|l| entry("permit", l, family)).collect();
            out.lines += rows.len();
            acl(&mut out.text, family, list, &rows, options);
        }
    }
    policy(&mut out.text, &names, &plan.limits);
    if out.text.is_empty() {
        return Err(CompileError::Nothing);
    }
    out.undo = undo(&names, options);
    out.warnings = steps(&names, &plan.limits, options);
    if !names.all_lists().iter().any(|l| l.0 == Family::V6) {
        out.warnings.push("the request names no IPv6 addresses: IPv6 traffic is not filtered".into());
    }
    Ok(out)
}

/// Why VRP cannot say this, if it cannot.
fn refused(rule: &Rule) -> Option<&'static str> {
    let m = &rule.matches;
    if !m.lengths.is_empty() {
        return Some("an ACL rule cannot test the packet length; nftables and Flowspec can");
    }
    if m.tcp_flags.is_some() {
        return Some(
            "what several flags of tcp-flag mean together differs between VRP releases, so flags are not written",
        );
    }
    if m.fragment == Some(FragmentMatch::Later) && boxes::of_match(m, Family::V6).is_some() {
        return Some(
            "an IPv6 ACL rule has only `fragment`, which is not said to leave first fragments out; name the IPv4 \
                     addresses",
        );
    }
    let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    if ports && !m.proto.is_some_and(|p| SHAPE.port_protos.contains(&p)) {
        return Some("an ACL rule takes ports only with tcp and udp");
    }
    if let Action::LimitBps(bits) = rule.action
        && bits % KBIT != 0
    {
        return Some("car counts in kbit/s: use a multiple of 1000 bits a second");
    }
    None
}

fn any(family: Family) -> &'static str {
    if family == Family::V4 { "ip" } else { "ipv6" }
}

fn acl(out: &mut String, family: Family, name: &str, rows: &[String], options: &Options) {
    let _ = writeln!(out, "{} {name} advance", head(family));
    // An ACL has one description and each rule has one: a second replaces the first.
    let mut remarks = options.remarks().into_iter().map(|r| r.chars().take(DESCRIPTION).collect::<String>());
    if let Some(first) = remarks.next() {
        let _ = writeln!(out, " description {first}");
    }
    for (i, row) in rows.iter().enumerate() {
        let _ = writeln!(out, " rule {} {row}", (i + 1) * STEP);
    }
    let rest: Vec<String> = remarks.collect();
    let room = rows.len();
    for (i, text) in rest.iter().enumerate() {
        // With one rule the texts share its description.
        let (number, text) = if room >= rest.len() { ((i + 1) * STEP, text.clone()) } else { (STEP, rest.join("; ")) };
        let _ = writeln!(out, " rule {number} description {}", text.chars().take(DESCRIPTION).collect::<String>());
        if room < rest.len() {
            break;
        }
    }
    out.push_str("#\n");
}

fn proto(proto: Option<u8>, family: Family) -> String {
    let word = |p: u8| PROTOS[family as usize].iter().find(|x| x.1 == p).map_or_else(|| p.to_string(), |x| x.0.into());
    proto.map_or_else(|| any(family).to_owned(), word)
}

/// A rule of profile `compact`: ranges of ports, wildcards, permits.
fn joined(l: &CompactLine, family: Family) -> Result<String, CompileError> {
    let (b, whole) = (&l.fields, all(family));
    let bad = |what: &str| cannot(Dialect::HuaweiVrp, l, what);
    let number = match b[PROTO].ranges() {
        _ if b[PROTO] == whole[PROTO] => None,
        [(lo, hi)] if lo == hi => Some(*lo as u8),
        _ => return Err(bad("several protocols")),
    };
    let mut s = format!("{} {}", if l.deny { "deny" } else { "permit" }, proto(number, family));
    for (word, side, field) in [("source", SRC, SPORT), ("destination", DST, DPORT)] {
        if b[side] != whole[side] {
            let nets = b[side].prefixes(family);
            let text = match (&nets[..], wildcard(&b[side]).filter(|_| family == Family::V4)) {
                ([net], _) => address(net),
                (_, Some((value, free))) => format!("{} {}", family.addr(value.into()), family.addr(free.into())),
                _ => return Err(bad("several prefixes")),
            };
            let _ = write!(s, " {word} {text}");
        }
        if b[field] != whole[field] {
            let _ = match b[field].ranges() {
                [(lo, hi)] if lo == hi => write!(s, " {word}-port eq {lo}"),
                [(lo, hi)] => write!(s, " {word}-port range {lo} {hi}"),
                _ => return Err(bad("several ranges of ports")),
            };
        }
    }
    if b[FRAG].is(1, 1) {
        s.push_str(" fragment-type fragment-subseq");
    }
    Ok(s)
}

fn entry(action: &str, l: &Line, family: Family) -> String {
    let mut s = format!("{action} {}", proto(l.proto, family));
    for (word, net, port) in [("source", &l.src, l.sport), ("destination", &l.dst, l.dport)] {
        if net.prefix_len() > 0 {
            let _ = write!(s, " {word} {}", address(net));
        }
        if let Some(p) = port {
            let _ = write!(s, " {word}-port eq {}", p.lo);
        }
    }
    if l.later {
        s.push_str(" fragment-type fragment-subseq");
    }
    s
}

fn address(net: &IpNet) -> String {
    match net {
        IpNet::V4(n) if n.prefix_len() == 32 => format!("{} 0", n.addr()),
        IpNet::V4(n) => format!("{} {}", n.network(), n.hostmask()),
        IpNet::V6(n) => format!("{} {}", n.network(), n.prefix_len()),
    }
}

fn policy(text: &mut String, names: &Names, limits: &[Limit]) {
    let Some(policy) = &names.policy else { return };
    for (limit, (class, lists)) in limits.iter().zip(&names.classes) {
        let _ = writeln!(text, "traffic classifier {class} operator or");
        for (word, list) in [("acl", &lists[0]), ("ipv6 acl", &lists[1])] {
            if let Some(list) = list {
                let _ = writeln!(text, " if-match {word} name {list}");
            }
        }
        let _ = writeln!(text, "#\ntraffic behavior {class}");
        let _ = match limit.action {
            Action::LimitPps(n) => writeln!(text, " car cir {n} green pass red discard limit-type pps\n#"),
            Action::LimitBps(n) => writeln!(text, " car cir {} green pass red discard\n#", n / KBIT),
            Action::Permit | Action::Discard => continue,
        };
    }
    let _ = writeln!(text, "traffic policy {policy}");
    for (class, _) in &names.classes {
        let _ = writeln!(text, " classifier {class} behavior {class}");
    }
    text.push_str("#\n");
}

fn bindings(names: &Names, options: &Options) -> Vec<String> {
    let way = if options.outbound { "outbound" } else { "inbound" };
    let lists = [("acl", &names.lists[0]), ("ipv6 acl", &names.lists[1])];
    let mut out: Vec<String> = lists
        .iter()
        .filter_map(|(word, list)| list.as_ref().map(|l| format!("traffic-filter {way} {word} name {l}")))
        .collect();
    out.extend(names.policy.iter().map(|p| format!("traffic-policy {p} {way}")));
    out
}

/// `undo` of a binding leaves the name out where the direction says which.
fn unbind(binding: &str) -> String {
    match binding.split(' ').collect::<Vec<_>>()[..] {
        ["traffic-policy", name, way] => format!("undo traffic-policy {name} {way}"),
        _ => format!("undo {binding}"),
    }
}

fn undo(names: &Names, options: &Options) -> String {
    let bound: Vec<String> = bindings(names, options).iter().map(|b| unbind(b)).collect();
    let mut out: Vec<String> = Vec::new();
    if let Some(interface) = &options.interface {
        out.push(format!("interface {interface}"));
        out.extend(bound.iter().map(|b| format!(" {b}")));
        out.push("quit".into());
    } else {
        out.extend(bound.iter().map(|b| format!("# first, on every interface where it is bound: {b}")));
    }
    out.extend(names.policy.iter().map(|p| format!("undo traffic policy {p}")));
    for (class, _) in &names.classes {
        out.extend([format!("undo traffic classifier {class}"), format!("undo traffic behavior {class}")]);
    }
    out.extend(names.all_lists().iter().map(|(f, l)| format!("undo {} {l}", head(*f))));
    out.join("\n") + "\n"
}

fn steps(names: &Names, limits: &[Limit], options: &Options) -> Vec<String> {
    let interface = options.interface.as_deref().unwrap_or("INTERFACE");
    let bound = bindings(names, options);
    let quote = |l: Vec<String>| l.iter().map(|b| format!("`{b}`")).collect::<Vec<_>>().join(", ");
    let mut out = vec![
        format!(
            "before binding, read back what is bound with `display current-configuration interface {interface}` and \
             `display traffic-filter applied-record` and keep it: a traffic-filter of the same direction is replaced or \
             refused, and a traffic-policy of the same direction is refused until the old one is removed"
        ),
        format!("bind on `interface {interface}` with {}", quote(bound.clone())),
        format!(
            "before the undo, unbind with {} there and bind again what was read back",
            quote(bound.iter().map(|b| unbind(b)).collect())
        ),
        "on VRP 8 nothing takes effect before `commit`, for the list, the binding and the undo alike".into(),
    ];
    if limits.iter().any(|l| matches!(l.action, Action::LimitPps(_))) {
        out.push("`limit-type pps` exists on NetEngine routers with VRP 8; elsewhere the line is rejected: give the limit in \
                  bits a second there".into());
    }
    out
}
