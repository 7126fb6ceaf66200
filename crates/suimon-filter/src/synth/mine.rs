//! Every conjunction worth being a rule.
//!
//! A rule names a target and then only conditions without which it would take more legitimate packets; a condition that
//! spares nothing is left out (it may come back when the chosen rules are narrowed). Conditions are tried in a fixed order
//! of fields; where a whole rule needs a condition, so does each of its beginnings, so nothing is lost by leaving out
//! what spares nothing.

use super::universe::{
    Axis, Cell, DPORT, DST, FIELDS, FLAGS, ICMP, LATER, LEN, NONE, PROTO, SPORT, SRC, TTL, UNKNOWN, Universe,
};
use std::collections::BTreeSet;

/// Most cells that are looked at in one search.
pub const MAX_WORK: usize = 40_000_000;
/// Most candidates of one search.
pub const MAX_CANDIDATES: usize = 6_000;
/// Up to this many cells of the attack no rule is too small to be looked at.
pub const SMALL: usize = 400;
/// Above that a rule takes this share of the attack at least.
pub const LEAST_GAIN: f64 = 0.001;

/// A range of ports or lengths spans at most this many values in a row of which the attack had none.
pub const MAX_GAP: u16 = 16;

/// TCP flag combinations that ordinary connections show; a flag test keeps them apart even where none was seen.
const USUAL_FLAGS: [u16; 9] = [0x02, 0x12, 0x10, 0x18, 0x11, 0x19, 0x04, 0x14, 0x00];

/// What a rule can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Source prefixes.
    pub src: bool,
    /// IP protocol.
    pub proto: bool,
    /// Non-first fragments.
    pub fragments: bool,
    /// Ports.
    pub ports: bool,
    /// Ranges of ports in one rule.
    pub port_ranges: bool,
    /// TCP flags that can be tested; 0 is none.
    pub flag_bits: u8,
    /// Whether a flag can be required to be unset.
    pub flags_unset: bool,
    /// Lengths.
    pub lengths: bool,
    /// Time to live; no dialect.
    pub ttl: bool,
    /// ICMP types; no rule of the neutral model.
    pub icmp: bool,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Test {
    /// Any of these values: prefix (by its index), protocol, fragment, ICMP type.
    One(u16),
    /// Atoms of an axis, both included.
    Atoms(u16, u16),
    /// TCP flags: mask and value.
    Flags(u8, u8),
}

/// Conditions by field; `None` is any.
pub type Tests = [Option<Test>; FIELDS];

/// A rule that could be taken.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its conditions.
    pub tests: Tests,
    /// Indices of the attack's cells.
    pub attack: Vec<u32>,
    /// Indices of the legitimate cells.
    pub legit: Vec<u32>,
}

/// What was found.
pub struct Mined {
    /// Candidates in a fixed order.
    pub list: Vec<Candidate>,
    /// Whether nothing was left out: no bound reached and no rule too small.
    pub complete: bool,
}

/// Most that rules may take in all.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Legitimate packets.
    pub packets: f64,
    /// Legitimate new connections.
    pub opens: f64,
}

struct Search<'a> {
    u: &'a Universe,
    fields: Fields,
    budget: Budget,
    least: f64,
    work: usize,
    out: Mined,
    flag_tests: Vec<(u8, u8)>,
}

/// Whether a condition takes a cell.
pub fn takes(u: &Universe, field: usize, test: &Test, value: u16, legit: bool) -> bool {
    if value == NONE {
        return false;
    }
    if value == UNKNOWN {
        return legit;
    }
    match *test {
        Test::One(v) if field == DST => u.dsts.within(usize::from(v)).contains(&value),
        Test::One(v) if field == SRC => u.srcs.within(usize::from(v)).contains(&value),
        Test::One(v) => v == value,
        Test::Atoms(lo, hi) => lo <= value && value <= hi,
        Test::Flags(mask, of) => value as u8 & mask == of,
    }
}

/// All candidates within the budget.
pub fn mine(u: &Universe, fields: Fields, budget: Budget) -> Mined {
    let least = if u.attack.len() <= SMALL { 0.0 } else { LEAST_GAIN * u.attack_total };
    let mut s = Search {
        u,
        fields,
        budget,
        least,
        work: 0,
        out: Mined { list: Vec::new(), complete: least == 0.0 },
        flag_tests: flag_tests(u, fields),
    };
    let attack: Vec<u32> = (0..u.attack.len() as u32).collect();
    let legit: Vec<u32> = (0..u.legit.len() as u32).collect();
    let mut tests: Tests = Default::default();
    for d in 0..u.dsts.nets.len() {
        s.step(&mut tests, DST, Test::One(d as u16), (&attack, &legit), true);
    }
    s.out
}

