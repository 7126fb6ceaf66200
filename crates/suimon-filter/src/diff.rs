//! What changes between two lists, as sets of headers (catalogue rows 79, 85).

use crate::boxes::invalid;
use crate::diagram::{Diagrams, NONE};
use crate::dialect::{Dialect, Listing};
use crate::proof::{Actions, CheckError, FIRST_LIMIT, Side, Space, side, space};
use serde::Serialize;
use suimon_base::RuleSet;

/// `filter diff --json`: every header that the two lists treat differently is in exactly one of the three sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In which dialect the first list was read.
    pub dialect_a: Dialect,
    /// In which dialect the second list was read.
    pub dialect_b: Dialect,
    /// Whether both do the same to every possible header.
    pub equal: bool,
    /// Which side of the packets the counts are of.
    pub side: Side,
    /// Dropped by the second list, passed or limited by the first.
    pub newly_dropped: Space,
    /// Passed by the second list, dropped or limited by the first.
    pub newly_passed: Space,
    /// Limited by the second list, and passed, dropped or limited otherwise by the first. A limit is one bucket: where
    /// the headers that share it change, it is another limit for all of them.
    pub limited_differently: Space,
}

/// Compares two lists that were read.
///
/// # Errors
/// Where a rule contradicts itself or the comparison would grow past its bound.
pub fn diff(a: (&Listing, Dialect), b: (&Listing, Dialect)) -> Result<Difference, CheckError> {
    let all = || a.0.rules.rules.iter().chain(&b.0.rules.rules);
    for (rule, r) in all().enumerate() {
        if let Some(reason) = invalid(&r.matches) {
            return Err(CheckError::Request { rule, reason });
        }
    }
    let side = side(&RuleSet { rules: all().cloned().collect() });
    let mut d = Diagrams::new(side == Side::Source);
    let mut actions = Actions::default();
    let before = actions.diagram(&mut d, &a.0.rules.rules)?;
    let after = actions.diagram(&mut d, &b.0.rules.rules)?;
    // Terminals of the sets: 1 in it, 0 not.
    let dropped = d.map(before, after, &|x, y| u8::from(x != y && y == 1))?;
    let passed = d.map(before, after, &|x, y| u8::from(x != y && y == NONE))?;
    let limited = d.map(before, after, &|x, y| u8::from(x != y && y >= FIRST_LIMIT))?;
    Ok(Difference {
        dialect_a: a.1,
        dialect_b: b.1,
        equal: before == after,
        side,
        newly_dropped: space(&mut d, dropped)?,
        newly_passed: space(&mut d, passed)?,
        limited_differently: space(&mut d, limited)?,
    })
}
