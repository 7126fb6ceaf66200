//! A small set of rules from traffic: what was seen during an attack, and what the same target received before
//! (catalogue rows 69–72, 76, 129–134).
//!
//! [`synthesize`] presses both sides into weighted cells, lists every conjunction of fields that the dialect can say and
//! that is worth being a rule, picks the best few within the limits, and tells what they would have done. It is a pure
//! function: the same observations in any order give the same answer.

mod explain;
mod fields;
mod mine;
mod observe;
mod output;
mod pick;
mod prefix;
mod universe;

#[cfg(test)]
mod tests;

use crate::compile::{self, CompileError, Options};
use crate::dialect::Dialect;
use mine::{Budget, Fields, Test, Tests};
pub use observe::Observation;
pub use output::{Missing, Point, RuleOutput, Shares, Synthesis, Traffic};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use universe::{DPORT, DST, FLAGS, LATER, LEN, PROTO, SPORT, SRC, UNKNOWN, Universe};

/// Most rules that may be asked for.
pub const MAX_RULES: usize = 32;
/// Most observations of one side.
pub const MAX_OBSERVATIONS: usize = 20_000_000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Dialect of the text; rules use only what one of its lines can say.
    pub dialect: Dialect,
    /// Most rules, 1 to [`MAX_RULES`].
    pub max_rules: usize,
    /// Share of the attack's packets to drop at least, 0 to 1.
    pub min_attack: f64,
    /// Share of the legitimate packets, and of the new TCP connections, to drop at most, 0 to 1.
    pub max_legit: f64,
    /// Name, remarks and profile of the text.
    pub options: Options,
}

