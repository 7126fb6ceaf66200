//! What is, derived from what happened: the state after the ledger's events, in order.

use crate::Timestamp;
use crate::attack::Attack;
use crate::case::Phase;
use crate::drift::Drift;
use crate::end::End;
use crate::ending::Ending;
use crate::event::{AlertAbout, Effect, Event, MeasureDraft, Plan, ReleaseReason, RequestWords};
use crate::id::{AlertId, AttackId, CaseId, MeasureId, RequestId};
use crate::measure::{Status, Step, StepError};
use crate::party::Actor;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An event with its place in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recorded {
    /// Place in the ledger, from 1.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Whether this happened in an exercise.
    pub exercise: bool,
    /// What.
    pub event: Event,
}

/// An attack that the ledger knows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KnownAttack {
    /// Number.
    pub id: AttackId,
    /// Whose address.
    pub customer: Option<String>,
    /// Latest figures.
    pub attack: Attack,
    /// The case that works on it.
    pub case: Option<CaseId>,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Case {
    /// Number.
    pub id: CaseId,
    /// Whose.
    pub customer: Option<String>,
    /// One line.
    pub title: String,
    /// Where work stands.
    pub phase: Phase,
    /// Whether it is an exercise.
    pub exercise: bool,
    /// When it was opened.
    pub opened: Timestamp,
    /// When each phase began, in order.
    pub phases: Vec<(Phase, Timestamp)>,
    /// Its attacks.
    pub attacks: Vec<AttackId>,
    /// Its requests.
    pub requests: Vec<RequestId>,
    /// Its measures.
    pub measures: Vec<MeasureId>,
    /// Remarks with time and author.
    pub notes: Vec<(Timestamp, Actor, String)>,
}

/// A request on record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// Number.
    pub id: RequestId,
    /// Case.
    pub case: CaseId,
    /// When it was taken down.
    pub at: Timestamp,
    /// Who took it down.
    pub taken_by: Actor,
    /// Words and who stands behind them.
    pub request: RequestWords,
    /// When it was withdrawn.
    pub withdrawn: Option<Timestamp>,
}

/// A measure with its whole life.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measure {
    /// Number.
    pub id: MeasureId,
    /// Case.
    pub case: CaseId,
    /// Where it stands.
    pub status: Status,
    /// Whether it is an exercise.
    pub exercise: bool,
    /// What, why, until when.
    pub draft: MeasureDraft,
    /// What the policy engine said, latest; the denial for a denied one.
    pub decision: Value,
    /// Who proposed it and when.
    pub proposed: (Actor, Timestamp),
    /// Who approved it and when.
    pub approved: Option<(Actor, Timestamp)>,
    /// Where, by whom and when it was applied.
    pub applied: Option<Applied>,
    /// Last error of the hand.
    pub error: Option<String>,
    /// First and latest reading of its effect.
    pub effect: Option<(Effect, Effect)>,
    /// Why and when its release was asked for.
    pub release: Option<(ReleaseReason, Timestamp)>,
    /// When it was gone and how that was checked.
    pub released: Option<(Timestamp, String)>,
    /// The way back: tasks, notices, trial openings, renewals, checks.
    pub ending: Ending,
}

/// How a measure came into force.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// When.
    pub at: Timestamp,
    /// Who: the hand, or the person who typed it.
    pub by: Actor,
    /// Where.
    pub place: String,
    /// What the hand reports.
    pub receipt: String,
}

impl Measure {
    /// The plan in force or proposed.
    pub fn plan(&self) -> Option<&Plan> {
        self.draft.plan.as_ref()
    }

    /// The end in force and the moment from which it counts: application or the last renewal. `None` before application.
    pub fn end(&self) -> Option<(Timestamp, &End)> {
        let applied = self.applied.as_ref()?.at;
        Some(self.ending.renewed.as_ref().map_or((applied, &self.draft.end), |(since, end)| (*since, end)))
    }

    /// The end as it stands, in force or not yet.
    pub fn end_wanted(&self) -> &End {
        self.ending.renewed.as_ref().map_or(&self.draft.end, |(_, end)| end)
    }
}

/// A notice on its way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// Number.
    pub id: AlertId,
    /// Case; none for what is about no case.
    pub case: Option<CaseId>,
    /// When it was queued.
    pub at: Timestamp,
    /// One line, English.
    pub subject_en: String,
    /// One line, Japanese.
    pub subject_ja: String,
    /// What it is about.
    pub about: AlertAbout,
    /// Channels that took it or were given up, with the error of the latter.
    pub channels: BTreeMap<String, Option<String>>,
}

/// An event that does not fit the state before it: the ledger was not written by this code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It names something that does not exist.
    #[error("event {seq} names {what}, which no earlier event made")]
    Unknown {
        /// Place in the ledger.
        seq: u64,
        /// The missing thing.
        what: String,
    },
    /// It makes a measure take a step that it cannot.
    #[error("event {seq}: {source}")]
    Step {
        /// Place in the ledger.
        seq: u64,
        /// Which step.
        source: StepError,
    },
}

