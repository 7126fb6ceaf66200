//! Faults: what breaks, what must hold (written first, in `faults.toml`), and what was seen.

mod bgp;
mod people;
mod process;
mod router;
mod senses;
mod storage;
mod table;
mod time;
mod trial;

pub use table::{Row, page, rows};

use crate::clock;
use crate::lab::Lab;
use crate::tell::Tell;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::path::{Path, PathBuf};
use table::Seen;
use trial::Trial;

/// One fault's steps. An error is an expectation that did not hold, or a lab that does not work.
type Steps = fn(&mut Trial<'_>) -> Result<()>;

/// The steps of every fault by its id.
fn steps() -> Vec<(&'static str, Steps)> {
    [bgp::STEPS, people::STEPS, process::STEPS, router::STEPS, senses::STEPS, storage::STEPS, time::STEPS].concat()
}

/// The list for people.
pub fn list() -> String {
    rows().iter().map(|r| format!("{:<32}{} {}\n", r.id, if r.ci { "ci" } else { "  " }, r.what)).collect()
}

/// Rows by name, `ci`, or all; `None` where a name is unknown.
pub fn choose(names: &[String]) -> Option<Vec<Row>> {
    let all = rows();
    if names.is_empty() {
        return Some(all);
    }
    let mut chosen = Vec::new();
    for name in names {
        let found: Vec<Row> =
            all.iter().filter(|r| r.id == *name || r.group == *name || name == "ci" && r.ci).cloned().collect();
        if found.is_empty() {
            return None;
        }
        chosen.extend(found);
    }
    Some(chosen)
}

/// Runs faults one after the other in one lab; whether all held. With `record` the results stand in the crate's
/// `faults-seen.json` afterwards, from which the page is made.
///
/// # Errors
/// When the lab cannot be built or the record not be written.
pub fn run_all(binary: &Path, tell: &Tell, chosen: &[Row], record: bool) -> Result<bool> {
    let mut lab = trial::standing_lab(binary)?;
    let all = steps();
    let (mut held, mut failed) = (0, Vec::new());
    for row in chosen {
        let (_, steps) =
            all.iter().find(|(id, _)| *id == row.id).with_context(|| format!("{} has no steps", row.id))?;
        let seen = run_one(&mut lab, row, *steps);
        let mark = if seen.held { "held" } else { "NOT HELD" };
        tell.stage(
            &row.id,
            json!({ "fault": row.id, "bound_s": row.bound_s, "seen": seen }),
            &format!(
                "{mark}; wrongly forwarded {:.1} s, wrongly dropped {:.1} s, bound {} s; {:.0} s in all{}{}",
                seen.forwarded_s,
                seen.dropped_s,
                row.bound_s,
                seen.took_s,
                if seen.words.is_empty() { "" } else { "\n" },
                seen.words
            ),
        );
        if seen.held {
            held += 1;
        } else {
            failed.push(row.id.clone());
        }
        if record {
            table::record(&recorded_in(), &row.id, &seen)?;
        }
    }
    let words = if failed.is_empty() { String::new() } else { format!(", not held: {}", failed.join(", ")) };
    tell.stage(
        "faults",
        json!({ "held": held, "not-held": failed }),
        &format!("{held} of {} held{words}", chosen.len()),
    );
    Ok(failed.is_empty())
}

/// Where results are recorded, in the tree that this program was built from.
fn recorded_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("faults-seen.json")
}

fn run_one(lab: &mut Lab, row: &Row, steps: Steps) -> Seen {
    let start = clock::ms();
    let mut seen = Seen::default();
    let result = Trial::begin(lab, row.bound_s).and_then(|mut trial| {
        let result = steps(&mut trial).and_then(|()| trial.end());
        (seen.forwarded_s, seen.dropped_s) = trial.worst_s();
        seen.notes = std::mem::take(&mut trial.notes);
        result
    });
    let bound = row.bound_s;
    let late = seen.forwarded_s > bound || seen.dropped_s > bound;
    seen.words = match &result {
        Ok(()) if late => "longer than the bound".into(),
        Ok(()) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    seen.held = result.is_ok() && !late;
    seen.took_s = (clock::ms() - start) as f64 / 1_000.0;
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_has_steps_and_every_steps_a_fault() {
        let rows: Vec<String> = rows().iter().map(|r| r.id.clone()).collect();
        let steps: Vec<String> = steps().iter().map(|(id, _)| (*id).to_owned()).collect();
        let set = |v: &[String]| v.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(set(&rows), set(&steps));
        assert_eq!((set(&rows).len(), set(&steps).len()), (rows.len(), steps.len()), "no id twice");
    }

    #[test]
    fn the_page_is_what_the_table_and_the_record_say() {
        let page = page(&std::fs::read_to_string(recorded_in()).unwrap_or_else(|_| "{}".into()));
        let path = suimon_testkit::workspace_root().join("docs/reference/faults.md");
        suimon_testkit::golden(&path, &page);
    }
}
