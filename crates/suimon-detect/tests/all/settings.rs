//! Settings that change while attacks run, clocks that step, totals without a name.

use crate::common::*;
use std::net::IpAddr;
use suimon_base::Vector;
use suimon_base::attack::AttackChange;
use suimon_detect::{Config, Detector, Limit, Thresholds};

#[test]
fn reconfiguring_keeps_running_attacks() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(1);
    run(&mut d, 0, 2_000, |_, out| out.extend((0..20).map(|_| packet_of(Vector::Syn, target, &mut r))));
    let serial = d.running()[0].serial;
    let mut next = config();
    next.networks.push(network("192.0.2.0/24", None));
    next.bucket_ms = 500;
    next.window_ms = 1_000;
    d.reconfigure(next).unwrap();
    assert!(d.reconfigure(Config { bucket_ms: 7, ..config() }).is_err());
    let changes = run(&mut d, 2_000, 4_000, |_, out| {
        out.extend((0..20).map(|_| packet_of(Vector::Syn, target, &mut r)));
        out.extend((0..20).map(|_| packet_of(Vector::Syn, "192.0.2.7".parse().unwrap(), &mut r)));
    });
    let running = d.running();
    assert_eq!(running.len(), 2, "{running:?}");
    assert_eq!(running[0].serial, serial);
    assert_eq!(started(&changes).len(), 1, "the new network's");
    let changes = run(&mut d, 4_000, 12_000, |_, _| {});
    assert_eq!(changes.iter().filter(|c| matches!(c, AttackChange::Ended(_))).count(), 2);
}

#[test]
fn a_network_may_have_its_own_limits() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let mut c = config();
    let mut own = Thresholds::none();
    own.vectors.insert(Vector::Syn, Limit::pps(100_000));
    c.networks.push(suimon_detect::Network { thresholds: Some(own), ..network("198.51.100.7/32", None) });
    let mut d = Detector::new(c, 1).unwrap();
    let mut r = rng(1);
    // Over the general limit and over three times it; the covering prefix follows its most lenient member.
    let changes = run(&mut d, 0, 3_000, |_, out| {
        out.extend((0..50).map(|_| packet_of(Vector::Syn, target, &mut r)));
    });
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn a_total_over_its_limit_without_a_dominant_kind_is_a_total() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(1);
    // Four kinds of 150 kpps each: none over its own limit, together over 500 kpps.
    let kinds = [Vector::AckRst, Vector::TcpOther, Vector::UdpOther, Vector::OtherProtocol];
    let changes = run(&mut d, 0, 2_000, |_, out| {
        for kind in kinds {
            let f = packet_of(kind, target, &mut r);
            let len = f.bytes.min(200);
            out.extend((0..3).map(|_| suimon_base::FlowRecord { packets: 50, bytes: 50 * len, ..f }));
        }
    });
    let a = started(&changes);
    assert_eq!(a.len(), 1);
    assert_eq!(a[0].vectors.iter().map(|v| v.vector).collect::<Vec<_>>(), [Vector::Total], "{:?}", a[0].evidence.fired);
    assert_eq!(a[0].evidence.fired[0].rule, "total.pps");
}

#[test]
fn a_busy_service_is_measured_by_its_own_normal() {
    let resolver: IpAddr = "198.51.100.53".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(1);
    let answers = |n: usize, r: &mut rand_chacha::ChaCha8Rng, out: &mut Vec<suimon_base::FlowRecord>| {
        for _ in 0..n {
            let f = packet_of(Vector::DnsReflection, resolver, r);
            out.push(suimon_base::FlowRecord { packets: 10, bytes: 4_000, ..f });
        }
    };
    // Five minutes at 40 kpps are enough to know the resolver.
    run(&mut d, 0, 300_000, |_, out| answers(4, &mut r, out));
    let changes = run(&mut d, 300_000, 303_000, |_, out| answers(8, &mut r, out));
    assert!(changes.is_empty(), "twice the normal of a resolver, over the plain limit, is no attack");
    let changes = run(&mut d, 303_000, 306_000, |_, out| answers(40, &mut r, out));
    assert_eq!(started(&changes).len(), 1, "ten times the normal is");
}

#[test]
fn a_clock_that_steps_back_does_not_blind() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(1);
    d.tick(at(0));
    d.tick(at(3_600_000));
    let changes = run(&mut d, 1_000, 4_000, |_, out| {
        out.extend((0..20).map(|_| packet_of(Vector::Syn, target, &mut r)));
    });
    assert_eq!(started(&changes).len(), 1);
    assert_eq!(started(&changes)[0].started, at(1_000));
}

#[test]
fn an_attack_takes_the_sample_of_a_merely_busy_host() {
    let mut limits = Config::default().limits;
    limits.max_samples = 1;
    let mut d = Detector::new(Config { limits, ..config() }, 1).unwrap();
    let mut r = rng(1);
    let (busy, target): (IpAddr, IpAddr) = ("198.51.100.20".parse().unwrap(), "198.51.100.7".parse().unwrap());
    run(&mut d, 0, 3_000, |ms, out| {
        out.extend((0..2).map(|_| packet_of(Vector::TcpOther, busy, &mut r)));
        if ms >= 1_000 {
            out.extend((0..20).map(|_| packet_of(Vector::Syn, target, &mut r)));
        }
    });
    let a = &d.running()[0];
    assert_eq!(a.evidence.top_dst_ports[0].key, "443");
    assert!(a.sources > 10_000, "{}", a.sources);
    assert!(d.counters().samples_refused > 0);
}

#[test]
fn an_attack_does_not_become_the_normal() {
    let target: IpAddr = "198.51.100.53".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(1);
    let mut flood = |_: i64, out: &mut Vec<suimon_base::FlowRecord>| {
        for _ in 0..6 {
            let f = packet_of(Vector::DnsReflection, target, &mut r);
            out.push(suimon_base::FlowRecord { packets: 10, bytes: 4_000, ..f });
        }
    };
    let first = run(&mut d, 0, 120_000, &mut flood);
    let between = run(&mut d, 120_000, 130_000, |_, _| {});
    let second = run(&mut d, 130_000, 132_000, &mut flood);
    assert_eq!((started(&first).len(), started(&second).len()), (1, 1));
    assert!(matches!(between.last(), Some(AttackChange::Ended(_))));
    assert_eq!(started(&second)[0].evidence.fired[0].threshold, started(&first)[0].evidence.fired[0].threshold);
}
