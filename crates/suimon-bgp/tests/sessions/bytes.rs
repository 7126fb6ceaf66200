//! Flowspec rules byte for byte as GoBGP and ExaBGP write them, and read back by both.

use crate::daemons::{Daemon, Kind};
use crate::raw::Raw;
use crate::setup::{hand, peer, wait};
use rand::SeedableRng as _;
use rand::{Rng, RngExt as _};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Match, MeasureId, PortRange};
use suimon_bgp::codec;
use suimon_bgp::route::{FlowAction, Route, RouteTarget, Target};

/// Rules compared with each program.
const RULES: usize = 240;
/// Every so many rules one has an NLRI of 240 octets and more.
const LONG_EVERY: usize = 12;

fn ports(rng: &mut impl Rng, n: usize) -> Vec<PortRange> {
    (0..n)
        .map(|_| {
            let lo = rng.random_range(1..60_000u16);
            PortRange { lo, hi: if rng.random_bool(0.5) { lo } else { lo + rng.random_range(1..5_000) } }
        })
        .collect()
}

fn rule(rng: &mut impl Rng, i: usize) -> Route {
    let v6 = i % 3 == 2;
    let a: u8 = rng.random();
    // The destination differs from rule to rule, so that no key comes twice.
    let dst =
        if v6 { format!("2001:db8:{i:x}::{a:x}/{}", rng.random_range(48..=128)) } else { format!("198.51.100.{i}/32") };
    let src = if v6 {
        format!("2001:db8:ffff::/{}", rng.random_range(33..=64))
    } else {
        format!("203.0.113.{a}/{}", rng.random_range(8..=32))
    };
    let net = |text: String| text.parse::<ipnet::IpNet>().unwrap().trunc();
    let proto = *[6u8, 17, 1, 47].get(rng.random_range(0..4usize)).unwrap();
    let mut m = Match { dst: vec![net(dst)], proto: Some(proto), ..Match::default() };
    if rng.random_bool(0.4) {
        m.src = vec![net(src)];
    }
    let many = i.is_multiple_of(LONG_EVERY);
    if proto == 6 || proto == 17 || many {
        m.proto = Some(if proto == 6 { 6 } else { 17 });
        m.dst_ports = if many { ports(rng, 60) } else { ports(rng, i % 4) };
        let n = rng.random_range(0..3);
        m.src_ports = ports(rng, n);
    } else if rng.random_bool(0.3) {
        m.fragment = Some(FragmentMatch::Later);
    }
    if m.proto == Some(6) && rng.random_bool(0.6) {
        let mask = rng.random_range(1..=255u8);
        m.tcp_flags = Some(TcpFlags { mask, value: mask & rng.random::<u8>() });
    }
    if rng.random_bool(0.3) {
        let lo = rng.random_range(20..1_000u16);
        m.lengths = vec![PortRange { lo, hi: lo + rng.random_range(0..500) }];
    }
    let action = match i % 6 {
        // ExaBGP takes no rate under 9,600 octets a second.
        1 => FlowAction::RateBytes((9_600 + rng.random_range(0..1_000_000u32)) as f32),
        2 => FlowAction::RedirectVrf(RouteTarget::As2(64500, 7)),
        3 => FlowAction::Mark(rng.random_range(0..64)),
        4 => FlowAction::Sample,
        _ => FlowAction::Discard,
    };
    Route::flow(m, vec![action])
}

fn rules(seed: u64) -> Vec<Route> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..RULES).map(|i| rule(&mut rng, i)).collect()
}

fn matches(route: &Route) -> &Match {
    let Target::Flow(m) = &route.target else { panic!() };
    m
}

fn is_v6(route: &Route) -> bool {
    matches(route).dst[0].addr().is_ipv6()
}

/// Whether the NLRI takes 240 octets and more.
fn long(route: &Route) -> bool {
    codec::key(&route.target).unwrap().nlri[0] >= 240
}

/// What is compared: NLRI and the octets of the extended communities.
fn ours(routes: &[Route]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    routes
        .iter()
        .map(|r| {
            let communities = codec::action_communities(&r.actions).0;
            (codec::key(&r.target).unwrap().nlri, communities.iter().flat_map(|c| c.to_be_bytes()).collect())
        })
        .collect()
}

