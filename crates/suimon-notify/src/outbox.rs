//! What is tried when. Pure: no clock, no sockets, no randomness of its own.

use crate::alert::Alert;
use crate::courier::DeliverError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use suimon_base::Timestamp;
use suimon_base::id::AlertId;

/// How patient and how large an outbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The wait after the first failed try, in milliseconds; it doubles with each.
    pub first_wait_ms: i64,
    /// The longest wait between two tries, in milliseconds.
    pub max_wait_ms: i64,
    /// An alert older than this is given up, in milliseconds since it was queued.
    pub max_age_ms: i64,
    /// A try without an answer for so long counts as failed, in milliseconds.
    pub max_try_ms: i64,
    /// The most deliveries (an alert on a channel is one) that wait.
    pub max_waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            first_wait_ms: 5_000,
            max_wait_ms: 15 * 60_000,
            max_age_ms: 24 * 3_600_000,
            max_try_ms: 120_000,
            max_waiting: 1_024,
        }
    }
}

/// What an outbox is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// An alert for these channels. One that already waits for a channel is not queued for it again.
    Queue(Arc<Alert>, Vec<String>),
    /// A try ended.
    Tried {
        /// Which alert.
        id: AlertId,
        /// Over which channel.
        channel: String,
        /// How.
        result: Result<(), DeliverError>,
    },
    /// Time passed.
    Tick,
}

/// What an outbox wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Try this now, and tell the result by [`Input::Tried`].
    Try {
        /// The alert.
        alert: Arc<Alert>,
        /// Over which channel.
        channel: String,
    },
    /// Record that the channel took it.
    Delivered {
        /// Which alert.
        id: AlertId,
        /// Which channel.
        channel: String,
        /// How many tries that took.
        tries: u32,
    },
    /// Record that nobody will try any more.
    GivenUp {
        /// Which alert.
        id: AlertId,
        /// Which channel.
        channel: String,
        /// How many tries there were.
        tries: u32,
        /// The last error, and why it was the last.
        error: String,
    },
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Deliveries queued.
    pub queued: u64,
    /// Deliveries not queued because they wait already.
    pub duplicates: u64,
    /// Deliveries that a channel took.
    pub delivered: u64,
    /// Tries that failed and are tried again.
    pub retries: u64,
    /// Deliveries given up: a lasting error, or too old.
    pub given_up: u64,
    /// Deliveries given up because the outbox was full.
    pub dropped: u64,
}

#[derive(Debug)]
struct Waiting {
    alert: Arc<Alert>,
    tries: u32,
    due: Timestamp,
    /// When the running try started.
    trying: Option<Timestamp>,
    error: String,
}

