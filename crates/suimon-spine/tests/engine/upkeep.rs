//! After a release, stale measures, the terms of collecting, and room on devices (catalogue rows 57, 92, 143, 145–147).

use crate::clock;
use crate::house::{House, ROUTER, Router, SHOP, attack, effect, open, open_with, operator, register};
use std::sync::Arc;
use suimon_base::event::{AlertAbout, Effect};
use suimon_base::measure::Status;
use suimon_base::{AttackChange, Clock as _, MeasureId};
use suimon_policy::FlowItem;
use suimon_spine::ports::Budget;
use suimon_spine::register::CollectionTerms;
use suimon_spine::stale::StaleWhy;
use suimon_spine::{Command, Register};

fn alerts(house: &House, about: AlertAbout) -> Vec<String> {
    let of =
        |s: &suimon_base::State| s.alerts.values().filter(|a| a.about == about).map(|a| a.subject_en.clone()).collect();
    house.handle.with_state(of)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_after_a_release_is_on_record_and_the_customer_is_asked() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "1h").await;
    house.reads(id, effect(true, 0)).await;
    clock.advance_ms(3_600_000);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    assert_eq!(house.handle.live().effects.get(&id), None, "figures of before");
    let asked = house.handle.with_state(|s| s.measures[&id].ending.access.clone()).unwrap();
    assert_eq!((asked.of.as_str(), asked.answer), ("shop noc (03-0000-0001)", None));
    assert_eq!(alerts(&house, AlertAbout::Released).len(), 1);
    house.dies().await;
    // The watch goes on over a restart.
    let house = open(dir.path(), &clock, &router).await;
    let back = Effect { attack_arriving_pps: 9_000.0, attack_passed_pps: 9_000.0, ..effect(false, 0) };
    house.reads(id, back).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].ending.flows_after), None, "not yet");
    clock.advance_ms(60_000);
    house.until("flows", |s| s.measures[&id].ending.flows_after.is_some()).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].ending.flows_after), Some(back));
    house.until("alert", |s| s.alerts.values().any(|a| a.about == AlertAbout::Review)).await;
    assert!(alerts(&house, AlertAbout::Review)[0].contains("measure reapply M-1"));
    assert_eq!(router.holds(), Vec::<u64>::new(), "put back by itself");
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weekly_list_says_why() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let (long, fresh) = (house.applied(case, "by-hand:2d").await, house.applied(case, "30d").await);
    let typed = house.proposes(case, "1h", "manual").await.unwrap();
    house.approves(typed).await;
    let stale = |house: &House| -> Vec<(MeasureId, Vec<StaleWhy>)> {
        house.handle.stale(clock.now()).into_iter().map(|s| (s.measure, s.why)).collect()
    };
    assert_eq!(stale(&house), []);
    house
        .sees(AttackChange::Ended(suimon_base::Attack { ended: Some(clock.now()), ..attack(1, SHOP, clock.now()) }))
        .await;
    house.until("over", |s| s.attacks.values().all(|a| a.attack.ended.is_some())).await;
    // Friday noon; on Monday morning the list is due, once, also over a restart.
    clock.set("2026-11-23T00:00:30Z".parse().unwrap());
    house.until("list", |s| s.alerts.values().any(|a| a.about == AlertAbout::Stale)).await;
    let list = stale(&house);
    let kinds = |id: MeasureId| -> Vec<String> {
        let why = list.iter().find(|(m, _)| *m == id).map(|(_, why)| why.clone()).unwrap_or_default();
        why.iter().map(|w| serde_json::to_value(w).unwrap()["why"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(long), ["review-passed", "attack-over"]);
    assert_eq!(kinds(fresh), ["attack-over"]);
    assert_eq!(kinds(typed), ["not-recorded"]);
    house.dies().await;
    let mut fewer: Register = register();
    fewer.customers.iter_mut().for_each(|c| c.contacts.clear());
    let house = open_with(dir.path(), &clock, &router, fewer).await;
    clock.advance_ms(120_000);
    house.some_ticks().await;
    assert_eq!(alerts(&house, AlertAbout::Stale).len(), 1);
    clock.set("2026-11-30T00:00:30Z".parse().unwrap());
    house.until("next list", |s| s.alerts.values().filter(|a| a.about == AlertAbout::Stale).count() == 2).await;
    assert!(alerts(&house, AlertAbout::Stale)[1].starts_with("week of 2026-11-30: 3 stale measures: M-1 M-2 M-3"));
    let gone = house.handle.stale(clock.now());
    let gone = gone.iter().filter(|s| s.why.iter().any(|w| matches!(w, StaleWhy::RequesterGone { .. }))).count();
    assert_eq!(gone, 3);
    assert!(house.handle.stale(clock.now())[0].why.iter().any(|w| matches!(w, StaleWhy::Old { .. })));
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn collecting_ends_with_its_terms_and_somebody_is_told_before() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let terms = CollectionTerms {
        purpose: "detect attacks".to_owned(),
        items: vec![FlowItem::Addresses, FlowItem::Ports, FlowItem::Protocol, FlowItem::Counters],
        retention_hours: 24,
        approver: "role:privacy-officer".to_owned(),
        review: "2026-12-06".to_owned(),
    };
    let with = Register { collection: Some(terms), ..register() };
    let house = open_with(dir.path(), &clock, &router, with).await;
    house.handle.start_collection().await.unwrap();
    house.some_ticks().await;
    assert_eq!(alerts(&house, AlertAbout::Collection), Vec::<String>::new());
    // Fourteen, seven and one day before the end of 6 December in Japan.
    for (at, count) in [
        ("2026-11-22T14:59:00Z", 0),
        ("2026-11-22T15:01:00Z", 1),
        ("2026-11-29T15:01:00Z", 2),
        ("2026-12-05T15:01:00Z", 3),
        ("2026-12-06T14:58:00Z", 3),
    ] {
        clock.set(at.parse().unwrap());
        house.some_ticks().await;
        assert_eq!(alerts(&house, AlertAbout::Collection).len(), count, "{at}");
        assert!(house.handle.with_state(|s| s.collection.is_some()), "{at}");
    }
    clock.set("2026-12-06T15:00:00Z".parse().unwrap());
    house.until("stopped", |s| s.collection.is_none()).await;
    house.some_ticks().await;
    assert_eq!(alerts(&house, AlertAbout::Collection).len(), 4);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_device_proposes_what_matters_least() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let [busy, quiet, quieter] =
        [house.applied(case, "30d").await, house.applied(case, "30d").await, house.applied(case, "30d").await];
    house.reads(busy, Effect { attack_arriving_pps: 9_000.0, ..effect(true, 0) }).await;
    house.reads(quiet, effect(true, 5_000)).await;
    house.reads(quieter, effect(true, 50_000)).await;
    *router.room.lock().unwrap() = Some(Budget { used: 3, limit: 10 });
    clock.advance_ms(700_000);
    house.some_ticks().await;
    let proposed = |house: &House| -> Vec<MeasureId> {
        house.handle.with_state(|s| s.measures.values().filter(|m| m.ending.proposed.is_some()).map(|m| m.id).collect())
    };
    assert_eq!(proposed(&house), []);
    // Ten of ten lines; nothing is released, a person is asked, about one at a time.
    *router.room.lock().unwrap() = Some(Budget { used: 10, limit: 10 });
    clock.advance_ms(700_000);
    house.until("proposed", |s| s.measures.values().any(|m| m.ending.proposed.is_some())).await;
    clock.advance_ms(700_000);
    house.some_ticks().await;
    assert_eq!(proposed(&house), [quieter]);
    assert_eq!(router.holds(), [busy.0, quiet.0, quieter.0]);
    house.act(operator(), Command::Release { measure: quieter, words: "yes".to_owned() }).await.unwrap();
    house.until("released", |s| s.measures[&quieter].status == Status::Released).await;

    // One that does not fit any more asks at once.
    *router.room.lock().unwrap() = Some(Budget { used: 10, limit: 10 });
    *router.refusing.lock().unwrap() = 1;
    let id = house.proposes(case, "1h", ROUTER).await.unwrap();
    house.approves(id).await;
    house.until("failed", |s| s.measures[&id].status == Status::Failed).await;
    house.until("proposed", |s| s.measures[&quiet].ending.proposed.is_some()).await;
    house.stops().await;
}
