//! `bench synthesis`: how long a decision of `filter synthesize` takes on a million flows.

use crate::{cargo, setup};
use anyhow::Result;
use std::process::ExitCode;

/// Flows of one decision where nothing is said.
const FLOWS: &str = "1000000";

/// `cargo xtask bench synthesis [FLOWS]`; fails where a decision takes too long.
pub fn synthesis(args: &[String]) -> Result<ExitCode> {
    setup::for_build()?;
    let flows = args.first().map_or(FLOWS, String::as_str);
    let mut command = cargo::command();
    command.current_dir(cargo::root()).args([
        "run",
        "--release",
        "--package",
        "xtask",
        "--features",
        "bench-synthesis",
    ]);
    command.args(["--bin", "xtask-synthesis", "--", flows]);
    cargo::replace_by(command)
}
