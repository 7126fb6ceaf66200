//! A written request → the neutral model and the questions it leaves open (catalogue rows 81, 82, 85).

pub mod country;
pub mod country_data;
mod critical;
mod free;
mod hits;
mod lex;
mod questions;
mod router;
mod special;
mod structured;

pub use critical::{Critical, CriticalError};
pub use free::protocol;
pub use questions::{Question, QuestionId};

use crate::dialect::Dialect;
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
    /// The operator's own addresses: routers, DNS, monitoring (catalogue row 86).
    pub own: Vec<IpNet>,
    /// 重要通信: communication that must not be hit without being asked (catalogue row 86).
    pub critical: Vec<Critical>,
    /// How the request is written; recognised where `None`.
    pub format: Option<Format>,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A customer's words.
    Text,
    /// TOML.
    Toml,
    /// JSON.
    Json,
    /// A router's filter.
    Router(Dialect),
}

/// A name that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format of a request; use text, toml, json or the name of a dialect, such as cisco-ios")]
pub struct UnknownFormat(String);

impl std::str::FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(s: &str) -> Result<Self, UnknownFormat> {
        match s {
            "text" => Ok(Format::Text),
            "toml" => Ok(Format::Toml),
            "json" => Ok(Format::Json),
            _ => s.parse().map(Format::Router).map_err(|_| UnknownFormat(s.chars().take(80).collect())),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Text => "text",
            Format::Toml => "toml",
            Format::Json => "json",
            Format::Router(d) => d.name(),
        })
    }
}

/// How `text` is written, from its look.
///
/// # Errors
/// Where it is a router's filter of a kind that is not read.
pub fn recognise(text: &str) -> Result<Format, RequestError> {
    match (structured::kind(text), router::recognise(text)) {
        (Some(structured::Structure::Toml), _) => Ok(Format::Toml),
        (Some(structured::Structure::Json), _) => Ok(Format::Json),
        (None, Some(Ok(dialect))) => Ok(Format::Router(dialect)),
        (None, Some(Err(name))) => {
            let first = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
            Err(at(1, 1, first, &format!("this looks like {name}, which is not read; use another form of request")))
        }
        (None, None) => Ok(Format::Text),
    }
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

/// Reads a request: free Japanese or English text, TOML, JSON, or a router's filter.
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
    let format = context.format.map_or_else(|| recognise(text), Ok)?;
    let (rules, notes) = match format {
        Format::Toml => structured::parse(text, structured::Structure::Toml)?,
        Format::Json => structured::parse(text, structured::Structure::Json)?,
        Format::Router(dialect) => router::parse(text, dialect)?,
        Format::Text => {
            // "Block Russia" without its address would be a filter against everybody.
            if let Some(a) = country::asked(text).into_iter().find(|a| a.which != country::Which::Unnamed) {
                return Err(at(a.line, a.column, &a.words, free::COUNTRY));
            }
            free::parse(text)?
        }
    };
    for (i, r) in rules.rules.iter().enumerate() {
        if let Some(reason) = crate::boxes::invalid(&r.matches) {
            return Err(at(1, 1, &format!("rule {}", i + 1), &reason));
        }
    }
    let questions = questions::of(&rules, &notes, context);
    Ok(Parsed { rules, questions })
}

/// What rules that nobody worded would hit besides the attack: the operator's own addresses and critical services.
pub fn concerns(rules: &RuleSet, context: &Context) -> Vec<Question> {
    let all = questions::of(rules, &Notes::default(), context);
    let hit = |q: &Question| matches!(q.id, QuestionId::OwnGoal | QuestionId::CriticalTraffic);
    all.into_iter().filter(hit).collect()
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
    /// Lines around a router's list that were not read.
    unread_lines: Vec<String>,
    /// The request is free text.
    free: bool,
    /// Quoted lines with addresses that were left out, as far as they are shown.
    left_out: Vec<String>,
    /// The end that a router adds to a list of denies is not part of the request.
    end_left_out: bool,
    /// The end that a router adds to a list with permits is part of the request.
    end_kept: bool,
}

fn addresses_of(nets: &[IpNet]) -> [RangeSet; 2] {
    crate::range::Family::BOTH
        .map(|f| RangeSet::new(nets.iter().filter(|n| crate::range::Family::of_net(n) == f).map(crate::range::bounds)))
}
