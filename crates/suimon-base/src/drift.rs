//! Where the network is not as the ledger wants it: what was found, and what a person decided about it (catalogue rows
//! 96, 145, 146).

use crate::Timestamp;
use crate::event::Event;
use crate::id::{MeasureId, OrphanId};
use crate::party::Actor;
use crate::state::Recorded;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanKind {
    /// In the network, and the ledger knows of no approval for it.
    Unknown,
    /// In the network although the ledger has it as gone.
    Ended,
    /// The measure is in force, but what is there is something else: somebody changed it on the router.
    Differs,
    /// The ledger has it in force, the network has not, and putting it back did not help.
    Missing,
}

/// What a person decides about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanStep {
    /// A measure with a basis of its own takes its place.
    Adopt,
    /// It is taken out of the network.
    Remove,
    /// What the ledger wants is put in its place.
    Restore,
    /// The measure is released.
    Release,
    /// It stays as it is.
    Leave,
}

impl OrphanKind {
    /// What can be decided about it.
    pub const fn steps(self) -> &'static [OrphanStep] {
        match self {
            OrphanKind::Unknown => &[OrphanStep::Adopt, OrphanStep::Remove, OrphanStep::Leave],
            OrphanKind::Ended => &[OrphanStep::Remove, OrphanStep::Leave],
            OrphanKind::Differs | OrphanKind::Missing => &[OrphanStep::Restore, OrphanStep::Release, OrphanStep::Leave],
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Found {
    /// Name of the hand that saw it, or that does not see it.
    pub hand: String,
    /// What kind of difference.
    pub kind: OrphanKind,
    /// Its name in the network: a list, a table.
    pub name: String,
    /// The measure whose number its name bears.
    pub measure: Option<MeasureId>,
    /// Where: device, interface, peer.
    pub place: String,
    /// Dialect of `text`; empty without one.
    pub dialect: String,
    /// What is there, as read back; empty where nothing is, or where it was too long.
    pub text: String,
    /// The difference in words.
    pub what: String,
}

/// A difference with what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Orphan {
    /// Number.
    pub id: OrphanId,
    /// When it was found.
    pub at: Timestamp,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
    /// What was decided about it.
    pub resolved: Option<Resolved>,
    /// Since when it is not seen any more, and how it went.
    pub gone: Option<(Timestamp, String)>,
}

/// A decision about a difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Resolved {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What.
    pub step: OrphanStep,
    /// Why.
    pub reason: String,
    /// The measure that takes its place, for [`OrphanStep::Adopt`].
    pub measure: Option<MeasureId>,
}

impl Orphan {
    /// Whether nobody has decided yet and it is still there.
    pub const fn is_open(&self) -> bool {
        self.resolved.is_none() && self.gone.is_none()
    }

    /// Whether it was there at `at`.
    pub fn was_there(&self, at: Timestamp) -> bool {
        self.at <= at && self.gone.as_ref().is_none_or(|(gone, _)| *gone > at)
    }
}

/// A time in which a measure in force was missing in the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gap {
    /// When that was seen.
    pub from: Timestamp,
    /// When it was put back.
    pub to: Option<Timestamp>,
    /// The hand that saw it.
    pub hand: String,
    /// Where it was missing.
    pub place: String,
    /// Why it could not be put back so far.
    pub error: Option<String>,
}

/// A time in which a place could not be looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outage {
    /// The hand.
    pub hand: String,
    /// The place within it; empty for all of it.
    pub place: String,
    /// Since when nothing is known of it.
    pub since: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
    /// What was said.
    pub why: String,
}

/// Every difference on record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// By number.
    pub orphans: BTreeMap<OrphanId, Orphan>,
    /// By measure, in order.
    pub gaps: BTreeMap<MeasureId, Vec<Gap>>,
    /// In order.
    pub outages: Vec<Outage>,
    /// Measures whose release was proposed to people, with the reason.
    pub release_proposed: BTreeMap<MeasureId, (Timestamp, String)>,
}

impl Drift {
    /// Differences on which nobody has decided.
    pub fn open(&self) -> impl Iterator<Item = &Orphan> {
        self.orphans.values().filter(|o| o.is_open())
    }

    /// The next free number.
    pub fn next_orphan(&self) -> OrphanId {
        OrphanId(self.orphans.keys().next_back().map_or(1, |id| id.0 + 1))
    }

    /// Whether the record has the measure missing at `at`.
    pub fn missing(&self, id: MeasureId, at: Timestamp) -> Option<&Gap> {
        let gaps = self.gaps.get(&id)?;
        gaps.iter().rev().find(|g| g.from <= at && g.to.is_none_or(|to| to > at))
    }

    /// Places that nothing was known of at `at`.
    pub fn dark(&self, at: Timestamp) -> impl Iterator<Item = &Outage> {
        self.outages.iter().filter(move |o| o.since <= at && o.until.is_none_or(|u| u > at))
    }

    /// Takes one event; the number of an orphan that does not exist is given back.
    pub(crate) fn apply(&mut self, r: &Recorded) -> Result<(), OrphanId> {
        let at = r.at;
        match &r.event {
            Event::OrphanFound { id, found } => {
                let orphan = Orphan { id: *id, at, found: (**found).clone(), resolved: None, gone: None };
                self.orphans.insert(*id, orphan);
            }
            Event::OrphanResolved { id, step, reason, measure } => {
                let (by, reason) = (r.actor.clone(), reason.clone());
                self.orphans.get_mut(id).ok_or(*id)?.resolved =
                    Some(Resolved { at, by, step: *step, reason, measure: *measure });
            }
            Event::OrphanGone { id, how } => {
                self.orphans.get_mut(id).ok_or(*id)?.gone = Some((at, how.clone()));
            }
            Event::MeasureMissing { id, hand, place } => {
                let gap = Gap { from: at, to: None, hand: hand.clone(), place: place.clone(), error: None };
                self.gaps.entry(*id).or_default().push(gap);
            }
            Event::MeasurePutBack { id, .. } => {
                for gap in self.gaps.get_mut(id).into_iter().flatten().filter(|g| g.to.is_none()) {
                    (gap.to, gap.error) = (Some(at), None);
                }
            }
            Event::PutBackFailed { id, error } => {
                for gap in self.gaps.get_mut(id).into_iter().flatten().filter(|g| g.to.is_none()) {
                    gap.error = Some(error.clone());
                }
            }
            Event::HandUnreachable { hand, place, since, why } => {
                let (hand, place, why) = (hand.clone(), place.clone(), why.clone());
                self.outages.push(Outage { hand, place, since: *since, until: None, why });
            }
            Event::HandReachable { hand, place } => {
                let same = |o: &&mut Outage| o.until.is_none() && o.hand == *hand && o.place == *place;
                self.outages.iter_mut().filter(same).for_each(|o| o.until = Some(at));
            }
            Event::ReleaseProposed { id, why } => {
                self.release_proposed.insert(*id, (at, why.clone()));
            }
            Event::MeasureReleased { id, .. } => {
                self.release_proposed.remove(id);
            }
            _ => {}
        }
        Ok(())
    }
}
