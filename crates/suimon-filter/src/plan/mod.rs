//! What could be dropped against an attack, what that would cost, and in which order to think of it
//! (catalogue rows 61, 69–72, 76, 79).

mod refine;
mod share;
mod words;

use crate::compile::{self, Options};
use crate::dialect::Dialect;
use refine::Variant;
use serde::{Deserialize, Serialize};
use share::Split;
use suimon_base::{Action, Attack, Direction, Match, Rule, RuleSet};

/// Most candidates that are returned.
pub const MAX_CANDIDATES: usize = 24;

/// With what the packets are kept away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// A rate limit: reduces, does not stop.
    Police,
    /// A BGP Flowspec rule.
    Flowspec,
    /// A packet filter on a router.
    Acl,
    /// Everything to the destination is dropped; routing sees destinations only.
    NullRoute,
}

/// What the planner needs to know besides the attack.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanAsk {
    /// The dialect of the hand that would apply the measure; lines and means follow it.
    pub dialect: Dialect,
    /// Share of the attack's packets that must be dropped to call it separated, 0 to 1.
    pub min_attack: f64,
    /// Share of legitimate packets and of new connections that may be lost, 0 to 1.
    pub max_legitimate: f64,
    /// A rate limit is set to this many times the normal rate of what it limits.
    pub rate_factor: f64,
}

impl Default for PlanAsk {
    fn default() -> Self {
        PlanAsk { dialect: Dialect::Nftables, min_attack: 0.99, max_legitimate: 0.01, rate_factor: 2.0 }
    }
}

/// Whether a dialect can say it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expressible {
    /// Which dialect.
    pub dialect: Dialect,
    /// Whether it can.
    pub ok: bool,
    /// How many lines it takes, where it can.
    pub lines: Option<usize>,
    /// Why it cannot, where it cannot.
    pub reason: Option<String>,
}

/// One way to act.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The refinements, such as `vectors+dst-port+length`, `police`, `null-route`.
    pub id: String,
    /// The rules.
    pub rules: RuleSet,
    /// With what.
    pub means: Means,
    /// Each dialect, with the reason where it cannot.
    pub expressible: Vec<Expressible>,
    /// Whether it drops nearly all of the attack and nearly nothing else (the limits of [`PlanAsk`]); never where nothing
    /// is known of normal traffic.
    pub separates: bool,
    /// Whether anything is known of the normal traffic.
    pub baseline_known: bool,
    /// Share of the attack's packets, 0 to 1.
    pub attack_share_dropped: f64,
    /// Share of legitimate packets, 0 to 1; `None` where nothing is known of them.
    pub legitimate_share_dropped: Option<f64>,
    /// Share of legitimate new connections, 0 to 1; `None` where nothing is known of them.
    pub legitimate_connections_dropped: Option<f64>,
    /// Lines in [`PlanAsk::dialect`]; 0 where it cannot.
    pub lines: usize,
    /// What it does, English.
    pub words_en: String,
    /// What it does, Japanese.
    pub words_ja: String,
}

/// The ways to act against an attack, the best first: those that separate, then the best trade-offs, the null route last.
/// Those that [`PlanAsk::dialect`] cannot say come after those it can, before the null route.
pub fn candidates(attack: &Attack, ask: &PlanAsk) -> Vec<Candidate> {
    let split = Split::of(attack);
    let mut out: Vec<Candidate> = Vec::new();
    let variants = refine::variants(attack, &split);
    for v in &variants {
        let rules = discard(&v.matches);
        let means = if ask.dialect == Dialect::Flowspec { Means::Flowspec } else { Means::Acl };
        push(&mut out, attack, ask, &split, (v.id.clone(), rules, means));
    }
    if let Some(v) = variants.first()
        && let Some(rules) = police(v, &split, ask)
    {
        push(&mut out, attack, ask, &split, ("police".into(), rules, Means::Police));
    }
    let whole = discard(&[target_match(attack)]);
    push(&mut out, attack, ask, &split, ("null-route".into(), whole, Means::NullRoute));
    rank(&mut out, ask);
    out.truncate(MAX_CANDIDATES);
    out
}

