//! The life of a measure, from proposal to proof that it is gone.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a measure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The policy engine refused it; what is missing is on record.
    Denied,
    /// Allowed, waiting for a second person.
    Proposed,
    /// A second person said no.
    Rejected,
    /// Approved; the hand is at work, or a person has been given the text to apply.
    Applying,
    /// The hand could not.
    Failed,
    /// In force.
    Applied,
    /// Its end has come; the hand is at work, or a person has been given the undo.
    Releasing,
    /// Gone, and checked as far as the hand can.
    Released,
}

/// What happens to a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A second person approves.
    Approve,
    /// A second person refuses.
    Reject,
    /// The hand, or the person who applied it, reports success.
    Applied,
    /// The hand reports that nothing is in force.
    ApplyFailed,
    /// An end condition, a person or a lost basis asks for release.
    Release,
    /// The hand, or the person who undid it, reports that nothing is in force any more.
    Released,
}

/// A step that does not fit where the measure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a measure that is {status} cannot take the step {step:?}")]
pub struct StepError {
    /// Where it stands.
    pub status: Status,
    /// What was asked.
    pub step: Step,
}

impl Status {
    /// The status after `step`.
    ///
    /// A release is taken from every state in which something might be in the network: carrying is the default.
    ///
    /// # Errors
    /// When the step does not fit.
    pub fn after(self, step: Step) -> Result<Status, StepError> {
        Ok(match (self, step) {
            (Status::Proposed, Step::Approve) => Status::Applying,
            (Status::Proposed, Step::Reject) => Status::Rejected,
            (Status::Applying, Step::Applied) => Status::Applied,
            (Status::Applying, Step::ApplyFailed) => Status::Failed,
            (Status::Applying | Status::Applied | Status::Releasing, Step::Release) => Status::Releasing,
            (Status::Releasing, Step::Released) => Status::Released,
            (status, step) => return Err(StepError { status, step }),
        })
    }

    /// Whether something of it may be in the network.
    pub const fn may_be_in_force(self) -> bool {
        matches!(self, Status::Applying | Status::Applied | Status::Releasing)
    }

    /// In Japanese.
    pub const fn ja(self) -> &'static str {
        match self {
            Status::Denied => "不可",
            Status::Proposed => "承認待ち",
            Status::Rejected => "却下",
            Status::Applying => "適用中",
            Status::Failed => "適用失敗",
            Status::Applied => "適用済み",
            Status::Releasing => "解除中",
            Status::Released => "解除済み",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Denied => "denied",
            Status::Proposed => "proposed",
            Status::Rejected => "rejected",
            Status::Applying => "applying",
            Status::Failed => "failed",
            Status::Applied => "applied",
            Status::Releasing => "releasing",
            Status::Released => "released",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [Status; 8] = [
        Status::Denied,
        Status::Proposed,
        Status::Rejected,
        Status::Applying,
        Status::Failed,
        Status::Applied,
        Status::Releasing,
        Status::Released,
    ];

    #[test]
    fn nothing_enters_the_network_without_approval_and_everything_in_it_can_leave() {
        for status in STATUSES {
            let applied = status.after(Step::Applied).is_ok();
            assert_eq!(applied, status == Status::Applying, "{status}");
            assert_eq!(status.after(Step::Release).is_ok(), status.may_be_in_force(), "{status}");
        }
        assert_eq!(Status::Proposed.after(Step::Approve), Ok(Status::Applying));
    }
}
