//! One target: an address, a covering prefix or a customer's prefix, in one direction.

use crate::quiet::KEPT;
use crate::sample::Seen;
use crate::slot::{Rate, Scale, Slot, Slots};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::Direction;
use suimon_base::flow::Fragment;

/// Vectors counted apart for one target: all of them, so that nobody can hide one vector behind a packet of each of the
/// others. Slots are made when a vector is first seen.
pub(crate) const MAX_SLOTS: usize = crate::vectors::COUNT;
/// Records a host's short history keeps: the first ones, then one a second.
pub(crate) const HISTORY: usize = 32;
/// No slot for a vector yet.
const NO_SLOT: u8 = u8::MAX;
/// No such entity, sample or parent.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Host,
    Customer,
    Cover,
}

/// A record of a host's short history, 24 octets.
#[derive(Clone, Copy, Default)]
pub(crate) struct Recent {
    pub bucket: u32,
    packets: f32,
    peer: u32,
    len: u16,
    src_port: u16,
    dst_port: u16,
    proto: u8,
    flags: u8,
    pub vector: u8,
    fragment: Fragment,
}

impl Recent {
    pub(crate) fn new(bucket: u32, s: &Seen) -> Self {
        Recent {
            bucket,
            packets: s.packets,
            peer: s.peer,
            len: s.len,
            src_port: s.src_port,
            dst_port: s.dst_port,
            proto: s.proto,
            flags: s.flags,
            vector: s.vector,
            fragment: s.fragment,
        }
    }
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            packets: self.packets,
            flows: 1.0,
            in_if: 0,
            exporter: 0,
            len: self.len,
            src_port: self.src_port,
            dst_port: self.dst_port,
            proto: self.proto,
            flags: self.flags,
            vector: self.vector,
            fragment: self.fragment,
            known: false,
            peer: self.peer,
        }
    }
}

/// A host's short history.
#[derive(Clone)]
pub(crate) struct History {
    ring: [Recent; HISTORY],
}

impl History {
    pub(crate) fn new() -> Self {
        History { ring: [Recent::default(); HISTORY] }
    }
    /// Takes the place of the record that is [`HISTORY`] older.
    pub(crate) fn put(&mut self, number: u32, recent: Recent) {
        self.ring[number as usize % HISTORY] = recent;
    }
    /// Reads what [`History::put`] will write, so that it is at hand then.
    fn touch(&self, number: u32) -> u32 {
        self.ring[number as usize % HISTORY].bucket
    }
    pub(crate) fn records(&self) -> impl Iterator<Item = &Recent> {
        self.ring.iter().filter(|r| r.bucket != 0)
    }
}

/// In the order of use: what every flow touches lies together, before the counters.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct Entity {
    /// Newest bucket with traffic.
    pub touched: u32,
    /// Records in that bucket.
    pub busy: u32,
    /// Largest one-in-N seen.
    pub sampling: u32,
    pub rules: u32,
    pub cover: u32,
    pub customer: u32,
    pub sample: u32,
    pub hot_until: u32,
    pub generation: u32,
    /// Records put into the history, and the bucket of the last.
    pub remembered: u32,
    pub remembered_at: u32,
    /// Newest bucket in which it was too busy to be a quiet address.
    pub busy_at: u32,
    /// Position in `slots` by vector, [`NO_SLOT`] where there is none.
    place: [u8; MAX_SLOTS],
    pub kind: Kind,
    pub direction: Direction,
    pub live: bool,
    pub hot: bool,
    pub attacked: bool,
    /// Some exporter's sampling is only assumed.
    pub assumed: bool,
    pub slots: Slots,
    pub history: Option<Box<History>>,
    pub target: IpNet,
    pub first: u32,
    /// Buckets under attack, which the normal rate does not know.
    pub frozen: u32,
    /// Hosts below a covering prefix.
    pub hosts: u32,
    /// Long flows being spread.
    pub longs: u32,
}

