//! What a look makes of what it finds: alarms, orphans, proposals to release.

use super::MAX_FOUND_TEXT;
use super::compare;
use super::sight::{HandView, StrayView};
use crate::engine::Engine;
use crate::ports::SeenState;
use std::collections::BTreeSet;
use suimon_base::drift::Found;
use suimon_base::event::AlertAbout;
use suimon_base::measure::Status;
use suimon_base::{Actor, AlertId, CaseId, Event, MeasureId, OrphanId, OrphanKind, OrphanStep, Timestamp};

/// Whose stray it is by the ledger.
enum Whose {
    /// Nobody's business: it was applied or released while the hand looked.
    Moving,
    /// Our own leftover: its measure has ended.
    Ended(String),
    /// Not ours to judge.
    Unknown(String),
}

impl Engine {
    fn verifier() -> Actor {
        Actor::system("verify")
    }

    /// Places with measures that have been dark for too long, and those that are light again.
    pub(super) async fn alarms(&mut self, view: &HandView, now: Timestamp) {
        let dark: Vec<(String, Timestamp, String)> = match &view.unreachable {
            Some(u) => vec![(String::new(), u.since, u.why.clone())],
            None => {
                let of = |p: &super::sight::PlaceView| match &p.state {
                    SeenState::Unreachable { why } => Some((p.place.clone(), p.since, why.clone())),
                    _ => None,
                };
                view.measures.iter().filter_map(of).collect()
            }
        };
        let open: BTreeSet<String> = self.look(|s| {
            let here = |o: &&suimon_base::drift::Outage| o.until.is_none() && o.hand == view.hand;
            s.drift.outages.iter().filter(here).map(|o| o.place.clone()).collect()
        });
        let cases: BTreeSet<CaseId> =
            self.look(|s| s.in_force().filter(|m| m.draft.hand == view.hand).map(|m| m.case).collect());
        let mut events = Vec::new();
        let mut told: BTreeSet<String> = BTreeSet::new();
        for (place, since, why) in dark.iter().cloned() {
            let late = now.ms_since(since) >= self.settings.verify.alarm_after_ms;
            if !late || cases.is_empty() || open.contains(&place) || !told.insert(place.clone()) {
                continue;
            }
            events.extend(self.unreachable_alerts(&cases, &view.hand, &place, events.len()));
            events.push(Event::HandUnreachable { hand: view.hand.clone(), place, since, why });
        }
        for place in open.into_iter().filter(|p| !dark.iter().any(|d| d.0 == *p)) {
            events.push(Event::HandReachable { hand: view.hand.clone(), place });
        }
        if !events.is_empty() {
            self.commit_or_keep(&Self::verifier(), events).await;
        }
    }

    /// `more`: alerts that the same events hold already.
    fn unreachable_alerts(&self, cases: &BTreeSet<CaseId>, hand: &str, place: &str, more: usize) -> Vec<Event> {
        let queued = self.waiting.iter().filter_map(|d| match d.event {
            Event::AlertQueued { id, .. } => Some(AlertId(id.0 + 1)),
            _ => None,
        });
        let first = queued.fold(self.look(|s| s.next_alert()), AlertId::max).0 + more as u64;
        let at = if place.is_empty() { hand.to_owned() } else { format!("{hand} {place}") };
        let one = |(n, case): (u64, &CaseId)| Event::AlertQueued {
            id: AlertId(first + n),
            case: Some(*case),
            subject_en: format!("{case}: {at} cannot be looked at; whether its measures are in force is not known"),
            subject_ja: format!("{case}: {at} の状態を確認できません。措置が有効かどうか分かりません"),
            about: Some(AlertAbout::HandFailed),
        };
        (0..).zip(cases).map(one).collect()
    }

    /// Puts strays that were seen twice on record; those of measures that have ended are taken out.
    pub(super) async fn take_strays(&mut self, before: &HandView, after: &mut HandView, began: Timestamp) {
        let strays = std::mem::take(&mut after.strays);
        for mut stray in strays {
            let whose = self.whose(&after.hand, &stray, began);
            let (kind, what) = match whose {
                Whose::Moving => continue,
                Whose::Ended(what) => (OrphanKind::Ended, what),
                Whose::Unknown(what) => (OrphanKind::Unknown, what),
            };
            let known = self.look(|s| {
                let same = |o: &&suimon_base::Orphan| {
                    o.gone.is_none()
                        && (&o.found.hand, &o.found.name, &o.found.place) == (&after.hand, &stray.name, &stray.place)
                };
                s.drift.orphans.values().rev().find(same).map(|o| (o.id, o.resolved.clone()))
            });
            let twice = before.strays.iter().any(|o| o.name == stray.name && o.place == stray.place);
            stray.orphan = match known {
                Some((id, resolved)) => {
                    if let Some(r) = resolved {
                        self.follow_up(id, r.step, r.measure, &after.measures).await;
                    }
                    Some(id)
                }
                // Numbers are taken from the record, so nothing new is found while it cannot be written.
                None if twice && self.waiting.is_empty() => self.raise(&after.hand, kind, &stray, what).await,
                None => None,
            };
            after.strays.push(stray);
        }
    }

