//! A template compiled once into what to read where.

use crate::elements::{Action, Field, Slot, VARIABLE, of_option, of_record};
use crate::summary::Version;
use suimon_base::flow::present;

/// One read: `width` octets at `offset` in segment `segment` of a record, for `action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) action: Action,
    pub(crate) width: u8,
    /// Segments are what lies between variable-length fields; segment 0 begins with the record.
    pub(crate) segment: u16,
    pub(crate) offset: u32,
}

/// A compiled template.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The field specifiers as sent, to see whether a repeated template changed.
    pub(crate) spec: Box<[u8]>,
    pub(crate) ops: Box<[Op]>,
    /// Octets of fixed fields before each variable-length field.
    pub(crate) gaps: Box<[u32]>,
    /// Octets of fixed fields after the last variable-length field; the record length where there is none.
    pub(crate) tail: u32,
    /// Octets of the shortest possible record.
    pub(crate) min_len: u32,
    /// [`present`] bits that every record of this template has.
    pub(crate) present: u16,
    /// Records are options data.
    pub(crate) options: bool,
    /// ICMP type and code have an element of their own.
    pub(crate) has_icmp: bool,
    /// IPv4 and IPv6 addresses are both in the record; the one in use is not zero.
    pub(crate) both_families: bool,
}

impl Plan {
    /// Compiles fields into a plan; what is not understood is skipped over.
    pub(crate) fn compile(version: Version, options: bool, spec: &[u8], fields: &[Field]) -> Plan {
        let mut best: [Option<(u8, Op)>; SLOTS] = [None; SLOTS];
        let mut gaps = Vec::new();
        let (mut offset, mut fixed) = (0u32, 0u32);
        for field in fields {
            if field.len == VARIABLE && version == Version::Ipfix {
                gaps.push(offset);
                offset = 0;
                continue;
            }
            let candidates = if options { of_option(version, *field) } else { of_record(*field) };
            for (action, rank) in candidates.into_iter().flatten().filter(|(a, _)| a.takes(field.len)) {
                let op = Op { action, width: field.len as u8, segment: gaps.len() as u16, offset };
                let slot = &mut best[usize::from(action.slot())];
                if slot.is_none_or(|(held, _)| rank < held) {
                    *slot = Some((rank, op));
                }
            }
            offset += u32::from(field.len);
            fixed += u32::from(field.len);
        }
        // One half of a pair says nothing.
        let has = |best: &[Option<(u8, Op)>; SLOTS], a: Action| best[usize::from(a.slot() as Slot)].is_some();
        for (a, b) in [(Action::PacketInterval, Action::PacketSpace), (Action::SampleSize, Action::Population)] {
            if has(&best, a) != has(&best, b) {
                best[usize::from(a.slot())] = None;
                best[usize::from(b.slot())] = None;
            }
        }
        let mut ops: Vec<Op> = best.iter().flatten().map(|(_, op)| *op).collect();
        ops.sort_unstable_by_key(|op| op.action);
        let has = |a: Action| has(&best, a);
        let both_families = has(Action::SrcV4) && has(Action::SrcV6) || has(Action::DstV4) && has(Action::DstV6);
        let has_icmp = [Action::Icmp, Action::Icmp6, Action::IcmpType, Action::IcmpType6].into_iter().any(has);
        let min_len = fixed + gaps.len() as u32;
        Plan {
            spec: spec.into(),
            present: present_bits(&ops),
            ops: ops.into(),
            gaps: gaps.into(),
            tail: offset,
            min_len,
            options,
            has_icmp,
            both_families,
        }
    }

    /// Octets that this plan occupies, for the bound on all templates.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Plan>() + 16 + self.spec.len() + size_of_val(&*self.ops) + size_of_val(&*self.gaps)
    }
}

const SLOTS: usize = Action::Interface as usize + 1;

fn present_bits(ops: &[Op]) -> u16 {
    ops.iter().fold(0, |bits, op| {
        bits | match op.action {
            Action::SrcV4 | Action::SrcV6 => present::SRC,
            Action::DstV4 | Action::DstV6 => present::DST,
            Action::SrcPort | Action::DstPort => present::PORTS,
            Action::Proto => present::PROTO,
            Action::Bytes => present::BYTES,
            Action::Packets => present::PACKETS,
            Action::TcpFlags => present::TCP_FLAGS,
            Action::InIf | Action::OutIf => present::IFS,
            Action::Icmp | Action::Icmp6 | Action::IcmpType | Action::IcmpType6 => present::ICMP,
            a if a.slot() == Action::StartMs.slot() || a.slot() == Action::EndMs.slot() => present::TIMES,
            _ => 0,
        }
    })
}
