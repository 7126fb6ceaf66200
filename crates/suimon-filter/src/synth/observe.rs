//! One kind of packet as it was seen, with its weight: what synthesis learns from.

use std::net::IpAddr;
use suimon_base::flow::{Fragment, present};
use suimon_base::{FlowRecord, Match, PacketHeader, Timestamp};

/// FIN, SYN, RST, PSH, ACK: the bits that tell a connection's phases.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// IP protocols with ports.
const PORTED: [u8; 4] = crate::boxes::PORT_PROTOS;

/// A packet or several alike. What the meter did not say is `None`; a rule about it is judged against the rule: unknown
/// attack packets are not taken by it, unknown legitimate ones are.
///
/// Addresses and ports are under the secrecy of communications: `Debug` prints a tag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub proto: u8,
    /// Whether it is a non-first fragment.
    pub later: bool,
    /// Source and destination port; `None` where not told. Meaningless for protocols without ports and for `later`.
    pub ports: Option<(u16, u16)>,
    /// TCP flags, low octet; `None` where not told.
    pub flags: Option<u8>,
    /// Total IP length in octets; `None` where only a sum over several packets is known.
    pub length: Option<u16>,
    /// Time to live; `None` in flow records.
    pub ttl: Option<u8>,
    /// ICMP type; `None` for other protocols and where not told.
    pub icmp_type: Option<u8>,
    /// When it was seen (the end, for several packets); `None` where not told.
    pub at: Option<Timestamp>,
    /// Packets that passed: exported packets × sampling rate.
    pub packets: u64,
    /// Sampling rate behind `packets`, at least 1.
    pub rate: u32,
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observation(<protected>)")
    }
}

impl Observation {
    /// Of one captured packet that stands for `rate` of them.
    pub fn of_packet(h: &PacketHeader, at: Timestamp, rate: u32) -> Observation {
        Observation {
            src: h.src,
            dst: h.dst,
            proto: h.proto,
            later: h.fragment == Fragment::Later,
            ports: h.ports,
            flags: Some(h.tcp_flags),
            length: Some(h.ip_len),
            ttl: Some(h.ttl),
            icmp_type: matches!(h.proto, 1 | 58).then_some((h.icmp >> 8) as u8),
            at: Some(at),
            packets: u64::from(rate.max(1)),
            rate: rate.max(1),
        }
    }

    /// Of one flow record; nothing for a record without addresses or packets.
    ///
    /// A record of several packets tells their average length and the union of their flags. So lengths stay unknown, and
    /// of a TCP record with SYN and ACK the packet that opened the connection is taken apart: an SYN-ACK where the lower
    /// port is the source's, else a SYN.
    pub fn of_flow(f: &FlowRecord) -> impl Iterator<Item = Observation> + use<> {
        let known = f.has(present::SRC) && f.has(present::DST) && f.packets > 0;
        let later = f.fragment == Fragment::Later;
        let flags = f.has(present::TCP_FLAGS).then_some(f.tcp_flags);
        let one = Observation {
            src: f.src,
            dst: f.dst,
            proto: f.proto,
            later,
            ports: (f.has(present::PORTS) && !later).then_some((f.src_port, f.dst_port)),
            flags,
            length: (f.packets == 1 && f.has(present::BYTES)).then(|| u16::try_from(f.bytes).unwrap_or(u16::MAX)),
            ttl: None,
            icmp_type: (f.has(present::ICMP) && matches!(f.proto, 1 | 58)).then_some((f.icmp >> 8) as u8),
            at: f.has(present::TIMES).then_some(f.end),
            packets: f.packets_estimated(),
            rate: f.sampling.rate.max(1),
        };
        let mixed = f.proto == 6 && f.packets > 1 && flags.is_some_and(|x| x & SYN != 0 && x & ACK != 0);
        let (first, rest) = if mixed {
            let opening = if f.src_port < f.dst_port { SYN | ACK } else { SYN };
            let rate = u64::from(one.rate);
            let first = Observation { flags: Some(opening), packets: rate, ..one };
            let rest = flags.map(|x| x & !SYN);
            (first, Some(Observation { flags: rest, packets: one.packets - rate.min(one.packets), ..one }))
        } else {
            (one, None)
        };
        known.then_some(first).into_iter().chain(rest.filter(|_| known))
    }

    /// Whether it opens a TCP connection.
    pub fn opens(&self) -> bool {
        self.proto == 6 && !self.later && self.flags.is_some_and(|f| f & (SYN | ACK) == SYN)
    }

    /// Whether the protocol and fragment have ports, told or not.
    pub(super) fn ported(&self) -> bool {
        !self.later && PORTED.contains(&self.proto)
    }

    /// Whether a match takes it; where that depends on something not told, `unknown`.
    pub fn taken(&self, m: &Match, unknown: bool) -> bool {
        let addr = |list: &[ipnet::IpNet], a: IpAddr| list.is_empty() || list.iter().any(|n| n.contains(&a));
        let within = |list: &[suimon_base::PortRange], p: Option<u16>| {
            list.is_empty() || p.map_or(unknown, |p| list.iter().any(|r| r.contains(p)))
        };
        let ports =
            |list: &[suimon_base::PortRange], p: Option<u16>| list.is_empty() || self.ported() && within(list, p);
        m.proto.is_none_or(|p| p == self.proto)
            && addr(&m.dst, self.dst)
            && addr(&m.src, self.src)
            && (m.fragment.is_none() || self.later)
            && ports(&m.src_ports, self.ports.map(|p| p.0))
            && ports(&m.dst_ports, self.ports.map(|p| p.1))
            && within(&m.lengths, self.length)
            && m.tcp_flags.is_none_or(|t| !self.later && self.flags.map_or(unknown, |f| f & t.mask == t.value))
    }

    /// A number from everything it says, the same on every machine; halves of the data are taken by its lowest bit.
    pub(super) fn hash(&self) -> u64 {
        let addr = |a: IpAddr| match a {
            IpAddr::V4(a) => u128::from(a.to_bits()),
            IpAddr::V6(a) => a.to_bits(),
        };
        let (s, d) = (addr(self.src), addr(self.dst));
        let ports = self.ports.unwrap_or_default();
        let small = u64::from(ports.0) << 48 | u64::from(ports.1) << 32 | u64::from(self.length.unwrap_or(0)) << 16;
        let tail = u64::from(self.flags.unwrap_or(0)) << 8 | u64::from(self.proto);
        let time = self.at.map_or(0, Timestamp::as_micros) as u64;
        [s as u64, (s >> 64) as u64, d as u64, (d >> 64) as u64, small | tail, time, self.packets].into_iter().fold(
            0x9e37_79b9_7f4a_7c15,
            |h, x| {
                // splitmix64's mixing function: each input bit reaches the lowest output bit.
                let mut z: u64 = (h ^ x).wrapping_add(0x9e37_79b9_7f4a_7c15);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            },
        )
    }
}
