//! Desired against observed state while the engine runs: put back, orphans, silence, and routers that do not answer.

use crate::clock;
use crate::house::{House, ROUTER, Router, SHOP, VERIFY, approver, open, operator};
use crate::outage::stopwatch;
use std::sync::Arc;
use std::time::Duration;
use suimon_base::drift::{OrphanKind, OrphanStep};
use suimon_base::event::ReleaseReason;
use suimon_base::measure::Status;
use suimon_base::{Clock as _, MeasureId, OrphanId, State};
use suimon_spine::ports::SeenState;
use suimon_spine::verify::PUT_BACKS;
use suimon_spine::{Command, CommandError, Handle};

fn seen(handle: &Handle, id: MeasureId) -> Option<SeenState> {
    let live = handle.live();
    let view = live.views.get(ROUTER)?;
    view.measures.iter().find(|p| p.id == id).map(|p| p.state.clone())
}

fn open_orphans(s: &State) -> Vec<(OrphanId, OrphanKind, Option<MeasureId>)> {
    s.drift.open().map(|o| (o.id, o.found.kind, o.found.measure)).collect()
}

async fn resolve(house: &House, orphan: OrphanId, step: OrphanStep) -> Result<suimon_spine::Outcome, CommandError> {
    let command = Command::ResolveOrphan { orphan, step, reason: "looked at it".to_owned(), proposal: None };
    house.act(operator(), command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_missing_is_put_back_and_that_is_on_record() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "12h").await;
    house.until("seen", |_| seen(&house.handle, id) == Some(SeenState::AsWanted)).await;
    clock.advance_ms(1_000);
    router.installed.lock().unwrap().clear();
    let put_back = |n: usize| {
        move |s: &State| s.drift.gaps.get(&id).is_some_and(|g| g.len() == n && g.iter().all(|g| g.to.is_some()))
    };
    house.until("put back", put_back(1)).await;
    assert_eq!(router.holds(), [id.0]);
    house.until("seen", |_| seen(&house.handle, id) == Some(SeenState::AsWanted)).await;
    // Whoever takes it out again and again means it: a person is asked, and nobody fights with him.
    for n in 2..=PUT_BACKS {
        clock.advance_ms(1_000);
        router.installed.lock().unwrap().clear();
        house.until("put back again", put_back(n)).await;
        house.until("seen", |_| seen(&house.handle, id) == Some(SeenState::AsWanted)).await;
    }
    clock.advance_ms(1_000);
    router.installed.lock().unwrap().clear();
    house.until("an orphan", |s| open_orphans(s) == [(OrphanId(1), OrphanKind::Missing, Some(id))]).await;
    house.two_looks(&router).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    resolve(&house, OrphanId(1), OrphanStep::Restore).await.unwrap();
    house.until("gone", |s| s.drift.orphans[&OrphanId(1)].gone.is_some()).await;
    assert_eq!(router.holds(), [id.0]);
    // All of it can be read again.
    house.stops().await;
    open(dir.path(), &clock, &router).await.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_lost_its_ground_is_not_put_back() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    clock.advance_ms(3_600_000);
    router.installed.lock().unwrap().clear();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.two_looks(&router).await;
    assert_eq!(router.calls().iter().filter(|c| c.starts_with("apply")).count(), 1, "{:?}", router.calls());
    assert!(house.handle.with_state(|s| s.drift.gaps.is_empty()));
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_made_change_is_a_persons_matter() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "12h").await;
    clock.advance_ms(1_000);
    router.edited.lock().unwrap().insert(id);
    house.until("an orphan", |s| open_orphans(s) == [(OrphanId(1), OrphanKind::Differs, Some(id))]).await;
    house.two_looks(&router).await;
    assert_eq!(router.calls(), [format!("apply {id}")], "nothing is overwritten without a person");
    let found = house.handle.with_state(|s| s.drift.orphans[&OrphanId(1)].found.clone());
    assert!(found.text.contains("permit everything") && found.what.contains("not dropped"), "{found:?}");
    // What fits this kind, and a reason, are asked for.
    let wrong = resolve(&house, OrphanId(1), OrphanStep::Adopt).await.unwrap_err().to_string();
    assert!(wrong.contains("restore, release, leave"), "{wrong}");
    let silent =
        Command::ResolveOrphan { orphan: OrphanId(1), step: OrphanStep::Leave, reason: " ".to_owned(), proposal: None };
    assert!(house.act(operator(), silent).await.is_err());
    resolve(&house, OrphanId(1), OrphanStep::Leave).await.unwrap();
    house.two_looks(&router).await;
    assert_eq!(house.handle.with_state(open_orphans), []);
    assert!(router.edited.lock().unwrap().contains(&id), "left is left");
    // One may think again.
    resolve(&house, OrphanId(1), OrphanStep::Restore).await.unwrap();
    house.until("gone", |s| s.drift.orphans[&OrphanId(1)].gone.is_some()).await;
    assert!(router.edited.lock().unwrap().is_empty());
    // The next change ends the measure.
    clock.advance_ms(1_000);
    router.edited.lock().unwrap().insert(id);
    house.until("another", |s| open_orphans(s) == [(OrphanId(2), OrphanKind::Differs, Some(id))]).await;
    resolve(&house, OrphanId(2), OrphanStep::Release).await.unwrap();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.until("gone", |s| s.drift.orphans[&OrphanId(2)].gone.is_some()).await;
    let reason = house.handle.with_state(|s| s.measures[&id].release.clone()).unwrap().0;
    assert_eq!(reason, ReleaseReason::ByHand { words: "looked at it".to_owned() });
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_decided_on_is_removed_or_adopted_by_a_person() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    router.installed.lock().unwrap().extend([MeasureId(98), MeasureId(99)]);
    house.until("two", |s| s.drift.open().count() == 2).await;
    let of = |s: &State, m: u64| s.drift.open().find(|o| o.found.measure == Some(MeasureId(m))).unwrap().id;
    let (first, second) = house.handle.with_state(|s| (of(s, 98), of(s, 99)));
    house.two_looks(&router).await;
    assert_eq!(router.holds(), [98, 99], "nothing is taken out before somebody says so");
    clock.advance_ms(1_000);
    resolve(&house, first, OrphanStep::Remove).await.unwrap();
    house.until("gone", |s| s.drift.orphans[&first].gone.is_some()).await;
    assert_eq!(router.holds(), [99]);
    assert!(matches!(resolve(&house, first, OrphanStep::Leave).await, Err(CommandError::Conflict(_))));

    // Adopting is a proposal like any other; without a basis it is denied and nothing has changed.
    let proposal = suimon_spine::command::Proposal {
        case,
        attack: None,
        end: "12h".to_owned(),
        dialect: None,
        hand: None,
        choose: None,
        filter_request: None,
        reason: "it helps".to_owned(),
        claims: Default::default(),
    };
    let adopt = Command::ResolveOrphan {
        orphan: second,
        step: OrphanStep::Adopt,
        reason: "somebody was in a hurry".to_owned(),
        proposal: Some(Box::new(proposal)),
    };
    let made = house.act(operator(), adopt).await.unwrap();
    let id = made.measures[0];
    let facts = house.handle.with_state(|s| s.measures[&id].draft.facts.clone());
    assert!(facts["filter-request"].as_str().unwrap().contains("deny"), "the rules are the orphan's");
    house.two_looks(&router).await;
    assert_eq!(router.holds(), [99], "it stays until its measure is in force");
    clock.advance_ms(1_000);
    house.approves(id).await;
    house.until("gone", |s| s.drift.orphans[&second].gone.is_some()).await;
    assert_eq!(router.holds(), [id.0]);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_of_an_ended_measure_is_taken_out_again() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "12h").await;
    house.act(approver(), Command::Release { measure: id, words: "enough".to_owned() }).await.unwrap();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    clock.advance_ms(1_000);
    // A router that comes back with an old configuration.
    router.installed.lock().unwrap().insert(id);
    house.until("found and gone", |s| s.drift.orphans.values().any(|o| o.gone.is_some())).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    let o = house.handle.with_state(|s| s.drift.orphans[&OrphanId(1)].clone());
    assert_eq!((o.found.kind, o.resolved.unwrap().step), (OrphanKind::Ended, OrphanStep::Remove));
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_does_not_answer_raises_an_alarm_and_delays_nobody() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "12h").await;
    house.until("seen", |_| seen(&house.handle, id) == Some(SeenState::AsWanted)).await;
    let alerts = house.handle.with_state(|s| s.alerts.len());
    *router.dark.lock().unwrap() = true;
    house.until("dark", |_| house.handle.live().views[ROUTER].unreachable.is_some()).await;
    let view = house.handle.live().views[ROUTER].clone();
    assert_eq!(view.measures[0].state, SeenState::AsWanted, "what was known stays, with its age");
    assert_eq!(house.handle.with_state(|s| s.drift.outages.len()), 0, "not at once");
    clock.advance_ms(VERIFY.alarm_after_ms);
    house.until("alarm", |s| s.drift.outages.len() == 1).await;
    let alert = house.handle.with_state(|s| s.alerts.values().next_back().unwrap().clone());
    assert_eq!((house.handle.with_state(|s| s.alerts.len()), alert.case), (alerts + 1, Some(case)));
    assert!(alert.subject_ja.contains("確認できません"), "{alert:?}");
    house.two_looks(&router).await;
    assert_eq!(house.handle.with_state(|s| s.drift.outages.len()), 1, "once");
    *router.dark.lock().unwrap() = false;
    house.until("light", |s| s.drift.outages[0].until.is_some()).await;
    assert_eq!(router.calls(), [format!("apply {id}")], "it was there all the time");

    // A router that keeps silent for seconds costs the engine nothing, and a start no more than its bound.
    *router.slow.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let asked = stopwatch();
    house.act(operator(), Command::Note { case, text: "still here".to_owned() }).await.unwrap();
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    house.dies().await;
    let started = stopwatch();
    let house = open(dir.path(), &clock, &router).await;
    let took = started.elapsed();
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    *router.slow.lock().unwrap() = false;
    house.until("seen", |_| seen(&house.handle, id) == Some(SeenState::AsWanted)).await;
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_stand_still_propose_release_and_no_more() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "7d").await;
    router.packets.lock().unwrap().insert(id, 10);
    let counted = |n: u64| {
        let handle = house.handle.clone();
        move |_: &State| {
            let live = handle.live();
            live.views.get(ROUTER).is_some_and(|v| v.measures.iter().any(|p| p.packets == Some(n)))
        }
    };
    house.until("counted", counted(10)).await;
    clock.advance_ms(VERIFY.silent_ms - 60_000);
    router.packets.lock().unwrap().insert(id, 11);
    house.until("counted", counted(11)).await;
    clock.advance_ms(VERIFY.silent_ms - 60_000);
    house.two_looks(&router).await;
    assert!(house.handle.with_state(|s| s.drift.release_proposed.is_empty()), "it moved in between");
    clock.advance_ms(120_000);
    house.until("proposed", |s| s.drift.release_proposed.contains_key(&id)).await;
    let (_, why) = house.handle.with_state(|s| s.drift.release_proposed[&id].clone());
    assert!(why.contains("matched nothing for 31 minutes"), "{why}");
    house.two_looks(&router).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied, "a person decides");
    assert_eq!(house.clock.now(), clock.now());
    house.stops().await;
}
