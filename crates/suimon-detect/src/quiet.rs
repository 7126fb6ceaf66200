//! The first level: addresses far below every limit, one cache line each.
//!
//! Most addresses of a provider are idle or nearly so at any moment, and what a flow costs is the memory it touches. An
//! address begins here, counted over all vectors together; from [`BUSY_FLOWS`] flows or an [`EIGHTH`] of the smallest
//! trip level in one bucket on it becomes an [`crate::entity::Entity`] with counters of its own for every vector. What
//! was counted here goes along: the ring under the vector that the flows of the last seconds had, the sums as its normal
//! rate. Being under a trip level in every bucket, the ring can misplace at most a sixteenth of a threshold.

use crate::entity::{NONE, Recent};
use crate::rules::Rules;
use crate::slot::{Cell, RING};
use std::net::IpAddr;
use suimon_base::Direction;
use suimon_base::flow::{Sampling, SamplingSource};

/// Flows in a bucket, corrected for sampling where that is known, from which on an address is counted in full.
pub(crate) const BUSY_FLOWS: u16 = 8;
/// The part of the smallest trip level in a bucket from which on an address is counted in full.
const EIGHTH: u64 = 8;
/// Records that are kept of a quiet address, one in every [`REMEMBER_S`].
pub(crate) const KEPT: usize = 4;
/// Seconds between two records that are kept.
pub(crate) const REMEMBER_S: u32 = 4;
/// In the tables of addresses this bit tells the two levels apart.
pub(crate) const QUIET: u32 = 1 << 31;
/// [`Quiet::last`] of a place whose address is an entity now.
const MOVED: u32 = u32::MAX;
/// Bit of [`Quiet::sampling`]: some exporter's sampling is only assumed.
const ASSUMED: u32 = 1 << 31;

/// Counts in one bucket up to which an address stays quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ceiling {
    bytes: u32,
    packets: u16,
    flows: u16,
}

impl Ceiling {
    pub(crate) fn of(rules: &Rules) -> Self {
        let mut c = Ceiling { bytes: u32::MAX / 2, packets: u16::MAX / 2, flows: BUSY_FLOWS };
        for t in &rules.trips {
            let least = |x: u64, now: u64| (x / EIGHTH).min(now);
            c.bytes = least(t.bytes, c.bytes.into()) as u32;
            c.packets = least(t.packets.into(), c.packets.into()) as u16;
            c.flows = least(t.flows.into(), c.flows.into()) as u16;
        }
        c
    }
}

impl Ceiling {
    /// Whether octets, packets and flows a bucket stay below half of it.
    pub(crate) fn holds(&self, usual: [f32; 3]) -> bool {
        let most = [self.bytes as f32, f32::from(self.packets), f32::from(self.flows)];
        usual.iter().zip(most).all(|(x, most)| *x <= most / 2.0)
    }
}

#[derive(Clone, Copy, Default)]
struct Small {
    bytes: u32,
    packets: u16,
    flows: u16,
}

/// The counters of a quiet address: everything a flow touches.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Quiet {
    /// Newest bucket with traffic.
    pub last: u32,
    /// Its covering prefix; the entity's number once it has moved.
    pub cover: u32,
    /// Largest one-in-N seen, and [`ASSUMED`].
    sampling: u32,
    /// Octets, packets and flows that have left the ring since [`Known::counted_from`].
    sums: [f32; 3],
    ring: [Small; RING],
}

/// What else is known of it, touched every few seconds.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Known {
    pub addr: IpAddr,
    pub direction: Direction,
    /// Bucket of the first flow.
    pub first: u32,
    /// Since which bucket the sums count; older ones are halved now and then.
    pub counted_from: u32,
    pub records: [Recent; KEPT],
}

/// What an address brings along when it becomes an entity.
pub(crate) struct Moved {
    pub known: Known,
    pub cover: u32,
    pub sampling: u32,
    pub assumed: bool,
    /// Octets, packets and flows a bucket.
    pub usual: [f32; 3],
    /// Newest bucket first.
    pub ring: [Cell; RING],
}

const fn place(bucket: u32) -> usize {
    (bucket % RING as u32) as usize
}

