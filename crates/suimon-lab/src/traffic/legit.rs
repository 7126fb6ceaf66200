//! Legitimate traffic towards a customer, made from a seed: what a measure must not harm.
//!
//! Only the direction towards the customer is made, as a boundary router sees it coming in. Arrivals are Poisson
//! processes. Clients do not react to drops: a connection whose opening packet was dropped still sends the rest, and
//! the judge counts it as lost once.

use super::{Label, Packet};
use crate::random::Random;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::PacketHeader;
use suimon_base::flow::Fragment;

/// Who receives what, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct LegitProfile {
    /// The customer's server.
    pub host: IpAddr,
    /// TCP ports that clients connect to, each as likely as the other.
    pub tcp_ports: Vec<u16>,
    /// New TCP connections a second; one is 15 to 20 packets on average.
    pub tcp_per_s: f64,
    /// UDP ports that clients talk to (QUIC on 443, a game, a voice server).
    pub udp_ports: Vec<u16>,
    /// New UDP conversations a second; one is 8 packets on average.
    pub udp_per_s: f64,
    /// The customer's resolver, which receives DNS answers from the Internet.
    pub resolver: IpAddr,
    /// DNS answers a second.
    pub dns_per_s: f64,
    /// NTP answers a second, to the host and the resolver in turn.
    pub ntp_per_s: f64,
    /// Echo requests a second to the host.
    pub ping_per_s: f64,
}

impl LegitProfile {
    /// A web server on ports 80 and 443 (TCP and QUIC) beside a resolver: about 1,200 packets a second.
    pub fn web(host: IpAddr, resolver: IpAddr) -> Self {
        LegitProfile {
            host,
            tcp_ports: vec![443, 443, 443, 80],
            tcp_per_s: 60.0,
            udp_ports: vec![443],
            udp_per_s: 15.0,
            resolver,
            dns_per_s: 60.0,
            ntp_per_s: 2.0,
            ping_per_s: 1.0,
        }
    }

    /// Traffic to the very host and ports that an attack hits, beside the usual web ports: for captures. The host looks
    /// names up itself, so DNS answers come to it as well.
    /// `ports` are (IP protocol, port) pairs; protocols other than TCP and UDP are passed over.
    pub fn towards(host: IpAddr, ports: &[(u8, u16)]) -> Self {
        let mut profile = LegitProfile::web(host, host);
        profile.dns_per_s = 2.0;
        let of = |proto: u8| ports.iter().filter(move |p| p.0 == proto).map(|p| p.1);
        if of(6).next().is_some() {
            // Half of the connections to the ports that are hit.
            profile.tcp_ports = vec![443, 80];
            profile.tcp_ports.extend(of(6));
        }
        if of(17).next().is_some() {
            profile.udp_ports = of(17).collect();
        }
        profile
    }

    /// Every rate times `factor`.
    pub fn scaled(mut self, factor: f64) -> Self {
        for rate in
            [&mut self.tcp_per_s, &mut self.udp_per_s, &mut self.dns_per_s, &mut self.ntp_per_s, &mut self.ping_per_s]
        {
            *rate *= factor;
        }
        self
    }
}

/// Where legitimate clients and servers are: the other half of the benchmark range, and a part of the documentation
/// prefix. Attack sources never come from here, except invented ones by chance.
const PEERS_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 19, 0, 0), 16);
const PEERS_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2001, 0xdb8, 0x4000, 0, 0, 0, 0, 0), 34);

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;
const FIN_ACK: u8 = 0x11;

/// The kinds of arrivals, one Poisson process each.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Udp,
    Dns,
    Ntp,
    Ping,
}

const KINDS: [Kind; 5] = [Kind::Tcp, Kind::Udp, Kind::Dns, Kind::Ntp, Kind::Ping];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    at_us: u64,
    order: u64,
    packet: Packet,
}

impl Ord for Event {
    /// The heap gives the largest: the earliest packet, and of two the one made first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.order).cmp(&(self.at_us, self.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Legitimate packets in order of time. No connection begins at or after the end; those under way are cut there.
#[derive(Clone, Debug)]
pub struct Legit {
    profile: LegitProfile,
    random: Random,
    end_us: u64,
    arrivals: [u64; KINDS.len()],
    ready: BinaryHeap<Event>,
    made: u64,
    next_connection: u32,
}

impl Legit {
    /// Traffic of `profile` from `start_us` to `end_us`. Connections are numbered from `first_connection`, which sources
    /// that are merged must choose apart; 0 is taken as 1.
    pub fn new(profile: LegitProfile, seed: u64, start_us: u64, end_us: u64, first_connection: u32) -> Self {
        let mut legit = Legit {
            profile,
            random: Random::new(seed, 1_000 + u64::from(first_connection)),
            end_us,
            arrivals: [start_us; KINDS.len()],
            ready: BinaryHeap::new(),
            made: 0,
            next_connection: first_connection.max(1),
        };
        for (i, kind) in KINDS.into_iter().enumerate() {
            let wait = legit.random.wait_us(legit.rate(kind));
            if let Some(at) = legit.arrivals.get_mut(i) {
                *at = start_us.saturating_add(wait);
            }
        }
        legit
    }

    fn rate(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Tcp if self.profile.tcp_ports.is_empty() => 0.0,
            Kind::Tcp => self.profile.tcp_per_s,
            Kind::Udp if self.profile.udp_ports.is_empty() => 0.0,
            Kind::Udp => self.profile.udp_per_s,
            Kind::Dns => self.profile.dns_per_s,
            Kind::Ntp => self.profile.ntp_per_s,
            Kind::Ping => self.profile.ping_per_s,
        }
    }

