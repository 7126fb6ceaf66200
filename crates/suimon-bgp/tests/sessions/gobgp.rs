//! The driver for GoBGP: into a real gobgpd over gRPC, and from there to BIRD and FRR behind it.

use crate::daemons::{Daemon, Kind};
use crate::setup::{SOURCE, clock, four, hole, ntp, wait};
use std::process::{Command, Stdio};
use std::time::Duration;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Match, MeasureId, PortRange};
use suimon_bgp::config::BgpConfig;
use suimon_bgp::gobgp::api::Tls;
use suimon_bgp::hand::{BgpHand, Files};
use suimon_bgp::route::{FlowAction, Route, RouteTarget};
use suimon_spine::ports::{Hand as _, HandReport};
use suimon_testkit::KilledOnDrop;

const M1: MeasureId = MeasureId(1);
const M2: MeasureId = MeasureId(2);

/// A gobgpd whose neighbours are given as address, port, AS number and password.
pub struct Exit {
    pub api: u16,
    folder: tempfile::TempDir,
    more: Vec<String>,
    process: Option<KilledOnDrop>,
}

impl Exit {
    pub fn start(test: &str, neighbours: &[(&str, u16, u32, &str)], more: &[&str]) -> Option<Exit> {
        Self::start_as(test, 64500, SOURCE, neighbours, more)
    }

