//! Small universes: every header that lines of the profile can tell apart, and every line that matters.
//!
//! Headers that every condition of the profile treats alike are one cell. A condition that cuts a cell in two never helps: of
//! each cell one header is picked (for addresses the first, for ports one that no list names), a list that is right for the
//! picked headers stays right when each of its conditions is widened to the whole cells it picks, and no line is added. Parts
//! of a line outside the smallest block that holds all requested addresses can be cut off for the same reason.

use super::{Caps, CompactLine, permitted};
use crate::boxes::{DPORT, DST, FIELDS, FLAGS, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC, all};
use crate::range::{Family, RangeSet, bounds};
use std::collections::{BTreeMap, BTreeSet};

/// Most classes of one field.
const MAX_ATOMS: usize = 64;
/// Most classes of which every set is tried.
const MAX_SUBSETS: usize = 8;
/// Most combinations of classes.
const MAX_CELLS: usize = 4_096;
/// Most lines to choose from.
const MAX_SHAPES: usize = 24_000;

/// Most combinations of classes and lines.
const MAX_WORK: usize = 4_000_000;

/// A set of cells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// No cell of so many.
    pub fn none(cells: usize) -> Self {
        Bits(vec![0; cells.div_ceil(64)])
    }
    /// Adds a cell.
    pub fn set(&mut self, cell: usize) {
        if let Some(word) = self.0.get_mut(cell / 64) {
            *word |= 1 << (cell % 64);
        }
    }
    /// Takes a cell out.
    pub fn clear(&mut self, cell: usize) {
        if let Some(word) = self.0.get_mut(cell / 64) {
            *word &= !(1 << (cell % 64));
        }
    }
    /// The lowest cell.
    pub fn first(&self) -> Option<usize> {
        let at = self.0.iter().position(|&w| w != 0)?;
        Some(at * 64 + self.0[at].trailing_zeros() as usize)
    }
    /// Takes the cells of another out.
    pub fn remove(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }
    /// Words that it takes, the unit of a search's work.
    pub fn words(&self) -> u64 {
        self.0.len() as u64
    }
    fn zip(&self, other: &Bits, f: impl Fn(u64, u64) -> u64) -> Bits {
        Bits(self.0.iter().zip(&other.0).map(|(&a, &b)| f(a, b)).collect())
    }
    /// In both.
    pub fn and(&self, other: &Bits) -> Bits {
        self.zip(other, |a, b| a & b)
    }
    /// In this one only.
    pub fn without(&self, other: &Bits) -> Bits {
        self.zip(other, |a, b| a & !b)
    }
    /// In either.
    pub fn or(&self, other: &Bits) -> Bits {
        self.zip(other, |a, b| a | b)
    }
    /// Whether no cell is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&w| w == 0)
    }
    /// Whether all its cells are in the other.
    pub fn within(&self, other: &Bits) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }
    /// Whether a cell is in both.
    pub fn meets(&self, other: &Bits) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
    /// How many cells.
    pub fn count(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }
    /// The cells.
    pub fn cells(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, &word)| {
            let rest = move |w: &u64| Some(w & (w - 1)).filter(|&w| w != 0);
            std::iter::successors(Some(word).filter(|&w| w != 0), rest)
                .map(move |w| i * 64 + w.trailing_zeros() as usize)
        })
    }
}

/// A line as a search sees it.
pub struct Candidate {
    /// The cells it takes.
    pub cells: Bits,
    /// The line.
    pub line: CompactLine,
}

/// Cells and lines.
pub struct Universe {
    /// What must be denied.
    pub wanted: Bits,
    /// Lines that deny.
    pub denies: Vec<Candidate>,
    /// Lines that permit and take nothing that must be denied.
    pub permits: Vec<Candidate>,
}

/// One field: its classes and what a line can say of it.
#[derive(Default)]
struct Axis {
    atoms: Vec<RangeSet>,
    /// What the line says (`None` leaves the field out) and the classes that it takes.
    choices: Vec<(Option<RangeSet>, u64)>,
}

