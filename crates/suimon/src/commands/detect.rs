//! `detect`: attacks in recorded traffic, by the same detector that the daemon runs.

use super::decode::datagrams;
use super::read;
use crate::cli::DetectArgs;
use crate::config::Config;
use crate::exit::{Exit, bad_input};
use crate::output;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use suimon_base::attack::{Attack, AttackChange};
use suimon_base::flow::{ExporterKey, FlowRecord, Sampling, SamplingSource};
use suimon_base::{PacketHeader, Timestamp};
use suimon_detect::{Detector, Network};
use suimon_wire::packet::parse_frame;
use suimon_wire::{Decoder, Limits, input, pcap};

/// The meter of plain packet captures.
const CAPTURE: ExporterKey = ExporterKey { addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED), domain: 0 };
/// The detector looks at its windows this often in recorded time, milliseconds.
const STEP_MS: i64 = 100;

/// Prints one object an attack.
pub fn run(args: &DetectArgs, json: bool) -> anyhow::Result<Exit> {
    let mut config = match &args.config {
        Some(path) => Config::read(path)?.detect,
        None => suimon_detect::Config::default(),
    };
    for prefix in &args.network {
        if config.networks.iter().all(|n| n.prefix != *prefix) {
            config.networks.push(Network { prefix: *prefix, customer: None, thresholds: None });
        }
    }
    // What was told last may be spread over the time of a long flow; then windows empty, and then attacks end. Buckets
    // close on full multiples of their length, hence two more.
    let quiet_ms = config.long_flow_ms + config.window_ms + config.hold_ms + 2 * config.bucket_ms;
    let quiet_ms = i64::try_from(quiet_ms).unwrap_or(i64::MAX);
    // The seed only spreads hash tables; a fixed one makes runs repeatable.
    let detector = Detector::new(config, 1).map_err(|e| bad_input(e.to_string()))?;
    let mut replay = Replay { detector, ticked: None, seen: BTreeMap::new() };
    let mut decoder = Decoder::new(Limits::default());
    for path in &args.files {
        file(&mut replay, &mut decoder, path, args.sampling)?;
    }
    replay.finish(quiet_ms);
    for attack in replay.seen.values() {
        if json { output::json(&object(attack)) } else { words(attack) }
    }
    if !json && replay.seen.is_empty() {
        output::line("no attack found");
    }
    Ok(Exit::Done)
}

/// A capture that holds flow datagrams is read as such; any other capture is metered packet by packet.
fn file(replay: &mut Replay, decoder: &mut Decoder, path: &Path, sampling: u32) -> anyhow::Result<()> {
    let bytes = read(path)?;
    let place = |e: pcap::PcapError| bad_input(format!("{}: {e}", path.display()));
    let is_flows =
        !pcap::is_capture(&bytes) || input::flow_datagrams(&bytes).map_err(place)?.next().is_some_and(|d| d.is_ok());
    if is_flows {
        datagrams(decoder, path, &bytes, &mut |key, received, flow| {
            let mut flow = *flow;
            if flow.sampling.source == SamplingSource::Assumed && sampling > 1 {
                flow.sampling = Sampling { rate: sampling, source: SamplingSource::Config };
            }
            replay.flow(&key, received, &flow);
        })?;
        return Ok(());
    }
    for frame in pcap::frames(&bytes).map_err(place)? {
        let frame = frame.map_err(place)?;
        if let Some((header, _)) = parse_frame(frame.link, frame.bytes, frame.wire_len) {
            replay.flow(&CAPTURE, frame.time, &one_packet(&header, frame.time, sampling));
        }
    }
    Ok(())
}

/// The flow record of a single packet, which stands for `sampling` of them.
fn one_packet(header: &PacketHeader, at: Timestamp, sampling: u32) -> FlowRecord {
    let mut flow = FlowRecord::of_packet(header, at);
    if sampling > 1 {
        flow.sampling = Sampling { rate: sampling, source: SamplingSource::Config };
    }
    flow
}

struct Replay {
    detector: Detector,
    ticked: Option<Timestamp>,
    seen: BTreeMap<u64, Attack>,
}

impl Replay {
    fn flow(&mut self, key: &ExporterKey, now: Timestamp, flow: &FlowRecord) {
        // Files that follow each other may go back in time; the detector's time does not.
        let now = self.ticked.map_or(now, |t| t.max(now));
        self.until(now);
        self.detector.flow(key, now, flow);
    }

    fn until(&mut self, now: Timestamp) {
        let Some(mut at) = self.ticked else {
            self.ticked = Some(now);
            return;
        };
        // A gap of hours in a recording needs no hours of ticks: after a while nothing changes any more.
        const LONGEST_GAP_MS: i64 = 3_600_000;
        if now.ms_since(at) > LONGEST_GAP_MS {
            self.quiet(LONGEST_GAP_MS);
            at = now;
        }
        while now.ms_since(at) >= STEP_MS {
            at = at.plus_ms(STEP_MS);
            self.tick(at);
        }
        self.ticked = Some(at);
    }

    fn quiet(&mut self, for_ms: i64) {
        let Some(from) = self.ticked else { return };
        for step in 1..=for_ms / STEP_MS {
            self.tick(from.plus_ms(step * STEP_MS));
        }
        self.ticked = Some(from.plus_ms(for_ms));
    }

    fn finish(&mut self, quiet_ms: i64) {
        self.quiet(quiet_ms);
    }

    fn tick(&mut self, at: Timestamp) {
        for change in self.detector.tick(at) {
            let (AttackChange::Started(a) | AttackChange::Updated(a) | AttackChange::Ended(a)) = change;
            self.seen.insert(a.serial, a);
        }
    }
}

/// The fixed fields of an attack on the command line.
fn object(a: &Attack) -> Value {
    json!({
        "target": a.target,
        "direction": a.direction,
        "vectors": a.vectors.iter().map(|v| json!({
            "vector": v.vector, "peak_bps": v.peak.bps, "peak_pps": v.peak.pps, "matches": v.matches,
        })).collect::<Vec<_>>(),
        "started": a.started,
        "detected": a.detected,
        "ended": a.ended,
        "peak_bps": a.peak.bps,
        "peak_pps": a.peak.pps,
        "sources": a.sources,
        "spoof_likelihood": a.spoof_likelihood,
        "evidence": a.evidence,
    })
}

fn words(a: &Attack) {
    let vectors = a.vectors.iter().map(|v| v.vector.to_string()).collect::<Vec<_>>().join(", ");
    let ended = a.ended.map_or_else(|| "still running".to_owned(), |t| t.to_string());
    output::line(format!("{}  {vectors}", a.target));
    output::line(format!("  {} – {ended} (detected {})", a.started, a.detected));
    output::line(format!(
        "  peak {} / {}, {} sources, spoofed {:.0} %",
        a.peak.pps,
        a.peak.bps,
        a.sources,
        a.spoof_likelihood * 100.0
    ));
    output::line(format!("  {}", a.evidence.words_en));
}
