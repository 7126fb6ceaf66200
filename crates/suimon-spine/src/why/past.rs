//! What was in force at a time that has passed, from the ledger.

use super::judge::judge;
use super::{Absent, Dark, Decider, Known, Sources, Why, decider, judged_text};
use suimon_base::Timestamp;
use suimon_base::drift::OrphanKind;
use suimon_base::state::Measure;

/// From application (or approval, where the hand never answered) until it was gone.
fn was_in_force(m: &Measure, at: Timestamp) -> bool {
    let began = m.applied.as_ref().map(|a| a.at);
    let ended = m.released.as_ref().map(|(gone, _)| *gone);
    began.is_some_and(|b| b <= at) && ended.is_none_or(|e| e > at)
}

pub(super) fn fill(s: &Sources<'_>, at: Timestamp, answer: &mut Why) {
    for m in s.state.measures.values().filter(|m| was_in_force(m, at)) {
        let Some(plan) = m.plan() else { continue };
        let Some(judged) = judge(s, &answer.query, &plan.rules, &plan.text, &plan.dialect) else { continue };
        let hand = &m.draft.hand;
        if let Some(gap) = s.state.drift.missing(m.id, at) {
            let (hand, place) = (hand.clone(), gap.place.clone());
            answer.absent.push(Absent { measure: m.id, hand, place, since: gap.from });
            continue;
        }
        let place = m.applied.as_ref().map(|a| a.place.clone()).unwrap_or_default();
        answer.deciders.push(decider(s, m, hand, place, Known::Recorded, None, judged));
    }
    let strays = s.state.drift.orphans.values().filter(|o| o.was_there(at));
    for o in strays.filter(|o| matches!(o.found.kind, OrphanKind::Unknown | OrphanKind::Ended)) {
        let Some(j) = judged_text(s, &answer.query, &o.found.text, &o.found.dialect) else { continue };
        answer.deciders.push(Decider {
            does: j.does,
            measure: None,
            orphan: Some(o.id),
            hand: o.found.hand.clone(),
            place: format!("{} {}", o.found.place, o.found.name),
            known: Known::Recorded,
            looked: None,
            age_ms: None,
            since: Some(o.at),
            line: j.line,
            conditions: j.conditions,
            of: None,
        });
    }
    for o in s.state.drift.dark(at) {
        let (hand, place, why) = (o.hand.clone(), o.place.clone(), o.why.clone());
        answer.dark.push(Dark { hand, place, since: Some(o.since), why });
    }
}
