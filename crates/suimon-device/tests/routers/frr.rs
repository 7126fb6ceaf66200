//! The command line driver against FRR's vtysh behind a real sshd.
//!
//! FRR's access lists filter routes, not packets, and its entries have no ports; what is tested here is the conversation:
//! prompts, modes, errors, reading back, binding where only one list can be bound, and what happens when it breaks.

use crate::router::{Behind, Router, order, rules};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use suimon_base::MeasureId;
use suimon_device::{Binding, Bound, CiscoCli, CliList, DeviceError, DeviceHand, Direction, Flavour, State};
use suimon_filter::dialect::Dialect::CiscoIos;
use suimon_spine::ports::{Hand as _, HandReport};
use suimon_testkit::{KilledOnDrop, program_or_skip, skip};

const M: MeasureId = MeasureId(12);
const RIPD: &str = "/usr/lib/frr/ripd";

/// FRR's words: one line an entry, and `distribute-list` of RIP as the place where exactly one list is bound.
struct Frr;

impl Flavour for Frr {
    fn lists(&self, config: &str) -> Vec<CliList> {
        let mut out: Vec<CliList> = Vec::new();
        for line in config.lines() {
            let Some(rest) = line.strip_prefix("access-list ") else { continue };
            let Some((name, entry)) = rest.split_once(" seq ") else { continue };
            match out.iter_mut().find(|l| l.name == name) {
                Some(l) => l.entries.push(entry.to_owned()),
                None => out.push(CliList { name: name.to_owned(), v6: false, entries: vec![entry.to_owned()] }),
            }
        }
        out
    }
    fn bound(&self, config: &str) -> Vec<Bound> {
        let of = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["distribute-list", name, "in", interface] => {
                let at = Binding { interface: (*interface).to_owned(), direction: Direction::In };
                Some(Bound { at, v6: false, name: (*name).to_owned() })
            }
            _ => None,
        };
        config.lines().filter_map(of).collect()
    }
    fn enter(&self, list: &CliList) -> Vec<String> {
        list.entries.iter().map(|e| format!("access-list {} seq {e}", list.name)).collect()
    }
    fn remove(&self, list: &CliList) -> Vec<String> {
        vec![format!("no access-list {}", list.name)]
    }
    fn bind(&self, b: &Bound, on: bool) -> Vec<String> {
        let no = if on { "" } else { "no " };
        vec!["router rip".into(), format!("{no}distribute-list {} in {}", b.name, b.at.interface), "exit".into()]
    }
    fn revert(&self, minutes: u32) -> Option<String> {
        // FRR does not know it and says so; the driver then falls back.
        Some(format!("configure terminal revert timer {minutes}"))
    }
    fn counters(&self, _: &CliList) -> Option<String> {
        None
    }
}

struct FrrRouter {
    router: Router,
    ripd: Option<KilledOnDrop>,
    sockets: tempfile::TempDir,
}

impl FrrRouter {
    fn start(test: &str) -> Option<Self> {
        if !program_or_skip(test, "vtysh") {
            return None;
        }
        if !std::path::Path::new(RIPD).is_file() {
            skip(test, "ripd of FRR is not installed");
            return None;
        }
        let sockets = tempfile::tempdir().expect("a folder");
        let vtysh = format!("vtysh --vty_socket {}", sockets.path().display());
        let router = Router::start(test, &Behind::Command(&vtysh))?;
        let chown = Command::new("chown").arg("frr:frr").arg(sockets.path()).status();
        assert!(chown.is_ok_and(|s| s.success()), "the user frr comes with the package");
        let mut it = FrrRouter { router, ripd: None, sockets };
        it.power_on();
        Some(it)
    }

    fn path(&self, name: &str) -> String {
        self.sockets.path().join(name).display().to_string()
    }

