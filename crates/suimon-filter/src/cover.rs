//! The least number of lines that drop exactly what is asked, in profile `basic`.
//!
//! A line is a source prefix × a destination prefix × a *selector* (protocol, ports, flags, length, fragments as the
//! dialect writes them in one line). The headers without addresses are cut into *cells* that no selector cuts further;
//! each cell has the set of address pairs to drop. A selector may stand before the addresses that all its cells share.
//!
//! Why the result is least: a line of any solution can be widened (larger prefix, larger selector) as long as it stays
//! within the request, without more lines, so some least solution consists of lines that cannot be widened. Cells that
//! no selector joins are independent. Where one selector alone takes a cell and its addresses are one product, the
//! unwidenable lines are (largest prefix) × (largest prefix), no two of which can cover the same corner, so all are needed
//! and suffice. Everything else is a covering problem over these lines and is solved exactly by [`crate::solve`].

use crate::area::Area;
use crate::boxes::{DPORT, DST, FLAGS, FRAG, HeaderBox, LEN, PORT_PROTOS, PROTO, SPORT, SRC, field_max};
use crate::grid;
use crate::range::{Family, RangeSet};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use suimon_base::PortRange;
use suimon_base::rule::TcpFlags;

/// Most ports, protocols or lengths that a request may make the compiler write one by one.
pub const MAX_SINGLES: u128 = 4_096;
/// Most cells of a request.
pub const MAX_CELLS: usize = 1 << 18;
/// Most candidate selectors.
pub const MAX_SELECTORS: usize = 1 << 20;
/// Most sets that the TCP flags of a request combine to.
pub const MAX_FLAG_SETS: usize = 64;
/// Most lines of one list; a million random ranges make about three million prefixes.
pub const MAX_LINES: usize = 4_000_000;

/// What a dialect's line can say.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whether a line takes a range of ports or only one.
    pub port_ranges: bool,
    /// TCP flag bits a line can test; 0 is none.
    pub flag_bits: u8,
    /// Whether a line can test the packet length.
    pub lengths: bool,
    /// Protocols with which a line can name ports.
    pub port_protos: &'static [u8],
}

/// One line that drops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Index of the first rule of the request that the line serves; lines are written in this order.
    pub order: usize,
    /// Protocol; `None` is every one.
    pub proto: Option<u8>,
    /// Source port or ports.
    pub sport: Option<PortRange>,
    /// Destination port or ports.
    pub dport: Option<PortRange>,
    /// Only non-first fragments.
    pub later: bool,
    /// TCP flags as (mask, value).
    pub flags: Option<(u8, u8)>,
    /// Total IP length.
    pub length: Option<PortRange>,
    /// Source prefix; the whole family is "any".
    pub src: IpNet,
    /// Destination prefix; the whole family is "any".
    pub dst: IpNet,
}

/// Why there is no cover.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoverError {
    /// One by one would be absurd.
    #[error("profile basic writes one {what} a line: {count} lines for each address block (at most {MAX_SINGLES})")]
    TooManySingles {
        /// `port`, `protocol`, `length`.
        what: &'static str,
        /// How many there would be.
        count: u128,
    },
    /// The rules cut each other into too many pieces.
    #[error("the rules overlap in too many ways for an exact cover ({0})")]
    TooComplex(String),
    /// No line of the dialect takes just these headers.
    #[error("no line of this dialect takes only {0}")]
    Inexpressible(String),
    /// Too long for any router.
    #[error("more than {MAX_LINES} lines")]
    TooManyLines,
}

/// Non-address fields, in the order of a cell's key.
const REST: [usize; 6] = [PROTO, FRAG, FLAGS, LEN, SPORT, DPORT];
type Key = [u16; 6];
/// Numbers `.0..=.1`.
type Atom = (u128, u128);

struct Cells {
    atoms: [Vec<Atom>; 6],
    index: HashMap<Key, usize>,
    keys: Vec<Key>,
    areas: Vec<Area>,
    orders: Vec<usize>,
    /// The distinct sets of TCP flags that are not all of them.
    flag_sets: Vec<[bool; 256]>,
}

