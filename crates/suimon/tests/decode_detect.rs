//! `suimon decode` and `suimon detect` on captures that nobody here made and on files of the model router's exporter;
//! tshark counts independently.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/run.rs"]
mod run;
#[path = "harness/schema.rs"]
mod schema;

use run::suimon;
use schema::Schema;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use suimon_base::{PacketHeader, Timestamp};
use suimon_lab::{Exporter, ExporterConfig, Protocol};
use suimon_testkit::{program_or_skip, shared_or_skip};

const CONFIG: &str = r#"version = 1

[node]
data = "data"

[[network]]
prefix = "10.10.10.0/24"

[network.thresholds]
baseline-ratio = 0.0
aggregate-ratio = 0.0

[network.thresholds.vectors]
syn = { pps = 1000 }
syn-ack = { pps = 1000 }
dns-reflection = { pps = 50 }
snmp-reflection = { pps = 1000 }
fragments = { pps = 50 }
"#;

const PROTOCOLS: [Protocol; 3] = [Protocol::Netflow9, Protocol::Ipfix, Protocol::Sflow];

/// A capture of an attack, its main vector, and a tshark filter that takes the same packets by other means.
const CAPTURES: [(&str, &str, &str); 4] = [
    ("pkt.TCP.synflood.spoofed.pcap", "syn", "tcp.flags.syn == 1 && tcp.flags.ack == 0"),
    ("amp.TCP.reflection.SYNACK.pcap", "syn-ack", "tcp.flags.syn == 1 && tcp.flags.ack == 1 && !icmp"),
    ("amp.UDP.snmp.src161.pcapng", "snmp-reflection", "udp.srcport == 161 && !icmp"),
    ("amp.dns.RRSIG.fragmented.pcap", "fragments", "ip.proto == 17 && ip.frag_offset > 0 && !icmp"),
];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn capture(test: &str, name: &str) -> Option<PathBuf> {
    shared_or_skip(test, &format!("captures/ddos/{name}"))
}

fn config(folder: &Path) -> PathBuf {
    let path = folder.join("suimon.toml");
    std::fs::write(&path, CONFIG).unwrap();
    path
}

fn detect(config: &Path, files: &[&Path]) -> Vec<Value> {
    let mut args = vec!["detect", "--json", "--config", text(config)];
    args.extend(files.iter().map(|f| text(f)));
    let attacks = suimon(args).lines(0);
    attacks.iter().for_each(|a| Schema::named("detect").check(a));
    attacks
}

fn of_vector<'a>(attack: &'a Value, vector: &str) -> Option<&'a Value> {
    attack["vectors"].as_array().unwrap().iter().find(|v| v["vector"] == vector)
}

fn headers(capture: &Path) -> Vec<(Timestamp, PacketHeader)> {
    let file = std::fs::read(capture).unwrap();
    let frames = suimon_wire::pcap::frames(&file).unwrap().map(Result::unwrap);
    frames.filter_map(|f| Some((f.time, suimon_wire::packet::parse_frame(f.link, f.bytes, f.wire_len)?.0))).collect()
}

/// The packets of a capture as the model router's exporter tells them; each datagram with its time.
fn exported(packets: &[(Timestamp, PacketHeader)], protocol: Protocol, sampling: u32) -> Vec<(Timestamp, Vec<u8>)> {
    let epoch = packets.first().unwrap().0;
    let mut exporter = Exporter::new(ExporterConfig { protocol, sampling, ..ExporterConfig::default() }, epoch);
    let (mut polled, mut out) = (0, Vec::new());
    for (time, header) in packets {
        let at = u64::try_from(time.as_micros() - epoch.as_micros()).unwrap_or(0);
        while at >= polled + 10_000 {
            polled += 10_000;
            let now = epoch.plus_ms(i64::try_from(polled / 1_000).unwrap());
            out.extend(exporter.poll(polled, now).into_iter().map(|d| (now, d)));
        }
        exporter.observe(at, header, true);
    }
    let end = epoch.plus_ms(i64::try_from(polled / 1_000).unwrap() + 10);
    out.extend(exporter.flush(polled + 10_000, end).into_iter().map(|d| (end, d)));
    assert_eq!(exporter.stats().told, exporter.stats().sampled);
    out
}

