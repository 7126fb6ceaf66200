//! `filter lint`, `filter explain` and `filter diff`.

use super::filter::{dialect_of, space};
use super::read_text;
use crate::cli::LintArgs;
use crate::exit::{Exit, bad_input};
use crate::output;
use std::path::Path;
use suimon_filter::dialect::{self, Dialect, Listing};
use suimon_filter::lint::{LintOptions, Severity, profile};
use suimon_filter::packet::Packet;

/// Finds what is wrong with a text.
pub fn lint(args: &LintArgs, json: bool) -> anyhow::Result<Exit> {
    let dialect = dialect_of(&args.dialect)?;
    let (budget, device) = match &args.device {
        Some(path) => {
            let wrong = |e: String| bad_input(format!("{}: {e}", path.display()));
            let (budget, device) = profile(&read_text(path)?).map_err(wrong)?;
            if let Some(d) = device.as_ref().filter(|d| d.dialect != dialect) {
                return Err(wrong(format!("the device speaks {}, the text was given as {dialect}", d.dialect)));
            }
            (budget, device)
        }
        None => (args.lines, None),
    };
    let running = args.running.as_deref().map(read_text).transpose()?;
    let options = LintOptions { budget, device, protects: args.protects.clone(), running };
    let report = suimon_filter::lint::lint(&read_text(&args.acl)?, dialect, &options);
    let clean = report.findings.is_empty();
    if json {
        output::json(&report);
    } else {
        for f in &report.findings {
            let place = if f.line == 0 { "the list".to_owned() } else { format!("line {}", f.line) };
            let severity = if f.severity == Severity::Error { "error" } else { "warning" };
            let id = serde_json::to_value(f.id)?;
            output::line(format!("{place}: {severity} [{}]: {}", id.as_str().unwrap_or_default(), f.why));
            if !f.text.is_empty() {
                output::line(format!("    {}", f.text));
            }
            output::line(format!("    fix: {}", f.fix));
        }
        let free = budget.map(|b| format!(" of {b} free")).unwrap_or_default();
        output::line(format!("{} findings in {} lines{free}", report.findings.len(), report.lines));
        if let Some(c) = &report.cost {
            output::line(format!(
                "{} hardware entries of {} free, {} % in use afterwards",
                c.entries, c.free, c.load_percent
            ));
        }
    }
    Ok(if clean { Exit::Done } else { Exit::No })
}

fn listing(path: &Path, name: &str) -> anyhow::Result<(Listing, Dialect, String)> {
    let dialect = dialect_of(name)?;
    let text = read_text(path)?;
    let listing = dialect::parse(&text, dialect).map_err(|e| bad_input(format!("{}: {e}", path.display())))?;
    Ok((listing, dialect, text))
}

/// Says which line decides a packet.
pub fn explain(acl: &Path, name: &str, packet: &str, json: bool) -> anyhow::Result<Exit> {
    let packet: Packet = packet.parse().map_err(|e| bad_input(format!("{e}")))?;
    let (read, dialect, text) = listing(acl, name)?;
    let said = suimon_filter::explain::explain(&read, &text, dialect, &packet).map_err(|e| bad_input(e.to_string()))?;
    if json {
        output::json(&said);
    } else {
        output::line(&said.words);
        for l in &said.later {
            output::line(format!("  without it, line {} would take it: {}", l.line, l.text));
        }
    }
    Ok(Exit::Done)
}

/// Shows what changes from one text to another.
pub fn diff(a: (&Path, &str), b: (&Path, &str), json: bool) -> anyhow::Result<Exit> {
    let ((before, dialect_a, _), (after, dialect_b, _)) = (listing(a.0, a.1)?, listing(b.0, b.1)?);
    let d =
        suimon_filter::diff::diff((&before, dialect_a), (&after, dialect_b)).map_err(|e| bad_input(e.to_string()))?;
    let equal = d.equal;
    if json {
        output::json(&d);
    } else if equal {
        output::line("equal: both do the same to every packet");
    } else {
        space("newly dropped", &d.newly_dropped);
        space("newly passed", &d.newly_passed);
        space("limited differently", &d.limited_differently);
    }
    Ok(if equal { Exit::Done } else { Exit::No })
}