impl Axis {
    fn whole(max: u128) -> Self {
        Axis { atoms: vec![RangeSet::one(0, max)], choices: vec![(None, 1)] }
    }
    fn any(&mut self) {
        let mask = if self.atoms.len() == 64 { u64::MAX } else { (1 << self.atoms.len()) - 1 };
        self.choices.push((None, mask));
    }
    fn choose(&mut self, mask: u64) {
        if mask == 0 || self.choices.iter().any(|c| c.1 == mask && c.0.is_some()) {
            return;
        }
        let of = self.atoms.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        let set = RangeSet::new(of.flat_map(|(_, a)| a.ranges().iter().copied()));
        self.choices.push((Some(set), mask));
    }
    fn runs(&mut self) {
        for i in 0..self.atoms.len() {
            for j in i..self.atoms.len() {
                self.choose((i..=j).fold(0, |m, k| m | 1 << k));
            }
        }
    }
    /// Every set of at most `most` of the classes `of`.
    fn subsets(&mut self, of: &[usize], most: usize) -> Option<()> {
        if of.len() > MAX_SUBSETS {
            return None;
        }
        for pick in 1u32..1 << of.len() {
            if pick.count_ones() as usize <= most {
                self.choose((0..of.len()).filter(|i| pick >> i & 1 == 1).fold(0, |m, i| m | 1 << of[i]));
            }
        }
        Some(())
    }
}

