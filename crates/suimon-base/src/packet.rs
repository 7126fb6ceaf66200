//! The header fields of one packet that filters and meters look at.

use crate::flow::{FlowRecord, Fragment};
use std::net::IpAddr;

/// Headers of one IP packet; no payload ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address; same family as `src`.
    pub dst: IpAddr,
    /// IP protocol number; for IPv6 the upper-layer one.
    pub proto: u8,
    /// Source and destination port; `None` for protocols without ports and for non-first fragments.
    pub ports: Option<(u16, u16)>,
    /// TCP flags, low octet; 0 where there are none.
    pub tcp_flags: u8,
    /// ICMP type × 256 + code; 0 where there is none.
    pub icmp: u16,
    /// Fragmentation.
    pub fragment: Fragment,
    /// Total length of the IP packet in octets.
    pub ip_len: u16,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
}

impl PacketHeader {
    /// The header that a single-packet flow record describes, for judging a flow by a rule.
    pub fn of_flow(flow: &FlowRecord) -> Self {
        let has_ports = matches!(flow.proto, 6 | 17 | 132 | 136) && flow.fragment != Fragment::Later;
        PacketHeader {
            src: flow.src,
            dst: flow.dst,
            proto: flow.proto,
            ports: has_ports.then_some((flow.src_port, flow.dst_port)),
            tcp_flags: flow.tcp_flags,
            icmp: flow.icmp,
            fragment: flow.fragment,
            ip_len: u16::try_from(flow.bytes / flow.packets.max(1)).unwrap_or(u16::MAX),
            tos: flow.tos,
            ttl: 0,
        }
    }
}
