//! The ledger cannot be written: another program holds its database.

use crate::clock;
use crate::house::{House, Router, SCHOOL, SHOP, attack, open, operator};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use suimon_base::case::Phase;
use suimon_base::measure::Status;
use suimon_base::{AttackChange, CaseId, Clock as _, ManualClock, MeasureId};
use suimon_spine::emergency::{EmergencyError, release_all_without_engine};
use suimon_spine::{Command, CommandError};
use suimon_testkit::program_or_skip;

/// Holds the database's write lock until told to let go.
struct Holder(Child);

impl Holder {
    fn of(dir: &Path) -> Holder {
        let script = "import sqlite3, sys\n\
                      c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                      c.execute('BEGIN IMMEDIATE')\n\
                      print('held', flush=True)\n\
                      sys.stdin.read()\n";
        let mut child = Program::new("python3")
            .args(["-c", script])
            .arg(dir.join("ledger.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Holder(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    router: Arc<Router>,
    house: House,
    case: CaseId,
    measures: [MeasureId; 2],
}

async fn two_in_force() -> Scene {
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let case = house.asked(1, SHOP, "shop").await;
    let measures = [house.applied(case, "1h").await, house.applied(case, "1h").await];
    Scene { dir, clock, router, house, case, measures }
}

#[expect(clippy::disallowed_methods, reason = "how long things take is measured for real")]
pub fn stopwatch() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_released_and_is_on_record_afterwards() {
    if !program_or_skip("everything_can_be_released_and_is_on_record_afterwards", "python3") {
        return;
    }
    let Scene { dir, clock, router, house, case, measures } = two_in_force().await;
    let holder = Holder::of(dir.path());
    let (handle, begun) = (house.handle.clone(), stopwatch());
    let all = tokio::spawn(async move {
        handle.command(operator(), Command::ReleaseAll { words: "everything".to_owned() }).await
    });
    while !router.holds().is_empty() {
        assert!(begun.elapsed() < Duration::from_millis(700), "the hand waits for the database");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(all.await.unwrap().unwrap().measures, measures);

    // Nothing else is accepted, and nothing that comes again makes the record contradict itself.
    let note = house.act(operator(), Command::Note { case, text: "?".to_owned() }).await;
    assert!(matches!(note, Err(CommandError::Ledger(_))), "{note:?}");
    let again = house.act(operator(), Command::ReleaseAll { words: "again".to_owned() }).await.unwrap();
    assert!(again.measures.is_empty(), "{again:?}");
    house.act(operator(), Command::Release { measure: measures[0], words: "again".to_owned() }).await.unwrap();
    clock.advance_ms(3_600_000);
    house.some_ticks().await;
    assert!(house.handle.live().waiting_events >= 4);
    assert_eq!(house.handle.with_state(|s| s.measures[&measures[0]].status), Status::Applied, "the ledger is behind");

    drop(holder);
    clock.advance_ms(5_000);
    house.until("on record", |s| measures.iter().all(|m| s.measures[m].status == Status::Released)).await;
    assert_eq!(house.handle.with_state(|s| s.cases[&case].phase), Phase::Recover);
    // The state is there a moment before the queue and the journal are empty.
    house.until("nothing waits", |_| house.handle.live().waiting_events == 0).await;
    assert_eq!(std::fs::read_to_string(dir.path().join("release.journal")).unwrap().trim(), "");
    house.act(operator(), Command::CloseCase { case, host_check: String::new() }).await.unwrap();
    house.stops().await;
    assert_eq!(suimon_ledger::verify(dir.path()).await.unwrap().broken, None);
    open(dir.path(), &clock, &router).await.stops().await;
}

/// The database is deleted under the daemon: SQLite would write on into a file without a name and say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_database_is_noticed_and_everything_can_be_released() {
    let Scene { dir, clock, router, house, case, measures } = two_in_force().await;
    let (database, aside) = (dir.path().join("ledger.db"), dir.path().join("aside.db"));
    std::fs::hard_link(&database, &aside).unwrap();
    std::fs::remove_file(&database).unwrap();
    let note = house.act(operator(), Command::Note { case, text: "?".to_owned() }).await;
    assert!(matches!(&note, Err(CommandError::Ledger(e)) if e.to_string().contains("deleted or replaced")), "{note:?}");
    let all = house.act(operator(), Command::ReleaseAll { words: "everything".to_owned() }).await.unwrap();
    assert_eq!(all.measures, measures);
    house.some_ticks().await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    let journal = std::fs::read_to_string(dir.path().join("release.journal")).unwrap();
    assert_eq!(journal.trim().lines().count(), 2, "{journal}");
    // Brought back while it runs: what waits goes in. Dead before that: the journal knows.
    house.dies().await;
    std::fs::rename(&aside, &database).unwrap();
    let house = open(dir.path(), &clock, &router).await;
    house.until("on record", |s| measures.iter().all(|m| s.measures[m].status == Status::Released)).await;
    house.stops().await;
    assert_eq!(suimon_ledger::verify(dir.path()).await.unwrap().broken, None);
}

/// No daemon, and the ledger is gone for good: what the hands hold is let go all the same.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_everything_can_be_released() {
    let Scene { dir, clock, router, house, measures, .. } = two_in_force().await;
    let hands: Vec<Arc<dyn suimon_spine::Hand>> = vec![crate::house::hand(&router), Arc::new(suimon_spine::ManualHand)];
    let all = |hands: Vec<Arc<dyn suimon_spine::Hand>>| {
        release_all_without_engine(dir.path(), &hands, &operator(), "nothing else works", clock.now())
    };
    assert!(matches!(all(hands.clone()), Err(EmergencyError::DaemonRuns(_))), "a daemon holds the folder");
    house.dies().await;
    let outcomes = all(hands.clone()).unwrap();
    let released = outcomes[0].released.as_ref().unwrap().as_ref().unwrap();
    assert!(released.iter().map(|(id, r)| (*id, r.is_ok())).eq(measures.map(|m| (m, true))), "{outcomes:?}");
    assert!(matches!(outcomes[1].released, Ok(None)));
    assert_eq!(router.holds(), Vec::<u64>::new());
    // The ledger was there after all: it hears of it, with the words, and nothing is put back.
    let house = open(dir.path(), &clock, &router).await;
    house.until("on record", |s| measures.iter().all(|m| s.measures[m].status == Status::Released)).await;
    let reason = house.handle.with_state(|s| s.measures[&measures[0]].release.clone()).unwrap().0;
    assert_eq!(reason, suimon_base::event::ReleaseReason::ByHand { words: "nothing else works".to_owned() });
    assert!(!router.calls()[2..].iter().any(|c| c.starts_with("apply")), "{:?}", router.calls());
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_meanwhile_does_not_bring_them_back() {
    if !program_or_skip("a_crash_meanwhile_does_not_bring_them_back", "python3") {
        return;
    }
    let Scene { dir, clock, router, house, measures, .. } = two_in_force().await;
    let holder = Holder::of(dir.path());
    house.act(operator(), Command::ReleaseAll { words: "everything".to_owned() }).await.unwrap();
    house.some_ticks().await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    house.dies().await;
    drop(holder);
    let house = open(dir.path(), &clock, &router).await;
    house.until("on record", |s| measures.iter().all(|m| s.measures[m].status == Status::Released)).await;
    assert_eq!(router.holds(), Vec::<u64>::new());
    assert!(!router.calls()[2..].iter().any(|c| c.starts_with("apply")), "{:?}", router.calls());
    house.stops().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_seen_meanwhile_get_cases_of_their_own() {
    if !program_or_skip("attacks_seen_meanwhile_get_cases_of_their_own", "python3") {
        return;
    }
    let (dir, clock, router) = (tempfile::tempdir().unwrap(), clock(), Arc::new(Router::default()));
    let house = open(dir.path(), &clock, &router).await;
    let holder = Holder::of(dir.path());
    for (serial, target) in [(1, SHOP), (2, SCHOOL), (3, "192.0.2.11/32")] {
        house.sees(AttackChange::Started(attack(serial, target, clock.now()))).await;
    }
    for _ in 0..1_000 {
        if house.handle.live().attacks.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(house.handle.live().attacks.len(), 3, "running attacks are known without the ledger");
    drop(holder);
    clock.advance_ms(5_000);
    house.until("on record", |s| s.attacks.len() == 3).await;
    house.handle.with_state(|s| {
        let of: Vec<_> = s.cases.values().map(|c| (c.customer.as_deref(), c.attacks.len())).collect();
        assert_eq!(of, [(Some("shop"), 2), (Some("school"), 1)]);
        assert_eq!(s.alerts.len(), 2);
    });
    house.stops().await;
    open(dir.path(), &clock, &router).await.stops().await;
}
