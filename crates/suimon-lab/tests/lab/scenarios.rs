//! Scenarios: the same seed gives the same packets, rates are as documented, labels are right.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use suimon_base::{Action, Match, MeasureId, PortRange, Rule, RuleSet};
use suimon_lab::traffic::attack::RAMP_MS;
use suimon_lab::{Judge, Label, Legit, ModelRouter, Packet, Scenario, Span, hour, merge};

/// FNV-1a over the fields: a sum that no library changes.
fn sum(packets: impl Iterator<Item = Packet>) -> (u64, u64) {
    let (mut hash, mut count) = (0xcbf2_9ce4_8422_2325_u64, 0);
    let mut text = String::new();
    for p in packets {
        text.clear();
        let _ = write!(text, "{p:?}");
        for b in text.bytes() {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
        count += 1;
    }
    (count, hash)
}

#[test]
fn the_same_seed_gives_the_same_packets() {
    let mut lines = String::new();
    for s in Scenario::all() {
        let window = |seed| s.packets(seed).take_while(|p| p.at_us < 5_500_000);
        let (count, hash) = sum(window(1));
        assert_eq!(sum(window(1)), (count, hash), "{}", s.name);
        assert_ne!(sum(window(2)).1, hash, "{}: another seed, other packets", s.name);
        let _ = writeln!(lines, "{} {count} {hash:016x}", s.name);
    }
    suimon_testkit::golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scenarios.txt"), &lines);
}

#[test]
fn packets_are_as_the_scenario_says() {
    for s in Scenario::all() {
        let full = s.attack_start_us() + 4_000_000;
        let second: Vec<Packet> =
            s.packets(4).skip_while(|p| p.at_us < full).take_while(|p| p.at_us < full + 1_000_000).collect();
        assert!(second.windows(2).all(|w| w[0].at_us <= w[1].at_us));
        let attack = second.iter().filter(|p| p.label == Label::Attack).count() as f64;
        let wanted: u32 = s.parts.iter().map(|p| p.pps).sum();
        assert!((attack / f64::from(wanted) - 1.0).abs() < 0.05, "{}: {attack} of {wanted}", s.name);
        assert!((20_000..=50_000).contains(&wanted), "{}: within what the drill can move", s.name);
        for p in &second {
            assert!(s.customer.iter().any(|n| n.contains(&p.header.dst)), "{}", s.name);
            assert_eq!(p.label == Label::Attack, p.connection == 0);
            assert!((40..=1_500).contains(&p.header.ip_len));
            if p.label == Label::Attack {
                assert!(s.target.contains(&p.header.dst), "{}", s.name);
            }
        }
        let legitimate = second.len() as f64 - attack;
        assert!((800.0..2_500.0).contains(&legitimate), "{}: {legitimate}", s.name);
        assert!(!s.about_ja.is_empty() && !s.about_en.is_empty() && s.title_ja != s.title_en);
        assert_eq!(Scenario::by_name(s.name), Some(s));
    }
    assert_eq!(Scenario::by_name("no such"), None);
    assert_eq!(Scenario::all()[0].name, Scenario::DEFAULT);
}

#[test]
fn an_attack_grows_and_stops() {
    let s = Scenario::by_name("dns-reflection").unwrap();
    let at: Vec<u64> = s.packets(1).filter(|p| p.label == Label::Attack).map(|p| p.at_us).collect();
    assert!(*at.first().unwrap() >= s.attack_start_us());
    assert!(*at.last().unwrap() < s.attack_end_us());
    let early = at.iter().filter(|t| **t < s.attack_start_us() + RAMP_MS * 500).count() as f64;
    assert!(early < 0.7 * 30_000.0 * RAMP_MS as f64 / 2_000.0, "{early}: it grows");
}

#[test]
fn legitimate_connections_open_once_and_first() {
    let s = Scenario::by_name(Scenario::DEFAULT).unwrap();
    let mut opened = HashSet::new();
    let mut tuple = HashMap::new();
    let mut packets = 0;
    for p in Legit::new(s.legit.clone(), 8, 0, 20_000_000, 1) {
        packets += 1;
        assert_ne!(p.connection, 0);
        if p.opens {
            assert!(opened.insert(p.connection), "opens once");
            assert!(p.header.proto != 6 || p.header.tcp_flags == 2);
        }
        assert!(opened.contains(&p.connection), "nothing comes before the opening packet");
        let key = (p.header.src, p.header.dst, p.header.proto, p.header.ports);
        assert_eq!(*tuple.entry(p.connection).or_insert(key), key, "one connection, one five-tuple");
    }
    let (connections, pps) = (opened.len() as f64 / 20.0, f64::from(packets) / 20.0);
    assert!((120.0..156.0).contains(&connections), "{connections} connections a second");
    assert!((1_000.0..1_700.0).contains(&pps), "{pps} packets a second");
}

#[test]
fn merging_is_by_time_and_then_by_source() {
    let s = Scenario::by_name("mixed").unwrap();
    let legit = |c| Box::new(Legit::new(s.legit.clone(), 3, 0, 3_000_000, c));
    let merged: Vec<Packet> = merge(vec![legit(1), legit(500_000)]).collect();
    assert!(merged.windows(2).all(|w| w[0].at_us <= w[1].at_us));
    let mut by_hand: Vec<Packet> = legit(1).chain(legit(500_000)).collect();
    by_hand.sort_by_key(|p| p.at_us);
    assert_eq!(merged, by_hand);
}

/// The judge on a drill by hand: a measure that takes DNS and fragments to the shop stops the attack and no customer.
#[test]
fn the_judge_counts_a_good_measure() {
    let s = Scenario::by_name("dns-reflection").unwrap();
    let mut router = ModelRouter::new();
    let mut judge = Judge::new();
    let apply_us = s.attack_start_us() + 2_000_000;
    let release_us = apply_us + 3_000_000;
    let matches =
        Match { dst: vec![s.target], proto: Some(17), src_ports: vec![PortRange::one(53)], ..Match::default() };
    let rules = RuleSet { rules: vec![Rule { matches, action: Action::Discard }] };
    for p in s.packets(6).take_while(|p| p.at_us < release_us + 1_000_000) {
        if judge.span() == Span::Before && p.at_us >= apply_us {
            router.install(p.at_us, MeasureId(1), rules.clone());
            judge.enter(Span::Measure);
        }
        if judge.span() == Span::Measure && p.at_us >= release_us {
            assert!(router.remove(MeasureId(1)));
            judge.enter(Span::Released);
        }
        let verdict = router.offer(p.at_us, &p);
        judge.record(&p, verdict.is_forwarded());
    }
    let (before, during, after) = (judge.tally(Span::Before), judge.tally(Span::Measure), judge.tally(Span::Released));
    assert_eq!(before.attack.share(), Some(1.0));
    assert!(during.attack.offered > 80_000 && during.attack.passed == 0);
    assert_eq!(during.legitimate.share(), Some(1.0));
    assert_eq!(during.connections.share(), Some(1.0));
    assert_eq!((during.broken, after.attack.share()), (0, Some(1.0)));
    let sum = judge.between(apply_us, release_us);
    assert_eq!(sum.attack.passed, 0);
    assert!(sum.attack.offered.abs_diff(during.attack.offered) < 100);
}

/// A measure that takes a port of the customers: connections that were open break, each once, and new ones do not open.
#[test]
fn the_judge_counts_a_bad_measure() {
    let s = Scenario::by_name("syn-flood").unwrap();
    let mut router = ModelRouter::new();
    let mut judge = Judge::new();
    let packets: Vec<Packet> = Legit::new(s.legit.clone(), 2, 0, 4_000_000, 1).collect();
    let matches = Match { proto: Some(6), dst_ports: vec![PortRange::one(443)], ..Match::default() };
    let (mut open, mut broken) = (HashSet::new(), HashSet::new());
    for p in &packets {
        if judge.span() == Span::Before && p.at_us >= 2_000_000 {
            judge.enter(Span::Measure);
            let rule = Rule { matches: matches.clone(), action: Action::Discard };
            router.install(p.at_us, MeasureId(1), RuleSet { rules: vec![rule] });
        }
        let passed = router.offer(p.at_us, p).is_forwarded();
        judge.record(p, passed);
        if p.opens && passed {
            open.insert(p.connection);
        }
        if !passed && open.contains(&p.connection) {
            broken.insert(p.connection);
        }
    }
    let during = judge.tally(Span::Measure);
    assert!(!broken.is_empty());
    assert_eq!(during.broken, broken.len() as u64);
    let share = during.connections.share().unwrap();
    // TCP to 443 is three quarters of 60 of 138 connections a second.
    assert!((0.6..0.75).contains(&share), "{share}");
}

#[test]
fn an_hour_is_legitimate_and_as_busy_as_documented() {
    for seed in [1, 2] {
        let (mut count, mut peak, mut in_second, mut second) = (0_u64, 0_u64, 0_u64, 0_u64);
        for p in hour::packets(seed) {
            assert_eq!(p.label, Label::Legitimate);
            assert!(p.at_us < hour::HOUR_US);
            if p.at_us / 1_000_000 != second {
                second = p.at_us / 1_000_000;
                peak = peak.max(in_second);
                in_second = 0;
            }
            in_second += 1;
            count += 1;
        }
        println!("seed {seed}: {count} packets, {peak} in the busiest second");
        assert!((800_000..1_400_000).contains(&count), "{count} packets");
        assert!((1_300..4_000).contains(&peak), "{peak} packets in the busiest second");
    }
    let flows: Vec<_> = hour::flows(1, 1, super::common::EPOCH).collect();
    assert!(flows.windows(2).all(|w| w[0].0 <= w[1].0));
    let packets: u64 = flows.iter().map(|f| f.1.packets).sum();
    assert_eq!(packets, hour::packets(1).count() as u64, "every packet is in one flow");
    assert!(flows.len() > 50_000, "{}", flows.len());
}
