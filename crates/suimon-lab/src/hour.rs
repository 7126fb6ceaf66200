//! An hour of legitimate traffic of one customer, time-compressed: nothing in it is an attack.
//!
//! It holds what often raises false alarms: a slow swell of visitors to three times the base rate and back, a rush of
//! visitors when a sale opens (eight times for two minutes), a large upload, and a resolver busy with a mailing.

use crate::export::{CachedFlow, FlowCache};
use crate::random::Random;
use crate::traffic::legit::{Legit, LegitProfile};
use crate::traffic::{Label, Merge, Packet, Source, merge};
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::flow::Fragment;
use suimon_base::{FlowRecord, PacketHeader, Timestamp};

/// Length of the hour, microseconds.
pub const HOUR_US: u64 = 3_600_000_000;

/// The customer's prefix.
pub const CUSTOMER: (Ipv4Addr, u8) = (Ipv4Addr::new(203, 0, 113, 0), 24);

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80));
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 53));
const BACKUP: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 22));

/// Base rate as a share of [`LegitProfile::web`]: about 120 packets a second.
const BASE: f64 = 0.1;

/// Packets a second of the upload, about 12 Mbit/s of full-size packets.
const UPLOAD_PPS: u64 = 1_000;

const MINUTE_US: u64 = 60_000_000;

/// The packets of the hour; the seed also moves the rush, the upload and the mailing.
pub fn packets(seed: u64) -> Merge {
    let mut random = Random::new(seed, 77);
    let mut sources: Vec<Source> = Vec::new();
    let web = || LegitProfile::web(HOST, RESOLVER);
    // The swell: a step every five minutes along a triangle.
    for (i, factor) in [1.0, 1.4, 1.8, 2.2, 2.6, 3.0, 3.0, 2.6, 2.2, 1.8, 1.4, 1.0].into_iter().enumerate() {
        let from = i as u64 * 5 * MINUTE_US;
        let profile = web().scaled(BASE * factor);
        sources.push(Box::new(Legit::new(profile, seed, from, from + 5 * MINUTE_US, 1 + i as u32 * 1_000_000)));
    }
    let begin = |random: &mut Random| u64::from(random.below(3_000)) * 1_000_000;
    let rush = begin(&mut random);
    let profile = LegitProfile { dns_per_s: 0.0, ntp_per_s: 0.0, ping_per_s: 0.0, ..web() }.scaled(BASE * 8.0);
    sources.push(Box::new(Legit::new(profile, seed, rush, rush + 2 * MINUTE_US, 100_000_000)));
    let mailing = begin(&mut random);
    let profile = LegitProfile { tcp_per_s: 0.0, udp_per_s: 0.0, ntp_per_s: 0.0, ping_per_s: 0.0, ..web() };
    let profile = LegitProfile { dns_per_s: 150.0, ..profile };
    sources.push(Box::new(Legit::new(profile, seed, mailing, mailing + 3 * MINUTE_US, 101_000_000)));
    let from = begin(&mut random);
    sources.push(Box::new(upload(from, from + 2 * MINUTE_US)));
    merge(sources)
}

/// One long connection with full-size packets.
fn upload(from_us: u64, end_us: u64) -> impl Iterator<Item = Packet> + Send {
    let step = 1_000_000 / UPLOAD_PPS;
    (0..(end_us - from_us) / step).map(move |i| Packet {
        at_us: from_us + i * step,
        header: PacketHeader {
            src: IpAddr::V4(Ipv4Addr::new(198, 19, 7, 7)),
            dst: BACKUP,
            proto: 6,
            ports: Some((40_022, 22)),
            tcp_flags: if i == 0 { 0x02 } else { 0x10 },
            icmp: 0,
            fragment: Fragment::Whole,
            ip_len: if i == 0 { 60 } else { 1_500 },
            tos: 0,
            ttl: 55,
        },
        label: Label::Legitimate,
        connection: 102_000_000,
        opens: i == 0,
    })
}

/// The hour as a router with an active timeout of 60 s and an inactive one of 15 s tells it, one packet in `sampling`
/// looked at: (microsecond at which the router tells it, record). `epoch` is the wall time of the hour's beginning.
pub fn flows(seed: u64, sampling: u32, epoch: Timestamp) -> Flows {
    let sampling = sampling.max(1);
    Flows {
        packets: packets(seed),
        random: Random::new(seed, 78),
        cache: FlowCache::new(60_000, 15_000, 1_000_000),
        sampling,
        epoch,
        ready: Vec::new().into_iter(),
        at_us: 0,
        polled_us: 0,
        over: false,
    }
}

/// Flow records of an hour, in the order they are told.
#[derive(Debug)]
pub struct Flows {
    packets: Merge,
    random: Random,
    cache: FlowCache,
    sampling: u32,
    epoch: Timestamp,
    ready: std::vec::IntoIter<CachedFlow>,
    at_us: u64,
    polled_us: u64,
    over: bool,
}

/// The cache is asked this often, microseconds.
const POLL_US: u64 = 100_000;

impl Iterator for Flows {
    type Item = (u64, FlowRecord);
    fn next(&mut self) -> Option<(u64, FlowRecord)> {
        loop {
            if let Some(flow) = self.ready.next() {
                return Some((self.polled_us, flow.record(self.epoch, self.sampling, 100)));
            }
            if self.over {
                return None;
            }
            let Some(packet) = self.packets.next() else {
                self.over = true;
                self.polled_us = HOUR_US;
                self.ready = self.cache.drain().into_iter();
                continue;
            };
            self.at_us = packet.at_us;
            if self.random.below(self.sampling) == 0 {
                self.cache.add(packet.at_us, &packet.header, 1, true);
            }
            if self.at_us >= self.polled_us + POLL_US {
                self.polled_us = self.at_us;
                self.ready = self.cache.expired(self.at_us).into_iter();
            }
        }
    }
}
