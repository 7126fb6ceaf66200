//! What drivers share that bind lists to interfaces.

use crate::config::{Binding, Direction};
use crate::names::is_ours;
use std::fmt;

/// Lists of ours on one router that are read; more than this is an error, not a longer wait.
pub(crate) const MAX_LISTS: usize = 4_096;

/// A list on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where.
    pub at: Binding,
    /// Whether it filters IPv6.
    pub v6: bool,
    /// Which list.
    pub name: String,
}

impl Bound {
    pub(crate) fn is_of(&self, name: &str, v6: bool) -> bool {
        self.name == name && self.v6 == v6
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.interface, if self.direction == Direction::In { "in" } else { "out" })
    }
}

/// What is bound where we bind and is not ours: (place, name).
pub(crate) fn foreign(bound: &[Bound], wanted: &[Binding]) -> Vec<(String, String)> {
    let theirs = bound.iter().filter(|b| !is_ours(&b.name) && wanted.contains(&b.at));
    theirs.map(|b| (b.at.to_string(), b.name.clone())).collect()
}

/// Names of ours that are bound though no such list exists: (name, IPv6), each once.
pub(crate) fn dangling(bound: &[Bound], exists: impl Fn(&Bound) -> bool) -> Vec<(String, bool)> {
    let mut out: Vec<(String, bool)> = Vec::new();
    for b in bound.iter().filter(|b| is_ours(&b.name) && !exists(b)) {
        if !out.contains(&(b.name.clone(), b.v6)) {
            out.push((b.name.clone(), b.v6));
        }
    }
    out
}

/// Where a list is bound, and what is wrong with that.
pub(crate) fn places(name: &str, v6: bool, bound: &[Bound], wanted: &[Binding]) -> (Vec<String>, Vec<String>) {
    let at: Vec<&Binding> = bound.iter().filter(|b| b.is_of(name, v6)).map(|b| &b.at).collect();
    let absent = wanted.iter().filter(|b| !at.contains(b)).map(|b| format!("{name} is not bound at {b}"));
    let extra = at.iter().filter(|b| !wanted.contains(b));
    let extra = extra.map(|b| format!("{name} is bound at {b} too, where it should not be"));
    let faults = absent.chain(extra).collect();
    (at.into_iter().map(ToString::to_string).collect(), faults)
}

/// Where lists would go, for the ledger.
pub(crate) fn listed(bindings: &[Binding]) -> String {
    bindings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
