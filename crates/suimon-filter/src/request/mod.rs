//! A written request → the neutral model and the questions it leaves open (catalogue rows 81, 82, 85).

mod free;
mod lex;
mod questions;
mod special;
mod structured;

pub use questions::{Question, QuestionId};

use crate::range::RangeSet;
use ipnet::IpNet;
use serde::Serialize;
use suimon_base::RuleSet;

/// Longest request, in octets.
pub const MAX_REQUEST: usize = 1 << 20;
/// Most address items, ports or rules that a request may name.
pub const MAX_ITEMS: usize = 100_000;

/// What was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parsed {
    /// What to drop, in the order of the request.
    pub rules: RuleSet,
    /// What the words leave open, each with its default, which `rules` follow.
    pub questions: Vec<Question>,
}

/// What is known besides the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The requester's own prefixes; empty is unknown.
    pub holdings: Vec<IpNet>,
}

/// Why a request is not understood, with the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}, column {column}: {text:?}: {message}")]
pub struct RequestError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The words in question, at most 60 characters.
    pub text: String,
    /// What is wrong with them.
    pub message: String,
}

/// Reads a request: free Japanese or English text, TOML or JSON.
///
/// # Errors
/// At the first impossible or missing thing.
pub fn parse(text: &str) -> Result<Parsed, RequestError> {
    parse_with(text, &Context::default())
}

/// [`parse`], also asking about addresses outside the requester's holdings.
///
/// # Errors
/// At the first impossible or missing thing.
pub fn parse_with(text: &str, context: &Context) -> Result<Parsed, RequestError> {
    if text.len() > MAX_REQUEST {
        return Err(at(1, 1, "", &format!("the request is longer than {MAX_REQUEST} octets")));
    }
    let (rules, notes) = match structured::kind(text) {
        Some(kind) => structured::parse(text, kind)?,
        None => free::parse(text)?,
    };
    for (i, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = crate::boxes::invalid(&r.matches) {
            return Err(at(1, 1, &format!("rule {}", i + 1), &reason));
        }
    }
    let questions = questions::of(&rules, &notes, context);
    Ok(Parsed { rules, questions })
}

fn at(line: usize, column: usize, text: &str, message: &str) -> RequestError {
    RequestError { line, column, text: text.chars().take(60).collect(), message: message.into() }
}

/// What the readers saw besides the rules.
#[derive(Debug, Default)]
struct Notes {
    /// Ports whose side was not said.
    unsided_ports: bool,
    /// Ports whose protocol was not said.
    without_protocol: bool,
    /// A protocol was named alone beside ports; the ports were taken.
    protocol_alone: bool,
    /// An end or a duration was mentioned.
    end: bool,
    /// A direction was mentioned.
    direction: bool,
    /// TCP flags were mentioned in words.
    flag_words: Vec<String>,
    /// Several groups of addresses and ports were paired in order.
    paired: bool,
    /// Numbers that became nothing.
    unread: Vec<String>,
}

fn addresses_of(nets: &[IpNet]) -> [RangeSet; 2] {
    crate::range::Family::BOTH
        .map(|f| RangeSet::new(nets.iter().filter(|n| crate::range::Family::of_net(n) == f).map(crate::range::bounds)))
}
