//! `bench bgp`: from approval to the peer, and a thousand Flowspec rules in and out.

use crate::{cargo, setup};
use anyhow::{Context as _, Result, bail};
use std::process::{Command, ExitCode};

/// From approval to the first peer, 99th percentile, milliseconds.
const FIRST_PEER_MS: f64 = 100.0;
/// A thousand rules announced, and withdrawn, milliseconds each.
const THOUSAND_MS: f64 = 2_000.0;

/// `cargo xtask bench bgp`.
pub fn bgp(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`bench bgp` takes no arguments, not `{arg}`");
    }
    setup::for_build()?;
    // Not the release profile: the hand's decision types pull the policy engine in, which takes ten minutes there, and the
    // figures here are bounds that the development profile keeps.
    let mut build = cargo::command();
    build.current_dir(cargo::root()).args(["build", "--package", "xtask", "--features", "bench-bgp"]);
    if !cargo::run(build.args(["--bin", "xtask-bgp"]))? {
        bail!("the measuring program does not build; cargo's message is above");
    }
    let output = Command::new(cargo::target_dir()?.join("debug/xtask-bgp")).output().context("xtask-bgp")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("xtask-bgp: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut good = true;
    for line in text.lines() {
        let (name, value) = line.rsplit_once(' ').context("a name and a figure")?;
        let ms: f64 = value.parse().with_context(|| line.to_owned())?;
        let most = match name {
            "first-peer-p99" => FIRST_PEER_MS,
            "thousand-apply" | "thousand-release" => THOUSAND_MS,
            _ => f64::INFINITY,
        };
        good &= ms < most;
        let verdict = if most.is_infinite() { String::new() } else { format!("  (under {most} ms: {})", ms < most) };
        println!("{name:<18} {ms:>9.2} ms{verdict}");
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
