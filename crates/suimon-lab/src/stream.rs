//! A stream of NetFlow v9 datagrams for benchmarks of collectors: made beforehand, stamped at sending.
//!
//! ```
//! use suimon_lab::stream::{Netflow9Stream, stamp};
//! use suimon_base::Timestamp;
//!
//! let mut stream = Netflow9Stream::new(65_536, 30);
//! let mut datagrams: Vec<Vec<u8>> = stream.by_ref().take(100).collect();
//! for (n, d) in datagrams.iter_mut().enumerate() {
//!     stamp(d, n as u32, Timestamp::from_secs(1_800_000_000), 60_000);
//! }
//! ```

use crate::export::MAX_DATAGRAM_OCTETS;
use crate::random::Random;
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::Timestamp;

/// Fields of the template: IANA element and octets, 46 octets in all, as common routers send.
const FIELDS: [(u16, u16); 14] = [
    (8, 4),  // source address
    (12, 4), // destination address
    (1, 4),  // octets
    (2, 4),  // packets
    (22, 4), // first packet, milliseconds of uptime
    (21, 4), // last packet
    (10, 4), // input interface
    (14, 4), // output interface
    (7, 2),  // source port
    (11, 2), // destination port
    (16, 4), // source AS
    (17, 4), // destination AS
    (4, 1),  // protocol
    (6, 1),  // TCP flags
];

/// Octets of a record.
pub const RECORD_OCTETS: usize = 46;

/// Where the first packet's uptime stands in a record; the last packet's follows.
const TIMES_AT: usize = 16;

/// Octets of header and of a set's header.
const HEADER: usize = 20;
const SET_HEADER: usize = 4;

const TEMPLATE: u16 = 300;

/// A template comes first and after every so many datagrams of data: once a second at 300,000 flows/s.
pub const TEMPLATE_EVERY: u32 = 10_000;

/// Most records in a datagram of at most 1,400 octets, and a little more: 30 make 1,404 octets.
pub const MAX_RECORDS: usize = MAX_DATAGRAM_OCTETS / RECORD_OCTETS;

/// The addresses that count as the operator's own: the first half of the range for benchmarks (RFC 2544).
pub const OWN_NET: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 16);
const PEER_NET: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 19, 0, 0), 16);

/// Endless datagrams of one exporter: the template first, then data, the template again every [`TEMPLATE_EVERY`]. Each
/// data record goes to the next of the active hosts. Every datagram must be [`stamp`]ed before it is sent.
#[derive(Clone, Debug)]
pub struct Netflow9Stream {
    random: Random,
    hosts: u32,
    next_host: u32,
    records: usize,
    sent: u32,
}

impl Netflow9Stream {
    /// `active_hosts` (1 to 65,536) addresses of [`OWN_NET`] in turn, `records_per_datagram` (1 to
    /// [`MAX_RECORDS`]) records; values outside are taken to the nearest bound.
    pub fn new(active_hosts: u32, records_per_datagram: usize) -> Self {
        Netflow9Stream {
            random: Random::new(9, 0),
            hosts: active_hosts.clamp(1, 65_536),
            next_host: 0,
            records: records_per_datagram.clamp(1, MAX_RECORDS),
            sent: 0,
        }
    }

    /// The datagram that holds only the template.
    pub fn template() -> Vec<u8> {
        let mut d = header(1);
        let length = SET_HEADER + 4 + FIELDS.len() * 4;
        for v in [0, length as u16, TEMPLATE, FIELDS.len() as u16] {
            d.extend_from_slice(&v.to_be_bytes());
        }
        for (id, len) in FIELDS {
            d.extend_from_slice(&id.to_be_bytes());
            d.extend_from_slice(&len.to_be_bytes());
        }
        d
    }

    fn data(&mut self) -> Vec<u8> {
        let mut d = header(self.records as u16);
        let body = self.records * RECORD_OCTETS;
        let padding = (4 - body % 4) % 4;
        d.extend_from_slice(&TEMPLATE.to_be_bytes());
        d.extend_from_slice(&((SET_HEADER + body + padding) as u16).to_be_bytes());
        for _ in 0..self.records {
            self.record(&mut d);
        }
        d.resize(d.len() + padding, 0);
        d
    }

    fn record(&mut self, d: &mut Vec<u8>) {
        let src = self.random.v4_in(PEER_NET.0, PEER_NET.1);
        let dst = Ipv4Addr::from_bits(OWN_NET.0.to_bits() + self.next_host);
        self.next_host = (self.next_host + 1) % self.hosts;
        let packets = u32::from(self.random.between(1, 20));
        let octets = packets * u32::from(self.random.between(60, 1_400));
        let tcp = self.random.chance(70);
        d.extend_from_slice(&src.octets());
        d.extend_from_slice(&dst.octets());
        for v in [octets, packets, 0, 0, 1 + self.random.below(3), 100] {
            d.extend_from_slice(&v.to_be_bytes());
        }
        d.extend_from_slice(&self.random.between(1_024, 65_535).to_be_bytes());
        d.extend_from_slice(&443_u16.to_be_bytes());
        for asn in [64_496 + self.random.below(8), 64_511] {
            d.extend_from_slice(&asn.to_be_bytes());
        }
        d.extend_from_slice(if tcp { &[6, 0x18] } else { &[17, 0] });
    }
}

impl Iterator for Netflow9Stream {
    type Item = Vec<u8>;
    fn next(&mut self) -> Option<Vec<u8>> {
        let n = self.sent;
        self.sent = self.sent.wrapping_add(1);
        Some(if n.is_multiple_of(TEMPLATE_EVERY + 1) { Netflow9Stream::template() } else { self.data() })
    }
}

fn header(count: u16) -> Vec<u8> {
    let mut d = Vec::with_capacity(MAX_DATAGRAM_OCTETS);
    d.extend_from_slice(&9_u16.to_be_bytes());
    d.extend_from_slice(&count.to_be_bytes());
    d.resize(HEADER, 0);
    d
}

/// Writes sequence number, wall time and uptime into a datagram of a [`Netflow9Stream`], and its flows' times: they last
/// from one second before the uptime to the uptime. Other octets are left alone.
pub fn stamp(datagram: &mut [u8], sequence: u32, now: Timestamp, uptime_ms: u32) {
    let seconds = u32::try_from(now.as_secs()).unwrap_or(0);
    put(datagram, 4, uptime_ms);
    put(datagram, 8, seconds);
    put(datagram, 12, sequence);
    if datagram.get(HEADER..HEADER + 2) != Some(&TEMPLATE.to_be_bytes()) {
        return;
    }
    let mut at = HEADER + SET_HEADER;
    while at + RECORD_OCTETS <= datagram.len() {
        put(datagram, at + TIMES_AT, uptime_ms.saturating_sub(1_000));
        put(datagram, at + TIMES_AT + 4, uptime_ms);
        at += RECORD_OCTETS;
    }
}

fn put(datagram: &mut [u8], at: usize, value: u32) {
    if let Some(place) = datagram.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Whether the address is one of [`OWN_NET`].
pub fn is_own(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V4(a) if a.octets().starts_with(&[198, 18]))
}