    fn whose(&self, hand: &str, stray: &StrayView, began: Timestamp) -> Whose {
        let key = (hand.to_owned(), stray.name.clone());
        if self.verify.removed.get(&key).is_some_and(|at| *at >= began) {
            return Whose::Moving;
        }
        let Some(id) = stray.measure else {
            return Whose::Unknown("it bears a name of ours, but no measure's number".to_owned());
        };
        if self.applying.contains(&id) || self.releasing.contains_key(&id) {
            return Whose::Moving;
        }
        self.look(|s| match s.measures.get(&id) {
            None => Whose::Unknown(format!("the ledger knows no {id}")),
            Some(m) if m.draft.hand != hand => {
                Whose::Unknown(format!("{id} belongs to {}, and what is here was never decided", m.draft.hand))
            }
            Some(m) => match m.status {
                Status::Released if m.released.as_ref().is_some_and(|(at, _)| *at >= began) => Whose::Moving,
                Status::Released | Status::Failed => Whose::Ended(format!("{id} is {}", m.status)),
                Status::Applying | Status::Applied | Status::Releasing => Whose::Moving,
                Status::Denied | Status::Proposed | Status::Rejected => {
                    Whose::Unknown(format!("{id} is {}: nobody has approved it", m.status))
                }
            },
        })
    }

    async fn raise(&mut self, hand: &str, kind: OrphanKind, stray: &StrayView, what: String) -> Option<OrphanId> {
        let id = self.look(|s| s.drift.next_orphan());
        let long = stray.text.len() > MAX_FOUND_TEXT;
        let found = Box::new(Found {
            hand: hand.to_owned(),
            kind,
            name: stray.name.clone(),
            measure: stray.measure,
            place: stray.place.clone(),
            dialect: stray.dialect.clone(),
            text: if long { String::new() } else { stray.text.clone() },
            what,
        });
        let mut events = vec![Event::OrphanFound { id, found }];
        let leftover = kind == OrphanKind::Ended && stray.measure.is_some();
        if leftover {
            // Its end was decided long ago; this is the rest of its release.
            let reason = "its measure has ended".to_owned();
            events.push(Event::OrphanResolved { id, step: OrphanStep::Remove, reason, measure: None });
        }
        if let Err(error) = self.commit(&Self::verifier(), events).await {
            tracing::error!(%error, hand, name = stray.name, "something in the network that the ledger does not want");
            return None;
        }
        if leftover {
            self.take_out(id);
        }
        Some(id)
    }

    /// A decided orphan that is still seen.
    async fn follow_up(
        &mut self,
        id: OrphanId,
        step: OrphanStep,
        measure: Option<MeasureId>,
        places: &[super::sight::PlaceView],
    ) {
        match (step, measure) {
            (OrphanStep::Remove, _) => self.take_out(id),
            (OrphanStep::Adopt, Some(measure)) => {
                let status = self.look(|s| s.measures.get(&measure).map(|m| m.status));
                let over = !matches!(status, Some(Status::Proposed | Status::Applying | Status::Applied));
                let mut there = places.iter().filter(|p| p.id == measure).peekable();
                if over {
                    // Nobody has decided on it any more; the next look puts it before people again.
                    let how = format!("{measure}, which was to take its place, did not stay");
                    self.commit_or_keep(&Self::verifier(), vec![Event::OrphanGone { id, how }]).await;
                } else if there.peek().is_some() && there.all(|p| p.state == SeenState::AsWanted) {
                    self.take_out(id);
                }
            }
            _ => {}
        }
    }

