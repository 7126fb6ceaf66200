//! The answers against every set of rules there is, in any order of the input, and on input that is none.

use super::mine::Fields;
use super::universe::Universe;
use super::{Ask, Observation, SynthError, Synthesis, fields, solve, synthesize};
use crate::dialect::Dialect;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use suimon_base::flow::{Fragment, Sampling, SamplingSource, present};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{FlowRecord, Match, PortRange, Timestamp};

const TARGET: &str = "203.0.113.80";

fn packet(src: &str, proto: u8, ports: (u16, u16), flags: u8, length: u16) -> Observation {
    Observation {
        src: src.parse().unwrap(),
        dst: TARGET.parse().unwrap(),
        proto,
        later: false,
        ports: Some(ports),
        flags: Some(flags),
        length: Some(length),
        ttl: Some(60),
        icmp_type: None,
        at: None,
        packets: 1,
        rate: 1,
    }
}

/// A fixed sequence of numbers; tests need no better one.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn any_packet() -> impl Strategy<Value = Observation> {
    let ports = prop::sample::select(vec![53_u16, 54, 58, 66]);
    let lengths = prop::sample::select(vec![40_u16, 41, 50]);
    let flags = prop::sample::select(vec![0x02_u8, 0x10, 0x12]);
    (prop::bool::ANY, ports.clone(), ports, flags, lengths, 0..10_u8, 1..4_u64).prop_map(
        |(tcp, s, d, flags, length, later, packets)| {
            let later = later == 0;
            let o = packet("198.51.100.7", if tcp { 6 } else { 17 }, (s, d), if tcp { flags } else { 0 }, length);
            Observation { later, ports: o.ports.filter(|_| !later), packets, ..o }
        },
    )
}

/// Every conjunction over the values of [`any_packet`], as matches.
fn every_match() -> Vec<Match> {
    let ranges = |values: &[u16]| -> Vec<Vec<PortRange>> {
        let mut out = vec![Vec::new()];
        for (i, &lo) in values.iter().enumerate() {
            out.extend(values[i..].iter().map(|&hi| vec![PortRange { lo, hi }]));
        }
        out
    };
    let (ports, lengths) = (ranges(&[53, 54, 58, 66]), ranges(&[40, 41, 50]));
    let mut flags = vec![None];
    for mask in [0x02, 0x10, 0x12] {
        flags.extend((0..=0x12_u8).filter(|v| v & !mask == 0).map(|value| Some(TcpFlags { mask, value })));
    }
    let mut out = Vec::new();
    for proto in [None, Some(6), Some(17)] {
        for l in &lengths {
            let base = Match {
                dst: vec![format!("{TARGET}/32").parse().unwrap()],
                proto,
                lengths: l.clone(),
                ..Match::default()
            };
            out.push(Match { fragment: Some(FragmentMatch::Later), ..base.clone() });
            if proto.is_none() {
                out.push(base);
                continue;
            }
            for (s, d) in ports.iter().flat_map(|s| ports.iter().map(move |d| (s, d))) {
                for f in flags.iter().filter(|f| f.is_none() || proto == Some(6)) {
                    let m = Match { src_ports: s.clone(), dst_ports: d.clone(), ..base.clone() };
                    out.push(Match { tcp_flags: *f, ..m });
                }
            }
        }
    }
    out
}