/// A pcap file of raw IPv4 packets from 192.0.2.1 to UDP port 2055.
fn pcap_of(datagrams: &[(Timestamp, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101] {
        file.extend(word.to_be_bytes());
    }
    for (at, payload) in datagrams {
        let len = u16::try_from(payload.len()).unwrap();
        let (us, whole) = (at.as_micros(), u32::from(len) + 28);
        for word in [u32::try_from(us / 1_000_000).unwrap(), u32::try_from(us % 1_000_000).unwrap(), whole, whole] {
            file.extend(word.to_be_bytes());
        }
        file.extend([0x45, 0]);
        file.extend((len + 28).to_be_bytes());
        file.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        for half in [40_000_u16, 2055, len + 8, 0] {
            file.extend(half.to_be_bytes());
        }
        file.extend(payload);
    }
    file
}

#[test]
fn captured_datagrams_decode_into_the_schema() {
    let test = "captured_datagrams_decode_into_the_schema";
    let Some(folder) = shared_or_skip(test, "captures/flow") else { return };
    let Some(telegraf) = shared_or_skip(test, "captures/telegraf") else { return };
    let schema = Schema::named("decode");
    let named = |folder: &Path, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        let all = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let mut all: Vec<String> = all.map(|p| text(&p).to_owned()).filter(|p| wanted(p)).collect();
        all.sort_by_key(|p| (!p.contains("tpl"), p.clone()));
        all
    };
    // Templates first, then the data of the same vendor; one command a vendor, as one exporter would send them.
    for (vendor, flows) in [
        ("netflow5.dat", 2),
        ("netflow5_test_juniper", 29),
        ("cisco_asr9k", 21),
        ("fortigate", 1),
        ("huawei", 1),
        ("iptnetflow", 12),
        ("paloalto", 8),
        ("softflowd", 7),
        ("edgerouter", 16),
        ("netflow9_test_valid", 7),
        ("mikrotik", 46),
        ("nokia_bras", 1),
        ("vmware_vds", 5),
        // Options data only.
        ("juniper_srx", 0),
        ("mx240", 0),
    ] {
        let files = named(&folder, &|p| p.contains(vendor));
        let lines = suimon(["decode", "--json"].into_iter().chain(files.iter().map(String::as_str))).lines(0);
        assert_eq!(lines.len(), flows, "{vendor}");
        if flows > 0 {
            schema.check_all(&lines);
        }
    }
    for case in std::fs::read_dir(telegraf).unwrap() {
        let files = named(&case.unwrap().path(), &|p| p.ends_with(".bin"));
        let lines = suimon(["decode", "--json"].into_iter().chain(files.iter().map(String::as_str))).lines(0);
        lines.iter().for_each(|l| schema.check(l));
    }
}

#[test]
fn exported_packets_come_back_from_captures_and_from_raw_files() {
    let test = "exported_packets_come_back_from_captures_and_from_raw_files";
    let Some(path) = capture(test, CAPTURES[1].0) else { return };
    let packets = headers(&path);
    let folder = tempfile::tempdir().unwrap();
    let schema = Schema::named("decode");
    for (protocol, sampling, source) in
        [(Protocol::Netflow9, 4, "options"), (Protocol::Ipfix, 4, "options"), (Protocol::Sflow, 4, "header")]
    {
        let datagrams = exported(&packets, protocol, sampling);
        let pcap = folder.path().join("export.pcap");
        std::fs::write(&pcap, pcap_of(&datagrams)).unwrap();
        let flows = suimon(["decode", text(&pcap)]).lines(0);
        flows.iter().for_each(|f| schema.check(f));
        let told: u64 = flows.iter().map(|f| f["packets"].as_u64().unwrap()).sum();
        assert_eq!(told, packets.len() as u64 / 4, "{protocol:?}: counters are as exported");
        for f in &flows {
            assert_eq!(f["sampling"], json!({ "rate": 4, "source": source }), "{protocol:?}");
            assert_eq!(f["exporter"], "192.0.2.1");
        }
        // The same datagrams, one file each: the same flows of an exporter that is not known.
        let mut args = vec!["decode".to_owned()];
        for (i, (_, d)) in datagrams.iter().enumerate() {
            let raw = folder.path().join(format!("{i:04}.bin"));
            std::fs::write(&raw, d).unwrap();
            args.push(text(&raw).to_owned());
        }
        let raw = suimon(&args).lines(0);
        assert_eq!(raw.len(), flows.len());
        for (raw, flow) in raw.iter().zip(&flows) {
            assert_eq!(raw["exporter"], "0.0.0.0");
            for field in ["src", "dst", "src_port", "dst_port", "proto", "bytes", "packets", "tcp_flags", "in_if"] {
                assert_eq!(raw[field], flow[field], "{protocol:?}: {field}");
            }
        }
    }
}

/// Packets that pass tshark's filter towards the victim, by when they arrived, microseconds.
fn counted_by_tshark(capture: &Path, filter: &str) -> Vec<i64> {
    let filter = format!("ip.dst == 10.10.10.10 && {filter}");
    let mut command = Command::new("tshark");
    command.args(["-n", "-r", text(capture), "-Y", &filter, "-T", "fields", "-e", "frame.time_epoch"]);
    // Fragments are not put together: each packet is looked at by itself, as a router does.
    let output = command.args(["-o", "ip.defragment:FALSE"]).output().unwrap();
    let line = |l: &str| (l.trim().parse::<f64>().unwrap() * 1e6) as i64;
    String::from_utf8(output.stdout).unwrap().lines().map(line).collect()
}

/// The largest number of packets in a second that begins at a multiple of 200 ms.
fn largest_second(times: &[i64]) -> u64 {
    let mut buckets: BTreeMap<i64, u64> = BTreeMap::new();
    for t in times {
        for back in 0..5 {
            *buckets.entry(t / 200_000 - back).or_default() += 1;
        }
    }
    buckets.into_values().max().unwrap_or(0)
}

