//! What a new look changes: pure, from the view before, what was seen, and which measures count.

use super::sight::{HandView, PlaceView, SeenState, Sight, StrayView, Unreachable};
use std::collections::BTreeSet;
use suimon_base::{MeasureId, Timestamp};

/// The view after a look that got an answer.
pub(crate) fn seen(before: &HandView, sight: Sight, began: Timestamp, now: Timestamp) -> HandView {
    let places = sight.seen.into_iter().map(|s| {
        let old = before.measures.iter().find(|p| p.id == s.id && p.place == s.place);
        let same = old.filter(|o| o.state.name() == s.state.name());
        let known = !matches!(s.state, SeenState::Unreachable { .. });
        // A counter that went back was entered anew: that is no packet, but no silence either.
        let moved = match (s.packets, old) {
            (None, _) => old.and_then(|o| o.moved),
            (Some(n), Some(o)) if o.packets == Some(n) => o.moved,
            (Some(_), _) => Some(began),
        };
        PlaceView {
            id: s.id,
            place: s.place,
            since: same.map_or(began, |o| o.since),
            looked: if known { began } else { old.map_or(began, |o| o.looked) },
            packets: s.packets.or_else(|| old.filter(|_| !known)?.packets),
            octets: s.octets.or_else(|| old.filter(|_| !known)?.octets),
            moved,
            text: s.text,
            state: s.state,
        }
    });
    let strays = sight.strays.into_iter().map(|s| StrayView {
        orphan: before.strays.iter().find(|o| o.name == s.name && o.place == s.place).and_then(|o| o.orphan),
        name: s.name,
        measure: s.id,
        place: s.place,
        dialect: s.dialect,
        text: s.text,
        bound: s.bound,
        packets: s.packets,
    });
    HandView {
        hand: before.hand.clone(),
        looks: Some(true),
        looked: Some(began),
        took_ms: now.ms_since(began).max(0),
        unreachable: None,
        measures: places.collect(),
        strays: strays.collect(),
    }
}

/// The view after a look that failed: what was known stays, with its age.
pub(crate) fn failed(before: &HandView, why: String, began: Timestamp, now: Timestamp) -> HandView {
    let since = before.unreachable.as_ref().map_or(began, |u| u.since);
    let took_ms = now.ms_since(began).max(0);
    HandView { looks: Some(true), took_ms, unreachable: Some(Unreachable { since, why }), ..before.clone() }
}

/// Measures that some place lacks, of those in `count`: missing at once, partly only at the second look, since a part may
/// be on its way.
pub(crate) fn lacking(before: &HandView, after: &HandView, count: &BTreeSet<MeasureId>) -> Vec<(MeasureId, String)> {
    let mut out: Vec<(MeasureId, String)> = Vec::new();
    for p in after.measures.iter().filter(|p| count.contains(&p.id)) {
        let partly_before = || {
            let old = before.measures.iter().find(|o| o.id == p.id && o.place == p.place);
            old.is_some_and(|o| matches!(o.state, SeenState::Partly { .. }))
        };
        let lacks = match &p.state {
            SeenState::Missing => true,
            SeenState::Partly { .. } => partly_before(),
            _ => false,
        };
        if lacks && !out.iter().any(|(id, _)| *id == p.id) {
            out.push((p.id, p.place.clone()));
        }
    }
    out
}

/// For how long every counter of a measure has stood still, milliseconds; `None` where a place does not count, cannot be
/// looked at, or does not hold the measure as wanted.
pub(crate) fn silent_ms(view: &HandView, id: MeasureId, now: Timestamp) -> Option<i64> {
    let mut silent: Option<i64> = None;
    for p in view.measures.iter().filter(|p| p.id == id) {
        if p.state != SeenState::AsWanted || view.unreachable.is_some() {
            return None;
        }
        // Nothing is known after the latest look.
        let until = p.looked.min(now);
        let ms = until.ms_since(p.moved?);
        silent = Some(silent.map_or(ms, |s: i64| s.min(ms)));
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::super::sight::{Seen, Stray};
    use super::*;

    const M1: MeasureId = MeasureId(1);

    fn at(s: i64) -> Timestamp {
        Timestamp::from_secs(s)
    }

    fn one(state: SeenState, packets: Option<u64>) -> Sight {
        Sight {
            seen: vec![Seen { id: M1, place: "edge1".into(), state, packets, octets: None, text: None }],
            strays: vec![],
        }
    }

    fn look(before: &HandView, state: SeenState, packets: Option<u64>, s: i64) -> HandView {
        seen(before, one(state, packets), at(s), at(s + 1))
    }

    #[test]
    fn a_state_keeps_its_beginning_and_a_counter_its_last_move() {
        let v = look(&HandView::default(), SeenState::AsWanted, Some(5), 10);
        let v = look(&v, SeenState::AsWanted, Some(7), 20);
        let v = look(&v, SeenState::AsWanted, Some(7), 30);
        let p = &v.measures[0];
        assert_eq!((p.since, p.looked, p.moved), (at(10), at(30), Some(at(20))));
        assert_eq!(silent_ms(&v, M1, at(100)), Some(10_000), "the time after the latest look proves nothing");
        let v = look(&v, SeenState::AsWanted, Some(1), 40);
        assert_eq!(v.measures[0].moved, Some(at(40)), "cleared or entered anew");
        let v = look(&v, SeenState::Missing, None, 50);
        assert_eq!((v.measures[0].since, silent_ms(&v, M1, at(60))), (at(50), None));
        let v = look(&v, SeenState::AsWanted, None, 60);
        assert_eq!(v.measures[0].since, at(60));
    }

    #[test]
    fn a_failed_look_keeps_what_was_known_with_its_age() {
        let v = look(&HandView::default(), SeenState::AsWanted, Some(5), 10);
        let v = failed(&v, "no answer".into(), at(20), at(25));
        let v = failed(&v, "still none".into(), at(30), at(35));
        assert_eq!(v.unreachable, Some(Unreachable { since: at(20), why: "still none".into() }));
        assert_eq!((v.looked, v.measures.len(), silent_ms(&v, M1, at(40))), (Some(at(10)), 1, None));
        assert_eq!(look(&v, SeenState::AsWanted, Some(5), 40).unreachable, None);
    }

    #[test]
    fn a_part_is_given_time_for_the_rest() {
        let all = BTreeSet::from([M1]);
        let nothing = HandView::default();
        let partly = || SeenState::Partly { why: "SUIMON-M-1-V6 is missing".into() };
        let first = look(&nothing, partly(), None, 10);
        assert!(lacking(&nothing, &first, &all).is_empty());
        let second = look(&first, partly(), None, 20);
        assert_eq!(lacking(&first, &second, &all), [(M1, "edge1".to_owned())]);
        let missing = look(&nothing, SeenState::Missing, None, 10);
        assert_eq!(lacking(&nothing, &missing, &all).len(), 1);
        assert!(lacking(&nothing, &missing, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_stray_keeps_its_number() {
        let stray = || Stray {
            name: "SUIMON-M-9".into(),
            id: Some(MeasureId(9)),
            place: "edge1".into(),
            dialect: "cisco-ios".into(),
            text: String::new(),
            bound: true,
            packets: None,
        };
        let sight = || Sight { seen: vec![], strays: vec![stray()] };
        let mut v = seen(&HandView::default(), sight(), at(1), at(1));
        assert_eq!(v.strays[0].orphan, None);
        v.strays[0].orphan = Some(suimon_base::OrphanId(3));
        assert_eq!(seen(&v, sight(), at(2), at(2)).strays[0].orphan, Some(suimon_base::OrphanId(3)));
    }
}
