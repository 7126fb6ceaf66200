//! Runs a plan over many records at a time: one tight loop a field instead of one dispatch a field and record.

use crate::context::{Context, Uptime};
use crate::elements::Action;
use crate::plan::{Op, Plan};
use crate::sampling::Samplers;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::Timestamp;
use suimon_base::flow::{FlowRecord, Forwarding, Fragment, Metered, Sampling, SamplingSource, present};

/// Seconds from 1900 (NTP era 0) to 1970.
const NTP_UNIX_SECS: u64 = 2_208_988_800;

/// Where the records of a batch are.
pub(crate) trait Rows<'a>: Copy {
    fn rows(self) -> impl Iterator<Item = &'a [u8]>;
}

/// Records of one length, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Stride<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) len: usize,
}

impl<'a> Rows<'a> for Stride<'a> {
    fn rows(self) -> impl Iterator<Item = &'a [u8]> {
        self.body.chunks_exact(self.len)
    }
}

/// Records of variable length: where a segment of each begins.
#[derive(Clone, Copy)]
pub(crate) struct Starts<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) at: &'a [u32],
}

impl<'a> Rows<'a> for Starts<'a> {
    fn rows(self) -> impl Iterator<Item = &'a [u8]> {
        self.at.iter().map(move |at| self.body.get(*at as usize..).unwrap_or_default())
    }
}

#[inline(always)]
fn each<'a, const W: usize, R: Rows<'a>>(
    rows: R,
    op: &Op,
    out: &mut [FlowRecord],
    set: impl Fn(&mut FlowRecord, [u8; W]),
) {
    let offset = op.offset as usize;
    for (row, record) in rows.rows().zip(out) {
        // Always there: the record was measured before. A plan that lies must not panic, though.
        if let Some(value) = row.get(offset..).and_then(|tail| tail.first_chunk::<W>()) {
            set(record, *value);
        }
    }
}

#[inline(always)]
fn number<'a, R: Rows<'a>>(rows: R, op: &Op, out: &mut [FlowRecord], set: impl Fn(&mut FlowRecord, u64)) {
    match op.width {
        1 => each(rows, op, out, |r, v: [u8; 1]| set(r, u64::from(v[0]))),
        2 => each(rows, op, out, |r, v| set(r, u64::from(u16::from_be_bytes(v)))),
        4 => each(rows, op, out, |r, v| set(r, u64::from(u32::from_be_bytes(v)))),
        8 => each(rows, op, out, |r, v| set(r, u64::from_be_bytes(v))),
        width => odd(rows, op, usize::from(width), out, set),
    }
}

/// Reduced-size encoding in 3, 5, 6 or 7 octets (RFC 7011 §6.2).
#[inline(never)]
fn odd<'a, R: Rows<'a>>(rows: R, op: &Op, width: usize, out: &mut [FlowRecord], set: impl Fn(&mut FlowRecord, u64)) {
    let offset = op.offset as usize;
    for (row, record) in rows.rows().zip(out) {
        set(record, row.get(offset..offset + width).map_or(0, be_number));
    }
}

/// A big-endian number of up to eight octets.
pub(crate) fn be_number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// What the columns need beside the octets.
pub(crate) struct Facts<'a> {
    pub(crate) context: &'a Context,
    pub(crate) samplers: &'a Samplers,
    pub(crate) base: Sampling,
}

/// Reads the records of a batch into `out`, which has exactly as many.
pub(crate) fn run<'a, R: Rows<'a>>(plan: &Plan, rows: impl Fn(u16) -> R, facts: &Facts<'_>, out: &mut [FlowRecord]) {
    out.fill(FlowRecord { present: plan.present, sampling: facts.base, ..FlowRecord::default() });
    let mut ops = &*plan.ops;
    while let Some((op, rest)) = ops.split_first() {
        let rows = rows(op.segment);
        if let Some(next) = rest.first().filter(|next| next.segment == op.segment)
            && together(rows, op, next, out)
        {
            ops = &rest[1..];
            continue;
        }
        ops = rest;
        if op.action < Action::Icmp {
            common(plan, rows, op, out);
        } else if op.action < Action::FragmentFlags {
            rarer(rows, op, facts.context, out);
        } else {
            sampling(rows, op, facts, out);
        }
    }
    finish(plan, facts, out);
}