impl Entity {
    pub(crate) fn new(target: IpNet, direction: Direction, kind: Kind, rules: u32, bucket: u32) -> Self {
        Entity {
            target,
            direction,
            kind,
            live: true,
            hot: false,
            attacked: false,
            assumed: false,
            place: [NO_SLOT; MAX_SLOTS],
            rules,
            cover: NONE,
            customer: NONE,
            touched: bucket,
            busy: 0,
            first: bucket,
            frozen: 0,
            hot_until: 0,
            generation: 0,
            sample: NONE,
            sampling: 1,
            hosts: 0,
            longs: 0,
            remembered: 0,
            remembered_at: 0,
            busy_at: bucket,
            slots: Slots::default(),
            history: (kind == Kind::Host).then(|| Box::new(History::new())),
        }
    }

    /// The vector's slot, made when it is first asked for.
    #[inline]
    pub(crate) fn slot(&mut self, vector: u8, bucket: u32) -> &mut Slot {
        let place = &mut self.place[usize::from(vector) % MAX_SLOTS];
        if *place == NO_SLOT {
            *place = self.slots.len() as u8;
            self.slots.push(Slot::new(vector, bucket));
        }
        self.slots.get_mut(usize::from(*place))
    }

    /// Whether a record of this bucket goes into the history: the first ones, then one a second.
    pub(crate) fn remembers(&self, bucket: u32, scale: &Scale) -> bool {
        let due = self.remembered < HISTORY as u32 || bucket - self.remembered_at >= scale.second;
        due && !self.attacked && self.kind == Kind::Host
    }

    /// Puts a record into the history.
    pub(crate) fn keep(&mut self, recent: Recent) {
        let number = self.remembered;
        self.remembered = number.checked_add(1).unwrap_or(HISTORY as u32);
        self.remembered_at = recent.bucket;
        if let Some(h) = self.history.as_mut() {
            h.put(number, recent);
        }
    }

    /// The newest records of the history, not of the future of `bucket`.
    pub(crate) fn latest(&self, bucket: u32) -> [Recent; KEPT] {
        let mut all: Vec<Recent> = self.history.iter().flat_map(|h| h.records()).copied().collect();
        all.retain(|r| r.bucket <= bucket);
        all.sort_by_key(|r| std::cmp::Reverse(r.bucket));
        std::array::from_fn(|i| all.get(i).copied().unwrap_or_default())
    }

    /// Octets, packets and flows a bucket that are normal for it, over all vectors.
    pub(crate) fn usual(&self, per_second: f64) -> [f32; 3] {
        let n = total(&self.slots.iter().map(|s| (s.vector, s.normal())).collect::<Vec<_>>());
        [n.bytes, n.packets, n.flows].map(|x| (x / per_second) as f32)
    }

    /// Reads what counting in `bucket` will read, so that it is at hand then.
    pub(crate) fn touch(&self, bucket: u32, scale: &Scale) -> u32 {
        let slots = self.slots.touch(bucket);
        match &self.history {
            Some(h) if self.remembers(bucket, scale) => slots ^ h.touch(self.remembered),
            _ => slots,
        }
    }

    /// The slot that counts the vector, if there is one.
    pub(crate) fn find(&mut self, vector: u8) -> Option<&mut Slot> {
        let place = self.place.get(usize::from(vector)).copied().filter(|p| *p != NO_SLOT)?;
        Some(self.slots.get_mut(usize::from(place)))
    }

    /// Rates of each vector over the `count` buckets that end with `bucket`.
    pub(crate) fn rates(&self, bucket: u32, count: u32, scale: &Scale) -> Vec<(u8, Rate)> {
        // Packets were multiplied by their sampling; with several exporters the sparsest counts.
        let thin = f64::from(self.sampling.max(1));
        let of = |s: &Slot| {
            let r = s.over(bucket, count, scale);
            (s.vector, Rate { samples: r.samples / thin, ..r })
        };
        self.slots.iter().map(of).collect()
    }

    /// Share of the slow average that the time since the first flow has filled; 0 where nothing entered it.
    pub(crate) fn history_weight(&self, bucket: u32, scale: &Scale) -> f64 {
        let age = bucket.saturating_sub(self.first).saturating_sub(self.frozen + crate::slot::RING as u32);
        1.0 - (1.0 - scale.alpha).powf(f64::from(age))
    }
}

/// Sum over the vectors.
pub(crate) fn total(rates: &[(u8, Rate)]) -> Rate {
    let mut sum = Rate::default();
    for (_, r) in rates {
        sum.add(r);
    }
    sum
}
