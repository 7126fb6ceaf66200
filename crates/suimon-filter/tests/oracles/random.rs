//! Random requests, and packets at the borders of their conditions.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::flow::Fragment;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PacketHeader, PortRange, Rule, RuleSet};
use suimon_filter::dialect::Dialect;

/// A figure or a seed, for who runs the test with `--nocapture` or sees it fail.
#[expect(clippy::print_stdout, reason = "a long run says what it did, and a failure its seed")]
pub fn say(text: &str) {
    println!("{text}");
}

/// `SUIMON_SEED`, or a fresh one; printed, so that a failure can be run again.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var_os("SUIMON_SEED").and_then(|v| v.to_str().and_then(|s| s.parse().ok()));
    let seed = given.unwrap_or_else(|| std::collections::hash_map::RandomState::new().hash_one(test));
    say(&format!("{test}: SUIMON_SEED={seed}"));
    seed
}

/// What requests are like.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Whatever the model can say, with rates or without.
    Any { limits: bool },
    /// What a dialect can mostly say, with rates for addresses that nothing else names.
    Of(Dialect),
    /// Few addresses and ports, of which many lists are possible.
    Dense,
}

/// Requests one after the other from one seed.
pub struct Requests {
    runner: TestRunner,
    strategy: BoxedStrategy<RuleSet>,
}

impl Requests {
    pub fn new(seed: u64, kind: Kind) -> Self {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let strategy = match kind {
            Kind::Any { limits } => rules(1, limits).boxed(),
            Kind::Of(dialect) => rules_of(dialect),
            Kind::Dense => dense().boxed(),
        };
        Requests { runner: TestRunner::new_with_rng(Config::default(), rng), strategy }
    }
    pub fn next(&mut self) -> RuleSet {
        self.strategy.new_tree(&mut self.runner).expect("no filter can run dry").current()
    }
}

fn net() -> impl Strategy<Value = ipnet::IpNet> {
    let v4 = (any::<u16>(), 14u8..=32).prop_map(|(x, len)| {
        let [a, b] = x.to_be_bytes();
        ipnet::IpNet::new(IpAddr::V4(Ipv4Addr::new(198, 51, a & 7, b)), len).expect("a length of IPv4").trunc()
    });
    let v6 = (any::<u16>(), 34u8..=128).prop_map(|(x, len)| {
        let a = Ipv6Addr::new(0x2001, 0xdb8, x & 3, 0, 0, 0, 0, x >> 8);
        ipnet::IpNet::new(IpAddr::V6(a), len).expect("a length of IPv6").trunc()
    });
    prop_oneof![3 => v4, 2 => v6]
}

fn nets() -> impl Strategy<Value = Vec<ipnet::IpNet>> {
    prop::collection::vec(net(), 0..4)
}

fn ports(lowest: u16) -> impl Strategy<Value = Vec<PortRange>> {
    let one = (lowest..200, 0u16..4).prop_map(|(lo, n)| PortRange { lo, hi: lo + n });
    prop_oneof![2 => Just(vec![]), 2 => prop::collection::vec(one, 1..3)]
}

fn action(rates: Vec<Action>) -> impl Strategy<Value = Action> {
    prop_oneof![8 => Just(Action::Discard), 1 => Just(Action::Permit), 1 => prop::sample::select(rates)]
}

fn matching(lowest: u16) -> impl Strategy<Value = Match> {
    let proto = prop::sample::select(vec![None, Some(1), Some(6), Some(6), Some(17), Some(17), Some(47)]);
    let flags =
        prop::sample::select(vec![None, None, Some((0x12, 2)), Some((0x10, 0x10)), Some((0x3f, 3)), Some((0x3f, 0))]);
    let lengths = prop::sample::select(vec![vec![], vec![], vec![], vec![PortRange { lo: 400, hi: 500 }]]);
    (nets(), nets(), proto, ports(lowest), ports(lowest), flags, 0u8..6, lengths).prop_map(
        |(src, dst, proto, src_ports, dst_ports, flags, later, lengths)| {
            let ported = matches!(proto, Some(6 | 17));
            let (src_ports, dst_ports) = if ported { (src_ports, dst_ports) } else { (vec![], vec![]) };
            let tcp_flags = flags.filter(|_| proto == Some(6)).map(|(mask, value)| TcpFlags { mask, value });
            let upper = !src_ports.is_empty() || !dst_ports.is_empty() || tcp_flags.is_some();
            let fragment = (later == 0 && !upper).then_some(FragmentMatch::Later);
            Match { src, dst, proto, src_ports, dst_ports, tcp_flags, fragment, lengths }
        },
    )
}

