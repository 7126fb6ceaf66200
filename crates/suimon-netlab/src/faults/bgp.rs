//! Peers that die, flap, ask again, refuse, or cannot be reached.

use super::Steps;
use super::trial::{FLOW, HOLE, LONG, Trial};
use crate::attack::Stream::{Spare1, Spare2};
use crate::clock;
use crate::invariants::Should;
use crate::lab::Ask;
use crate::peers::{self, Peer};
use anyhow::{Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[
    ("bird-killed", bird_killed),
    ("frr-killed", frr_killed),
    ("peer-down-at-release", peer_down_at_release),
    ("route-refresh", route_refresh),
    ("sessions-flap", sessions_flap),
    ("gobgp-killed", gobgp_killed),
    ("watcher-killed", watcher_killed),
    ("all-peers-killed", all_peers_killed),
    ("gobgp-disabled", gobgp_disabled),
    ("peer-down-at-apply", peer_down_at_apply),
    ("no-peer-at-apply", no_peer_at_apply),
    ("prefix-limit-bird", prefix_limit_bird),
    ("prefix-limit-frr", prefix_limit_frr),
    ("own-limit", own_limit),
    ("cable-out-shortly", cable_out_shortly),
    ("cable-out-long", cable_out_long),
    ("bird-frozen", bird_frozen),
    ("session-disabled-by-hand", session_disabled_by_hand),
    ("zebra-killed", zebra_killed),
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

fn gobgp_killed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.put(&FLOW)?;
    t.lab.scenery.kill("gobgpd");
    clock::sleep_ms(1_000);
    t.lab.scenery.start("gobgpd")?;
    t.agreed(&[])
}

/// The last peer in the configuration; nobody forwards by it.
fn watcher_killed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.scenery.kill("exabgp");
    clock::sleep_ms(1_000);
    t.agreed(&["ExaBGP"])?;
    t.lab.scenery.start("exabgp")?;
    t.agreed(&[])
}

fn all_peers_killed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    let peers = ["bird", "bgpd", "gobgpd", "exabgp"];
    peers.iter().for_each(|p| t.lab.scenery.kill(p));
    clock::sleep_ms(1_000);
    for peer in peers {
        t.lab.scenery.start(peer)?;
    }
    t.agreed(&[])?;
    t.wait(Spare1, Should::Drop)?;
    t.wait(Spare2, Should::Drop)
}

fn gobgp_disabled(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    Peer::Gobgp.reset(t.net())?;
    t.agreed(&[])
}

