//! Trying events before they are written: an event that the state would refuse must never reach the ledger, since a ledger
//! that holds one cannot be replayed.

use crate::event::Event;
use crate::id::{AlertId, AttackId, CaseId, MeasureId, RequestId};
use crate::state::{ApplyError, Recorded, State};

/// What an event names.
#[derive(Default)]
struct Names {
    attacks: Vec<AttackId>,
    cases: Vec<CaseId>,
    requests: Vec<RequestId>,
    measures: Vec<MeasureId>,
    alerts: Vec<AlertId>,
}

impl State {
    /// What would become of events that follow this state, without touching it: for each, whether it fits. An event that
    /// does not fit counts as not having happened for those after it.
    ///
    /// Only what the events name is copied, so that this costs no more than the events are large.
    pub fn trial<'a>(&self, events: impl IntoIterator<Item = &'a Recorded>) -> Vec<Result<(), ApplyError>> {
        let mut part = State { drift: self.drift.clone(), ..State::default() };
        events
            .into_iter()
            .map(|r| {
                part.take_over(self, &names(&r.event));
                part.apply(r)
            })
            .collect()
    }

    fn take_over(&mut self, whole: &State, names: &Names) {
        for id in &names.attacks {
            if let Some(known) = whole.attacks.get(id) {
                self.attacks.entry(*id).or_insert_with(|| known.clone());
            }
        }
        for id in &names.cases {
            if let Some(known) = whole.cases.get(id) {
                self.cases.entry(*id).or_insert_with(|| known.clone());
            }
        }
        for id in &names.requests {
            if let Some(known) = whole.requests.get(id) {
                self.requests.entry(*id).or_insert_with(|| known.clone());
            }
        }
        for id in &names.measures {
            if let Some(known) = whole.measures.get(id) {
                self.measures.entry(*id).or_insert_with(|| known.clone());
            }
        }
        for id in &names.alerts {
            if let Some(known) = whole.alerts.get(id) {
                self.alerts.entry(*id).or_insert_with(|| known.clone());
            }
        }
    }
}

/// Every kind stands here by name, so that a new one cannot be forgotten.
fn names(event: &Event) -> Names {
    let mut n = Names::default();
    match event {
        Event::Started { .. } | Event::CollectionStarted { .. } | Event::CollectionStopped { .. } => {}
        Event::AttackSeen { id, .. } | Event::AttackUpdated { id, .. } | Event::AttackEnded { id, .. } => {
            n.attacks.push(*id);
        }
        Event::CaseOpened { id, attack, .. } => {
            n.cases.push(*id);
            n.attacks.extend(attack);
        }
        Event::AttackJoined { case, attack } => {
            n.cases.push(*case);
            n.attacks.push(*attack);
        }
        Event::PhaseChanged { case, .. } | Event::Noted { case, .. } => n.cases.push(*case),
        Event::RequestRecorded { id, case, .. } => {
            n.requests.push(*id);
            n.cases.push(*case);
        }
        Event::CallbackRecorded { request, .. } | Event::RequestWithdrawn { request, .. } => n.requests.push(*request),
        Event::MeasureProposed { id, case, .. } | Event::MeasureDenied { id, case, .. } => {
            n.measures.push(*id);
            n.cases.push(*case);
        }
        Event::MeasureApproved { id, .. }
        | Event::MeasureRejected { id, .. }
        | Event::MeasureApplied { id, .. }
        | Event::MeasureFailed { id, .. }
        | Event::EffectMeasured { id, .. }
        | Event::ReviewDue { id, .. }
        | Event::ReleaseIntended { id, .. }
        | Event::ReleaseFailed { id, .. }
        | Event::ReleaseProposed { id, .. }
        | Event::Ending { id, .. }
        | Event::MeasureMissing { id, .. }
        | Event::MeasurePutBack { id, .. }
        | Event::PutBackFailed { id, .. }
        | Event::MeasureReleased { id, .. } => n.measures.push(*id),
        Event::AlertQueued { id, .. } | Event::AlertDelivered { id, .. } | Event::AlertFailed { id, .. } => {
            n.alerts.push(*id);
        }
        // Differences are taken over as a whole; there are few.
        Event::OrphanFound { .. }
        | Event::OrphanResolved { .. }
        | Event::OrphanGone { .. }
        | Event::HandUnreachable { .. }
        | Event::HandReachable { .. } => {}
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Phase;
    use crate::{Actor, Timestamp};

    fn recorded(event: Event) -> Recorded {
        Recorded { seq: 0, at: Timestamp::from_secs(1), actor: Actor::system("test"), exercise: false, event }
    }

    /// Every history of three events over two cases and two attacks: the trial says what the state does.
    #[test]
    fn a_trial_says_what_the_state_will_do() {
        let mut kinds = Vec::new();
        for n in 1..=2 {
            let (case, attack) = (CaseId(n), AttackId(n));
            kinds.push(Event::CaseOpened { id: case, customer: None, attack: None, title: String::new() });
            kinds.push(Event::Noted { case, text: "x".to_owned() });
            kinds.push(Event::PhaseChanged { case, from: Phase::Assess, to: Phase::Contact, why: String::new() });
            kinds.push(Event::AttackJoined { case, attack });
            kinds.push(Event::CaseOpened { id: case, customer: None, attack: Some(attack), title: String::new() });
            kinds.push(Event::MeasureRejected { id: MeasureId(n), reason: String::new() });
            kinds.push(Event::RequestWithdrawn { request: RequestId(n), words: String::new() });
            kinds.push(Event::AlertQueued {
                id: AlertId(n),
                case: None,
                subject_en: String::new(),
                subject_ja: String::new(),
                about: None,
            });
            kinds.push(Event::AlertFailed { id: AlertId(n), channel: "c".to_owned(), error: String::new() });
        }
        let mut refused = 0;
        for a in &kinds {
            for b in &kinds {
                for c in &kinds {
                    let history = [a, b, c].map(|e| recorded(e.clone()));
                    let mut state = State::default();
                    // The first is on record already where it fits; the others are tried.
                    let _ = state.apply(&history[0]);
                    let said = state.trial(&history[1..]);
                    let done: Vec<_> = history[1..].iter().map(|r| state.apply(r)).collect();
                    assert_eq!(said, done, "{history:#?}");
                    refused += done.iter().filter(|d| d.is_err()).count();
                }
            }
        }
        assert!(refused > 1_000, "{refused}");
    }

    #[test]
    fn a_trial_leaves_the_state_alone() {
        let mut state = State::default();
        let open = Event::CaseOpened { id: CaseId(1), customer: None, attack: None, title: String::new() };
        state.apply(&recorded(open)).unwrap();
        let before = state.clone();
        let note = recorded(Event::Noted { case: CaseId(1), text: "x".to_owned() });
        assert_eq!(state.trial([&note]), [Ok(())]);
        assert_eq!(state, before);
    }
}