/// Two fields that nearly every template has beside each other, in one loop instead of two; says whether they were.
#[inline(always)]
fn together<'a, R: Rows<'a>>(rows: R, a: &Op, b: &Op, out: &mut [FlowRecord]) -> bool {
    let four = |v| u32::from_be_bytes(v);
    match (a.action, b.action, a.width, b.width) {
        (Action::SrcV4, Action::DstV4, 4, 4) => both(rows, a, b, out, |r, x: [u8; 4], y: [u8; 4]| {
            (r.src, r.dst) = (IpAddr::V4(Ipv4Addr::from(x)), IpAddr::V4(Ipv4Addr::from(y)));
        }),
        (Action::SrcPort, Action::DstPort, 2, 2) => {
            both(rows, a, b, out, |r, x, y| (r.src_port, r.dst_port) = (u16::from_be_bytes(x), u16::from_be_bytes(y)));
        }
        (Action::Proto, Action::TcpFlags, 1, 1) => {
            both(rows, a, b, out, |r, x: [u8; 1], y: [u8; 1]| (r.proto, r.tcp_flags) = (x[0], y[0]));
        }
        (Action::Bytes, Action::Packets, 4, 4) => {
            both(rows, a, b, out, |r, x, y| (r.bytes, r.packets) = (four(x).into(), four(y).into()));
        }
        (Action::Bytes, Action::Packets, 8, 8) => {
            both(rows, a, b, out, |r, x, y| (r.bytes, r.packets) = (u64::from_be_bytes(x), u64::from_be_bytes(y)));
        }
        (Action::InIf, Action::OutIf, 4, 4) => {
            both(rows, a, b, out, |r, x, y| (r.in_if, r.out_if) = (four(x), four(y)))
        }
        (Action::SrcAs, Action::DstAs, 4, 4) => {
            both(rows, a, b, out, |r, x, y| (r.src_as, r.dst_as) = (four(x), four(y)))
        }
        _ => return false,
    }
    true
}

/// [`each`] for two fields of equal width.
#[inline(always)]
fn both<'a, const W: usize, R: Rows<'a>>(
    rows: R,
    a: &Op,
    b: &Op,
    out: &mut [FlowRecord],
    set: impl Fn(&mut FlowRecord, [u8; W], [u8; W]),
) {
    let (a, b) = (a.offset as usize, b.offset as usize);
    for (row, record) in rows.rows().zip(out) {
        let at = |offset: usize| row.get(offset..).and_then(|tail| tail.first_chunk::<W>());
        if let (Some(x), Some(y)) = (at(a), at(b)) {
            set(record, *x, *y);
        }
    }
}

#[inline(always)]
fn common<'a, R: Rows<'a>>(plan: &Plan, rows: R, op: &Op, out: &mut [FlowRecord]) {
    match op.action {
        Action::SrcV4 => each(rows, op, out, |r, v: [u8; 4]| r.src = IpAddr::V4(Ipv4Addr::from(v))),
        Action::DstV4 => each(rows, op, out, |r, v: [u8; 4]| r.dst = IpAddr::V4(Ipv4Addr::from(v))),
        Action::SrcV6 if plan.both_families => each(rows, op, out, |r, v: [u8; 16]| {
            if v != [0; 16] {
                r.src = IpAddr::V6(Ipv6Addr::from(v));
            }
        }),
        Action::DstV6 if plan.both_families => each(rows, op, out, |r, v: [u8; 16]| {
            if v != [0; 16] {
                r.dst = IpAddr::V6(Ipv6Addr::from(v));
            }
        }),
        Action::SrcV6 => each(rows, op, out, |r, v: [u8; 16]| r.src = IpAddr::V6(Ipv6Addr::from(v))),
        Action::DstV6 => each(rows, op, out, |r, v: [u8; 16]| r.dst = IpAddr::V6(Ipv6Addr::from(v))),
        Action::SrcPort => number(rows, op, out, |r, v| r.src_port = v as u16),
        Action::DstPort => number(rows, op, out, |r, v| r.dst_port = v as u16),
        Action::Proto => number(rows, op, out, |r, v| r.proto = v as u8),
        Action::Tos => number(rows, op, out, |r, v| r.tos = v as u8),
        Action::TcpFlags => number(rows, op, out, |r, v| r.tcp_flags = v as u8),
        Action::Bytes => number(rows, op, out, |r, v| r.bytes = v),
        Action::Packets => number(rows, op, out, |r, v| r.packets = v),
        Action::InIf => number(rows, op, out, |r, v| r.in_if = v as u32),
        Action::OutIf => number(rows, op, out, |r, v| r.out_if = v as u32),
        Action::SrcAs => number(rows, op, out, |r, v| r.src_as = v as u32),
        Action::DstAs => number(rows, op, out, |r, v| r.dst_as = v as u32),
        Action::Vlan => number(rows, op, out, |r, v| r.vlan = v as u16 & 0x0fff),
        _ => {}
    }
}

