//! Profile `compact`: lists and ranges of ports, sets of addresses, wildcards and permits before wider denies.
//!
//! A list is permits first, which take nothing that the request drops, then denies: the order within each group does not
//! matter, and every header of the request needs a deny, every other header that a deny takes needs a permit before it. On
//! small universes ([`universe`]) the fewest such lines are found by search ([`search`]); elsewhere the best of several
//! constructions is taken, and a search on a part of the addresses says how many lines any list needs at least: what a list
//! does to a part is done by its lines, so no list for the whole is shorter than the shortest for a part.

mod holes;
mod join;
mod search;
mod universe;

use crate::boxes::{self, DPORT, DST, FLAGS, FRAG, HeaderBox, LEN, PROTO, SPORT, SRC, all};
use crate::cover::{self, CoverError, Line, Shape};
use crate::range::{Family, RangeSet, bounds};
use search::{Budget, MAX_WORK};
use universe::Universe;

/// What a line of a dialect can say in profile `compact`.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// A range of ports.
    pub port_ranges: bool,
    /// Most single ports in one list; 1 where there are no lists.
    pub port_list: usize,
    /// Any set of ports, ranges included.
    pub port_sets: bool,
    /// Most items of a set of ports, where a range counts as two (RouterOS); `usize::MAX` where nothing is counted.
    pub port_items: usize,
    /// A set of protocols.
    pub proto_sets: bool,
    /// Whether a set of protocols with ports must be TCP and UDP (SR OS: `tcp-udp`).
    pub pairs_ports: bool,
    /// TCP flag bits that can be tested; 0 is none.
    pub flag_bits: u8,
    /// Whether a test names one flag that is set and nothing else (NX-OS, EOS).
    pub one_flag: bool,
    /// A range of packet lengths.
    pub lengths: bool,
    /// Any set of packet lengths.
    pub length_sets: bool,
    /// Protocols with which a line can name ports.
    pub port_protos: &'static [u8],
    /// A line that permits before a line that denies.
    pub permits: bool,
    /// Whether a permit with ports or flags takes non-first fragments of its addresses and protocol too (IOS).
    pub permit_takes_fragments: bool,
    /// A test for non-first fragments.
    pub later: bool,
    /// Whether the ports and flags of non-first fragments are compared as zero (SR OS), so that a line which a zero fulfils
    /// cannot be written.
    pub zero_takes_later: bool,
    /// IPv4 wildcards whose bits are not contiguous.
    pub wildcards: bool,
    /// Sets of addresses: object groups, nftables sets.
    pub address_sets: bool,
}

impl Caps {
    /// Nothing but prefixes, single ports and denies.
    pub const LEAST: Caps = Caps {
        port_ranges: false,
        port_list: 1,
        port_sets: false,
        port_items: usize::MAX,
        proto_sets: false,
        pairs_ports: false,
        flag_bits: 0,
        one_flag: false,
        lengths: false,
        length_sets: false,
        port_protos: &[6, 17],
        permits: false,
        permit_takes_fragments: false,
        later: true,
        zero_takes_later: false,
        wildcards: false,
        address_sets: false,
    };

    /// Whether a line can have these conditions beside each other; what one field can say alone is asked elsewhere.
    fn sayable(&self, b: &HeaderBox, family: Family) -> bool {
        let whole = all(family);
        let ports = b[SPORT] != whole[SPORT] || b[DPORT] != whole[DPORT];
        let flags = b[FLAGS] != whole[FLAGS];
        let test = || boxes::flag_test(&b[FLAGS]).is_some_and(|(mask, value)| mask == value && mask.is_power_of_two());
        let zero = (ports || flags) && [SPORT, DPORT, FLAGS].iter().all(|&f| b[f].contains(0));
        let tcp_udp = || b[PROTO] == RangeSet::new([(6, 6), (17, 17)]);
        // Only what names ports or flags leaves non-first fragments out.
        let first_only = b[FRAG].is(0, 0) && !ports && !flags;
        let refused = first_only
            || (self.one_flag && flags && !test())
            || (!self.later && b[FRAG].is(1, 1))
            || (self.zero_takes_later && zero)
            || (self.pairs_ports && ports && b[PROTO].count() > 1 && !tcp_udp());
        !refused
    }

