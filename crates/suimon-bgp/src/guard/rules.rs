//! The checks one by one.

use super::{Ask, Guard, Refusal, Report, overlap};
use crate::codec;
use crate::config::{ProtectConfig, Side};
use crate::route::{FlowAction, Route, Scope, Target};
use ipnet::IpNet;
use std::collections::BTreeMap;
use suimon_base::{Asn, Match, PortRange, Timestamp};

/// TCP and UDP: the protocols whose ports RFC 8955 §4.2.2.4 speaks of.
const WITH_PORTS: [u8; 2] = [6, 17];
/// Lengths that an IP packet can have, octets.
const LENGTHS: PortRange = PortRange { lo: 20, hi: u16::MAX };
/// The greatest DSCP.
const MAX_DSCP: u8 = 63;
/// The holder of space that nobody holds.
const NOBODY: &str = "nobody";

struct Holder {
    name: String,
    asn: Asn,
    /// The registered prefix around the destination.
    space: IpNet,
}

/// Whose space a prefix lies in: the customer with the longest prefix, else the operator.
fn holder(guard: &Guard, net: &IpNet) -> Option<Holder> {
    let customer = guard
        .config
        .customers
        .iter()
        .flat_map(|c| c.prefixes.iter().filter(|p| p.contains(net)).map(move |p| (*p, c)))
        .max_by_key(|(p, _)| p.prefix_len());
    if let Some((space, c)) = customer {
        return Some(Holder { name: c.name.clone(), asn: c.asn.map_or(guard.own_as, Asn), space });
    }
    let own = guard.config.own.iter().filter(|p| p.contains(net)).max_by_key(|p| p.prefix_len());
    own.map(|space| Holder { name: "the operator".into(), asn: guard.own_as, space: *space })
}

/// Checks one route and names the holder of its destination.
pub fn route(guard: &Guard, route: &Route, now: Timestamp, report: &mut Report) -> String {
    let name = route.target.to_string();
    if let Err(e) = codec::key(&route.target)
        && route.target.destination().is_some()
    {
        report.refusals.push(Refusal::Malformed(name.clone(), e.to_string()));
    }
    if let Target::Flow(m) = &route.target {
        if m.dst.len() > 1 || m.src.len() > 1 {
            report.refusals.push(Refusal::Malformed(name.clone(), "more than one prefix on a side".into()));
        }
        flow(&name, m, report);
    }
    actions(guard, &name, route, report);
    let Some(net) = route.target.destination() else {
        report.refusals.push(Refusal::NoDestination(name));
        return NOBODY.into();
    };
    length(guard, &name, route, &net, report);
    for p in &guard.config.protected {
        // Who takes a host off the network takes its clients' answers too, and means it.
        let meant = p.side == Side::Source && only_destination(&route.target);
        if !meant && overlap::matches(&route.target.packets(), &protected(p)) && protected_family(p, &net) {
            report.refusals.push(Refusal::Protected(name.clone(), p.what.clone()));
        }
    }
    let Some(holder) = holder(guard, &net) else {
        report.refusals.push(Refusal::NotRegistered(name, net));
        return NOBODY.into();
    };
    subordinate(guard, &name, &net, &holder, now, report);
    holder.name
}

/// A protected entry without prefixes protects a service everywhere; one with prefixes only their families.
fn protected_family(p: &ProtectConfig, net: &IpNet) -> bool {
    p.prefixes.is_empty() || p.prefixes.iter().any(|x| x.addr().is_ipv4() == net.addr().is_ipv4())
}

fn protected(p: &ProtectConfig) -> Match {
    let ports: Vec<PortRange> = p.ports.iter().map(|p| PortRange::one(*p)).collect();
    let m = Match { proto: p.protocol, ..Match::default() };
    match p.side {
        Side::Destination => Match { dst: p.prefixes.clone(), dst_ports: ports, ..m },
        Side::Source => Match { src: p.prefixes.clone(), src_ports: ports, ..m },
    }
}