    fn base(&mut self, dst: IpAddr, proto: u8) -> PacketHeader {
        let src = match dst {
            IpAddr::V4(_) => IpAddr::V4(self.random.v4_in(PEERS_V4.0, PEERS_V4.1)),
            IpAddr::V6(_) => IpAddr::V6(self.random.v6_in(PEERS_V6.0, PEERS_V6.1)),
        };
        PacketHeader {
            src,
            dst,
            proto,
            ports: None,
            tcp_flags: 0,
            icmp: 0,
            fragment: Fragment::Whole,
            ip_len: 0,
            tos: 0,
            ttl: self.random.between(46, 60) as u8,
        }
    }

    /// `len` is what the packet would measure over IPv4; IPv6's header is 20 octets longer, but packets stay under 1,500.
    fn push(&mut self, at_us: u64, mut header: PacketHeader, flags: u8, len: u16, opens: bool) {
        header.tcp_flags = flags;
        header.ip_len = if header.dst.is_ipv6() { (len + 20).min(1_500) } else { len };
        let connection = self.next_connection;
        let packet = Packet { at_us, header, label: Label::Legitimate, connection, opens };
        self.ready.push(Event { at_us, order: self.made, packet });
        self.made += 1;
    }

    fn make(&mut self, kind: Kind, at_us: u64) {
        match kind {
            Kind::Tcp => self.make_tcp(at_us),
            Kind::Udp => self.make_udp(at_us),
            Kind::Dns => {
                let mut h = self.base(self.profile.resolver, 17);
                h.ports = Some((53, self.random.between(1_024, 65_535)));
                let len = if self.random.chance(5) { (600, 1_400) } else { (80, 400) };
                let len = self.random.between(len.0, len.1);
                self.push(at_us, h, 0, len, true);
            }
            Kind::Ntp => {
                let to = if self.random.chance(50) { self.profile.host } else { self.profile.resolver };
                let mut h = self.base(to, 17);
                h.ports = Some((123, 123));
                self.push(at_us, h, 0, 76, true);
            }
            Kind::Ping => {
                let v6 = self.profile.host.is_ipv6();
                let mut h = self.base(self.profile.host, if v6 { 58 } else { 1 });
                h.icmp = if v6 { 128 << 8 } else { 8 << 8 };
                self.push(at_us, h, 0, 84, true);
            }
        }
        self.next_connection = self.next_connection.wrapping_add(1).max(1);
    }

    fn pick(&mut self, ports: &[u16]) -> u16 {
        let i = self.random.below(ports.len() as u32) as usize;
        ports.get(i).copied().unwrap_or(0)
    }

    fn make_tcp(&mut self, at_us: u64) {
        let port = self.pick(&self.profile.tcp_ports.clone());
        let mut h = self.base(self.profile.host, 6);
        h.ports = Some((self.random.between(32_768, 65_535), port));
        // With time stamps (60-octet SYN, 52-octet ACK) or without (52 and 40): the two common kinds of clients.
        let (syn, ack) = if self.random.chance(60) { (60, 52) } else { (52, 40) };
        let rtt_us = u64::from(self.random.between(4, 160)) * 1_000;
        self.push(at_us, h, SYN, syn, true);
        let mut t = at_us + rtt_us;
        self.push(t, h, ACK, ack, false);
        for _ in 0..1 + self.random.below(3) {
            t += 500 + u64::from(self.random.below(2_000));
            if self.random.chance(3) {
                for _ in 0..10 + self.random.below(50) {
                    self.push(t, h, ACK, 1_500, false);
                    t += 1_000 + u64::from(self.random.below(500));
                }
            }
            let request = self.random.between(ack + 150, 1_400);
            self.push(t, h, PSH_ACK, request, false);
            t += rtt_us;
            for _ in 0..1 + self.random.below(10) {
                self.push(t, h, ACK, ack, false);
                t += 300 + u64::from(self.random.below(8_000));
            }
            t += u64::from(self.random.below(400)) * 1_000;
        }
        self.push(t, h, FIN_ACK, ack, false);
        self.push(t + rtt_us, h, ACK, ack, false);
    }

    fn make_udp(&mut self, at_us: u64) {
        let port = self.pick(&self.profile.udp_ports.clone());
        let mut h = self.base(self.profile.host, 17);
        h.ports = Some((self.random.between(32_768, 65_535), port));
        let rtt_us = u64::from(self.random.between(4, 160)) * 1_000;
        // RFC 9000 §14.1: a client's first datagram has at least 1,200 octets of payload.
        let first = if port == 443 { 1_228 } else { self.random.between(60, 300) };
        self.push(at_us, h, 0, first, true);
        let mut t = at_us + rtt_us;
        for _ in 0..1 + self.random.below(13) {
            let len = self.random.between(60, 260);
            self.push(t, h, 0, len, false);
            t += 1_000 + u64::from(self.random.below(60_000));
        }
    }
}

impl Iterator for Legit {
    type Item = Packet;
    fn next(&mut self) -> Option<Packet> {
        loop {
            let due = self.ready.peek().map_or(u64::MAX, |e| e.at_us);
            let (i, at) = self.arrivals.iter().copied().enumerate().min_by_key(|a| a.1)?;
            if at <= due && at < self.end_us {
                let kind = *KINDS.get(i)?;
                self.make(kind, at);
                let wait = self.random.wait_us(self.rate(kind));
                *self.arrivals.get_mut(i)? = at.saturating_add(wait);
                continue;
            }
            return self.ready.pop().map(|e| e.packet).filter(|p| p.at_us < self.end_us);
        }
    }
}
