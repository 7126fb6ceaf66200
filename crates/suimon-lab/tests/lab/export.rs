//! What the exporter writes is read back by our own decoder and by tshark and nfdump.

use super::common::{EPOCH, decode, export, pcap_of, shown, wall};
use std::process::Command;
use suimon_base::flow::Fragment;
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, Match, Rule, RuleSet};
use suimon_lab::export::{FlowCache, MAX_DATAGRAM_OCTETS};
use suimon_lab::{ExporterConfig, Packet, Protocol, Scenario, Selection};
use suimon_testkit::program_or_skip;

/// Three seconds around the start of an attack, so that fragments, TCP, ICMP and both families occur.
fn packets() -> Vec<Packet> {
    let window = |name: &str| {
        let s = Scenario::by_name(name).unwrap();
        let packets = s.packets(3);
        packets.filter(|p| p.at_us >= 3_000_000).take_while(|p| p.at_us < 4_700_000).collect::<Vec<_>>()
    };
    let mut all = window("web-shop");
    all.extend(window("ipv6-reflection"));
    all.sort_by_key(|p| p.at_us);
    all
}

fn fragments_dropped() -> RuleSet {
    let matches = Match { proto: Some(17), fragment: Some(FragmentMatch::Later), ..Match::default() };
    RuleSet { rules: vec![Rule { matches, action: Action::Discard }] }
}

fn config(protocol: Protocol) -> ExporterConfig {
    ExporterConfig { protocol, ..ExporterConfig::default() }
}

#[test]
fn flows_are_read_back_equal() {
    for protocol in [Protocol::Netflow9, Protocol::Ipfix] {
        let (datagrams, exporter) = export(packets().into_iter(), Some(fragments_dropped()), config(protocol));
        assert!(datagrams.iter().all(|d| d.1.len() <= MAX_DATAGRAM_OCTETS));
        let mut read: Vec<String> = decode(&datagrams).iter().map(shown).collect();

        // The same cache by hand, asked at the same times.
        let mut cache = FlowCache::new(300, 150, usize::MAX);
        let mut wanted = Vec::new();
        let mut polled = 0;
        for p in packets() {
            if p.at_us >= polled + 10_000 {
                polled = p.at_us;
                wanted.extend(cache.expired(polled));
            }
            let forwarded = p.header.fragment != Fragment::Later;
            cache.add(p.at_us, &p.header, exporter.uplink_of(p.header.src), forwarded);
        }
        wanted.extend(cache.drain());
        let mut wanted: Vec<String> = wanted.iter().map(|f| shown(&f.record(EPOCH, 1, 100))).collect();
        read.sort();
        wanted.sort();
        assert_eq!(read.len(), wanted.len());
        assert!(read.len() > 10_000, "{} flows: too few to mean anything", read.len());
        for (r, w) in read.iter().zip(&wanted) {
            assert_eq!(r, w, "{protocol:?}");
        }
    }
}

#[test]
fn samples_are_read_back_equal() {
    let (datagrams, exporter) = export(packets().into_iter(), Some(fragments_dropped()), config(Protocol::Sflow));
    assert!(datagrams.iter().all(|d| d.1.len() <= MAX_DATAGRAM_OCTETS));
    let read = decode(&datagrams);
    let packets = packets();
    assert_eq!(read.len(), packets.len());
    for (r, p) in read.iter().zip(&packets) {
        let h = &p.header;
        let (sport, dport) = h.ports.unwrap_or_default();
        let wanted_drop = h.fragment == Fragment::Later;
        assert_eq!((r.src, r.dst, r.proto, r.src_port, r.dst_port), (h.src, h.dst, h.proto, sport, dport));
        assert_eq!((r.tcp_flags, r.icmp, r.fragment), (h.tcp_flags, h.icmp, h.fragment));
        assert_eq!((r.packets, r.bytes, r.sampling.rate), (1, u64::from(h.ip_len), 1));
        assert_eq!(r.in_if, exporter.uplink_of(h.src));
        assert_eq!(r.forwarding == suimon_base::flow::Forwarding::Dropped, wanted_drop);
    }
}

