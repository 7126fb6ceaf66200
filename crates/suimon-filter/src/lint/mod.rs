//! What is wrong with a filter's text, before a router is asked (catalogue rows 70, 81, 85, 86, 87, 131).
//!
//! Everything about meaning (lines that never match, what the end of the list drops, fragments that pass, the other
//! address family) is decided on decision diagrams of what the dialect's reader understood, not on the look of the text.

mod binding;
mod meaning;
mod room;
mod text;

pub use room::{budget_of, profile};

use crate::dialect::{self, Dialect, Listing};
use crate::place::{Cost, Device};
use ipnet::IpNet;
use serde::Serialize;

/// Most findings of one run.
pub const MAX_FINDINGS: usize = 1_000;
/// Most syntax errors of one run; after each the line is left out and the rest is read again.
pub const MAX_SYNTAX: usize = 20;
/// Most lines listed with one finding.
pub const MAX_PLACES: usize = 32;

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingId {
    /// The dialect has no such line.
    Syntax,
    /// A netmask stands where the dialect wants a wildcard.
    NetmaskForWildcard,
    /// A port or TCP flags with a protocol that has none.
    PortWithoutProtocol,
    /// Earlier lines take all that the line would take.
    NeverMatches,
    /// The line stands after one that permits everything.
    AfterPermitAny,
    /// Sequence numbers do not rise: the router asks the lines in another order than the text shows.
    SequenceOrder,
    /// Source and destination look exchanged, or the binding looks the other way.
    WrongDirection,
    /// Non-first fragments of what is dropped by port pass.
    Fragments,
    /// What no line names is dropped by the end of the list.
    ImplicitDeny,
    /// Another list is bound there.
    ReplacesList,
    /// A list of this name exists: lines are added to it.
    AddsToList,
    /// Nothing of the other address family.
    OtherFamily,
    /// No remark says when the filter ends.
    NoEnd,
    /// An nftables rule reads ports or flags of non-first fragments, which have none.
    FragmentTest,
    /// More lines, or more hardware entries, than the device has room for.
    OverBudget,
    /// The lines overlap in too many ways to be judged in bounded memory.
    NotJudged,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The router refuses it, or it does not do what it says.
    Error,
    /// It does what it says, and that is probably not what is wanted.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which kind.
    pub id: FindingId,
    /// How bad.
    pub severity: Severity,
    /// The line, from 1; 0 for the text as a whole.
    pub line: usize,
    /// The column in characters, from 1, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The line as written, at most 200 characters.
    pub text: String,
    /// Other lines it is about, at most [`MAX_PLACES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<usize>,
    /// Why it is one.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// What is known besides the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintOptions {
    /// Lines that the device has free; `None` is unknown.
    pub budget: Option<usize>,
    /// The device, so that hardware entries are counted as it counts them; `None` is unknown.
    pub device: Option<Device>,
    /// The prefixes that the filter is to protect; empty is unknown.
    pub protects: Vec<IpNet>,
    /// The device's running configuration, or the part of it with interfaces and lists.
    pub running: Option<String>,
}

/// `filter lint --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintReport {
    /// In which dialect the text was read.
    pub dialect: Dialect,
    /// Lines that drop, limit or permit.
    pub lines: usize,
    /// Lines that the device has free, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<usize>,
    /// What the list takes of the device's hardware, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// By place, then by kind.
    pub findings: Vec<Finding>,
    /// Whether findings were left out.
    pub truncated: bool,
}

/// The text while it is judged.
struct Subject<'a> {
    dialect: Dialect,
    /// The text, line by line.
    lines: Vec<&'a str>,
    listing: Listing,
    /// What the text binds to interfaces.
    bindings: Vec<binding::Binding>,
    out: Vec<Finding>,
}

impl Subject<'_> {
    fn find(&mut self, id: FindingId, severity: Severity, line: usize, why: String, fix: String) -> &mut Finding {
        let text = crate::text::line_of(&self.lines, line).text;
        self.out.push(Finding { id, severity, line, column: None, text, others: Vec::new(), why, fix });
        let last = self.out.len() - 1;
        &mut self.out[last]
    }
}

/// Whether a dialect writes one rule a line, so that the rest can be read without a bad line.
fn by_lines(dialect: Dialect, text: &str) -> bool {
    dialect != Dialect::Nftables && !text.lines().any(|l| l.trim_end().ends_with('{'))
}

/// Whether a dialect has numbered lines, lists bound to interfaces and wildcards as IOS has.
fn like_ios(dialect: Dialect) -> bool {
    ["cisco-", "arista-", "huawei-"].iter().any(|p| dialect.name().starts_with(p))
}

/// Judges a text.
#[must_use]
pub fn lint(text: &str, dialect: Dialect, options: &LintOptions) -> LintReport {
    let (mut kept, bindings) = if like_ios(dialect) {
        binding::take_interfaces(text)
    } else {
        (text.lines().map(str::to_owned).collect(), Vec::new())
    };
    let mut s =
        Subject { dialect, lines: text.lines().collect(), listing: Listing::default(), bindings, out: Vec::new() };
    let separate = by_lines(dialect, text);
    for round in 0..=MAX_SYNTAX {
        match dialect::parse(&kept.join("\n"), dialect) {
            Ok(listing) => {
                s.listing = listing;
                break;
            }
            Err(e) => {
                // After lines were left out, "there is no rule" says nothing new.
                if round > 0 && kept.iter().all(|l| l.trim().is_empty()) {
                    break;
                }
                text::syntax(&mut s, &e);
                let Some(line) = e.line.checked_sub(1).and_then(|i| kept.get_mut(i)) else { break };
                if !separate || line.is_empty() {
                    break;
                }
                line.clear();
            }
        }
    }
    let mut places: Vec<usize> = s.listing.lines.iter().copied().filter(|&l| l > 0).collect();
    places.dedup();
    let lines = places.len();
    meaning::judge(&mut s, options);
    text::judge(&mut s);
    binding::judge(&mut s, options);
    let cost = room::judge(&mut s, &places, options);
    let mut findings = s.out;
    findings.sort_by_key(|f| (f.line, f.id));
    let truncated = findings.len() > MAX_FINDINGS;
    findings.truncate(MAX_FINDINGS);
    LintReport { dialect, lines, budget: options.budget, cost, findings, truncated }
}
