//! A model router: applies the rules of the measures in force to packets.

use crate::traffic::Packet;
use suimon_base::{Action, MeasureId, PacketHeader, Rule, RuleSet};

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Passed on.
    Forwarded,
    /// Dropped by this rule of this measure.
    Dropped {
        /// Whose rules.
        measure: MeasureId,
        /// Index of the rule within its set.
        rule: usize,
    },
}

impl Verdict {
    /// Whether the packet passed.
    pub const fn is_forwarded(self) -> bool {
        matches!(self, Verdict::Forwarded)
    }
}

/// Hits of one rule since it was installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleHits {
    /// Packets that the rule decided about.
    pub matched: u64,
    /// Those of them that it dropped.
    pub dropped: u64,
    /// Octets of the packets that it dropped.
    pub dropped_octets: u64,
}

/// How much a rate limit lets through at once, as a part of its rate: 100 ms.
pub const BURST_MS: u64 = 100;

/// The least burst of a limit in bits a second, octets: one packet of the usual largest size.
pub const LEAST_BURST_OCTETS: u64 = 1_500;

const MICRO: u64 = 1_000_000;

/// A token bucket in whole numbers: one token is a millionth of a packet or bit, so nothing is lost to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    rate_per_s: u64,
    capacity: u64,
    tokens: u64,
    filled_us: u64,
}

impl TokenBucket {
    /// A full bucket for `rate_per_s` packets or bits a second that holds 100 ms of it, at least `least`.
    pub fn new(rate_per_s: u64, least: u64, at_us: u64) -> Self {
        let capacity = rate_per_s.saturating_mul(BURST_MS * 1_000).max(least.saturating_mul(MICRO));
        TokenBucket { rate_per_s, capacity, tokens: capacity, filled_us: at_us }
    }

    /// Takes `amount` if it is there. An amount above the whole bucket is taken as the whole bucket, or it could never
    /// pass. Time that goes backwards adds nothing.
    pub fn take(&mut self, at_us: u64, amount: u64) -> bool {
        let age_us = at_us.saturating_sub(self.filled_us);
        self.tokens = self.tokens.saturating_add(age_us.saturating_mul(self.rate_per_s)).min(self.capacity);
        self.filled_us = self.filled_us.max(at_us);
        let cost = amount.saturating_mul(MICRO).min(self.capacity);
        // A limit of zero has a bucket that fills never: after the first burst nothing passes.
        let enough = self.tokens >= cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }
}

#[derive(Clone, Debug)]
struct Installed {
    id: MeasureId,
    set: RuleSet,
    hits: Vec<RuleHits>,
    buckets: Vec<Option<TokenBucket>>,
}

/// Applies several measures at once: a packet passes when each of them lets it pass. Within a measure the first rule
/// that matches decides, and what matches none passes ([`RuleSet::decide`]). A permit of one measure does not
/// undo another's drop.
#[derive(Clone, Debug, Default)]
pub struct ModelRouter {
    measures: Vec<Installed>,
}

impl ModelRouter {
    /// A router without rules.
    pub fn new() -> Self {
        ModelRouter::default()
    }

    /// Puts the rules of a measure in force from `at_us`; rules it had before are replaced and their counters begin anew.
    pub fn install(&mut self, at_us: u64, id: MeasureId, set: RuleSet) {
        let bucket = |rule: &Rule| match rule.action {
            Action::LimitPps(pps) => Some(TokenBucket::new(pps, 1, at_us)),
            Action::LimitBps(bps) => Some(TokenBucket::new(bps, LEAST_BURST_OCTETS * 8, at_us)),
            Action::Permit | Action::Discard => None,
        };
        let buckets = set.rules.iter().map(bucket).collect();
        let hits = vec![RuleHits::default(); set.rules.len()];
        let new = Installed { id, set, hits, buckets };
        match self.measures.iter_mut().find(|m| m.id == id) {
            Some(old) => *old = new,
            None => self.measures.push(new),
        }
    }

    /// Takes a measure's rules out; `false` where there were none.
    pub fn remove(&mut self, id: MeasureId) -> bool {
        let before = self.measures.len();
        self.measures.retain(|m| m.id != id);
        self.measures.len() < before
    }

    /// The measures in force, in the order of installation.
    pub fn installed(&self) -> impl Iterator<Item = (MeasureId, &RuleSet)> {
        self.measures.iter().map(|m| (m.id, &m.set))
    }

    /// Hits of each rule of a measure, in the rules' order.
    pub fn hits(&self, id: MeasureId) -> Option<&[RuleHits]> {
        self.measures.iter().find(|m| m.id == id).map(|m| m.hits.as_slice())
    }

    /// Decides about one packet at `at_us`.
    pub fn offer(&mut self, at_us: u64, packet: &Packet) -> Verdict {
        for m in &mut self.measures {
            if let Some(rule) = m.drops(at_us, &packet.header) {
                return Verdict::Dropped { measure: m.id, rule };
            }
        }
        Verdict::Forwarded
    }
}

impl Installed {
    fn drops(&mut self, at_us: u64, header: &PacketHeader) -> Option<usize> {
        let (rule, action) = self.set.decide(header)?;
        let bucket = self.buckets.get_mut(rule)?;
        let dropped = match (action, bucket) {
            (Action::Permit, _) => false,
            (Action::LimitPps(_), Some(b)) => !b.take(at_us, 1),
            (Action::LimitBps(_), Some(b)) => !b.take(at_us, u64::from(header.ip_len) * 8),
            // A limit always has its bucket; without one the safe reading is the stricter.
            (Action::Discard | Action::LimitPps(_) | Action::LimitBps(_), _) => true,
        };
        let hits = self.hits.get_mut(rule)?;
        hits.matched += 1;
        if dropped {
            hits.dropped += 1;
            hits.dropped_octets += u64::from(header.ip_len);
        }
        dropped.then_some(rule)
    }
}
