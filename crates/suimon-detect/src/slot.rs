//! Counters of one vector of one target: a ring of short buckets, the standing rate of long flows, and a slow average.

use suimon_base::attack::Rates;
use suimon_base::units::Fps;
use suimon_base::{Bps, Pps};

/// Buckets kept; a window has at most this many.
pub(crate) const RING: usize = 5;
/// Standing rates are kept in 1/1024 a second, so that adding and taking away cancel exactly.
pub(crate) const FIXED: u64 = 1_024;

/// What arrived in one bucket, corrected for sampling. Sixteen octets: at many hosts the cost of a flow is memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub bytes: u64,
    pub packets: u32,
    pub flows: u32,
}

/// Standing rates, 1/[`FIXED`] a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub bytes: u64,
    pub packets: u64,
    pub flows: u64,
}

impl Standing {
    pub(crate) fn add(&mut self, o: &Standing) {
        self.bytes = self.bytes.saturating_add(o.bytes);
        self.packets = self.packets.saturating_add(o.packets);
        self.flows = self.flows.saturating_add(o.flows);
    }
    pub(crate) fn take(&mut self, o: &Standing) {
        self.bytes = self.bytes.saturating_sub(o.bytes);
        self.packets = self.packets.saturating_sub(o.packets);
        self.flows = self.flows.saturating_sub(o.flows);
    }
}

/// Rates a second; `samples` is the number of sampled packets behind them (not a rate).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    pub bytes: f64,
    pub packets: f64,
    pub flows: f64,
    pub samples: f64,
}

impl Rate {
    pub(crate) fn add(&mut self, o: &Rate) {
        self.bytes += o.bytes;
        self.packets += o.packets;
        self.flows += o.flows;
        self.samples += o.samples;
    }
    pub(crate) fn take(&mut self, o: &Rate) {
        self.bytes = (self.bytes - o.bytes).max(0.0);
        self.packets = (self.packets - o.packets).max(0.0);
        self.flows = (self.flows - o.flows).max(0.0);
        self.samples = (self.samples - o.samples).max(0.0);
    }
    pub(crate) fn rates(&self) -> Rates {
        let whole = |x: f64| x.round() as u64;
        Rates { bps: Bps(whole(self.bytes * 8.0)), pps: Pps(whole(self.packets)), fps: Fps(whole(self.flows)) }
    }
}

/// How buckets turn into rates and averages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Buckets a second.
    pub per_second: f64,
    /// Buckets of a window.
    pub window: u32,
    /// Buckets of a second.
    pub second: u32,
    /// Weight of one bucket in the slow average.
    pub alpha: f64,
}

#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Slot {
    /// Newest bucket written.
    last: u32,
    /// Index of the vector.
    pub vector: u8,
    cells: [Cell; RING],
    pub standing: Standing,
    /// Slow averages a second of bytes, packets and flows. A bucket enters when it leaves the ring, so the first
    /// second of an attack is never part of what it is compared with.
    normal: [f32; 3],
}

const fn place(bucket: u32) -> usize {
    (bucket % RING as u32) as usize
}

impl Slot {
    pub(crate) fn new(vector: u8, bucket: u32) -> Self {
        Slot { vector, last: bucket, ..Slot::default() }
    }

    /// With this normal rate, and this in the buckets up to `bucket`, newest first.
    pub(crate) fn inherit(&mut self, bucket: u32, normal: [f32; 3], ring: Option<&[Cell; RING]>) {
        self.normal = normal;
        for (back, cell) in (0u32..).zip(ring.into_iter().flatten()) {
            if let Some(b) = bucket.checked_sub(back) {
                self.cells[place(b)] = *cell;
            }
        }
        self.last = bucket;
    }

    /// The cell of the open bucket.
    pub(crate) fn open(&mut self, bucket: u32, scale: &Scale, frozen: bool) -> &mut Cell {
        if bucket > self.last {
            self.move_to(bucket, scale, frozen);
        }
        &mut self.cells[place(bucket)]
    }

    /// Makes `bucket` the newest, feeding what leaves the ring into the slow average unless `frozen`.
    pub(crate) fn move_to(&mut self, bucket: u32, scale: &Scale, frozen: bool) {
        let gap = bucket.saturating_sub(self.last);
        for step in 1..=gap.min(RING as u32) {
            let at = place(self.last + step);
            if !frozen {
                let cell = self.cells[at];
                self.feed(&cell, scale);
            }
            self.cells[at] = Cell::default();
        }
        if gap > RING as u32 && !frozen {
            let quiet = gap - RING as u32;
            let keep = (1.0 - scale.alpha).powf(f64::from(quiet)) as f32;
            let standing = self.standing_rate();
            for (n, s) in self.normal.iter_mut().zip([standing.bytes, standing.packets, standing.flows]) {
                *n = *n * keep + s as f32 * (1.0 - keep);
            }
        }
        self.last = self.last.max(bucket);
    }

