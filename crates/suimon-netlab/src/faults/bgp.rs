//! Peers that die, flap, ask again, refuse, or cannot be reached.

use super::Steps;
use super::trial::{FLOW, HOLE, Trial};
use crate::attack::Stream::{Spare1, Spare2};
use crate::clock;
use crate::invariants::Should;
use crate::peers::{self, Peer};
use anyhow::{Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[
    ("bird-killed", bird_killed),
    ("frr-killed", frr_killed),
    ("peer-down-at-release", peer_down_at_release),
    ("route-refresh", route_refresh),
    ("sessions-flap", sessions_flap),
];

/// BIRD leaves its black holes in the kernel when it is killed; FRR's go.
fn bird_killed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.scenery.kill("bird");
    clock::sleep_ms(2_000);
    t.lab.scenery.start("bird")?;
    t.agreed(&[])?;
    t.wait(Spare1, Should::Drop)
}

fn frr_killed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.scenery.kill("bgpd");
    clock::sleep_ms(2_000);
    t.lab.scenery.start("bgpd")?;
    t.agreed(&[])?;
    t.wait(Spare2, Should::Drop)
}

fn peer_down_at_release(t: &mut Trial<'_>) -> Result<()> {
    let hole = t.put(&HOLE)?;
    t.lab.scenery.kill("bgpd");
    t.release(&hole, &HOLE)?;
    t.lab.reaches(&hole, &["released"], t.bound_ms)?;
    t.lab.scenery.start("bgpd")?;
    t.lab.peers_up(&[Peer::Frr])?;
    t.agreed(&[])
}

fn route_refresh(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.put(&FLOW)?;
    peers::birdc(t.net(), "reload in suimon")?;
    peers::vtysh(t.net(), &format!("clear bgp ipv4 unicast {} in", crate::net::SUIMON))?;
    peers::vtysh(t.net(), &format!("clear bgp ipv4 flowspec {} in", crate::net::SUIMON))?;
    clock::sleep_ms(1_500);
    let asked = t.lab.suimon.logged(t.net());
    ensure!(Peer::ALL.iter().all(|p| p.is_up(t.net())), "a session went down: {asked}");
    t.agreed(&[])
}

fn sessions_flap(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    for _ in 0..4 {
        for peer in [Peer::Bird, Peer::Frr] {
            peer.reset(t.net())?;
        }
        clock::sleep_ms(700);
    }
    t.agreed(&[])?;
    t.wait(Spare1, Should::Drop)?;
    t.wait(Spare2, Should::Drop)
}
