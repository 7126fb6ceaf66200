//! Observations pressed into few weighted cells, and what of them is the attack.
//!
//! Each field is cut at the values that matter (the heavy ones of either side and the ends of what the attack spans), so a
//! million observations become some thousand cells. The attack's file also holds ordinary traffic. How much is expected
//! from the baseline: cells are put into classes (destination, protocol, fragment, heavy ports, flags), and where a
//! class carries no more than the baseline makes likely, none of it is the attack; else its share beyond that is.

use super::observe::Observation;
use super::prefix::{self, Needs, Places};
use crate::range::Family;
use std::collections::{BTreeMap, HashMap};

/// Fields of a cell, in the order in which rules are built.
pub const DST: usize = 0;
/// IP protocol.
pub const PROTO: usize = 1;
/// Non-first fragment: 0 or 1.
pub const LATER: usize = 2;
/// Source port's atom.
pub const SPORT: usize = 3;
/// Destination port's atom.
pub const DPORT: usize = 4;
/// TCP flags.
pub const FLAGS: usize = 5;
/// Length's atom.
pub const LEN: usize = 6;
/// Source prefix.
pub const SRC: usize = 7;
/// Time to live's atom.
pub const TTL: usize = 8;
/// ICMP type.
pub const ICMP: usize = 9;
/// How many fields.
pub const FIELDS: usize = 10;

/// A field the packet does not have: no choice takes it.
pub const NONE: u16 = u16::MAX;
/// A field the meter did not tell: every choice takes it on the legitimate side, none on the attack's.
pub const UNKNOWN: u16 = u16::MAX - 1;

/// Values with this share of either side are cut out on their own.
const HEAVY_SHARE: f64 = 0.005;
/// Most heavy values of one side and field.
const MAX_HEAVY: usize = 14;
/// Up to this many different values each is cut out on its own.
const MAX_ALL: usize = 24;
/// The attack's span of values leaves out this share at each end.
const TAIL: f64 = 0.0005;
/// A class is ordinary up to this many times what the baseline lets expect, besides chance.
const ORDINARY: f64 = 1.5;
/// Standard deviations that are chance.
const SIGMAS: f64 = 4.0;
/// Variance of real packet counts as a multiple of a Poisson process's: packets come in trains.
const TRAINS: f64 = 20.0;

/// Atoms of a field of numbers: disjoint ranges that cover all.
#[derive(Clone, Debug)]
pub struct Axis {
    /// First and last value of each.
    pub atoms: Vec<(u16, u16)>,
    of: Vec<u16>,
}

impl Axis {
    fn new(attack: &[f64], legit: &[f64]) -> Axis {
        let sum = |l: &[f64]| l.iter().map(|w| w.max(0.0)).sum::<f64>();
        let (a, b) = (sum(attack), sum(legit));
        let present = (0..attack.len()).filter(|&v| attack[v] > 0.0 || legit[v] > 0.0);
        let mut starts: Vec<usize> = vec![0];
        if present.clone().count() <= MAX_ALL {
            starts.extend(present.flat_map(|v| [v, v + 1]));
        } else {
            for (list, total) in [(attack, a), (legit, b)] {
                let mut heavy: Vec<usize> =
                    (0..list.len()).filter(|&v| list[v] > 0.0 && list[v] >= HEAVY_SHARE * total).collect();
                heavy.sort_by(|&x, &y| list[y].total_cmp(&list[x]).then(x.cmp(&y)));
                starts.extend(heavy.into_iter().take(MAX_HEAVY).flat_map(|v| [v, v + 1]));
            }
            let mut seen = 0.0;
            let (mut lo, mut hi) = (None, None);
            for (v, w) in attack.iter().enumerate() {
                seen += w.max(0.0);
                if seen > TAIL * a && lo.is_none() {
                    lo = Some(v);
                }
                if seen >= (1.0 - TAIL) * a && hi.is_none() {
                    hi = Some(v);
                }
            }
            starts.extend(lo.into_iter().chain(hi.map(|v| v + 1)));
        }
        starts.retain(|&s| s < attack.len());
        starts.sort_unstable();
        starts.dedup();
        let last = attack.len() - 1;
        let atoms: Vec<(u16, u16)> = starts
            .iter()
            .enumerate()
            .map(|(i, &s)| (s as u16, starts.get(i + 1).map_or(last, |n| n - 1) as u16))
            .collect();
        let mut of = vec![0; attack.len()];
        for (i, &(lo, hi)) in atoms.iter().enumerate() {
            of[usize::from(lo)..=usize::from(hi)].fill(i as u16);
        }
        Axis { atoms, of }
    }