/// Rules of every kind; ports from `lowest`.
pub fn rules(lowest: u16, limits: bool) -> impl Strategy<Value = RuleSet> {
    let rates = vec![Action::LimitPps(1000), Action::LimitBps(80_000), Action::LimitBps(12_000_000)];
    let action = action(if limits { rates } else { vec![Action::Discard] });
    let rule = (matching(lowest), action).prop_map(|(matches, action)| Rule { matches, action });
    prop::collection::vec(rule, 1..4).prop_map(|rules| RuleSet { rules })
}

/// Dialects that put all lines of a rate into one class.
fn has_classes(dialect: Dialect) -> bool {
    use Dialect::{AristaEos, CiscoIos, CiscoNxos, CiscoXr, HuaweiVrp};
    matches!(dialect, AristaEos | CiscoIos | CiscoNxos | CiscoXr | HuaweiVrp)
}

fn v4_only(list: Vec<ipnet::IpNet>) -> Vec<ipnet::IpNet> {
    let kept: Vec<_> = list.into_iter().filter(|n| n.addr().is_ipv4()).collect();
    if kept.is_empty() { vec!["198.51.100.0/24".parse().expect("a prefix")] } else { kept }
}

/// A match that the dialect can mostly say.
fn matching_of(dialect: Dialect) -> impl Strategy<Value = Match> {
    use Dialect::{AristaEos, CiscoIos, CiscoNxos, CiscoXr, HuaweiVrp, Junos, Mikrotik};
    let protos = vec![None, Some(1), Some(6), Some(6), Some(17), Some(17), Some(47), Some(58), Some(200)];
    let proto = prop::sample::select(protos);
    let flags = match dialect {
        CiscoNxos | AristaEos => vec![None, None, Some((2, 2)), Some((0x10, 0x10))],
        HuaweiVrp => vec![None],
        _ => vec![None, None, Some((0x12, 2)), Some((0x10, 0x10)), Some((0x3f, 3))],
    };
    let flags = prop::sample::select(flags);
    let lengths = match dialect {
        CiscoIos | CiscoNxos | AristaEos | HuaweiVrp => vec![vec![]],
        _ => vec![vec![], vec![], vec![PortRange { lo: 400, hi: 500 }], vec![PortRange::one(1500)]],
    };
    let lengths = prop::sample::select(lengths);
    // A port 0 means more in SR OS, and is refused there.
    let lowest = u16::from(dialect == Dialect::NokiaSros);
    (nets(), nets(), proto, ports(lowest), ports(lowest), flags, any::<bool>(), lengths).prop_map(
        move |(src, dst, proto, src_ports, dst_ports, flags, later, lengths)| {
            if dialect == Dialect::Rtbh {
                return Match { dst: if dst.is_empty() { v4_only(src) } else { dst }, ..Match::default() };
            }
            let ported = matches!(proto, Some(6 | 17));
            let (src_ports, dst_ports) = if ported { (src_ports, dst_ports) } else { (vec![], vec![]) };
            let tcp_flags = flags.filter(|_| proto == Some(6)).map(|(mask, value)| TcpFlags { mask, value });
            let upper = !src_ports.is_empty() || !dst_ports.is_empty() || tcp_flags.is_some();
            let fragment = (later && !upper).then_some(FragmentMatch::Later);
            let narrow = (tcp_flags.is_some() && matches!(dialect, CiscoIos | CiscoXr))
                || (!lengths.is_empty() && matches!(dialect, CiscoXr | Dialect::NokiaSros))
                || (fragment.is_some() && matches!(dialect, HuaweiVrp | Junos | Mikrotik));
            let (src, dst) = if narrow { (v4_only(src), v4_only(dst)) } else { (src, dst) };
            Match { src, dst, proto, src_ports, dst_ports, tcp_flags, fragment, lengths }
        },
    )
}

