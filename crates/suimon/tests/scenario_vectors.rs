//! Every vector of every built-in scenario is named, whenever it joins.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use suimon_base::flow::ExporterKey;
use suimon_base::{FlowRecord, Timestamp, Vector};
use suimon_detect::vectors::VectorTable;
use suimon_detect::{Config, Detector, Limit, Network, Thresholds};
use suimon_lab::{Label, Scenario};

#[test]
fn every_vector_of_every_scenario_is_named() {
    let table = VectorTable::built_in().expect("the built-in table");
    for scenario in Scenario::all() {
        let mut thresholds = Thresholds::none();
        thresholds.vectors = table.rows().iter().map(|r| (r.vector, Limit::pps(3_000))).collect();
        thresholds.baseline_ratio = Some(0.0);
        thresholds.aggregate_ratio = Some(0.0);
        let networks = scenario.customer.iter().map(|p| Network {
            prefix: *p,
            customer: Some("customer-1".to_owned()),
            thresholds: Some(thresholds.clone()),
        });
        let config = Config { networks: networks.collect(), ..Config::default() };
        let mut detector = Detector::new(config, 1).expect("a good configuration");
        let epoch = Timestamp::from_secs(1_800_000_000);
        let key = ExporterKey { addr: std::net::IpAddr::from([192, 0, 2, 1]), domain: 1 };
        let mut ticked = epoch;
        let mut made: BTreeMap<Vector, u64> = BTreeMap::new();
        let mut named = BTreeSet::new();
        let end_us = scenario.attack_start_us() + 7_000_000;
        for p in scenario.packets(1).take_while(|p| p.at_us < end_us) {
            let now = Timestamp::from_micros(epoch.as_micros() + p.at_us as i64);
            while now.ms_since(ticked) >= 100 {
                ticked = ticked.plus_ms(100);
                for change in detector.tick(ticked) {
                    named.extend(change.attack().vectors.iter().map(|v| v.vector));
                }
            }
            let f = FlowRecord::of_packet(&p.header, now);
            if p.label == Label::Attack {
                *made.entry(table.classify(&f)).or_default() += 1;
            }
            detector.flow(&key, now, &f);
        }
        let made: BTreeSet<Vector> = made.into_iter().filter(|(_, n)| *n > 20_000).map(|(v, _)| v).collect();
        assert!(!made.is_empty(), "{}", scenario.name);
        assert!(made.is_subset(&named), "{}: made {made:?}, named {named:?}", scenario.name);
    }
}
