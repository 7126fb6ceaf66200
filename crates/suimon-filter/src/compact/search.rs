//! The fewest permits and denies of a small universe, by iterative deepening.

use super::CompactLine;
use super::universe::{Bits, Candidate, Universe};
use std::collections::HashMap;

/// Work that searches may do before they stop with what they know, in words of 64 cells that are looked at: about a tenth of
/// a second.
pub const MAX_WORK: u64 = 20_000_000;

/// What is left of the work.
pub struct Budget(u64);

impl Budget {
    /// So much.
    pub fn new(work: u64) -> Self {
        Budget(work)
    }
    /// What is left.
    pub fn left(&self) -> u64 {
        self.0
    }
    /// Takes a part out for one search.
    pub fn part(&mut self, work: u64) -> Budget {
        let part = work.min(self.0);
        self.0 -= part;
        Budget(part)
    }
    /// Puts back what a search did not need.
    pub fn put_back(&mut self, rest: Budget) {
        self.0 += rest.0;
    }
    fn spend(&mut self, work: u64) -> Option<()> {
        let left = self.0.checked_sub(work);
        self.0 = left.unwrap_or(0);
        left.map(|_| ())
    }
}

/// What a search found.
pub struct Outcome {
    /// A list with the fewest lines, where it is shorter than what was known.
    pub lines: Option<Vec<CompactLine>>,
    /// No list has fewer lines.
    pub at_least: usize,
}

struct Search<'a> {
    denies: Vec<&'a Candidate>,
    /// What each deny takes of the request and beside it, and how many permits that needs at least.
    good: Vec<Bits>,
    bad: Vec<Bits>,
    holes: Vec<usize>,
    permits: Vec<&'a Candidate>,
    /// For each cell the denies and the permits that take it.
    by_wanted: HashMap<usize, Vec<usize>>,
    by_bad: HashMap<usize, Vec<usize>>,
    budget: &'a mut Budget,
    chosen: Vec<(bool, usize)>,
}

/// Looks for a list with fewer than `known` lines.
pub fn fewest(u: &Universe, known: usize, budget: &mut Budget) -> Outcome {
    let mut s = Search::new(u, known, budget);
    let mut at_least = 1;
    for lines in 1..known {
        at_least = lines;
        let nothing = u.wanted.without(&u.wanted);
        match s.run(&u.wanted, &nothing, &nothing, lines) {
            Some(true) => return Outcome { lines: Some(s.lines()), at_least },
            Some(false) => at_least = lines + 1,
            None => break,
        }
    }
    Outcome { lines: None, at_least }
}

impl<'a> Search<'a> {
    fn new(u: &'a Universe, known: usize, budget: &'a mut Budget) -> Self {
        // Half of the work may go into leaving lines out that another makes needless; the rest of them do no harm.
        let mut sorting = budget.part(budget.left() / 2);
        let permits = largest(u.permits.iter().collect(), &mut sorting);
        let mut by_bad: HashMap<usize, Vec<usize>> = HashMap::new();
        for (i, p) in permits.iter().enumerate() {
            p.cells.cells().for_each(|c| by_bad.entry(c).or_default().push(i));
        }
        let mut s = Search {
            denies: Vec::new(),
            good: Vec::new(),
            bad: Vec::new(),
            holes: Vec::new(),
            permits,
            by_wanted: HashMap::new(),
            by_bad,
            budget,
            chosen: Vec::new(),
        };
        // Of lines that take the same of the request, the one that takes least beside it.
        let mut list: Vec<(Bits, Bits, &Candidate)> = u
            .denies
            .iter()
            .map(|d| (d.cells.and(&u.wanted), d.cells.without(&u.wanted), d))
            .filter(|(_, bad, _)| bad.cells().all(|c| s.by_bad.contains_key(&c)))
            .collect();
        list.sort_by_cached_key(|(good, bad, d)| (usize::MAX - good.count(), bad.count(), d.line.clone()));
        list.dedup_by(|b, a| a.0 == b.0 && a.1 == b.1);
        for (good, bad, d) in list {
            let holes = independent(&bad, &s.by_bad, &s.permits, &mut sorting).unwrap_or(usize::from(!bad.is_empty()));
            if holes + 1 > known {
                continue;
            }
            let pairs = 2 * s.denies.len() as u64 * good.words();
            let dominated = sorting.spend(pairs).is_some()
                && (0..s.denies.len()).any(|i| good.within(&s.good[i]) && s.bad[i].within(&bad));
            if !dominated {
                s.denies.push(d);
                s.good.push(good);
                s.bad.push(bad);
                s.holes.push(holes);
            }
        }
        s.budget.put_back(sorting);
        for (i, good) in s.good.iter().enumerate() {
            good.cells().for_each(|c| s.by_wanted.entry(c).or_default().push(i));
        }
        s
    }

