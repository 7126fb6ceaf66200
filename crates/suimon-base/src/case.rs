//! The phases of a case (catalogue row 102: 状況確認 → 連絡 → 遮断対応 → 復旧対応).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where work on a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// 状況確認: what is happening, to whom.
    Assess,
    /// 連絡: customer and operator talk; words, authority and call-back are recorded.
    Contact,
    /// 遮断対応: at least one measure is in force or on its way.
    Mitigate,
    /// 復旧対応: measures are gone; the customer checks.
    Recover,
    /// Done.
    Closed,
}

impl Phase {
    /// In Japanese.
    pub const fn ja(self) -> &'static str {
        match self {
            Phase::Assess => "状況確認",
            Phase::Contact => "連絡",
            Phase::Mitigate => "遮断対応",
            Phase::Recover => "復旧対応",
            Phase::Closed => "完了",
        }
    }

    /// Whether a case may go from `self` to `next`.
    ///
    /// Forward one step; over 連絡 where an emergency basis needs no request; back to 遮断対応 when an attack returns; and to
    /// the end from anywhere but 遮断対応, since nothing may stay in force in a closed case.
    pub const fn may_become(self, next: Phase) -> bool {
        use Phase::{Assess, Closed, Contact, Mitigate, Recover};
        matches!(
            (self, next),
            (Assess, Contact | Mitigate | Closed)
                | (Contact, Mitigate | Closed)
                | (Mitigate, Recover)
                | (Recover, Mitigate | Closed)
        )
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Assess => "assess",
            Phase::Contact => "contact",
            Phase::Mitigate => "mitigate",
            Phase::Recover => "recover",
            Phase::Closed => "closed",
        })
    }
}
