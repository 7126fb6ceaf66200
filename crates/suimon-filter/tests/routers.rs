//! Random requests through each router dialect: emitted, read back by the dialect's reader, and equal over the whole header
//! space. The long run is `cargo test -p suimon-filter --test routers -- --ignored --nocapture`.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use suimon_filter::compile::{CompileError, Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::compare;

const DIALECTS: [Dialect; 6] =
    [Dialect::CiscoIos, Dialect::CiscoXr, Dialect::CiscoNxos, Dialect::AristaEos, Dialect::HuaweiVrp, Dialect::Rtbh];
/// Emitted texts of one dialect in a normal run.
const SHORT: usize = 60;
/// Emitted texts of one dialect in the long run.
const LONG: usize = 10_000;

fn net() -> impl Strategy<Value = ipnet::IpNet> {
    let v4 = (any::<u16>(), 14u8..=32).prop_map(|(x, len)| {
        let [a, b] = x.to_be_bytes();
        ipnet::IpNet::new(IpAddr::V4(Ipv4Addr::new(198, 51, a & 7, b)), len).expect("a length of IPv4").trunc()
    });
    let v6 = (any::<u16>(), 30u8..=128).prop_map(|(x, len)| {
        let a = Ipv6Addr::new(0x2001, 0xdb8, x & 3, 0, 0, 0, 0, x >> 8);
        ipnet::IpNet::new(IpAddr::V6(a), len).expect("a length of IPv6").trunc()
    });
    prop_oneof![4 => v4, 1 => v6]
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let one = (0u16..200, 0u16..3).prop_map(|(lo, n)| PortRange { lo, hi: lo + n });
    prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(one, 1..3)]
}

fn v4_only(list: Vec<ipnet::IpNet>) -> Vec<ipnet::IpNet> {
    let kept: Vec<_> = list.into_iter().filter(|n| n.addr().is_ipv4()).collect();
    if kept.is_empty() { vec!["198.51.100.0/24".parse().expect("a prefix")] } else { kept }
}

/// A match that the dialect can mostly say.
fn matching(dialect: Dialect) -> impl Strategy<Value = Match> {
    let nets = || prop::collection::vec(net(), 0..4);
    let proto =
        prop::sample::select(vec![None, Some(1), Some(6), Some(6), Some(17), Some(17), Some(47), Some(58), Some(200)]);
    let flags = match dialect {
        Dialect::CiscoIos | Dialect::CiscoXr => vec![None, None, Some((0x12, 2)), Some((0x10, 0x10)), Some((0x3f, 0))],
        Dialect::CiscoNxos | Dialect::AristaEos => vec![None, None, Some((2, 2)), Some((0x10, 0x10))],
        _ => vec![None],
    };
    let flags = prop::sample::select(flags);
    let lengths = match dialect {
        Dialect::CiscoXr => vec![vec![], vec![], vec![PortRange { lo: 400, hi: 500 }], vec![PortRange::one(1500)]],
        _ => vec![vec![]],
    };
    let lengths = prop::sample::select(lengths);
    (nets(), nets(), proto, ports(), ports(), flags, any::<bool>(), lengths).prop_map(
        move |(src, dst, proto, src_ports, dst_ports, flags, later, lengths)| {
            if dialect == Dialect::Rtbh {
                return Match { dst: if dst.is_empty() { v4_only(src) } else { dst }, ..Match::default() };
            }
            let ported = matches!(proto, Some(6 | 17));
            let (src_ports, dst_ports) = if ported { (src_ports, dst_ports) } else { (vec![], vec![]) };
            let tcp_flags = flags.filter(|_| proto == Some(6)).map(|(mask, value)| TcpFlags { mask, value });
            let upper = !src_ports.is_empty() || !dst_ports.is_empty() || tcp_flags.is_some();
            let fragment = (later && !upper).then_some(FragmentMatch::Later);
            let signed = tcp_flags.is_some() && matches!(dialect, Dialect::CiscoIos | Dialect::CiscoXr);
            let narrow = signed || !lengths.is_empty() || (fragment.is_some() && dialect == Dialect::HuaweiVrp);
            let (src, dst) = if narrow { (v4_only(src), v4_only(dst)) } else { (src, dst) };
            Match { src, dst, proto, src_ports, dst_ports, tcp_flags, fragment, lengths }
        },
    )
}

