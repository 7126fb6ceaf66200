//! What a proposal would come to, without making it (catalogue rows 92–95): nothing is recorded and nobody is told.

use crate::command::{CommandError, Proposal};
use crate::engine::Engine;
use crate::measures::{act_of, to_json};
use crate::ports::{DryRun, Order};
use serde::Serialize;
use serde_json::Value;
use suimon_base::event::Plan;
use suimon_base::{Actor, End, MeasureId};
use suimon_policy::{Act, Stage, Verdict};

/// The answer to a dry run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tried {
    /// The act that it amounts to.
    pub act: String,
    /// The hand that would carry it out.
    pub hand: String,
    /// What would be entered; `None` where it cannot be planned.
    pub plan: Option<Plan>,
    /// Why it cannot be planned, or is nothing for this hand.
    pub error: Option<String>,
    /// Whether the policy engine would allow the proposal now.
    pub allowed: bool,
    /// What the policy engine says.
    pub decision: Value,
    /// What the hand's own checks say; `None` where it has none.
    pub checks: Option<DryRun>,
}

impl Tried {
    /// Whether the same proposal would be taken now.
    pub fn would_do(&self) -> bool {
        self.allowed && self.error.is_none() && self.checks.as_ref().is_none_or(|c| c.refusals.is_empty())
    }
}

impl Engine {
    pub(crate) fn try_out(&self, actor: &Actor, p: &Proposal) -> Result<Tried, CommandError> {
        let ground = self.ground(p.case, p.attack)?;
        let end: End = p.end.parse().map_err(|e: suimon_base::end::EndError| CommandError::Bad(e.to_string()))?;
        let hand = p.hand.clone().unwrap_or_else(|| self.settings.default_hand.clone());
        if !self.hands.contains_key(&hand) {
            return Err(CommandError::Bad(format!("there is no hand `{hand}`; there are: {}", self.hand_names())));
        }
        let dialect = p.dialect.clone().unwrap_or_else(|| self.settings.default_dialect.clone());
        let id = self.look(|s| s.next_measure());
        let planned = self.plan(id, &ground, &dialect, p.choose, p.filter_request.as_deref(), &end);
        let act = act_of(planned.as_ref().ok(), &dialect);
        let facts = self.facts(&ground, planned.as_ref().ok(), Some(&end), &p.claims, None);
        let (allowed, decision) = match self.policy.decide(&self.question(act, Stage::Propose, actor, None, facts)) {
            Verdict::Allowed(decision) => (true, to_json(&decision)),
            Verdict::Denied(denial) => (false, to_json(&denial)),
        };
        let (plan, mut error) = match planned {
            Ok(plan) => (Some(plan), None),
            Err(e) => (None, Some(e.to_string())),
        };
        let checks = match plan.as_ref().map(|plan| self.checks(id, &hand, plan, act)) {
            Some(Ok(checks)) => checks,
            Some(Err(e)) => {
                error = Some(e);
                None
            }
            None => None,
        };
        Ok(Tried { act: act.to_string(), hand, plan, error, allowed, decision, checks })
    }

    fn checks(&self, id: MeasureId, hand: &str, plan: &Plan, act: Act) -> Result<Option<DryRun>, String> {
        let Some(hand) = self.hands.get(hand) else { return Ok(None) };
        let (rules, text, undo) = (plan.rules.clone(), plan.text.clone(), plan.undo.clone());
        hand.dry_run(&Order { id, rules, text, undo }, act).map_err(|e| e.0)
    }

    /// Refuses what the hand's own checks would refuse anyway: nobody shall be asked to approve it.
    pub(crate) fn guarded(&self, id: MeasureId, hand: &str, plan: &Plan, act: Act) -> Result<(), CommandError> {
        const REASONS: usize = 5;
        let checks = self.checks(id, hand, plan, act).map_err(|e| CommandError::Bad(format!("{hand}: {e}")))?;
        let Some(refusals) = checks.map(|c| c.refusals).filter(|r| !r.is_empty()) else { return Ok(()) };
        let more = refusals.len().saturating_sub(REASONS);
        let more = if more > 0 { format!("; and {more} more reasons") } else { String::new() };
        let shown = refusals.iter().take(REASONS).cloned().collect::<Vec<_>>().join("; ");
        Err(CommandError::Bad(format!("the guard rails of {hand} refuse: {shown}{more}")))
    }
}
