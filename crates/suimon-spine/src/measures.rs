//! A measure from proposal to release. Nothing else in the house calls a hand.

use crate::cases::bounded;
use crate::command::{Claims, CommandError, Outcome, Proposal};
use crate::engine::{Engine, Message, Releasing};
use crate::journal;
use crate::ports::{HandError, HandReport, Order, PlanAsk};
use crate::register::Customer;
use std::sync::Arc;
use suimon_base::attack::Attack;
use suimon_base::case::Phase;
use suimon_base::event::{AlertAbout, MeasureDraft, Plan, ReleaseReason};
use suimon_base::measure::{Status, Step};
use suimon_base::state::Measure;
use suimon_base::{Actor, AttackId, CaseId, End, Event, MeasureId, RequestId};
use suimon_policy::{Act, Decision, Stage, Verdict};

/// Milliseconds until a hand that could not release is asked again.
pub const RELEASE_RETRY_MS: i64 = 5_000;

/// What a proposal is about, gathered from the case.
pub(crate) struct Ground {
    pub case: CaseId,
    pub customer: Option<Customer>,
    pub attack: Option<(AttackId, Attack)>,
    pub request: Option<RequestId>,
}

impl Engine {
    pub(crate) async fn propose(&mut self, actor: &Actor, p: Proposal) -> Result<Outcome, CommandError> {
        bounded("reason", &p.reason)?;
        let ground = self.ground(p.case, p.attack)?;
        let end = self.read_end(&p.end)?;
        let hand = p.hand.clone().unwrap_or_else(|| self.settings.default_hand.clone());
        if !self.hands.contains_key(&hand) {
            return Err(CommandError::Bad(format!("there is no hand `{hand}`; there are: {}", self.hand_names())));
        }
        let dialect = p.dialect.clone().unwrap_or_else(|| self.settings.default_dialect.clone());
        let id = self.look(|s| s.next_measure());
        let planned = self.plan(id, &ground, &dialect, p.choose, p.filter_request.as_deref(), &end);
        // A plan that cannot be made must not hide that the measure would not be allowed either.
        let plan = planned.as_ref().ok().cloned();
        let act = act_of(plan.as_ref(), &dialect);
        let facts = self.facts(&ground, plan.as_ref(), Some(&end), &p.claims, None);
        let question = self.question(act, Stage::Propose, actor, None, facts.clone());
        let verdict = self.policy.decide(&question);
        if let (Verdict::Allowed(_), Err(error)) = (&verdict, planned) {
            return Err(CommandError::Bad(error.to_string()));
        }
        let (expected_en, expected_ja) = expectation(plan.as_ref());
        let draft = Box::new(MeasureDraft {
            act: act.to_string(),
            infringement: to_json(&act.infringement()).as_str().unwrap_or_default().to_owned(),
            hand,
            customer: ground.customer.as_ref().map(|c| c.id.clone()),
            attack: ground.attack.as_ref().map(|(id, _)| *id),
            request: ground.request,
            plan,
            end,
            expected_en,
            expected_ja,
            reason: p.reason,
            facts: serde_json::json!({
                "claims": to_json(&p.claims),
                "filter-request": p.filter_request,
                "put-to-policy": to_json(&facts),
            }),
        });
        match verdict {
            Verdict::Allowed(decision) => {
                if let Some(plan) = &draft.plan {
                    self.guarded(id, &draft.hand, plan, act)?;
                }
                let stored = to_json(&decision);
                self.decisions.insert(id, Arc::new(decision));
                let alert = self.alert(
                    AlertAbout::Approval,
                    Some(p.case),
                    format!("{id} in {} waits for approval; proposed by {actor}", p.case),
                    format!("{}の措置{id}が承認を待っています（起案: {actor}）", p.case),
                );
                let event = Event::MeasureProposed { id, case: p.case, draft, decision: stored };
                let seq = self.commit(actor, vec![event, alert]).await?;
                Ok(Outcome { case: Some(p.case), measures: vec![id], ..Self::outcome(seq) })
            }
            Verdict::Denied(denial) => {
                let event = Event::MeasureDenied { id, case: p.case, draft, denial: to_json(&denial) };
                self.commit(actor, vec![event]).await?;
                Err(CommandError::Denied { measure: Some(id), denial: Box::new(denial) })
            }
        }
    }

