//! sFlow version 5 (sflow.org, *sFlow Version 5*, July 2004; *sFlow Dropped Packet Notification Structures*, 2020).

use crate::DecodeError;
use crate::cursor::Cursor;
use crate::exporter::Exporter;
use crate::limits::SFLOW_SAMPLES;
use crate::packet::{LinkType, Parsed, parse};
use crate::session::{BATCH, Out, Scratch, header_sampling};
use crate::summary::Summary;
use std::net::IpAddr;
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
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        cursor.u32()?; // the version, which the caller looked at
        let at = cursor.offset();
        match cursor.u32()? {
            1 => drop(cursor.ipv4()?),
            2 => drop(cursor.ipv6()?),
            kind => return Err(DecodeError::BadCount { offset: at, what: "agent address type", count: kind as usize }),
        }
        let domain_offset = cursor.offset();
        let (sub_agent, sequence, _uptime) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        Ok(Header { sub_agent, domain_offset, sequence, samples: cursor.u32()?, len: cursor.offset() })
    }
}

/// What kind of flow sample is read: they differ in the width of a few fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compact,
    Expanded,
    Discarded,
}

/// Decodes all samples of a datagram. A malformed sample ends it; the flows before are kept.
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
    let mut cursor = Cursor::at(bytes.get(header.len..).unwrap_or_default(), header.len);
    if header.samples as usize > SFLOW_SAMPLES.min(cursor.remaining() / 8) {
        summary.fault(DecodeError::BadCount { offset: header.len - 4, what: "sample", count: header.samples as usize });
    }
    let mut filled = 0;
    let mut flows = 0;
    for _ in 0..header.samples {
        let read = sample(&mut cursor).and_then(|(format, body)| {
            let kind = match format {
                1 => Kind::Compact,
                3 => Kind::Expanded,
                5 => Kind::Discarded,
                2 | 4 => {
                    counters.counter_samples += 1;
                    return Ok(());
                }
                _ => {
                    counters.unknown_samples += 1;
                    return Ok(());
                }
            };
            let record = &mut scratch.records[filled];
            *record = FlowRecord::default();
            flow(kind, body, config, record, &mut counters.agent_drops)?;
            counters.samples_without_ip += u64::from(!record.has(present::DST));
            filled += 1;
            Ok(())
        });
        if filled == BATCH {
            out(&scratch.records);
            flows += filled;
            filled = 0;
        }
        if let Err(error) = read {
            summary.fault(error);
            // A sample that lies about its own length leaves nothing to go on with; one with bad contents does.
            if cursor.remaining() < 8 {
                break;
            }
        }
    }
    out(&scratch.records[..filled]);
    flows += filled;
    summary.flows = flows as u32;
    counters.flows += flows as u64;
    counters.malformed += u64::from(summary.malformed);
}

fn sample<'a>(cursor: &mut Cursor<'a>) -> Result<(u32, Cursor<'a>), DecodeError> {
    let format = cursor.u32()?;
    let len = cursor.u32()? as usize;
    match cursor.sub(len) {
        Ok(body) => Ok((format, body)),
        Err(error) => {
            cursor.take(cursor.remaining())?;
            Err(error)
        }
    }
}

/// An interface number is the agent itself or not known.
fn index(value: u32) -> u32 {
    if value == 0x3fff_ffff || value == u32::MAX { 0 } else { value }
}

#[inline]
fn flow(
    kind: Kind,
    mut cursor: Cursor<'_>,
    config: Option<u32>,
    record: &mut FlowRecord,
    drops: &mut u64,
) -> Result<(), DecodeError> {
    record.packets = 1;
    record.present = present::PACKETS | present::IFS;
    let (output_format, output) = match kind {
        Kind::Compact => {
            let [_seq, _source, rate, _pool, dropped, input, output, _] = words::<8>(&mut cursor)?;
            record.sampling = header_sampling(rate, config);
            record.in_if = index(input & 0x3fff_ffff);
            *drops = u64::from(dropped);
            (output >> 30, output & 0x3fff_ffff)
        }
        Kind::Expanded => {
            let [_seq, _type, _source, rate, _pool, dropped, _in_format, input, format, output, _] =
                words::<11>(&mut cursor)?;
            record.sampling = header_sampling(rate, config);
            record.in_if = index(input);
            *drops = u64::from(dropped);
            (format, output)
        }
        Kind::Discarded => {
            let [_seq, _class, _source, dropped, input, output, _reason, _] = words::<8>(&mut cursor)?;
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
    while cursor.remaining() >= 8 {
        let [format, len] = words::<2>(&mut cursor)?;
        let body = cursor.sub(len as usize)?;
        match format {
            1 => raw_header(body, record)?,
            2 => ethernet(body, record)?,
            3 => ip(body, false, record)?,
            4 => ip(body, true, record)?,
            1001 => extended_switch(body, record)?,
            1003 => extended_gateway(body, record)?,
            _ => {}
        }
    }
    Ok(())
}

fn words<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[u32; N], DecodeError> {
    let bytes = cursor.take(4 * N)?;
    let mut words = [0; N];
    for (word, raw) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*raw);
    }
    Ok(words)
}

