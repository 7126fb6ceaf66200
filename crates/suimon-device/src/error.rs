//! What can go wrong with a router, by what the caller does next.

/// Why a device did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Configuration, key file or order is wrong: a person corrects it; asking again changes nothing.
    #[error("{0}")]
    Config(String),
    /// The router shows another host key than the pinned one, or none is pinned: a person finds out why.
    #[error(
        "host key of {place} refused: {reason}. Nothing was sent. Find out over another way whether the router was \
         replaced; only then change the known-hosts file"
    )]
    HostKey {
        /// Address and port.
        place: String,
        /// Unknown or changed.
        reason: String,
    },
    /// The router does not let us in.
    #[error("{place} refuses the login: {reason}")]
    Login {
        /// Address and port.
        place: String,
        /// What the client said.
        reason: String,
    },
    /// No session, or it ended early: worth another try later.
    #[error("{place}: {reason} while: {step}")]
    Lost {
        /// Address and port.
        place: String,
        /// What was under way.
        step: String,
        /// What the client said last.
        reason: String,
    },
    /// The router did not answer in time.
    #[error("no answer within {limit_s} s while: {step}")]
    Late {
        /// What was under way.
        step: String,
        /// The bound, in seconds.
        limit_s: u64,
    },
    /// The router said more than anything sensible.
    #[error("more than {limit_octets} octets of output while: {step}; the session was ended")]
    Flood {
        /// What was under way.
        step: String,
        /// The bound, in octets.
        limit_octets: usize,
    },
    /// The router understood and refused.
    #[error("refused by the router while: {step}: {said}")]
    Said {
        /// What was under way.
        step: String,
        /// Its words, shortened.
        said: String,
    },
    /// What the router says cannot be read.
    #[error("cannot read the answer while: {step}: {reason}")]
    Unreadable {
        /// What was under way.
        step: String,
        /// Why.
        reason: String,
    },
    /// Something stands in the way that only a person may move.
    #[error("{0}")]
    InTheWay(String),
    /// The change did not become what was wanted; `undone` says what was done about it.
    #[error("not as wanted: {why}; {undone}")]
    NotAsWanted {
        /// The difference or the first error.
        why: String,
        /// Whether it was taken back, and how.
        undone: String,
    },
    /// The same, but taking it back did not succeed yet: somebody has to try again.
    #[error("not as wanted: {why}; {undone}")]
    Unfinished {
        /// The difference or the first error.
        why: String,
        /// What was tried.
        undone: String,
    },
}

impl DeviceError {
    /// Whether nothing of a change is on the router after this error.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(self, DeviceError::Config(_) | DeviceError::InTheWay(_) | DeviceError::NotAsWanted { .. })
    }

    /// The error of a change, by what became of taking it back.
    pub(crate) fn after_undo(why: String, undone: Result<String, String>) -> Self {
        match undone {
            Ok(undone) => DeviceError::NotAsWanted { why, undone },
            Err(undone) => DeviceError::Unfinished { why, undone },
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, DeviceError::Lost { .. } | DeviceError::Late { .. })
    }
}

/// At most `chars` characters of a device's words on one line, control characters as spaces.
pub(crate) fn words(text: &str, chars: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out: String = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if out.chars().count() > chars {
        out = out.chars().take(chars).collect::<String>() + " …";
    }
    out
}
