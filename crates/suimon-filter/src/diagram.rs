//! Decision diagrams over header fields: canonical, so that equal functions are the same node.
//!
//! A node asks one field and has one child for each range of its values; equal neighbours are joined, a node with one
//! child is that child, and nodes are shared. (Firewall decision diagrams after Gouda and Liu, kept canonical as Bryant's
//! BDDs are.) Rules are combined two by two with "the first that decides", which is associative, so a list of n rules
//! costs about n log n.

use crate::proof::SetBox;
use crate::range::{Family, bounds};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use suimon_base::rule::FragmentMatch;
use suimon_base::{Match, PortRange};

/// Index of a node; values below [`TERMINALS`] are terminals.
pub type Node = u32;
/// Terminal: nothing happens to the packet.
pub const NONE: u8 = 0;
/// Terminal inside rule lists: no rule has decided yet.
const UNDECIDED: Node = TERMINALS - 1;
/// How many different values a function may have; the index of each rule of a long list is one.
const TERMINALS: u32 = 1 << 23;
/// Most nodes, about 100 bytes each with their edges in common lists.
pub const MAX_NODES: usize = 2_000_000;
/// Most edges of all nodes together, 32 bytes each; the proof of a million ranges takes about twelve million.
pub const MAX_EDGES: usize = 24_000_000;

/// The rules cut each other into too many pieces for a comparison in bounded memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rules overlap in too many ways to be compared within {MAX_EDGES} ranges")]
pub struct TooManyNodes;

/// The fields in the order they are asked; the counted side's address comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Field {
    Family,
    Proto,
    Fragment,
    Flags,
    Length,
    OtherPort,
    Port,
    OtherAddr,
    Addr,
}

/// Ranges of values (the last value of each) and the child they lead to.
type Edges = Vec<(u128, Node)>;
/// The same, shared between the list of nodes and the index: a node of a long list takes tens of megabytes.
type Shared = Rc<Edges>;

/// A store of nodes.
pub struct Diagrams {
    nodes: Vec<(Field, Shared)>,
    index: HashMap<(Field, Shared), Node>,
    edges: usize,
    by_source: bool,
}

const PORT_CARRIERS: [u8; 4] = [6, 17, 132, 136];

impl Diagrams {
    /// An empty store; `by_source` makes the source the counted side.
    pub fn new(by_source: bool) -> Self {
        Diagrams { nodes: Vec::new(), index: HashMap::new(), edges: 0, by_source }
    }

    fn node(&mut self, field: Field, mut joined: Edges) -> Result<Node, TooManyNodes> {
        joined.dedup_by(|next, last| {
            let same = next.1 == last.1;
            if same {
                last.0 = next.0;
            }
            same
        });
        if let [(_, only)] = joined[..] {
            return Ok(only);
        }
        match self.index.entry((field, Rc::new(joined))) {
            Entry::Occupied(found) => Ok(*found.get()),
            Entry::Vacant(free) => {
                self.edges += free.key().1.len();
                if self.nodes.len() >= MAX_NODES || self.edges > MAX_EDGES {
                    return Err(TooManyNodes);
                }
                self.nodes.push(free.key().clone());
                let id = TERMINALS + (self.nodes.len() - 1) as u32;
                free.insert(id);
                Ok(id)
            }
        }
    }

    fn get(&self, n: Node) -> Option<&(Field, Shared)> {
        n.checked_sub(TERMINALS).and_then(|i| self.nodes.get(i as usize))
    }

    /// `inside` for the ranges, `outside` elsewhere.
    fn split(
        &mut self,
        field: Field,
        max: u128,
        mut ranges: Vec<(u128, u128)>,
        inside: Node,
        outside: Node,
    ) -> Result<Node, TooManyNodes> {
        if !ranges.is_sorted() {
            ranges.sort_unstable();
        }
        ranges.dedup_by(|next, last| {
            let joins = next.0 <= last.1.saturating_add(1);
            if joins {
                last.1 = last.1.max(next.1);
            }
            joins
        });
        let mut edges: Edges = Vec::with_capacity(ranges.len() * 2 + 1);
        let mut next = Some(0u128);
        for (lo, hi) in ranges {
            let Some(at) = next else { break };
            if hi < at {
                continue;
            }
            if lo > at {
                edges.push((lo - 1, outside));
            }
            edges.push((hi.min(max), inside));
            next = (hi < max).then(|| hi + 1);
        }
        if next.is_some() {
            edges.push((max, outside));
        }
        self.node(field, edges)
    }

