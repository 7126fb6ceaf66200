//! `x.request` and what each dialect makes of it; `UPDATE=1` rewrites.

use std::path::{Path, PathBuf};
use suimon_base::PacketHeader;
use suimon_base::flow::Fragment;
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::check;
use suimon_filter::request;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn mailed() -> request::Parsed {
    let text = std::fs::read_to_string(folder().join("mailed-ranges.request")).expect("the request is committed");
    request::parse(&text).expect("it is understood")
}

fn options() -> Options {
    Options {
        name: "DOS-FILTER".into(),
        version: Some(1),
        case: Some("C-1".into()),
        requester: Some("customer".into()),
        end: Some("2026-12-01T09:00:00Z".into()),
        ..Options::default()
    }
}

#[test]
fn the_mailed_ranges_are_33_lines_and_one_permit() {
    let parsed = mailed();
    let got = compile(&parsed.rules, Dialect::CiscoIos, &options()).unwrap();
    assert_eq!(got.text.lines().filter(|l| l.contains(" deny ")).count(), 33);
    assert_eq!(got.text.lines().filter(|l| l.contains(" permit ")).count(), 1);
    assert!(got.text.trim_end().ends_with("permit ip any any"));
    assert_eq!(got.lines, 34);
    assert!(got.least && got.proof.equal);
    assert_eq!(got.proof.requested.addresses, "63744");
    assert_eq!(got.proof.requested.address_ports, (63_744 * 3).to_string());
    assert_eq!(got.undo, "no ip access-list extended DOS-FILTER-v1\n");
}

fn verdict(rules: &suimon_base::RuleSet, dst: &str, proto: u8, port: u16) -> bool {
    let p = PacketHeader {
        src: std::net::Ipv4Addr::new(198, 51, 100, 7).into(),
        dst: dst.parse().expect("an address"),
        proto,
        ports: (proto != 1).then_some((40_000, port)),
        tcp_flags: 2,
        icmp: 0,
        fragment: Fragment::Whole,
        ip_len: 60,
        tos: 0,
        ttl: 60,
    };
    rules.decide(&p).is_some_and(|d| d.1 == suimon_base::Action::Discard)
}

#[test]
fn test_vectors_of_the_mailed_ranges() {
    let request = mailed().rules;
    // A route knows no ports, so it is the one that refuses.
    assert!(compile(&request, Dialect::Rtbh, &options()).is_err());
    for dialect in Dialect::ALL.into_iter().filter(|d| *d != Dialect::Rtbh) {
        let text = compile(&request, dialect, &options()).unwrap().text;
        let read = parse(&text, dialect).unwrap().rules;
        for (dst, proto, port, dropped) in [
            ("191.255.255.255", 17, 53, false),
            ("192.0.0.0", 17, 53, true),
            ("192.0.224.255", 17, 53, true),
            ("192.0.225.0", 17, 53, false),
            ("198.51.228.255", 17, 53, false),
            ("198.51.229.0", 17, 53, true),
            ("198.51.250.255", 17, 53, true),
            ("198.51.251.0", 17, 53, false),
            ("203.0.253.255", 17, 53, false),
            ("203.0.254.0", 17, 53, true),
            ("203.0.255.255", 17, 53, true),
            ("203.1.0.0", 17, 53, false),
            ("192.0.0.1", 6, 80, true),
            ("192.0.128.1", 6, 80, true),
            ("192.0.128.1", 17, 80, true),
            ("192.0.128.1", 6, 53, false),
            ("192.0.128.1", 1, 0, false),
        ] {
            assert_eq!(verdict(&request, dst, proto, port), dropped, "request {dst} {proto}/{port}");
            assert_eq!(verdict(&read, dst, proto, port), dropped, "{dialect} {dst} {proto}/{port}");
        }
    }
}

#[test]
fn a_list_without_the_largest_block_is_found() {
    let parsed = mailed();
    let text = compile(&parsed.rules, Dialect::CiscoIos, &options()).unwrap().text;
    let broken: String =
        text.lines().filter(|l| !l.contains("192.0.0.0 0.0.127.255 eq 80")).map(|l| format!("{l}\n")).collect();
    let proof = check(&parsed.rules, &broken, Dialect::CiscoIos).unwrap();
    assert!(!proof.equal);
    assert_eq!(proof.missing.addresses, "32768");
    assert_eq!(proof.missing.address_ports, "65536");
    assert_eq!(proof.missing.boxes[0].dst, ["192.0.0.0-192.0.127.255"]);
    assert!(proof.extra.is_empty());
}

#[test]
fn a_port_without_tcp_or_udp_is_the_error_that_ios_makes_of_it() {
    let text = "ip access-list extended DOS-FILTER\n deny udp any host 192.0.2.1 eq 53\n deny ip any host 192.0.2.1 eq 80\n permit ip any any\n";
    let e = parse(text, Dialect::CiscoIos).unwrap_err();
    assert_eq!((e.line, e.column), (3, 29));
    assert!(e.to_string().contains("a port needs tcp or udp"), "{e}");
}

#[test]
fn every_request_in_every_dialect() {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "request"))
        .collect();
    names.sort();
    for path in names {
        let parsed =
            request::parse(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let questions: Vec<_> = parsed.questions.iter().map(|q| q.id).collect();
        let json = serde_json::to_string(&questions).unwrap();
        suimon_testkit::golden(&path.with_extension("questions"), &(json.replace(',', ",\n") + "\n"));
        for dialect in Dialect::ALL {
            let text = match compile(&parsed.rules, dialect, &options()) {
                Ok(c) => {
                    assert!(c.proof.equal);
                    format!("{}=== undo\n{}", c.text, c.undo)
                }
                Err(e) => format!("refused: {e}\n"),
            };
            suimon_testkit::golden(&path.with_extension(dialect.name()), &text);
        }
    }
}
