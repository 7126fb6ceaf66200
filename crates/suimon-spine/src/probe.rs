//! Trial openings: where neither flows nor counters tell whether an attack is over, because it is dropped upstream, the
//! filter is opened for some seconds, watched, and closed again if the attack is still there (catalogue row 142).
//!
//! The opening is in the ledger before the hand hears of it, and a bound on time and packets is part of the record. Each
//! one in vain doubles the wait for the next. All of it follows from the record and the clock, so a restart changes nothing
//! but this: an opening that was under way is closed and counts as unclear.

use crate::engine::{Engine, FLUSH_RETRY_MS, Message};
use crate::measures::RELEASE_RETRY_MS;
use crate::ports::{HandError, HandReport, ManualHand};
use crate::release::ms;
use suimon_base::ending::{EndStep, ProbeFound, doubled};
use suimon_base::event::{Effect, ReleaseReason};
use suimon_base::state::Measure;
use suimon_base::{Actor, End, Event, MeasureId, Timestamp};

/// An opening under way.
#[derive(Clone, Debug)]
pub(crate) struct Probing {
    /// Since when the hand has let go; `None` while it is at work.
    opened: Option<Timestamp>,
    until: Timestamp,
    most_packets: u64,
    /// The latest reading.
    read: Timestamp,
    /// Packets of the attack that passed, from the readings.
    passed: f64,
    /// Whether anything at all was seen: silence of a dead meter proves nothing.
    seen: bool,
    /// What came of it, once that is known; the hand closes it then, or lets go for good.
    outcome: Option<(ProbeFound, String)>,
    retry_at: Timestamp,
}

impl Engine {
    /// Called for each measure in force that nothing has ended.
    pub(crate) async fn look_at_probe(
        &mut self,
        m: &Measure,
        since: Timestamp,
        end: &End,
        effect: Option<Effect>,
        now: Timestamp,
    ) {
        let Some(p) = self.probing.get(&m.id).cloned() else {
            if self.wants_probe(m, since, end, effect, now) {
                self.open_probe(m, now).await;
            }
            return;
        };
        match (&p.outcome, p.opened) {
            (Some(_), _) if p.retry_at <= now && !self.applying.contains(&m.id) => self.close_filter(m.id, now),
            (None, Some(_)) if p.until <= now => {
                if p.seen {
                    let open_ms = p.opened.map_or(0, |at| now.ms_since(at));
                    self.finish_probe(m, open_ms).await;
                } else {
                    self.end_probe(m.id, ProbeFound::Unclear, "no traffic at all was seen".to_owned());
                }
            }
            (None, None) if p.until <= now => {
                self.end_probe(m.id, ProbeFound::Unclear, "the hand did not open in time".to_owned());
            }
            _ => {}
        }
    }

    fn wants_probe(&self, m: &Measure, since: Timestamp, end: &End, effect: Option<Effect>, now: Timestamp) -> bool {
        let settings = &self.settings.release.probe;
        let End::Quiet { seconds } = end else { return false };
        // What a person would have to open and close within seconds is not opened. Without a decision nothing is closed again.
        if !settings.enabled || m.draft.hand == ManualHand::NAME || !self.decisions.contains_key(&m.id) {
            return false;
        }
        if self.quiet_ms(m, effect).is_some() || self.sees_drops(m, effect) || !self.waiting.is_empty() {
            return false;
        }
        let last = m.ending.probes.last().map_or(since, |p| p.until.max(since));
        let wait_s = doubled(self.quiet_wanted_s(m, *seconds), m.ending.probes_in_vain(), settings.cap_s);
        let not_before = self.probe_not_before.get(&m.id).copied().unwrap_or(last);
        now.ms_since(last) >= ms(wait_s) && now >= not_before
    }

    async fn open_probe(&mut self, m: &Measure, now: Timestamp) {
        let Some(hand) = self.hands.get(&m.draft.hand).cloned() else { return };
        let settings = &self.settings.release.probe;
        let until = now.plus_ms(ms(settings.open_s)).floor_ms();
        let most_packets = settings.most_packets;
        let what = Box::new(EndStep::ProbeOpened { until, most_packets });
        if let Err(error) = self.commit(&Actor::system("ends"), vec![Event::Ending { id: m.id, what }]).await {
            tracing::warn!(%error, measure = %m.id, "no trial opening without a record");
            self.probe_not_before.insert(m.id, now.plus_ms(FLUSH_RETRY_MS));
            return;
        }
        let probing = Probing {
            opened: None,
            until,
            most_packets,
            read: now,
            passed: 0.0,
            seen: false,
            outcome: None,
            retry_at: now,
        };
        self.probing.insert(m.id, probing);
        let (id, messages) = (m.id, self.messages.clone());
        tokio::task::spawn_blocking(move || {
            let result = hand.release(id);
            // The engine is gone only when the process stops; the start puts it back.
            let _ = messages.blocking_send(Message::ProbeOpened { id, result });
        });
    }

