//! The hand against a raw peer: what leaves, what comes back after a loss, and what never leaves.

use crate::raw::Raw;
use crate::setup::{config, four, hand, hole, ntp, peer, wait};
use suimon_base::MeasureId;
use suimon_bgp::codec;
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::BgpHand;
use suimon_bgp::route::{Community, Route, Scope};
use suimon_spine::ports::{Hand as _, HandReport};

const M1: MeasureId = MeasureId(1);
const M2: MeasureId = MeasureId(2);

fn one(raw: &Raw) -> BgpHand {
    hand(&peer("raw", "127.0.0.1", raw.port, 64514))
}

fn keys(routes: &[Route]) -> Vec<crate::raw::Key> {
    let mut out: Vec<_> = routes
        .iter()
        .map(|r| {
            let key = codec::key(&r.target).unwrap();
            let (afi, safi) = codec::afi_safi(key.family);
            (afi as u16, safi as u8, key.nlri)
        })
        .collect();
    out.sort();
    out
}

#[test]
fn announced_with_its_attributes_and_withdrawn() {
    let raw = Raw::listen(64514);
    let hand = one(&raw);
    let HandReport::Done { place, receipt } = hand.announce(M1, &four(), false).unwrap() else { panic!() };
    assert_eq!(place, "raw");
    assert!(receipt.contains("raw 4/4") && receipt.contains("2 IPv4 addresses"), "{receipt}");
    wait("four routes", || raw.keys() == keys(&four()));
    {
        let state = raw.state();
        for ((_, safi, _), attributes) in &state.rib {
            let expected = |c: &[Community]| c.iter().flat_map(|c| c.0.to_be_bytes()).collect::<Vec<u8>>();
            let mut communities = vec![Community::NO_EXPORT];
            if *safi == 1 {
                communities.insert(0, Community::BLACKHOLE);
            }
            assert_eq!(attributes[&8], expected(&communities));
            assert_eq!(attributes[&2], [2, 1, 0, 0, 0xfb, 0xf4], "AS_PATH is our AS alone");
            let large: Vec<u8> = [64500u32, 1, 2].iter().flat_map(|n| n.to_be_bytes()).collect();
            assert_eq!(attributes[&32], large);
            assert_eq!(attributes.contains_key(&16), *safi == 133, "actions only with Flowspec");
        }
        let v6 = state.rib.iter().find(|(k, _)| (k.0, k.1) == (2, 1)).unwrap().1;
        assert_eq!(v6[&14], "2001:db8:ffff::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    assert_eq!(hand.in_force().unwrap(), Some(vec![M1]));
    let updates = raw.state().updates;
    hand.announce(M1, &four(), false).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(raw.state().updates, updates, "the same again says nothing");
    hand.release(M1).unwrap();
    wait("no routes", || raw.keys().is_empty());
    assert_eq!(hand.in_force().unwrap(), Some(vec![]));
    hand.release(M1).unwrap();
    drop(hand);
    wait("a Cease", || raw.state().notification == Some((6, 2)));
}

#[test]
fn a_measure_that_changes_leaves_what_stays() {
    let raw = Raw::listen(64514);
    let hand = one(&raw);
    hand.announce(M1, &[hole("198.51.100.1/32"), hole("198.51.100.2/32")], false).unwrap();
    hand.announce(M2, &[hole("198.51.100.2/32")], false).unwrap();
    hand.announce(M1, &[hole("198.51.100.3/32")], false).unwrap();
    wait("2 and 3", || raw.keys() == keys(&[hole("198.51.100.2/32"), hole("198.51.100.3/32")]));
    hand.release(M1).unwrap();
    wait("2", || raw.keys() == keys(&[hole("198.51.100.2/32")]));
}

#[test]
fn told_again_after_a_loss_and_on_request() {
    let raw = Raw::listen(64514);
    let hand = one(&raw);
    hand.announce(M1, &four(), false).unwrap();
    wait("four routes", || raw.keys().len() == 4);
    raw.cut();
    wait("a second session with everything", || raw.state().sessions == 2 && raw.keys() == keys(&four()));
    // What nobody can read ends the session; it comes back.
    raw.say(&[0; 19]);
    wait("a third session with everything", || raw.state().sessions == 3 && raw.keys() == keys(&four()));
    assert_eq!(raw.state().notification, Some((1, 1)), "Connection Not Synchronized");
    let updates = raw.state().updates;
    raw.refresh(1, 133);
    wait("the marks around the family", || raw.state().marks == [1, 2]);
    assert_eq!(raw.state().updates, updates + 1);
    raw.refresh(1, 128);
    raw.refresh(2, 1);
    wait("another family", || raw.state().marks == [1, 2, 1, 2]);
    let status = &hand.announcer().peers()[0];
    assert_eq!((status.state, status.established, status.lost, status.refreshes), ("established", 3, 2, 2));
}

#[test]
fn nothing_leaves_that_the_guard_refuses() {
    let raw = Raw::listen(64514);
    let hand = one(&raw);
    hand.announce(M1, &[hole("198.51.100.1/32")], false).unwrap();
    wait("the route in order", || raw.keys().len() == 1);
    let updates = raw.state().updates;
    for bad in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "198.51.100.0/24", "192.0.2.1/32", "2001:db8::/32"] {
        let error = hand.announce(M2, &[hole("198.51.100.2/32"), hole(bad)], true).unwrap_err();
        assert!(error.0.contains("guard rails refuse"), "{bad}: {error}");
    }
    let error = hand.announce(M2, &[], true).unwrap_err();
    assert!(error.0.contains("no route"), "{error}");
    // A change of a measure that is refused leaves what it had.
    assert!(hand.announce(M1, &[hole("0.0.0.0/0")], true).is_err());
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(raw.state().updates, updates);
    assert_eq!(raw.keys(), keys(&[hole("198.51.100.1/32")]));
    assert!(hand.dry_run(M2, &[hole("::/0")], false).text().contains("refused: route ::/0"));
}

#[test]
fn without_any_peer_nothing_stays_behind() {
    let port = suimon_testkit::free_tcp_port();
    let mut c = config(&peer("nobody", "127.0.0.1", port, 64514));
    c.wait_ms = 100;
    c.start_wait_ms = 300;
    let hand = BgpHand::start(&c, Cone::default(), crate::setup::clock()).unwrap();
    let error = hand.announce(M1, &four(), false).unwrap_err();
    assert!(error.0.contains("no peer has 4 of 4 routes") && error.0.contains("cannot connect"), "{error}");
    assert!(hand.announcer().measures().is_empty(), "nothing surfaces later that nobody waits for");
    hand.release(M1).unwrap();
}

#[test]
fn roles_scope_and_limits_of_each_peer() {
    let (edge, upstream, rtbh) = (Raw::listen(64514), Raw::listen(64515), Raw::listen(64516));
    let peers = peer("edge", "127.0.0.1", edge.port, 64514)
        + &peer("upstream", "127.0.0.1", upstream.port, 64515)
        + "edge = false\n"
        + &peer("rtbh", "127.0.0.1", rtbh.port, 64516).replace("\"rtbh\", \"flowspec\"", "\"rtbh\"")
        + "rtbh-communities = [\"64516:666\"]\n";
    let hand = hand(&peers);
    wait("three sessions", || hand.announcer().peers().iter().all(|p| p.state == "established"));
    let near = Route { scope: Scope::EdgeOnly, ..ntp("198.51.100.9/32") };
    hand.announce(M1, &[hole("198.51.100.1/32"), ntp("198.51.100.8/32"), near.clone()], false).unwrap();
    wait("each has its own", || (edge.keys().len(), upstream.keys().len(), rtbh.keys().len()) == (3, 2, 1));
    assert!(!upstream.keys().contains(&keys(&[near])[0]));
    let own = rtbh.state().rib.values().next().unwrap()[&8].clone();
    assert_eq!(own, "64516:666".parse::<Community>().unwrap().0.to_be_bytes());
    assert_eq!(hand.announcer().standing(M1).iter().map(|s| s.of).collect::<Vec<_>>(), [3, 2, 1]);
}

#[test]
fn internal_sessions_carry_local_preference_and_no_path() {
    let raw = Raw::listen(64500);
    let hand = hand(&peer("inside", "127.0.0.1", raw.port, 64500));
    hand.announce(M1, &[hole("198.51.100.1/32")], false).unwrap();
    wait("the route", || raw.keys().len() == 1);
    let state = raw.state();
    let attributes = state.rib.values().next().unwrap();
    assert_eq!((attributes[&2].as_slice(), attributes[&5].as_slice()), (&[][..], &[0, 0, 0, 100][..]));
}

#[test]
fn a_thousand_rules_in_and_out() {
    let raw = Raw::listen(64514);
    let hand = one(&raw);
    let many: Vec<Route> = (0..1000u16)
        .map(|i| {
            let mut route = ntp("198.51.100.8/32");
            if let suimon_bgp::route::Target::Flow(m) = &mut route.target {
                m.dst_ports = vec![suimon_base::PortRange::one(1000 + i)];
            }
            route
        })
        .collect();
    hand.announce(M1, &many, false).unwrap();
    wait("all of them", || raw.keys().len() == 1000);
    assert_eq!(raw.keys(), keys(&many));
    assert!(raw.state().updates < 20, "rules share messages");
    hand.release(M1).unwrap();
    wait("none", || raw.keys().is_empty());
}