/// The components as words, with `equal` before a lone number. GoBGP and ExaBGP differ in little.
fn words(m: &Match, equal: &str) -> Vec<(&'static str, Vec<String>)> {
    let numbers = |ranges: &[PortRange]| -> Vec<String> {
        let one =
            |r: &PortRange| if r.lo == r.hi { format!("{equal}{}", r.lo) } else { format!(">={}&<={}", r.lo, r.hi) };
        ranges.iter().map(one).collect()
    };
    let nets = |list: &[ipnet::IpNet]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        ("destination", nets(&m.dst)),
        ("source", nets(&m.src)),
        ("protocol", m.proto.iter().map(|p| format!("{equal}{p}")).collect()),
        ("destination-port", numbers(&m.dst_ports)),
        ("source-port", numbers(&m.src_ports)),
        ("packet-length", numbers(&m.lengths)),
        ("fragment", m.fragment.iter().map(|_| "is-fragment".to_owned()).collect()),
    ]
}

fn flag_word(t: TcpFlags, write: fn(u8) -> String) -> String {
    let set = (t.value != 0).then(|| format!("={}", write(t.value)));
    let unset = (t.mask & !t.value != 0).then(|| format!("!{}", write(t.mask & !t.value)));
    set.into_iter().chain(unset).collect::<Vec<_>>().join("&")
}

/// GoBGP's letters.
fn letters(bits: u8) -> String {
    "FSRPAUEC".chars().enumerate().filter(|(i, _)| bits & 1 << i != 0).map(|(_, c)| c).collect()
}

fn then(route: &Route) -> Vec<String> {
    let word = |w: &str, v: String| vec![w.to_owned(), v];
    match route.actions[0] {
        FlowAction::RateBytes(rate) => word("rate-limit", format!("{rate}")),
        FlowAction::RedirectVrf(target) => word("redirect", target.to_string()),
        FlowAction::Mark(dscp) => word("mark", dscp.to_string()),
        FlowAction::Sample => word("action", "sample".into()),
        _ => vec!["discard".into()],
    }
}

#[track_caller]
fn same(what: &str, theirs: &BTreeMap<Vec<u8>, Vec<u8>>, ours: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let hex = |b: &[u8]| b.iter().map(|x| format!("{x:02x}")).collect::<String>();
    for (nlri, communities) in ours {
        match theirs.get(nlri) {
            Some(c) => assert_eq!(hex(c), hex(communities), "{what}: communities of {}", hex(nlri)),
            None => {
                let dst: Vec<u8> = nlri.iter().take(9).copied().collect();
                let near: Vec<String> = theirs.keys().filter(|k| k.get(..7) == dst.get(..7)).map(|k| hex(k)).collect();
                panic!("{what}: ours {}\n       theirs {near:?}", hex(nlri));
            }
        }
    }
    assert_eq!(theirs.len(), ours.len(), "{what}");
}

fn seen(raw: &Raw) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let state = raw.state();
    state
        .rib
        .iter()
        .filter(|(k, _)| k.1 == 133)
        .map(|((_, _, nlri), attributes)| (nlri.clone(), attributes.get(&16).cloned().unwrap_or_default()))
        .collect()
}

