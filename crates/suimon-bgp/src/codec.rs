//! Routes to BGP messages. The only place, with the sessions, that knows the codec crate.

use crate::route::{Community, Family, FlowAction, LargeCommunity, Route, RouteKey, RouteTarget, Target};
use ipnet::IpNet;
use rustbgpd_wire::flowspec::try_encode_flowspec_nlri;
use rustbgpd_wire::{
    Afi, AsPath, AsPathSegment, BitmaskMatch, ExtendedCommunity, FlowSpecAction, FlowSpecComponent, FlowSpecPrefix,
    FlowSpecRule, Ipv4NlriEntry, Ipv4Prefix, Ipv4UnicastMode, Ipv6ExtendedCommunity, Ipv6Prefix, Ipv6PrefixOffset,
    MAX_MESSAGE_LEN, Message, MpReachNlri, MpUnreachNlri, NlriEntry, NumericMatch, Origin, PathAttribute, Prefix, Safi,
    UpdateMessage, encode_message,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use suimon_base::{Match, PortRange};

/// Longest NLRI of one rule, octets: it must fit into one message of 4,096 together with its attributes. The format
/// itself ends at 4,095 (RFC 8955 §4.1).
pub const MAX_NLRI_OCTETS: usize = 3_500;
/// Room kept in a message for header, fixed attributes and the frame of MP_REACH_NLRI, octets.
const FRAME_OCTETS: usize = 64;
/// The bit of a fragment component for non-first fragments (RFC 8955 §4.2.2.12, IsF).
const IS_FRAGMENT: u16 = 2;

/// Why a route cannot travel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A match without any prefix does not say its family.
    #[error("a Flowspec rule without any prefix does not say its family")]
    NoFamily,
    /// More than one prefix on a side, or both families.
    #[error("one Flowspec rule takes one destination and one source prefix of one family")]
    SeveralPrefixes,
    /// TCP flags that look at no bit.
    #[error("a TCP flag condition that looks at no flag")]
    NoFlags,
    /// A range from high to low.
    #[error("the range {0}-{1} is empty")]
    EmptyRange(u16, u16),
    /// Too long for a message.
    #[error("the rule takes {0} octets, more than {MAX_NLRI_OCTETS}")]
    TooLong(usize),
    /// The codec crate refused.
    #[error("{0}")]
    Encode(String),
    /// The peer has no next hop for this family.
    #[error("no next hop is configured for {0}")]
    NoNextHop(Family),
}

/// AFI and SAFI of a family.
pub fn afi_safi(family: Family) -> (Afi, Safi) {
    match family {
        Family::Ipv4 => (Afi::Ipv4, Safi::Unicast),
        Family::Ipv6 => (Afi::Ipv6, Safi::Unicast),
        Family::Flow4 => (Afi::Ipv4, Safi::FlowSpec),
        Family::Flow6 => (Afi::Ipv6, Safi::FlowSpec),
    }
}

/// The family of an AFI and a SAFI, where it is one of ours.
pub fn family_of(afi: Afi, safi: Safi) -> Option<Family> {
    Family::ALL.into_iter().find(|f| afi_safi(*f) == (afi, safi))
}

fn prefix4(net: ipnet::Ipv4Net) -> Ipv4Prefix {
    Ipv4Prefix::new(net.network(), net.prefix_len())
}

fn prefix6(net: ipnet::Ipv6Net) -> Ipv6Prefix {
    Ipv6Prefix::new(net.network(), net.prefix_len())
}

fn flow_prefix(net: IpNet) -> FlowSpecPrefix {
    match net {
        IpNet::V4(net) => FlowSpecPrefix::V4(prefix4(net)),
        IpNet::V6(net) => FlowSpecPrefix::V6(Ipv6PrefixOffset { prefix: prefix6(net), offset: 0 }),
    }
}

fn number(and_bit: bool, lt: bool, gt: bool, eq: bool, value: u16) -> NumericMatch {
    NumericMatch { end_of_list: false, and_bit, lt, gt, eq, value: u64::from(value) }
}

