//! A bounded sample of one target's flow records, second by second, from which evidence is made.

use crate::entity::MAX_SLOTS;
use crate::hll::Distinct;
use std::net::IpAddr;
use suimon_base::flow::Fragment;

/// Records kept of each second.
pub(crate) const KEPT: usize = 1_024;
/// Records of a bucket from which on a target gets a sample before any threshold is near.
pub(crate) const BUSY: u32 = 256;

/// A 64-bit mix (splitmix64's finaliser): deterministic, and every input bit reaches every output bit.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What evidence needs of one flow record.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The other side: the source of incoming, the destination of outgoing traffic.
    pub src: IpAddr,
    /// Packets, octets and new flows, corrected for sampling.
    pub packets: f32,
    pub flows: f32,
    pub in_if: u32,
    pub exporter: u16,
    pub len: u16,
    pub src_port: u16,
    pub dst_port: u16,
    pub proto: u8,
    pub flags: u8,
    pub vector: u8,
    pub fragment: Fragment,
    /// Whether the peer is known by address (false for what is left in a host's short history).
    pub known: bool,
    /// A hash of the peer, for counting peers.
    pub peer: u32,
}

/// A uniform sample of `total` records.
#[derive(Clone, Default)]
pub(crate) struct Second {
    pub records: Vec<Seen>,
    pub total: u64,
}

impl Second {
    fn offer(&mut self, seen: &Seen, random: u64) {
        self.total += 1;
        if self.records.len() < KEPT {
            self.records.push(*seen);
        } else {
            let at = ((u128::from(random) * u128::from(self.total)) >> 64) as usize;
            if let Some(old) = self.records.get_mut(at) {
                *old = *seen;
            }
        }
    }
}

/// The running second and the one before, and the distinct sources.
#[derive(Clone)]
pub(crate) struct Sample {
    pub entity: u32,
    state: u64,
    second: u32,
    pub now: Second,
    pub before: Second,
    /// By vector, so that bystanders do not count as sources of the attack; at most one for each slot of a target.
    sources: Vec<(u8, Distinct)>,
    seed: u64,
}

impl Sample {
    pub(crate) fn new(entity: u32, seed: u64) -> Self {
        Sample {
            entity,
            state: mix(seed ^ u64::from(entity)),
            second: 0,
            now: Second::default(),
            before: Second::default(),
            sources: Vec::new(),
            seed,
        }
    }

    /// `second` counts seconds of the detector's life.
    pub(crate) fn offer(&mut self, second: u32, seen: &Seen) {
        if second != self.second {
            self.roll(second);
        }
        self.state = mix(self.state);
        self.now.offer(seen, self.state);
        let hash = hash(seen.src, self.seed);
        let at = self.sources.iter().position(|(v, _)| *v == seen.vector).unwrap_or_else(|| {
            if self.sources.len() < MAX_SLOTS {
                self.sources.push((seen.vector, Distinct::new()));
            }
            self.sources.len() - 1
        });
        self.sources[at].1.add(hash);
    }

    /// Distinct sources of the vectors whose bits are set, since the sample began.
    pub(crate) fn sources(&self, vectors: u32) -> u64 {
        let mut all = Distinct::new();
        self.sources.iter().filter(|(v, _)| vectors >> v & 1 == 1).for_each(|(_, d)| all.merge(d));
        all.count()
    }

    fn roll(&mut self, second: u32) {
        self.before = if second == self.second + 1 { std::mem::take(&mut self.now) } else { Second::default() };
        self.now = Second { records: Vec::with_capacity(64), total: 0 };
        self.second = second;
    }

    /// The last one to two seconds; every record with the number of records it stands for.
    pub(crate) fn recent(&self, second: u32) -> impl Iterator<Item = (&Seen, f64)> {
        let weight = |s: &Second| s.total as f64 / s.records.len().max(1) as f64;
        let age = second.saturating_sub(self.second);
        let (now, before) = (age <= 1, age == 0);
        let of = move |s, on: bool| -> (&[Seen], f64) { if on { (pick(s), weight(s)) } else { (&[], 0.0) } };
        let ((b, wb), (n, wn)) = (of(&self.before, before), of(&self.now, now));
        b.iter().map(move |r| (r, wb)).chain(n.iter().map(move |r| (r, wn)))
    }
}

fn pick(s: &Second) -> &[Seen] {
    &s.records
}

/// A seeded hash of an address.
pub(crate) fn hash(a: IpAddr, seed: u64) -> u64 {
    match a {
        IpAddr::V4(a) => mix(u64::from(u32::from(a)) ^ seed),
        IpAddr::V6(a) => {
            let n = u128::from(a);
            mix(mix((n >> 64) as u64 ^ seed) ^ n as u64)
        }
    }
}
