//! What several tests of the lab need.

use std::net::IpAddr;
use suimon_base::flow::FlowRecord;
use suimon_base::{MeasureId, RuleSet, Timestamp};
use suimon_lab::{Exporter, ExporterConfig, ModelRouter, Packet};

/// Wall time of microsecond 0 in tests.
pub const EPOCH: Timestamp = Timestamp::from_secs(1_800_000_000);

pub fn wall(at_us: u64) -> Timestamp {
    Timestamp::from_micros(EPOCH.as_micros() + at_us as i64)
}

/// Everything a record says, in a form that can be sorted and shown.
pub fn shown(r: &FlowRecord) -> String {
    format!(
        "{} {} {} {} {} {:x} {:x} {} {:?} {:?} {:?} {} {} {} {} {} {} {} {:x}",
        r.src,
        r.dst,
        r.proto,
        r.src_port,
        r.dst_port,
        r.tcp_flags,
        r.icmp,
        r.tos,
        r.fragment,
        r.forwarding,
        r.metered,
        r.packets,
        r.bytes,
        r.in_if,
        r.out_if,
        r.start,
        r.end,
        r.sampling.rate,
        r.present,
    )
}

/// Sends packets through a router with `rules` and an exporter; returns datagrams with their sending time, and
/// the exporter.
pub fn export(
    packets: impl Iterator<Item = Packet>,
    rules: Option<RuleSet>,
    config: ExporterConfig,
) -> (Vec<(u64, Vec<u8>)>, Exporter) {
    let mut router = ModelRouter::new();
    if let Some(rules) = rules {
        router.install(0, MeasureId(1), rules);
    }
    let mut exporter = Exporter::new(config, EPOCH);
    let mut out = Vec::new();
    let (mut polled, mut last) = (0, 0);
    for p in packets {
        if p.at_us >= polled + 10_000 {
            polled = p.at_us;
            out.extend(exporter.poll(polled, wall(polled)).into_iter().map(|d| (polled, d)));
        }
        let verdict = router.offer(p.at_us, &p);
        exporter.observe(p.at_us, &p.header, verdict.is_forwarded());
        last = p.at_us;
    }
    out.extend(exporter.flush(last, wall(last)).into_iter().map(|d| (last, d)));
    (out, exporter)
}

/// Decodes datagrams of one exporter; fails on anything malformed, held or missing.
pub fn decode(datagrams: &[(u64, Vec<u8>)]) -> Vec<FlowRecord> {
    let addr: IpAddr = "192.0.2.1".parse().unwrap();
    let mut decoder = suimon_wire::Decoder::new(suimon_wire::Limits::default());
    let mut records = Vec::new();
    for (at, d) in datagrams {
        let summary = decoder
            .datagram(addr, wall(*at), d, &mut |_, flow: &FlowRecord| records.push(*flow))
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((summary.malformed, summary.held), (0, 0), "{:?}", summary.first_error);
    }
    for (_, counters) in decoder.counters() {
        assert_eq!((counters.sequence_gaps, counters.sequence_late, counters.sequence_resets), (0, 0, 0));
    }
    records
}

/// A pcap file (raw IPv4) of UDP datagrams to `port`.
pub fn pcap_of(datagrams: &[(u64, Vec<u8>)], port: u16) -> Vec<u8> {
    let mut f = Vec::new();
    for v in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101] {
        f.extend_from_slice(&if v == 0x0002_0004 { [0, 2, 0, 4] } else { v.to_be_bytes() });
    }
    for (at, d) in datagrams {
        let us = wall(*at).as_micros();
        let len = d.len() + 28;
        for v in [(us / 1_000_000) as u32, (us % 1_000_000) as u32, len as u32, len as u32] {
            f.extend_from_slice(&v.to_be_bytes());
        }
        f.extend_from_slice(&[0x45, 0]);
        f.extend_from_slice(&(len as u16).to_be_bytes());
        f.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        for v in [40_000_u16, port, d.len() as u16 + 8, 0] {
            f.extend_from_slice(&v.to_be_bytes());
        }
        f.extend_from_slice(d);
    }
    f
}

/// The packets of a capture file with their times.
pub fn headers(file: &[u8]) -> Vec<(Timestamp, suimon_base::PacketHeader)> {
    suimon_wire::pcap::frames(file)
        .unwrap()
        .map(|f| f.unwrap())
        .filter_map(|f| Some((f.time, suimon_wire::packet::parse_frame(f.link, f.bytes, f.wire_len)?.0)))
        .collect()
}
