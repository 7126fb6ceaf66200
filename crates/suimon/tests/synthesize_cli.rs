//! `suimon filter synthesize` on a real capture, as people and scripts call it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/run.rs"]
mod run;
#[path = "harness/schema.rs"]
mod schema;

use run::suimon;
use schema::Schema;
use std::path::{Path, PathBuf};
use suimon_lab::{Label, Labels};
use suimon_testkit::shared_or_skip;
use suimon_wire::packet::parse_frame;
use suimon_wire::pcap;

const CAPTURE: &str = "captures/ddos/amp.dns.RRSIG.fragmented.pcap";

/// A capture of the packets that are no attack, as the host's traffic from before.
fn bystanders(capture: &Path, folder: &Path) -> PathBuf {
    let file = std::fs::read(capture).unwrap();
    let labels = Labels::of_known_capture(&file).unwrap().unwrap();
    // The classic format, microseconds, little endian; link types above 65,535 do not occur.
    let mut out: Vec<u8> = Vec::new();
    let words = |list: &[u32], out: &mut Vec<u8>| list.iter().for_each(|w| out.extend(w.to_le_bytes()));
    words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1], &mut out);
    for frame in pcap::frames(&file).unwrap() {
        let f = frame.unwrap();
        let Some((header, _)) = parse_frame(f.link, f.bytes, f.wire_len) else { continue };
        if labels.judge(&header).0 == Label::Legitimate {
            let us = f.time.as_micros();
            let times = [(us / 1_000_000) as u32, (us % 1_000_000) as u32];
            words(&[times[0], times[1], f.bytes.len() as u32, f.wire_len], &mut out);
            out.extend(f.bytes);
        }
    }
    let path = folder.join("before.pcap");
    std::fs::write(&path, out).unwrap();
    path
}

#[test]
fn a_capture_becomes_two_rules() {
    let Some(capture) = shared_or_skip("a_capture_becomes_two_rules", CAPTURE) else { return };
    let folder = tempfile::tempdir().unwrap();
    let before = bystanders(&capture, folder.path());
    let (attack, baseline) = (capture.to_str().unwrap(), before.to_str().unwrap());
    let args = ["filter", "synthesize", "--attack", attack, "--baseline", baseline, "--dialect"];
    for dialect in ["cisco-ios", "nftables", "flowspec"] {
        let mut line: Vec<&str> = args.to_vec();
        line.extend([dialect, "--json"]);
        let lines = suimon(line).lines(0);
        Schema::named("filter-synthesize").check_all(&lines);
        let a = &lines[0];
        assert_eq!((a["reached"].as_bool(), a["rules"].as_array().unwrap().len()), (Some(true), 2), "{a}");
        assert_eq!(a["traffic"]["attack_packets"], 1_249);
        assert!(a["shares"]["attack"].as_f64().unwrap() >= 0.99 && a["shares"]["legit"].as_f64().unwrap() <= 0.01);
    }
    // Without fields that separate, the curve and the reason, and exit code 1.
    let rtbh = suimon(args.iter().copied().chain(["rtbh", "--json"]));
    if rtbh.code != 2 {
        let lines = rtbh.lines(1);
        Schema::named("filter-synthesize").check_all(&lines);
        assert_eq!(lines[0]["reached"], false);
        assert!(lines[0]["missing"]["words"].as_str().unwrap().contains("more"), "{}", lines[0]["missing"]);
    }
    let told = suimon(args.iter().copied().chain(["cisco-ios"]));
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.out.starts_with("In the 30 seconds of the attack's flows this would have dropped"), "{}", told.out);
    assert!(told.out.contains("destination port: without it the rule would take"), "{}", told.out);
    assert!(told.out.contains("deny udp any eq 53 host 10.10.10.10 eq 22"), "{}", told.out);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let Some(capture) = shared_or_skip("what_cannot_be_compared_is_refused", CAPTURE) else { return };
    let path = capture.to_str().unwrap();
    let call = |more: &[&str]| {
        let line = ["filter", "synthesize", "--attack", path, "--baseline", path, "--dialect", "nftables"];
        suimon(line.iter().chain(more).copied())
    };
    let same = call(&[]);
    assert_eq!(same.code, 2, "{}", same.out);
    assert!(same.err.contains("nothing in the attack goes beyond the baseline"), "{}", same.err);
    assert_eq!(call(&["--max-rules", "0"]).code, 2);
    assert_eq!(call(&["--min-attack", "101%"]).code, 2);
    assert_eq!(call(&["--max-legit", "x"]).code, 2);
}