/// One choice for one field of a selector: the atoms it takes, `None` for the field left out.
type Choice = (Option<Atom>, Vec<u16>);

/// Flag tests with the atoms they take.
type FlagChoices = Vec<(Option<TcpFlags>, Vec<u16>)>;

struct Selector {
    proto: Option<u8>,
    later: bool,
    flags: Option<TcpFlags>,
    length: Option<Atom>,
    sport: Option<Atom>,
    dport: Option<Atom>,
    cells: Vec<usize>,
    area: Area,
}

/// The least lines for the boxes (each with the index of its rule) of one family, and whether they are proven least.
///
/// # Errors
/// Where the shape cannot express the boxes, or not in bounded size.
pub fn lines(family: Family, boxes: &[(usize, HeaderBox)], shape: Shape) -> Result<(Vec<Line>, bool), CoverError> {
    let mut out = Vec::new();
    let least = visit(family, boxes, shape, &mut |line| out.push(line))?;
    // Often they are in order already, and looking costs no memory.
    if !out.is_sorted() {
        out.sort_unstable();
    }
    Ok((out, least))
}

/// [`lines`], each handed to `sink` in no particular order.
///
/// # Errors
/// As [`lines`].
pub fn visit(
    family: Family,
    boxes: &[(usize, HeaderBox)],
    shape: Shape,
    sink: &mut dyn FnMut(Line),
) -> Result<bool, CoverError> {
    let cells = cut(family, boxes, shape)?;
    let selectors = selectors(&cells, shape)?;
    let mut of_cell: Vec<Vec<usize>> = vec![Vec::new(); cells.keys.len()];
    for (i, s) in selectors.iter().enumerate() {
        for &c in &s.cells {
            of_cell[c].push(i);
        }
    }
    for (c, list) in of_cell.iter().enumerate() {
        let areas: Vec<&Area> = list.iter().map(|&i| &selectors[i].area).collect();
        if !cells.areas[c].within(&areas) {
            return Err(CoverError::Inexpressible(describe(&cells, c)));
        }
    }
    let mut count = 0usize;
    let mut least = true;
    for part in components(&of_cell, selectors.len()) {
        let alone = part.iter().all(|&s| selectors[s].cells.iter().all(|&c| of_cell[c].len() == 1));
        if alone && part.iter().all(|&s| selectors[s].area.products().len() == 1) {
            for &s in &part {
                for (src, dst) in selectors[s].area.products() {
                    count = count.saturating_add(src.prefix_count().saturating_mul(dst.prefix_count()));
                    if count > MAX_LINES {
                        return Err(CoverError::TooManyLines);
                    }
                    let any = family.net(0, 0);
                    let common = line(&cells, &selectors[s], any, any);
                    src.each_prefix(family, |src| {
                        dst.each_prefix(family, |dst| sink(Line { src, dst, ..common.clone() }));
                    });
                }
            }
        } else {
            let members: Vec<grid::Member<'_>> =
                part.iter().map(|&s| grid::Member { cells: &selectors[s].cells, area: &selectors[s].area }).collect();
            let of: BTreeSet<usize> = members.iter().flat_map(|m| m.cells.iter().copied()).collect();
            let wanted: BTreeMap<usize, &Area> = of.into_iter().map(|c| (c, &cells.areas[c])).collect();
            let (picked, proven) = grid::least(family, &members, &wanted).map_err(CoverError::TooComplex)?;
            least &= proven;
            count += picked.len();
            picked.into_iter().for_each(|(m, src, dst)| sink(line(&cells, &selectors[part[m]], src, dst)));
        }
    }
    Ok(least)
}

fn line(cells: &Cells, s: &Selector, src: IpNet, dst: IpNet) -> Line {
    let ports = |a: Option<Atom>| a.map(|(lo, hi)| PortRange { lo: lo as u16, hi: hi as u16 });
    Line {
        order: s.cells.iter().map(|&c| cells.orders[c]).min().unwrap_or(0),
        proto: s.proto,
        sport: ports(s.sport),
        dport: ports(s.dport),
        later: s.later,
        flags: s.flags.map(|t| (t.mask, t.value)),
        length: ports(s.length),
        src,
        dst,
    }
}

