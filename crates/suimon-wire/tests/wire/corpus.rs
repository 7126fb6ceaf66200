//! The inputs that fuzzing found, replayed; and the seeds it starts from.

use crate::common::exporter;
use crate::encode::{
    IPFIX_FIELDS, V6_FIELDS, V9_FIELDS, VARLEN_FIELDS, data, flows, frame, message, set, sflow, template, v5,
};
use crate::files::{pcap, pcapng};
use std::path::PathBuf;
use suimon_base::Timestamp;
use suimon_wire::packet::{LinkType, parse_frame};
use suimon_wire::{Decoder, Limits, input};

fn folder(target: &str) -> PathBuf {
    suimon_testkit::workspace_root().join("fuzz/corpus").join(target)
}

/// Datagrams as the `netflow` target takes them: each behind two octets of length.
fn sequence(datagrams: &[Vec<u8>]) -> Vec<u8> {
    datagrams.iter().flat_map(|d| [&(d.len() as u16).to_be_bytes(), &d[..]].concat()).collect()
}

fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, version, fields, v6) in [
        ("v9", 9, V9_FIELDS, false),
        ("ipfix", 10, IPFIX_FIELDS, false),
        ("varlen", 10, VARLEN_FIELDS, false),
        ("v6", 9, V6_FIELDS, true),
    ] {
        let t = template(version, 256, fields);
        let d = data(256, fields, &flows(1, 2, v6));
        let one = message(version, 3, 1, 7, &[t.clone(), d.clone()]);
        let two = [message(version, 1, 1, 7, &[t]), message(version, 2, 2, 7, &[d])];
        seeds.push(("netflow", format!("seed-{name}-one"), sequence(&[one])));
        seeds.push(("netflow", format!("seed-{name}-two"), sequence(&two)));
    }
    seeds.push(("netflow", "seed-v5".into(), sequence(&[v5(1, 0x4064, &flows(2, 2, false))])));
    // Template 256: scope system (4 octets), sampler id, interval.
    let options = [1, 0, 0, 4, 0, 8, 0, 1, 0, 4, 0, 48, 0, 4, 0, 34, 0, 4];
    let values = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 3, 232];
    seeds.push((
        "netflow",
        "seed-options".into(),
        sequence(&[message(9, 2, 1, 7, &[set(1, &options), set(256, &values)])]),
    ));
    for expanded in [false, true] {
        seeds.push(("sflow", format!("seed-{expanded}"), sflow(1, 1_000, expanded, &flows(3, 2, expanded))));
    }
    let frames: Vec<Vec<u8>> = [flows(4, 2, false), flows(5, 1, true)].concat().iter().map(frame).collect();
    seeds.push(("pcap", "seed-pcap".into(), pcap(&frames)));
    seeds.push(("pcap", "seed-pcapng".into(), pcapng(&frames)));
    seeds.push(("pcap", "seed-frame".into(), frames[0].clone()));
    seeds
}

/// `UPDATE=1` writes the seeds.
#[test]
fn seeds_are_good_datagrams() {
    for (target, name, bytes) in seeds() {
        if std::env::var_os("UPDATE").is_some_and(|v| v == "1") {
            std::fs::create_dir_all(folder(target)).unwrap();
            std::fs::write(folder(target).join(&name), &bytes).unwrap();
        }
        let mut rest = match target {
            "netflow" => bytes,
            "sflow" => sequence(&[bytes]),
            _ => continue,
        };
        let mut decoder = Decoder::new(Limits::default());
        while !rest.is_empty() {
            let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let summary = decoder.datagram(exporter(), Timestamp::ZERO, &rest[2..2 + len], &mut |_, _| {}).unwrap();
            assert_eq!((summary.malformed, summary.held), (0, 0), "{name}: {summary:?}");
            rest.drain(..2 + len);
        }
    }
}

#[test]
fn the_corpus_decodes() {
    let mut replayed = 0;
    for target in ["netflow", "sflow", "pcap"] {
        for entry in std::fs::read_dir(folder(target)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            replayed += 1;
            let limits = Limits { held_bytes: 8 << 10, template_bytes: 64 << 10, exporters: 4, ..Limits::default() };
            let mut decoder = Decoder::new(limits);
            let mut rest = &bytes[..];
            while target == "netflow" && rest.len() >= 2 {
                let len = usize::from(u16::from_be_bytes([rest[0], rest[1]])).min(rest.len() - 2);
                decoder.learn(exporter(), &rest[2..2 + len]);
                let _ = decoder.datagram(exporter(), Timestamp::ZERO, &rest[2..2 + len], &mut |_, _| {});
                rest = &rest[2 + len..];
            }
            let _ = decoder.datagram(exporter(), Timestamp::ZERO, &bytes, &mut |_, _| {});
            assert!(decoder.usage().held_bytes <= 8 << 10 && decoder.usage().template_bytes <= 64 << 10);
            for link in [0, 1, 101, 113, 276].map(LinkType::from) {
                let _ = parse_frame(link, &bytes, bytes.len() as u32);
            }
            if let Ok(datagrams) = input::flow_datagrams(&bytes) {
                datagrams.for_each(drop);
            }
        }
    }
    assert!(replayed > 20, "the corpus is there");
}
