//! Benchmarks that compare Suimon with others.

use crate::cargo;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// `cargo xtask bench wire|collect`.
pub fn bench(args: &[String]) -> Result<ExitCode> {
    match args.first().map(String::as_str) {
        Some("wire") => {
            let mut command = cargo::command();
            command.current_dir(cargo::root()).args(["bench", "--package", "suimon-wire", "--bench", "wire", "--"]);
            cargo::replace_by({
                command.args(args.get(1..).unwrap_or_default());
                command
            })
        }
        _ => {
            crate::setup::for_bench();
            bail!("bench what? `wire`")
        }
    }
}