fn peer_down_at_apply(t: &mut Trial<'_>) -> Result<()> {
    t.lab.scenery.kill("bgpd");
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    let id = t.lab.put(&t.case, &HOLE)?;
    t.expect(Spare1, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.lab.scenery.start("bgpd")?;
    t.expect(Spare2, Should::Drop);
    t.wait(Spare2, Should::Drop)?;
    t.lab.reaches(&id, &["applied"], 1_000)?;
    t.agreed(&[])
}

fn no_peer_at_apply(t: &mut Trial<'_>) -> Result<()> {
    let peers = ["bird", "bgpd", "gobgpd", "exabgp"];
    peers.iter().for_each(|p| t.lab.scenery.kill(p));
    let error = t.put_fails(&HOLE, 25_000)?;
    ensure!(error.contains("no peer has"), "{error}");
    for peer in peers {
        t.lab.scenery.start(peer)?;
    }
    t.lab.peers_up(&Peer::ALL)?;
    clock::sleep_ms(1_000);
    t.agreed(&[])
}

/// More black holes than the routers will take.
const MANY: &str =
    "[[rules]]\ndst = [\"203.0.113.66\", \"203.0.113.69\", \"203.0.113.100\", \"203.0.113.103\", \"203.0.113.105\"]\n";
const MANY_HOLES: Ask<'static> = Ask { hand: "bgp", dialect: "rtbh", rules: MANY, end: LONG };

/// Restarts both routers' BGP with a limit under what is announced.
fn with_limit(t: &mut Trial<'_>, limit: u32) -> Result<()> {
    t.lab.scenery.set_prefix_limit(limit)?;
    for name in ["bird", "bgpd"] {
        t.lab.scenery.kill(name);
        t.lab.scenery.start(name)?;
    }
    t.lab.peers_up(&Peer::ALL)
}

fn prefix_limit_bird(t: &mut Trial<'_>) -> Result<()> {
    with_limit(t, 3)?;
    // Which of the routes a router takes is its own choice.
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    let id = t.lab.put(&t.case, &MANY_HOLES)?;
    clock::sleep_ms(2_000);
    ensure!(Peer::Bird.routes(t.net())?.len() == 3, "BIRD took {:?}", Peer::Bird.routes(t.net())?);
    t.agreed(&["BIRD", "FRR"])?;
    t.lab.operator(&["measure", "release", &id])?;
    t.expect(Spare1, Should::Pass);
    t.expect(Spare2, Should::Pass);
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.agreed(&[])
}

/// FRR ends the session and takes it again a minute later; Suimon must not lose the others over it.
fn prefix_limit_frr(t: &mut Trial<'_>) -> Result<()> {
    with_limit(t, 3)?;
    t.expect(Spare1, Should::Either);
    t.expect(Spare2, Should::Either);
    let id = t.lab.put(&t.case, &MANY_HOLES)?;
    clock::sleep_ms(3_000);
    ensure!(!Peer::Frr.is_up(t.net()), "FRR keeps a session over its limit");
    t.agreed(&["BIRD", "FRR"])?;
    t.lab.operator(&["measure", "release", &id])?;
    t.expect(Spare1, Should::Pass);
    t.expect(Spare2, Should::Pass);
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.agreed(&["FRR"])?;
    t.lab.scenery.set_prefix_limit(crate::configs::PREFIX_LIMIT)?;
    t.lab.scenery.kill("bgpd");
    t.lab.scenery.start("bgpd")?;
    t.lab.peers_up(&[Peer::Frr])
}

fn own_limit(t: &mut Trial<'_>) -> Result<()> {
    t.lab.suimon.stop();
    t.lab.suimon.variant.max_routes = 3;
    t.start()?;
    let error = t.put_fails(&MANY_HOLES, 15_000)?;
    ensure!(error.contains("guard rails refuse"), "{error}");
    t.agreed(&[])
}

/// Shorter than the hold time of 6 s: TCP brings everything through.
fn cable_out_shortly(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.cable("edge2", false)?;
    clock::sleep_ms(2_000);
    t.cable("edge2", true)?;
    t.agreed(&[])
}

/// Longer than the hold time: the router lets go of its own accord.
fn cable_out_long(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.cable("edge2", false)?;
    t.expect(Spare2, Should::Either);
    clock::sleep_ms(6_500);
    t.expect(Spare2, Should::Pass);
    t.wait(Spare2, Should::Pass)?;
    t.expect(Spare2, Should::Either);
    t.cable("edge2", true)?;
    t.lab.peers_up(&[Peer::Frr])?;
    t.expect(Spare2, Should::Drop);
    t.wait(Spare2, Should::Drop)?;
    t.agreed(&[])
}

/// A router's BGP that hangs longer than the hold time and wakes up again.
fn bird_frozen(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.lab.scenery.process("bird")?.signal("STOP");
    clock::sleep_ms(9_000);
    t.lab.scenery.process("bird")?.signal("CONT");
    t.lab.peers_up(&[Peer::Bird])?;
    t.agreed(&[])?;
    t.wait(Spare1, Should::Drop)
}

fn session_disabled_by_hand(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    peers::birdc(t.net(), "disable suimon")?;
    // Somebody wanted it so; the ledger does not know.
    t.expect(Spare1, Should::Either);
    clock::sleep_ms(1_000);
    t.agreed(&["BIRD"])?;
    peers::birdc(t.net(), "enable suimon")?;
    t.lab.peers_up(&[Peer::Bird])?;
    t.expect(Spare1, Should::Drop);
    t.wait(Spare1, Should::Drop)?;
    t.agreed(&[])
}

/// The part of FRR that owns the kernel's table; bgpd lives on.
fn zebra_killed(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    for name in ["bgpd", "staticd", "zebra"] {
        t.lab.scenery.kill(name);
    }
    for name in ["zebra", "staticd", "bgpd"] {
        t.lab.scenery.start(name)?;
    }
    t.agreed(&[])?;
    t.wait(Spare2, Should::Drop)
}
