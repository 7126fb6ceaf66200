//! Attacks of every vector, both families, both directions: detected within a second, named right, ended.

use crate::common::*;
use std::net::IpAddr;
use suimon_base::attack::AttackChange;
use suimon_base::{Direction, Vector};
use suimon_detect::{Config, Detector};

/// Vectors and the flows of 10 packets each to send a millisecond, well above the default limit.
const EVERY: [(Vector, u64, u64); 20] = [
    (Vector::Syn, 20, 1),
    (Vector::SynAck, 20, 1),
    (Vector::AckRst, 40, 10),
    (Vector::TcpOther, 100, 10),
    (Vector::DnsReflection, 40, 1),
    (Vector::NtpReflection, 60, 1),
    (Vector::SsdpReflection, 60, 1),
    (Vector::CldapReflection, 20, 1),
    (Vector::SnmpReflection, 30, 1),
    (Vector::MemcachedReflection, 20, 1),
    (Vector::ChargenReflection, 30, 1),
    (Vector::WsDiscoveryReflection, 30, 1),
    (Vector::ArmsReflection, 30, 1),
    (Vector::IkeReflection, 100, 10),
    (Vector::DvrReflection, 60, 1),
    (Vector::Fragments, 40, 1),
    (Vector::Icmp, 60, 1),
    (Vector::Gre, 100, 10),
    (Vector::UdpOther, 100, 10),
    (Vector::OtherProtocol, 100, 10),
];

#[test]
fn every_vector_of_both_families_is_named_within_a_second() {
    for target in ["198.51.100.7", "2001:db8:1::7"] {
        let target: IpAddr = target.parse().unwrap();
        for (vector, flows, packets) in EVERY {
            let mut d = Detector::new(config(), 1).unwrap();
            let mut r = rng(2);
            let changes = run(&mut d, 0, 3_000, |ms, out| {
                if ms >= 1_000 {
                    for _ in 0..flows {
                        let mut f = packet_of(vector, target, &mut r);
                        f.packets *= packets;
                        f.bytes *= packets;
                        out.push(f);
                    }
                }
            });
            let starts = started(&changes);
            assert_eq!(starts.len(), 1, "{vector} {target}: {starts:?}");
            let a = starts[0];
            assert_eq!(a.target, ipnet::IpNet::from(target), "{vector}");
            assert_eq!(a.vectors[0].vector, vector, "{target}");
            assert_eq!(a.vectors.len(), 1, "{vector}: {:?}", a.vectors);
            assert_eq!(a.direction, Direction::In);
            assert!(a.detected.ms_since(at(1_000)) <= 1_000, "{vector}: {}", a.detected.ms_since(at(1_000)));
            assert_eq!(a.started.floor_ms(), at(1_000), "{vector}");
            let packet = suimon_base::PacketHeader::of_flow(&packet_of(vector, target, &mut r));
            assert!(a.vectors[0].matches.matches(&packet), "{vector}: {:?}", a.vectors[0].matches);
            let last = changes.last().unwrap().attack();
            let sent = (flows * packets * 1_000) as f64;
            assert!((last.peak.pps.0 as f64 / sent - 1.0).abs() < 0.01, "{vector}: {} of {sent}", last.peak.pps);
        }
    }
}

#[test]
fn an_attack_ends_after_the_hold_and_says_when_it_fell() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(3);
    let changes = run(&mut d, 0, 12_000, |ms, out| {
        if (1_000..4_000).contains(&ms) {
            out.extend((0..20).map(|_| packet_of(Vector::Syn, target, &mut r)));
        }
    });
    let AttackChange::Ended(a) = changes.last().unwrap() else { panic!("{:?}", changes.last()) };
    let ended = a.ended.unwrap().ms_since(at(0));
    assert!((4_400..=5_000).contains(&ended), "{ended}");
    assert!(d.running().is_empty());
    let updates = changes.iter().filter(|c| matches!(c, AttackChange::Updated(_))).count();
    assert!((5..=9).contains(&updates), "{updates} updates");
}

#[test]
fn outgoing_attacks_are_seen_too() {
    let source: IpAddr = "198.51.100.9".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(4);
    let changes = run(&mut d, 0, 2_000, |_, out| {
        for _ in 0..20 {
            let mut f = packet_of(Vector::Syn, source, &mut r);
            (f.src, f.dst) = (source, "192.0.2.99".parse().unwrap());
            out.push(f);
        }
    });
    let a = started(&changes);
    assert_eq!(a.len(), 1);
    assert_eq!((a[0].direction, a[0].target), (Direction::Out, ipnet::IpNet::from(source)));
    assert_eq!(a[0].vectors[0].matches.src, vec![ipnet::IpNet::from(source)]);
}

