//! The story that the lab tells from beginning to end: an attack is seen, met in two ways, and everything goes again.

use crate::attack::Stream;
use crate::clients::Service;
use crate::clock;
use crate::invariants;
use crate::lab::{Ask, Lab};
use crate::meter;
use crate::peers::{self, Peer};
use crate::tell::Tell;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Attack packets a second: with 900 octets on average three times what the customer's line carries.
const ATTACK_PPS: u32 = 3_000;
/// To the host that is given up.
const SPARE_PPS: u32 = 300;
/// How long the calm before, the measured moments and the watching after last, milliseconds.
const SPAN_MS: u64 = 3_000;
/// How long the measures last; they end by themselves.
const LASTS: &str = "9s";
/// From the end of a measure to its last trace in the network, milliseconds.
const RELEASE_BOUND_MS: u64 = 8_000;

/// What the story found wrong; nothing is what it should be.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Each fault in words.
    pub faults: Vec<String>,
}

impl Verdict {
    fn must(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(words());
        }
    }
}

/// Packets a second at the customer's interface towards edge 1, and requests answered, over a span that begins now.
struct Span {
    from_ms: u64,
    packets: u64,
}

impl Span {
    fn begin(lab: &Lab) -> Result<Span> {
        Ok(Span { from_ms: clock::ms(), packets: meter::interface(lab.net(), "customer", "edge1")?.0 })
    }

    fn end(&self, lab: &Lab) -> Result<Seen> {
        let to_ms = clock::ms();
        let packets = meter::interface(lab.net(), "customer", "edge1")?.0 - self.packets;
        let seconds = (to_ms - self.from_ms).max(1) as f64 / 1_000.0;
        Ok(Seen {
            interface_pps: packets as f64 / seconds,
            attack: lab.meter.rates(Stream::Web, self.from_ms),
            pages: lab.clients.answered(Service::Page, self.from_ms, to_ms),
            names: lab.clients.answered(Service::Name, self.from_ms, to_ms),
        })
    }
}

/// What was seen over a span.
#[derive(Clone, Copy, Debug)]
struct Seen {
    interface_pps: f64,
    attack: (f64, f64),
    pages: (usize, usize),
    names: (usize, usize),
}

impl Seen {
    fn words(&self) -> String {
        format!(
            "customer's interface: {:.0} packets/s; attack: {:.0} sent, {:.0} arrive\nclient: {} of {} pages, {} of {} DNS answers",
            self.interface_pps, self.attack.0, self.attack.1, self.pages.0, self.pages.1, self.names.0, self.names.1
        )
    }

    fn json(&self) -> Value {
        json!({
            "interface-pps": self.interface_pps, "attack-sent-pps": self.attack.0, "attack-arrives-pps": self.attack.1,
            "pages": [self.pages.0, self.pages.1], "names": [self.names.0, self.names.1],
        })
    }
}

fn span(lab: &Lab, tell: &Tell, stage: &str) -> Result<Seen> {
    let span = Span::begin(lab)?;
    clock::sleep_ms(SPAN_MS);
    let seen = span.end(lab)?;
    tell.stage(stage, seen.json(), &seen.words());
    Ok(seen)
}

/// Rules of the black hole.
const HOLE: &str = "[[rules]]\ndst = [\"203.0.113.66\"]\n";

