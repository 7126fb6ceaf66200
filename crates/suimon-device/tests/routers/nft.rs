//! The nftables driver against a real nft behind a real sshd.

use crate::router::{Behind, Router, order, rules, udp};
use std::sync::Arc;
use std::time::Duration;
use suimon_base::MeasureId;
use suimon_device::{DeviceError, DeviceHand, Nftables, State};
use suimon_filter::dialect::Dialect::Nftables as Nft;
use suimon_spine::ports::{Hand as _, HandReport, Order, SeenState};

const M: MeasureId = MeasureId(12);

fn hand(router: &Router, confirm_s: u32) -> DeviceHand {
    let run = router.path("run").display().to_string();
    let device = Nftables::new(router.target(), confirm_s, &run, false).expect("a device");
    DeviceHand::new("edge1", Some(100), Arc::new(device))
}

fn start(test: &str) -> Option<Router> {
    Router::start(test, &Behind::Shell)
}

fn receipt(report: HandReport) -> String {
    match report {
        HandReport::Done { place, receipt } => format!("{place}: {receipt}"),
        HandReport::ByPerson => panic!("a router, not a person"),
    }
}

fn tables(router: &Router) -> String {
    router.inside("nft", &["list", "tables"])
}

fn send_udp(router: &Router, packets: usize) {
    let code = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor _ in range({packets}): s.sendto(b'x' * 72, ('192.0.2.9', 9))"
    );
    router.inside("python3", &["-c", &code]);
}

#[test]
fn applied_it_drops_counts_and_goes_without_a_trace() {
    let test = "applied_it_drops_counts_and_goes_without_a_trace";
    let Some(router) = start(test) else { return };
    router.inside("nft", &["add", "table", "inet", "filter"]);
    let before = router.inside("nft", &["list", "ruleset"]);
    let hand = hand(&router, 30);
    let order = order(12, udp(), Nft);
    let said = receipt(hand.put(&order).unwrap());
    assert!(said.contains("table inet suimon_m_12") && said.contains("by itself after 30 s"), "{said}");
    // What is there is what was asked for: packets are dropped, and the numbers say so.
    if suimon_testkit::program_or_skip(test, "python3") {
        send_udp(&router, 7);
        let seen = hand.observe(&[hand.wanted(&order).unwrap()]).unwrap();
        assert_eq!(seen.measures[0].state, State::Present);
        let counters = seen.measures[0].counters.unwrap();
        assert_eq!((counters.packets, counters.octets), (7, Some(7 * 100)));
    }
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
    // A second time nothing is done, and nothing is armed any more.
    assert!(receipt(hand.put(&order).unwrap()).contains("already in force"));
    assert!(!router.path("run/suimon_m_12.armed").exists());
    let said = receipt(hand.remove(M).unwrap());
    assert!(said.contains("deleted suimon_m_12") && said.contains("dropped 7 packets, 700 octets"), "{said}");
    assert_eq!(router.inside("nft", &["list", "ruleset"]), before);
    assert!(receipt(hand.remove(M).unwrap()).contains("nothing of it was there"));
    assert_eq!(hand.in_force().unwrap(), Some(vec![]));
}

#[test]
fn every_kind_of_rule_is_read_back_as_it_was_meant() {
    let Some(router) = start("every_kind_of_rule_is_read_back_as_it_was_meant") else { return };
    let hand = hand(&router, 30);
    let kinds = [
        r#"{"matches":{"dst":["192.0.2.0/24"],"proto":17,"src-ports":[{"lo":53,"hi":53},{"lo":123,"hi":389}]},"action":"discard"}"#,
        r#"{"matches":{"dst":["192.0.2.9/32"],"proto":6,"dst-ports":[{"lo":80,"hi":80}],"tcp-flags":{"mask":18,"value":2}},"action":"discard"}"#,
        r#"{"matches":{"dst":["192.0.2.9/32"],"fragment":"later"},"action":"discard"}"#,
        r#"{"matches":{"dst":["192.0.2.9/32","198.51.100.7/32"],"src":["203.0.113.0/25"],"lengths":[{"lo":468,"hi":468}]},"action":"discard"}"#,
        r#"{"matches":{"dst":["2001:db8::9/128"],"proto":17,"src-ports":[{"lo":53,"hi":53}]},"action":"discard"}"#,
        r#"{"matches":{"dst":["192.0.2.9/32"],"proto":1},"action":{"limit-pps":500}}"#,
        r#"{"matches":{"dst":["192.0.2.9/32"],"proto":17},"action":{"limit-bps":8192000}}"#,
        r#"{"matches":{"dst":["192.0.2.9/32"],"proto":17},"action":{"limit-bps":10000000}}"#,
    ];
    for (i, kind) in kinds.iter().enumerate() {
        let order = order(i as u64 + 1, rules(kind), Nft);
        hand.put(&order).unwrap_or_else(|e| panic!("{kind}: {e}"));
    }
    assert_eq!(hand.in_force().unwrap().unwrap().len(), kinds.len());
    for i in 0..kinds.len() {
        hand.remove(MeasureId(i as u64 + 1)).unwrap();
    }
    assert_eq!(tables(&router), "");
}