#[test]
fn carpet_bombing_is_told_of_the_covering_prefix_and_a_host_attack_is_not() {
    for (base, cover) in [("198.51.100.", "198.51.100.0/24"), ("2001:db8:5:", "2001:db8:5::/48")] {
        let six = base.contains(':');
        let host =
            |n: u8| -> IpAddr { if six { format!("{base}{n}::1") } else { format!("{base}{n}") }.parse().unwrap() };
        let mut d = Detector::new(config(), 1).unwrap();
        let mut r = rng(5);
        let mut n = 0u8;
        let changes = run(&mut d, 0, 3_000, |_, out| {
            for _ in 0..80 {
                n = n.wrapping_add(1);
                out.push(packet_of(Vector::Syn, host(n), &mut r));
            }
        });
        let a = started(&changes);
        assert_eq!(a.len(), 1, "{a:?}");
        assert_eq!(a[0].target.to_string(), cover);
        assert_eq!(a[0].vectors[0].vector, Vector::Syn);
        assert_eq!(a[0].evidence.fired[0].rule, "cover.syn.pps");

        let mut d = Detector::new(config(), 1).unwrap();
        let changes = run(&mut d, 0, 3_000, |_, out| {
            out.extend((0..80).map(|_| packet_of(Vector::Syn, host(7), &mut r)));
        });
        let a = started(&changes);
        assert_eq!(a.len(), 1, "{a:?}");
        assert_eq!(a[0].target.addr(), host(7), "the address explains the prefix");
    }
}

#[test]
fn a_customer_prefix_is_watched_as_a_whole() {
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(6);
    let mut n = 0u16;
    // Spread over both /48 of the customer's /47, under the limit of each.
    let changes = run(&mut d, 0, 3_000, |_, out| {
        for _ in 0..54 {
            n = n.wrapping_add(1);
            let host: IpAddr = format!("2001:db8:{:x}:{n:x}::1", 0xcafe + n % 2).parse().unwrap();
            out.push(packet_of(Vector::Syn, host, &mut r));
        }
    });
    let a = started(&changes);
    assert_eq!(a.len(), 1, "{a:?}");
    assert_eq!(a[0].target.to_string(), "2001:db8:cafe::/47");
}

#[test]
fn several_vectors_of_one_target_are_one_attack() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(7);
    let changes = run(&mut d, 0, 5_000, |ms, out| {
        out.extend((0..20).map(|_| packet_of(Vector::Syn, target, &mut r)));
        if ms >= 2_000 {
            out.extend((0..60).map(|_| packet_of(Vector::NtpReflection, target, &mut r)));
        }
    });
    assert_eq!(started(&changes).len(), 1);
    let last = d.running();
    let names: Vec<Vector> = last[0].vectors.iter().map(|v| v.vector).collect();
    assert_eq!(names, [Vector::NtpReflection, Vector::Syn]);
}

#[test]
fn the_same_seed_and_input_give_the_same_output() {
    let target: IpAddr = "198.51.100.7".parse().unwrap();
    let play = |seed: u64| {
        let mut d = Detector::new(config(), seed).unwrap();
        let mut r = rng(8);
        let changes = run(&mut d, 0, 3_000, |_, out| {
            out.extend((0..30).map(|_| packet_of(Vector::DnsReflection, target, &mut r)));
            out.extend((0..9).map(|_| packet_of(Vector::Syn, target, &mut r)));
        });
        serde_json::to_string(&changes).unwrap()
    };
    assert_eq!(play(1), play(1));
}

#[test]
fn bounds_hold_and_are_counted() {
    let mut limits = Config::default().limits;
    limits.max_hosts = 100;
    limits.max_attacks = 1;
    let mut d = Detector::new(Config { limits, ..config() }, 1).unwrap();
    let mut r = rng(9);
    let changes = run(&mut d, 0, 2_000, |ms, out| {
        for n in 0..40u16 {
            let host: IpAddr = format!("2001:db8:7:{:x}::{n:x}", ms).parse().unwrap();
            out.push(packet_of(Vector::Syn, host, &mut r));
        }
        let host: IpAddr = "198.51.100.7".parse().unwrap();
        out.extend((0..20).map(|_| packet_of(Vector::Syn, host, &mut r)));
    });
    let c = d.counters();
    assert_eq!(c.hosts, 100);
    assert!(c.hosts_refused > 70_000, "{c:?}");
    assert!(c.attacks_refused > 0, "{c:?}");
    assert_eq!(started(&changes).len(), 1);
}
