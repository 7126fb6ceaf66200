//! The model router against its definition, and the token bucket against arithmetic.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::flow::Fragment;
use suimon_base::{Action, Match, MeasureId, PacketHeader, PortRange, Rule, RuleSet};
use suimon_lab::router::TokenBucket;
use suimon_lab::{Label, ModelRouter, Packet, Verdict};

fn header() -> impl Strategy<Value = PacketHeader> {
    (0..4_u8, 0..4_u8, prop::sample::select(vec![1_u8, 6, 17]), 0..3_u16, 0..3_u16, any::<bool>(), 40..60_u16).prop_map(
        |(src, dst, proto, sport, dport, later, ip_len)| PacketHeader {
            src: IpAddr::V4(Ipv4Addr::new(192, 0, 2, src)),
            dst: IpAddr::V4(Ipv4Addr::new(198, 51, 100, dst)),
            proto,
            ports: (proto != 1 && !later).then_some((sport, dport)),
            tcp_flags: if proto == 6 { 2 } else { 0 },
            icmp: 0,
            fragment: if later { Fragment::Later } else { Fragment::Whole },
            ip_len,
            tos: 0,
            ttl: 64,
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = prop::sample::select(vec![Action::Permit, Action::Discard, Action::LimitPps(0)]);
    (
        prop::option::of(0..4_u8),
        prop::option::of(prop::sample::select(vec![6_u8, 17])),
        prop::option::of(0..3_u16),
        action,
    )
        .prop_map(|(dst, proto, port, action)| Rule {
            matches: Match {
                dst: dst.map(|d| IpAddr::V4(Ipv4Addr::new(198, 51, 100, d)).into()).into_iter().collect(),
                proto,
                dst_ports: port.map(PortRange::one).into_iter().collect(),
                ..Match::default()
            },
            action,
        })
}

fn packet(header: PacketHeader) -> Packet {
    Packet { at_us: 0, header, label: Label::Attack, connection: 0, opens: false }
}

proptest! {
    /// With permit and discard alone, a packet passes exactly where every measure's own decision lets it pass.
    #[test]
    fn decides_as_the_rule_sets_do(
        sets in prop::collection::vec(prop::collection::vec(rule(), 0..4), 0..3),
        headers in prop::collection::vec(header(), 1..40),
    ) {
        let sets: Vec<RuleSet> = sets
            .into_iter()
            .map(|rules| RuleSet { rules: rules.into_iter().filter(|r| !matches!(r.action, Action::LimitPps(_))).collect() })
            .collect();
        let mut router = ModelRouter::new();
        for (i, set) in sets.iter().enumerate() {
            router.install(0, MeasureId(i as u64), set.clone());
        }
        let mut dropped = 0;
        for h in headers {
            let wanted = sets.iter().enumerate().find_map(|(i, s)| match s.decide(&h) {
                Some((rule, Action::Discard)) => Some(Verdict::Dropped { measure: MeasureId(i as u64), rule }),
                _ => None,
            });
            let verdict = router.offer(0, &packet(h));
            prop_assert_eq!(verdict, wanted.unwrap_or(Verdict::Forwarded));
            dropped += u64::from(!verdict.is_forwarded());
        }
        let counted: u64 =
            (0..sets.len()).flat_map(|i| router.hits(MeasureId(i as u64)).unwrap().to_vec()).map(|h| h.dropped).sum();
        prop_assert_eq!(counted, dropped);
        for i in 0..sets.len() {
            prop_assert!(router.remove(MeasureId(i as u64)));
        }
        prop_assert_eq!(router.installed().count(), 0);
    }

    /// A bucket never lets through more than its burst and its rate allow, in any part of time.
    #[test]
    fn bucket_keeps_its_rate(
        rate in 1_u64..200_000,
        gaps in prop::collection::vec(0_u64..2_000, 1..2_000),
    ) {
        let mut bucket = TokenBucket::new(rate, 1, 0);
        let burst = (rate / 10).max(1);
        let (mut t, mut passed) = (0_u64, Vec::new());
        for gap in gaps {
            t += gap;
            if bucket.take(t, 1) {
                passed.push(t);
            }
        }
        for (i, from) in passed.iter().enumerate().step_by(37) {
            for (j, to) in passed.iter().enumerate().skip(i).step_by(41) {
                let allowed = burst + (to - from) * rate / 1_000_000 + 1;
                prop_assert!((j - i + 1) as u64 <= allowed, "{} in {} us", j - i + 1, to - from);
            }
        }
    }

    /// Under steady overload it lets through its burst and its rate, to the packet.
    #[test]
    fn bucket_gives_its_rate_under_overload(rate in 1_u64..100_000, gap_us in 1_u64..5) {
        let mut bucket = TokenBucket::new(rate, 1, 0);
        let offered = 50_000_u64;
        let passed = (0..offered).filter(|i| bucket.take(i * gap_us, 1)).count() as u64;
        let wanted = (rate / 10).max(1) + (offered - 1) * gap_us * rate / 1_000_000;
        prop_assert!(passed.abs_diff(wanted.min(offered)) <= 1, "{passed}, not {wanted}");
    }
}

#[test]
fn a_limit_in_bits_counts_octets() {
    let mut bucket = TokenBucket::new(1_000_000, 12_000, 0);
    let passed = (0..1_000_u64).filter(|i| bucket.take(i * 1_000, 8_000)).count();
    // 1 Mbit/s for a second in packets of 8,000 bits, and the burst of 100 ms.
    assert!((136..=138).contains(&passed), "{passed}");
}

#[test]
fn reinstalling_begins_anew() {
    let h = PacketHeader {
        src: "192.0.2.1".parse().unwrap(),
        dst: "198.51.100.1".parse().unwrap(),
        proto: 17,
        ports: Some((53, 9)),
        tcp_flags: 0,
        icmp: 0,
        fragment: Fragment::Whole,
        ip_len: 100,
        tos: 0,
        ttl: 9,
    };
    let drop = RuleSet { rules: vec![Rule { matches: Match::default(), action: Action::Discard }] };
    let mut router = ModelRouter::new();
    router.install(0, MeasureId(1), drop.clone());
    assert!(!router.offer(0, &packet(h)).is_forwarded());
    assert_eq!(router.hits(MeasureId(1)).unwrap()[0].dropped_octets, 100);
    router.install(5, MeasureId(1), drop);
    assert_eq!(router.hits(MeasureId(1)).unwrap()[0].matched, 0);
    assert_eq!(router.installed().count(), 1);
    assert!(!router.remove(MeasureId(2)));
}
