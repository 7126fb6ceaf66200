//! sFlow version 5 (sflow.org, *sFlow Version 5*, July 2004; *sFlow Dropped Packet Notification Structures*, 2020).

use crate::DecodeError;
use crate::exporter::Exporter;
use crate::limits::SFLOW_SAMPLES;
use crate::packet::{LinkType, Parsed, parse};
use crate::session::{BATCH, Out, Scratch, header_sampling};
use crate::summary::Summary;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::flow::{FlowRecord, Forwarding, Fragment, Sampling, SamplingSource, present};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) sub_agent: u32,
    pub(crate) domain_offset: usize,
    sequence: u32,
    samples: u32,
    len: usize,
}

impl Header {
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, DecodeError> {
        let mut view = View { bytes, at: 4, error: None };
        view.header().ok_or_else(|| {
            let fallback = DecodeError::Truncated { offset: 0, needed: 28, available: bytes.len() };
            view.error.unwrap_or(fallback)
        })
    }
}

/// What kind of flow sample is read: they differ in the width of a few fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compact,
    Expanded,
    Discarded,
}

/// Octets of a datagram up to some end, read from the front. The way of success carries no error around: it is the inner
/// loop. What went wrong is left in `error`.
struct View<'a> {
    bytes: &'a [u8],
    at: usize,
    error: Option<DecodeError>,
}

impl<'a> View<'a> {
    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline(always)]
    fn words<const N: usize, const OCTETS: usize>(&mut self) -> Option<[u32; N]> {
        const { assert!(N * 4 == OCTETS) };
        let Some(raw) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<OCTETS>()) else {
            return self.cut(OCTETS);
        };
        self.at += OCTETS;
        let mut words = [0; N];
        for (word, raw) in words.iter_mut().zip(raw.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*raw);
        }
        Some(words)
    }

    #[inline(always)]
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..n)) {
            Some(taken) => {
                self.at += n;
                Some(taken)
            }
            None => self.cut(n),
        }
    }

    #[inline(always)]
    fn header(&mut self) -> Option<Header> {
        match self.words::<1, 4>()? {
            [1] => {
                self.take(4)?;
            }
            [2] => {
                self.take(16)?;
            }
            [kind] => {
                let error = DecodeError::BadCount { offset: 4, what: "agent address type", count: kind as usize };
                return self.fail(error);
            }
        }
        let domain_offset = self.at;
        let [sub_agent, sequence, _uptime, samples] = self.words::<4, 16>()?;
        Some(Header { sub_agent, domain_offset, sequence, samples, len: self.at })
    }

    fn address(&mut self, v6: bool) -> Option<IpAddr> {
        if v6 {
            let raw = self.take(16)?.first_chunk::<16>()?;
            Some(IpAddr::V6(Ipv6Addr::from(*raw)))
        } else {
            let raw = self.take(4)?.first_chunk::<4>()?;
            Some(IpAddr::V4(Ipv4Addr::from(*raw)))
        }
    }

    #[cold]
    fn cut<T>(&mut self, needed: usize) -> Option<T> {
        self.fail(DecodeError::Truncated { offset: self.at, needed, available: self.left() })
    }

    #[cold]
    fn fail<T>(&mut self, error: DecodeError) -> Option<T> {
        self.error.get_or_insert(error);
        None
    }
}