/// Alternatives as operators: `=n` or `>=lo&<=hi` each (RFC 8955 §4.2.1.1).
fn numbers(ranges: &[PortRange]) -> Result<Vec<NumericMatch>, CodecError> {
    let mut out = Vec::with_capacity(ranges.len() * 2);
    for r in ranges {
        if r.lo > r.hi {
            return Err(CodecError::EmptyRange(r.lo, r.hi));
        }
        if r.lo == r.hi {
            out.push(number(false, false, false, true, r.lo));
        } else {
            out.push(number(false, false, true, true, r.lo));
            out.push(number(true, true, false, true, r.hi));
        }
    }
    if let Some(last) = out.last_mut() {
        last.end_of_list = true;
    }
    Ok(out)
}

fn flags(mask: u8, value: u8) -> Result<Vec<BitmaskMatch>, CodecError> {
    let (set, unset) = (value & mask, mask & !value);
    if mask == 0 || value & !mask != 0 {
        return Err(CodecError::NoFlags);
    }
    let mut out = Vec::new();
    if set != 0 {
        // All of them: (data & value) == value.
        out.push(BitmaskMatch {
            end_of_list: false,
            and_bit: false,
            not_bit: false,
            match_bit: true,
            value: set.into(),
        });
    }
    if unset != 0 {
        // None of them: not ((data & value) != 0).
        let and_bit = !out.is_empty();
        out.push(BitmaskMatch { end_of_list: false, and_bit, not_bit: true, match_bit: false, value: unset.into() });
    }
    if let Some(last) = out.last_mut() {
        last.end_of_list = true;
    }
    Ok(out)
}

/// The components of a match in the order of their types (RFC 8955 §4.2).
fn rule(m: &Match) -> Result<FlowSpecRule, CodecError> {
    let families: Vec<bool> = m.dst.iter().chain(&m.src).map(|n| matches!(n, IpNet::V4(_))).collect();
    if m.dst.len() > 1 || m.src.len() > 1 || families.windows(2).any(|w| w[0] != w[1]) {
        return Err(CodecError::SeveralPrefixes);
    }
    if families.is_empty() {
        return Err(CodecError::NoFamily);
    }
    let mut components = Vec::new();
    components.extend(m.dst.first().map(|n| FlowSpecComponent::DestinationPrefix(flow_prefix(*n))));
    components.extend(m.src.first().map(|n| FlowSpecComponent::SourcePrefix(flow_prefix(*n))));
    if let Some(p) = m.proto {
        components.push(FlowSpecComponent::IpProtocol(numbers(&[PortRange::one(p.into())])?));
    }
    if !m.dst_ports.is_empty() {
        components.push(FlowSpecComponent::DestinationPort(numbers(&m.dst_ports)?));
    }
    if !m.src_ports.is_empty() {
        components.push(FlowSpecComponent::SourcePort(numbers(&m.src_ports)?));
    }
    if let Some(t) = m.tcp_flags {
        components.push(FlowSpecComponent::TcpFlags(flags(t.mask, t.value)?));
    }
    if !m.lengths.is_empty() {
        components.push(FlowSpecComponent::PacketLength(numbers(&m.lengths)?));
    }
    if m.fragment.is_some() {
        components.push(FlowSpecComponent::Fragment(vec![BitmaskMatch {
            end_of_list: true,
            and_bit: false,
            not_bit: false,
            match_bit: false,
            value: IS_FRAGMENT,
        }]));
    }
    Ok(FlowSpecRule { components })
}

/// The key of a target: family and NLRI octets.
///
/// # Errors
/// When the target cannot travel in one rule.
pub fn key(target: &Target) -> Result<RouteKey, CodecError> {
    let family = target.family().ok_or(CodecError::NoFamily)?;
    let mut nlri = Vec::new();
    match target {
        Target::Prefix(net) => {
            let octets = match net.network() {
                IpAddr::V4(a) => a.octets().to_vec(),
                IpAddr::V6(a) => a.octets().to_vec(),
            };
            nlri.push(net.prefix_len());
            nlri.extend(&octets[..usize::from(net.prefix_len().div_ceil(8))]);
        }
        Target::Flow(m) => {
            try_encode_flowspec_nlri(&[rule(m)?], &mut nlri, afi_safi(family).0)
                .map_err(|e| CodecError::Encode(e.to_string()))?;
            if nlri.len() > MAX_NLRI_OCTETS {
                return Err(CodecError::TooLong(nlri.len()));
            }
        }
    }
    Ok(RouteKey { family, nlri })
}