/// A rate for destinations that no other rule names.
fn limit_of(dialect: Dialect, place: u8) -> impl Strategy<Value = Rule> {
    use Dialect::{AristaEos, CiscoNxos, NokiaSros};
    let pps = !matches!(dialect, AristaEos | CiscoNxos | NokiaSros);
    (1u64..2_000_000, any::<bool>(), 26u8..=32, any::<bool>(), matching_of(dialect)).prop_map(
        move |(rate, packets, len, both, mut m)| {
            let own: ipnet::IpNet = format!("192.0.2.{}/{len}", 64 * u32::from(place)).parse().expect("a prefix");
            let six: ipnet::IpNet = format!("2001:db8:f:{place}::/64").parse().expect("a prefix");
            let plain = m.lengths.is_empty() && m.fragment.is_none() && m.tcp_flags.is_none();
            let dst = if both && plain && has_classes(dialect) { vec![own, six] } else { vec![own] };
            if !has_classes(dialect) {
                m.src_ports.truncate(1);
                m.dst_ports.truncate(1);
            }
            let rate = if dialect == Dialect::Flowspec { rate % 1_000 + 1 } else { rate };
            let action = if packets && pps { Action::LimitPps(rate) } else { Action::LimitBps((rate + 8) * 1_000) };
            Rule { matches: Match { src: vec![], dst, ..m }, action }
        },
    )
}

fn rules_of(dialect: Dialect) -> BoxedStrategy<RuleSet> {
    let plain = (matching_of(dialect), action(vec![Action::Discard]));
    let plain = plain.prop_map(|(matches, action)| Rule { matches, action });
    let plain = prop::collection::vec(plain, 1..5);
    if dialect == Dialect::Rtbh {
        return plain.prop_map(|rules| RuleSet { rules }).boxed();
    }
    let limits = prop_oneof![
        2 => Just(vec![]).boxed(),
        1 => limit_of(dialect, 1).prop_map(|l| vec![l]).boxed(),
        1 => (limit_of(dialect, 1), limit_of(dialect, 2)).prop_map(|(a, b)| vec![a, b]).boxed(),
    ];
    (plain, limits, any::<bool>())
        .prop_map(|(plain, limits, first)| {
            let rules = if first { [limits, plain].concat() } else { [plain, limits].concat() };
            RuleSet { rules }
        })
        .boxed()
}

fn dense() -> impl Strategy<Value = RuleSet> {
    let v4 = (0u32..64, 26u8..=32).prop_map(|(x, len)| {
        let a = Ipv4Addr::from_bits(0xc000_0240 + x);
        ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(a, len).trunc())
    });
    let v6 = (0u16..16).prop_map(|i| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, i)).into());
    let net = prop_oneof![4 => v4, 1 => v6];
    let nets = prop::collection::vec(net, 0..4);
    let ports = || prop::collection::vec((0u16..30, 0u16..3).prop_map(|(lo, n)| PortRange { lo, hi: lo + n }), 0..3);
    let proto = prop::sample::select(vec![None, Some(1), Some(6), Some(17), Some(17)]);
    let rule = (nets.clone(), nets, proto, ports(), ports(), action(vec![Action::Discard])).prop_map(
        |(src, dst, proto, src_ports, dst_ports, action)| {
            let ported = matches!(proto, Some(6 | 17));
            let (src_ports, dst_ports) = if ported { (src_ports, dst_ports) } else { (vec![], vec![]) };
            Rule { matches: Match { src, dst, proto, src_ports, dst_ports, ..Match::default() }, action }
        },
    );
    prop::collection::vec(rule, 1..4).prop_map(|rules| RuleSet { rules })
}

