//! Label files against the captures they speak of, and loops of captures.

use super::common::headers;
use suimon_lab::{Capture, Label, Labels, LegitProfile};
use suimon_testkit::shared_or_skip;

fn load(test: &str, name: &str) -> Option<Capture> {
    let file = std::fs::read(shared_or_skip(test, &format!("captures/ddos/{name}"))?).unwrap();
    let labels = Labels::of_known_capture(&file).unwrap().expect("a label file knows this capture");
    assert_eq!(labels.title, name);
    Capture::new(&headers(&file), labels)
}

/// File, attack packets, legitimate packets (IP packets that tshark counts), ports that are hit.
type Known = (&'static str, u64, u64, &'static [(u8, u16)]);

const KNOWN: [Known; 4] = [
    ("amp.dns.RRSIG.fragmented.pcap", 1_249, 3_163, &[(17, 22)]),
    ("amp.TCP.reflection.SYNACK.pcap", 7_837, 159, &[(6, 5_060)]),
    ("amp.UDP.snmp.src161.pcapng", 4_373, 0, &[(17, 54_609), (17, 12_294), (17, 3_299)]),
    ("pkt.TCP.synflood.spoofed.pcap", 37_841, 0, &[(6, 25_565)]),
];

#[test]
fn labels_count_what_their_files_say() {
    for (name, attack, legitimate, ports) in KNOWN {
        let Some(capture) = load("labels_count_what_their_files_say", name) else { return };
        assert_eq!(capture.counts(), (attack, legitimate), "{name}");
        for (rule, decided) in capture.labels().rules.iter().zip(capture.decided()) {
            assert_eq!(rule.packets, *decided, "{name}: {}", rule.name);
        }
        let hit = capture.hit_ports();
        if name.contains("SYNACK") {
            assert_eq!(hit.len(), 1, "an attack on all ports has no port of its own");
        } else {
            assert_eq!(hit, ports, "{name}");
        }
    }
}

#[test]
fn a_loop_keeps_order_rate_and_length() {
    for (name, ..) in KNOWN {
        let Some(capture) = load("a_loop_keeps_order_rate_and_length", name) else { return };
        let packets: Vec<_> = capture.looped(2_000_000, 2_000).collect();
        let seconds = 2.0;
        assert!(packets.iter().all(|p| (2_000_000..4_000_000).contains(&p.at_us)));
        assert!(packets.windows(2).all(|w| w[0].at_us <= w[1].at_us), "{name}: time never runs backwards");
        // Whole turns only: the DNS capture's own rate varies within its 30 seconds.
        if capture.period_us() < 1_000_000 {
            let rate = packets.len() as f64 / seconds;
            assert!((rate / capture.pps() - 1.0).abs() < 0.02, "{name}: {rate} and {}", capture.pps());
        }
        let opened: std::collections::HashSet<u32> = packets.iter().filter(|p| p.opens).map(|p| p.connection).collect();
        assert_eq!(opened.len(), packets.iter().filter(|p| p.opens).count(), "{name}: each connection opens once");
        assert!(packets.iter().all(|p| (p.label == Label::Legitimate) || p.connection == 0));
        if name.contains("snmp") {
            assert!(capture.disordered() > 0);
        }
    }
}

#[test]
fn an_unknown_capture_is_judged_by_its_busiest_destination() {
    let Some(path) = shared_or_skip(
        "an_unknown_capture_is_judged_by_its_busiest_destination",
        "captures/ddos/amp.dns.RRSIG.fragmented.pcap",
    ) else {
        return;
    };
    let mut file = std::fs::read(path).unwrap();
    file.truncate(file.len() - 1);
    assert_eq!(Labels::of_known_capture(&file).unwrap(), None, "one octet less is another file");
    file.push(0);
    let packets = headers(&file);
    let labels = Labels::by_busiest_destination(packets.iter().map(|p| &p.1)).unwrap();
    assert!(!labels.known);
    let capture = Capture::new(&packets, labels).unwrap();
    assert_eq!(capture.counts(), (4_397, 15), "IPv6 bystanders are legitimate");
    assert!(Capture::new(&[], capture.labels().clone()).is_none());
}

#[test]
fn legitimate_traffic_goes_to_the_ports_that_are_hit() {
    let profile = LegitProfile::towards("10.10.10.10".parse().unwrap(), &[(6, 25_565), (17, 22)]);
    assert!(profile.tcp_ports.contains(&25_565));
    assert_eq!(profile.udp_ports, [22]);
}

#[test]
fn a_capture_is_mixed_with_traffic_to_the_same_port() {
    let Some(capture) = load("a_capture_is_mixed_with_traffic_to_the_same_port", "pkt.TCP.synflood.spoofed.pcap")
    else {
        return;
    };
    let packets: Vec<_> = capture.mixed(1, 1_000, 30_000, 1_000).collect();
    assert!(packets.windows(2).all(|w| w[0].at_us <= w[1].at_us));
    let attack: Vec<_> = packets.iter().filter(|p| p.label == Label::Attack).collect();
    assert_eq!(attack[0].at_us, 1_000_000);
    // The second turn begins after the capture's 23.7 s with its 23,620 packets in the first second.
    let again = attack.iter().filter(|p| p.at_us >= 1_000_000 + capture.period_us()).count();
    assert!(again > 23_000, "{again} packets in the second turn");
    assert!(attack.iter().all(|p| p.header.ports.unwrap().1 == 25_565));
    let opened = packets.iter().filter(|p| p.opens && p.header.proto == 6);
    type Packets<'a> = Vec<&'a suimon_lab::Packet>;
    let (same, other): (Packets<'_>, Packets<'_>) = opened.partition(|p| p.header.ports.unwrap().1 == 25_565);
    assert!(same.len() > 400 && other.len() > 400, "{} to the attacked port, {} to others", same.len(), other.len());
    assert!(same.iter().all(|p| p.header.dst == capture.labels().victim && p.header.ip_len >= 52));
}
