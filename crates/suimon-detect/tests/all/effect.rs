//! The effect of a measure in numbers, and quiet.

use crate::common::*;
use suimon_base::Pps;
use suimon_base::flow::{FlowRecord, Forwarding, present};
use suimon_base::rule::{Match, PortRange};
use suimon_detect::effect::{EffectMeter, Watch};

fn watch(id: u64) -> Watch {
    let target = "198.51.100.7/32".parse().unwrap();
    let dns = Match { dst: vec![target], proto: Some(17), src_ports: vec![PortRange::one(53)], ..Match::default() };
    Watch { id, target: vec![target], attack: vec![dns] }
}

fn udp(src_port: u16, dropped: bool) -> FlowRecord {
    let (src, dst) = ("192.0.2.9".parse().unwrap(), "198.51.100.7".parse().unwrap());
    let forwarding = if dropped { Forwarding::Dropped } else { Forwarding::Forwarded };
    FlowRecord { forwarding, ..flow(src, dst, 17, (src_port, 4_000), 0, 1, 100) }
}

#[test]
fn passed_dropped_and_quiet() {
    let mut m = EffectMeter::new();
    m.set(vec![watch(1)]);
    for ms in 0..20_000 {
        let now = at(ms);
        if ms < 10_000 {
            // The filter works from 5 s on, all but one packet in ten.
            m.flow(now, &udp(53, ms >= 5_000 && ms % 10 != 0));
        }
        m.flow(now, &udp(443, false));
        if ms == 4_900 {
            let r = m.read(1, now).unwrap();
            assert!(!r.observes_drops);
            assert_eq!((r.attack.passed.pps, r.attack.dropped.pps), (Pps(1_000), Pps(0)));
        }
        if ms == 9_000 {
            let r = m.read(1, now).unwrap();
            assert!(r.observes_drops);
            assert_eq!((r.attack.passed.pps, r.attack.dropped.pps), (Pps(100), Pps(900)));
            assert_eq!((r.other.passed.pps, r.other.dropped.pps), (Pps(1_000), Pps(0)));
            assert_eq!(r.attack.passed_share(), Some(0.1));
            assert_eq!(r.other.passed.bps.0, 800_000);
        }
    }
    let r = m.read(1, at(20_000)).unwrap();
    assert_eq!(r.attack.arriving().pps, Pps(0));
    assert_eq!(r.attack.dropped_total.packets, 4_500);
    assert_eq!(r.attack.passed_total.packets, 5_500);
    assert_eq!(r.other.passed_total.packets, 20_000);
    assert_eq!(r.last_attack_over, Some(at(10_000)));
    assert_eq!(r.peak_attack, Pps(1_000));
    assert_eq!(m.quiet_ms(1, at(20_000), Pps(100)), Some(10_000));
    assert_eq!(m.quiet_ms(1, at(20_000), Pps(2_000)), Some(20_000), "never: since the watch was set");
    assert_eq!(m.read(2, at(20_000)), None);
    m.set(vec![watch(1), watch(2)]);
    assert_eq!(m.read(1, at(20_000)).unwrap().attack.dropped_total.packets, 4_500, "kept");
    assert_eq!(m.quiet_ms(1, at(3_600_000), Pps(100)), Some(3_590_000), "an hour without a flow");
}

#[test]
fn a_long_flow_is_spread() {
    let mut m = EffectMeter::new();
    m.set(vec![watch(1)]);
    let mut f = udp(53, true);
    (f.packets, f.bytes) = (20_000, 2_000_000);
    (f.start, f.end) = (at(0), at(20_000));
    f.present |= present::TIMES;
    m.flow(at(20_000), &f);
    for s in [22, 30, 38] {
        let r = m.read(1, at(s * 1_000)).unwrap();
        assert_eq!(r.attack.dropped.pps, Pps(1_000), "{s}");
    }
    assert_eq!(m.read(1, at(42_000)).unwrap().attack.dropped.pps, Pps(0));
    assert_eq!(m.read(1, at(42_000)).unwrap().last_attack_over, Some(at(40_000)));
}

#[test]
fn outgoing_watches_look_at_the_source() {
    let target: ipnet::IpNet = "198.51.100.7/32".parse().unwrap();
    let mut m = EffectMeter::new();
    m.set(vec![Watch {
        id: 1,
        target: vec![target],
        attack: vec![Match { src: vec![target], proto: Some(17), ..Match::default() }],
    }]);
    for ms in 0..1_000 {
        let mut f = udp(53, false);
        m.flow(at(ms), &f);
        (f.src, f.dst) = (f.dst, f.src);
        m.flow(at(ms), &f);
    }
    let r = m.read(1, at(1_000)).unwrap();
    assert_eq!((r.attack.passed_total.packets, r.other.passed_total.packets), (1_000, 0));
}
