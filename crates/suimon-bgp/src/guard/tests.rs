//! Attempts to get past the guard rails, one test for each.

use super::cone::Cone;
use super::mrt::tests::record;
use super::{Ask, Guard, PeerCap, Refusal, Report};
use crate::config::{ConsentConfig, CustomerConfig, GuardConfig, ProtectConfig, Side};
use crate::route::{Family, FlowAction, Route, RouteTarget, Scope};
use std::sync::Arc;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Asn, Match, PortRange, Timestamp};

fn net(text: &str) -> ipnet::IpNet {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn config() -> GuardConfig {
    let protect = |what: &str, prefix: &str, side, protocol, ports: &[u16]| ProtectConfig {
        what: what.into(),
        prefixes: vec![net(prefix)],
        side,
        protocol,
        ports: ports.to_vec(),
    };
    GuardConfig {
        own: vec![net("192.0.2.0/24"), net("2001:db8::/32")],
        customers: vec![
            CustomerConfig {
                name: "customer A".into(),
                prefixes: vec![net("198.51.100.0/24"), net("2001:db8:a::/48")],
                asn: Some(64501),
                max_routes: 3,
            },
            CustomerConfig {
                name: "customer B".into(),
                prefixes: vec![net("203.0.113.0/24")],
                asn: None,
                max_routes: 100,
            },
        ],
        protected: vec![
            protect("router loopbacks", "192.0.2.0/28", Side::Destination, None, &[]),
            protect("management", "192.0.2.240/28", Side::Destination, None, &[]),
            protect("the customer's DNS server", "203.0.113.53/32", Side::Destination, Some(17), &[53]),
            protect("the customer's resolver", "192.0.2.53/32", Side::Source, Some(17), &[53]),
            protect("重要通信", "2001:db8:110::/48", Side::Destination, None, &[]),
        ],
        max_routes: 10,
        emergency_reserve: 4,
        redirect_next_hops: vec!["192.0.2.99".parse().unwrap()],
        redirect_targets: vec![RouteTarget::As2(64500, 666)],
        consents: vec![ConsentConfig {
            asn: 64502,
            prefixes: vec![net("198.51.100.0/26")],
            reference: "C-7".into(),
            until: "2026-06-01T00:00:00Z".into(),
        }],
        ..GuardConfig::default()
    }
}

fn guard_with(cone: Cone) -> Guard {
    let peer =
        |name: &str, max_routes, edge| PeerCap { name: name.into(), max_routes, edge, families: Family::ALL.to_vec() };
    Guard::new(&config(), Asn(64500), cone, vec![peer("edge", 8, true), peer("upstream", 5, false)])
}

fn report(routes: &[Route]) -> Report {
    report_of(&guard_with(Cone::default()), routes, &[], false)
}

fn report_of(guard: &Guard, routes: &[Route], others: &[Arc<Route>], emergency: bool) -> Report {
    guard.report(&Ask { routes, others, emergency, now: at("2026-05-01T00:00:00Z") })
}

fn hole(text: &str) -> Route {
    Route::black_hole(net(text))
}

/// NTP's answers to `dst`: a reflection that touches no DNS.
fn ntp(dst: &str) -> Match {
    Match { dst: vec![net(dst)], proto: Some(17), src_ports: vec![PortRange::one(123)], ..Match::default() }
}

fn flow(m: Match) -> Route {
    Route::flow(m, vec![FlowAction::Discard])
}

#[track_caller]
fn passes(route: Route) {
    let r = report(std::slice::from_ref(&route));
    assert!(r.refusals.is_empty(), "{route:?}: {:?}", r.refusals);
}

#[track_caller]
fn refused(route: Route, why: fn(&Refusal) -> bool) {
    let r = report(std::slice::from_ref(&route));
    assert!(r.refusals.iter().any(why), "{route:?}: {:?}", r.refusals);
    let guard = guard_with(Cone::default());
    let ask = Ask { routes: &[route], others: &[], emergency: true, now: at("2026-05-01T00:00:00Z") };
    assert!(guard.check(&ask).is_err(), "an emergency opens no rail");
}

#[test]
fn what_is_in_order_passes() {
    passes(hole("198.51.100.7/32"));
    passes(hole("2001:db8:a::7/128"));
    passes(flow(ntp("198.51.100.0/24")));
    passes(flow(ntp("2001:db8:a::/48")));
    passes(flow(Match { src_ports: vec![PortRange::one(19)], ..ntp("198.51.100.7/32") }));
    passes(flow(Match { dst: vec![net("198.51.100.7/32")], ..Match::default() }));
    assert_eq!(report(&[]).refusals, [Refusal::Nothing]);
}

#[test]
fn default_and_short_prefixes() {
    for text in [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "198.0.0.0/8",
        "198.51.100.0/24",
        "198.51.100.6/31",
        "2001:db8:a::/48",
        "2001:db8:a::/127",
        "::/1",
    ] {
        refused(hole(text), |r| matches!(r, Refusal::Short(..)));
    }
    for text in ["0.0.0.0/0", "::/0", "198.51.0.0/16", "198.51.100.0/23", "2001:db8::/32", "2001:db8:a::/47"] {
        refused(flow(ntp(text)), |r| matches!(r, Refusal::Short(..)));
    }
    // Host bits do not hide a short prefix.
    let mut sly = hole("198.51.100.7/32");
    sly.target = crate::route::Target::Prefix(net("198.51.100.7/0"));
    refused(sly, |r| matches!(r, Refusal::Short(..)));
}

#[test]
fn a_configuration_that_allows_everything_still_allows_no_default() {
    let all = GuardConfig {
        own: vec![net("0.0.0.0/0"), net("::/0")],
        rtbh_min_v4: 0,
        rtbh_min_v6: 0,
        flowspec_min_v4: 0,
        flowspec_min_v6: 0,
        ..GuardConfig::default()
    };
    let guard = Guard::new(&all, Asn(64500), Cone::default(), vec![]);
    for text in ["0.0.0.0/0", "::/0"] {
        for route in [hole(text), flow(ntp(text))] {
            assert!(report_of(&guard, &[route], &[], true).refusals.iter().any(|r| matches!(r, Refusal::Short(..))));
        }
    }
}

#[test]
fn empty_and_destinationless_matches() {
    refused(flow(Match::default()), |r| matches!(r, Refusal::NoDestination(_)));
    refused(flow(Match::default()), |r| matches!(r, Refusal::Malformed(_, why) if why.contains("empty match")));
    refused(flow(Match { proto: Some(17), ..Match::default() }), |r| matches!(r, Refusal::NoDestination(_)));
    refused(flow(Match { src: vec![net("203.0.113.7/32")], ..Match::default() }), |r| {
        matches!(r, Refusal::NoDestination(_))
    });
    // A destination alone is a black hole by another name, with conditions that say nothing too.
    let wide = |m: Match| flow(Match { dst: vec![net("198.51.100.0/24")], ..m });
    refused(wide(Match::default()), |r| matches!(r, Refusal::Short(_, 32)));
    refused(wide(Match { src: vec![net("0.0.0.0/0")], ..Match::default() }), |r| matches!(r, Refusal::Short(_, 32)));
    for lengths in [PortRange { lo: 20, hi: 65535 }, PortRange { lo: 0, hi: 65535 }] {
        refused(wide(Match { lengths: vec![lengths], ..Match::default() }), |r| matches!(r, Refusal::Short(_, 32)));
    }
}

#[test]
fn space_of_others() {
    refused(hole("10.0.0.1/32"), |r| matches!(r, Refusal::NotRegistered(..)));
    refused(hole("2001:db9::1/128"), |r| matches!(r, Refusal::NotRegistered(..)));
    // Wider than what is registered, by one bit.
    refused(flow(Match { dst: vec![net("203.0.112.0/23")], proto: Some(17), ..Match::default() }), |r| {
        matches!(r, Refusal::NotRegistered(..))
    });
}

#[test]
fn lengths_ports_flags_and_fragments() {
    let m = || ntp("198.51.100.7/32");
    let malformed: fn(&Refusal) -> bool = |r| matches!(r, Refusal::Malformed(..));
    for (lo, hi) in [(0, 65535), (0, 19), (19, 100), (100, 20)] {
        refused(flow(Match { lengths: vec![PortRange { lo, hi }], ..m() }), malformed);
    }
    passes(flow(Match { lengths: vec![PortRange { lo: 20, hi: 65535 }], ..m() }));
    for proto in [None, Some(1), Some(47), Some(58), Some(132)] {
        refused(flow(Match { proto, dst_ports: vec![PortRange::one(80)], ..m() }), malformed);
        refused(flow(Match { proto, src_ports: vec![PortRange::one(80)], ..m() }), malformed);
    }
    refused(flow(Match { dst_ports: vec![PortRange { lo: 9, hi: 8 }], ..m() }), malformed);
    refused(flow(Match { tcp_flags: Some(TcpFlags { mask: 2, value: 2 }), ..m() }), malformed);
    refused(flow(Match { proto: Some(6), tcp_flags: Some(TcpFlags { mask: 0, value: 0 }), ..m() }), malformed);
    refused(
        flow(Match { fragment: Some(FragmentMatch::Later), src_ports: vec![PortRange::one(53)], ..m() }),
        malformed,
    );
    refused(flow(Match { src: vec![net("::/0")], ..m() }), malformed);
    refused(flow(Match { src: vec![net("2001:db8::/32")], ..m() }), malformed);
    refused(flow(Match { dst: vec![net("198.51.100.7/32"), net("198.51.100.8/32")], ..m() }), malformed);
    refused(Route { actions: vec![FlowAction::Discard], ..hole("198.51.100.7/32") }, malformed);
}

#[test]
fn actions_stay_within_the_configuration() {
    let with = |actions: Vec<FlowAction>| Route::flow(ntp("198.51.100.7/32"), actions);
    let malformed: fn(&Refusal) -> bool = |r| matches!(r, Refusal::Malformed(..));
    refused(with(vec![]), malformed);
    for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        refused(with(vec![FlowAction::RateBytes(rate)]), malformed);
        refused(with(vec![FlowAction::RatePackets(rate)]), malformed);
    }
    refused(with(vec![FlowAction::Mark(64)]), malformed);
    let to = |t: &str| FlowAction::RedirectIp { to: t.parse().unwrap(), copy: false };
    refused(with(vec![to("192.0.2.98")]), malformed);
    refused(with(vec![to("::1")]), malformed);
    refused(with(vec![FlowAction::RedirectVrf(RouteTarget::As2(64500, 667))]), malformed);
    passes(with(vec![to("192.0.2.99")]));
    passes(with(vec![FlowAction::RedirectVrf(RouteTarget::As2(64500, 666)), FlowAction::Sample, FlowAction::Mark(8)]));
    passes(with(vec![FlowAction::RateBytes(1e6)]));
    // A redirect that the family cannot reach.
    refused(Route::flow(ntp("2001:db8:a::7/128"), vec![to("192.0.2.99")]), malformed);
}