/// Plays it. With `keep` everything stays up afterwards.
///
/// # Errors
/// When the lab itself does not work, or something that the story needs does not happen at all.
pub fn play(binary: &Path, tell: &Tell, keep: bool) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut lab = Lab::up(binary)?;
    tell.stage(
        "lab",
        json!({ "folder": lab.scenery.folder() }),
        "attacker, client, transit, edge1, edge2, customer, management: namespaces, links, servers",
    );
    lab.start_suimon()?;
    tell.stage(
        "suimon",
        json!({ "socket": lab.suimon.data().join("suimon.sock") }),
        "ready; sessions with BIRD, FRR, GoBGP and ExaBGP stand",
    );
    clock::sleep_ms(500);
    let calm = span(&lab, tell, "calm")?;
    verdict.must(calm.pages.0 == calm.pages.1 && calm.pages.1 > 3, || {
        format!("pages before the attack: {:?}", calm.pages)
    });
    verdict.must(calm.names.0 == calm.names.1 && calm.names.1 > 3, || {
        format!("names before the attack: {:?}", calm.names)
    });

    let began = clock::ms();
    lab.attack(Stream::Web, ATTACK_PPS)?;
    lab.attack(Stream::Spare1, SPARE_PPS)?;
    tell.stage(
        "attack",
        json!({ "pps": ATTACK_PPS }),
        &format!(
            "{ATTACK_PPS} reflected DNS answers a second to {}, {SPARE_PPS} to {}",
            Stream::Web.target(),
            Stream::Spare1.target()
        ),
    );
    let case = detected(&lab, tell, began)?;
    let during = span(&lab, tell, "under attack")?;
    verdict.must(during.attack.1 > 100.0, || "the attack does not arrive even before it is met".into());

    let measures = meet(&lab, tell, &case)?;
    let met = clock::ms();
    seen_by_peers(&lab, tell, &mut verdict)?;
    clock::sleep_ms(500);
    let filtered = span(&lab, tell, "filtered")?;
    verdict.must(filtered.attack.0 > f64::from(ATTACK_PPS) / 3.0, || "the attack ended by itself".into());
    verdict.must(filtered.attack.1 == 0.0, || format!("{:.0} attack packets/s still arrive", filtered.attack.1));
    verdict.must(filtered.pages.0 == filtered.pages.1 && filtered.pages.1 > 3, || {
        format!("pages while filtered: {:?}", filtered.pages)
    });
    verdict.must(filtered.names.0 == filtered.names.1 && filtered.names.1 > 3, || {
        format!("names while filtered: {:?}", filtered.names)
    });
    let (_, spare) = lab.meter.rates(Stream::Spare1, met + 500);
    verdict.must(spare == 0.0, || format!("{spare:.0} packets/s to the black hole arrive"));
    let agreed = invariants::wait_agreed(&lab, &[], 2_000);
    verdict.must(agreed.is_ok(), || {
        format!("while filtered: {:#}", agreed.as_ref().err().map_or_else(String::new, |e| format!("{e:#}")))
    });

    release(&mut lab, tell, &measures, &mut verdict)?;
    let after = span(&lab, tell, "after")?;
    verdict.must(after.pages.0 == after.pages.1, || format!("pages after the release: {:?}", after.pages));
    lab.operator(&["case", "close", &case, "--host-check", "the client gets its pages"])?;
    lab.verify_ledger()?;
    tell.stage("closed", json!({ "case": case }), &format!("{case}; the ledger verifies"));
    if keep {
        lab.keep();
    } else {
        let folder = lab.scenery.folder();
        drop(lab);
        let own = std::process::id().to_string();
        verdict.must(!folder.exists() && !crate::labs().iter().any(|(tag, _)| *tag == own), || {
            "the lab left something".into()
        });
        tell.stage("removed", json!({}), "no namespace, no process, no file is left");
    }
    Ok(verdict)
}

/// Waits for the case that the attack opens; the customer asks, and is called back.
fn detected(lab: &Lab, tell: &Tell, began: u64) -> Result<String> {
    let found = clock::until(30_000, || {
        let (_, out, _) = lab.suimon.ask(crate::suimon::Person::Operator, &["case", "list", "--json"]).ok()?;
        let case: Value = serde_json::from_str(out.lines().next()?).ok()?;
        case["id"].as_str().map(str::to_owned)
    });
    let (case, _) = found.context("no attack was detected within 30 s")?;
    let took = clock::ms() - began;
    tell.stage(
        "detected",
        json!({ "case": case, "delay_ms": took }),
        &format!("{case}, {:.1} s after the first packet, from softflowd's and pmacctd's flows", took as f64 / 1_000.0),
    );
    let file = lab.scenery.folder().join("case.toml").display().to_string();
    let made = lab.operator(&["case", "request", &case, "--request", &file])?;
    let request = made["request"].as_str().context("a request")?;
    lab.operator(&["case", "callback", request, "--confirmed", "true"])?;
    tell.stage("request", json!({ "request": request }), &format!("{request} from the customer, called back"));
    Ok(case)
}