fn describe(cells: &Cells, cell: usize) -> String {
    let names = ["protocol", "fragment", "flags", "length", "source port", "destination port"];
    let mut out = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let (lo, hi) = cells.atoms[i][usize::from(cells.keys[cell][i])];
        if (lo, hi) != (0, field_max(REST[i], Family::V4)) {
            out.push(if lo == hi { format!("{name} {lo}") } else { format!("{name} {lo}-{hi}") });
        }
    }
    if out.is_empty() { "these headers".into() } else { out.join(", ") }
}

/// Cuts the non-address fields into cells.
fn cut(family: Family, boxes: &[(usize, HeaderBox)], shape: Shape) -> Result<Cells, CoverError> {
    let mut atoms: [Vec<Atom>; 6] = Default::default();
    for (i, &field) in REST.iter().enumerate() {
        let max = field_max(field, family);
        let singly = match field {
            PROTO => Some("protocol"),
            SPORT | DPORT if !shape.port_ranges => Some("port"),
            _ => None,
        };
        let mut starts: BTreeSet<u128> = BTreeSet::from([0]);
        let partial = boxes.iter().map(|b| &b.1[field]).filter(|s| !s.is(0, max)).collect::<BTreeSet<_>>();
        for set in partial {
            if field == FLAGS {
                starts.extend(0..=255);
            }
            for &(lo, hi) in set.ranges() {
                starts.extend([lo, hi + 1]);
            }
            if let Some(what) = singly {
                if set.count() > MAX_SINGLES {
                    return Err(CoverError::TooManySingles { what, count: set.count() });
                }
                starts.extend(set.ranges().iter().flat_map(|&(lo, hi)| lo..=hi));
            }
        }
        let starts: Vec<u128> = starts.into_iter().filter(|&s| s <= max).collect();
        atoms[i] =
            starts.iter().enumerate().map(|(j, &lo)| (lo, starts.get(j + 1).map_or(max, |next| next - 1))).collect();
    }
    let mut members: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let mut work = 0usize;
    for (n, (_, b)) in boxes.iter().enumerate() {
        let taken: [Vec<u16>; 6] = std::array::from_fn(|i| {
            let list = &atoms[i];
            (0..list.len()).filter(|&a| b[REST[i]].contains(list[a].0)).map(|a| a as u16).collect()
        });
        work += taken.iter().map(Vec::len).product::<usize>();
        if work > MAX_CELLS {
            return Err(CoverError::TooComplex(format!("more than {MAX_CELLS} cells")));
        }
        each(&taken, |key| members.entry(key).or_default().push(n));
    }
    let partial: BTreeSet<&RangeSet> = boxes.iter().map(|b| &b.1[FLAGS]).filter(|s| !s.is(0, 255)).collect();
    let flag_sets = partial.iter().map(|s| std::array::from_fn(|x| s.contains(x as u128))).collect();
    // Cells of the same boxes have the same addresses.
    let mut areas: HashMap<Vec<usize>, Area> = HashMap::new();
    let mut cells =
        Cells { atoms, index: HashMap::new(), keys: Vec::new(), areas: Vec::new(), orders: Vec::new(), flag_sets };
    for (key, list) in members {
        cells.index.insert(key, cells.keys.len());
        cells.keys.push(key);
        cells.orders.push(list.iter().map(|&n| boxes[n].0).min().unwrap_or(0));
        let area = areas.entry(list).or_insert_with_key(|list| {
            Area::new(list.iter().map(|&n| (boxes[n].1[SRC].clone(), boxes[n].1[DST].clone())))
        });
        cells.areas.push(area.clone());
    }
    Ok(cells)
}

/// Calls `f` with every combination.
fn each(taken: &[Vec<u16>; 6], mut f: impl FnMut(Key)) {
    let mut at = [0usize; 6];
    if taken.iter().any(Vec::is_empty) {
        return;
    }
    loop {
        f(std::array::from_fn(|i| taken[i][at[i]]));
        let mut i = 5;
        loop {
            at[i] += 1;
            if at[i] < taken[i].len() {
                break;
            }
            at[i] = 0;
            if i == 0 {
                return;
            }
            i -= 1;
        }
    }
}

