//! Watching the ends: no measure outlives its reason (catalogue rows 137–142).

use crate::engine::Engine;
use crate::release::ms;
use ipnet::IpNet;
use suimon_base::end::MAX_END_SECONDS;
use suimon_base::ending::doubled;
use suimon_base::event::{Effect, ReleaseReason};
use suimon_base::measure::Status;
use suimon_base::state::Measure;
use suimon_base::{Actor, AttackId, End, Event, MeasureId, Timestamp};
use suimon_policy::Lapse;

/// An effect goes on record this long after application, and then this often; milliseconds.
pub const EFFECT_FIRST_MS: i64 = 2_000;
/// See [`EFFECT_FIRST_MS`].
pub const EFFECT_EVERY_MS: i64 = 60_000;
/// A clock that is further back than at the last look was set, milliseconds.
const CLOCK_STEP_MS: i64 = 1_000;
/// An attack of an earlier run that is not seen again within this time after the start has ended; milliseconds.
pub const STALE_ATTACK_MS: i64 = 60_000;

impl Engine {
    pub(crate) async fn look_at_ends(&mut self) {
        let now = self.clock.now();
        let measures: Vec<Measure> = self.look(|s| s.in_force().cloned().collect());
        self.watch_clock(now, &measures);
        for m in measures {
            if m.status == Status::Releasing || self.releasing.contains_key(&m.id) {
                // Where the ledger is behind, the status is too.
                self.retry_release(&m, now).await;
            } else if m.status == Status::Applied {
                self.look_at_end(&m, now).await;
            } else if let Some(what) = self.lapsed(&m, now) {
                // A person may have typed in the text and not said so yet.
                self.end(m.id, ReleaseReason::BasisLapsed { what }).await;
            }
        }
        if !self.stale.is_empty() && now.ms_since(self.started) > STALE_ATTACK_MS {
            self.end_stale(now).await;
        }
    }

    /// A clock that is set back must not keep filters in the network: what it was set back by counts as time that has
    /// passed for each measure that was in force then. One that is set forward ends measures early, which is the lesser
    /// harm. A restart forgets this.
    fn watch_clock(&mut self, now: Timestamp, in_force: &[Measure]) {
        let back = self.looked_at.ms_since(now);
        self.looked_at = now;
        self.set_back.retain(|id, _| in_force.iter().any(|m| m.id == *id));
        if back > CLOCK_STEP_MS {
            tracing::warn!(back_ms = back, "the clock was set back; measures in force end as if it had not been");
            for m in in_force {
                *self.set_back.entry(m.id).or_default() += back;
            }
        }
    }

    async fn look_at_end(&mut self, m: &Measure, now: Timestamp) {
        let Some((since, end)) = m.end().map(|(since, end)| (since, end.clone())) else { return };
        let effect = self.live(|l| l.effects.get(&m.id).copied());
        self.record_effect(m.id, since, effect, now).await;
        if let Some(reason) = self.ended(m, effect, now) {
            return self.end(m.id, reason).await;
        }
        self.look_at_notice(m, since, &end, effect, now).await;
        self.look_at_probe(m, since, &end, effect, now).await;
        let unknown = end.due(since, &self.settings.calendar).err();
        let due = unknown.is_some() || end.review(since).is_some_and(|at| at <= now);
        if due && self.reviewed.insert(m.id) {
            let why = match unknown {
                Some(error) => format!("nobody knows when it ends: {error}"),
                None => "it is still in force and nothing has ended it".to_owned(),
            };
            let event = Event::ReviewDue { id: m.id, why: why.clone() };
            self.commit_or_keep(&Actor::system("ends"), vec![event]).await;
            self.tell_review(m, &format!("{why} ({end})"), &format!("まだ適用中です。確認してください（{end}）")).await;
        }
    }

    pub(crate) async fn end(&mut self, id: MeasureId, reason: ReleaseReason) {
        if let Err(error) = self.release(&Actor::system("ends"), id, reason).await {
            tracing::error!(%error, measure = %id, "a measure that has ended is not released");
        }
    }

    async fn record_effect(&mut self, id: MeasureId, applied: Timestamp, effect: Option<Effect>, now: Timestamp) {
        let Some(effect) = effect else { return };
        let due = match self.effect_recorded.get(&id) {
            None => now.ms_since(applied) >= EFFECT_FIRST_MS,
            Some(last) => now.ms_since(*last) >= EFFECT_EVERY_MS,
        };
        if due {
            self.effect_recorded.insert(id, now);
            self.commit_or_keep(&Actor::system("meter"), vec![Event::EffectMeasured { id, effect }]).await;
        }
    }