    fn at(&self, v: Option<u16>) -> u16 {
        v.and_then(|v| self.of.get(usize::from(v)).copied()).unwrap_or(UNKNOWN)
    }
}

/// Packets that no field tells apart.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Atom of each field.
    pub key: [u16; FIELDS],
    /// Packets.
    pub weight: f64,
    /// Of them, those that open a TCP connection.
    pub opens: f64,
}

/// Both sides in cells.
#[derive(Clone, Debug)]
pub struct Universe {
    /// The attack, without what is expected of ordinary traffic.
    pub attack: Vec<Cell>,
    /// The traffic before, towards the same targets.
    pub legit: Vec<Cell>,
    /// Targets that rules may name.
    pub dsts: Places,
    /// Sources that rules may name.
    pub srcs: Places,
    /// Atoms of source ports, destination ports, lengths, time to live.
    pub axes: [Axis; 4],
    /// Packets of the attack.
    pub attack_total: f64,
    /// Packets of the baseline towards the targets.
    pub legit_total: f64,
    /// New TCP connections among them.
    pub opens_total: f64,
    /// Packets of the attack's file towards the targets, ordinary ones included.
    pub seen_total: f64,
    /// Whether time to live and ICMP types are told apart.
    extra: bool,
    /// Which part of each cell's packets is the attack's, 0 to 1.
    parts: HashMap<[u16; FIELDS], f64>,
}

/// How much longer the attack's file lasts than the baseline; 0 where either does not tell times.
pub fn time_scale(attack: &[Observation], baseline: &[Observation]) -> f64 {
    match (span_us(attack), span_us(baseline)) {
        (Some(a), Some(b)) if b > 0 => a as f64 / b as f64,
        _ => 0.0,
    }
}

/// Microseconds from the first to the last observation; `None` where one of them does not tell.
pub fn span_us<'a>(list: impl IntoIterator<Item = &'a Observation>) -> Option<i64> {
    let mut ends: Option<(i64, i64)> = None;
    for o in list {
        let at = o.at?.as_micros();
        ends = Some(ends.map_or((at, at), |(lo, hi)| (lo.min(at), hi.max(at))));
    }
    ends.map(|(lo, hi)| hi - lo)
}

/// One side's packets of each value: (attack, baseline), whole numbers so that order does not matter.
type Counts = Vec<(u64, u64)>;

fn addresses(
    attack: &[&Observation],
    baseline: &[&Observation],
    scale: f64,
    of: fn(&Observation) -> std::net::IpAddr,
) -> Vec<(Family, u128, f64)> {
    let mut all: Vec<(Family, u128, u64, u64)> = Vec::with_capacity(attack.len() + baseline.len());
    let numbered = |o: &Observation| prefix::number(of(o));
    all.extend(attack.iter().map(|o| (numbered(o), o.packets)).map(|((f, n), w)| (f, n, w, 0)));
    all.extend(baseline.iter().map(|o| (numbered(o), o.packets)).map(|((f, n), w)| (f, n, 0, w)));
    all.sort_unstable_by_key(|x| (x.0, x.1));
    let mut out: Vec<(Family, u128, u64, u64)> = Vec::new();
    for x in all {
        match out.last_mut() {
            Some(l) if (l.0, l.1) == (x.0, x.1) => (l.2, l.3) = (l.2.saturating_add(x.2), l.3.saturating_add(x.3)),
            _ => out.push(x),
        }
    }
    out.into_iter().map(|(f, n, a, b)| (f, n, a as f64 - scale * b as f64)).collect()
}

