//! Rules synthesized from the captures among four kinds of customers' traffic, judged by the labels that the rules were
//! not made from.

use super::common;
use suimon_base::RuleSet;
use suimon_base::{Action, Timestamp};
use suimon_filter::dialect::{self, Dialect};
use suimon_filter::synth::{Ask, Observation, Synthesis, synthesize};
use suimon_lab::{Capture, Label, Labels, Legit, LegitProfile, Packet, merge};
use suimon_testkit::shared_or_skip;

const CAPTURES: [(&str, u64); 4] = [
    ("pkt.TCP.synflood.spoofed.pcap", 5_000),
    ("amp.dns.RRSIG.fragmented.pcap", 30_000),
    ("amp.UDP.snmp.src161.pcapng", 300),
    ("amp.TCP.reflection.SYNACK.pcap", 600),
];
const CUSTOMERS: [&str; 4] = ["web", "dns", "game", "vpn"];
const BASELINE_MS: u64 = 60_000;

fn observed(p: &Packet) -> Observation {
    Observation::of_packet(&p.header, Timestamp::from_micros(p.at_us as i64), 1)
}

fn profile(kind: &str, host: std::net::IpAddr) -> LegitProfile {
    match kind {
        "dns" => LegitProfile::dns(host),
        "game" => LegitProfile::game(host),
        "vpn" => LegitProfile::vpn(host),
        _ => LegitProfile::web(host, host),
    }
}

/// (attack's file, baseline): the customer's traffic in both, the capture's bystanders in both, the attack in one.
fn mixed(capture: &Capture, kind: &str, attack_ms: u64) -> (Vec<Packet>, Vec<Packet>) {
    let host = capture.labels().victim;
    let legit = |seed, ms: u64| Legit::new(profile(kind, host), seed, 0, ms * 1_000, 1);
    let attack = merge(vec![Box::new(legit(2, attack_ms)), Box::new(capture.looped(0, attack_ms))]).collect();
    let bystanders = capture.looped(0, BASELINE_MS).filter(|p| p.label == Label::Legitimate);
    let before = merge(vec![Box::new(legit(1, BASELINE_MS)), Box::new(bystanders)]).collect();
    (attack, before)
}

/// Shares of (attack, legitimate packets) that the text of the answer drops, by the labels.
fn judged(answer: &Synthesis, packets: &[Packet]) -> (f64, f64) {
    let rules = match answer.text.is_empty() {
        true => RuleSet::default(),
        false => dialect::parse(&answer.text, answer.dialect).unwrap().rules,
    };
    let mut sums = [[0.0_f64; 2]; 2];
    for p in packets {
        let s = &mut sums[usize::from(p.label == Label::Attack)];
        s[0] += 1.0;
        s[1] += f64::from(matches!(rules.decide(&p.header), Some((_, Action::Discard))));
    }
    (sums[1][1] / sums[1][0].max(1.0), sums[0][1] / sums[0][0].max(1.0))
}

fn load(name: &str) -> Option<Capture> {
    let path = shared_or_skip("synthesis_on_captures", &format!("captures/ddos/{name}"))?;
    let file = std::fs::read(path).unwrap();
    let labels = Labels::of_known_capture(&file).unwrap().unwrap();
    Capture::new(&common::headers(&file), labels)
}

#[test]
fn synthesis_on_captures() {
    for (name, ms) in CAPTURES {
        let Some(capture) = load(name) else { return };
        for kind in CUSTOMERS {
            let (packets, before) = mixed(&capture, kind, ms);
            let a: Vec<Observation> = packets.iter().map(observed).collect();
            let b: Vec<Observation> = before.iter().map(observed).collect();
            for dialect in [Dialect::Flowspec, Dialect::Nftables, Dialect::CiscoIos] {
                let answer = synthesize(&a, &b, &Ask { dialect, ..Ask::default() }).unwrap();
                let (attack, legit) = judged(&answer, &packets);
                let words: Vec<&str> = answer.rules.iter().map(|r| r.words.as_str()).collect();
                let case = format!("{name}, {kind}, {dialect}: {words:?}, {:?}", answer.curve);
                if (name.contains("synflood"), kind, dialect) == (true, "game", Dialect::CiscoIos) {
                    // The flood's SYNs differ from players' by their length alone (and their TTL).
                    let missing = answer.missing.as_ref().expect(&case);
                    assert!(!answer.reached && missing.any_of.iter().any(|f| f == "packet length"), "{missing:?}");
                    assert!(missing.cost.unwrap().shares.connections.unwrap() > 0.5, "{missing:?}");
                    continue;
                }
                assert!(answer.reached && answer.rules.len() <= 8, "{case}: {:?}", answer.missing);
                assert!(attack >= 0.99 && legit <= 0.01, "{case}: {attack} of the attack, {legit} of the rest");
                // What the answer says of itself is near what the labels say.
                assert!((answer.shares.attack - attack).abs() < 0.01, "{case}: says {:?}", answer.shares);
                let held = answer.held_out.expect(&case);
                assert!(held.attack >= 0.985 && held.legit <= 0.012, "{case}: {held:?}");
                assert!(answer.curve.windows(2).all(|w| w[0].shares.attack <= w[1].shares.attack + 1e-6), "{case}");
            }
        }
    }
}