#[test]
fn protected_addresses() {
    let protected: fn(&Refusal) -> bool = |r| matches!(r, Refusal::Protected(..));
    for text in ["192.0.2.1/32", "192.0.2.15/32", "192.0.2.250/32", "2001:db8:110::1/128"] {
        refused(hole(text), protected);
    }
    refused(flow(ntp("192.0.2.0/24")), protected);
    // The DNS server is named by its service: other ports of it may be filtered, a black hole takes it too.
    refused(hole("203.0.113.53/32"), protected);
    refused(flow(ntp("203.0.113.0/24")), protected);
    passes(flow(Match { dst_ports: vec![PortRange::one(123)], ..ntp("203.0.113.53/32") }));
    refused(flow(Match { dst_ports: vec![PortRange { lo: 1, hi: 1024 }], ..ntp("203.0.113.53/32") }), protected);
    // Its resolver's answers: source port 53 from that address.
    let answers =
        |src: &str| Match { src: vec![net(src)], src_ports: vec![PortRange::one(53)], ..ntp("203.0.113.9/32") };
    refused(flow(answers("192.0.2.0/24")), protected);
    // All UDP to a customer takes its resolver's answers with it; a black hole takes the whole host, and is meant to.
    let udp = |dst: &str| flow(Match { src_ports: vec![], ..ntp(dst) });
    refused(udp("203.0.113.9/32"), protected);
    passes(hole("203.0.113.9/32"));
    passes(flow(answers("10.0.0.0/8")));
}

