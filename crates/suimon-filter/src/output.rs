//! What the command line prints as JSON.

use crate::compile::Compiled;
use crate::dialect::Dialect;
use crate::proof::{Proof, Space};
use crate::request::Question;
use crate::request::country_data::CountryAnswer;
use serde::Serialize;
use suimon_base::Rule;

/// `filter compile --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompileOutput {
    /// In which dialect.
    pub dialect: Dialect,
    /// What to enter.
    pub text: String,
    /// What takes exactly that away.
    pub undo: String,
    /// Rules that drop, limit or permit.
    pub lines: usize,
    /// Whether no fewer lines exist in the profile.
    pub least: bool,
    /// The same as `least`.
    pub optimal: bool,
    /// No text of the profile has fewer lines than this.
    pub at_least: usize,
    /// The comparison of the text with the request.
    pub proof: Proof,
    /// What the request leaves open.
    pub questions: Vec<Question>,
    /// What to know before entering the text.
    pub warnings: Vec<String>,
}

impl CompileOutput {
    /// From a compilation and the questions of its request.
    pub fn new(c: Compiled, questions: Vec<Question>) -> Self {
        let Compiled { dialect, text, undo, lines, least, at_least, proof, warnings } = c;
        let optimal = least;
        CompileOutput { dialect, text, undo, lines, least, optimal, at_least, proof, questions, warnings }
    }
}

/// `filter check --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckOutput {
    /// In which dialect the text was read.
    pub dialect: Dialect,
    /// Whether the text does exactly what the request asks.
    pub equal: bool,
    /// What the request asks to drop or limit.
    pub requested: Space,
    /// What of it the text does.
    pub covered: Space,
    /// What of it the text does not.
    pub missing: Space,
    /// What the text does beyond it.
    pub extra: Space,
    /// What the request leaves open.
    pub questions: Vec<Question>,
}

impl CheckOutput {
    /// From a proof and the questions of its request.
    pub fn new(dialect: Dialect, p: Proof, questions: Vec<Question>) -> Self {
        let Proof { equal, side: _, requested, covered, missing, extra } = p;
        CheckOutput { dialect, equal, requested, covered, missing, extra, questions }
    }
}

/// `filter request --json`; also what `filter compile` and `filter check` print where the request names a country.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestOutput {
    /// How the request is written: `text`, `toml`, `json` or a dialect.
    pub format: String,
    /// What to drop, in the order of the request; empty where a country is named.
    pub rules: Vec<Rule>,
    /// What the request leaves open.
    pub questions: Vec<Question>,
    /// What the countries that it names can mean, one for each mention.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<CountryAnswer>,
}
