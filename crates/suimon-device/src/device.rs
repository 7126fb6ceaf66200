//! One router of one kind.

use crate::error::DeviceError;
use crate::observed::{Observed, State};
use crate::wanted::Wanted;
use std::fmt;
use suimon_base::MeasureId;
use suimon_filter::dialect::Dialect;

/// Who takes a change back when the way to the router is lost before the change is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoBy {
    /// The router itself after this many seconds.
    Router {
        /// Seconds.
        after_s: u32,
    },
    /// Nobody but us: as soon as we reach the router again.
    Us,
}

impl fmt::Display for UndoBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UndoBy::Router { after_s } => write!(f, "the router would have undone it by itself after {after_s} s"),
            UndoBy::Us => f.write_str("this router cannot undo by itself; our own timer stood ready to do it"),
        }
    }
}

/// A change that was made, read back and confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Lists and where they are bound.
    pub place: String,
    /// What was done and seen, for the ledger.
    pub receipt: String,
    /// Who would have taken it back.
    pub undo_by: UndoBy,
}

/// A router. Calls block; each has its bounds in time and output.
pub trait Device: Send + Sync {
    /// The dialect of its texts.
    fn dialect(&self) -> Dialect;
    /// Its address, for people.
    fn place(&self) -> String;
    /// Everything of ours that it holds.
    ///
    /// # Errors
    /// When it cannot be reached or read.
    fn read(&self) -> Result<Observed, DeviceError>;
    /// Arms an undo, makes the change, reads it back in a new session and confirms. What does not become as wanted is
    /// taken back before this returns, or by whom the error names.
    ///
    /// # Errors
    /// When the measure is not in force as wanted.
    fn apply(&self, wanted: &Wanted) -> Result<Applied, DeviceError>;
    /// Removes every list of a measure, what is not there included; returns what was done.
    ///
    /// # Errors
    /// When something of it may still be there.
    fn undo(&self, id: MeasureId) -> Result<String, DeviceError>;
    /// Reads back and compares.
    ///
    /// # Errors
    /// When it cannot be reached or read.
    fn verify(&self, wanted: &Wanted) -> Result<State, DeviceError> {
        Ok(self.read()?.state(wanted, self.dialect()))
    }
}