/// The best (attack, attack less loss) of every union of up to `k` matches within the limit, for each `k`.
fn brute_force(attack: &[Observation], legit: &[Observation], most: usize, max_legit: f64) -> Vec<(f64, f64)> {
    let sum = |l: &[Observation], mask: u32, open: bool| -> f64 {
        let own = l.iter().enumerate().filter(|(i, o)| mask >> i & 1 == 1 && (!open || o.opens()));
        own.map(|(_, o)| o.packets as f64).sum()
    };
    let masks: BTreeSet<(u32, u32)> = every_match()
        .iter()
        .map(|m| {
            let of = |l: &[Observation], unknown| {
                l.iter().enumerate().filter(|(_, o)| o.taken(m, unknown)).fold(0, |s, (i, _)| s | 1 << i)
            };
            (of(attack, false), of(legit, true))
        })
        .filter(|m| m.0 != 0)
        .collect();
    let all = [sum(attack, u32::MAX, false), sum(legit, u32::MAX, false), sum(legit, u32::MAX, true)];
    let mut reach: BTreeSet<(u32, u32)> = BTreeSet::from([(0, 0)]);
    let mut out = Vec::new();
    for _ in 0..most {
        let next: Vec<(u32, u32)> =
            reach.iter().flat_map(|r| masks.iter().map(move |m| (r.0 | m.0, r.1 | m.1))).collect();
        reach.extend(next);
        reach.retain(|r| {
            sum(legit, r.1, false) <= max_legit * all[1] + 1e-6 && sum(legit, r.1, true) <= max_legit * all[2] + 1e-6
        });
        let score = |r: &(u32, u32)| {
            let a = sum(attack, r.0, false) / all[0];
            let opens = if all[2] > 0.0 { sum(legit, r.1, true) / all[2] } else { 0.0 };
            (a, a - (sum(legit, r.1, false) / all[1]).max(opens))
        };
        let best = reach
            .iter()
            .map(score)
            .reduce(|x, y| if (y.0, y.1) > (x.0 + 1e-9, x.1) || (y.0 >= x.0 - 1e-9 && y.1 > x.1) { y } else { x });
        out.push(best.unwrap_or((0.0, 0.0)));
    }
    out
}

const RULE_FIELDS: Fields = Fields { flag_bits: 0x3f, src: false, ttl: false, icmp: false, ..fields::ALL };

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn no_set_of_rules_is_better(
        attack in prop::collection::vec(any_packet(), 1..9),
        legit in prop::collection::vec(any_packet(), 1..9),
        max_legit in prop::sample::select(vec![0.0, 0.1, 0.3]),
    ) {
        let ask = Ask { max_rules: 3, min_attack: 1.0, max_legit, ..Ask::default() };
        let (a, b): (Vec<_>, Vec<_>) = (attack.iter().collect(), legit.iter().collect());
        let u = Universe::new(&a, &b, 0.0, false);
        let found = solve(&u, RULE_FIELDS, &ask, true);
        for (k, best) in brute_force(&attack, &legit, 3, max_legit).into_iter().enumerate() {
            let ours = found.curve.iter().take_while(|c| c.0.len() <= k + 1).last();
            prop_assert!(ours.is_none_or(|c| c.2), "not shown to be best");
            let (share, less) = ours.map_or((0.0, 0.0), |(_, v, _)| {
                let share = v.attack / u.attack_total;
                let opens = if u.opens_total > 0.0 { v.opens / u.opens_total } else { 0.0 };
                (share, share - (v.packets / u.legit_total).max(opens))
            });
            prop_assert!((share - best.0).abs() < 1e-6, "{} rules: {share} of the attack, {} would be possible", k + 1, best.0);
            prop_assert!((less - best.1).abs() < 1e-6, "{} rules: {less} after losses, {} would be possible", k + 1, best.1);
        }
    }
}

/// `n` spoofed SYNs in one second and a game's ordinary traffic in ten.
fn flood(n: u64) -> (Vec<Observation>, Vec<Observation>) {
    let mut r = Numbers(7);
    let mut legit = |from_us: u64, seconds: u64| -> Vec<Observation> {
        let mut out = Vec::new();
        for i in 0..200 * seconds {
            let src = format!("198.19.{}.{}", r.below(256), r.below(256));
            let sport = 32_768 + r.below(32_000) as u16;
            let at = Some(Timestamp::from_micros((from_us + i * 5_000) as i64));
            let kinds = [(0x02, 60), (0x10, 52), (0x18, 300 + r.below(900) as u16), (0x10, 52), (0x11, 52)];
            out.extend(kinds.map(|(f, l)| Observation { at, ..packet(&src, 6, (sport, 25_565), f, l) }));
        }
        out
    };
    let baseline = legit(0, 10);
    let mut attack = legit(20_000_000, 1);
    let mut r = Numbers(9);
    for i in 0..n {
        let src = std::net::Ipv4Addr::from_bits(0x0100_0000 + (r.next() as u32) % 0xdeff_ffff).to_string();
        let at = Some(Timestamp::from_micros((20_000_000 + i * 1_000_000 / n) as i64));
        let ports = (1_024 + r.below(60_000) as u16, 25_565);
        attack.push(Observation { at, ttl: Some(242), ..packet(&src, 6, ports, 0x02, 40) });
    }
    (attack, baseline)
}

