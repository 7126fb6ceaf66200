//! TCP-MD5 and GTSM against the kernel and BIRD.

use crate::daemons::Daemon;
use crate::gobgp::Exit;
use crate::raw::Raw;
use crate::setup::{clock, config, peer, wait};
use std::collections::BTreeMap;
use std::time::Duration;
use suimon_bgp::config::Password;
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::{BgpHand, Files};

/// A session that shall not come up gets this long.
const NEVER: Duration = Duration::from_secs(3);

fn hand(peers: &str, password: Option<&str>) -> BgpHand {
    let passwords: BTreeMap<String, Password> =
        password.map(|p| ("p".to_owned(), Password::new(p.as_bytes()).unwrap())).into_iter().collect();
    let files = Files { cone: Cone::default(), passwords, ..Files::default() };
    BgpHand::start_with(&config(peers), files, clock()).unwrap()
}

fn established(hand: &BgpHand) -> u64 {
    hand.announcer().peers()[0].established
}

#[test]
fn md5_with_the_right_password_only() {
    let Some(bird) = Daemon::bird("bgp::md5", "password \"a long secret\";") else { return };
    let peers = peer("p", bird.address, bird.port, bird.asn);
    let right = hand(&peers, Some("a long secret\n"));
    wait("the session with the password", || established(&right) == 1);
    drop(right);
    for password in [Some("another"), None] {
        let wrong = hand(&peers, password);
        std::thread::sleep(NEVER);
        assert_eq!(established(&wrong), 0, "{password:?}");
    }
}

#[test]
fn md5_between_gobgp_as_the_exit_and_bird() {
    let Some(bird) = Daemon::bird("bgp::md5-gobgp", "password \"a long secret\";") else { return };
    let with = |password| Exit::start("bgp::md5-gobgp", &[(bird.address, bird.port, bird.asn, password)], &[]).unwrap();
    let exit = with("a long secret");
    wait("the session with the password", || exit.ask(&["neighbor"]).contains("Establ"));
    drop(exit);
    let exit = with("another");
    std::thread::sleep(NEVER);
    assert!(!exit.ask(&["neighbor"]).contains("Establ"));
}

#[test]
fn gtsm_takes_and_sends_255_only() {
    let gtsm = |address: &str, port, asn| peer("p", address, port, asn).replace("multihop = 5", "gtsm = true");
    if let Some(bird) = Daemon::bird("bgp::gtsm", "ttl security on;") {
        let both = hand(&gtsm(bird.address, bird.port, bird.asn), None);
        wait("both sides with GTSM", || established(&both) == 1);
    }
    // A peer that sends with the usual TTL is not heard.
    let raw = Raw::listen(64514);
    let deaf = hand(&gtsm("127.0.0.1", raw.port, 64514), None);
    std::thread::sleep(NEVER);
    assert_eq!((established(&deaf), raw.state().sessions), (0, 0));
    let hears = hand(&peer("p", "127.0.0.1", raw.port, 64514), None);
    wait("the same without", || established(&hears) == 1);
}