/// Whether nothing but the destination decides: no condition, or conditions that every packet fulfils.
fn only_destination(target: &Target) -> bool {
    match target {
        Target::Prefix(_) => true,
        Target::Flow(m) => {
            let rest = Match { dst: Vec::new(), ..(**m).clone() };
            let all = |list: &[PortRange], every: PortRange| list.iter().any(|r| r.lo <= every.lo && r.hi >= every.hi);
            let src_all = rest.src.iter().any(|s| s.prefix_len() == 0);
            let lengths_all = all(&rest.lengths, LENGTHS);
            let bare = Match {
                src: if src_all { vec![] } else { rest.src.clone() },
                lengths: if lengths_all { vec![] } else { rest.lengths.clone() },
                ..rest.clone()
            };
            bare == Match::default()
        }
    }
}

/// Never a default, never a short prefix. A flow that names nothing but its destination is a black hole by another name.
fn length(guard: &Guard, name: &str, route: &Route, net: &IpNet, report: &mut Report) {
    let c = &guard.config;
    let least = match (net, only_destination(&route.target)) {
        (IpNet::V4(_), true) => c.rtbh_min_v4,
        (IpNet::V6(_), true) => c.rtbh_min_v6,
        (IpNet::V4(_), false) => c.flowspec_min_v4,
        (IpNet::V6(_), false) => c.flowspec_min_v6,
    };
    // A configuration that was never checked still gets no default route.
    if net.prefix_len() < least.max(1) {
        report.refusals.push(Refusal::Short(name.to_owned(), least.max(1)));
    }
}

fn flow(name: &str, m: &Match, report: &mut Report) {
    let mut bad = |reason: &str| report.refusals.push(Refusal::Malformed(name.to_owned(), reason.to_owned()));
    if *m == Match::default() {
        bad("an empty match takes every packet");
    }
    if m.src.iter().any(|s| s.prefix_len() == 0) {
        bad("a source of length 0 says nothing; leave it out");
    }
    let ports = !m.src_ports.is_empty() || !m.dst_ports.is_empty();
    if ports && !m.proto.is_some_and(|p| WITH_PORTS.contains(&p)) {
        bad("ports need the protocol TCP or UDP");
    }
    if m.tcp_flags.is_some() && m.proto != Some(6) {
        bad("TCP flags need the protocol TCP");
    }
    if m.lengths.iter().any(|r| r.lo < LENGTHS.lo || r.lo > r.hi) {
        bad("packet lengths lie from 20 to 65535");
    }
    if m.src_ports.iter().chain(&m.dst_ports).any(|r| r.lo > r.hi) {
        bad("a port range runs from high to low");
    }
    if m.fragment.is_some() && (ports || m.tcp_flags.is_some()) {
        bad("a later fragment carries no ports and no flags: nothing would match");
    }
}

fn actions(guard: &Guard, name: &str, route: &Route, report: &mut Report) {
    let mut bad = |reason: String| report.refusals.push(Refusal::Malformed(name.to_owned(), reason));
    match &route.target {
        Target::Prefix(_) if !route.actions.is_empty() => bad("a black hole takes no Flowspec action".into()),
        Target::Flow(_) if route.actions.is_empty() => bad("a Flowspec rule needs an action".into()),
        _ => {}
    }
    for action in &route.actions {
        match action {
            FlowAction::RateBytes(rate) | FlowAction::RatePackets(rate) if !(*rate > 0.0 && rate.is_finite()) => {
                bad("a rate is a number above 0; to drop everything say discard".into());
            }
            FlowAction::Mark(dscp) if *dscp > MAX_DSCP => bad(format!("DSCP {dscp} is above 63")),
            FlowAction::RedirectIp { to, .. } => {
                let same = route.target.destination().is_none_or(|d| d.addr().is_ipv4() == to.is_ipv4());
                if !guard.config.redirect_next_hops.contains(to) || !same {
                    bad(format!("a redirect to {to} is not among redirect-next-hops"));
                }
            }
            FlowAction::RedirectVrf(target) if !guard.config.redirect_targets.contains(target) => {
                bad(format!("a redirect to {target} is not among redirect-targets"));
            }
            _ => {}
        }
    }
}

