//! `filter plan`: where and with what to act.

use super::{filter_request, read_text};
use crate::cli::PlaceArgs;
use crate::exit::{Exit, bad_input};
use crate::output;
use suimon_filter::place::{self, Ask, Choice, Device, Stage, device};

/// Ranks means and places.
pub fn run(args: &PlaceArgs, json: bool) -> anyhow::Result<Exit> {
    let Some(parsed) = filter_request::read_request(&args.request, json)? else { return Ok(Exit::No) };
    if args.device.len() > place::MAX_DEVICES {
        return Err(bad_input(format!("at most {} devices", place::MAX_DEVICES)));
    }
    let read = |path: &std::path::PathBuf| -> anyhow::Result<Device> {
        device::parse(&read_text(path)?).map_err(|e| bad_input(format!("{}: {e}", path.display())))
    };
    let devices = args.device.iter().map(read).collect::<anyhow::Result<Vec<Device>>>()?;
    let ask = Ask { police_bps: args.police_bps, ..Ask::default() };
    let placement = place::rank(&parsed.rules, &devices, &ask);
    if json {
        output::json(&placement);
    } else {
        placement.choices.iter().enumerate().for_each(|(i, c)| choice(i + 1, c));
        output::line("stages:".to_owned());
        placement.stages.iter().enumerate().for_each(|(i, s)| stage(i + 1, s));
    }
    Ok(if placement.choices.iter().any(|c| c.possible) { Exit::Done } else { Exit::No })
}

fn choice(number: usize, c: &Choice) {
    output::line(format!("{number}. {} on {} ({})", c.way.name(), c.device, c.place.name()));
    if let Some(reason) = &c.reason {
        output::line(format!("   not possible: {reason}"));
    }
    let entries = c.cost.as_ref().map_or_else(
        || "no filter entries".to_owned(),
        |k| {
            let entries = if k.entries == 1 { "entry" } else { "entries" };
            format!("{} {entries} of {} free, {} % in use afterwards", k.entries, k.free, k.load_percent)
        },
    );
    output::line(format!("   {}, {entries}, complexity {}", count(c.lines, "line"), c.complexity));
    output::line(format!(
        "   traffic of {} passes here; {:.1} % of the addresses cut off are bystanders",
        count(c.customers_passing, "customer"),
        c.bystander_share * 100.0
    ));
    output::line(format!("   {}", c.words_en));
    output::line(format!("   {}", c.words_ja));
}

fn stage(number: usize, s: &Stage) {
    let device = s.device.as_deref().unwrap_or("no device");
    output::line(format!("{number}. {} on {device}, {}", s.id, count(s.lines, "line")));
    output::line(format!("   {} {}", s.words_en, s.until_en));
    output::line(format!("   {}{}", s.words_ja, s.until_ja));
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
