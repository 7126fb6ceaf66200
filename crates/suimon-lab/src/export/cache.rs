//! The flow cache of a router: packets in, flows out after their active or inactive timeout.

use std::collections::HashMap;
use std::net::IpAddr;
use suimon_base::flow::{Forwarding, Fragment, Metered, Sampling, SamplingSource, present};
use suimon_base::{FlowRecord, PacketHeader, Timestamp};

/// What makes packets one flow: five-tuple, TCP flags, type of service, and what a record can say only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub proto: u8,
    /// Source and destination port; zeros where there are none.
    pub ports: (u16, u16),
    /// TCP flags.
    pub tcp_flags: u8,
    /// ICMP type × 256 + code.
    pub icmp: u16,
    /// Type of service.
    pub tos: u8,
    /// Fragmentation.
    pub fragment: Fragment,
    /// Input interface.
    pub in_if: u32,
    /// Passed on or dropped.
    pub forwarded: bool,
}

/// One flow with its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedFlow {
    /// Which packets.
    pub key: FlowKey,
    /// Sampled packets.
    pub packets: u64,
    /// Their octets (IP length).
    pub octets: u64,
    /// First packet, microseconds since the source began.
    pub first_us: u64,
    /// Last packet.
    pub last_us: u64,
    /// Sum of the packets' times, for the mean delay.
    pub sum_us: u64,
}

impl CachedFlow {
    /// The record that a collector makes of this flow. `epoch` is the wall time of microsecond 0; times are cut to
    /// milliseconds, as exported.
    pub fn record(&self, epoch: Timestamp, sampling: u32, out_if: u32) -> FlowRecord {
        let k = &self.key;
        let at = |us: u64| Timestamp::from_micros(epoch.as_micros().saturating_add_unsigned(us)).floor_ms();
        let mut has = present::SRC | present::DST | present::PROTO | present::BYTES | present::PACKETS;
        has |= present::TCP_FLAGS | present::TIMES | present::IFS;
        has |= if matches!(k.proto, 1 | 58) { present::ICMP } else { present::PORTS };
        FlowRecord {
            src: k.src,
            dst: k.dst,
            start: at(self.first_us),
            end: at(self.last_us),
            bytes: self.octets,
            packets: self.packets,
            in_if: k.in_if,
            out_if: if k.forwarded { out_if } else { 0 },
            src_port: k.ports.0,
            dst_port: k.ports.1,
            icmp: k.icmp,
            proto: k.proto,
            tcp_flags: k.tcp_flags,
            tos: k.tos,
            present: has,
            fragment: k.fragment,
            metered: Metered::Ingress,
            forwarding: if k.forwarded { Forwarding::Forwarded } else { Forwarding::Dropped },
            sampling: Sampling { rate: sampling, source: SamplingSource::Options },
            ..FlowRecord::default()
        }
    }
}

/// Width of a slot of the timing wheel, microseconds.
const TICK_US: u64 = 5_000;
/// Slots of the wheel: 640 ms. A flow that is due later is looked at again when its slot comes round.
const SLOTS: usize = 128;

/// Flows that are not over yet.
///
/// Expiry is a timing wheel, so that a flow costs the same whether a thousand or a hundred thousand are open, and
/// flows come out in an order that depends on the packets alone.
#[derive(Debug)]
pub struct FlowCache {
    active_us: u64,
    inactive_us: u64,
    max_flows: usize,
    index: HashMap<FlowKey, u32>,
    flows: Vec<Option<CachedFlow>>,
    free: Vec<u32>,
    wheel: Vec<Vec<u32>>,
    tick: u64,
    early: Vec<CachedFlow>,
    early_count: u64,
    /// Place where the search for the oldest flow goes on when the cache is full.
    hand: usize,
}

impl FlowCache {
    /// A cache with these timeouts that holds at most `max_flows` (at least one).
    pub fn new(active_ms: u64, inactive_ms: u64, max_flows: usize) -> Self {
        FlowCache {
            active_us: active_ms.saturating_mul(1_000),
            inactive_us: inactive_ms.saturating_mul(1_000),
            max_flows: max_flows.max(1),
            index: HashMap::new(),
            flows: Vec::new(),
            free: Vec::new(),
            wheel: vec![Vec::new(); SLOTS],
            tick: 0,
            early: Vec::new(),
            early_count: 0,
            hand: 0,
        }
    }