fn histogram(
    attack: &[&Observation],
    baseline: &[&Observation],
    size: usize,
    of: impl Fn(&Observation) -> Option<u16>,
) -> Counts {
    let mut out: Counts = vec![(0, 0); size];
    for o in attack {
        if let Some(slot) = of(o).and_then(|v| out.get_mut(usize::from(v))) {
            slot.0 = slot.0.saturating_add(o.packets);
        }
    }
    for o in baseline {
        if let Some(slot) = of(o).and_then(|v| out.get_mut(usize::from(v))) {
            slot.1 = slot.1.saturating_add(o.packets);
        }
    }
    out
}

fn axis(counts: &Counts, scale: f64) -> Axis {
    let attack: Vec<f64> = counts.iter().map(|&(a, b)| (a as f64 - scale * b as f64).max(0.0)).collect();
    let legit: Vec<f64> = counts.iter().map(|&(_, b)| b as f64).collect();
    Axis::new(&attack, &legit)
}

impl Universe {
    /// Presses both sides. `scale` is [`time_scale`] of the whole files; `extra` also tells time to live and ICMP types
    /// apart, which no rule can name.
    pub fn new(attack: &[&Observation], baseline: &[&Observation], scale: f64, extra: bool) -> Universe {
        const TARGETS: Needs = Needs { share: 0.02, shortest_v4: 16, shortest_v6: 32 };
        const SOURCES: Needs = Needs { share: 0.02, shortest_v4: 8, shortest_v6: 19 };
        let dsts = Places::new(prefix::heavy(&addresses(attack, baseline, scale, |o| o.dst), TARGETS));
        let to_target =
            |list: &[&'_ Observation]| -> Vec<bool> { list.iter().map(|o| dsts.of(o.dst).is_some()).collect() };
        fn only<'a>(list: &[&'a Observation], keep: Vec<bool>) -> Vec<&'a Observation> {
            list.iter().zip(keep).filter(|x| x.1).map(|x| *x.0).collect()
        }
        let attack = only(attack, to_target(attack));
        let baseline = only(baseline, to_target(baseline));
        let srcs = Places::new(prefix::heavy(&addresses(&attack, &baseline, scale, |o| o.src), SOURCES));
        let ported = |o: &Observation| if o.ported() { o.ports } else { None };
        let axes = [
            axis(&histogram(&attack, &baseline, 65_536, |o| ported(o).map(|p| p.0)), scale),
            axis(&histogram(&attack, &baseline, 65_536, |o| ported(o).map(|p| p.1)), scale),
            axis(&histogram(&attack, &baseline, 65_536, |o| o.length), scale),
            axis(&histogram(&attack, &baseline, 256, |o| o.ttl.filter(|_| extra).map(u16::from)), scale),
        ];
        let mut u = Universe {
            attack: Vec::new(),
            legit: Vec::new(),
            dsts,
            srcs,
            axes,
            attack_total: 0.0,
            legit_total: 0.0,
            opens_total: 0.0,
            seen_total: attack.iter().map(|o| o.packets as f64).sum(),
            extra,
            parts: HashMap::new(),
        };
        let seen = u.cells(&attack, extra);
        let before = u.cells(&baseline, extra);
        let rate = mean_rate(&attack).max(mean_rate(&baseline));
        u.attack = excess(&seen, &before, scale, rate);
        u.legit = before;
        let whole: HashMap<[u16; FIELDS], f64> = seen.iter().map(|c| (c.key, c.weight)).collect();
        u.parts = u.attack.iter().map(|c| (c.key, c.weight / whole.get(&c.key).copied().unwrap_or(c.weight))).collect();
        u.attack_total = u.attack.iter().map(|c| c.weight).sum();
        u.legit_total = u.legit.iter().map(|c| c.weight).sum();
        u.opens_total = u.legit.iter().map(|c| c.opens).sum();
        u
    }

    /// Whether it goes to a target.
    pub fn targets(&self, o: &Observation) -> bool {
        self.dsts.of(o.dst).is_some()
    }

    /// Packets of an observation of the attack's file that are the attack's.
    pub fn attack_packets(&self, o: &Observation) -> f64 {
        let part = if self.targets(o) { self.parts.get(&self.key(o, self.extra)).copied() } else { None };
        part.unwrap_or(0.0) * o.packets as f64
    }

    fn cells(&self, list: &[&Observation], extra: bool) -> Vec<Cell> {
        let mut sums: HashMap<[u16; FIELDS], (u64, u64)> = HashMap::new();
        for o in list {
            let e = sums.entry(self.key(o, extra)).or_default();
            e.0 = e.0.saturating_add(o.packets);
            e.1 = e.1.saturating_add(if o.opens() { o.packets } else { 0 });
        }
        let mut out: Vec<Cell> =
            sums.into_iter().map(|(key, (w, n))| Cell { key, weight: w as f64, opens: n as f64 }).collect();
        out.sort_unstable_by_key(|c| c.key);
        out
    }

    fn key(&self, o: &Observation, extra: bool) -> [u16; FIELDS] {
        let port = |axis: &Axis, p: Option<u16>| if o.ported() { axis.at(p) } else { NONE };
        let flags = match o.proto {
            6 if !o.later => o.flags.map_or(UNKNOWN, u16::from),
            _ => NONE,
        };
        let icmp = match o.proto {
            1 | 58 if extra => o.icmp_type.map_or(UNKNOWN, u16::from),
            _ => NONE,
        };
        [
            self.dsts.of(o.dst).unwrap_or(NONE),
            u16::from(o.proto),
            u16::from(o.later),
            port(&self.axes[0], o.ports.map(|p| p.0)),
            port(&self.axes[1], o.ports.map(|p| p.1)),
            flags,
            self.axes[2].at(o.length),
            self.srcs.of(o.src).unwrap_or(NONE),
            if extra { self.axes[3].at(o.ttl.map(u16::from)) } else { UNKNOWN },
            icmp,
        ]
    }
}

