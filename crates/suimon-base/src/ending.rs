//! The way back of a measure, step by step: tasks, notices, trial openings, renewals, checks afterwards (catalogue rows
//! 141–147).

use crate::Timestamp;
use crate::end::End;
use crate::event::Effect;
use crate::id::MeasureId;
use crate::party::Actor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Before the release, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeWhen {
    /// 事前.
    Before,
    /// 事後.
    After,
}

/// What a trial opening showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeFound {
    /// The attack is still there.
    Present,
    /// Other traffic was seen and the attack was not.
    Absent,
    /// Nothing was seen at all, or it was cut short: nothing follows from it.
    Unclear,
}

/// Whether somebody is still there, and how that is known (catalogue row 147).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Presence {
    /// Who: the contact, or the person or role that answers for the measure.
    pub who: String,
    /// Whether they are still there and in charge.
    pub there: bool,
    /// How that was found out.
    pub how: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EndStep {
    /// The counter-measure that the measure waits for is done.
    TaskDone {
        /// Who did it.
        by: String,
        /// What was done, in their words.
        words: String,
    },
    /// The release comes soon; somebody has to tell these people.
    NoticeDue {
        /// When it is expected.
        due: Timestamp,
        /// Contacts as registered, with number and address.
        contacts: Vec<String>,
    },
    /// Somebody was told.
    Told {
        /// Before or after.
        when: NoticeWhen,
        /// Whom.
        contact: String,
        /// How, and what they said.
        words: String,
    },
    /// The filter is opened for a moment to see whether the attack is still there. The hand hears of it after this is in the
    /// ledger.
    ProbeOpened {
        /// When it is closed again at the latest.
        until: Timestamp,
        /// So many packets of the attack may pass before it is closed at once.
        most_packets: u64,
    },
    /// It is over: closed again, or released for good.
    ProbeClosed {
        /// What it showed.
        found: ProbeFound,
        /// Packets of the attack that passed meanwhile, as far as the flows tell.
        passed_packets: u64,
        /// In words.
        why: String,
    },
    /// Somebody wants it to stay longer.
    RenewalAsked {
        /// Until when, from the renewal on.
        end: End,
        /// Whether the requester is still there.
        requester: Presence,
        /// Whether the one who answers for it is still there.
        owner: Presence,
        /// Why.
        words: String,
        /// What the policy engine said.
        decision: Value,
    },
    /// A second person agreed, and the policy engine again.
    Renewed {
        /// Until when, from now on.
        end: End,
        /// What the policy engine said.
        decision: Value,
    },
    /// It was not renewed; the end stays as it was.
    RenewalRefused {
        /// Why.
        reason: String,
    },
    /// The customer was asked to try from their side (catalogue row 143).
    AccessAsked {
        /// Whom.
        of: String,
    },
    /// What the customer found.
    AccessAnswered {
        /// Whether everything can be reached.
        ok: bool,
        /// Who answered.
        by: String,
        /// In their words.
        words: String,
    },
    /// What flows tell after the release.
    FlowsAfter {
        /// The reading.
        effect: Effect,
    },
    /// Another measure was proposed in its place, with a basis of its own.
    FollowedBy {
        /// Which.
        measure: MeasureId,
    },
}

/// Where the way back of one measure stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ending {
    /// When, by whom it was recorded and by whom it was done, with their words.
    pub task_done: Option<(Timestamp, Actor, String)>,
    /// Expected release that notice was due for, and the contacts.
    pub notice: Option<(Timestamp, Vec<String>)>,
    /// Who was told.
    pub told: Vec<Told>,
    /// The trial opening under way.
    pub probe: Option<OpenProbe>,
    /// Trial openings that are over.
    pub probes: Vec<Probe>,
    /// A renewal that waits for a second person.
    pub renewal: Option<Renewal>,
    /// The end in force, and since when, where it was renewed.
    pub renewed: Option<(Timestamp, End)>,
    /// Why nothing speaks for it any more, and since when.
    pub proposed: Option<(Timestamp, String)>,
    /// The customer's own check.
    pub access: Option<Access>,
    /// What flows told after the release.
    pub flows_after: Option<Effect>,
    /// The measure that was proposed in its place.
    pub followed_by: Option<MeasureId>,
}

/// Somebody who was told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// Before or after the release.
    pub when: NoticeWhen,
    /// Whom.
    pub contact: String,
    /// How, and what they said.
    pub words: String,
}

/// A trial opening under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OpenProbe {
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
    /// Bound of packets of the attack.
    pub most_packets: u64,
}

/// A trial opening that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Probe {
    /// Since when it was open.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it showed.
    pub found: ProbeFound,
    /// Packets of the attack that passed.
    pub passed_packets: u64,
}

