//! What is played: a built-in scenario or a capture, with the customer's legitimate traffic.

use crate::cli::DrillArgs;
use crate::commands::read;
use crate::exit::bad_input;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::path::Path;
use suimon_base::{FlowRecord, Pps, Timestamp, Vector};
use suimon_detect::vectors::VectorTable;
use suimon_lab::{Capture, Label, Labels, Legit, LegitProfile, Merge, Packet, Scenario, merge};
use suimon_wire::packet::parse_frame;
use suimon_wire::pcap;

/// Legitimate traffic alone before a capture's attack, milliseconds.
const CALM_MS: u64 = 4_000;
/// A capture's attack lasts as long as the capture, but within these bounds, unless told otherwise; milliseconds.
const CAPTURE_ATTACK_MS: std::ops::RangeInclusive<u64> = 15_000..=30_000;
/// Quiet must outlast the longest gap within the attack by this much, seconds.
const GAP_MARGIN_S: u64 = 3;
/// Legitimate traffic goes on after the attack for the time of quiet and this much more, milliseconds.
const TAIL_MS: u64 = 8_000;
/// Legitimate traffic that thresholds are learned from, seconds.
const LEARN_S: u64 = 60;
/// A threshold is this many times the busiest second of normal traffic of that vector.
const THRESHOLD_FACTOR: f64 = 3.0;
/// And never below this, packets a second.
const THRESHOLD_FLOOR_PPS: u64 = 20;

/// A drill's traffic, fixed before it starts.
pub struct Play {
    /// One line, English.
    pub title_en: String,
    /// One line, Japanese.
    pub title_ja: String,
    /// What is attacked.
    pub target: IpNet,
    /// The customer's prefixes.
    pub customer: Vec<IpNet>,
    /// When the attack begins, microseconds.
    pub attack_start_us: u64,
    /// When the attack stops, microseconds.
    pub attack_end_us: u64,
    /// When everything stops, microseconds.
    pub end_us: u64,
    /// Seconds of quiet until release: as asked for, but longer than any gap within the attack.
    pub quiet_seconds: u64,
    /// Thresholds of the customer's addresses by vector, learned from its normal traffic.
    pub thresholds: BTreeMap<Vector, Pps>,
    /// The attack's packets a second by vector.
    pub attack_pps: BTreeMap<Vector, Pps>,
    /// Notes for the head of the timeline.
    pub notes: Vec<String>,
    source: Source,
    legit: LegitProfile,
    seed: u64,
}

enum Source {
    Scenario(Box<Scenario>),
    Capture(Box<Capture>),
}

impl Play {
    /// What the arguments ask for.
    pub fn new(args: &DrillArgs) -> anyhow::Result<Play> {
        match &args.capture {
            Some(path) => Play::capture(args, path),
            None => Play::scenario(args),
        }
    }

    fn scenario(args: &DrillArgs) -> anyhow::Result<Play> {
        let name = args.scenario.as_deref().unwrap_or(Scenario::DEFAULT);
        let names = || Scenario::all().iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
        let mut scenario = Scenario::by_name(name)
            .ok_or_else(|| bad_input(format!("there is no scenario `{name}`; there are: {}", names())))?;
        if let Some(seconds) = args.attack_seconds {
            scenario.attack_ms = seconds * 1_000;
        }
        scenario.tail_ms = args.quiet_seconds * 1_000 + TAIL_MS;
        let (start, end) = (scenario.attack_start_us(), scenario.attack_end_us());
        let attack_pps = rates(
            scenario.packets(args.seed).filter(|p| p.at_us < start + 6_000_000),
            |p| {
                // After the ramp and the last joining vector.
                p.label == Label::Attack && p.at_us >= start + 4_000_000
            },
            2.0,
        )?;
        let notes = vec![scenario.about_en.to_owned()];
        Ok(Play {
            title_en: scenario.title_en.to_owned(),
            title_ja: scenario.title_ja.to_owned(),
            target: scenario.target,
            customer: scenario.customer.clone(),
            attack_start_us: start,
            attack_end_us: end,
            end_us: scenario.end_us(),
            quiet_seconds: args.quiet_seconds,
            thresholds: learn(normal(&scenario.legit, args.seed))?,
            attack_pps,
            notes,
            legit: scenario.legit.clone(),
            source: Source::Scenario(Box::new(scenario)),
            seed: args.seed,
        })
    }