    /// The diagram of one match: `action` where it holds, undecided elsewhere.
    fn of_match(&mut self, m: &Match, action: Node) -> Result<Node, TooManyNodes> {
        let no = UNDECIDED;
        let mut family_nodes = [no; 2];
        let (src, sports, dst, dports) = (&m.src, &m.src_ports, &m.dst, &m.dst_ports);
        let (addr, port, other, other_port) =
            if self.by_source { (src, sports, dst, dports) } else { (dst, dports, src, sports) };
        for (slot, family) in family_nodes.iter_mut().zip(Family::BOTH) {
            let mut at = action;
            for (field, list) in [(Field::Addr, addr), (Field::OtherAddr, other)] {
                if !list.is_empty() {
                    let mut ranges = Vec::with_capacity(list.len());
                    ranges.extend(list.iter().filter(|n| Family::of_net(n) == family).map(bounds));
                    at = self.split(field, family.max(), ranges, at, no)?;
                }
            }
            let pairs = |l: &[PortRange]| l.iter().map(|r| (u128::from(r.lo), u128::from(r.hi))).collect::<Vec<_>>();
            for (field, list) in [(Field::Port, port), (Field::OtherPort, other_port), (Field::Length, &m.lengths)] {
                if !list.is_empty() {
                    at = self.split(field, 65_535, pairs(list), at, no)?;
                }
            }
            if let Some(t) = m.tcp_flags {
                let values = (0..=255u8).filter(|f| f & t.mask == t.value).map(|f| (f.into(), f.into())).collect();
                at = self.split(Field::Flags, 255, values, at, no)?;
            }
            let ported = !port.is_empty() || !other_port.is_empty();
            if let Some(FragmentMatch::Later) = m.fragment {
                at = self.split(Field::Fragment, 1, vec![(1, 1)], at, no)?;
            }
            if ported || m.tcp_flags.is_some() {
                at = self.split(Field::Fragment, 1, vec![(0, 0)], at, no)?;
            }
            let protos: Vec<(u128, u128)> = match (m.proto, ported) {
                (Some(p), false) => vec![(p.into(), p.into())],
                (Some(p), true) => {
                    vec![(p.into(), p.into())].into_iter().filter(|_| PORT_CARRIERS.contains(&p)).collect()
                }
                (None, true) => PORT_CARRIERS.iter().map(|&p| (p.into(), p.into())).collect(),
                (None, false) => vec![(0, 255)],
            };
            *slot = self.split(Field::Proto, 255, protos, at, no)?;
        }
        self.node(Field::Family, vec![(0, family_nodes[0]), (1, family_nodes[1])])
    }

    /// The function of a list of rules in which the first match decides and no match is [`NONE`].
    ///
    /// # Errors
    /// When a bound is reached.
    pub fn first_match(&mut self, rules: &[(&Match, u8)]) -> Result<Node, TooManyNodes> {
        self.first_of(rules.iter().map(|&(m, action)| (m, Node::from(action))))
    }