/// A route of an AS other than the holder's needs that AS's consent (子AS・孫AS問題).
fn subordinate(guard: &Guard, name: &str, net: &IpNet, holder: &Holder, now: Timestamp, report: &mut Report) {
    let routes = guard.cone.routes_of(*net);
    if routes.iter().all(|(_, origin)| *origin == holder.asn) {
        return;
    }
    let below = guard.cone.descendants(holder.asn);
    let below_us = guard.cone.descendants(guard.own_as);
    for (their, origin) in routes {
        // The operator's own aggregate around a customer's space is no other AS's affair, nor is what lies around the
        // registered space: a default route, a provider's aggregate.
        let around = their.prefix_len() < holder.space.prefix_len();
        if origin == holder.asn || origin == guard.own_as || around {
            continue;
        }
        let depth = below.get(&origin).or_else(|| below_us.get(&origin)).copied();
        report.touched.insert(origin, depth);
        let touched = if their.contains(net) { *net } else { their };
        let consented = guard
            .consents
            .iter()
            .any(|c| c.asn == origin && now < c.until && c.prefixes.iter().any(|p| p.contains(&touched)));
        if !consented {
            report.refusals.push(Refusal::Subordinate { target: name.to_owned(), route: their, asn: origin, depth });
        }
    }
}

/// Caps of customers, peers and everybody, with the reserve kept for emergencies.
pub fn caps(guard: &Guard, ask: &Ask<'_>, report: &mut Report) {
    let mut keys = std::collections::BTreeSet::new();
    let mut total: BTreeMap<String, usize> = BTreeMap::new();
    let mut peers = vec![0usize; guard.peers.len()];
    let all = ask.routes.iter().chain(ask.others.iter().map(|r| &**r));
    for route in all {
        let Ok(key) = codec::key(&route.target) else { continue };
        let family = key.family;
        if !keys.insert(key) {
            continue;
        }
        let who = route.target.destination().and_then(|net| holder(guard, &net)).map_or(NOBODY.into(), |h| h.name);
        *total.entry(who).or_default() += 1;
        for (n, peer) in peers.iter_mut().zip(&guard.peers) {
            *n += usize::from(peer.families.contains(&family) && (peer.edge || route.scope == Scope::All));
        }
    }
    let mut cap = |who: String, would: usize, cap: usize, note: &'static str| {
        if would > cap {
            report.refusals.push(Refusal::Cap { who, would, cap, note });
        }
    };
    for c in &guard.config.customers {
        cap(c.name.clone(), total.get(&c.name).copied().unwrap_or(0), c.max_routes, "");
    }
    for (n, peer) in peers.iter().zip(&guard.peers) {
        cap(format!("peer {}", peer.name), *n, peer.max_routes, "");
    }
    let (most, reserve) = (guard.config.max_routes, guard.config.emergency_reserve);
    if ask.emergency {
        cap("everybody together".into(), keys.len(), most, "");
    } else {
        let note = "; the rest is kept for emergencies";
        cap("everybody together".into(), keys.len(), most.saturating_sub(reserve), note);
    }
}

/// A route for the dry run.
pub fn line(route: &Route) -> String {
    let then = route.actions.iter().map(|a| match a {
        FlowAction::Discard => "discard".to_owned(),
        FlowAction::RateBytes(r) => format!("rate-bytes {r}"),
        FlowAction::RatePackets(r) => format!("rate-packets {r}"),
        FlowAction::RedirectVrf(t) => format!("redirect vrf {t}"),
        FlowAction::RedirectIp { to, copy } => format!("{} {to}", if *copy { "copy to" } else { "redirect to" }),
        FlowAction::Mark(d) => format!("mark {d}"),
        FlowAction::Sample => "sample".to_owned(),
    });
    let then: Vec<String> = then.collect();
    let then = if then.is_empty() { "black hole".to_owned() } else { then.join(", ") };
    let scope = if route.scope == Scope::EdgeOnly { " (edge only)" } else { "" };
    format!("{}: {then}{scope}", route.target)
}
