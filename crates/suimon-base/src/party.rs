//! Who acts, who asks, and on whose authority (catalogue rows 110–116).

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of name an actor's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// Suimon itself: a detector, a timer.
    System,
    /// A user of the operating system, known by the Unix socket's peer credentials.
    OsUser,
    /// A scripted role in an exercise.
    Role,
}

/// Who did something. `os-user:root`, `role:approver`, `system:clock`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The kind of name.
    pub kind: ActorKind,
    /// The name within its kind.
    pub name: String,
}

impl Actor {
    /// Suimon's own part `name`.
    pub fn system(name: &str) -> Self {
        Actor { kind: ActorKind::System, name: name.to_owned() }
    }
    /// An operating-system user.
    pub fn os_user(name: &str) -> Self {
        Actor { kind: ActorKind::OsUser, name: name.to_owned() }
    }
    /// A role of an exercise.
    pub fn role(name: &str) -> Self {
        Actor { kind: ActorKind::Role, name: name.to_owned() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ActorKind::System => "system",
            ActorKind::OsUser => "os-user",
            ActorKind::Role => "role",
        };
        write!(f, "{kind}:{}", self.name)
    }
}

/// What a contact may do for its company (catalogue row 112).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// May ask for an investigation.
    Ask,
    /// May order a measure.
    Order,
    /// May have a measure lifted.
    Lift,
    /// May receive data under the secrecy of communications.
    Disclose,
}

/// By which way words came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContactChannel {
    /// A telephone call.
    Telephone,
    /// A mail.
    Mail,
    /// The portal or the API, signed in.
    Portal,
}

/// The identity triplet of a request and the contact's authority (catalogue row 111).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Requester {
    /// Company or person under contract, as registered.
    pub company: String,
    /// The registered contact's id or role.
    pub contact: String,
    /// Service or line identifier.
    pub service: String,
}

/// Result of calling back a registered number (catalogue row 113).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Callback {
    /// Whether the registered contact confirmed the words.
    pub confirmed: bool,
    /// What was said, in a sentence.
    #[serde(default)]
    pub note: String,
}