/// The announced rate times what was exported comes near what passed by: within five standard errors.
#[test]
fn sampled_flows_add_up() {
    let packets = packets();
    for protocol in [Protocol::Netflow9, Protocol::Ipfix, Protocol::Sflow] {
        for selection in [Selection::Count, Selection::Random(5)] {
            for sampling in [10, 100, 1_000] {
                let config = ExporterConfig { sampling, selection, ..config(protocol) };
                let (datagrams, exporter) = export(packets.clone().into_iter(), None, config);
                let records = decode(&datagrams);
                assert!(records.iter().all(|r| r.sampling.rate == sampling), "{protocol:?} announces its rate");
                let sampled: u64 = records.iter().map(|r| r.packets).sum();
                assert_eq!(sampled, exporter.stats().told);
                assert_eq!(sampled, exporter.stats().sampled);
                let estimate = sampled * u64::from(sampling);
                let offered = packets.len() as u64;
                assert!(estimate.abs_diff(offered) <= u64::from(sampling), "one packet in every whole block of N");
                // Octets are a real estimate: their error is that of a sample.
                let octets: u64 = records.iter().map(suimon_base::FlowRecord::bytes_estimated).sum();
                let truth: u64 = packets.iter().map(|p| u64::from(p.header.ip_len)).sum();
                let error = octets as f64 / truth as f64 - 1.0;
                assert!(error.abs() < 5.0 / (sampled as f64).sqrt(), "{protocol:?} 1 in {sampling}: {error}");
            }
        }
    }
}

/// A capture of N×k packets that loops is not sampled at the same packets in each turn.
#[test]
fn random_selection_does_not_beat_with_a_loop() {
    let one: Vec<Packet> = packets().into_iter().take(1_000).collect();
    let mut seen = std::collections::HashSet::new();
    let config = ExporterConfig { sampling: 100, ..config(Protocol::Sflow) };
    let turns = (0..50_u64).flat_map(|t| one.iter().map(move |p| Packet { at_us: t * 1_000_000, ..*p }));
    let (datagrams, _) = export(turns, None, config);
    for r in decode(&datagrams) {
        seen.insert((r.src, r.src_port, r.dst_port, r.bytes));
    }
    assert!(seen.len() > 200, "{} distinct packets of 1,000 in 500 samples", seen.len());
}

#[test]
fn delay_is_the_timeouts_and_the_polling() {
    for (protocol, least, most) in
        [(Protocol::Netflow9, 150_000, 320_000), (Protocol::Ipfix, 150_000, 320_000), (Protocol::Sflow, 0, 115_000)]
    {
        let (_, exporter) = export(packets().into_iter(), None, config(protocol));
        let stats = exporter.stats();
        assert!(stats.delay_max_us <= most, "{protocol:?} max {}", stats.delay_max_us);
        assert!(stats.delay_avg_us() <= stats.delay_max_us);
        assert!(stats.delay_max_us >= least, "{protocol:?} max {}", stats.delay_max_us);
        assert_eq!(stats.told, stats.packets);
    }
}

#[test]
fn templates_come_first_and_every_second() {
    for protocol in [Protocol::Netflow9, Protocol::Ipfix] {
        let mut exporter = suimon_lab::Exporter::new(config(protocol), EPOCH);
        let mut told = Vec::new();
        for ms in (0..5_000_u64).step_by(10) {
            told.extend(exporter.poll(ms * 1_000, wall(ms * 1_000)).iter().map(|_| ms));
        }
        assert_eq!(told, [0, 1_000, 2_000, 3_000, 4_000], "{protocol:?}");
    }
}

#[test]
fn a_full_cache_ends_flows_early_and_loses_none() {
    let config = ExporterConfig { max_flows: 100, ..config(Protocol::Ipfix) };
    let (datagrams, exporter) = export(packets().into_iter(), None, config);
    assert!(exporter.stats().cache_full > 1_000);
    let told: u64 = decode(&datagrams).iter().map(|r| r.packets).sum();
    assert_eq!(told, exporter.stats().packets);
}

