//! The first level against a detector that counts every address in full from its first flow.

use super::*;
use crate::config::{Config, Limit, Network, Thresholds};
use crate::detector::Detector;
use proptest::prelude::*;
use std::collections::BTreeMap;
use suimon_base::attack::AttackChange;
use suimon_base::flow::{ExporterKey, FlowRecord};
use suimon_base::{Timestamp, Vector};

const NET: &str = "198.51.100.0/24";

fn config() -> Config {
    let vectors = BTreeMap::from([(Vector::Syn, Limit::pps(1_000)), (Vector::NtpReflection, Limit::pps(2_000))]);
    let thresholds = Thresholds { vectors, total: Limit::new(80_000_000, 20_000), ..Thresholds::default() };
    let network = Network { prefix: NET.parse().unwrap(), customer: None, thresholds: None };
    Config { networks: vec![network], thresholds, ..Config::default() }
}

fn detector(quiet: bool) -> Detector {
    let mut d = Detector::new(config(), 7).unwrap();
    if !quiet {
        d.book.ceilings.iter_mut().for_each(|c| *c = Ceiling::default());
    }
    d
}

fn exporter() -> ExporterKey {
    ExporterKey { addr: [192, 0, 2, 1].into(), domain: 0 }
}

fn flow(host: u8, kind: u8, packets: u64) -> FlowRecord {
    let (proto, src_port, tcp_flags, len) = match kind {
        0 => (6, 40_000, 0x02, 60),
        1 => (17, 123, 0, 468),
        _ => (6, 443, 0x18, 800),
    };
    FlowRecord {
        src: [203, 0, 113, 9].into(),
        dst: [198, 51, 100, host].into(),
        proto,
        src_port,
        dst_port: 80,
        tcp_flags,
        packets,
        bytes: packets * len,
        ..FlowRecord::default()
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms as i64)
}

