//! What people record and ask for on the way back of a measure: tasks, notices, the customer's check, renewals, and
//! proposing again (catalogue rows 141, 143, 144, 147).

use crate::cases::bounded;
use crate::command::{CommandError, EndingAsk, Outcome, Proposal, StillThere};
use crate::engine::Engine;
use crate::measures::{act_of, stored_claims, to_json};
use std::sync::Arc;
use suimon_base::end::EndError;
use suimon_base::ending::{EndStep, Presence};
use suimon_base::event::AlertAbout;
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{Actor, End, Event, MeasureId};
use suimon_policy::{Decision, Stage, Verdict};

impl Engine {
    pub(crate) async fn ending(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        ask: EndingAsk,
    ) -> Result<Outcome, CommandError> {
        let m = self.measure(id)?;
        match ask {
            EndingAsk::TaskDone { by, words } => {
                needs(&m, m.status.may_be_in_force(), "is not in the network")?;
                let waits = matches!(m.end_wanted(), End::TaskDone { .. });
                needs(&m, waits, "does not wait for a counter-measure; its end is another")?;
                filled("by", &by)?;
                bounded("words", &words)?;
                // What rests on it is released by the next look at the ends.
                self.step(actor, &m, EndStep::TaskDone { by, words }).await
            }
            EndingAsk::Told { when, contact, words } => {
                needs(&m, m.approved.is_some(), "was never approved")?;
                filled("contact", &contact)?;
                bounded("words", &words)?;
                self.step(actor, &m, EndStep::Told { when, contact, words }).await
            }
            EndingAsk::Access { ok, by, words } => {
                needs(&m, m.status == Status::Released, "is not released yet")?;
                filled("by", &by)?;
                bounded("words", &words)?;
                self.step(actor, &m, EndStep::AccessAnswered { ok, by, words }).await
            }
            EndingAsk::Renew { end, requester, owner, words } => {
                self.ask_renewal(actor, &m, &end, requester, owner, words).await
            }
            EndingAsk::ApproveRenewal {} => self.approve_renewal(actor, &m).await,
            EndingAsk::RefuseRenewal { reason } => {
                needs(&m, m.ending.renewal.is_some(), "has no renewal that waits")?;
                bounded("reason", &reason)?;
                self.step(actor, &m, EndStep::RenewalRefused { reason }).await
            }
            EndingAsk::Reapply { end, reason } => self.reapply(actor, &m, end, reason).await,
        }
    }

    /// An end as a person writes it, with a day that the calendars know.
    pub(crate) fn read_end(&self, text: &str) -> Result<End, CommandError> {
        let bad = |e: EndError| CommandError::Bad(e.to_string());
        let end: End = text.parse().map_err(bad)?;
        end.check_from(self.clock.now(), &self.settings.calendar).map_err(bad)?;
        Ok(end)
    }

    async fn step(&mut self, actor: &Actor, m: &Measure, step: EndStep) -> Result<Outcome, CommandError> {
        let seq = self.commit(actor, vec![Event::Ending { id: m.id, what: Box::new(step) }]).await?;
        Ok(Outcome { case: Some(m.case), measures: vec![m.id], ..Self::outcome(seq) })
    }

    async fn ask_renewal(
        &mut self,
        actor: &Actor,
        m: &Measure,
        end: &str,
        requester: StillThere,
        owner: StillThere,
        words: String,
    ) -> Result<Outcome, CommandError> {
        needs(m, m.status == Status::Applied, "is not in force")?;
        filled("requester", &requester.how)?;
        filled("owner", &owner.how)?;
        bounded("words", &words)?;
        let end = self.read_end(end)?;
        let who = self.look(|s| m.draft.request.and_then(|r| s.requests.get(&r)).map(|r| r.request.requester.clone()));
        let who = who.map_or_else(
            || "nobody asked; the operator's own ground".to_owned(),
            |r| format!("{} / {}", r.company, r.contact),
        );
        let answers = m.approved.as_ref().map_or(&m.proposed.0, |(a, _)| a).to_string();
        let requester = Presence { who, there: requester.there, how: requester.how };
        let owner = Presence { who: answers, there: owner.there, how: owner.how };
        if !(requester.there && owner.there) {
            return self.nobody_there(actor, m, end, requester, owner, words).await;
        }
        let decision = to_json(&self.decide_renewal(m, &end, Stage::Propose, actor, None)?);
        let asked = EndStep::RenewalAsked { end, requester, owner, words, decision };
        let alert = self.alert(
            AlertAbout::Approval,
            Some(m.case),
            format!("the renewal of {} in {} waits for approval; asked by {actor}", m.id, m.case),
            format!("{}の措置{}の延長が承認を待っています（起案: {actor}）", m.case, m.id),
        );
        let events = vec![Event::Ending { id: m.id, what: Box::new(asked) }, alert];
        let seq = self.commit(actor, events).await?;
        Ok(Outcome { case: Some(m.case), measures: vec![m.id], ..Self::outcome(seq) })
    }