fn within(value: u64, wanted: u64, share: f64) -> bool {
    (value as f64 - wanted as f64).abs() <= wanted as f64 * share
}

#[test]
fn each_captured_attack_is_found_with_its_peak() {
    let test = "each_captured_attack_is_found_with_its_peak";
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    for (name, vector, filter) in CAPTURES {
        let Some(path) = capture(test, name) else { return };
        let attacks = detect(&config, &[&path]);
        let hits: Vec<&Value> = attacks.iter().filter(|a| of_vector(a, vector).is_some()).collect();
        assert!(!hits.is_empty(), "{name}: {attacks:?}");
        for attack in &attacks {
            assert_eq!((&attack["target"], &attack["direction"]), (&json!("10.10.10.10/32"), &json!("in")), "{name}");
            assert!(attack["ended"].is_string(), "{name}: the recording is over, and the attack with it");
            let time = |k: &str| attack[k].as_str().unwrap().parse::<Timestamp>().unwrap();
            assert!(time("started") < time("detected") && time("detected") < time("ended"), "{name}: {attack}");
            assert!(time("detected").ms_since(time("started")) <= 1_200, "{name}: {attack}");
        }
        if !program_or_skip(test, "tshark") {
            continue;
        }
        let times = counted_by_tshark(&path, filter);
        let peak = hits.iter().map(|a| of_vector(a, vector).unwrap()["peak_pps"].as_u64().unwrap()).max().unwrap();
        let wanted = largest_second(&times);
        assert!(wanted > 0 && within(peak, wanted, 0.05), "{name}: {peak} packets a second, tshark counts {wanted}");
    }
}

#[test]
fn flows_tell_the_same_attack_as_packets() {
    let test = "flows_tell_the_same_attack_as_packets";
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let (name, vector, _) = CAPTURES[0];
    let Some(path) = capture(test, name) else { return };
    let peak = |attacks: &[Value]| {
        let of = |a: &Value| of_vector(a, vector).and_then(|v| v["peak_pps"].as_u64());
        attacks.iter().filter(|a| a["target"] == "10.10.10.10/32").filter_map(of).max()
    };
    let wanted = peak(&detect(&config, &[&path])).unwrap();
    let packets = headers(&path);
    for protocol in PROTOCOLS {
        for (sampling, share) in [(1, 0.10), (10, 0.15)] {
            let pcap = folder.path().join("export.pcap");
            std::fs::write(&pcap, pcap_of(&exported(&packets, protocol, sampling))).unwrap();
            let attacks = detect(&config, &[&pcap]);
            let found = peak(&attacks).unwrap_or_else(|| panic!("{protocol:?} 1:{sampling}: {attacks:?}"));
            assert!(within(found, wanted, share), "{protocol:?} 1:{sampling}: {found}, packets say {wanted}");
            let sampled = &attacks[0]["evidence"]["sampling"];
            assert_eq!((&sampled["rate"], &sampled["assumed"]), (&json!(sampling), &json!(false)), "{protocol:?}");
        }
    }
}

#[test]
fn sampling_of_a_plain_capture_multiplies() {
    let test = "sampling_of_a_plain_capture_multiplies";
    let Some(path) = capture(test, CAPTURES[0].0) else { return };
    let run = |n: &str| {
        let args = ["detect", "--json", "--network", "10.10.10.0/24", "--sampling", n, "--", text(&path)];
        suimon(args).lines(0).first().unwrap()["peak_pps"].as_u64().unwrap()
    };
    assert_eq!(run("10"), 10 * run("1"));
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let Some(path) = capture("nothing_is_found_where_nothing_is", CAPTURES[0].0) else { return };
    let run = suimon(["detect", "--json", "--network", "192.0.2.0/24", "--", text(&path)]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    let run = suimon(["detect", "--network", "192.0.2.0/24", "--", text(&path)]);
    assert_eq!((run.code, run.out.as_str()), (0, "no attack found\n"), "{}", run.err);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.pcap");
    let odd = folder.path().join("odd.bin");
    std::fs::write(&odd, b"neither a capture nor a datagram").unwrap();
    let cut = folder.path().join("cut.pcap");
    std::fs::write(&cut, [0xd4, 0xc3, 0xb2, 0xa1, 2, 0]).unwrap();
    for path in [&absent, &odd, &cut] {
        for args in [vec!["decode", text(path)], vec!["detect", "--network", "192.0.2.0/24", "--", text(path)]] {
            let run = suimon(&args);
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}: {}", run.err);
            assert!(run.err.contains(text(path)) && !run.err.contains("panicked"), "{args:?}: {}", run.err);
        }
    }
    for args in [vec!["detect", text(&odd)], vec!["detect", "--network", "10.10.10.0/33", "--", text(&odd)]] {
        let run = suimon(&args);
        assert_eq!(run.code, 2, "{args:?}: {}{}", run.out, run.err);
        assert!(run.err.contains("--network"), "{}", run.err);
    }
}