/// The universe of the boxes, where it is small.
pub fn build(family: Family, boxes: &[(usize, HeaderBox)], caps: &Caps) -> Option<Universe> {
    let mut axes: [Axis; FIELDS] = Default::default();
    for (field, axis) in axes.iter_mut().enumerate() {
        *axis = match field {
            SRC | DST => addresses(family, boxes, field, caps)?,
            PROTO => protocols(boxes, caps)?,
            FRAG => Axis { atoms: vec![RangeSet::one(0, 0), RangeSet::one(1, 1)], choices: Vec::new() },
            FLAGS => flags(boxes, caps)?,
            _ => numbers(family, boxes, field, caps)?,
        };
    }
    let count: usize = axes.iter().map(|a| a.atoms.len()).try_fold(1usize, |n, a| n.checked_mul(a))?;
    if count > MAX_CELLS {
        return None;
    }
    let lines = lines(family, &axes, caps)?;
    if lines.len().saturating_mul(count) > MAX_WORK {
        return None;
    }
    let order = boxes.iter().map(|b| b.0).min().unwrap_or(0);
    // Every combination of classes; a class is known by its first header.
    let mut cells: Vec<[u8; FIELDS]> = vec![[0; FIELDS]];
    for (field, axis) in axes.iter().enumerate() {
        let with = |c: &[u8; FIELDS], a: usize| {
            let mut next = *c;
            next[field] = a as u8;
            next
        };
        cells = cells.iter().flat_map(|c| (0..axis.atoms.len()).map(move |a| with(c, a))).collect();
    }
    let firsts: [Vec<u128>; FIELDS] =
        std::array::from_fn(|f| axes[f].atoms.iter().filter_map(|a| a.ranges().first()).map(|r| r.0).collect());
    // The classes of each field that a box takes.
    let masks = |b: &HeaderBox| -> [u64; FIELDS] {
        std::array::from_fn(|f| {
            firsts[f].iter().enumerate().filter(|x| b[f].contains(*x.1)).fold(0, |m, (i, _)| m | 1u64 << i)
        })
    };
    let holds = |m: &[u64; FIELDS], c: &[u8; FIELDS]| m.iter().zip(c).all(|(m, &a)| m >> a & 1 == 1);
    let requested: Vec<[u64; FIELDS]> = boxes.iter().map(|b| masks(&b.1)).collect();
    let wanted: Vec<bool> = cells.iter().map(|c| requested.iter().any(|b| holds(b, c))).collect();
    // Combinations that no line tells apart are one cell: grouped by the lines that take them.
    let taken: Vec<[Bits; 2]> = lines
        .iter()
        .map(|fields| {
            let one = |list: &[HeaderBox]| {
                let list: Vec<[u64; FIELDS]> = list.iter().map(masks).collect();
                let mut bits = Bits::none(cells.len());
                (0..cells.len()).filter(|&i| list.iter().any(|b| holds(b, &cells[i]))).for_each(|i| bits.set(i));
                bits
            };
            [one(std::slice::from_ref(fields)), one(&permitted(fields, caps, family))]
        })
        .collect();
    let mut keys = vec![vec![0u64; (taken.len() * 2).div_ceil(64)]; cells.len()];
    for (n, bits) in taken.iter().flatten().enumerate() {
        bits.cells().for_each(|c| keys[c][n / 64] |= 1 << (n % 64));
    }
    let mut groups: BTreeMap<(bool, Vec<u64>), usize> = BTreeMap::new();
    let mut group_of = Vec::with_capacity(cells.len());
    for (key, &is_wanted) in keys.into_iter().zip(&wanted) {
        let next = groups.len();
        group_of.push(*groups.entry((is_wanted, key)).or_insert(next));
    }
    let fold = |bits: &Bits| {
        let mut out = Bits::none(groups.len());
        bits.cells().for_each(|c| out.set(group_of[c]));
        out
    };
    let mut all_wanted = Bits::none(groups.len());
    (0..cells.len()).filter(|&i| wanted[i]).for_each(|i| all_wanted.set(group_of[i]));
    let mut u = Universe { wanted: all_wanted, denies: Vec::new(), permits: Vec::new() };
    for (fields, [deny, permit]) in lines.into_iter().zip(&taken) {
        let (deny, permit) = (fold(deny), fold(permit));
        // A permit names one port, one range of ports or none.
        let listed = [SPORT, DPORT].iter().any(|&f| fields[f].ranges().len() > 1);
        if caps.permits && (caps.port_sets || !listed) && !permit.meets(&u.wanted) {
            let line = CompactLine { deny: false, order, fields: fields.clone() };
            u.permits.push(Candidate { cells: permit, line });
        }
        if deny.meets(&u.wanted) && (caps.permits || deny.within(&u.wanted)) {
            let first = boxes.iter().filter(|b| crate::boxes::overlap(&b.1, &fields)).map(|b| b.0).min();
            let line = CompactLine { deny: true, order: first.unwrap_or(order), fields };
            u.denies.push(Candidate { cells: deny, line });
        }
    }
    Some(u)
}

/// Every line that the choices of the fields make.
fn lines(family: Family, axes: &[Axis; FIELDS], caps: &Caps) -> Option<Vec<HeaderBox>> {
    let whole = all(family);
    let mut out: Vec<HeaderBox> = Vec::new();
    let upper_fields = [SPORT, DPORT, FLAGS];
    for (proto, _) in &axes[PROTO].choices {
        let within = |list: &[u8]| {
            proto.as_ref().is_some_and(|p| {
                p.ranges().iter().flat_map(|r| r.0..=r.1).all(|p| list.iter().any(|&l| u128::from(l) == p))
            })
        };
        let mut partial: Vec<HeaderBox> = vec![whole.clone()];
        if let Some(p) = proto {
            partial[0][PROTO] = p.clone();
        }
        for field in [SRC, DST, LEN, SPORT, DPORT, FLAGS] {
            let allowed = match field {
                SPORT | DPORT => within(caps.port_protos),
                FLAGS => within(&[6]),
                _ => true,
            };
            let mut next = Vec::new();
            for b in &partial {
                for (choice, _) in axes[field].choices.iter().filter(|c| allowed || c.0.is_none()) {
                    let mut b = b.clone();
                    if let Some(set) = choice {
                        b[field] = set.clone();
                    }
                    next.push(b);
                    if next.len() + out.len() > MAX_SHAPES {
                        return None;
                    }
                }
            }
            partial = next;
        }
        for mut b in partial {
            if upper_fields.iter().any(|&f| b[f] != whole[f]) {
                b[FRAG] = RangeSet::one(0, 0);
                out.extend(caps.sayable(&b, family).then_some(b));
            } else {
                let mut later = b.clone();
                later[FRAG] = RangeSet::one(1, 1);
                out.push(b);
                out.extend(caps.later.then_some(later));
            }
        }
    }
    (out.len() <= MAX_SHAPES).then_some(out)
}

