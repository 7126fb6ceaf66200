//! Counting: from a flow record to the counters of every target it touches.

use crate::addresses::Addresses;
use crate::attacks::Running;
use crate::config::{Config, ConfigError};
use crate::entity::{Entity, Kind, NONE, Recent};
use crate::nets::{self, Near, Nets};
use crate::quiet::{BUSY_FLOWS, QUIET, Quiets, REMEMBER_S};
use crate::rules::Book;
use crate::sample::{BUSY, Sample, Seen, hash, mix};
use crate::slot::{FIXED, Scale, Standing};
use crate::targets::{UNMET, cover_of, nearest_customers};
use crate::vectors::VectorTable;
use crate::wheel::{Long, Wheel};
use foldhash::fast::FixedState;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use suimon_base::attack::{Attack, AttackChange, Direction};
use suimon_base::flow::{ExporterKey, FlowRecord, SamplingSource};
use suimon_base::{Timestamp, Vector};

/// Most exporters told apart in evidence; further ones are named as the last.
const MAX_EXPORTERS: usize = 4_096;

/// What a detector has counted since it was made. Nothing that is refused is lost silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flow records seen.
    pub flows: u64,
    /// Records that touch no network.
    pub outside: u64,
    /// Addresses tracked now, directions counted apart.
    pub hosts: u64,
    /// Those of them that are far below every limit and counted over all vectors together.
    pub hosts_quiet: u64,
    /// Covering prefixes tracked now, directions counted apart.
    pub covers: u64,
    /// Addresses forgotten after a time without traffic.
    pub hosts_evicted: u64,
    /// Records of addresses beyond `max_hosts` or `max_hosts_per_cover`; they count for the prefixes only.
    pub hosts_refused: u64,
    /// Records whose covering prefix is beyond `max_covers`; they count for the address and the customer only.
    pub covers_refused: u64,
    /// Records longer than a window, spread over their duration.
    pub long_flows: u64,
    /// Long flows being spread now.
    pub long_running: u64,
    /// Long flows beyond `max_long_flows`; one window's share of them was counted.
    pub long_refused: u64,
    /// Times a target should have had a sample but `max_samples` were taken.
    pub samples_refused: u64,
    /// Times an attack was not reported because `max_attacks` were running.
    pub attacks_refused: u64,
}

/// Most addresses that room is reserved for at the start; more are taken all the same.
const RESERVED: usize = 1 << 19;
/// Most entities likewise, which are far larger and fewer.
const RESERVED_ENTITIES: usize = 1 << 16;

/// Flow records in, attacks out. See the crate's documentation.
pub struct Detector {
    pub(crate) config: Config,
    pub(crate) seed: u64,
    pub(crate) table: VectorTable,
    pub(crate) book: Book,
    pub(crate) scale: Scale,
    pub(crate) nets: Nets,
    /// For each network the nearest one at or above it with a customer.
    pub(crate) customer_net: Vec<u32>,
    /// For each network the entity of its customer, by direction; [`UNMET`] until it is looked for.
    pub(crate) customer_of: [Vec<u32>; 2],
    pub(crate) quiets: Quiets,
    pub(crate) entities: Vec<Entity>,
    pub(crate) free: Vec<u32>,
    /// By direction.
    pub(crate) addresses: [Addresses; 2],
    pub(crate) covers: [HashMap<IpNet, u32, FixedState>; 2],
    pub(crate) customers: [HashMap<IpNet, u32, FixedState>; 2],
    pub(crate) samples: Vec<Option<Sample>>,
    pub(crate) hot: Vec<u32>,
    pub(crate) wheel: Wheel,
    pub(crate) running: Vec<Running>,
    pub(crate) serial: u64,
    pub(crate) out: Vec<AttackChange>,
    pub(crate) exporters: Vec<ExporterKey>,
    pub(crate) counters: Counters,
    /// Number of the first bucket since the epoch; unset before the first input.
    pub(crate) base: Option<i64>,
    /// The open bucket, from [`FIRST_BUCKET`].
    pub(crate) bucket: u32,
    /// Standing rate and the buckets it stands for, of the long flow that is being counted. Not in [`Item`], which every
    /// flow has and which fits into registers.
    spread: (Standing, u32),
    /// First bucket of the running [`REMEMBER_S`] seconds.
    pub(crate) remember_from: u32,
    pub(crate) now: Timestamp,
    pub(crate) sweep: usize,
}

