//! Long lists before they become diagrams: neighbours that do the same are one match.
//!
//! Between two lines with different actions the order of lines does not matter, so the lines of such a run that differ
//! in their destinations only (then in their sources only) are joined by uniting these lists. This is what keeps the
//! proof of a million lines linear; it uses nothing of what the compiler knows about how the lines came to be.

use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::HashMap;
use suimon_base::{Action, Match, Rule};

/// The rules, joined; a rate limit is a bucket of its own and is never joined.
pub fn joined(rules: &[Rule]) -> Vec<(Cow<'_, Match>, Action)> {
    let mut out: Vec<(Cow<'_, Match>, Action)> = Vec::new();
    for run in rules.chunk_by(|a, b| a.action == b.action) {
        let Some(first) = run.first() else { continue };
        let matches = || run.iter().map(|r| &r.matches);
        if matches!(first.action, Action::Discard | Action::Permit) && run.len() > 1 {
            let by_dst = unite(matches(), Side::Dst);
            let by_src = if by_dst.len() > 1 { unite(by_dst.iter(), Side::Src) } else { by_dst };
            out.extend(by_src.into_iter().map(|m| (Cow::Owned(m), first.action)));
        } else {
            out.extend(matches().map(|m| (Cow::Borrowed(m), first.action)));
        }
    }
    out
}

#[derive(Clone, Copy)]
enum Side {
    Src,
    Dst,
}

impl Side {
    fn of(self, m: &Match) -> &Vec<IpNet> {
        match self {
            Side::Src => &m.src,
            Side::Dst => &m.dst,
        }
    }
    fn of_mut(self, m: &mut Match) -> &mut Vec<IpNet> {
        match self {
            Side::Src => &mut m.src,
            Side::Dst => &mut m.dst,
        }
    }
    fn other(self) -> Side {
        match self {
            Side::Src => Side::Dst,
            Side::Dst => Side::Src,
        }
    }
    /// Whether both are equal in everything but this side.
    fn equal_else(self, a: &Match, b: &Match) -> bool {
        self.other().of(a) == self.other().of(b)
            && a.proto == b.proto
            && a.src_ports == b.src_ports
            && a.dst_ports == b.dst_ports
            && a.tcp_flags == b.tcp_flags
            && a.fragment == b.fragment
            && a.lengths == b.lengths
    }
}

/// Joins matches that are equal but for one list of addresses, in the order of their first appearance. An empty list is
/// "any" and stays a match of its own.
fn unite<'a>(list: impl Iterator<Item = &'a Match>, side: Side) -> Vec<Match> {
    let mut out: Vec<Match> = Vec::new();
    // Matches without their list, to their place in `out`.
    let mut index: HashMap<Match, usize> = HashMap::new();
    // Most lists have neighbours of one kind: they are told without building a key.
    let mut last: Option<usize> = None;
    for m in list {
        if side.of(m).is_empty() {
            out.push(m.clone());
            continue;
        }
        let known = last.filter(|&at| out.get(at).is_some_and(|o| side.equal_else(o, m)));
        let at = known.unwrap_or_else(|| {
            let mut key = m.clone();
            side.of_mut(&mut key).clear();
            *index.entry(key).or_insert_with_key(|key| {
                out.push(key.clone());
                out.len() - 1
            })
        });
        last = Some(at);
        if let Some(slot) = out.get_mut(at) {
            side.of_mut(slot).extend_from_slice(side.of(m));
        }
    }
    out
}