/// The sets of a field that do not take everything.
fn partial(boxes: &[(usize, HeaderBox)], field: usize, max: u128) -> BTreeSet<&RangeSet> {
    boxes.iter().map(|b| &b.1[field]).filter(|s| !s.is(0, max)).collect()
}

/// Numbers between all borders of the sets, ascending.
fn intervals(sets: &BTreeSet<&RangeSet>, max: u128) -> Option<Vec<RangeSet>> {
    let mut starts = BTreeSet::from([0]);
    for &(lo, hi) in sets.iter().flat_map(|s| s.ranges()) {
        starts.insert(lo);
        starts.extend(hi.checked_add(1).filter(|&n| n <= max));
        if starts.len() > MAX_ATOMS {
            return None;
        }
    }
    let starts: Vec<u128> = starts.into_iter().collect();
    let end = |i: usize| starts.get(i + 1).map_or(max, |n| n - 1);
    Some(starts.iter().enumerate().map(|(i, &lo)| RangeSet::one(lo, end(i))).collect())
}

/// Ports from so many on are one class of which a list of single ports leaves some out.
const WIDE: u128 = 1_024;

fn numbers(family: Family, boxes: &[(usize, HeaderBox)], field: usize, caps: &Caps) -> Option<Axis> {
    let sets = partial(boxes, field, 65_535);
    if sets.is_empty() || (field == LEN && !caps.lengths) {
        return sets.is_empty().then(|| Axis::whole(crate::boxes::field_max(field, family)));
    }
    let any_set = if field == LEN { caps.length_sets } else { caps.port_sets };
    // Where a zero is special, no class may hide it.
    let zero = RangeSet::one(0, 0);
    let mut cut = sets.clone();
    if caps.zero_takes_later && field != LEN {
        cut.insert(&zero);
    }
    let atoms = if any_set { alike(65_535, &cut)? } else { intervals(&cut, 65_535)? };
    let mut axis = Axis { atoms, choices: Vec::new() };
    axis.any();
    let every: Vec<usize> = (0..axis.atoms.len()).collect();
    if any_set {
        axis.subsets(&every, usize::MAX)?;
        // Where a line cannot hold every set of classes, cutting one might help: no claim is made then.
        let held = |c: &(Option<RangeSet>, u64)| c.0.as_ref().is_none_or(|s| super::join::weight(s) <= caps.port_items);
        return (field == LEN || axis.choices.iter().all(held)).then_some(axis);
    }
    if field == LEN || caps.port_ranges {
        axis.runs();
    }
    if field == LEN {
        return Some(axis);
    }
    // A class of two to 1,023 ports could be cut by a list of single ports: no claim is made then.
    let size = |i: usize| axis.atoms[i].count();
    if caps.port_list > 1
        && every
            .iter()
            .any(|&i| size(i) > 1 && size(i) < WIDE && sets.iter().any(|s| s.contains(axis.atoms[i].ranges()[0].0)))
    {
        return None;
    }
    let singles: Vec<usize> = every.iter().copied().filter(|&i| size(i) == 1).collect();
    axis.subsets(&singles, caps.port_list)?;
    Some(axis)
}

