//! The ledger survives `kill -9` at any moment of the drill: it verifies, the case is where the last acknowledged step left
//! it, and no measure is in force that the ledger does not know.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use suimon_base::case::Phase;
use suimon_base::measure::Status;
use suimon_base::{CaseId, MeasureId, RequestId, State};
use suimon_ledger::Ledger;

/// Rounds at a time; a drill mostly waits.
const AT_A_TIME: usize = 5;
/// Every so many rounds a second drill runs in the same folder.
const RECOVER_EVERY: usize = 5;
/// A drill that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// From the first attack packet to the end of a whole drill, milliseconds.
const EVENTFUL_MS: u64 = 6_000;
/// Stages right after which every other round kills.
const STAGES: [&str; 12] = [
    "first-attack-packet",
    "detected",
    "denied",
    "request",
    "callback",
    "proposed",
    "approved",
    "applied",
    "effect",
    "quiet",
    "released",
    "closed",
];

#[test]
fn fifty_random_moments() {
    rounds(50);
}

#[test]
#[ignore = "takes about a quarter of an hour; `cargo xtask soak` runs it"]
fn five_hundred_random_moments() {
    rounds(500);
}

fn rounds(count: usize) {
    let (next, base) = (AtomicUsize::new(0), RandomState::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    Round::new(n, base.hash_one(n)).run();
                }
            });
        }
    });
}

/// When to kill.
#[derive(Clone, Copy, Debug)]
struct Moment {
    after: &'static str,
    wait: Duration,
}

struct Round {
    number: usize,
    seed: u64,
    moment: Moment,
}

impl Round {
    fn new(number: usize, seed: u64) -> Round {
        let moment = if number.is_multiple_of(2) {
            Moment { after: STAGES[0], wait: Duration::from_micros(seed % (EVENTFUL_MS * 1_000)) }
        } else {
            let after = STAGES[number / 2 % STAGES.len()];
            Moment { after, wait: Duration::from_micros(seed % 5_000) }
        };
        Round { number, seed, moment }
    }

