//! Sets of numbers as sorted, disjoint, non-adjacent inclusive ranges; addresses, ports and lengths alike.

mod sort;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];
    /// Bits of an address.
    pub const fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
    /// The highest address as a number.
    pub const fn max(self) -> u128 {
        match self {
            Family::V4 => u32::MAX as u128,
            Family::V6 => u128::MAX,
        }
    }
    /// The family of an address.
    pub const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
    /// The family of a prefix.
    pub const fn of_net(net: &IpNet) -> Self {
        match net {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }
    /// The address with this number; excess bits of an IPv4 number are cut.
    pub fn addr(self, number: u128) -> IpAddr {
        match self {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits((number & u128::from(u32::MAX)) as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }
    /// The prefix that starts at `number` and is `len` bits long; `len` is cut to the family's bits.
    pub fn net(self, number: u128, len: u8) -> IpNet {
        match self.addr(number) {
            IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, len.min(32))),
            IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, len.min(128))),
        }
    }
}

/// An address as a number.
pub fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// First and last number of a prefix.
pub fn bounds(net: &IpNet) -> (u128, u128) {
    match net {
        IpNet::V4(n) => (n.network().to_bits().into(), n.broadcast().to_bits().into()),
        IpNet::V6(n) => (n.network().to_bits(), n.broadcast().to_bits()),
    }
}

/// Most ranges for which room is made before they are read.
const MAX_RESERVED: usize = 1 << 22;

/// A set of numbers; a copy shares the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RangeSet(Arc<Vec<(u128, u128)>>);

impl RangeSet {
    /// From ranges in any order, overlapping or not; a range whose end lies before its start is left out.
    pub fn new(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let ranges = ranges.into_iter();
        let mut all: Vec<(u128, u128)> = Vec::with_capacity(ranges.size_hint().1.unwrap_or(0).min(MAX_RESERVED));
        if join(ranges.filter(|r| r.0 <= r.1), &mut all) {
            return RangeSet(Arc::new(all));
        }
        if let Some(keys) = sort::by_start(&all) {
            all.clear();
            join(keys.into_iter().map(|key| (u128::from(key >> 32), u128::from(key as u32))), &mut all);
        } else {
            all.sort_unstable();
            all.dedup_by(|next, last| {
                let joins = next.0 <= last.1.saturating_add(1);
                if joins {
                    last.1 = last.1.max(next.1);
                }
                joins
            });
        }
        RangeSet(Arc::new(all))
    }
    /// One range.
    pub fn one(lo: u128, hi: u128) -> Self {
        RangeSet::new([(lo, hi)])
    }
    /// The ranges, ascending.
    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.0
    }
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Whether it is exactly `lo..=hi`.
    pub fn is(&self, lo: u128, hi: u128) -> bool {
        *self.0 == [(lo, hi)]
    }
    /// How many numbers; saturates at `u128::MAX`.
    pub fn count(&self) -> u128 {
        self.0.iter().fold(0u128, |n, r| n.saturating_add(r.1 - r.0).saturating_add(1))
    }
    /// Whether `x` is in it.
    pub fn contains(&self, x: u128) -> bool {
        let at = self.0.partition_point(|r| r.1 < x);
        self.0.get(at).is_some_and(|r| r.0 <= x)
    }
    /// In both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let (mut i, mut j, mut out) = (0, 0, Vec::new());
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (lo, hi) = (a.0.max(b.0), a.1.min(b.1));
            if lo <= hi {
                out.push((lo, hi));
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        RangeSet(Arc::new(out))
    }
    /// In either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        RangeSet::new(self.0.iter().chain(other.0.iter()).copied())
    }
    /// In this one and not in the other.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut j = 0;
        for &(mut lo, hi) in self.0.iter() {
            let mut open = true;
            while let Some(cut) = other.0.get(j) {
                if cut.1 < lo {
                    j += 1;
                    continue;
                }
                if cut.0 > hi {
                    break;
                }
                if cut.0 > lo {
                    out.push((lo, cut.0 - 1));
                }
                if cut.1 >= hi {
                    open = false;
                    break;
                }
                lo = cut.1 + 1;
            }
            if open {
                out.push((lo, hi));
            }
        }
        RangeSet(Arc::new(out))
    }
    /// The fewest prefixes that cover exactly this set: each is a largest aligned block inside it, and these are
    /// pairwise disjoint, so every one is needed and no other is.
    pub fn prefixes(&self, family: Family) -> Vec<IpNet> {
        let mut out = Vec::with_capacity(self.prefix_count());
        self.each_prefix(family, |net| out.push(net));
        out
    }
    /// How many prefixes [`prefixes`](Self::prefixes) makes, without making them.
    pub fn prefix_count(&self) -> usize {
        self.0.iter().map(|&(lo, hi)| blocks(lo, hi) as usize).sum()
    }
    /// [`prefixes`](Self::prefixes), each handed to `sink`, ascending.
    pub fn each_prefix(&self, family: Family, mut sink: impl FnMut(IpNet)) {
        for &(lo, hi) in self.0.iter() {
            match (family, u32::try_from(lo), u32::try_from(hi)) {
                (Family::V4, Ok(lo), Ok(hi)) => each_v4(lo, hi, &mut sink),
                _ => each_block(lo, hi, family, &mut sink),
            }
        }
    }
}