    /// Everything the case has to say; `wanted` names one of its attacks.
    pub(crate) fn ground(&self, case: CaseId, wanted: Option<AttackId>) -> Result<Ground, CommandError> {
        let (_, customer) = self.open_phase(case)?;
        let customer = customer.map(|c| self.customer(&c).cloned()).transpose()?;
        let live = self.live(|l| l.attacks.clone());
        let (attack, request) = self.look(|s| {
            let Some(c) = s.cases.get(&case) else { return (None, None) };
            let known = c.attacks.iter().filter_map(|id| {
                let known = s.attacks.get(id)?;
                Some((*id, live.get(id).unwrap_or(&known.attack).clone()))
            });
            let attack = match wanted {
                Some(wanted) => known.into_iter().find(|(id, _)| *id == wanted),
                // What still runs before what is over, and of those the strongest.
                None => known.into_iter().max_by_key(|(id, a)| (a.ended.is_none(), a.peak.pps, *id)),
            };
            let stands = |id: &&RequestId| s.requests.get(id).is_some_and(|r| r.withdrawn.is_none());
            (attack, c.requests.iter().rev().find(stands).copied())
        });
        if let (Some(wanted), None) = (wanted, &attack) {
            return Err(CommandError::Bad(format!("{wanted} is not an attack of {case}")));
        }
        Ok(Ground { case, customer, attack, request })
    }

    pub(crate) fn plan(
        &self,
        id: MeasureId,
        ground: &Ground,
        dialect: &str,
        choose: Option<usize>,
        filter_request: Option<&str>,
        end: &End,
    ) -> Result<Plan, crate::ports::PlanError> {
        let name = format!("SUIMON-{id}");
        let mut remarks = vec![format!("case {} measure {id}", ground.case), format!("end {end}")];
        if let Some(request) = ground.request {
            remarks.push(format!("request {request}"));
        }
        let holdings = ground.customer.as_ref().map_or(&[][..], |c| c.prefixes.as_slice());
        self.planner.plan(&PlanAsk {
            attack: if filter_request.is_some() { None } else { ground.attack.as_ref().map(|(_, a)| a) },
            request: filter_request,
            dialect,
            choose,
            name: &name,
            remarks: &remarks,
            holdings,
        })
    }

    pub(crate) async fn approve(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        choose: Option<usize>,
        claims: Option<Claims>,
    ) -> Result<Outcome, CommandError> {
        let m = self.measure(id)?;
        check_step(&m, Step::Approve)?;
        let ground = self.ground(m.case, m.draft.attack)?;
        let mut merged = stored_claims(&m);
        if let Some(claims) = claims {
            merged.loss_accepted |= claims.loss_accepted;
            merged.wider_because = claims.wider_because.or(merged.wider_because);
        }
        let filter_request = m.draft.facts.get("filter-request").and_then(|v| v.as_str()).map(str::to_owned);
        let dialect = m.plan().map_or_else(|| self.settings.default_dialect.clone(), |p| p.dialect.clone());
        let new_plan = match choose {
            Some(_) => Some(
                self.plan(id, &ground, &dialect, choose, filter_request.as_deref(), m.end_wanted())
                    .map_err(|e| CommandError::Bad(e.to_string()))?,
            ),
            None => None,
        };
        let plan = new_plan.as_ref().or(m.plan());
        let act = act_of(plan, &dialect);
        let facts = self.facts(&ground, plan, Some(m.end_wanted()), &merged, Some(&m));
        let question = self.question(act, Stage::Approve, &m.proposed.0, Some(actor), facts);
        let decision = match self.policy.decide(&question) {
            Verdict::Allowed(decision) => Arc::new(decision),
            Verdict::Denied(denial) => {
                return Err(CommandError::Denied { measure: None, denial: Box::new(denial) });
            }
        };
        if let Some(plan) = plan {
            self.guarded(id, &m.draft.hand, plan, act)?;
        }
        let (phase, _) = self.open_phase(m.case)?;
        let mut events =
            vec![Event::MeasureApproved { id, plan: new_plan.map(Box::new), decision: to_json(&*decision) }];
        if phase.may_become(Phase::Mitigate) {
            let why = format!("{id} was approved");
            events.push(Event::PhaseChanged { case: m.case, from: phase, to: Phase::Mitigate, why });
        }
        // The intent is in the ledger before the hand hears of it.
        let seq = self.commit(actor, events).await?;
        self.decisions.insert(id, decision.clone());
        self.start_apply(id, decision);
        Ok(Outcome { case: Some(m.case), measures: vec![id], ..Self::outcome(seq) })
    }

