//! The NETCONF driver against a server of the tests, written by RFC 6241 and RFC 6242 in another language, as a subsystem of
//! a real sshd. No Junos and no IOS XR was reached: what is their own in it follows the vendors' manuals and examples.

use crate::router::{Behind, Router, order, rules, udp};
use std::sync::Arc;
use suimon_base::MeasureId;
use suimon_device::{Binding, DeviceError, DeviceHand, Direction, IosXr, Junos, Netconf, State};
use suimon_filter::dialect::Dialect;
use suimon_spine::ports::{Hand as _, HandReport};

const M: MeasureId = MeasureId(12);

const BEFORE: &str = "system {\n    host-name r1;\n}\ninterfaces {\n    ge-0/0/0 {\n        unit 0 {\n            family inet {\n                \
    address 192.0.2.1/24;\n            }\n        }\n    }\n    ge-0/0/1 {\n        unit 0 {\n            family inet {\n                filter {\n                    \
    input EDGE-IN;\n                }\n            }\n        }\n    }\n}\nfirewall {\n    family inet {\n        filter EDGE-IN {\n            term A {\n                then accept;\n            \
    }\n        }\n    }\n}\n";

struct Server {
    router: Router,
    state: tempfile::TempDir,
}

impl Server {
    fn start(test: &str) -> Option<Self> {
        if !suimon_testkit::program_or_skip(test, "python3") {
            return None;
        }
        let state = tempfile::tempdir().expect("a folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/routers/netconf_server.py");
        let command = format!("python3 {script} {}", state.path().display());
        let router = Router::start(test, &Behind::Netconf(&command))?;
        let server = Server { router, state };
        server.write("running.txt", BEFORE);
        server.write("candidate.txt", BEFORE);
        Some(server)
    }
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.state.path().join(name), text).expect("a file");
    }
    fn options(&self, text: &str) {
        self.write("options", text);
    }
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.state.path().join(name)).unwrap_or_default()
    }
    fn hand(&self, interface: &str) -> DeviceHand {
        let at = vec![Binding { interface: interface.into(), direction: Direction::In }];
        let target = suimon_device::SshTarget { answer_s: 3, ..self.router.target() };
        let device = Netconf::new(target, Junos, at, 30).expect("a device");
        DeviceHand::new("edge3", None, Arc::new(device))
    }
}

fn receipt(report: HandReport) -> String {
    match report {
        HandReport::Done { place, receipt } => format!("{place}: {receipt}"),
        HandReport::ByPerson => panic!("a router, not a person"),
    }
}

fn wanted() -> suimon_spine::ports::Order {
    order(12, udp(), Dialect::Junos)
}

#[test]
fn committed_confirmed_counted_and_deleted_in_both_framings() {
    let Some(server) = Server::start("committed_confirmed_counted_and_deleted_in_both_framings") else { return };
    for options in ["", "base-1.0"] {
        server.options(options);
        let hand = server.hand("ge-0/0/0");
        let said = receipt(hand.put(&wanted()).unwrap());
        assert!(said.contains("SUIMON-M-12 at ge-0/0/0.0 in") && said.contains("by itself after 30 s"), "{said}");
        let running = server.read("running.txt");
        assert!(running.contains("filter SUIMON-M-12 {") && running.contains("input SUIMON-M-12;"), "{running}");
        assert_eq!((server.read("pending"), server.read("lock")), (String::new(), String::new()));
        assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
        let seen = hand.observe(&[hand.wanted(&wanted()).unwrap()]).unwrap();
        assert_eq!(seen.measures[0].state, State::Present);
        assert_eq!(seen.measures[0].counters.unwrap().packets, 42);
        assert!(receipt(hand.put(&wanted()).unwrap()).contains("already in force"));
        let said = receipt(hand.remove(M).unwrap());
        assert!(said.contains("dropped 42 packets, 4200 octets"), "{said}");
        let after = server.read("running.txt");
        assert!(!after.contains("SUIMON") && after.contains("EDGE-IN"), "{after}");
        receipt(hand.remove(M).unwrap());
    }
}

#[test]
fn both_families_and_a_change_by_hand() {
    let Some(server) = Server::start("both_families_and_a_change_by_hand") else { return };
    let hand = server.hand("ge-0/0/0.0");
    let both = rules(
        r#"{"matches":{"dst":["192.0.2.9/32","2001:db8::9/128"],"proto":17,"src-ports":[{"lo":53,"hi":53}]},"action":"discard"}"#,
    );
    let order = order(12, both, Dialect::Junos);
    hand.put(&order).unwrap();
    let running = server.read("running.txt");
    assert!(running.contains("filter SUIMON-M-12-V6 {") && running.contains("input SUIMON-M-12-V6;"), "{running}");
    let changed = running.replace("192.0.2.9/32", "192.0.2.0/24");
    server.write("running.txt", &changed);
    server.write("candidate.txt", &changed);
    let wanted = [hand.wanted(&order).unwrap()];
    let state = hand.observe(&wanted).unwrap().measures.remove(0).state;
    assert!(matches!(&state, State::Differs { why } if why.contains("dropped though not wanted")), "{state:?}");
    hand.put(&order).unwrap();
    assert_eq!(hand.observe(&wanted).unwrap().measures[0].state, State::Present);
    // A list that no ledger knows.
    assert_eq!(hand.observe(&[]).unwrap().orphans.len(), 2);
    hand.remove(M).unwrap();
    assert!(!server.read("running.txt").contains("SUIMON"));
}