/// Everything the ledger says, by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Attacks.
    pub attacks: BTreeMap<AttackId, KnownAttack>,
    /// Cases.
    pub cases: BTreeMap<CaseId, Case>,
    /// Requests.
    pub requests: BTreeMap<RequestId, Request>,
    /// Measures.
    pub measures: BTreeMap<MeasureId, Measure>,
    /// Alerts.
    pub alerts: BTreeMap<AlertId, Alert>,
    /// Where the network was not as wanted.
    pub drift: Drift,
    /// Highest measure number in use, collection measures included.
    pub last_measure: u64,
    /// The collection measure of the current run, with its terms and decision.
    pub collection: Option<(MeasureId, Value, Value)>,
    /// Place of the last event applied.
    pub seq: u64,
}

impl State {
    /// Takes one event.
    ///
    /// # Errors
    /// When the event does not fit; the state is then unchanged.
    pub fn apply(&mut self, r: &Recorded) -> Result<(), ApplyError> {
        let (seq, at) = (r.seq, r.at);
        match &r.event {
            Event::Started { .. } => {}
            Event::CollectionStarted { id, terms, decision } => {
                self.last_measure = self.last_measure.max(id.0);
                self.collection = Some((*id, terms.clone(), decision.clone()));
            }
            Event::CollectionStopped { id, .. } => {
                if self.collection.as_ref().is_some_and(|(running, _, _)| running == id) {
                    self.collection = None;
                }
            }
            Event::AttackSeen { id, customer, attack } => {
                let known = KnownAttack { id: *id, customer: customer.clone(), attack: (**attack).clone(), case: None };
                self.attacks.insert(*id, known);
            }
            Event::AttackUpdated { id, attack } | Event::AttackEnded { id, attack } => {
                get(&mut self.attacks, id, seq)?.attack = (**attack).clone();
            }
            Event::CaseOpened { id, customer, attack, title } => {
                let case = Case {
                    id: *id,
                    customer: customer.clone(),
                    title: title.clone(),
                    phase: Phase::Assess,
                    exercise: r.exercise,
                    opened: at,
                    phases: vec![(Phase::Assess, at)],
                    attacks: attack.iter().copied().collect(),
                    requests: Vec::new(),
                    measures: Vec::new(),
                    notes: Vec::new(),
                };
                if let Some(a) = attack {
                    get(&mut self.attacks, a, seq)?.case = Some(*id);
                }
                self.cases.insert(*id, case);
            }
            Event::AttackJoined { case, attack } => {
                get(&mut self.attacks, attack, seq)?.case = Some(*case);
                get(&mut self.cases, case, seq)?.attacks.push(*attack);
            }
            Event::PhaseChanged { case, to, .. } => {
                let case = get(&mut self.cases, case, seq)?;
                case.phase = *to;
                case.phases.push((*to, at));
            }
            Event::Noted { case, text } => {
                get(&mut self.cases, case, seq)?.notes.push((at, r.actor.clone(), text.clone()));
            }
            Event::RequestRecorded { id, case, request } => {
                get(&mut self.cases, case, seq)?.requests.push(*id);
                let request = Request {
                    id: *id,
                    case: *case,
                    at,
                    taken_by: r.actor.clone(),
                    request: (**request).clone(),
                    withdrawn: None,
                };
                self.requests.insert(*id, request);
            }
            Event::CallbackRecorded { request, callback } => {
                get(&mut self.requests, request, seq)?.request.callback = Some(callback.clone());
            }
            Event::RequestWithdrawn { request, .. } => {
                get(&mut self.requests, request, seq)?.withdrawn = Some(at);
            }
            Event::MeasureProposed { .. }
            | Event::MeasureDenied { .. }
            | Event::MeasureApproved { .. }
            | Event::MeasureRejected { .. }
            | Event::MeasureApplied { .. }
            | Event::MeasureFailed { .. }
            | Event::EffectMeasured { .. }
            | Event::ReviewDue { .. }
            | Event::ReleaseProposed { .. }
            | Event::Ending { .. }
            | Event::ReleaseIntended { .. }
            | Event::ReleaseFailed { .. }
            | Event::MeasureReleased { .. } => self.apply_to_measure(r)?,
            Event::AlertQueued { id, case, subject_en, subject_ja, about } => {
                let alert = Alert {
                    id: *id,
                    case: *case,
                    at,
                    subject_en: subject_en.clone(),
                    subject_ja: subject_ja.clone(),
                    about: about.unwrap_or(AlertAbout::Attack),
                    channels: BTreeMap::new(),
                };
                self.alerts.insert(*id, alert);
            }
            Event::AlertDelivered { id, channel, .. } => {
                get(&mut self.alerts, id, seq)?.channels.insert(channel.clone(), None);
            }
            Event::AlertFailed { id, channel, error } => {
                get(&mut self.alerts, id, seq)?.channels.insert(channel.clone(), Some(error.clone()));
            }
            Event::MeasureMissing { id, .. } | Event::MeasurePutBack { id, .. } | Event::PutBackFailed { id, .. } => {
                get(&mut self.measures, id, seq)?;
            }
            Event::OrphanFound { .. }
            | Event::OrphanResolved { .. }
            | Event::OrphanGone { .. }
            | Event::HandUnreachable { .. }
            | Event::HandReachable { .. } => {}
        }
        self.drift.apply(r).map_err(|id| ApplyError::Unknown { seq, what: id.to_string() })?;
        self.seq = seq;
        Ok(())
    }

