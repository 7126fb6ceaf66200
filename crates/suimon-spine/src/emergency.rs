//! Withdrawing everything while no daemon runs and the ledger may be gone: what the hands hold is let go, journal first.
//!
//! Carrying is the default, so this needs no decision and no record of what was approved. The next start takes the intents
//! from the journal into the ledger.

use crate::journal::{Journal, Line};
use crate::ports::{Hand, HandError, HandReport};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use suimon_base::event::ReleaseReason;
use suimon_base::{Actor, MeasureId, Timestamp};

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
pub enum EmergencyError {
    /// A daemon runs on this folder; it can do it itself.
    #[error("a daemon runs on {0}; ask it: `suimon measure release --all`")]
    DaemonRuns(String),
    /// The folder cannot be used.
    #[error("{0}")]
    Folder(#[from] io::Error),
}

/// A measure with what came of letting go of it.
pub type Released = (MeasureId, Result<HandReport, HandError>);

/// What became of one hand.
#[derive(Debug)]
pub struct HandOutcome {
    /// The hand.
    pub hand: String,
    /// What it held and what came of each, or why it could not say; `None` where it cannot look.
    pub released: Result<Option<Vec<Released>>, HandError>,
}

/// Lets go of everything that the hands hold. Blocks until each has answered.
///
/// # Errors
/// When a daemon holds the folder, or the folder cannot be used. A journal that cannot be written stops nothing.
pub fn release_all_without_engine(
    dir: &Path,
    hands: &[Arc<dyn Hand>],
    actor: &Actor,
    words: &str,
    now: Timestamp,
) -> Result<Vec<HandOutcome>, EmergencyError> {
    std::fs::create_dir_all(dir)?;
    let lock = File::create(dir.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(EmergencyError::DaemonRuns(dir.display().to_string())),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut journal = Journal::open(dir).map(|(journal, _)| journal);
    if let Err(error) = &journal {
        tracing::error!(%error, "the release journal cannot be opened; the release goes on");
    }
    let mut out = Vec::new();
    for hand in hands {
        let released = hand.in_force().map(|held| {
            held.map(|ids| {
                ids.into_iter()
                    .map(|id| {
                        let reason = ReleaseReason::ByHand { words: words.to_owned() };
                        let line = Line { measure: id, at: now, actor: actor.clone(), reason };
                        if let Ok(journal) = &mut journal
                            && let Err(error) = journal.intend(&line)
                        {
                            tracing::error!(%error, measure = %id, "the release journal cannot be written; the release goes on");
                        }
                        (id, hand.release(id))
                    })
                    .collect()
            })
        });
        out.push(HandOutcome { hand: hand.name().to_owned(), released });
    }
    Ok(out)
}
