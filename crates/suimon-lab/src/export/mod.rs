//! A flow exporter: what the model router forwards and drops, as NetFlow v9, IPFIX or sFlow v5 datagrams.
//!
//! **Sampling.** One packet in N is looked at. [`Selection::Random`] (the default) takes one packet at a seeded random
//! place in every block of N, so that a capture whose length shares a factor with N is not sampled at the same
//! packets in every turn; [`Selection::Count`] takes the last of every N. The rate is announced: NetFlow v9 by an
//! options template with samplingInterval (34) and samplingAlgorithm (35: 1 deterministic, 2 random); IPFIX by one with
//! selectorAlgorithm (304) and samplingPacketInterval/Space (305, 306) for `Count` or samplingSize/Population (309, 310)
//! for `Random` (RFC 5477 §8.2.1, §8.2.4); sFlow in every sample.
//!
//! **Times.** `at_us` is microseconds since the source began; the wall time of a flow is the `epoch` given to
//! [`Exporter::new`] plus `at_us`. The wall time in a datagram's header is the caller's `now`, so that a late sender
//! shows. NetFlow v9 carries absolute milliseconds (152, 153), because its header's whole seconds would shift
//! relative ones by up to a second.

mod cache;
mod netflow;
mod sflow;

pub use cache::{CachedFlow, FlowCache, FlowKey};

use crate::random::Random;
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::{PacketHeader, Timestamp};

/// Largest payload of a datagram, octets: fits an Ethernet frame over IPv4 and IPv6 with room for a tunnel.
pub const MAX_DATAGRAM_OCTETS: usize = 1_400;

/// Templates and sampling are told again after this long, milliseconds.
pub const REFRESH_MS: u64 = 1_000;

/// A sampled packet waits at most this long for an sFlow datagram to fill, milliseconds (sFlow v5 §4: at most 1 s).
pub const SFLOW_WAIT_MS: u64 = 100;

/// What the exporter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// RFC 3954.
    Netflow9,
    /// RFC 7011.
    Ipfix,
    /// sflow.org, version 5.
    Sflow,
}

impl std::str::FromStr for Protocol {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "netflow9" => Ok(Protocol::Netflow9),
            "ipfix" => Ok(Protocol::Ipfix),
            "sflow" => Ok(Protocol::Sflow),
            _ => Err(format!("`{s}` is not netflow9, ipfix or sflow")),
        }
    }
}

/// Which packet of N is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The last one of every N.
    Count,
    /// One at a random place in every N, from this seed.
    Random(u64),
}

/// What an exporter is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterConfig {
    /// What it speaks.
    pub protocol: Protocol,
    /// One in so many packets is looked at; 0 is taken as 1.
    pub sampling: u32,
    /// Which one.
    pub selection: Selection,
    /// The router's own address, told by sFlow.
    pub agent: IpAddr,
    /// Source id, observation domain or sub-agent.
    pub domain: u32,
    /// A flow is told this long after its first packet, milliseconds.
    pub active_timeout_ms: u64,
    /// A flow is told this long after its last packet, milliseconds.
    pub inactive_timeout_ms: u64,
    /// Boundary interfaces, numbered from 1; a source address always comes in by the same one. 0 is taken as 1.
    pub uplinks: u32,
    /// Interface towards the customer.
    pub customer_if: u32,
    /// Most flows in the cache; a packet of a new flow beyond it ends the oldest flow early.
    pub max_flows: usize,
}

impl Default for ExporterConfig {
    fn default() -> Self {
        ExporterConfig {
            protocol: Protocol::Netflow9,
            sampling: 1,
            selection: Selection::Random(1),
            agent: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            domain: 1,
            active_timeout_ms: 300,
            inactive_timeout_ms: 150,
            uplinks: 3,
            customer_if: 100,
            max_flows: 200_000,
        }
    }
}

/// What an exporter did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExporterStats {
    /// Packets that passed by.
    pub packets: u64,
    /// Packets that were looked at.
    pub sampled: u64,
    /// Sampled packets told in datagrams.
    pub told: u64,
    /// Flow records or flow samples.
    pub records: u64,
    /// Datagrams.
    pub datagrams: u64,
    /// Octets of the datagrams' payloads.
    pub octets: u64,
    /// Flows that ended early because the cache was full.
    pub cache_full: u64,
    /// Largest time between a packet and the datagram that told it, microseconds.
    pub delay_max_us: u64,
    /// Sum of those times over all told packets, microseconds.
    pub delay_sum_us: u64,
}

impl ExporterStats {
    /// Mean time between a packet and the datagram that told it, microseconds; 0 before any.
    pub const fn delay_avg_us(&self) -> u64 {
        match self.told {
            0 => 0,
            n => self.delay_sum_us / n,
        }
    }

    /// `packets` packets told at `now_us` whose arrival times add up to `sum_us`, the first of them at `first_us`.
    fn tell(&mut self, now_us: u64, packets: u64, first_us: u64, sum_us: u64) {
        self.records += 1;
        self.told += packets;
        self.delay_max_us = self.delay_max_us.max(now_us.saturating_sub(first_us));
        self.delay_sum_us += now_us.saturating_mul(packets).saturating_sub(sum_us);
    }
}

#[derive(Debug)]
enum Encoder {
    Netflow(netflow::Netflow),
    Sflow(sflow::Sflow),
}