    /// Measures in force of which something else is there.
    pub(super) async fn differing(&mut self, view: &HandView, wanted: &BTreeSet<MeasureId>, began: Timestamp) {
        for p in view.measures.iter().filter(|p| wanted.contains(&p.id)) {
            let SeenState::Different { why } = &p.state else { continue };
            let settled = self.measure(p.id).is_ok_and(|m| self.settled(&m, began));
            if settled {
                let text = p.text.clone().unwrap_or_default();
                self.raise_measure(&view.hand, p.id, OrphanKind::Differs, &p.place, text, why.clone()).await;
            }
        }
    }

    /// A measure that does not stay although it was put back.
    pub(super) async fn keeps_going_missing(&mut self, hand: &str, id: MeasureId, place: &str, why: &str) {
        let what = format!("{id} is in force by the ledger and missing in the network: {why}");
        self.raise_measure(hand, id, OrphanKind::Missing, place, String::new(), what).await;
    }

    async fn raise_measure(
        &mut self,
        hand: &str,
        measure: MeasureId,
        kind: OrphanKind,
        place: &str,
        text: String,
        what: String,
    ) {
        let known = self.look(|s| {
            s.drift.orphans.values().any(|o| {
                o.gone.is_none() && o.found.hand == hand && o.found.measure == Some(measure) && o.found.kind == kind
            })
        });
        if known || !self.waiting.is_empty() {
            return;
        }
        let id = self.look(|s| s.drift.next_orphan());
        let dialect = self.measure(measure).ok().and_then(|m| Some(m.plan()?.dialect.clone())).unwrap_or_default();
        let text = if text.len() > MAX_FOUND_TEXT { String::new() } else { text };
        let (hand, place, name) = (hand.to_owned(), place.to_owned(), measure.to_string());
        let found = Box::new(Found { hand, kind, name, measure: Some(measure), place, dialect, text, what });
        self.commit_or_keep(&Self::verifier(), vec![Event::OrphanFound { id, found }]).await;
    }

    /// Differences that are not seen any more.
    pub(super) async fn gone(&mut self, view: &HandView) {
        let events: Vec<Event> = self.look(|s| {
            let here = s.drift.orphans.values().filter(|o| o.gone.is_none() && o.found.hand == view.hand);
            here.filter_map(|o| {
                let how = match (o.found.kind, o.found.measure) {
                    (OrphanKind::Unknown | OrphanKind::Ended, _) => {
                        let seen = view.strays.iter().any(|x| x.name == o.found.name && x.place == o.found.place);
                        let by_us = matches!(&o.resolved, Some(r) if r.step != OrphanStep::Leave);
                        let words =
                            if by_us { "not there any more" } else { "not there any more; nobody here took it out" };
                        (!seen).then(|| words.to_owned())
                    }
                    (_, Some(id)) => {
                        let mut places = view.measures.iter().filter(|p| p.id == id).peekable();
                        let back = places.peek().is_some() && places.all(|p| p.state == SeenState::AsWanted);
                        let over = !s.measures.get(&id).is_some_and(|m| m.status.may_be_in_force());
                        if over {
                            Some(format!("{id} was released"))
                        } else {
                            back.then(|| "as wanted again".to_owned())
                        }
                    }
                    (_, None) => None,
                };
                how.map(|how| Event::OrphanGone { id: o.id, how })
            })
            .collect()
        });
        if !events.is_empty() {
            self.commit_or_keep(&Self::verifier(), events).await;
        }
    }

    /// Counters that stand still: a person is asked whether the measure is still needed (catalogue row 142).
    pub(super) async fn silence(&mut self, view: &HandView, now: Timestamp) {
        let ids: BTreeSet<MeasureId> = view.measures.iter().map(|p| p.id).collect();
        for id in ids {
            let Some(ms) = compare::silent_ms(view, id, now).filter(|ms| *ms >= self.settings.verify.silent_ms) else {
                continue;
            };
            let asks = self.look(|s| {
                s.measures.get(&id).is_some_and(|m| m.status == Status::Applied)
                    && !s.drift.release_proposed.contains_key(&id)
            });
            if asks {
                let why = format!("its counters have matched nothing for {} minutes", ms / 60_000);
                let ja = format!("機器の計数が{}分間増えていません。解除を提案します", ms / 60_000);
                let Ok(m) = self.measure(id) else { continue };
                self.propose_release(&m, why, ja).await;
            }
        }
    }

    /// For how long the device's counters of a measure have stood still; `None` where nothing counts or nobody looks.
    pub(crate) fn counters_silent_ms(&self, id: MeasureId, hand: &str, now: Timestamp) -> Option<i64> {
        let view = self.live(|l| l.views.get(hand).cloned())?;
        compare::silent_ms(&view, id, now)
    }
}
