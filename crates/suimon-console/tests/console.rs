//! The console over the real engine, ledger and policies.

#![expect(clippy::unwrap_used, reason = "helpers of tests, like the tests themselves, fail by panicking")]

#[path = "console/access.rs"]
mod access;
#[path = "console/api.rs"]
mod api;
#[path = "console/bench.rs"]
mod bench;
#[path = "console/documents.rs"]
mod documents;
#[path = "console/forms.rs"]
mod forms;
#[path = "console/sockets.rs"]
mod sockets;