    /// Starts ripd with the configuration that survives a restart; what was entered since is gone.
    fn power_on(&mut self) {
        self.ripd = None;
        std::fs::write(self.path("ripd.conf"), "router rip\n distribute-list EDGE-IN in eth7\n").expect("a file");
        let _ = std::fs::remove_file(self.path("ripd.vty"));
        let pid = std::fs::read_to_string(self.router.path("ns")).expect("a namespace");
        let mut command = Command::new("nsenter");
        command.args(["-t", pid.trim(), "-n", RIPD, "-u", "frr", "-g", "frr", "-P", "0"]);
        command.arg("--vty_socket").arg(self.sockets.path()).args(["-z", &self.path("z.api"), "-i", &self.path("pid")]);
        command.args(["-f", &self.path("ripd.conf")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.ripd = Some(KilledOnDrop(command.spawn().expect("ripd starts")));
        for _ in 0..300 {
            if self.config().contains("router rip") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("ripd does not answer");
    }

    fn vtysh(&self, lines: &[&str]) -> String {
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(self.sockets.path());
        for l in lines {
            command.args(["-c", l]);
        }
        String::from_utf8_lossy(&command.output().expect("vtysh starts").stdout).into_owned()
    }

    fn config(&self) -> String {
        self.vtysh(&["show running-config"])
    }

    fn hand(&self, interfaces: &[&str]) -> DeviceHand {
        let at = |i: &&str| Binding { interface: (*i).to_owned(), direction: Direction::In };
        let device =
            CiscoCli::new(self.router.target(), Frr, interfaces.iter().map(at).collect(), 60).expect("a device");
        DeviceHand::new("edge2", None, Arc::new(device))
    }
}

/// Everything to an address and a prefix: what FRR's lists can say.
fn to_hosts() -> suimon_base::RuleSet {
    rules(r#"{"matches":{"dst":["192.0.2.7/32","192.0.2.8/30"]},"action":"discard"}"#)
}

#[test]
fn a_list_is_entered_read_back_bound_and_removed() {
    let Some(frr) = FrrRouter::start("a_list_is_entered_read_back_bound_and_removed") else { return };
    let before = frr.config();
    let hand = frr.hand(&["eth0", "eth1"]);
    let order = order(12, to_hosts(), CiscoIos);
    let HandReport::Done { place, receipt } = hand.put(&order).unwrap() else { panic!("a router") };
    assert!(place.contains("SUIMON-M-12 at eth0 in, eth1 in"), "{place}");
    assert!(receipt.contains("our own timer stood ready"), "{receipt}");
    let config = frr.config();
    assert!(config.contains("access-list SUIMON-M-12 seq 10 deny ip any host 192.0.2.7"), "{config}");
    assert!(config.contains("distribute-list SUIMON-M-12 in eth1"), "{config}");
    assert_eq!(hand.in_force().unwrap(), Some(vec![M]));
    let HandReport::Done { receipt, .. } = hand.put(&order).unwrap() else { panic!("a router") };
    assert!(receipt.contains("already in force"), "{receipt}");
    let HandReport::Done { receipt, .. } = hand.remove(M).unwrap() else { panic!("a router") };
    assert!(receipt.contains("unbound and removed SUIMON-M-12"), "{receipt}");
    assert_eq!(frr.config(), before);
    hand.remove(M).unwrap();
}

#[test]
fn what_is_bound_is_never_replaced() {
    let Some(frr) = FrrRouter::start("what_is_bound_is_never_replaced") else { return };
    let before = frr.config();
    let e = frr.hand(&["eth0", "eth7"]).put(&order(12, to_hosts(), CiscoIos)).unwrap_err();
    assert!(matches!(&e, DeviceError::InTheWay(m) if m.contains("EDGE-IN is bound at eth7 in")), "{e}");
    assert_eq!(frr.config(), before);
    // Nor is another measure of ours.
    let hand = frr.hand(&["eth0"]);
    hand.put(&order(13, to_hosts(), CiscoIos)).unwrap();
    let e = hand.put(&order(12, to_hosts(), CiscoIos)).unwrap_err();
    assert!(e.to_string().contains("SUIMON-M-13 is bound at eth0 in"), "{e}");
    assert_eq!(hand.in_force().unwrap(), Some(vec![MeasureId(13)]));
}

#[test]
fn a_list_that_the_router_takes_half_of_is_taken_back() {
    let Some(frr) = FrrRouter::start("a_list_that_the_router_takes_half_of_is_taken_back") else { return };
    let before = frr.config();
    // FRR's lists know no ports: it takes the first entry and refuses the second in the middle of the list.
    let half = r#"{"matches":{"dst":["192.0.2.7/32"]},"action":"discard"},
        {"matches":{"dst":["192.0.2.64/26"],"proto":17,"src-ports":[{"lo":53,"hi":53}]},"action":"discard"}"#;
    let e = frr.hand(&["eth0"]).put(&order(12, rules(half), CiscoIos)).unwrap_err();
    let DeviceError::NotAsWanted { why, undone } = &e else { panic!("{e}") };
    assert!(why.contains("% Unknown command") && why.contains("eq 53"), "{why}");
    assert!(undone.contains("removed SUIMON-M-12"), "{undone}");
    assert_eq!(frr.config(), before);
}

#[test]
fn changes_at_the_console_and_a_restart_are_found() {
    let Some(mut frr) = FrrRouter::start("changes_at_the_console_and_a_restart_are_found") else { return };
    let hand = frr.hand(&["eth0"]);
    let order = order(12, to_hosts(), CiscoIos);
    hand.put(&order).unwrap();
    let wanted = [hand.wanted(&order).unwrap()];
    let state = || hand.observe(&wanted).unwrap().measures.remove(0).state;
    let differs = |words: &str| match state() {
        State::Differs { why } => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(state(), State::Present);
    frr.vtysh(&["configure terminal", "access-list SUIMON-M-12 seq 5 deny ip any host 192.0.2.77"]);
    differs("dropped though not wanted");
    frr.vtysh(&["configure terminal", "no access-list SUIMON-M-12 seq 10 deny ip any host 192.0.2.7"]);
    differs("not dropped though wanted");
    hand.put(&order).unwrap();
    assert_eq!(state(), State::Present);
    frr.vtysh(&["configure terminal", "router rip", "no distribute-list SUIMON-M-12 in eth0"]);
    differs("is not bound at eth0 in");
    assert_eq!(hand.in_force().unwrap(), Some(vec![]), "a list that is bound nowhere drops nothing");
    hand.put(&order).unwrap();
    frr.vtysh(&["configure terminal", "access-list SUIMON-M-99 seq 5 deny ip any any"]);
    let orphans = hand.observe(&wanted).unwrap().orphans;
    assert_eq!((orphans.len(), orphans[0].id), (1, Some(MeasureId(99))));
    frr.power_on();
    assert_eq!(state(), State::Absent);
}

#[test]
fn a_session_cut_in_the_middle_is_cleaned_up_by_our_timer() {
    let Some(frr) = FrrRouter::start("a_session_cut_in_the_middle_is_cleaned_up_by_our_timer") else { return };
    let before = frr.config();
    let hand = frr.hand(&["eth0"]);
    let hosts: Vec<String> = (0..120).map(|i| format!("\"192.0.2.{}/32\"", i * 2)).collect();
    let many = format!("{{\"matches\":{{\"dst\":[{}]}},\"action\":\"discard\"}}", hosts.join(","));
    let order = order(12, rules(&many), CiscoIos);
    std::thread::scope(|s| {
        let cut = s.spawn(|| {
            for _ in 0..2_000 {
                if frr.config().contains("access-list SUIMON-M-12 seq 10 ") {
                    let pid = std::fs::read_to_string(frr.router.path("session")).expect("a session");
                    let _ = Command::new("kill").args(["-9", pid.trim()]).status();
                    return true;
                }
            }
            false
        });
        let e = hand.put(&order).unwrap_err();
        assert!(e.to_string().contains("as soon as the router answers"), "{e}");
        assert!(cut.join().unwrap());
    });
    assert!(!frr.config().contains("distribute-list SUIMON-M-12"), "an incomplete list is never bound");
    let clean = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        hand.taking_back().is_empty()
    });
    assert!(clean, "our timer takes it back");
    assert_eq!(frr.config(), before);
}

#[test]
fn a_user_without_rights_is_told_so() {
    let test = "a_user_without_rights_is_told_so";
    // vtysh gives the unprivileged prompt to nobody; a shell with such a prompt is enough to see the words.
    let Some(router) = Router::start(test, &Behind::Command("sh -c 'printf \"r1> \"; sleep 5'")) else { return };
    let at = vec![Binding { interface: "eth0".into(), direction: Direction::In }];
    let hand = DeviceHand::new("edge2", None, Arc::new(CiscoCli::new(router.target(), Frr, at, 60).unwrap()));
    let e = hand.in_force().unwrap_err().0;
    assert!(e.contains("refuses the login: the prompt is r1>"), "{e}");
}
