//! The fewest permits and denies of a small universe, by iterative deepening.

use super::CompactLine;
use super::universe::{Bits, Candidate, Universe};
use std::collections::HashMap;

/// Steps of one search before it stops with what it knows.
pub const MAX_STEPS: u64 = 60_000;

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
    steps: u64,
    chosen: Vec<(bool, usize)>,
}

/// Looks for a list with fewer than `known` lines.
pub fn fewest(u: &Universe, known: usize) -> Outcome {
    let Some(mut s) = Search::new(u, known) else { return Outcome { lines: None, at_least: 1 } };
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
    fn new(u: &'a Universe, known: usize) -> Option<Self> {
        let permits = largest(u.permits.iter().collect());
        let mut by_bad: HashMap<usize, Vec<usize>> = HashMap::new();
        for (i, p) in permits.iter().enumerate() {
            p.cells.cells().for_each(|c| by_bad.entry(c).or_default().push(i));
        }
        // Of lines that take the same of the request, the one that takes least beside it.
        let mut s = Search {
            denies: Vec::new(),
            good: Vec::new(),
            bad: Vec::new(),
            holes: Vec::new(),
            permits,
            by_wanted: HashMap::new(),
            by_bad,
            steps: 0,
            chosen: Vec::new(),
        };
        let mut list: Vec<(Bits, Bits, &Candidate)> = u
            .denies
            .iter()
            .map(|d| (d.cells.and(&u.wanted), d.cells.without(&u.wanted), d))
            .filter(|(_, bad, _)| bad.cells().all(|c| s.by_bad.contains_key(&c)))
            .collect();
        list.sort_by_cached_key(|(good, bad, d)| (usize::MAX - good.count(), bad.count(), d.line.clone()));
        list.dedup_by(|b, a| a.0 == b.0 && a.1 == b.1);
        for (good, bad, d) in list {
            let holes = s.independent(&bad);
            if holes + 1 > known || s.steps > MAX_STEPS * 8 {
                continue;
            }
            let dominated = (0..s.denies.len()).any(|i| good.within(&s.good[i]) && s.bad[i].within(&bad));
            s.steps += s.denies.len() as u64 / 8;
            if !dominated {
                s.denies.push(d);
                s.good.push(good);
                s.bad.push(bad);
                s.holes.push(holes);
            }
        }
        if s.steps > MAX_STEPS * 8 {
            return None;
        }
        s.steps = 0;
        for (i, good) in s.good.iter().enumerate() {
            good.cells().for_each(|c| s.by_wanted.entry(c).or_default().push(i));
        }
        Some(s)
    }

    /// How many permits a set of cells needs at least: cells no two of which one permit takes.
    fn independent(&self, cells: &Bits) -> usize {
        let mut left = cells.clone();
        let mut count = 0;
        while let Some(cell) = left.first() {
            count += 1;
            for &p in self.by_bad.get(&cell).into_iter().flatten() {
                left = left.without(&self.permits[p].cells);
            }
            // A cell that no permit takes still leaves the set.
            left.clear(cell);
        }
        count
    }

    /// Denies that the wanted cells need at least, each with its own permits counted as far as they fit into `left`.
    fn needed(&self, wanted: &Bits, left: usize) -> usize {
        let mut rest = wanted.clone();
        let mut count = 0;
        while let Some(cell) = rest.first() {
            count += 1;
            if count > left {
                return count;
            }
            rest.clear(cell);
            for &d in self.by_wanted.get(&cell).into_iter().flatten() {
                if self.holes[d] < left {
                    rest = rest.without(&self.good[d]);
                }
            }
        }
        count
    }

    /// Whether `left` more lines suffice; `None` when the steps run out.
    fn run(&mut self, wanted: &Bits, bad: &Bits, permitted: &Bits, left: usize) -> Option<bool> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return None;
        }
        if wanted.is_empty() && bad.is_empty() {
            return Some(true);
        }
        let permits_needed = self.independent(bad);
        // Once a deny needs permits, another may share them, so its own count only where none is needed yet.
        let denies_needed = if bad.is_empty() { self.needed(wanted, left) } else { usize::from(!wanted.is_empty()) };
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

/// Those whose cells are not all in another's.
fn largest(mut list: Vec<&Candidate>) -> Vec<&Candidate> {
    list.sort_by_cached_key(|c| (usize::MAX - c.cells.count(), c.line.clone()));
    let mut out: Vec<&Candidate> = Vec::new();
    for c in list {
        if !out.iter().any(|o| c.cells.within(&o.cells)) {
            out.push(c);
        }
    }
    out
}
