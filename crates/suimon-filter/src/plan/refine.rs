//! Narrower and narrower matches from the same attack.

use super::share::{Split, lengths_known, reflects, taken};
use super::target_match;
use crate::boxes;
use std::collections::BTreeMap;
use suimon_base::attack::ProfileClass;
use suimon_base::flow::Fragment;
use suimon_base::rule::FragmentMatch;
use suimon_base::{Attack, Match, PortRange};

/// A refinement must still take this share of its vector's packets.
const KEPT: f64 = 0.99;
/// Most ports that a refinement names.
const MAX_PORTS: usize = 4;

/// Most ranges of lengths that a refinement names.
const MAX_LENGTHS: usize = 4;

/// A set of matches, one for each vector and perhaps one for fragments.
pub struct Variant {
    /// What it consists of, joined by `+`.
    pub id: String,
    /// The matches; each names the target.
    pub matches: Vec<Match>,
}

/// What can be added to one vector's match.
#[derive(Default)]
struct Extra {
    dst: Vec<PortRange>,
    src: Vec<PortRange>,
    lengths: Vec<PortRange>,
}

/// The union of all vectors, then with each useful combination of refinements, with and without the fragments that
/// belong to a reflection.
pub fn variants(attack: &Attack, split: &Split) -> Vec<Variant> {
    let target = target_match(attack);
    let bases: Vec<Match> = attack.vectors.iter().map(|v| guarded(&v.matches, &target)).collect();
    let extras: Vec<Extra> = bases.iter().map(|m| extra(m, split)).collect();
    let fragments = fragments(attack, split, &bases, &target);
    let mut out: Vec<Variant> = Vec::new();
    for bits in 0..8u8 {
        let [dst, src, length] = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
        let mut id = "vectors".to_owned();
        for (on, name) in [(dst, "+dst-port"), (src, "+src-port"), (length, "+length")] {
            id.push_str(if on { name } else { "" });
        }
        let mut changed = [false; 3];
        let mut matches: Vec<Match> = Vec::new();
        for (base, e) in bases.iter().zip(&extras) {
            let mut m = base.clone();
            let slots = [
                (dst, &e.dst, &mut m.dst_ports),
                (src, &e.src, &mut m.src_ports),
                (length, &e.lengths, &mut m.lengths),
            ];
            for (slot, done) in slots.into_iter().zip(&mut changed) {
                if slot.0 && !slot.1.is_empty() {
                    slot.2.clone_from(slot.1);
                    *done = true;
                }
            }
            if boxes::invalid(&m).is_none() && !matches.contains(&m) {
                matches.push(m);
            }
        }
        // A refinement that changes nothing is the same candidate again.
        if changed != [dst, src, length] || matches.is_empty() {
            continue;
        }
        if let Some(f) = &fragments {
            let mut with = matches.clone();
            with.push(f.clone());
            out.push(Variant { id: format!("{id}+fragments"), matches: with });
        }
        out.push(Variant { id, matches });
    }
    // Some vectors are told by their lengths, which not every dialect can say: the same without lengths is wider, and
    // its cost is judged like any other's.
    let wider: Vec<Variant> = out
        .iter()
        .filter(|v| v.matches.iter().any(|m| !m.lengths.is_empty()))
        .map(|v| Variant {
            id: format!("{}-any-length", v.id),
            matches: v.matches.iter().map(|m| Match { lengths: Vec::new(), ..m.clone() }).collect(),
        })
        .filter(|w| w.matches.iter().all(|m| boxes::invalid(m).is_none()))
        .collect();
    out.extend(wider);
    out
}

/// A vector's match, always with the target, so that it can never take everybody's traffic.
fn guarded(m: &Match, target: &Match) -> Match {
    let mut out = m.clone();
    if !target.dst.is_empty() {
        out.dst.clone_from(&target.dst);
    }
    if !target.src.is_empty() {
        out.src.clone_from(&target.src);
    }
    out
}

