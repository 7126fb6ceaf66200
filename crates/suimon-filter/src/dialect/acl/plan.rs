//! The lines that a router of the access-list kind needs, before they are spelt: a list that drops for each family, and
//! for each rate a class of its own.

use super::super::Dialect;
use crate::boxes;
use crate::compile::{CompileError, least_lines, parts};
use crate::cover::{self, Line, Shape};
use crate::range::Family;
use suimon_base::{Action, Rule, RuleSet};

/// Most rates of one policy: as many as a proof tells apart.
pub const MAX_LIMITS: usize = 200;

/// One rate and the lines of its class.
pub struct Limit {
    /// Index of the rule.
    pub rule: usize,
    /// The rate.
    pub action: Action,
    /// Lines that select, by family.
    pub lines: [Vec<Line>; 2],
    /// The protocol, where the lines name ports or flags: non-first fragments must then be kept out of the class.
    pub guard: Option<u8>,
}

/// All lines.
pub struct Plan {
    /// Lines that drop, by family.
    pub drops: [Vec<Line>; 2],
    /// Rates in the order of the rules.
    pub limits: Vec<Limit>,
    /// Whether the dropping lines are the fewest.
    pub least: bool,
}

/// Plans the rules of a dialect whose lines have this shape; the lines that drop only where `drops` asks for them.
///
/// # Errors
/// Where a rate does not fit one class, or no lines of the shape say what the rules say.
pub fn plan(rules: &RuleSet, dialect: Dialect, shape: Shape, drops: bool) -> Result<Plan, CompileError> {
    let mut out = Plan { drops: [Vec::new(), Vec::new()], limits: Vec::new(), least: true };
    for family in Family::BOTH {
        if drops {
            let (lines, least) = least_lines(rules, family, dialect, shape)?;
            out.least &= least;
            out.drops[family as usize] = lines;
        }
        let p = parts(rules, family, dialect)?;
        for (rule, pieces) in &p.limits {
            let r = &rules.rules[*rule];
            if boxes::of_match(&r.matches, family).is_none_or(|whole| pieces.len() != 1 || pieces[0] != whole) {
                return refuse(
                    dialect,
                    *rule,
                    "an earlier rule takes a part out of it, and a class of one rate would no longer be one rule; \
                     write the limit without the exception",
                );
            }
            if p.discards.iter().any(|d| pieces.iter().any(|x| boxes::overlap(x, &d.1))) {
                return refuse(
                    dialect,
                    *rule,
                    "it overlaps a rule that discards, and which of list and policer comes first depends on the \
                     platform; write both without overlap",
                );
            }
            let own: Vec<_> = pieces.iter().map(|b| (*rule, b.clone())).collect();
            let (lines, _) =
                cover::lines(family, &own, shape).map_err(|reason| CompileError::Cover { dialect, reason })?;
            let at = out.limits.iter().position(|l| l.rule == *rule).unwrap_or_else(|| {
                out.limits.push(limit(*rule, r));
                out.limits.len() - 1
            });
            out.limits[at].lines[family as usize] = lines;
        }
    }
    out.limits.sort_by_key(|l| l.rule);
    match out.limits.get(MAX_LIMITS) {
        Some(l) => refuse(dialect, l.rule, &format!("one policy holds at most {MAX_LIMITS} rates here")),
        None => Ok(out),
    }
}

fn limit(rule: usize, r: &Rule) -> Limit {
    let m = &r.matches;
    let upper = !m.src_ports.is_empty() || !m.dst_ports.is_empty() || m.tcp_flags.is_some();
    let guard = m.proto.filter(|_| upper);
    Limit { rule, action: r.action, lines: [Vec::new(), Vec::new()], guard }
}

/// The error of a rule that the dialect cannot say.
pub fn refuse<T>(dialect: Dialect, rule: usize, reason: &str) -> Result<T, CompileError> {
    Err(CompileError::Unsupported { dialect, rule, reason: reason.into() })
}

/// Checks a rate against what the platform takes (rates per second, both ends included).
pub fn rate(
    dialect: Dialect,
    limit: &Limit,
    bps: Option<(u64, u64)>,
    pps: Option<(u64, u64)>,
    no_pps: &str,
) -> Result<(), CompileError> {
    let (value, range, unit) = match limit.action {
        Action::LimitBps(n) => (n, bps, "bits"),
        Action::LimitPps(n) => (n, pps, "packets"),
        Action::Permit | Action::Discard => return Ok(()),
    };
    match range {
        None => refuse(dialect, limit.rule, no_pps),
        Some((lo, hi)) if !(lo..=hi).contains(&value) => {
            refuse(dialect, limit.rule, &format!("its policer takes {lo} to {hi} {unit} a second, not {value}"))
        }
        Some(_) => Ok(()),
    }
}
