//! Desired against observed state, all the time (catalogue rows 96, 145, 146).
//!
//! One thread a hand looks, again and again; its answer comes back as a message, so neither the engine nor another hand
//! waits for a silent router. What is missing is put back while the decision for it holds. What is there and should not
//! be, or is something else than was decided, is put before a person: a hand-made change may have a reason.

pub(crate) mod compare;
mod findings;
pub(crate) mod looker;
mod orphans;
pub mod sight;

use crate::engine::Engine;
use crate::ports::{HandError, HandReport, SeenState, Sight};
use looker::{Looker, Wake};
use sight::HandView;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{Actor, Event, MeasureId, OrphanId, Timestamp};

/// Times a measure is put back within [`PUT_BACK_SPAN_MS`]; who takes it out again that often means it, and is asked.
pub const PUT_BACKS: usize = 3;
/// See [`PUT_BACKS`]; milliseconds.
pub const PUT_BACK_SPAN_MS: i64 = 3_600_000;
/// Longest text of a stray that goes on record, octets.
pub const MAX_FOUND_TEXT: usize = 64 << 10;

/// How often, and after how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifySettings {
    /// Milliseconds between two looks of a hand; a router's own time to answer comes on top.
    pub every_ms: u64,
    /// Milliseconds that the start waits for the hands to say what they hold; who has not answered by then is looked at later.
    pub start_bound_ms: u64,
    /// A place with measures that could not be looked at for so long raises an alarm; milliseconds.
    pub alarm_after_ms: i64,
    /// Counters that stand still for so long make us propose release; milliseconds.
    pub silent_ms: i64,
}

impl Default for VerifySettings {
    fn default() -> Self {
        VerifySettings { every_ms: 15_000, start_bound_ms: 5_000, alarm_after_ms: 60_000, silent_ms: 1_800_000 }
    }
}

/// What the engine remembers of it; the rest is in the state and in the views.
#[derive(Debug, Default)]
pub(crate) struct Verify {
    /// Wakes the threads that look; dropping one ends its thread.
    wakes: BTreeMap<String, Wake>,
    /// When a measure was put back.
    put_backs: BTreeMap<MeasureId, Vec<Timestamp>>,
    /// Tries in a row that failed.
    failures: BTreeMap<MeasureId, usize>,
    /// Orphans that a hand is taking out right now.
    removing: BTreeSet<OrphanId>,
    /// When something was taken out last, by hand and name: a look from before does not count.
    removed: BTreeMap<(String, String), Timestamp>,
}

impl Engine {
    /// Starts a thread for each hand.
    pub(crate) fn start_looking(&mut self) {
        for (name, hand) in &self.hands {
            let looker = Looker {
                hand: hand.clone(),
                shared: self.shared.clone(),
                clock: self.clock.clone(),
                messages: self.messages.clone(),
                every: Duration::from_millis(self.settings.verify.every_ms.max(1)),
            };
            match looker.start() {
                Ok(wake) => drop(self.verify.wakes.insert(name.clone(), wake)),
                Err(error) => tracing::error!(%error, hand = %name, "nobody looks at this hand"),
            }
        }
    }

    /// A change was made there: look again soon.
    pub(crate) fn wake(&self, hand: &str) {
        if let Some(wake) = self.verify.wakes.get(hand) {
            // One that is asked already, or has ended, needs no second word.
            let _ = wake.try_send(());
        }
    }

    /// A look came back.
    pub(crate) async fn looked(
        &mut self,
        hand: String,
        began: Timestamp,
        wanted: BTreeSet<MeasureId>,
        result: Result<Option<Sight>, HandError>,
    ) {
        let now = self.clock.now();
        let old = self.live(|l| l.views.get(&hand).cloned());
        let before = old.unwrap_or_else(|| Arc::new(HandView { hand: hand.clone(), ..HandView::default() }));
        let mut after = match result {
            Ok(None) => HandView { hand: hand.clone(), looks: Some(false), ..HandView::default() },
            Ok(Some(sight)) => compare::seen(&before, sight, began, now),
            Err(error) => compare::failed(&before, error.0, began, now),
        };
        self.alarms(&after, now).await;
        if after.looks == Some(true) && after.unreachable.is_none() {
            self.take_strays(&before, &mut after, began).await;
            // Published before anything is done about it, so that nobody sees a cure without the illness.
            self.publish(after.clone());
            self.found_at_last(&after, &wanted, began).await;
            self.put_back(&before, &after, &wanted, began, now).await;
            self.differing(&after, &wanted, began).await;
            self.gone(&after).await;
            self.silence(&after, now).await;
        } else {
            self.publish(after);
        }
    }

