//! The best few of the candidates: greedy, then branch and bound.
//!
//! Better is first more of the attack, up to what was asked for; then more of the attack less what of the rest goes with
//! it. Adding a rule never takes less, and what a rule adds shrinks the more there are (the packets taken are a union), so
//! the sum of the largest single gains bounds what any choice can still reach.

use super::mine::{Budget, Candidate, Mined, Test, Tests};
use super::universe::{DPORT, FIELDS, FLAGS, LEN, PROTO, SPORT, SRC, TTL, Universe};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// Most candidates among which branch and bound chooses; beyond, the ones that take most.
pub const MAX_CHOICE: usize = 384;
/// Most groups of cells that are looked at in one search.
pub const MAX_WORK: usize = 20_000_000;

/// How good a set of rules is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Packets of the attack.
    pub attack: f64,
    /// Legitimate packets.
    pub packets: f64,
    /// Legitimate new connections.
    pub opens: f64,
}

/// Rules for one number of rules.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Candidates' indices in the list that was handed in, in the order of what each adds.
    pub rules: Vec<usize>,
    /// Whether nothing better exists among the candidates.
    pub best: bool,
}

struct Set {
    words: Vec<u64>,
}

impl Set {
    fn of(list: &[u32], size: usize) -> Set {
        let mut words = vec![0; size.div_ceil(64)];
        for &i in list {
            words[i as usize / 64] |= 1 << (i % 64);
        }
        Set { words }
    }
    fn within(&self, other: &Set) -> bool {
        self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }
}

/// How many words a rule costs a reader; of rules that do the same the plainest is kept.
pub fn plainness(t: &Tests) -> u32 {
    let cost = |f: usize| match (&t[f], f) {
        (None, _) => 0,
        (Some(Test::Atoms(a, b)), SPORT | DPORT) => 2 + u32::from(a != b) * 2,
        (Some(Test::Atoms(a, b)), LEN | TTL) => 4 + u32::from(a != b) * 2,
        (Some(Test::Flags(m, _)), FLAGS) => 1 + m.count_ones(),
        (Some(_), SRC) => 6,
        (Some(_), PROTO) => 1,
        _ => 2,
    };
    (0..FIELDS).map(cost).sum()
}

struct Problem {
    /// Groups of cells that the same candidates take: (attack, packets, opens).
    groups: Vec<(f64, f64, f64)>,
    /// Groups of each candidate.
    of: Vec<Vec<u32>>,
    /// The candidate's place in the list handed in.
    names: Vec<usize>,
    enough: f64,
    share: (f64, f64, f64),
    budget: Budget,
}

/// Drops candidates that do what another does, and those that another does better.
fn prune(u: &Universe, list: &[Candidate]) -> Vec<usize> {
    let mut seen: BTreeMap<(&[u32], &[u32]), usize> = BTreeMap::new();
    for (i, c) in list.iter().enumerate() {
        let slot = seen.entry((&c.attack, &c.legit)).or_insert(i);
        let rank = |i: usize| (plainness(&list[i].tests), list[i].tests.clone());
        if rank(i) < rank(*slot) {
            *slot = i;
        }
    }
    let mut order: Vec<usize> = seen.into_values().collect();
    let gain: Vec<f64> = list.iter().map(|c| super::mine::weight(&u.attack, &c.attack).0).collect();
    order.sort_by(|&a, &b| {
        gain[b]
            .total_cmp(&gain[a])
            .then(list[a].legit.len().cmp(&list[b].legit.len()))
            .then(plainness(&list[a].tests).cmp(&plainness(&list[b].tests)))
            .then(list[a].tests.cmp(&list[b].tests))
    });
    let mut kept: Vec<(usize, Set, Set)> = Vec::new();
    for i in order {
        let a = Set::of(&list[i].attack, u.attack.len());
        let l = Set::of(&list[i].legit, u.legit.len());
        if !kept.iter().any(|(_, ka, kl)| a.within(ka) && kl.within(&l)) {
            kept.push((i, a, l));
        }
    }
    kept.into_iter().map(|k| k.0).collect()
}

