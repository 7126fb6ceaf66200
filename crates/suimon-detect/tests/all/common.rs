//! A generator of flow records with a clock of its own, shared by the tests of this crate.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::attack::{Attack, AttackChange};
use suimon_base::flow::{ExporterKey, FlowRecord, Fragment, Sampling, SamplingSource, present};
use suimon_base::{Timestamp, Vector};
use suimon_detect::{Config, Detector, Network};

pub const START: i64 = 1_800_000_000_000;

pub fn exporter() -> ExporterKey {
    ExporterKey { addr: "192.0.2.1".parse().unwrap(), domain: 1 }
}

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms)
}

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn network(prefix: &str, customer: Option<&str>) -> Network {
    Network { prefix: prefix.parse().unwrap(), customer: customer.map(str::to_owned), thresholds: None }
}

pub fn config() -> Config {
    Config {
        networks: vec![
            network("198.51.100.0/24", None),
            network("203.0.113.0/24", Some("example")),
            network("2001:db8::/32", None),
            network("2001:db8:cafe::/47", Some("example")),
        ],
        ..Config::default()
    }
}

/// A record of `packets` packets of `len` octets.
pub fn flow(src: IpAddr, dst: IpAddr, proto: u8, ports: (u16, u16), flags: u8, packets: u64, len: u64) -> FlowRecord {
    FlowRecord {
        src,
        dst,
        proto,
        src_port: ports.0,
        dst_port: ports.1,
        tcp_flags: flags,
        packets,
        bytes: packets * len,
        in_if: 7,
        sampling: Sampling { rate: 1, source: SamplingSource::Config },
        present: present::SRC | present::DST | present::PORTS | present::PROTO | present::TCP_FLAGS,
        ..FlowRecord::default()
    }
}

/// Any address of the family of `like` outside the protected networks.
pub fn outside(r: &mut ChaCha8Rng, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::new(r.random_range(1..190), r.random(), r.random(), r.random()).into(),
        IpAddr::V6(_) => {
            let n: u128 = r.random();
            Ipv6Addr::from((n >> 3) | 0x2600_u128 << 112).into()
        }
    }
}

/// One packet of a vector towards a target.
pub fn packet_of(v: Vector, target: IpAddr, r: &mut ChaCha8Rng) -> FlowRecord {
    let src = outside(r, target);
    let high: u16 = r.random_range(1_024..60_000);
    let service = |port: u16, len: u64| flow(src, target, 17, (port, high), 0, 1, len);
    let tcp = |flags: u8, len: u64| flow(src, target, 6, (high, 443), flags, 1, len);
    match v {
        Vector::Syn => tcp(0x02, 60),
        Vector::SynAck => flow(src, target, 6, (443, high), 0x12, 1, 44),
        Vector::AckRst => tcp(0x10, 40),
        Vector::TcpOther => tcp(0x18, 1_200),
        Vector::DnsReflection => service(53, 1_400),
        Vector::NtpReflection => service(123, 468),
        Vector::SsdpReflection => service(1900, 320),
        Vector::CldapReflection => service(389, 1_480),
        Vector::SnmpReflection => service(161, 900),
        Vector::MemcachedReflection => service(11211, 1_430),
        Vector::ChargenReflection => service(19, 1_020),
        Vector::WsDiscoveryReflection => service(3702, 900),
        Vector::ArmsReflection => service(3283, 1_048),
        Vector::IkeReflection => service(if high.is_multiple_of(2) { 500 } else { 4500 }, 600),
        Vector::DvrReflection => service(37810, 600),
        Vector::Fragments => FlowRecord { fragment: Fragment::Later, ..flow(src, target, 17, (0, 0), 0, 1, 1_500) },
        Vector::Icmp => flow(src, target, if target.is_ipv4() { 1 } else { 58 }, (0, 0), 0, 1, 84),
        Vector::Gre => flow(src, target, 47, (0, 0), 0, 1, 540),
        Vector::UdpOther | Vector::Total => flow(src, target, 17, (high, high), 0, 1, 540),
        Vector::OtherProtocol => flow(src, target, 132, (high, high), 0, 1, 540),
    }
}

/// Runs `make` once a millisecond from `from` to `to`, ticking every 100 ms; returns every change.
pub fn run(d: &mut Detector, from: i64, to: i64, mut make: impl FnMut(i64, &mut Vec<FlowRecord>)) -> Vec<AttackChange> {
    let mut out = Vec::new();
    let mut records = Vec::new();
    for ms in from..to {
        make(ms, &mut records);
        for f in records.drain(..) {
            d.flow(&exporter(), at(ms), &f);
        }
        if ms % 100 == 0 {
            out.extend(d.tick(at(ms)));
        }
    }
    out
}

pub fn started(changes: &[AttackChange]) -> Vec<&Attack> {
    changes.iter().filter_map(|c| if let AttackChange::Started(a) = c { Some(a) } else { None }).collect()
}
