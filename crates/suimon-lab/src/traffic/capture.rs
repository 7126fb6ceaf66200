//! A capture as a source: looped at its own rate up to a length fixed beforehand.

use super::labels::Labels;
use super::legit::{Legit, LegitProfile};
use super::{Label, Merge, Packet, merge};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use suimon_base::{PacketHeader, Timestamp};

/// Connections of captures are numbered from here, apart from those of seeded traffic.
pub const FIRST_CONNECTION: u32 = 0x8000_0000;

/// A destination port takes part in [`Capture::hit_ports`] from this share of the attack's packets on.
pub const HIT_PORT_SHARE: f64 = 0.05;

/// Source, destination, protocol, ports.
type FiveTuple = (IpAddr, IpAddr, u8, (u16, u16));

#[derive(Clone, Copy, Debug)]
struct Item {
    offset_us: u64,
    header: PacketHeader,
    label: Label,
    /// Index of the connection within one turn of the loop, from 1; 0 is none.
    connection: u32,
    opens: bool,
}

/// Packets of a capture with their labels.
///
/// **Order and gaps.** Packets come in the order of the file, each at its own offset from the first one; a packet whose
/// time stamp lies before its predecessor's (cards with several queues write such files) comes at the predecessor's
/// time. So the disorder of packets stays as captured, gaps stay, and time never runs backwards for the router. One
/// turn of the loop lasts until the last packet plus the capture's mean gap, which keeps its rate.
#[derive(Clone, Debug)]
pub struct Capture {
    items: Vec<Item>,
    period_us: u64,
    connections: u32,
    labels: Labels,
    disordered: u64,
    decided: Vec<u64>,
}

impl Capture {
    /// A capture whose packets are told apart by `labels`; `None` without packets.
    pub fn new(packets: &[(Timestamp, PacketHeader)], labels: Labels) -> Option<Capture> {
        let first = packets.first()?.0.as_micros();
        let mut items = Vec::with_capacity(packets.len());
        // Number of each five-tuple, and whether its opening packet was seen.
        let mut numbers: HashMap<FiveTuple, (u32, bool)> = HashMap::new();
        let mut decided = vec![0; labels.rules.len()];
        let (mut latest, mut disordered) = (0, 0);
        for (at, header) in packets {
            let offset = u64::try_from(at.as_micros().saturating_sub(first)).unwrap_or(0);
            disordered += u64::from(offset < latest);
            latest = latest.max(offset);
            let (label, rule) = labels.judge(header);
            if let Some(n) = rule.and_then(|r| decided.get_mut(r)) {
                *n += 1;
            }
            let (mut connection, mut opens) = (0, false);
            if label == Label::Legitimate
                && let Some(ports) = header.ports
            {
                let next = numbers.len() as u32 + 1;
                let entry = numbers.entry((header.src, header.dst, header.proto, ports)).or_insert((next, false));
                // TCP opens with a SYN (or, towards a client, a SYN-ACK); what was open before the capture began
                // never opens. UDP opens with its first datagram.
                opens = !entry.1 && (header.proto != 6 || header.tcp_flags & 0x02 != 0);
                entry.1 |= opens;
                connection = entry.0;
            }
            items.push(Item { offset_us: latest, header: *header, label, connection, opens });
        }
        let mean_gap = latest / (items.len() as u64 - 1).max(1);
        Some(Capture {
            items,
            period_us: (latest + mean_gap).max(1),
            connections: numbers.len() as u32,
            labels,
            disordered,
            decided,
        })
    }

    /// How packets are told apart.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Packets that each label rule decided about.
    pub fn decided(&self) -> &[u64] {
        &self.decided
    }

    /// Packets of one turn: (attack, legitimate).
    pub fn counts(&self) -> (u64, u64) {
        let attack = self.items.iter().filter(|i| i.label == Label::Attack).count() as u64;
        (attack, self.items.len() as u64 - attack)
    }

    /// Length of one turn in microseconds.
    pub fn period_us(&self) -> u64 {
        self.period_us
    }

    /// Packets whose time stamp lies before an earlier packet's.
    pub fn disordered(&self) -> u64 {
        self.disordered
    }

    /// Packets a second at the capture's own rate.
    pub fn pps(&self) -> f64 {
        self.items.len() as f64 * 1e6 / self.period_us as f64
    }

    /// The (protocol, destination port) pairs that at least 5 % of the attack's packets go to, the most hit first; where
    /// the attack spreads over all ports, the one it hits most. Legitimate traffic is mixed in to these.
    pub fn hit_ports(&self) -> Vec<(u8, u16)> {
        let mut counts: BTreeMap<(u8, u16), u64> = BTreeMap::new();
        let mut total = 0_u64;
        for i in self.items.iter().filter(|i| i.label == Label::Attack) {
            total += 1;
            if let Some((_, dst)) = i.header.ports {
                *counts.entry((i.header.proto, dst)).or_default() += 1;
            }
        }
        let mut sorted: Vec<_> = counts.into_iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let enough = (total as f64 * HIT_PORT_SHARE).ceil() as u64;
        let many = sorted.iter().take_while(|s| s.1 >= enough).count().max(1);
        sorted.into_iter().take(many).map(|s| s.0).collect()
    }

    /// The packets of a drill: legitimate traffic to the victim's attacked ports throughout, the looped capture between
    /// `calm_ms` and `calm_ms + attack_ms`, and `tail_ms` more.
    pub fn mixed(&self, seed: u64, calm_ms: u64, attack_ms: u64, tail_ms: u64) -> Merge {
        let end_us = (calm_ms + attack_ms + tail_ms).saturating_mul(1_000);
        let profile = LegitProfile::towards(self.labels.victim, &self.hit_ports());
        let legit = Legit::new(profile, seed, 0, end_us, 1);
        merge(vec![Box::new(legit), Box::new(self.looped(calm_ms.saturating_mul(1_000), attack_ms))])
    }

    /// Loops the capture from `start_us` for `length_ms`, which is fixed here and not changed by anything later.
    pub fn looped(&self, start_us: u64, length_ms: u64) -> CaptureSource {
        let end_us = start_us.saturating_add(length_ms.saturating_mul(1_000));
        CaptureSource { capture: self.clone(), index: 0, turn: 0, start_us, end_us }
    }
}

/// The packets of a looping capture.
#[derive(Clone, Debug)]
pub struct CaptureSource {
    capture: Capture,
    index: usize,
    turn: u32,
    start_us: u64,
    end_us: u64,
}

impl Iterator for CaptureSource {
    type Item = Packet;
    fn next(&mut self) -> Option<Packet> {
        let item = match self.capture.items.get(self.index) {
            Some(item) => item,
            None => {
                self.index = 0;
                self.turn += 1;
                self.capture.items.first()?
            }
        };
        self.index += 1;
        let at_us = self.start_us + u64::from(self.turn) * self.capture.period_us + item.offset_us;
        if at_us >= self.end_us {
            return None;
        }
        let connection = match item.connection {
            0 => 0,
            // Each turn's connections are new ones. After 2³¹ the numbers begin again, as do a host's ports.
            n => {
                let number = self.turn.wrapping_mul(self.capture.connections).wrapping_add(n);
                FIRST_CONNECTION | (number & (FIRST_CONNECTION - 1))
            }
        };
        Some(Packet { at_us, header: item.header, label: item.label, connection, opens: item.opens })
    }
}
