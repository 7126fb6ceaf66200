//! `cargo xtask lab`: builds what it needs and becomes the lab's program.

use crate::{cargo, setup};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Becomes the lab with these arguments.
pub fn lab(args: &[String]) -> Result<ExitCode> {
    cargo::replace_by(ready(args)?)
}

/// Runs every fault; whether all held.
pub fn faults() -> Result<bool> {
    cargo::run(&mut ready(&["--faults".to_owned()])?)
}

fn ready(args: &[String]) -> Result<Command> {
    setup::for_build()?;
    let only_words = args.iter().any(|a| matches!(a.as_str(), "--down" | "--help" | "-h" | "list"));
    let mut build = cargo::command();
    build.args(["build", "--package", "suimon-netlab", "--bin", "suimon-netlab"]);
    if !only_words {
        setup::for_tests();
        build.args(["--package", "suimon", "--bin", "suimon"]);
    }
    eprintln!("xtask: building suimon and the lab (minutes the first time, seconds after)");
    if !cargo::run(&mut build)? {
        bail!("the lab does not build; cargo's message is above");
    }
    let own = std::env::current_exe().context("the path of this program")?;
    let folder = own.parent().map_or_else(PathBuf::new, PathBuf::from);
    let mut command = Command::new(folder.join("suimon-netlab"));
    command.arg("--suimon").arg(folder.join("suimon")).args(args);
    Ok(command)
}