    fn feed(&mut self, cell: &Cell, scale: &Scale) {
        let standing = self.standing_rate();
        let alpha = scale.alpha as f32;
        let now = [
            cell.bytes as f64 * scale.per_second + standing.bytes,
            f64::from(cell.packets) * scale.per_second + standing.packets,
            f64::from(cell.flows) * scale.per_second + standing.flows,
        ];
        for (n, x) in self.normal.iter_mut().zip(now) {
            *n += alpha * (x as f32 - *n);
        }
    }

    /// The slow averages a second, not corrected for a short history.
    pub(crate) fn normal(&self) -> Rate {
        let [bytes, packets, flows] = self.normal.map(f64::from);
        Rate { bytes, packets, flows, samples: 0.0 }
    }

    fn standing_rate(&self) -> Rate {
        let real = |x: u64| x as f64 / FIXED as f64;
        let s = &self.standing;
        Rate { bytes: real(s.bytes), packets: real(s.packets), flows: real(s.flows), samples: 0.0 }
    }

    /// What arrived in `bucket`; nothing where the ring no longer or not yet holds it.
    pub(crate) fn cell(&self, bucket: u32) -> Cell {
        if bucket > self.last || self.last - bucket >= RING as u32 {
            return Cell::default();
        }
        self.cells[place(bucket)]
    }

    /// Rates over the `count` buckets that end with `bucket`, long flows included; `samples` as if unsampled.
    pub(crate) fn over(&self, bucket: u32, count: u32, scale: &Scale) -> Rate {
        let mut sum = Rate::default();
        for back in 0..count.min(bucket + 1) {
            let c = self.cell(bucket - back);
            sum.bytes += c.bytes as f64;
            sum.packets += f64::from(c.packets);
            sum.flows += f64::from(c.flows);
        }
        let per = scale.per_second / f64::from(count.max(1));
        let standing = self.standing_rate();
        let packets = sum.packets * per + standing.packets;
        Rate {
            bytes: sum.bytes * per + standing.bytes,
            packets,
            flows: sum.flows * per + standing.flows,
            samples: packets * f64::from(count) / scale.per_second,
        }
    }

    /// Forgets the ring, as when the length of a bucket changes.
    pub(crate) fn clear(&mut self) {
        self.cells = [Cell::default(); RING];
    }
}

/// Slots kept beside the target itself; most addresses need no more, and each step elsewhere is a wait for memory.
const INLINE: usize = 2;

/// The slots of a target, in the order they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    inline: [Slot; INLINE],
    len: usize,
    more: Vec<Slot>,
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    /// Reads what counting in `bucket` will read, so that it is at hand then.
    pub(crate) fn touch(&self, bucket: u32) -> u32 {
        self.inline.iter().fold(0, |t, s| t ^ s.last ^ s.cells[place(bucket)].flows)
    }
    pub(crate) fn push(&mut self, slot: Slot) {
        match self.inline.get_mut(self.len) {
            Some(place) => *place = slot,
            None => self.more.push(slot),
        }
        self.len += 1;
    }
    /// The slot at a position below [`Slots::len`], which lies elsewhere in memory and so is not asked.
    pub(crate) fn get_mut(&mut self, at: usize) -> &mut Slot {
        if at < INLINE { &mut self.inline[at] } else { &mut self.more[at - INLINE] }
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.inline.iter().take(self.len).chain(&self.more)
    }
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.inline.iter_mut().take(self.len).chain(&mut self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { per_second: 5.0, window: 5, second: 5, alpha: 0.01 };

    #[test]
    fn a_window_is_the_last_buckets_only() {
        let mut s = Slot::new(0, 100);
        for b in 100..110 {
            s.open(b, &SCALE, false).packets += b;
        }
        assert_eq!(s.over(109, 5, &SCALE).packets, f64::from(105 + 106 + 107 + 108 + 109));
        assert_eq!(s.over(112, 5, &SCALE).packets, f64::from(108 + 109), "the rest has not been written");
        assert_eq!(s.over(104, 5, &SCALE).packets, 0.0, "gone");
        s.open(300, &SCALE, false).packets += 1;
        assert_eq!(s.over(300, 5, &SCALE).packets, 1.0);
    }

    #[test]
    fn the_normal_lags_a_ring_and_freezes() {
        let mut s = Slot::new(0, 0);
        for b in 0..RING as u32 {
            s.open(b, &SCALE, false).packets += 1_000;
        }
        assert_eq!(s.normal().packets, 0.0, "nothing has left the ring");
        for b in RING as u32..2_000 {
            s.open(b, &SCALE, false).packets += 1_000;
        }
        assert!((s.normal().packets - 5_000.0).abs() < 1.0);
        for b in 2_000..2_100 {
            s.open(b, &SCALE, true).packets += 1_000_000;
        }
        assert!((s.normal().packets - 5_000.0).abs() < 1.0, "an attack is not normal");
    }
}
