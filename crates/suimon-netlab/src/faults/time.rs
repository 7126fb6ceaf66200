//! Clocks that jump (libfaketime under Suimon alone).

use super::Steps;
use super::trial::{ACL, Trial};
use crate::attack::Stream::Web;
use crate::invariants::Should;
use crate::lab::Ask;
use anyhow::{Context as _, Result};

pub const STEPS: &[(&str, Steps)] = &[("clock-forward", clock_forward), ("clock-back", clock_back)];

/// Where Debian has the library.
fn library() -> Result<String> {
    let folders = std::fs::read_dir("/usr/lib").context("/usr/lib")?.flatten().map(|e| e.path());
    let found = folders.map(|d| d.join("faketime/libfaketime.so.1")).find(|p| p.is_file());
    Ok(found.context("libfaketime is not installed (`cargo xtask setup`)")?.display().to_string())
}

/// Restarts Suimon under a clock that this program sets.
fn under_our_clock(t: &mut Trial<'_>) -> Result<()> {
    let file = t.lab.scenery.folder().join("clock");
    std::fs::write(&file, "+0\n")?;
    t.lab.suimon.stop();
    t.lab.suimon.env = vec![
        ("LD_PRELOAD".into(), library()?),
        ("FAKETIME_TIMESTAMP_FILE".into(), file.display().to_string()),
        ("FAKETIME_NO_CACHE".into(), "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".into(), "1".into()),
    ];
    t.start()
}

fn jump(t: &Trial<'_>, offset: &str) -> Result<()> {
    t.lab.scenery.write("clock", &format!("{offset}\n"), 0o644)
}

/// An hour forward: a measure of 30 minutes is due, and one of 12 hours is not.
fn clock_forward(t: &mut Trial<'_>) -> Result<()> {
    under_our_clock(t)?;
    let short = t.put(&Ask { end: "30m", ..ACL })?;
    let long = t.put(&super::trial::HOLE)?;
    jump(t, "+3600")?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&short, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)?;
    t.lab.reaches(&long, &["applied"], 1_000)?;
    t.agreed(&[])
}

/// An hour back: a measure of 8 s must not last an hour.
fn clock_back(t: &mut Trial<'_>) -> Result<()> {
    under_our_clock(t)?;
    let short = t.put(&Ask { end: "8s", ..ACL })?;
    jump(t, "-3600")?;
    crate::clock::sleep_ms(8_000);
    t.expect(Web, Should::Pass);
    t.wait(Web, Should::Pass)?;
    t.lab.reaches(&short, &["released"], t.bound_ms)?;
    t.agreed(&[])
}