/// Extended communities of actions: those of 8 octets and those of 20 (RFC 5701).
pub fn action_communities(actions: &[FlowAction]) -> (Vec<u64>, Vec<[u8; 20]>) {
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for action in actions {
        let wire = match *action {
            FlowAction::Discard => FlowSpecAction::TrafficRateBytes { asn: 0, rate: 0.0 },
            FlowAction::RateBytes(rate) => FlowSpecAction::TrafficRateBytes { asn: 0, rate },
            FlowAction::RatePackets(rate) => FlowSpecAction::TrafficRatePackets { asn: 0, rate },
            FlowAction::RedirectVrf(RouteTarget::As2(asn, value)) => FlowSpecAction::Redirect2Octet { asn, value },
            FlowAction::RedirectVrf(RouteTarget::As4(asn, value)) => FlowSpecAction::Redirect4Octet { asn, value },
            FlowAction::RedirectVrf(RouteTarget::V4(addr, value)) => FlowSpecAction::RedirectIpv4 { addr, value },
            FlowAction::RedirectIp { to: IpAddr::V4(addr), copy } => FlowSpecAction::RedirectToIp { addr, copy },
            FlowAction::RedirectIp { to: IpAddr::V6(addr), copy } => {
                long.push(*Ipv6ExtendedCommunity::from_flowspec_redirect_to_ip(addr, copy).as_bytes());
                continue;
            }
            FlowAction::Mark(dscp) => FlowSpecAction::TrafficMarking { dscp },
            // Without the terminal bit the rules after this one are not asked, as without this action.
            FlowAction::Sample => FlowSpecAction::TrafficAction { sample: true, terminal: false },
        };
        short.push(ExtendedCommunity::from_flowspec_action(&wire).as_u64());
    }
    (short, long)
}

/// What a peer's session and configuration add to routes.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerAttributes {
    /// Our AS number.
    pub local_as: u32,
    /// Whether the peer is in our AS.
    pub internal: bool,
    /// Whether both sides speak 4-octet AS numbers.
    pub four_octet_as: bool,
    /// Next hop of IPv4 black holes.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Next hop of IPv6 black holes.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// Communities of black holes.
    pub rtbh_communities: Vec<Community>,
    /// Communities of Flowspec rules.
    pub flowspec_communities: Vec<Community>,
    /// Large communities of every route.
    pub large_communities: Vec<LargeCommunity>,
}

/// LOCAL_PREF towards our own AS (RFC 4271 §5.1.5), the usual default.
const LOCAL_PREF: u32 = 100;

fn attributes(route: &Route, family: Family, peer: &PeerAttributes) -> Result<Vec<PathAttribute>, CodecError> {
    let segments = if peer.internal { vec![] } else { vec![AsPathSegment::AsSequence(vec![peer.local_as])] };
    let mut out = vec![PathAttribute::Origin(Origin::Igp), PathAttribute::AsPath(AsPath { segments })];
    if family == Family::Ipv4 {
        out.push(PathAttribute::NextHop(peer.next_hop_v4.ok_or(CodecError::NoNextHop(family))?));
    }
    if peer.internal {
        out.push(PathAttribute::LocalPref(LOCAL_PREF));
    }
    let configured = if family.is_flow() { &peer.flowspec_communities } else { &peer.rtbh_communities };
    let mut communities: Vec<u32> = configured.iter().chain(&route.communities).map(|c| c.0).collect();
    if route.scope == crate::route::Scope::EdgeOnly {
        communities.push(Community::NO_EXPORT.0);
    }
    communities.sort_unstable();
    communities.dedup();
    if !communities.is_empty() {
        out.push(PathAttribute::Communities(communities));
    }
    let (short, long) = action_communities(&route.actions);
    if !short.is_empty() {
        out.push(PathAttribute::ExtendedCommunities(short.into_iter().map(ExtendedCommunity::new).collect()));
    }
    if !long.is_empty() {
        out.push(PathAttribute::Ipv6ExtendedCommunities(long.into_iter().map(Ipv6ExtendedCommunity::new).collect()));
    }
    let mut large: Vec<LargeCommunity> =
        peer.large_communities.iter().chain(&route.large_communities).copied().collect();
    large.sort_unstable();
    large.dedup();
    if !large.is_empty() {
        let wire = large.iter().map(|c| rustbgpd_wire::LargeCommunity::new(c.0, c.1, c.2)).collect();
        out.push(PathAttribute::LargeCommunities(wire));
    }
    Ok(out)
}

