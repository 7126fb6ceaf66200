//! Whether a list fits the device: lines of its configuration, and hardware entries as the device counts them.

use super::{FindingId, LintOptions, Severity, Subject};
use crate::dialect::Listing;
use crate::place::{Cost, Device, cost::cost, device};
use suimon_base::RuleSet;

/// The lines that a device profile has room for: its `lines`, else its free hardware entries (`entries.total` less
/// `entries.used`). Other keys are left to [`crate::place`].
///
/// # Errors
/// In words, where the profile is not TOML or has neither.
pub fn budget_of(profile: &str) -> Result<usize, String> {
    let table: toml::Table = profile.parse().map_err(|e: toml::de::Error| e.to_string())?;
    let number = |v: Option<&toml::Value>| v.and_then(toml::Value::as_integer).and_then(|n| usize::try_from(n).ok());
    let entries = table.get("entries").and_then(toml::Value::as_table);
    let free = entries.and_then(|e| Some(number(e.get("total"))?.saturating_sub(number(e.get("used"))?)));
    number(table.get("lines"))
        .or(free)
        .ok_or_else(|| "the profile has neither `lines = N` nor `entries` with `total` and `used`".to_owned())
}

/// The lines and the device of a profile. A profile with nothing but `lines` and `entries` is a budget of lines; every
/// other one is a whole device profile (docs/reference/device-profiles.md), by which hardware entries are counted.
///
/// # Errors
/// In words, where it is neither.
pub fn profile(text: &str) -> Result<(Option<usize>, Option<Device>), String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
    if table.keys().all(|k| matches!(k.as_str(), "lines" | "entries")) {
        return Ok((Some(budget_of(text)?), None));
    }
    let device = device::parse(text).map_err(|e| e.to_string())?;
    Ok((device.lines.and_then(|n| usize::try_from(n).ok()), Some(device)))
}

/// `places` are the lines of the text that do something, in its order.
pub fn judge(s: &mut Subject<'_>, places: &[usize], options: &LintOptions) -> Option<Cost> {
    let fix = "make room, use a device with more, or ask for a wider filter with fewer lines";
    let lines = places.len();
    if let Some(free) = options.budget.filter(|&free| lines > free) {
        let at = places.get(free).copied().unwrap_or(0);
        let why = format!(
            "the list has {lines} lines and the device has room for {free}: from here on they may be refused, or forwarding \
             may fall to software"
        );
        s.find(FindingId::OverBudget, Severity::Error, at, why, fix.into());
    }
    let device = options.device.as_ref()?;
    let all = cost(&s.listing, device);
    if !all.fits {
        let at = first_too_many(&s.listing, device);
        let why = format!(
            "the list takes {} hardware entries, ranges of ports and sets of addresses written out, and {} of {} ({}) are free: \
             {} too few from here on",
            all.entries, all.free, device.entries.total, device.name, all.short
        );
        s.find(FindingId::OverBudget, Severity::Error, at, why, fix.into());
    }
    Some(all)
}

/// The line with which the entries do not suffice any more. What a longer beginning of the list takes is never less.
fn first_too_many(listing: &Listing, device: &Device) -> usize {
    let fits = |n: usize| {
        let rules = RuleSet { rules: listing.rules.rules[..n].to_vec() };
        cost(&Listing { rules, lines: listing.lines[..n].to_vec() }, device).fits
    };
    let (mut fitting, mut too_many) = (0, listing.rules.rules.len());
    while too_many - fitting > 1 {
        let middle = usize::midpoint(fitting, too_many);
        if fits(middle) { fitting = middle } else { too_many = middle }
    }
    listing.lines.get(fitting).copied().unwrap_or(0)
}
