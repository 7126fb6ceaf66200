//! Suimon itself dies, freezes, or is started twice.

use super::Steps;
use super::trial::{ACL, HOLE, Trial};
use crate::attack::Stream::{Spare1, Spare2, Web};
use crate::clock;
use crate::invariants::Should;
use crate::lab::Ask;
use crate::peers;
use crate::suimon::Suimon;
use anyhow::{Context as _, Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[
    ("kill-applied", kill_applied),
    ("kill-approved", kill_approved),
    ("second-on-same-data", second_on_same_data),
    ("second-on-same-peers", second_on_same_peers),
    ("kill-proposed", kill_proposed),
    ("kill-applying-routes", kill_applying_routes),
    ("kill-releasing", kill_releasing),
    ("kill-then-due", kill_then_due),
    ("kill-starting", kill_starting),
    ("kill-again-and-again", kill_again_and_again),
    ("suimon-frozen", suimon_frozen),
    ("terminated", terminated),
];

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

/// The copy of a configuration with another data folder: its ledger is empty, and the routers are full.
fn second_on_same_peers(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    let binary = t.lab.suimon.binary.clone();
    let mut second = Suimon::new(&binary, t.net(), "second");
    second.variant.collector = 2056;
    second.variant.data = t.lab.scenery.folder().join("second").display().to_string();
    second.launch(t.net())?;
    clock::sleep_ms(6_000);
    let tables = peers::tables(t.net(), "edge1")?;
    let said = second.logged(t.net());
    second.kill9();
    // A folder of a later trial must not find it.
    let _ = std::fs::remove_dir_all(t.lab.scenery.folder().join("second"));
    if said.contains("released") {
        t.notes.push("the second says that it released something".into());
    }
    ensure!(!tables.is_empty(), "a second Suimon with another data folder took the first one's filter away");
    t.agreed(&[])
}

fn kill_proposed(t: &mut Trial<'_>) -> Result<()> {
    let id = t.lab.propose(&t.case, &ACL)?;
    t.kill9();
    t.start()?;
    let (status, _) = t.status(&id)?;
    ensure!(status == "proposed", "{id} is {status} after the start");
    t.agreed(&[])?;
    t.expect(Web, Should::Either);
    t.lab.approve(&id)?;
    t.lab.reaches(&id, &["applied"], 15_000)?;
    t.expect(Web, Should::Drop);
    t.wait(Web, Should::Drop)
}

/// Right after the approval, while routes are on their way.
fn kill_applying_routes(t: &mut Trial<'_>) -> Result<()> {
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    let id = t.lab.propose(&t.case, &HOLE)?;
    t.lab.approve(&id)?;
    t.kill9();
    t.start()?;
    t.lab.reaches(&id, &["applied"], t.bound_ms)?;
    t.expect(Spare1, Should::Drop);
    t.expect(Spare2, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.agreed(&[])
}

fn kill_releasing(t: &mut Trial<'_>) -> Result<()> {
    let id = t.put(&ACL)?;
    t.nft_fault("stuck")?;
    t.lab.operator(&["measure", "release", &id])?;
    t.expect(Web, Should::Either);
    clock::sleep_ms(500);
    t.kill9();
    t.nft_fault("")?;
    t.start()?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)
}

/// The end comes while nobody is there to keep it.
fn kill_then_due(t: &mut Trial<'_>) -> Result<()> {
    let id = t.put(&Ask { end: "6s", ..ACL })?;
    t.kill9();
    t.expect(Web, Should::Either);
    clock::sleep_ms(7_000);
    t.start()?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)
}

fn kill_starting(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.kill9();
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    for wait_ms in [50, 200, 500] {
        t.lab.suimon.launch(&t.lab.scenery.net)?;
        clock::sleep_ms(wait_ms);
        t.kill9();
    }
    t.start()?;
    t.expect(Spare1, Should::Drop);
    t.expect(Spare2, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.agreed(&[])
}

fn kill_again_and_again(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    for _ in 0..4 {
        t.kill9();
        t.lab.suimon.start(&t.lab.scenery.net)?;
    }
    t.lab.peers_up(&peers::Peer::ALL)?;
    t.expect(Spare1, Should::Drop);
    t.expect(Spare2, Should::Drop);
    t.wait(Spare2, Should::Drop)?;
    t.agreed(&[])
}

/// It hangs longer than the hold time and wakes up.
fn suimon_frozen(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.suimon.signal("STOP");
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    clock::sleep_ms(9_000);
    t.lab.suimon.signal("CONT");
    t.lab.peers_up(&peers::Peer::ALL)?;
    t.expect(Spare1, Should::Drop);
    t.expect(Spare2, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.wait(Spare2, Should::Drop)?;
    t.agreed(&[])
}

fn terminated(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.suimon.stop();
    t.expect(Spare1, Should::Pass);
    t.expect(Spare2, Should::Pass);
    t.wait(Spare1, Should::Pass)?;
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    t.start()?;
    t.expect(Spare1, Should::Drop);
    t.expect(Spare2, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.agreed(&[])
}
