//! Measures the filter compiler for `cargo xtask bench filter`.
//!
//! `xtask-filter aggregate FILE DIALECT` reads lines `A-B`, makes rules of them and prints how long each step took;
//! `xtask-filter prefixes FILE` reads the same and prints the least prefixes as `iprange` does;
//! `xtask-filter check LINES` compares an access list of so many lines with its request.
#![expect(clippy::print_stdout, reason = "a terminal program talks on its streams")]
#![expect(clippy::disallowed_methods, reason = "a benchmark needs the time")]

use anyhow::{Context as _, Result, bail};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use suimon_filter::compile::{self, Options, Step};
use suimon_filter::dialect::Dialect;
use suimon_filter::proof;
use suimon_filter::range::{Family, RangeSet};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["aggregate", file, dialect] => aggregate(file, dialect.parse().context("a dialect")?),
        ["prefixes", file] => prefixes(file),
        ["check", lines] => check(lines.parse().context("lines")?),
        _ => bail!("usage: xtask-filter aggregate FILE DIALECT | prefixes FILE | check LINES"),
    }
}

/// The ranges of a file of lines `A-B`.
fn read(file: &str) -> Result<Vec<(u32, u32)>> {
    let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    let of = |s: &str| s.parse::<Ipv4Addr>().map(Ipv4Addr::to_bits).context("an address");
    let mut ranges = Vec::new();
    for line in text.lines() {
        let (a, b) = line.split_once('-').context("a line A-B")?;
        ranges.push((of(a)?, of(b)?));
    }
    Ok(ranges)
}

fn merge(ranges: &[(u32, u32)]) -> RangeSet {
    RangeSet::new(ranges.iter().map(|&(a, b)| (a.into(), b.into())))
}

/// From text to text: the same work as `iprange FILE`, and the same output.
fn prefixes(file: &str) -> Result<()> {
    let octets: Vec<String> = (0..=255).map(|n| n.to_string()).collect();
    let mut out = Vec::with_capacity(1 << 16);
    let mut stdout = std::io::stdout().lock();
    for net in merge(&read(file)?).prefixes(Family::V4) {
        let ipnet::IpNet::V4(net) = net else { continue };
        for (i, octet) in net.network().octets().into_iter().enumerate() {
            if i > 0 {
                out.push(b'.');
            }
            out.extend_from_slice(octets[usize::from(octet)].as_bytes());
        }
        if net.prefix_len() < 32 {
            out.push(b'/');
            out.extend_from_slice(octets[usize::from(net.prefix_len())].as_bytes());
        }
        out.push(b'\n');
        if out.len() > (1 << 16) - 32 {
            stdout.write_all(&out)?;
            out.clear();
        }
    }
    stdout.write_all(&out)?;
    Ok(())
}

/// Prints `ranges lines read merge prefixes aggregate text parse proof`, times in seconds; merging is a part of the time to
/// prefixes, and that of aggregating.
fn aggregate(file: &str, dialect: Dialect) -> Result<()> {
    let start = Instant::now();
    let ranges = read(file)?;
    let count = ranges.len();
    let read = start.elapsed();

    let start = Instant::now();
    let set = merge(&ranges);
    let merged = start.elapsed();
    let dst = set.prefixes(Family::V4);
    let cut = start.elapsed();
    let matches = Match { dst, proto: Some(17), ..Match::default() };
    let rules = RuleSet { rules: vec![Rule { matches, action: Action::Discard }] };
    let (lines, least) = compile::count(&rules, dialect)?;
    let aggregated = start.elapsed();
    anyhow::ensure!(least, "the count of lines is not proven least");

    let mut at = Instant::now();
    let mut steps: Vec<(Step, Duration)> = Vec::new();
    let compiled = compile::compile_watched(&rules, dialect, &Options::default(), &mut |step| {
        steps.push((step, at.elapsed()));
        at = Instant::now();
    })?;
    anyhow::ensure!(compiled.proof.equal && compiled.lines >= lines, "the text is not proved");
    let of = |step| steps.iter().find(|s| s.0 == step).map_or(0.0, |s| s.1.as_secs_f64());
    println!(
        "{count} {} {:.4} {:.4} {:.4} {:.4} {:.4} {:.4} {:.4}",
        lines,
        read.as_secs_f64(),
        merged.as_secs_f64(),
        cut.as_secs_f64(),
        aggregated.as_secs_f64(),
        of(Step::Written),
        of(Step::Read),
        of(Step::Proved)
    );
    Ok(())
}

/// Prints `kind lines seconds`: a list of so many lines with sources, ports and a closing permit, in the opposite order of
/// its request, and then without one of its lines.
fn check(lines: usize) -> Result<()> {
    // Knuth's multiplicative hash: scattered addresses, the same in each run.
    let address = |i: usize| Ipv4Addr::from_bits((i as u32).wrapping_mul(2_654_435_761));
    let ports = [53u16, 123, 389, 1900, 11211, 19, 161, 3702];
    let mut rules = RuleSet::default();
    let mut rows = Vec::new();
    for i in 0..lines.saturating_sub(1) {
        let (dst, port) = (address(i), ports[i % ports.len()]);
        let mut matches = Match { dst: vec![net(dst)], proto: Some(17), ..Match::default() };
        matches.src_ports = vec![PortRange::one(port)];
        let mut from = "any".to_owned();
        if i % 16 == 0 {
            let src = address(i / 64 + 1_000_000_000);
            matches.src = vec![net(src)];
            from = format!("host {src}");
        }
        rules.rules.push(Rule { matches, action: Action::Discard });
        rows.push(format!("deny udp {from} eq {port} host {dst}\n"));
    }
    rows.reverse();
    for (kind, left_out) in [("equal", 0), ("one-missing", 1)] {
        let body: String = rows.iter().skip(left_out).map(String::as_str).collect();
        let text = format!("ip access-list extended CHECK\n{body}permit ip any any\n");
        let start = Instant::now();
        let proof = proof::check(&rules, &text, Dialect::CiscoIos)?;
        let took = start.elapsed();
        anyhow::ensure!(proof.equal == (left_out == 0), "{kind}: the comparison is wrong");
        println!("{kind} {} {:.4}", lines - left_out, took.as_secs_f64());
    }
    Ok(())
}

fn net(a: Ipv4Addr) -> ipnet::IpNet {
    ipnet::IpNet::V4(ipnet::Ipv4Net::from(a))
}
