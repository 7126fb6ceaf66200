//! An hour of legitimate traffic alone raises nothing, for ten seeds drawn anew (catalogue rows 49, 61).
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use ipnet::IpNet;
use std::hash::{BuildHasher as _, RandomState};
use suimon_base::flow::ExporterKey;
use suimon_base::{Timestamp, Vector};
use suimon_detect::vectors::VectorTable;
use suimon_detect::{Config, Detector, Limit, Network, Thresholds};
use suimon_lab::hour;

/// Far below the built-in limits: about twice the busiest second of this customer's usual kinds of traffic, and 20 packets
/// a second for every other vector.
fn tight() -> Thresholds {
    let mut t = Thresholds::none();
    let table = VectorTable::built_in().expect("the built-in table");
    t.vectors = table.rows().iter().map(|row| (row.vector, Limit::pps(20))).collect();
    for (vector, pps) in [
        (Vector::Syn, 300),
        (Vector::AckRst, 4_000),
        (Vector::TcpOther, 4_000),
        (Vector::UdpOther, 800),
        (Vector::DnsReflection, 400),
    ] {
        t.vectors.insert(vector, Limit::pps(pps));
    }
    t
}

fn raised(thresholds: Option<Thresholds>, seed: u64) -> Vec<String> {
    let prefix = IpNet::new(hour::CUSTOMER.0.into(), hour::CUSTOMER.1).expect("a prefix").trunc();
    let network = Network { prefix, customer: Some("customer-1".to_owned()), thresholds };
    let config = Config { networks: vec![network], ..Config::default() };
    let mut detector = Detector::new(config, seed).expect("a good configuration");
    let epoch = Timestamp::from_secs(1_800_000_000);
    let key = ExporterKey { addr: std::net::IpAddr::from([192, 0, 2, 1]), domain: 1 };
    let mut out = Vec::new();
    let mut ticked = epoch;
    for (told_at_us, flow) in hour::flows(seed, 1, epoch) {
        let now = Timestamp::from_micros(epoch.as_micros() + told_at_us as i64);
        while now.ms_since(ticked) >= 100 {
            ticked = ticked.plus_ms(100);
            out.extend(detector.tick(ticked).into_iter().map(|c| format!("{:?}", c.attack().evidence.fired)));
        }
        detector.flow(&key, now, &flow);
    }
    assert!(detector.counters().flows > 100_000, "the hour is not empty");
    out
}

#[test]
fn an_hour_of_legitimate_traffic_raises_nothing() {
    for n in 0..10_u64 {
        // Drawn anew in every run; the seed is named when it fails.
        let seed = RandomState::new().hash_one(n);
        for thresholds in [None, Some(tight())] {
            let kind = if thresholds.is_some() { "tight" } else { "built-in" };
            let found = raised(thresholds, seed);
            assert!(
                found.is_empty(),
                "seed {seed}, {kind} thresholds: {} reports, first {:?}",
                found.len(),
                found.first()
            );
        }
    }
}