fn message(update: UpdateMessage) -> Result<Vec<u8>, CodecError> {
    encode_message(&Message::Update(update)).map(|b| b.to_vec()).map_err(|e| CodecError::Encode(e.to_string()))
}

fn build(attributes: &[PathAttribute], four: bool) -> Result<UpdateMessage, CodecError> {
    UpdateMessage::try_build(&[], &[], attributes, four, false, Ipv4UnicastMode::Body)
        .map_err(|e| CodecError::Encode(e.to_string()))
}

/// The NLRI of one message, in the form that the codec wants.
struct Batch {
    v4: Vec<Ipv4NlriEntry>,
    v6: Vec<NlriEntry>,
    flow: Vec<FlowSpecRule>,
}

fn batch(targets: &[&Target]) -> Result<Batch, CodecError> {
    let mut out = Batch { v4: vec![], v6: vec![], flow: vec![] };
    for t in targets {
        match t {
            Target::Prefix(IpNet::V4(net)) => out.v4.push(Ipv4NlriEntry { path_id: 0, prefix: prefix4(*net) }),
            Target::Prefix(IpNet::V6(net)) => {
                out.v6.push(NlriEntry { path_id: 0, prefix: Prefix::V6(prefix6(*net)) });
            }
            Target::Flow(m) => out.flow.push(rule(m)?),
        }
    }
    Ok(out)
}

/// Cuts `(length, target)` into runs that fit `room` octets.
fn runs<'a>(targets: &[(usize, &'a Target)], room: usize) -> Vec<Vec<&'a Target>> {
    let mut out: Vec<Vec<&Target>> = Vec::new();
    let mut left = 0;
    for (octets, target) in targets {
        match out.last_mut() {
            Some(run) if left >= *octets => run.push(target),
            _ => {
                left = room;
                out.push(vec![target]);
            }
        }
        left = left.saturating_sub(*octets);
    }
    out
}

/// Targets, with the octets of their NLRI, that share attributes.
type Group<'a> = (Vec<PathAttribute>, Vec<(usize, &'a Target)>);

/// UPDATE messages that announce routes of one family; routes with the same attributes share messages.
///
/// # Errors
/// When a route cannot travel to this peer; nothing is to be sent then.
pub fn announce(
    family: Family,
    routes: &[(&RouteKey, &Route)],
    peer: &PeerAttributes,
) -> Result<Vec<Vec<u8>>, CodecError> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (key, route) in routes {
        let attributes = attributes(route, family, peer)?;
        let entry = (key.nlri.len(), &route.target);
        match groups.iter_mut().find(|g| g.0 == attributes) {
            Some(group) => group.1.push(entry),
            None => groups.push((attributes, vec![entry])),
        }
    }
    let mut out = Vec::new();
    let (afi, safi) = afi_safi(family);
    for (attributes, targets) in &groups {
        let fixed = build(attributes, peer.four_octet_as)?.path_attributes.len();
        let room = usize::from(MAX_MESSAGE_LEN).saturating_sub(fixed + FRAME_OCTETS);
        for run in runs(targets, room) {
            let b = batch(&run)?;
            if family == Family::Ipv4 {
                let update =
                    UpdateMessage::try_build(&b.v4, &[], attributes, peer.four_octet_as, false, Ipv4UnicastMode::Body);
                out.push(message(update.map_err(|e| CodecError::Encode(e.to_string()))?)?);
                continue;
            }
            let next_hop = match family {
                Family::Ipv6 => IpAddr::V6(peer.next_hop_v6.ok_or(CodecError::NoNextHop(family))?),
                _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            };
            let reach = MpReachNlri {
                afi,
                safi,
                next_hop,
                link_local_next_hop: None,
                announced: b.v6,
                flowspec_announced: b.flow,
                evpn_announced: vec![],
                bgpls_announced: vec![],
                vpn_announced: vec![],
                labeled_announced: vec![],
                rtc_announced: vec![],
            };
            let mut all = attributes.clone();
            // RFC 7606 §5.1: MP_REACH_NLRI first, so that it is found where the rest is broken.
            all.insert(0, PathAttribute::MpReachNlri(Box::new(reach)));
            out.push(message(build(&all, peer.four_octet_as)?)?);
        }
    }
    Ok(out)
}

