//! What became of an attack's packets: effect in numbers, and how long it has been quiet, measured from flows.
//!
//! Routers here export what they drop too (IPFIX forwarding status, RFC 7270 §4.12), so arrivals are seen before the
//! filter. Where no dropped flow was ever seen, silence may only mean that the filter works:
//! [`EffectReading::observes_drops`] says so.

use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use suimon_base::flow::{FlowRecord, Forwarding};
use suimon_base::rule::Match;
use suimon_base::{Bps, PacketHeader, Pps, Timestamp};

/// Length of a bucket in milliseconds.
const BUCKET_MS: i64 = 200;
/// Buckets kept: the last second and the open one.
const RING: usize = 6;
/// Longest time a long flow is spread over, milliseconds.
const LONG_MS: i64 = 60_000;
/// Buckets ahead a spread flow can end in.
const AHEAD: usize = (LONG_MS / BUCKET_MS) as usize + 2;
/// Seconds of history of arriving attack packets, for asking how long it has been quiet: a little over two hours.
const HISTORY_S: usize = 7_500;
/// Standing rates are kept in this part of a unit a second, so that they cancel exactly.
const FIXED: i64 = 1_024;
/// Most watches at a time; further ones are not taken.
pub const MAX_WATCHES: usize = 4_096;
/// Arriving attack packets a second from which on an attack counts as present, unless set otherwise.
pub const DEFAULT_FLOOR: Pps = Pps(100);

/// What to measure for one measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The caller's number.
    pub id: u64,
    /// The protected targets; only their traffic counts. An empty list watches nothing.
    pub target: Vec<IpNet>,
    /// Matches that name the attack's packets. A watch whose matches all name the target as source and none as
    /// destination is of outgoing traffic.
    pub attack: Vec<Match>,
}

/// Packets and bits a second, corrected for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flowing {
    /// Packets a second.
    pub pps: Pps,
    /// Bits a second.
    pub bps: Bps,
}

/// Packets and octets since a watch was set, corrected for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Octets.
    pub bytes: u64,
}

/// One kind of traffic: what arrived is what passed and what was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Passed over the last second.
    pub passed: Flowing,
    /// Dropped over the last second.
    pub dropped: Flowing,
    /// Passed since the watch was set.
    pub passed_total: Counted,
    /// Dropped since the watch was set.
    pub dropped_total: Counted,
}

impl Part {
    /// Arriving over the last second.
    pub fn arriving(&self) -> Flowing {
        Flowing {
            pps: Pps(self.passed.pps.0.saturating_add(self.dropped.pps.0)),
            bps: Bps(self.passed.bps.0.saturating_add(self.dropped.bps.0)),
        }
    }
    /// Share of the arriving packets that passed, 0 to 1; `None` without arrivals.
    pub fn passed_share(&self) -> Option<f64> {
        let all = self.arriving().pps.0;
        (all > 0).then(|| self.passed.pps.0 as f64 / all as f64)
    }
}

/// A reading of one watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EffectReading {
    /// Traffic that the watch's matches name.
    pub attack: Part,
    /// All other traffic of the target.
    pub other: Part,
    /// Last second in which arriving attack packets reached the floor, its end; `None` if never since the watch was set.
    pub last_attack_over: Option<Timestamp>,
    /// Largest second of arriving attack packets within the kept history.
    pub peak_attack: Pps,
    /// Whether any dropped flow has been seen by this meter. Without one, silence proves nothing.
    pub observes_drops: bool,
    /// Flow records counted for this watch since it was set.
    pub records: u64,
}

/// Attack passed, attack dropped, other passed, other dropped.
const KINDS: usize = 4;

#[derive(Clone, Copy, Default)]
struct Cell {
    packets: [i64; KINDS],
    bytes: [i64; KINDS],
}

impl Cell {
    fn add(&mut self, o: &Cell) {
        for k in 0..KINDS {
            self.packets[k] = self.packets[k].saturating_add(o.packets[k]);
            self.bytes[k] = self.bytes[k].saturating_add(o.bytes[k]);
        }
    }
}

#[derive(Clone)]
struct State {
    watch: Watch,
    outgoing: bool,
    /// The open bucket.
    bucket: i64,
    ring: [Cell; RING],
    /// Standing rates of long flows, 1/[`FIXED`] a second, and what is taken from them when a bucket begins.
    standing: Cell,
    ends: Vec<Cell>,
    totals: [Counted; KINDS],
    /// Arriving attack packets of each second, by second modulo its length.
    history: Vec<f32>,
    first_second: i64,
    records: u64,
}