    /// [`Self::first_match`] whose values are the places of the rules, counted from 1; [`NONE`] where no rule matches.
    ///
    /// # Errors
    /// When a bound is reached.
    pub fn which_matches<'a>(&mut self, rules: impl Iterator<Item = &'a Match>) -> Result<Node, TooManyNodes> {
        self.first_of(rules.zip(1..UNDECIDED))
    }

    /// The values that `function` has where `m` holds, ascending.
    ///
    /// # Errors
    /// When a bound is reached.
    pub fn values_within(&mut self, m: &Match, function: Node) -> Result<Vec<Node>, TooManyNodes> {
        let area = self.of_match(m, Node::from(NONE))?;
        let (mut seen, mut found) = (HashSet::new(), BTreeSet::new());
        let mut open = vec![(area, function)];
        while let Some((a, n)) = open.pop() {
            if a == UNDECIDED || !seen.insert((a, n)) {
                continue;
            }
            if seen.len() > MAX_EDGES {
                return Err(TooManyNodes);
            }
            let (fa, fb) = (self.get(a).map(|x| x.0), self.get(n).map(|x| x.0));
            let Some(field) = [fa, fb].into_iter().flatten().min() else {
                found.insert(n);
                continue;
            };
            let whole = |n| [(u128::MAX, n)];
            let (wa, wb) = (whole(a), whole(n));
            let ea = self.get(a).filter(|x| x.0 == field).map_or(&wa[..], |x| &x.1);
            let eb = self.get(n).filter(|x| x.0 == field).map_or(&wb[..], |x| &x.1);
            // Edges of the function before the area begins are passed over, since the area is often one address.
            let (mut i, mut j) = (0, 0);
            let mut lo = 0u128;
            while let Some(&(ha, ca)) = ea.get(i) {
                if ca == UNDECIDED {
                    lo = ha.saturating_add(1);
                    i += 1;
                    continue;
                }
                j += eb[j..].partition_point(|e| e.0 < lo);
                while let Some(&(hb, cb)) = eb.get(j) {
                    open.push((ca, cb));
                    if hb >= ha {
                        break;
                    }
                    j += 1;
                }
                lo = ha.saturating_add(1);
                i += 1;
            }
        }
        Ok(found.into_iter().collect())
    }

    fn first_of<'a>(&mut self, rules: impl Iterator<Item = (&'a Match, Node)>) -> Result<Node, TooManyNodes> {
        let mut level = Vec::new();
        for (m, action) in rules {
            level.push(self.of_match(m, action)?);
        }
        level.push(Node::from(NONE));
        while level.len() > 1 {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            for pair in level.chunks(2) {
                next.push(match *pair {
                    [a, b] => self.apply(a, b, &|x, y| if x == UNDECIDED { y } else { x }, &mut HashMap::new())?,
                    [a] => a,
                    _ => continue,
                });
            }
            level = next;
        }
        Ok(level.first().copied().unwrap_or(Node::from(NONE)))
    }

    /// The function that is `f` of both functions' values.
    ///
    /// # Errors
    /// When a bound is reached.
    pub fn map(&mut self, a: Node, b: Node, f: &dyn Fn(u8, u8) -> u8) -> Result<Node, TooManyNodes> {
        self.apply(a, b, &|x, y| f(x as u8, y as u8).into(), &mut HashMap::new())
    }

    fn apply(
        &mut self,
        a: Node,
        b: Node,
        f: &dyn Fn(Node, Node) -> Node,
        memo: &mut HashMap<(Node, Node), Node>,
    ) -> Result<Node, TooManyNodes> {
        if a < TERMINALS && b < TERMINALS {
            return Ok(f(a, b));
        }
        if let Some(&known) = memo.get(&(a, b)) {
            return Ok(known);
        }
        if memo.len() > MAX_EDGES {
            return Err(TooManyNodes);
        }
        let (fa, fb) = (self.get(a).map(|n| n.0), self.get(b).map(|n| n.0));
        let Some(field) = [fa, fb].into_iter().flatten().min() else { return Err(TooManyNodes) };
        let side = |field_of: Option<Field>, n: Node| match self.get(n) {
            Some(x) if field_of == Some(field) => Rc::clone(&x.1),
            _ => Rc::new(vec![(u128::MAX, n)]),
        };
        let (ea, eb) = (side(fa, a), side(fb, b));
        let (mut i, mut j) = (0, 0);
        let mut edges: Edges = Vec::with_capacity(ea.len() + eb.len());
        while let (Some(&(ha, ca)), Some(&(hb, cb))) = (ea.get(i), eb.get(j)) {
            let child = self.apply(ca, cb, f, memo)?;
            edges.push((ha.min(hb), child));
            i += usize::from(ha <= hb);
            j += usize::from(hb <= ha);
        }
        let made = self.node(field, edges)?;
        memo.insert((a, b), made);
        Ok(made)
    }

    /// Forgets a field: the value is 1 where some value of the field leads to something.
    fn forget(&mut self, n: Node, gone: &[Field], memo: &mut HashMap<Node, Node>) -> Result<Node, TooManyNodes> {
        let Some((field, edges)) = self.get(n).cloned() else { return Ok(u32::from(n != u32::from(NONE))) };
        if let Some(&known) = memo.get(&n) {
            return Ok(known);
        }
        let kept = |n: Node| n <= 1;
        if !gone.contains(&field) && edges.iter().all(|e| kept(e.1)) {
            return Ok(n);
        }
        let mut children = Vec::with_capacity(edges.len());
        for &(hi, child) in edges.iter() {
            children.push((hi, self.forget(child, gone, memo)?));
        }
        let made = if gone.contains(&field) {
            let mut any = Node::from(NONE);
            children.sort_unstable_by_key(|c| c.1);
            children.dedup_by_key(|c| c.1);
            for (_, c) in children {
                any = self.map(any, c, &|x, y| x | y)?;
            }
            any
        } else {
            self.node(field, children)?
        };
        memo.insert(n, made);
        Ok(made)
    }

    /// Distinct addresses and distinct (address, protocol, port) of the counted side where the function is not
    /// [`NONE`], in decimal.
    ///
    /// # Errors
    /// When a bound is reached.
    pub fn counts(&mut self, n: Node) -> Result<(String, String), TooManyNodes> {
        use Field::{Flags, Fragment, Length, OtherAddr, OtherPort, Port, Proto};
        let ported = self.forget(n, &[Fragment, Flags, Length, OtherPort, OtherAddr], &mut HashMap::new())?;
        let plain = self.forget(ported, &[Proto, Port], &mut HashMap::new())?;
        let (mut addresses, mut pairs) = (Big::default(), Big::default());
        for (f, family) in Family::BOTH.into_iter().enumerate() {
            let of = self.child(plain, Field::Family, f as u128);
            self.add_addresses(of, family, 1, &mut addresses);
            let of = self.child(ported, Field::Family, f as u128);
            for (lo, hi, child) in self.runs(of, Field::Proto, 255) {
                let carriers = PORT_CARRIERS.iter().filter(|&&p| lo <= p.into() && u128::from(p) <= hi).count() as u64;
                let others = (hi - lo + 1) as u64 - carriers;
                for (lo, hi, child) in self.runs(child, Port, 65_535) {
                    self.add_addresses(child, family, carriers * (hi - lo + 1) as u64, &mut pairs);
                }
                if others > 0 {
                    let any_port = self.child(child, Port, 0);
                    self.add_addresses(any_port, family, others, &mut pairs);
                }
            }
        }
        Ok((addresses.to_string(), pairs.to_string()))
    }

    fn child(&self, n: Node, field: Field, value: u128) -> Node {
        match self.get(n) {
            Some((f, edges)) if *f == field => edges.iter().find(|e| value <= e.0).map_or(n, |e| e.1),
            _ => n,
        }
    }

    /// The ranges of a field with what they lead to, leaving out those that lead to nothing.
    fn runs(&self, n: Node, field: Field, max: u128) -> Vec<(u128, u128, Node)> {
        let whole = [(max, n)];
        let edges = match self.get(n) {
            Some((f, edges)) if *f == field => edges.as_slice(),
            _ => &whole,
        };
        let mut lo = 0;
        let mut out = Vec::new();
        for &(hi, child) in edges {
            if child != Node::from(NONE) {
                out.push((lo, hi, child));
            }
            lo = hi.wrapping_add(1);
        }
        out
    }

    fn add_addresses(&self, n: Node, family: Family, times: u64, sum: &mut Big) {
        for (lo, hi, _) in self.runs(n, Field::Addr, family.max()) {
            sum.add(hi - lo, times);
            sum.add(1, times);
        }
    }

    /// The set where the function is not [`NONE`], as at most `most` boxes of at most `ranges` ranges a field, and
    /// whether boxes were left out.
    pub fn boxes(&self, n: Node, most: usize, ranges: usize) -> (Vec<SetBox>, bool) {
        let mut out = Vec::new();
        let mut more = false;
        for (f, family) in Family::BOTH.into_iter().enumerate() {
            let of = self.child(n, Field::Family, f as u128);
            let start = SetBox {
                family,
                proto: Vec::new(),
                src: Vec::new(),
                dst: Vec::new(),
                src_ports: Vec::new(),
                dst_ports: Vec::new(),
                tcp_flags: Vec::new(),
                lengths: Vec::new(),
                fragment: None,
                truncated: false,
            };
            self.walk(of, family, start, &mut out, (most, ranges), &mut more);
        }
        (out, more)
    }

    fn walk(&self, n: Node, family: Family, at: SetBox, out: &mut Vec<SetBox>, caps: (usize, usize), more: &mut bool) {
        let Some((field, _)) = self.get(n) else {
            if n != Node::from(NONE) {
                if out.len() < caps.0 { out.push(at) } else { *more = true }
            }
            return;
        };
        let field = *field;
        let mut children: Vec<(Node, Vec<(u128, u128)>)> = Vec::new();
        let mut place: HashMap<Node, usize> = HashMap::new();
        for (lo, hi, child) in self.runs(n, field, u128::MAX) {
            let i = *place.entry(child).or_insert_with(|| {
                children.push((child, Vec::new()));
                children.len() - 1
            });
            children[i].1.push((lo, hi));
        }
        for (child, list) in children {
            if *more {
                return;
            }
            let mut next = at.clone();
            next.truncated |= list.len() > caps.1;
            let shown = || list.iter().take(caps.1);
            let numbers = || shown().map(|&(lo, hi)| span(lo.to_string(), hi.to_string())).collect::<Vec<_>>();
            let addresses =
                || shown().map(|&(lo, hi)| span(family.addr(lo).to_string(), family.addr(hi).to_string())).collect();
            match field {
                Field::Family => {}
                Field::Proto => next.proto = numbers(),
                Field::Fragment => next.fragment = Some(if list.contains(&(1, 1)) { "later" } else { "other" }),
                Field::Flags => next.tcp_flags = numbers(),
                Field::Length => next.lengths = numbers(),
                Field::Port if self.by_source => next.src_ports = numbers(),
                Field::OtherPort if !self.by_source => next.src_ports = numbers(),
                Field::Port | Field::OtherPort => next.dst_ports = numbers(),
                Field::Addr if self.by_source => next.src = addresses(),
                Field::OtherAddr if !self.by_source => next.src = addresses(),
                Field::Addr | Field::OtherAddr => next.dst = addresses(),
            }
            self.walk(child, family, next, out, caps, more);
        }
    }
}

fn span(lo: String, hi: String) -> String {
    if lo == hi { lo } else { format!("{lo}-{hi}") }
}

/// A sum that may pass 128 bits, in groups of nine decimal digits, the lowest first.
#[derive(Default)]
struct Big(Vec<u64>);

impl Big {
    const BASE: u64 = 1_000_000_000;

    /// Adds `value` × `times`; `times` stays below 2^33 (protocols × ports).
    fn add(&mut self, mut value: u128, times: u64) {
        let mut carry = 0u64;
        let mut i = 0;
        while value > 0 || carry > 0 {
            let digit = (value % u128::from(Self::BASE)) as u64;
            value /= u128::from(Self::BASE);
            if i == self.0.len() {
                self.0.push(0);
            }
            let sum = self.0[i] + digit * times + carry;
            self.0[i] = sum % Self::BASE;
            carry = sum / Self::BASE;
            i += 1;
        }
    }
}

impl std::fmt::Display for Big {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut groups = self.0.iter().rev();
        write!(f, "{}", groups.next().unwrap_or(&0))?;
        groups.try_for_each(|g| write!(f, "{g:09}"))
    }
}