impl Problem {
    fn new(u: &Universe, list: &[Candidate], keep: &[usize], enough: f64, budget: Budget) -> Problem {
        let mut groups: Vec<(f64, f64, f64)> = Vec::new();
        let mut of = vec![Vec::new(); keep.len()];
        for legit in [false, true] {
            let cells = if legit { &u.legit } else { &u.attack };
            let mut members: Vec<Vec<u16>> = vec![Vec::new(); cells.len()];
            for (n, &i) in keep.iter().enumerate() {
                let own = if legit { &list[i].legit } else { &list[i].attack };
                own.iter().for_each(|&c| members[c as usize].push(n as u16));
            }
            let mut index: HashMap<Vec<u16>, usize> = HashMap::new();
            for (c, m) in members.into_iter().enumerate() {
                if m.is_empty() {
                    continue;
                }
                let next = groups.len();
                let at = *index.entry(m.clone()).or_insert(next);
                if at == next {
                    groups.push((0.0, 0.0, 0.0));
                    m.iter().for_each(|&n| of[usize::from(n)].push(next as u32));
                }
                let g = &mut groups[at];
                match legit {
                    true => (g.1, g.2) = (g.1 + cells[c].weight, g.2 + cells[c].opens),
                    false => g.0 += cells[c].weight,
                }
            }
        }
        let one = |x: f64| if x > 0.0 { 1.0 / x } else { 0.0 };
        let share = (one(u.attack_total), one(u.legit_total), one(u.opens_total));
        Problem { groups, of, names: keep.to_vec(), enough, share, budget }
    }

    /// What candidate `c` adds to what is covered.
    fn adds(&self, c: usize, covered: &[bool]) -> Value {
        self.of[c].iter().filter(|g| !covered[**g as usize]).fold(
            Value { attack: 0.0, packets: 0.0, opens: 0.0 },
            |s, &g| {
                let (a, p, o) = self.groups[g as usize];
                Value { attack: s.attack + a, packets: s.packets + p, opens: s.opens + o }
            },
        )
    }

    fn score(&self, v: Value) -> (f64, f64) {
        let attack = v.attack * self.share.0;
        let loss = (v.packets * self.share.1).max(v.opens * self.share.2);
        (attack.min(self.enough), attack - loss)
    }

    fn fits(&self, v: Value) -> bool {
        v.packets <= self.budget.packets && v.opens <= self.budget.opens
    }

    fn greedy(&self, k: usize, all: &[usize]) -> (Vec<usize>, Value) {
        let mut covered = vec![false; self.groups.len()];
        let mut sum = Value { attack: 0.0, packets: 0.0, opens: 0.0 };
        let mut rules = Vec::new();
        for _ in 0..k {
            let next = all
                .iter()
                .map(|&c| (c, plus(sum, self.adds(c, &covered))))
                .filter(|(_, v)| self.fits(*v) && better(self.score(*v), self.score(sum)))
                .reduce(|a, b| if better(self.score(b.1), self.score(a.1)) { b } else { a });
            let Some((c, v)) = next else { break };
            sum = v;
            self.of[c].iter().for_each(|&g| covered[g as usize] = true);
            rules.push(c);
        }
        (rules, sum)
    }
}

fn plus(a: Value, b: Value) -> Value {
    Value { attack: a.attack + b.attack, packets: a.packets + b.packets, opens: a.opens + b.opens }
}

/// Strictly better, rounding set aside.
fn better(a: (f64, f64), b: (f64, f64)) -> bool {
    const DUST: f64 = 1e-9;
    match (a.0 - b.0).abs() <= DUST {
        true => a.1 > b.1 + DUST,
        false => a.0 > b.0,
    }
}

struct Branch<'a> {
    p: &'a Problem,
    best: (f64, f64),
    found: Option<(Vec<usize>, Value)>,
    work: usize,
    cut: bool,
}