/// Tests of flags that tell something apart, the one with the fewest flags of those that say the same.
fn flag_tests(u: &Universe, fields: Fields) -> Vec<(u8, u8)> {
    let mut seen: BTreeSet<u16> = USUAL_FLAGS.into_iter().collect();
    seen.extend(u.attack.iter().chain(&u.legit).map(|c| c.key[FLAGS]).filter(|f| *f < 256));
    let mut tests: Vec<(u8, u8)> = Vec::new();
    for mask in (1..=255u8).filter(|m| m & !fields.flag_bits == 0) {
        let mut value = mask;
        loop {
            if fields.flags_unset || value == mask {
                tests.push((mask, value));
            }
            if value == 0 {
                break;
            }
            value = (value - 1) & mask;
        }
    }
    // Few flags first; of as many, those that name set flags.
    tests.sort_by_key(|(m, v)| (m.count_ones(), std::cmp::Reverse(v.count_ones()), *m, *v));
    let mut said: BTreeSet<Vec<u16>> = BTreeSet::new();
    tests.retain(|(m, v)| {
        let taken: Vec<u16> = seen.iter().copied().filter(|f| *f as u8 & m == *v).collect();
        !taken.is_empty() && taken.len() < seen.len() && said.insert(taken)
    });
    tests
}

impl Search<'_> {
    /// Adds a condition and goes on from there where that is of use.
    fn step(&mut self, tests: &mut Tests, field: usize, test: Test, at: (&[u32], &[u32]), free: bool) {
        self.work += at.0.len() + at.1.len();
        if self.work > MAX_WORK || self.out.list.len() >= MAX_CANDIDATES {
            self.out.complete = false;
            return;
        }
        let keep = |cells: &[Cell], list: &[u32], legit: bool| -> Vec<u32> {
            let within = match (&test, field) {
                (Test::One(v), DST) => Some(self.u.dsts.within(usize::from(*v))),
                (Test::One(v), SRC) => Some(self.u.srcs.within(usize::from(*v))),
                _ => None,
            };
            let takes = |v: u16| match &within {
                Some(list) => list.contains(&v),
                None => takes(self.u, field, &test, v, legit),
            };
            list.iter().copied().filter(|&i| takes(cells[i as usize].key[field])).collect()
        };
        let attack = keep(&self.u.attack, at.0, false);
        let gain = weight(&self.u.attack, &attack).0;
        if gain <= 0.0 || gain < self.least {
            return;
        }
        let legit = keep(&self.u.legit, at.1, true);
        // Legitimate cells without any weight do not exist, so sparing one is sparing packets.
        if !free && legit.len() == at.1.len() {
            return;
        }
        tests[field] = Some(test);
        let (packets, opens) = weight(&self.u.legit, &legit);
        if packets <= self.budget.packets && opens <= self.budget.opens {
            self.out.list.push(Candidate { tests: tests.clone(), attack: attack.clone(), legit: legit.clone() });
        }
        if !legit.is_empty() {
            for next in field + 1..FIELDS {
                for (test, free) in self.choices(tests, next, &attack, &legit) {
                    self.step(tests, next, test, (&attack, &legit), free);
                }
            }
        }
        tests[field] = None;
    }

    /// The conditions on one field that make sense here, and whether they need not spare anything by themselves.
    fn choices(&self, tests: &Tests, field: usize, attack: &[u32], legit: &[u32]) -> Vec<(Test, bool)> {
        let f = &self.fields;
        let proto = match tests[PROTO] {
            Some(Test::One(p)) => Some(p),
            _ => None,
        };
        let later = tests[LATER].is_some();
        let ported = matches!(proto, Some(6 | 17)) && !later;
        let allowed = match field {
            PROTO => f.proto,
            LATER => f.fragments,
            SPORT | DPORT => f.ports && ported,
            FLAGS => f.flag_bits != 0 && proto == Some(6) && !later,
            LEN => f.lengths,
            SRC => f.src,
            TTL => f.ttl,
            ICMP => f.icmp && matches!(proto, Some(1 | 58)),
            _ => false,
        };
        if !allowed {
            return Vec::new();
        }
        match field {
            PROTO | ICMP => {
                let values: BTreeSet<u16> = attack.iter().map(|&i| self.u.attack[i as usize].key[field]).collect();
                let free = field == PROTO;
                values.into_iter().filter(|v| *v < UNKNOWN).map(|v| (Test::One(v), free)).collect()
            }
            LATER => vec![(Test::One(1), false)],
            SRC => (0..self.u.srcs.nets.len()).map(|i| (Test::One(i as u16), false)).collect(),
            FLAGS => self.flags(attack, legit),
            SPORT => runs(&self.u.axes[0], self.u, field, (attack, legit), f.port_ranges, self.least),
            DPORT => runs(&self.u.axes[1], self.u, field, (attack, legit), f.port_ranges, self.least),
            LEN => runs(&self.u.axes[2], self.u, field, (attack, legit), true, self.least),
            _ => runs(&self.u.axes[3], self.u, field, (attack, legit), true, self.least),
        }
    }

    fn flags(&self, attack: &[u32], legit: &[u32]) -> Vec<(Test, bool)> {
        let present = |cells: &[Cell], list: &[u32]| -> BTreeSet<u16> {
            list.iter().map(|&i| cells[i as usize].key[FLAGS]).filter(|v| *v < 256).collect()
        };
        let (a, b) = (present(&self.u.attack, attack), present(&self.u.legit, legit));
        let mut said: BTreeSet<(Vec<u16>, Vec<u16>)> = BTreeSet::new();
        let taken = |set: &BTreeSet<u16>, m: u8, v: u8| -> Vec<u16> {
            set.iter().copied().filter(|f| *f as u8 & m == v).collect()
        };
        self.flag_tests
            .iter()
            .filter(|&&(m, v)| {
                let of = taken(&a, m, v);
                !of.is_empty() && said.insert((of, taken(&b, m, v)))
            })
            .map(|&(m, v)| (Test::Flags(m, v), false))
            .collect()
    }
}

