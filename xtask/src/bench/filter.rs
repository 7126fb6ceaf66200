//! `bench filter`: a million random ranges beside `iprange`, each step of a compilation, and the check of a long list.

use crate::{cargo, programs, setup};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// How many ranges are aggregated, the last of them in the comparison.
const SIZES: [usize; 3] = [250_000, 500_000, 1_000_000];

/// Runs of each program; they take turns and the median counts.
const RUNS: usize = 5;

/// Longest random range, in addresses.
const LONGEST: u32 = 16;

/// Lines of the list that is checked.
const CHECKED: usize = 10_000;

/// What the check may take, in seconds.
const CHECK_S: f64 = 1.0;

/// The dialect whose text is written and proved.
const DIALECT: &str = "cisco-ios";

/// A step may take this many times longer for a range at one million than at 250,000 and still be called linear: memory that
/// no longer fits into caches costs about that much.
const LINEAR: f64 = 2.5;

/// `cargo xtask bench filter`.
pub fn filter(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`bench filter` takes no arguments, not `{arg}`");
    }
    setup::for_build()?;
    let mut build = cargo::command();
    build.current_dir(cargo::root()).args(["build", "--release", "--package", "xtask", "--features", "bench-filter"]);
    if !cargo::run(build.args(["--bin", "xtask-filter"]))? {
        bail!("the measuring program does not build; cargo's message is above");
    }
    let ours = cargo::target_dir()?.join("release/xtask-filter");
    let dir = std::env::temp_dir().join(format!("suimon-bench-filter-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let good = measure(&ours, &dir);
    std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(if good? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Seconds of one run.
#[derive(Clone, Copy, Default)]
struct Steps {
    lines: f64,
    read: f64,
    merge: f64,
    aggregate: f64,
    text: f64,
    parse: f64,
    proof: f64,
}

fn measure(ours: &Path, dir: &Path) -> Result<bool> {
    println!("{} processors; random ranges of 1 to {LONGEST} addresses; medians of {RUNS} runs", cores());
    println!(
        "{:>9} {:>9} {:>8} {:>10} {:>8} {:>8} {:>8}  seconds of suimon, {DIALECT}",
        "ranges", "lines", "read", "aggregate", "text", "re-read", "proof"
    );
    let mut rows: Vec<(usize, Steps)> = Vec::new();
    let (mut theirs, mut merging) = (Vec::new(), Vec::new());
    for size in SIZES {
        let file = ranges(dir, size)?;
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(aggregate(ours, &file)?);
            if Some(&size) == SIZES.last() && programs::find("iprange").is_some() {
                theirs.push(iprange(&file, &[])?);
                merging.push(iprange(&file, &["--count-unique"])?.2);
            }
        }
        let of = |f: fn(&Steps) -> f64| median(runs.iter().map(f).collect());
        let row = Steps {
            lines: of(|s| s.lines),
            read: of(|s| s.read),
            merge: of(|s| s.merge),
            aggregate: of(|s| s.aggregate),
            text: of(|s| s.text),
            parse: of(|s| s.parse),
            proof: of(|s| s.proof),
        };
        println!(
            "{size:>9} {:>9} {:>8.3} {:>10.3} {:>8.3} {:>8.3} {:>8.3}",
            row.lines, row.read, row.aggregate, row.text, row.parse, row.proof
        );
        rows.push((size, row));
    }
    let mut good = linear(&rows);
    let Some((_, last)) = rows.last() else { return Ok(false) };
    if theirs.is_empty() {
        println!("iprange is not installed: nothing to compare with");
        good = false;
    } else {
        let count = theirs.first().map_or(0.0, |t| t.0);
        let (read, work) = (median(theirs.iter().map(|t| t.1).collect()), median(theirs.iter().map(|t| t.2).collect()));
        println!(
            "iprange: {count} prefixes, read {read:.3} s, aggregate and print {work:.3} s (its own times; printed to a pipe)"
        );
        let enough = last.aggregate <= work && last.lines <= count;
        println!(
            "suimon aggregates in {:.2} of iprange's time and needs {} lines where iprange needs {count}: {}",
            last.aggregate / work,
            last.lines,
            verdict(enough)
        );
        good &= enough;
        println!(
            "merging alone, without prefixes, rules or print: suimon {:.3} s, iprange --count-unique {:.3} s",
            last.merge,
            median(merging)
        );
    }
    for line in run(Command::new(ours).args(["check", &CHECKED.to_string()]))?.lines() {
        let seconds: f64 = line.rsplit(' ').next().and_then(|w| w.parse().ok()).context("the check's time")?;
        println!("check of a list, {line} s (at most {CHECK_S} is asked for): {}", verdict(seconds < CHECK_S));
        good &= seconds < CHECK_S;
    }
    Ok(good)
}

/// Whether text, reading and proof cost about the same for a range at every size.
fn linear(rows: &[(usize, Steps)]) -> bool {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return false };
    let per = |row: &(usize, Steps), f: fn(&Steps) -> f64| f(&row.1) / row.0 as f64;
    let steps: [(&str, fn(&Steps) -> f64); 4] =
        [("aggregate", |s| s.aggregate), ("text", |s| s.text), ("re-read", |s| s.parse), ("proof", |s| s.proof)];
    let mut good = true;
    let mut words = String::new();
    for (name, f) in steps {
        let growth = per(last, f) / per(first, f);
        good &= growth <= LINEAR;
        let _ = write!(words, " {name} {growth:.2}");
    }
    println!(
        "time for a range at {} against {}:{words} (at most {LINEAR} is called linear): {}",
        last.0,
        first.0,
        verdict(good)
    );
    good
}

fn verdict(good: bool) -> &'static str {
    if good { "ok" } else { "TOO SLOW" }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn median(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or(0.0)
}

/// The same random ranges in each run (Knuth's linear congruential generator).
fn ranges(dir: &Path, size: usize) -> Result<PathBuf> {
    let mut state = 1u64;
    let mut text = String::with_capacity(size * 32);
    for _ in 0..size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let low = (state >> 32) as u32;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = low.saturating_add((state >> 33) as u32 % LONGEST);
        let _ = writeln!(text, "{}-{}", Ipv4Addr::from_bits(low), Ipv4Addr::from_bits(high));
    }
    let file = dir.join(format!("ranges-{size}"));
    std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    Ok(file)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn aggregate(ours: &Path, file: &Path) -> Result<Steps> {
    let text = run(Command::new(ours).arg("aggregate").arg(file).arg(DIALECT))?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [_, lines, read, merge, aggregate, text_s, parse, proof] = numbers[..] else {
        bail!("xtask-filter says `{text}`")
    };
    Ok(Steps { lines, read, merge, aggregate, text: text_s, parse, proof })
}

/// How many prefixes it prints, its reading time, and all of its other time, in seconds.
fn iprange(file: &Path, options: &[&str]) -> Result<(f64, f64, f64)> {
    let mut command = Command::new("iprange");
    let output = command.arg("-v").args(options).arg(file).output().context("iprange")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let after = |word: &str| {
        let rest = said.rsplit_once(word)?.1;
        rest.split_whitespace().next()?.trim_end_matches([')', ',']).parse::<f64>().ok()
    };
    let (Some(read), Some(think), Some(speak)) = (after("(read "), after(" think "), after(" speak ")) else {
        bail!("iprange says `{said}`")
    };
    let prefixes = output.stdout.iter().filter(|&&b| b == b'\n').count();
    Ok((prefixes as f64, read, think + speak))
}
