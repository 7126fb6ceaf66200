//! Cost on devices and the ranking of ways.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use proptest::prelude::*;
use std::path::Path;
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::place::cost::{cost, port_blocks};
use suimon_filter::place::device::{self, PortRanges};
use suimon_filter::place::{Ask, Device, Way, rank};
use suimon_filter::proof::compare;

fn example(name: &str) -> Device {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/devices").join(name);
    device::parse(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn devices() -> Vec<Device> {
    ["edge-acl.toml", "customer-edge.toml", "upstream.toml"].map(example).to_vec()
}

fn udp(dst: &str, ports: Vec<PortRange>) -> RuleSet {
    let matches = Match { dst: vec![dst.parse().unwrap()], proto: Some(17), src_ports: ports, ..Match::default() };
    RuleSet { rules: vec![Rule { matches, action: Action::Discard }] }
}

/// The fewest aligned blocks, by trying at each level whether the block lies inside.
fn brute(lo: u32, hi: u32, first: u32, bits: u32) -> usize {
    let last = first + (1 << bits) - 1;
    if last < lo || first > hi {
        return 0;
    }
    if lo <= first && last <= hi {
        return 1;
    }
    brute(lo, hi, first, bits - 1) + brute(lo, hi, first + (1 << (bits - 1)), bits - 1)
}

proptest! {
    #[test]
    fn port_blocks_are_the_fewest(a in any::<u16>(), b in any::<u16>()) {
        let r = PortRange { lo: a.min(b), hi: a.max(b) };
        let blocks = port_blocks(r);
        prop_assert_eq!(blocks.len(), brute(r.lo.into(), r.hi.into(), 0, 16));
        let mut next = u32::from(r.lo);
        for (first, bits) in &blocks {
            prop_assert_eq!(u32::from(*first), next);
            prop_assert_eq!(next % (1 << bits), 0);
            next += 1 << bits;
        }
        prop_assert_eq!(next, u32::from(r.hi) + 1);
        prop_assert!(blocks.len() <= 30);
    }

    /// More of a request never costs less; more room never costs more.
    #[test]
    fn cost_grows_with_the_list(n in 1usize..40, lo in 1u16..60_000, room in 0u64..4) {
        let list = |n: usize| (0..n).map(|i| PortRange { lo: lo + 7 * i as u16, hi: lo + 7 * i as u16 + 4 }).collect::<Vec<_>>();
        let mut d = example("customer-edge.toml");
        let of = |n: usize, d: &Device| {
            let text = compile(&udp("192.0.2.7/32", list(n)), Dialect::Flowspec, &Options::default()).unwrap().text;
            cost(&parse(&text, Dialect::Flowspec).unwrap(), d)
        };
        let (less, more) = (of(n, &d), of(n + 1, &d));
        prop_assert!(less.entries < more.entries && less.load_percent <= more.load_percent);
        d.port_ranges = PortRanges::Registers { total: room, used: 0 };
        let with = of(n, &d);
        prop_assert!(with.entries <= less.entries && with.registers <= room);
        d.port_ranges = PortRanges::Free;
        prop_assert_eq!(of(n, &d).entries, n as u64);
    }
}

#[test]
fn the_worst_range_takes_thirty_blocks() {
    assert_eq!(port_blocks(PortRange { lo: 1, hi: 65_534 }).len(), 30);
    assert_eq!(port_blocks(PortRange::ALL), [(0, 16)]);
    assert_eq!(port_blocks(PortRange { lo: 1024, hi: 65_535 }).len(), 6);
}

#[test]
fn ways_that_keep_the_destination_reachable_come_first() {
    let rules = udp("192.0.2.7/32", vec![PortRange::one(53)]);
    let got = rank(&rules, &devices(), &Ask::default());
    let first_cut = got.choices.iter().position(|c| c.cuts_everything).unwrap();
    assert!(got.choices[..first_cut].iter().all(|c| c.possible && !c.cuts_everything));
    assert_eq!(got.choices[0].way, Way::Police);
    let rtbh = got.choices.iter().find(|c| c.way == Way::RtbhUpstream).unwrap();
    assert!(rtbh.words_en.contains("destination becomes unreachable: the attack has succeeded"));
    assert!(rtbh.words_ja.contains("宛先に到達できなくなり、攻撃の目的が果たされてしまいます"));
    assert!(rtbh.possible && rtbh.lines == 1 && rtbh.customers_passing == 40_000, "{rtbh:?}");
    let ids: Vec<&str> = got.stages.iter().map(|s| s.id).collect();
    assert!(ids.starts_with(&["broad", "exact"]) && ids.ends_with(&["open"]), "{ids:?}");
}

#[test]
fn what_does_not_fit_says_by_how_much() {
    let mut d = example("customer-edge.toml");
    d.entries.used = d.entries.total - 10;
    let rules = udp("192.0.2.7/32", (0..6u16).map(|i| PortRange { lo: 100 * i + 1, hi: 100 * i + 60 }).collect());
    d.dialect = Dialect::Flowspec;
    d.can = vec![device::Ability::Flowspec];
    let got = rank(&rules, &[d], &Ask::default());
    let c = &got.choices[0];
    let cost = c.cost.as_ref().unwrap();
    assert!(!c.possible && !cost.fits && cost.short == cost.entries - 10 && cost.load_percent > 100);
    assert!(c.reason.as_ref().unwrap().contains("too few"));
}

#[test]
fn a_short_route_hits_neighbours() {
    let mut d = example("upstream.toml");
    d.route_longest_v4 = 24;
    let got = rank(&udp("192.0.2.7/32", vec![PortRange::one(53)]), &[d], &Ask::default());
    let share = |way| got.choices.iter().find(|c| c.way == way).map(|c| c.bystander_share);
    assert_eq!(share(Way::RtbhUpstream), Some(255.0 / 256.0));
    assert_eq!(share(Way::Flowspec), Some(0.0));
}

#[test]
fn each_stage_reopens() {
    let mut rules = udp("192.0.2.7/32", vec![PortRange::one(53)]);
    rules.rules.extend(udp("192.0.2.9/32", vec![PortRange::one(123)]).rules);
    let got = rank(&rules, &devices(), &Ask::default());
    let dropping: Vec<_> = got.stages.iter().filter(|s| matches!(s.id, "broad" | "exact")).collect();
    let proof = compare(&dropping[0].rules, &dropping[1].rules).unwrap();
    assert!(proof.extra.is_empty() && !proof.missing.is_empty());
    assert!(dropping[0].lines <= dropping[1].lines);
}

#[test]
fn impossible_profiles_name_the_key() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/devices/customer-edge.toml"),
    )
    .unwrap();
    let wrong = device::parse(&text.replace("used = 100", "used = 5000")).unwrap_err().to_string();
    assert!(wrong.starts_with("entries.used"), "{wrong}");
    assert!(device::parse(&text.replace("place", "plase")).unwrap_err().to_string().contains("line 3"));
}

/// A permit with a port takes the fragments of its addresses too (IOS); it is one line and one entry all the same.
#[test]
fn what_a_platform_adds_to_a_line_takes_no_entry() {
    let entries = |text: &str| {
        let read = parse(text, Dialect::CiscoIos).unwrap();
        cost(&read, &example("edge-acl.toml")).entries
    };
    assert_eq!(entries("permit tcp any host 192.0.2.1 eq 80\npermit ip any any\n"), 2);
    assert_eq!(entries("permit tcp any host 192.0.2.1 eq 80\npermit tcp any host 192.0.2.1 fragments\n"), 2);
}