    /// Denies that the wanted cells need at least, each with its own permits counted as far as they fit into `left`.
    fn needed(&mut self, wanted: &Bits, left: usize) -> Option<usize> {
        let mut rest = wanted.clone();
        let mut count = 0;
        while let Some(cell) = rest.first() {
            count += 1;
            if count > left {
                break;
            }
            rest.clear(cell);
            for &d in self.by_wanted.get(&cell).into_iter().flatten() {
                if self.holes[d] < left {
                    self.budget.spend(rest.words())?;
                    rest.remove(&self.good[d]);
                }
            }
        }
        Some(count)
    }

    /// Whether `left` more lines suffice; `None` when the steps run out.
    fn run(&mut self, wanted: &Bits, bad: &Bits, permitted: &Bits, left: usize) -> Option<bool> {
        self.budget.spend(8 * wanted.words())?;
        if wanted.is_empty() && bad.is_empty() {
            return Some(true);
        }
        let permits_needed = independent(bad, &self.by_bad, &self.permits, self.budget)?;
        // Once a deny needs permits, another may share them, so its own count only where none is needed yet.
        let denies_needed = if bad.is_empty() { self.needed(wanted, left)? } else { usize::from(!wanted.is_empty()) };
        if permits_needed + denies_needed > left {
            return Some(false);
        }
        if let Some(cell) = wanted.cells().min_by_key(|c| self.by_wanted.get(c).map_or(0, Vec::len)) {
            for d in self.by_wanted.get(&cell).cloned().unwrap_or_default() {
                let more = bad.or(&self.bad[d].without(permitted));
                self.chosen.push((true, d));
                let good = self.good[d].clone();
                if self.run(&wanted.without(&good), &more, permitted, left - 1)? {
                    return Some(true);
                }
                self.chosen.pop();
            }
            return Some(false);
        }
        let Some(cell) = bad.cells().min_by_key(|c| self.by_bad.get(c).map_or(0, Vec::len)) else { return Some(true) };
        for p in self.by_bad.get(&cell).cloned().unwrap_or_default() {
            let cells = self.permits[p].cells.clone();
            self.chosen.push((false, p));
            if self.run(wanted, &bad.without(&cells), &permitted.or(&cells), left - 1)? {
                return Some(true);
            }
            self.chosen.pop();
        }
        Some(false)
    }

    fn lines(&self) -> Vec<CompactLine> {
        let of =
            |&(deny, i): &(bool, usize)| if deny { self.denies[i].line.clone() } else { self.permits[i].line.clone() };
        self.chosen.iter().map(of).collect()
    }
}

/// How many permits a set of cells needs at least: cells no two of which one permit takes.
fn independent(
    cells: &Bits,
    by_bad: &HashMap<usize, Vec<usize>>,
    permits: &[&Candidate],
    budget: &mut Budget,
) -> Option<usize> {
    let mut left = cells.clone();
    let mut count = 0;
    while let Some(cell) = left.first() {
        count += 1;
        for &p in by_bad.get(&cell).into_iter().flatten() {
            budget.spend(left.words())?;
            left.remove(&permits[p].cells);
        }
        // A cell that no permit takes still leaves the set.
        left.clear(cell);
    }
    Some(count)
}

/// Those whose cells are not all in another's, as far as the work suffices.
fn largest<'a>(mut list: Vec<&'a Candidate>, budget: &mut Budget) -> Vec<&'a Candidate> {
    list.sort_by_cached_key(|c| (usize::MAX - c.cells.count(), c.line.clone()));
    let mut out: Vec<&Candidate> = Vec::new();
    for c in list {
        let looked = budget.spend(out.len() as u64 * c.cells.words()).is_some();
        if !looked || !out.iter().any(|o| c.cells.within(&o.cells)) {
            out.push(c);
        }
    }
    out
}