/// A flow exporter of the model router.
#[derive(Debug)]
pub struct Exporter {
    config: ExporterConfig,
    random: Option<Random>,
    /// Packets left in this block of N, and how many until the one that is looked at.
    block_left: u32,
    until: u32,
    cache: FlowCache,
    encoder: Encoder,
    stats: ExporterStats,
}

impl Exporter {
    /// An exporter that was switched on at `epoch`, the wall time of `at_us` 0.
    pub fn new(config: ExporterConfig, epoch: Timestamp) -> Self {
        let config = ExporterConfig { sampling: config.sampling.max(1), uplinks: config.uplinks.max(1), ..config };
        let encoder = match config.protocol {
            Protocol::Netflow9 => Encoder::Netflow(netflow::Netflow::new(&config, epoch, false)),
            Protocol::Ipfix => Encoder::Netflow(netflow::Netflow::new(&config, epoch, true)),
            Protocol::Sflow => Encoder::Sflow(sflow::Sflow::new(&config)),
        };
        let random = match config.selection {
            Selection::Random(seed) => Some(Random::new(seed, u64::MAX)),
            Selection::Count => None,
        };
        let cache = FlowCache::new(config.active_timeout_ms, config.inactive_timeout_ms, config.max_flows);
        Exporter { config, random, block_left: 0, until: 0, cache, encoder, stats: ExporterStats::default() }
    }

    /// The settings in force.
    pub fn config(&self) -> &ExporterConfig {
        &self.config
    }

    /// What it did so far.
    pub fn stats(&self) -> ExporterStats {
        self.stats
    }

    /// The interface by which packets of a source come in.
    pub fn uplink_of(&self, src: IpAddr) -> u32 {
        let bits = match src {
            IpAddr::V4(a) => u64::from(a.to_bits()),
            IpAddr::V6(a) => (a.to_bits() >> 64) as u64 ^ a.to_bits() as u64,
        };
        // Fibonacci hashing: neighbouring addresses spread over the interfaces.
        let hash = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        1 + (hash % u64::from(self.config.uplinks)) as u32
    }

    fn is_selected(&mut self) -> bool {
        if self.block_left == 0 {
            self.block_left = self.config.sampling;
            self.until = match &mut self.random {
                Some(random) => random.below(self.config.sampling),
                None => self.config.sampling - 1,
            };
        }
        self.block_left -= 1;
        let selected = self.until == 0;
        self.until = self.until.wrapping_sub(1);
        selected
    }

    /// One packet passes by at `at_us` and is forwarded or dropped.
    pub fn observe(&mut self, at_us: u64, header: &PacketHeader, forwarded: bool) {
        self.stats.packets += 1;
        let in_if = self.uplink_of(header.src);
        if let Encoder::Sflow(sflow) = &mut self.encoder {
            sflow.pass(in_if);
        }
        if !self.is_selected() {
            return;
        }
        self.stats.sampled += 1;
        match &mut self.encoder {
            Encoder::Netflow(_) => self.cache.add(at_us, header, in_if, forwarded),
            Encoder::Sflow(sflow) => sflow.add(at_us, header, in_if, forwarded),
        }
    }

    /// The datagrams that are due at `at_us`, each with the wall time `now`. Call it every few milliseconds: the
    /// time between calls is part of the exporter's delay.
    pub fn poll(&mut self, at_us: u64, now: Timestamp) -> Vec<Vec<u8>> {
        self.send(at_us, now, false)
    }

    /// As [`Exporter::poll`], and everything not told yet as well.
    pub fn flush(&mut self, at_us: u64, now: Timestamp) -> Vec<Vec<u8>> {
        self.send(at_us, now, true)
    }

    fn send(&mut self, at_us: u64, now: Timestamp, all: bool) -> Vec<Vec<u8>> {
        let datagrams = match &mut self.encoder {
            Encoder::Netflow(netflow) => {
                let flows = if all { self.cache.drain() } else { self.cache.expired(at_us) };
                self.stats.cache_full = self.cache.ended_early();
                for f in &flows {
                    self.stats.tell(at_us, f.packets, f.first_us, f.sum_us);
                }
                netflow.encode(at_us, now, &flows)
            }
            Encoder::Sflow(sflow) => sflow.take(at_us, all, &mut self.stats),
        };
        self.stats.datagrams += datagrams.len() as u64;
        self.stats.octets += datagrams.iter().map(|d| d.len() as u64).sum::<u64>();
        datagrams
    }
}

/// Appends numbers in network order.
trait Put {
    fn u8(&mut self, v: u8);
    fn u16(&mut self, v: u16);
    fn u32(&mut self, v: u32);
    fn u64(&mut self, v: u64);
    fn addr(&mut self, v: IpAddr);
    /// Overwrites two octets at `at`.
    fn set_u16(&mut self, at: usize, v: u16);
}

impl Put for Vec<u8> {
    fn u8(&mut self, v: u8) {
        self.push(v);
    }
    fn u16(&mut self, v: u16) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn u64(&mut self, v: u64) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn addr(&mut self, v: IpAddr) {
        match v {
            IpAddr::V4(a) => self.extend_from_slice(&a.octets()),
            IpAddr::V6(a) => self.extend_from_slice(&a.octets()),
        }
    }
    fn set_u16(&mut self, at: usize, v: u16) {
        if let Some(place) = self.get_mut(at..at + 2) {
            place.copy_from_slice(&v.to_be_bytes());
        }
    }
}