fn rarer<'a, R: Rows<'a>>(rows: R, op: &Op, context: &Context, out: &mut [FlowRecord]) {
    let export = context.export_us;
    let micros = |us: u64| Timestamp::from_micros(i64::try_from(us).unwrap_or(i64::MAX));
    let millis = |ms: u64| Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let delta = |us: u64| Timestamp::from_micros(export.saturating_sub(i64::try_from(us).unwrap_or(i64::MAX)));
    match op.action {
        Action::Icmp => number(rows, op, out, |r, v| r.icmp = v as u16),
        Action::Icmp6 => number(rows, op, out, |r, v| {
            if v != 0 {
                r.icmp = v as u16;
            }
        }),
        Action::IcmpType | Action::IcmpType6 => number(rows, op, out, |r, v| r.icmp |= (v as u16) << 8),
        Action::IcmpCode | Action::IcmpCode6 => number(rows, op, out, |r, v| r.icmp |= v as u16 & 0xff),
        Action::InitMs => number(rows, op, out, |r, v| {
            r.start = millis(v);
            r.end = millis(v);
        }),
        Action::StartUptime => uptime(rows, op, context.uptime, out, |r| &mut r.start),
        Action::EndUptime => uptime(rows, op, context.uptime, out, |r| &mut r.end),
        Action::StartMs => number(rows, op, out, |r, v| r.start = millis(v)),
        Action::EndMs => number(rows, op, out, |r, v| r.end = millis(v)),
        Action::StartMicro => number(rows, op, out, |r, v| r.start = micros(ntp_micros(v, 1))),
        Action::EndMicro => number(rows, op, out, |r, v| r.end = micros(ntp_micros(v, 1))),
        Action::StartNano => number(rows, op, out, |r, v| r.start = micros(ntp_micros(v, 1_000))),
        Action::EndNano => number(rows, op, out, |r, v| r.end = micros(ntp_micros(v, 1_000))),
        Action::StartSec => number(rows, op, out, |r, v| r.start = millis(v.saturating_mul(1_000))),
        Action::EndSec => number(rows, op, out, |r, v| r.end = millis(v.saturating_mul(1_000))),
        Action::StartDelta => number(rows, op, out, |r, v| r.start = delta(v)),
        Action::EndDelta => number(rows, op, out, |r, v| r.end = delta(v)),
        _ => {}
    }
}

/// Milliseconds since the exporter started, made absolute by the header, by options data, or by element 160 of the
/// same record, which was left in `start` and `end` before.
fn uptime<'a, R: Rows<'a>>(
    rows: R,
    op: &Op,
    uptime: Uptime,
    out: &mut [FlowRecord],
    time: impl Fn(&mut FlowRecord) -> &mut Timestamp,
) {
    match uptime {
        Uptime::Header { now_us, uptime_ms } => number(rows, op, out, |r, v| {
            // The 32-bit uptime wraps after 49.7 days; the difference survives that.
            let ago_ms = uptime_ms.wrapping_sub(v as u32).cast_signed();
            *time(r) = Timestamp::from_micros(now_us.saturating_sub(i64::from(ago_ms) * 1_000));
        }),
        Uptime::Since { boot_us } => number(rows, op, out, |r, v| {
            let ms = i64::from(v as u32);
            let base = *time(r);
            *time(r) =
                if base == Timestamp::ZERO { Timestamp::from_micros(boot_us).plus_ms(ms) } else { base.plus_ms(ms) };
        }),
        Uptime::Unknown => number(rows, op, out, |r, v| {
            let base = *time(r);
            if base == Timestamp::ZERO {
                r.present &= !present::TIMES;
            } else {
                *time(r) = base.plus_ms(i64::from(v as u32));
            }
        }),
    }
}

