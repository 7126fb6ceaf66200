//! Black holes and Flowspec rules arrive in real routers, are withdrawn, survive a flap, and vanish with the speaker.

use crate::daemons::{Daemon, Kind};
use crate::setup::{clock, config_text, four, hand, peer, wait};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use suimon_base::MeasureId;
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::BgpHand;
use suimon_spine::ports::{Hand as _, HandReport};
use suimon_testkit::KilledOnDrop;

const M1: MeasureId = MeasureId(1);
/// Names the configuration for [`speaker_of_another_process`].
const CHILD: &str = "SUIMON_BGP_TEST_CONFIG";
/// The other process ends after this, should nobody kill it.
const CHILD_LIFE: Duration = Duration::from_secs(60);

#[test]
fn gobgp() {
    arrives("bgp::gobgp", Kind::Gobgp);
}

#[test]
fn bird() {
    arrives("bgp::bird", Kind::Bird);
}

#[test]
fn frr() {
    arrives("bgp::frr", Kind::Frr);
}

fn arrives(test: &str, kind: Kind) {
    let Some(daemon) = Daemon::start(test, kind, &[]) else { return };
    let name = format!("{kind:?}");
    let peers = peer(&name, daemon.address, daemon.port, daemon.asn);
    let hand = hand(&peers);
    let done = hand.announce(M1, &four(), false).unwrap();
    assert!(matches!(&done, HandReport::Done { receipt, .. } if receipt.contains("4/4")), "{done:?}");
    let there = |what: &str| {
        let mut seen = [false; 4];
        for _ in 0..100 {
            seen = daemon.has();
            if seen == [true; 4] {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what}: {seen:?}\n{}", daemon.routes());
    };
    let gone = |what: &str| wait(what, || daemon.has() == [false; 4] && !daemon.routes().contains("198.51.100."));
    there("announced");
    hand.release(M1).unwrap();
    gone("withdrawn");

    hand.announce(M1, &four(), false).unwrap();
    there("announced again");
    let before = hand.announcer().peers()[0].established;
    daemon.reset();
    wait("the session comes back", || {
        let p = &hand.announcer().peers()[0];
        p.established > before && p.routes == 4
    });
    there("after the flap");

    if daemon.refresh() {
        wait("a route refresh", || hand.announcer().peers()[0].refreshes > 0);
    }
    there("after the refresh");
    drop(hand);
    gone("gone with the hand");

    killed(&daemon, &peers, &there, &gone);
}

/// `kill -9` of a whole process that announces.
fn killed(daemon: &Daemon, peers: &str, there: &dyn Fn(&str), gone: &dyn Fn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bgp.toml");
    std::fs::write(&file, config_text(peers)).unwrap();
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(own);
    command.args(["--exact", "arrive::speaker_of_another_process", "--ignored"]).env(CHILD, &file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = KilledOnDrop(command.spawn().unwrap());
    there("announced by another process");
    // SIGKILL: no last words of its own, only the closing of its sockets by the system.
    drop(child);
    gone(&format!("{:?} forgets the dead speaker's routes", daemon.kind));
}

/// Announces until it is killed. Not a test of its own: [`killed`] starts it as a process.
#[test]
#[ignore = "started by the tests of this file"]
fn speaker_of_another_process() {
    let Some(file) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let config = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let hand = BgpHand::start(&config, Cone::default(), clock()).unwrap();
    hand.announce(M1, &four(), false).unwrap();
    std::thread::sleep(CHILD_LIFE);
}