/// Decodes all samples of a datagram. A sample that lies about its length ends it; the flows before are kept.
pub(crate) fn samples(
    header: &Header,
    bytes: &[u8],
    config: Option<u32>,
    scratch: &mut Scratch,
    exporter: &mut Exporter,
    summary: &mut Summary,
    out: &mut Out<'_>,
) {
    let counters = &mut exporter.counters;
    counters.datagrams += 1;
    exporter.sequence.note(header.sequence, Some(1), counters);
    let promised = header.samples as usize;
    if promised > SFLOW_SAMPLES {
        summary.fault(DecodeError::BadCount { offset: header.len - 4, what: "sample", count: promised });
    }
    let mut view = View { bytes, at: header.len, error: None };
    let mut filled = 0;
    for _ in 0..promised.min(SFLOW_SAMPLES) {
        let Some([format, len]) = view.words::<2, 8>() else { break };
        let start = view.at;
        if view.take(len as usize).is_none() {
            break;
        }
        let kind = match format {
            1 => Kind::Compact,
            3 => Kind::Expanded,
            5 => Kind::Discarded,
            2 | 4 => {
                counters.counter_samples += 1;
                continue;
            }
            _ => {
                counters.unknown_samples += 1;
                continue;
            }
        };
        let mut body = View { bytes: bytes.get(..view.at).unwrap_or_default(), at: start, error: None };
        let record = &mut scratch.records[filled];
        if flow(kind, &mut body, config, record, &mut counters.agent_drops).is_none() {
            // Its length is to be trusted still, so the next sample can be read.
            body.error.into_iter().for_each(|error| summary.fault(error));
            continue;
        }
        counters.samples_without_ip += u64::from(!record.has(present::DST));
        filled += 1;
        if filled == BATCH {
            out(&scratch.records);
            summary.flows += filled as u32;
            filled = 0;
        }
    }
    out(&scratch.records[..filled]);
    summary.flows += filled as u32;
    view.error.into_iter().for_each(|error| summary.fault(error));
    counters.flows += u64::from(summary.flows);
    counters.malformed += u64::from(summary.malformed);
}

/// An interface number is the agent itself or not known.
fn index(value: u32) -> u32 {
    if value == 0x3fff_ffff || value == u32::MAX { 0 } else { value }
}

#[inline(always)]
fn flow(kind: Kind, view: &mut View<'_>, config: Option<u32>, record: &mut FlowRecord, drops: &mut u64) -> Option<()> {
    *record = FlowRecord { packets: 1, ..FlowRecord::default() };
    // Kept in a register until the end: to write it as 16 bits and read it as 32 stalls for longer than all the rest.
    let mut bits = present::PACKETS | present::IFS;
    let (output_format, output) = match kind {
        Kind::Compact => {
            let [_seq, _source, rate, _pool, dropped, input, output, _] = view.words::<8, 32>()?;
            record.sampling = header_sampling(rate, config);
            record.in_if = index(input & 0x3fff_ffff);
            *drops = u64::from(dropped);
            (output >> 30, output & 0x3fff_ffff)
        }
        Kind::Expanded => {
            let [_seq, _type, _source, rate, _pool, dropped, _in_format, input, format, output, _] =
                view.words::<11, 44>()?;
            record.sampling = header_sampling(rate, config);
            record.in_if = index(input);
            *drops = u64::from(dropped);
            (format, output)
        }
        Kind::Discarded => {
            let [_seq, _class, _source, dropped, input, output, _reason, _] = view.words::<8, 32>()?;
            // Notifications are not sampled: each is one packet, and `drops` those that were not told.
            record.sampling = Sampling { rate: 1, source: SamplingSource::Header };
            record.in_if = index(input);
            *drops = u64::from(dropped);
            record.forwarding = Forwarding::Dropped;
            (0, output)
        }
    };
    match output_format {
        0 => {
            record.out_if = index(output);
            if output == 0x3fff_ffff && kind != Kind::Discarded {
                record.forwarding = Forwarding::Consumed;
            }
        }
        1 => record.forwarding = Forwarding::Dropped,
        _ => {} // to several interfaces: the value is their number
    }
    // The count of records is not needed: the sample's length tells.
    while view.left() >= 8 {
        let [format, len] = view.words::<2, 8>()?;
        let start = view.at;
        view.take(len as usize)?;
        let mut body = View { bytes: view.bytes.get(..view.at).unwrap_or_default(), at: start, error: None };
        let read = match format {
            1 => raw_header(&mut body, record, &mut bits),
            2 => ethernet(&mut body, record, &mut bits),
            3 => ip(&mut body, false, record, &mut bits),
            4 => ip(&mut body, true, record, &mut bits),
            1001 => extended_switch(&mut body, record),
            1003 => extended_gateway(&mut body, record),
            _ => Some(()),
        };
        if read.is_none() {
            view.error = body.error;
            return None;
        }
    }
    record.present = bits;
    Some(())
}

