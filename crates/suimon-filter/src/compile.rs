//! From the neutral model to a dialect's text, with its undo and its proof.

use crate::boxes;
use crate::cover::{self, CoverError, Line, Shape};
use crate::dialect::{self, Dialect};
use crate::proof::{self, CheckError, Proof};
use crate::range::Family;
use serde::{Deserialize, Serialize};
use suimon_base::{Action, RuleSet};

/// How lines may look (catalogue rows 70, 82).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Contiguous wildcards, one port a line, no permit before the last line.
    #[default]
    Basic,
}

/// What is written around the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Options {
    /// Name of the list, table chain or rule group: letters, digits, `-` and `_`, at most [`MAX_NAME`] characters.
    pub name: String,
    /// Appended to the name as `-vN`, so that a new version never adds to the old list.
    pub version: Option<u32>,
    /// Number of the case, for a remark.
    pub case: Option<String>,
    /// Who asked, for a remark.
    pub requester: Option<String>,
    /// When the filter ends, in words or as a time, for a remark.
    pub end: Option<String>,
    /// How lines may look.
    pub profile: Profile,
}

/// Longest list name before the version and `-V6`, in characters (IOS shows at most 64 in all).
pub const MAX_NAME: usize = 48;

impl Default for Options {
    fn default() -> Self {
        Options {
            name: "SUIMON".into(),
            version: None,
            case: None,
            requester: None,
            end: None,
            profile: Profile::Basic,
        }
    }
}

impl Options {
    /// The name with its version.
    pub fn full_name(&self) -> String {
        self.version.map_or_else(|| self.name.clone(), |v| format!("{}-v{v}", self.name))
    }
    /// The remarks in order, each on one line of printable ASCII or the name of what could not be shown.
    pub fn remarks(&self) -> Vec<String> {
        let parts = [("case", &self.case), ("requester", &self.requester), ("end", &self.end)];
        parts.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k} {}", printable(v)))).collect()
    }
}

/// Router consoles take ASCII; anything else becomes `?`, a control character (a line end above all) a space.
fn printable(text: &str) -> String {
    let clean = |c: char| match c {
        ' '..='~' => c,
        c if c.is_control() => ' ',
        _ => '?',
    };
    text.chars().map(clean).take(80).collect()
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compiled {
    /// In which dialect.
    pub dialect: Dialect,
    /// What to enter.
    pub text: String,
    /// What takes exactly that away again.
    pub undo: String,
    /// Rules that drop, limit or permit, remarks not counted.
    pub lines: usize,
    /// Whether no fewer lines exist in the profile; `false` where the dialect has no claim or the search was cut.
    pub least: bool,
    /// The text read back and compared with the rules.
    pub proof: Proof,
    /// What a person should know before entering it.
    pub warnings: Vec<String>,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileError {
    /// Nothing to drop or limit.
    #[error("the rules neither drop nor limit anything")]
    Nothing,
    /// A rule that takes every packet.
    #[error("rule {rule} would take every packet: a filter names at least an address, a protocol or a port")]
    Everything {
        /// Index of the rule, from 0.
        rule: usize,
    },
    /// A rule that contradicts itself.
    #[error("rule {rule}: {reason}")]
    Invalid {
        /// Index of the rule, from 0.
        rule: usize,
        /// Why.
        reason: String,
    },
    /// The dialect has no words for it; it is refused, not approximated.
    #[error("{dialect} cannot express rule {rule}: {reason}")]
    Unsupported {
        /// The dialect.
        dialect: Dialect,
        /// Index of the rule, from 0.
        rule: usize,
        /// Why, and what can.
        reason: String,
    },
    /// No exact cover.
    #[error("{dialect}: {reason}")]
    Cover {
        /// The dialect.
        dialect: Dialect,
        /// Why.
        reason: CoverError,
    },
    /// A name that a router would not take.
    #[error("list name {0:?}: use 1 to {MAX_NAME} letters, digits, - or _, starting with a letter")]
    Name(String),
    /// The written text did not prove equal to the rules: a defect of this program, so nothing is given out.
    #[error("the written text does not prove equal to the request ({0}); nothing is given out")]
    NotProved(String),
}

/// Text of `dialect` that drops exactly what `rules` say, proved by reading it back.
///
/// # Errors
/// Where the rules are empty, contradictory or too wide, or the dialect cannot express them exactly.
pub fn compile(rules: &RuleSet, dialect: Dialect, options: &Options) -> Result<Compiled, CompileError> {
    check_name(&options.name)?;
    check_rules(rules)?;
    let written = dialect::write(rules, dialect, options)?;
    let proof = match proof::check(rules, &written.text, dialect) {
        Ok(proof) if proof.equal => proof,
        Ok(proof) => {
            let what = format!("missing {:?}, extra {:?}", proof.missing.addresses, proof.extra.addresses);
            return Err(CompileError::NotProved(what));
        }
        Err(CheckError::Parse(e)) => return Err(CompileError::NotProved(e.to_string())),
        Err(e) => {
            return Err(CompileError::Cover { dialect, reason: CoverError::TooComplex(e.to_string()) });
        }
    };
    Ok(Compiled {
        dialect,
        text: written.text,
        undo: written.undo,
        lines: written.lines,
        least: written.least,
        proof,
        warnings: written.warnings,
    })
}

fn check_name(name: &str) -> Result<(), CompileError> {
    let good = name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if good { Ok(()) } else { Err(CompileError::Name(name.chars().take(80).collect())) }
}

fn check_rules(rules: &RuleSet) -> Result<(), CompileError> {
    if rules.rules.iter().all(|r| r.action == Action::Permit) {
        return Err(CompileError::Nothing);
    }
    for (rule, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = boxes::invalid(&r.matches) {
            return Err(CompileError::Invalid { rule, reason });
        }
        let whole = Family::BOTH.iter().any(|&f| boxes::of_match(&r.matches, f).is_some_and(|b| b == boxes::all(f)));
        if whole && r.action != Action::Permit {
            return Err(CompileError::Everything { rule });
        }
    }
    Ok(())
}

/// [`boxes::parts`] with the error of a compilation.
pub(crate) fn parts(rules: &RuleSet, family: Family, dialect: Dialect) -> Result<boxes::Parts, CompileError> {
    let reason = || CoverError::TooComplex(format!("more than {} pieces after exceptions", boxes::MAX_BOXES));
    boxes::parts(rules, family).ok_or_else(|| CompileError::Cover { dialect, reason: reason() })
}

/// The least lines of one family for rules that only discard and permit.
///
/// # Errors
/// Where the shape has no exact cover.
pub(crate) fn least_lines(
    rules: &RuleSet,
    family: Family,
    dialect: Dialect,
    shape: Shape,
) -> Result<(Vec<Line>, bool), CompileError> {
    let fail = |reason| CompileError::Cover { dialect, reason };
    let boxes = parts(rules, family, dialect)?.discards;
    if boxes.is_empty() {
        return Ok((Vec::new(), true));
    }
    cover::lines(family, &boxes, shape).map_err(fail)
}
