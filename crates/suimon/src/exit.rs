//! Exit codes: 0 done, 1 no (checked and found false), 2 bad input, 3 failed.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Checked and found false: a denial, a difference, a broken ledger.
    No,
}

/// Input that cannot be used; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Bad input as an error.
pub fn bad_input(text: impl Into<String>) -> anyhow::Error {
    BadInput(text.into()).into()
}

/// The code for the shell; says an error on standard error.
#[expect(clippy::print_stderr, reason = "errors of the command line go to standard error")]
pub fn code(result: anyhow::Result<Exit>) -> ExitCode {
    match result {
        Ok(Exit::Done) => ExitCode::from(0),
        Ok(Exit::No) => ExitCode::from(1),
        Err(error) => {
            eprintln!("suimon: {error:#}");
            let bad = error.chain().any(|e| e.is::<BadInput>());
            ExitCode::from(if bad { 2 } else { 3 })
        }
    }
}