    /// Flows that ended early because the cache was full.
    pub fn ended_early(&self) -> u64 {
        self.early_count
    }

    /// Flows open now.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no flow is open.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Adds a packet.
    pub fn add(&mut self, at_us: u64, header: &PacketHeader, in_if: u32, forwarded: bool) {
        let key = FlowKey {
            src: header.src,
            dst: header.dst,
            proto: header.proto,
            ports: header.ports.unwrap_or_default(),
            tcp_flags: header.tcp_flags,
            icmp: header.icmp,
            tos: header.tos,
            fragment: header.fragment,
            in_if,
            forwarded,
        };
        if let Some(flow) = self.index.get(&key).and_then(|&i| self.flows.get_mut(i as usize)).and_then(Option::as_mut)
        {
            flow.packets += 1;
            flow.octets += u64::from(header.ip_len);
            flow.last_us = flow.last_us.max(at_us);
            flow.sum_us += at_us;
            return;
        }
        if self.index.len() >= self.max_flows {
            self.end_one_early();
        }
        let octets = u64::from(header.ip_len);
        let flow = CachedFlow { key, packets: 1, octets, first_us: at_us, last_us: at_us, sum_us: at_us };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.flows.push(None);
                (self.flows.len() - 1) as u32
            }
        };
        let due = self.due(&flow);
        if let Some(slot) = self.flows.get_mut(place as usize) {
            *slot = Some(flow);
        }
        self.index.insert(key, place);
        self.schedule(place, due);
    }

    fn due(&self, flow: &CachedFlow) -> u64 {
        (flow.first_us + self.active_us).min(flow.last_us + self.inactive_us)
    }

    fn schedule(&mut self, place: u32, due_us: u64) {
        // At least the next tick, at most one turn of the wheel ahead.
        let tick = due_us.div_ceil(TICK_US).clamp(self.tick + 1, self.tick + SLOTS as u64 - 1);
        if let Some(slot) = self.wheel.get_mut(tick as usize % SLOTS) {
            slot.push(place);
        }
    }

    fn end_one_early(&mut self) {
        // The clock hand stands where a flow was last ended; going round finds an old one without keeping an order.
        for _ in 0..self.flows.len() {
            self.hand = (self.hand + 1) % self.flows.len();
            if let Some(flow) = self.flows.get_mut(self.hand).and_then(Option::take) {
                self.index.remove(&flow.key);
                // Its place is freed when the wheel comes to it, or the place would be in the wheel twice.
                self.early.push(flow);
                self.early_count += 1;
                return;
            }
        }
    }

    /// Flows whose time is over at `at_us`, in the order they fell due.
    pub fn expired(&mut self, at_us: u64) -> Vec<CachedFlow> {
        let mut out = std::mem::take(&mut self.early);
        let now = at_us / TICK_US;
        // After a long pause one turn of the wheel sees every flow.
        let from = self.tick.max(now.saturating_sub(SLOTS as u64));
        for tick in from + 1..=now {
            self.tick = tick;
            let Some(slot) = self.wheel.get_mut(tick as usize % SLOTS) else { continue };
            for place in std::mem::take(slot) {
                let Some(flow) = self.flows.get(place as usize).copied().flatten() else {
                    self.free.push(place);
                    continue;
                };
                let due = self.due(&flow);
                if due > at_us {
                    self.schedule(place, due);
                    continue;
                }
                if let Some(slot) = self.flows.get_mut(place as usize) {
                    *slot = None;
                }
                self.index.remove(&flow.key);
                self.free.push(place);
                out.push(flow);
            }
        }
        out
    }

    /// All flows, over or not.
    pub fn drain(&mut self) -> Vec<CachedFlow> {
        let mut out = std::mem::take(&mut self.early);
        out.extend(self.flows.drain(..).flatten());
        self.index.clear();
        self.free.clear();
        self.wheel.iter_mut().for_each(Vec::clear);
        out
    }
}
