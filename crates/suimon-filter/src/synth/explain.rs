//! Figures over the observations themselves, and the words.

use super::observe::Observation;
use super::output::{Missing, Point, RuleOutput, Shares, Synthesis, Traffic};
use super::pick::Value;
use super::universe::{Universe, span_us};
use super::{Ask, Solution};
use crate::compile::Compiled;
use std::fmt::Write as _;
use suimon_base::{Match, PortRange};

/// What the answer is told from.
pub struct Facts<'a> {
    pub u: &'a Universe,
    pub attack: &'a [&'a Observation],
    pub baseline: &'a [&'a Observation],
    pub ask: &'a Ask,
    pub solution: &'a Solution,
    pub rules: &'a [Match],
    pub compiled: Option<Compiled>,
    pub missing: Option<Missing>,
    pub held_out: Option<Shares>,
    pub timed: bool,
}

/// Packets taken: attack, legitimate, legitimate new connections.
#[derive(Clone, Copy, Default)]
struct Taken {
    attack: f64,
    legit: f64,
    opens: f64,
}

fn share(part: f64, whole: f64) -> f64 {
    // Six digits: more would only show the order of additions.
    // Nothing summed up is minus zero; nobody wants to read that.
    if whole > 0.0 && part > 0.0 { (part / whole * 1e6).round() / 1e6 } else { 0.0 }
}

/// What some rules take of the attack and of the traffic before.
pub fn shares(u: &Universe, attack: &[&Observation], baseline: &[&Observation], rules: &[Match]) -> Shares {
    let (mut all, mut own) = (Taken::default(), Taken::default());
    for o in attack.iter().filter(|o| u.targets(o)) {
        let w = u.attack_packets(o);
        all.attack += w;
        if rules.iter().any(|m| o.taken(m, false)) {
            own.attack += w;
        }
    }
    for o in baseline.iter().filter(|o| u.targets(o)) {
        let (w, opens) = (o.packets as f64, if o.opens() { o.packets as f64 } else { 0.0 });
        (all.legit, all.opens) = (all.legit + w, all.opens + opens);
        if rules.iter().any(|m| o.taken(m, true)) {
            (own.legit, own.opens) = (own.legit + w, own.opens + opens);
        }
    }
    Shares {
        attack: share(own.attack, all.attack),
        legit: share(own.legit, all.legit),
        connections: (all.opens > 0.0).then(|| share(own.opens, all.opens)),
    }
}

/// A point of the curve.
pub fn point(u: &Universe, rules: usize, v: Value, best: bool) -> Point {
    let shares = Shares {
        attack: share(v.attack, u.attack_total),
        legit: share(v.packets, u.legit_total),
        connections: (u.opens_total > 0.0).then(|| share(v.opens, u.opens_total)),
    };
    Point { rules, shares, best }
}

/// Per cent with one digit, more near the ends.
fn percent(x: f64) -> String {
    let p = x * 100.0;
    let digits = if (p > 0.0 && p < 0.1) || (p > 99.9 && p < 100.0) { 3 } else { 1 };
    // Nearly all is never shown as all, and nearly nothing never as nothing.
    let scale = 10f64.powi(digits);
    let p = if p < 100.0 { (p * scale).floor() / scale } else { p };
    if p == 0.0 && x > 0.0 { "under 0.001 %".to_owned() } else { format!("{p:.0$} %", digits as usize) }
}

fn ports(list: &[PortRange]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn proto_name(p: u8) -> String {
    match p {
        1 => "ICMP".into(),
        6 => "TCP".into(),
        17 => "UDP".into(),
        47 => "GRE".into(),
        50 => "ESP".into(),
        58 => "ICMPv6".into(),
        n => format!("protocol {n}"),
    }
}

fn flag_words(mask: u8, value: u8) -> String {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let of = |bits: u8| NAMES.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|x| *x.1).collect::<Vec<_>>();
    match (of(value).join("+"), of(mask & !value).join("+")) {
        (set, unset) if unset.is_empty() => set,
        (set, unset) if set.is_empty() => format!("without {unset}"),
        (set, unset) => format!("{set} without {unset}"),
    }
}

