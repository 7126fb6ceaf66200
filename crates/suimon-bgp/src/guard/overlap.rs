//! Whether two matches can take the same packet, and how much address space matches cover.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use suimon_base::{Match, PortRange};

/// Whether two prefixes share an address.
pub fn nets(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn any_nets(a: &[IpNet], b: &[IpNet]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| nets(x, y)))
}

fn any_ports(a: &[PortRange], b: &[PortRange]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| x.lo <= y.hi && y.lo <= x.hi))
}

/// Whether some packet fulfils both. Says yes where it is not sure.
pub fn matches(a: &Match, b: &Match) -> bool {
    let flags = match (a.tcp_flags, b.tcp_flags) {
        (Some(x), Some(y)) => (x.value ^ y.value) & x.mask & y.mask == 0,
        _ => true,
    };
    // A later fragment carries no ports; a condition on ports never takes one.
    let has_ports = |m: &Match| !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    let fragments = !(a.fragment.is_some() && has_ports(b) || b.fragment.is_some() && has_ports(a));
    any_nets(&a.dst, &b.dst)
        && any_nets(&a.src, &b.src)
        && (a.proto.is_none() || b.proto.is_none() || a.proto == b.proto)
        && any_ports(&a.dst_ports, &b.dst_ports)
        && any_ports(&a.src_ports, &b.src_ports)
        && any_ports(&a.lengths, &b.lengths)
        && flags
        && fragments
}

/// Address space that routes touch, each address once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// IPv4 addresses.
    pub v4: u64,
    /// IPv6 networks of /64; a smaller prefix counts as one.
    pub v6_64: u64,
}

/// Counts destinations.
pub fn covered(destinations: &[IpNet]) -> Covered {
    let v4: Vec<Ipv4Net> =
        destinations.iter().filter_map(|n| if let IpNet::V4(n) = n { Some(*n) } else { None }).collect();
    let v6: Vec<Ipv6Net> = destinations
        .iter()
        .filter_map(
            |n| if let IpNet::V6(n) = n { Ipv6Net::new(n.network(), n.prefix_len().min(64)).ok() } else { None },
        )
        .map(|n| n.trunc())
        .collect();
    Covered {
        v4: Ipv4Net::aggregate(&v4).iter().map(|n| 1u64 << (32 - n.prefix_len())).sum(),
        v6_64: Ipv6Net::aggregate(&v6)
            .iter()
            .map(|n| 1u64.checked_shl(u32::from(64 - n.prefix_len())).unwrap_or(u64::MAX))
            .fold(0, u64::saturating_add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use suimon_base::rule::{FragmentMatch, TcpFlags};

    fn net(text: &str) -> Vec<IpNet> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn matches_meet_where_every_field_does() {
        let dns = Match {
            src: net("192.0.2.53/32"),
            proto: Some(17),
            src_ports: vec![PortRange::one(53)],
            ..Match::default()
        };
        let wide = Match { dst: net("198.51.100.0/24"), ..Match::default() };
        assert!(matches(&dns, &wide));
        assert!(!matches(&dns, &Match { proto: Some(6), ..wide.clone() }));
        assert!(!matches(&dns, &Match { src_ports: vec![PortRange { lo: 54, hi: 99 }], ..wide.clone() }));
        assert!(!matches(&dns, &Match { src: net("203.0.113.0/24"), ..wide.clone() }));
        assert!(!matches(&dns, &Match { fragment: Some(FragmentMatch::Later), ..wide.clone() }));
        assert!(matches(&Match::default(), &Match::default()));
        let syn = Match { tcp_flags: Some(TcpFlags { mask: 2, value: 2 }), ..Match::default() };
        let no_syn = Match { tcp_flags: Some(TcpFlags { mask: 18, value: 16 }), ..Match::default() };
        assert!(!matches(&syn, &no_syn));
        assert!(!matches(&Match { dst: net("::/0"), ..Match::default() }, &wide));
    }

    #[test]
    fn space_is_counted_once() {
        let all: Vec<IpNet> =
            ["192.0.2.0/25", "192.0.2.0/24", "192.0.2.7/32", "2001:db8::1/128", "2001:db8::2/128", "2001:db8:1::/48"]
                .iter()
                .map(|t| t.parse().unwrap())
                .collect();
        assert_eq!(covered(&all), Covered { v4: 256, v6_64: 1 + 65_536 });
        assert_eq!(covered(&net("0.0.0.0/0")).v4, 1 << 32);
        assert_eq!(covered(&net("::/0")).v6_64, u64::MAX);
    }
}