impl Quiet {
    fn new(cover: u32) -> Self {
        Quiet { last: 0, cover, sampling: 1, sums: [0.0; 3], ring: [Small::default(); RING] }
    }
    /// The entity it has become.
    pub(crate) fn moved(&self) -> Option<u32> {
        (self.last == MOVED).then_some(self.cover)
    }
    fn move_to(&mut self, bucket: u32) {
        for step in 1..=bucket.saturating_sub(self.last).min(RING as u32) {
            let cell = std::mem::take(&mut self.ring[place(self.last + step)]);
            let left = [cell.bytes as f32, f32::from(cell.packets), f32::from(cell.flows)];
            self.sums.iter_mut().zip(left).for_each(|(s, x)| *s += x);
        }
        self.last = self.last.max(bucket);
    }
    /// Counts a flow of the open bucket unless that would pass the ceiling; says whether it was counted.
    #[inline]
    pub(crate) fn add(&mut self, bucket: u32, ceiling: &Ceiling, bytes: u64, packets: u32, flows: u32) -> bool {
        if bucket > self.last {
            self.move_to(bucket);
        }
        let cell = &mut self.ring[place(bucket)];
        let (b, p) = (u64::from(cell.bytes) + bytes, u64::from(cell.packets) + u64::from(packets));
        let f = u64::from(cell.flows) + u64::from(flows);
        if b > ceiling.bytes.into() || p > ceiling.packets.into() || f > ceiling.flows.into() {
            return false;
        }
        *cell = Small { bytes: b as u32, packets: p as u16, flows: f as u16 };
        true
    }
    #[inline]
    pub(crate) fn sampled(&mut self, s: Sampling) {
        let rate = s.rate.min(ASSUMED - 1).max(self.sampling & !ASSUMED);
        let assumed = if s.source == SamplingSource::Assumed { ASSUMED } else { self.sampling & ASSUMED };
        self.sampling = rate | assumed;
    }
    /// What arrived in `bucket`.
    fn cell(&self, bucket: u32) -> Cell {
        if bucket > self.last || self.last - bucket >= RING as u32 {
            return Cell::default();
        }
        let c = self.ring[place(bucket)];
        Cell { bytes: c.bytes.into(), packets: c.packets.into(), flows: c.flows.into() }
    }
    /// What arrived in the `count` buckets that end with `bucket`.
    pub(crate) fn over(&self, bucket: u32, count: u32) -> Cell {
        (0..count.min(bucket + 1)).map(|back| self.cell(bucket - back)).fold(Cell::default(), |a, c| Cell {
            bytes: a.bytes + c.bytes,
            packets: a.packets + c.packets,
            flows: a.flows + c.flows,
        })
    }
}

/// An address that becomes quiet again.
pub(crate) struct Returning {
    pub addr: IpAddr,
    pub direction: Direction,
    pub cover: u32,
    pub first: u32,
    /// Newest bucket with traffic.
    pub last: u32,
    pub sampling: u32,
    pub assumed: bool,
    /// Octets, packets and flows a bucket.
    pub usual: [f32; 3],
    pub records: [Recent; KEPT],
}

/// Every quiet address.
#[derive(Default)]
pub(crate) struct Quiets {
    counters: Vec<Quiet>,
    known: Vec<Known>,
    free: Vec<u32>,
    /// Places of addresses that have moved, to be free when no flow of a batch can point there any more.
    leaving: Vec<u32>,
    sweep: usize,
}

