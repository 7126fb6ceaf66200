//! Disks that are full, files that are gone.

use super::Steps;
use super::trial::{ACL, Trial, small_disk};
use crate::attack::Stream::Web;
use crate::invariants::Should;
use crate::{clock, proc};
use anyhow::{Result, ensure};
use std::io::Write as _;
use std::process::Command;

pub const STEPS: &[(&str, Steps)] = &[
    ("disk-full", disk_full),
    ("disk-full-then-killed", disk_full_then_killed),
    ("disk-read-only", disk_read_only),
    ("ledger-removed", ledger_removed),
    ("ledger-removed-then-killed", ledger_removed_then_killed),
    ("head-file-removed", head_file_removed),
    ("journal-removed", journal_removed),
    ("socket-removed", socket_removed),
];

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

/// The release is in no ledger, only in the journal, or not even there.
fn disk_full_then_killed(t: &mut Trial<'_>) -> Result<()> {
    on_small_disk(t)?;
    let id = t.put(&ACL)?;
    fill(t)?;
    t.lab.operator(&["measure", "release", &id])?;
    t.expect(Web, Should::Pass);
    t.wait(Web, Should::Pass)?;
    t.kill9();
    std::fs::remove_file(t.lab.scenery.folder().join("disk/filler"))?;
    // If the journal could not be written either, the ledger says that it is in force, and it is put back.
    t.expect(Web, Should::Either);
    t.start()?;
    let (status, _) = t.status(&id)?;
    t.notes.push(format!("{id} is {status} after the start"));
    ensure!(status == "released", "{id} was released with a full disk and is {status} after the start");
    t.expect(Web, Should::Pass);
    t.agreed(&[])
}

fn disk_read_only(t: &mut Trial<'_>) -> Result<()> {
    on_small_disk(t)?;
    t.both()?;
    let disk = t.lab.scenery.folder().join("disk");
    // A file system with files open for writing is not made read-only; an error of the disk looks like this to us.
    let made = proc::output(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk))?;
    if made.0 != Some(0) {
        fill(t)?;
    }
    t.notes.push(if made.0 == Some(0) { "read-only".into() } else { "busy, so full instead".into() });
    t.lab.operator(&["measure", "release", "--all"])?;
    for stream in crate::attack::Stream::ALL {
        t.expect(stream, Should::Pass);
    }
    let left = clock::until(t.bound_ms, || t.lab.left_overs().ok()?.is_empty().then_some(()));
    ensure!(left.is_some(), "`release --all` leaves {:?}", t.lab.left_overs()?);
    proc::run(Command::new("mount").args(["-o", "remount,rw"]).arg(&disk))?;
    // It is not there after a read-only disk.
    let _ = std::fs::remove_file(disk.join("filler"));
    t.agreed(&[])
}

/// Killed after that, it starts with an empty ledger, and the routers are full.
fn ledger_removed_then_killed(t: &mut Trial<'_>) -> Result<()> {
    t.put(&ACL)?;
    t.kill9();
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.head"] {
        // The small files come and go with the database.
        let _ = std::fs::remove_file(t.lab.suimon.data().join(file));
    }
    // What nobody's ledger wants: a person decides, or it is let go.
    t.expect(Web, Should::Either);
    t.start()?;
    t.notes.push(format!("after the start: {:?}", crate::peers::tables(t.net(), "edge1")?));
    t.lab.operator(&["measure", "release", "--all"])?;
    t.expect(Web, Should::Pass);
    t.wait(Web, Should::Pass)?;
    t.agreed(&[])
}

fn head_file_removed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    std::fs::remove_file(t.lab.suimon.data().join("ledger.head"))?;
    t.agreed(&[])
}

fn journal_removed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    std::fs::remove_file(t.lab.suimon.data().join("release.journal"))?;
    t.agreed(&[])
}

/// The command line loses its way in; what is in force stays, and a start brings it back.
fn socket_removed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    std::fs::remove_file(t.lab.suimon.data().join("suimon.sock"))?;
    ensure!(t.lab.list().is_err(), "the command line works without its socket");
    t.expect(crate::attack::Stream::Spare1, Should::Either);
    t.expect(crate::attack::Stream::Spare2, Should::Either);
    t.lab.suimon.stop();
    t.start()?;
    t.agreed(&[])?;
    t.wait(Web, Should::Drop)
}
