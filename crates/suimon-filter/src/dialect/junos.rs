//! Writing Junos firewall filters in braces, for `load merge terminal`: comments survive there as annotations, which
//! lines of `set` lose.

use super::compact::Drops;
use super::except::with_exceptions;
use super::names::{FLAGS, junos_proto};
use super::terms::{Entry, entries, list_name, nothing, refuse, remark};
use super::{Dialect, Written};
use crate::compile::{CompileError, Options};
use crate::cover::Shape;
use crate::range::{Family, RangeSet, bounds};
use std::fmt::Write as _;
use suimon_base::{Action, PortRange, RuleSet};

const SHAPE: Shape = Shape { port_ranges: true, flag_bits: 0x3f, lengths: true, port_protos: &[6, 17] };
/// Distance between the numbers in term names, so that a person can name one between two.
const STEP: usize = 10;
/// Least `bandwidth-limit` that Junos takes, in bits a second.
const MIN_BPS: u64 = 8_000;
/// Below this, in bits a second, older platforms police at 30,520 bit/s instead (Junos 9.3 and 10.1, `bandwidth-limit`).
const EXACT_BPS: u64 = 61_040;
/// Least and most `burst-size-limit`, in octets: ten full packets, and the most of MPCs.
const BURST_BYTES: (u64, u64) = (15_000, 100_000_000_000);
/// Least and most `packet-burst`, in packets.
const BURST_PACKETS: (u64, u64) = (10, 24_414_062);

pub fn write(rules: &RuleSet, options: &Options, compact: Option<&Drops>) -> Result<Written, CompileError> {
    let lists = entries(rules, Dialect::Junos, SHAPE, compact)?;
    let mut out = nothing(&lists)?;
    let mut policers = String::new();
    let mut families = String::new();
    let mut undo = Vec::new();
    let mut unbind = Vec::new();
    for family in Family::BOTH {
        let list = &lists[family as usize];
        if list.is_empty() {
            continue;
        }
        let name = list_name(options, family);
        let word = family_word(family);
        undo.insert(0, format!("delete firewall family {word} filter {name}"));
        let _ = writeln!(families, "    family {word} {{");
        if !options.remarks().is_empty() {
            let _ = writeln!(families, "        /* {} */", remark(options));
        }
        let _ = writeln!(families, "        filter {name} {{");
        for (i, e) in list.iter().enumerate() {
            if family == Family::V6 && e.matches.fragment.is_some() {
                return refuse(Dialect::Junos, e.rule, "family inet6 has no test for only the non-first fragments");
            }
            let policer = match e.action {
                Action::Discard | Action::Permit => None,
                limit => {
                    let policer = format!("{}-R{}", options.full_name(), e.rule);
                    policers.push_str(&policer_text(&policer, limit, e.rule, &mut out.warnings)?);
                    undo.push(format!("delete firewall policer {policer}"));
                    Some(policer)
                }
            };
            let name = format!("T{}", (i + 1) * STEP);
            term(&mut families, &name, (e, family, compact.is_some()), policer.as_deref());
        }
        families.push_str("            term REST {\n                then accept;\n            }\n        }\n    }\n");
        out.lines += list.len() + 1;
        let at = interface(options);
        let way = if options.outbound { "output" } else { "input" };
        let mark = if options.interface.is_some() { "" } else { "# first, on every interface where it is bound: " };
        unbind.push(format!("{mark}delete {at} family {word} filter {way} {name}"));
        out.warnings.push(format!(
            "enter it with `load merge terminal`, look with `show | compare`, and `commit confirmed`; first read back what is \
             bound with `show configuration {at} family {word} filter | display set` and keep it: `set {at} family {word} \
             filter {way} {name}` replaces it, and what it filtered is then open. Before the undo, unbind and bind again what \
             was read back"
        ));
    }
    let _ = writeln!(out.text, "firewall {{\n{policers}{families}}}");
    unbind.extend(undo);
    out.undo = unbind.join("\n") + "\n";
    Ok(out)
}

/// `ge-0/0/0.100` as Junos configures it.
fn interface(options: &Options) -> String {
    let name = options.interface.as_deref().unwrap_or("INTERFACE.UNIT");
    let (port, unit) = name.rsplit_once('.').unwrap_or((name, "0"));
    format!("interfaces {port} unit {unit}")
}

