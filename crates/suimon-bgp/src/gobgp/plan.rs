//! What GoBGP holds against what it shall hold. Pure.

use super::api::Path;
use crate::codec;
use crate::route::{Family, LargeCommunity, RouteKey};
use std::collections::{BTreeMap, BTreeSet};
use suimon_base::MeasureId;

/// COMMUNITIES, EXTENDED COMMUNITIES, IPv6 EXTENDED COMMUNITIES, LARGE_COMMUNITY: what a route asks for.
const ASKING: [u8; 4] = [8, 16, 25, LARGE];
const LARGE: u8 = 32;

/// The large community that says for which measure a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Our AS number.
    pub asn: u32,
    /// The configured number.
    pub mark: u32,
}

impl Mark {
    /// The community of a measure; `None` where its number does not fit into 32 bits.
    pub fn of(self, id: MeasureId) -> Option<LargeCommunity> {
        Some(LargeCommunity(self.asn, self.mark, u32::try_from(id.0).ok()?))
    }

    fn measures(self, value: &[u8]) -> BTreeSet<MeasureId> {
        let number = |b: &[u8]| b.iter().fold(0u32, |sum, x| sum << 8 | u32::from(*x));
        let one = |c: &[u8]| {
            (number(&c[..4]) == self.asn && number(&c[4..8]) == self.mark).then(|| MeasureId(number(&c[8..12]).into()))
        };
        value.chunks_exact(12).filter_map(one).collect()
    }
}

/// A route as GoBGP has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Measures that its marks name; empty for a route that is not ours.
    pub marks: BTreeSet<MeasureId>,
    /// What it asks for, by attribute type.
    pub asks: BTreeMap<u8, Vec<u8>>,
}

/// What attributes ask for.
pub fn asks(attributes: &[Vec<u8>]) -> BTreeMap<u8, Vec<u8>> {
    let split = attributes.iter().flat_map(|a| codec::split_attributes(a));
    split.filter(|(kind, ..)| ASKING.contains(kind)).map(|(kind, _, value)| (kind, value.to_vec())).collect()
}

/// Reads a listing. Of a destination with several routes the one that was put in locally counts, since that is the one
/// that an addition replaces; learnt routes are left out with `local`.
pub fn read(paths: &[Path], family: Family, mark: Mark, local: bool) -> BTreeMap<RouteKey, Held> {
    let mut out = BTreeMap::new();
    for path in paths.iter().filter(|p| !p.is_withdraw && !p.nlri_binary.is_empty() && (!local || p.is_local())) {
        let asks = asks(&path.pattrs_binary);
        let marks = asks.get(&LARGE).map(|v| mark.measures(v)).unwrap_or_default();
        out.insert(RouteKey { family, nlri: path.nlri_binary.clone() }, Held { marks, asks });
    }
    out
}

/// A route that GoBGP shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its attributes, each with its head.
    pub attributes: Vec<Vec<u8>>,
    /// What they ask for.
    pub asks: BTreeMap<u8, Vec<u8>>,
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// Additions, then withdrawals: a measure that changes leaves no gap.
    pub changes: Vec<Path>,
    /// Routes that somebody else put in under the same key; they are left alone.
    pub clashes: Vec<RouteKey>,
    /// Measures whose routes are there although nobody here asked for them in this run.
    pub found: BTreeSet<MeasureId>,
}

/// Compares. Marked routes go when every measure that they name is known here and none wants them; `kept` are measures of
/// an earlier run that nobody has decided on yet.
pub fn diff(
    want: &BTreeMap<RouteKey, Want>,
    held: &BTreeMap<RouteKey, Held>,
    known: &BTreeSet<MeasureId>,
    kept: &BTreeSet<MeasureId>,
) -> Diff {
    let mut out = Diff::default();
    for (key, w) in want {
        match held.get(key) {
            Some(h) if h.marks.is_empty() => out.clashes.push(key.clone()),
            Some(h) if h.asks == w.asks => {}
            _ => out.changes.push(path(key, w.attributes.clone(), false)),
        }
    }
    for (key, h) in held.iter().filter(|(_, h)| !h.marks.is_empty()) {
        out.found.extend(h.marks.iter().filter(|m| !known.contains(m)));
        if !want.contains_key(key) && h.marks.iter().all(|m| known.contains(m) && !kept.contains(m)) {
            out.changes.push(path(key, Vec::new(), true));
        }
    }
    out
}

