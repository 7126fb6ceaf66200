//! Routers that refuse, hang, do half, restart, or are changed by hand.

use super::Steps;
use super::trial::{ACL, ACL2, Trial};
use crate::attack::Stream::{Dns, Web};
use crate::invariants::Should;
use crate::peers;
use crate::{clock, proc};
use anyhow::{Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[
    ("ssh-cut-after-load", ssh_cut_after_load),
    ("half-applied", half_applied),
    ("router-down-at-release", router_down_at_release),
    ("router-reboot-then-restart", router_reboot_then_restart),
    ("ssh-cut-before-load", ssh_cut_before_load),
    ("nft-refuses", nft_refuses),
    ("router-hangs", router_hangs),
    ("router-floods", router_floods),
    ("host-key-changed", host_key_changed),
    ("sshd-dead-at-apply", sshd_dead_at_apply),
    ("sshd-dead-at-release", sshd_dead_at_release),
    ("slow-load", slow_load),
    ("delete-refused", delete_refused),
    ("foreign-table", foreign_table),
    ("table-deleted-then-restart", table_deleted_then_restart),
    ("one-of-two-routers-down", one_of_two_routers_down),
];

fn ssh_cut_after_load(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("cut")?;
    t.put_fails(&ACL, 20_000)?;
    t.wait(Web, Should::Pass)
}

fn half_applied(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("half")?;
    let error = t.put_fails(&ACL, 20_000)?;
    ensure!(error.contains("not dropped though wanted"), "{error}");
    t.wait(Web, Should::Pass)
}

fn router_down_at_release(t: &mut Trial<'_>) -> Result<()> {
    let acl = t.put(&ACL)?;
    t.cable("edge1", false)?;
    t.lab.operator(&["measure", "release", &acl])?;
    // Nobody reaches the router: that it still drops is the named exception.
    t.expect(Web, Should::Either);
    clock::sleep_ms(6_000);
    let (status, _) = t.status(&acl)?;
    ensure!(status == "releasing", "{acl} is {status} though its router cannot be reached");
    t.cable("edge1", true)?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&acl, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)
}

/// Power off and on: nothing of nftables, of the run folder, of BGP or of sshd survives.
fn router_reboot_then_restart(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.put(&ACL2)?;
    t.lab.scenery.kill("bird");
    t.lab.scenery.kill("sshd1");
    proc::run(t.net().command("edge1", "nft").args(["flush", "ruleset"]))?;
    // Nothing has to be in it.
    let _ = std::fs::remove_dir_all(t.lab.scenery.folder().join("edge1/run"));
    // Nobody has told Suimon: that edge 1 forwards until somebody does is the named exception.
    t.expect(Web, Should::Either);
    t.lab.scenery.start("bird")?;
    t.lab.scenery.start("sshd1")?;
    clock::sleep_ms(1_000);
    t.lab.suimon.stop();
    t.start()?;
    t.agreed(&[])?;
    t.expect(Web, Should::Drop);
    t.wait(Web, Should::Drop)?;
    t.wait(Dns, Should::Drop)
}

fn ssh_cut_before_load(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("cut-before")?;
    t.put_fails(&ACL, 20_000)?;
    t.wait(Web, Should::Pass)
}

fn nft_refuses(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("refuse")?;
    let error = t.put_fails(&ACL, 20_000)?;
    ensure!(error.contains("nothing was loaded"), "{error}");
    t.wait(Web, Should::Pass)
}

fn router_hangs(t: &mut Trial<'_>) -> Result<()> {
    t.put(&super::trial::HOLE)?;
    t.nft_fault("hang")?;
    let error = t.put_fails(&ACL, 30_000)?;
    ensure!(error.contains("no answer within"), "{error}");
    t.nft_fault("")?;
    t.agreed(&[])
}

fn router_floods(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("flood")?;
    let error = t.put_fails(&ACL, 60_000)?;
    ensure!(error.contains("more than") || error.contains("no answer within"), "{error}");
    t.nft_fault("")?;
    t.agreed(&[])
}

fn host_key_changed(t: &mut Trial<'_>) -> Result<()> {
    t.lab.scenery.pin("other")?;
    let error = t.put_fails(&ACL, 20_000)?;
    ensure!(error.contains("not the key that is pinned"), "{error}");
    t.lab.scenery.pin("host")?;
    t.put(&ACL)?;
    t.agreed(&[])
}

fn sshd_dead_at_apply(t: &mut Trial<'_>) -> Result<()> {
    t.lab.scenery.kill("sshd1");
    t.put_fails(&ACL, 20_000)?;
    t.lab.scenery.start("sshd1")?;
    t.agreed(&[])
}

fn sshd_dead_at_release(t: &mut Trial<'_>) -> Result<()> {
    let acl = t.put(&ACL)?;
    t.lab.scenery.kill("sshd1");
    t.lab.operator(&["measure", "release", &acl])?;
    t.expect(Web, Should::Either);
    clock::sleep_ms(2_000);
    t.lab.scenery.start("sshd1")?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&acl, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)
}

fn slow_load(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("slow")?;
    t.put(&ACL)?;
    t.nft_fault("")?;
    clock::sleep_ms(6_000);
    // The undo that was armed must not come late.
    t.wait(Web, Should::Drop)?;
    t.agreed(&[])
}

fn delete_refused(t: &mut Trial<'_>) -> Result<()> {
    let acl = t.put(&ACL)?;
    t.nft_fault("stuck")?;
    t.lab.operator(&["measure", "release", &acl])?;
    t.expect(Web, Should::Either);
    clock::sleep_ms(3_000);
    let (status, _) = t.status(&acl)?;
    ensure!(status == "releasing", "{acl} is {status} though the router refuses to delete");
    t.nft_fault("")?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&acl, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)
}

/// Somebody's own table is never touched, not even by a start.
fn foreign_table(t: &mut Trial<'_>) -> Result<()> {
    let nft = |t: &Trial<'_>, args: &[&str]| proc::run(t.net().command("edge1", "nft").args(args));
    nft(t, &["add", "table", "inet", "operators_own"])?;
    t.both()?;
    t.lab.suimon.stop();
    t.start()?;
    t.agreed(&[])?;
    let there = nft(t, &["list", "tables"])?;
    nft(t, &["delete", "table", "inet", "operators_own"])?;
    ensure!(there.contains("operators_own"), "a table that is not ours is gone: {there}");
    Ok(())
}

fn table_deleted_then_restart(t: &mut Trial<'_>) -> Result<()> {
    t.put(&ACL)?;
    for table in peers::tables(t.net(), "edge1")? {
        proc::run(t.net().command("edge1", "nft").args(["delete", "table", "inet", &table]))?;
    }
    // Somebody deleted it at the console: until a start, or a look, it forwards.
    t.expect(Web, Should::Either);
    t.lab.suimon.stop();
    t.start()?;
    t.expect(Web, Should::Drop);
    t.wait(Web, Should::Drop)?;
    t.agreed(&[])
}

fn one_of_two_routers_down(t: &mut Trial<'_>) -> Result<()> {
    t.cable("edge1", false)?;
    t.put(&ACL2)?;
    let error = t.put_fails(&ACL, 40_000)?;
    ensure!(!error.is_empty(), "no words");
    t.cable("edge1", true)?;
    t.wait(Dns, Should::Drop)?;
    t.agreed(&[])
}