/// The attack is met three times: filter on edge 1 over SSH, Flowspec, and a black hole.
fn meet(lab: &Lab, tell: &Tell, case: &str) -> Result<Vec<String>> {
    let propose = |hand: &str, dialect: &str| -> Result<String> {
        let made = lab.operator(&[
            "measure",
            "propose",
            "--case",
            case,
            "--end",
            LASTS,
            "--hand",
            hand,
            "--dialect",
            dialect,
        ])?;
        Ok(made["measures"][0].as_str().context("a measure")?.to_owned())
    };
    let acl = propose("edge1", "nftables")?;
    let flowspec = propose("bgp", "flowspec")?;
    let hole = lab.propose(case, &Ask { hand: "bgp", dialect: "rtbh", rules: HOLE, end: LASTS })?;
    let all = vec![acl, flowspec, hole];
    for id in &all {
        lab.approve(id)?;
    }
    for id in &all {
        lab.reaches(id, &["applied"], 20_000)?;
        let m = lab.measure(id)?;
        let text = m["draft"]["plan"]["text"].as_str().unwrap_or_default();
        let rules: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.starts_with('#') && !l.is_empty()).collect();
        let hand = m["draft"]["hand"].as_str().unwrap_or_default();
        let receipt = m["applied"]["receipt"].as_str().unwrap_or_default();
        let shown = rules
            .iter()
            .filter(|l| hand == "bgp" || l.contains("drop"))
            .take(4)
            .copied()
            .collect::<Vec<_>>()
            .join("\n");
        tell.stage(
            "applied",
            json!({ "measure": id, "hand": hand, "text": text, "receipt": receipt }),
            &format!("{id} by {hand}\n{shown}\n{receipt}"),
        );
    }
    Ok(all)
}

fn seen_by_peers(lab: &Lab, tell: &Tell, verdict: &mut Verdict) -> Result<()> {
    for peer in Peer::ALL {
        let routes = peer.routes(lab.net())?;
        let wanted = ["flow 203.0.113.80/32", "hole 203.0.113.66/32"];
        verdict.must(wanted.iter().all(|w| routes.contains(*w)), || format!("{} has only {routes:?}", peer.name()));
        let list = routes.into_iter().collect::<Vec<_>>().join(", ");
        tell.stage("peer", json!({ "peer": peer.name(), "routes": list }), &format!("{:<7} {list}", peer.name()));
    }
    let holes = peers::kernel_holes(lab.net(), "edge1")?;
    verdict.must(holes.contains("203.0.113.66"), || "BIRD did not put the black hole into edge 1's kernel".into());
    Ok(())
}

/// The measures end by themselves while the attack goes on, and the network is as before.
fn release(lab: &mut Lab, tell: &Tell, measures: &[String], verdict: &mut Verdict) -> Result<()> {
    for id in measures {
        lab.reaches(id, &["released"], 9_000 + RELEASE_BOUND_MS)?;
        let m = lab.measure(id)?;
        let why = m["release"][0]["why"].as_str().unwrap_or_default().to_owned();
        let how = m["released"].to_string();
        verdict.must(why == "due", || format!("{id} was released because of {why}, not by its end"));
        tell.stage(
            "released",
            json!({ "measure": id, "why": why, "checked": m["released"] }),
            &format!("{id}: {why}; {how}"),
        );
    }
    let clean = clock::until(RELEASE_BOUND_MS, || lab.left_overs().ok()?.is_empty().then_some(()));
    verdict
        .must(clean.is_some(), || format!("left in the network: {}", lab.left_overs().unwrap_or_default().join("; ")));
    tell.stage("clean", json!({}), "no table, no route, no black hole on any router; the attack arrives again");
    let again = invariants::wait_for(lab, Stream::Web, invariants::Should::Pass, 2_000);
    verdict.must(again.is_ok(), || "after the release something still drops".into());
    lab.calm(Stream::Web);
    lab.calm(Stream::Spare1);
    tell.stage("attack over", json!({}), "");
    clock::sleep_ms(1_000);
    Ok(())
}