impl State {
    fn new(watch: Watch, bucket: i64) -> Self {
        let named = |m: &Match| m.dst.is_empty() && !m.src.is_empty();
        let outgoing = !watch.attack.is_empty() && watch.attack.iter().all(named);
        State {
            watch,
            outgoing,
            bucket,
            ring: [Cell::default(); RING],
            standing: Cell::default(),
            ends: vec![Cell::default(); AHEAD],
            totals: [Counted::default(); KINDS],
            history: vec![0.0; HISTORY_S],
            first_second: bucket.div_euclid(5),
            records: 0,
        }
    }

    fn advance(&mut self, to: i64) {
        // Beyond the reach of any spread flow nothing is left to follow bucket by bucket.
        if to - self.bucket > (AHEAD + RING) as i64 {
            for _ in 0..AHEAD + RING {
                self.step();
            }
            let skipped = (to - self.bucket).div_euclid(5).min(HISTORY_S as i64);
            for s in 0..=skipped {
                self.history[place(to.div_euclid(5) - s, HISTORY_S)] = 0.0;
            }
            self.bucket = to;
        }
        while self.bucket < to {
            self.step();
        }
    }

    /// Closes the open bucket.
    fn step(&mut self) {
        let second = self.bucket.div_euclid(5);
        let cell = &self.ring[place(self.bucket, RING)];
        let arrived = |k: usize| cell.packets[k] as f32 + self.standing.packets[k] as f32 / FIXED as f32 / 5.0;
        let at = place(second, HISTORY_S);
        if self.bucket.rem_euclid(5) == 0 {
            self.history[at] = 0.0;
        }
        self.history[at] += arrived(0) + arrived(1);
        self.bucket += 1;
        self.ring[place(self.bucket, RING)] = Cell::default();
        let end = std::mem::take(&mut self.ends[place(self.bucket, AHEAD)]);
        self.standing.add(&end);
    }

    fn count(&mut self, kind: usize, flow: &FlowRecord) {
        let whole = |x: u64| i64::try_from(x).unwrap_or(i64::MAX / FIXED) as f64;
        let (packets, bytes) = (flow.packets_estimated(), flow.bytes_estimated());
        self.records += 1;
        let t = &mut self.totals[kind];
        t.packets = t.packets.saturating_add(packets);
        t.bytes = t.bytes.saturating_add(bytes);
        let duration = flow.duration_ms();
        if duration <= 1_000 {
            let cell = &mut self.ring[place(self.bucket, RING)];
            cell.packets[kind] = cell.packets[kind].saturating_add(whole(packets) as i64);
            cell.bytes[kind] = cell.bytes[kind].saturating_add(whole(bytes) as i64);
            return;
        }
        let a_second = |x: u64| (whole(x) * FIXED as f64 * 1_000.0 / duration as f64) as i64;
        let mut rate = Cell::default();
        (rate.packets[kind], rate.bytes[kind]) = (a_second(packets), a_second(bytes));
        self.standing.add(&rate);
        (rate.packets[kind], rate.bytes[kind]) = (-rate.packets[kind], -rate.bytes[kind]);
        let buckets = (duration.min(LONG_MS) + BUCKET_MS - 1) / BUCKET_MS;
        self.ends[place(self.bucket + buckets, AHEAD)].add(&rate);
    }

    fn rate(&self, kind: usize) -> Flowing {
        let (mut packets, mut bytes) = (0i64, 0i64);
        for back in 1..=5 {
            let c = &self.ring[place(self.bucket - back, RING)];
            packets = packets.saturating_add(c.packets[kind]);
            bytes = bytes.saturating_add(c.bytes[kind]);
        }
        let whole = |x: i64, standing: i64| u64::try_from(x.saturating_add(standing / FIXED)).unwrap_or(0);
        Flowing {
            pps: Pps(whole(packets, self.standing.packets[kind])),
            bps: Bps(whole(bytes, self.standing.bytes[kind]).saturating_mul(8)),
        }
    }

    /// Seconds that are over, newest first, with their arriving attack packets.
    fn seconds(&self) -> impl Iterator<Item = (i64, f32)> {
        let newest = self.bucket.div_euclid(5) - 1;
        let oldest = self.first_second.max(newest - HISTORY_S as i64 + 2);
        (oldest..=newest).rev().map(|s| (s, self.history[place(s, HISTORY_S)]))
    }

    fn last_over(&self, floor: Pps) -> Option<Timestamp> {
        let over = self.seconds().find(|(_, p)| *p > 0.0 && f64::from(*p) >= floor.0 as f64);
        over.map(|(s, _)| Timestamp::from_secs(s + 1))
    }
}

fn place(at: i64, len: usize) -> usize {
    at.rem_euclid(len as i64) as usize
}

/// Measures active measures from flows. Pure: time comes in with each call and never goes back.
pub struct EffectMeter {
    states: BTreeMap<u64, State>,
    /// Watches of single addresses, and of wider prefixes.
    exact: HashMap<IpAddr, Vec<u64>>,
    wide: Vec<(IpNet, u64)>,
    bucket: i64,
    drops: bool,
    floor: Pps,
}

