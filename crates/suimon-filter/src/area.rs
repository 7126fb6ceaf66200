//! Sets of address pairs as unions of products, kept in as few products as merging equal sides gives.

use crate::range::RangeSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A union of products source set × destination set. Cells of the same addresses share one, so a copy costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Area(Arc<Vec<(RangeSet, RangeSet)>>);

impl Area {
    /// From products in any order.
    pub fn new(products: impl IntoIterator<Item = (RangeSet, RangeSet)>) -> Self {
        let mut list: Vec<(RangeSet, RangeSet)> =
            products.into_iter().filter(|p| !p.0.is_empty() && !p.1.is_empty()).collect();
        loop {
            let before = list.len();
            if before < 2 {
                return Area(Arc::new(list));
            }
            list = merge(list.into_iter());
            list = merge(list.into_iter().map(|(s, d)| (d, s))).into_iter().map(|(d, s)| (s, d)).collect();
            if list.len() >= before {
                list.sort();
                return Area(Arc::new(list));
            }
        }
    }
    /// The products.
    pub fn products(&self) -> &[(RangeSet, RangeSet)] {
        &self.0
    }
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// In both.
    #[must_use]
    pub fn intersect(&self, other: &Area) -> Area {
        if self == other {
            return self.clone();
        }
        Area::new(self.0.iter().flat_map(|a| other.0.iter().map(|b| (a.0.intersect(&b.0), a.1.intersect(&b.1)))))
    }
    /// Whether the pair is in it.
    pub fn contains(&self, src: u128, dst: u128) -> bool {
        self.0.iter().any(|p| p.0.contains(src) && p.1.contains(dst))
    }
    /// Whether every pair of this one is in one of `others`.
    pub fn within(&self, others: &[&Area]) -> bool {
        if others.contains(&self) {
            return true;
        }
        let mut rest = self.0.to_vec();
        for (s, d) in others.iter().flat_map(|a| a.0.iter()) {
            rest = rest
                .into_iter()
                .flat_map(|(a, b)| {
                    let inside = a.intersect(s);
                    [(a.subtract(s), b.clone()), (inside, b.subtract(d))]
                })
                .filter(|p| !p.0.is_empty() && !p.1.is_empty())
                .collect();
        }
        rest.is_empty()
    }
}

/// Unites the second sides of products with the same first side.
fn merge(products: impl Iterator<Item = (RangeSet, RangeSet)>) -> Vec<(RangeSet, RangeSet)> {
    let mut groups: BTreeMap<RangeSet, Vec<RangeSet>> = BTreeMap::new();
    for (a, b) in products {
        groups.entry(a).or_default().push(b);
    }
    groups
        .into_iter()
        .map(|(a, list)| (a, RangeSet::new(list.iter().flat_map(|b| b.ranges().iter().copied()))))
        .collect()
}
