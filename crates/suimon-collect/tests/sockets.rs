//! Datagrams over real sockets, IPv4 and IPv6, arrive once each whatever worker the kernel picks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use suimon_base::flow::{ExporterKey, FlowRecord, present};
use suimon_base::{ManualClock, PacketHeader, Timestamp};
use suimon_collect::{CollectConfig, Collector, Sink};
use suimon_lab::{Exporter, ExporterConfig, Protocol};

fn datagrams(protocol: Protocol, flows: u16) -> Vec<Vec<u8>> {
    let epoch = Timestamp::from_secs(1_800_000_000);
    let config = ExporterConfig { protocol, sampling: 1, ..ExporterConfig::default() };
    let mut exporter = Exporter::new(config, epoch);
    for i in 0..flows {
        let header = PacketHeader {
            src: "198.51.100.7".parse().unwrap(),
            dst: "192.0.2.9".parse().unwrap(),
            proto: 17,
            ports: Some((53, i)),
            tcp_flags: 0,
            icmp: 0,
            fragment: suimon_base::flow::Fragment::Whole,
            ip_len: 100,
            tos: 0,
            ttl: 60,
        };
        exporter.observe(u64::from(i), &header, true);
    }
    exporter.flush(u64::from(flows), epoch)
}

fn config(workers: usize) -> CollectConfig {
    CollectConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        workers,
        receive_buffer_octets: 8 << 20,
        exporters: Vec::new(),
    }
}

/// A sink and what came out of it.
fn sink() -> (Sink, Receiver<(ExporterKey, Vec<FlowRecord>)>) {
    let (out, batches) = channel();
    let sink = move |key: &ExporterKey, _, records: &[FlowRecord]| {
        let _ = out.send((*key, records.to_vec()));
    };
    (Arc::new(sink), batches)
}

/// The data of one exporter comes from another source port than its templates, so that the kernel gives it to another
/// worker; nothing may be lost or counted twice.
#[test]
fn templates_and_data_from_different_ports_meet() {
    const FLOWS: u16 = 500;
    let collector = Collector::bind(config(4)).unwrap();
    let addresses = collector.addresses();
    let (sink, batches) = sink();
    let running = collector.start(Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_001))), sink).unwrap();
    for addr in &addresses {
        for datagram in datagrams(Protocol::Netflow9, FLOWS) {
            // A new socket and so a new port for every datagram.
            let local = if addr.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            UdpSocket::bind(local).unwrap().send_to(&datagram, addr).unwrap();
        }
    }
    let mut ports = Vec::new();
    while let Ok((exporter, records)) = batches.recv_timeout(Duration::from_secs(3)) {
        for r in &records {
            assert!(r.has(present::PORTS));
            ports.push((exporter.addr, r.dst_port));
        }
        if ports.len() >= addresses.len() * usize::from(FLOWS) {
            break;
        }
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), addresses.len() * usize::from(FLOWS));
    let stats = running.stats();
    assert_eq!(stats.handover_lost.load(Ordering::Relaxed), 0);
    assert!(stats.handed_over.load(Ordering::Relaxed) > 0, "the test is about more than one worker");
    running.stop();
}

#[test]
fn garbage_is_counted_and_harms_nothing() {
    let collector = Collector::bind(config(1)).unwrap();
    let addr = collector.addresses()[0];
    let (sink, batches) = sink();
    let running = collector.start(Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_001))), sink).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for bytes in [&b""[..], b"x", b"\x00\x63\x00\x01", &[0xff; 1400]] {
        socket.send_to(bytes, addr).unwrap();
    }
    for datagram in datagrams(Protocol::Sflow, 10) {
        socket.send_to(&datagram, addr).unwrap();
    }
    let mut flows = 0;
    while flows < 10 {
        flows += batches.recv_timeout(Duration::from_secs(3)).unwrap().1.len();
    }
    assert_eq!(running.stats().unreadable.load(Ordering::Relaxed), 4);
    running.stop();
}
