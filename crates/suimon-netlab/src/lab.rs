//! The lab as one thing: scenery, Suimon, attacks, meter, clients.

use crate::attack::{Attack, Stream};
use crate::clients::Clients;
use crate::clock;
use crate::configs;
use crate::meter::Meter;
use crate::net::Net;
use crate::peers::{self, Peer};
use crate::scenery::Scenery;
use crate::suimon::{Person, Suimon};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A running lab; everything goes when it is dropped.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: who acts and who looks before what they act on.
    /// The Suimon under test.
    pub suimon: Suimon,
    /// The customer's customers.
    pub clients: Clients,
    /// What arrives.
    pub meter: Meter,
    attacks: BTreeMap<Stream, Attack>,
    /// Everything else.
    pub scenery: Scenery,
}

/// A measure to be proposed.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who applies it.
    pub hand: &'a str,
    /// In which language.
    pub dialect: &'a str,
    /// Rules, as a written request.
    pub rules: &'a str,
    /// When it ends.
    pub end: &'a str,
}

impl Lab {
    /// Builds the lab around this `suimon` program; Suimon itself is not started yet.
    ///
    /// # Errors
    /// When a program of the lab does not start; its logs are gone with the lab then, unless it is kept.
    pub fn up(binary: &Path) -> Result<Lab> {
        crate::net::clear_stale(false);
        let scenery = Scenery::up()?;
        let meter = Meter::start(&scenery.net)?;
        let clients = Clients::start(&scenery.net);
        let suimon = Suimon::new(binary, &scenery.net, "data");
        scenery.write("case.toml", configs::CASE, 0o644)?;
        Ok(Lab { suimon, clients, meter, attacks: BTreeMap::new(), scenery })
    }

    /// The namespaces.
    pub fn net(&self) -> &Net {
        &self.scenery.net
    }

    /// Starts Suimon and waits until it is ready and its peers are up.
    pub fn start_suimon(&mut self) -> Result<()> {
        self.suimon.start(&self.scenery.net)?;
        self.peers_up(&Peer::ALL)
    }

    /// Waits for sessions.
    pub fn peers_up(&self, peers: &[Peer]) -> Result<()> {
        for peer in peers {
            let up = clock::until(30_000, || peer.is_up(self.net()).then_some(()));
            up.with_context(|| format!("no session with {} after 30 s", peer.name()))?;
        }
        Ok(())
    }

    /// Begins to send a stream.
    pub fn attack(&mut self, stream: Stream, pps: u32) -> Result<()> {
        self.attacks.insert(stream, Attack::start(self.net(), stream, pps)?);
        Ok(())
    }

    /// Stops sending a stream.
    pub fn calm(&mut self, stream: Stream) {
        self.attacks.remove(&stream);
    }

    /// A command at Suimon's command line that must succeed.
    pub fn operator(&self, args: &[&str]) -> Result<Value> {
        self.suimon.json(Person::Operator, args)
    }

    /// Opens a case from a call that is confirmed; its number.
    pub fn open_case(&self) -> Result<String> {
        let file = self.scenery.folder().join("case.toml").display().to_string();
        let opened = self.operator(&["case", "open", "--request", &file])?;
        let request = opened["request"].as_str().context("a request")?;
        self.operator(&["case", "callback", request, "--confirmed", "true"])?;
        Ok(opened["case"].as_str().context("a case")?.to_owned())
    }

    /// Proposes.
    pub fn propose(&self, case: &str, ask: &Ask<'_>) -> Result<String> {
        let name = format!("rules-{}.toml", clock::ms());
        self.scenery.write(&name, ask.rules, 0o644)?;
        let file = self.scenery.folder().join(&name).display().to_string();
        let made = self.operator(&[
            "measure",
            "propose",
            "--case",
            case,
            "--end",
            ask.end,
            "--hand",
            ask.hand,
            "--dialect",
            ask.dialect,
            "--request",
            &file,
        ])?;
        Ok(made["measures"][0].as_str().context("a measure")?.to_owned())
    }

    /// Approves, as somebody else.
    pub fn approve(&self, id: &str) -> Result<()> {
        self.suimon.json(Person::Approver, &["measure", "approve", id]).map(drop)
    }

    /// Proposes, approves, and waits until it is applied.
    pub fn put(&self, case: &str, ask: &Ask<'_>) -> Result<String> {
        let id = self.propose(case, ask)?;
        self.approve(&id)?;
        self.reaches(&id, &["applied"], 30_000)?;
        Ok(id)
    }

    /// A measure as Suimon tells it.
    pub fn measure(&self, id: &str) -> Result<Value> {
        Ok(self.operator(&["measure", "show", id])?["measure"].take())
    }

    /// Waits until a measure has one of these statuses; how long it took.
    pub fn reaches(&self, id: &str, wanted: &[&str], patience_ms: u64) -> Result<u64> {
        let mut last = Value::Null;
        let found = clock::until(patience_ms, || {
            last = self.measure(id).unwrap_or_default();
            // What has failed stays so.
            let over = ["failed", "denied", "rejected", "released"].iter().any(|o| last["status"] == *o);
            let there = wanted.iter().any(|w| last["status"] == *w);
            (there || over).then_some(there)
        });
        let words = format!("{id} is {} ({}) and not {}", last["status"], last["error"], wanted.join(" or "));
        found.filter(|(there, _)| *there).map(|(_, took)| took).context(words)
    }

    /// Every measure in Suimon's list, newest first, the standing one too.
    pub fn list(&self) -> Result<Vec<Value>> {
        let (code, out, err) = self.suimon.ask(Person::Operator, &["measure", "list", "--json"])?;
        ensure!(code == Some(0), "measure list: {err}");
        out.lines().map(|l| serde_json::from_str(l).with_context(|| l.to_owned())).collect()
    }

    /// Walks the hash chain of a data folder.
    pub fn verify_ledger(&self) -> Result<()> {
        let data = self.suimon.data().display().to_string();
        let (code, out, err) = self.suimon.ask(Person::Operator, &["ledger", "verify", &data])?;
        ensure!(code == Some(0), "ledger verify: {out}{err}");
        Ok(())
    }

    /// What is left of Suimon in the network, in words; empty when all is clean.
    pub fn left_overs(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for edge in ["edge1", "edge2"] {
            left.extend(peers::tables(self.net(), edge)?.into_iter().map(|t| format!("table {t} on {edge}")));
            left.extend(
                peers::kernel_holes(self.net(), edge)?
                    .into_iter()
                    .map(|h| format!("black hole {h} in {edge}'s kernel")),
            );
        }
        for peer in Peer::ALL {
            left.extend(peer.routes(self.net())?.into_iter().map(|r| format!("{r} in {}", peer.name())));
        }
        Ok(left)
    }

    /// Lets everything run on after this program.
    pub fn keep(self) {
        let Lab { mut suimon, clients, meter, attacks, scenery } = self;
        suimon.keep();
        drop((clients, meter));
        for attack in attacks.into_values() {
            std::mem::forget(attack);
        }
        scenery.keep();
    }
}
