//! The engine over a real ledger, the real policies and a hand that remembers: the life of a measure, its ends, restarts,
//! and a ledger that cannot be written.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, like the tests themselves, fail by panicking"
)]

#[path = "engine/house.rs"]
mod house;
#[path = "engine/outage.rs"]
mod outage;
#[path = "engine/probe.rs"]
mod probe;
#[path = "engine/release.rs"]
mod release;
#[path = "engine/restart.rs"]
mod restart;
#[path = "engine/upkeep.rs"]
mod upkeep;
#[path = "engine/verify.rs"]
mod verify;
#[path = "engine/why.rs"]
mod why;

use house::{ROUTER, Router, SHOP, attack, effect, noon, open, operator};
use std::sync::Arc;
use suimon_base::case::Phase;
use suimon_base::event::ReleaseReason;
use suimon_base::measure::Status;
use suimon_base::{Actor, AttackChange, Clock as _, ManualClock, MeasureId};
use suimon_spine::{Command, CommandError};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(noon()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    house.sees(AttackChange::Started(attack(1, SHOP, clock.now()))).await;
    house.until("a case", |s| s.cases.len() == 1).await;
    let case = house.handle.with_state(|s| *s.cases.keys().next().unwrap());

    // Too early: denied, with what is missing, and that stays on record.
    let Err(CommandError::Denied { measure: Some(denied), denial }) = house.proposes(case, "quiet:10s", ROUTER).await
    else {
        panic!("a proposal without any basis")
    };
    assert!(!denial.missing.is_empty());
    house.asks(case, "shop").await;
    let id = house.proposes(case, "quiet:10s", ROUTER).await.unwrap();

    // The proposer cannot approve, and nothing moves by trying.
    let alone = house.act(operator(), Command::Approve { measure: id, choose: None, claims: None }).await;
    assert!(matches!(alone, Err(CommandError::Denied { .. })), "{alone:?}");
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Proposed);
    assert_eq!(router.calls(), Vec::<String>::new());

    house.approves(id).await;
    house.until("applied", |s| s.measures[&id].status == Status::Applied).await;
    assert_eq!(house.handle.with_state(|s| s.cases[&case].phase), Phase::Mitigate);
    assert_eq!(router.holds(), [id.0]);

    // Not quiet yet; then quiet, but not for as long as the measure is old; then both.
    clock.advance_ms(9_000);
    house.reads(id, effect(true, 9_000)).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    house.reads(id, effect(true, 11_000)).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    clock.advance_ms(2_000);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    let (reason, effect) = house.handle.with_state(|s| (s.measures[&id].release.clone(), s.measures[&id].effect));
    assert_eq!(reason.unwrap().0, ReleaseReason::Quiet { quiet_ms: 11_000 });
    assert!(effect.is_some());
    assert_eq!(router.calls(), [format!("apply {id}"), format!("release {id}")]);
    assert_eq!(house.handle.with_state(|s| s.cases[&case].phase), Phase::Recover);

    let close = Command::CloseCase { case, host_check: "fine".to_owned() };
    house.act(operator(), close).await.unwrap();
    house.stops().await;
    let report = suimon_ledger::verify(dir.path()).await.unwrap();
    assert_eq!(report.broken, None);

    // The denial is still there for whoever asks later.
    let house = open(dir.path(), &clock, &router).await;
    house.handle.with_state(|s| {
        assert_eq!(s.measures[&denied].status, Status::Denied);
        assert!(s.measures[&denied].decision.get("missing").is_some());
        assert_eq!(s.cases[&case].phase, Phase::Closed);
    });
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_proves_nothing_where_drops_are_not_exported() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:10s").await;
    clock.advance_ms(600_000);
    house.reads(id, effect(false, 600_000)).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    // A day later a person is asked to look.
    clock.advance_ms(86_400_000);
    house.until("a review", |s| s.measures[&id].error.is_some()).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ends_it() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let short = house.applied(case, "30s").await;
    let day = house.applied(case, "next-business-day").await;
    clock.advance_ms(29_999);
    house.some_ticks().await;
    assert_eq!(router.holds(), [short.0, day.0]);
    clock.advance_ms(1);
    house.until("released", |s| s.measures[&short].status == Status::Released).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&short].release.clone()).unwrap().0, ReleaseReason::Due);
    // The case goes on while one is left. Monday the 23rd is 勤労感謝の日, so it is Tuesday, nine o'clock.
    assert_eq!(house.handle.with_state(|s| s.cases[&case].phase), Phase::Mitigate);
    clock.set("2026-11-23T23:59:59Z".parse().unwrap());
    house.some_ticks().await;
    assert_eq!(router.holds(), [day.0]);
    clock.set("2026-11-24T00:00:00Z".parse().unwrap());
    house.until("released", |s| s.measures[&day].status == Status::Released).await;
    assert_eq!(house.handle.with_state(|s| s.cases[&case].phase), Phase::Recover);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_request_takes_its_measures_along() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let applied = house.applied(case, "by-hand:24h").await;
    let by_person = house.proposes(case, "by-hand:24h", "manual").await.unwrap();
    house.approves(by_person).await;
    let request = house.handle.with_state(|s| *s.requests.keys().next().unwrap());
    let words = "もう大丈夫です".to_owned();
    house.act(Actor::role("desk"), Command::WithdrawRequest { request, words }).await.unwrap();
    house.until("released", |s| s.measures[&applied].status == Status::Released).await;
    let reason = house.handle.with_state(|s| s.measures[&applied].release.clone()).unwrap().0;
    assert!(matches!(reason, ReleaseReason::BasisLapsed { .. }), "{reason:?}");
    // The text may have been typed in already, so the person is asked to take it out.
    house.until("releasing", |s| s.measures[&by_person].status == Status::Releasing).await;
    let done = Command::RecordReleased { measure: by_person, checked: "show access-lists".to_owned() };
    house.act(operator(), done).await.unwrap();
    assert_eq!(house.handle.with_state(|s| s.cases[&case].phase), Phase::Recover);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_while_the_hand_is_still_at_work_wins() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.proposes(case, "1h", ROUTER).await.unwrap();
    router.shut(true);
    house.approves(id).await;
    house.act(operator(), Command::Release { measure: id, words: "mistake".to_owned() }).await.unwrap();
    house.some_ticks().await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Releasing);
    router.shut(false);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.some_ticks().await;
    assert_eq!(router.holds(), Vec::<u64>::new(), "the network holds what the ledger calls gone");
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_that_cannot_let_go_is_asked_again() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    *router.stubborn.lock().unwrap() = 2;
    house.act(operator(), Command::Release { measure: id, words: "enough".to_owned() }).await.unwrap();
    house.until("the error", |s| s.measures[&id].error.is_some()).await;
    for _ in 0..2 {
        assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Releasing);
        clock.advance_ms(5_000);
        house.some_ticks().await;
    }
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_said_so() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let unknown = house.act(operator(), Command::Release { measure: MeasureId(7), words: String::new() }).await;
    assert!(matches!(unknown, Err(CommandError::NotFound(_))), "{unknown:?}");
    let case = house.asked(1, SHOP, "shop").await;
    for (end, hand) in [("never", ROUTER), ("0s", ROUTER), ("1h", "crane")] {
        let bad = house.proposes(case, end, hand).await;
        assert!(matches!(bad, Err(CommandError::Bad(_))), "{end} {hand}: {bad:?}");
    }
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_approval_in_a_closed_case() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.proposes(case, "1h", ROUTER).await.unwrap();
    let close = Command::CloseCase { case, host_check: String::new() };
    house.act(operator(), close).await.unwrap();
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Rejected);
    house.stops().await;
}
