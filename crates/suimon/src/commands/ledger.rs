//! `ledger verify`.

use crate::cli::LedgerCommand;
use crate::exit::{Exit, bad_input};
use crate::output;
use serde_json::json;
use suimon_ledger::{HeadState, LedgerError};

/// Walks the chain of a data folder.
pub fn run(command: &LedgerCommand, json: bool) -> anyhow::Result<Exit> {
    let LedgerCommand::Verify { dir } = command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = match runtime.block_on(suimon_ledger::verify(dir)) {
        Ok(report) => report,
        Err(e @ LedgerError::Folder { .. }) => return Err(bad_input(e.to_string())),
        Err(e) => return Err(e.into()),
    };
    let head = match report.head_state {
        Some(HeadState::Matches) => "matches",
        Some(HeadState::Behind) => "behind",
        Some(HeadState::Missing) => "missing",
        None => "contradicts",
    };
    if json {
        output::json(&json!({
            "ok": report.broken.is_none(),
            "events": report.events,
            "hash": report.head.hash.to_string(),
            "head": head,
            "broken": report.broken.as_ref().map(|b| json!({"seq": b.seq, "what": b.what})),
        }));
    } else {
        match &report.broken {
            None => {
                output::line(format!("ok: {} events, last hash {}, head file {head}", report.events, report.head.hash))
            }
            Some(b) => {
                output::line(format!("BROKEN at event {}: {} ({} events before it hold)", b.seq, b.what, report.events))
            }
        }
    }
    Ok(if report.broken.is_none() { Exit::Done } else { Exit::No })
}