fn whole(atoms: &[Atom]) -> Choice {
    (None, (0..atoms.len()).map(|a| a as u16).collect())
}

/// Left out, one number, or (where allowed) a run.
fn choices(atoms: &[Atom], ranges: bool) -> Vec<Choice> {
    let mut out = vec![whole(atoms)];
    if atoms.len() == 1 && !ranges {
        return out;
    }
    for (i, &(lo, first_hi)) in atoms.iter().enumerate() {
        if ranges {
            for (j, &(_, hi)) in atoms.iter().enumerate().skip(i) {
                out.push((Some((lo, hi)), (i as u16..=j as u16).collect()));
            }
        } else if lo == first_hi {
            out.push((Some((lo, lo)), vec![i as u16]));
        }
    }
    out
}

/// The flag tests that some least cover can consist of. At each address the flags to drop are a union of sets of the
/// request, and a line for several addresses takes what is common to them; a test that cannot be widened within any such
/// set is a largest one of it.
fn flag_choices(sets: &[[bool; 256]], atoms: &[Atom], bits: u8) -> Result<FlagChoices, CoverError> {
    let mut out = vec![(None, whole(atoms).1)];
    let mut lattice: Vec<[bool; 256]> = Vec::new();
    let mut fresh: Vec<[bool; 256]> = sets.to_vec();
    while let Some(set) = fresh.pop() {
        if lattice.contains(&set) {
            continue;
        }
        for other in &lattice {
            fresh.push(std::array::from_fn(|i| set[i] || other[i]));
            fresh.push(std::array::from_fn(|i| set[i] && other[i]));
        }
        lattice.push(set);
        if lattice.len() > MAX_FLAG_SETS {
            return Err(CoverError::TooComplex(format!("more than {MAX_FLAG_SETS} sets of TCP flags")));
        }
    }
    let taken = |t: TcpFlags| (0..=255u8).filter(move |x| x & t.mask == t.value);
    let mut seen: BTreeSet<(u8, u8)> = BTreeSet::new();
    for set in &lattice {
        let inside = |t: TcpFlags| taken(t).all(|x| set[usize::from(x)]);
        for mask in (1..=255u8).filter(|m| m & !bits == 0) {
            for value in (0..=255u8).filter(|v| v & !mask == 0) {
                let t = TcpFlags { mask, value };
                let wider = |b: u8| TcpFlags { mask: mask & !(1 << b), value: value & !(1 << b) };
                let widens = || (0..8u8).filter(|b| mask >> b & 1 == 1).any(|b| inside(wider(b)));
                if !seen.contains(&(mask, value)) && inside(t) && !widens() {
                    seen.insert((mask, value));
                    out.push((Some(t), taken(t).map(u16::from).collect()));
                }
            }
        }
    }
    Ok(out)
}