    fn publish(&self, view: HandView) {
        self.live(|l| l.views.insert(view.hand.clone(), Arc::new(view)));
    }

    /// Whether nothing happens to the measure right now and nothing has since `began`.
    fn settled(&self, m: &Measure, began: Timestamp) -> bool {
        // A trial opening is meant to look like this, and a look from before it was closed again still sees it.
        let open = self.probing.contains_key(&m.id) || m.ending.probes.last().is_some_and(|p| p.until > began);
        m.status == Status::Applied
            && !open
            && !self.applying.contains(&m.id)
            && !self.releasing.contains_key(&m.id)
            && m.applied.as_ref().is_some_and(|a| a.at <= began)
    }

    /// Measures whose hand did not say at the start whether it holds them.
    async fn found_at_last(&mut self, view: &HandView, wanted: &BTreeSet<MeasureId>, began: Timestamp) {
        let waits = |id: &&MeasureId| !self.applying.contains(id) && !self.releasing.contains_key(id);
        let open: Vec<MeasureId> = wanted.iter().filter(waits).copied().collect();
        for id in open {
            let Ok(m) = self.measure(id) else { continue };
            let approved_before = m.approved.as_ref().is_some_and(|(_, at)| *at < self.started && *at <= began);
            let Some(decision) = self.decisions.get(&id).cloned() else { continue };
            if m.status != Status::Applying || !approved_before {
                continue;
            }
            let places: Vec<_> = view.measures.iter().filter(|p| p.id == id).collect();
            if !places.is_empty() && places.iter().all(|p| p.state == SeenState::AsWanted) {
                let place = places.iter().map(|p| p.place.as_str()).collect::<Vec<_>>().join(", ");
                let receipt = "found in force".to_owned();
                self.commit_or_keep(&Actor::system("recovery"), vec![Event::MeasureApplied { id, place, receipt }])
                    .await;
            } else {
                self.start_apply(id, decision);
            }
        }
    }

    async fn put_back(
        &mut self,
        before: &HandView,
        after: &HandView,
        wanted: &BTreeSet<MeasureId>,
        began: Timestamp,
        now: Timestamp,
    ) {
        let count: BTreeSet<MeasureId> = self.look(|s| {
            let settled = |id: &&MeasureId| s.measures.get(id).is_some_and(|m| self.settled(m, began));
            wanted.iter().filter(settled).copied().collect()
        });
        for (id, place) in compare::lacking(before, after, &count) {
            let Ok(m) = self.measure(id) else { continue };
            // What has ended, or lost its ground, is on its way out: nobody puts it back.
            let Some(decision) = self.decisions.get(&id).cloned() else { continue };
            if self.ended(&m, None, now).is_some() {
                continue;
            }
            let times = self.verify.put_backs.entry(id).or_default();
            times.retain(|t| now.ms_since(*t) < PUT_BACK_SPAN_MS);
            if times.len() >= PUT_BACKS {
                self.keeps_going_missing(&after.hand, id, &place, "it was put back three times within an hour").await;
                continue;
            }
            if self.look(|s| s.drift.gaps.get(&id).and_then(|g| g.last()).is_none_or(|g| g.to.is_some())) {
                let event = Event::MeasureMissing { id, hand: after.hand.clone(), place };
                self.commit_or_keep(&Actor::system("verify"), vec![event]).await;
            }
            self.start_apply(id, decision);
        }
    }

    /// The hand has answered to a measure that is applied already by the ledger: it was put back or restored.
    pub(crate) async fn put_back_done(&mut self, id: MeasureId, hand: &str, result: Result<HandReport, HandError>) {
        let actor = Actor::system(&format!("hand {hand}"));
        match result {
            Ok(HandReport::Done { place, receipt }) => {
                self.verify.failures.remove(&id);
                self.verify.put_backs.entry(id).or_default().push(self.clock.now());
                self.commit_or_keep(&actor, vec![Event::MeasurePutBack { id, place, receipt }]).await;
            }
            Ok(HandReport::ByPerson) => {}
            Err(error) => {
                tracing::error!(%error, measure = %id, %hand, "in force by the ledger, but it could not be put back");
                let known = self.look(|s| s.drift.gaps.get(&id).and_then(|g| g.last()?.error.clone()));
                if known.as_deref() != Some(&error.0) {
                    let event = Event::PutBackFailed { id, error: error.0.clone() };
                    self.commit_or_keep(&actor, vec![event]).await;
                }
                let failures = self.verify.failures.entry(id).or_default();
                *failures += 1;
                if *failures == PUT_BACKS {
                    self.keeps_going_missing(hand, id, "", &error.0).await;
                }
            }
        }
    }
}
