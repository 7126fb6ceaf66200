//! The least lines where several selectors, or several products of addresses, overlap: the covering problem is built
//! over a grid of address blocks that no boundary crosses and solved exactly.

use crate::area::Area;
use crate::range::{Family, RangeSet, bounds};
use crate::solve;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most (cell, source block, destination block) combinations of one covering problem.
pub const MAX_ROWS: usize = 1 << 20;

/// A line: its member, source prefix and destination prefix.
pub type Picked = (usize, IpNet, IpNet);

/// A selector as the grid sees it.
pub struct Member<'a> {
    /// Its cells.
    pub cells: &'a [usize],
    /// The addresses it may stand before.
    pub area: &'a Area,
}

/// A prefix made of whole leaves.
struct Node {
    net: IpNet,
    first: usize,
    last: usize,
    parent: Option<usize>,
}

/// Blocks that no boundary crosses, and every prefix that is a union of them.
struct Axis {
    leaves: Vec<u128>,
    nodes: Vec<Node>,
}

fn axis<'a>(family: Family, sets: impl Iterator<Item = &'a RangeSet> + Clone) -> Axis {
    let union = RangeSet::new(sets.clone().flat_map(|s| s.ranges().iter().copied()));
    let mut cuts: BTreeSet<u128> = BTreeSet::new();
    for &(lo, hi) in sets.flat_map(RangeSet::ranges) {
        cuts.insert(lo);
        if hi < u128::MAX {
            cuts.insert(hi + 1);
        }
    }
    let mut blocks: Vec<IpNet> = Vec::new();
    for &(lo, hi) in union.ranges() {
        let mut start = lo;
        for &cut in cuts.range((std::ops::Bound::Excluded(lo), std::ops::Bound::Included(hi))) {
            blocks.extend(RangeSet::one(start, cut - 1).prefixes(family));
            start = cut;
        }
        blocks.extend(RangeSet::one(start, hi).prefixes(family));
    }
    let leaves: Vec<u128> = blocks.iter().map(|b| bounds(b).0).collect();
    // From the leaves upwards: a prefix belongs when its two halves do.
    let mut index: HashMap<IpNet, usize> = HashMap::new();
    let mut nodes: Vec<Node> = Vec::new();
    for (i, b) in blocks.iter().enumerate() {
        index.insert(*b, nodes.len());
        nodes.push(Node { net: *b, first: i, last: i, parent: None });
    }
    let mut at = 0;
    while at < nodes.len() {
        let net = nodes[at].net;
        if let Some(up) = net.supernet() {
            let halves: Vec<usize> = up
                .subnets(up.prefix_len() + 1)
                .into_iter()
                .flatten()
                .filter_map(|half| index.get(&half).copied())
                .collect();
            if let [a, b] = halves[..] {
                let parent = *index.entry(up).or_insert_with(|| {
                    nodes.push(Node { net: up, first: nodes[a].first, last: nodes[b].last, parent: None });
                    nodes.len() - 1
                });
                nodes[a].parent = Some(parent);
                nodes[b].parent = Some(parent);
            }
        }
        at += 1;
    }
    Axis { leaves, nodes }
}

/// Where a member may stand, as sums over the grid, so that a block is tested in constant time.
struct Sums {
    width: usize,
    sums: Vec<u32>,
}

impl Sums {
    fn new(area: &Area, src: &Axis, dst: &Axis) -> Self {
        let width = dst.leaves.len() + 1;
        let mut sums = vec![0u32; (src.leaves.len() + 1) * width];
        for (i, &s) in src.leaves.iter().enumerate() {
            for (j, &d) in dst.leaves.iter().enumerate() {
                let here = u32::from(area.contains(s, d));
                let at = (i + 1) * width + j + 1;
                sums[at] = here + sums[at - 1] + sums[at - width] - sums[at - width - 1];
            }
        }
        Sums { width, sums }
    }
    fn full(&self, p: &Node, q: &Node) -> bool {
        let at = |i: usize, j: usize| self.sums[i * self.width + j];
        let inside = at(p.last + 1, q.last + 1) + at(p.first, q.first);
        let outside = at(p.first, q.last + 1) + at(p.last + 1, q.first);
        (inside - outside) as usize == (p.last - p.first + 1) * (q.last - q.first + 1)
    }
}

/// Picks (member, source prefix, destination prefix) so that every wanted cell is covered by the fewest of them, and says
/// whether that is proven.
///
/// # Errors
/// In words, when the grid would pass [`MAX_ROWS`].
pub fn least(
    family: Family,
    members: &[Member<'_>],
    wanted: &BTreeMap<usize, &Area>,
) -> Result<(Vec<Picked>, bool), String> {
    let products = || members.iter().map(|m| m.area).chain(wanted.values().copied()).flat_map(Area::products);
    let src = axis(family, products().map(|p| &p.0).collect::<Vec<_>>().into_iter());
    let dst = axis(family, products().map(|p| &p.1).collect::<Vec<_>>().into_iter());
    // Cells in the same members with the same addresses are one.
    let mut classes: BTreeMap<(Vec<usize>, &Area), usize> = BTreeMap::new();
    for (&cell, area) in wanted {
        let of = (0..members.len()).filter(|&m| members[m].cells.binary_search(&cell).is_ok()).collect();
        classes.insert((of, *area), cell);
    }
    let size = src.leaves.len() * dst.leaves.len();
    let rows = size.saturating_mul(classes.len().max(members.len()));
    if rows > MAX_ROWS {
        return Err(format!("{rows} address blocks to weigh, at most {MAX_ROWS}"));
    }
    let sums: Vec<Sums> = members.iter().map(|m| Sums::new(m.area, &src, &dst)).collect();
    let wider: Vec<Vec<usize>> = (0..members.len())
        .map(|m| {
            let inside = |o: usize| {
                members[o].cells.len() > members[m].cells.len()
                    && members[m].cells.iter().all(|c| members[o].cells.binary_search(c).is_ok())
            };
            (0..members.len()).filter(|&o| inside(o)).collect()
        })
        .collect();
    let mut columns: Vec<(usize, usize, usize)> = Vec::new();
    for m in 0..members.len() {
        for (i, p) in src.nodes.iter().enumerate() {
            for (j, q) in dst.nodes.iter().enumerate() {
                let widens = p.parent.is_some_and(|up| sums[m].full(&src.nodes[up], q))
                    || q.parent.is_some_and(|up| sums[m].full(p, &dst.nodes[up]));
                if !widens && sums[m].full(p, q) && !wider[m].iter().any(|&o| sums[o].full(p, q)) {
                    columns.push((m, i, j));
                }
            }
        }
    }
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); size * classes.len()];
    for (c, (of, _)) in classes.keys().enumerate() {
        for (n, &(_, i, j)) in columns.iter().enumerate().filter(|(_, col)| of.contains(&col.0)) {
            for s in src.nodes[i].first..=src.nodes[i].last {
                for d in dst.nodes[j].first..=dst.nodes[j].last {
                    rows[c * size + s * dst.leaves.len() + d].push(n);
                }
            }
        }
    }
    // A line never reaches beyond the request, so a row outside a class's addresses has no column of it.
    let solution = solve::cover(rows);
    let picked = solution.columns.iter().map(|&n| {
        let (m, i, j) = columns[n];
        (m, src.nodes[i].net, dst.nodes[j].net)
    });
    Ok((picked.collect(), solution.least))
}