fn protocols(boxes: &[(usize, HeaderBox)], caps: &Caps) -> Option<Axis> {
    let sets = partial(boxes, PROTO, 255);
    if sets.is_empty() {
        return Some(Axis::whole(255));
    }
    let mut named: BTreeSet<u128> = BTreeSet::new();
    for set in &sets {
        // The rest after an exception is every protocol but a few; those few are the named ones.
        let few = if set.count() > 128 { RangeSet::one(0, 255).subtract(set) } else { (*set).clone() };
        if few.count() > MAX_SUBSETS as u128 {
            return None;
        }
        named.extend(few.ranges().iter().flat_map(|r| r.0..=r.1));
    }
    let rest = RangeSet::one(0, 255).subtract(&RangeSet::new(named.iter().map(|&p| (p, p))));
    let mut atoms: Vec<RangeSet> = named.iter().map(|&p| RangeSet::one(p, p)).collect();
    atoms.push(rest);
    let mut axis = Axis { atoms, choices: Vec::new() };
    axis.any();
    let singles: Vec<usize> = (0..named.len()).collect();
    axis.subsets(&singles, if caps.proto_sets { usize::MAX } else { 1 })?;
    Some(axis)
}

fn flags(boxes: &[(usize, HeaderBox)], caps: &Caps) -> Option<Axis> {
    let sets = partial(boxes, FLAGS, 255);
    if sets.is_empty() {
        return Some(Axis::whole(255));
    }
    // Bits on which some set depends.
    let depends =
        |bit: u8| sets.iter().any(|s| (0..=255u8).any(|x| s.contains(x.into()) != s.contains((x ^ bit).into())));
    let bits: Vec<u8> = (0..8).map(|b| 1u8 << b).filter(|&b| depends(b)).collect();
    if bits.len() > 4 || bits.iter().any(|b| caps.flag_bits & b == 0) {
        return None;
    }
    let mask = bits.iter().fold(0, |m, b| m | b);
    let values: BTreeSet<u8> = (0..=255u8).map(|x| x & mask).collect();
    let class = |v: u8| RangeSet::new((0..=255u8).filter(|x| x & mask == v).map(|x| (x.into(), x.into())));
    let list: Vec<u8> = values.into_iter().collect();
    let mut axis = Axis { atoms: list.iter().map(|&v| class(v)).collect(), choices: Vec::new() };
    axis.any();
    for test in (1..=255u8).filter(|t| t & !mask == 0 && (!caps.one_flag || t.is_power_of_two())) {
        for value in list.iter().filter(|v| **v & !test == 0 && (!caps.one_flag || **v == test)) {
            axis.choose((0..list.len()).filter(|&i| list[i] & test == *value).fold(0, |m, i| m | 1 << i));
        }
    }
    Some(axis)
}

fn addresses(family: Family, boxes: &[(usize, HeaderBox)], side: usize, caps: &Caps) -> Option<Axis> {
    let sets = partial(boxes, side, family.max());
    if sets.is_empty() {
        return Some(Axis::whole(family.max()));
    }
    if caps.address_sets {
        return classes(family, &sets);
    }
    let union = RangeSet::new(boxes.iter().flat_map(|b| b.1[side].ranges().iter().copied()));
    let (lo, hi) = (union.ranges().first()?.0, union.ranges().last()?.1);
    // The smallest block that holds all of them, as its free bits.
    let free = 128 - (lo ^ hi).leading_zeros();
    let base = if free >= 128 { 0 } else { lo >> free << free };
    // The largest power of two on whose multiples every border lies.
    let borders = || sets.iter().flat_map(|s| s.ranges()).flat_map(|r| [r.0, r.1.wrapping_add(1)]);
    let grain = borders().map(u128::trailing_zeros).min()?.min(free);
    let mut axis = if caps.wildcards && family == Family::V4 {
        grid(base, free, grain)?
    } else {
        blocks(family, base, free, &sets)?
    };
    if base != 0 || free < u32::from(family.bits()) {
        // Outside the block nothing is requested and no line needs to reach.
        axis.choices.retain(|c| c.0.is_some());
    }
    Some(axis)
}

