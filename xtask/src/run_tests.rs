//! Everything that CI runs, and the rewriting of goldens.

use crate::cargo;
use crate::setup;
use crate::totals::Totals;
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// `cargo xtask test [FILTER] [-p X]`.
pub fn test(args: &[String]) -> Result<ExitCode> {
    setup::for_build()?;
    setup::for_tests();
    let mut totals = Totals::default();
    if args.is_empty() {
        check(&mut totals, &["fmt", "--all", "--", "--check"], "rustup component add rustfmt")?;
        let lints = ["clippy", "--workspace", "--all-targets", "--features", "xtask/bench", "--", "--deny", "warnings"];
        check(&mut totals, &lints, "rustup component add clippy")?;
    }
    let log = SkipLog::new()?;
    run(&mut totals, args, &[("SUIMON_SKIP_LOG", log.0.clone().into_os_string())])?;
    totals.skips(&log.read());
    println!();
    print!("{}", totals.closing_lines());
    std::io::stdout().flush().context("standard output")?;
    Ok(if totals.any_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `cargo xtask bless [FILTER]`: the same tests with `UPDATE=1`, then what changed in the tree.
pub fn bless(args: &[String]) -> Result<ExitCode> {
    setup::for_build()?;
    setup::for_tests();
    let mut totals = Totals::default();
    run(&mut totals, args, &[("UPDATE", "1".into())])?;
    println!();
    print!("{}", totals.closing_lines());
    if totals.any_failed() {
        println!("goldens were written all the same where their test came that far");
    }
    println!("changed and new files (read them before you commit them):");
    cargo::run(Command::new("git").current_dir(cargo::root()).args(["status", "--short"]))?;
    Ok(if totals.any_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(totals: &mut Totals, args: &[&str], hint: &str) -> Result<()> {
    let mut command = cargo::command();
    command.current_dir(cargo::root()).args(args);
    let shown = cargo::shown(&command);
    eprintln!("xtask: {shown}");
    if !cargo::run(&mut command)? {
        eprintln!("xtask: {shown} failed (where cargo has no such command: {hint})");
        totals.step_failed(&shown);
    }
    Ok(())
}

/// `cargo test`, its lines shown as they come and counted.
fn run(totals: &mut Totals, args: &[String], env: &[(&str, std::ffi::OsString)]) -> Result<()> {
    let mut command = cargo::command();
    command.current_dir(cargo::root()).args(["test", "--no-fail-fast"]);
    if !args.iter().any(|a| a == "-p" || a.starts_with("--package")) {
        command.arg("--workspace");
    }
    command.args(args).env("SUIMON_SHARED", shared()).envs(env.iter().map(|(k, v)| (k, v)));
    if let Some(dir) = setup::python_packages() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let with_ours = std::env::split_paths(&path).chain([dir.join("bin")]);
        command.env("PATH", std::env::join_paths(with_ours).context("PATH")?).env("PYTHONPATH", dir);
    }
    let shown = cargo::shown(&command);
    eprintln!("xtask: {shown}");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {shown}"))?;
    let output = child.stdout.take().context("cargo's output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cargo's output")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        totals.line(&line);
    }
    let status = child.wait().context("cargo")?;
    if !status.success() && !totals.any_failed() {
        // It did not compile, or a test process died before it could count.
        totals.step_failed(&format!("{shown} ({status})"));
    }
    Ok(())
}

/// The outside data, as an absolute path: each test runs in its own crate's folder.
fn shared() -> PathBuf {
    let wanted = std::env::var_os("SUIMON_SHARED").map_or_else(|| cargo::root().join("../shared"), PathBuf::from);
    let found = std::fs::canonicalize(&wanted);
    if found.is_err() {
        eprintln!("xtask: {} is not there (SUIMON_SHARED); tests on captures are skipped", wanted.display());
    }
    found.or_else(|_| std::path::absolute(&wanted)).unwrap_or(wanted)
}

/// Where skipped tests sign themselves, for one run.
struct SkipLog(PathBuf);

impl SkipLog {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("suimon-skips-{}.log", std::process::id()));
        std::fs::write(&path, "").with_context(|| path.display().to_string())?;
        Ok(SkipLog(path))
    }
    fn read(&self) -> String {
        std::fs::read(&self.0).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }
}

impl Drop for SkipLog {
    fn drop(&mut self) {
        // A file left in the temporary folder harms nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}
