//! What hands see, and what is kept of it for everybody who asks (catalogue rows 96, 145, 146).

use serde::Serialize;
use std::collections::BTreeMap;
use suimon_base::{MeasureId, OrphanId, Timestamp};

/// What one hand sees, beside what the ledger wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Each wanted measure in each place.
    pub seen: Vec<Seen>,
    /// What bears a name of ours and is not wanted.
    pub strays: Vec<Stray>,
}

/// One wanted measure in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Which.
    pub id: MeasureId,
    /// Device and list, or peer.
    pub place: String,
    /// How it compares.
    pub state: SeenState,
    /// Packets taken since it was entered, where the place counts.
    pub packets: Option<u64>,
    /// Octets, where the place counts them.
    pub octets: Option<u64>,
    /// What is there, where it is not what is wanted.
    pub text: Option<String>,
}

/// How what is there compares with what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SeenState {
    /// Exactly the wanted thing.
    AsWanted,
    /// Nothing of it.
    Missing,
    /// A part of it.
    Partly {
        /// Which part is missing.
        why: String,
    },
    /// Something else.
    Different {
        /// The first difference.
        why: String,
    },
    /// Nothing is known: the place cannot be looked at.
    Unreachable {
        /// What was said.
        why: String,
    },
}

impl SeenState {
    /// Its name in answers.
    pub const fn name(&self) -> &'static str {
        match self {
            SeenState::AsWanted => "as-wanted",
            SeenState::Missing => "missing",
            SeenState::Partly { .. } => "partly",
            SeenState::Different { .. } => "different",
            SeenState::Unreachable { .. } => "unreachable",
        }
    }
    /// What more there is to say.
    pub fn why(&self) -> &str {
        match self {
            SeenState::AsWanted | SeenState::Missing => "",
            SeenState::Partly { why } | SeenState::Different { why } | SeenState::Unreachable { why } => why,
        }
    }
}

/// Something with a name of ours that the ledger does not want here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its name.
    pub name: String,
    /// The measure whose number the name bears.
    pub id: Option<MeasureId>,
    /// Device and interface.
    pub place: String,
    /// Dialect of `text`.
    pub dialect: String,
    /// As read back.
    pub text: String,
    /// Whether packets meet it.
    pub bound: bool,
    /// Packets taken, where the place counts.
    pub packets: Option<u64>,
}

/// What an order would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DryRun {
    /// Why it may not leave; empty where it may.
    pub refusals: Vec<String>,
    /// What to know although it may.
    pub warnings: Vec<String>,
    /// What it touches, a line each.
    pub touches: Vec<String>,
    /// What would leave, a line each, bounded by the hand.
    pub listing: Vec<String>,
}

/// A session that a hand keeps, as a BGP hand does with each peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Session {
    /// The hand.
    pub hand: String,
    /// The other side's name in the configuration.
    pub peer: String,
    /// Its state in the protocol's words.
    pub state: String,
    /// What both sides carry.
    pub families: Vec<String>,
    /// Routes that it was sent and that were not withdrawn.
    pub routes: u64,
    /// How often it came up.
    pub established: u64,
    /// How often it went down.
    pub lost: u64,
    /// Messages that were ignored.
    pub updates_ignored: u64,
    /// Requests for all routes that were answered.
    pub refreshes: u64,
    /// The latest trouble in words; empty without.
    pub note: String,
}

/// A wanted measure in a place, with its history since the start of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlaceView {
    /// Which.
    pub id: MeasureId,
    /// Where.
    pub place: String,
    /// How it compares.
    #[serde(flatten)]
    pub state: SeenState,
    /// Since when it compares so, as far as this run of the daemon knows.
    pub since: Timestamp,
    /// When this was seen: the latest look that got an answer for this place.
    pub looked: Timestamp,
    /// Packets taken, where the place counts.
    pub packets: Option<u64>,
    /// Octets taken, where the place counts.
    pub octets: Option<u64>,
    /// When the counter last moved, or was first read.
    pub moved: Option<Timestamp>,
    /// What is there, where it is not what is wanted.
    pub text: Option<String>,
}

/// Something of ours that is not wanted, as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StrayView {
    /// Its name.
    pub name: String,
    /// The measure whose number the name bears.
    pub measure: Option<MeasureId>,
    /// Device and interface.
    pub place: String,
    /// Dialect of `text`.
    pub dialect: String,
    /// As read back.
    pub text: String,
    /// Whether packets meet it.
    pub bound: bool,
    /// Packets taken, where the place counts.
    pub packets: Option<u64>,
    /// Its number on record, once it was seen twice.
    pub orphan: Option<OrphanId>,
}

/// What is known through one hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HandView {
    /// Its name.
    pub hand: String,
    /// Whether it can look at all; a person's hand cannot. `None` before the first answer.
    pub looks: Option<bool>,
    /// The latest look that got an answer.
    pub looked: Option<Timestamp>,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// Since when looking fails, and what was said last.
    pub unreachable: Option<Unreachable>,
    /// Wanted measures, by place.
    pub measures: Vec<PlaceView>,
    /// What is not wanted.
    pub strays: Vec<StrayView>,
}

/// A hand that cannot look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unreachable {
    /// Since when.
    pub since: Timestamp,
    /// What was said.
    pub why: String,
}

/// Every hand's view, by name.
pub type Views = BTreeMap<String, std::sync::Arc<HandView>>;