/// Header protocols of the raw record: 1 Ethernet, 11 IPv4, 12 IPv6, 13 MPLS.
#[inline(always)]
fn raw_header(view: &mut View<'_>, record: &mut FlowRecord, bits: &mut u16) -> Option<()> {
    let [protocol, frame_len, stripped, len] = view.words::<4, 16>()?;
    let frame = view.take((len as usize).min(view.left()))?;
    let link = match protocol {
        1 => LinkType::Ethernet,
        11 | 12 => LinkType::RawIp,
        13 => LinkType::Mpls,
        other => LinkType::Other(other),
    };
    match parse(link, frame, frame_len.saturating_sub(stripped)) {
        Some(parsed) => fill(&parsed, record, bits),
        None if *bits & present::BYTES == 0 => {
            record.bytes = u64::from(frame_len);
            *bits |= present::BYTES;
        }
        None => {}
    }
    Some(())
}

#[inline(always)]
fn fill(parsed: &Parsed<'_>, record: &mut FlowRecord, bits: &mut u16) {
    let header = &parsed.header;
    record.src = header.src;
    record.dst = header.dst;
    record.proto = header.proto;
    record.tos = header.tos;
    record.bytes = u64::from(header.ip_len);
    record.fragment = header.fragment;
    *bits |= present::SRC | present::DST | present::PROTO | present::BYTES;
    if let Some((src_port, dst_port)) = header.ports {
        (record.src_port, record.dst_port) = (src_port, dst_port);
        *bits |= present::PORTS;
        if header.proto == 6 {
            record.tcp_flags = header.tcp_flags;
            *bits |= present::TCP_FLAGS;
        }
    } else if matches!(header.proto, 1 | 58) && header.fragment != Fragment::Later {
        record.icmp = header.icmp;
        *bits |= present::ICMP;
    }
    if parsed.vlan != 0 {
        record.vlan = parsed.vlan;
    }
}

/// Sampled Ethernet: only a length is of use, and only where no IP record says better.
fn ethernet(view: &mut View<'_>, record: &mut FlowRecord, bits: &mut u16) -> Option<()> {
    let [len] = view.words::<1, 4>()?;
    if *bits & present::BYTES == 0 {
        record.bytes = u64::from(len);
        *bits |= present::BYTES;
    }
    Some(())
}

/// Sampled IPv4 or IPv6; a raw header in the same sample says more and wins.
fn ip(view: &mut View<'_>, v6: bool, record: &mut FlowRecord, bits: &mut u16) -> Option<()> {
    if *bits & present::SRC != 0 {
        return Some(());
    }
    let [len, proto] = view.words::<2, 8>()?;
    record.src = view.address(v6)?;
    record.dst = view.address(v6)?;
    let [src_port, dst_port, flags, tos] = view.words::<4, 16>()?;
    record.proto = proto as u8;
    record.bytes = u64::from(len);
    record.tos = tos as u8;
    *bits |= present::SRC | present::DST | present::PROTO | present::BYTES;
    if matches!(proto, 6 | 17 | 33 | 132 | 136) {
        (record.src_port, record.dst_port) = (src_port as u16, dst_port as u16);
        *bits |= present::PORTS;
    }
    if proto == 6 {
        record.tcp_flags = flags as u8;
        *bits |= present::TCP_FLAGS;
    }
    Some(())
}

fn extended_switch(view: &mut View<'_>, record: &mut FlowRecord) -> Option<()> {
    let [vlan] = view.words::<1, 4>()?;
    if record.vlan == 0 && vlan < 4_096 {
        record.vlan = vlan as u16;
    }
    Some(())
}

/// Origin AS of the source, and the last AS on the path to the destination.
fn extended_gateway(view: &mut View<'_>, record: &mut FlowRecord) -> Option<()> {
    let at = view.at;
    match view.words::<1, 4>()? {
        [0] => {}
        [1] => drop(view.address(false)?),
        [2] => drop(view.address(true)?),
        [kind] => {
            return view.fail(DecodeError::BadCount { offset: at, what: "next hop type", count: kind as usize });
        }
    }
    let [own, src_as, _peer, segments] = view.words::<4, 16>()?;
    record.src_as = src_as;
    record.dst_as = own; // an empty path leads into the agent's own AS
    for _ in 0..segments {
        let [_kind, count] = view.words::<2, 8>()?;
        let path = view.take((count as usize).saturating_mul(4))?;
        if let Some(last) = path.last_chunk::<4>() {
            record.dst_as = u32::from_be_bytes(*last);
        }
    }
    Some(())
}
