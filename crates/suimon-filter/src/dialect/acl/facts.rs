//! What distinguishes the routers whose access lists look like those of Cisco IOS. The writer and the reader are the same
//! for all of them and ask this table.

use super::super::Dialect;
use crate::range::Family;

/// How a list tests TCP flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// `match-all +syn -ack`, IPv4 only.
    Signed,
    /// `syn`: one flag that is set; IPv4 and IPv6.
    OneSet,
}

/// How a list takes part in binding, `in` and `out` in the words of the platform.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What stands before the list's name on the interface, by family.
    pub group: [&'static str; 2],
    /// What stands before the policy's name on the interface; the direction is between them.
    pub service: &'static str,
    /// `in`/`ingress`, `out`/`egress` for lists.
    pub directions: [&'static str; 2],
    /// Commands that show what is bound to `{if}` before anything is changed.
    pub show: &'static [&'static str],
}

/// How the platform groups addresses and ports.
#[derive(Clone, Copy, Debug)]
pub struct ObjectGroups {
    /// Head of a group of addresses, before its name, by family; empty where the family has none.
    pub nets: [&'static str; 2],
    /// Before the group's name in a line.
    pub net_word: &'static str,
    /// Head of a group of ports and the word before its name in a line, where there are such groups.
    pub ports: Option<(&'static str, &'static str)>,
    /// Members as `198.51.100.0/24`; else as address and subnet mask.
    pub slash: bool,
    /// Whether `range A B` is a member of a group of addresses.
    pub ranges: bool,
}

/// How the platform limits a rate.
#[derive(Clone, Copy, Debug)]
pub struct Police {
    /// Head of a class, before its name.
    pub class: &'static str,
    /// Head of the policy, before its name.
    pub policy: &'static str,
    /// Inside a class, before a list's name, by family.
    pub matches: [&'static str; 2],
    /// How the policer is spelt.
    pub spelling: Spelling,
    /// Lowest and highest rate in bits a second; `None` where the platform has no such policer.
    pub bps: Option<(u64, u64)>,
    /// Lowest and highest rate in packets a second; `None` where the platform has no such policer.
    pub pps: Option<(u64, u64)>,
    /// Why packets a second are refused, where they are.
    pub no_pps: &'static str,
}

/// Spelling of a policer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `police rate N pps|bps`, the actions on lines of their own; `end-class-map`, `end-policy-map` on IOS XR.
    Rate {
        /// Whether classes and policies have an end line.
        ends: bool,
    },
    /// `police cir N bps bc 200 ms conform transmit violate drop`.
    Cir,
    /// `police rate N bps burst-size B bytes`.
    Burst,
}

/// One platform.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its dialect.
    pub dialect: Dialect,
    /// What stands before a list's name, by family.
    pub head: [&'static str; 2],
    /// The protocol keyword that means every protocol, by family.
    pub any: [&'static str; 2],
    /// Protocol keywords that are written, by family; everything else is written as a number.
    pub protos: [&'static [(&'static str, u8)]; 2],
    /// White space before an entry.
    pub indent: &'static str,
    /// Written before a sequence number, by family.
    pub sequence: [&'static str; 2],
    /// Whether remarks have a sequence number too.
    pub numbered_remarks: bool,
    /// IPv4 addresses as `198.51.100.0/24` instead of address and wildcard.
    pub slash: bool,
    /// Whether IPv4 addresses may also be read as prefixes.
    pub reads_slash: bool,
    /// Most ports after one `eq`.
    pub eq_ports: usize,
    /// Whether wildcards whose bits are not contiguous are written in profile `compact`; groups say the same where there are
    /// such.
    pub wildcards: bool,
    /// Groups of addresses and ports, where the platform has them.
    pub groups: Option<ObjectGroups>,
    /// Whether numbered lists (`access-list 101 …`) exist.
    pub numbered: bool,
    /// A single address as `host 192.0.2.1`; else as a prefix of full length.
    pub host: bool,
    /// Whether an IPv4 list tests the total length with `packet-length`.
    pub lengths: bool,
    /// TCP flags.
    pub flags: Flags,
    /// Whether a permit that names ports or flags also takes non-first fragments of the same addresses and protocol.
    pub permit_takes_fragments: bool,
    /// Whether a deny in the list of a class keeps packets out of the class; else such a list may only permit.
    pub class_deny: bool,
    /// Whether what is entered takes effect with `commit`.
    pub commit: bool,
    /// Longest name of a list, in characters.
    pub list_name: usize,
    /// Longest name of a class or policy, in characters.
    pub class_name: usize,
    /// Rates.
    pub police: Police,
    /// Interfaces.
    pub binding: Binding,
}

impl Facts {
    /// The every-protocol keyword of a family.
    pub fn any(&self, family: Family) -> &'static str {
        self.any[family as usize]
    }
}

