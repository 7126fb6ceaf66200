//! What a list takes of a device's hardware.

use super::device::{Device, PortRanges};
use crate::boxes;
use crate::dialect::{Listing, wildcard};
use crate::range::{Family, RangeSet};
use serde::Serialize;
use std::collections::BTreeSet;
use suimon_base::rule::FragmentMatch;
use suimon_base::{Match, PortRange};

/// Entries and registers of a list on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Entries for IPv4, after ranges of ports and sets of addresses were written out.
    pub entries_v4: u64,
    /// Entries for IPv6, each line by the device's width.
    pub entries_v6: u64,
    /// Both.
    pub entries: u64,
    /// Range registers that it needs beside those in use.
    pub registers: u64,
    /// Entries free before.
    pub free: u64,
    /// Whether they suffice.
    pub fits: bool,
    /// Entries that are missing.
    pub short: u64,
    /// Share of all entries in use afterwards, in percent, rounded up; above 100 where it does not fit.
    pub load_percent: u64,
}

/// Counts the rules of a list that was read from the text that would be entered.
pub fn cost(listing: &Listing, device: &Device) -> Cost {
    let mut registers: BTreeSet<(u16, u16)> = BTreeSet::new();
    let room = match device.port_ranges {
        PortRanges::Registers { total, used } => total.saturating_sub(used),
        PortRanges::Prefixes | PortRanges::Free => 0,
    };
    let mut entries = [0u64; 2];
    let (rules, lines) = (&listing.rules.rules, &listing.lines);
    for (i, rule) in rules.iter().enumerate().take(lines.len()).filter(|&(i, _)| lines[i] > 0) {
        let beside = [i.wrapping_sub(1), i + 1].into_iter().filter(|&n| lines.get(n) == Some(&lines[i]));
        if beside.filter_map(|n| rules.get(n)).any(|other| same_line(&rule.matches, &other.matches)) {
            continue;
        }
        for family in Family::BOTH {
            if boxes::of_match(&rule.matches, family).is_none() {
                continue;
            }
            let ports = |list: &[PortRange], registers: &mut BTreeSet<(u16, u16)>| {
                list.iter()
                    .map(|r| range_entries(*r, device.port_ranges, room, registers))
                    .fold(0u64, u64::saturating_add)
                    .max(1)
            };
            let m = &rule.matches;
            let width = if family == Family::V6 { device.ipv6_width } else { 1 };
            let product = [
                addresses(&m.src, family),
                addresses(&m.dst, family),
                ports(&m.src_ports, &mut registers),
                ports(&m.dst_ports, &mut registers),
                ports(&m.lengths, &mut registers),
                width,
            ];
            let n = product.iter().fold(1u64, |a, &b| a.saturating_mul(b));
            entries[family as usize] = entries[family as usize].saturating_add(n);
        }
    }
    let sum = entries[0].saturating_add(entries[1]);
    let free = device.entries.free();
    let after = device.entries.used.saturating_add(sum);
    Cost {
        entries_v4: entries[0],
        entries_v6: entries[1],
        entries: sum,
        registers: registers.len() as u64,
        free,
        fits: sum <= free,
        short: sum.saturating_sub(free),
        load_percent: (u128::from(after) * 100).div_ceil(u128::from(device.entries.total.max(1))).min(u64::MAX.into())
            as u64,
    }
}

/// Whether a rule is what a platform adds to a line with ports: its non-first fragments. In hardware both are one entry.
fn same_line(m: &Match, other: &Match) -> bool {
    let upper = !other.src_ports.is_empty() || !other.dst_ports.is_empty() || other.tcp_flags.is_some();
    m.fragment == Some(FragmentMatch::Later)
        && upper
        && (&m.src, &m.dst, m.proto) == (&other.src, &other.dst, other.proto)
}

fn addresses(list: &[ipnet::IpNet], family: Family) -> u64 {
    if list.is_empty() {
        return 1;
    }
    let own = list.iter().filter(|n| Family::of_net(n) == family).map(crate::range::bounds);
    let set = RangeSet::new(own);
    // A wildcard is one entry, however many prefixes it stands for.
    if family == Family::V4 && wildcard(&set).is_some() {
        return 1;
    }
    set.prefixes(family).len() as u64
}

fn range_entries(r: PortRange, kind: PortRanges, room: u64, registers: &mut BTreeSet<(u16, u16)>) -> u64 {
    let blocks = port_blocks(r);
    if blocks.len() == 1 || kind == PortRanges::Free {
        return 1;
    }
    if registers.contains(&(r.lo, r.hi)) {
        return 1;
    }
    if (registers.len() as u64) < room {
        registers.insert((r.lo, r.hi));
        return 1;
    }
    blocks.len() as u64
}

/// The fewest aligned blocks of ports that are exactly the range, as (first port, free low bits); at most 30.
pub fn port_blocks(r: PortRange) -> Vec<(u16, u8)> {
    let mut out = Vec::new();
    let (mut at, end) = (u32::from(r.lo), u32::from(r.hi));
    while at <= end {
        let aligned = if at == 0 { 16 } else { at.trailing_zeros() };
        let fits = (end - at + 1).ilog2();
        let bits = aligned.min(fits).min(16);
        out.push((at as u16, bits as u8));
        at += 1 << bits;
    }
    out
}

/// Whether a match names ports, flags, lengths or fragments.
pub fn looks_inside(m: &Match) -> bool {
    !m.src_ports.is_empty()
        || !m.dst_ports.is_empty()
        || m.tcp_flags.is_some()
        || !m.lengths.is_empty()
        || m.fragment.is_some()
}
