//! What is proposed against attacks whose profiles are known.

use ipnet::IpNet;
use suimon_base::attack::{Attack, Evidence, ProfileClass, Rates, SamplingEvidence, TrafficProfile, VectorFinding};
use suimon_base::flow::Fragment;
use suimon_base::rule::TcpFlags;
use suimon_base::{Direction, Match, PortRange, Timestamp, Vector};
use suimon_filter::dialect::Dialect;
use suimon_filter::plan::{Candidate, Means, PlanAsk, candidates};

fn class(proto: u8, src: Option<u16>, dst: Option<u16>, len: (u16, u16), pps: f64, fps: f64) -> ProfileClass {
    ProfileClass {
        proto,
        src_port: src,
        dst_port: dst,
        tcp_flags: if proto == 6 { 0x18 } else { 0 },
        fragment: Fragment::Whole,
        ip_len: PortRange { lo: len.0, hi: len.1 },
        pps,
        fps,
    }
}

fn target() -> IpNet {
    "192.0.2.7/32".parse().expect("a prefix")
}

fn attack(vectors: Vec<(Vector, Match)>, before: Vec<ProfileClass>, added: Vec<ProfileClass>) -> Attack {
    let mut during = before.clone();
    during.extend(added);
    let profile = |classes: Vec<ProfileClass>| TrafficProfile { records: 100 * classes.len() as u64, classes };
    Attack {
        serial: 1,
        target: target(),
        direction: Direction::In,
        vectors: vectors
            .into_iter()
            .map(|(vector, matches)| VectorFinding {
                vector,
                peak: Rates::default(),
                current: Rates::default(),
                matches,
            })
            .collect(),
        started: Timestamp::ZERO,
        detected: Timestamp::ZERO,
        ended: None,
        peak: Rates::default(),
        sources: 5000,
        spoof_likelihood: 0.9,
        evidence: Evidence {
            fired: vec![],
            sampling: SamplingEvidence { rate: 1, assumed: false, samples: 10_000, relative_error: 0.01 },
            top_sources: vec![],
            top_src_ports: vec![],
            top_dst_ports: vec![],
            tcp_flags: vec![],
            sizes: vec![],
            ingress: vec![],
            before: profile(before),
            during: profile(during),
            spoof_reasons: vec![],
            words_en: String::new(),
            words_ja: String::new(),
        },
    }
}

fn udp_from(port: u16) -> Match {
    Match { dst: vec![target()], proto: Some(17), src_ports: vec![PortRange::one(port)], ..Match::default() }
}

fn find<'a>(list: &'a [Candidate], id: &str) -> &'a Candidate {
    list.iter()
        .find(|c| c.id == id)
        .unwrap_or_else(|| panic!("no {id} among {:?}", list.iter().map(|c| &c.id).collect::<Vec<_>>()))
}

#[test]
fn a_reflection_to_a_web_server_is_separated_with_its_fragments() {
    let later = ProfileClass { fragment: Fragment::Later, ..class(17, None, None, (1480, 1500), 40_000.0, 900.0) };
    let a = attack(
        vec![(Vector::DnsReflection, udp_from(53))],
        vec![class(6, None, Some(443), (60, 1500), 900.0, 30.0)],
        vec![class(17, Some(53), None, (1200, 1500), 60_000.0, 5_000.0), later],
    );
    let list = candidates(&a, &PlanAsk { dialect: Dialect::CiscoIos, ..PlanAsk::default() });
    let best = &list[0];
    assert_eq!((best.id.as_str(), best.means, best.separates), ("vectors+fragments", Means::Acl, true));
    assert!(best.attack_share_dropped > 0.999 && best.legitimate_share_dropped == Some(0.0));
    assert_eq!(best.lines, 3);
    let narrow = find(&list, "vectors");
    assert!((narrow.attack_share_dropped - 0.6).abs() < 1e-9 && !narrow.separates);
    assert_eq!(list.last().map(|c| c.means), Some(Means::NullRoute));
    assert!(list.iter().all(|c| c.rules.rules.iter().all(|r| r.matches.dst == [target()])));
}