/// The attributes of a locally made route, each as octets with its head, for a speaker that adds AS_PATH and LOCAL_PREF
/// itself. Flowspec gets a next hop of zeros, which stands for none.
///
/// # Errors
/// As [`announce`].
pub fn local_attributes(key: &RouteKey, route: &Route, peer: &PeerAttributes) -> Result<Vec<Vec<u8>>, CodecError> {
    let mut all = attributes(route, key.family, peer)?;
    all.retain(|a| !matches!(a, PathAttribute::AsPath(_) | PathAttribute::LocalPref(_)));
    let mut octets = Vec::new();
    match key.family {
        Family::Ipv4 => {}
        Family::Ipv6 => {
            // RFC 4760 §3 by hand: the message builder of the codec crate takes no lone NLRI attribute.
            let next_hop = peer.next_hop_v6.ok_or(CodecError::NoNextHop(key.family))?.octets();
            let length = 3 + 1 + next_hop.len() + 1 + key.nlri.len();
            octets.extend([0x80, 14, length as u8, 0, 2, 1, next_hop.len() as u8]);
            octets.extend(next_hop);
            octets.push(0);
            octets.extend(&key.nlri);
        }
        Family::Flow4 | Family::Flow6 => all.push(PathAttribute::NextHop(Ipv4Addr::UNSPECIFIED)),
    }
    octets.extend(build(&all, true)?.path_attributes.as_ref() as &[u8]);
    Ok(split_attributes(&octets).into_iter().map(|(_, whole, _)| whole.to_vec()).collect())
}

/// Attributes one after the other: type, octets with their head, value. Ends at the first that does not fit.
pub fn split_attributes(mut octets: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    const EXTENDED_LENGTH: u8 = 0x10;
    let mut out = Vec::new();
    while let [flags, kind, rest @ ..] = octets {
        let (head, length) = match rest {
            [a, b, ..] if flags & EXTENDED_LENGTH != 0 => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            [a, ..] if flags & EXTENDED_LENGTH == 0 => (3, usize::from(*a)),
            _ => return out,
        };
        let Some((whole, next)) = octets.split_at_checked(head + length) else { return out };
        out.push((*kind, whole, &whole[head..]));
        octets = next;
    }
    out
}

/// UPDATE messages that withdraw targets of one family.
///
/// # Errors
/// As [`announce`].
pub fn withdraw(family: Family, targets: &[(&RouteKey, &Target)]) -> Result<Vec<Vec<u8>>, CodecError> {
    let sized: Vec<(usize, &Target)> = targets.iter().map(|(k, t)| (k.nlri.len(), *t)).collect();
    let (afi, safi) = afi_safi(family);
    let mut out = Vec::new();
    for run in runs(&sized, usize::from(MAX_MESSAGE_LEN) - FRAME_OCTETS) {
        let b = batch(&run)?;
        if family == Family::Ipv4 {
            let update = UpdateMessage::try_build(&[], &b.v4, &[], true, false, Ipv4UnicastMode::Body);
            out.push(message(update.map_err(|e| CodecError::Encode(e.to_string()))?)?);
            continue;
        }
        let unreach = MpUnreachNlri {
            afi,
            safi,
            withdrawn: b.v6,
            flowspec_withdrawn: b.flow,
            evpn_withdrawn: vec![],
            bgpls_withdrawn: vec![],
            vpn_withdrawn: vec![],
            labeled_withdrawn: vec![],
            rtc_withdrawn: vec![],
        };
        out.push(message(build(&[PathAttribute::MpUnreachNlri(Box::new(unreach))], true)?)?);
    }
    Ok(out)
}