    fn apply_to_measure(&mut self, r: &Recorded) -> Result<(), ApplyError> {
        let (seq, at) = (r.seq, r.at);
        let step = |m: &mut Measure, step: Step| -> Result<(), ApplyError> {
            m.status = m.status.after(step).map_err(|source| ApplyError::Step { seq, source })?;
            Ok(())
        };
        match &r.event {
            Event::MeasureProposed { id, case, draft, decision }
            | Event::MeasureDenied { id, case, draft, denial: decision } => {
                get(&mut self.cases, case, seq)?.measures.push(*id);
                let denied = matches!(r.event, Event::MeasureDenied { .. });
                let measure = Measure {
                    id: *id,
                    case: *case,
                    status: if denied { Status::Denied } else { Status::Proposed },
                    exercise: r.exercise,
                    draft: (**draft).clone(),
                    decision: decision.clone(),
                    proposed: (r.actor.clone(), at),
                    approved: None,
                    applied: None,
                    error: None,
                    effect: None,
                    release: None,
                    released: None,
                    ending: Ending::default(),
                };
                self.last_measure = self.last_measure.max(id.0);
                self.measures.insert(*id, measure);
            }
            Event::MeasureApproved { id, plan, decision } => {
                let m = get(&mut self.measures, id, seq)?;
                step(m, Step::Approve)?;
                m.approved = Some((r.actor.clone(), at));
                m.decision = decision.clone();
                if let Some(plan) = plan {
                    m.draft.plan = Some((**plan).clone());
                }
            }
            Event::MeasureRejected { id, reason } => {
                let m = get(&mut self.measures, id, seq)?;
                step(m, Step::Reject)?;
                m.error = Some(reason.clone());
            }
            Event::MeasureApplied { id, place, receipt } => {
                let m = get(&mut self.measures, id, seq)?;
                step(m, Step::Applied)?;
                m.applied = Some(Applied { at, by: r.actor.clone(), place: place.clone(), receipt: receipt.clone() });
            }
            Event::MeasureFailed { id, error } => {
                let m = get(&mut self.measures, id, seq)?;
                step(m, Step::ApplyFailed)?;
                m.error = Some(error.clone());
            }
            Event::EffectMeasured { id, effect } => {
                let m = get(&mut self.measures, id, seq)?;
                let first = m.effect.map_or(*effect, |(first, _)| first);
                m.effect = Some((first, *effect));
            }
            Event::ReviewDue { id, why } => get(&mut self.measures, id, seq)?.error = Some(why.clone()),
            Event::ReleaseProposed { id, why } => {
                get(&mut self.measures, id, seq)?.ending.proposed = Some((at, why.clone()));
            }
            Event::Ending { id, what } => get(&mut self.measures, id, seq)?.ending.apply(at, &r.actor, what),
            Event::ReleaseIntended { id, reason } => {
                let m = get(&mut self.measures, id, seq)?;
                step(m, Step::Release)?;
                m.release = Some((reason.clone(), at));
            }
            Event::ReleaseFailed { id, error } => get(&mut self.measures, id, seq)?.error = Some(error.clone()),
            Event::MeasureReleased { id, checked } => {
                let m = get(&mut self.measures, id, seq)?;
                step(m, Step::Released)?;
                m.released = Some((at, checked.clone()));
                m.error = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// The next free number of each kind.
    pub fn next_attack(&self) -> AttackId {
        AttackId(self.attacks.keys().next_back().map_or(1, |id| id.0 + 1))
    }
    /// The next free case number.
    pub fn next_case(&self) -> CaseId {
        CaseId(self.cases.keys().next_back().map_or(1, |id| id.0 + 1))
    }
    /// The next free request number.
    pub fn next_request(&self) -> RequestId {
        RequestId(self.requests.keys().next_back().map_or(1, |id| id.0 + 1))
    }
    /// The next free measure number.
    pub fn next_measure(&self) -> MeasureId {
        MeasureId(self.last_measure + 1)
    }
    /// The next free alert number.
    pub fn next_alert(&self) -> AlertId {
        AlertId(self.alerts.keys().next_back().map_or(1, |id| id.0 + 1))
    }
    /// Measures of which something may be in the network.
    pub fn in_force(&self) -> impl Iterator<Item = &Measure> {
        self.measures.values().filter(|m| m.status.may_be_in_force())
    }
}

fn get<'a, K: Ord + std::fmt::Display, V>(
    map: &'a mut BTreeMap<K, V>,
    key: &K,
    seq: u64,
) -> Result<&'a mut V, ApplyError> {
    map.get_mut(key).ok_or_else(|| ApplyError::Unknown { seq, what: key.to_string() })
}
