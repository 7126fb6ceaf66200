//! `bench collect`: the same stream to one receiver after the other; CPU a flow, loss and memory of each.

use super::process;
use super::receivers::Receiver;
use crate::{cargo, setup};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Flows a second.
const RATE: u64 = 300_000;

/// How long the stream lasts, in seconds.
const SECONDS: u64 = 10;

/// How long a receiver rests after its start before it is looked at, in seconds.
const SETTLE_S: u64 = 3;

/// How long its idle CPU is measured, in seconds.
const IDLE_S: u64 = 5;

/// How long after the last datagram its CPU still counts, in seconds: what lies in buffers is work on the stream.
const DRAIN_S: u64 = 1;

/// How many times everybody takes the stream, one receiver after the other.
const ROUNDS: usize = 3;

/// How many times less CPU a flow than fastnetmon Suimon has to take.
const AT_LEAST: f64 = 3.0;

struct Row {
    receiver: Receiver,
    sent: f64,
    seconds: f64,
    counted: f64,
    dropped: u64,
    cpu_s: f64,
    idle_per_s: f64,
    peak_mib: f64,
    remark: String,
}

impl Row {
    fn ns_per_flow(&self) -> f64 {
        self.cpu_s * 1e9 / self.counted.max(1.0)
    }
}

/// `cargo xtask bench collect [RECEIVER]…`.
pub fn collect(args: &[String]) -> Result<ExitCode> {
    let mut chosen = Vec::new();
    for arg in args {
        match Receiver::ALL.into_iter().find(|r| r.name() == arg) {
            Some(receiver) => chosen.push(receiver),
            None => bail!("no receiver `{arg}`: {}", Receiver::ALL.map(Receiver::name).join(", ")),
        }
    }
    if chosen.is_empty() {
        chosen = Receiver::ALL.to_vec();
    }
    setup::for_build()?;
    setup::for_bench();
    let mut build = cargo::command();
    build.current_dir(cargo::root()).args(["build", "--release", "--package", "xtask", "--features", "bench"]);
    if !cargo::run(build.args(["--bin", "xtask-send"]))? {
        bail!("the sender does not build; cargo's message is above");
    }
    let sender = cargo::target_dir()?.join("release/xtask-send");
    chosen.retain(|receiver| match receiver.hindrance() {
        None => true,
        Some(hindrance) => {
            eprintln!("xtask: {} is left out: {hindrance}", receiver.name());
            false
        }
    });
    let mut rounds: Vec<Vec<Row>> = Vec::new();
    for round in 1..=ROUNDS {
        let mut rows = Vec::new();
        for &receiver in &chosen {
            let dir = std::env::temp_dir().join(format!("suimon-bench-{}-{}", receiver.name(), std::process::id()));
            std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
            eprintln!("xtask: round {round} of {ROUNDS}: {}: {RATE} flows/s for {SECONDS} s", receiver.name());
            let row = measure(receiver, &sender, &dir);
            // Left behind where something went wrong: its logs say what.
            let row = row.with_context(|| format!("{} (its files are in {})", receiver.name(), dir.display()))?;
            std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
            rows.push(row);
        }
        print_table(&rows);
        rounds.push(rows);
    }
    println!(
        "ratios are to {}; CPU is user and system time of the receiving process, less its idle time",
        chosen.first().map_or("nobody", |r| r.name())
    );
    println!("dropped is the kernel's count of datagrams at the socket");
    Ok(verdict(&rounds))
}

fn measure(receiver: Receiver, sender: &Path, dir: &Path) -> Result<Row> {
    let running = receiver.start(dir)?;
    let sleep = |s| std::thread::sleep(Duration::from_secs(s));
    sleep(SETTLE_S);
    let idle_start = running.process.cpu_s()?;
    sleep(IDLE_S);
    let before = running.process.cpu_s()?;
    let idle_per_s = (before - idle_start) / IDLE_S as f64;
    let output = Command::new(sender)
        .arg(format!("127.0.0.1:{}", running.port))
        .args([RATE.to_string(), SECONDS.to_string()])
        .output()
        .context("the sender")?;
    if !output.status.success() {
        bail!("the sender failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [_, sent, seconds] = numbers[..] else { bail!("the sender says `{text}`") };
    sleep(DRAIN_S);
    let cpu_s = running.process.cpu_s()? - before - idle_per_s * (seconds + DRAIN_S as f64);
    let peak_mib = running.process.peak_mib()?;
    let dropped = process::udp_drops(running.port).unwrap_or(0);
    let (counted, remark) = running.count()?;
    Ok(Row { receiver, sent, seconds, counted, dropped, cpu_s, idle_per_s, peak_mib, remark })
}

fn print_table(rows: &[Row]) {
    let Some(base) = rows.first() else { return };
    println!(
        "{:<11} {:>10} {:>10} {:>7} {:>8} {:>7} {:>8} {:>7} {:>8} {:>7}  remark",
        "receiver", "sent", "counted", "loss %", "dropped", "CPU s", "ns/flow", "ratio", "MiB", "ratio"
    );
    for row in rows {
        println!(
            "{:<11} {:>10} {:>10} {:>7.3} {:>8} {:>7.2} {:>8.1} {:>7.2} {:>8.1} {:>7.2}  {} (idle {:.1} % of a core, {:.1} s)",
            row.receiver.name(),
            row.sent,
            row.counted,
            100.0 * (row.sent - row.counted) / row.sent.max(1.0),
            row.dropped,
            row.cpu_s,
            row.ns_per_flow(),
            row.ns_per_flow() / base.ns_per_flow(),
            row.peak_mib,
            row.peak_mib / base.peak_mib,
            row.remark,
            row.idle_per_s * 100.0,
            row.seconds,
        );
    }
}

/// Says whether Suimon is fast enough, where both were measured: by the middle one of the rounds' ratios, each of two
/// measurements that lie close together, since other load on the machine comes and goes.
fn verdict(rounds: &[Vec<Row>]) -> ExitCode {
    let ratio = |rows: &Vec<Row>| {
        let find = |receiver| rows.iter().find(|r| r.receiver == receiver).map(Row::ns_per_flow);
        Some(find(Receiver::Fastnetmon)? / find(Receiver::Suimon)?)
    };
    let mut ratios: Vec<f64> = rounds.iter().filter_map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let Some(middle) = ratios.get(ratios.len() / 2) else { return ExitCode::SUCCESS };
    let all: Vec<String> = ratios.iter().map(|r| format!("{r:.1}")).collect();
    println!(
        "suimon takes {middle:.1} times less CPU a flow than fastnetmon (rounds: {}); at least {AT_LEAST} is asked for",
        all.join(", ")
    );
    if *middle >= AT_LEAST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