    /// Tells the hand, on a thread of its own; its report comes back as a message.
    pub(crate) fn start_apply(&mut self, id: MeasureId, decision: Arc<Decision>) {
        let Ok(m) = self.measure(id) else { return };
        let (Some(plan), Some(hand)) = (m.plan(), self.hands.get(&m.draft.hand).cloned()) else {
            let error = format!("hand `{}` or the plan is gone", m.draft.hand);
            self.send_back(Message::Applied { id, hand: m.draft.hand.clone(), result: Err(HandError(error)) });
            return;
        };
        self.applying.insert(id);
        let order = Order { id, rules: plan.rules.clone(), text: plan.text.clone(), undo: plan.undo.clone() };
        let messages = self.messages.clone();
        tokio::task::spawn_blocking(move || {
            let result = hand.apply(&order, &decision);
            // The engine is gone only when the process stops; start-up then looks at the network.
            let _ = messages.blocking_send(Message::Applied { id, hand: hand.name().to_owned(), result });
        });
    }

    fn send_back(&self, message: Message) {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let _ = messages.send(message).await;
        });
    }

    pub(crate) async fn hand_applied(&mut self, id: MeasureId, hand: &str, result: Result<HandReport, HandError>) {
        self.applying.remove(&id);
        let Ok(m) = self.measure(id) else { return };
        if m.status == Status::Releasing || self.releasing.contains_key(&id) {
            // Its release was asked for meanwhile and has waited for this report, so that nothing is left behind.
            self.start_release(id);
            return;
        }
        if self.probing.contains_key(&id) {
            return self.probe_closed(id, hand, result).await;
        }
        if m.status != Status::Applying {
            // The ledger has it as applied already.
            return self.put_back_done(id, hand, result).await;
        }
        let actor = Actor::system(&format!("hand {hand}"));
        match result {
            Ok(HandReport::Done { place, receipt }) => {
                self.commit_or_keep(&actor, vec![Event::MeasureApplied { id, place, receipt }]).await;
                self.wake(hand);
            }
            Ok(HandReport::ByPerson) => {}
            Err(error) => {
                let mut events = vec![Event::MeasureFailed { id, error: error.to_string() }];
                events.extend(self.recover_phase(m.case, id));
                self.commit_or_keep(&actor, events).await;
                self.tell_hand_failed(&m, &error.0).await;
                self.perhaps_no_room(&m);
            }
        }
    }

    pub(crate) async fn reject(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        reason: String,
    ) -> Result<Outcome, CommandError> {
        bounded("reason", &reason)?;
        let m = self.measure(id)?;
        check_step(&m, Step::Reject)?;
        let seq = self.commit(actor, vec![Event::MeasureRejected { id, reason }]).await?;
        Ok(Outcome { case: Some(m.case), measures: vec![id], ..Self::outcome(seq) })
    }

    pub(crate) async fn record_applied(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        place: String,
        receipt: String,
    ) -> Result<Outcome, CommandError> {
        bounded("place", &place)?;
        bounded("note", &receipt)?;
        let m = self.measure(id)?;
        check_step(&m, Step::Applied)?;
        let seq = self.commit(actor, vec![Event::MeasureApplied { id, place, receipt }]).await?;
        Ok(Outcome { case: Some(m.case), measures: vec![id], ..Self::outcome(seq) })
    }

    pub(crate) async fn release_by_hand(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        words: String,
    ) -> Result<Outcome, CommandError> {
        bounded("words", &words)?;
        let m = self.measure(id)?;
        check_step(&m, Step::Release)?;
        self.release(actor, id, ReleaseReason::ByHand { words }).await?;
        let seq = self.look(|s| s.seq);
        Ok(Outcome { case: Some(m.case), measures: vec![id], ..Self::outcome(seq) })
    }

    pub(crate) async fn release_all(&mut self, actor: &Actor, words: String) -> Result<Outcome, CommandError> {
        bounded("words", &words)?;
        let mut all: Vec<MeasureId> = self.look(|s| s.in_force().map(|m| m.id).collect());
        all.retain(|id| self.releasing.get(id).is_none_or(|r| !r.gone));
        let mut events = Vec::new();
        for id in &all {
            events.extend(self.begin_release(actor, *id, ReleaseReason::ByHand { words: words.clone() })?);
        }
        self.commit_or_keep(actor, events).await;
        for id in &all {
            self.start_release(*id);
        }
        let seq = self.look(|s| s.seq);
        Ok(Outcome { measures: all, ..Self::outcome(seq) })
    }

    /// Journal first, then the hand, then the ledger: a database that hangs must not hold up a release.
    pub(crate) async fn release(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        reason: ReleaseReason,
    ) -> Result<(), CommandError> {
        let events = self.begin_release(actor, id, reason)?;
        self.commit_or_keep(actor, events).await;
        self.start_release(id);
        Ok(())
    }

    /// Puts the intent into the journal and tells the hand; the events are for the ledger.
    fn begin_release(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        reason: ReleaseReason,
    ) -> Result<Vec<Event>, CommandError> {
        let m = self.measure(id)?;
        if m.status == Status::Releasing || self.releasing.contains_key(&id) {
            return Ok(Vec::new());
        }
        let at = self.clock.now();
        let line = journal::Line { measure: id, at, actor: actor.clone(), reason: reason.clone() };
        match self.journal.intend(&line) {
            Ok(()) => self.start_release(id),
            // Letting packets go must not wait for a disk; the ledger comes first then, since a restart reads one of both.
            Err(error) => tracing::error!(%error, measure = %id, "the release journal cannot be written"),
        }
        let mut events = Vec::new();
        if let Some(effect) = self.live(|l| l.effects.get(&id).copied()) {
            events.push(Event::EffectMeasured { id, effect });
        }
        events.extend(self.take_probe(id));
        events.push(Event::ReleaseIntended { id, reason });
        Ok(events)
    }

    pub(crate) fn start_release(&mut self, id: MeasureId) {
        let Ok(m) = self.measure(id) else { return };
        let Some(hand) = self.hands.get(&m.draft.hand).cloned() else {
            tracing::error!(measure = %id, hand = %m.draft.hand, "the hand of a measure in force is not configured");
            return;
        };
        let new = Releasing { by_person: false, busy: false, gone: false, retry_at: self.started };
        let entry = self.releasing.entry(id).or_insert(new);
        // A hand that is still putting it into force is told afterwards, or it would win.
        if entry.busy || entry.gone || self.applying.contains(&id) {
            return;
        }
        entry.busy = true;
        let messages = self.messages.clone();
        tokio::task::spawn_blocking(move || {
            let result = hand.release(id);
            let _ = messages.blocking_send(Message::Released { id, hand: hand.name().to_owned(), result });
        });
    }

    pub(crate) async fn hand_released(&mut self, id: MeasureId, hand: &str, result: Result<HandReport, HandError>) {
        let retry_at = self.clock.now().plus_ms(RELEASE_RETRY_MS);
        if let Some(entry) = self.releasing.get_mut(&id) {
            entry.busy = false;
            entry.retry_at = retry_at;
            entry.by_person = matches!(result, Ok(HandReport::ByPerson));
        }
        let actor = Actor::system(&format!("hand {hand}"));
        match result {
            Ok(HandReport::Done { place, receipt }) => {
                self.finish_release(&actor, id, format!("{place}: {receipt}")).await;
            }
            Ok(HandReport::ByPerson) => self.tell_undo_waits(id).await,
            Err(error) => {
                let Ok(m) = self.measure(id) else { return };
                if m.error.as_deref() != Some(&error.0) {
                    self.tell_hand_failed(&m, &error.0).await;
                    self.commit_or_keep(&actor, vec![Event::ReleaseFailed { id, error: error.0 }]).await;
                }
            }
        }
    }

    pub(crate) async fn record_released(
        &mut self,
        actor: &Actor,
        id: MeasureId,
        checked: String,
    ) -> Result<Outcome, CommandError> {
        bounded("checked", &checked)?;
        let m = self.measure(id)?;
        if !self.releasing.contains_key(&id) {
            check_step(&m, Step::Released)?;
        }
        self.finish_release(actor, id, checked).await;
        let seq = self.look(|s| s.seq);
        Ok(Outcome { case: Some(m.case), measures: vec![id], ..Self::outcome(seq) })
    }

    async fn finish_release(&mut self, actor: &Actor, id: MeasureId, checked: String) {
        let Ok(m) = self.measure(id) else { return };
        if m.status == Status::Released || self.releasing.get(&id).is_some_and(|r| r.gone) {
            return;
        }
        let mut events = vec![Event::MeasureReleased { id, checked }];
        events.extend(self.released_events(&m));
        events.extend(self.recover_phase(m.case, id));
        self.decisions.remove(&id);
        // Until the ledger holds this, the state says that it is in force: nothing may release it a second time.
        if let Some(entry) = self.releasing.get_mut(&id) {
            entry.gone = true;
        }
        self.commit_or_keep(actor, events).await;
    }

    /// The case recovers when its last measure is gone.
    fn recover_phase(&self, case: CaseId, gone: MeasureId) -> Option<Event> {
        self.look(|s| {
            let c = s.cases.get(&case)?;
            let gone_too = |id: &MeasureId| self.releasing.get(id).is_some_and(|r| r.gone);
            let left = s.in_force().any(|m| m.case == case && m.id != gone && !gone_too(&m.id));
            (!left && c.phase.may_become(Phase::Recover)).then(|| Event::PhaseChanged {
                case,
                from: c.phase,
                to: Phase::Recover,
                why: format!("nothing is in the network any more after {gone}"),
            })
        })
    }

    pub(crate) fn measure(&self, id: MeasureId) -> Result<Measure, CommandError> {
        self.look(|s| s.measures.get(&id).cloned()).ok_or_else(|| CommandError::NotFound(id.to_string()))
    }

    pub(crate) fn hand_names(&self) -> String {
        self.hands.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

pub(crate) fn check_step(m: &Measure, step: Step) -> Result<(), CommandError> {
    m.status.after(step).map(|_| ()).map_err(|e| CommandError::Conflict(format!("{}: {e}", m.id)))
}

pub(crate) fn stored_claims(m: &Measure) -> Claims {
    m.draft.facts.get("claims").and_then(|c| serde_json::from_value(c.clone()).ok()).unwrap_or_default()
}

/// The act that a plan amounts to.
pub(crate) fn act_of(plan: Option<&Plan>, dialect: &str) -> Act {
    let means = plan.and_then(|p| p.alternatives.get(p.chosen?)).map(|a| a.means.as_str());
    match means {
        Some("police") => Act::Police,
        Some("null-route") => Act::NullRoute,
        Some("rtbh") => Act::Rtbh,
        // A written request has no alternatives: its dialect says what the text does.
        _ if dialect == "flowspec" => Act::Flowspec,
        _ if dialect == "rtbh" => Act::Rtbh,
        _ => Act::Acl,
    }
}

fn expectation(plan: Option<&Plan>) -> (String, String) {
    let Some(plan) = plan else { return Default::default() };
    match plan.chosen.and_then(|i| plan.alternatives.get(i)) {
        Some(a) => (a.words_en.clone(), a.words_ja.clone()),
        None => (
            format!("exactly what the request names is dropped, in {} lines", plan.lines),
            format!("依頼のとおりの通信だけを遮断します（{}行）。", plan.lines),
        ),
    }
}

/// JSON of one of our own types, which cannot fail to serialize.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_the_language_of_black_holes_is_decided_as_one() {
        assert_eq!(act_of(None, "rtbh"), Act::Rtbh);
        assert_eq!(act_of(None, "flowspec"), Act::Flowspec);
        assert_eq!(act_of(None, "nftables"), Act::Acl);
    }
}