const IOS_V4: &[(&str, u8)] = &[
    ("ahp", 51),
    ("eigrp", 88),
    ("esp", 50),
    ("gre", 47),
    ("icmp", 1),
    ("igmp", 2),
    ("ipinip", 4),
    ("nos", 94),
    ("ospf", 89),
    ("pcp", 108),
    ("pim", 103),
    ("tcp", 6),
    ("udp", 17),
];
const IOS_V6: &[(&str, u8)] =
    &[("ahp", 51), ("esp", 50), ("icmp", 58), ("pcp", 108), ("sctp", 132), ("tcp", 6), ("udp", 17)];
/// Keywords that every release of the platform has; numbers serve for the rest.
const FEW_V4: &[(&str, u8)] = &[("icmp", 1), ("igmp", 2), ("ospf", 89), ("pim", 103), ("tcp", 6), ("udp", 17)];
const FEW_V6: &[(&str, u8)] = &[("icmpv6", 58), ("tcp", 6), ("udp", 17)];

/// Cisco IOS and IOS XE.
pub const IOS: Facts = Facts {
    dialect: Dialect::CiscoIos,
    head: ["ip access-list extended", "ipv6 access-list"],
    any: ["ip", "ipv6"],
    protos: [IOS_V4, IOS_V6],
    indent: " ",
    sequence: ["", "sequence "],
    numbered_remarks: false,
    slash: false,
    reads_slash: false,
    eq_ports: 10,
    wildcards: true,
    groups: Some(ObjectGroups {
        nets: ["object-group network", ""],
        net_word: "object-group",
        ports: None,
        slash: false,
        ranges: true,
    }),
    numbered: true,
    host: true,
    lengths: false,
    flags: Flags::Signed,
    permit_takes_fragments: true,
    class_deny: true,
    commit: false,
    list_name: 64,
    class_name: 40,
    police: Police {
        class: "class-map match-any",
        policy: "policy-map",
        matches: ["match access-group name", "match access-group name"],
        spelling: Spelling::Rate { ends: false },
        bps: Some((8_000, 10_000_000_000)),
        pps: Some((1, 2_000_000)),
        no_pps: "",
    },
    binding: Binding {
        group: ["ip access-group", "ipv6 traffic-filter"],
        service: "service-policy",
        directions: ["in", "out"],
        show: &["show running-config interface {if}", "show policy-map interface {if}"],
    },
};

/// Cisco IOS XR.
pub const XR: Facts = Facts {
    dialect: Dialect::CiscoXr,
    head: ["ipv4 access-list", "ipv6 access-list"],
    any: ["ipv4", "ipv6"],
    protos: [FEW_V4, FEW_V6],
    indent: " ",
    sequence: ["", ""],
    numbered_remarks: true,
    slash: false,
    reads_slash: true,
    eq_ports: 1,
    wildcards: false,
    groups: Some(ObjectGroups {
        nets: ["object-group network ipv4", "object-group network ipv6"],
        net_word: "net-group",
        ports: Some(("object-group port", "port-group")),
        slash: true,
        ranges: true,
    }),
    numbered: false,
    host: true,
    lengths: true,
    flags: Flags::Signed,
    permit_takes_fragments: true,
    class_deny: true,
    commit: true,
    list_name: 64,
    class_name: 63,
    police: Police {
        class: "class-map match-any",
        policy: "policy-map",
        matches: ["match access-group ipv4", "match access-group ipv6"],
        spelling: Spelling::Rate { ends: true },
        bps: Some((8_000, 4_294_967_295)),
        pps: Some((1, 4_294_967_295)),
        no_pps: "",
    },
    binding: Binding {
        group: ["ipv4 access-group", "ipv6 access-group"],
        service: "service-policy",
        directions: ["ingress", "egress"],
        show: &["show running-config interface {if}", "show policy-map interface {if}"],
    },
};

