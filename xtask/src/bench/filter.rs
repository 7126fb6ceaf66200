//! `bench filter`: a million random ranges beside `iprange`, each step of a compilation, and the check of a long list.
//!
//! Both programs start from the same text of unsorted ranges `A-B`. Compared are whole programs (text in, prefixes out) and,
//! with each program's own clock and without its reading, merging, cutting into prefixes, and (ours only) the way on to
//! the lines of a dialect.

use crate::{cargo, programs, setup};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

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

/// Seconds of one run of ours; merging is a part of the time to prefixes, and that of aggregating.
#[derive(Clone, Copy, Default)]
struct Steps {
    lines: f64,
    read: f64,
    merge: f64,
    prefixes: f64,
    aggregate: f64,
    text: f64,
    parse: f64,
    proof: f64,
}

/// One of the times.
type Field = fn(&Steps) -> f64;

/// Seconds of one turn of both programs, the clock stopped outside; and of `iprange` by its own account.
#[derive(Clone, Copy, Default)]
struct Turn {
    ours_whole: f64,
    whole: f64,
    read: f64,
    print: f64,
    merge: f64,
    merged: f64,
    prefixes: f64,
}

fn measure(ours: &Path, dir: &Path) -> Result<bool> {
    println!("{} processors; random ranges of 1 to {LONGEST} addresses; medians of {RUNS} runs", cores());
    println!(
        "{:>9} {:>9} {:>8} {:>8} {:>8} {:>10} {:>8} {:>8} {:>8}  seconds of suimon, {DIALECT}",
        "ranges", "lines", "read", "merge", "prefixes", "aggregate", "text", "re-read", "proof"
    );
    let mut rows: Vec<(usize, Steps)> = Vec::new();
    let mut turns = Vec::new();
    for size in SIZES {
        let file = ranges(dir, size)?;
        let compared = Some(&size) == SIZES.last() && programs::find("iprange").is_some();
        let merged = if compared { Some(same_prefixes(ours, &file, dir)?) } else { None };
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(aggregate(ours, &file)?);
            if let Some(merged) = &merged {
                turns.push(turn(ours, &file, merged)?);
            }
        }
        let of = |f: Field| median(runs.iter().map(f).collect());
        let row = Steps {
            lines: of(|s| s.lines),
            read: of(|s| s.read),
            merge: of(|s| s.merge),
            prefixes: of(|s| s.prefixes),
            aggregate: of(|s| s.aggregate),
            text: of(|s| s.text),
            parse: of(|s| s.parse),
            proof: of(|s| s.proof),
        };
        println!(
            "{size:>9} {:>9} {:>8.3} {:>8.3} {:>8.3} {:>10.3} {:>8.3} {:>8.3} {:>8.3}",
            row.lines, row.read, row.merge, row.prefixes, row.aggregate, row.text, row.parse, row.proof
        );
        rows.push((size, row));
    }
    let mut good = linear(&rows);
    let Some((_, last)) = rows.last() else { return Ok(false) };
    if turns.is_empty() {
        println!("iprange is not installed: nothing to compare with");
        good = false;
    } else {
        good &= compare(last, &turns);
    }
    for line in run(Command::new(ours).args(["check", &CHECKED.to_string()]))?.lines() {
        let seconds: f64 = line.rsplit(' ').next().and_then(|w| w.parse().ok()).context("the check's time")?;
        println!("check of a list, {line} s (at most {CHECK_S} is asked for): {}", verdict(seconds < CHECK_S));
        good &= seconds < CHECK_S;
    }
    Ok(good)
}

