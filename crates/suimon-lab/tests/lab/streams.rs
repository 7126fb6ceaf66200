//! The benchmark stream, and how fast the lab itself is.

use super::common::{EPOCH, decode, pcap_of, wall};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Instant;
use suimon_base::{Action, Match, MeasureId, PacketHeader, PortRange, Rule, RuleSet};
use suimon_lab::stream::{Netflow9Stream, TEMPLATE_EVERY, is_own, stamp};
use suimon_lab::{Exporter, ExporterConfig, Label, ModelRouter, Packet, Protocol};

fn datagrams(count: usize) -> Vec<(u64, Vec<u8>)> {
    let stamped = |(n, mut d): (usize, Vec<u8>)| {
        let at_us = n as u64 * 100;
        stamp(&mut d, n as u32, wall(at_us), 3_600_000 + (at_us / 1_000) as u32);
        (at_us, d)
    };
    Netflow9Stream::new(65_536, 30).take(count).enumerate().map(stamped).collect()
}

#[test]
fn the_stream_is_read_by_our_decoder() {
    let datagrams = datagrams(TEMPLATE_EVERY as usize + 3);
    assert_eq!(datagrams[1].1.len(), 1_404);
    assert_eq!(datagrams[0].1, datagrams_template(0));
    let again = TEMPLATE_EVERY as usize + 1;
    assert_eq!(datagrams[again].1.len(), datagrams[0].1.len(), "the template comes again");
    let records = decode(&datagrams);
    assert_eq!(records.len(), (TEMPLATE_EVERY as usize + 1) * 30);
    let hosts: HashSet<_> = records.iter().map(|r| r.dst).collect();
    assert_eq!(hosts.len(), 65_536);
    for r in &records {
        assert!(is_own(r.dst) && !is_own(r.src));
        assert!(r.packets > 0 && r.bytes >= 60 * r.packets);
        let age = r.end.ms_since(EPOCH);
        assert!((-1_000..=2_000).contains(&age), "flows end at the sending time, within v9's whole second: {age}");
        assert_eq!(r.end.ms_since(r.start), 1_000);
    }
}

fn datagrams_template(sequence: u32) -> Vec<u8> {
    let mut d = Netflow9Stream::template();
    stamp(&mut d, sequence, EPOCH, 3_600_000);
    d
}

#[test]
fn the_stream_is_read_by_tshark() {
    if !suimon_testkit::program_or_skip("the_stream_is_read_by_tshark", "tshark") {
        return;
    }
    let datagrams = datagrams(50);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("stream.pcap");
    std::fs::write(&path, pcap_of(&datagrams, 2055)).unwrap();
    let path = path.to_str().unwrap();
    let out = Command::new("tshark")
        .args(["-nr", path, "-d", "udp.port==2055,cflow", "-T", "fields", "-e", "cflow.octets"])
        .args(["-e", "_ws.malformed"])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let octets: Vec<u64> =
        text.split(['\n', ',', '\t']).filter(|s| !s.is_empty()).map(|s| s.parse().expect("no malformed")).collect();
    assert_eq!(octets.len(), 49 * 30);
    assert_eq!(octets.iter().sum::<u64>(), decode(&datagrams).iter().map(|r| r.bytes).sum::<u64>());
}

/// 200,000 packets, each a flow of its own, through 33 rules, cache and encoder; how long that took.
fn export_many(protocol: Protocol) -> std::time::Duration {
    let mut router = ModelRouter::new();
    // As many rules as the request of the example yields; the traffic matches none.
    let rule = |i: u16| Rule {
        matches: Match { proto: Some(17), dst_ports: vec![PortRange::one(i)], ..Match::default() },
        action: Action::Discard,
    };
    router.install(0, MeasureId(1), RuleSet { rules: (0..33).map(rule).collect() });
    let mut exporter = Exporter::new(ExporterConfig { protocol, ..ExporterConfig::default() }, EPOCH);
    let mut header = PacketHeader {
        src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        dst: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80)),
        proto: 6,
        ports: None,
        tcp_flags: 2,
        icmp: 0,
        fragment: suimon_base::flow::Fragment::Whole,
        ip_len: 40,
        tos: 0,
        ttl: 50,
    };
    #[expect(clippy::disallowed_methods, reason = "a speed is measured")]
    let began = Instant::now();
    let mut octets = 0;
    for i in 0..200_000_u32 {
        header.src = IpAddr::V4(Ipv4Addr::from_bits(i.wrapping_mul(0x9e37_79b1)));
        header.ports = Some((i as u16, 443));
        let at_us = u64::from(i) * 5;
        let p = Packet { at_us, header, label: Label::Attack, connection: 0, opens: false };
        if at_us.is_multiple_of(10_000) {
            octets += exporter.poll(at_us, wall(at_us)).iter().map(Vec::len).sum::<usize>();
        }
        let verdict = router.offer(at_us, &p);
        exporter.observe(at_us, &p.header, verdict.is_forwarded());
    }
    octets += exporter.flush(1_000_000, wall(1_000_000)).iter().map(Vec::len).sum::<usize>();
    let took = began.elapsed();
    assert_eq!(exporter.stats().records, 200_000);
    println!("{protocol:?}: 200,000 flows in {took:?}, {octets} octets");
    took
}

/// A second's worth of 200,000 single-packet flows takes less than a second of this profile on one core, in the best of
/// five runs (other programs may be running). Prints the figures with `--nocapture`.
#[test]
fn two_hundred_thousand_flows_a_second() {
    for protocol in [Protocol::Netflow9, Protocol::Ipfix, Protocol::Sflow] {
        let quick = (0..5).any(|_| export_many(protocol).as_secs_f64() < 1.0);
        assert!(quick, "{protocol:?}: five runs took a second or more each");
    }
}