/// Packets around the borders of every condition of the rules.
pub fn packets(rules: &RuleSet, seed: u64, count: usize) -> Vec<PacketHeader> {
    let mut addresses: Vec<IpAddr> =
        vec!["192.0.2.1".parse().expect("an address"), "2001:db8:9::1".parse().expect("an address")];
    let mut ports = vec![1u16, 65_535];
    let mut protos = vec![1u8, 6, 17, 47, 99];
    for m in rules.rules.iter().map(|r| &r.matches) {
        for n in m.src.iter().chain(&m.dst) {
            addresses.extend([n.network(), n.broadcast()]);
            addresses.extend([step(n.network(), false), step(n.broadcast(), true)]);
        }
        for r in m.src_ports.iter().chain(&m.dst_ports) {
            ports.extend([r.lo, r.hi, r.lo.saturating_sub(1), r.hi.saturating_add(1)]);
        }
        protos.extend(m.proto);
    }
    let mut out = Vec::new();
    let mut state = seed;
    // Knuth's linear congruential generator: enough to pick borders.
    let mut take = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % n as u64) as usize
    };
    while out.len() < count {
        let src = addresses[take(addresses.len())];
        let same: Vec<IpAddr> = addresses.iter().copied().filter(|a| a.is_ipv4() == src.is_ipv4()).collect();
        let dst = same[take(same.len())];
        let mut p = PacketHeader {
            src,
            dst,
            proto: protos[take(protos.len())],
            ports: None,
            tcp_flags: 0,
            icmp: 0,
            fragment: [Fragment::Whole, Fragment::Whole, Fragment::First, Fragment::Later][take(4)],
            ip_len: [399u16, 400, 500, 501, 1500][take(5)],
            tos: 0,
            ttl: 60,
        };
        // Half of the packets are moved into one of the rules, since few would meet four conditions by chance.
        if take(2) == 0 && !rules.rules.is_empty() {
            let m = &rules.rules[take(rules.rules.len())].matches;
            let of = |list: &[ipnet::IpNet], at: usize| list.get(at % list.len().max(1)).map(|n| n.broadcast());
            let (s, d) = (of(&m.src, take(8)), of(&m.dst, take(8)));
            p.src = s.unwrap_or(p.src);
            p.dst = d.unwrap_or(p.dst);
            p.proto = m.proto.unwrap_or(p.proto);
            if p.src.is_ipv4() != p.dst.is_ipv4() {
                continue;
            }
            if let Some(r) = m.lengths.first() {
                p.ip_len = r.lo;
            }
            p.tcp_flags = m.tcp_flags.map_or(0, |t| t.value);
        }
        if p.proto == 6 && p.tcp_flags == 0 {
            p.tcp_flags = [2u8, 18, 16, 0, 24, 3][take(6)];
        }
        if p.proto != 6 || p.fragment == Fragment::Later {
            p.tcp_flags = 0;
        }
        if matches!(p.proto, 6 | 17) && p.fragment != Fragment::Later {
            p.ports = Some((ports[take(ports.len())], ports[take(ports.len())]));
        }
        out.push(p);
    }
    out
}

fn step(a: IpAddr, up: bool) -> IpAddr {
    let by = |x: u128, mask: u128| (if up { x.wrapping_add(1) } else { x.wrapping_sub(1) }) & mask;
    match a {
        IpAddr::V4(a) => Ipv4Addr::from_bits(by(a.to_bits().into(), u32::MAX.into()) as u32).into(),
        IpAddr::V6(a) => Ipv6Addr::from_bits(by(a.to_bits(), u128::MAX)).into(),
    }
}

/// What the rules do to a packet; passed on where none takes it.
pub fn verdict(rules: &RuleSet, p: &PacketHeader) -> Action {
    rules.decide(p).map_or(Action::Permit, |d| d.1)
}