#[test]
fn the_text_of_ios_xr_goes_both_ways() {
    let Some(server) = Server::start("the_text_of_ios_xr_goes_both_ways") else { return };
    let before = "hostname r1\n!\ninterface GigabitEthernet0/0/0/0\n description to a customer\n!\ninterface GigabitEthernet0/0/0/1\n \
                  ipv4 access-group EDGE-IN ingress\n!\nipv4 access-list EDGE-IN\n 10 permit ipv4 any any\n!\n";
    server.write("running.txt", before);
    server.write("candidate.txt", before);
    let hand = |interface: &str| {
        let at = vec![Binding { interface: interface.into(), direction: Direction::In }];
        DeviceHand::new("edge4", None, Arc::new(Netconf::new(server.router.target(), IosXr, at, 30).expect("a device")))
    };
    let both = rules(
        r#"{"matches":{"dst":["192.0.2.9/32","2001:db8::9/128"],"proto":17,"src-ports":[{"lo":53,"hi":53}]},"action":"discard"}"#,
    );
    let order = order(12, both, Dialect::CiscoXr);
    let e = hand("GigabitEthernet0/0/0/1").put(&order).unwrap_err();
    assert!(matches!(&e, DeviceError::InTheWay(m) if m.contains("EDGE-IN is bound")), "{e}");
    let hand = hand("GigabitEthernet0/0/0/0");
    receipt(hand.put(&order).unwrap());
    let running = server.read("running.txt");
    assert!(running.contains(" ipv6 access-group SUIMON-M-12-V6 ingress"), "{running}");
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
    let changed = running.replace("deny udp any eq", "permit udp any eq");
    assert_ne!(changed, running);
    server.write("running.txt", &changed);
    server.write("candidate.txt", &changed);
    let wanted = [hand.wanted(&order).unwrap()];
    let state = hand.observe(&wanted).unwrap().measures.remove(0).state;
    assert!(matches!(&state, State::Differs { why } if why.contains("not dropped though wanted")), "{state:?}");
    hand.put(&order).unwrap();
    assert_eq!(hand.observe(&wanted).unwrap().measures[0].state, State::Present);
    hand.remove(M).unwrap();
    assert_eq!(server.read("running.txt"), before);
}

#[test]
fn what_is_bound_or_locked_is_left_alone() {
    let Some(server) = Server::start("what_is_bound_or_locked_is_left_alone") else { return };
    let e = server.hand("ge-0/0/1").put(&wanted()).unwrap_err();
    assert!(matches!(&e, DeviceError::InTheWay(m) if m.contains("EDGE-IN is bound at ge-0/0/1.0 in")), "{e}");
    // Somebody's half-finished work in the candidate is neither committed nor discarded.
    let theirs = BEFORE.replace("host-name r1", "host-name r2");
    server.write("candidate.txt", &theirs);
    let e = server.hand("ge-0/0/0").put(&wanted()).unwrap_err();
    assert!(matches!(&e, DeviceError::InTheWay(m) if m.contains("lock-denied")), "{e}");
    assert_eq!((server.read("running.txt"), server.read("candidate.txt")), (BEFORE.to_owned(), theirs));
}

#[test]
fn what_is_refused_leaves_the_running_configuration_alone() {
    let Some(server) = Server::start("what_is_refused_leaves_the_running_configuration_alone") else { return };
    server.options("reject-edit");
    let e = server.hand("ge-0/0/0").put(&wanted()).unwrap_err().to_string();
    assert!(e.contains("invalid-value: syntax error, expecting <term>") && e.contains("was not touched"), "{e}");
    assert_eq!(server.read("running.txt"), BEFORE);
    server.options("no-candidate");
    let e = server.hand("ge-0/0/0").put(&wanted()).unwrap_err();
    assert!(matches!(&e, DeviceError::Config(m) if m.contains("does not offer :candidate")), "{e}");
}

#[test]
fn a_list_that_lost_a_term_is_cancelled() {
    let Some(server) = Server::start("a_list_that_lost_a_term_is_cancelled") else { return };
    for options in ["half", "half base-1.0"] {
        server.options(options);
        let hand = server.hand("ge-0/0/0");
        let e = hand.put(&wanted()).unwrap_err();
        let e = e.to_string();
        assert!(e.contains("not dropped though wanted"), "{e}");
        let words = if options == "half" { "was cancelled" } else { "ended unconfirmed" };
        assert!(e.contains(words), "{e}");
        let gone = (0..50).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            hand.in_force().unwrap() == Some(vec![])
        });
        assert!(gone && !server.read("running.txt").contains("SUIMON"), "{}", server.read("running.txt"));
        server.write("candidate.txt", &server.read("running.txt"));
        let _ = std::fs::remove_file(server.state.path().join("lock"));
    }
}

#[test]
fn a_session_lost_after_the_commit_is_undone_by_the_router() {
    let Some(server) = Server::start("a_session_lost_after_the_commit_is_undone_by_the_router") else { return };
    server.options("die-after-commit");
    let hand = server.hand("ge-0/0/0");
    let e = hand.put(&wanted()).unwrap_err();
    assert!(e.to_string().contains("as soon as the router answers"), "{e}");
    assert_eq!(hand.in_force().unwrap(), Some(vec![]), "the router went back by itself");
    hand.put(&wanted()).unwrap();
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
}

#[test]
fn silence_floods_and_broken_frames_end_the_session() {
    let Some(server) = Server::start("silence_floods_and_broken_frames_end_the_session") else { return };
    let hand = server.hand("ge-0/0/0");
    server.options("bad-chunk");
    let e = hand.in_force().unwrap_err().0;
    assert!(e.contains("is no size of a chunk"), "{e}");
    server.options("mute");
    let e = hand.put(&wanted()).unwrap_err().to_string();
    assert!(e.contains("no answer within 6 s while: editing the candidate"), "{e}");
    server.options("flood base-1.0");
    let e = hand.in_force().unwrap_err().0;
    assert!(e.contains("more than 16777216 octets"), "{e}");
}