/// A rate for destinations that no other rule names.
fn limit(dialect: Dialect, place: u8) -> impl Strategy<Value = Rule> {
    let pps = matches!(dialect, Dialect::CiscoIos | Dialect::CiscoXr | Dialect::HuaweiVrp);
    (1u64..2_000_000, any::<bool>(), 26u8..=32, any::<bool>(), matching(dialect)).prop_map(
        move |(rate, packets, len, both, m)| {
            let own: ipnet::IpNet = format!("192.0.2.{}/{len}", 64 * u32::from(place)).parse().expect("a prefix");
            let six: ipnet::IpNet = format!("2001:db8:f:{place}::/64").parse().expect("a prefix");
            let both = both && m.lengths.is_empty() && m.fragment.is_none() && m.tcp_flags.is_none();
            let dst = if both { vec![own, six] } else { vec![own] };
            let action = if packets && pps { Action::LimitPps(rate) } else { Action::LimitBps((rate + 8) * 1_000) };
            Rule { matches: Match { src: vec![], dst, ..m }, action }
        },
    )
}

fn rules(dialect: Dialect) -> BoxedStrategy<RuleSet> {
    let action = prop_oneof![8 => Just(Action::Discard), 1 => Just(Action::Permit)];
    let plain = (matching(dialect), action).prop_map(|(matches, action)| Rule { matches, action });
    let plain = prop::collection::vec(plain, 1..5);
    if dialect == Dialect::Rtbh {
        return plain.prop_map(|rules| RuleSet { rules }).boxed();
    }
    let limits = prop_oneof![
        2 => Just(vec![]).boxed(),
        1 => limit(dialect, 1).prop_map(|l| vec![l]).boxed(),
        1 => (limit(dialect, 1), limit(dialect, 2)).prop_map(|(a, b)| vec![a, b]).boxed(),
    ];
    (plain, limits, any::<bool>())
        .prop_map(|(plain, limits, first)| {
            let rules = if first { [limits, plain].concat() } else { [plain, limits].concat() };
            RuleSet { rules }
        })
        .boxed()
}

/// Emits `wanted` texts of a dialect and reads each back.
#[expect(clippy::print_stderr, reason = "a failing run is repeated with its seed")]
fn run(dialect: Dialect, wanted: usize, seed: u64) {
    eprintln!("{dialect}: seed {seed}");
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = rules(dialect);
    let options = Options { version: Some(1), interface: Some("Ethernet1/1".into()), ..Options::default() };
    let (mut emitted, mut refused, mut limited) = (0usize, 0usize, 0usize);
    while emitted < wanted {
        let set = strategy.new_tree(&mut runner).expect("no filter in the strategy").current();
        let compiled = match compile(&set, dialect, &options) {
            Ok(c) => c,
            Err(e @ CompileError::NotProved(_)) => panic!("{dialect} seed {seed}: {e}\n{set:?}"),
            Err(_) => {
                refused += 1;
                assert!(refused < 20 * (emitted + 50), "{dialect}: nearly everything is refused");
                continue;
            }
        };
        let read = parse(&compiled.text, dialect).unwrap_or_else(|e| panic!("{dialect} seed {seed}: {e}"));
        let proof = compare(&set, &read.rules).expect("small");
        assert!(proof.equal, "{dialect} seed {seed}: {set:?}\n{}", compiled.text);
        assert!(!compiled.undo.is_empty() && !compiled.warnings.is_empty());
        emitted += 1;
        let limits = |a: &Action| matches!(a, Action::LimitPps(_) | Action::LimitBps(_));
        limited += usize::from(set.rules.iter().any(|r| limits(&r.action)));
    }
    eprintln!("{dialect}: {emitted} emitted and equal, {limited} of them with rates, {refused} refused");
    assert!(refused < 2 * emitted, "{dialect}: {refused} of {emitted} refused: the requests are too wild to test much");
    assert!(dialect == Dialect::Rtbh || limited * 10 > emitted, "{dialect}: only {limited} with rates");
}

#[test]
fn random_requests_come_back_equal() {
    for dialect in DIALECTS {
        run(dialect, SHORT, 69);
    }
}

#[test]
#[ignore = "minutes long: 10,000 emitted texts for each dialect"]
fn ten_thousand_random_requests_come_back_equal() {
    let seed = RandomState::new().build_hasher().finish();
    for dialect in DIALECTS {
        run(dialect, LONG, seed);
    }
}