#[test]
fn caps_with_a_reserve() {
    let cap = |r: &Report, who: &str| r.refusals.iter().any(|x| matches!(x, Refusal::Cap { who: w, .. } if w == who));
    let guard = guard_with(Cone::default());
    let many = |n: u8, base: &str| -> Vec<Route> { (1..=n).map(|i| hole(&format!("{base}.{i}/32"))).collect() };
    // Customer A has 3.
    assert!(!cap(&report_of(&guard, &many(3, "198.51.100"), &[], false), "customer A"));
    assert!(cap(&report_of(&guard, &many(4, "198.51.100"), &[], false), "customer A"));
    let others: Vec<Arc<Route>> = many(3, "198.51.100").into_iter().map(Arc::new).collect();
    assert!(cap(&report_of(&guard, &[hole("198.51.100.200/32")], &others, false), "customer A"));
    // The same route again is not one more.
    assert!(report_of(&guard, &[hole("198.51.100.1/32")], &others, false).refusals.is_empty());
    // 10 for everybody, 4 of them kept: 7 only in an emergency. The upstream takes 5, so these stay on the edge.
    let edge = |n| many(n, "203.0.113").into_iter().map(|r| Route { scope: Scope::EdgeOnly, ..r }).collect::<Vec<_>>();
    assert!(report_of(&guard, &edge(6), &[], false).refusals.is_empty());
    assert!(cap(&report_of(&guard, &edge(7), &[], false), "everybody together"));
    assert!(report_of(&guard, &edge(7), &[], true).refusals.is_empty());
    assert!(cap(&report_of(&guard, &edge(11), &[], true), "everybody together"));
    assert!(cap(&report_of(&guard, &edge(9), &[], true), "peer edge"));
    assert!(cap(&report_of(&guard, &many(6, "203.0.113"), &[], false), "peer upstream"));
}