#[test]
fn a_wrong_or_unknown_host_key_stops_everything() {
    let Some(router) = start("a_wrong_or_unknown_host_key_stops_everything") else { return };
    let hand = hand(&router, 30);
    router.pin("other");
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err();
    assert!(matches!(e, DeviceError::HostKey { .. }), "{e}");
    assert!(e.to_string().contains("not the key that is pinned") && !e.is_worth_a_retry(), "{e}");
    std::fs::write(router.path("known_hosts"), "").unwrap();
    let e = hand.in_force().unwrap_err().0;
    assert!(e.contains("no key of this router is pinned"), "{e}");
    assert_eq!((router.sessions(), tables(&router).as_str()), (0, ""));
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(router) = start("a_key_that_others_can_read_is_not_used") else { return };
    let hand = hand(&router, 30);
    let mode = |file: &str, mode| {
        std::fs::set_permissions(router.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("client", 0o640);
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err().to_string();
    assert!(e.contains("mode 640") && e.contains("chmod 600"), "{e}");
    mode("client", 0o600);
    mode("known_hosts", 0o666);
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err().to_string();
    assert!(e.contains("known-hosts-file") && e.contains("mode 666"), "{e}");
    // A key that the router does not know.
    mode("known_hosts", 0o644);
    std::fs::copy(router.path("other"), router.path("client")).unwrap();
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err();
    assert!(matches!(e, DeviceError::Login { .. }), "{e}");
}

fn gone_within(router: &Router, ms: u64) -> bool {
    (0..ms / 50).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        tables(router).is_empty()
    })
}

#[test]
fn a_session_cut_after_the_load_is_undone_by_the_router_itself() {
    let Some(mut router) = start("a_session_cut_after_the_load_is_undone_by_the_router_itself") else { return };
    let hand = hand(&router, 2);
    router.fault("cut");
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err();
    assert!(matches!(e, DeviceError::NotAsWanted { .. }), "{e}");
    assert!(e.to_string().contains("as soon as the router answers"), "{e}");
    assert_eq!(hand.taking_back(), [M]);
    // Nobody reaches it any more, yet it lets packets go again.
    assert!(tables(&router).contains("suimon_m_12"));
    router.unplug();
    assert!(gone_within(&router, 6_000));
    router.plug_in(&Behind::Shell);
    assert_eq!(hand.in_force().unwrap(), Some(vec![]));
    // And it can be put into force again, which also ends our own timer.
    hand.put(&order(12, udp(), Nft)).unwrap();
    assert!(hand.taking_back().is_empty());
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]), "an old timer must not undo a confirmed table");
    hand.remove(M).unwrap();
}

#[test]
fn a_session_cut_before_the_load_leaves_nothing() {
    let Some(router) = start("a_session_cut_before_the_load_leaves_nothing") else { return };
    let hand = hand(&router, 5);
    router.fault("cut-before");
    hand.put(&order(12, udp(), Nft)).unwrap_err();
    assert_eq!(tables(&router), "");
}

#[test]
fn what_is_not_as_wanted_is_taken_back_and_said() {
    let Some(router) = start("what_is_not_as_wanted_is_taken_back_and_said") else { return };
    let hand = hand(&router, 30);
    router.fault("half");
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err().to_string();
    assert!(e.contains("not dropped though wanted") && e.contains("deleted suimon_m_12"), "{e}");
    assert_eq!(tables(&router), "");
    router.fault("refuse");
    let e = hand.put(&order(12, udp(), Nft)).unwrap_err();
    assert!(e.to_string().contains("Operation not supported") && e.to_string().contains("nothing was loaded"), "{e}");
    assert_eq!(tables(&router), "");
    assert!(!router.path("run/suimon_m_12.armed").exists());
}

#[test]
fn changes_made_by_hand_are_found() {
    let Some(router) = start("changes_made_by_hand_are_found") else { return };
    let hand = hand(&router, 30);
    let order = order(12, udp(), Nft);
    hand.put(&order).unwrap();
    let wanted = [hand.wanted(&order).unwrap()];
    let state = || hand.observe(&wanted).unwrap().measures.remove(0).state;
    let differs = |words: &str| match state() {
        State::Differs { why } => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    };
    let rule = |text: &str| {
        let args: Vec<_> =
            ["add", "rule", "inet", "suimon_m_12", "prerouting"].into_iter().chain(text.split(' ')).collect();
        router.inside("nft", &args);
    };
    rule("ip daddr 192.0.2.10 drop");
    differs("dropped though not wanted");
    // Put again, it is as it should be: replaced in one transaction.
    assert!(receipt(hand.put(&order).unwrap()).contains("replaced 1 rules"));
    assert_eq!(state(), State::Present);
    router.inside("nft", &["flush", "chain", "inet", "suimon_m_12", "prerouting"]);
    differs("not dropped though wanted");
    rule("iifname lo drop");
    differs("cannot be read");
    router.inside("nft", &["delete", "table", "inet", "suimon_m_12"]);
    assert_eq!(state(), State::Absent);
    // Tables of ours that no ledger knows.
    hand.put(&order).unwrap();
    router.inside("nft", &["add", "table", "inet", "suimon_m_99"]);
    router.inside("nft", &["add", "table", "ip", "suimon_test"]);
    let seen = hand.observe(&wanted).unwrap();
    let orphans: Vec<_> = seen.orphans.iter().map(|o| (o.name.as_str(), o.id)).collect();
    assert_eq!(orphans, [("suimon_m_99", Some(MeasureId(99))), ("suimon_test", None)]);
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]), "a table without a chain drops nothing");
    hand.remove(MeasureId(99)).unwrap();
    assert_eq!(hand.observe(&wanted).unwrap().orphans.len(), 1);
}