/// A renewal that waits for a second person.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Renewal {
    /// When it was asked for.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// Until when it would stay.
    pub end: End,
    /// The requester.
    pub requester: Presence,
    /// The one who answers for it.
    pub owner: Presence,
    /// Why.
    pub words: String,
}

/// The customer's own check of access.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Access {
    /// When it was asked for.
    pub asked: Timestamp,
    /// Of whom.
    pub of: String,
    /// When it was answered, whether all is well, by whom, in which words.
    pub answer: Option<(Timestamp, bool, String, String)>,
}

/// Trial openings kept in the state of one measure; more are in the ledger only.
pub const MAX_PROBES: usize = 100;

impl Ending {
    /// Takes one step. A measure that is not in force keeps its end; that is the caller's to check.
    pub fn apply(&mut self, at: Timestamp, actor: &Actor, step: &EndStep) {
        match step {
            EndStep::TaskDone { by, words } => {
                self.task_done = Some((at, actor.clone(), format!("{by}: {words}")));
            }
            EndStep::NoticeDue { due, contacts } => self.notice = Some((*due, contacts.clone())),
            EndStep::Told { when, contact, words } => self.told.push(Told {
                at,
                by: actor.clone(),
                when: *when,
                contact: contact.clone(),
                words: words.clone(),
            }),
            EndStep::ProbeOpened { until, most_packets } => {
                self.probe = Some(OpenProbe { since: at, until: *until, most_packets: *most_packets });
            }
            EndStep::ProbeClosed { found, passed_packets, .. } => {
                let since = self.probe.take().map_or(at, |p| p.since);
                if self.probes.len() >= MAX_PROBES {
                    self.probes.remove(0);
                }
                self.probes.push(Probe { since, until: at, found: *found, passed_packets: *passed_packets });
            }
            EndStep::RenewalAsked { end, requester, owner, words, .. } => {
                self.renewal = Some(Renewal {
                    at,
                    by: actor.clone(),
                    end: end.clone(),
                    requester: requester.clone(),
                    owner: owner.clone(),
                    words: words.clone(),
                });
            }
            EndStep::Renewed { end, .. } => {
                self.renewal = None;
                self.proposed = None;
                self.notice = None;
                self.task_done = None;
                self.renewed = Some((at, end.clone()));
            }
            EndStep::RenewalRefused { .. } => self.renewal = None,
            EndStep::AccessAsked { of } => {
                self.access = Some(Access { asked: at, of: of.clone(), answer: None });
            }
            EndStep::AccessAnswered { ok, by, words } => {
                let answer = Some((at, *ok, by.clone(), words.clone()));
                match &mut self.access {
                    Some(access) => access.answer = answer,
                    None => self.access = Some(Access { asked: at, of: by.clone(), answer }),
                }
            }
            EndStep::FlowsAfter { effect } => self.flows_after = Some(*effect),
            EndStep::FollowedBy { measure } => self.followed_by = Some(*measure),
        }
    }

    /// Trial openings in a row, counted from the last, that found the attack or nothing.
    pub fn probes_in_vain(&self) -> u32 {
        let in_vain = self.probes.iter().rev().take_while(|p| p.found != ProbeFound::Absent).count();
        u32::try_from(in_vain).unwrap_or(u32::MAX)
    }
}

/// `first`, doubled `times` times, at most `cap`; the unit is the caller's.
pub fn doubled(first: u64, times: u32, cap: u64) -> u64 {
    let factor = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
    first.saturating_mul(factor).min(cap.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_cap_and_never_shrink() {
        let waits: Vec<u64> = (0..6).map(|n| doubled(300, n, 3_600)).collect();
        assert_eq!(waits, [300, 600, 1_200, 2_400, 3_600, 3_600]);
        assert_eq!(doubled(300, 200, 3_600), 3_600);
        assert_eq!(doubled(u64::MAX, 3, 10), u64::MAX, "what somebody asked for is not cut short");
    }

    #[test]
    fn probes_are_counted_and_bounded() {
        let (mut e, actor) = (Ending::default(), Actor::system("ends"));
        let closed = |found| EndStep::ProbeClosed { found, passed_packets: 1, why: String::new() };
        for n in 0..150 {
            let at = Timestamp::from_secs(n);
            e.apply(at, &actor, &EndStep::ProbeOpened { until: at.plus_ms(500), most_packets: 9 });
            assert!(e.probe.is_some());
            e.apply(at.plus_ms(500), &actor, &closed(ProbeFound::Present));
        }
        assert_eq!((e.probes.len(), e.probe.clone()), (MAX_PROBES, None));
        assert_eq!(e.probes.last().unwrap().since, Timestamp::from_secs(149));
        assert_eq!(e.probes_in_vain(), 100);
        e.apply(Timestamp::from_secs(200), &actor, &closed(ProbeFound::Absent));
        assert_eq!(e.probes_in_vain(), 0);
    }
}