/// Alerts on their way, each over each of its channels. One try a channel at a time, most severe and oldest first.
#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    waiting: BTreeMap<(String, AlertId), Waiting>,
    counters: Counters,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(limits: Limits) -> Self {
        Outbox { limits, waiting: BTreeMap::new(), counters: Counters::default() }
    }

    /// What happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many deliveries wait or are being tried.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When [`Input::Tick`] is next worth sending.
    pub fn next_due(&self) -> Option<Timestamp> {
        let busy = self.busy();
        let wake = |channel: &str, w: &Waiting| {
            let old = w.alert.at.plus_ms(self.limits.max_age_ms);
            match w.trying {
                Some(since) => since.plus_ms(self.limits.max_try_ms),
                // A busy channel wakes the others when its own try ends.
                None if busy.contains(channel) => old,
                None => w.due.min(old),
            }
        };
        self.waiting.iter().map(|((channel, _), w)| wake(channel, w)).min()
    }

    /// Channels with a running try.
    fn busy(&self) -> BTreeSet<String> {
        self.waiting.iter().filter(|(_, w)| w.trying.is_some()).map(|((channel, _), _)| channel.clone()).collect()
    }

    /// Takes one input at `now`. `jitter` in 0…1 spreads the next wait between half and all of it, so that receivers that
    /// failed together are not called together.
    pub fn step(&mut self, now: Timestamp, jitter: f64, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Queue(alert, channels) => {
                for channel in channels {
                    self.queue(now, &alert, channel);
                }
                self.keep_bound(&mut actions);
            }
            Input::Tried { id, channel, result } => self.tried(now, jitter, id, channel, result, &mut actions),
            Input::Tick => {}
        }
        self.unanswered(now, jitter, &mut actions);
        self.too_old(now, &mut actions);
        self.start(now, &mut actions);
        actions
    }

    fn queue(&mut self, now: Timestamp, alert: &Arc<Alert>, channel: String) {
        let key = (channel, alert.id);
        if self.waiting.contains_key(&key) {
            self.counters.duplicates += 1;
            return;
        }
        self.counters.queued += 1;
        let new = Waiting { alert: Arc::clone(alert), tries: 0, due: now, trying: None, error: String::new() };
        self.waiting.insert(key, new);
    }

    /// The least severe go, of those the oldest; it may be a new one. What is being tried stays.
    fn keep_bound(&mut self, actions: &mut Vec<Action>) {
        while self.waiting.len() > self.limits.max_waiting {
            let least = self.waiting.iter().filter(|(_, w)| w.trying.is_none());
            let least = least.min_by_key(|(key, w)| (w.alert.severity, w.alert.at, key.1)).map(|(key, _)| key.clone());
            let Some(key) = least else { return };
            self.counters.dropped += 1;
            self.give_up(key, "the outbox is full", actions);
        }
    }

    fn tried(
        &mut self,
        now: Timestamp,
        jitter: f64,
        id: AlertId,
        channel: String,
        result: Result<(), DeliverError>,
        actions: &mut Vec<Action>,
    ) {
        let key = (channel, id);
        // An answer that comes after its time was counted as failed; a late success still is one.
        let Some(waiting) = self.waiting.get_mut(&key) else { return };
        match result {
            Ok(()) => {
                let tries = waiting.tries;
                self.waiting.remove(&key);
                self.counters.delivered += 1;
                actions.push(Action::Delivered { id, channel: key.0, tries });
            }
            Err(_) if waiting.trying.is_none() => {}
            Err(error) => {
                waiting.trying = None;
                waiting.error = error.problem;
                if error.retry {
                    self.counters.retries += 1;
                    let wait = wait_ms(&self.limits, waiting.tries, jitter).max(error.after_ms.unwrap_or(0));
                    waiting.due = now.plus_ms(wait);
                } else {
                    self.counters.given_up += 1;
                    self.give_up(key, "", actions);
                }
            }
        }
    }

    /// Tries that nobody answers for count as failed: a lost answer must not stop a channel.
    fn unanswered(&mut self, now: Timestamp, jitter: f64, actions: &mut Vec<Action>) {
        let max = self.limits.max_try_ms;
        let late = |w: &Waiting| w.trying.is_some_and(|since| now.ms_since(since) >= max);
        let late: Vec<_> = self.waiting.iter().filter(|(_, w)| late(w)).map(|(key, _)| key.clone()).collect();
        for (channel, id) in late {
            let result = Err(DeliverError::passing("no answer"));
            self.tried(now, jitter, id, channel, result, actions);
        }
    }

    fn too_old(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let max = self.limits.max_age_ms;
        let old = |w: &Waiting| w.trying.is_none() && now.ms_since(w.alert.at) >= max;
        let old: Vec<_> = self.waiting.iter().filter(|(_, w)| old(w)).map(|(key, _)| key.clone()).collect();
        for key in old {
            self.counters.given_up += 1;
            self.give_up(key, "too old to be tried again", actions);
        }
    }

    fn give_up(&mut self, key: (String, AlertId), why: &str, actions: &mut Vec<Action>) {
        let Some(waiting) = self.waiting.remove(&key) else { return };
        let error = match (waiting.error.is_empty(), why.is_empty()) {
            (true, _) => why.to_owned(),
            (false, true) => waiting.error,
            (false, false) => format!("{}; {why}", waiting.error),
        };
        actions.push(Action::GivenUp { id: key.1, channel: key.0, tries: waiting.tries, error });
    }

    fn start(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let mut channels: Vec<String> = self.waiting.keys().map(|(channel, _)| channel.clone()).collect();
        channels.dedup();
        let busy = self.busy();
        for channel in channels.into_iter().filter(|c| !busy.contains(c)) {
            let due = self.waiting.iter_mut().filter(|((c, _), w)| *c == channel && w.due <= now);
            let next = due.min_by_key(|((_, id), w)| (std::cmp::Reverse(w.alert.severity), w.alert.at, *id));
            if let Some((_, waiting)) = next {
                waiting.trying = Some(now);
                waiting.tries += 1;
                actions.push(Action::Try { alert: Arc::clone(&waiting.alert), channel });
            }
        }
    }
}

/// The wait after `tries` failed tries, in milliseconds.
fn wait_ms(limits: &Limits, tries: u32, jitter: f64) -> i64 {
    let doublings = tries.saturating_sub(1).min(30);
    let full = limits.first_wait_ms.saturating_mul(1 << doublings).clamp(0, limits.max_wait_ms);
    let half = full / 2;
    // At most a quarter of an hour: exact in a float.
    half + ((full - half) as f64 * jitter.clamp(0.0, 1.0)) as i64
}

#[cfg(test)]
mod tests;