/// A rule in words.
pub fn words(m: &Match) -> String {
    let mut s = m.proto.map_or_else(|| "everything".to_owned(), proto_name);
    if !m.src.is_empty() {
        let _ = write!(s, " from {}", m.src.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    }
    if !m.src_ports.is_empty() {
        let _ = write!(s, " from port {}", ports(&m.src_ports));
    }
    let _ = write!(s, " to {}", m.dst.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    if !m.dst_ports.is_empty() {
        let _ = write!(s, " port {}", ports(&m.dst_ports));
    }
    if let Some(t) = m.tcp_flags {
        let _ = write!(s, ", {}", flag_words(t.mask, t.value));
    }
    if m.fragment.is_some() {
        s.push_str(", non-first fragments");
    }
    if !m.lengths.is_empty() {
        let _ = write!(s, ", {} octets long", ports(&m.lengths));
    }
    s
}

/// A match without one of its conditions, and the condition's name.
fn without(m: &Match) -> Vec<(&'static str, Match)> {
    let mut out = Vec::new();
    let mut put = |there: bool, name: &'static str, change: fn(&mut Match)| {
        if there {
            let mut wider = m.clone();
            change(&mut wider);
            out.push((name, wider));
        }
    };
    put(!m.src_ports.is_empty(), "source port", |m| m.src_ports.clear());
    put(!m.dst_ports.is_empty(), "destination port", |m| m.dst_ports.clear());
    put(m.tcp_flags.is_some(), "TCP flags", |m| m.tcp_flags = None);
    put(m.fragment.is_some(), "fragment", |m| m.fragment = None);
    put(!m.lengths.is_empty(), "length", |m| m.lengths.clear());
    put(!m.src.is_empty(), "source prefix", |m| m.src.clear());
    let bare = m.src_ports.is_empty() && m.dst_ports.is_empty() && m.tcp_flags.is_none();
    put(m.proto.is_some() && bare, "protocol", |m| m.proto = None);
    out
}

fn legit_of(f: &Facts<'_>, m: &Match) -> f64 {
    let own = f.baseline.iter().filter(|o| f.u.targets(o) && o.taken(m, true));
    own.map(|o| o.packets as f64).sum()
}

fn why(f: &Facts<'_>, m: &Match, legit: f64) -> Vec<String> {
    let mut out = Vec::new();
    for (name, wider) in without(m) {
        let then = legit_of(f, &wider);
        if then > legit {
            out.push(format!(
                "{name}: without it the rule would take {} of the legitimate packets instead of {}",
                percent(share(then, f.u.legit_total)),
                percent(share(legit, f.u.legit_total))
            ));
        } else {
            out.push(format!(
                "{name}: all that the rule takes of the attack has it, so naming it costs nothing and spares what was not \
                 seen yet"
            ));
        }
    }
    out.push("destination: the target".into());
    out
}

fn rules(f: &Facts<'_>) -> Vec<RuleOutput> {
    let mut sums = vec![(0.0, 0.0); f.rules.len()];
    for o in f.attack.iter().filter(|o| f.u.targets(o)) {
        let mut first = true;
        for (m, s) in f.rules.iter().zip(&mut sums) {
            if o.taken(m, false) {
                let w = f.u.attack_packets(o);
                s.1 += w;
                if std::mem::take(&mut first) {
                    s.0 += w;
                }
            }
        }
    }
    let one = |(m, (adds, all)): (&Match, (f64, f64))| {
        let legit = legit_of(f, m);
        RuleOutput {
            matches: m.clone(),
            words: words(m),
            adds_attack_packets: adds.round() as u64,
            adds_attack: share(adds, f.u.attack_total),
            attack_packets: all.round() as u64,
            legit_packets: legit.round() as u64,
            why: why(f, m, legit),
        }
    };
    f.rules.iter().zip(sums).map(one).collect()
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 120.0 => format!("{:.0} minutes", s / 60.0),
        s if s >= 2.0 => format!("{s:.0} seconds"),
        s => format!("{s:.3} seconds"),
    }
}

fn counterfactual(s: &Shares, t: &Traffic) -> String {
    let when = t
        .attack_seconds
        .map_or_else(|| "In the attack's flows".into(), |x| format!("In the {} of the attack's flows", time(x)));
    let before =
        t.baseline_seconds.map_or_else(|| "in the baseline".into(), |x| format!("in the {} of the baseline", time(x)));
    let mut out = format!(
        "{when} this would have dropped {} of the attack's {} packets, and {} of the {} packets {before}",
        percent(s.attack),
        t.attack_packets,
        percent(s.legit),
        t.baseline_packets
    );
    if let Some(c) = s.connections {
        let _ = write!(out, " with {} of its new TCP connections", percent(c));
    }
    out.push('.');
    out
}

