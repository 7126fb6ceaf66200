//! What an exporter's options data says about its sampling.

use crate::elements::Action;
use suimon_base::flow::{Sampling, SamplingSource};

/// Rates by sampler, by interface, and for all of the exporter.
#[derive(Debug, Default)]
pub(crate) struct Samplers {
    whole: Option<u32>,
    /// Sorted by id.
    by_id: Vec<(u64, u32)>,
    /// Sorted by SNMP index.
    by_interface: Vec<(u32, u32)>,
}

/// What one options record said about sampling.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) id: Option<u64>,
    pub(crate) interface: Option<u32>,
    interval: Option<u64>,
    packet_interval: u64,
    packet_space: Option<u64>,
    size: u64,
    population: Option<u64>,
    probability: Option<f64>,
}

impl Told {
    pub(crate) fn note(&mut self, action: Action, value: u64, width: u8) {
        match action {
            Action::SamplerId => self.id = Some(value),
            Action::Interface => self.interface = u32::try_from(value).ok(),
            Action::Interval => self.interval = Some(value),
            Action::PacketInterval => self.packet_interval = value,
            Action::PacketSpace => self.packet_space = Some(value),
            Action::SampleSize => self.size = value,
            Action::Population => self.population = Some(value),
            Action::Probability if width == 4 => {
                self.probability = Some(f64::from(f32::from_bits(value as u32)));
            }
            Action::Probability => self.probability = Some(f64::from_bits(value)),
            _ => {}
        }
    }

    /// Packets of the population per sampled packet; `None` where the record does not say or says 0.
    pub(crate) fn rate(&self) -> Option<u32> {
        let pair =
            self.packet_space.and_then(|s| s.saturating_add(self.packet_interval).checked_div(self.packet_interval));
        let random = || self.population.and_then(|p| p.checked_div(self.size));
        let chance = || self.probability.filter(|p| *p > 0.0 && *p <= 1.0).map(|p| (1.0 / p).round() as u64);
        let rate = pair.or_else(random).or(self.interval).or_else(chance)?;
        Some(u32::try_from(rate).unwrap_or(u32::MAX)).filter(|r| *r > 0)
    }
}

/// What became of a rate that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    Same,
    Changed,
    /// The bound on samplers is reached.
    Refused,
}

impl Samplers {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len() + self.by_interface.len()
    }

    pub(crate) fn note(&mut self, told: &Told, limit: usize) -> Noted {
        let Some(rate) = told.rate() else { return Noted::Same };
        let room = self.len() < limit;
        match (told.id, told.interface) {
            (Some(id), _) => put(&mut self.by_id, id, rate, room),
            (None, Some(interface)) => put(&mut self.by_interface, interface, rate, room),
            (None, None) if self.whole == Some(rate) => Noted::Same,
            (None, None) => {
                self.whole = Some(rate);
                Noted::Changed
            }
        }
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<u32> {
        get(&self.by_id, id)
    }
    pub(crate) fn has_interfaces(&self) -> bool {
        !self.by_interface.is_empty()
    }
    /// The rate of the interface of entry, else of exit.
    pub(crate) fn by_interface(&self, in_if: u32, out_if: u32) -> Option<u32> {
        get(&self.by_interface, in_if).or_else(|| get(&self.by_interface, out_if))
    }

    /// For records that name no sampler. Several samplers that disagree: the config decides, else the smallest rate, so
    /// that an estimate never says more than was seen.
    pub(crate) fn base(&self, config: Option<u32>) -> Sampling {
        let options = |rate| Sampling { rate, source: SamplingSource::Options };
        if let Some(rate) = self.whole {
            return options(rate);
        }
        let lowest = self.by_id.iter().map(|(_, rate)| *rate).min();
        let agree = lowest.is_some_and(|low| self.by_id.iter().all(|(_, rate)| *rate == low));
        match (lowest, config) {
            (Some(rate), _) if agree => options(rate),
            (_, Some(rate)) => Sampling { rate, source: SamplingSource::Config },
            (Some(rate), None) => options(rate),
            (None, None) => Sampling::default(),
        }
    }
}

fn get<K: Ord + Copy>(list: &[(K, u32)], key: K) -> Option<u32> {
    list.binary_search_by_key(&key, |(k, _)| *k).ok().and_then(|i| list.get(i)).map(|(_, rate)| *rate)
}

fn put<K: Ord + Copy>(list: &mut Vec<(K, u32)>, key: K, rate: u32, room: bool) -> Noted {
    match list.binary_search_by_key(&key, |(k, _)| *k) {
        Ok(i) if list[i].1 == rate => Noted::Same,
        Ok(i) => {
            list[i].1 = rate;
            Noted::Changed
        }
        Err(i) if room => {
            list.insert(i, (key, rate));
            Noted::Changed
        }
        Err(_) => Noted::Refused,
    }
}
