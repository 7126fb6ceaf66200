//! `suimon filter compile` and `filter check`, as people and scripts call them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/run.rs"]
mod run;
#[path = "harness/schema.rs"]
mod schema;

use run::{Run, suimon};
use schema::Schema;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The request as a customer mailed it.
const MAILED: &str = "宛先アドレス
192.0.0.0~192.0.224.255
198.51.229.0~198.51.250.255
203.0.254.0~203.0.255.255

ポート/プロトコル
53/UDP
80/TCP,UDP

を遮断してください
";

const DIALECTS: [&str; 3] = ["cisco-ios", "nftables", "flowspec"];

struct Bench(TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn compile(&self, request: &str, dialect: &str, more: &[&str]) -> Run {
        let request = self.file("request", request);
        let mut args = vec!["filter", "compile", "--request", text(&request), "--dialect", dialect];
        args.extend(more);
        suimon(args)
    }

    fn check(&self, acl: &str, dialect: &str, more: &[&str]) -> Run {
        let (request, acl) = (self.file("request", MAILED), self.file("acl", acl));
        let mut args = vec!["filter", "check", "--request", text(&request), "--acl", text(&acl), "--dialect", dialect];
        args.extend(more);
        suimon(args)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_mailed_request_is_33_denies_and_a_permit() {
    let run = Bench::new().compile(MAILED, "cisco-ios", &[]);
    assert_eq!(run.code, 0, "{}", run.err);
    let rule = |l: &&str, word: &str| l.split_whitespace().nth(1) == Some(word);
    let denies: Vec<&str> = run.out.lines().filter(|l| rule(l, "deny")).collect();
    let permits: Vec<&str> = run.out.lines().filter(|l| rule(l, "permit")).collect();
    assert_eq!((denies.len(), permits.len()), (33, 1), "{}", run.out);
    assert_eq!(run.out.lines().last().unwrap().trim(), "340 permit ip any any");
    // 11 blocks, each for UDP 53, TCP 80 and UDP 80, counted here from the mail by hand.
    for block in ["192.0.0.0 0.0.127.255", "192.0.224.0 0.0.0.255", "198.51.229.0 0.0.0.255", "203.0.254.0 0.0.1.255"] {
        for (proto, port) in [("udp", 53), ("tcp", 80), ("udp", 80)] {
            let wanted = format!("deny {proto} any {block} eq {port}");
            assert_eq!(denies.iter().filter(|l| l.ends_with(&wanted)).count(), 1, "{wanted}");
        }
    }
    // What the customer must be asked stands beside the text, in both languages, and never in it.
    assert!(run.err.contains("question: Are the ports destination ports, or source ports?"), "{}", run.err);
    assert!(run.err.contains("ポートは宛先ポートですか"), "{}", run.err);
    assert!(!run.out.contains("question") && run.out.is_ascii(), "{}", run.out);
}

#[test]
fn every_dialect_proves_its_text() {
    let bench = Bench::new();
    for dialect in DIALECTS {
        let lines = bench.compile(MAILED, dialect, &["--json"]).lines(0);
        let [compiled] = &lines[..] else { panic!("{} objects", lines.len()) };
        Schema::named("filter-compile").check(compiled);
        assert_eq!(compiled["dialect"], dialect);
        let proof = &compiled["proof"];
        assert_eq!(proof["equal"], true, "{dialect}");
        for space in ["requested", "covered"] {
            // 57,600 + 5,632 + 512 addresses; three times as many (address, protocol, port).
            assert_eq!(proof[space]["addresses"], "63744", "{dialect}");
            assert_eq!(proof[space]["address_ports"], "191232", "{dialect}");
        }
        for space in ["missing", "extra"] {
            assert_eq!(proof[space]["addresses"], "0", "{dialect}");
        }
        let ids: Vec<&str> =
            compiled["questions"].as_array().unwrap().iter().filter_map(|q| q["id"].as_str()).collect();
        for id in ["port-side", "fragments", "special-purpose", "end-time"] {
            assert!(ids.contains(&id), "{dialect}: {ids:?}");
        }
        let undo = compiled["undo"].as_str().unwrap();
        assert!(!undo.is_empty());
        // The text on standard output without --json is the same, and passes the check.
        let plain = bench.compile(MAILED, dialect, &[]);
        assert_eq!(compiled["text"].as_str(), Some(plain.out.as_str()));
        let checked = bench.check(&plain.out, dialect, &[]);
        assert_eq!(checked.code, 0, "{dialect}: {}{}", checked.out, checked.err);
        assert!(checked.out.starts_with("equal: 63744 addresses"), "{}", checked.out);
        let lines = bench.check(&plain.out, dialect, &["--json"]).lines(0);
        Schema::named("filter-check").check_all(&lines);
        assert_eq!(lines[0]["equal"], true);
    }
}

#[test]
fn a_missing_line_is_named() {
    let bench = Bench::new();
    let whole = bench.compile(MAILED, "cisco-ios", &[]).out;
    let missing = "deny tcp any 192.0.0.0 0.0.127.255 eq 80";
    let without: String = whole.lines().filter(|l| !l.ends_with(missing)).map(|l| format!("{l}\n")).collect();
    assert_eq!(without.lines().count() + 1, whole.lines().count());
    let run = bench.check(&without, "cisco-ios", &[]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.out.contains("missing: 32768 addresses, 32768 address/port pairs"), "{}", run.out);
    assert!(run.out.contains("to 192.0.0.0-192.0.127.255 · destination port 80"), "{}", run.out);
    assert!(run.out.contains("extra: nothing"), "{}", run.out);
    let lines = bench.check(&without, "cisco-ios", &["--json"]).lines(1);
    Schema::named("filter-check").check_all(&lines);
    let expected = serde_json::json!({
        "family": "v4", "proto": ["6"], "dst": ["192.0.0.0-192.0.127.255"], "dst_ports": ["80"], "fragment": "other",
    });
    assert_eq!(lines[0]["missing"]["addresses"], "32768");
    assert_eq!(lines[0]["missing"]["boxes"], Value::Array(vec![expected]));
}

#[test]
fn an_extra_line_is_named() {
    let bench = Bench::new();
    let whole = bench.compile(MAILED, "cisco-ios", &[]).out;
    // The mistake of a list written by hand: one block too wide.
    let wide = whole.replace(" 198.51.250.0 0.0.0.255 eq 53", " 198.51.250.0 0.0.1.255 eq 53");
    assert_ne!(whole, wide);
    let lines = bench.check(&wide, "cisco-ios", &["--json"]).lines(1);
    Schema::named("filter-check").check_all(&lines);
    assert_eq!(lines[0]["extra"]["addresses"], "256");
    assert_eq!(lines[0]["missing"]["addresses"], "0");
    assert_eq!(lines[0]["extra"]["boxes"][0]["dst"][0], "198.51.251.0-198.51.251.255");
}

/// Runs that must end with exit code 2, nothing on standard output and these words on standard error.
fn refused(run: &Run, words: &[&str]) {
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    assert!(run.out.is_empty(), "{}", run.out);
    for word in words {
        assert!(run.err.contains(word), "{word:?} is not in {:?}", run.err);
    }
    assert!(!run.err.contains("panicked"), "{}", run.err);
}

#[test]
fn bad_input_is_exit_2_with_its_place() {
    let bench = Bench::new();
    // IOS takes ports with tcp and udp only.
    let list = "ip access-list extended X\n 10 deny udp any 192.0.2.0 0.0.0.255 eq 53\n 20 deny ip any 192.0.2.0 0.0.0.255 eq 80\n";
    refused(&bench.check(list, "cisco-ios", &[]), &["acl", "line 3"]);
    // The end lies before the beginning.
    let range = "宛先アドレス\n198.51.100.0~192.0.2.255\n\nを遮断してください\n";
    refused(&bench.compile(range, "cisco-ios", &[]), &["request", "line 2, column 1", "198.51.100.0~192.0.2.255"]);
    let port = "宛先アドレス\n198.51.100.1\n\nポート\n70000/UDP\n\nを遮断してください\n";
    refused(&bench.compile(port, "cisco-ios", &[]), &["request", "line 5", "70000"]);
    let known = ["cisco-ios", "nftables", "flowspec"];
    refused(&bench.compile(MAILED, "openflow", &[]), &[&["openflow"], &known[..]].concat());
    refused(&bench.check("", "openflow", &[]), &["openflow"]);
    refused(&bench.compile("", "cisco-ios", &[]), &["request"]);
    refused(&bench.compile("こんにちは\n", "cisco-ios", &[]), &["request"]);
    let absent = bench.0.path().join("absent");
    let run = suimon(["filter", "compile", "--dialect", "cisco-ios", "--request", text(&absent)]);
    refused(&run, &[text(&absent)]);
    std::fs::write(&absent, [0xff, 0xfe, 0x00]).unwrap();
    let run = suimon(["filter", "compile", "--dialect", "cisco-ios", "--request", text(&absent)]);
    refused(&run, &[text(&absent), "UTF-8"]);
}
