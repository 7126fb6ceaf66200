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
    /// Lists and ranges of ports, groups of addresses or non-contiguous wildcards, and permits before wider denies, each where
    /// the dialect has it; black holes have nothing of it.
    Compact,
}

impl std::str::FromStr for Profile {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "basic" => Ok(Profile::Basic),
            "compact" => Ok(Profile::Compact),
            _ => Err(format!("{:?} is not a profile; use basic or compact", s.chars().take(80).collect::<String>())),
        }
    }
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
    /// Interface on which the list is bound, for the steps and the undo; `None` leaves it to a person.
    pub interface: Option<String>,
    /// Whether the list filters what leaves the interface; else what arrives.
    pub outbound: bool,
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
            interface: None,
            outbound: false,
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
    /// The fewest lines that any text of the profile has, as far as that is proven; 1 where nothing more is known.
    pub at_least: usize,
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
    /// The platform takes shorter names.
    #[error("{dialect} takes names of at most {max} characters, and {name:?} is longer: give the list a shorter name")]
    LongName {
        /// The dialect.
        dialect: Dialect,
        /// The name with everything that is appended.
        name: String,
        /// Longest, in characters.
        max: usize,
    },
    /// An interface name that could be read as more than a name.
    #[error("interface name {0:?}: use 1 to 64 printable characters without a line end")]
    Interface(String),
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

/// A step of a compilation that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The lines are found and the text is written.
    Written,
    /// The text is read back.
    Read,
    /// What was read is compared with the rules.
    Proved,
}

/// Text of `dialect` that drops exactly what `rules` say, proved by reading it back.
///
/// # Errors
/// Where the rules are empty, contradictory or too wide, or the dialect cannot express them exactly.
pub fn compile(rules: &RuleSet, dialect: Dialect, options: &Options) -> Result<Compiled, CompileError> {
    compile_watched(rules, dialect, options, &mut |_| ())
}

/// [`compile`], telling `watch` of each step that is done; this library has no clock, a caller may have one.
///
/// # Errors
/// As [`compile`].
pub fn compile_watched(
    rules: &RuleSet,
    dialect: Dialect,
    options: &Options,
    watch: &mut dyn FnMut(Step),
) -> Result<Compiled, CompileError> {
    check_name(&options.name)?;
    check_interface(options.interface.as_deref())?;
    check_rules(rules)?;
    let (written, at_least) = match options.profile {
        Profile::Basic => {
            let written = dialect::write(rules, dialect, options)?;
            let bound = if written.least { written.lines } else { 1 };
            (written, bound)
        }
        Profile::Compact => dialect::write_compact(rules, dialect, options)?,
    };
    watch(Step::Written);
    let read = dialect::parse(&written.text, dialect).map_err(CheckError::from);
    watch(Step::Read);
    let proof = read.and_then(|listing| proof::compare(rules, &listing.rules));
    watch(Step::Proved);
    let proof = match proof {
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
        at_least,
        proof,
        warnings: written.warnings,
    })
}

/// How many lines that drop the rules need in profile `basic` of a dialect that writes one port a line and prefixes
/// (without heads and closing permits), and whether that is proven least; nothing is written or proved.
///
/// # Errors
/// As [`compile`], where the lines themselves are the reason.
pub fn count(rules: &RuleSet, dialect: Dialect) -> Result<(usize, bool), CompileError> {
    check_rules(rules)?;
    let shape = Shape { port_ranges: false, flag_bits: 0x3f, lengths: true, port_protos: &[6, 17] };
    let mut sum = (0, true);
    for family in Family::BOTH {
        let boxes = parts(rules, family, dialect)?.discards;
        if !boxes.is_empty() {
            let mut count = || sum.0 += 1;
            let least = cover::visit(family, &boxes, shape, &mut |_| count())
                .map_err(|reason| CompileError::Cover { dialect, reason })?;
            sum.1 &= least;
        }
    }
    Ok(sum)
}

fn check_interface(name: Option<&str>) -> Result<(), CompileError> {
    let good = |n: &str| (1..=64).contains(&n.len()) && n.chars().all(|c| matches!(c, ' '..='~') && c != '`');
    match name {
        Some(n) if !good(n) => Err(CompileError::Interface(n.chars().take(80).collect())),
        _ => Ok(()),
    }
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
        let m = &r.matches;
        let open = m.proto.is_none() && m.fragment.is_none() && m.lengths.is_empty();
        let whole =
            open && Family::BOTH.iter().any(|&f| boxes::of_match(&r.matches, f).is_some_and(|b| b == boxes::all(f)));
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
