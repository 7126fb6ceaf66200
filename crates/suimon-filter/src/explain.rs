//! Which line of a list decides a packet, and what it does (catalogue row 79: in words and in numbers).
//!
//! What the packet's description leaves unsaid is never assumed where it matters: a line that asks the length or the TCP
//! flags of a packet whose length or flags are unsaid ends the explanation with that question.

use crate::dialect::{Dialect, Listing};
use crate::packet::Packet;
use crate::text::line_of;
use serde::Serialize;
use suimon_base::{Action, Match, PacketHeader};

/// Most later lines that are listed.
pub const MAX_LATER: usize = 16;

/// A line of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineOf {
    /// From 1.
    pub line: usize,
    /// As written, without the white space around it.
    pub text: String,
}

/// `filter explain --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// In which dialect the text was read.
    pub dialect: Dialect,
    /// What happens to the packet.
    pub action: Action,
    /// The line that decides; absent for what the text does not say.
    pub decided_by: Option<LineOf>,
    /// Whether the end of the list decides, which the text does not say.
    pub implicit: bool,
    /// The same in words.
    pub words: String,
    /// Lines after the deciding one that would take the packet too, at most [`MAX_LATER`].
    pub later: Vec<LineOf>,
}

/// A question that the packet's description leaves open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} asks {field}, which is not said of this packet: {text:?}; say {how}")]
pub struct Unsaid {
    /// The line, from 1.
    pub line: usize,
    /// The line as written.
    pub text: String,
    /// What it asks.
    pub field: &'static str,
    /// How to say it.
    pub how: &'static str,
}

/// Whether a match takes the packet, or what it asks that is unsaid.
fn takes(m: &Match, p: &Packet, h: &PacketHeader) -> Result<bool, (&'static str, &'static str)> {
    let open = Match {
        lengths: if p.ip_len.is_none() { Vec::new() } else { m.lengths.clone() },
        tcp_flags: m.tcp_flags.filter(|_| p.tcp_flags.is_some()),
        ..m.clone()
    };
    if !open.matches(h) {
        return Ok(false);
    }
    if open.lengths != m.lengths {
        return Err(("the length", "`length N`, the IP length in octets"));
    }
    if open.tcp_flags != m.tcp_flags {
        return Err(("the TCP flags", "`[S]`, `[S.]`, `[none]` … after the destination"));
    }
    Ok(true)
}

/// What `listing`, read from `text`, does to the packet.
///
/// # Errors
/// Where the answer hangs on something that is not said of the packet.
pub fn explain(listing: &Listing, text: &str, dialect: Dialect, packet: &Packet) -> Result<Explanation, Unsaid> {
    let header = packet.header();
    let lines: Vec<&str> = text.lines().collect();
    let place = |i: usize| listing.lines.get(i).copied().unwrap_or(0);
    let mut decided: Option<usize> = None;
    let mut later: Vec<LineOf> = Vec::new();
    for (i, rule) in listing.rules.rules.iter().enumerate() {
        match (takes(&rule.matches, packet, &header), decided) {
            (Ok(true), None) => decided = Some(i),
            (Ok(true), Some(d)) => {
                let (line, first) = (place(i), place(d));
                let known = line == 0 || line == first || later.iter().any(|l| l.line == line);
                if !known && later.len() < MAX_LATER {
                    later.push(line_of(&lines, line));
                }
            }
            (Err((field, how)), None) => {
                let l = line_of(&lines, place(i));
                return Err(Unsaid { line: l.line, text: l.text, field, how });
            }
            _ => {}
        }
    }
    let action = decided.and_then(|i| listing.rules.rules.get(i)).map_or(Action::Permit, |r| r.action);
    let line = decided.map_or(0, place);
    let does = verb(action);
    let decided_by = (line > 0).then(|| line_of(&lines, line));
    let words = match (&decided_by, decided) {
        (Some(l), _) => format!("line {} {does} it: {}", l.line, l.text),
        (None, Some(_)) => format!("no line takes it; the implicit end of the list {does} it"),
        (None, None) => format!("no line takes it; what no line takes, {dialect} passes on"),
    };
    Ok(Explanation { dialect, action, implicit: decided_by.is_none(), decided_by, words, later })
}

/// What an action does, as a verb.
pub(crate) fn verb(action: Action) -> String {
    match action {
        Action::Permit => "passes".into(),
        Action::Discard => "drops".into(),
        Action::LimitPps(n) => format!("limits to {n} packets/s"),
        Action::LimitBps(n) => format!("limits to {n} bit/s"),
    }
}
