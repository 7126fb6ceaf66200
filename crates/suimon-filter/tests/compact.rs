//! Profile `compact` against searches that share no code with it, and through the proof.

use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use suimon_filter::compile::{CompileError, Options, Profile, compile};
use suimon_filter::dialect::Dialect;

fn options() -> Options {
    Options { profile: Profile::Compact, ..Options::default() }
}

fn discard(matches: Match) -> Rule {
    Rule { matches, action: Action::Discard }
}

fn v6(i: u32) -> ipnet::IpNet {
    ipnet::IpNet::V6(ipnet::Ipv6Net::from(std::net::Ipv6Addr::from_bits((0x2001_0db8u128 << 96) + u128::from(i))))
}

/// Addresses × destination ports 53, 80 and the rest, of UDP: what each line takes, as a mask of 4 × 3 bits.
fn cell(address: u32, port: u32) -> u32 {
    1 << (address * 3 + port)
}

/// Every line of IOS for IPv6: a prefix, with no port, a list of the three ports, or a range over them.
fn shapes() -> Vec<(u32, bool)> {
    let mut out: BTreeSet<(u32, bool)> = BTreeSet::new();
    for len in 0..3u32 {
        let size = 4 >> len;
        for first in (0..4).step_by(size as usize) {
            // All ports but the named two are one class: a range that reaches beyond them needs more than a line without
            // ports does.
            for ports in [1u32, 2, 3, 7] {
                let mask = (first..first + size)
                    .flat_map(|a| (0..3).filter(move |p| ports >> p & 1 == 1).map(move |p| cell(a, p)))
                    .fold(0, |m, c| m | c);
                // A permit names one port or none.
                out.insert((mask, ports == 7 || ports.count_ones() == 1));
            }
        }
    }
    out.into_iter().collect()
}