/// Header protocols of the raw record: 1 Ethernet, 11 IPv4, 12 IPv6, 13 MPLS.
#[inline]
fn raw_header(mut cursor: Cursor<'_>, record: &mut FlowRecord) -> Result<(), DecodeError> {
    let [protocol, frame_len, stripped, len] = words::<4>(&mut cursor)?;
    let frame = cursor.take((len as usize).min(cursor.remaining()))?;
    let link = match protocol {
        1 => LinkType::Ethernet,
        11 | 12 => LinkType::RawIp,
        13 => LinkType::Mpls,
        other => LinkType::Other(other),
    };
    match parse(link, frame, frame_len.saturating_sub(stripped)) {
        Some(parsed) => fill(&parsed, record),
        None if !record.has(present::BYTES) => {
            record.bytes = u64::from(frame_len);
            record.present |= present::BYTES;
        }
        None => {}
    }
    Ok(())
}

#[inline]
fn fill(parsed: &Parsed<'_>, record: &mut FlowRecord) {
    let header = &parsed.header;
    record.src = header.src;
    record.dst = header.dst;
    record.proto = header.proto;
    record.tos = header.tos;
    record.bytes = u64::from(header.ip_len);
    record.fragment = header.fragment;
    record.present |= present::SRC | present::DST | present::PROTO | present::BYTES;
    if let Some((src_port, dst_port)) = header.ports {
        (record.src_port, record.dst_port) = (src_port, dst_port);
        record.present |= present::PORTS;
        if header.proto == 6 {
            record.tcp_flags = header.tcp_flags;
            record.present |= present::TCP_FLAGS;
        }
    } else if matches!(header.proto, 1 | 58) && header.fragment != Fragment::Later {
        record.icmp = header.icmp;
        record.present |= present::ICMP;
    }
    if parsed.vlan != 0 {
        record.vlan = parsed.vlan;
    }
}

/// Sampled Ethernet: only a length is of use, and only where no IP record says better.
fn ethernet(mut cursor: Cursor<'_>, record: &mut FlowRecord) -> Result<(), DecodeError> {
    let len = cursor.u32()?;
    if !record.has(present::BYTES) {
        record.bytes = u64::from(len);
        record.present |= present::BYTES;
    }
    Ok(())
}

/// Sampled IPv4 or IPv6; a raw header in the same sample says more and wins.
fn ip(mut cursor: Cursor<'_>, v6: bool, record: &mut FlowRecord) -> Result<(), DecodeError> {
    if record.has(present::SRC) {
        return Ok(());
    }
    let [len, proto] = words::<2>(&mut cursor)?;
    let (src, dst): (IpAddr, IpAddr) = if v6 {
        (cursor.ipv6()?.into(), cursor.ipv6()?.into())
    } else {
        (cursor.ipv4()?.into(), cursor.ipv4()?.into())
    };
    let [src_port, dst_port, flags, tos] = words::<4>(&mut cursor)?;
    record.src = src;
    record.dst = dst;
    record.proto = proto as u8;
    record.bytes = u64::from(len);
    record.tos = tos as u8;
    record.present |= present::SRC | present::DST | present::PROTO | present::BYTES;
    if matches!(proto, 6 | 17 | 33 | 132 | 136) {
        (record.src_port, record.dst_port) = (src_port as u16, dst_port as u16);
        record.present |= present::PORTS;
    }
    if proto == 6 {
        record.tcp_flags = flags as u8;
        record.present |= present::TCP_FLAGS;
    }
    Ok(())
}

fn extended_switch(mut cursor: Cursor<'_>, record: &mut FlowRecord) -> Result<(), DecodeError> {
    let vlan = cursor.u32()?;
    if record.vlan == 0 && vlan < 4_096 {
        record.vlan = vlan as u16;
    }
    Ok(())
}

/// Origin AS of the source, and the last AS on the path to the destination.
fn extended_gateway(mut cursor: Cursor<'_>, record: &mut FlowRecord) -> Result<(), DecodeError> {
    let at = cursor.offset();
    match cursor.u32()? {
        0 => {}
        1 => drop(cursor.ipv4()?),
        2 => drop(cursor.ipv6()?),
        kind => return Err(DecodeError::BadCount { offset: at, what: "next hop type", count: kind as usize }),
    }
    let [own, src_as, _peer, segments] = words::<4>(&mut cursor)?;
    record.src_as = src_as;
    record.dst_as = own; // an empty path leads into the agent's own AS
    for _ in 0..segments {
        let [_kind, count] = words::<2>(&mut cursor)?;
        let path = cursor.take((count as usize).saturating_mul(4))?;
        if let Some(last) = path.last_chunk::<4>() {
            record.dst_as = u32::from_be_bytes(*last);
        }
    }
    Ok(())
}