#[test]
fn answers_of_another_size_separate_where_the_dialect_tests_lengths() {
    let a = attack(
        vec![(Vector::NtpReflection, udp_from(123))],
        vec![class(17, Some(123), Some(123), (76, 90), 100.0, 100.0)],
        vec![class(17, Some(123), None, (468, 468), 80_000.0, 8_000.0)],
    );
    let list = candidates(&a, &PlanAsk::default());
    assert_eq!(list[0].id, "vectors+length");
    assert!(list[0].separates && list[0].legitimate_share_dropped == Some(0.0));
    assert_eq!(list[0].rules.rules[0].matches.lengths, [PortRange::one(468)]);
    let ios = candidates(&a, &PlanAsk { dialect: Dialect::CiscoIos, ..PlanAsk::default() });
    assert!(!ios[0].separates && ios[0].lines > 0);
    let refused = find(&ios, "vectors+length").expressible.iter().find(|e| e.dialect == Dialect::CiscoIos).unwrap();
    assert!(refused.reason.as_ref().is_some_and(|r| r.contains("packet length")));
}

#[test]
fn a_syn_flood_to_the_port_of_the_customers_is_a_trade_off() {
    let syn = Match {
        dst: vec![target()],
        proto: Some(6),
        tcp_flags: Some(TcpFlags { mask: 0x12, value: 2 }),
        ..Match::default()
    };
    let mut flood = class(6, None, Some(25565), (40, 44), 50_000.0, 50_000.0);
    flood.tcp_flags = 2;
    let mut game = class(6, None, Some(25565), (52, 400), 2_000.0, 20.0);
    game.tcp_flags = 0x1a;
    let mut web = class(6, None, Some(443), (52, 400), 2_000.0, 180.0);
    web.tcp_flags = 0x1a;
    let a = attack(vec![(Vector::Syn, syn)], vec![game, web], vec![flood]);
    let list = candidates(&a, &PlanAsk::default());
    assert!(list.iter().all(|c| !c.separates));
    let best = &list[0];
    assert_eq!(best.id, "vectors+dst-port");
    assert!((best.legitimate_connections_dropped.unwrap() - 0.1).abs() < 1e-9);
    assert!(best.words_en.contains("New connections to port 25565 stop working"), "{}", best.words_en);
    assert!(best.words_ja.contains("新しい接続"));
    assert!(find(&list, "police").words_en.contains("does not stop it"));
    let null = list.last().unwrap();
    assert!(null.words_en.contains("The attack has succeeded") && null.legitimate_share_dropped == Some(1.0));
}

#[test]
fn nothing_known_is_not_no_loss() {
    let mut a = attack(
        vec![(Vector::DnsReflection, udp_from(53))],
        vec![],
        vec![class(17, Some(53), Some(80), (1200, 1500), 60_000.0, 5_000.0)],
    );
    a.evidence.before = TrafficProfile::default();
    let list = candidates(&a, &PlanAsk::default());
    assert!(list.iter().all(|c| !c.separates && !c.baseline_known && c.legitimate_share_dropped.is_none()));
    assert_eq!(list[0].id, "vectors+dst-port");
    assert!(list[0].words_en.contains("Nothing is known of the normal traffic"));
}

#[test]
fn two_vectors_are_covered_together() {
    let gre = Match { dst: vec![target()], proto: Some(47), ..Match::default() };
    let a = attack(
        vec![(Vector::CldapReflection, udp_from(389)), (Vector::Gre, gre)],
        vec![class(6, None, Some(443), (60, 1500), 900.0, 30.0)],
        vec![
            class(17, Some(389), None, (1400, 1500), 30_000.0, 3_000.0),
            class(47, None, None, (500, 600), 30_000.0, 100.0),
        ],
    );
    let list = candidates(&a, &PlanAsk { dialect: Dialect::Flowspec, ..PlanAsk::default() });
    assert_eq!(
        (list[0].id.as_str(), list[0].separates, list[0].means, list[0].lines),
        ("vectors", true, Means::Flowspec, 2)
    );
}
