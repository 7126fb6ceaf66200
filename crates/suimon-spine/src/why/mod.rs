//! Which measure touches these packets, where, since when, by whose request, and whom to ask (catalogue row 148).
//!
//! The answer for now comes from what the hands have seen, with its age; the ledger alone would say what should be
//! there. What could not be looked at is part of the answer. The answer for a time that has passed comes from the
//! ledger, which has every measure, gap and outage of it. No traffic is read for it: a question names addresses, and the
//! answer names measures.

pub mod ask;
mod judge;
mod past;

use crate::ports::{Planner, SeenState};
use crate::register::Register;
use crate::verify::sight::{HandView, PlaceView, Views};
use judge::{Judged, judge};
use serde::Serialize;
use std::cell::Cell;
use suimon_base::query::Fate;
use suimon_base::state::Measure;
use suimon_base::{Actor, CaseId, MeasureId, OrphanId, PacketQuery, RequestId, State, Timestamp};

/// Most entries of each list in an answer; more are counted.
pub const MAX_ENTRIES: usize = 100;
/// Most texts that are read for the line that decides; a packet that so many measures take has its answer without.
pub const MAX_LINES: usize = 20;

/// A line of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// From 1, in the text of the measure.
    pub number: usize,
    /// As written.
    pub text: String,
}

/// Something of ours that takes some of the packets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decider {
    /// What it does to them.
    pub does: Fate,
    /// The measure; `None` for something in the network that no measure stands for.
    pub measure: Option<MeasureId>,
    /// The difference on record, where there is one.
    pub orphan: Option<OrphanId>,
    /// The hand.
    pub hand: String,
    /// Device and list, or peer.
    pub place: String,
    /// How sure that is: `observed`, `different`, `not-looked`, `recorded`.
    pub known: Known,
    /// When it was last seen there.
    pub looked: Option<Timestamp>,
    /// How long ago that was, milliseconds.
    pub age_ms: Option<i64>,
    /// Since when it is in force.
    pub since: Option<Timestamp>,
    /// The line that decides first.
    pub line: Option<Line>,
    /// What that line asks besides what was said of the packets; empty where it takes them all.
    pub conditions: Vec<String>,
    /// More about the measure.
    pub of: Option<About>,
}

/// How sure an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// Read back from the network, and exactly what was decided.
    Observed,
    /// Read back from the network, and something else than was decided.
    Different,
    /// By the ledger; nobody could look, or has looked yet.
    NotLooked,
    /// By the ledger, for a time that has passed.
    Recorded,
}

/// Who stands behind a measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// Case.
    pub case: CaseId,
    /// The act.
    pub act: String,
    /// Whose addresses.
    pub customer: Option<String>,
    /// The request that it answers.
    pub request: Option<RequestId>,
    /// Who asked: company, contact, service.
    pub asked_by: Option<String>,
    /// Reason given by the proposer.
    pub reason: String,
    /// Who proposed it.
    pub proposed_by: Actor,
    /// Who approved it.
    pub approved_by: Option<Actor>,
    /// When it ends.
    pub end: String,
    /// Registered contacts who may have it lifted.
    pub may_lift: Vec<String>,
}

/// A measure that would take some of the packets and is not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Absent {
    /// Which.
    pub measure: MeasureId,
    /// The hand.
    pub hand: String,
    /// Where it is missing.
    pub place: String,
    /// Since when.
    pub since: Timestamp,
}

/// A place that is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dark {
    /// The hand.
    pub hand: String,
    /// The place within it; empty for all of it.
    pub place: String,
    /// Since when nothing is known; `None` where nothing ever was.
    pub since: Option<Timestamp>,
    /// Why.
    pub why: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Why {
    /// The question.
    pub query: PacketQuery,
    /// For when the answer is.
    pub at: Timestamp,
    /// Whether that is now.
    pub now: bool,
    /// What becomes of the packets, as far as it is known.
    pub verdict: Fate,
    /// The age of the oldest look that the answer rests on, milliseconds; `None` where it rests on none.
    pub oldest_look_ms: Option<i64>,
    /// What takes some of them, the strongest first.
    pub deciders: Vec<Decider>,
    /// What should and does not.
    pub absent: Vec<Absent>,
    /// What could not be looked at.
    pub dark: Vec<Dark>,
    /// Entries beyond [`MAX_ENTRIES`].
    pub more: usize,
    /// The answer in a sentence, English.
    pub words_en: String,
    /// The same, Japanese.
    pub words_ja: String,
}

/// What an answer is made from.
pub struct Sources<'a> {
    /// The record.
    pub state: &'a State,
    /// What the hands see.
    pub views: &'a Views,
    /// Customers and contacts.
    pub register: &'a Register,
    /// Reads texts back.
    pub planner: &'a dyn Planner,
    /// The time.
    pub now: Timestamp,
    /// Texts that may still be read for their lines; [`MAX_LINES`] at the beginning.
    pub lines: Cell<usize>,
}