/// Packets that one exported packet stands for, weighted by packets.
fn mean_rate(list: &[&Observation]) -> f64 {
    let packets: f64 = list.iter().map(|o| o.packets as f64).sum();
    let squares: f64 = list.iter().map(|o| o.packets as f64 * f64::from(o.rate)).sum();
    if packets > 0.0 { squares / packets } else { 1.0 }
}

/// What of the cells goes beyond the ordinary.
fn excess(seen: &[Cell], before: &[Cell], scale: f64, rate: f64) -> Vec<Cell> {
    if scale <= 0.0 {
        return seen.to_vec();
    }
    let class = |c: &Cell| -> [u16; 6] { std::array::from_fn(|i| c.key[i]) };
    let mut classes: BTreeMap<[u16; 6], (f64, f64)> = BTreeMap::new();
    for c in seen {
        classes.entry(class(c)).or_default().0 += c.weight;
    }
    for c in before {
        classes.entry(class(c)).or_default().1 += c.weight;
    }
    let normal: HashMap<[u16; FIELDS], f64> = before.iter().map(|c| (c.key, c.weight)).collect();
    let mut out = Vec::new();
    for c in seen {
        let Some(&(a, b)) = classes.get(&class(c)) else { continue };
        let expected = scale * b;
        // Both counts vary: what was counted now, and what was counted before, stretched; and what was never seen
        // before may still come as one train.
        let chance = SIGMAS * (TRAINS * rate * (expected + scale * expected + rate)).sqrt();
        if a <= ORDINARY * expected + chance {
            continue;
        }
        // A victim that breaks down gets less ordinary traffic than before, never more than there is.
        let own = scale.min(a / b.max(1.0)) * normal.get(&c.key).copied().unwrap_or(0.0);
        let weight = c.weight - own;
        if weight > 0.0 {
            out.push(Cell { weight, opens: 0.0, ..c.clone() });
        }
    }
    out
}