    fn run(&self) {
        let folder = tempfile::Builder::new().prefix("suimon-kill-").tempdir().unwrap().keep();
        let told = self.kill_one(&folder);
        let what = format!("round {} (seed {}, {:?}) in {}", self.number, self.seed, self.moment, folder.display());
        if let Err(fault) = check(&folder, &told) {
            panic!("{what}: {fault}\ntold: {told:#?}");
        }
        if self.number.is_multiple_of(RECOVER_EVERY)
            && let Err(fault) = recovers(&folder)
        {
            panic!("{what}, second drill: {fault}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::remove_file(words_of(&folder)).unwrap();
    }

    /// Runs a drill up to the moment; what it told by then.
    fn kill_one(&self, folder: &Path) -> Vec<Value> {
        let (mut child, lines) = drill(folder);
        let mut told = Vec::new();
        let mut wait = PATIENCE;
        loop {
            match lines.recv_timeout(wait) {
                Ok(line) => {
                    let reached = line["stage"] == self.moment.after;
                    told.push(line);
                    if reached {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("round {}: the drill hangs after {told:?}", self.number),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        wait = self.moment.wait;
        std::thread::sleep(wait);
        // SIGKILL; a drill that has just ended by itself is as good a moment as any.
        let _ = child.kill();
        child.wait().unwrap();
        told.extend(lines.iter());
        told
    }
}

/// Where a drill's warnings and errors go, beside its folder.
fn words_of(folder: &Path) -> PathBuf {
    folder.with_extension("stderr")
}

/// A drill with the lines that it prints.
fn drill(folder: &Path) -> (Child, Receiver<Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_suimon"))
        .args(["drill", "dns-reflection", "--json", "--attack-seconds", "4", "--quiet-seconds", "1", "--data"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(words_of(folder)).unwrap())
        .spawn()
        .unwrap();
    let (send, lines) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            // A line cut short by the kill was not told.
            let Ok(value) = serde_json::from_str(&line) else { continue };
            if send.send(value).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

/// The folder after a kill.
struct Left {
    state: State,
    /// What the router holds.
    router: BTreeSet<MeasureId>,
    journal: String,
}

fn read(folder: &Path) -> Result<Left, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let state = runtime.block_on(async {
        let report = suimon_ledger::verify(folder).await.map_err(|e| format!("verify: {e}"))?;
        if let Some(broken) = report.broken {
            return Err(format!("the ledger is broken: {broken:?}"));
        }
        let ledger = Ledger::open(folder, true).await.map_err(|e| format!("open: {e}"))?;
        let mut state = State::default();
        for row in ledger.read(1, 10_000).await.map_err(|e| format!("read: {e}"))? {
            state.apply(&row.recorded).map_err(|e| format!("replay: {e}"))?;
        }
        Ok(state)
    })?;
    let text = std::fs::read_to_string(folder.join("model-router.json")).unwrap_or_else(|_| "{}".to_owned());
    let texts: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|e| format!("router: {e}: {text}"))?;
    let router = texts.keys().map(|id| id.parse().expect("a measure's id")).collect();
    let journal = std::fs::read_to_string(folder.join("release.journal")).unwrap_or_default();
    Ok(Left { state, router, journal })
}

fn check(folder: &Path, told: &[Value]) -> Result<(), String> {
    let left = read(folder)?;
    for line in told {
        acknowledged(&left.state, line).ok_or_else(|| format!("acknowledged, but not in the ledger: {line}"))?;
    }
    for id in &left.router {
        let known = left.state.measures.get(id);
        if !known.is_some_and(|m| m.approved.is_some() && m.status.may_be_in_force()) {
            return Err(format!("{id} is in the network; the ledger says {:?}", known.map(|m| m.status)));
        }
    }
    for m in left.state.measures.values().filter(|m| m.status == Status::Applied) {
        // A release is in the journal before the router hears of it.
        if !left.router.contains(&m.id) && !left.journal.contains(&format!("\"{}\"", m.id)) {
            return Err(format!("{} is applied by the ledger, and not in the network", m.id));
        }
    }
    for c in left.state.cases.values() {
        let in_force = left.state.in_force().any(|m| m.case == c.id);
        if in_force != (c.phase == Phase::Mitigate) {
            return Err(format!("{} is in phase {}, with something in force: {in_force}", c.id, c.phase));
        }
    }
    Ok(())
}

/// Whether the ledger is at least as far as this line said.
fn acknowledged(state: &State, line: &Value) -> Option<()> {
    let field = |name: &str| line[name].as_str().unwrap_or_default();
    let case = || state.cases.get(&field("case").parse::<CaseId>().ok()?);
    let request = || state.requests.get(&field("request").parse::<RequestId>().ok()?);
    let measure = || state.measures.get(&field("measure").parse::<MeasureId>().ok()?);
    let phase = |at_least: Phase, id: CaseId| state.cases.get(&id).filter(|c| c.phase >= at_least).map(drop);
    if let Some(seq) = line["seq"].as_u64() {
        (seq <= state.seq).then_some(())?;
    }
    match field("stage") {
        "case-opened" => case().map(drop),
        "denied" => measure().filter(|m| m.status == Status::Denied).map(drop),
        "request" => phase(Phase::Contact, request()?.case),
        "callback" => request()?.request.callback.as_ref().filter(|c| c.confirmed).map(drop),
        "proposed" => measure().filter(|m| m.status >= Status::Proposed).map(drop),
        "approved" => {
            let m = measure().filter(|m| m.approved.is_some())?;
            phase(Phase::Mitigate, m.case)
        }
        "applied" => measure().filter(|m| m.applied.is_some()).map(drop),
        "effect" => measure().filter(|m| m.effect.is_some()).map(drop),
        "quiet" => measure().filter(|m| m.release.is_some()).map(drop),
        "released" => {
            let m = measure().filter(|m| m.status == Status::Released)?;
            phase(Phase::Recover, m.case)
        }
        "closed" => case().filter(|c| c.phase == Phase::Closed).map(drop),
        _ => Some(()),
    }
}

/// Another drill in the same folder ends well, and nothing of either is left.
fn recovers(folder: &Path) -> Result<(), String> {
    let (mut child, lines) = drill(folder);
    let mut told = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => told.push(line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(format!("hangs after {told:#?}")),
        }
    }
    let status = child.wait().unwrap();
    if !status.success() && !only_slow(&told) {
        let words = std::fs::read_to_string(words_of(folder)).unwrap_or_default();
        return Err(format!("{status}: {told:#?}\n{words}"));
    }
    check(folder, &told)?;
    let left = read(folder)?;
    let open: Vec<CaseId> = left.state.cases.values().filter(|c| c.phase != Phase::Closed).map(|c| c.id).collect();
    let in_force: Vec<MeasureId> = left.state.in_force().map(|m| m.id).collect();
    if !left.router.is_empty() || !in_force.is_empty() || !open.is_empty() {
        return Err(format!("left: router {:?}, in force {in_force:?}, open {open:?}", left.router));
    }
    Ok(())
}

/// How long detection takes is judged elsewhere: here the machine is kept busy on purpose.
fn only_slow(told: &[Value]) -> bool {
    let judged = told.iter().find(|l| l["stage"] == "judged");
    judged.and_then(|j| j["faults"].as_array()).is_some_and(|faults| {
        !faults.is_empty() && faults.iter().all(|f| f.as_str().is_some_and(|f| f.starts_with("detection took")))
    })
}