fn path(key: &RouteKey, attributes: Vec<Vec<u8>>, is_withdraw: bool) -> Path {
    Path {
        is_withdraw,
        family: Some(key.family.into()),
        neighbor_ip: String::new(),
        nlri_binary: key.nlri.clone(),
        pattrs_binary: attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { asn: 64500, mark: 7 };

    fn key(last: u8) -> RouteKey {
        RouteKey { family: Family::Ipv4, nlri: vec![32, 192, 0, 2, last] }
    }

    fn large(ids: &[u32]) -> Vec<u8> {
        let mut out = vec![0xc0, LARGE, 12 * ids.len() as u8];
        for id in ids {
            [64500, 7, *id].iter().for_each(|n: &u32| out.extend(n.to_be_bytes()));
        }
        out
    }

    fn want(ids: &[u32]) -> Want {
        let attributes = vec![vec![0x40, 1, 1, 0], large(ids)];
        Want { asks: asks(&attributes), attributes }
    }

    fn listed(last: u8, ids: &[u32], from: &str) -> Path {
        let attributes = if ids.is_empty() { vec![] } else { vec![large(ids)] };
        Path { neighbor_ip: from.into(), ..path(&key(last), attributes, false) }
    }

    fn ids(list: &[u64]) -> BTreeSet<MeasureId> {
        list.iter().map(|n| MeasureId(*n)).collect()
    }

    #[test]
    fn says_what_to_add_and_what_to_withdraw() {
        let want = BTreeMap::from([(key(1), want(&[1])), (key(2), want(&[1])), (key(5), want(&[1]))]);
        let paths = [
            listed(1, &[1], "<nil>"),
            listed(2, &[9], "<nil>"),
            listed(3, &[1], "<nil>"),
            listed(4, &[], "<nil>"),
            listed(5, &[], "<nil>"),
            listed(6, &[8], "<nil>"),
            listed(7, &[1], "192.0.2.99"),
        ];
        let held = read(&paths, Family::Ipv4, MARK, true);
        assert_eq!(held.len(), 6, "what a neighbour sent is not ours, whatever it carries");
        let d = diff(&want, &held, &ids(&[1, 2]), &ids(&[]));
        let list =
            |w: bool| d.changes.iter().filter(|p| p.is_withdraw == w).map(|p| p.nlri_binary[4]).collect::<Vec<_>>();
        assert_eq!(list(false), [2], "another mark is other words, and what is there already stays");
        assert_eq!(list(true), [3], "unmarked routes and those of unknown measures are left alone");
        assert_eq!(d.clashes, [key(5)]);
        assert_eq!(d.found, ids(&[8, 9]));
        // A measure of an earlier run keeps its routes until somebody decides.
        assert!(diff(&BTreeMap::new(), &held, &ids(&[1, 8, 9]), &ids(&[1, 8, 9])).changes.is_empty());
        assert_eq!(diff(&BTreeMap::new(), &held, &ids(&[1, 8, 9]), &ids(&[8])).changes.len(), 3);
    }

    #[test]
    fn broken_attributes_end_the_reading() {
        for octets in [&[0x40][..], &[0x40, 1], &[0x40, 1, 2, 0], &[0x50, 1, 0], &[0x50, 1, 0xff, 0xff, 0]] {
            assert!(codec::split_attributes(octets).is_empty(), "{octets:02x?}");
        }
        let mut cut = large(&[1]);
        cut[2] = 11;
        cut.pop();
        assert!(asks(&[cut.clone()]).contains_key(&LARGE));
        assert!(MARK.measures(&cut[3..]).is_empty());
    }
}