#[test]
fn after_a_restart_of_the_router_the_absence_is_found() {
    let Some(mut router) = start("after_a_restart_of_the_router_the_absence_is_found") else { return };
    let hand = hand(&router, 30);
    let order = order(12, udp(), Nft);
    hand.put(&order).unwrap();
    router.power_on();
    assert_eq!(hand.in_force().unwrap(), Some(vec![]));
    let seen = hand.observe(&[hand.wanted(&order).unwrap()]).unwrap();
    assert_eq!(seen.measures[0].state, State::Absent);
    hand.put(&order).unwrap();
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
}

#[test]
fn a_router_that_hangs_or_never_stops_talking_is_left() {
    let Some(router) = start("a_router_that_hangs_or_never_stops_talking_is_left") else { return };
    let run = router.path("run").display().to_string();
    let target = suimon_device::SshTarget { answer_s: 2, ..router.target() };
    let hand = DeviceHand::new("edge1", None, Arc::new(Nftables::new(target, 30, &run, false).unwrap()));
    router.fault("hang");
    let e = hand.in_force().unwrap_err().0;
    assert!(e.contains("no answer within 2 s while: listing tables"), "{e}");
    router.fault("flood");
    let hand = self::hand(&router, 30);
    let e = hand.in_force().unwrap_err().0;
    assert!(e.contains("more than 16777216 octets"), "{e}");
}

#[test]
fn the_budget_of_the_router_is_kept() {
    let Some(router) = start("the_budget_of_the_router_is_kept") else { return };
    let run = router.path("run").display().to_string();
    let device = Arc::new(Nftables::new(router.target(), 30, &run, false).unwrap());
    let hand = DeviceHand::new("edge1", Some(1), device);
    hand.put(&order(12, udp(), Nft)).unwrap();
    let e = hand.put(&order(13, udp(), Nft)).unwrap_err();
    assert!(matches!(&e, DeviceError::InTheWay(m) if m.contains("budget of 1")), "{e}");
    // The same measure again does not count twice.
    hand.put(&order(12, udp(), Nft)).unwrap();
}

/// What the spine's verification is told: as wanted with its counters, edited by hand, missing, and what nobody ordered.
#[test]
fn a_look_tells_what_is_there_and_what_differs() {
    let Some(router) = start("a_look_tells_what_is_there_and_what_differs") else { return };
    let hand = hand(&router, 30);
    let (mine, other) = (order(12, udp(), Nft), order(13, udp(), Nft));
    hand.put(&mine).unwrap();
    let look = |orders: &[Order]| hand.look(orders).unwrap().unwrap();
    if suimon_testkit::program_or_skip("a_look_tells_what_is_there_and_what_differs", "python3") {
        send_udp(&router, 3);
        let sight = look(std::slice::from_ref(&mine));
        let seen = &sight.seen[0];
        assert_eq!((seen.state.clone(), seen.packets, seen.octets), (SeenState::AsWanted, Some(3), Some(300)));
    }
    assert_eq!(look(&[mine.clone(), other.clone()]).seen[1].state, SeenState::Missing);
    // Somebody at the console lets a host through.
    router
        .inside("nft", &["insert", "rule", "inet", "suimon_m_12", "prerouting", "ip", "daddr", "192.0.2.9", "accept"]);
    let sight = look(std::slice::from_ref(&mine));
    let SeenState::Different { why } = &sight.seen[0].state else { panic!("{sight:?}") };
    assert!(why.contains("not dropped though wanted"), "{why}");
    assert!(sight.seen[0].text.as_ref().unwrap().contains("accept"), "{sight:?}");
    // Wanted again, it is replaced; and nobody ordered it, it is a stray that can be read.
    hand.put(&mine).unwrap();
    assert_eq!(look(std::slice::from_ref(&mine)).seen[0].state, SeenState::AsWanted);
    let sight = look(&[]);
    let stray = &sight.strays[0];
    assert_eq!((stray.name.as_str(), stray.id, stray.bound), ("suimon_m_12", Some(M), true));
    assert!(suimon_filter::dialect::parse(&stray.text, Nft).is_ok(), "{}", stray.text);
    router.fault("hang");
    let target = suimon_device::SshTarget { answer_s: 1, ..router.target() };
    let run = router.path("run").display().to_string();
    let slow = DeviceHand::new("edge1", None, Arc::new(Nftables::new(target, 30, &run, false).unwrap()));
    assert!(slow.look(&[]).unwrap_err().0.contains("no answer within 1 s"));
}