/// Targets with their vectors, and when each was found, in milliseconds.
fn found(changes: &[(u64, AttackChange)]) -> BTreeMap<(String, Vector), u64> {
    let mut out = BTreeMap::new();
    for (ms, change) in changes {
        let (AttackChange::Started(a) | AttackChange::Updated(a) | AttackChange::Ended(a)) = change;
        for v in &a.vectors {
            out.entry((a.target.to_string(), v.vector)).or_insert(*ms);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Hosts whose rates jump and creep over the ceilings and the thresholds: the same attacks are found, each at most a
    /// window later than by full counting.
    #[test]
    fn finds_what_full_counting_finds(
        steps in proptest::collection::vec((0u8..3, 0u8..3, 1u64..400, 1usize..12), 5..40),
    ) {
        let (mut quiet, mut full) = (detector(true), detector(false));
        let (mut by_quiet, mut by_full) = (Vec::new(), Vec::new());
        for (i, (host, kind, packets, times)) in steps.iter().cycle().take(120).enumerate() {
            let ms = i as u64 * 100;
            for _ in 0..*times {
                let f = flow(*host, *kind, *packets);
                quiet.flow(&exporter(), at(ms), &f);
                full.flow(&exporter(), at(ms), &f);
            }
            by_quiet.extend(quiet.tick(at(ms + 99)).into_iter().map(|c| (ms, c)));
            by_full.extend(full.tick(at(ms + 99)).into_iter().map(|c| (ms, c)));
        }
        prop_assert_eq!(quiet.counters().hosts, full.counters().hosts);
        let (q, f) = (found(&by_quiet), found(&by_full));
        // What lies within a sixteenth of its threshold may be missed; the steps repeat, so nothing else is a near miss
        // for long.
        for (what, when) in &f {
            match q.get(what) {
                Some(then) => prop_assert!(*then <= when + 1_200, "{:?} at {} instead of {}", what, then, when),
                None => {
                    let a = by_full.iter().find_map(|(_, c)| match c {
                        AttackChange::Started(a) if a.target.to_string() == what.0 => Some(a),
                        _ => None,
                    });
                    let near = a.is_some_and(|a| a.evidence.fired.iter().all(|r| r.value * 10 < r.threshold * 11));
                    prop_assert!(near, "{:?} is not found", what);
                }
            }
        }
    }
}

#[test]
fn a_quiet_host_that_is_attacked_brings_its_past() {
    let mut d = detector(true);
    // Three packets a second of a web customer for half a minute.
    for s in 0..30 {
        d.flow(&exporter(), at(s * 1_000), &flow(7, 2, 3));
        d.tick(at(s * 1_000 + 500));
    }
    assert_eq!((d.counters().hosts, d.counters().hosts_quiet), (1, 1));
    let mut started = None;
    for i in 0..40u64 {
        for _ in 0..50 {
            d.flow(&exporter(), at(30_000 + i * 100), &flow(7, 0, 10));
        }
        for change in d.tick(at(30_000 + i * 100 + 50)) {
            if let AttackChange::Started(a) = change {
                started.get_or_insert((i, a));
            }
        }
    }
    let (when, attack) = started.expect("5,000 SYN a second");
    assert!(when <= 10, "found within a second");
    assert!(attack.started >= at(29_800) && attack.started <= at(30_400), "{:?}", attack.started);
    assert_eq!((d.counters().hosts, d.counters().hosts_quiet), (1, 0));
    let before = &attack.evidence.before;
    assert_eq!(before.classes.len(), 1, "{before:?}");
    let class = &before.classes[0];
    assert_eq!((class.proto, class.dst_port), (6, Some(80)));
    assert!((2.0..4.0).contains(&class.pps), "three packets a second, not {}", class.pps);
}

#[test]
fn a_busy_host_becomes_quiet_and_is_forgotten() {
    let mut d = detector(true);
    for i in 0..100u64 {
        d.flow(&exporter(), at(i), &flow(7, 2, 1));
    }
    assert_eq!((d.counters().hosts, d.counters().hosts_quiet), (1, 0), "a hundred flows in a bucket are not quiet");
    let mut ms = 1_000;
    while d.counters().hosts_quiet == 0 {
        d.flow(&exporter(), at(ms), &flow(7, 2, 1));
        d.tick(at(ms));
        ms += 1_000;
        assert!(ms < 120_000, "a minute of quiet and one round of the sweep");
    }
    assert!(ms > 60_000, "at {ms} ms");
    assert_eq!(d.counters().hosts, 1);
    assert_eq!(d.rates(NET.parse().unwrap(), at(ms)).pps.0, 1, "it is counted on: one packet in the last window");
    let idle = d.config.idle_ms;
    for s in 0..(idle / 1_000 + 30) {
        d.tick(at(ms + s * 1_000));
    }
    let c = d.counters();
    assert_eq!((c.hosts, c.hosts_quiet, c.covers, c.hosts_evicted), (0, 0, 0, 1));
    d.flow(&exporter(), at(ms + idle + 60_000), &flow(7, 2, 1));
    assert_eq!((d.counters().hosts, d.counters().hosts_quiet), (1, 1), "and met again");
}

#[test]
fn a_place_is_not_reused_within_a_batch() {
    let mut d = detector(true);
    let mut records = vec![flow(1, 2, 1)];
    // The first host is promoted in the middle of a chunk whose later flows still hold its old number, and new hosts
    // come in between.
    for n in 0..15u8 {
        records.push(flow(1, 2, 1));
        records.push(flow(100 + n, 2, 1));
    }
    d.flow(&exporter(), at(0), &flow(1, 2, 1));
    d.batch(&exporter(), at(10), &records);
    let host = |n: u8| d.rates(format!("198.51.100.{n}/32").parse().unwrap(), at(210)).pps.0;
    assert_eq!(host(1), 17);
    assert!((100..115).all(|n| host(n) == 1));
    assert_eq!((d.counters().hosts, d.counters().hosts_quiet), (16, 15));
}
