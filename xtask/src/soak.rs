//! The long runs that CI has no time for.

use crate::{cargo, lab, programs, setup};
use anyhow::{Context as _, Result, bail};
use std::process::ExitCode;

/// How long each fuzz target runs where nobody says otherwise.
const FUZZ_MINUTES: u64 = 10;

/// `cargo xtask soak [MINUTES] [fuzz|ignored|lab]…`.
pub fn soak(args: &[String]) -> Result<ExitCode> {
    let mut minutes = FUZZ_MINUTES;
    let mut parts: Vec<&str> = Vec::new();
    for arg in args {
        match arg.as_str() {
            "fuzz" | "ignored" | "lab" => parts.push(arg),
            number => minutes = number.parse().with_context(|| format!("`{number}` is neither minutes nor a part"))?,
        }
    }
    if parts.is_empty() {
        parts = vec!["fuzz", "ignored", "lab"];
    }
    setup::for_build()?;
    setup::for_tests();
    let mut failed = Vec::new();
    if parts.contains(&"fuzz") {
        failed.extend(fuzz(minutes)?);
    }
    if parts.contains(&"ignored") {
        eprintln!("xtask: tests marked #[ignore], one after the other");
        let mut tests = cargo::command();
        tests.current_dir(cargo::root());
        tests.args(["test", "--workspace", "--no-fail-fast", "--", "--ignored", "--test-threads=1"]);
        if !cargo::run(&mut tests)? {
            failed.push("the ignored tests".to_owned());
        }
    }
    if parts.contains(&"lab") {
        eprintln!("xtask: every fault of the lab");
        if !lab::faults()? {
            failed.push("faults of the lab".to_owned());
        }
    }
    if failed.is_empty() {
        println!("soak: nothing found");
        return Ok(ExitCode::SUCCESS);
    }
    println!("soak: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Runs every target under `fuzz/` for `minutes`; the names of those that found something.
fn fuzz(minutes: u64) -> Result<Vec<String>> {
    let dir = cargo::root().join("fuzz/fuzz_targets");
    if !dir.is_dir() {
        bail!("{} is not there: no fuzz targets", dir.display());
    }
    if programs::find("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz --locked (and Debian's clang)");
    }
    let mut targets: Vec<_> = std::fs::read_dir(&dir)
        .with_context(|| dir.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|p| p.extension().is_some_and(|x| x == "rs")))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort_unstable();
    let mut found = Vec::new();
    for target in targets {
        eprintln!("xtask: fuzz target {target} for {minutes} min");
        // Without a sanitizer cargo-fuzz works on the stable toolchain; the code is safe Rust, panics are what is sought.
        let mut run = cargo::command();
        run.current_dir(cargo::root()).args(["fuzz", "run", "--sanitizer", "none", target.as_str(), "--"]);
        run.arg(format!("-max_total_time={}", minutes * 60));
        if !cargo::run(&mut run)? {
            found.push(target);
        }
    }
    Ok(found)
}
