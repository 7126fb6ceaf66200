//! What an alert says.

use serde::{Deserialize, Serialize};
use suimon_base::Timestamp;
use suimon_base::id::{AlertId, CaseId};

/// The longest one-line subject that leaves the box, in characters; what is longer is cut.
pub(crate) const MAX_SUBJECT_CHARS: usize = 200;

/// How soon somebody should look. Ordered: a fuller outbox drops the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For the record: a measure was released, a report is ready.
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody should look now: an attack, a measure that waits for approval, a release that failed.
    Critical,
}

/// One alert, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its number in the ledger.
    pub id: AlertId,
    /// When it was queued.
    pub at: Timestamp,
    /// How soon somebody should look.
    pub severity: Severity,
    /// The case it is about.
    pub case: Option<CaseId>,
    /// One line, Japanese.
    pub subject_ja: String,
    /// One line, English.
    pub subject_en: String,
    /// Some lines, Japanese.
    pub text_ja: String,
    /// Some lines, English.
    pub text_en: String,
    /// Where the case can be read.
    pub link: Option<String>,
}

impl Alert {
    /// The same for every try of the same alert, and for no other alert: numbers start anew with a new ledger, times do not.
    pub fn key(&self) -> String {
        format!("{}-{}", self.id, self.at.as_millis())
    }
}

/// `text` as one line that no header can be smuggled through: control characters and line separators become spaces.
pub(crate) fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line: String = text.chars().map(|c| if breaks(c) { ' ' } else { c }).take(MAX_SUBJECT_CHARS).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_stays_on_its_line() {
        assert_eq!(one_line("攻撃\r\nBcc: x@example.com\0\u{2028}!"), "攻撃  Bcc: x@example.com  !");
        assert_eq!(one_line(&"あ".repeat(500)).chars().count(), MAX_SUBJECT_CHARS);
    }
}