/// Number of the first bucket; above 0 so that "none yet" and "some time before" have room.
const FIRST_BUCKET: u32 = 1_024;

/// Flows of a batch that are looked up before the first of them is counted.
const AHEAD: usize = 32;

/// One side of a flow.
#[derive(Clone, Copy)]
struct Side {
    /// The protected network, [`NONE`] if it is in none.
    net: u32,
    /// The number of the address, [`NONE`] if it is not known yet.
    host: u32,
}

impl Side {
    const NONE: Side = Side { net: NONE, host: NONE };
}

/// One flow as counted.
struct Item {
    vector: u8,
    bytes: u64,
    packets: u32,
    flows: u32,
    /// Longer than the window: [`Detector::spread`] says at which rate.
    long: bool,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Detector {
    /// A detector. `seed` keys its hash tables and samples: draw it at random in service, fix it to replay.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn new(config: Config, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        let state = |n: u64| FixedState::with_seed(mix(seed ^ n));
        let mut detector = Detector {
            seed,
            table: VectorTable::built_in()?,
            book: Book::default(),
            scale: scale(&config),
            nets: Nets::default(),
            customer_net: Vec::new(),
            customer_of: [Vec::new(), Vec::new()],
            quiets: Quiets::with_capacity(config.limits.max_hosts.min(RESERVED)),
            // Reserved, not touched: the pages come when the addresses do, and nothing is moved when they are many.
            entities: Vec::with_capacity(
                config.limits.max_hosts.saturating_add(config.limits.max_covers).min(RESERVED_ENTITIES),
            ),
            free: Vec::new(),
            addresses: [0, 1].map(|i| Addresses::new(state(i))),
            covers: [4, 5].map(|i| HashMap::with_hasher(state(i))),
            customers: [6, 7].map(|i| HashMap::with_hasher(state(i))),
            samples: Vec::new(),
            hot: Vec::new(),
            wheel: wheel(&config),
            running: Vec::new(),
            serial: 0,
            out: Vec::new(),
            exporters: Vec::new(),
            counters: Counters::default(),
            base: None,
            bucket: FIRST_BUCKET,
            spread: (Standing::default(), 0),
            remember_from: 0,
            now: Timestamp::ZERO,
            sweep: 0,
            config: Config::default(),
        };
        detector.adopt(config)?;
        Ok(detector)
    }

