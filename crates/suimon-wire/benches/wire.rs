//! Flows decoded per second on one core, beside other decoders in the same run: `cargo bench -p suimon-wire --bench wire`.
//!
//! Suimon's figure includes handing each flow to a sink that adds up its counters; the others only parse. All decode
//! the same datagrams round and round; the best of several rounds counts, since other load only ever slows a round down.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first thing that is wrong")]

#[path = "../tests/wire/encode.rs"]
mod encode;

use encode::{IPFIX_FIELDS, Spec, V6_FIELDS, V9_FIELDS, VARLEN_FIELDS, data, flows, message, sflow, template, v5};
use netgauze_flow_pkt::{ipfix::IpfixPacket, netflow::NetFlowV9Packet};
use netgauze_parse_utils::{reader::SliceReader, traits::ParseFromWithOneInput};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use suimon_base::Timestamp;
use suimon_wire::{Decoder, Limits};

/// Datagrams that are decoded in turn, so that values vary.
const DATAGRAMS: usize = 64;
/// One round.
const ROUND: Duration = Duration::from_millis(250);
/// Rounds, of which the best counts.
const ROUNDS: usize = 5;

/// The best rate in flows a second of `step`, which decodes one datagram and returns its number of flows.
fn rate(datagrams: &[Vec<u8>], mut step: impl FnMut(&[u8]) -> usize) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < ROUND {
            for datagram in datagrams {
                count += step(black_box(datagram));
            }
        }
        best = best.max(count as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn suimon(learn: Option<&[u8]>, datagrams: &[Vec<u8>]) -> f64 {
    let mut decoder = Decoder::new(Limits::default());
    let exporter = "192.0.2.1".parse().unwrap();
    let now = Timestamp::from_secs(encode::SECS as i64);
    if let Some(learn) = learn {
        decoder.datagram(exporter, now, learn, &mut |_, _| {}).unwrap();
    }
    let mut sum = 0u64;
    rate(datagrams, |bytes| {
        let summary = decoder
            .datagram(exporter, now, bytes, &mut |_, flow| {
                sum = sum.wrapping_add(flow.bytes ^ flow.packets ^ u64::from(flow.dst_port));
            })
            .unwrap();
        black_box(sum);
        summary.flows as usize
    })
}

fn netflow_parser(learn: Option<&[u8]>, datagrams: &[Vec<u8>], per_datagram: usize) -> f64 {
    let mut parser = netflow_parser::AutoScopedParser::default();
    let source = "192.0.2.1:2055".parse().unwrap();
    if let Some(learn) = learn {
        assert!(parser.parse_from_source(source, learn).is_ok());
    }
    rate(datagrams, |bytes| {
        let result = parser.parse_from_source(source, bytes);
        assert!(result.is_ok() && result.packets.len() == 1);
        let _ = black_box(result);
        per_datagram
    })
}

fn netgauze_v9(learn: &[u8], datagrams: &[Vec<u8>], per_datagram: usize) -> f64 {
    let mut templates = HashMap::new();
    NetFlowV9Packet::parse(&mut SliceReader::new(learn), &mut templates).unwrap();
    rate(datagrams, |bytes| {
        black_box(NetFlowV9Packet::parse(&mut SliceReader::new(bytes), &mut templates).unwrap());
        per_datagram
    })
}

fn netgauze_ipfix(learn: &[u8], datagrams: &[Vec<u8>], per_datagram: usize) -> f64 {
    let mut templates = HashMap::new();
    IpfixPacket::parse(&mut SliceReader::new(learn), &mut templates).unwrap();
    rate(datagrams, |bytes| {
        black_box(IpfixPacket::parse(&mut SliceReader::new(bytes), &mut templates).unwrap());
        per_datagram
    })
}

fn report(name: &str, ours: f64, goal: f64, peers: &[(&str, f64)]) {
    let best = peers.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let ratio = ours / best;
    let verdict = if ratio >= goal { "ok" } else { "BELOW" };
    println!("{name:<14} suimon {:>6.1} M flows/s", ours / 1e6);
    for (peer, rate) in peers {
        println!("{:<14} {peer:<18} {:>6.1} M flows/s   suimon is {:>5.1} times as fast", "", rate / 1e6, ours / rate);
    }
    println!("{:<14} against the best: {ratio:.1} (goal {goal}): {verdict}", "");
}

fn templated(only: &str, name: &str, version: u16, fields: &[Spec], per_datagram: usize, v6: bool) {
    if !name.contains(only) {
        return;
    }
    let learn = message(version, 1, 0, 1, &[template(version, 256, fields)]);
    let datagrams: Vec<Vec<u8>> = (0..DATAGRAMS)
        .map(|i| {
            message(version, per_datagram, i as u32, 1, &[data(256, fields, &flows(i as u64 + 1, per_datagram, v6))])
        })
        .collect();
    let gauze = if version == 9 { netgauze_v9 } else { netgauze_ipfix };
    let peers = [
        ("netgauze-flow-pkt", gauze(&learn, &datagrams, per_datagram)),
        ("netflow_parser", netflow_parser(Some(&learn), &datagrams, per_datagram)),
    ];
    report(name, suimon(Some(&learn), &datagrams), 5.0, &peers);
}

fn main() {
    // `-- sFlow` runs only what has that in its name.
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let per_datagram = 30;
    let datagrams: Vec<Vec<u8>> =
        (0..DATAGRAMS).map(|i| v5(i as u32, 0x4064, &flows(i as u64 + 1, per_datagram, false))).collect();
    let peers = [("netflow_parser", netflow_parser(None, &datagrams, per_datagram))];
    if "NetFlow v5".contains(&only) {
        report("NetFlow v5", suimon(None, &datagrams), 1.0, &peers);
    }

    templated(&only, "NetFlow v9", 9, V9_FIELDS, 30, false);
    templated(&only, "IPFIX", 10, IPFIX_FIELDS, 19, false);
    templated(&only, "IPFIX varlen", 10, VARLEN_FIELDS, 16, false);
    templated(&only, "IPFIX IPv6", 10, V6_FIELDS, 22, true);

    let per_datagram = 7;
    for expanded in [false, true].into_iter().filter(|_| "sFlow".contains(&only)) {
        let datagrams: Vec<Vec<u8>> = (0..DATAGRAMS)
            .map(|i| sflow(i as u32, 1_000, expanded, &flows(i as u64 + 1, per_datagram, i % 4 == 0)))
            .collect();
        let parser = flowparser_sflow::SflowParser::default();
        let peer = rate(&datagrams, |bytes| {
            let result = parser.parse_bytes(bytes);
            assert!(result.error.is_none());
            black_box(result);
            per_datagram
        });
        let name = if expanded { "sFlow expanded" } else { "sFlow" };
        report(name, suimon(None, &datagrams), 3.0, &[("flowparser-sflow", peer)]);
    }
}
