//! `filter synthesize`: a small set of rules from recorded traffic.

use super::decode::datagrams;
use super::filter::dialect_of;
use super::read;
use crate::exit::{Exit, bad_input};
use crate::output;
use clap::Args;
use std::path::{Path, PathBuf};
use suimon_base::flow::{Sampling, SamplingSource};
use suimon_filter::compile::Options;
use suimon_filter::synth::{Ask, MAX_OBSERVATIONS, Observation, Point, Shares, Synthesis, synthesize};
use suimon_wire::packet::parse_frame;
use suimon_wire::{Decoder, Limits, input, pcap};

/// `filter synthesize`.
#[derive(Args, Debug)]
pub struct SynthesizeArgs {
    /// Traffic during the attack: flow datagrams (captured or raw) or plain packet captures
    #[arg(long, required = true, value_name = "F", num_args = 1..)]
    pub attack: Vec<PathBuf>,
    /// Traffic of the same target from before
    #[arg(long, required = true, value_name = "F", num_args = 1..)]
    pub baseline: Vec<PathBuf>,
    /// Most rules
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub max_rules: usize,
    /// Drop at least this much of the attack's packets
    #[arg(long, value_name = "PERCENT", default_value = "99%", value_parser = percent)]
    pub min_attack: f64,
    /// Drop at most this much of the legitimate packets, and of the new TCP connections
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = percent)]
    pub max_legit: f64,
    /// Dialect of the text, such as cisco-ios
    #[arg(long, value_name = "D")]
    pub dialect: String,
    /// Name of the list
    #[arg(long, default_value = "SUIMON")]
    pub name: String,
    /// Packets of a plain capture stand for one in N; for flows, where the exporter does not say
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub sampling: u32,
}

/// `99`, `99%` or `99.5 %` as a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(p) if (0.0..=100.0).contains(&p) => Ok(p / 100.0),
        _ => Err(format!("{text:?} is not a percentage from 0 to 100")),
    }
}

/// Finds rules; exit code 1 where the limits cannot be kept.
pub fn run(args: &SynthesizeArgs, json: bool) -> anyhow::Result<Exit> {
    let options = Options { name: args.name.clone(), ..Options::default() };
    let ask = Ask {
        dialect: dialect_of(&args.dialect)?,
        max_rules: args.max_rules,
        min_attack: args.min_attack,
        max_legit: args.max_legit,
        options,
    };
    let attack = observations(&args.attack, args.sampling)?;
    let baseline = observations(&args.baseline, args.sampling)?;
    let answer = synthesize(&attack, &baseline, &ask).map_err(|e| bad_input(e.to_string()))?;
    if json {
        output::json(&answer)
    } else {
        words(&answer)
    }
    Ok(if answer.reached { Exit::Done } else { Exit::No })
}

fn observations(files: &[PathBuf], sampling: u32) -> anyhow::Result<Vec<Observation>> {
    let mut decoder = Decoder::new(Limits::default());
    let mut out = Vec::new();
    for path in files {
        file(&mut decoder, path, sampling, &mut out)?;
        if out.len() > MAX_OBSERVATIONS {
            return Err(bad_input(format!(
                "{}: with it, over {MAX_OBSERVATIONS} flows; give a shorter time",
                path.display()
            )));
        }
    }
    Ok(out)
}

/// A capture that holds flow datagrams is read as such; of any other capture each packet counts.
fn file(decoder: &mut Decoder, path: &Path, sampling: u32, out: &mut Vec<Observation>) -> anyhow::Result<()> {
    let bytes = read(path)?;
    let place = |e: pcap::PcapError| bad_input(format!("{}: {e}", path.display()));
    let is_flows =
        !pcap::is_capture(&bytes) || input::flow_datagrams(&bytes).map_err(place)?.next().is_some_and(|d| d.is_ok());
    if is_flows {
        datagrams(decoder, path, &bytes, &mut |_, _, flow| {
            let mut flow = *flow;
            if flow.sampling.source == SamplingSource::Assumed && sampling > 1 {
                flow.sampling = Sampling { rate: sampling, source: SamplingSource::Config };
            }
            out.extend(Observation::of_flow(&flow));
        })?;
        return Ok(());
    }
    for frame in pcap::frames(&bytes).map_err(place)? {
        let frame = frame.map_err(place)?;
        if let Some((header, _)) = parse_frame(frame.link, frame.bytes, frame.wire_len) {
            out.push(Observation::of_packet(&header, frame.time, sampling));
        }
    }
    Ok(())
}

/// A share as a percentage that never shows nearly all as all.
fn shown(share: f64) -> String {
    format!("{:.2} %", (share * 10_000.0).floor() / 100.0)
}

fn taken(s: &Shares) -> String {
    let connections = s.connections.map_or_else(String::new, |c| format!(", new connections {}", shown(c)));
    format!("attack {}, legitimate {}{connections}", shown(s.attack), shown(s.legit))
}

fn words(a: &Synthesis) {
    output::line(&a.counterfactual);
    if let Some(missing) = &a.missing {
        output::line(&missing.words);
    }
    for (i, r) in a.rules.iter().enumerate() {
        output::line(format!("\nrule {}: {}", i + 1, r.words));
        output::line(format!(
            "  adds {} of the attack; takes {} packets of the attack and {} legitimate ones",
            shown(r.adds_attack),
            r.attack_packets,
            r.legit_packets
        ));
        r.why.iter().for_each(|w| output::line(format!("  {w}")));
    }
    if !a.curve.is_empty() {
        output::line("\nrules  what they drop");
    }
    for Point { rules, shares, best } in &a.curve {
        let best = if *best { " (no better ones)" } else { "" };
        output::line(format!("{rules:>5}  {}{best}", taken(shares)));
    }
    if let Some(h) = &a.held_out {
        output::line(format!("learned from one half, judged on the other: {}", taken(h)));
    }
    a.notes.iter().for_each(|n| output::line(format!("note: {n}")));
    if !a.text.is_empty() {
        output::line(format!("\n{}", a.text.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::{percent, shown};

    #[test]
    fn percentages() {
        let of = |t: &str| percent(t).ok();
        assert_eq!([of("99"), of("99%"), of("99.5 %"), of("0")], [Some(0.99), Some(0.99), Some(0.995), Some(0.0)]);
        assert_eq!([of("101"), of("-1"), of(""), of("NaN"), of("x%")], [None; 5]);
        assert_eq!((shown(0.99999), shown(1.0)), ("99.99 %".into(), "100.00 %".into()));
    }
}
