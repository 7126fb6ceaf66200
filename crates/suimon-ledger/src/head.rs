//! The head file: the last event that was acknowledged, kept beside the database.

use crate::chain::Hash;
use std::io;
use std::path::{Path, PathBuf};

/// Place and hash of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Place in the ledger; 0 for an empty one.
    pub seq: u64,
    /// Its hash; [`crate::GENESIS`] for an empty ledger.
    pub hash: Hash,
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("ledger.head")
}

/// Written after each commit. Being behind the database after a crash is normal; being ahead means events were cut off.
pub(crate) fn write(dir: &Path, head: Head) -> io::Result<()> {
    let new = dir.join("ledger.head.new");
    std::fs::write(&new, format!("{} {}\n", head.seq, head.hash))?;
    std::fs::rename(new, path(dir))
}

/// `None` where the file is missing or unreadable.
pub(crate) fn read(dir: &Path) -> Option<Head> {
    let text = std::fs::read_to_string(path(dir)).ok()?;
    let (seq, hash) = text.trim_end().split_once(' ')?;
    Some(Head { seq: seq.parse().ok()?, hash: hash.parse().ok()? })
}