    fn shape(&self) -> Shape {
        Shape {
            port_ranges: self.port_ranges || self.port_sets,
            flag_bits: self.flag_bits,
            lengths: self.lengths,
            port_protos: self.port_protos,
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompactLine {
    /// Denies come after permits.
    pub deny: bool,
    /// Index of the first rule of the request that the line serves.
    pub order: usize,
    /// What it takes; a field that takes everything is left out by writers.
    pub fields: HeaderBox,
}

/// Lines and what is known of their number.
#[derive(Clone, Debug)]
pub struct Found {
    /// Permits first.
    pub lines: Vec<CompactLine>,
    /// No list of this profile has fewer lines than this.
    pub at_least: usize,
}

/// The fewest lines that could be found for the boxes (each with the index of its rule) of one family.
///
/// # Errors
/// Where the dialect cannot express the boxes, or not in bounded size.
pub fn lines(family: Family, boxes: &[(usize, HeaderBox)], caps: &Caps) -> Result<Found, CoverError> {
    if boxes.is_empty() {
        return Ok(Found { lines: Vec::new(), at_least: 0 });
    }
    let mut best = constructed(family, boxes, caps)?;
    best = holes::punch(family, best, boxes, caps);
    let mut at_least = 1;
    let mut budget = Budget::new(MAX_WORK);
    match universe::build(family, boxes, caps) {
        Some(u) => {
            let result = search::fewest(&u, best.len(), &mut budget);
            at_least = result.at_least;
            if let Some(found) = result.lines
                && found.len() < best.len()
            {
                best = found;
            }
        }
        None => at_least = at_least.max(bound(family, boxes, caps, best.len(), &mut budget)),
    }
    best.sort();
    Ok(Found { at_least: at_least.min(best.len()), lines: best })
}

/// Lines that any list has at least, from parts of the request and from lines that can say more than the dialect's.
fn bound(family: Family, boxes: &[(usize, HeaderBox)], caps: &Caps, known: usize, budget: &mut Budget) -> usize {
    let wider = Caps { port_sets: true, port_items: usize::MAX, ..*caps };
    let mut tries: Vec<Universe> = universe::build(family, boxes, &wider).into_iter().collect();
    if tries.is_empty() {
        let one = |part: &Vec<_>| universe::build(family, part, caps).or_else(|| universe::build(family, part, &wider));
        tries = parts(family, boxes).iter().filter_map(one).collect();
    }
    let mut at_least = 1;
    for (i, u) in tries.iter().enumerate() {
        let mut share = budget.part(budget.left() / (tries.len() - i) as u64);
        at_least = at_least.max(search::fewest(u, known, &mut share).at_least);
        budget.put_back(share);
    }
    at_least
}

/// The lines of profile `basic` (with ranges where the dialect has them), joined into lists and sets in several orders.
fn constructed(family: Family, boxes: &[(usize, HeaderBox)], caps: &Caps) -> Result<Vec<CompactLine>, CoverError> {
    let mut candidates: Vec<Vec<CompactLine>> = Vec::new();
    let mut failure = None;
    let narrow = Shape { port_ranges: false, ..caps.shape() };
    for shape in [caps.shape(), narrow] {
        match cover::lines(family, boxes, shape) {
            Ok((basic, _)) => {
                let start: Vec<CompactLine> = basic.iter().map(|l| of_line(family, l)).collect();
                candidates.extend(join::orders(family, &start, caps));
            }
            Err(e) => failure = failure.or(Some(e)),
        }
    }
    // Where boxes say themselves what a line can say, nothing needs to be cut.
    let own: Vec<CompactLine> =
        boxes.iter().map(|(order, b)| CompactLine { deny: true, order: *order, fields: b.clone() }).collect();
    if own.iter().all(|l| join::expressible(family, &l.fields, caps)) {
        candidates.extend(join::orders(family, &own, caps));
    }
    let found = !candidates.is_empty();
    candidates.retain(|list| list.iter().all(|l| caps.sayable(&l.fields, family)));
    let best = candidates.into_iter().min_by_key(Vec::len);
    best.ok_or_else(|| match failure {
        Some(e) if !found => e,
        _ => CoverError::Inexpressible("the flags, fragments or port 0 that several rules leave together".into()),
    })
}

fn of_line(family: Family, l: &Line) -> CompactLine {
    let mut b = all(family);
    let range = |p: Option<suimon_base::PortRange>| p.map(|p| RangeSet::one(p.lo.into(), p.hi.into()));
    let (src, dst) = (bounds(&l.src), bounds(&l.dst));
    b[SRC] = RangeSet::one(src.0, src.1);
    b[DST] = RangeSet::one(dst.0, dst.1);
    if let Some(p) = l.proto {
        b[PROTO] = RangeSet::one(p.into(), p.into());
    }
    for (field, set) in [(SPORT, range(l.sport)), (DPORT, range(l.dport)), (LEN, range(l.length))] {
        if let Some(set) = set {
            b[field] = set;
        }
    }
    if let Some((mask, value)) = l.flags {
        b[FLAGS] = RangeSet::new((0..=255u8).filter(|x| x & mask == value).map(|x| (x.into(), x.into())));
    }
    let upper = l.sport.is_some() || l.dport.is_some() || l.flags.is_some();
    if l.later || upper {
        b[FRAG] = RangeSet::one(u128::from(l.later), u128::from(l.later));
    }
    CompactLine { deny: true, order: l.order, fields: b }
}

/// What a permit takes, with what its platform adds.
fn permitted(b: &HeaderBox, caps: &Caps, family: Family) -> Vec<HeaderBox> {
    let mut out = vec![b.clone()];
    let upper = [SPORT, DPORT, FLAGS].iter().any(|&f| b[f] != all(family)[f]);
    if caps.permit_takes_fragments && upper {
        let mut later = b.clone();
        for f in [SPORT, DPORT, FLAGS] {
            later[f] = all(family)[f].clone();
        }
        later[FRAG] = RangeSet::one(1, 1);
        out.push(later);
    }
    out
}

/// Most parts of the addresses that are tried for a lower bound.
const MAX_PARTS: usize = 6;
/// Bits of the parts: the destination (or source) blocks in which a bound is looked for.
const PART_BITS: [u8; 6] = [8, 6, 5, 4, 3, 2];

/// The boxes within some blocks of addresses, those with the most boundaries first.
fn parts(family: Family, boxes: &[(usize, HeaderBox)]) -> Vec<Vec<(usize, HeaderBox)>> {
    let mut out = Vec::new();
    let union = |side: usize| {
        RangeSet::new(
            boxes.iter().filter(|b| b.1[side] != all(family)[side]).flat_map(|b| b.1[side].ranges().iter().copied()),
        )
    };
    for side in [DST, SRC] {
        let set = union(side);
        for bits in PART_BITS {
            // Blocks of 2^bits addresses around boundaries.
            let size = 1u128 << bits;
            let mut blocks: std::collections::BTreeMap<u128, usize> = std::collections::BTreeMap::new();
            for &(lo, hi) in set.ranges().iter().take(1 << 16) {
                *blocks.entry(lo / size).or_default() += 1;
                *blocks.entry(hi / size).or_default() += 1;
            }
            let Some((&block, _)) = blocks.iter().max_by_key(|(_, n)| **n) else { continue };
            let inside = RangeSet::one(block * size, block * size + (size - 1));
            let part: Vec<(usize, HeaderBox)> = boxes
                .iter()
                .filter_map(|(i, b)| {
                    let mut cut = b.clone();
                    cut[side] = cut[side].intersect(&inside);
                    (!cut[side].is_empty()).then_some((*i, cut))
                })
                .collect();
            if !part.is_empty() && out.len() < MAX_PARTS {
                out.push(part);
            }
        }
    }
    out
}

/// Whether a line takes nothing of the request.
fn harmless(b: &HeaderBox, requested: &[(usize, HeaderBox)], caps: &Caps, family: Family) -> bool {
    permitted(b, caps, family).iter().all(|p| !requested.iter().any(|r| boxes::overlap(p, &r.1)))
}