/// Fewest lines by trying one, two, three … denies and counting the permits that they need.
fn fewest(target: u32) -> usize {
    let shapes = shapes();
    let permits: Vec<u32> = shapes.iter().filter(|s| s.1 && s.0 & target == 0).map(|s| s.0).collect();
    let denies: Vec<u32> = shapes.iter().map(|s| s.0).filter(|s| s & target != 0).collect();
    let cover = |bad: u32| -> usize {
        let mut reached: HashSet<u32> = HashSet::from([0]);
        for n in 0..=12 {
            if reached.iter().any(|r| bad & !r == 0) {
                return n;
            }
            reached = reached.iter().flat_map(|&r| permits.iter().map(move |&p| r | (p & bad))).collect();
        }
        99
    };
    let mut best = usize::MAX;
    let mut unions: HashSet<u32> = HashSet::from([0]);
    for n in 0.. {
        if n >= best {
            break;
        }
        for u in unions.iter().filter(|&&u| target & !u == 0) {
            best = best.min(n + cover(u & !target));
        }
        if best <= n + 1 {
            break;
        }
        unions = unions
            .iter()
            .flat_map(|&u| {
                // Some line has to take the lowest cell that is still missing.
                let missing = target & !u;
                let lowest = missing & missing.wrapping_neg();
                denies.iter().filter(move |&&d| d & lowest != 0).map(move |&d| u | d)
            })
            .collect();
        if unions.is_empty() {
            break;
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn as_few_as_exhaustive_search(picks in prop::collection::vec((0u32..4, 0u32..3), 1..9)) {
        let mut target = 0;
        let mut set = RuleSet::default();
        for (a, p) in picks {
            let ports: &[u32] = if p == 2 { &[0, 1, 2] } else { &[p] };
            target |= ports.iter().fold(0, |m, &p| m | cell(a, p));
            let dst_ports = if p == 2 { vec![] } else { vec![PortRange::one([53, 80][p as usize])] };
            set.rules.push(discard(Match { dst: vec![v6(a)], proto: Some(17), dst_ports, ..Match::default() }));
        }
        let got = compile(&set, Dialect::CiscoIos, &options()).unwrap();
        let want = fewest(target);
        // One more line permits everything else. Non-first fragments cost nothing here: a line without ports takes them.
        prop_assert!(got.at_least <= got.lines);
        prop_assert!(got.at_least <= want + 1, "at least {} but {} suffice\n{}", got.at_least, want + 1, got.text);
        if got.least {
            prop_assert_eq!(got.lines, want + 1, "{}", got.text);
        }
        prop_assert!(got.lines > want, "{}", got.text);
    }
}

#[test]
fn a_hole_costs_two_lines() {
    let dst = (0..8).filter(|&i| i != 5).map(v6).collect();
    let set = RuleSet { rules: vec![discard(Match { dst, proto: Some(17), ..Match::default() })] };
    let basic = compile(&set, Dialect::CiscoIos, &Options::default()).unwrap();
    let got = compile(&set, Dialect::CiscoIos, &options()).unwrap();
    assert_eq!((basic.lines, got.lines, got.at_least, got.least), (4, 3, 3, true), "{}", got.text);
    assert!(
        got.text.contains("permit 17 any host 2001:db8::5") || got.text.contains("permit udp any host 2001:db8::5")
    );
}

#[test]
fn ports_share_a_line_and_addresses_a_group() {
    let ports = [53u16, 80, 123, 389].map(PortRange::one).to_vec();
    let dst: Vec<ipnet::IpNet> =
        ["192.0.2.1/32", "192.0.2.9/32", "198.51.100.0/25"].map(|n| n.parse().unwrap()).to_vec();
    let m = Match { dst, proto: Some(17), src_ports: ports, ..Match::default() };
    let set = RuleSet { rules: vec![discard(m)] };
    for (dialect, lines) in [(Dialect::CiscoIos, 2), (Dialect::Nftables, 1), (Dialect::Flowspec, 3)] {
        let got = compile(&set, dialect, &options()).unwrap();
        assert_eq!((got.lines, got.least), (lines, true), "{}", got.text);
    }
    let ios = compile(&set, Dialect::CiscoIos, &options()).unwrap().text;
    assert!(ios.contains("object-group network SUIMON-G1\n host 192.0.2.1\n"), "{ios}");
    assert!(ios.contains("deny udp any eq 53 80 123 389 object-group SUIMON-G1"), "{ios}");
}

/// What each dialect makes of the same request: the lines, and words that stand in its text.
#[test]
fn each_dialect_uses_what_it_has() {
    let ports = [53u16, 80, 123, 389].map(PortRange::one).to_vec();
    let dst: Vec<ipnet::IpNet> =
        ["192.0.2.1/32", "192.0.2.9/32", "198.51.100.0/25"].map(|n| n.parse().unwrap()).to_vec();
    let m = Match { dst, proto: Some(17), src_ports: ports, ..Match::default() };
    let set = RuleSet { rules: vec![discard(m)] };
    let table: [(Dialect, usize, &[&str]); 9] = [
        (Dialect::CiscoIos, 2, &["deny udp any eq 53 80 123 389 object-group SUIMON-G1"]),
        (
            Dialect::CiscoXr,
            2,
            &[
                "object-group network ipv4 SUIMON-G1\n host 192.0.2.1\n",
                "object-group port SUIMON-P1\n eq 53\n eq 80\n",
                "deny udp any port-group SUIMON-P1 net-group SUIMON-G1",
            ],
        ),
        (
            Dialect::CiscoNxos,
            2,
            &[
                "object-group ip address SUIMON-G1\n  host 192.0.2.1\n",
                "object-group ip port SUIMON-P1\n  eq 53\n",
                "deny udp any portgroup SUIMON-P1 addrgroup SUIMON-G1",
            ],
        ),
        (Dialect::AristaEos, 4, &["deny udp any eq 53 80 123 389 198.51.100.0/25"]),
        (Dialect::HuaweiVrp, 9, &["destination 192.0.2.1 0.0.0.8", "source-port eq 53"]),
        (Dialect::Junos, 2, &["source-port [ 53 80 123 389 ];"]),
        (Dialect::NokiaSros, 1, &["match src-port port-list \"SUIMON-p1\""]),
        (Dialect::Mikrotik, 1, &["dst-address-list=SUIMON-n1 src-port=53,80,123,389"]),
        (Dialect::Nftables, 1, &["th sport { 53, 80, 123, 389 }"]),
    ];
    for (dialect, lines, words) in table {
        let got = compile(&set, dialect, &options()).unwrap();
        // The addresses of VRP are too far from each other for a search over wildcards.
        let known = if dialect == Dialect::HuaweiVrp { got.at_least } else { lines };
        assert_eq!((got.lines, got.least, got.at_least), (lines, known == lines, known), "{dialect}\n{}", got.text);
        words.iter().for_each(|w| assert!(got.text.contains(w), "{dialect}: {w}\n{}", got.text));
        let heads = |t: &str| t.lines().filter(|l| l.starts_with("object-group")).count();
        assert_eq!(got.undo.matches("no object-group").count(), heads(&got.text), "{dialect}\n{}", got.undo);
    }
}

/// Each address of a block but one.
#[test]
fn exceptions_and_holes() {
    let dst = (0..8).filter(|&i| i != 5).map(v6).collect();
    let set = RuleSet { rules: vec![discard(Match { dst, proto: Some(17), ..Match::default() })] };
    let junos = compile(&set, Dialect::Junos, &options()).unwrap();
    let wanted = "2001:db8::/125;\n                        2001:db8::5/128 except;\n";
    assert!(junos.lines == 2 && junos.least && junos.text.contains(wanted), "{}", junos.text);
    for dialect in [Dialect::AristaEos, Dialect::HuaweiVrp] {
        let got = compile(&set, dialect, &options()).unwrap();
        assert_eq!((got.lines, got.at_least, got.least), (3, 3, true), "{}", got.text);
        assert!(got.text.contains("permit udp"), "{}", got.text);
    }
}

/// A black hole has nothing to join.
#[test]
fn black_holes_are_refused_with_the_reason() {
    let set = RuleSet { rules: vec![discard(Match { dst: vec![v6(1)], ..Match::default() })] };
    let got = compile(&set, Dialect::Rtbh, &options());
    assert!(matches!(&got, Err(e @ CompileError::Unsupported { .. }) if e.to_string().contains("basic")), "{got:?}");
}

/// Rates stand beside joined lines, and no permit stands before them.
#[test]
fn rates_beside_joined_lines() {
    let block: ipnet::IpNet = "192.0.2.0/29".parse().unwrap();
    let most = (0..8u32).filter(|&i| i != 5).map(|i| format!("192.0.2.{i}/32").parse().unwrap()).collect();
    let drop = discard(Match { dst: most, proto: Some(17), ..Match::default() });
    let limit = |bits| Rule {
        matches: Match { dst: vec![block], proto: Some(6), ..Match::default() },
        action: Action::LimitBps(bits),
    };
    let set = RuleSet { rules: vec![drop, limit(8_000_000)] };
    for dialect in Dialect::ALL.into_iter().filter(|d| *d != Dialect::Rtbh) {
        let got = compile(&set, dialect, &options()).unwrap_or_else(|e| panic!("{dialect}: {e}"));
        let basic = compile(&set, dialect, &Options::default()).unwrap();
        assert!(got.proof.equal && got.lines <= basic.lines, "{dialect}\n{}", got.text);
    }
}

#[test]
fn a_wildcard_where_the_bits_say_it() {
    let dst = ["192.0.2.1/32", "192.0.2.5/32", "192.0.2.9/32", "192.0.2.13/32"].map(|n| n.parse().unwrap()).to_vec();
    let set = RuleSet { rules: vec![discard(Match { dst, proto: Some(6), ..Match::default() })] };
    let got = compile(&set, Dialect::CiscoIos, &options()).unwrap();
    assert!(got.text.contains("deny tcp any 192.0.2.1 0.0.0.12"), "{}", got.text);
}

#[test]
fn a_long_list_has_a_bound_and_says_that_it_is_not_proven() {
    let dst = (0..300u32).map(|i| v6(i.wrapping_mul(2_654_435_761) % 4096)).collect();
    let set = RuleSet { rules: vec![discard(Match { dst, proto: Some(17), ..Match::default() })] };
    let got = compile(&set, Dialect::CiscoIos, &options()).unwrap();
    let basic = compile(&set, Dialect::CiscoIos, &Options::default()).unwrap();
    assert!(
        !got.least && got.at_least > 2 && got.at_least <= got.lines && got.lines <= basic.lines,
        "{}",
        got.at_least
    );
}

/// In IOS a permit with a port takes the later fragments of its addresses too, so it is no hole in a list that drops these.
#[test]
fn a_permit_with_a_port_is_no_hole_where_fragments_are_dropped() {
    let of = |dst, src_ports, fragment| Match { dst, proto: Some(17), src_ports, fragment, ..Match::default() };
    let block: ipnet::IpNet = "2001:db8::/125".parse().unwrap();
    let most = (1..8).map(v6).collect::<Vec<_>>();
    let dns = discard(of(most, vec![PortRange::one(53)], None));
    let later = discard(of(vec![block], vec![], Some(suimon_base::rule::FragmentMatch::Later)));
    let alone = compile(&RuleSet { rules: vec![dns.clone()] }, Dialect::CiscoIos, &options()).unwrap();
    assert_eq!((alone.lines, alone.text.matches("permit udp").count()), (3, 1), "{}", alone.text);
    let both = compile(&RuleSet { rules: vec![dns, later] }, Dialect::CiscoIos, &options()).unwrap();
    assert!(both.proof.equal && both.lines == 5 && !both.text.contains("permit udp"), "{}", both.text);
}

#[test]
fn the_undo_unbinds_where_the_list_was_bound() {
    let rules = [1u32, 3].map(|i| format!("192.0.2.{i}/32").parse().unwrap()).to_vec();
    let set = RuleSet { rules: vec![discard(Match { dst: rules, ..Match::default() })] };
    let bound = Options { interface: Some("Gi0/1".into()), outbound: true, ..options() };
    let compiled = compile(&set, Dialect::CiscoIos, &bound).unwrap();
    let list = bound.full_name();
    let wanted = format!("interface Gi0/1\n no ip access-group {list} out\nexit\nno ip access-list extended {list}\n");
    assert!(compiled.undo.starts_with(&wanted), "{}", compiled.undo);
    let basic = compile(&set, Dialect::CiscoIos, &Options { profile: Profile::Basic, ..bound }).unwrap();
    assert_eq!(basic.undo, wanted);
    assert_eq!(basic.warnings, compiled.warnings[..basic.warnings.len()]);
}

/// All ports together are no condition, so joining them would take non-first fragments that are to pass.
#[test]
fn joined_ports_do_not_take_fragments() {
    let net = |n: &str| -> Vec<ipnet::IpNet> { vec![n.parse().unwrap()] };
    let later = Some(suimon_base::rule::FragmentMatch::Later);
    let keep = Match { src: net("198.51.0.0/21"), dst: net("198.51.0.0/22"), proto: Some(17), ..Match::default() };
    let keep = Rule { matches: Match { fragment: later, ..keep }, action: Action::Permit };
    let ports = |list: &[(u16, u16)]| list.iter().map(|&(lo, hi)| PortRange { lo, hi }).collect::<Vec<_>>();
    let some = Match {
        proto: Some(17),
        src_ports: ports(&[(142, 143), (151, 151)]),
        dst_ports: ports(&[(20, 21)]),
        ..Match::default()
    };
    let host = Match { src: net("198.51.2.52/31"), ..Match::default() };
    let set = RuleSet { rules: vec![keep, discard(some), discard(host)] };
    for dialect in Dialect::ALL {
        if let Err(e @ CompileError::NotProved(_)) = compile(&set, dialect, &options()) {
            panic!("{dialect}: {e}");
        }
    }
}
