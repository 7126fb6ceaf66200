//! Random rules through every dialect, judged by `RuleSet::decide` on packets at the rules' own borders.
//! For a long run raise `with_cases` below.

use crate::random::{packets, rules, verdict};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use suimon_base::{Action, RuleSet};
use suimon_filter::compile::{CompileError, Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::{check, compare};
use suimon_filter::request;

/// Packets of one request.
const PACKETS: usize = 200;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn text_does_what_the_rules_say(set in rules(0, true), seed in any::<u64>()) {
        for dialect in Dialect::ALL {
            let compiled = match compile(&set, dialect, &Options::default()) {
                Ok(c) => c,
                Err(e @ CompileError::NotProved(_)) => return Err(TestCaseError::fail(e.to_string())),
                Err(_) => continue,
            };
            prop_assert!(compiled.proof.equal && compiled.proof.missing.is_empty() && compiled.proof.extra.is_empty());
            let read = parse(&compiled.text, dialect).unwrap().rules;
            for p in packets(&set, seed, PACKETS) {
                prop_assert_eq!(verdict(&set, &p), verdict(&read, &p), "{} {:?}\n{}", dialect, p, compiled.text);
            }
        }
    }

    /// The proof's verdict against packets, for lists that have nothing to do with each other.
    #[test]
    fn a_difference_of_packets_is_a_difference_of_proof(a in rules(0, true), b in rules(0, true), seed in any::<u64>()) {
        let Ok(proof) = compare(&a, &b) else { return Ok(()) };
        let both = RuleSet { rules: a.rules.iter().chain(&b.rules).cloned().collect() };
        let (mut missing, mut extra) = (false, false);
        for p in packets(&both, seed, PACKETS) {
            let (x, y) = (verdict(&a, &p), verdict(&b, &p));
            missing |= x != y && x != Action::Permit;
            extra |= x != y && y != Action::Permit;
        }
        prop_assert!(!missing || !proof.missing.is_empty());
        prop_assert!(!extra || !proof.extra.is_empty());
        prop_assert_eq!(proof.equal, proof.missing.is_empty() && proof.extra.is_empty());
    }

    /// The lines are irredundant, so without any one of them something is missing and nothing is extra.
    #[test]
    fn every_deleted_line_is_found(set in rules(0, true)) {
        for dialect in [Dialect::CiscoIos, Dialect::Flowspec] {
            let Ok(compiled) = compile(&set, dialect, &Options::default()) else { continue };
            let dropping = |l: &str| l.contains(" deny ") || l.contains("then discard");
            let lines: Vec<&str> = compiled.text.lines().collect();
            for skip in (0..lines.len()).filter(|&i| dropping(lines[i])).take(40) {
                let text: String =
                    lines.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, l)| format!("{l}\n")).collect();
                let Ok(proof) = check(&set, &text, dialect) else { continue };
                prop_assert!(!proof.equal && !proof.missing.is_empty() && proof.extra.is_empty(), "{}\n{}", lines[skip], text);
            }
        }
    }

    /// Counts against plain arithmetic.
    #[test]
    fn mailed_ranges_are_counted(list in prop::collection::vec((any::<u32>(), 0u32..100_000), 1..8)) {
        let list: Vec<(u32, u32)> = list.into_iter().map(|(lo, n)| (lo, lo.saturating_add(n))).collect();
        let mut text: String =
            list.iter().map(|&(a, b)| format!("{}〜{}\n", Ipv4Addr::from_bits(a), Ipv4Addr::from_bits(b))).collect();
        text.push_str("\n53/UDP\n80/TCP,UDP\n");
        let parsed = request::parse(&text).unwrap();
        let mut sorted = list;
        sorted.sort_unstable();
        let (mut count, mut next) = (0u64, 0u64);
        for (lo, hi) in sorted {
            let (lo, hi) = (u64::from(lo).max(next), u64::from(hi) + 1);
            count += hi.saturating_sub(lo);
            next = next.max(hi);
        }
        let got = compile(&parsed.rules, Dialect::CiscoIos, &Options::default()).unwrap();
        prop_assert_eq!(got.proof.requested.addresses, count.to_string());
        prop_assert_eq!(got.proof.requested.address_ports, (count * 3).to_string());
    }

    /// Nothing that a stranger sends makes a reader panic.
    #[test]
    fn readers_do_not_panic(text in "[ -~\\n０-９～〜宛先から、/]{0,200}", words in prop::collection::vec(prop::sample::select(vec![
        "ip", "access-list", "extended", "A", "deny", "permit", "tcp", "udp", "any", "host", "192.0.2.1", "0.0.0.255", "eq", "range",
        "53", "table", "inet", "{", "}", "chain", "set", "type", "filter", "hook", "daddr", "th", "dport", "drop", ";", "\n", "limit",
        "rate", "over", "match", "destination", "192.0.2.0/24", "protocol", "=17", "then", "discard", "~", "/UDP", "ポート", "送信元",
        "class-map", "match-any", "match", "access-group", "name", "policy-map", "class", "police", "cir", "bps", "acl", "advance",
        "rule", "5", "0", "source-port", "traffic", "classifier", "operator", "or", "if-match", "behavior", "car", "policy", "route",
        "community", "65535:666", "packet-length", "commit", "type", "qos", "ipv4", "ipv6", "\nclass-map match-any A\n",
        "\npolicy-map A\n class A\n  police rate 9 bps\n", "::1", "from", "to", "fragments", "match-all", "+syn", "flags", "&", "(", ")", "==", "syn", "elements", "=", "65536", "256.1.1.1",
    ]), 0..60)) {
        let joined = words.join(" ");
        for t in [text.as_str(), joined.as_str()] {
            let _ = request::parse(t);
            for d in Dialect::ALL {
                let _ = parse(t, d);
            }
        }
    }
}

#[test]
fn every_deleted_or_altered_line_of_the_mailed_ranges_is_found() {
    let text = include_str!("../golden/mailed-ranges.request");
    let rules = request::parse(text).unwrap().rules;
    let compiled = compile(&rules, Dialect::CiscoIos, &Options::default()).unwrap().text;
    let lines: Vec<&str> = compiled.lines().collect();
    let mut tried = 0;
    for (i, line) in lines.iter().enumerate().filter(|(_, l)| l.contains("deny")) {
        for changed in [
            "",
            &line.replace(" udp ", " 17x "),
            &line.replace("eq 53", "eq 54").replace("eq 80", "eq 8080"),
            &line.replace("deny", "permit"),
            &line.replace(" 0.0.", " 0.1."),
            &line.replace("any 1", "host 192.0.2.1 1"),
            &line.replace(" tcp ", " ospf "),
        ] {
            if changed == *line {
                continue;
            }
            let altered: String =
                lines.iter().enumerate().map(|(j, l)| format!("{}\n", if i == j { changed } else { l })).collect();
            match check(&rules, &altered, Dialect::CiscoIos) {
                Ok(p) => assert!(!p.equal, "{changed}"),
                Err(e) => assert!(e.to_string().starts_with(&format!("line {}", i + 1)), "{e}"),
            }
            tried += 1;
        }
    }
    assert!(tried > 100);
}