/// Why the limits cannot be kept.
pub fn missing(
    ask: &Ask,
    any_of: Vec<&'static str>,
    all_of: Vec<&'static str>,
    cost: Option<Point>,
    trade_off: Vec<Point>,
) -> Missing {
    let limits = format!(
        "{} of the attack with at most {} of the rest in {} rule{}",
        percent(ask.min_attack),
        percent(ask.max_legit),
        ask.max_rules,
        if ask.max_rules == 1 { "" } else { "s" }
    );
    let mut words = format!("{} cannot drop {limits} on these flows.", ask.dialect);
    if !any_of.is_empty() {
        let _ = write!(words, " It would take one more field: {}.", any_of.join(", or "));
    } else if !all_of.is_empty() {
        let _ = write!(words, " It would take several more fields together: {}.", all_of.join(", "));
    } else {
        words.push_str(
            " No header field that was recorded separates them either: what tells them apart is in the payload, in the \
             answer to a challenge (SYN cookies, validation of the source), or in how often a source comes.",
        );
    }
    if any_of.iter().chain(&all_of).any(|f| matches!(*f, "TTL" | "ICMP type")) {
        words.push_str(" Rules of this program have no TTL and no ICMP type.");
    }
    if let Some(p) = &cost {
        let connections = p
            .shares
            .connections
            .map_or_else(String::new, |c| format!(" and {} of the new TCP connections", percent(c)));
        let _ = write!(
            words,
            " With the fields there are, dropping {} of the attack costs {} of the legitimate packets{connections}.",
            percent(p.shares.attack),
            percent(p.shares.legit)
        );
    }
    // The last point is what was just said.
    let less: Vec<String> = trade_off
        .iter()
        .filter(|p| cost.is_none_or(|c| p.shares.attack < c.shares.attack - 1e-9))
        .map(|p| {
            let loss = p.shares.connections.map_or(p.shares.legit, |c| c.max(p.shares.legit));
            format!("{} of the attack for {} of the rest", percent(p.shares.attack), percent(loss))
        })
        .collect();
    if !less.is_empty() {
        let _ = write!(words, " Less costs less: {}.", less.join("; "));
    }
    let names = |l: Vec<&str>| l.into_iter().map(str::to_owned).collect();
    Missing { any_of: names(any_of), all_of: names(all_of), cost, trade_off, words }
}

fn traffic(f: &Facts<'_>) -> Traffic {
    let seconds = |list: &[&Observation]| span_us(list.iter().copied()).map(|us| us as f64 / 1e6);
    let elsewhere: u64 = f.attack.iter().filter(|o| !f.u.targets(o)).map(|o| o.packets).fold(0, u64::saturating_add);
    Traffic {
        attack_packets: f.u.attack_total.round() as u64,
        ordinary_packets: (f.u.seen_total - f.u.attack_total).round() as u64,
        elsewhere_packets: elsewhere,
        baseline_packets: f.u.legit_total.round() as u64,
        baseline_connections: f.u.opens_total.round() as u64,
        attack_seconds: seconds(f.attack),
        baseline_seconds: seconds(f.baseline),
    }
}

fn notes(f: &Facts<'_>) -> Vec<String> {
    let mut out: Vec<String> = f.compiled.iter().flat_map(|c| c.warnings.clone()).collect();
    if !f.timed {
        out.push(
            "the flows do not say over which time they were seen: all packets of the attack's file count as the attack, \
             ordinary ones too"
                .into(),
        );
    }
    if f.u.opens_total == 0.0 {
        out.push("the baseline shows no new TCP connections, so their loss is not judged".into());
    }
    if let Some(h) = &f.held_out
        && h.attack + 0.02 < f.ask.min_attack
        && f.missing.is_none()
    {
        out.push(format!(
            "rules learned from one half of the flows drop only {} of the attack in the other half: they may not last",
            percent(h.attack)
        ));
    }
    let enough = 1_000.0;
    if f.u.legit_total < enough {
        out.push(format!(
            "the baseline has only {:.0} packets: what it lacks is not known to be absent",
            f.u.legit_total
        ));
    }
    out
}

/// The whole answer.
pub fn tell(f: &Facts<'_>) -> Synthesis {
    let traffic = traffic(f);
    let shares = shares(f.u, f.attack, f.baseline, f.rules);
    let counterfactual = match f.rules.is_empty() {
        true => "No rule of this dialect takes any of the attack within the limit on legitimate traffic.".to_owned(),
        false => counterfactual(&shares, &traffic),
    };
    let curve = f.solution.curve.iter().map(|(r, v, best)| point(f.u, r.len(), *v, *best)).collect();
    let (text, undo, lines) =
        f.compiled.as_ref().map_or_else(Default::default, |c| (c.text.clone(), c.undo.clone(), c.lines));
    Synthesis {
        dialect: f.ask.dialect,
        min_attack: f.ask.min_attack,
        max_legit: f.ask.max_legit,
        max_rules: f.ask.max_rules,
        reached: f.solution.reached,
        rules: rules(f),
        shares,
        curve,
        held_out: f.held_out,
        counterfactual,
        missing: f.missing.clone(),
        text,
        undo,
        lines,
        notes: notes(f),
        traffic,
    }
}
