//! The number of lines against exhaustive searches that share no code with the compiler.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use proptest::prelude::*;
use std::collections::HashMap;
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;

/// Cells: udp/53, udp/80, other udp, tcp/53, tcp/80, other tcp, every other protocol.
const SELECTORS: [u8; 7] = [0b111_1111, 0b000_0111, 0b011_1000, 1, 2, 8, 16];

fn selector(proto: Option<u8>, port: Option<u16>) -> u8 {
    match (proto, port) {
        (None, _) => SELECTORS[0],
        (Some(17), None) => SELECTORS[1],
        (Some(_), None) => SELECTORS[2],
        (Some(17), Some(53)) => 1,
        (Some(17), Some(_)) => 2,
        (Some(_), Some(53)) => 8,
        (Some(_), Some(_)) => 16,
    }
}

/// Least lines for the addresses `lo..lo+size` under what lines above have covered: tries every set of selectors at
/// every prefix.
fn exhaustive(s: &[u8; 64], lo: usize, size: usize, covered: u8, memo: &mut HashMap<(usize, usize, u8), u32>) -> u32 {
    if s[lo..lo + size].iter().all(|x| x & !covered == 0) {
        return 0;
    }
    if let Some(&n) = memo.get(&(lo, size, covered)) {
        return n;
    }
    let allowed: Vec<u8> = SELECTORS.into_iter().filter(|k| s[lo..lo + size].iter().all(|x| k & !x == 0)).collect();
    let mut best = u32::MAX;
    for set in 0u32..1 << allowed.len() {
        let now = (0..allowed.len()).filter(|i| set >> i & 1 == 1).fold(covered, |c, i| c | allowed[i]);
        let below = if size == 1 {
            if s[lo] & !now == 0 { 0 } else { continue }
        } else {
            let half = size / 2;
            exhaustive(s, lo, half, now, memo).saturating_add(exhaustive(s, lo + half, half, now, memo))
        };
        best = best.min(below.saturating_add(set.count_ones()));
    }
    memo.insert((lo, size, covered), best);
    best
}

fn nets(lo: u8, hi: u8) -> Vec<ipnet::IpNet> {
    let address = |x: u8| std::net::Ipv4Addr::new(192, 0, 2, 64 + x);
    ipnet::Ipv4Subnets::new(address(lo), address(hi), 0).map(ipnet::IpNet::V4).collect()
}

fn discard(matches: Match) -> Rule {
    Rule { matches, action: Action::Discard }
}

/// First and last address, protocol, port.
type Asked = (u8, u8, Option<u8>, Option<u16>);

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let proto = prop_oneof![1 => Just(None), 4 => Just(Some(6u8)), 6 => Just(Some(17u8))];
    let port = prop_oneof![Just(None), Just(Some(53u16)), Just(Some(80u16))];
    let rule =
        (0u8..64, 0u8..64, proto, port).prop_map(|(a, b, proto, port)| (a.min(b), a.max(b), proto, proto.and(port)));
    prop::collection::vec(rule, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn as_few_lines_as_exhaustive_search(rules in asked()) {
        let mut s = [0u8; 64];
        let mut set = RuleSet::default();
        for (lo, hi, proto, port) in rules {
            for x in lo..=hi {
                s[usize::from(x)] |= selector(proto, port);
            }
            let dst_ports = port.map(PortRange::one).into_iter().collect();
            set.rules.push(discard(Match { dst: nets(lo, hi), proto, dst_ports, ..Match::default() }));
        }
        let want = exhaustive(&s, 0, 64, 0, &mut HashMap::new());
        let ios = compile(&set, Dialect::CiscoIos, &Options::default()).unwrap();
        prop_assert!(ios.least);
        prop_assert_eq!(ios.lines as u32, want + 1, "{}", ios.text);
        let flowspec = compile(&set, Dialect::Flowspec, &Options::default()).unwrap();
        prop_assert!(flowspec.lines as u32 <= want, "{}", flowspec.text);
    }
}

/// Aligned blocks of the two-bit universe as (first, size).
const BLOCKS: [(u32, u32); 7] = [(0, 4), (0, 2), (2, 2), (0, 1), (1, 1), (2, 1), (3, 1)];

fn rectangle(src: (u32, u32), dst: (u32, u32)) -> u16 {
    let inside = |i: u32| (src.0..src.0 + src.1).contains(&(i / 4)) && (dst.0..dst.0 + dst.1).contains(&(i % 4));
    (0..16).filter(|&i| inside(i)).fold(0, |m, i| m | 1 << i)
}

