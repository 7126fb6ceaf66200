//! Checking the chain without trusting whoever wrote it.

use crate::chain::{GENESIS, Link};
use crate::head::{self, Head};
use crate::store::{LedgerError, RawRow, connect, raw_page};
use std::path::Path;

/// What the head file says about the end of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadState {
    /// It names the last event.
    Matches,
    /// It names an earlier event of the chain: the process died between commit and head.
    Behind,
    /// There is none, or it cannot be read: events cut off at the end could not be noticed.
    Missing,
}

/// The first place where the ledger does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The event.
    pub seq: u64,
    /// What is wrong, a sentence.
    pub what: String,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events that hold, from the first on.
    pub events: u64,
    /// The last event that holds.
    pub head: Head,
    /// What the head file says; `None` where the chain breaks before it matters.
    pub head_state: Option<HeadState>,
    /// The first break.
    pub broken: Option<Broken>,
}

const PAGE: u32 = 500;

/// Walks the whole chain of the ledger in `dir`.
///
/// # Errors
/// When there is no ledger or the database cannot be read; a broken chain is a result, not an error.
pub async fn verify(dir: &Path) -> Result<VerifyReport, LedgerError> {
    if !dir.join("ledger.db").is_file() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no ledger.db here");
        return Err(LedgerError::Folder { path: dir.to_path_buf(), source });
    }
    // Read before the events: a running daemon writes the head last, so it can only be behind what is read after it.
    let head_file = head::read(dir);
    let pool = connect(dir, false).await?;
    let mut at = Head { seq: 0, hash: GENESIS };
    let mut head_seen = head_file.is_some_and(|h| h == at);
    let broken = 'walk: loop {
        let page = match raw_page(&pool, at.seq + 1, PAGE).await {
            Ok(page) => page,
            Err(LedgerError::Unreadable { seq, what }) => break Some(Broken { seq, what }),
            Err(other) => return Err(other),
        };
        if page.is_empty() {
            break None;
        }
        for row in page {
            if let Some(what) = fault(&row, at) {
                break 'walk Some(Broken { seq: row.seq, what });
            }
            at = Head { seq: row.seq, hash: row.hash };
            head_seen |= head_file == Some(at);
        }
    };
    pool.close().await;
    let head_state = match head_file {
        None => Some(HeadState::Missing),
        Some(h) if h == at => Some(HeadState::Matches),
        Some(_) if head_seen => Some(HeadState::Behind),
        Some(_) => None,
    };
    let broken = broken.or_else(|| match (head_file, head_state) {
        (Some(h), None) => Some(Broken {
            seq: h.seq,
            what: format!(
                "the head file names event {}, which the chain does not hold: events were cut off or replaced",
                h.seq
            ),
        }),
        _ => None,
    });
    Ok(VerifyReport { events: at.seq, head: at, head_state, broken })
}

fn fault(row: &RawRow, before: Head) -> Option<String> {
    if row.seq != before.seq + 1 {
        return Some(format!("event {} is missing", before.seq + 1));
    }
    if row.prev != before.hash {
        return Some("it does not follow the event before it".to_owned());
    }
    let link = Link {
        prev: row.prev,
        seq: row.seq,
        at: row.at,
        actor: &row.actor,
        exercise: row.exercise,
        kind: &row.kind,
        body: &row.body,
    };
    if link.hash() != row.hash {
        return Some("its content does not fit its hash".to_owned());
    }
    // The kind column is only a copy for look-ups; it must not say anything else than the body.
    let body: Option<serde_json::Value> = serde_json::from_str(&row.body).ok();
    let kind = body.as_ref().and_then(|b| b.get("event")).and_then(|k| k.as_str());
    (kind != Some(&row.kind)).then(|| "its kind differs from its body".to_owned())
}
