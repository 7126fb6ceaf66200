//! What the command line prints as JSON.

use crate::compile::Compiled;
use crate::dialect::Dialect;
use crate::proof::{Proof, Space};
use crate::request::Question;
use serde::Serialize;

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
        let Compiled { dialect, text, undo, lines, least, proof, warnings } = c;
        CompileOutput { dialect, text, undo, lines, least, proof, questions, warnings }
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
