//! The least set of columns that covers every row (unate covering), exactly.
//!
//! Rows with the same columns are merged, columns that alone cover a row are taken (they are in every solution),
//! a column whose rows are a subset of another's is dropped, a row that is covered whenever another is is dropped,
//! and what then remains (the cyclic core) is split into independent parts and searched by branch and bound; the bound
//! is a set of rows no two of which share a column. Each step keeps at least one least solution, so the result is least.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Work of branch and bound, in entries of rows looked at, before it stops and the best solution so far is returned as not
/// proven least: about half a second.
pub const MAX_WORK: u64 = 10_000_000;

/// Chosen columns, ascending, and whether no smaller choice exists.
#[derive(Debug, PartialEq, Eq)]
pub struct Solution {
    /// Chosen columns.
    pub columns: Vec<usize>,
    /// Whether it is proven least.
    pub least: bool,
}

/// `rows[i]` lists the columns that cover row `i`. Rows without columns cannot be covered and are ignored.
pub fn cover(rows: impl IntoIterator<Item = Vec<usize>>) -> Solution {
    let mut set: BTreeSet<Vec<usize>> = BTreeSet::new();
    for mut row in rows {
        row.sort_unstable();
        row.dedup();
        if !row.is_empty() {
            set.insert(row);
        }
    }
    let mut rows: Vec<Vec<usize>> = set.into_iter().collect();
    let mut chosen = BTreeSet::new();
    reduce(&mut rows, &mut chosen);
    let mut least = true;
    let mut left = MAX_WORK;
    for part in parts(rows) {
        let mut search = Search { best: greedy(&part), left };
        least &= search.run(part, BTreeSet::new()).is_some();
        left = search.left;
        chosen.extend(search.best);
    }
    Solution { columns: chosen.into_iter().collect(), least }
}

/// Essential columns and dominance, until nothing changes; returns how many entries were looked at.
fn reduce(rows: &mut Vec<Vec<usize>>, chosen: &mut BTreeSet<usize>) -> u64 {
    let mut work = 0;
    loop {
        let essential: BTreeSet<usize> = rows.iter().filter(|r| r.len() == 1).map(|r| r[0]).collect();
        if !essential.is_empty() {
            rows.retain(|r| !r.iter().any(|c| essential.contains(c)));
            chosen.extend(essential);
        }
        let before: usize = rows.iter().map(Vec::len).sum();
        work += before as u64 + 1;
        drop_dominating_rows(rows);
        drop_dominated_columns(rows);
        if rows.iter().map(Vec::len).sum::<usize>() == before && !rows.iter().any(|r| r.len() == 1) {
            return work;
        }
    }
}

fn by_column(rows: &[Vec<usize>]) -> BTreeMap<usize, Vec<usize>> {
    let mut columns: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        for &c in row {
            columns.entry(c).or_default().push(i);
        }
    }
    columns
}

fn subset(a: &[usize], b: &[usize]) -> bool {
    let mut b = b.iter();
    a.len() <= b.len() && a.iter().all(|x| b.by_ref().any(|y| y == x))
}

/// A row whose columns include all columns of another row is covered whenever that one is.
fn drop_dominating_rows(rows: &mut Vec<Vec<usize>>) {
    rows.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    rows.dedup();
    let columns = by_column(rows);
    let mut gone = vec![false; rows.len()];
    for i in 0..rows.len() {
        if gone[i] {
            continue;
        }
        // A superset holds every column of row i, so it is in the shortest of their lists.
        let shortest = rows[i].iter().filter_map(|c| columns.get(c)).min_by_key(|l| l.len());
        for &j in shortest.into_iter().flatten() {
            if j != i && !gone[j] && subset(&rows[i], &rows[j]) {
                gone[j] = true;
            }
        }
    }
    let mut keep = gone.iter().map(|g| !g);
    rows.retain(|_| keep.next().unwrap_or(true));
}

/// A column whose rows are all covered by another column is never needed; of equals the lowest stays.
fn drop_dominated_columns(rows: &mut [Vec<usize>]) {
    let columns = by_column(rows);
    let mut gone = BTreeSet::new();
    for (&c, list) in &columns {
        let shortest = list.iter().min_by_key(|&&r| rows[r].len());
        let Some(&row) = shortest else { continue };
        let dominated = rows[row].iter().any(|&d| {
            let other = &columns[&d];
            d != c && !gone.contains(&d) && subset(list, other) && (other.len() > list.len() || d < c)
        });
        if dominated {
            gone.insert(c);
        }
    }
    for row in rows.iter_mut() {
        row.retain(|c| !gone.contains(c));
    }
}

/// Rows that share no column, directly or through others, are solved apart.
fn parts(rows: Vec<Vec<usize>>) -> Vec<Vec<Vec<usize>>> {
    let mut parent: Vec<usize> = (0..rows.len()).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    let mut seen: HashMap<usize, usize> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        for &c in row {
            let first = *seen.entry(c).or_insert(i);
            let (a, b) = (root(&mut parent, first), root(&mut parent, i));
            parent[b] = a;
        }
    }
    let mut groups: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    for (i, row) in rows.into_iter().enumerate() {
        let r = root(&mut parent, i);
        groups.entry(r).or_default().push(row);
    }
    groups.into_values().collect()
}

fn greedy(rows: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut rows = rows.to_vec();
    let mut chosen = BTreeSet::new();
    while !rows.is_empty() {
        let columns = by_column(&rows);
        let Some((&best, _)) = columns.iter().max_by_key(|(c, l)| (l.len(), usize::MAX - **c)) else { break };
        chosen.insert(best);
        rows.retain(|r| !r.contains(&best));
    }
    chosen
}

struct Search {
    best: BTreeSet<usize>,
    left: u64,
}

impl Search {
    /// Looks at everything that could be better than the best; `None` when the work is used up.
    fn run(&mut self, mut rows: Vec<Vec<usize>>, mut chosen: BTreeSet<usize>) -> Option<()> {
        let work = reduce(&mut rows, &mut chosen) + chosen.len() as u64;
        let left = self.left.checked_sub(work);
        self.left = left.unwrap_or(0);
        left?;
        if rows.is_empty() {
            if chosen.len() < self.best.len() {
                self.best = chosen;
            }
            return Some(());
        }
        // Rows without a common column need a column each.
        let mut used = BTreeSet::new();
        let mut bound = 0;
        for row in &rows {
            if !row.iter().any(|c| used.contains(c)) {
                used.extend(row.iter().copied());
                bound += 1;
            }
        }
        if chosen.len() + bound >= self.best.len() {
            return Some(());
        }
        let Some(row) = rows.iter().min_by_key(|r| r.len()).cloned() else { return Some(()) };
        for column in row {
            let mut next = chosen.clone();
            next.insert(column);
            let left = rows.iter().filter(|r| !r.contains(&column)).cloned().collect();
            self.run(left, next)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(rows: &[Vec<usize>]) -> u32 {
        let masks: Vec<u32> = rows.iter().map(|r| r.iter().fold(0, |m, c| m | 1 << c)).collect();
        (0u32..1 << 10).filter(|s| masks.iter().all(|m| m & s != 0)).map(u32::count_ones).min().unwrap()
    }

    proptest! {
        #[test]
        fn as_small_as_exhaustive_search(
            rows in prop::collection::vec(prop::collection::vec(0usize..10, 1..5), 0..14)
        ) {
            let got = cover(rows.clone());
            prop_assert!(got.least);
            prop_assert!(rows.iter().all(|r| r.iter().any(|c| got.columns.contains(c))));
            prop_assert_eq!(got.columns.len() as u32, brute(&rows));
        }
    }
}