    /// The answers go on record; the measure keeps its end, and a person is asked to release it (row 147: reassign or lift).
    async fn nobody_there(
        &mut self,
        actor: &Actor,
        m: &Measure,
        end: End,
        requester: Presence,
        owner: Presence,
        words: String,
    ) -> Result<Outcome, CommandError> {
        let gone: Vec<String> = [&requester, &owner].into_iter().filter(|p| !p.there).map(|p| p.who.clone()).collect();
        let why =
            format!("not there any more: {}; take down a new request and propose anew, or release", gone.join(", "));
        let asked = EndStep::RenewalAsked { end, requester, owner, words, decision: serde_json::Value::Null };
        let events = vec![
            Event::Ending { id: m.id, what: Box::new(asked) },
            Event::Ending { id: m.id, what: Box::new(EndStep::RenewalRefused { reason: why.clone() }) },
            Event::ReleaseProposed { id: m.id, why: why.clone() },
        ];
        self.commit(actor, events).await?;
        Err(CommandError::Conflict(format!("{} is not renewed: {why}", m.id)))
    }

    async fn approve_renewal(&mut self, actor: &Actor, m: &Measure) -> Result<Outcome, CommandError> {
        needs(m, m.status == Status::Applied, "is not in force")?;
        let Some(renewal) = m.ending.renewal.clone() else {
            return Err(CommandError::Conflict(format!("{} has no renewal that waits", m.id)));
        };
        // A day can pass while it waits.
        let end = self.read_end(&renewal.end.to_string())?;
        let decision = self.decide_renewal(m, &end, Stage::Approve, &renewal.by, Some(actor))?;
        let outcome = self.step(actor, m, EndStep::Renewed { end, decision: to_json(&decision) }).await?;
        self.decisions.insert(m.id, Arc::new(decision));
        self.reviewed.remove(&m.id);
        Ok(outcome)
    }

    /// Whether it would be allowed anew, with the facts of now and the wanted end.
    fn decide_renewal(
        &self,
        m: &Measure,
        end: &End,
        stage: Stage,
        proposer: &Actor,
        approver: Option<&Actor>,
    ) -> Result<Decision, CommandError> {
        let ground = self.ground(m.case, m.draft.attack)?;
        let dialect = m.plan().map_or("", |p| p.dialect.as_str());
        let facts = self.facts(&ground, m.plan(), Some(end), &stored_claims(m), Some(m));
        let question = self.question(act_of(m.plan(), dialect), stage, proposer, approver, facts);
        match self.policy.decide(&question) {
            Verdict::Allowed(decision) => Ok(decision),
            Verdict::Denied(denial) => Err(CommandError::Denied { measure: None, denial: Box::new(denial) }),
        }
    }

    /// A new proposal with the way and the claims of the old one, decided anew; nothing is applied by this.
    async fn reapply(
        &mut self,
        actor: &Actor,
        m: &Measure,
        end: Option<String>,
        reason: String,
    ) -> Result<Outcome, CommandError> {
        let over = matches!(m.status, Status::Released | Status::Failed);
        needs(m, over, "is not released")?;
        let proposal = Proposal {
            case: m.case,
            attack: None,
            end: end.unwrap_or_else(|| m.end_wanted().to_string()),
            dialect: m.plan().map(|p| p.dialect.clone()),
            hand: Some(m.draft.hand.clone()),
            choose: None,
            filter_request: m.draft.facts.get("filter-request").and_then(|v| v.as_str()).map(str::to_owned),
            reason: if reason.is_empty() { format!("again, after {}", m.id) } else { reason },
            claims: stored_claims(m),
        };
        let outcome = self.propose(actor, proposal).await?;
        if let Some(new) = outcome.measures.first() {
            self.step(actor, m, EndStep::FollowedBy { measure: *new }).await?;
        }
        Ok(outcome)
    }
}

fn needs(m: &Measure, holds: bool, what: &str) -> Result<(), CommandError> {
    if holds { Ok(()) } else { Err(CommandError::Conflict(format!("{} {what} ({})", m.id, m.status))) }
}

fn filled(field: &str, text: &str) -> Result<(), CommandError> {
    if text.trim().is_empty() {
        return Err(CommandError::Bad(format!("{field}: say it in words")));
    }
    bounded(field, text)
}
