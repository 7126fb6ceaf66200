//! Random requests, and packets at the borders of their conditions.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::flow::Fragment;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PacketHeader, PortRange, Rule, RuleSet};

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

/// Requests one after the other from one seed.
pub struct Requests {
    runner: TestRunner,
    limits: bool,
}

impl Requests {
    pub fn new(seed: u64, limits: bool) -> Self {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Requests { runner: TestRunner::new_with_rng(Config::default(), rng), limits }
    }
    pub fn next(&mut self) -> RuleSet {
        rules(self.limits).new_tree(&mut self.runner).expect("no filter can run dry").current()
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

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let one = (1u16..200, 0u16..4).prop_map(|(lo, n)| PortRange { lo, hi: lo + n });
    prop_oneof![2 => Just(vec![]), 2 => prop::collection::vec(one, 1..3)]
}

fn matching() -> impl Strategy<Value = Match> {
    let nets = || prop::collection::vec(net(), 0..4);
    let proto = prop::sample::select(vec![None, Some(1), Some(6), Some(6), Some(17), Some(17), Some(47)]);
    let flags =
        prop::sample::select(vec![None, None, Some((0x12, 2)), Some((0x10, 0x10)), Some((0x3f, 3)), Some((0x3f, 0))]);
    let lengths = prop::sample::select(vec![vec![], vec![], vec![], vec![PortRange { lo: 400, hi: 500 }]]);
    (nets(), nets(), proto, ports(), ports(), flags, 0u8..6, lengths).prop_map(
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

fn rules(limits: bool) -> impl Strategy<Value = RuleSet> {
    let rates = vec![Action::LimitPps(1000), Action::LimitBps(80_000), Action::LimitBps(12_000_000)];
    let rate = prop::sample::select(if limits { rates } else { vec![Action::Discard] });
    let action = prop_oneof![8 => Just(Action::Discard), 1 => Just(Action::Permit), 1 => rate];
    let rule = (matching(), action).prop_map(|(matches, action)| Rule { matches, action });
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