/// NTP's 32.32 fixed point (RFC 7011 §6.1.9) as microseconds since 1970. Some exporters send a plain Unix count of
/// micro- or nanoseconds instead (`unit` of them a microsecond); as NTP those would lie before 1970, which tells them.
fn ntp_micros(value: u64, unit: u64) -> u64 {
    let seconds = value >> 32;
    if seconds < NTP_UNIX_SECS {
        return value / unit;
    }
    (seconds - NTP_UNIX_SECS) * 1_000_000 + (((value & 0xffff_ffff) * 1_000_000) >> 32)
}

fn sampling<'a, R: Rows<'a>>(rows: R, op: &Op, facts: &Facts<'_>, out: &mut [FlowRecord]) {
    let base = facts.base;
    let from_record = |rate: u64| match u32::try_from(rate).unwrap_or(u32::MAX) {
        0 => base,
        rate => Sampling { rate, source: SamplingSource::Record },
    };
    match op.action {
        Action::FragmentFlags => number(rows, op, out, |r, v| {
            r.fragment = if v & 0x20 != 0 { Fragment::First } else { Fragment::Whole };
        }),
        Action::FragmentOffset => number(rows, op, out, |r, v| {
            if v & 0x1fff != 0 {
                r.fragment = Fragment::Later;
            }
        }),
        Action::Forwarding => number(rows, op, out, |r, v| {
            r.forwarding = match v as u8 >> 6 {
                1 => Forwarding::Forwarded,
                2 => Forwarding::Dropped,
                3 => Forwarding::Consumed,
                _ => Forwarding::Unknown,
            };
        }),
        Action::Direction => number(rows, op, out, |r, v| {
            r.metered = match v {
                0 => Metered::Ingress,
                1 => Metered::Egress,
                _ => Metered::Unknown,
            };
        }),
        Action::SamplerId => number(rows, op, out, |r, v| {
            if let Some(rate) = facts.samplers.by_id(v) {
                r.sampling = Sampling { rate, source: SamplingSource::Options };
            }
        }),
        Action::Interval => number(rows, op, out, |r, v| {
            if v != 0 {
                r.sampling = from_record(v);
            }
        }),
        Action::PacketInterval | Action::SampleSize => number(rows, op, out, |r, v| {
            r.sampling.rate = u32::try_from(v).unwrap_or(u32::MAX);
        }),
        Action::PacketSpace => number(rows, op, out, |r, v| {
            let taken = u64::from(r.sampling.rate);
            r.sampling = from_record(v.saturating_add(taken).checked_div(taken).unwrap_or(0));
        }),
        Action::Population => number(rows, op, out, |r, v| {
            r.sampling = from_record(v.checked_div(u64::from(r.sampling.rate)).unwrap_or(0));
        }),
        _ => {}
    }
}

/// What depends on several fields of one record.
fn finish(plan: &Plan, facts: &Facts<'_>, out: &mut [FlowRecord]) {
    if plan.present & present::PROTO != 0 && plan.present & (present::PORTS | present::ICMP) != 0 {
        for record in out.iter_mut() {
            icmp(record, plan.has_icmp);
        }
    }
    if facts.samplers.has_interfaces() {
        for record in out.iter_mut().filter(|r| r.sampling.source != SamplingSource::Record) {
            if let Some(rate) = facts.samplers.by_interface(record.in_if, record.out_if) {
                record.sampling = Sampling { rate, source: SamplingSource::Options };
            }
        }
    }
}

/// ICMP has no ports: exporters without an ICMP element put type × 256 + code where the destination port would be.
#[inline]
pub(crate) fn icmp(record: &mut FlowRecord, has_element: bool) {
    if matches!(record.proto, 1 | 58) {
        if !has_element {
            record.icmp = record.dst_port;
        }
        record.src_port = 0;
        record.dst_port = 0;
        record.present = record.present & !present::PORTS | present::ICMP;
    } else if has_element {
        record.icmp = 0;
        record.present &= !present::ICMP;
    }
}
