//! What a router holds, beside what it should hold (catalogue rows 96, 145, 146).

use crate::names::{is_ours, owner};
use crate::wanted::Wanted;
use serde::Serialize;
use std::collections::BTreeMap;
use suimon_base::{MeasureId, RuleSet};
use suimon_filter::dialect::{self, Dialect};
use suimon_filter::proof;

/// What the filters of one measure took, since they were entered or last cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counters {
    /// Packets dropped.
    pub packets: u64,
    /// Octets dropped; `None` where the platform counts packets only.
    pub octets: Option<u64>,
}

/// One list or table that bears a name of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name on the router.
    pub name: String,
    /// Its text in the device's dialect, as read back.
    pub text: String,
    /// Rules in it, the closing permit included.
    pub lines: usize,
    /// What it dropped, where the platform counts.
    pub counters: Option<Counters>,
    /// Places where it is bound (`eth0 in`); nftables binds by itself and names its hook.
    pub bound: Vec<String>,
    /// What is wrong with it apart from its rules: not bound where it should be, another hook.
    pub faults: Vec<String>,
}

/// Everything of ours on one router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// In the order of their names.
    pub lists: Vec<Seen>,
    /// What stands on the wanted bindings and is not ours: (place, name).
    pub foreign: Vec<(String, String)>,
}

impl Observed {
    /// Measures that have an effect here: some list of theirs is bound.
    pub fn in_force(&self) -> Vec<MeasureId> {
        let mut ids: Vec<_> =
            self.lists.iter().filter(|l| !l.bound.is_empty()).filter_map(|l| owner(&l.name)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Lists of one measure.
    pub fn of(&self, id: MeasureId) -> impl Iterator<Item = &Seen> {
        self.lists.iter().filter(move |l| owner(&l.name) == Some(id))
    }

    /// Lines that lists of ours take on the router.
    pub fn lines(&self) -> usize {
        self.lists.iter().map(|l| l.lines).sum()
    }

    /// How what is there compares with `wanted`.
    pub fn state(&self, wanted: &Wanted, dialect: Dialect) -> State {
        let lists: Vec<&Seen> = self.of(wanted.id()).collect();
        if lists.is_empty() {
            return State::Absent;
        }
        if let Some(missing) = wanted.names().iter().find(|n| !lists.iter().any(|l| l.name == **n)) {
            return State::Differs { why: format!("{missing} is missing") };
        }
        if let Some(other) = lists.iter().find(|l| !wanted.names().contains(&l.name)) {
            return State::Differs { why: format!("{} is not part of the measure", other.name) };
        }
        let text: String = lists.iter().map(|l| l.text.as_str()).collect();
        if let Some(why) = difference(wanted.rules(), &text, dialect) {
            return State::Differs { why };
        }
        match lists.iter().flat_map(|l| &l.faults).next() {
            Some(fault) => State::Differs { why: fault.clone() },
            None => State::Present,
        }
    }

    /// Everything against everything: what the ledger wants here and what is here.
    pub fn against(&self, wanted: &[Wanted], dialect: Dialect) -> Observation {
        let measures = wanted
            .iter()
            .map(|w| SeenMeasure {
                id: w.id(),
                state: self.state(w, dialect),
                bound: self.of(w.id()).flat_map(|l| l.bound.clone()).collect(),
                counters: self.counters(w.id()),
            })
            .collect();
        let mut orphans: BTreeMap<String, Orphan> = BTreeMap::new();
        for l in self.lists.iter().filter(|l| is_ours(&l.name)) {
            let id = owner(&l.name);
            if id.is_some_and(|id| wanted.iter().any(|w| w.id() == id)) {
                continue;
            }
            let orphan = Orphan { id, name: l.name.clone(), bound: l.bound.clone(), counters: l.counters };
            orphans.insert(l.name.clone(), orphan);
        }
        Observation { measures, orphans: orphans.into_values().collect(), lines: self.lines() }
    }

    /// Sum over the lists of a measure.
    pub fn counters(&self, id: MeasureId) -> Option<Counters> {
        self.of(id).filter_map(|l| l.counters).reduce(|a, b| Counters {
            packets: a.packets.saturating_add(b.packets),
            octets: a.octets.zip(b.octets).map(|(x, y)| x.saturating_add(y)),
        })
    }
}

/// The first words on how `text` differs from `rules`; `None` where both drop exactly the same packets.
pub(crate) fn difference(rules: &RuleSet, text: &str, dialect: Dialect) -> Option<String> {
    let listing = match dialect::parse(text, dialect) {
        Ok(listing) => listing,
        Err(e) => return Some(format!("what is there cannot be read: {e}")),
    };
    match proof::compare(rules, &listing.rules) {
        Ok(p) if p.equal => None,
        Ok(p) => {
            let sizes = [("not dropped though wanted", &p.missing), ("dropped though not wanted", &p.extra)];
            let words: Vec<_> = sizes
                .iter()
                .filter(|(_, s)| !s.is_empty())
                .map(|(w, s)| format!("{w}: {} address pairs", s.addresses))
                .collect();
            Some(if words.is_empty() { "the rules or their rates differ".into() } else { words.join("; ") })
        }
        Err(e) => Some(format!("what is there cannot be compared: {e}")),
    }
}

/// Whether a measure is on the router as the ledger wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Everywhere it should be, with exactly the rules.
    Present,
    /// Something of it is there, but not the wanted thing.
    Differs {
        /// The first difference.
        why: String,
    },
    /// Nothing of it is there.
    Absent,
}

/// One measure that the ledger wants on the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SeenMeasure {
    /// Which.
    pub id: MeasureId,
    /// Present, different or absent.
    #[serde(flatten)]
    pub state: State,
    /// Where it is bound.
    pub bound: Vec<String>,
    /// What it dropped, where the platform counts.
    pub counters: Option<Counters>,
}

/// Something with a name of ours that the ledger does not want here: a person resolves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Orphan {
    /// The measure its name tells, if any.
    pub id: Option<MeasureId>,
    /// Its name on the router.
    pub name: String,
    /// Where it is bound.
    pub bound: Vec<String>,
    /// What it dropped, where the platform counts.
    pub counters: Option<Counters>,
}

/// Desired against observed state of one router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Observation {
    /// What the ledger wants, in its order.
    pub measures: Vec<SeenMeasure>,
    /// What it does not want.
    pub orphans: Vec<Orphan>,
    /// Lines that lists of ours take on the router.
    pub lines: usize,
}