/// Cisco NX-OS.
pub const NXOS: Facts = Facts {
    dialect: Dialect::CiscoNxos,
    head: ["ip access-list", "ipv6 access-list"],
    any: ["ip", "ipv6"],
    protos: [FEW_V4, &[("icmp", 58), ("tcp", 6), ("udp", 17)]],
    indent: "  ",
    sequence: ["", ""],
    numbered_remarks: true,
    slash: true,
    reads_slash: true,
    eq_ports: 1,
    wildcards: false,
    groups: Some(ObjectGroups {
        nets: ["object-group ip address", "object-group ipv6 address"],
        net_word: "addrgroup",
        ports: Some(("object-group ip port", "portgroup")),
        slash: true,
        ranges: false,
    }),
    numbered: false,
    host: false,
    lengths: false,
    flags: Flags::OneSet,
    permit_takes_fragments: false,
    class_deny: false,
    commit: false,
    list_name: 64,
    class_name: 40,
    police: Police {
        class: "class-map type qos match-any",
        policy: "policy-map type qos",
        matches: ["match access-group name", "match access-group name"],
        spelling: Spelling::Cir,
        bps: Some((8_000, 80_000_000_000)),
        pps: None,
        no_pps: "a policy of type qos polices bits; packets a second exist only for the control plane (type \
                 control-plane). Give the limit in bits a second",
    },
    binding: Binding {
        group: ["ip access-group", "ipv6 traffic-filter"],
        service: "service-policy type qos",
        directions: ["in", "out"],
        show: &["show running-config interface {if}", "show policy-map interface {if} type qos"],
    },
};

/// Arista EOS.
pub const EOS: Facts = Facts {
    dialect: Dialect::AristaEos,
    head: ["ip access-list", "ipv6 access-list"],
    any: ["ip", "ipv6"],
    protos: [FEW_V4, FEW_V6],
    indent: "   ",
    sequence: ["", ""],
    numbered_remarks: true,
    slash: true,
    reads_slash: true,
    eq_ports: 10,
    wildcards: false,
    groups: None,
    numbered: false,
    host: true,
    lengths: false,
    flags: Flags::OneSet,
    permit_takes_fragments: false,
    class_deny: false,
    commit: false,
    list_name: 64,
    class_name: 64,
    police: Police {
        class: "class-map type qos match-any",
        policy: "policy-map type quality-of-service",
        matches: ["match ip access-group", "match ipv6 access-group"],
        spelling: Spelling::Burst,
        bps: Some((8_000, 100_000_000_000)),
        pps: None,
        no_pps: "a quality-of-service policy polices bits; packets a second exist only for the control plane. Give the \
                 limit in bits a second",
    },
    binding: Binding {
        group: ["ip access-group", "ipv6 access-group"],
        service: "service-policy type qos",
        directions: ["in", "out"],
        show: &["show running-config interfaces {if}", "show policy-map interface {if}"],
    },
};

/// IOS keywords of either family that reading takes besides those that are written.
pub fn known(word: &str, family: Family) -> Option<u8> {
    let list = if family == Family::V4 { IOS_V4 } else { IOS_V6 };
    let more = match (word, family) {
        ("sctp", _) => Some(132),
        ("icmpv6", Family::V6) => Some(58),
        ("ipv6icmp", Family::V6) => Some(58),
        _ => None,
    };
    more.or_else(|| list.iter().find(|p| p.0 == word).map(|p| p.1))
}
