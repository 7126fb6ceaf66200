//! Findings about what the lines do, exact over the whole header space.

use super::{FindingId, LintOptions, MAX_PLACES, Severity, Subject};
use crate::boxes;
use crate::diagram::{Diagrams, NONE, Node, TooManyNodes};
use crate::range::Family;
use std::collections::{BTreeMap, BTreeSet};
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, Match, Rule};

/// Lists longer than this are not judged line by line for being reached, which costs more than linear.
pub const MAX_JUDGED: usize = 200_000;

pub fn judge(s: &mut Subject<'_>, options: &LintOptions) {
    invalid(s);
    other_family(s);
    direction(s, options);
    if s.listing.rules.rules.len() > MAX_JUDGED {
        let why =
            format!("the list has more than {MAX_JUDGED} rules; which of them are never reached is not worked out");
        s.find(FindingId::NotJudged, Severity::Warning, 0, why, "split the list".into());
        return;
    }
    if let Err(e) = reached(s) {
        let fix = "judge the list in parts; `filter check` and `filter diff` have the same bound".into();
        s.find(FindingId::NotJudged, Severity::Warning, 0, e.to_string(), fix);
    }
}

/// A port on a protocol without ports, and other matches that contradict themselves.
fn invalid(s: &mut Subject<'_>) {
    let bad: Vec<(usize, String)> = (s.listing.rules.rules.iter().zip(&s.listing.lines))
        .filter_map(|(r, &line)| boxes::invalid(&r.matches).map(|why| (line, why)))
        .collect();
    for (line, why) in bad {
        let fix = "name the protocol in the same line, or take the port away".into();
        s.find(FindingId::PortWithoutProtocol, Severity::Error, line, why, fix);
    }
}

fn acting(s: &Subject<'_>) -> Vec<(usize, Match)> {
    let rules = s.listing.rules.rules.iter().zip(&s.listing.lines);
    rules.filter(|(r, l)| r.action != Action::Permit && **l > 0).map(|(r, &l)| (l, r.matches.clone())).collect()
}

fn other_family(s: &mut Subject<'_>) {
    let acting = acting(s);
    let has = |f: Family| acting.iter().any(|(_, m)| boxes::of_match(m, f).is_some());
    let (named, absent) = match Family::BOTH.map(has) {
        [true, false] => ("IPv4", "IPv6"),
        [false, true] => ("IPv6", "IPv4"),
        _ => return,
    };
    let why = format!("the list drops {named} only: the same attack over {absent} passes");
    let fix =
        format!("ask for the {absent} addresses of the same hosts and add their lines, or note that they have none");
    s.find(FindingId::OtherFamily, Severity::Warning, 0, why, fix);
}

/// Lines that drop what the protected prefixes send instead of what reaches them.
fn direction(s: &mut Subject<'_>, options: &LintOptions) {
    if options.protects.is_empty() {
        return;
    }
    let touches = |list: &[ipnet::IpNet]| {
        list.iter().any(|n| options.protects.iter().any(|p| p.contains(&n.network()) || n.contains(&p.network())))
    };
    let (mut away, mut besides) = (Vec::new(), Vec::new());
    for (line, m) in acting(s) {
        if m.dst.is_empty() || touches(&m.dst) {
            continue;
        }
        if touches(&m.src) { away.push(line) } else { besides.push(line) }
    }
    let shown = options.protects.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let why = format!("it drops what {shown} sends, not what reaches it");
    let fix = "exchange source and destination (addresses and ports), or say that the host's own traffic is meant";
    group(s, away, FindingId::WrongDirection, Severity::Error, why, fix);
    let why = format!("it takes nothing to or from {shown}");
    let fix = "check the addresses: somebody else's traffic would be dropped";
    group(s, besides, FindingId::WrongDirection, Severity::Warning, why, fix);
}

/// One finding for many lines.
fn group(s: &mut Subject<'_>, mut at: Vec<usize>, id: FindingId, severity: Severity, why: String, fix: &str) {
    at.dedup();
    let Some((&first, rest)) = at.split_first() else { return };
    let why = if rest.is_empty() { why } else { format!("{why} ({} lines in all)", rest.len() + 1) };
    let finding = s.find(id, severity, first, why, fix.into());
    finding.others = rest.iter().copied().take(MAX_PLACES).collect();
}

/// Which lines decide something, what the end of the list decides, and which fragments pass.
fn reached(s: &mut Subject<'_>) -> Result<(), TooManyNodes> {
    let rules = s.listing.rules.rules.clone();
    let places = s.listing.lines.clone();
    let mut d = Diagrams::new(false);
    let which = d.which_matches(rules.iter().map(|r| &r.matches))?;
    let alive: BTreeSet<Node> = d.values_within(&Match::default(), which)?.into_iter().collect();
    dead(s, &mut d, which, &alive, (&rules, &places))?;
    implicit(s, &alive, (&rules, &places));
    fragments(s, &mut d, which, (&rules, &places))
}

