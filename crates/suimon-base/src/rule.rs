//! The neutral model of what a filter drops or limits; dialects are made from it and read back into it.

use crate::PacketHeader;
use crate::flow::Fragment;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Ports `lo..=hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// Lowest port.
    pub lo: u16,
    /// Highest port, included; never below `lo`.
    pub hi: u16,
}

impl PortRange {
    /// One port.
    pub const fn one(port: u16) -> Self {
        PortRange { lo: port, hi: port }
    }
    /// Every port.
    pub const ALL: PortRange = PortRange { lo: 0, hi: u16::MAX };
    /// Whether `port` lies within.
    pub const fn contains(self, port: u16) -> bool {
        self.lo <= port && port <= self.hi
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lo == self.hi { write!(f, "{}", self.lo) } else { write!(f, "{}-{}", self.lo, self.hi) }
    }
}

/// TCP flags: the packet's flags masked with `mask` must equal `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpFlags {
    /// Bits that are looked at.
    pub mask: u8,
    /// What they must be.
    pub value: u8,
}

/// Which fragments a match takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FragmentMatch {
    /// Only non-first fragments (IOS `fragments`, nftables `ip frag-off & 0x1fff != 0`, Flowspec `is-fragment` bit).
    Later,
}

/// A conjunction of conditions; an empty list or `None` is "any". Within a list the conditions are alternatives.
///
/// A match with ports takes only packets that carry ports: a non-first fragment never matches it, as in routers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Match {
    /// Source prefixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub src: Vec<IpNet>,
    /// Destination prefixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dst: Vec<IpNet>,
    /// IP protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// Source ports; only with TCP, UDP or SCTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub src_ports: Vec<PortRange>,
    /// Destination ports; only with TCP, UDP or SCTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dst_ports: Vec<PortRange>,
    /// TCP flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<TcpFlags>,
    /// Fragments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment: Option<FragmentMatch>,
    /// Total IP length in octets, inclusive ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<PortRange>,
}

impl Match {
    /// Whether the packet fulfils every condition.
    pub fn matches(&self, p: &PacketHeader) -> bool {
        fn addr(list: &[IpNet], a: IpAddr) -> bool {
            list.is_empty() || list.iter().any(|n| n.contains(&a))
        }
        fn port(list: &[PortRange], p: Option<u16>) -> bool {
            list.is_empty() || p.is_some_and(|p| list.iter().any(|r| r.contains(p)))
        }
        self.proto.is_none_or(|x| x == p.proto)
            && addr(&self.dst, p.dst)
            && addr(&self.src, p.src)
            && port(&self.src_ports, p.ports.map(|x| x.0))
            && port(&self.dst_ports, p.ports.map(|x| x.1))
            && self.tcp_flags.is_none_or(|t| p.fragment != Fragment::Later && p.tcp_flags & t.mask == t.value)
            && self.fragment.is_none_or(|FragmentMatch::Later| p.fragment == Fragment::Later)
            && port(&self.lengths, Some(p.ip_len))
    }
}

/// What happens to packets that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Passed on; used by lists read from routers.
    Permit,
    /// Dropped.
    Discard,
    /// Passed up to this many packets a second, the rest dropped.
    LimitPps(u64),
    /// Passed up to this many bits a second, the rest dropped.
    LimitBps(u64),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// What it takes.
    pub matches: Match,
    /// What it does.
    pub action: Action,
}

/// Rules in order: the first that matches decides, and what matches none is permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleSet {
    /// The rules, in the order they are asked.
    pub rules: Vec<Rule>,
}

impl RuleSet {
    /// The index and action of the deciding rule; `None` where no rule matches.
    pub fn decide(&self, p: &PacketHeader) -> Option<(usize, Action)> {
        self.rules.iter().enumerate().find(|(_, r)| r.matches.matches(p)).map(|(i, r)| (i, r.action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(fragment: Fragment) -> PacketHeader {
        PacketHeader {
            src: "192.0.2.1".parse().unwrap(),
            dst: "198.51.100.9".parse().unwrap(),
            proto: 17,
            ports: (fragment != Fragment::Later).then_some((53, 4000)),
            tcp_flags: 0,
            icmp: 0,
            fragment,
            ip_len: 100,
            tos: 0,
            ttl: 60,
        }
    }

    #[test]
    fn ports_never_match_later_fragments() {
        let with_port = Match { proto: Some(17), src_ports: vec![PortRange::one(53)], ..Match::default() };
        assert!(with_port.matches(&packet(Fragment::Whole)));
        assert!(!with_port.matches(&packet(Fragment::Later)));
        let fragments = Match { proto: Some(17), fragment: Some(FragmentMatch::Later), ..Match::default() };
        assert!(fragments.matches(&packet(Fragment::Later)));
        assert!(!fragments.matches(&packet(Fragment::First)));
    }

    #[test]
    fn first_rule_decides() {
        let set = RuleSet {
            rules: vec![
                Rule { matches: Match { proto: Some(6), ..Match::default() }, action: Action::Discard },
                Rule { matches: Match::default(), action: Action::Permit },
            ],
        };
        assert_eq!(set.decide(&packet(Fragment::Whole)), Some((1, Action::Permit)));
        assert_eq!(RuleSet::default().decide(&packet(Fragment::Whole)), None);
    }
}
