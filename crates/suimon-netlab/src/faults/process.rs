//! Suimon itself dies, freezes, or is started twice.

use super::Steps;
use super::trial::{ACL, Trial};
use crate::attack::Stream::{Spare1, Spare2, Web};
use crate::clock;
use crate::invariants::Should;
use crate::peers;
use crate::suimon::Suimon;
use anyhow::{Context as _, Result, ensure};

pub const STEPS: &[(&str, Steps)] =
    &[("kill-applied", kill_applied), ("kill-approved", kill_approved), ("second-on-same-data", second_on_same_data)];

/// The filter stays, the routes go with their sessions, and both are as ordered after the start.
fn kill_applied(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.kill9();
    t.expect(Spare1, Should::Pass);
    t.expect(Spare2, Should::Pass);
    t.wait(Spare1, Should::Pass)?;
    t.wait(Spare2, Should::Pass)?;
    ensure!(!peers::tables(t.net(), "edge1")?.is_empty(), "the filter on edge 1 went with the process");
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    t.start()?;
    t.expect(Spare1, Should::Drop);
    t.expect(Spare2, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.wait(Spare2, Should::Drop)?;
    t.agreed(&[])
}

fn kill_approved(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("slow")?;
    t.expect(Web, Should::Either);
    let id = t.lab.propose(&t.case, &ACL)?;
    t.lab.approve(&id)?;
    clock::sleep_ms(600);
    t.kill9();
    t.nft_fault("")?;
    t.start()?;
    t.lab.reaches(&id, &["applied"], t.bound_ms)?;
    t.expect(Web, Should::Drop);
    t.wait(Web, Should::Drop)?;
    t.agreed(&[])
}

fn second_on_same_data(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    let binary = t.lab.suimon.binary.clone();
    let mut second = Suimon::new(&binary, t.net(), "second");
    second.variant = t.lab.suimon.variant.clone();
    second.variant.collector = 2056;
    second.launch(t.net())?;
    let said = second.wait_end(t.net(), t.bound_ms).context("the second Suimon did not end")?;
    t.notes.push(said.clone());
    ensure!(said.contains("exit status: 3") || said.contains("exit status: 2"), "{said}");
    clock::sleep_ms(1_000);
    t.agreed(&[])?;
    Ok(())
}
