//! The words of IOS against a command line of the tests that behaves as we know IOS: no IOS was reached. What FRR's vtysh
//! does not have is tried here: a list mode, the roll-back by the router itself, IPv6 lists, counters, log lines.

use crate::router::{Behind, Router, order, rules};
use std::sync::Arc;
use suimon_base::MeasureId;
use suimon_device::{Binding, CiscoCli, DeviceError, DeviceHand, Direction, Ios, State};
use suimon_filter::dialect::Dialect::CiscoIos;
use suimon_spine::ports::{Hand as _, HandReport};

const M: MeasureId = MeasureId(12);
const BEFORE: &str = "version 15.9\n!\nhostname edge-router-of-tokyo\n!\ninterface GigabitEthernet0/0\n ip address 192.0.2.1 \
    255.255.255.0\n!\ninterface GigabitEthernet0/1\n ip access-group EDGE-IN in\n!\nip access-list extended EDGE-IN\n 10 permit ip any any\n!\n";

struct Prompt {
    router: Router,
    state: tempfile::TempDir,
}

impl Prompt {
    fn start(test: &str) -> Option<Self> {
        if !suimon_testkit::program_or_skip(test, "python3") {
            return None;
        }
        let state = tempfile::tempdir().expect("a folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/routers/ios_prompt.py");
        let router = Router::start(test, &Behind::Command(&format!("python3 {script} {}", state.path().display())))?;
        let it = Prompt { router, state };
        it.write("running.txt", BEFORE);
        Some(it)
    }
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.state.path().join(name), text).expect("a file");
    }
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.state.path().join(name)).unwrap_or_default()
    }
    fn hand(&self, interface: &str) -> DeviceHand {
        let at = vec![Binding { interface: interface.into(), direction: Direction::In }];
        let device = CiscoCli::new(self.router.target(), Ios, at, 60).expect("a device");
        DeviceHand::new("edge2", None, Arc::new(device))
    }
}

fn both() -> suimon_spine::ports::Order {
    let json = r#"{"matches":{"dst":["192.0.2.9/32","2001:db8::9/128"],"proto":17,"src-ports":[{"lo":53,"hi":53}]},"action":"discard"}"#;
    order(12, rules(json), CiscoIos)
}

#[test]
fn two_families_with_the_routers_own_roll_back() {
    let Some(prompt) = Prompt::start("two_families_with_the_routers_own_roll_back") else { return };
    prompt.write("options", "logs");
    let hand = prompt.hand("GigabitEthernet0/0");
    let HandReport::Done { receipt, .. } = hand.put(&both()).unwrap() else { panic!("a router") };
    assert!(receipt.contains("the router would have undone it by itself after 60 s"), "{receipt}");
    let running = prompt.read("running.txt");
    assert!(running.contains(" ip access-group SUIMON-M-12 in\n ipv6 traffic-filter SUIMON-M-12-V6 in"), "{running}");
    assert_eq!(prompt.read("pending"), "", "it was confirmed");
    let seen = hand.observe(&[hand.wanted(&both()).unwrap()]).unwrap();
    assert_eq!(seen.measures[0].state, State::Present);
    assert_eq!(seen.measures[0].counters.unwrap().packets, 42);
    hand.remove(M).unwrap();
    assert_eq!(prompt.read("running.txt"), BEFORE);
    // Bound, but its list was removed at the console: it is seen, and taken away.
    let dangling = BEFORE.replace("EDGE-IN in", "SUIMON-M-12 in");
    prompt.write("running.txt", &dangling);
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
    hand.remove(M).unwrap();
    assert!(!prompt.read("running.txt").contains("SUIMON"));
}

#[test]
fn without_an_archive_our_timer_stands_in() {
    let Some(prompt) = Prompt::start("without_an_archive_our_timer_stands_in") else { return };
    prompt.write("options", "no-archive");
    let hand = prompt.hand("GigabitEthernet0/0");
    let HandReport::Done { receipt, .. } = hand.put(&both()).unwrap() else { panic!("a router") };
    assert!(receipt.contains("our own timer stood ready"), "{receipt}");
    hand.remove(M).unwrap();
    let e = prompt.hand("GigabitEthernet0/1").put(&both()).unwrap_err();
    assert!(matches!(&e, DeviceError::InTheWay(m) if m.contains("EDGE-IN is bound at GigabitEthernet0/1 in")), "{e}");
    assert_eq!(prompt.read("running.txt"), BEFORE);
}

#[test]
fn a_line_that_is_lost_or_a_login_that_dies_leaves_nothing() {
    let Some(prompt) = Prompt::start("a_line_that_is_lost_or_a_login_that_dies_leaves_nothing") else { return };
    prompt.write("options", "drop-line");
    let hand = prompt.hand("GigabitEthernet0/0");
    let e = hand.put(&both()).unwrap_err().to_string();
    assert!(e.contains("1 of 2 entries were taken") && e.contains("unbound and removed"), "{e}");
    assert_eq!((prompt.read("running.txt").as_str(), prompt.read("pending").as_str()), (BEFORE, ""));
    prompt.write("options", "die-in-list");
    let e = hand.put(&both()).unwrap_err().to_string();
    assert!(e.contains("as soon as the router answers"), "{e}");
    let clean = (0..150).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        hand.taking_back().is_empty()
    });
    assert!(clean && prompt.read("running.txt") == BEFORE, "{}", prompt.read("running.txt"));
}

#[test]
fn rates_are_left_to_a_person() {
    let Some(prompt) = Prompt::start("rates_are_left_to_a_person") else { return };
    let rate = r#"{"matches":{"dst":["192.0.2.9/32"],"proto":17},"action":{"limit-bps":8000000}}"#;
    let e = prompt.hand("GigabitEthernet0/0").put(&order(12, rules(rate), CiscoIos)).unwrap_err().to_string();
    assert!(e.contains("M-12"), "{e}");
    assert_eq!(prompt.read("running.txt"), BEFORE);
}