    /// What has ended a measure in force, if anything has.
    pub(crate) fn ended(&self, m: &Measure, effect: Option<Effect>, now: Timestamp) -> Option<ReleaseReason> {
        let (since, end) = m.end()?;
        let now = now.plus_ms(self.set_back.get(&m.id).copied().unwrap_or(0));
        let longest = since.plus_ms(ms(MAX_END_SECONDS));
        let due = end.due(since, &self.settings.calendar).unwrap_or(Some(longest)).unwrap_or(longest);
        if due.min(longest) <= now {
            return Some(ReleaseReason::Due);
        }
        if let (End::TaskDone { .. }, Some((_, _, words))) = (end, &m.ending.task_done) {
            return Some(ReleaseReason::TaskDone { words: words.clone() });
        }
        if let End::Quiet { seconds } = end {
            let wanted_ms = ms(self.quiet_wanted_s(m, *seconds));
            let quiet = self.quiet_ms(m, effect);
            if let Some(quiet_ms) = quiet.filter(|q| *q >= wanted_ms && now.ms_since(since) >= wanted_ms) {
                return Some(ReleaseReason::Quiet { quiet_ms });
            }
        }
        self.lapsed(m, now).map(|what| ReleaseReason::BasisLapsed { what })
    }

    /// Milliseconds of quiet that something shows: flows of routers that export their drops, or the counters of the hand.
    ///
    /// Silence behind a filter whose drops nobody exports proves nothing. That they are exported may have been seen before a
    /// restart, when there were any.
    pub(crate) fn quiet_ms(&self, m: &Measure, effect: Option<Effect>) -> Option<i64> {
        let flows = effect.filter(|_| self.sees_drops(m, effect)).and_then(|e| e.quiet_ms);
        let counters = || self.counters_silent_ms(m.id, &m.draft.hand, self.clock.now());
        flows.or_else(counters)
    }

    /// Whether the routers export what they drop.
    pub(crate) fn sees_drops(&self, m: &Measure, effect: Option<Effect>) -> bool {
        let before = m.effect.is_some_and(|(first, last)| first.observes_drops || last.observes_drops);
        before || effect.is_some_and(|e| e.observes_drops)
    }

    /// The quiet that is asked for: doubled for each time that the attack came back after a release (row 142).
    pub(crate) fn quiet_wanted_s(&self, m: &Measure, seconds: u64) -> u64 {
        doubled(seconds, self.returns(m), self.settings.release.quiet_cap_s)
    }

    /// How often measures on these targets were released for quiet shortly before this one. All of it is on record, so a
    /// restart changes nothing.
    fn returns(&self, m: &Measure) -> u32 {
        let Some(plan) = m.plan() else { return 0 };
        let window = ms(self.settings.release.return_within_s);
        let same = |o: &Measure| {
            let quiet = matches!(o.release, Some((ReleaseReason::Quiet { .. } | ReleaseReason::Probed { .. }, _)));
            let recent = o.released.as_ref().is_some_and(|(at, _)| (0..=window).contains(&m.proposed.1.ms_since(*at)));
            let targets = o.plan().map_or(&[][..], |p| p.targets.as_slice());
            let meet = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
            quiet && recent && targets.iter().any(|a| plan.targets.iter().any(|b| meet(a, b)))
        };
        let count = self.look(|s| s.measures.range(..m.id).filter(|(_, o)| same(o)).count());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn lapsed(&self, m: &Measure, now: Timestamp) -> Option<String> {
        // A decision holds while any of its grounds does; a ground lapses with the first of its reasons.
        let decision = self.decisions.get(&m.id)?;
        let mut why = None;
        for ground in decision.grounds() {
            why = Some(ground.lapses.iter().find_map(|l| self.lapse(l, m, now))?);
        }
        why
    }

    fn lapse(&self, lapse: &Lapse, m: &Measure, now: Timestamp) -> Option<String> {
        match lapse {
            Lapse::AttackEnds | Lapse::ImpairmentEnds => {
                let attack = m.draft.attack?;
                let ended = self.look(|s| s.attacks.get(&attack).is_some_and(|a| a.attack.ended.is_some()));
                ended.then(|| format!("attack {attack} has ended, and the basis with it"))
            }
            Lapse::ReviewDate(at) => (*at <= now).then(|| format!("the review date {at} has passed")),
            Lapse::RequestWithdrawn => {
                let request = m.draft.request?;
                let gone = self.look(|s| s.requests.get(&request).is_some_and(|r| r.withdrawn.is_some()));
                gone.then(|| format!("request {request} was withdrawn"))
            }
            Lapse::OptOut => {
                let customer = self.register.customer(m.draft.customer.as_deref()?)?;
                let out = customer.consent.as_ref().is_none_or(|c| c.opted_out);
                out.then(|| "the line has opted out".to_owned())
            }
            // The stated end is looked at first of all.
            Lapse::EndStated => None,
        }
    }

    async fn retry_release(&mut self, m: &Measure, now: Timestamp) {
        let ready = self.releasing.get(&m.id).is_none_or(|r| !r.busy && !r.by_person && r.retry_at <= now);
        if ready {
            self.start_release(m.id);
        }
    }

    async fn end_stale(&mut self, now: Timestamp) {
        let ids: Vec<AttackId> = std::mem::take(&mut self.stale).into_iter().collect();
        for id in ids {
            let Some(mut attack) = self.look(|s| s.attacks.get(&id).map(|a| a.attack.clone())) else { continue };
            attack.ended = Some(now);
            let event = Event::AttackEnded { id, attack: Box::new(attack) };
            self.commit_or_keep(&Actor::system("recovery"), vec![event]).await;
        }
    }
}
