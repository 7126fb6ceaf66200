//! Trial openings, where the attack is dropped upstream and nobody sees it (catalogue row 142).

use crate::clock;
use crate::house::{House, Router, SHOP, effect, open_set, operator, register};
use std::path::Path;
use std::sync::Arc;
use suimon_base::ending::{OpenProbe, Probe, ProbeFound};
use suimon_base::event::{Effect, ReleaseReason};
use suimon_base::measure::Status;
use suimon_base::{Clock as _, ManualClock, MeasureId};
use suimon_spine::Command;
use suimon_spine::release::{ProbeSettings, ReleaseSettings};

/// Ten seconds open, a thousand packets, waits up to a minute and a half.
fn settings() -> ReleaseSettings {
    let probe = ProbeSettings { enabled: true, open_s: 10, most_packets: 1_000, cap_s: 90 };
    ReleaseSettings { probe, ..ReleaseSettings::default() }
}

async fn blind(dir: &Path, clock: &Arc<ManualClock>, router: &Arc<Router>) -> House {
    open_set(dir, clock, router, register(), settings()).await
}

/// A reading of flows while nothing is dropped any more.
fn flows(attack_pps: f64, other_pps: f64) -> Effect {
    Effect {
        attack_arriving_pps: attack_pps,
        attack_passed_pps: attack_pps,
        other_arriving_pps: other_pps,
        other_passed_pps: other_pps,
        observes_drops: false,
        quiet_ms: None,
    }
}

fn probes(house: &House, id: MeasureId) -> (Option<OpenProbe>, Vec<Probe>) {
    house.handle.with_state(|s| {
        let e = &s.measures[&id].ending;
        (e.probe.clone(), e.probes.clone())
    })
}