fn selectors(cells: &Cells, shape: Shape) -> Result<Vec<Selector>, CoverError> {
    let [protos, frags, flags, lens, sports, dports] = &cells.atoms;
    let present: [BTreeSet<u16>; 6] = std::array::from_fn(|i| cells.keys.iter().map(|k| k[i]).collect());
    fn usable<T>(list: Vec<(T, Vec<u16>)>, present: &BTreeSet<u16>) -> Vec<(T, Vec<u16>)> {
        list.into_iter().filter(|c| c.1.iter().all(|a| present.contains(a))).collect()
    }
    let protos = usable(choices(protos, false), &present[0]);
    let flags = usable(flag_choices(&cells.flag_sets, flags, shape.flag_bits)?, &present[2]);
    let lens = usable(if shape.lengths { choices(lens, true) } else { vec![whole(lens)] }, &present[3]);
    let sports = usable(choices(sports, shape.port_ranges), &present[4]);
    let dports = usable(choices(dports, shape.port_ranges), &present[5]);
    let every_frag: Vec<u16> = (0..frags.len()).map(|a| a as u16).collect();
    let count = [protos.len(), 2, flags.len(), lens.len(), sports.len(), dports.len()].iter().product::<usize>();
    if count > MAX_SELECTORS {
        return Err(CoverError::TooComplex(format!("{count} candidate selectors")));
    }
    let mut out: Vec<Selector> = Vec::new();
    for (proto, proto_atoms) in &protos {
        let proto = proto.map(|a| a.0 as u8);
        let carries = proto.is_some_and(|p| PORT_PROTOS.contains(&p) && shape.port_protos.contains(&p));
        for (flag, flag_atoms) in flags.iter().filter(|f| f.0.is_none() || proto == Some(6)) {
            for (sport, sport_atoms) in sports.iter().filter(|s| s.0.is_none() || carries) {
                for (dport, dport_atoms) in dports.iter().filter(|d| d.0.is_none() || carries) {
                    let upper = sport.is_some() || dport.is_some() || flag.is_some();
                    let frag_choices: Vec<(bool, &[u16])> = match (upper, frags.len()) {
                        (false, 1) => vec![(false, every_frag.as_slice())],
                        (false, _) => vec![(false, every_frag.as_slice()), (true, &[1])],
                        (true, 1) => vec![],
                        (true, _) => vec![(false, &[0])],
                    };
                    for (later, frag_atoms) in frag_choices {
                        for (length, len_atoms) in &lens {
                            let taken = [
                                proto_atoms.clone(),
                                frag_atoms.to_vec(),
                                flag_atoms.clone(),
                                len_atoms.clone(),
                                sport_atoms.clone(),
                                dport_atoms.clone(),
                            ];
                            let Some((cells, area)) = shared(cells, &taken) else { continue };
                            out.push(Selector {
                                proto,
                                later,
                                flags: *flag,
                                length: *length,
                                sport: *sport,
                                dport: *dport,
                                cells,
                                area,
                            });
                        }
                    }
                }
            }
        }
    }
    Ok(prune(out))
}

/// The cells of a selector and the addresses that all of them drop; `None` where a cell is not asked for at all.
fn shared(cells: &Cells, taken: &[Vec<u16>; 6]) -> Option<(Vec<usize>, Area)> {
    let count: usize = taken.iter().map(Vec::len).product();
    if count > cells.keys.len() {
        return None;
    }
    let mut list = Vec::with_capacity(count);
    let mut complete = true;
    each(taken, |key| match cells.index.get(&key) {
        Some(&c) if complete => list.push(c),
        _ => complete = false,
    });
    if !complete || list.is_empty() {
        return None;
    }
    list.sort_unstable();
    let mut area: Option<Area> = None;
    let mut seen: BTreeSet<&Area> = BTreeSet::new();
    for &c in &list {
        let next = &cells.areas[c];
        if seen.insert(next) {
            area = Some(area.map_or_else(|| next.clone(), |a| a.intersect(next)));
        }
    }
    area.filter(|a| !a.is_empty()).map(|a| (list, a))
}

/// Drops selectors for which a wider one stands at the same addresses.
fn prune(mut list: Vec<Selector>) -> Vec<Selector> {
    list.sort_by_key(|s| std::cmp::Reverse(s.cells.len()));
    let mut by_cell: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut out: Vec<Selector> = Vec::new();
    for s in list {
        let wider = s.cells.first().and_then(|c| by_cell.get(c)).is_some_and(|l| {
            l.iter().any(|&o: &usize| {
                let other = &out[o];
                s.cells.iter().all(|c| other.cells.binary_search(c).is_ok()) && s.area.within(&[&other.area])
            })
        });
        if !wider {
            for &c in &s.cells {
                by_cell.entry(c).or_default().push(out.len());
            }
            out.push(s);
        }
    }
    out
}

/// Selectors that share cells, directly or through others.
fn components(of_cell: &[Vec<usize>], selectors: usize) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..selectors).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    for list in of_cell {
        for pair in list.windows(2) {
            let (a, b) = (root(&mut parent, pair[0]), root(&mut parent, pair[1]));
            parent[b] = a;
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for s in 0..selectors {
        let r = root(&mut parent, s);
        groups.entry(r).or_default().push(s);
    }
    groups.into_values().collect()
}
