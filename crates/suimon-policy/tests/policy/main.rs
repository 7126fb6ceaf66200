//! The policy engine over the Japanese pack.

#![expect(clippy::unwrap_used, reason = "a test helper that finds nothing should stop the test")]

mod cases;
mod common;
mod golden;
mod pack;
