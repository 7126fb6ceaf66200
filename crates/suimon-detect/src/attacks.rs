//! A running attack: what has been found, when it is over, and what is told of it.

use crate::entity::{Kind, total};
use crate::slot::Rate;
use crate::vectors::{self, TOTAL};
use suimon_base::attack::{Attack, FiredRule, TrafficProfile};
use suimon_base::{Timestamp, Vector};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Pps,
    Bps,
    Fps,
}

impl Unit {
    pub(crate) const ALL: [Unit; 3] = [Unit::Pps, Unit::Bps, Unit::Fps];
    pub(crate) fn of(self, r: &Rate) -> f64 {
        match self {
            Unit::Pps => r.packets,
            Unit::Bps => r.bytes * 8.0,
            Unit::Fps => r.flows,
        }
    }
    fn name(self) -> &'static str {
        match self {
            Unit::Pps => "pps",
            Unit::Bps => "bps",
            Unit::Fps => "flows/s",
        }
    }
    fn word(self) -> &'static str {
        match self {
            Unit::Pps => "pps",
            Unit::Bps => "bps",
            Unit::Fps => "fps",
        }
    }
}

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fire {
    pub vector: u8,
    pub unit: Unit,
    pub value: f64,
    pub threshold: f64,
}

impl Fire {
    /// How far over the limit.
    pub(crate) fn factor(&self) -> f64 {
        self.value / self.threshold.max(1e-9)
    }
    /// The rule as told: `syn.pps`, for prefixes `cover.syn.pps` or `customer.total.bps`.
    pub(crate) fn rule(&self, kind: Kind, window_ms: u64) -> FiredRule {
        let prefix = match kind {
            Kind::Host => "",
            Kind::Cover => "cover.",
            Kind::Customer => "customer.",
        };
        FiredRule {
            rule: format!("{prefix}{}.{}", vectors::name(self.vector), self.unit.word()),
            unit: self.unit.name().to_owned(),
            value: self.value.round() as u64,
            threshold: self.threshold.round() as u64,
            window_ms,
        }
    }
}

/// One vector of a running attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub vector: u8,
    pub peak: Rate,
    pub current: Rate,
}

pub(crate) struct Running {
    pub entity: u32,
    pub kind: Kind,
    pub found: Vec<Found>,
    pub fires: Vec<Fire>,
    /// Largest second of all found vectors together.
    pub peak: Rate,
    /// Since when it is under the release level.
    pub below: Option<Timestamp>,
    pub sent: Timestamp,
    pub before: TrafficProfile,
    /// Sampled packets behind the largest window.
    pub samples: f64,
    /// As last told.
    pub told: Attack,
}

pub(crate) fn raise(peak: &mut Rate, r: &Rate) {
    peak.bytes = peak.bytes.max(r.bytes);
    peak.packets = peak.packets.max(r.packets);
    peak.flows = peak.flows.max(r.flows);
    peak.samples = peak.samples.max(r.samples);
}

pub(crate) fn rate_of(rates: &[(u8, Rate)], vector: u8) -> Rate {
    if vector == TOTAL {
        return total(rates);
    }
    rates.iter().find(|(v, _)| *v == vector).map(|(_, r)| *r).unwrap_or_default()
}

impl Running {
    /// Bits of the vectors, for the sample; all of them for a total.
    pub(crate) fn mask(&self) -> u32 {
        if self.found.iter().any(|f| f.vector == TOTAL) {
            return u32::MAX;
        }
        self.found.iter().fold(0, |m, f| m | 1 << f.vector)
    }

    /// Figures after another bucket: `window` over the window, `second` over the last second.
    pub(crate) fn follow(&mut self, window: &[(u8, Rate)], second: &[(u8, Rate)]) {
        for f in &mut self.found {
            f.current = rate_of(window, f.vector);
            raise(&mut f.peak, &rate_of(second, f.vector));
        }
        let whole = |rates: &[(u8, Rate)]| match self.found.iter().any(|f| f.vector == TOTAL) {
            true => total(rates),
            false => {
                let mut sum = Rate::default();
                self.found.iter().for_each(|f| sum.add(&rate_of(rates, f.vector)));
                sum
            }
        };
        let (now, samples) = (whole(second), whole(window).samples);
        raise(&mut self.peak, &now);
        self.samples = self.samples.max(samples);
        for fire in &mut self.fires {
            fire.value = fire.value.max(fire.unit.of(&rate_of(window, fire.vector)));
        }
        self.found.sort_by(|a, b| b.peak.packets.total_cmp(&a.peak.packets).then(a.vector.cmp(&b.vector)));
    }

    /// Adds what fired anew; true where there is something to tell.
    pub(crate) fn learn(&mut self, fires: &[Fire], named: &[u8]) -> bool {
        for f in fires {
            if !self.fires.iter().any(|o| (o.vector, o.unit) == (f.vector, f.unit)) {
                self.fires.push(*f);
            }
        }
        let mut news = false;
        for &vector in named {
            if !self.found.iter().any(|f| f.vector == vector) {
                self.found.push(Found { vector, peak: Rate::default(), current: Rate::default() });
                news = true;
            }
        }
        // Once something specific is known, "no single kind" says nothing.
        let specific = named.iter().any(|v| *v != TOTAL) && !named.contains(&TOTAL);
        if specific && self.found.len() > 1 && self.found.iter().any(|f| f.vector == TOTAL) {
            self.found.retain(|f| f.vector != TOTAL);
            news = true;
        }
        news
    }

    /// Whether some rule that fired is still at its release level.
    pub(crate) fn lasts(&self, window: &[(u8, Rate)], release: f64) -> bool {
        self.fires.iter().any(|f| f.unit.of(&rate_of(window, f.vector)) >= f.threshold * release)
    }

    /// Vectors as told.
    pub(crate) fn vectors(&self) -> Vec<Vector> {
        self.found.iter().map(|f| vectors::name(f.vector)).collect()
    }
}