    /// Takes new settings; running attacks, counters of addresses and normal rates are kept. Where the length of a
    /// bucket changes the last second of counters and the long flows are forgotten.
    ///
    /// # Errors
    /// The first setting that cannot work; the old ones stay then.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), ConfigError> {
        config.check()?;
        let old = (self.config.bucket_ms, self.config.long_flow_ms);
        if old != (config.bucket_ms, config.long_flow_ms) {
            let bucket_changed = old.0 != config.bucket_ms;
            for long in self.wheel.drain() {
                self.end_long(&long);
            }
            self.wheel = wheel(&config);
            for e in &mut self.entities {
                e.longs = 0;
                for s in e.slots.iter_mut() {
                    s.standing = Standing::default();
                    if bucket_changed {
                        s.clear();
                    }
                }
            }
            if bucket_changed {
                // Buckets keep counting up; only their length and so their origin changes.
                self.base = self.base.map(|_| bucket_number(self.now, config.bucket_ms) - i64::from(self.bucket));
                self.quiets.clear();
            }
        }
        self.adopt(config)
    }

    fn adopt(&mut self, config: Config) -> Result<(), ConfigError> {
        let prefixes: Vec<IpNet> = config.networks.iter().map(|n| n.prefix).collect();
        self.book = Book::new(&config)?;
        self.nets = Nets::new(&prefixes);
        self.customer_net = nearest_customers(&config);
        self.scale = scale(&config);
        self.customer_of = [0, 1].map(|_| vec![UNMET; config.networks.len()]);
        self.config = config;
        self.opened();
        for at in 0..self.entities.len() {
            self.reassign(at);
        }
        self.adopt_quiet();
        Ok(())
    }

    /// Counts one flow. `now` is when it was received; a `now` up to ten seconds before an
    /// earlier one counts as that one, and further back the clock was set.
    pub fn flow(&mut self, exporter: &ExporterKey, now: Timestamp, flow: &FlowRecord) {
        self.advance(now);
        let mut near = [Near::new(&self.nets); 2];
        let [towards, from] = self.sides(flow, &mut near);
        self.counters.flows += 1;
        self.apply(exporter, flow, towards, from);
    }

    /// Counts flows of one exporter that were received together. Faster than one by one: what they need from memory is
    /// asked for before any of them is counted, so that the waits overlap.
    pub fn batch(&mut self, exporter: &ExporterKey, received: Timestamp, records: &[FlowRecord]) {
        self.advance(received);
        self.counters.flows += records.len() as u64;
        let mut sides = [[Side::NONE; 2]; AHEAD];
        let mut near = [Near::new(&self.nets); 2];
        for chunk in records.chunks(AHEAD) {
            let (mut touch, mut busy) = (0, false);
            for (s, flow) in sides.iter_mut().zip(chunk) {
                let [towards, from] = self.sides(flow, &mut near);
                for host in [towards.host, from.host] {
                    if host & QUIET == 0 {
                        busy = true;
                    } else if host != NONE {
                        touch ^= self.quiets.get(host & !QUIET).last;
                    }
                }
                *s = [towards, from];
            }
            if busy {
                let known = sides.iter().take(chunk.len()).flatten();
                for side in known.filter(|s| s.host & QUIET == 0) {
                    touch ^= self.entities[side.host as usize].touch(self.bucket, &self.scale);
                }
            }
            std::hint::black_box(touch);
            for (flow, [towards, from]) in chunk.iter().zip(&sides) {
                self.apply(exporter, flow, *towards, *from);
            }
        }
    }

    /// The sides of a flow: towards its destination, from its source.
    #[inline(always)]
    fn sides(&self, flow: &FlowRecord, near: &mut [Near; 2]) -> [Side; 2] {
        let of = |direction: Direction, addr: IpAddr, near: &mut Near| {
            let net = self.nets.find_near(addr, near);
            let known = if net == nets::NONE { None } else { self.host(direction, addr) };
            Side { net, host: known.unwrap_or(NONE) }
        };
        let [towards, from] = near;
        [of(Direction::In, flow.dst, towards), of(Direction::Out, flow.src, from)]
    }

    #[inline(always)]
    fn apply(&mut self, exporter: &ExporterKey, flow: &FlowRecord, towards: Side, from: Side) {
        if towards.net == NONE && from.net == NONE {
            self.counters.outside += 1;
            return;
        }
        // Made here and moved nowhere: copying what was just written in pieces makes the processor wait for it.
        let item = Item {
            vector: self.table.index(flow),
            bytes: flow.bytes_estimated(),
            packets: u32::try_from(flow.packets_estimated()).unwrap_or(u32::MAX),
            flows: new_flows(flow),
            long: false,
        };
        if flow.lasts_longer(self.config.window_ms) {
            return self.apply_long(exporter, flow, towards, from, item);
        }
        if towards.net != NONE {
            self.count(Direction::In, towards, exporter, flow, &item);
        }
        if from.net != NONE {
            self.count_from(from, exporter, flow, &item);
        }
    }

    /// A flow that is longer than the window.
    #[cold]
    fn apply_long(&mut self, exporter: &ExporterKey, flow: &FlowRecord, towards: Side, from: Side, item: Item) {
        let item = self.lengthy(flow, item);
        if towards.net != NONE {
            self.count(Direction::In, towards, exporter, flow, &item);
        }
        if from.net != NONE {
            self.count_from(from, exporter, flow, &item);
        }
    }

    /// Once more, and not in the midst of the loop that counts what comes in.
    #[inline(never)]
    fn count_from(&mut self, side: Side, exporter: &ExporterKey, flow: &FlowRecord, item: &Item) {
        self.count(Direction::Out, side, exporter, flow, item);
    }

    /// Spreads it.
    fn lengthy(&mut self, flow: &FlowRecord, item: Item) -> Item {
        let duration = flow.duration_ms().max(1) as u64;
        let a_second = |x: u64| {
            let fixed = u128::from(x) * u128::from(FIXED) * 1_000 / u128::from(duration);
            u64::try_from(fixed).unwrap_or(u64::MAX)
        };
        self.counters.long_flows += 1;
        if self.wheel.has_room() {
            let ms = duration.min(self.config.long_flow_ms);
            let buckets = u32::try_from((ms + self.config.bucket_ms / 2) / self.config.bucket_ms).unwrap_or(u32::MAX);
            let standing = Standing {
                bytes: a_second(item.bytes),
                packets: a_second(flow.packets_estimated()),
                flows: a_second(u64::from(item.flows)),
            };
            self.spread = (standing, buckets.clamp(1, self.wheel.reach()));
            Item { long: true, ..item }
        } else {
            self.counters.long_refused += 1;
            let share = |x: u64| (u128::from(x) * u128::from(self.config.window_ms) / u128::from(duration)) as u64;
            let packets = u32::try_from(share(flow.packets_estimated())).unwrap_or(u32::MAX);
            Item { bytes: share(item.bytes), packets, ..item }
        }
    }

    #[inline(always)]
    fn count(&mut self, direction: Direction, side: Side, exporter: &ExporterKey, flow: &FlowRecord, item: &Item) {
        let addr = if direction == Direction::In { flow.dst } else { flow.src };
        let met = if side.host == NONE { self.met(direction, addr, side.net) } else { side.host };
        let customer = self.customer(side.net, direction);
        let (host, cover) = if met == NONE {
            self.counters.hosts_refused += 1;
            (NONE, self.cover(cover_of(addr), direction, customer))
        } else if met & QUIET != 0 {
            self.count_quiet(met & !QUIET, direction, side.net, flow, item)
        } else {
            (met, self.entities[met as usize].cover)
        };
        if cover != NONE {
            self.add(cover, exporter, flow, item);
        }
        for at in [host, customer] {
            if at != NONE {
                self.add_too(at, exporter, flow, item);
            }
        }
        if item.long {
            self.enlist(host, cover, customer, item);
        }
    }

    /// The number of an address that had none when its batch was looked up: an earlier flow of the batch may have met it
    /// meanwhile.
    #[inline(never)]
    fn met(&mut self, direction: Direction, addr: IpAddr, net: u32) -> u32 {
        self.host(direction, addr).unwrap_or_else(|| self.meet(direction, addr, net))
    }

    /// Has a long flow's rate taken back when it ends.
    #[cold]
    fn enlist(&mut self, host: u32, cover: u32, customer: u32, item: &Item) {
        let (rate, buckets) = self.spread;
        let generation = self.entities.get(host as usize).map_or(0, |e| e.generation);
        let long = Long { entity: host, generation, cover, customer, vector: item.vector, rate };
        // Judged at the end of this bucket and of the following ones, `buckets` times in all: the record that
        // continues the flow then takes over without a gap or an overlap.
        self.wheel.add(self.bucket + buckets - 1, long);
    }

    /// Counts for a quiet address, or makes an entity of it, which then has to count; and its covering prefix.
    ///
    /// A long flow is counted here as if all of it came now. What arrives of long flows is, over time, what flows, so a
    /// ceiling that holds for it holds for their rates too.
    #[inline(always)]
    fn count_quiet(&mut self, at: u32, direction: Direction, net: u32, flow: &FlowRecord, item: &Item) -> (u32, u32) {
        let bucket = self.bucket;
        let ceiling = self.book.ceiling(net);
        let q = self.quiets.get_mut(at);
        if let Some(entity) = q.moved() {
            return (entity, self.entities[entity as usize].cover);
        }
        let (before, cover) = (q.last, q.cover);
        q.sampled(flow.sampling);
        if !q.add(bucket, &ceiling, item.bytes, item.packets, item.flows) {
            return (self.promote(at, net, item.vector), cover);
        }
        if before < self.remember_from {
            self.remember_quiet(at, direction, flow, item);
        }
        (NONE, cover)
    }

    /// To be called whenever the open bucket or the length of one changes.
    pub(crate) fn opened(&mut self) {
        let period = self.scale.second * REMEMBER_S;
        self.remember_from = self.bucket / period * period;
    }

    #[inline(never)]
    fn remember_quiet(&mut self, at: u32, direction: Direction, flow: &FlowRecord, item: &Item) {
        let second = self.bucket / self.scale.second;
        let recent = Recent::new(self.bucket, &self.seen(0, flow, item, peer(direction, flow)));
        let aged = (self.config.baseline_ms / self.config.bucket_ms).saturating_mul(2);
        self.quiets.remember(at, second, recent, u32::try_from(aged).unwrap_or(u32::MAX));
    }

    #[inline(never)]
    fn add_too(&mut self, at: u32, exporter: &ExporterKey, flow: &FlowRecord, item: &Item) {
        self.add(at, exporter, flow, item);
    }

    /// Counts for one target.
    #[inline(always)]
    fn add(&mut self, at: u32, exporter: &ExporterKey, flow: &FlowRecord, item: &Item) {
        let bucket = self.bucket;
        let e = &mut self.entities[at as usize];
        if e.touched != bucket {
            e.touched = bucket;
            e.busy = 0;
        }
        e.busy = e.busy.saturating_add(1);
        if e.busy >= u32::from(BUSY_FLOWS) {
            e.busy_at = bucket;
        }
        e.sampling = e.sampling.max(flow.sampling.rate);
        e.assumed |= flow.sampling.source == SamplingSource::Assumed;
        let frozen = e.attacked;
        let trip = &self.book.rules[e.rules as usize].trips[usize::from(item.vector)];
        let slot = e.slot(item.vector, bucket);
        // Opening the bucket keeps the slow average in step, for a long flow too.
        let cell = slot.open(bucket, &self.scale, frozen);
        let close = if item.long {
            slot.standing.add(&self.spread.0);
            let close = slot.standing.bytes >= trip.standing_bytes || slot.standing.packets >= trip.standing_packets;
            e.longs += 1;
            close
        } else {
            cell.bytes = cell.bytes.saturating_add(item.bytes);
            cell.packets = cell.packets.saturating_add(item.packets);
            cell.flows = cell.flows.saturating_add(item.flows);
            cell.bytes >= trip.bytes || cell.packets >= trip.packets || cell.flows >= trip.flows
        };
        if close {
            e.hot_until = bucket + self.scale.window;
            e.busy_at = bucket;
            if !e.hot {
                e.hot = true;
                self.hot.push(at);
            }
        }
        let host = e.kind == Kind::Host;
        let wants_sample = e.sample == NONE && (close || (host && e.busy >= BUSY));
        let history = host && e.remembers(bucket, &self.scale);
        if wants_sample || e.sample != NONE || history {
            self.remember(at, exporter, flow, item, wants_sample, history);
        }
    }

    #[inline(never)]
    fn remember(
        &mut self,
        at: u32,
        exporter: &ExporterKey,
        flow: &FlowRecord,
        item: &Item,
        wants: bool,
        history: bool,
    ) {
        let e = &self.entities[at as usize];
        let peer = peer(e.direction, flow);
        if history {
            let recent = Recent::new(self.bucket, &self.seen(0, flow, item, peer));
            self.entities[at as usize].keep(recent);
        }
        if wants {
            self.attach(at);
        }
        let sample = self.entities[at as usize].sample;
        if sample != NONE {
            let exporter = self.exporter(exporter);
            let seen = self.seen(exporter, flow, item, peer);
            let second = self.bucket / self.scale.second;
            if let Some(Some(s)) = self.samples.get_mut(sample as usize) {
                s.offer(second, &seen);
            }
        }
    }

    fn seen(&self, exporter: u16, flow: &FlowRecord, item: &Item, peer: IpAddr) -> Seen {
        let (packets, flows) = if item.long {
            // What a second of the long flow holds, as for a short one.
            let rate = &self.spread.0;
            (rate.packets as f32 / FIXED as f32, rate.flows as f32 / FIXED as f32)
        } else {
            (item.packets as f32, item.flows as f32)
        };
        Seen {
            src: peer,
            packets,
            flows,
            in_if: flow.in_if,
            exporter,
            len: u16::try_from(flow.bytes.checked_div(flow.packets).unwrap_or(0)).unwrap_or(u16::MAX),
            src_port: flow.src_port,
            dst_port: flow.dst_port,
            proto: flow.proto,
            flags: flow.tcp_flags,
            vector: item.vector,
            fragment: flow.fragment,
            known: true,
            peer: hash(peer, self.seed) as u32,
        }
    }

    fn exporter(&mut self, key: &ExporterKey) -> u16 {
        let at = self.exporters.iter().position(|k| k == key).unwrap_or_else(|| {
            if self.exporters.len() < MAX_EXPORTERS {
                self.exporters.push(*key);
            }
            self.exporters.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// Takes a long flow's rate back from everything it was added to.
    pub(crate) fn end_long(&mut self, long: &Long) {
        for at in [long.entity, long.cover, long.customer] {
            let Some(e) = self.entities.get_mut(at as usize) else { continue };
            if at == long.entity && e.generation != long.generation {
                continue;
            }
            e.longs = e.longs.saturating_sub(1);
            let (bucket, scale, frozen) = (self.bucket, self.scale, e.attacked);
            if let Some(slot) = e.find(long.vector) {
                // Buckets before this one leave the ring with the rate that stood then.
                slot.move_to(bucket, &scale, frozen);
                slot.standing.take(&long.rate);
            }
        }
    }

    /// Attacks that last, in the order they began.
    pub fn running(&self) -> Vec<Attack> {
        self.running.iter().map(|r| r.told.clone()).collect()
    }

    /// What has been counted.
    pub fn counters(&self) -> Counters {
        let quiet = self.quiets.len() as u64;
        Counters { long_running: self.wheel.len() as u64, hosts_quiet: quiet, ..self.counters }
    }

    /// The vector a flow is counted under.
    pub fn classify(&self, flow: &FlowRecord) -> Vector {
        self.table.classify(flow)
    }
}

/// Connections that a record stands for: one sampled SYN for as many as its rate says; of other sampled packets nobody
/// knows how many flows they are.
#[inline]
fn new_flows(flow: &FlowRecord) -> u32 {
    if flow.proto == 6 && flow.tcp_flags & 0x02 != 0 { flow.sampling.rate.max(1) } else { 1 }
}

/// The other end of a flow.
fn peer(direction: Direction, flow: &FlowRecord) -> IpAddr {
    if direction == Direction::In { flow.src } else { flow.dst }
}

fn scale(config: &Config) -> Scale {
    let whole = |x: u64| u32::try_from(x).unwrap_or(1).max(1);
    Scale {
        per_second: 1_000.0 / config.bucket_ms as f64,
        window: whole(config.window_ms / config.bucket_ms),
        second: whole(1_000 / config.bucket_ms),
        alpha: (config.bucket_ms as f64 / config.baseline_ms as f64).min(1.0),
    }
}

fn wheel(config: &Config) -> Wheel {
    let buckets = usize::try_from(config.long_flow_ms.div_ceil(config.bucket_ms)).unwrap_or(usize::MAX);
    Wheel::new(buckets, config.limits.max_long_flows)
}

/// Number of the bucket since the epoch.
pub(crate) fn bucket_number(t: Timestamp, bucket_ms: u64) -> i64 {
    t.as_millis().div_euclid(i64::try_from(bucket_ms).unwrap_or(i64::MAX).max(1))
}
