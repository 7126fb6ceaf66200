//! "Is it you who drops this?", asked of what was seen and of the record.

use crate::clock;
use crate::house::{House, ROUTER, Router, SHOP, VERIFY, approver, open};
use crate::outage::stopwatch;
use std::sync::Arc;
use std::time::Duration;
use suimon_base::measure::Status;
use suimon_base::query::Fate;
use suimon_base::{Clock as _, MeasureId, Timestamp};
use suimon_spine::Command;
use suimon_spine::why::{Known, Why, ask};

fn asks(house: &House, dst: &str, proto: &str, at: Option<Timestamp>) -> Why {
    let query = ask::query("203.0.113.9", dst, proto, None, None).unwrap();
    house.handle.why(query, at, house.clock.now())
}

async fn looked(house: &House, id: MeasureId) {
    house
        .until("looked", |_| {
            let there = |p: &suimon_spine::verify::sight::PlaceView| p.id == id && p.state.name() == "as-wanted";
            house.handle.live().views.get(ROUTER).is_some_and(|v| v.measures.iter().any(there))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_follows_what_is_seen_and_says_what_is_not() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let nothing = asks(&house, "192.0.2.10", "udp", None);
    assert_eq!((nothing.verdict, nothing.deciders.len(), nothing.dark.len()), (Fate::Passes, 0, 0));
    assert!(nothing.words_ja.contains("ありません"));

    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "12h").await;
    looked(&house, id).await;
    let why = asks(&house, "192.0.2.10", "udp", None);
    assert_eq!(why.verdict, Fate::Drops, "{why:#?}");
    let d = &why.deciders[0];
    assert_eq!((d.measure, d.hand.as_str(), d.place.as_str(), d.known), (Some(id), ROUTER, "edge-1", Known::Observed));
    assert!(d.since.is_some() && d.age_ms.is_some() && why.oldest_look_ms.is_some());
    assert_eq!(d.line.as_ref().unwrap().text, format!("deny {SHOP}"));
    let about = d.of.as_ref().unwrap();
    assert_eq!((about.case, about.asked_by.as_deref()), (case, Some("shop / noc / shop-line")));
    assert_eq!(
        (about.proposed_by.to_string(), about.approved_by.as_ref().unwrap().to_string()),
        ("role:operator".to_owned(), "role:approver".to_owned())
    );
    // Other packets to the same host, and other hosts.
    assert_eq!(asks(&house, "192.0.2.10", "tcp", None).verdict, Fate::Passes);
    assert_eq!(asks(&house, "192.0.2.11", "udp", None).verdict, Fate::Passes);

    // The router answers no more: what is known gets old, and the answer says so.
    *router.dark.lock().unwrap() = true;
    house.until("dark", |_| house.handle.live().views[ROUTER].unreachable.is_some()).await;
    clock.advance_ms(90_000);
    let why = asks(&house, "192.0.2.10", "udp", None);
    assert_eq!((why.deciders[0].known, why.dark[0].hand.as_str()), (Known::NotLooked, ROUTER));
    assert!(why.oldest_look_ms >= Some(90_000) && why.words_en.contains("By the ledger only"), "{why:#?}");
    *router.dark.lock().unwrap() = false;
    house.until("light", |_| house.handle.live().views[ROUTER].unreachable.is_none()).await;

    // Somebody made it let everything through: the network decides, not the ledger.
    router.edited.lock().unwrap().insert(id);
    house.until("an orphan", |s| s.drift.open().count() == 1).await;
    let why = asks(&house, "192.0.2.10", "udp", None);
    assert_eq!(why.verdict, Fate::Passes, "{why:#?}");
    router.edited.lock().unwrap().clear();
    // And what nobody decided on is named too.
    router.installed.lock().unwrap().insert(MeasureId(99));
    house.until("another", |s| s.drift.open().any(|o| o.found.measure == Some(MeasureId(99)))).await;
    let why = asks(&house, "192.0.2.10", "tcp", None);
    assert_eq!((why.verdict, why.deciders[0].measure), (Fate::Drops, None), "{why:#?}");
    assert!(why.deciders[0].orphan.is_some() && why.words_en.contains("SUIMON-M-99"), "{}", why.words_en);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_has_passed_is_asked_of_the_record() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    clock.advance_ms(60_000);
    let before = clock.now();
    clock.advance_ms(60_000);
    let id = house.applied(case, "12h").await;
    looked(&house, id).await;
    clock.advance_ms(60_000);
    let during = clock.now();
    clock.advance_ms(60_000);
    // Missing for a while, and a router that cannot be looked at for another.
    router.installed.lock().unwrap().clear();
    router.shut(true);
    house.until("missing", |s| s.drift.gaps.contains_key(&id)).await;
    clock.advance_ms(60_000);
    let missing = clock.now();
    clock.advance_ms(60_000);
    router.shut(false);
    house.until("back", |s| s.drift.gaps[&id][0].to.is_some()).await;
    *router.dark.lock().unwrap() = true;
    house.until("dark", |_| house.handle.live().views[ROUTER].unreachable.is_some()).await;
    clock.advance_ms(VERIFY.alarm_after_ms);
    house.until("alarm", |s| s.drift.outages.len() == 1).await;
    let dark = clock.now();
    clock.advance_ms(60_000);
    *router.dark.lock().unwrap() = false;
    house.until("light", |s| s.drift.outages[0].until.is_some()).await;
    house.act(approver(), Command::Release { measure: id, words: "enough".to_owned() }).await.unwrap();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    clock.advance_ms(60_000);
    let after = clock.now();
    house.stops().await;

    // All of it is in the ledger, so another run says the same.
    let house = open(dir.path(), &clock, &router).await;
    let verdict = |at| asks(&house, "192.0.2.10", "udp", Some(at));
    assert_eq!(verdict(before).verdict, Fate::Passes);
    let why = verdict(during);
    assert_eq!((why.verdict, why.deciders[0].known, why.now), (Fate::Drops, Known::Recorded, false));
    let why = verdict(missing);
    assert_eq!((why.verdict, why.absent.len()), (Fate::Passes, 1), "{why:#?}");
    let why = verdict(dark);
    assert_eq!((why.verdict, why.dark.len()), (Fate::Drops, 1), "{why:#?}");
    assert_eq!(verdict(after).verdict, Fate::Passes);
    house.stops().await;
}

/// Answers for a large house stay well under a second.
#[test]
fn a_thousand_measures_of_a_thousand_rules_are_answered_in_time() {
    use suimon_base::{Action, Match, Rule, RuleSet};
    let rule = |i: u32| Rule {
        matches: Match {
            dst: vec![ipnet::IpNet::new(std::net::Ipv4Addr::from(0xc000_0200 + i).into(), 32).unwrap()],
            proto: Some(17),
            ..Match::default()
        },
        action: Action::Discard,
    };
    let rules = RuleSet { rules: (0..1_000).map(rule).collect() };
    let query = ask::query("203.0.113.9", "192.0.5.231", "udp", Some("53"), None).unwrap();
    let began = stopwatch();
    let mut hits = 0;
    for _ in 0..1_000 {
        hits += query.steps(&rules).len();
    }
    assert_eq!(hits, 1_000, "the last rule of each");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