    pub fn start_as(
        test: &str,
        asn: u32,
        source: &str,
        neighbours: &[(&str, u16, u32, &str)],
        more: &[&str],
    ) -> Option<Exit> {
        if !suimon_testkit::program_or_skip(test, "gobgpd") || !suimon_testkit::program_or_skip(test, "gobgp") {
            return None;
        }
        let families = ["ipv4-unicast", "ipv6-unicast", "ipv4-flowspec", "ipv6-flowspec"];
        let families: String = families
            .iter()
            .map(|f| format!("[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{f}\"\n"))
            .collect();
        let id = if source == SOURCE { "192.0.2.10".to_owned() } else { source.replace("127.0.0", "192.0.2") };
        let mut text = format!("[global.config]\nas = {asn}\nrouter-id = \"{id}\"\nport = -1\n");
        for (address, port, asn, password) in neighbours {
            text += &format!(
                "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\npeer-as = {asn}\n\
                 auth-password = \"{password}\"\n[neighbors.timers.config]\nconnect-retry = 1\n\
                 idle-hold-time-after-reset = 1\n[neighbors.transport.config]\nremote-port = {port}\n\
                 local-address = \"{source}\"\n[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = 5\n{families}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("conf"), text).unwrap();
        let more = more.iter().map(|s| (*s).to_owned()).collect();
        let mut exit = Exit { api: suimon_testkit::free_tcp_port(), folder, more, process: None };
        exit.run();
        Some(exit)
    }

    pub fn run(&mut self) {
        let mut command = Command::new("gobgpd");
        command.arg("-f").arg(self.folder.path().join("conf"));
        command.args(["--api-hosts", &format!("127.0.0.1:{}", self.api)]).args(&self.more);
        self.process = Some(suimon_testkit::start_quietly(&mut command).unwrap());
        if self.more.is_empty() {
            wait("gobgpd answers", || self.ask(&["neighbor"]).contains("AS"));
        }
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn ask(&self, args: &[&str]) -> String {
        let mut command = Command::new("gobgp");
        let out = command.args(["-p", &self.api.to_string()]).args(args).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    }

    pub fn rib(&self) -> String {
        ["ipv4", "ipv6", "ipv4-flowspec", "ipv6-flowspec"]
            .iter()
            .map(|f| self.ask(&["global", "rib", "-a", f]))
            .collect()
    }
}

fn config(api: u16, more: &str) -> BgpConfig {
    let text = format!(
        "local-as = 64500\nrouter-id = \"192.0.2.10\"\nwait-ms = 8000\nstart-wait-ms = 15000\ndriver = \"gobgp\"\n[gobgp]\n\
         address = \"127.0.0.1:{api}\"\nmark = 7\nroles = [\"rtbh\", \"flowspec\"]\nnext-hop-v4 = \"192.0.2.254\"\n\
         next-hop-v6 = \"2001:db8:ffff::1\"\nmax-routes = 5000\ncheck-s = 1\nlarge-communities = [\"64500:1:2\"]\n{more}\n\
         [guard]\nown = [\"198.51.100.0/24\", \"2001:db8::/32\"]\nmax-routes = 5000\nredirect-targets = [\"64500:7\"]\n\
         redirect-next-hops = [\"192.0.2.99\", \"2001:db8::99\"]\n"
    );
    toml::from_str(&text).unwrap()
}

fn hand(api: u16, more: &str) -> BgpHand {
    BgpHand::start_with(&config(api, more), Files::default(), clock()).unwrap()
}

#[track_caller]
fn there(daemon: &Daemon, what: &str) {
    let mut seen = [false; 4];
    for _ in 0..150 {
        seen = daemon.has();
        if seen == [true; 4] {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}: {seen:?}\n{}", daemon.routes());
}

#[test]
fn routes_reach_bird_and_frr_behind_gobgp_and_outlive_its_restart() {
    let test = "bgp::gobgp-driver";
    let Some(bird) = Daemon::start(test, Kind::Bird, &[]) else { return };
    let Some(frr) = Daemon::start(test, Kind::Frr, &[]) else { return };
    let peers = [(bird.address, bird.port, bird.asn, ""), (frr.address, frr.port, frr.asn, "")];
    let Some(mut gobgp) = Exit::start(test, &peers, &[]) else { return };
    let hand = hand(gobgp.api, "");
    wait("gobgp's neighbours", || hand.announcer().peers().iter().filter(|p| p.state == "established").count() == 3);
    let done = hand.announce(M1, &four(), false).unwrap();
    assert!(matches!(&done, HandReport::Done { receipt, .. } if receipt.contains("gobgp 4/4")), "{done:?}");
    there(&bird, "at BIRD");
    there(&frr, "at FRR");
    assert!(gobgp.rib().contains("64500:7:1"), "the mark: {}", gobgp.rib());
    // The same again changes nothing, and another measure has its own.
    hand.announce(M1, &four(), false).unwrap();
    hand.announce(M2, &[hole("198.51.100.7/32"), hole("198.51.100.9/32")], false).unwrap();
    assert!(gobgp.rib().contains("64500:7:1, 64500:7:2"), "{}", gobgp.rib());

    gobgp.kill();
    wait("the loss is seen", || !hand.announcer().standing(M1)[0].up);
    let error = hand.release(M2).unwrap_err();
    assert!(error.0.contains("does not answer and may still announce"), "{error}");
    gobgp.run();
    wait("all is there again", || hand.announcer().coverage(M1) == (4, 4));
    there(&bird, "at BIRD after the restart");
    there(&frr, "at FRR after the restart");
    assert!(matches!(hand.release(M2), Ok(HandReport::Done { .. })));
    assert!(!gobgp.rib().contains("198.51.100.9/32"), "a release asked for meanwhile holds");

    hand.release(M1).unwrap();
    wait("gone behind GoBGP", || bird.has() == [false; 4] && frr.has() == [false; 4]);
    assert!(!gobgp.rib().contains("64500:7:"), "{}", gobgp.rib());
    hand.announce(M1, &four(), false).unwrap();
    drop(hand);
    assert!(!gobgp.rib().contains("64500:7:"), "an orderly stop withdraws: {}", gobgp.rib());
}

#[test]
fn what_a_crash_left_is_found_and_released_or_taken_over() {
    let test = "bgp::gobgp-crash";
    let Some(bird) = Daemon::start(test, Kind::Bird, &[]) else { return };
    let Some(gobgp) = Exit::start(test, &[(bird.address, bird.port, bird.asn, "")], &[]) else { return };
    // What somebody put in by hand, what a neighbour might send, and what a Suimon that was killed left.
    let put = |args: &str| {
        let words: Vec<&str> = ["global", "rib", "add"].into_iter().chain(args.split(' ')).collect();
        let said = gobgp.ask(&words);
        assert!(said.is_empty(), "{args}: {said}");
    };
    put("-a ipv4 198.51.100.66/32 nexthop 192.0.2.254 community 65535:666");
    put("-a ipv4 198.51.100.41/32 nexthop 192.0.2.254 community 65535:666 large-community 64500:7:41");
    put("-a ipv4 198.51.100.42/32 nexthop 192.0.2.254 community 65535:666 large-community 64500:7:42");
    put("-a ipv4-flowspec match destination 198.51.100.43/32 then discard large-community 64500:7:42");
    let hand = hand(gobgp.api, "");
    assert!(hand.apply_again());
    assert_eq!(hand.in_force().unwrap().unwrap(), [MeasureId(41), MeasureId(42)]);
    hand.release(MeasureId(41)).unwrap();
    let rib = gobgp.rib();
    assert!(!rib.contains("198.51.100.41/32") && rib.contains("198.51.100.42/32"), "{rib}");
    // Taken over with other routes than were left: what is not wanted any more goes.
    wait("a neighbour is up", || {
        hand.announcer().peers().iter().any(|p| p.peer.contains("neighbour") && p.state == "established")
    });
    hand.announce(MeasureId(42), &[hole("198.51.100.42/32")], false).unwrap();
    let rib = gobgp.rib();
    assert!(rib.contains("198.51.100.42/32") && !rib.contains("198.51.100.43/32"), "{rib}");
    // Other people's routes are left alone, and never replaced.
    let error = hand.announce(M1, &[hole("198.51.100.66/32")], false).unwrap_err();
    assert!(error.0.contains("from other hands"), "{error}");
    drop(hand);
    assert!(gobgp.rib().contains("198.51.100.66/32"));
    assert!(!gobgp.rib().contains("198.51.100.42/32"));
}

/// Every kind of match and action that is emitted.
fn every_kind() -> Vec<Route> {
    let to = |t: &str| Match { dst: vec![t.parse().unwrap()], ..Match::default() };
    let mut out = Vec::new();
    for (n, base) in ["198.51.100.", "2001:db8::"].into_iter().enumerate() {
        let host = |i: u32| to(&format!("{base}{i}/{}", if n == 0 { 32 } else { 128 }));
        let src = if n == 0 { "203.0.113.0/24" } else { "2001:db8:77::/48" };
        let one = PortRange::one;
        let matches = [
            Match { src: vec![src.parse().unwrap()], ..host(1) },
            Match { proto: Some(17), src_ports: vec![one(53), PortRange { lo: 100, hi: 200 }], ..host(2) },
            Match {
                proto: Some(6),
                dst_ports: vec![one(443)],
                tcp_flags: Some(TcpFlags { mask: 18, value: 2 }),
                ..host(3)
            },
            Match { proto: Some(17), lengths: vec![PortRange { lo: 1000, hi: 1500 }], ..host(4) },
            Match { fragment: Some(FragmentMatch::Later), ..host(5) },
            Match { proto: Some(if n == 0 { 1 } else { 58 }), ..host(6) },
        ];
        out.extend(matches.into_iter().map(|m| Route::flow(m, vec![FlowAction::Discard])));
        let next_hop = if n == 0 { "192.0.2.99" } else { "2001:db8::99" };
        let actions = [
            FlowAction::RateBytes(125_000.0),
            FlowAction::RatePackets(1000.0),
            FlowAction::RedirectVrf(RouteTarget::As2(64500, 7)),
            FlowAction::RedirectIp { to: next_hop.parse().unwrap(), copy: false },
            FlowAction::Mark(10),
            FlowAction::Sample,
        ];
        out.extend(
            actions.into_iter().zip(20..).map(|(a, i)| Route::flow(Match { proto: Some(17), ..host(i) }, vec![a])),
        );
    }
    out
}

#[test]
fn every_kind_of_rule_is_taken_with_the_octets_that_were_sent() {
    let test = "bgp::gobgp-kinds";
    let Some(bird) = Daemon::start(test, Kind::Bird, &[]) else { return };
    let Some(gobgp) = Exit::start(test, &[(bird.address, bird.port, bird.asn, "")], &[]) else { return };
    let hand = hand(gobgp.api, "");
    let routes = every_kind();
    hand.announce(M1, &routes, false).unwrap_or_else(|e| panic!("{e}\n{}", gobgp.rib()));
    assert_eq!(hand.announcer().coverage(M1), (routes.len(), routes.len()));
    let rib = gobgp.rib();
    for word in
        ["rate: 125000", "redirect: 64500:7", "remark: 10", "sample", "is-fragment", "tcp-flags", "packet-length"]
    {
        assert!(rib.contains(word), "{word}\n{rib}");
    }
    wait("all of it at BIRD", || {
        let text = bird.routes();
        text.matches("flow4 {").count() == routes.len() / 2 && text.matches("flow6 {").count() == routes.len() / 2
    });
    // What GoBGP would write wrong is not given to it.
    let sources = |n: u16| Match {
        proto: Some(17),
        src_ports: (0..n).map(|i| PortRange::one(1000 + 7 * i)).collect(),
        ..Match::default()
    };
    let long = Match { dst: vec!["198.51.100.8/32".parse().unwrap()], ..sources(100) };
    let error = hand.announce(M2, &[Route::flow(long, vec![FlowAction::Discard])], false).unwrap_err();
    assert!(error.0.contains("240 octets"), "{error}");
    // A default route is stopped by the guard as ever, and what is for the own edge only is not GoBGP's to keep there.
    for text in ["0.0.0.0/0", "::/0"] {
        assert!(hand.announce(M2, &[ntp(text)], true).unwrap_err().0.contains("guard rails refuse"));
    }
    let mut edge = hole("198.51.100.1/32");
    edge.scope = suimon_bgp::route::Scope::EdgeOnly;
    assert!(hand.announce(M2, &[edge], false).unwrap_err().0.contains("edge"));
}

#[test]
fn nobody_takes_it_or_nobody_is_there() {
    let Some(gobgp) = Exit::start("bgp::gobgp-alone", &[("127.0.0.2", 1, 64513, "")], &[]) else { return };
    let mut alone = config(gobgp.api, "");
    (alone.wait_ms, alone.start_wait_ms) = (300, 300);
    let hand = BgpHand::start_with(&alone, Files::default(), clock()).unwrap();
    let error = hand.announce(M1, &four(), false).unwrap_err();
    assert!(error.0.contains("no peer has 4 of 4"), "{error}");
    wait("nothing is left", || !gobgp.rib().contains("64500:7:1"));
    let mut nowhere = config(suimon_testkit::free_tcp_port(), "");
    (nowhere.wait_ms, nowhere.start_wait_ms) = (200, 200);
    let hand = BgpHand::start_with(&nowhere, Files::default(), clock()).unwrap();
    assert!(hand.announce(M1, &four(), false).is_err());
    assert!(hand.release(M1).unwrap_err().0.contains("does not answer"));
}

#[test]
fn over_tls_only_with_the_right_authority() {
    let test = "bgp::gobgp-tls";
    if !suimon_testkit::program_or_skip(test, "openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for name in ["right", "wrong"] {
        let (key, cert) = (file(&format!("{name}.key")), file(name));
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]);
        command.args(["-subj", "/CN=gobgp.example", "-addext", "subjectAltName=DNS:gobgp.example"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &cert]);
        assert!(command.stderr(Stdio::null()).status().unwrap().success());
    }
    let args = ["--tls", "--tls-cert-file", &file("right"), "--tls-key-file", &file("right.key")];
    let Some(gobgp) = Exit::start(test, &[("127.0.0.2", 1, 64513, "")], &args) else { return };
    let start = |name: &str| {
        let tls = Some(Tls { ca: std::fs::read(file(name)).unwrap(), identity: None });
        let config = config(gobgp.api, "tls-ca-file = \"x\"\ntls-name = \"gobgp.example\"");
        BgpHand::start_with(&config, Files { tls, ..Files::default() }, clock()).unwrap()
    };
    let right = start("right");
    wait("an encrypted connection", || right.announcer().peers()[0].state == "established");
    let wrong = start("wrong");
    wait("a refusal", || wrong.announcer().peers()[0].note.to_lowercase().contains("certificate"));
    assert_eq!(wrong.announcer().peers()[0].established, 0);
}