/// Prints the comparison row by row; whether `iprange` is slower in every row where both do the same work, or ours more up to
/// the same prefixes. Row 2 is no aggregation, and in row 7 `iprange` stops before the prefixes.
fn compare(ours: &Steps, turns: &[Turn]) -> bool {
    let of = |f: fn(&Turn) -> f64| median(turns.iter().map(f).collect());
    let print = of(|t| t.print);
    let head = format!("the same file of {} ranges, both in turns, seconds", SIZES.last().unwrap_or(&0));
    println!("{head:<58} {:>8} {:>8} {:>7}", "suimon", "iprange", "ratio");
    let rows = [
        ("1 whole program: text in, prefixes printed to /dev/null", of(|t| t.ours_whole), of(|t| t.whole), true),
        ("2 reading the text", ours.read, of(|t| t.read), false),
        ("3 in memory: merging (iprange --count-unique)", ours.merge, of(|t| t.merge), true),
        ("4 in memory: merging, prefixes (iprange --ipset-reduce)", ours.prefixes, of(|t| t.prefixes), true),
        ("5 ours up to the dialect's lines, iprange as in row 4", ours.aggregate, of(|t| t.prefixes), true),
        ("6 ours up to the dialect's lines, iprange with print", ours.aggregate, print, true),
        ("7 ours up to the dialect's lines, iprange only merging", ours.aggregate, of(|t| t.merge), false),
    ];
    let mut good = true;
    for (name, a, b, counts) in rows {
        let word = if counts { verdict(a <= b) } else { "(not the same work)" };
        println!("{name:<58} {a:>8.3} {b:>8.3} {:>7.2}  {word}", a / b);
        good &= a <= b || !counts;
    }
    println!(
        "iprange's times but the first are its own (`-v`), without its reading; --count-unique of ranges that are merged \
         already takes {:.3} s",
        of(|t| t.merged)
    );
    good
}

/// Stops where both programs do not print the same prefixes; returns a file of the merged ranges.
fn same_prefixes(ours: &Path, file: &Path, dir: &Path) -> Result<PathBuf> {
    let mine = run(Command::new(ours).arg("prefixes").arg(file))?;
    let theirs = run(Command::new("iprange").arg(file))?;
    if mine != theirs {
        bail!("suimon and iprange print different prefixes for {}", file.display());
    }
    println!("suimon and iprange print the same {} prefixes, byte for byte", mine.lines().count());
    let merged = dir.join("merged");
    std::fs::write(&merged, run(Command::new("iprange").arg("--print-ranges").arg(file))?)
        .with_context(|| merged.display().to_string())?;
    Ok(merged)
}

fn turn(ours: &Path, file: &Path, merged: &Path) -> Result<Turn> {
    let ours_whole = whole(Command::new(ours).arg("prefixes").arg(file))?;
    let whole = whole(Command::new("iprange").arg(file))?;
    let plain = iprange(file, &[])?;
    // Merges and adds up the addresses, all of it in what it calls speaking.
    let merge = iprange(file, &["--count-unique"])?;
    let nothing = iprange(merged, &["--count-unique"])?;
    // With nothing to reduce it merges, cuts and counts the prefixes while thinking, and prints them afterwards.
    let reduce = iprange(file, &["--ipset-reduce", "0", "--ipset-reduce-entries", "0"])?;
    Ok(Turn {
        ours_whole,
        whole,
        read: plain.read,
        print: plain.think + plain.speak,
        merge: merge.think + merge.speak,
        merged: nothing.think + nothing.speak,
        prefixes: reduce.think,
    })
}

/// Seconds of a program from its start to its end, its output thrown away.
#[expect(clippy::disallowed_methods, reason = "a benchmark needs the time")]
fn whole(command: &mut Command) -> Result<f64> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{command:?}"))?;
    let took = start.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{command:?} fails");
    }
    Ok(took)
}

/// Whether text, reading and proof cost about the same for a range at every size.
fn linear(rows: &[(usize, Steps)]) -> bool {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return false };
    let per = |row: &(usize, Steps), f: Field| f(&row.1) / row.0 as f64;
    let steps: [(&str, Field); 4] =
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
    let [_, lines, read, merge, prefixes, aggregate, text_s, parse, proof] = numbers[..] else {
        bail!("xtask-filter says `{text}`")
    };
    Ok(Steps { lines, read, merge, prefixes, aggregate, text: text_s, parse, proof })
}

/// What `iprange -v` says about its own time, in seconds.
struct Account {
    read: f64,
    think: f64,
    speak: f64,
}

fn iprange(file: &Path, options: &[&str]) -> Result<Account> {
    let mut command = Command::new("iprange");
    command.arg("-v").args(options).arg(file).stdout(Stdio::null());
    let output = command.stderr(Stdio::piped()).output().context("iprange")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let after = |word: &str| {
        let rest = said.rsplit_once(word)?.1;
        rest.split_whitespace().next()?.trim_end_matches([')', ',']).parse::<f64>().ok()
    };
    let (Some(read), Some(think), Some(speak)) = (after("(read "), after(" think "), after(" speak ")) else {
        bail!("iprange says `{said}`")
    };
    Ok(Account { read, think, speak })
}
