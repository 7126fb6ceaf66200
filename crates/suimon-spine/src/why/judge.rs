//! What one filter does to the packets, and which of its lines decides.

use super::{Line, Sources};
use suimon_base::query::{Fate, fate};
use suimon_base::{Action, PacketQuery, RuleSet};

/// What a filter does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub does: Fate,
    pub line: Option<Line>,
    pub conditions: Vec<String>,
}

/// `None` where it does nothing to any of them. The text is only read where its rules do something.
pub(super) fn judge(
    s: &Sources<'_>,
    query: &PacketQuery,
    rules: &RuleSet,
    text: &str,
    dialect: &str,
) -> Option<Judged> {
    let steps = query.steps(rules);
    let does = fate(&steps);
    let first = steps.iter().find(|s| s.action != Action::Permit)?;
    if does == Fate::Passes {
        return None;
    }
    let left = s.lines.get();
    s.lines.set(left.saturating_sub(1));
    let line = if left > 0 { line(s, query, text, dialect) } else { None };
    Some(Judged { does, line, conditions: first.conditions.clone() })
}

/// The first line of the text that acts on some of the packets.
fn line(s: &Sources<'_>, query: &PacketQuery, text: &str, dialect: &str) -> Option<Line> {
    let (rules, lines) = s.planner.read(text, dialect).ok()?;
    let step = query.steps(&rules).into_iter().find(|s| s.action != Action::Permit)?;
    let number = *lines.get(step.rule)?;
    let text = text.lines().nth(number.checked_sub(1)?)?.trim().to_owned();
    Some(Line { number, text })
}
