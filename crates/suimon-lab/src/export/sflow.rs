//! sFlow version 5 datagrams (sflow.org, July 2004) with flow samples of raw packet headers.

use super::netflow::LATER_OFFSET;
use super::{ExporterConfig, ExporterStats, MAX_DATAGRAM_OCTETS, Put, SFLOW_WAIT_MS};
use std::net::IpAddr;
use suimon_base::PacketHeader;
use suimon_base::flow::Fragment;

/// Output interface of a dropped packet: format 1 with the reason "ACL" (258; sFlow drop notification codes).
const OUTPUT_DROPPED_ACL: u32 = (1 << 30) | 258;

/// Octets of Ethernet header and of the frame check that is stripped.
const ETHERNET: u32 = 14;
const FRAME_CHECK: u32 = 4;

/// Options of a SYN as common systems send them, 12 and 20 octets: largest segment, window scale, selective acknowledgement,
/// time stamps.
const OPTIONS_12: [u8; 12] = [2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
const OPTIONS_20: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];

/// Octets of an Ethernet, IPv6, fragment and 60-octet TCP header together, in a sample.
const LARGEST_SAMPLE: usize = 40 + 24 + 120;

#[derive(Debug)]
pub(super) struct Sflow {
    agent: IpAddr,
    domain: u32,
    sampling: u32,
    customer_if: u32,
    sequence: u32,
    /// Per uplink (index 0 unused): packets that passed by, samples taken.
    sources: Vec<(u32, u32)>,
    draft: Vec<u8>,
    samples: u32,
    /// Arrival times of the samples in the draft: the first, and the sum.
    waiting: Vec<u64>,
    full: Vec<(Vec<u8>, u32, Vec<u64>)>,
}

impl Sflow {
    pub(super) fn new(config: &ExporterConfig) -> Self {
        Sflow {
            agent: config.agent,
            domain: config.domain,
            sampling: config.sampling,
            customer_if: config.customer_if,
            sequence: 0,
            sources: vec![(0, 0); config.uplinks as usize + 1],
            draft: Vec::new(),
            samples: 0,
            waiting: Vec::new(),
            full: Vec::new(),
        }
    }

    /// A packet passes by the interface, looked at or not.
    pub(super) fn pass(&mut self, in_if: u32) {
        if let Some(source) = self.sources.get_mut(in_if as usize) {
            source.0 = source.0.wrapping_add(1);
        }
    }