/// Later fragments of UDP that came with a reflection and that no match takes yet.
fn fragments(attack: &Attack, split: &Split, bases: &[Match], target: &Match) -> Option<Match> {
    let there = split
        .attack
        .iter()
        .any(|c| c.fragment == Fragment::Later && c.proto == 17 && bases.iter().all(|m| taken(m, c).0 == 0.0));
    (there && reflects(attack)).then(|| Match {
        proto: Some(17),
        fragment: Some(FragmentMatch::Later),
        ..target.clone()
    })
}

fn extra(m: &Match, split: &Split) -> Extra {
    let own: Vec<(f64, &ProfileClass)> =
        split.attack.iter().map(|c| (c.pps * taken(m, c).0, c)).filter(|c| c.0 > 0.0).collect();
    let total: f64 = own.iter().map(|c| c.0).sum();
    let ported = m.proto.is_some_and(|p| boxes::PORT_PROTOS.contains(&p)) && m.fragment.is_none();
    let ports = |given: &[PortRange], of: fn(&ProfileClass) -> Option<u16>| {
        if ported && given.is_empty() { few_ports(&own, total, of) } else { Vec::new() }
    };
    let normal: Vec<&ProfileClass> = split.normal.iter().filter(|c| taken(m, c).0 > 0.0).collect();
    let measured = normal.iter().all(|c| lengths_known(m, c));
    let lengths =
        if m.lengths.is_empty() && split.known && measured { lengths(&own, total, &normal) } else { Vec::new() };
    Extra { dst: ports(&m.dst_ports, |c| c.dst_port), src: ports(&m.src_ports, |c| c.src_port), lengths }
}

/// The few ports that make up nearly all of the packets; empty where there are no such.
fn few_ports(own: &[(f64, &ProfileClass)], total: f64, of: fn(&ProfileClass) -> Option<u16>) -> Vec<PortRange> {
    let mut sums: BTreeMap<u16, f64> = BTreeMap::new();
    for (pps, c) in own {
        if let Some(p) = of(c) {
            *sums.entry(p).or_default() += pps;
        }
    }
    let mut list: Vec<(u16, f64)> = sums.into_iter().collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut sum = 0.0;
    let mut out = Vec::new();
    for (port, pps) in list.into_iter().take(MAX_PORTS) {
        sum += pps;
        out.push(PortRange::one(port));
        if sum >= KEPT * total {
            out.sort_unstable();
            return out;
        }
    }
    Vec::new()
}

/// The lengths of nearly all packets, where the normal traffic of the same kind has others: the ranges of the largest
/// classes until enough of the packets are in, or one range around them where there are many.
fn lengths(own: &[(f64, &ProfileClass)], total: f64, normal: &[&ProfileClass]) -> Vec<PortRange> {
    let mut sorted = own.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut sum = 0.0;
    let mut ranges: Vec<PortRange> = Vec::new();
    for (pps, c) in sorted {
        ranges.push(c.ip_len);
        sum += pps;
        if sum >= KEPT * total {
            break;
        }
    }
    if sum < KEPT * total || total <= 0.0 || normal.is_empty() {
        return Vec::new();
    }
    ranges.sort_unstable();
    let mut joined: Vec<PortRange> = Vec::new();
    for r in ranges {
        match joined.last_mut() {
            Some(last) if r.lo <= last.hi.saturating_add(1) => last.hi = last.hi.max(r.hi),
            _ => joined.push(r),
        }
    }
    if joined.len() > MAX_LENGTHS {
        let hi = joined.last().map_or(u16::MAX, |r| r.hi);
        joined = vec![PortRange { lo: joined.first().map_or(0, |r| r.lo), hi }];
    }
    let apart = normal.iter().all(|n| joined.iter().all(|r| n.ip_len.hi < r.lo || r.hi < n.ip_len.lo));
    if apart { joined } else { Vec::new() }
}