/// Least rectangles within `target` that cover it, by trying all sets of one, two, three … of them.
fn rectangles(target: u16) -> u32 {
    let all: Vec<u16> = BLOCKS
        .iter()
        .flat_map(|&s| BLOCKS.iter().map(move |&d| rectangle(s, d)))
        .filter(|r| r & !target == 0)
        .collect();
    let mut reached = std::collections::HashSet::from([0u16]);
    for n in 0.. {
        if reached.contains(&target) {
            return n;
        }
        reached = reached.iter().flat_map(|&m| all.iter().map(move |&r| m | r)).collect();
    }
    unreachable!("single cells cover everything")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn as_few_rectangles_as_exhaustive_search(rules in prop::collection::vec((0u8..4, 0u8..4, 0u8..4, 0u8..4), 1..5)) {
        let mut target = 0u16;
        let mut set = RuleSet::default();
        for (a, b, c, d) in rules {
            let (s0, s1, d0, d1) = (a.min(b), a.max(b), c.min(d), c.max(d));
            target |= rectangle((s0.into(), (s1 - s0 + 1).into()), (d0.into(), (d1 - d0 + 1).into()));
            set.rules.push(discard(Match { src: nets(s0, s1), dst: nets(d0, d1), ..Match::default() }));
        }
        let got = compile(&set, Dialect::CiscoIos, &Options::default()).unwrap();
        prop_assert!(got.least);
        prop_assert_eq!(got.lines as u32, rectangles(target) + 1, "{}", got.text);
    }
}

/// Debian's `iprange` makes the fewest prefixes of ranges; so must the compiler.
#[test]
fn as_few_prefixes_as_iprange() {
    let test = "suimon-filter as_few_prefixes_as_iprange";
    if !suimon_testkit::program_or_skip(test, "iprange") {
        return;
    }
    let ranges = [
        ("192.0.0.0", "192.0.224.255"),
        ("198.51.229.0", "198.51.250.255"),
        ("203.0.254.0", "203.0.255.255"),
        ("203.0.113.3", "203.0.113.250"),
        ("10.0.0.1", "10.255.255.254"),
    ];
    let text: String = ranges.iter().map(|(a, b)| format!("{a}-{b}\n")).collect();
    let file = std::env::temp_dir().join(format!("suimon-iprange-{}", std::process::id()));
    std::fs::write(&file, &text).unwrap();
    let out = std::process::Command::new("iprange").arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(out.status.success());
    let theirs: Vec<String> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
    let parsed = suimon_filter::request::parse(&format!("{text}GRE\n")).unwrap();
    let ours = compile(&parsed.rules, Dialect::Flowspec, &Options::default()).unwrap();
    assert_eq!(ours.lines, theirs.len());
}

/// The programs that operators use to aggregate address lists, on random lists: never fewer than ours, which read them too.
#[test]
fn never_more_lines_than_aggregators() {
    let test = "suimon-filter never_more_lines_than_aggregators";
    let programs: [(&str, &[&str]); 3] = [("iprange", &["-"]), ("aggregate6", &[]), ("aggregate", &["-q"])];
    let mut state = 7u64;
    // Knuth's linear congruential generator; a failure names the round.
    let mut next = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for (program, args) in programs {
        if !suimon_testkit::program_or_skip(test, program) {
            continue;
        }
        for round in 0..12 {
            // Dense enough that blocks touch and overlap.
            let space = 1u64 << (6 + round);
            let list: Vec<ipnet::IpNet> = (0..200)
                .map(|_| {
                    let a = std::net::Ipv4Addr::from_bits(0xc633_0000 + next(space) as u32);
                    ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(a, (26 + next(7)) as u8).trunc())
                })
                .collect();
            let text: String = list.iter().map(|n| format!("{n}\n")).collect();
            let theirs = piped(program, args, &text);
            let rules = RuleSet { rules: vec![discard(Match { dst: list, proto: Some(47), ..Match::default() })] };
            for dialect in [Dialect::CiscoIos, Dialect::Flowspec] {
                let got = compile(&rules, dialect, &Options::default()).unwrap();
                let closing = usize::from(dialect == Dialect::CiscoIos);
                assert!(
                    got.least && got.lines - closing <= theirs,
                    "{program}, round {round}: {} > {theirs}",
                    got.lines
                );
                // `aggregate` misses some merges; the other two make the fewest.
                assert!(program == "aggregate" || got.lines - closing == theirs, "{program}, round {round}");
            }
        }
    }
}

fn piped(program: &str, args: &[&str], input: &str) -> usize {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{program}");
    String::from_utf8(out.stdout).unwrap().lines().filter(|l| !l.trim().is_empty()).count()
}
