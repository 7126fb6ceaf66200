//! Header boxes: products of ranges, one per field. The compiler works on these; the proof does not.

use crate::range::{Family, RangeSet, bounds};
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, Match, PortRange, RuleSet};

/// Source address.
pub const SRC: usize = 0;
/// Destination address.
pub const DST: usize = 1;
/// IP protocol.
pub const PROTO: usize = 2;
/// 0: whole, first or unknown fragment; 1: non-first fragment.
pub const FRAG: usize = 3;
/// TCP flags octet.
pub const FLAGS: usize = 4;
/// Total IP length in octets.
pub const LEN: usize = 5;
/// Source port.
pub const SPORT: usize = 6;
/// Destination port.
pub const DPORT: usize = 7;
/// How many fields.
pub const FIELDS: usize = 8;

/// IP protocols that carry ports: TCP, UDP, SCTP, UDP-Lite.
pub const PORT_PROTOS: [u8; 4] = [6, 17, 132, 136];
/// Most boxes that overlapping rules may be split into.
pub const MAX_BOXES: usize = 200_000;

/// The highest value of a field.
pub const fn field_max(field: usize, family: Family) -> u128 {
    match field {
        SRC | DST => family.max(),
        PROTO | FLAGS => 255,
        FRAG => 1,
        _ => 65_535,
    }
}

/// A product of sets, one per field.
pub type HeaderBox = [RangeSet; FIELDS];

/// The box of every header of a family.
pub fn all(family: Family) -> HeaderBox {
    std::array::from_fn(|f| RangeSet::one(0, field_max(f, family)))
}

fn port_set(list: &[PortRange]) -> RangeSet {
    RangeSet::new(list.iter().map(|r| (u128::from(r.lo), u128::from(r.hi))))
}

/// Why a match cannot be a filter rule, in words; `None` if it can.
pub fn invalid(m: &Match) -> Option<String> {
    let with_ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    if let Some(r) = m.src_ports.iter().chain(&m.dst_ports).chain(&m.lengths).find(|r| r.lo > r.hi) {
        return Some(format!("the range {}-{} ends before it starts", r.lo, r.hi));
    }
    if with_ports && !m.proto.is_some_and(|p| PORT_PROTOS.contains(&p)) {
        return Some("ports need a protocol that carries them: TCP, UDP or SCTP".into());
    }
    if with_ports && m.fragment.is_some() {
        return Some("non-first fragments carry no ports, so a match cannot name both".into());
    }
    if m.tcp_flags.is_some() && m.proto != Some(6) {
        return Some("TCP flags need the protocol TCP".into());
    }
    if m.tcp_flags.is_some() && m.fragment.is_some() {
        return Some("non-first fragments carry no TCP flags, so a match cannot name both".into());
    }
    if let Some(t) = m.tcp_flags.filter(|t| t.value & !t.mask != 0) {
        return Some(format!("TCP flags value {:#04x} has bits outside the mask {:#04x}", t.value, t.mask));
    }
    let families = |list: &[ipnet::IpNet]| {
        (list.is_empty() || list.iter().any(|n| Family::of_net(n) == Family::V4))
            .then_some(Family::V4)
            .into_iter()
            .chain((list.is_empty() || list.iter().any(|n| Family::of_net(n) == Family::V6)).then_some(Family::V6))
            .collect::<Vec<_>>()
    };
    let (s, d) = (families(&m.src), families(&m.dst));
    if !s.iter().any(|f| d.contains(f)) {
        return Some("sources and destinations are of different address families".into());
    }
    None
}

