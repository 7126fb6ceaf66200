//! Lines that differ in one field become one, as far as a line of the dialect can say the union.

use super::{Caps, CompactLine};
use crate::boxes::{DPORT, DST, FLAGS, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC, all, flag_test};
use crate::range::{Family, RangeSet};
use std::collections::{BTreeMap, BTreeSet};

/// The lines, joined field by field in several orders.
pub fn orders(family: Family, start: &[CompactLine], caps: &Caps) -> Vec<Vec<CompactLine>> {
    let orders: [[usize; 6]; 4] = [
        [DST, SRC, DPORT, SPORT, LEN, PROTO],
        [DPORT, SPORT, LEN, PROTO, DST, SRC],
        [SRC, DST, SPORT, DPORT, PROTO, LEN],
        [PROTO, DPORT, SPORT, LEN, DST, SRC],
    ];
    orders.iter().map(|order| join(family, start.to_vec(), order, caps)).collect()
}

fn join(family: Family, mut list: Vec<CompactLine>, order: &[usize], caps: &Caps) -> Vec<CompactLine> {
    loop {
        let before = list.len();
        for &field in order {
            list = unite(family, list, field, caps);
        }
        if list.len() >= before {
            return list;
        }
    }
}

fn unite(family: Family, list: Vec<CompactLine>, field: usize, caps: &Caps) -> Vec<CompactLine> {
    let mut groups: BTreeMap<HeaderBox, (usize, Vec<RangeSet>)> = BTreeMap::new();
    for l in list {
        let mut key = l.fields;
        let own = std::mem::take(&mut key[field]);
        let slot = groups.entry(key).or_insert((l.order, Vec::new()));
        slot.0 = slot.0.min(l.order);
        slot.1.push(own);
    }
    let mut out = Vec::new();
    for (key, (order, sets)) in groups {
        let union = RangeSet::new(sets.iter().flat_map(|s| s.ranges().iter().copied()));
        let pieces = pieces(family, field, &union, caps);
        // All ports together would be no condition, and the line would take non-first fragments too.
        let sayable = |set: &RangeSet| {
            let mut fields = key.clone();
            fields[field] = set.clone();
            caps.sayable(&fields, family)
        };
        let better = pieces.as_ref().is_some_and(|p| p.len() <= sets.len() && p.iter().all(sayable));
        for set in if better { pieces.unwrap_or_default() } else { sets } {
            let mut fields = key.clone();
            fields[field] = set;
            out.push(CompactLine { deny: true, order, fields });
        }
    }
    out
}

/// The set in as few pieces as a line can say each; `None` where a line cannot say them at all.
fn pieces(family: Family, field: usize, set: &RangeSet, caps: &Caps) -> Option<Vec<RangeSet>> {
    let one = || Some(vec![set.clone()]);
    if *set == all(family)[field] {
        return one();
    }
    match field {
        PROTO if caps.proto_sets => one(),
        PROTO => {
            let singles = set.count() <= 64;
            singles.then(|| set.ranges().iter().flat_map(|r| r.0..=r.1).map(|p| RangeSet::one(p, p)).collect())
        }
        SPORT | DPORT if caps.port_sets && weight(set) <= caps.port_items => one(),
        SPORT | DPORT if caps.port_sets => Some(chunks(set, caps.port_items)),
        SPORT | DPORT => {
            let mut out = Vec::new();
            let mut singles: Vec<(u128, u128)> = Vec::new();
            for &(lo, hi) in set.ranges() {
                // A short run may share a list with others; alone it would be a line.
                let listed = caps.port_list > 1 && hi - lo < 2;
                if lo == hi || listed || !caps.port_ranges {
                    if hi - lo > 4_096 {
                        return None;
                    }
                    singles.extend((lo..=hi).map(|p| (p, p)));
                } else {
                    out.push(RangeSet::one(lo, hi));
                }
            }
            out.extend(singles.chunks(caps.port_list.max(1)).map(|c| RangeSet::new(c.iter().copied())));
            Some(out)
        }
        LEN if caps.length_sets => one(),
        LEN => caps.lengths.then(|| set.ranges().iter().map(|r| RangeSet::one(r.0, r.1)).collect()),
        SRC | DST if caps.address_sets => one(),
        SRC | DST if caps.wildcards && family == Family::V4 && set.prefix_count() <= MAX_JOINED => Some(wildcards(set)),
        SRC | DST => {
            Some(set.prefixes(family).iter().map(crate::range::bounds).map(|(lo, hi)| RangeSet::one(lo, hi)).collect())
        }
        _ => None,
    }
}