impl std::fmt::Debug for EffectMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EffectMeter").field("watches", &self.states.len()).finish_non_exhaustive()
    }
}

impl Default for EffectMeter {
    fn default() -> Self {
        EffectMeter {
            states: BTreeMap::new(),
            exact: HashMap::new(),
            wide: Vec::new(),
            bucket: 0,
            drops: false,
            floor: DEFAULT_FLOOR,
        }
    }
}

impl EffectMeter {
    /// A meter that watches nothing yet.
    pub fn new() -> Self {
        EffectMeter::default()
    }

    /// Arriving attack packets a second from which on an attack counts as present in [`EffectReading::last_attack_over`].
    pub fn set_floor(&mut self, floor: Pps) {
        self.floor = floor;
    }

    /// Replaces the watches. One that is set again unchanged keeps its counts; at most [`MAX_WATCHES`] are taken.
    pub fn set(&mut self, watches: Vec<Watch>) {
        let mut old = std::mem::take(&mut self.states);
        for watch in watches.into_iter().take(MAX_WATCHES) {
            let kept = old.remove(&watch.id).filter(|s| s.watch == watch);
            self.states.insert(watch.id, kept.unwrap_or_else(|| State::new(watch, self.bucket)));
        }
        self.exact.clear();
        self.wide.clear();
        for (id, state) in &self.states {
            for net in &state.watch.target {
                if net.prefix_len() == net.max_prefix_len() {
                    self.exact.entry(net.addr()).or_default().push(*id);
                } else {
                    self.wide.push((*net, *id));
                }
            }
        }
    }

    /// Counts a flow for every watch whose target it is of.
    pub fn flow(&mut self, now: Timestamp, flow: &FlowRecord) {
        let dropped = flow.forwarding == Forwarding::Dropped;
        self.drops |= dropped;
        let bucket = now.as_millis().div_euclid(BUCKET_MS);
        if bucket > self.bucket {
            if self.bucket == 0 {
                // The first time known: watches set before it begin now.
                for s in self.states.values_mut().filter(|s| s.bucket == 0) {
                    s.bucket = bucket;
                    s.first_second = bucket.div_euclid(5);
                }
            }
            self.bucket = bucket;
        }
        if self.states.is_empty() {
            return;
        }
        let mut ids: Vec<u64> = Vec::new();
        for (addr, outgoing) in [(flow.dst, false), (flow.src, true)] {
            let exact = self.exact.get(&addr).into_iter().flatten().copied();
            let wide = self.wide.iter().filter(|(n, _)| n.contains(&addr)).map(|(_, id)| *id);
            for id in exact.chain(wide) {
                if self.states.get(&id).is_some_and(|s| s.outgoing == outgoing) && !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        for id in ids {
            if let Some(s) = self.states.get_mut(&id) {
                s.advance(self.bucket);
                let header = PacketHeader::of_flow(flow);
                let attack = s.watch.attack.iter().any(|m| m.matches(&header));
                s.count(2 * usize::from(!attack) + usize::from(dropped), flow);
            }
        }
    }

    /// The state of a watch as of `now`; a copy, so that reading changes nothing.
    fn at(&self, id: u64, now: Timestamp) -> Option<State> {
        let bucket = self.bucket.max(now.as_millis().div_euclid(BUCKET_MS));
        let mut s = self.states.get(&id)?.clone();
        if s.bucket == 0 {
            s.bucket = bucket;
            s.first_second = bucket.div_euclid(5);
        }
        s.advance(bucket);
        Some(s)
    }

    /// The figures of one watch over the last second; `None` for a watch that is not set.
    pub fn read(&self, id: u64, now: Timestamp) -> Option<EffectReading> {
        let (drops, floor) = (self.drops, self.floor);
        let s = self.at(id, now)?;
        let part = |first: usize| Part {
            passed: s.rate(first),
            dropped: s.rate(first + 1),
            passed_total: s.totals[first],
            dropped_total: s.totals[first + 1],
        };
        Some(EffectReading {
            attack: part(0),
            other: part(2),
            last_attack_over: s.last_over(floor),
            peak_attack: Pps(s.seconds().map(|x| x.1).fold(0.0, f32::max).round() as u64),
            observes_drops: drops,
            records: s.records,
        })
    }

    /// Milliseconds since the end of the last second in which arriving attack packets reached `floor`, or since the
    /// watch was set if none did; `None` for a watch that is not set. At most a little over two hours are remembered.
    pub fn quiet_ms(&self, id: u64, now: Timestamp, floor: Pps) -> Option<u64> {
        let s = self.at(id, now)?;
        let since = s.last_over(floor).unwrap_or(Timestamp::from_secs(s.first_second));
        Some(u64::try_from(now.ms_since(since)).unwrap_or(0))
    }
}