/// Answers for now, or for a time that has passed.
pub fn why(sources: &Sources<'_>, query: PacketQuery, at: Option<Timestamp>) -> Why {
    let mut answer = Why {
        query,
        at: at.unwrap_or(sources.now),
        now: at.is_none(),
        verdict: Fate::Passes,
        oldest_look_ms: None,
        deciders: Vec::new(),
        absent: Vec::new(),
        dark: Vec::new(),
        more: 0,
        words_en: String::new(),
        words_ja: String::new(),
    };
    match at {
        Some(at) => past::fill(sources, at, &mut answer),
        None => present(sources, &mut answer),
    }
    answer.deciders.sort_by(|a, b| (b.does, a.known, a.measure, &a.place).cmp(&(a.does, b.known, b.measure, &b.place)));
    answer.verdict = answer.deciders.iter().map(|d| d.does).max().unwrap_or(Fate::Passes);
    let lists = [answer.deciders.len(), answer.absent.len(), answer.dark.len()];
    answer.more = lists.iter().map(|n| n.saturating_sub(MAX_ENTRIES)).sum();
    answer.deciders.truncate(MAX_ENTRIES);
    answer.absent.truncate(MAX_ENTRIES);
    answer.dark.truncate(MAX_ENTRIES);
    (answer.words_en, answer.words_ja) = words(&answer);
    answer
}

fn present(s: &Sources<'_>, answer: &mut Why) {
    for m in s.state.in_force() {
        let Some(plan) = m.plan() else { continue };
        let wanted = judge(s, &answer.query, &plan.rules, &plan.text, &plan.dialect);
        let view = s.views.get(&m.draft.hand);
        // What was seen before it was applied says nothing about it.
        let fresh = |p: &&PlaceView| p.id == m.id && m.applied.as_ref().is_none_or(|a| a.at <= p.looked);
        let places: Vec<&PlaceView> = view.iter().flat_map(|v| &v.measures).filter(fresh).collect();
        if places.is_empty() {
            // On its way, typed in by a person, or at a hand that has not looked yet.
            let place = m.applied.as_ref().map(|a| a.place.clone()).unwrap_or_default();
            answer.deciders.extend(wanted.map(|j| decider(s, m, &m.draft.hand, place, Known::NotLooked, None, j)));
            continue;
        }
        for p in places {
            let dark =
                matches!(p.state, SeenState::Unreachable { .. }) || view.is_some_and(|v| v.unreachable.is_some());
            let judged = match (&p.state, &p.text) {
                (SeenState::Missing, _) => None,
                (SeenState::AsWanted | SeenState::Unreachable { .. }, _) | (_, None) => wanted.clone(),
                (_, Some(text)) => judged_text(s, &answer.query, text, &plan.dialect),
            };
            let known = match (&p.state, dark) {
                (_, true) => Known::NotLooked,
                (SeenState::AsWanted, _) => Known::Observed,
                _ => Known::Different,
            };
            let looked = Some(p.looked);
            answer.deciders.extend(judged.map(|j| decider(s, m, &m.draft.hand, p.place.clone(), known, looked, j)));
            let lacks = matches!(p.state, SeenState::Missing | SeenState::Partly { .. });
            if lacks && wanted.is_some() {
                let (hand, place) = (m.draft.hand.clone(), p.place.clone());
                answer.absent.push(Absent { measure: m.id, hand, place, since: p.since });
            }
        }
    }
    for view in s.views.values() {
        strays(s, view, answer);
        if let Some(u) = &view.unreachable {
            let (hand, place) = (view.hand.clone(), String::new());
            answer.dark.push(Dark { hand, place, since: Some(u.since), why: u.why.clone() });
        }
        for p in &view.measures {
            if let SeenState::Unreachable { why } = &p.state
                && !answer.dark.iter().any(|d| d.hand == view.hand && d.place == p.place)
            {
                let (hand, place) = (view.hand.clone(), p.place.clone());
                answer.dark.push(Dark { hand, place, since: Some(p.since), why: why.clone() });
            }
        }
        let age = view.looked.map(|at| s.now.ms_since(at));
        answer.oldest_look_ms = answer.oldest_look_ms.max(age);
    }
    blind(s, answer);
}

/// Hands that cannot look, or have not yet, and have measures in force.
fn blind(s: &Sources<'_>, answer: &mut Why) {
    let mut hands: Vec<&str> = s.state.in_force().map(|m| m.draft.hand.as_str()).collect();
    hands.sort_unstable();
    hands.dedup();
    for hand in hands {
        let view = s.views.get(hand);
        let why = match view.map(|v| (v.looks, v.looked, v.unreachable.is_some())) {
            None | Some((None, ..)) => "nobody has looked yet",
            Some((Some(false), ..)) => "a person applies and undoes there; nothing is read back",
            Some(_) => continue,
        };
        answer.dark.push(Dark { hand: hand.to_owned(), place: String::new(), since: None, why: why.to_owned() });
    }
}

