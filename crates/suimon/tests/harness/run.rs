//! Runs the program as a shell would.

use serde_json::Value;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `suimon` with these arguments to its end.
pub fn suimon(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_suimon"));
    let output = command.args(args).env_remove("SUIMON_LOG").env_remove("SUIMON_SOCKET").stdin(Stdio::null());
    let output = output.output().expect("start suimon");
    Run {
        code: output.status.code().expect("suimon was killed by a signal"),
        out: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        err: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
    }
}

impl Run {
    /// Standard output as JSON, one object a line; fails where the command did not end with `code`.
    pub fn lines(&self, code: i32) -> Vec<Value> {
        assert_eq!(self.code, code, "{}", self.err);
        let parse = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
        self.out.lines().map(parse).collect()
    }
}