impl Branch<'_> {
    fn go(&mut self, chosen: &mut Vec<usize>, covered: &[bool], sum: Value, left: usize, open: &[usize]) {
        self.work += open.iter().map(|&c| self.p.of[c].len() + 1).sum::<usize>() + covered.len();
        if self.cut || self.work > MAX_WORK {
            self.cut = true;
            return;
        }
        if better(self.p.score(sum), self.best) {
            self.best = self.p.score(sum);
            self.found = Some((chosen.clone(), sum));
        }
        if left == 0 {
            return;
        }
        let mut gains: Vec<(usize, Value)> = open
            .iter()
            .map(|&c| (c, self.p.adds(c, covered)))
            .filter(|(_, v)| v.attack > 0.0 && self.p.fits(plus(sum, *v)))
            .collect();
        gains.sort_by(|a, b| b.1.attack.total_cmp(&a.1.attack).then(a.0.cmp(&b.0)));
        for at in 0..gains.len() {
            let reach: f64 = gains[at..].iter().take(left).map(|g| g.1.attack).sum();
            let limit = self.p.score(Value { attack: sum.attack + reach, ..sum });
            if !better(limit, self.best) {
                return;
            }
            let (c, v) = gains[at];
            let mut next = covered.to_vec();
            self.p.of[c].iter().for_each(|&g| next[g as usize] = true);
            let rest: Vec<usize> = gains[at + 1..].iter().map(|g| g.0).collect();
            chosen.push(c);
            self.go(chosen, &next, plus(sum, v), left - 1, &rest);
            chosen.pop();
            if self.cut {
                return;
            }
        }
    }
}

/// The best rules for each number of rules up to `most`, as far as more rules are better. `enough` is the share of the
/// attack beyond which more of it only counts against what else is lost. Not `thorough` is greedy choice alone.
pub fn pick(u: &Universe, mined: &Mined, most: usize, enough: f64, budget: Budget, thorough: bool) -> Vec<Choice> {
    let all = prune(u, &mined.list);
    let kept: Vec<usize> = if all.len() > MAX_CHOICE {
        // What greedy choice among all would take is always kept.
        let wide: Vec<usize> = all.iter().copied().take(MAX_CHOICE * 4).collect();
        let p = Problem::new(u, &mined.list, &wide, enough, budget);
        let (chosen, _) = p.greedy(most, &(0..wide.len()).collect::<Vec<_>>());
        let mut first: Vec<usize> = wide.iter().copied().take(MAX_CHOICE).collect();
        first.extend(chosen.into_iter().map(|c| p.names[c]));
        let mut seen = std::collections::BTreeSet::new();
        first.retain(|i| seen.insert(*i));
        first
    } else {
        all.clone()
    };
    let p = Problem::new(u, &mined.list, &kept, enough, budget);
    let every: Vec<usize> = (0..kept.len()).collect();
    let mut curve: Vec<Choice> = Vec::new();
    let mut last = (Vec::new(), Value { attack: 0.0, packets: 0.0, opens: 0.0 });
    for k in 1..=most {
        let mut start = p.greedy(k, &every);
        if !better(p.score(start.1), p.score(last.1)) {
            start = last.clone();
        }
        let mut b = Branch { p: &p, best: p.score(start.1), found: None, work: 0, cut: false };
        b.cut = !thorough;
        b.go(&mut Vec::new(), &vec![false; p.groups.len()], Value { attack: 0.0, packets: 0.0, opens: 0.0 }, k, &every);
        let best = !b.cut && kept.len() == all.len() && mined.complete;
        let found = b.found.unwrap_or(start);
        // Beyond what was asked for, less harm may come with less of the attack; the curve shows only what gains on both.
        if !better(p.score(found.1), p.score(last.1)) || found.1.attack < last.1.attack {
            // One more rule brings nothing, but two more may: a wide rule gives way to three narrow ones.
            continue;
        }
        last = found.clone();
        curve.push(Choice { rules: ordered(&p, &found.0), best });
    }
    curve
}

/// Rules in the order of what each adds to those before it.
fn ordered(p: &Problem, rules: &[usize]) -> Vec<usize> {
    let mut left = rules.to_vec();
    let mut covered = vec![false; p.groups.len()];
    let mut out = Vec::new();
    while !left.is_empty() {
        let order = |a: &usize, b: &usize| -> Ordering {
            p.adds(*a, &covered).attack.total_cmp(&p.adds(*b, &covered).attack).then(b.cmp(a))
        };
        let Some(next) = left.iter().copied().max_by(|a, b| order(a, b)) else { break };
        left.retain(|x| *x != next);
        p.of[next].iter().for_each(|&g| covered[g as usize] = true);
        out.push(p.names[next]);
    }
    out
}
