//! Passwords and keys.

use std::fmt;

/// A password or key. It prints as a tag and is not serialised; the daemon reads it from a file and hands it in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps what a secret file holds; the line break at its end is no part of the secret.
    pub fn new(text: &str) -> Self {
        Secret(text.trim_end_matches(['\r', '\n']).to_owned())
    }
    /// The secret itself, for the one place that sends or signs with it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
