//! Questions to a detector that change nothing.

use crate::detector::Detector;
use crate::entity::{Kind, total};
use crate::quiet::{QUIET, Quiet};
use crate::slot::Rate;
use ipnet::IpNet;
use suimon_base::attack::{Direction, Rates};
use suimon_base::{Pps, Timestamp};

impl Detector {
    /// Rates towards a target over the last window, corrected for sampling; zero for what is not tracked. A prefix that
    /// is not itself watched is the sum of its tracked addresses.
    pub fn rates(&self, target: IpNet, now: Timestamp) -> Rates {
        self.rates_in(target, Direction::In, now)
    }

    /// [`Detector::rates`] in a direction.
    pub fn rates_in(&self, target: IpNet, direction: Direction, now: Timestamp) -> Rates {
        let Some(base) = self.base else { return Rates::default() };
        let number = crate::detector::bucket_number(now, self.config.bucket_ms) - base;
        // The last closed bucket; a `now` of the past cannot be answered and counts as the newest.
        let Some(bucket) = u32::try_from(number).unwrap_or(0).max(self.bucket).checked_sub(1) else {
            return Rates::default();
        };
        let of = |at: u32| total(&self.entities[at as usize].rates(bucket, self.scale.window, &self.scale));
        let quiet = |q: &Quiet| {
            let c = q.over(bucket, self.scale.window);
            let per = self.scale.per_second / f64::from(self.scale.window);
            let rate = |x: f64| x * per;
            Rate {
                bytes: rate(c.bytes as f64),
                packets: rate(c.packets.into()),
                flows: rate(c.flows.into()),
                samples: 0.0,
            }
        };
        if let Some(at) = self.entity(target, direction) {
            return if at & QUIET == 0 { of(at) } else { quiet(self.quiets.get(at & !QUIET)) }.rates();
        }
        let mut sum = Rate::default();
        for (_, q, k) in self.quiets.iter() {
            if k.direction == direction && target.contains(&k.addr) {
                sum.add(&quiet(q));
            }
        }
        for (at, e) in (0u32..).zip(&self.entities) {
            if e.live && e.kind == Kind::Host && e.direction == direction && target.contains(&e.target) {
                sum.add(&of(at));
            }
        }
        sum.rates()
    }
}

/// What sampling leaves to see of an attack in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Sampled packets expected in a window.
    pub samples: f64,
    /// Sampled packets that must be there for the rule to fire.
    pub needed: u64,
    /// Relative standard error of the rate measured in a window, 1/√samples; infinite without any.
    pub relative_error: f64,
    /// Probability that one window fires, 0 to 1.
    pub probability: f64,
    /// Whether one window fires with at least [`DETECTABLE`] probability.
    pub detectable: bool,
}

/// Probability from which on an attack counts as detectable.
pub const DETECTABLE: f64 = 0.95;

/// Whether an attack of `rate` packets a second would be detected by a limit of `threshold` packets a second over
/// windows of `window_ms` under one-in-`sampling`, with at least `min_samples` sampled packets ([`crate::Config`]).
///
/// The number of sampled packets is taken as Poisson distributed.
pub fn detectable(threshold: Pps, rate: Pps, window_ms: u64, sampling: u32, min_samples: u32) -> Expected {
    let seconds = window_ms as f64 / 1_000.0;
    let n = f64::from(sampling.max(1));
    let samples = rate.0 as f64 * seconds / n;
    let least = if sampling > 1 { u64::from(min_samples) } else { 1 };
    let needed = ((threshold.0 as f64 * seconds / n).ceil() as u64).max(least);
    let probability = if sampling <= 1 { f64::from(samples >= needed as f64) } else { at_least(needed, samples) };
    let relative_error = if sampling <= 1 { 0.0 } else { 1.0 / samples.sqrt() };
    Expected { samples, needed, relative_error, probability, detectable: probability >= DETECTABLE }
}

/// P(X ≥ k) of a Poisson variable with this mean.
fn at_least(k: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return f64::from(k == 0);
    }
    if mean > 10_000.0 {
        // Far beyond any sampling error that matters; the normal tail decides by more than ten standard errors or not.
        return f64::from(k as f64 <= mean - 3.0 * mean.sqrt());
    }
    let mut log = -mean;
    let mut below = 0.0;
    for i in 0..k.min(100_000) {
        below += log.exp();
        log += mean.ln() - ((i + 1) as f64).ln();
    }
    (1.0 - below).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectation_under_sampling() {
        let clear = detectable(Pps(1_000), Pps(100_000), 1_000, 1_000, 5);
        assert_eq!((clear.samples, clear.needed, clear.detectable), (100.0, 5, true));
        let thin = detectable(Pps(1_000), Pps(1_600), 1_000, 1_000, 5);
        assert!(!thin.detectable && thin.probability < 0.05, "{thin:?}");
        // Poisson, mean 5: P(X ≥ 5) = 0.5595 (tables).
        let even = detectable(Pps(1_000), Pps(5_000), 1_000, 1_000, 5);
        assert!((even.probability - 0.5595).abs() < 1e-3, "{even:?}");
        assert!(detectable(Pps(1_000), Pps(1_000), 1_000, 1, 5).detectable);
        assert!(!detectable(Pps(1_000), Pps(999), 1_000, 1, 5).detectable);
    }
}
