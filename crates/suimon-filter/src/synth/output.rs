//! What `filter synthesize` tells, as it stands in its JSON. Shares are 0 to 1.

use crate::dialect::Dialect;
use serde::Serialize;
use suimon_base::Match;

/// What rules take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// Share of the attack's packets.
    pub attack: f64,
    /// Share of the legitimate packets.
    pub legit: f64,
    /// Share of the legitimate new TCP connections; `None` where the baseline has none.
    pub connections: Option<f64>,
}

/// One point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Number of rules.
    pub rules: usize,
    /// What they take.
    #[serde(flatten)]
    pub shares: Shares,
    /// Whether the search shows that no rules of the looked-at values do better with this number.
    pub best: bool,
}

/// One rule with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleOutput {
    /// What it takes.
    #[serde(rename = "match")]
    pub matches: Match,
    /// The same in words.
    pub words: String,
    /// Packets of the attack that it takes and the rules before it do not.
    pub adds_attack_packets: u64,
    /// The same as a share of the attack.
    pub adds_attack: f64,
    /// Packets of the attack that it takes in all.
    pub attack_packets: u64,
    /// Legitimate packets that it takes in all.
    pub legit_packets: u64,
    /// Why each field stands there.
    pub why: Vec<String>,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traffic {
    /// Packets of the attack: those of its file towards the targets, less the ordinary ones.
    pub attack_packets: u64,
    /// Packets of the attack's file towards the targets that the baseline lets expect.
    pub ordinary_packets: u64,
    /// Packets of the attack's file that go elsewhere; no rule takes them.
    pub elsewhere_packets: u64,
    /// Packets of the baseline towards the targets.
    pub baseline_packets: u64,
    /// New TCP connections among them.
    pub baseline_connections: u64,
    /// From the first to the last packet of the attack's file, seconds; `None` where times are not told.
    pub attack_seconds: Option<f64>,
    /// The same of the baseline.
    pub baseline_seconds: Option<f64>,
}

/// Why the limits cannot be kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missing {
    /// Fields each of which alone would do.
    pub any_of: Vec<String>,
    /// Fields that would do only together.
    pub all_of: Vec<String>,
    /// What dropping enough of the attack costs with the fields there are; `None` where they cannot at any cost.
    pub cost: Option<Point>,
    /// The most of the attack that more and more loss of the rest would buy; each point drops more and costs more.
    pub trade_off: Vec<Point>,
    /// The same in words.
    pub words: String,
}

/// `filter synthesize --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Synthesis {
    /// In which dialect.
    pub dialect: Dialect,
    /// Share of the attack that was asked for.
    pub min_attack: f64,
    /// Share of the rest that was allowed.
    pub max_legit: f64,
    /// Number of rules that was allowed.
    pub max_rules: usize,
    /// Whether all three are kept.
    pub reached: bool,
    /// What was looked at.
    pub traffic: Traffic,
    /// The chosen rules, the one that takes most first.
    pub rules: Vec<RuleOutput>,
    /// What they would have done; zero where there are none.
    pub shares: Shares,
    /// The best for each number of rules at which more rules are better.
    pub curve: Vec<Point>,
    /// Rules learned in the same way from one half of the data, judged on the other half.
    pub held_out: Option<Shares>,
    /// What the rules would have done to the stored flows, in words.
    pub counterfactual: String,
    /// Why the limits cannot be kept, where they cannot.
    pub missing: Option<Missing>,
    /// The text to enter; empty where there are no rules.
    pub text: String,
    /// What takes exactly that away.
    pub undo: String,
    /// Lines of the text.
    pub lines: usize,
    /// What to know before entering it.
    pub notes: Vec<String>,
}
