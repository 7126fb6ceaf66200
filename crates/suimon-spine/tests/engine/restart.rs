//! The process dies and comes back: journal, ledger and network are compared before anything new is done.

use crate::clock;
use crate::house::{ROUTER, Router, SHOP, approver, attack, effect, open, open_with, operator, register};
use serde_json::json;
use std::sync::Arc;
use suimon_base::case::Phase;
use suimon_base::event::ReleaseReason;
use suimon_base::measure::Status;
use suimon_base::{AttackChange, AttackId, Clock as _, MeasureId};
use suimon_spine::Command;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_stays_and_what_was_lost_comes_back() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let kept = house.applied(case, "1h").await;
    let lost = house.applied(case, "1h").await;
    let over = house.applied(case, "1h").await;
    house.act(approver(), Command::Release { measure: over, words: "enough".to_owned() }).await.unwrap();
    house.until("released", |s| s.measures[&over].status == Status::Released).await;
    house.dies().await;
    router.installed.lock().unwrap().remove(&lost);
    router.installed.lock().unwrap().extend([over, MeasureId(99)]);

    // What has ended goes; what nobody here decided on is for a person.
    let house = open(dir.path(), &clock, &router).await;
    house.some_ticks().await;
    assert_eq!(router.holds(), [kept.0, lost.0, 99]);
    let calls = router.calls();
    assert_eq!(calls[4..], [format!("release {over}"), format!("apply {lost}")], "{calls:?}");
    let open_orphans = |s: &suimon_base::State| s.drift.open().map(|o| o.found.measure).collect::<Vec<_>>();
    house.until("an orphan", |s| open_orphans(s) == [Some(MeasureId(99))]).await;
    router.installed.lock().unwrap().remove(&MeasureId(99));
    // Their ends are watched as before.
    clock.advance_ms(3_600_000);
    house.until("released", |s| s.in_force().count() == 0).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    house.stops().await;
    assert_eq!(suimon_ledger::verify(dir.path()).await.unwrap().broken, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_without_a_report_is_found_in_force_or_done_again() {
    for in_force in [true, false] {
        let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
        let house = open(dir.path(), &clock, &router).await;
        let case = house.asked(1, SHOP, "shop").await;
        let id = house.proposes(case, "1h", ROUTER).await.unwrap();
        router.shut(true);
        house.approves(id).await;
        house.dies().await;
        if in_force {
            router.installed.lock().unwrap().insert(id);
        }
        let house = open(dir.path(), &clock, &router).await;
        router.shut(false);
        house.until("applied", |s| s.measures[&id].status == Status::Applied).await;
        assert_eq!(router.holds(), [id.0]);
        house.stops().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_replayed() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    house.dies().await;
    // The process died after the journal was synced and before ledger and hand heard of it.
    let line = json!({
        "measure": id, "at": clock.now(), "actor": operator(), "reason": ReleaseReason::ByHand { words: "stop".to_owned() },
    });
    std::fs::write(dir.path().join("release.journal"), format!("{line}\n{line}\n{{\"measure\":\"M-")).unwrap();
    let house = open(dir.path(), &clock, &router).await;
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    let (reason, phase) =
        house.handle.with_state(|s| (s.measures[&id].release.clone().unwrap().0, s.cases[&case].phase));
    assert_eq!(reason, ReleaseReason::ByHand { words: "stop".to_owned() });
    assert_eq!(phase, Phase::Recover);
    assert_eq!(router.holds(), Vec::<u64>::new());
    assert_eq!(std::fs::read_to_string(dir.path().join("release.journal")).unwrap().trim(), "");
    house.stops().await;
    open(dir.path(), &clock, &router).await.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_under_way_is_finished() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    *router.stubborn.lock().unwrap() = 1;
    house.act(approver(), Command::Release { measure: id, words: "enough".to_owned() }).await.unwrap();
    house.until("the error", |s| s.measures[&id].error.is_some()).await;
    house.dies().await;
    assert_eq!(router.holds(), [id.0]);
    let house = open(dir.path(), &clock, &router).await;
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_customer_a_measure_has_no_basis() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    house.stops().await;
    let mut fewer = register();
    fewer.customers.retain(|c| c.id != "shop");
    let house = open_with(dir.path(), &clock, &router, fewer).await;
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    let reason = house.handle.with_state(|s| s.measures[&id].release.clone()).unwrap().0;
    assert!(matches!(reason, ReleaseReason::BasisLapsed { .. }), "{reason:?}");
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_after_a_restart_counts_where_drops_were_seen_before() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:10s").await;
    clock.advance_ms(5_000);
    house.reads(id, effect(true, 0)).await;
    house.stops().await;
    // The attack ended while we were away: nothing is dropped any more, so no drop is exported any more.
    clock.advance_ms(5_000);
    let house = open(dir.path(), &clock, &router).await;
    clock.advance_ms(11_000);
    house.reads(id, effect(false, 11_000)).await;
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_that_outlasts_a_restart_is_the_same() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    house.asked(1, SHOP, "shop").await;
    house.dies().await;
    let house = open(dir.path(), &clock, &router).await;
    house.sees(AttackChange::Started(attack(1, SHOP, clock.now()))).await;
    house.until("seen", |_| house.handle.live().attacks.len() == 1).await;
    assert_eq!(house.handle.with_state(|s| (s.attacks.len(), s.cases.len())), (1, 1));
    // Seen again, so it does not end for want of sight.
    clock.advance_ms(61_000);
    house.some_ticks().await;
    assert_eq!(house.handle.with_state(|s| s.attacks[&AttackId(1)].attack.ended), None);
    house.dies().await;

    // Not seen any more: it has ended.
    let house = open(dir.path(), &clock, &router).await;
    clock.advance_ms(59_000);
    house.some_ticks().await;
    assert_eq!(house.handle.with_state(|s| s.attacks[&AttackId(1)].attack.ended), None);
    clock.advance_ms(2_000);
    house.until("ended", |s| s.attacks[&AttackId(1)].attack.ended.is_some()).await;
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_after_its_case_was_closed_is_a_new_case() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    house.act(operator(), Command::CloseCase { case, host_check: String::new() }).await.unwrap();
    house.dies().await;
    let house = open(dir.path(), &clock, &router).await;
    house.sees(AttackChange::Started(attack(1, SHOP, clock.now()))).await;
    house.until("another case", |s| s.cases.len() == 2).await;
    assert_eq!(house.handle.with_state(|s| s.alerts.len()), 2);
    house.stops().await;
}
