//! The release journal: a release is remembered on the disk before the hand is told, whether or not the ledger can be
//! written. That is why withdraw-all works with the database gone. At start-up it is reconciled with the ledger.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
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

/// Octets of the file that are taken on the disk beforehand, filled with empty lines: a release is remembered on a full
/// disk too. A line has about 120, so this is enough for more measures than are ever in force.
const RESERVED: usize = 256 * 1024;

/// Intents that the ledger may not know yet.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Where the next line goes.
    end: usize,
    /// Octets on the disk.
    size: usize,
}

impl Journal {
    /// Opens the journal in `dir` and returns what it holds. A line cut short by a crash was never acted on and is dropped.
    pub fn open(dir: &Path) -> io::Result<(Journal, Vec<Line>)> {
        let path = dir.join("release.journal");
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let mut octets = Vec::new();
        file.read_to_end(&mut octets)?;
        let text = String::from_utf8_lossy(&octets);
        let lines = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let written = octets.iter().rposition(|b| *b != b'\n').map_or(0, |at| at + 1);
        // Behind a line, cut short or not, the next one begins on its own.
        let end = if written == 0 { 0 } else { written + 1 };
        let mut journal = Journal { file, end, size: octets.len() };
        if let Err(error) = journal.reserve() {
            tracing::warn!(%error, "no room on the disk for the release journal: a release may not survive a crash");
        }
        Ok((journal, lines))
    }

    /// Takes room behind what is written.
    fn reserve(&mut self) -> io::Result<()> {
        let wanted = self.end + RESERVED;
        if self.size < wanted {
            self.write_at(self.size, &vec![b'\n'; wanted - self.size])?;
            self.file.sync_all()?;
            self.size = wanted;
        }
        Ok(())
    }

    fn write_at(&mut self, at: usize, octets: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at as u64))?;
        self.file.write_all(octets)
    }

    /// Returns when the line is on the disk. Where it could not be written in full, the next one takes its place.
    pub fn intend(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
        text.push('\n');
        self.write_at(self.end, text.as_bytes())?;
        self.file.sync_data()?;
        self.end += text.len();
        self.size = self.size.max(self.end);
        Ok(())
    }

    /// Forgets everything: called when the ledger holds every intent. Written over in place, which a full disk does not
    /// hinder; a crash in the midst leaves intents that the ledger knows.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.end > 0 {
            self.write_at(0, &vec![b'\n'; self.end])?;
            self.file.sync_data()?;
            self.end = 0;
        }
        self.reserve()
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
        let text = std::fs::read_to_string(&path).unwrap();
        let cut = format!("{}\n{{\"measure\":\"M-", text.trim_end());
        std::fs::write(&path, cut).unwrap();
        let (mut journal, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found, [line(1)]);
        journal.intend(&line(2)).unwrap();
        drop(journal);
        let (mut journal, found) = Journal::open(dir.path()).unwrap();
        assert_eq!(found, [line(1), line(2)]);
        journal.clear().unwrap();
        assert!(Journal::open(dir.path()).unwrap().1.is_empty());
    }

    /// Nothing that a release writes makes the file longer, so a full disk does not hinder it.
    #[test]
    fn room_is_taken_beforehand() {
        let dir = tempfile::tempdir().unwrap();
        let size = || std::fs::metadata(dir.path().join("release.journal")).unwrap().len();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        assert_eq!(size(), RESERVED as u64);
        for round in 1..=3 {
            let reserved = size();
            for n in 1..=100 {
                let line = Line {
                    measure: MeasureId(round * 100 + n),
                    at: Timestamp::from_secs(1),
                    actor: Actor::system("clock"),
                    reason: ReleaseReason::Due,
                };
                journal.intend(&line).unwrap();
            }
            assert_eq!(size(), reserved);
            assert_eq!(Journal::open(dir.path()).unwrap().1.len(), 100);
            journal.clear().unwrap();
        }
        drop(journal);
        assert!(Journal::open(dir.path()).unwrap().1.is_empty());
    }
}
