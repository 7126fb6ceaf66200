//! Lists of prefixes with exceptions, of which the longest match decides: Junos's `except`.

use crate::boxes::{DST, all};
use crate::range::{Family, RangeSet, bounds};
use ipnet::IpNet;

/// Largest list for which exceptions are tried, in prefixes.
const MAX_PREFIXES: usize = 20_000;

/// The fewest prefixes, each inside (`true`) or taken out, whose longest matches are exactly the set.
///
/// By induction over the blocks of the address space: a block that is all inside or all outside needs a prefix where the one
/// above it says otherwise; any other is left to its halves, with or without a prefix of its own.
pub fn with_exceptions(family: Family, set: &RangeSet) -> Vec<(IpNet, bool)> {
    let whole = &all(family)[DST];
    let inside: Vec<(u128, u128)> = set.prefixes(family).iter().map(bounds).collect();
    let gaps: Vec<(u128, u128)> = whole.subtract(set).prefixes(family).iter().map(bounds).collect();
    if inside.len().max(gaps.len()) > MAX_PREFIXES {
        return set.prefixes(family).into_iter().map(|n| (n, true)).collect();
    }
    let Some(&root) = whole.ranges().first() else { return Vec::new() };
    let [out, _] = node(family, root, &inside, &gaps);
    out
}

type Signed = Vec<(IpNet, bool)>;

/// The lists for a block where the prefix above it says outside, and where it says inside.
fn node(family: Family, block: (u128, u128), inside: &[(u128, u128)], gaps: &[(u128, u128)]) -> [Signed; 2] {
    let net = |set: bool| {
        let size = (block.1 - block.0).count_ones() as u8;
        (family.net(block.0, family.bits() - size), set)
    };
    if inside.is_empty() {
        return [Vec::new(), vec![net(false)]];
    }
    if gaps.is_empty() {
        return [vec![net(true)], Vec::new()];
    }
    let middle = block.0 + (block.1 - block.0) / 2;
    let cut = |list: &[(u128, u128)]| list.partition_point(|r| r.0 <= middle);
    let (i, g) = (cut(inside), cut(gaps));
    let [mut out, mut within] = node(family, (block.0, middle), &inside[..i], &gaps[..g]);
    let [right_out, right_within] = node(family, (middle + 1, block.1), &inside[i..], &gaps[g..]);
    out.extend(right_out);
    within.extend(right_within);
    // A prefix here turns one into the other.
    if out.len() > within.len() + 1 {
        out = std::iter::once(net(true)).chain(within.iter().copied()).collect();
    } else if within.len() > out.len() + 1 {
        within = std::iter::once(net(false)).chain(out.iter().copied()).collect();
    }
    [out, within]
}

/// The addresses whose longest match among both lists is in the first; what neither list names is outside.
///
/// # Errors
/// In words, where a prefix is in both lists, nothing is left, or nothing was inside.
pub fn longest(family: Family, inside: &[IpNet], outside: &[IpNet]) -> Result<Vec<IpNet>, &'static str> {
    if inside.is_empty() {
        return Err("only exceptions: no address fulfils them, since what a list does not name is outside it");
    }
    let mut list: Vec<(IpNet, bool)> = inside.iter().map(|n| (n.trunc(), true)).collect();
    list.extend(outside.iter().map(|n| (n.trunc(), false)));
    list.sort_by_key(|(n, _)| (bounds(n).0, n.prefix_len()));
    list.dedup();
    if list.windows(2).any(|w| w[0].0 == w[1].0) {
        return Err("a prefix is in the list and excepted from it");
    }
    // From left to right with the prefixes around the place: each piece belongs to the innermost.
    let mut ranges: Vec<(u128, u128)> = Vec::new();
    let mut open: Vec<(u128, bool)> = Vec::new();
    let mut at = 0u128;
    let mut piece = |from: u128, to: u128, set: bool| {
        if set && from <= to {
            ranges.push((from, to));
        }
    };
    for (net, set) in list {
        let (lo, hi) = bounds(&net);
        while let Some(&(end, inner)) = open.last().filter(|o| o.0 < lo) {
            piece(at, end, inner);
            at = end + 1;
            open.pop();
        }
        if let (Some(&(_, inner)), true) = (open.last(), lo > 0) {
            piece(at, lo - 1, inner);
        }
        at = lo;
        open.push((hi, set));
    }
    while let Some((end, inner)) = open.pop() {
        piece(at, end, inner);
        at = end.saturating_add(1);
        if end == u128::MAX {
            // Whatever else is open ends here too.
            break;
        }
    }
    let nets = RangeSet::new(ranges).prefixes(family);
    if nets.is_empty() { Err("the exceptions leave no address") } else { Ok(nets) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(list: &[(IpNet, bool)], x: u128) -> bool {
        let at = |n: &IpNet| (bounds(n).0..=bounds(n).1).contains(&x);
        list.iter().filter(|l| at(&l.0)).max_by_key(|l| l.0.prefix_len()).is_some_and(|l| l.1)
    }

    proptest! {
        #[test]
        fn both_ways_and_never_longer(list in prop::collection::vec((0u32..64, 26u8..=32, any::<bool>()), 1..12)) {
            let list: Vec<(IpNet, bool)> = list.into_iter()
                .map(|(a, len, set)| (Family::V4.net(u128::from(0xc000_0200 + a), len).trunc(), set))
                .collect();
            let of = |want: bool| list.iter().filter(|l| l.1 == want).map(|l| l.0).collect::<Vec<_>>();
            if let Ok(nets) = longest(Family::V4, &of(true), &of(false)) {
                let set = RangeSet::new(nets.iter().map(bounds));
                for x in 0xc000_01f0u128..0xc000_0250 {
                    prop_assert_eq!(set.contains(x), naive(&list, x), "{}", Family::V4.addr(x));
                }
                let signed = with_exceptions(Family::V4, &set);
                for x in 0xc000_01f0u128..0xc000_0250 {
                    prop_assert_eq!(set.contains(x), naive(&signed, x), "{}", Family::V4.addr(x));
                }
                let distinct = { let mut l = list.clone(); l.sort(); l.dedup(); l.len() };
                prop_assert!(signed.len() <= distinct && signed.len() <= nets.len());
            }
        }
    }

    #[test]
    fn the_ends_of_the_address_space() {
        let all: Vec<IpNet> = vec!["::/0".parse().unwrap()];
        let out: Vec<IpNet> = vec!["8000::/1".parse().unwrap(), "ffff::/16".parse().unwrap()];
        assert_eq!(longest(Family::V6, &all, &out).unwrap(), vec!["::/1".parse::<IpNet>().unwrap()]);
        assert!(longest(Family::V6, &[], &out).is_err() && longest(Family::V6, &out, &out).is_err());
        let set = RangeSet::one(1, u128::MAX);
        let signed = with_exceptions(Family::V6, &set);
        assert_eq!(signed.len(), 2, "{signed:?}");
    }
}
