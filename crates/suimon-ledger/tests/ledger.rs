//! The ledger keeps what it acknowledged and notices what others changed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use suimon_base::{Actor, CaseId, Event, Timestamp};
use suimon_ledger::{Draft, HeadState, Ledger, LedgerError, verify};

fn note(n: u64) -> Draft {
    Draft {
        at: Timestamp::from_micros(1_700_000_000_123_456 + n as i64),
        actor: Actor::os_user("tester"),
        event: Event::Noted { case: CaseId(n), text: format!("note {n} 水門") },
    }
}

async fn filled(dir: &std::path::Path, n: u64) {
    let mut ledger = Ledger::open(dir, false).await.unwrap();
    for i in 1..=n {
        ledger.append(vec![note(i)]).await.unwrap();
    }
}

fn sqlite(dir: &std::path::Path, sql: &str) {
    // Straight into the file, past the triggers, as somebody with the disk in hand would.
    let status = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()"])
        .arg(dir.join("ledger.db"))
        .arg(format!("DROP TRIGGER events_are_never_changed; DROP TRIGGER events_are_never_removed; {sql}"))
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn reads_back_what_it_appended_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), true).await.unwrap();
    let recorded = ledger.append(vec![note(1), note(2)]).await.unwrap();
    assert_eq!(recorded.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2]);
    drop(ledger);
    let ledger = Ledger::open(dir.path(), true).await.unwrap();
    let rows = ledger.read(1, 10).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.recorded.clone()).collect::<Vec<_>>(), recorded);
    assert!(rows[0].recorded.exercise);
    let report = verify(dir.path()).await.unwrap();
    assert_eq!((report.events, report.broken, report.head_state), (2, None, Some(HeadState::Matches)));
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Ledger::open(dir.path(), false).await.unwrap();
    assert!(matches!(Ledger::open(dir.path(), false).await, Err(LedgerError::InUse(_))));
}

#[tokio::test]
async fn all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), false).await.unwrap();
    let mut huge = note(2);
    huge.event = Event::Noted { case: CaseId(1), text: "x".repeat(suimon_ledger::MAX_BODY_BYTES) };
    assert!(matches!(ledger.append(vec![note(1), huge]).await, Err(LedgerError::TooLarge(_))));
    assert_eq!(ledger.append(vec![note(3)]).await.unwrap()[0].seq, 1);
}

#[tokio::test]
async fn every_kind_of_tampering_is_found() {
    let cases = [
        ("UPDATE events SET body = replace(body, 'note 2', 'note 9') WHERE seq = 2", 2, "content"),
        ("UPDATE events SET actor = 'os-user:other' WHERE seq = 3", 3, "content"),
        ("UPDATE events SET at_us = at_us + 1 WHERE seq = 3", 3, "content"),
        ("UPDATE events SET exercise = 1 WHERE seq = 1", 1, "content"),
        ("DELETE FROM events WHERE seq = 2", 3, "missing"),
        ("DELETE FROM events WHERE seq >= 4", 5, "cut off"),
        ("UPDATE events SET prev = (SELECT hash FROM events WHERE seq = 1) WHERE seq = 4", 4, "follow"),
        ("UPDATE events SET hash = 'zz' WHERE seq = 4", 4, "SHA-256"),
    ];
    for (sql, seq, what) in cases {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 5).await;
        sqlite(dir.path(), sql);
        let broken = verify(dir.path()).await.unwrap().broken.unwrap_or_else(|| panic!("not found: {sql}"));
        assert_eq!(broken.seq, seq, "{sql}: {}", broken.what);
        assert!(broken.what.contains(what), "{sql}: {}", broken.what);
    }
}

#[tokio::test]
async fn the_database_itself_refuses_changes() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1).await;
    for sql in ["UPDATE events SET body = ''", "DELETE FROM events"] {
        let out = std::process::Command::new("python3")
            .args(["-c", "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])"])
            .arg(dir.path().join("ledger.db"))
            .arg(sql)
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&out.stderr).contains("append-only"), "{sql}");
    }
}

#[tokio::test]
async fn a_head_left_behind_by_a_crash_is_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2).await;
    let old = std::fs::read(dir.path().join("ledger.head")).unwrap();
    filled(dir.path(), 1).await;
    std::fs::write(dir.path().join("ledger.head"), old).unwrap();
    let report = verify(dir.path()).await.unwrap();
    assert_eq!((report.broken, report.head_state), (None, Some(HeadState::Behind)));
    std::fs::remove_file(dir.path().join("ledger.head")).unwrap();
    assert_eq!(verify(dir.path()).await.unwrap().head_state, Some(HeadState::Missing));
}