/// Puts ranges after those in `all`, each that starts within or right after the one before it into that one; whether they
/// came in the order of their starts. Neighbours join before they are stored: with a million ranges, memory touched for
/// the first time costs more than the work on it.
fn join(mut ranges: impl Iterator<Item = (u128, u128)>, all: &mut Vec<(u128, u128)>) -> bool {
    let Some(mut last) = ranges.next() else { return true };
    let mut sorted = true;
    ranges.for_each(|next| {
        if next.0 >= last.0 && next.0 <= last.1.saturating_add(1) {
            last.1 = last.1.max(next.1);
        } else {
            sorted &= next.0 > last.0;
            all.push(last);
            last = next;
        }
    });
    all.push(last);
    sorted
}

/// How many largest aligned blocks lie in `lo..=hi`: with the end cut down to the highest bit in which it differs from the
/// start, each bit of the distances to both sides is one block.
fn blocks(lo: u128, hi: u128) -> u32 {
    if let (Ok(lo), Ok(hi)) = (u32::try_from(lo), u32::try_from(hi)) {
        let (lo, end) = (u64::from(lo), u64::from(hi) + 1);
        let middle = end & (u64::MAX << (lo ^ end).ilog2());
        return (middle - lo).count_ones() + (end - middle).count_ones();
    }
    let Some(end) = hi.checked_add(1) else {
        return if lo == 0 { 1 } else { lo.wrapping_neg().count_ones() };
    };
    let middle = end & (u128::MAX << (lo ^ end).ilog2());
    (middle - lo).count_ones() + (end - middle).count_ones()
}

fn each_v4(lo: u32, hi: u32, sink: &mut impl FnMut(IpNet)) {
    let (mut at, end) = (u64::from(lo), u64::from(hi) + 1);
    while at < end {
        let k = (at | 1 << 32).trailing_zeros().min((end - at).ilog2());
        sink(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(at as u32), (32 - k) as u8)));
        at += 1 << k;
    }
}

fn each_block(lo: u128, hi: u128, family: Family, sink: &mut impl FnMut(IpNet)) {
    let bits = u32::from(family.bits());
    let mut at = lo;
    loop {
        let aligned = if at == 0 { bits } else { at.trailing_zeros().min(bits) };
        let room = hi - at;
        // The largest k with 2^k - 1 <= room.
        let fits = if room == u128::MAX { 128 } else { (room + 1).ilog2() };
        let k = aligned.min(fits);
        sink(family.net(at, (bits - k) as u8));
        let last = if k == 128 { u128::MAX } else { at + ((1u128 << k) - 1) };
        if last >= hi {
            break;
        }
        at = last + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model(set: &RangeSet) -> Vec<bool> {
        (0..64).map(|x| set.contains(x)).collect()
    }

    proptest! {
        #[test]
        fn algebra_agrees_with_bit_vectors(
            a in prop::collection::vec((0u128..64, 0u128..64), 0..6),
            b in prop::collection::vec((0u128..64, 0u128..64), 0..6),
        ) {
            let (a, b) = (RangeSet::new(a), RangeSet::new(b));
            let (ma, mb) = (model(&a), model(&b));
            for x in 0..64usize {
                prop_assert_eq!(model(&a.intersect(&b))[x], ma[x] && mb[x]);
                prop_assert_eq!(model(&a.union(&b))[x], ma[x] || mb[x]);
                prop_assert_eq!(model(&a.subtract(&b))[x], ma[x] && !mb[x]);
            }
        }

        #[test]
        fn long_lists_agree_with_short_ones(list in prop::collection::vec((any::<u16>(), 0u16..40), 4_000)) {
            // Each number is taken by itself; the set of the whole list is sorted without comparing.
            let ranges = || list.iter().map(|&(lo, n)| (u128::from(lo) << 16, (u128::from(lo) << 16) + (u128::from(n) << 14)));
            let whole = RangeSet::new(ranges());
            let mut sorted: Vec<_> = ranges().collect();
            sorted.sort_unstable();
            let parts = sorted.chunks(1_000).map(|c| RangeSet::new(c.iter().copied()));
            prop_assert!(whole.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
            prop_assert_eq!(parts.fold(RangeSet::default(), |a, b| a.union(&b)), whole);
        }

        #[test]
        fn blocks_are_counted_without_making_them(lo in any::<u128>(), hi in any::<u128>(), cut in 0u32..128) {
            for (lo, hi) in [(lo, hi), (lo >> cut, hi >> cut), (lo, u128::MAX), (0, hi), (lo >> cut << cut, u128::MAX)] {
                let set = RangeSet::one(lo.min(hi), lo.max(hi));
                prop_assert_eq!(set.prefix_count(), set.prefixes(Family::V6).len());
                let set = RangeSet::one((lo.min(hi) as u32).into(), u32::MAX.into());
                prop_assert_eq!(set.prefix_count(), set.prefixes(Family::V4).len());
            }
        }

        #[test]
        fn prefixes_cover_exactly(lo in any::<u32>(), len in any::<u32>()) {
            let hi = lo.saturating_add(len);
            let nets = RangeSet::one(lo.into(), hi.into()).prefixes(Family::V4);
            let mut next = u128::from(lo);
            for n in &nets {
                prop_assert_eq!(bounds(n).0, next);
                next = bounds(n).1 + 1;
            }
            prop_assert_eq!(next, u128::from(hi) + 1);
        }
    }

    #[test]
    fn whole_families_are_one_prefix() {
        assert_eq!(RangeSet::one(0, u128::MAX).prefixes(Family::V6)[0].to_string(), "::/0");
        assert_eq!(RangeSet::one(0, Family::V4.max()).prefixes(Family::V4)[0].to_string(), "0.0.0.0/0");
        assert_eq!(RangeSet::one(1, u128::MAX).prefixes(Family::V6).len(), 128);
        for set in [RangeSet::one(0, u128::MAX), RangeSet::one(0, Family::V4.max())] {
            assert_eq!(set.prefix_count(), 1);
        }
    }
}
