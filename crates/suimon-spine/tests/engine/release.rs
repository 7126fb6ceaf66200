//! The way back: tasks, notices, renewals, proposing again, and events that do not fit (catalogue rows 137–147).

use crate::clock;
use crate::house::{House, ROUTER, Router, SHOP, approver, effect, open, operator};
use std::sync::Arc;
use suimon_base::ending::NoticeWhen;
use suimon_base::event::{AlertAbout, ReleaseReason};
use suimon_base::measure::Status;
use suimon_base::{AlertId, Clock as _, MeasureId};
use suimon_spine::command::{EndingAsk, StillThere};
use suimon_spine::{Command, CommandError, Outcome};

/// A step on the way back, by the operator.
async fn step(house: &House, measure: MeasureId, ask: EndingAsk) -> Result<Outcome, CommandError> {
    house.act(operator(), Command::Ending { measure, ask: Box::new(ask) }).await
}

fn there(there: bool) -> StillThere {
    StillThere { there, how: "called the registered number".to_owned() }
}

fn renew(end: &str, requester: bool, owner: bool) -> EndingAsk {
    EndingAsk::Renew {
        end: end.to_owned(),
        requester: there(requester),
        owner: there(owner),
        words: "still needed".to_owned(),
    }
}

fn status(house: &House, id: MeasureId) -> Status {
    house.handle.with_state(|s| s.measures[&id].status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_measure_that_is_done_ends_it() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let (id, other) = (house.applied(case, "task:hardening").await, house.applied(case, "by-hand:30d").await);
    let done = EndingAsk::TaskDone { by: "shop noc".to_owned(), words: "patched".to_owned() };
    let wrong = step(&house, other, done.clone()).await;
    assert!(matches!(wrong, Err(CommandError::Conflict(_))), "{wrong:?}");
    let nobody = step(&house, id, EndingAsk::TaskDone { by: " ".to_owned(), words: String::new() }).await;
    assert!(matches!(nobody, Err(CommandError::Bad(_))), "{nobody:?}");
    house.some_ticks().await;
    assert_eq!(status(&house, id), Status::Applied);
    step(&house, id, done).await.unwrap();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    let reason = house.handle.with_state(|s| s.measures[&id].release.clone()).unwrap().0;
    assert_eq!(reason, ReleaseReason::TaskDone { words: "shop noc: patched".to_owned() });
    assert_eq!(router.holds(), [other.0]);
    // Nobody said that the other one is done: a week later somebody has to look at the first kind only.
    clock.advance_ms(29 * 86_400_000);
    house.some_ticks().await;
    assert_eq!(status(&house, other), Status::Applied);
    house.stops().await;
}

/// Row 140: no filter outlives its end because somebody set the clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_keeps_nothing_in_the_network() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "60s").await;
    house.some_ticks().await;
    clock.advance_ms(30_000);
    house.some_ticks().await;
    clock.advance_ms(-3_600_000);
    house.some_ticks().await;
    assert_eq!(status(&house, id), Status::Applied, "half of its time is left");
    clock.advance_ms(31_000);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    assert!(router.holds().is_empty());
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_nobody_knows_are_refused() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    for (end, said) in [
        ("after-holiday:VN/tet", "no `tet`"),
        ("after-holiday:FR/ete", "no calendar of FR"),
        ("on:2026-11-20", "within the year"),
        ("on:2028-01-01", "within the year"),
    ] {
        let error = house.proposes(case, end, ROUTER).await.unwrap_err().to_string();
        assert!(error.contains(said), "{end}: {error}");
    }
    clock.set("2027-10-10T00:00:00Z".parse().unwrap());
    let error = house.proposes(case, "after-holiday:CN/national-day", ROUTER).await.unwrap_err().to_string();
    assert!(error.contains("no `national-day` for 2028"), "{error}");
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_holiday() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "after-holiday:CN/spring-festival").await;
    clock.set("2027-02-08T23:59:59Z".parse().unwrap());
    house.some_ticks().await;
    assert_eq!(status(&house, id), Status::Applied);
    clock.set("2027-02-09T00:00:00Z".parse().unwrap());
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_named_once_before_a_release() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let (id, short) = (house.applied(case, "2h").await, house.applied(case, "5m").await);
    let notices = |house: &House| {
        house.handle.with_state(|s| s.alerts.values().filter(|a| a.about == AlertAbout::Notice).count())
    };
    clock.advance_ms(6_599_000);
    house.some_ticks().await;
    assert_eq!((status(&house, short), notices(&house)), (Status::Released, 0));
    clock.advance_ms(2_000);
    house.until("notice", |s| s.measures[&id].ending.notice.is_some()).await;
    house.some_ticks().await;
    assert_eq!(notices(&house), 1);
    let (due, contacts) = house.handle.with_state(|s| s.measures[&id].ending.notice.clone()).unwrap();
    assert_eq!(due.ms_since(clock.now()), 7_200_000 - 6_601_000);
    assert_eq!(contacts, ["shop noc (03-0000-0001)"]);
    let told =
        EndingAsk::Told { when: NoticeWhen::Before, contact: "noc".to_owned(), words: "by telephone".to_owned() };
    step(&house, id, told).await.unwrap();
    house.dies().await;
    let house = open(dir.path(), &clock, &router).await;
    house.some_ticks().await;
    assert_eq!(notices(&house), 1, "said again after a restart");
    clock.advance_ms(600_000);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].ending.told.len()), 1);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_needs_people_who_are_there_and_a_second_person() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "2h").await;
    clock.advance_ms(3_600_000);
    let gone = step(&house, id, renew("1d", false, true)).await.unwrap_err().to_string();
    assert!(gone.contains("not there any more: shop / noc"), "{gone}");
    house.handle.with_state(|s| {
        let e = &s.measures[&id].ending;
        assert!(e.renewal.is_none() && e.renewed.is_none() && e.proposed.is_some(), "{e:?}");
    });
    step(&house, id, renew("1d", true, true)).await.unwrap();
    // The one who asked cannot agree.
    let alone = step(&house, id, EndingAsk::ApproveRenewal {}).await;
    assert!(matches!(alone, Err(CommandError::Denied { .. })), "{alone:?}");
    let agree = Command::Ending { measure: id, ask: Box::new(EndingAsk::ApproveRenewal {}) };
    house.act(approver(), agree.clone()).await.unwrap();
    let twice = house.act(approver(), agree).await;
    assert!(matches!(twice, Err(CommandError::Conflict(_))), "{twice:?}");
    // The old end passes, also over a restart; the new one counts from the renewal.
    house.dies().await;
    let house = open(dir.path(), &clock, &router).await;
    clock.advance_ms(86_400_000 - 1);
    house.some_ticks().await;
    assert_eq!(status(&house, id), Status::Applied);
    clock.advance_ms(1);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proposing_again_is_decided_anew() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    let again = || EndingAsk::Reapply { end: None, reason: String::new() };
    let early = step(&house, id, again()).await;
    assert!(matches!(early, Err(CommandError::Conflict(_))), "{early:?}");
    clock.advance_ms(3_600_000);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    let new = step(&house, id, again()).await.unwrap().measures[0];
    house.handle.with_state(|s| {
        assert_eq!(s.measures[&id].ending.followed_by, Some(new));
        assert_eq!(
            (s.measures[&new].status, s.measures[&new].end_wanted().to_string()),
            (Status::Proposed, "1h".to_owned())
        );
    });
    assert_eq!(router.holds(), Vec::<u64>::new(), "applied without approval");
    // Without the request the basis is gone, and so is the way back in.
    let request = house.handle.with_state(|s| *s.requests.keys().next().unwrap());
    house.act(operator(), Command::WithdrawRequest { request, words: "enough".to_owned() }).await.unwrap();
    let denied = step(&house, id, again()).await;
    assert!(matches!(denied, Err(CommandError::Denied { .. })), "{denied:?}");
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_is_asked_for_longer_each_time_that_it_came_back() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let mut house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    for wanted_s in [10, 20, 40] {
        let id = house.applied(case, "quiet:10s").await;
        clock.advance_ms(wanted_s * 1_000 - 1_000);
        house.reads(id, effect(true, wanted_s * 1_000 - 1)).await;
        assert_eq!(status(&house, id), Status::Applied, "{wanted_s} s");
        // What was counted so far is on record: a restart does not begin anew.
        house.dies().await;
        house = open(dir.path(), &clock, &router).await;
        clock.advance_ms(1_000);
        house.reads(id, effect(true, wanted_s * 1_000)).await;
        house.until("released", |s| s.measures[&id].status == Status::Released).await;
    }
    // Long afterwards it is another attack.
    clock.advance_ms(8 * 86_400_000);
    let id = house.applied(case, "quiet:10s").await;
    clock.advance_ms(10_000);
    house.reads(id, effect(true, 10_000)).await;
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_somebody_is_told_once() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let about =
        |house: &House, about| house.handle.with_state(|s| s.alerts.values().filter(|a| a.about == about).count());
    let by_person = house.proposes(case, "1h", "manual").await.unwrap();
    assert_eq!(about(&house, AlertAbout::Approval), 1);
    house.approves(by_person).await;
    let id = house.applied(case, "1h").await;
    *router.stubborn.lock().unwrap() = 3;
    for measure in [by_person, id] {
        house.act(operator(), Command::Release { measure, words: "enough".to_owned() }).await.unwrap();
    }
    house.until("failed", |s| s.alerts.values().any(|a| a.about == AlertAbout::HandFailed)).await;
    house.until("undo", |s| s.alerts.values().any(|a| a.about == AlertAbout::Undo)).await;
    for _ in 0..3 {
        clock.advance_ms(5_000);
        house.some_ticks().await;
    }
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.dies().await;
    let house = open(dir.path(), &clock, &router).await;
    house.some_ticks().await;
    assert_eq!([AlertAbout::HandFailed, AlertAbout::Undo].map(|a| about(&house, a)), [1, 1]);
    house.stops().await;
}

/// Written, such an event would make the ledger unreadable for good.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_fit_never_reaches_the_ledger() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    // A courier that speaks of an alert nobody queued.
    house.handle.alert_result(AlertId(99), "mail".to_owned(), Ok(1)).await.unwrap();
    let note = Command::Note { case, text: "the engine goes on".to_owned() };
    house.act(operator(), note).await.unwrap();
    assert_eq!(house.handle.live().lost_observations, 1);
    house.stops().await;
    assert_eq!(suimon_ledger::verify(dir.path()).await.unwrap().broken, None);
    open(dir.path(), &clock, &router).await.stops().await;
}
