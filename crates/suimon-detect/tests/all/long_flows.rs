//! Long flows count at their own rate: the steady state is right, and exports in step are no attack.

use crate::common::*;
use std::net::IpAddr;
use suimon_base::flow::{FlowRecord, present};
use suimon_detect::{Config, Detector};

fn minute(from: i64, packets: u64, n: u16) -> FlowRecord {
    let (src, dst): (IpAddr, IpAddr) = ("192.0.2.9".parse().unwrap(), "198.51.100.7".parse().unwrap());
    let f = flow(src, dst, 6, (n, 443), 0x18, packets, 1_000);
    FlowRecord { start: at(from - 60_000), end: at(from), present: f.present | present::TIMES, ..f }
}

/// 600 connections of 100 pps each, exported once a minute at staggered times: 60,000 pps, always.
#[test]
fn staggered_exports_give_the_true_rate() {
    let mut d = Detector::new(config(), 1).unwrap();
    let target = "198.51.100.7/32".parse().unwrap();
    let mut low = u64::MAX;
    let mut high = 0;
    let changes = run(&mut d, 0, 240_000, |ms, out| {
        if ms % 100 == 0 {
            out.push(minute(ms, 6_000, (ms / 100 % 600) as u16));
        }
    });
    assert!(changes.is_empty(), "{changes:?}");
    for ms in (240_000..300_000).step_by(100) {
        d.flow(&exporter(), at(ms), &minute(ms, 6_000, 1));
        assert!(d.tick(at(ms)).is_empty());
        let pps = d.rates(target, at(ms)).pps.0;
        (low, high) = (low.min(pps), high.max(pps));
    }
    assert!(low >= 59_500 && high <= 60_500, "{low} to {high}, should be 60,000");
    // And all of it goes again.
    d.tick(at(370_000));
    assert_eq!(d.rates(target, at(370_000)).pps.0, 0);
    assert_eq!(d.counters().long_running, 0);
}

/// The same connections exported all at once, each minute: still 60,000 pps, and 3.6 million packets are no attack.
#[test]
fn exports_in_step_are_no_attack() {
    let mut d = Detector::new(config(), 1).unwrap();
    let target = "198.51.100.7/32".parse().unwrap();
    for m in 0..5i64 {
        for n in 0..600 {
            d.flow(&exporter(), at(m * 60_000), &minute(m * 60_000, 6_000, n));
        }
        for ms in (m * 60_000 + 100..(m + 1) * 60_000).step_by(100) {
            assert!(d.tick(at(ms)).is_empty(), "minute {m}");
            let pps = d.rates(target, at(ms)).pps.0;
            assert!((59_500..=60_500).contains(&pps) || ms % 60_000 < 400, "{pps} at {ms}");
        }
    }
}

/// An attack that arrives in long flows is an attack.
#[test]
fn long_flows_over_a_limit_are_detected() {
    let mut d = Detector::new(config(), 1).unwrap();
    for n in 0..600 {
        d.flow(&exporter(), at(0), &minute(0, 60_000, n));
    }
    let changes = d.tick(at(500));
    assert_eq!(started(&changes).len(), 1);
    assert!((started(&changes)[0].peak.pps.0 as f64 / 600_000.0 - 1.0).abs() < 0.01);
}

#[test]
fn refused_long_flows_count_one_window_and_are_counted() {
    let mut limits = Config::default().limits;
    limits.max_long_flows = 10;
    let mut d = Detector::new(Config { limits, ..config() }, 1).unwrap();
    for n in 0..20 {
        d.flow(&exporter(), at(0), &minute(0, 6_000, n));
    }
    d.tick(at(400));
    let c = d.counters();
    assert_eq!((c.long_flows, c.long_running, c.long_refused), (20, 10, 10));
    let now = d.rates("198.51.100.7/32".parse().unwrap(), at(400)).pps.0;
    assert_eq!(now, 2_000);
    assert_eq!(d.rates("198.51.100.7/32".parse().unwrap(), at(5_000)).pps.0, 1_000);
}
