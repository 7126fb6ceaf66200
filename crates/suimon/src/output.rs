//! Printing: the one place that writes to standard output.

use serde::Serialize;
use std::io::Write as _;

/// Prints a line. A reader that went away (`| head`) ends the program quietly.
pub fn line(text: impl std::fmt::Display) {
    if writeln!(std::io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints text as it is.
pub fn raw(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints one JSON object on one line.
pub fn json<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        // Our own types serialize; a map with odd keys would be a mistake of ours.
        Err(error) => tracing::error!(%error, "output cannot be written as JSON"),
    }
}