    fn capture(args: &DrillArgs, path: &Path) -> anyhow::Result<Play> {
        let file = read(path)?;
        let place = |e: &dyn std::fmt::Display| bad_input(format!("{}: {e}", path.display()));
        let mut packets = Vec::new();
        for frame in pcap::frames(&file).map_err(|e| place(&e))? {
            let frame = frame.map_err(|e| place(&e))?;
            if let Some((header, _)) = parse_frame(frame.link, frame.bytes, frame.wire_len) {
                packets.push((frame.time, header));
            }
        }
        let labels = match Labels::of_known_capture(&file).map_err(|e| place(&e))? {
            Some(labels) => labels,
            None => Labels::by_busiest_destination(packets.iter().map(|p| &p.1))
                .ok_or_else(|| place(&"no IP packets in it"))?,
        };
        let victim = labels.victim;
        let title = labels.title.clone();
        let known = labels.known;
        let capture = Capture::new(&packets, labels).ok_or_else(|| place(&"no IP packets in it"))?;
        let ports = capture.hit_ports();
        let legit = LegitProfile::towards(victim, &ports);
        let natural_ms = (capture.period_us() / 1_000).clamp(*CAPTURE_ATTACK_MS.start(), *CAPTURE_ATTACK_MS.end());
        let attack_ms = args.attack_seconds.map_or(natural_ms, |s| s * 1_000);
        let gap_s = longest_gap_us(&capture, attack_ms).div_ceil(1_000_000);
        let quiet_seconds = args.quiet_seconds.max(if gap_s > 1 { gap_s + GAP_MARGIN_S } else { 0 });
        let (attack, bystanders) = capture.counts();
        let mut notes = vec![
            format!(
                "{} attack and {bystanders} bystander packets, {:.0} packets/s, looped at that rate; labels: {}",
                attack,
                capture.pps(),
                if known { "committed label file" } else { "busiest destination" }
            ),
            format!(
                "legitimate traffic is mixed in to {victim}, also to the ports that are hit: {}",
                port_words(&ports)
            ),
        ];
        if quiet_seconds > args.quiet_seconds {
            notes.push(format!("the attack pauses for up to {gap_s} s, so quiet is asked for {quiet_seconds} s"));
        }
        let start = CALM_MS * 1_000;
        let end = start + attack_ms * 1_000;
        let seconds = capture.period_us() as f64 / 1e6;
        let one_turn = capture.looped(0, capture.period_us().div_ceil(1_000));
        let attack_pps = rates(one_turn, |p| p.label == Label::Attack, seconds)?;
        let customer = IpNet::new(victim, if victim.is_ipv4() { 24 } else { 48 })?.trunc();
        Ok(Play {
            title_en: title.clone(),
            title_ja: title,
            target: IpNet::from(victim),
            customer: vec![customer],
            attack_start_us: start,
            attack_end_us: end,
            end_us: end + (quiet_seconds * 1_000 + TAIL_MS) * 1_000,
            quiet_seconds,
            thresholds: learn(
                normal(&legit, args.seed)
                    .chain(capture.looped(0, LEARN_S * 1_000).filter(|p| p.label == Label::Legitimate)),
            )?,
            attack_pps,
            notes,
            legit,
            source: Source::Capture(Box::new(capture)),
            seed: args.seed,
        })
    }

    /// The packets, in order of time.
    pub fn packets(&self) -> Merge {
        match &self.source {
            Source::Scenario(s) => s.packets(self.seed),
            Source::Capture(c) => {
                let legit = Legit::new(self.legit.clone(), self.seed, 0, self.end_us, 1);
                // The capture's bystanders are normal traffic: they were there before and stay afterwards.
                let bystanders = |start_us: u64, end_us: u64| {
                    let packets = c.looped(start_us, (end_us - start_us) / 1_000);
                    Box::new(packets.filter(|p| p.label == Label::Legitimate))
                };
                let length_ms = (self.attack_end_us - self.attack_start_us) / 1_000;
                merge(vec![
                    Box::new(legit),
                    bystanders(0, self.attack_start_us),
                    Box::new(c.looped(self.attack_start_us, length_ms)),
                    bystanders(self.attack_end_us, self.end_us),
                ])
            }
        }
    }
}

fn port_words(ports: &[(u8, u16)]) -> String {
    let words = ports.iter().map(|(proto, port)| format!("{port}/{}", if *proto == 6 { "tcp" } else { "udp" }));
    words.collect::<Vec<_>>().join(", ")
}

/// The longest time without attack packets within the attack, microseconds.
fn longest_gap_us(capture: &Capture, attack_ms: u64) -> u64 {
    let attack = capture.looped(0, attack_ms).filter(|p| p.label == Label::Attack);
    let (_, gap) = attack.fold((0, 0), |(last, gap): (u64, u64), p| (p.at_us, gap.max(p.at_us - last)));
    gap
}

/// Normal traffic of another seed than the drill's, to learn from.
fn normal(legit: &LegitProfile, seed: u64) -> impl Iterator<Item = Packet> {
    Legit::new(legit.clone(), seed.wrapping_add(1), 0, LEARN_S * 1_000_000, 1)
}

/// Thresholds as an operator would set them: from the customer's own normal traffic.
fn learn(normal: impl Iterator<Item = Packet>) -> anyhow::Result<BTreeMap<Vector, Pps>> {
    let table = VectorTable::built_in()?;
    let mut seconds: BTreeMap<(Vector, std::net::IpAddr, u64), u64> = BTreeMap::new();
    for p in normal {
        let vector = table.classify(&FlowRecord::of_packet(&p.header, Timestamp::ZERO));
        *seconds.entry((vector, p.header.dst, p.at_us / 1_000_000)).or_default() += 1;
    }
    let mut peaks: BTreeMap<Vector, u64> = table.rows().iter().map(|r| (r.vector, 0)).collect();
    for ((vector, _, _), count) in seconds {
        let peak = peaks.entry(vector).or_default();
        *peak = (*peak).max(count);
    }
    let threshold = |peak: u64| Pps(((peak as f64 * THRESHOLD_FACTOR) as u64).max(THRESHOLD_FLOOR_PPS));
    Ok(peaks.into_iter().filter(|(v, _)| *v != Vector::Total).map(|(v, peak)| (v, threshold(peak))).collect())
}

/// Packets a second by vector, of those that `counts` takes, over `seconds`.
fn rates(
    packets: impl Iterator<Item = Packet>,
    counts: impl Fn(&Packet) -> bool,
    seconds: f64,
) -> anyhow::Result<BTreeMap<Vector, Pps>> {
    let table = VectorTable::built_in()?;
    let mut out: BTreeMap<Vector, u64> = BTreeMap::new();
    for p in packets.filter(counts) {
        *out.entry(table.classify(&FlowRecord::of_packet(&p.header, Timestamp::ZERO))).or_default() += 1;
    }
    Ok(out.into_iter().map(|(v, n)| (v, Pps((n as f64 / seconds.max(1e-6)) as u64))).collect())
}
