//! What one line of a dialect can say, found out by asking its compiler.

use super::mine::Fields;
use crate::compile::{Options, compile};
use crate::dialect::Dialect;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};

/// Everything a header says that Suimon sees, whether or not a rule can name it.
pub const ALL: Fields = Fields {
    src: true,
    proto: true,
    fragments: true,
    ports: true,
    port_ranges: true,
    flag_bits: 0xff,
    flags_unset: true,
    lengths: true,
    ttl: true,
    icmp: true,
};

/// What a line of the dialect can test beside the destination.
pub fn of(dialect: Dialect) -> Fields {
    let lines = |m: Match| {
        let rules = RuleSet { rules: vec![Rule { matches: m, action: Action::Discard }] };
        compile(&rules, dialect, &Options::default()).ok().map(|c| c.lines)
    };
    // Documentation prefix 192.0.2.0/24 (RFC 5737).
    let to = || "192.0.2.1/32".parse().into_iter().collect::<Vec<ipnet::IpNet>>();
    let base = Match { dst: to(), ..Match::default() };
    let with = |proto: u8| Match { proto: Some(proto), ..base.clone() };
    let tested = |mask: u8, value: u8| lines(Match { tcp_flags: Some(TcpFlags { mask, value }), ..with(6) }).is_some();
    let ports = |hi: u16| lines(Match { dst_ports: vec![PortRange { lo: 1_000, hi }], ..with(17) });
    let sets_alone = lines(base.clone());
    let one_line = |n: Option<usize>| n.is_some() && n == sets_alone;
    Fields {
        src: one_line(lines(Match { src: to(), ..base.clone() })),
        proto: one_line(lines(with(17))),
        fragments: one_line(lines(Match { fragment: Some(FragmentMatch::Later), ..with(17) })),
        ports: one_line(ports(1_000)),
        port_ranges: one_line(ports(1_003)),
        flag_bits: (0..8).map(|b| 1u8 << b).filter(|&b| tested(b, b)).fold(0, |all, b| all | b),
        flags_unset: tested(0x12, 0x02),
        lengths: one_line(lines(Match { lengths: vec![PortRange { lo: 100, hi: 200 }], ..with(17) })),
        ttl: false,
        icmp: false,
    }
}

/// A field that one set of fields has and another lacks, with its name for people.
pub type Lack = (&'static str, fn(&mut Fields));

/// The fields that `have` lacks, the most usual first.
pub fn lacking(have: Fields) -> Vec<Lack> {
    let all: [(bool, Lack); 10] = [
        (have.proto, ("the IP protocol", |f| f.proto = true)),
        (have.ports, ("ports", |f| (f.proto, f.ports) = (true, true))),
        (have.fragments, ("fragments", |f| f.fragments = true)),
        (have.flag_bits != 0, ("TCP flags", |f| (f.proto, f.flag_bits, f.flags_unset) = (true, 0x3f, true))),
        (have.flags_unset, ("unset TCP flags", |f| (f.proto, f.flag_bits, f.flags_unset) = (true, 0x3f, true))),
        (have.lengths, ("packet length", |f| f.lengths = true)),
        (have.port_ranges, ("port ranges", |f| (f.proto, f.ports, f.port_ranges) = (true, true, true))),
        (have.src, ("source prefixes", |f| f.src = true)),
        (have.icmp, ("ICMP type", |f| (f.proto, f.icmp) = (true, true))),
        (have.ttl, ("TTL", |f| f.ttl = true)),
    ];
    all.into_iter().filter(|x| !x.0).map(|x| x.1).collect()
}