#[test]
fn gobgp_writes_and_reads_the_same_octets() {
    let raw = Raw::listen(64515);
    let Some(daemon) = Daemon::start("bgp::bytes::gobgp", Kind::Gobgp, &[(raw.port, 64515)]) else { return };
    wait("GoBGP's session with the raw peer", || raw.state().sessions > 0);
    let routes = rules(8955);
    // GoBGP 3.10 writes the length of a long NLRI over its first component (seen on the wire: 00 00 00 ee c0 00 02 for
    // f0 ee 01 20 c0 00 02); ExaBGP and BIRD stand for these.
    let routes: Vec<Route> = routes.into_iter().filter(|r| !long(r)).collect();
    let ours = ours(&routes);
    assert!(ours.len() >= 200, "{}", ours.len());

    // GoBGP's encoder: its own text to octets.
    for route in &routes {
        let family = if is_v6(route) { "ipv6-flowspec" } else { "ipv4-flowspec" };
        let m = matches(route);
        let mut args: Vec<String> = ["global", "rib", "add", "-a", family, "match"].map(Into::into).to_vec();
        let mut list = words(m, "==");
        list.insert(5, ("tcp-flags", m.tcp_flags.iter().map(|t| flag_word(*t, letters)).collect()));
        for (name, values) in list.into_iter().filter(|(_, v)| !v.is_empty()) {
            args.push(name.into());
            args.extend(values);
        }
        args.push("then".into());
        args.extend(then(route));
        let refs: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = daemon.gobgp(&refs);
        assert!(said.trim().is_empty(), "gobgp {args:?}: {said}");
    }
    wait("all of GoBGP's own", || seen(&raw).len() == ours.len());
    same("GoBGP's encoder", &seen(&raw), &ours);
    for family in ["ipv4-flowspec", "ipv6-flowspec"] {
        daemon.gobgp(&["global", "rib", "del", "all", "-a", family]);
    }
    wait("none left", || seen(&raw).is_empty());

    // GoBGP's decoder: our octets through its tables to the raw peer.
    let hand = hand(&peer("gobgp", daemon.address, daemon.port, daemon.asn));
    hand.announce(MeasureId(1), &routes, false).unwrap();
    wait("all of ours through GoBGP", || seen(&raw).len() == ours.len());
    same("through GoBGP's decoder", &seen(&raw), &ours);
}

/// ExaBGP is a Python program of the system's Python.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn exabgp_writes_and_reads_the_same_octets() {
    let test = "bgp::bytes::exabgp";
    if !suimon_testkit::program_or_skip(test, "exabgp") {
        return;
    }
    let routes = rules(8956);
    let mut asks = String::new();
    for route in &routes {
        let m = matches(route);
        let mut list = words(m, "=");
        list.insert(5, ("tcp-flags", m.tcp_flags.iter().map(|t| flag_word(*t, |bits| bits.to_string())).collect()));
        let list: Vec<(&str, String)> = list
            .into_iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(name, v)| (name, if v.len() > 1 { format!("[ {} ]", v.join(" ")) } else { v[0].clone() }))
            .collect();
        let nlri: String = codec::key(&route.target).unwrap().nlri.iter().map(|b| format!("{b:02x}")).collect();
        let ask = serde_json::json!({"v6": is_v6(route), "words": list, "then": then(route), "nlri": nlri});
        asks += &format!("{ask}\n");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sessions/exabgp_codec.py");
    let mut child = Command::new(PYTHON)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the system's Python starts");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(asks.as_bytes()));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success());
    let answers: Vec<serde_json::Value> =
        String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(answers.len(), routes.len());
    let mut decoded = 0;
    for (route, answer) in routes.iter().zip(&answers) {
        let nlri = codec::key(&route.target).unwrap().nlri;
        let hex: String = nlri.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(answer["encoded"], hex, "ExaBGP's encoder: {}", route.target);
        let communities: String =
            codec::action_communities(&route.actions).0.iter().map(|c| format!("{c:016x}")).collect();
        assert_eq!(answer["communities"], communities, "{:?}", route.actions);
        // ExaBGP 4.2 shifts the length of an NLRI of 240 octets and more by 16 instead of 8 bits and reads none of 256 up.
        if nlri[0] < 240 {
            assert_eq!(answer["again"], hex, "through ExaBGP's decoder: {}", route.target);
            decoded += 1;
        }
    }
    assert!(decoded >= 200, "{decoded}");
}

#[test]
fn bird_reads_long_rules() {
    let Some(daemon) = Daemon::start("bgp::bytes::bird", Kind::Bird, &[]) else { return };
    let routes: Vec<Route> = rules(8957).into_iter().filter(long).collect();
    assert_eq!(routes.len(), RULES / LONG_EVERY, "some longer than 255 octets, all than 240");
    let hand = hand(&peer("bird", daemon.address, daemon.port, daemon.asn));
    hand.announce(MeasureId(1), &routes, false).unwrap();
    wait("all of them in BIRD", || daemon.routes().matches(" { dst ").count() == routes.len());
    let text = daemon.routes();
    for route in &routes {
        // BIRD shows the beginning of a long list.
        let first = matches(route).dst_ports.first().unwrap();
        let ports = if first.lo == first.hi { first.lo.to_string() } else { format!("{}..{}", first.lo, first.hi) };
        let word = format!("dport {ports},");
        assert!(text.contains(&word), "{}\n{text}", route.target);
    }
}