async fn opened(house: &House, router: &Router, id: MeasureId) {
    house.until("open", |s| s.measures[&id].ending.probe.is_some()).await;
    for _ in 0..200 {
        if router.holds().is_empty() {
            return house.some_ticks().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the router was not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attack_is_gone_and_the_filter_stays_open() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:30s").await;
    clock.advance_ms(29_999);
    house.reads(id, flows(0.0, 50.0)).await;
    assert_eq!(probes(&house, id), (None, Vec::new()));
    clock.advance_ms(1);
    opened(&house, &router, id).await;
    clock.advance_ms(9_000);
    house.reads(id, flows(20.0, 50.0)).await;
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    clock.advance_ms(1_000);
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    let reason = house.handle.with_state(|s| s.measures[&id].release.clone()).unwrap().0;
    assert_eq!(reason, ReleaseReason::Probed { open_ms: 10_000 });
    let (open, done) = probes(&house, id);
    assert_eq!((open, done.len(), done[0].found, done[0].passed_packets), (None, 1, ProbeFound::Absent, 180));
    assert_eq!(router.holds(), Vec::<u64>::new());
    assert!(!router.calls()[1..].iter().any(|c| c.starts_with("apply")), "{:?}", router.calls());
    house.stops().await;
    assert_eq!(suimon_ledger::verify(dir.path()).await.unwrap().broken, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attack_is_still_there_and_waits_double_over_restarts() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let mut house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:30s").await;
    // 30, 60, then the cap of 90 seconds.
    for (n, wait_s) in [30, 60, 90, 90].into_iter().enumerate() {
        clock.advance_ms(wait_s * 1_000 - 1);
        house.some_ticks().await;
        assert_eq!(probes(&house, id).0, None, "after {wait_s} s less a moment");
        clock.advance_ms(1);
        opened(&house, &router, id).await;
        clock.advance_ms(500);
        house.reads(id, flows(400_000.0, 50.0)).await;
        house.until("closed", |s| s.measures[&id].ending.probes.len() == n + 1).await;
        assert_eq!(router.holds(), [id.0], "it is not closed again");
        let last = probes(&house, id).1.pop().unwrap();
        assert_eq!((last.found, last.passed_packets), (ProbeFound::Present, 200_000));
        house.dies().await;
        house = blind(dir.path(), &clock, &router).await;
    }
    assert_eq!(house.handle.with_state(|s| s.measures[&id].status), Status::Applied);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_may_pass_than_the_bound() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:30s").await;
    clock.advance_ms(30_000);
    opened(&house, &router, id).await;
    // Below the noise floor of 100 packets a second, but not for ever: a thousand may pass.
    for _ in 0..20 {
        if probes(&house, id).0.is_none() {
            break;
        }
        clock.advance_ms(500);
        house.reads(id, Effect { attack_passed_pps: 600.0, ..flows(90.0, 50.0) }).await;
    }
    let last = probes(&house, id).1.pop().unwrap();
    assert_eq!(
        (last.found, last.passed_packets),
        (ProbeFound::Present, 1_200),
        "at most one reading more than the bound"
    );
    assert_eq!(router.holds(), [id.0]);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_meter_proves_nothing() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:30s").await;
    clock.advance_ms(30_000);
    opened(&house, &router, id).await;
    house.reads(id, flows(0.0, 0.0)).await;
    clock.advance_ms(10_000);
    house.until("closed", |s| s.measures[&id].ending.probes.len() == 1).await;
    assert_eq!(probes(&house, id).1[0].found, ProbeFound::Unclear);
    assert_eq!(router.holds(), [id.0]);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_it_is_open_closes_it() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:30s").await;
    clock.advance_ms(30_000);
    opened(&house, &router, id).await;
    house.dies().await;
    let house = blind(dir.path(), &clock, &router).await;
    house.until("closed", |s| s.measures[&id].ending.probes.len() == 1).await;
    assert_eq!(probes(&house, id).1[0].found, ProbeFound::Unclear);
    for _ in 0..200 {
        if router.holds() == [id.0] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(router.holds(), [id.0], "left open by the crash");
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_meanwhile_wins_and_a_close_that_fails_is_tried_again() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let (id, other) = (house.applied(case, "quiet:30s").await, house.applied(case, "quiet:1h").await);
    clock.advance_ms(30_000);
    house.until("open", |s| s.measures[&id].ending.probe.is_some()).await;
    house.some_ticks().await;
    *router.refusing.lock().unwrap() = 2;
    house.reads(id, flows(400_000.0, 50.0)).await;
    assert_eq!(router.holds(), [other.0], "the close failed once");
    clock.advance_ms(5_000);
    house.some_ticks().await;
    assert_eq!(router.holds(), [other.0], "and once more");
    clock.advance_ms(5_000);
    house.until("closed", |s| s.measures[&id].ending.probes.len() == 1).await;
    assert_eq!(router.holds(), [id.0, other.0]);

    clock.advance_ms(60_000);
    house.until("open again", |s| s.measures[&id].ending.probe.is_some()).await;
    house.act(operator(), Command::Release { measure: id, words: "enough".to_owned() }).await.unwrap();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    clock.advance_ms(60_000);
    house.reads(id, flows(400_000.0, 50.0)).await;
    assert_eq!(router.holds(), [other.0], "closed again although released");
    assert_eq!(probes(&house, id).0, None);
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_opened_where_something_tells_or_nobody_allowed_it() {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let (seen, timed) = (house.applied(case, "quiet:30s").await, house.applied(case, "1d").await);
    let by_person = house.proposes(case, "quiet:30s", "manual").await.unwrap();
    house.approves(by_person).await;
    let applied = Command::RecordApplied { measure: by_person, place: "edge-1".to_owned(), note: String::new() };
    house.act(operator(), applied).await.unwrap();
    house.reads(seen, effect(true, 0)).await;
    clock.advance_ms(300_000);
    house.reads(seen, Effect { attack_arriving_pps: 9_000.0, ..effect(true, 0) }).await;
    house.stops().await;
    let off = ReleaseSettings { probe: ProbeSettings { enabled: false, ..settings().probe }, ..settings() };
    let house = open_set(dir.path(), &clock, &router, register(), off).await;
    clock.advance_ms(3_600_000);
    house.some_ticks().await;
    for id in [seen, timed, by_person] {
        assert_eq!(probes(&house, id), (None, Vec::new()), "{id}");
    }
    assert_eq!(router.holds(), [seen.0, timed.0]);
    house.stops().await;
}

/// Whatever is read, and however often the process dies: the filter is open only while the record says so, never longer than
/// said, and closed or released in the end.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_open_only_while_the_record_says_so() {
    let mut seed = 7_u32;
    let mut random = move |n: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % n
    };
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let mut house = blind(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let id = house.applied(case, "quiet:30s").await;
    for _ in 0..24 {
        clock.advance_ms(i64::from(random(40_000)));
        match random(6) {
            0 => {
                house.dies().await;
                house = blind(dir.path(), &clock, &router).await;
            }
            1 => house.reads(id, flows(f64::from(random(200_000)), 50.0)).await,
            _ => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        let (open, status) = (probes(&house, id).0, house.handle.with_state(|s| s.measures[&id].status));
        if status == Status::Released {
            break;
        }
        match open {
            None => assert_eq!(router.holds(), [id.0], "open without a record"),
            Some(p) => assert!(p.until.ms_since(p.since) <= 10_000 && p.until > clock.now().plus_ms(-1), "{p:?}"),
        }
    }
    house.act(operator(), Command::ReleaseAll { words: "end".to_owned() }).await.unwrap();
    house.until("released", |s| s.measures[&id].status == Status::Released).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    house.stops().await;
    assert_eq!(suimon_ledger::verify(dir.path()).await.unwrap().broken, None);
}
