//! What real routers tell over BMP: FRR and GoBGP.

use crate::daemons::{CUSTOMER, CUSTOMER_AS, Daemon, Kind};
use crate::gobgp::Exit;
use crate::setup::{clock, config_text, four, hole, peer, wait};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use suimon_base::MeasureId;
use suimon_bgp::config::BgpConfig;
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::{Acceptance, BgpHand};
use suimon_spine::ports::Hand as _;

const M1: MeasureId = MeasureId(1);
const M2: MeasureId = MeasureId(2);

fn bmp(router: &str, port: u16, from: &str) -> String {
    format!("[bmp]\nlisten = [\"127.0.0.1:{port}\"]\n[[bmp.router]]\nname = \"{router}\"\naddress = \"{from}\"\n")
}

fn start(daemon: &Daemon, name: &str, port: u16) -> BgpHand {
    let peers = peer(name, daemon.address, daemon.port, daemon.asn);
    let text = config_text(&format!("{peers}{}", bmp(name, port, "127.0.0.1")));
    let text = text.replace("[guard]\n", &format!("[guard]\ndirect-customers = [{CUSTOMER_AS}]\n"));
    let config: BgpConfig = toml::from_str(&text).unwrap();
    BgpHand::start(&config, Cone::default(), clock()).unwrap()
}

fn state(hand: &BgpHand, peer: &str, target: &str) -> Option<Acceptance> {
    hand.accepted(peer).into_iter().find(|r| r.target.contains(target)).map(|r| r.state)
}

fn accepted(hand: &BgpHand, peer: &str, target: &str) -> bool {
    matches!(state(hand, peer, target), Some(Acceptance::Accepted { .. }))
}

#[test]
fn frr_tells_what_its_policy_took_and_who_is_behind_a_customer() {
    let test = "bgp::bmp-frr";
    let port = suimon_testkit::free_tcp_port();
    let Some(frr) = Daemon::start_with(test, Kind::Frr, &[], Some(port)) else { return };
    let hand = start(&frr, "edge1", port);
    assert!(matches!(hand.accepted("edge1")[..], []));
    let mut routes = four();
    routes.push(hole("198.51.100.66/32"));
    hand.announce(M1, &routes, false).unwrap();
    assert!(hand.accepted("somebody").iter().all(|r| matches!(r.state, Acceptance::Unknown { since: None, .. })));
    for target in ["198.51.100.7/32", "2001:db8::7/128"] {
        wait(target, || accepted(&hand, "edge1", target));
    }
    // FRR 8.4 sends no pre-policy update of a route that its policy refused, so the reason stays open.
    wait("the refused one", || {
        matches!(state(&hand, "edge1", "198.51.100.66/32"), Some(Acceptance::NotAccepted { .. }))
    });
    // FRR tells nothing of Flowspec, and then nothing is known.
    let flow = state(&hand, "edge1", "198.51.100.8/32");
    assert!(
        matches!(flow, Some(Acceptance::Unknown { why, .. }) if why.contains("nothing of this family")),
        "{flow:?}"
    );
    let table = hand.accepted("edge1");
    assert!(table.iter().all(|r| r.measures == [M1]) && table.len() == 5, "{table:?}");
    let status = hand.bmp().unwrap().routers().remove(0);
    assert!(status.connected.is_ok() && status.routes >= 3 && status.counts.unreadable == 0, "{status:?}");

    // Two steps below the operator, heard of from the router alone: a measure on it needs that AS's consent.
    assert!(!hand.dry_run(M2, &[hole("198.51.100.70/32")], false).text().contains("refused"));
    let peers = [(frr.address, frr.port, frr.asn, "")];
    let Some(customer) = Exit::start_as(test, CUSTOMER_AS, CUSTOMER, &peers, &[]) else { return };
    customer.ask(&[
        "global",
        "rib",
        "add",
        "-a",
        "ipv4",
        "198.51.100.64/26",
        "nexthop",
        "192.0.2.254",
        "aspath",
        "64777",
    ]);
    let refused = || hand.dry_run(M2, &[hole("198.51.100.70/32")], false).text();
    wait("the subordinate AS", || refused().contains("64777"));
    assert!(refused().contains("2 steps below, 孫AS"), "{}", refused());
    assert!(hand.announce(M2, &[hole("198.51.100.70/32")], true).unwrap_err().0.contains("consent is not on record"));
    customer.ask(&[
        "global",
        "rib",
        "del",
        "-a",
        "ipv4",
        "198.51.100.64/26",
        "nexthop",
        "192.0.2.254",
        "aspath",
        "64777",
    ]);
    wait("it is gone", || !refused().contains("refused"));

    hand.release(M1).unwrap();
    wait("nothing is wanted", || hand.accepted("edge1").is_empty());
    hand.announce(M1, &routes, false).unwrap();
    wait("again", || accepted(&hand, "edge1", "198.51.100.7/32"));
    drop(frr);
    wait("the router is gone", || {
        let s = state(&hand, "edge1", "198.51.100.7/32");
        matches!(s, Some(Acceptance::Unknown { since: Some(_), why }) if why.contains("not connected"))
    });
}

#[test]
fn gobgp_tells_of_flowspec_and_of_its_own_table() {
    let port = suimon_testkit::free_tcp_port();
    let Some(gobgp) = Daemon::start_with("bgp::bmp-gobgp", Kind::Gobgp, &[], Some(port)) else { return };
    let hand = start(&gobgp, "exit", port);
    hand.announce(M1, &four(), false).unwrap();
    for target in ["198.51.100.7/32", "2001:db8::7/128", "198.51.100.8/32", "2001:db8::8/128"] {
        wait(target, || accepted(&hand, "exit", target));
    }
    wait("its own table", || {
        matches!(state(&hand, "exit", "198.51.100.7/32"), Some(Acceptance::Accepted { used: Some(true), .. }))
    });
    hand.announce(M1, &four()[..2], false).unwrap();
    assert!(hand.accepted("exit").len() == 2);
    gobgp.reset();
    wait("after a flap", || accepted(&hand, "exit", "198.51.100.7/32"));
    let status = hand.bmp().unwrap().routers().remove(0);
    assert_eq!((status.counts.unreadable, status.counts.overflowed), (0, 0), "{status:?}");
}

#[test]
fn strangers_and_rubbish_are_told_apart() {
    let port = suimon_testkit::free_tcp_port();
    let peers = peer("edge1", "127.0.0.3", 1, 64514);
    let config = |from: &str| toml::from_str(&config_text(&format!("{peers}{}", bmp("edge1", port, from)))).unwrap();
    let at: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let hand = BgpHand::start(&config("192.0.2.1"), Cone::default(), clock()).unwrap();
    let _stranger = TcpStream::connect(at).unwrap();
    wait("a stranger is refused", || hand.bmp().unwrap().refused() == 1);
    assert_eq!(hand.bmp().unwrap().routers()[0].sessions, 0);
    drop(hand);
    wait("the port is free", || std::net::TcpListener::bind(at).is_ok());
    let hand = BgpHand::start(&config("127.0.0.1"), Cone::default(), clock()).unwrap();
    for (octets, word) in [
        (&b"GET / HTTP/1.0\r\n"[..], "version"),
        (&[3, 0xff, 0, 0, 0, 0], "longer"),
        (&[3, 0, 0, 0, 8, 0, 1, 1], "too early"),
    ] {
        let mut link = TcpStream::connect(at).unwrap();
        link.write_all(octets).unwrap();
        wait(word, || hand.bmp().unwrap().routers()[0].note.contains(word));
        assert!(hand.bmp().unwrap().routers()[0].connected.is_err());
    }
}