fn cone() -> Cone {
    let mut cone = Cone::default();
    cone.add_relationships("64500|64501|-1\n64501|64502|-1\n64502|64503|-1\n").unwrap();
    cone.add_origins(
        "198.51.100.0/24 64501\n198.51.100.0/26 64502\n198.51.100.64/26 64503\n198.51.100.128/26 64510\n0.0.0.0/0 64496\n\
         203.0.113.128/25 64501\n192.0.2.0/24 64500\n",
    )
    .unwrap();
    cone
}

#[test]
fn a_descendants_route_needs_its_consent() {
    let guard = guard_with(cone());
    let see = |route: Route| report_of(&guard, &[route], &[], false);
    // The customer's own space, and space that only a default route covers.
    assert!(see(hole("198.51.100.250/32")).refusals.is_empty());
    assert!(see(hole("203.0.113.1/32")).refusals.is_empty());
    // 子AS with consent on record, and after its end.
    let child = see(hole("198.51.100.7/32"));
    assert!(child.refusals.is_empty(), "{:?}", child.refusals);
    assert_eq!(child.touched.get(&Asn(64502)), Some(&Some(1)));
    assert!(child.warnings.iter().any(|w| w.contains("edge-only")));
    let later =
        Ask { routes: &[hole("198.51.100.7/32")], others: &[], emergency: false, now: at("2026-06-01T00:00:00Z") };
    assert!(matches!(
        guard.report(&later).refusals[..],
        [Refusal::Subordinate { asn: Asn(64502), depth: Some(1), .. }]
    ));
    // 孫AS without.
    let grandchild = see(hole("198.51.100.70/32"));
    assert!(matches!(grandchild.refusals[..], [Refusal::Subordinate { asn: Asn(64503), depth: Some(2), .. }]));
    assert!(grandchild.text().contains("孫AS"), "{}", grandchild.text());
    // Announced by somebody who is not even below.
    assert!(matches!(
        see(hole("198.51.100.130/32")).refusals[..],
        [Refusal::Subordinate { asn: Asn(64510), depth: None, .. }]
    ));
    // A rule around all of them names each.
    assert_eq!(see(flow(ntp("198.51.100.0/24"))).refusals.len(), 2, "64502 consented, 64503 and 64510 did not");
    // A customer's AS inside another customer's space counts from us.
    assert!(matches!(
        see(hole("203.0.113.200/32")).refusals[..],
        [Refusal::Subordinate { asn: Asn(64501), depth: Some(1), .. }]
    ));
}

#[test]
fn the_cone_of_a_rib_dump() {
    let dump = [
        record("198.51.100.0/24", &[64501]),
        record("198.51.100.64/26", &[64501, 64501, 64502, 64503]),
        record("203.0.113.0/24", &[64496, 64501, 64499]),
    ]
    .concat();
    let mut cone = Cone::default();
    cone.add_rib(&dump, Asn(64500), &[Asn(64501)]).unwrap();
    assert_eq!(cone.descendants(Asn(64501)).into_iter().collect::<Vec<_>>(), [(Asn(64502), 1), (Asn(64503), 2)]);
    let r = report_of(&guard_with(cone), &[hole("198.51.100.70/32")], &[], false);
    assert!(matches!(r.refusals[..], [Refusal::Subordinate { asn: Asn(64503), depth: Some(2), .. }]));
}

#[test]
fn the_dry_run_says_what_is_touched() {
    let r = report(&[hole("198.51.100.7/32"), flow(ntp("203.0.113.0/29")), hole("2001:db8:a::1/128")]);
    let text = r.text();
    assert!(text.contains("3 routes; destinations: 9 IPv4 addresses, 1 IPv6 /64 networks"), "{text}");
    assert!(text.contains("2 in the space of customer A"), "{text}");
    assert!(text.contains("flow destination 203.0.113.0/29 protocol 17 source-port 123: discard"), "{text}");
    assert!(text.contains("子AS・孫AS were not looked for"), "{text}");
}