/// The headers of one family that a match takes; `None` where it takes none of that family.
pub fn of_match(m: &Match, family: Family) -> Option<HeaderBox> {
    let mut b = all(family);
    for (field, list) in [(SRC, &m.src), (DST, &m.dst)] {
        if !list.is_empty() {
            b[field] = RangeSet::new(list.iter().filter(|n| Family::of_net(n) == family).map(bounds));
        }
    }
    if let Some(p) = m.proto {
        b[PROTO] = RangeSet::one(p.into(), p.into());
    }
    for (field, list) in [(SPORT, &m.src_ports), (DPORT, &m.dst_ports)] {
        if !list.is_empty() {
            b[field] = port_set(list);
            b[FRAG] = b[FRAG].intersect(&RangeSet::one(0, 0));
            b[PROTO] = b[PROTO].intersect(&RangeSet::new(PORT_PROTOS.map(|p| (p.into(), p.into()))));
        }
    }
    if let Some(t) = m.tcp_flags {
        b[FLAGS] = RangeSet::new((0..=255u8).filter(|x| x & t.mask == t.value).map(|x| (x.into(), x.into())));
        b[FRAG] = b[FRAG].intersect(&RangeSet::one(0, 0));
    }
    if let Some(FragmentMatch::Later) = m.fragment {
        b[FRAG] = b[FRAG].intersect(&RangeSet::one(1, 1));
    }
    if !m.lengths.is_empty() {
        b[LEN] = port_set(&m.lengths);
    }
    (!b.iter().any(RangeSet::is_empty)).then_some(b)
}

/// What of `a` lies outside `b`, as disjoint boxes.
pub fn subtract(a: &HeaderBox, b: &HeaderBox) -> Vec<HeaderBox> {
    if a.iter().zip(b).any(|(x, y)| x.intersect(y).is_empty()) {
        return vec![a.clone()];
    }
    let mut out = Vec::new();
    let mut rest = a.clone();
    for f in 0..FIELDS {
        let outside = rest[f].subtract(&b[f]);
        if !outside.is_empty() {
            let mut piece = rest.clone();
            piece[f] = outside;
            out.push(piece);
        }
        rest[f] = rest[f].intersect(&b[f]);
    }
    out
}

/// What rules do to one family, taken apart.
#[derive(Default)]
pub struct Parts {
    /// What is discarded, with the index of the rule: earlier permits and limits are cut out. Boxes may overlap.
    pub discards: Vec<(usize, HeaderBox)>,
    /// What is limited, with the index of the rule: earlier permits and limits are cut out, earlier discards are not.
    pub limits: Vec<(usize, Vec<HeaderBox>)>,
}

/// Takes rules apart by what they do. `None` when more than [`MAX_BOXES`] would be needed.
pub fn parts(rules: &RuleSet, family: Family) -> Option<Parts> {
    let mut passed: Vec<HeaderBox> = Vec::new();
    let mut out = Parts::default();
    let mut count = 0;
    for (i, rule) in rules.rules.iter().enumerate() {
        let Some(b) = of_match(&rule.matches, family) else { continue };
        if rule.action == Action::Permit {
            passed.push(b);
            continue;
        }
        let limited = (rule.action != Action::Discard).then(|| b.clone());
        let mut pieces = vec![b];
        for p in &passed {
            pieces = pieces.iter().flat_map(|x| subtract(x, p)).collect();
            if count + pieces.len() > MAX_BOXES {
                return None;
            }
        }
        count += pieces.len();
        match rule.action {
            Action::Discard => out.discards.extend(pieces.into_iter().map(|p| (i, p))),
            Action::Permit => {}
            Action::LimitPps(_) | Action::LimitBps(_) => {
                out.limits.push((i, pieces));
                passed.extend(limited);
            }
        }
    }
    Some(out)
}

/// Whether some header is in both.
pub fn overlap(a: &HeaderBox, b: &HeaderBox) -> bool {
    a.iter().zip(b).all(|(x, y)| !x.intersect(y).is_empty())
}

/// The TCP flags test (mask, value) that takes exactly these values, if one does.
pub fn flag_test(set: &RangeSet) -> Option<(u8, u8)> {
    let first = set.ranges().first()?.0 as u8;
    let members = || (0..=255u8).filter(|&x| set.contains(x.into()));
    let varying = members().fold(0u8, |v, x| v | (x ^ first));
    let mask = !varying;
    let exact = (0..=255u8).filter(|x| x & mask == first & mask).count() == members().count();
    exact.then_some((mask, first & mask))
}