fn ask(dialect: Dialect) -> Ask {
    Ask { dialect, ..Ask::default() }
}

#[test]
fn a_flood_is_told_by_its_length_and_where_there_is_none_the_length_is_named() {
    let (attack, baseline) = flood(20_000);
    let good = synthesize(&attack, &baseline, &ask(Dialect::Flowspec)).unwrap();
    assert!(good.reached && good.shares.attack >= 0.99 && good.shares.legit == 0.0, "{good:?}");
    assert_eq!(good.rules.len(), 1);
    assert_eq!(good.rules[0].matches.lengths, [PortRange::one(40)]);
    assert!(good.rules[0].matches.src.is_empty(), "invented sources are no prefixes");
    assert!(good.text.contains("packet-length =40") && !good.undo.is_empty());
    assert!(good.held_out.unwrap().attack > 0.99);
    let poor = synthesize(&attack, &baseline, &ask(Dialect::CiscoIos)).unwrap();
    assert!(!poor.reached, "{poor:?}");
    let missing = poor.missing.unwrap();
    assert_eq!(missing.any_of, ["packet length", "TTL"]);
    assert!(missing.words.contains("packet length") && missing.words.contains("TTL"));
    let curve: Vec<(f64, f64)> = missing
        .trade_off
        .iter()
        .map(|p| (p.shares.attack, p.shares.connections.unwrap_or(0.0).max(p.shares.legit)))
        .collect();
    assert!(!curve.is_empty(), "where the limit cannot be kept the trade-off is shown");
    assert!(
        curve.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1),
        "more of the attack, more of the rest: {curve:?}"
    );
    let cost = missing.cost.unwrap().shares;
    assert!(cost.attack > 0.99 && cost.connections == Some(1.0), "{cost:?}");
}

#[test]
fn what_no_field_tells_apart_is_said_to_be_so() {
    let (mut attack, baseline) = flood(20_000);
    for o in &mut attack {
        o.src = baseline[0].src;
        (o.length, o.ttl) = (if o.length == Some(40) { Some(60) } else { o.length }, Some(60));
    }
    let answer = synthesize(&attack, &baseline, &ask(Dialect::Flowspec)).unwrap();
    // One source remains: a prefix does it. With the sources spread as the legitimate ones nothing does.
    assert!(answer.reached && !answer.rules[0].matches.src.is_empty());
    let mut r = Numbers(3);
    for o in &mut attack {
        let octet = |r: &mut Numbers| r.below(256) as u8;
        o.src = [198, 19, octet(&mut r), octet(&mut r)].into();
        o.ports = Some((32_768 + r.below(32_000) as u16, 25_565));
    }
    let answer = synthesize(&attack, &baseline, &ask(Dialect::Flowspec)).unwrap();
    assert!(!answer.reached);
    let missing = answer.missing.unwrap();
    assert!(missing.any_of.is_empty() && missing.all_of.is_empty(), "{missing:?}");
    assert!(missing.words.contains("No header field"), "{}", missing.words);
}

#[test]
fn order_does_not_matter() {
    let (mut attack, mut baseline) = flood(3_000);
    let first = synthesize(&attack, &baseline, &ask(Dialect::Nftables)).unwrap();
    let mut r = Numbers(1);
    for list in [&mut attack, &mut baseline] {
        for i in (1..list.len()).rev() {
            list.swap(i, r.below(i as u64 + 1) as usize);
        }
    }
    assert_eq!(first, synthesize(&attack, &baseline, &ask(Dialect::Nftables)).unwrap());
}

#[test]
fn few_sources_are_named_and_the_curve_rises() {
    let (mut attack, baseline) = flood(9_000);
    // Six senders whose packets look like anybody's; 600 bystanders like them stay ordinary.
    for (i, o) in attack.iter_mut().filter(|o| o.length == Some(40)).enumerate() {
        let weight = [0, 0, 0, 1, 1, 2, 2, 3, 4, 5][i % 10];
        o.src = [192, 0, 2, 10 + 40 * weight].into();
        (o.length, o.ttl) = (Some(60), Some(60));
    }
    let ios = Ask { max_rules: 4, ..ask(Dialect::CiscoIos) };
    let one = |a: &Synthesis| a.curve.first().map_or(0.0, |p| p.shares.attack);
    let answer = synthesize(&attack, &baseline, &ios).unwrap();
    assert!(answer.reached && one(&answer) > 0.99, "{answer:?}");
    assert_eq!(answer.rules[0].matches.src.len(), 1);
    for pair in answer.curve.windows(2) {
        assert!(
            pair[0].rules < pair[1].rules && pair[0].shares.attack <= pair[1].shares.attack + 1e-6,
            "{:?}",
            answer.curve
        );
    }
}