/// (packets, opening packets) of some cells.
pub fn weight(cells: &[Cell], list: &[u32]) -> (f64, f64) {
    list.iter().fold((0.0, 0.0), |s, &i| {
        let c = &cells[i as usize];
        (s.0 + c.weight, s.1 + c.opens)
    })
}

/// Ranges of atoms that begin and end with attack packets and cannot be widened for free.
fn runs(
    axis: &Axis,
    u: &Universe,
    field: usize,
    (attack, legit): (&[u32], &[u32]),
    ranges: bool,
    least: f64,
) -> Vec<(Test, bool)> {
    let n = axis.atoms.len();
    let mut a = vec![0.0; n];
    let mut b = vec![false; n];
    for &i in attack {
        let c = &u.attack[i as usize];
        if let Some(x) = a.get_mut(usize::from(c.key[field])) {
            *x += c.weight;
        }
    }
    for &i in legit {
        if let Some(x) = b.get_mut(usize::from(u.legit[i as usize].key[field])) {
            *x = true;
        }
    }
    // What hardly any attack packet has is no reason to widen a range.
    let heavy: Vec<usize> = (0..n).filter(|&i| a[i] > 0.0 && a[i] >= least).collect();
    let single = |i: usize| axis.atoms[i].0 == axis.atoms[i].1;
    let mut out: BTreeSet<(u16, u16)> = heavy.iter().filter(|&&i| single(i)).map(|&i| (i as u16, i as u16)).collect();
    if ranges {
        let gap = |i: usize| a[i] <= 0.0 && axis.atoms[i].1 - axis.atoms[i].0 >= MAX_GAP;
        let bridged = |from: usize, to: usize| !(from..=to).any(gap);
        // Heavy atoms with nothing legitimate between them belong together.
        let mut groups: Vec<(usize, usize)> = Vec::new();
        for &i in &heavy {
            match groups.last_mut() {
                Some(g) if !b[i] && !b[g.0..=i].contains(&true) && bridged(g.0, i) => g.1 = i,
                _ => groups.push((i, i)),
            }
        }
        for (k, g) in groups.iter().enumerate() {
            let reached = groups[k..].iter().take_while(|h| bridged(g.0, h.1));
            out.extend(reached.map(|h| (g.0 as u16, h.1 as u16)));
        }
    }
    out.into_iter().map(|(lo, hi)| (Test::Atoms(lo, hi), false)).collect()
}
