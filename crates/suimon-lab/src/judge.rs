//! Counts what came through, of the attack and of the legitimate traffic, packets and new connections.

use crate::traffic::{Label, Packet};
use std::collections::HashSet;

/// Part of a drill that is judged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// No measure yet.
    Before,
    /// A measure is in force.
    Measure,
    /// The measure was released.
    Released,
}

impl Span {
    const ALL: [Span; 3] = [Span::Before, Span::Measure, Span::Released];
}

/// Offered to the router and passed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// Arrived at the router.
    pub offered: u64,
    /// Passed on.
    pub passed: u64,
}

impl Count {
    fn add(&mut self, passed: bool) {
        self.offered += 1;
        self.passed += u64::from(passed);
    }

    /// Share that passed, 0 to 1; `None` where nothing was offered, which is not the same as nothing passing.
    pub fn share(&self) -> Option<f64> {
        (self.offered > 0).then(|| self.passed as f64 / self.offered as f64)
    }
}

/// Counts of one span or one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Packets of the attack.
    pub attack: Count,
    /// Octets of the attack.
    pub attack_octets: Count,
    /// Legitimate packets.
    pub legitimate: Count,
    /// New legitimate connections; one passes when its opening packet does.
    pub connections: Count,
    /// Legitimate connections that were open and lost a packet in this span, each counted once.
    pub broken: u64,
}

/// Width of a bucket, milliseconds.
pub const BUCKET_MS: u64 = 100;

/// Most buckets that are kept: an hour. Later packets count in their span only.
pub const MAX_BUCKETS: usize = 36_000;

/// The judge of a drill. The drill says when a span begins; packets count in the span they arrive in.
#[derive(Clone, Debug)]
pub struct Judge {
    span: Span,
    spans: [Tally; Span::ALL.len()],
    buckets: Vec<Tally>,
    /// Connections whose opening packet was dropped, and those already counted as broken.
    lost: HashSet<u32>,
}

impl Default for Judge {
    fn default() -> Self {
        Judge::new()
    }
}

impl Judge {
    /// Begins in [`Span::Before`].
    pub fn new() -> Self {
        Judge { span: Span::Before, spans: [Tally::default(); 3], buckets: Vec::new(), lost: HashSet::new() }
    }

    /// From now on packets count for `span`.
    pub fn enter(&mut self, span: Span) {
        self.span = span;
    }

    /// The span under way.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Counts one packet.
    pub fn record(&mut self, packet: &Packet, passed: bool) {
        let legitimate = packet.label == Label::Legitimate;
        let opens = legitimate && packet.connection != 0 && packet.opens;
        let mut broken = false;
        if legitimate && packet.connection != 0 {
            if opens && passed {
                // A capture that loops opens its connections anew.
                self.lost.remove(&packet.connection);
            } else if !passed {
                // The first loss of a connection that was open breaks it.
                broken = self.lost.insert(packet.connection) && !opens;
            }
        }
        let index = usize::try_from(packet.at_us / (BUCKET_MS * 1_000)).unwrap_or(usize::MAX);
        if index < MAX_BUCKETS && index >= self.buckets.len() {
            self.buckets.resize(index + 1, Tally::default());
        }
        let span = self.spans.get_mut(self.span as usize);
        for tally in span.into_iter().chain(self.buckets.get_mut(index)) {
            if legitimate {
                tally.legitimate.add(passed);
                tally.broken += u64::from(broken);
            } else {
                tally.attack.add(passed);
                let octets = u64::from(packet.header.ip_len);
                tally.attack_octets.offered += octets;
                tally.attack_octets.passed += if passed { octets } else { 0 };
            }
            if opens {
                tally.connections.add(passed);
            }
        }
    }

    /// Counts of a span so far.
    pub fn tally(&self, span: Span) -> Tally {
        self.spans.get(span as usize).copied().unwrap_or_default()
    }

    /// Counts per 100 ms since the source began.
    pub fn buckets(&self) -> &[Tally] {
        &self.buckets
    }

    /// Counts of the buckets that lie wholly in `from_us..to_us`.
    pub fn between(&self, from_us: u64, to_us: u64) -> Tally {
        let width = BUCKET_MS * 1_000;
        let from = usize::try_from(from_us.div_ceil(width)).unwrap_or(usize::MAX);
        let to = usize::try_from(to_us / width).unwrap_or(usize::MAX).min(self.buckets.len());
        let mut sum = Tally::default();
        for t in self.buckets.get(from..to).unwrap_or_default() {
            for (a, b) in [
                (&mut sum.attack, t.attack),
                (&mut sum.attack_octets, t.attack_octets),
                (&mut sum.legitimate, t.legitimate),
                (&mut sum.connections, t.connections),
            ] {
                a.offered += b.offered;
                a.passed += b.passed;
            }
            sum.broken += t.broken;
        }
        sum
    }
}
