//! Attack traffic of one vector, made from a seed.

use super::{Label, Packet};
use crate::random::Random;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::PacketHeader;
use suimon_base::flow::Fragment;

/// How the packets of one part of an attack look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Answers of open servers to requests sent in the victim's name: one source port, real sources.
    Reflection {
        /// Port of the abused service.
        src_port: u16,
        /// How many servers answer.
        reflectors: u16,
        /// Octets of an answer's IP packet, smallest and largest; of its last fragment where there are fragments.
        len: (u16, u16),
        /// Later fragments of 1,500 octets and less that follow each answer's first one.
        fragments: u8,
    },
    /// SYN with invented sources.
    Syn {
        /// Where to.
        dst_port: u16,
        /// IP packet length: 40 carries no options, as a crude tool sends; 60 looks like a real system.
        len: u16,
    },
    /// ACK with invented sources and ports.
    Ack {
        /// Where to.
        dst_port: u16,
    },
    /// UDP to one port from a bot net's true addresses.
    Udp {
        /// Where to.
        dst_port: u16,
        /// How many bots.
        bots: u16,
        /// Octets of an IP packet, smallest and largest.
        len: (u16, u16),
    },
    /// ICMP echo requests from true addresses.
    Icmp {
        /// How many bots.
        bots: u16,
    },
    /// GRE packets from true addresses.
    Gre {
        /// How many bots.
        bots: u16,
    },
}

/// One vector of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it looks like.
    pub shape: Shape,
    /// Packets a second once it has grown to its full rate.
    pub pps: u32,
    /// Where to: one address or, for carpet bombing, a whole prefix.
    pub target: IpNet,
    /// When it begins, in milliseconds after the attack's start.
    pub after_ms: u64,
}

/// Time in which a part grows to its full rate, milliseconds.
pub const RAMP_MS: u64 = 500;

/// Addresses of servers that reflect and of bots: half of the range set aside for benchmarks (RFC 2544, RFC 6890), and
/// a part of the documentation prefix (RFC 3849), so that no real network is shown as an attacker.
pub(crate) const REFLECTORS_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 16);
pub(crate) const REFLECTORS_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2001, 0xdb8, 0x8000, 0, 0, 0, 0, 0), 33);

/// The packets of one part, in order of time.
#[derive(Clone, Debug)]
pub struct AttackSource {
    random: Random,
    part: Part,
    from_us: u64,
    end_us: u64,
    at_us: u64,
    pool: Vec<IpAddr>,
    /// Fragments still to come of the answer under way.
    pending: Option<(PacketHeader, u8, u16)>,
}

impl AttackSource {
    /// `part` between `start_us` (start of the whole attack) and `end_us`.
    pub fn new(part: Part, seed: u64, stream: u64, start_us: u64, end_us: u64) -> Self {
        let mut random = Random::new(seed, stream);
        let v6 = part.target.addr().is_ipv6();
        let count = match part.shape {
            Shape::Reflection { reflectors, .. } => reflectors,
            Shape::Udp { bots, .. } | Shape::Icmp { bots } | Shape::Gre { bots } => bots,
            Shape::Syn { .. } | Shape::Ack { .. } => 0,
        };
        let pool = (0..count)
            .map(|_| {
                if v6 {
                    IpAddr::V6(random.v6_in(REFLECTORS_V6.0, REFLECTORS_V6.1))
                } else {
                    IpAddr::V4(random.v4_in(REFLECTORS_V4.0, REFLECTORS_V4.1))
                }
            })
            .collect();
        let from_us = start_us + part.after_ms * 1_000;
        AttackSource { random, part, from_us, end_us, at_us: from_us, pool, pending: None }
    }

    fn pooled(&mut self) -> IpAddr {
        let n = self.pool.len() as u32;
        let i = self.random.below(n) as usize;
        self.pool.get(i).copied().unwrap_or_else(|| self.part.target.addr())
    }

    fn destination(&mut self) -> IpAddr {
        match self.part.target {
            IpNet::V4(n) => IpAddr::V4(self.random.v4_in(n.addr(), n.prefix_len())),
            IpNet::V6(n) => {
                // Within a prefix the low 16 bits vary: an attacker aims at addresses in use.
                let fixed = n.prefix_len().max(if n.prefix_len() == 128 { 128 } else { 112 });
                IpAddr::V6(self.random.v6_in(n.addr(), fixed))
            }
        }
    }

    fn header(&mut self) -> PacketHeader {
        let dst = self.destination();
        let v6 = dst.is_ipv6();
        let mut h = PacketHeader {
            src: dst,
            dst,
            proto: 17,
            ports: None,
            tcp_flags: 0,
            icmp: 0,
            fragment: Fragment::Whole,
            ip_len: 0,
            tos: 0,
            ttl: self.random.between(44, 58) as u8,
        };
        let high_port = self.random.between(1024, 65_535);
        match self.part.shape {
            Shape::Reflection { src_port, len, fragments, .. } => {
                h.src = self.pooled();
                h.ports = Some((src_port, high_port));
                let last = self.random.between(len.0, len.1);
                h.ip_len = last;
                if fragments > 0 {
                    h.ip_len = 1_500;
                    h.fragment = Fragment::First;
                    self.pending = Some((h, fragments, last));
                }
            }
            Shape::Syn { dst_port, len } => {
                h.src = self.random.spoofed(v6);
                h.proto = 6;
                h.tcp_flags = 0x02;
                h.ports = Some((high_port, dst_port));
                h.ip_len = len + if v6 { 20 } else { 0 };
                h.ttl = 240 + (high_port % 8) as u8;
            }
            Shape::Ack { dst_port } => {
                h.src = self.random.spoofed(v6);
                h.proto = 6;
                h.tcp_flags = 0x10;
                h.ports = Some((high_port, dst_port));
                h.ip_len = if v6 { 60 } else { 40 };
                h.ttl = 240 + (high_port % 8) as u8;
            }
            Shape::Udp { dst_port, len, .. } => {
                h.src = self.pooled();
                h.ports = Some((high_port, dst_port));
                h.ip_len = self.random.between(len.0, len.1);
            }
            Shape::Icmp { .. } => {
                h.src = self.pooled();
                h.proto = if v6 { 58 } else { 1 };
                h.icmp = if v6 { 128 << 8 } else { 8 << 8 };
                h.ip_len = 1_052;
            }
            Shape::Gre { .. } => {
                h.src = self.pooled();
                h.proto = 47;
                h.ip_len = self.random.between(540, 560);
            }
        }
        h
    }

    fn next_header(&mut self) -> PacketHeader {
        let Some((first, left, last)) = self.pending.take() else { return self.header() };
        let mut later = first;
        later.fragment = Fragment::Later;
        later.ports = None;
        later.ip_len = if left > 1 { 1_500 } else { last };
        if left > 1 {
            self.pending = Some((first, left - 1, last));
        }
        later
    }
}

impl Iterator for AttackSource {
    type Item = Packet;
    fn next(&mut self) -> Option<Packet> {
        let age_us = self.at_us - self.from_us;
        let grown = ((age_us + 20_000) as f64 / (RAMP_MS * 1_000) as f64).min(1.0);
        self.at_us += self.random.wait_us(f64::from(self.part.pps) * grown);
        if self.at_us >= self.end_us {
            return None;
        }
        let header = self.next_header();
        Some(Packet { at_us: self.at_us, header, label: Label::Attack, connection: 0, opens: false })
    }
}