fn discard(matches: &[Match]) -> RuleSet {
    RuleSet { rules: matches.iter().map(|m| Rule { matches: m.clone(), action: Action::Discard }).collect() }
}

/// Everything to (or, outwards, from) the target.
fn target_match(attack: &Attack) -> Match {
    match attack.direction {
        Direction::In => Match { dst: vec![attack.target], ..Match::default() },
        Direction::Out => Match { src: vec![attack.target], ..Match::default() },
    }
}

/// One limit for each match, at the factor times its normal rate; `None` where normal rates are not known.
fn police(v: &Variant, split: &Split, ask: &PlanAsk) -> Option<RuleSet> {
    if !split.known {
        return None;
    }
    let rules = v.matches.iter().map(|m| {
        let normal = split.legitimate_pps(std::slice::from_ref(m));
        let limit = (normal * ask.rate_factor).ceil().max(1.0);
        Rule { matches: m.clone(), action: Action::LimitPps(limit.min(1e15) as u64) }
    });
    Some(RuleSet { rules: rules.collect() })
}

fn push(out: &mut Vec<Candidate>, attack: &Attack, ask: &PlanAsk, split: &Split, one: (String, RuleSet, Means)) {
    let (id, rules, means) = one;
    if rules.rules.is_empty() || out.iter().any(|c| c.rules == rules && c.means != Means::NullRoute) {
        return;
    }
    let expressible: Vec<Expressible> = Dialect::ALL
        .into_iter()
        .map(|dialect| match compile::compile(&rules, dialect, &Options::default()) {
            Ok(c) => Expressible { dialect, ok: true, lines: Some(c.lines), reason: None },
            Err(e) => Expressible { dialect, ok: false, lines: None, reason: Some(e.to_string()) },
        })
        .collect();
    // A match that no dialect takes is a defect of the match, not a choice for people.
    if !expressible.iter().any(|e| e.ok) {
        return;
    }
    let lost = split.judge(&rules);
    let lines = expressible.iter().find(|e| e.dialect == ask.dialect).and_then(|e| e.lines).unwrap_or(0);
    let separates = means != Means::Police
        && lost.attack >= ask.min_attack
        && lost.legitimate.is_some_and(|x| x <= ask.max_legitimate)
        && lost.connections.is_some_and(|x| x <= ask.max_legitimate);
    let (words_en, words_ja) = words::say(attack, &rules, means, &lost);
    out.push(Candidate {
        id,
        rules,
        means,
        expressible,
        separates,
        baseline_known: split.known,
        attack_share_dropped: lost.attack,
        legitimate_share_dropped: lost.legitimate,
        legitimate_connections_dropped: lost.connections,
        lines,
        words_en,
        words_ja,
    });
}

/// Separating ones first (least loss, then widest words: fewer conditions survive a change of the attack), then by what
/// is gained minus what is lost.
fn rank(list: &mut [Candidate], ask: &PlanAsk) {
    let permille = |x: f64| (x * 1000.0).round() as i64;
    list.sort_by_cached_key(|c| {
        let cannot = !c.expressible.iter().any(|e| e.dialect == ask.dialect && e.ok);
        let loss = c.legitimate_share_dropped.unwrap_or(0.0).max(c.legitimate_connections_dropped.unwrap_or(0.0));
        let conditions = c.id.matches('+').count() as i64;
        let gain = -permille(c.attack_share_dropped - loss);
        // Where nothing is known of normal traffic, the narrowest is the safest.
        let narrow = if c.baseline_known { conditions } else { -conditions };
        let whole = c.means == Means::NullRoute;
        let score = if c.separates { permille(loss) } else { gain };
        (whole, cannot, !c.separates, score, narrow, c.lines, c.id.clone())
    });
}
