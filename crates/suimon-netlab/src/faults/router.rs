//! Routers that refuse, hang, do half, restart, or are changed by hand.

use super::Steps;
use super::trial::{ACL, ACL2, Trial};
use crate::attack::Stream::{Dns, Web};
use crate::invariants::Should;
use crate::{clock, proc};
use anyhow::{Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[
    ("ssh-cut-after-load", ssh_cut_after_load),
    ("half-applied", half_applied),
    ("router-down-at-release", router_down_at_release),
    ("router-reboot-then-restart", router_reboot_then_restart),
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