/// The rule behind a value of the diagram.
fn behind(value: Node) -> Option<usize> {
    (value as usize).checked_sub(1)
}

fn takes_all(r: &Rule) -> bool {
    let whole = |f: Family| boxes::of_match(&r.matches, f).is_some_and(|b| b == boxes::all(f));
    Family::BOTH.into_iter().any(whole)
}

fn dead(
    s: &mut Subject<'_>,
    d: &mut Diagrams,
    which: Node,
    alive: &BTreeSet<Node>,
    (rules, places): (&[Rule], &[usize]),
) -> Result<(), TooManyNodes> {
    let mut lines: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, &line) in places.iter().enumerate().filter(|p| *p.1 > 0) {
        lines.entry(line).or_default().push(i);
    }
    for (line, of) in lines {
        if of.iter().any(|&i| alive.contains(&(i as Node + 1))) {
            continue;
        }
        let mut deciders = BTreeSet::new();
        for &i in &of {
            deciders.extend(d.values_within(&rules[i].matches, which)?.into_iter().filter_map(behind));
        }
        let own = of.first().map(|&i| rules[i].action);
        let by: BTreeSet<usize> = deciders.iter().map(|&i| places[i]).collect();
        let shown: Vec<String> = by.iter().take(8).map(|l| format!("line {l}")).collect();
        let shown = format!("{}{}", shown.join(", "), if by.len() > 8 { " …" } else { "" });
        let after_all = !deciders.is_empty()
            && by.len() == 1
            && deciders.iter().all(|&i| rules[i].action == Action::Permit)
            && deciders.iter().any(|&i| takes_all(&rules[i]));
        let same = deciders.iter().all(|&i| Some(rules[i].action) == own);
        let (id, severity) = match (after_all, same) {
            (true, _) => (FindingId::AfterPermitAny, Severity::Error),
            (_, true) => (FindingId::NeverMatches, Severity::Warning),
            _ => (FindingId::NeverMatches, Severity::Error),
        };
        let (why, fix) = if by.is_empty() {
            ("no packet can fulfil it".to_owned(), "correct or delete the line".to_owned())
        } else if after_all {
            (format!("{shown} permits everything before it is asked"), "move it before that line".to_owned())
        } else if same {
            (format!("{shown} already does the same to all that it would take"), "delete it".to_owned())
        } else {
            let fix = format!("move it before {shown}, or delete it");
            (format!("{shown} takes all that it would take, and does something else"), fix)
        };
        let finding = s.find(id, severity, line, why, fix);
        finding.others = by.into_iter().take(MAX_PLACES).collect();
    }
    Ok(())
}

fn implicit(s: &mut Subject<'_>, alive: &BTreeSet<Node>, (rules, places): (&[Rule], &[usize])) {
    let ends = alive.iter().filter_map(|&v| behind(v)).any(|i| places[i] == 0 && rules[i].action == Action::Discard);
    if !ends {
        return;
    }
    let last = places.iter().copied().max().unwrap_or(0);
    let permits = rules.iter().zip(places).any(|(r, &l)| l > 0 && r.action == Action::Permit);
    let (severity, why) = if permits {
        (Severity::Warning, "what no line names is dropped by the end of the list, which the text does not show")
    } else {
        (
            Severity::Error,
            "no line permits anything: the end of the list, which the text does not show, drops all other traffic",
        )
    };
    let fix = "add a last line that permits everything else; if dropping the rest is meant, write that line out";
    s.find(FindingId::ImplicitDeny, severity, last, why.into(), fix.into());
}

fn fragments(
    s: &mut Subject<'_>,
    d: &mut Diagrams,
    which: Node,
    (rules, places): (&[Rule], &[usize]),
) -> Result<(), TooManyNodes> {
    let mut at = Vec::new();
    for (r, &line) in rules.iter().zip(places) {
        let m = &r.matches;
        if r.action != Action::Discard || line == 0 || (m.src_ports.is_empty() && m.dst_ports.is_empty()) {
            continue;
        }
        let later = Match {
            src_ports: Vec::new(),
            dst_ports: Vec::new(),
            tcp_flags: None,
            fragment: Some(FragmentMatch::Later),
            ..m.clone()
        };
        let passes = |v: Node| {
            v == Node::from(NONE) || behind(v).and_then(|i| rules.get(i)).is_some_and(|r| r.action == Action::Permit)
        };
        if d.values_within(&later, which)?.into_iter().any(passes) {
            at.push(line);
        }
    }
    let why = "non-first fragments carry no port, so they pass; large reflected answers arrive mostly as fragments";
    let fix = "add a line that drops fragments of the same protocol to the same addresses, or note that they may pass";
    group(s, at, FindingId::Fragments, Severity::Warning, why.into(), fix);
    Ok(())
}
