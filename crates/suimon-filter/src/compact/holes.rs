//! Fewer prefixes where a few addresses inside a wide block are permitted first.

use super::{Caps, CompactLine, harmless};
use crate::boxes::{DST, HeaderBox, SRC, all};
use crate::range::{Family, RangeSet, bounds};
use std::collections::BTreeMap;

/// Replaces the denies of each group that differs in one side's addresses only by a wider deny with permits before it, where
/// that takes fewer lines and the permits take nothing of the request.
pub fn punch(
    family: Family,
    mut list: Vec<CompactLine>,
    requested: &[(usize, HeaderBox)],
    caps: &Caps,
) -> Vec<CompactLine> {
    if !caps.permits || caps.address_sets {
        return list;
    }
    for side in [DST, SRC] {
        let mut groups: BTreeMap<HeaderBox, Vec<CompactLine>> = BTreeMap::new();
        for l in std::mem::take(&mut list) {
            let mut key = l.fields.clone();
            key[side] = if l.deny { RangeSet::default() } else { key[side].clone() };
            groups.entry(key).or_default().push(l);
        }
        for (key, lines) in groups {
            let better = replaced(family, side, &key, &lines).filter(|new| {
                let safe = |l: &&CompactLine| l.deny || harmless(&l.fields, requested, caps, family);
                new.len() < lines.len() && new.iter().filter(safe).count() == new.len()
            });
            list.extend(better.unwrap_or(lines));
        }
    }
    list
}

fn replaced(family: Family, side: usize, key: &HeaderBox, lines: &[CompactLine]) -> Option<Vec<CompactLine>> {
    if lines.len() < 3 || lines.iter().any(|l| !l.deny) {
        return None;
    }
    let order = lines.iter().map(|l| l.order).min()?;
    let set = RangeSet::new(lines.iter().flat_map(|l| l.fields[side].ranges().iter().copied()));
    let (denies, permits) = split(family, &set);
    let line = |deny: bool, &(lo, hi): &(u128, u128)| {
        let mut fields = key.clone();
        fields[side] = RangeSet::one(lo, hi);
        CompactLine { deny, order, fields }
    };
    Some(permits.iter().map(|r| line(false, r)).chain(denies.iter().map(|r| line(true, r))).collect())
}

type Blocks = Vec<(u128, u128)>;

/// The fewest denied blocks and, before them, permitted blocks that drop exactly the set.
///
/// By induction over the blocks: one that holds nothing of the set needs nothing; any other is either denied, and then
/// every largest block of it outside the set needs a permit of its own, or cut into its halves.
pub fn split(family: Family, set: &RangeSet) -> (Blocks, Blocks) {
    let whole = &all(family)[DST];
    let outside = whole.subtract(set);
    let inside: Blocks = set.prefixes(family).iter().map(bounds).collect();
    let gaps: Blocks = outside.prefixes(family).iter().map(bounds).collect();
    let mut out = (Vec::new(), Vec::new());
    let (lo, hi) = whole.ranges()[0];
    node((lo, hi), &inside, &gaps, &mut out);
    out
}

/// Lines for a block with its blocks of the set and its gaps; the number of lines is what is pushed to `out`.
fn node(block: (u128, u128), inside: &[(u128, u128)], gaps: &[(u128, u128)], out: &mut (Blocks, Blocks)) -> usize {
    if inside.is_empty() {
        return 0;
    }
    if gaps.is_empty() {
        out.0.push(block);
        return 1;
    }
    let middle = block.0 + (block.1 - block.0) / 2;
    let cut = |list: &[(u128, u128)]| list.partition_point(|r| r.0 <= middle);
    let (i, g) = (cut(inside), cut(gaps));
    let mark = (out.0.len(), out.1.len());
    let halves = node((block.0, middle), &inside[..i], &gaps[..g], out)
        + node((middle + 1, block.1), &inside[i..], &gaps[g..], out);
    let whole = 1 + gaps.len();
    if whole >= halves {
        return halves;
    }
    out.0.truncate(mark.0);
    out.1.truncate(mark.1);
    out.0.push(block);
    out.1.extend_from_slice(gaps);
    whole
}
