//! Times a decision of `filter synthesize` for `cargo xtask bench synthesis`: `xtask-synthesis FLOWS`.
#![expect(clippy::print_stdout, reason = "a terminal program talks on its streams")]
#![expect(clippy::disallowed_methods, reason = "a benchmark needs the time")]

use anyhow::{Context as _, Result, ensure};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;
use suimon_base::Timestamp;
use suimon_base::flow::Fragment;
use suimon_filter::dialect::Dialect;
use suimon_filter::synth::{Ask, Observation, synthesize};
use suimon_lab::{Legit, LegitProfile, Packet};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 80));
/// A decision may take this long, seconds.
const LIMIT_S: f64 = 2.0;

fn seen(p: &Packet) -> Observation {
    Observation::of_packet(&p.header, Timestamp::from_micros(p.at_us as i64), 1)
}

/// What the attack looks like.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// SYNs to the game's port from invented sources: told by their length.
    Syn,
    /// UDP from and to any port, of any length, from invented sources: every field has as many values as it can.
    Random,
    /// The game's own SYNs: nothing tells them apart, so every field is tried.
    Alike,
}

/// Five parts of the attack and three of ordinary traffic in the attack's file, two of ordinary traffic in the baseline.
fn flows(kind: Kind, total: usize) -> (Vec<Observation>, Vec<Observation>) {
    let legit = |seed| {
        let profile = LegitProfile::game(HOST).scaled(4.0);
        Legit::new(profile, seed, 0, 3_600_000_000, 1).map(|p| seen(&p))
    };
    let baseline: Vec<Observation> = legit(1).take(total / 5).collect();
    let mut attack: Vec<Observation> = legit(2).take(total * 3 / 10).collect();
    let end = attack.last().and_then(|o| o.at).map_or(1, Timestamp::as_micros).max(1);
    let syn = attack.iter().find(|o| o.opens()).copied();
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    for i in 0..total / 2 {
        let (a, b) = (next(), next());
        let src = match kind {
            Kind::Alike => Ipv4Addr::from_bits(0xc613_0000 | a & 0xffff),
            _ => Ipv4Addr::from_bits(0x0100_0000 + a % 0xdeff_ffff),
        };
        let (proto, flags, length, dport) = match kind {
            Kind::Random => (17, 0, 28 + (a ^ b) as u16 % 1_472, (b >> 16) as u16),
            Kind::Syn => (6, 2, 40, 25_565),
            Kind::Alike => (6, 2, if a & 1 == 0 { 60 } else { 52 }, 25_565),
        };
        let header = suimon_base::PacketHeader {
            src: src.into(),
            dst: HOST,
            proto,
            ports: Some((32_768 | b as u16, dport)),
            tcp_flags: flags,
            icmp: 0,
            fragment: Fragment::Whole,
            ip_len: length,
            tos: 0,
            ttl: if kind == Kind::Alike { syn.and_then(|s| s.ttl).unwrap_or(50) } else { 242 },
        };
        let at = Timestamp::from_micros(end * i as i64 / (total / 2) as i64);
        attack.push(Observation::of_packet(&header, at, 1));
    }
    (attack, baseline)
}

fn main() -> Result<()> {
    let total: usize = std::env::args().nth(1).context("usage: xtask-synthesis FLOWS")?.parse().context("FLOWS")?;
    let mut slowest = 0.0_f64;
    for (name, kind) in [("SYN flood", Kind::Syn), ("random UDP", Kind::Random), ("like the customers", Kind::Alike)] {
        let (attack, baseline) = flows(kind, total);
        for dialect in [Dialect::CiscoIos, Dialect::Nftables, Dialect::Flowspec] {
            let start = Instant::now();
            let answer = synthesize(&attack, &baseline, &Ask { dialect, ..Ask::default() })?;
            let seconds = start.elapsed().as_secs_f64();
            slowest = slowest.max(seconds);
            println!(
                "{name:<18} {:<9} {} flows: {seconds:.2} s, {}, {} rules, attack {:.2} %, rest {:.2} %",
                dialect.name(),
                attack.len() + baseline.len(),
                if answer.reached { "reached" } else { "not reached" },
                answer.rules.len(),
                answer.shares.attack * 100.0,
                answer.shares.legit * 100.0
            );
        }
    }
    ensure!(slowest < LIMIT_S, "the slowest decision took {slowest:.2} s; at most {LIMIT_S} s are allowed");
    Ok(())
}