impl Quiets {
    pub(crate) fn with_capacity(n: usize) -> Self {
        Quiets { counters: Vec::with_capacity(n), known: Vec::with_capacity(n), ..Quiets::default() }
    }
    /// `None` where no further place has a number.
    pub(crate) fn put(&mut self, addr: IpAddr, direction: Direction, cover: u32, bucket: u32) -> Option<u32> {
        let known = Known { addr, direction, first: bucket, counted_from: bucket, records: [Recent::default(); KEPT] };
        let counters = Quiet::new(cover);
        if let Some(at) = self.free.pop() {
            (self.counters[at as usize], self.known[at as usize]) = (counters, known);
            return Some(at);
        }
        let at = u32::try_from(self.counters.len()).ok().filter(|at| *at < QUIET - 1)?;
        self.counters.push(counters);
        self.known.push(known);
        Some(at)
    }
    #[inline]
    pub(crate) fn get(&self, at: u32) -> &Quiet {
        &self.counters[at as usize]
    }
    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut Quiet {
        &mut self.counters[at as usize]
    }
    /// Keeps a record of it; `second` counts seconds of the detector's life, `aged` is the number of buckets from
    /// which on what was counted loses half its weight.
    pub(crate) fn remember(&mut self, at: u32, second: u32, recent: Recent, aged: u32) {
        let k = &mut self.known[at as usize];
        k.records[(second / REMEMBER_S) as usize % KEPT] = recent;
        let age = recent.bucket.saturating_sub(k.counted_from);
        if age > aged {
            k.counted_from += age / 2;
            self.counters[at as usize].sums.iter_mut().for_each(|s| *s /= 2.0);
        }
    }
    /// Takes an address out because it is the entity `to` now.
    pub(crate) fn promote(&mut self, at: u32, to: u32, bucket: u32) -> Moved {
        let (q, known) = (&mut self.counters[at as usize], self.known[at as usize].clone());
        q.move_to(bucket);
        // Before the ring only: what is in it is not part of the sums.
        let buckets = bucket.saturating_sub(known.counted_from).saturating_sub(RING as u32).max(1) as f32;
        let moved = Moved {
            cover: q.cover,
            sampling: q.sampling & !ASSUMED,
            assumed: q.sampling & ASSUMED != 0,
            usual: q.sums.map(|s| s / buckets),
            ring: std::array::from_fn(|back| q.cell(bucket.saturating_sub(back as u32))),
            known,
        };
        (q.last, q.cover) = (MOVED, to);
        self.leaving.push(at);
        moved
    }
    /// Takes an address back that is quiet again.
    pub(crate) fn restore(&mut self, r: Returning) -> Option<u32> {
        let at = self.put(r.addr, r.direction, r.cover, r.first)?;
        self.known[at as usize].records = r.records;
        let q = self.get_mut(at);
        q.last = r.last;
        q.sampling = r.sampling.min(ASSUMED - 1) | if r.assumed { ASSUMED } else { 0 };
        let buckets = r.last.saturating_sub(r.first).max(1) as f32;
        q.sums = r.usual.map(|x| x * buckets);
        Some(at)
    }
    pub(crate) fn known_at(&self, at: u32) -> &Known {
        &self.known[at as usize]
    }
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.counters.len() - self.free.len() - self.leaving.len()
    }
    /// Between two batches: places of moved addresses can be given out again.
    pub(crate) fn settle(&mut self) {
        self.free.append(&mut self.leaving);
    }
    /// Every quiet address with what is known of it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Quiet, &Known)> {
        let all = (0u32..).zip(self.counters.iter().zip(&self.known));
        all.filter(|(_, (q, _))| q.last != MOVED && q.last != GONE).map(|(at, (q, k))| (at, q, k))
    }
    /// Forgets the counters of single buckets, as when their length changes.
    pub(crate) fn clear(&mut self) {
        self.counters.iter_mut().for_each(|q| q.ring = [Small::default(); RING]);
    }
    /// Addresses without traffic for more than `idle` buckets, looked for in the next `part` places; they are forgotten
    /// here and returned with their covering prefix.
    pub(crate) fn sweep(&mut self, bucket: u32, idle: u32, per_round: usize) -> Vec<(IpAddr, Direction, u32)> {
        let n = self.counters.len();
        let mut out = Vec::new();
        for _ in 0..n.div_ceil(per_round).max(64).min(n) {
            self.sweep = if self.sweep + 1 >= n { 0 } else { self.sweep + 1 };
            let q = &mut self.counters[self.sweep];
            if q.last < GONE && bucket.saturating_sub(q.last) > idle {
                q.last = GONE;
                let k = &self.known[self.sweep];
                out.push((k.addr, k.direction, q.cover));
                self.free.push(u32::try_from(self.sweep).unwrap_or(NONE));
            }
        }
        out
    }
}

/// [`Quiet::last`] of a place that is free.
const GONE: u32 = MOVED - 1;

impl Known {
    /// The records that are kept, in no order.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Recent> {
        self.records.iter().filter(|r| r.bucket != 0)
    }
}

#[cfg(test)]
mod tests;