impl Default for Ask {
    /// 99 % of the attack, 1 % of the rest, 8 rules.
    fn default() -> Self {
        Ask { dialect: Dialect::Nftables, max_rules: 8, min_attack: 0.99, max_legit: 0.01, options: Options::default() }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SynthError {
    /// Limits that make no sense.
    #[error("{0}")]
    Ask(String),
    /// Nothing to learn from.
    #[error("the attack holds no packets")]
    EmptyAttack,
    /// Nothing to compare with.
    #[error(
        "the baseline holds no packets, so nobody can say what rules would harm; give traffic of the same target from before"
    )]
    EmptyBaseline,
    /// More than is looked at.
    #[error("{which}: {count} flows are over {MAX_OBSERVATIONS}; give a shorter time")]
    TooMany {
        /// `attack` or `baseline`.
        which: &'static str,
        /// How many.
        count: usize,
    },
    /// Nothing stands out.
    #[error("nothing in the attack goes beyond the baseline: {packets} packets are no more than it lets expect")]
    NoExcess {
        /// Packets of the attack's file.
        packets: u64,
    },
    /// The baseline is about something else.
    #[error("the baseline holds no packets to {0}: it must be traffic of the same target from before")]
    OtherTarget(String),
    /// The rules did not compile, which the choice of fields should rule out.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// One solution over one universe.
struct Solution {
    /// Points of the curve with their rules.
    curve: Vec<(Vec<Match>, pick::Value, bool)>,
    /// Index of the chosen point.
    chosen: Option<usize>,
    reached: bool,
}

/// Rules that drop at least [`Ask::min_attack`] of the attack and at most [`Ask::max_legit`] of the rest, as few as
/// possible; where there are none, the best there are, with the reason.
///
/// # Errors
/// Where a side is empty or too large, where the attack does not differ from the baseline, and where the limits make no
/// sense.
pub fn synthesize(attack: &[Observation], baseline: &[Observation], ask: &Ask) -> Result<Synthesis, SynthError> {
    check(attack, baseline, ask)?;
    let scale = universe::time_scale(attack, baseline);
    let (a, b): (Vec<&Observation>, Vec<&Observation>) = (attack.iter().collect(), baseline.iter().collect());
    let u = Universe::new(&a, &b, scale, false);
    if u.attack_total <= 0.0 {
        return Err(SynthError::NoExcess { packets: a.iter().map(|o| o.packets).fold(0, u64::saturating_add) });
    }
    if u.legit_total <= 0.0 {
        let targets: Vec<String> = u.dsts.nets.iter().take(4).map(ToString::to_string).collect();
        return Err(SynthError::OtherTarget(targets.join(", ")));
    }
    let fields = fields::of(ask.dialect);
    let solution = solve(&u, fields, ask, true);
    let rules = solution.chosen.map(|i| solution.curve[i].0.clone()).unwrap_or_default();
    let compiled = match rules.is_empty() {
        true => None,
        false => Some(compile::compile(&rule_set(&rules), ask.dialect, &ask.options)?),
    };
    let missing = (!solution.reached).then(|| missing(&a, &b, scale, fields, ask));
    let held_out = held_out(&u, &a, &b, scale, fields, ask);
    Ok(explain::tell(&explain::Facts {
        u: &u,
        attack: &a,
        baseline: &b,
        ask,
        solution: &solution,
        rules: &rules,
        compiled,
        missing,
        held_out,
        timed: scale > 0.0,
    }))
}

fn check(attack: &[Observation], baseline: &[Observation], ask: &Ask) -> Result<(), SynthError> {
    if !(1..=MAX_RULES).contains(&ask.max_rules) {
        return Err(SynthError::Ask(format!("{} rules: ask for 1 to {MAX_RULES}", ask.max_rules)));
    }
    if !(ask.min_attack > 0.0 && ask.min_attack <= 1.0) {
        return Err(SynthError::Ask("the share of the attack must be above 0 % and at most 100 %".into()));
    }
    if !(0.0..=1.0).contains(&ask.max_legit) {
        return Err(SynthError::Ask("the share of legitimate traffic must be 0 % to 100 %".into()));
    }
    for (which, list) in [("attack", attack), ("baseline", baseline)] {
        if list.len() > MAX_OBSERVATIONS {
            return Err(SynthError::TooMany { which, count: list.len() });
        }
    }
    match (attack.iter().any(|o| o.packets > 0), baseline.iter().any(|o| o.packets > 0)) {
        (false, _) => Err(SynthError::EmptyAttack),
        (_, false) => Err(SynthError::EmptyBaseline),
        _ => Ok(()),
    }
}

fn budget(u: &Universe, ask: &Ask) -> Budget {
    // Rounding must not cost a rule that takes exactly what is allowed.
    let most = |total: f64| ask.max_legit * total + 1e-6;
    Budget { packets: most(u.legit_total), opens: most(u.opens_total) }
}

fn solve(u: &Universe, fields: Fields, ask: &Ask, thorough: bool) -> Solution {
    let budget = budget(u, ask);
    let mined = mine::mine(u, fields, budget);
    // What is the attack is an estimate; the search aims at half of what may remain, so that a small error does not miss.
    let aim = ask.min_attack + (1.0 - ask.min_attack) / 2.0;
    let choices = pick::pick(u, &mined, ask.max_rules, aim, budget, thorough);
    let mut curve = Vec::new();
    for c in &choices {
        let tests: Vec<Tests> = c.rules.iter().map(|&i| mined.list[i].tests.clone()).collect();
        let narrow = narrowed(u, fields, &tests, ask.min_attack);
        let value = judge(u, &narrow);
        curve.push((narrow.iter().map(|t| to_match(u, t)).collect(), value, c.best));
    }
    let first = |share: f64| curve.iter().position(|(_, v, _)| v.attack >= share * u.attack_total - 1e-6);
    let found = first(aim).or_else(|| first(ask.min_attack));
    Solution { chosen: found.or(curve.len().checked_sub(1)), reached: found.is_some(), curve }
}

fn rule_set(rules: &[Match]) -> RuleSet {
    RuleSet { rules: rules.iter().map(|m| Rule { matches: m.clone(), action: Action::Discard }).collect() }
}

fn all_take(u: &Universe, t: &Tests, key: &[u16; universe::FIELDS], legit: bool) -> bool {
    t.iter().enumerate().all(|(f, x)| x.as_ref().is_none_or(|x| mine::takes(u, f, x, key[f], legit)))
}

/// What rules take in all.
fn judge(u: &Universe, rules: &[Tests]) -> pick::Value {
    let mut v = pick::Value { attack: 0.0, packets: 0.0, opens: 0.0 };
    for c in u.attack.iter().filter(|c| rules.iter().any(|t| all_take(u, t, &c.key, false))) {
        v.attack += c.weight;
    }
    for c in u.legit.iter().filter(|c| rules.iter().any(|t| all_take(u, t, &c.key, true))) {
        (v.packets, v.opens) = (v.packets + c.weight, v.opens + c.opens);
    }
    v
}

/// Adds to each rule what nearly all of the attack's packets that it takes have in common: the same attack is dropped, and
/// less of what nobody has seen yet.
fn narrowed(u: &Universe, fields: Fields, rules: &[Tests], enough: f64) -> Vec<Tests> {
    const COMMON: f64 = 0.999;
    /// FIN, SYN, RST, ACK: the flags that make a packet what it is.
    const PHASE: u8 = 0x17;
    let before = judge(u, rules);
    let mut out = rules.to_vec();
    for t in &mut out {
        for (field, allowed) in [
            (PROTO, fields.proto),
            (LATER, fields.fragments),
            (SPORT, fields.ports),
            (DPORT, fields.ports),
            (FLAGS, fields.flag_bits != 0 && fields.flags_unset),
            (LEN, fields.lengths),
        ] {
            let proto = match t[PROTO] {
                Some(Test::One(p)) => Some(p),
                _ => None,
            };
            let whole = t[LATER].is_none();
            let fits = match field {
                LATER => t[SPORT].is_none() && t[DPORT].is_none() && t[FLAGS].is_none(),
                SPORT | DPORT => whole && matches!(proto, Some(6 | 17)),
                FLAGS => whole && proto == Some(6),
                _ => true,
            };
            if !allowed || !fits || t[field].is_some() {
                continue;
            }
            let mut sums: std::collections::BTreeMap<u16, f64> = std::collections::BTreeMap::new();
            let mut total = 0.0;
            for c in u.attack.iter().filter(|c| all_take(u, t, &c.key, false)) {
                *sums.entry(c.key[field]).or_default() += c.weight;
                total += c.weight;
            }
            let Some((&value, _)) = sums.iter().find(|(v, w)| **v < UNKNOWN && **w >= COMMON * total) else { continue };
            t[field] = match field {
                SPORT | DPORT | LEN => {
                    let axis = &u.axes[if field == SPORT { 0 } else { 1 + usize::from(field == LEN) }];
                    let one = axis.atoms.get(usize::from(value)).is_some_and(|a| a.0 == a.1);
                    one.then_some(Test::Atoms(value, value))
                }
                FLAGS => {
                    let mask = PHASE & fields.flag_bits;
                    (mask != 0).then_some(Test::Flags(mask, value as u8 & mask))
                }
                LATER => (value == 1).then_some(Test::One(1)),
                _ => Some(Test::One(value)),
            };
        }
    }
    let after = judge(u, &out);
    let wanted = enough * u.attack_total;
    let least = if before.attack >= wanted { wanted.max(COMMON * before.attack) } else { COMMON * before.attack };
    if after.attack >= least { out } else { rules.to_vec() }
}

fn to_match(u: &Universe, t: &Tests) -> Match {
    let range = |field: usize, axis: usize| -> Vec<PortRange> {
        let Some(Test::Atoms(a, b)) = t[field] else { return Vec::new() };
        let atoms = &u.axes[axis].atoms;
        let ends = (atoms.get(usize::from(a)), atoms.get(usize::from(b)));
        if let (Some(a), Some(b)) = ends { vec![PortRange { lo: a.0, hi: b.1 }] } else { Vec::new() }
    };
    let net = |field: usize, places: &prefix::Places| -> Vec<ipnet::IpNet> {
        let Some(Test::One(i)) = t[field] else { return Vec::new() };
        places.nets.get(usize::from(i)).copied().into_iter().collect()
    };
    Match {
        src: net(SRC, &u.srcs),
        dst: net(DST, &u.dsts),
        proto: if let Some(Test::One(p)) = t[PROTO] { Some(p as u8) } else { None },
        src_ports: range(SPORT, 0),
        dst_ports: range(DPORT, 1),
        tcp_flags: if let Some(Test::Flags(mask, value)) = t[FLAGS] { Some(TcpFlags { mask, value }) } else { None },
        fragment: t[LATER].as_ref().map(|_| FragmentMatch::Later),
        lengths: range(LEN, 2),
    }
}

/// Losses of the rest that are tried where the limit cannot be kept.
const LOSSES: [f64; 7] = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Which fields would be needed, found by trying them.
fn missing(a: &[&Observation], b: &[&Observation], scale: f64, have: Fields, ask: &Ask) -> Missing {
    let u = Universe::new(a, b, scale, true);
    let works = |f: Fields| solve(&u, f, ask, false).reached;
    let lacks = fields::lacking(have);
    let with = |list: &[fields::Lack]| {
        let mut f = have;
        list.iter().for_each(|l| (l.1)(&mut f));
        f
    };
    let mut alone: Vec<&'static str> = Vec::new();
    for l in &lacks {
        if works(with(&[*l])) {
            alone.push(l.0);
        }
    }
    let mut together: Vec<fields::Lack> = Vec::new();
    if alone.is_empty() && lacks.len() > 1 && works(fields::ALL) {
        together = lacks.clone();
        for l in lacks.iter().rev() {
            let fewer: Vec<fields::Lack> = together.iter().copied().filter(|x| x.0 != l.0).collect();
            if works(with(&fewer)) {
                together = fewer;
            }
        }
    }
    // What it would cost with the fields there are.
    let free = Ask { max_legit: 1.0, ..ask.clone() };
    let anyway = solve(&u, have, &free, false);
    let point = |s: &Solution| s.chosen.map(|i| explain::point(&u, s.curve[i].0.len(), s.curve[i].1, false));
    let cost = point(&anyway);
    let mut trade_off: Vec<Point> = Vec::new();
    for max_legit in LOSSES.into_iter().filter(|l| *l > ask.max_legit) {
        let Some(p) = point(&solve(&u, have, &Ask { max_legit, ..ask.clone() }, false)) else { continue };
        if trade_off.last().is_none_or(|last| p.shares.attack > last.shares.attack + 1e-9) {
            trade_off.push(p);
        }
    }
    explain::missing(ask, alone, together.into_iter().map(|l| l.0).collect(), cost, trade_off)
}

/// Rules learned from one half of the data, judged on the other.
fn held_out(
    u: &Universe,
    a: &[&Observation],
    b: &[&Observation],
    scale: f64,
    fields: Fields,
    ask: &Ask,
) -> Option<Shares> {
    let half = |list: &[&'_ Observation], bit: u64| -> Vec<bool> { list.iter().map(|o| o.hash() & 1 == bit).collect() };
    fn only<'a>(list: &[&'a Observation], keep: Vec<bool>) -> Vec<&'a Observation> {
        list.iter().zip(keep).filter(|x| x.1).map(|x| *x.0).collect()
    }
    let learned = Universe::new(&only(a, half(a, 0)), &only(b, half(b, 0)), scale, false);
    if learned.attack_total <= 0.0 || learned.legit_total <= 0.0 {
        return None;
    }
    let solution = solve(&learned, fields, ask, false);
    let rules = &solution.curve.get(solution.chosen?)?.0;
    Some(explain::shares(u, &only(a, half(a, 1)), &only(b, half(b, 1)), rules))
}
