//! Real attacks, as captured by others: named right, with their own figures. Figures to compare with are capinfos's.

use crate::common::*;
use suimon_base::attack::{Attack, AttackChange};
use suimon_base::flow::{FlowRecord, Sampling, SamplingSource};
use suimon_base::{PacketHeader, Timestamp, Vector};
use suimon_detect::{Config, Detector, Limit, Thresholds};
use suimon_wire::{packet, pcap};

/// The packets of a capture with their times.
fn packets(name: &str) -> Option<Vec<(Timestamp, PacketHeader)>> {
    let path = suimon_testkit::shared_or_skip(name, &format!("captures/ddos/{name}"))?;
    let file = std::fs::read(path).unwrap();
    let frames = pcap::frames(&file).unwrap().map(|f| f.unwrap());
    Some(frames.filter_map(|f| Some((f.time, packet::parse_frame(f.link, f.bytes, f.wire_len)?.0))).collect())
}

fn record(p: &PacketHeader, n: u32) -> FlowRecord {
    let (src_port, dst_port) = p.ports.unwrap_or_default();
    FlowRecord {
        src: p.src,
        dst: p.dst,
        proto: p.proto,
        src_port,
        dst_port,
        tcp_flags: p.tcp_flags,
        icmp: p.icmp,
        fragment: p.fragment,
        bytes: u64::from(p.ip_len),
        packets: 1,
        sampling: Sampling { rate: n, source: SamplingSource::Config },
        ..FlowRecord::default()
    }
}

/// What a detector with these limits in packets a second tells of a capture of which one packet in `n` is looked at.
fn detect(name: &str, limits: &[(Vector, u64)], n: usize) -> Option<Vec<Attack>> {
    let mut thresholds = Thresholds::none();
    thresholds.vectors = limits.iter().map(|(v, pps)| (*v, Limit::pps(*pps))).collect();
    let networks = vec![network("10.10.10.0/24", None)];
    let mut d = Detector::new(Config { networks, thresholds, ..Config::default() }, 1).unwrap();
    let mut list = packets(name)?;
    // Some captures step back in time by a little; a detector's clock does not.
    list.sort_by_key(|p| p.0);
    let mut changes = Vec::new();
    let (mut tick, last) = (list.first()?.0, list.last()?.0);
    for (at, p) in list.iter().step_by(n) {
        while tick < *at {
            changes.extend(d.tick(tick));
            tick = tick.plus_ms(100);
        }
        d.flow(&exporter(), *at, &record(p, n as u32));
    }
    while tick < last.plus_ms(8_000) {
        changes.extend(d.tick(tick));
        tick = tick.plus_ms(100);
    }
    let ended = |c: AttackChange| if let AttackChange::Ended(a) = c { Some(a) } else { None };
    let starts = started(&changes).len();
    let list: Vec<Attack> = changes.into_iter().filter_map(ended).collect();
    assert_eq!(starts, list.len(), "{name}: all of them end");
    Some(list)
}

#[test]
fn spoofed_syn_flood() {
    let Some(list) = detect("pkt.TCP.synflood.spoofed.pcap", &[(Vector::Syn, 500)], 1) else { return };
    assert_eq!(list.len(), 1, "{list:?}");
    let a = &list[0];
    assert_eq!(a.vectors.iter().map(|v| v.vector).collect::<Vec<_>>(), [Vector::Syn]);
    assert_eq!(a.target.prefix_len(), 32);
    let sources = a.sources as f64 / 37_623.0;
    assert!((0.9..1.1).contains(&sources), "{} sources", a.sources);
    assert!(a.spoof_likelihood > 0.8, "{} {:?}", a.spoof_likelihood, a.evidence.spoof_reasons);
    assert_eq!(a.vectors[0].matches.dst_ports, vec![suimon_base::PortRange::one(25_565)]);
    assert!(a.peak.pps.0 == 23_300, "{}", a.peak.pps);
}

#[test]
fn a_sampled_flood_is_found_with_its_error() {
    let Some(list) = detect("pkt.TCP.synflood.spoofed.pcap", &[(Vector::Syn, 500)], 50) else { return };
    assert_eq!(list.len(), 1, "{list:?}");
    let s = &list[0].evidence.sampling;
    assert_eq!(s.rate, 50);
    // 466 of the samples fall into the busiest second.
    assert!((s.relative_error - 1.0 / 466f64.sqrt()).abs() < 0.002, "{s:?}");
    // One in 10,000 leaves two packets in the busiest second: fewer than a rule needs.
    let none = detect("pkt.TCP.synflood.spoofed.pcap", &[(Vector::Syn, 500)], 10_000).unwrap();
    assert!(none.is_empty(), "{none:?}");
    let expected = suimon_detect::detectable(suimon_base::Pps(500), suimon_base::Pps(23_300), 1_000, 10_000, 5);
    assert!(!expected.detectable && expected.needed == 5, "{expected:?}");
}

#[test]
fn snmp_reflection() {
    let Some(list) = detect("amp.UDP.snmp.src161.pcapng", &[(Vector::SnmpReflection, 1_000)], 1) else { return };
    assert_eq!(list.len(), 1, "{list:?}");
    let a = &list[0];
    assert_eq!(a.vectors[0].vector, Vector::SnmpReflection);
    assert!((4_050..=4_130).contains(&a.peak.pps.0), "{}", a.peak.pps);
    let sources = a.sources as f64 / 4_000.0;
    assert!((0.9..1.1).contains(&sources), "{} sources", a.sources);
    assert!(a.spoof_likelihood < 0.2);
}

#[test]
fn syn_ack_reflection() {
    let Some(list) = detect("amp.TCP.reflection.SYNACK.pcap", &[(Vector::SynAck, 1_000)], 1) else { return };
    assert_eq!(list.len(), 1, "{list:?}");
    let a = &list[0];
    assert_eq!(a.vectors[0].vector, Vector::SynAck);
    assert!((6_600..=6_660).contains(&a.peak.pps.0), "{}", a.peak.pps);
    assert!(a.spoof_likelihood < 0.2);
}

#[test]
fn fragmented_dns_reflection_names_both_parts() {
    let limits = [(Vector::DnsReflection, 10), (Vector::Fragments, 20)];
    let Some(list) = detect("amp.dns.RRSIG.fragmented.pcap", &limits, 1) else { return };
    let a = list.iter().max_by_key(|a| a.peak.pps).unwrap();
    let names: Vec<Vector> = a.vectors.iter().map(|v| v.vector).collect();
    assert!(names.contains(&Vector::DnsReflection) && names.contains(&Vector::Fragments), "{names:?}");
    assert!(a.spoof_likelihood < 0.2, "{:?}", a.evidence.spoof_reasons);
}