/// Numbers that are in the same sets.
fn alike(max: u128, sets: &BTreeSet<&RangeSet>) -> Option<Vec<RangeSet>> {
    let mut atoms = vec![RangeSet::one(0, max)];
    for set in sets {
        atoms = atoms.iter().flat_map(|a| [a.intersect(set), a.subtract(set)]).filter(|a| !a.is_empty()).collect();
        if atoms.len() > MAX_SUBSETS + 1 {
            return None;
        }
    }
    Some(atoms)
}

/// Classes of addresses and every set of those that are requested somewhere.
fn classes(family: Family, sets: &BTreeSet<&RangeSet>) -> Option<Axis> {
    let atoms = alike(family.max(), sets)?;
    let outside = atoms.iter().position(|a| sets.iter().all(|s| a.intersect(s).is_empty()));
    let inside: Vec<usize> = (0..atoms.len()).filter(|&i| Some(i) != outside).collect();
    let mut axis = Axis { atoms, choices: Vec::new() };
    axis.any();
    axis.subsets(&inside, usize::MAX)?;
    Some(axis)
}

/// Equal blocks and every pattern of bits over them.
fn grid(base: u128, free: u32, grain: u32) -> Option<Axis> {
    let bits = free - grain;
    if bits > 5 {
        return None;
    }
    let atom = |i: u128| RangeSet::one(base + (i << grain), base + (i << grain) + ((1 << grain) - 1));
    let mut axis = Axis { atoms: (0..1u128 << bits).map(atom).collect(), choices: Vec::new() };
    for care in 0..1u32 << bits {
        for value in (0..1u32 << bits).filter(|v| v & !care == 0) {
            axis.choose((0..1u32 << bits).filter(|i| i & care == value).fold(0u64, |m, i| m | 1 << i));
        }
    }
    if axis.atoms.len() == 1 || free == 32 {
        axis.any();
    }
    Some(axis)
}

/// Aligned blocks between the borders, and every prefix over them.
fn blocks(family: Family, base: u128, free: u32, sets: &BTreeSet<&RangeSet>) -> Option<Axis> {
    let top = if free >= 128 { u128::MAX } else { base + ((1u128 << free) - 1) };
    let cuts: BTreeSet<u128> = sets
        .iter()
        .flat_map(|s| s.ranges())
        .flat_map(|r| [Some(r.0), r.1.checked_add(1)])
        .flatten()
        .filter(|&c| c > base && c <= top)
        .collect();
    let mut atoms: Vec<RangeSet> = Vec::new();
    let mut start = base;
    for cut in cuts.into_iter().map(Some).chain([None]) {
        let end = cut.map_or(top, |c| c - 1);
        atoms.extend(RangeSet::one(start, end).prefixes(family).iter().map(bounds).map(|r| RangeSet::one(r.0, r.1)));
        if atoms.len() > MAX_ATOMS {
            return None;
        }
        start = cut.unwrap_or(top);
    }
    let mut axis = Axis { atoms, choices: Vec::new() };
    for (i, a) in axis.atoms.iter().map(|a| a.ranges()[0]).collect::<Vec<_>>().into_iter().enumerate() {
        axis.choose(1 << i);
        // Every prefix above it, up to the whole block.
        let mut size = (a.1 - a.0).wrapping_add(1);
        while size != 0 && size - 1 < top - base {
            size = size.wrapping_shl(1);
            let lo = if size == 0 { 0 } else { a.0 & !(size - 1) };
            let hi = lo.wrapping_add(size.wrapping_sub(1));
            let of = axis.atoms.iter().enumerate().filter(|(_, x)| x.ranges()[0].0 >= lo && x.ranges()[0].1 <= hi);
            let mask = of.fold(0, |m, (j, _)| m | 1u64 << j);
            axis.choose(mask);
        }
    }
    if free >= u32::from(family.bits()) {
        axis.any();
    }
    Some(axis)
}
