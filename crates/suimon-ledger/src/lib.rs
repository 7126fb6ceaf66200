//! The record (記録簿): an append-only, hash-chained list of events in SQLite.
//!
//! One folder holds `ledger.db` and `ledger.head`. An append is one transaction, synced to the disk before it returns; the
//! head file names the last event, so that events cut off at the end are found too. A second daemon on the same folder is
//! refused. Catalogue rows 13, 45, 144 and the design's invariant: every other table is derived from this one.

mod chain;
mod head;
mod store;
mod verify;

pub use chain::{GENESIS, Hash};
pub use head::Head;
pub use store::{Draft, Ledger, LedgerError, MAX_BODY_BYTES, Reader, Row};
pub use verify::{Broken, HeadState, VerifyReport, verify};
