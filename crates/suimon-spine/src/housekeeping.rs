//! What is looked at now and then rather than on every tick: the weekly list of stale measures, the terms of collecting, the
//! room on devices (catalogue rows 57, 92, 145).

use crate::engine::{Engine, Message};
use crate::facts::day_after;
use crate::ports::{Budget, HandError};
use crate::release::ms;
use crate::stale::{stale, week_start};
use std::collections::BTreeSet;
use suimon_base::calendar::japan;
use suimon_base::event::AlertAbout;
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{Actor, Event, MeasureId, Timestamp};
use suimon_policy::{Act, Stage, Verdict};

/// How often this is looked at, milliseconds.
pub const HOUSEKEEPING_MS: i64 = 60_000;
/// Somebody is told so many days before the terms of collecting have to be looked at again.
pub const REVIEW_DAYS_BEFORE: [i64; 3] = [14, 7, 1];
/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Engine {
    pub(crate) async fn housekeeping(&mut self, now: Timestamp) {
        if now < self.housekeeping_at {
            return;
        }
        self.housekeeping_at = now.plus_ms(HOUSEKEEPING_MS);
        self.weekly_list(now).await;
        self.look_at_collection(now).await;
        if now >= self.budget_at {
            self.budget_at = now.plus_ms(ms(self.settings.release.budget_every_s));
            let hands: BTreeSet<String> = self.look(|s| s.in_force().map(|m| m.draft.hand.clone()).collect());
            hands.iter().for_each(|hand| self.ask_budget(hand));
        }
    }

    async fn weekly_list(&mut self, now: Timestamp) {
        let Some(monday) = week_start(now) else { return };
        if self.look(|s| s.alerts.values().any(|a| a.about == AlertAbout::Stale && a.at >= monday)) {
            return;
        }
        let (register, calendar) = (self.register.clone(), &self.settings.calendar);
        let list = self.look(|s| stale(s, &register, calendar, &self.settings.release, now));
        if list.is_empty() {
            return;
        }
        let ids: Vec<String> = list.iter().take(20).map(|s| s.measure.to_string()).collect();
        let day = monday.to_jiff().to_zoned(japan()).strftime("%Y-%m-%d").to_string();
        let (n, ids) = (list.len(), ids.join(" "));
        let en = format!("week of {day}: {n} stale measures: {ids}");
        let ja = format!("{day}の週: 長く残っている措置が{n}件あります: {ids}");
        self.tell_once(AlertAbout::Stale, None, en, ja).await;
    }

    /// The terms say until when flows may be collected; a program that runs for months must not outlive them.
    async fn look_at_collection(&mut self, now: Timestamp) {
        let (Some(id), Some(terms)) = (self.collecting, self.register.collection.clone()) else { return };
        let Some(over) = day_after(&terms.review) else { return };
        let left = over.ms_since(now);
        if left > 0 {
            if let Some(days) = REVIEW_DAYS_BEFORE.iter().rev().find(|d| left <= **d * DAY_MS) {
                let en = format!(
                    "the terms of collecting flows are to be looked at by {}: {days} days left or less",
                    terms.review
                );
                let ja = format!("フロー収集の見直しの期日は{}です（残り{days}日以内）", terms.review);
                self.tell_once(AlertAbout::Collection, None, en, ja).await;
            }
            return;
        }
        let facts = self.collection_facts();
        let question = self.question(Act::CollectFlows, Stage::Apply, &Actor::system("collector"), None, facts);
        let Verdict::Denied(denial) = self.policy.decide(&question) else { return };
        self.collecting = None;
        let why = format!("the review date {} has passed: {}", terms.review, denial.summary.en);
        let event = Event::CollectionStopped { id, why };
        self.commit_or_keep(&Actor::system("collector"), vec![event]).await;
        let en = format!("flows are not collected any more: the review date {} has passed", terms.review);
        let ja = format!("見直しの期日{}を過ぎたため、フローの収集を止めました", terms.review);
        self.tell_once(AlertAbout::Collection, None, en, ja).await;
    }

    /// Asks a hand how much room its device has left, on a thread of its own.
    pub(crate) fn ask_budget(&self, hand: &str) {
        let Some(hand) = self.hands.get(hand).cloned() else { return };
        let messages = self.messages.clone();
        tokio::task::spawn_blocking(move || {
            let result = hand.budget();
            // The engine is gone only when the process stops.
            let _ = messages.blocking_send(Message::Budget { hand: hand.name().to_owned(), result });
        });
    }

    /// A device has no room left: the measure that matters least is put before a person. Nothing is released by itself.
    pub(crate) async fn budget_told(&mut self, hand: &str, result: Result<Option<Budget>, HandError>) {
        let budget = match result {
            Ok(Some(budget)) => budget,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, %hand, "the room left on a device is not known");
                return;
            }
        };
        let wanted = self.no_room.remove(hand).unwrap_or(0);
        let full = match wanted {
            0 => budget.used >= budget.limit,
            lines => budget.used.saturating_add(lines) > budget.limit,
        };
        if !full {
            return;
        }
        let waits = |m: &&Measure| m.draft.hand == hand && m.status == Status::Applied;
        if self.look(|s| s.in_force().filter(waits).any(|m| m.ending.proposed.is_some())) {
            return;
        }
        let measures: Vec<Measure> = self.look(|s| s.in_force().filter(waits).cloned().collect());
        let Some(m) =
            measures.into_iter().min_by(|a, b| self.weight(a).total_cmp(&self.weight(b)).then(a.id.cmp(&b.id)))
        else {
            return;
        };
        let why = format!(
            "{hand} has no room left ({} of {} lines are used, {wanted} more are wanted), and this measure matters least",
            budget.used, budget.limit
        );
        self.propose_release(
            &m,
            why,
            format!("{hand}の空きがありません。この措置の重要度が最も低いため、解除を提案します"),
        )
        .await;
    }

    /// How much a measure matters: packets a second of the attack that arrive; below zero where it has been quiet, the longer
    /// the less.
    fn weight(&self, m: &Measure) -> f64 {
        let effect = self.live(|l| l.effects.get(&m.id).copied()).or(m.effect.map(|(_, last)| last));
        let over = m
            .draft
            .attack
            .is_some_and(|id| self.look(|s| s.attacks.get(&id).is_some_and(|a| a.attack.ended.is_some())));
        match self.quiet_ms(m, effect) {
            Some(quiet_ms) if quiet_ms > 0 => -(quiet_ms as f64),
            _ if over => -1.0,
            _ => effect.map_or(0.0, |e| e.attack_arriving_pps),
        }
    }

    /// Puts a measure before a person, once.
    pub(crate) async fn propose_release(&mut self, m: &Measure, why: String, ja: String) {
        let en = format!("please release it: {why}");
        let event = Event::ReleaseProposed { id: m.id, why };
        self.commit_or_keep(&Actor::system("ends"), vec![event]).await;
        self.tell_review(m, &en, &ja).await;
    }

    /// A hand said that it could not put a measure in: it may be for want of room.
    pub(crate) fn perhaps_no_room(&mut self, m: &Measure) {
        let lines = m.plan().map_or(0, |p| p.lines);
        self.no_room.insert(m.draft.hand.clone(), lines);
        self.ask_budget(&m.draft.hand);
    }

    /// Measures that senses are told of although they are gone.
    pub(crate) fn is_watched_after(&self, id: MeasureId) -> bool {
        self.after.contains_key(&id)
    }
}