    /// The hand has let go, or could not.
    pub(crate) fn probe_opened(&mut self, id: MeasureId, result: Result<HandReport, HandError>) {
        let now = self.clock.now();
        let Some(p) = self.probing.get_mut(&id) else { return };
        match result {
            Ok(HandReport::Done { .. }) => {
                p.opened = Some(now);
                p.read = now;
                // It took too long: it is closed again by its own failure to open in time.
                if p.outcome.is_some() {
                    p.retry_at = now;
                }
            }
            Ok(HandReport::ByPerson) => self.end_probe(id, ProbeFound::Unclear, "only a person can open it".to_owned()),
            Err(error) => self.end_probe(id, ProbeFound::Unclear, format!("it could not be opened: {error}")),
        }
    }

    /// A reading while it is open.
    pub(crate) fn probe_reading(&mut self, id: MeasureId, effect: Effect) {
        let now = self.clock.now();
        let floor = self.measure(id).ok().and_then(|m| m.plan().map(|p| p.quiet_floor_pps)).unwrap_or(0.0);
        let Some(p) = self.probing.get_mut(&id).filter(|p| p.opened.is_some() && p.outcome.is_none()) else { return };
        let span_s = now.ms_since(p.read).max(0) as f64 / 1_000.0;
        p.read = now;
        p.passed += effect.attack_passed_pps * span_s;
        p.seen |= effect.attack_arriving_pps > 0.0 || effect.other_arriving_pps > 0.0;
        let (passed, most) = (p.passed, p.most_packets);
        if effect.attack_arriving_pps > floor {
            let why = format!("{:.0} packets/s of the attack arrive", effect.attack_arriving_pps);
            self.end_probe(id, ProbeFound::Present, why);
        } else if passed >= most as f64 {
            self.end_probe(id, ProbeFound::Present, format!("{passed:.0} packets passed, the bound is {most}"));
        }
    }

    /// It is closed again.
    fn end_probe(&mut self, id: MeasureId, found: ProbeFound, why: String) {
        let now = self.clock.now();
        if let Some(p) = self.probing.get_mut(&id) {
            p.outcome = Some((found, why));
        }
        self.close_filter(id, now);
    }

    fn close_filter(&mut self, id: MeasureId, now: Timestamp) {
        let Some(decision) = self.decisions.get(&id).cloned() else { return };
        if let Some(p) = self.probing.get_mut(&id) {
            p.retry_at = now.plus_ms(RELEASE_RETRY_MS);
        }
        self.start_apply(id, decision);
    }

    /// The hand was told to close it again.
    pub(crate) async fn probe_closed(&mut self, id: MeasureId, hand: &str, result: Result<HandReport, HandError>) {
        let now = self.clock.now();
        match result {
            Ok(_) => {
                let event = self.take_probe(id);
                self.commit_or_keep(&Actor::system(&format!("hand {hand}")), event.into_iter().collect()).await;
            }
            Err(error) => {
                if let Some(p) = self.probing.get_mut(&id) {
                    p.retry_at = now.plus_ms(RELEASE_RETRY_MS);
                }
                tracing::error!(%error, measure = %id, "a trial opening could not be closed yet");
                if let Ok(m) = self.measure(id) {
                    self.tell_hand_failed(&m, &error.0).await;
                }
            }
        }
    }

    /// It was open for long enough, something was seen, and the attack was not: it stays open for good.
    async fn finish_probe(&mut self, m: &Measure, open_ms: i64) {
        if let Some(p) = self.probing.get_mut(&m.id) {
            p.outcome = Some((ProbeFound::Absent, format!("open for {open_ms} ms without the attack")));
        }
        self.end(m.id, ReleaseReason::Probed { open_ms }).await;
    }

    /// Forgets the opening and says what came of it; for a release that comes between too.
    pub(crate) fn take_probe(&mut self, id: MeasureId) -> Option<Event> {
        let p = self.probing.remove(&id)?;
        let (found, why) = p.outcome.unwrap_or((ProbeFound::Unclear, "it was released meanwhile".to_owned()));
        // Rates are finite and not negative; what is too much saturates.
        let what = EndStep::ProbeClosed { found, passed_packets: p.passed.round() as u64, why };
        Some(Event::Ending { id, what: Box::new(what) })
    }

    /// An opening that an earlier run did not finish.
    pub(crate) fn unfinished_probe(m: &Measure) -> Option<Event> {
        m.ending.probe.as_ref()?;
        let why = "the program ended meanwhile".to_owned();
        let what = EndStep::ProbeClosed { found: ProbeFound::Unclear, passed_packets: 0, why };
        Some(Event::Ending { id: m.id, what: Box::new(what) })
    }
}
