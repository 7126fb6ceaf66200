//! The release journal: a release is remembered on the disk before the hand is told, whether or not the ledger can be
//! written. That is why withdraw-all works with the database gone. At start-up it is reconciled with the ledger.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use suimon_base::event::ReleaseReason;
use suimon_base::{Actor, MeasureId, Timestamp};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Line {
    pub measure: MeasureId,
    pub at: Timestamp,
    pub actor: Actor,
    pub reason: ReleaseReason,
}

/// Intents that the ledger may not know yet.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal in `dir` and returns what it holds. A last line cut short by a crash was never acted on and is dropped.
    pub fn open(dir: &Path) -> io::Result<(Journal, Vec<Line>)> {
        let path = dir.join("release.journal");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        let lines = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok((Journal { path, file }, lines))
    }

    /// Returns when the line is on the disk.
    pub fn intend(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }

    /// Forgets everything: called when the ledger holds every intent.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file = File::create(&self.path)?;
        self.file.sync_data()?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_short_is_dropped_and_later_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let line = |n| Line {
            measure: MeasureId(n),
            at: Timestamp::from_secs(1),
            actor: Actor::system("clock"),
            reason: ReleaseReason::Due,
        };
        let (mut journal, before) = Journal::open(dir.path()).unwrap();
        assert!(before.is_empty());
        journal.intend(&line(1)).unwrap();
        drop(journal);
        let path = dir.path().join("release.journal");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"measure\":\"M-");
        std::fs::write(&path, text).unwrap();
        let (mut journal, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found, [line(1)]);
        journal.intend(&line(2)).unwrap();
        drop(journal);
        let (mut journal, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found, [line(1), line(2)]);
        journal.clear().unwrap();
        assert!(Journal::open(dir.path()).unwrap().1.is_empty());
    }
}