/// Junos's word for a family.
pub fn family_word(family: Family) -> &'static str {
    if family == Family::V4 { "inet" } else { "inet6" }
}

fn policer_text(name: &str, limit: Action, rule: usize, warnings: &mut Vec<String>) -> Result<String, CompileError> {
    let (kind, first, second) = match limit {
        Action::LimitBps(n) if n < MIN_BPS => {
            return refuse(Dialect::Junos, rule, "bandwidth-limit is at least 8000 bits a second");
        }
        Action::LimitBps(n) => {
            if n < EXACT_BPS {
                warnings.push(format!("older platforms police {n} bit/s at 30,520 bit/s"));
            }
            // 5 ms of the rate in octets, but never less than some full packets.
            let burst = (n / 1_600).clamp(BURST_BYTES.0, BURST_BYTES.1);
            ("if-exceeding", format!("bandwidth-limit {n}"), format!("burst-size-limit {burst}"))
        }
        Action::LimitPps(n) if n > 0 => {
            warnings.push("if-exceeding-pps needs MPCs in MX (Junos 16.1 or later)".into());
            // 100 ms of the rate in packets.
            let burst = (n / 10).clamp(BURST_PACKETS.0, BURST_PACKETS.1);
            ("if-exceeding-pps", format!("pps-limit {n}"), format!("packet-burst {burst}"))
        }
        _ => return refuse(Dialect::Junos, rule, "a rate is above 0"),
    };
    Ok(format!(
        "    policer {name} {{\n        {kind} {{\n            {first};\n            {second};\n        }}\n        \
         then discard;\n    }}\n"
    ))
}

fn term(out: &mut String, name: &str, (e, family, except): (&Entry, Family, bool), policer: Option<&str>) {
    let _ = writeln!(out, "            term {name} {{\n                from {{");
    let m = &e.matches;
    for (word, list) in [("source-address", &m.src), ("destination-address", &m.dst)] {
        if !list.is_empty() {
            let _ = writeln!(out, "                    {word} {{");
            let set = RangeSet::new(list.iter().map(bounds));
            match except.then(|| with_exceptions(family, &set)).filter(|l| l.len() < list.len()) {
                Some(shorter) => shorter.iter().for_each(|(n, inside)| {
                    let _ = writeln!(out, "                        {n}{};", if *inside { "" } else { " except" });
                }),
                None => list.iter().for_each(|n| {
                    let _ = writeln!(out, "                        {n};");
                }),
            }
            let _ = writeln!(out, "                    }}");
        }
    }
    let mut row = |text: String| {
        let _ = writeln!(out, "                    {text};");
    };
    let protos: Vec<String> = e.all_protos().into_iter().map(junos_proto).collect();
    if !protos.is_empty() {
        // next-header would look at the first header only, which may be an extension.
        let word = if family == Family::V4 { "protocol" } else { "payload-protocol" };
        row(format!("{word} {}", bracketed(&protos)));
    }
    for (word, list) in
        [("source-port", &m.src_ports), ("destination-port", &m.dst_ports), ("packet-length", &m.lengths)]
    {
        if !list.is_empty() {
            row(format!("{word} {}", numbers(list)));
        }
    }
    if let Some(t) = m.tcp_flags {
        let list: Vec<String> = FLAGS
            .iter()
            .filter(|f| t.mask & f.1 != 0)
            .map(|f| format!("{}{}", if t.value & f.1 == 0 { "!" } else { "" }, junos_flag(f.0)))
            .collect();
        row(format!("tcp-flags \"({})\"", list.join(" & ")));
    }
    if m.fragment.is_some() {
        row("is-fragment".into());
    }
    let then = match policer {
        None if e.action == Action::Permit => format!("count {name};\n                    accept;"),
        None => format!("count {name};\n                    discard;"),
        Some(p) => format!("policer {p};\n                    count {name};\n                    accept;"),
    };
    let _ =
        writeln!(out, "                }}\n                then {{\n                    {then}\n                }}");
    let _ = writeln!(out, "            }}");
}

/// Junos spells two flags out.
fn junos_flag(name: &str) -> &str {
    match name {
        "psh" => "push",
        "urg" => "urgent",
        other => other,
    }
}

fn numbers(list: &[PortRange]) -> String {
    bracketed(&list.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn bracketed(list: &[String]) -> String {
    if let [one] = list { one.clone() } else { format!("[ {} ]", list.join(" ")) }
}