/// Most prefixes of which wildcards are made.
const MAX_JOINED: usize = 65_536;
/// Most bits of a wildcard above its lowest ones: readers write it out as so many prefixes' exponent.
const MAX_FREE: u32 = 12;

/// Prefixes that differ in one bit become one wildcard, as long as there are such.
fn wildcards(set: &RangeSet) -> Vec<RangeSet> {
    // (bits that may differ, the others), both of 32 bits.
    let mut list: BTreeSet<(u32, u32)> = set
        .prefixes(Family::V4)
        .iter()
        .map(crate::range::bounds)
        .map(|(lo, hi)| ((lo ^ hi) as u32, lo as u32))
        .collect();
    loop {
        let before = list.len();
        for bit in (0..32).map(|b| 1u32 << b) {
            let pairs: Vec<(u32, u32)> = list
                .iter()
                .copied()
                .filter(|&(free, value)| {
                    let more = free | bit;
                    let high = more.count_ones() - more.trailing_ones();
                    (free | value) & bit == 0 && high <= MAX_FREE && list.contains(&(free, value | bit))
                })
                .collect();
            for (free, value) in pairs {
                list.remove(&(free, value));
                list.remove(&(free, value | bit));
                list.insert((free | bit, value));
            }
        }
        if list.len() == before {
            break;
        }
    }
    let of = |&(free, value): &(u32, u32)| {
        let low = free.trailing_ones();
        let tail = if low == 32 { u32::MAX } else { (1 << low) - 1 };
        let high = free & !tail;
        let mut ranges = Vec::new();
        let mut sub = 0u32;
        loop {
            ranges.push((u128::from(value | sub), u128::from(value | sub | tail)));
            sub = sub.wrapping_sub(high) & high;
            if sub == 0 {
                break;
            }
        }
        RangeSet::new(ranges)
    };
    list.iter().map(of).collect()
}

/// Items of a set of ports, where a range counts as two.
pub fn weight(set: &RangeSet) -> usize {
    set.ranges().iter().map(|r| if r.0 == r.1 { 1 } else { 2 }).sum()
}

/// The set in pieces of at most so many items.
fn chunks(set: &RangeSet, most: usize) -> Vec<RangeSet> {
    let mut out: Vec<RangeSet> = Vec::new();
    let mut piece: Vec<(u128, u128)> = Vec::new();
    for &r in set.ranges() {
        let next = RangeSet::new(piece.iter().copied().chain([r]));
        if weight(&next) > most && !piece.is_empty() {
            out.push(RangeSet::new(std::mem::take(&mut piece)));
        }
        piece.push(r);
    }
    out.push(RangeSet::new(piece));
    out
}

/// Whether one line of the dialect takes exactly the box.
pub fn expressible(family: Family, b: &HeaderBox, caps: &Caps) -> bool {
    let whole = all(family);
    let ports = b[SPORT] != whole[SPORT] || b[DPORT] != whole[DPORT];
    let flags = b[FLAGS] != whole[FLAGS];
    let fragments = if ports || flags { b[FRAG].is(0, 0) } else { b[FRAG] == whole[FRAG] || b[FRAG].is(1, 1) };
    let carried = || {
        b[PROTO].ranges().iter().flat_map(|r| r.0..=r.1).all(|p| caps.port_protos.iter().any(|&c| u128::from(c) == p))
    };
    let single = |f: usize| pieces(family, f, &b[f], caps).is_some_and(|p| p.len() == 1);
    fragments
        && (!ports || carried())
        && (!flags || (b[PROTO].is(6, 6) && flag_test(&b[FLAGS]).is_some_and(|(mask, _)| mask & !caps.flag_bits == 0)))
        && caps.sayable(b, family)
        && [SRC, DST, PROTO, LEN, SPORT, DPORT].into_iter().all(single)
}
