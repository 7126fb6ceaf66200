//! Whether a text drops exactly what was asked, over the whole header space.
//!
//! The text is read back by the dialect's reader and both rule sets are turned into decision diagrams, a representation
//! in which equal functions are the same node. The compiler works on boxes and covers and never sees a diagram, so a
//! mistake in either shows here. Own diagrams instead of a BDD crate: the same canonical form, but over ranges instead
//! of bits, so that what is missing or extra comes out as address and port ranges a person can read.

use crate::bulk;
use crate::diagram::{Diagrams, NONE, Node, TooManyNodes};
use crate::dialect::{self, Dialect, ParseError};
use crate::range::Family;
use serde::Serialize;
use suimon_base::{Action, Rule, RuleSet};

/// Most boxes listed of a set; the counts stay exact.
pub const MAX_LISTED: usize = 64;
/// Most ranges listed of one field of a box.
pub const MAX_RANGES: usize = 64;

/// On which side of the packet the request names addresses; this is what counts are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Source addresses and ports.
    Source,
    /// Destination addresses and ports.
    Destination,
}

/// A product of ranges; a field that is left out takes everything. Ranges read `lo-hi` or one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetBox {
    /// Address family.
    pub family: Family,
    /// IP protocols.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proto: Vec<String>,
    /// Source addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub src: Vec<String>,
    /// Destination addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dst: Vec<String>,
    /// Source ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub src_ports: Vec<String>,
    /// Destination ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dst_ports: Vec<String>,
    /// Values of the TCP flags octet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp_flags: Vec<String>,
    /// Total IP lengths in octets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<String>,
    /// `later` for non-first fragments, `other` for all else; left out for both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<&'static str>,
    /// Whether ranges of this box were cut from the listing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A set of headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Distinct addresses on [`Proof::side`], decimal.
    pub addresses: String,
    /// Distinct (address, protocol, port) on [`Proof::side`], a protocol without ports counting once; decimal.
    pub address_ports: String,
    /// The set as boxes, at most [`MAX_LISTED`].
    pub boxes: Vec<SetBox>,
    /// Whether boxes were left out of the listing.
    pub truncated: bool,
}

impl Space {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }
}

/// Request and text, compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Whether both do the same to every possible header.
    pub equal: bool,
    /// Which side the counts are of.
    pub side: Side,
    /// What the request drops or limits.
    pub requested: Space,
    /// What of it the text treats as requested.
    pub covered: Space,
    /// What of it the text treats otherwise.
    pub missing: Space,
    /// What the text drops or limits although the request does not, or not so.
    pub extra: Space,
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The text is not of the dialect.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A rule of the request contradicts itself.
    #[error("rule {rule} of the request: {reason}")]
    Request {
        /// Index from 0.
        rule: usize,
        /// Why.
        reason: String,
    },
    /// The rules cut each other into too many pieces.
    #[error(transparent)]
    TooComplex(#[from] TooManyNodes),
}

/// Compares what `rules` ask with what `text` does.
///
/// # Errors
/// Where the text cannot be read, or the comparison would grow past its bound.
pub fn check(rules: &RuleSet, text: &str, dialect: Dialect) -> Result<Proof, CheckError> {
    let listing = dialect::parse(text, dialect)?;
    compare(rules, &listing.rules)
}

/// Compares two rule sets; the first is the request.
///
/// # Errors
/// Where a rule contradicts itself or the comparison would grow past its bound.
pub fn compare(request: &RuleSet, other: &RuleSet) -> Result<Proof, CheckError> {
    for (rule, r) in request.rules.iter().enumerate() {
        if let Some(reason) = crate::boxes::invalid(&r.matches) {
            return Err(CheckError::Request { rule, reason });
        }
    }
    let side = side(request);
    let mut d = Diagrams::new(side == Side::Source);
    let mut actions = Actions::default();
    let asked = actions.diagram(&mut d, &request.rules)?;
    let done = actions.diagram(&mut d, &other.rules)?;
    let requested = space(&mut d, asked)?;
    // The diagrams are canonical: equal functions are the same node.
    if asked == done {
        let nothing = space(&mut d, Node::from(NONE))?;
        let covered = requested.clone();
        return Ok(Proof { equal: true, side, requested, covered, missing: nothing.clone(), extra: nothing });
    }
    let covered = d.map(asked, done, &|a, b| if a == b { a } else { NONE })?;
    let missing = d.map(asked, done, &|a, b| if a == b { NONE } else { a })?;
    let extra = d.map(asked, done, &|a, b| if a == b { NONE } else { b })?;
    Ok(Proof {
        equal: false,
        side,
        requested,
        covered: space(&mut d, covered)?,
        missing: space(&mut d, missing)?,
        extra: space(&mut d, extra)?,
    })
}

pub(crate) fn side(request: &RuleSet) -> Side {
    let acting = || request.rules.iter().filter(|r| r.action != Action::Permit).map(|r| &r.matches);
    let dst = acting().any(|m| !m.dst.is_empty());
    let src = acting().any(|m| !m.src.is_empty());
    if src && !dst { Side::Source } else { Side::Destination }
}

/// Numbers for actions: 0 is permit, 1 discard. Two rules with a rate have two buckets, so a limit is the same as another
/// only with the same rate over exactly the same headers, wherever it stands in its list.
#[derive(Default)]
pub(crate) struct Actions {
    seen: Vec<(Action, Node)>,
}

/// The first number of a limit.
pub(crate) const FIRST_LIMIT: u8 = 2;

impl Actions {
    pub(crate) fn diagram(&mut self, d: &mut Diagrams, rules: &[Rule]) -> Result<Node, TooManyNodes> {
        let mut limits: Vec<Action> = Vec::new();
        let rules = bulk::joined(rules);
        let mut list = Vec::with_capacity(rules.len());
        for (matches, action) in &rules {
            let id = match *action {
                Action::Permit => NONE,
                Action::Discard => 1,
                limit => {
                    limits.push(limit);
                    number(limits.len() - 1)?
                }
            };
            list.push((matches.as_ref(), id));
        }
        let raw = d.first_match(&list)?;
        if limits.is_empty() {
            return Ok(raw);
        }
        let mut names = Vec::with_capacity(limits.len());
        for (i, action) in limits.into_iter().enumerate() {
            let own = number(i)?;
            let key = (action, d.map(raw, raw, &|a, _| u8::from(a == own))?);
            let at = self.seen.iter().position(|s| *s == key).unwrap_or(self.seen.len());
            if at == self.seen.len() {
                self.seen.push(key);
            }
            names.push(number(at)?);
        }
        let name = |a: u8| a.checked_sub(FIRST_LIMIT).and_then(|i| names.get(usize::from(i)).copied()).unwrap_or(a);
        d.map(raw, raw, &|a, _| name(a))
    }
}

fn number(limit: usize) -> Result<u8, TooManyNodes> {
    let id = u8::try_from(limit).ok().and_then(|n| n.checked_add(FIRST_LIMIT));
    id.filter(|&x| x < u8::MAX).ok_or(TooManyNodes)
}

pub(crate) fn space(d: &mut Diagrams, node: Node) -> Result<Space, TooManyNodes> {
    let (addresses, address_ports) = d.counts(node)?;
    let (boxes, truncated) = d.boxes(node, MAX_LISTED, MAX_RANGES);
    Ok(Space { addresses, address_ports, boxes, truncated })
}