#[test]
fn hostile_input_gets_a_clear_error() {
    let (attack, baseline) = flood(1_000);
    let any = Ask::default();
    assert_eq!(synthesize(&[], &baseline, &any), Err(SynthError::EmptyAttack));
    assert_eq!(synthesize(&attack, &[], &any), Err(SynthError::EmptyBaseline));
    let same = synthesize(&baseline, &baseline, &any).unwrap_err();
    assert!(matches!(same, SynthError::NoExcess { packets: 10_000 }), "{same}");
    for wrong in [
        Ask { max_rules: 0, ..Ask::default() },
        Ask { max_rules: 33, ..Ask::default() },
        Ask { min_attack: 0.0, ..Ask::default() },
        Ask { min_attack: f64::NAN, ..Ask::default() },
        Ask { max_legit: 1.5, ..Ask::default() },
    ] {
        assert!(matches!(synthesize(&attack, &baseline, &wrong), Err(SynthError::Ask(_))), "{wrong:?}");
    }
    let elsewhere: Vec<Observation> =
        baseline.iter().map(|o| Observation { dst: "192.0.2.1".parse().unwrap(), ..*o }).collect();
    let error = synthesize(&attack, &elsewhere, &any).unwrap_err().to_string();
    assert!(error.contains("203.0.113.80/32"), "{error}");
    let huge = Observation { packets: u64::MAX, ..attack[0] };
    let many = vec![huge; 50];
    assert!(synthesize(&many, &baseline, &any).is_ok());
}

#[test]
fn a_record_of_many_packets_says_no_length_and_opens_once() {
    let record = FlowRecord {
        src: "198.51.100.7".parse().unwrap(),
        dst: TARGET.parse().unwrap(),
        proto: 6,
        src_port: 40_000,
        dst_port: 443,
        tcp_flags: 0x1b,
        packets: 10,
        bytes: 5_000,
        fragment: Fragment::Unknown,
        sampling: Sampling { rate: 100, source: SamplingSource::Record },
        present: present::SRC
            | present::DST
            | present::PORTS
            | present::PROTO
            | present::BYTES
            | present::PACKETS
            | present::TCP_FLAGS,
        ..FlowRecord::default()
    };
    let made: Vec<Observation> = Observation::of_flow(&record).collect();
    let told: Vec<(u64, Option<u8>, Option<u16>, bool)> =
        made.iter().map(|o| (o.packets, o.flags, o.length, o.opens())).collect();
    assert_eq!(told, [(100, Some(0x02), None, true), (900, Some(0x19), None, false)]);
    let answer = FlowRecord { src_port: 443, dst_port: 40_000, ..record };
    assert_eq!(Observation::of_flow(&answer).next().unwrap().flags, Some(0x12));
    // What is not known is held against a rule: it spares no legitimate packet and takes none of the attack.
    let by_length = Match { lengths: vec![PortRange::one(40)], ..Match::default() };
    assert!(made[0].taken(&by_length, true) && !made[0].taken(&by_length, false));
    assert_eq!(Observation::of_flow(&FlowRecord { present: 0, ..record }).count(), 0);
    assert!(!format!("{made:?}").contains("198.51"));
}

#[test]
fn dialects_say_what_they_can() {
    let f: BTreeMap<&str, Fields> = Dialect::ALL.into_iter().map(|d| (d.name(), fields::of(d))).collect();
    let (ios, flowspec, nft) = (f["cisco-ios"], f["flowspec"], f["nftables"]);
    assert!(!ios.lengths && !ios.port_ranges && ios.fragments && ios.flags_unset && ios.flag_bits == 0x3f);
    assert!(flowspec.lengths && flowspec.port_ranges && nft.lengths && nft.port_ranges);
    if let Some(rtbh) = f.get("rtbh") {
        assert!(!rtbh.proto && !rtbh.ports && !rtbh.src && rtbh.flag_bits == 0);
    }
}