    pub(super) fn add(&mut self, at_us: u64, header: &PacketHeader, in_if: u32, forwarded: bool) {
        let (pool, sequence) = match self.sources.get_mut(in_if as usize) {
            Some(source) => {
                source.1 = source.1.wrapping_add(1);
                *source
            }
            None => (0, 0),
        };
        let out = &mut self.draft;
        out.u32(1); // flow sample
        let length_at = out.len();
        out.u32(0);
        out.u32(sequence);
        out.u32(in_if); // source id: type 0 (ifIndex)
        out.u32(self.sampling);
        out.u32(pool);
        out.u32(0); // samples dropped for lack of resources
        out.u32(in_if);
        out.u32(if forwarded { self.customer_if } else { OUTPUT_DROPPED_ACL });
        out.u32(1); // one record: raw packet header
        out.u32(1);
        let record_at = out.len();
        out.u32(0);
        out.u32(1); // Ethernet
        out.u32(u32::from(header.ip_len) + ETHERNET + FRAME_CHECK);
        out.u32(FRAME_CHECK);
        let size_at = out.len();
        out.u32(0);
        put_frame(out, header);
        let size = out.len() - size_at - 4;
        while !out.len().is_multiple_of(4) {
            out.push(0);
        }
        let (sample, record) = (out.len() - length_at - 4, out.len() - record_at - 4);
        for (at, value) in [(length_at, sample), (record_at, record), (size_at, size)] {
            out.set_u16(at + 2, value as u16);
        }
        self.samples += 1;
        self.waiting.push(at_us);
        if self.draft.len() + LARGEST_SAMPLE > MAX_DATAGRAM_OCTETS - 40 {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.samples > 0 {
            let body = std::mem::take(&mut self.draft);
            self.full.push((body, std::mem::take(&mut self.samples), std::mem::take(&mut self.waiting)));
        }
    }

    /// Full datagrams, and the one under way where its first sample has waited long enough or `all` is set.
    pub(super) fn take(&mut self, at_us: u64, all: bool, stats: &mut ExporterStats) -> Vec<Vec<u8>> {
        let oldest = self.waiting.first().copied().unwrap_or(at_us);
        if all || at_us.saturating_sub(oldest) >= SFLOW_WAIT_MS * 1_000 {
            self.close();
        }
        let mut out = Vec::with_capacity(self.full.len());
        for (body, samples, times) in std::mem::take(&mut self.full) {
            let mut datagram = Vec::with_capacity(body.len() + 40);
            datagram.u32(5);
            datagram.u32(if self.agent.is_ipv6() { 2 } else { 1 });
            datagram.addr(self.agent);
            datagram.u32(self.domain);
            self.sequence = self.sequence.wrapping_add(1);
            datagram.u32(self.sequence);
            datagram.u32((at_us / 1_000) as u32);
            datagram.u32(samples);
            datagram.extend_from_slice(&body);
            out.push(datagram);
            for t in times {
                stats.tell(at_us, 1, t, t);
            }
        }
        out
    }
}

/// The packet's first octets as a card sees them; the payload begins after them and is not sampled.
fn put_frame(out: &mut Vec<u8>, h: &PacketHeader) {
    // Locally administered addresses of the model router and its neighbour.
    out.extend_from_slice(&[0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2]);
    let fragment = match h.fragment {
        Fragment::Later => (LATER_OFFSET, false),
        Fragment::First => (0, true),
        Fragment::Whole | Fragment::Unknown => (0, false),
    };
    let ip_octets = if h.src.is_ipv6() { put_ipv6(out, h, fragment) } else { put_ipv4(out, h, fragment) };
    if h.fragment == Fragment::Later {
        return;
    }
    let payload = h.ip_len.saturating_sub(ip_octets);
    let (src, dst) = h.ports.unwrap_or_default();
    match h.proto {
        6 => put_tcp(out, (src, dst), h.tcp_flags, payload),
        17 => {
            out.u16(src);
            out.u16(dst);
            out.u16(payload);
            out.u16(0);
        }
        1 | 58 => {
            out.u16(h.icmp);
            out.u16(0);
            out.u32(0);
        }
        132 | 136 => {
            out.u16(src);
            out.u16(dst);
            out.u32(0);
        }
        _ => {}
    }
}

fn put_ipv4(out: &mut Vec<u8>, h: &PacketHeader, (offset, more): (u16, bool)) -> u16 {
    out.u16(0x0800);
    let start = out.len();
    out.u8(0x45);
    out.u8(h.tos);
    out.u16(h.ip_len);
    out.u16(0);
    out.u16(offset | if more { 0x2000 } else { 0 });
    out.u8(h.ttl);
    out.u8(h.proto);
    out.u16(0);
    out.addr(h.src);
    out.addr(h.dst);
    // RFC 1071.
    let words = out.get(start..).unwrap_or_default().chunks_exact(2);
    let sum: u32 = words.map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    out.set_u16(start + 10, !(folded as u16));
    20
}

fn put_ipv6(out: &mut Vec<u8>, h: &PacketHeader, (offset, more): (u16, bool)) -> u16 {
    out.u16(0x86dd);
    let fragmented = offset != 0 || more;
    out.u32((6 << 28) | (u32::from(h.tos) << 20));
    out.u16(h.ip_len.saturating_sub(40));
    out.u8(if fragmented { 44 } else { h.proto });
    out.u8(h.ttl);
    out.addr(h.src);
    out.addr(h.dst);
    if !fragmented {
        return 40;
    }
    out.u8(h.proto);
    out.u8(0);
    out.u16((offset << 3) | u16::from(more));
    out.u32(0);
    48
}

fn put_tcp(out: &mut Vec<u8>, (src, dst): (u16, u16), flags: u8, payload: u16) {
    // A SYN carries options and no data: its header is all the packet has left.
    let header = if flags & 0x02 != 0 { payload.clamp(20, 60) / 4 * 4 } else { 20 };
    out.u16(src);
    out.u16(dst);
    out.u32(1);
    out.u32(0);
    out.u8(((header / 4) << 4) as u8);
    out.u8(flags);
    out.u16(65_535);
    out.u32(0);
    let end = out.len() + usize::from(header - 20);
    out.extend_from_slice(match header - 20 {
        20 => &OPTIONS_20,
        12 => &OPTIONS_12,
        _ => &[],
    });
    // Other lengths: end of options.
    out.resize(end, 0);
}