fn strays(s: &Sources<'_>, view: &HandView, answer: &mut Why) {
    for stray in view.strays.iter().filter(|x| x.bound) {
        let Some(j) = judged_text(s, &answer.query, &stray.text, &stray.dialect) else { continue };
        let (hand, place) = (view.hand.clone(), format!("{} {}", stray.place, stray.name));
        let since = stray.orphan.and_then(|id| s.state.drift.orphans.get(&id)).map(|o| o.at);
        answer.deciders.push(Decider {
            does: j.does,
            measure: None,
            orphan: stray.orphan,
            hand,
            place,
            known: Known::Different,
            looked: view.looked,
            age_ms: view.looked.map(|at| s.now.ms_since(at)),
            since,
            line: j.line,
            conditions: j.conditions,
            of: None,
        });
    }
}

/// A text that is nobody's plan.
fn judged_text(s: &Sources<'_>, query: &PacketQuery, text: &str, dialect: &str) -> Option<Judged> {
    let (rules, _) = s.planner.read(text, dialect).ok()?;
    judge(s, query, &rules, text, dialect)
}

fn decider(
    s: &Sources<'_>,
    m: &Measure,
    hand: &str,
    place: String,
    known: Known,
    looked: Option<Timestamp>,
    j: Judged,
) -> Decider {
    let mine = |o: &&suimon_base::Orphan| o.gone.is_none() && o.found.measure == Some(m.id);
    Decider {
        does: j.does,
        measure: Some(m.id),
        orphan: s.state.drift.orphans.values().find(mine).map(|o| o.id),
        hand: hand.to_owned(),
        place,
        known,
        looked,
        age_ms: looked.map(|at| s.now.ms_since(at)),
        since: m.applied.as_ref().map(|a| a.at),
        line: j.line,
        conditions: j.conditions,
        of: Some(about(s, m)),
    }
}

fn about(s: &Sources<'_>, m: &Measure) -> About {
    let request = m.draft.request.and_then(|id| s.state.requests.get(&id));
    let asked_by = request.map(|r| {
        let q = &r.request.requester;
        format!("{} / {} / {}", q.company, q.contact, q.service)
    });
    let customer = m.draft.customer.as_deref().and_then(|id| s.register.customer(id));
    let lifts = |c: &&crate::register::Contact| c.authority.contains(&suimon_base::Authority::Lift);
    let may_lift =
        customer.into_iter().flat_map(|c| c.contacts.iter().filter(lifts).map(|k| format!("{}: {}", c.name, k.id)));
    About {
        case: m.case,
        act: m.draft.act.clone(),
        customer: m.draft.customer.clone(),
        request: m.draft.request,
        asked_by,
        reason: m.draft.reason.clone(),
        proposed_by: m.proposed.0.clone(),
        approved_by: m.approved.as_ref().map(|(who, _)| who.clone()),
        end: m.draft.end.to_string(),
        may_lift: may_lift.collect(),
    }
}

fn words(a: &Why) -> (String, String) {
    let ids: Vec<String> = a
        .deciders
        .iter()
        .filter(|d| d.does == a.verdict)
        .map(|d| d.measure.map_or_else(|| format!("{} on {}", d.place, d.hand), |m| m.to_string()))
        .fold(Vec::new(), |mut all, id| {
            if !all.contains(&id) {
                all.push(id);
            }
            all
        });
    let (who, unsure) =
        (ids.join(", "), a.deciders.iter().filter(|d| d.does == a.verdict).all(|d| d.known == Known::NotLooked));
    let (mut en, mut ja) = match a.verdict {
        Fate::Drops => (format!("{who} drops these packets."), format!("この通信は {who} が遮断しています。")),
        Fate::DropsSome => (
            format!("{who} drops some of these packets; the conditions say which."),
            format!("この通信の一部を {who} が遮断しています。該当する条件をご確認ください。"),
        ),
        Fate::Limits => (format!("{who} limits these packets."), format!("この通信は {who} が速度を制限しています。")),
        Fate::LimitsSome => (
            format!("{who} limits some of these packets; the conditions say which."),
            format!("この通信の一部を {who} が制限しています。該当する条件をご確認ください。"),
        ),
        Fate::Passes => (
            "No measure of ours drops or limits these packets.".to_owned(),
            "この通信を遮断・制限している措置はありません。".to_owned(),
        ),
    };
    if a.verdict != Fate::Passes && unsure && a.now {
        en.push_str(" By the ledger only: nobody could look.");
        ja.push_str("ただし記録簿による回答で、機器の状態は確認できていません。");
    }
    if !a.dark.is_empty() {
        en.push_str(" Not everything could be looked at.");
        ja.push_str("確認できていない箇所があります。");
    }
    (en, ja)
}
