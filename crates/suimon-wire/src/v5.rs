//! NetFlow v5: a header of 24 octets and records of 48, nothing to learn.

use crate::DecodeError;
use crate::columns::icmp;
use crate::session::{BATCH, Out, Scratch, header_sampling};
use std::net::{IpAddr, Ipv4Addr};
use suimon_base::Timestamp;
use suimon_base::flow::{FlowRecord, present};

pub(crate) const HEADER: usize = 24;
const RECORD: usize = 48;
const PRESENT: u16 = present::SRC
    | present::DST
    | present::PORTS
    | present::PROTO
    | present::BYTES
    | present::PACKETS
    | present::TCP_FLAGS
    | present::TIMES
    | present::IFS;

/// The header (Cisco, *NetFlow Services Solutions Guide*, table B-3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) count: u16,
    pub(crate) sequence: u32,
    /// Engine type × 256 + engine id.
    pub(crate) engine: u16,
    now_us: i64,
    uptime_ms: u32,
    /// Lower 14 bits; the upper two are the mode.
    sampling: u32,
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, DecodeError> {
        let Some(h) = bytes.first_chunk::<HEADER>() else {
            return Err(DecodeError::Truncated { offset: 0, needed: HEADER, available: bytes.len() });
        };
        let secs = i64::from(be32(h, 8));
        Ok(Header {
            count: be16(h, 2),
            sequence: be32(h, 16),
            engine: be16(h, 20),
            now_us: secs * 1_000_000 + i64::from(be32(h, 12)) / 1_000,
            uptime_ms: be32(h, 4),
            sampling: u32::from(be16(h, 22) & 0x3fff),
        })
    }
}

#[inline(always)]
fn be16<const N: usize>(b: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}
#[inline(always)]
fn be32<const N: usize>(b: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

/// Decodes the records that are there; a count that promises more is an error beside them. Octets beyond the count are
/// not records.
pub(crate) fn records(
    header: &Header,
    bytes: &[u8],
    config: Option<u32>,
    scratch: &mut Scratch,
    out: &mut Out<'_>,
) -> (u32, Option<DecodeError>) {
    let body = bytes.get(HEADER..).unwrap_or_default();
    let promised = usize::from(header.count);
    let there = promised.min(body.len() / RECORD);
    let base =
        FlowRecord { present: PRESENT, sampling: header_sampling(header.sampling, config), ..FlowRecord::default() };
    for chunk in body[..there * RECORD].chunks(RECORD * BATCH) {
        let n = chunk.len() / RECORD;
        let records = &mut scratch.records[..n];
        for (raw, record) in chunk.as_chunks::<RECORD>().0.iter().zip(records.iter_mut()) {
            *record = one(raw, header, base);
        }
        out(records);
    }
    let fault = (there < promised).then_some(DecodeError::BadCount { offset: 2, what: "flow", count: promised });
    (there as u32, fault)
}

#[inline(always)]
fn one(b: &[u8; RECORD], header: &Header, base: FlowRecord) -> FlowRecord {
    let at = |ms: u32| {
        let ago_ms = header.uptime_ms.wrapping_sub(ms).cast_signed();
        Timestamp::from_micros(header.now_us - i64::from(ago_ms) * 1_000)
    };
    let mut record = FlowRecord {
        src: IpAddr::V4(Ipv4Addr::from_bits(be32(b, 0))),
        dst: IpAddr::V4(Ipv4Addr::from_bits(be32(b, 4))),
        in_if: u32::from(be16(b, 12)),
        out_if: u32::from(be16(b, 14)),
        packets: u64::from(be32(b, 16)),
        bytes: u64::from(be32(b, 20)),
        start: at(be32(b, 24)),
        end: at(be32(b, 28)),
        src_port: be16(b, 32),
        dst_port: be16(b, 34),
        tcp_flags: b[37],
        proto: b[38],
        tos: b[39],
        src_as: u32::from(be16(b, 40)),
        dst_as: u32::from(be16(b, 42)),
        ..base
    };
    icmp(&mut record, false);
    record
}
