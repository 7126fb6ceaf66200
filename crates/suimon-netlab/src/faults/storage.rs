//! Disks that are full, files that are gone.

use super::Steps;
use super::trial::{ACL, Trial, small_disk};
use crate::attack::Stream::Web;
use crate::invariants::Should;
use anyhow::{Result, ensure};
use std::io::Write as _;

pub const STEPS: &[(&str, Steps)] = &[("disk-full", disk_full), ("ledger-removed", ledger_removed)];

/// Fills the small disk to the last octet.
fn fill(t: &Trial<'_>) -> Result<()> {
    let path = t.lab.scenery.folder().join("disk/filler");
    let mut file = std::fs::File::create(path)?;
    for size in [65_536, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    Ok(())
}

fn disk_full(t: &mut Trial<'_>) -> Result<()> {
    on_small_disk(t)?;
    t.both()?;
    fill(t)?;
    let refused = t.lab.propose(&t.case, &ACL);
    ensure!(refused.is_err(), "a proposal was taken though it cannot be written down");
    t.lab.operator(&["measure", "release", "--all"])?;
    for stream in crate::attack::Stream::ALL {
        t.expect(stream, Should::Pass);
    }
    t.wait(Web, Should::Pass)?;
    let left = crate::clock::until(t.bound_ms, || t.lab.left_overs().ok()?.is_empty().then_some(()));
    ensure!(left.is_some(), "with a full disk `release --all` leaves {:?}", t.lab.left_overs()?);
    std::fs::remove_file(t.lab.scenery.folder().join("disk/filler"))?;
    // What waited in memory is written within 5 s.
    t.agreed(&[])
}

/// Starts again with the data folder on a small disk.
fn on_small_disk(t: &mut Trial<'_>) -> Result<()> {
    t.lab.suimon.stop();
    small_disk(t.lab, 8)?;
    t.start()?;
    t.case = t.lab.open_case()?;
    Ok(())
}

fn ledger_removed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        // The small files come and go with the database.
        let _ = std::fs::remove_file(t.lab.suimon.data().join(file));
    }
    t.lab.operator(&["measure", "release", "--all"])?;
    for stream in crate::attack::Stream::ALL {
        t.expect(stream, Should::Pass);
    }
    let left = crate::clock::until(t.bound_ms, || t.lab.left_overs().ok()?.is_empty().then_some(()));
    ensure!(left.is_some(), "without the ledger `release --all` leaves {:?}", t.lab.left_overs()?);
    // Its record is gone for good: the trial ends with a ledger of its own.
    t.lab.suimon.stop();
    std::fs::remove_dir_all(t.lab.suimon.data())?;
    t.start()
}
