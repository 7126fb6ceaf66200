//! People who do what they may not, at the wrong moment, or twice.

use super::Steps;
use super::trial::{ACL, HOLE, LONG, Trial};
use crate::attack::Stream::{Spare1, Spare2, Web};
use crate::invariants::Should;
use crate::lab::Ask;
use crate::suimon::Person;
use anyhow::{Result, ensure};

pub const STEPS: &[(&str, Steps)] = &[
    ("own-approval", own_approval),
    ("approved-twice", approved_twice),
    ("released-twice", released_twice),
    ("released-while-applying", released_while_applying),
    ("request-withdrawn", request_withdrawn),
    ("release-all-with-a-router-down", release_all_with_a_router_down),
    ("default-route", default_route),
    ("somebody-elses-space", somebody_elses_space),
    ("twenty-at-once", twenty_at_once),
];

fn own_approval(t: &mut Trial<'_>) -> Result<()> {
    let id = t.lab.propose(&t.case, &ACL)?;
    let (code, said, err) = t.lab.suimon.ask(Person::Operator, &["measure", "approve", &id])?;
    ensure!(code == Some(1), "{code:?} {said}{err}");
    let (status, _) = t.status(&id)?;
    ensure!(status == "proposed", "{id} is {status}");
    t.agreed(&[])
}

fn approved_twice(t: &mut Trial<'_>) -> Result<()> {
    let id = t.put(&ACL)?;
    let (code, said, _) = t.lab.suimon.ask(Person::Approver, &["measure", "approve", &id])?;
    ensure!(code != Some(0), "a second approval was taken: {said}");
    t.agreed(&[])
}

fn released_twice(t: &mut Trial<'_>) -> Result<()> {
    let id = t.put(&ACL)?;
    t.release(&id, &ACL)?;
    t.lab.suimon.ask(Person::Operator, &["measure", "release", &id])?;
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.lab.suimon.ask(Person::Operator, &["measure", "release", &id])?;
    t.wait(Web, Should::Pass)?;
    t.agreed(&[])
}

fn released_while_applying(t: &mut Trial<'_>) -> Result<()> {
    t.nft_fault("slow")?;
    t.expect(Web, Should::Either);
    let id = t.lab.propose(&t.case, &ACL)?;
    t.lab.approve(&id)?;
    crate::clock::sleep_ms(800);
    t.lab.operator(&["measure", "release", &id])?;
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.expect(Web, Should::Pass);
    t.wait(Web, Should::Pass)?;
    t.agreed(&[])
}

fn request_withdrawn(t: &mut Trial<'_>) -> Result<()> {
    let id = t.put(&ACL)?;
    t.lab.operator(&["case", "withdraw", "R-1", "--words", "もう大丈夫です"])?;
    t.expect(Web, Should::Pass);
    t.lab.reaches(&id, &["released"], t.bound_ms)?;
    t.wait(Web, Should::Pass)?;
    t.agreed(&[])
}

/// What can be let go is let go at once.
fn release_all_with_a_router_down(t: &mut Trial<'_>) -> Result<()> {
    t.both()?;
    t.cable("edge1", false)?;
    t.lab.operator(&["measure", "release", "--all"])?;
    t.expect(Web, Should::Either);
    t.expect(Spare2, Should::Pass);
    // BIRD on edge 1 cannot be told either; its hold time is 6 s.
    t.expect(Spare1, Should::Either);
    t.wait(Spare2, Should::Pass)?;
    crate::clock::sleep_ms(6_500);
    t.expect(Spare1, Should::Pass);
    t.wait(Spare1, Should::Pass)?;
    t.cable("edge1", true)?;
    t.expect(Web, Should::Pass);
    t.wait(Web, Should::Pass)?;
    t.lab.peers_up(&crate::peers::Peer::ALL)?;
    t.agreed(&[])
}

/// Whether nothing came of a proposal: refused, or failed behind an approval.
fn comes_to_nothing(t: &mut Trial<'_>, ask: &Ask<'_>) -> Result<()> {
    if let Ok(id) = t.lab.propose(&t.case, ask)
        && t.lab.approve(&id).is_ok()
    {
        t.lab.reaches(&id, &["failed"], 15_000)?;
        t.notes.push(format!("{id}: {}", t.status(&id)?.1));
    }
    t.agreed(&[])
}

fn default_route(t: &mut Trial<'_>) -> Result<()> {
    for (hand, dialect) in [("bgp", "rtbh"), ("bgp", "flowspec"), ("edge1", "nftables")] {
        let ask = Ask { hand, dialect, rules: "[[rules]]\ndst = [\"0.0.0.0/0\"]\n", end: LONG };
        comes_to_nothing(t, &ask)?;
    }
    Ok(())
}

fn somebody_elses_space(t: &mut Trial<'_>) -> Result<()> {
    for (hand, dialect) in [("bgp", "rtbh"), ("bgp", "flowspec"), ("edge1", "nftables")] {
        let ask = Ask { hand, dialect, rules: "[[rules]]\ndst = [\"198.51.100.10\"]\n", end: LONG };
        comes_to_nothing(t, &ask)?;
    }
    Ok(())
}

/// Ten filters on each router and a measure of black holes, approved as quickly as a person can.
fn twenty_at_once(t: &mut Trial<'_>) -> Result<()> {
    let hole = t.put(&HOLE)?;
    let mut ids = vec![hole];
    for n in 0..20 {
        let rules = format!("[[rules]]\ndst = [\"203.0.113.{}\"]\nproto = \"udp\"\nsrc-ports = [53]\n", 100 + n);
        let hand = if n % 2 == 0 { "edge1" } else { "edge2" };
        let id = t.lab.propose(&t.case, &Ask { hand, dialect: "nftables", rules: &rules, end: LONG })?;
        t.lab.approve(&id)?;
        ids.push(id);
    }
    for id in &ids {
        t.lab.reaches(id, &["applied"], 60_000)?;
    }
    t.agreed(&[])
}