fn write(name: &str, datagrams: &[(u64, Vec<u8>)], port: u16) -> std::path::PathBuf {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = dir.join(name);
    std::fs::write(&path, pcap_of(datagrams, port)).unwrap();
    path
}

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// tshark finds nothing wrong and counts the same packets and octets.
#[test]
fn tshark_reads_the_same() {
    if !program_or_skip("tshark_reads_the_same", "tshark") {
        return;
    }
    for (protocol, name) in [(Protocol::Netflow9, "v9.pcap"), (Protocol::Ipfix, "ipfix.pcap")] {
        let config = ExporterConfig { sampling: 4, ..config(protocol) };
        let (datagrams, exporter) = export(packets().into_iter(), Some(fragments_dropped()), config);
        let path = write(name, &datagrams, 2055);
        let path = path.to_str().unwrap();
        let common = ["-nr", path, "-d", "udp.port==2055,cflow"];
        let bad = "_ws.malformed || _ws.expert.severity >= 0x600000 || cflow.no_template_found";
        assert_eq!(run("tshark", &[&common[..], &["-Y", bad]].concat()), "", "{protocol:?}");
        let fields = run("tshark", &[&common[..], &["-T", "fields", "-e", "cflow.packets"]].concat());
        let counts: Vec<u64> =
            fields.split(['\n', ',']).filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect();
        let records = decode(&datagrams);
        assert_eq!(counts.len(), records.len());
        assert_eq!(counts.iter().sum::<u64>(), exporter.stats().told);
        let statuses = run("tshark", &[&common[..], &["-T", "fields", "-e", "cflow.forwarding_status"]].concat());
        let dropped = statuses.split(['\n', ',']).filter(|s| *s == "2").count();
        let wanted = records.iter().filter(|r| r.forwarding == suimon_base::flow::Forwarding::Dropped).count();
        assert_eq!(dropped, wanted, "{protocol:?}");
    }
    let config = ExporterConfig { sampling: 4, ..config(Protocol::Sflow) };
    let (datagrams, exporter) = export(packets().into_iter(), Some(fragments_dropped()), config);
    let path = write("sflow.pcap", &datagrams, 6343);
    let path = path.to_str().unwrap();
    assert_eq!(run("tshark", &["-nr", path, "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000"]), "");
    let fields = run("tshark", &["-nr", path, "-T", "fields", "-e", "sflow_245.header.frame_length"]);
    let octets: u64 = fields.split(['\n', ',']).filter(|s| !s.is_empty()).map(|s| s.parse::<u64>().unwrap() - 18).sum();
    let wanted: u64 = decode(&datagrams).iter().map(|r| r.bytes).sum();
    assert_eq!(octets, wanted);
    assert_eq!(fields.split(['\n', ',']).filter(|s| !s.is_empty()).count() as u64, exporter.stats().told);
}

/// nfcapd hears the datagrams over loopback and nfdump counts the same.
#[test]
fn nfdump_counts_the_same() {
    if !program_or_skip("nfdump_counts_the_same", "nfcapd") || !program_or_skip("nfdump_counts_the_same", "nfdump") {
        return;
    }
    for (protocol, name) in [(Protocol::Netflow9, "nf-v9"), (Protocol::Ipfix, "nf-ipfix")] {
        let (datagrams, _) = export(packets().into_iter(), Some(fragments_dropped()), config(protocol));
        // A part is enough, and fits the receive buffer whatever nfcapd is doing.
        let datagrams: Vec<_> = datagrams.into_iter().take(100).collect();
        let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let port = suimon_testkit::free_udp_port().to_string();
        let dir = dir.to_str().unwrap();
        let mut command = Command::new("nfcapd");
        command.args(["-4", "-b", "127.0.0.1", "-p", &port, "-w", dir, "-t", "3600"]);
        let mut nfcapd = suimon_testkit::start_quietly(&mut command).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(700));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for (_, d) in &datagrams {
            socket.send_to(d, format!("127.0.0.1:{port}")).unwrap();
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        // It writes its file when it is asked to end.
        run("kill", &["-INT", &nfcapd.0.id().to_string()]);
        for _ in 0..50 {
            if nfcapd.0.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let csv = run("nfdump", &["-q", "-R", dir, "-o", "fmt:%pkt,%byt,%fwd"]);
        let parse = |s: &str| s.trim().parse::<u64>().ok();
        let lines: Vec<Vec<&str>> = csv.lines().map(|l| l.split(',').collect()).collect();
        let sum = |i: usize| lines.iter().filter_map(|l| l.get(i).copied().and_then(parse)).sum::<u64>();
        let records = decode(&datagrams);
        assert_eq!(lines.len(), records.len(), "{protocol:?}");
        assert_eq!(sum(0), records.iter().map(|r| r.packets).sum::<u64>());
        assert_eq!(sum(1), records.iter().map(|r| r.bytes).sum::<u64>());
    }
}
