//! The table of faults, its record, and the page made from both.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const TABLE: &str = include_str!("../../faults.toml");

/// A fault as it is written down before it is tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Row {
    /// Its name.
    pub id: String,
    /// Which part breaks.
    pub group: String,
    /// What happens.
    pub what: String,
    /// What must hold, besides the four invariants.
    pub holds: String,
    /// Longest time that something is wrongly forwarded or dropped, or differs from the ledger, seconds.
    pub bound_s: f64,
    /// Rows of the catalogue.
    #[serde(default)]
    pub rows: Vec<u16>,
    /// Whether CI runs it.
    #[serde(default)]
    pub ci: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fault: Vec<Row>,
}

/// The table.
///
/// # Panics
/// When the table that was compiled in is not one; a test reads it first.
pub fn rows() -> Vec<Row> {
    let table: Table = toml::from_str(TABLE).expect("faults.toml is a table of faults");
    table.fault
}

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// Whether everything held.
    pub held: bool,
    /// Longest time that something was wrongly forwarded, seconds.
    pub forwarded_s: f64,
    /// Longest time that something was wrongly dropped, seconds.
    pub dropped_s: f64,
    /// The whole trial, seconds.
    pub took_s: f64,
    /// What did not hold.
    pub words: String,
    /// What was measured on the way.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Writes one result into the record.
///
/// # Errors
/// When the file cannot be read or written.
pub fn record(path: &Path, id: &str, seen: &Seen) -> Result<()> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| "{}".into());
    let mut all: BTreeMap<String, Seen> = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let tenths = |s: f64| (s * 10.0).round() / 10.0;
    let seen = Seen {
        forwarded_s: tenths(seen.forwarded_s),
        dropped_s: tenths(seen.dropped_s),
        took_s: seen.took_s.round(),
        ..seen.clone()
    };
    all.insert(id.to_owned(), seen);
    std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n").with_context(|| path.display().to_string())
}

const HEAD: &str = "\
# Faults tried in the lab

Each fault is executed in [the lab](../how-to/lab.md) against the real `suimon serve` with real peers and routers. What must hold is
written in `crates/suimon-netlab/faults.toml` before the trial; this page is made from that table and from the latest record of
each (`cargo xtask lab --faults --record`, then `cargo xtask bless`). A fault without a record is not listed as held.

After each fault, besides what its row says:

1. no measure is in the network without a ledger entry that wants it,
2. no ledger entry says \"applied\" without the measure in the network,
3. nothing is forwarded that should be dropped for longer than the bound,
4. nothing is dropped after its end for longer than the bound; `measure release --all` at the end of each trial leaves nothing on any
   router, and the ledger verifies.

1 and 2 are asked of the routers themselves (nft, BIRD, FRR, GoBGP, ExaBGP, kernel routes); 3 and 4 are counted from packets by the
kernel at the customer, every 200 ms, while the attack goes on. \"Forwarded\" and \"dropped\" below are the longest times that it was wrong.
";

/// The page.
///
/// # Panics
/// When the record is not one.
pub fn page(record: &str) -> String {
    let seen: BTreeMap<String, Seen> = serde_json::from_str(record).expect("the record of faults");
    let rows = rows();
    let held = rows.iter().filter(|r| seen.get(&r.id).is_some_and(|s| s.held)).count();
    let not = rows.iter().filter(|r| seen.get(&r.id).is_some_and(|s| !s.held)).count();
    let mut page = HEAD.to_owned();
    let mut add = |text: String| {
        // Writing to a String cannot fail.
        let _ = write!(page, "{text}");
    };
    add(format!("\n{} faults: {held} held, {not} did not, {} not run.\n", rows.len(), rows.len() - held - not));
    let mut group = "";
    for row in &rows {
        if row.group != group {
            group = &row.group;
            add(format!(
                "\n## {group}\n\n| fault | what happens | what must hold | bound | seen |\n|---|---|---|---|---|\n"
            ));
        }
        let seen = match seen.get(&row.id) {
            None => "not run".to_owned(),
            Some(s) if s.held => format!("held; forwarded {:.1} s, dropped {:.1} s", s.forwarded_s, s.dropped_s),
            Some(s) => format!("**did not hold**: {}", s.words.replace('|', "/")),
        };
        let ci = if row.ci { " (CI)" } else { "" };
        let list = row.rows.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let list = if list.is_empty() { list } else { format!(" [{list}]") };
        add(format!("| `{}`{ci} | {} | {}{list} | {} s | {seen} |\n", row.id, row.what, row.holds, row.bound_s));
    }
    add("\nNumbers in brackets are rows of the catalogue of mechanisms and problems.\n".into());
    page
}
