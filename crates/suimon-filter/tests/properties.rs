//! Random rules through every dialect, judged by `RuleSet::decide` on packets at the rules' own borders.
//! For a long run raise `with_cases` below.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::flow::Fragment;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PacketHeader, PortRange, Rule, RuleSet};
use suimon_filter::compile::{CompileError, Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::{check, compare};
use suimon_filter::request;

fn net() -> impl Strategy<Value = ipnet::IpNet> {
    let v4 = (any::<u16>(), 14u8..=32).prop_map(|(x, len)| {
        let [a, b] = x.to_be_bytes();
        ipnet::IpNet::new(IpAddr::V4(Ipv4Addr::new(198, 51, a & 7, b)), len).expect("a length of IPv4").trunc()
    });
    let v6 = (any::<u16>(), 30u8..=128).prop_map(|(x, len)| {
        let a = Ipv6Addr::new(0x2001, 0xdb8, x & 3, 0, 0, 0, 0, x >> 8);
        ipnet::IpNet::new(IpAddr::V6(a), len).expect("a length of IPv6").trunc()
    });
    prop_oneof![4 => v4, 1 => v6]
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let one = (0u16..200, 0u16..4).prop_map(|(lo, n)| PortRange { lo, hi: lo + n });
    prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(one, 1..3)]
}

fn matching() -> impl Strategy<Value = Match> {
    let nets = || prop::collection::vec(net(), 0..4);
    let proto = prop::sample::select(vec![None, Some(1), Some(6), Some(6), Some(17), Some(17), Some(47)]);
    let flags = prop::sample::select(vec![None, None, Some((0x12, 2)), Some((0x10, 0x10)), Some((0x3f, 0))]);
    let lengths = prop::sample::select(vec![vec![], vec![], vec![PortRange { lo: 400, hi: 500 }]]);
    (nets(), nets(), proto, ports(), ports(), flags, any::<bool>(), lengths).prop_map(
        |(src, dst, proto, src_ports, dst_ports, flags, later, lengths)| {
            let ported = matches!(proto, Some(6 | 17));
            let (src_ports, dst_ports) = if ported { (src_ports, dst_ports) } else { (vec![], vec![]) };
            let tcp_flags = flags.filter(|_| proto == Some(6)).map(|(mask, value)| TcpFlags { mask, value });
            let upper = !src_ports.is_empty() || !dst_ports.is_empty() || tcp_flags.is_some();
            let fragment = (later && !upper).then_some(FragmentMatch::Later);
            Match { src, dst, proto, src_ports, dst_ports, tcp_flags, fragment, lengths }
        },
    )
}

fn rules() -> impl Strategy<Value = RuleSet> {
    let action = prop_oneof![8 => Just(Action::Discard), 1 => Just(Action::Permit), 1 => Just(Action::LimitPps(1000))];
    let rule = (matching(), action).prop_map(|(matches, action)| Rule { matches, action });
    prop::collection::vec(rule, 1..5).prop_map(|rules| RuleSet { rules })
}

/// Packets around the borders of every condition of the rules.
fn packets(rules: &RuleSet, seed: u64) -> Vec<PacketHeader> {
    let mut addresses: Vec<IpAddr> =
        vec!["192.0.2.1".parse().expect("an address"), "2001:db8:9::1".parse().expect("an address")];
    let mut ports = vec![0u16, 65_535];
    let mut protos = vec![1u8, 6, 17, 47, 99];
    for m in rules.rules.iter().map(|r| &r.matches) {
        for n in m.src.iter().chain(&m.dst) {
            addresses.extend([n.network(), n.broadcast()]);
            addresses.extend([step(n.network(), false), step(n.broadcast(), true)]);
        }
        for r in m.src_ports.iter().chain(&m.dst_ports) {
            ports.extend([r.lo, r.hi, r.lo.saturating_sub(1), r.hi.saturating_add(1)]);
        }
        protos.extend(m.proto);
    }
    let mut out = Vec::new();
    let mut state = seed;
    // Knuth's linear congruential generator: enough to pick borders, and a failure prints one number.
    let mut take = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % n as u64) as usize
    };
    for _ in 0..200 {
        let src = addresses[take(addresses.len())];
        let same: Vec<IpAddr> = addresses.iter().copied().filter(|a| a.is_ipv4() == src.is_ipv4()).collect();
        let dst = same[take(same.len())];
        let proto = protos[take(protos.len())];
        let fragment = [Fragment::Whole, Fragment::First, Fragment::Later][take(3)];
        let ported = matches!(proto, 6 | 17) && fragment != Fragment::Later;
        out.push(PacketHeader {
            src,
            dst,
            proto,
            ports: ported.then(|| (ports[take(ports.len())], ports[take(ports.len())])),
            tcp_flags: if proto == 6 { [2u8, 18, 16, 0, 24][take(5)] } else { 0 },
            icmp: 0,
            fragment,
            ip_len: [399u16, 400, 500, 501, 1500][take(5)],
            tos: 0,
            ttl: 60,
        });
    }
    out
}

fn step(a: IpAddr, up: bool) -> IpAddr {
    match a {
        IpAddr::V4(a) => {
            Ipv4Addr::from_bits(if up { a.to_bits().wrapping_add(1) } else { a.to_bits().wrapping_sub(1) }).into()
        }
        IpAddr::V6(a) => {
            Ipv6Addr::from_bits(if up { a.to_bits().wrapping_add(1) } else { a.to_bits().wrapping_sub(1) }).into()
        }
    }
}

fn verdict(rules: &RuleSet, p: &PacketHeader) -> Action {
    rules.decide(p).map_or(Action::Permit, |d| d.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn text_does_what_the_rules_say(set in rules(), seed in any::<u64>()) {
        for dialect in Dialect::ALL {
            let compiled = match compile(&set, dialect, &Options::default()) {
                Ok(c) => c,
                Err(e @ CompileError::NotProved(_)) => return Err(TestCaseError::fail(e.to_string())),
                Err(_) => continue,
            };
            prop_assert!(compiled.proof.equal && compiled.proof.missing.is_empty() && compiled.proof.extra.is_empty());
            let read = parse(&compiled.text, dialect).unwrap().rules;
            for p in packets(&set, seed) {
                prop_assert_eq!(verdict(&set, &p), verdict(&read, &p), "{} {:?}\n{}", dialect, p, compiled.text);
            }
        }
    }

    /// The proof's verdict against packets, for lists that have nothing to do with each other.
    #[test]
    fn a_difference_of_packets_is_a_difference_of_proof(a in rules(), b in rules(), seed in any::<u64>()) {
        let Ok(proof) = compare(&a, &b) else { return Ok(()) };
        let both = RuleSet { rules: a.rules.iter().chain(&b.rules).cloned().collect() };
        let (mut missing, mut extra) = (false, false);
        for p in packets(&both, seed) {
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
    fn every_deleted_line_is_found(set in rules()) {
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
    let text = include_str!("golden/mailed-ranges.request");
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
