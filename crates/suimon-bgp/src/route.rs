//! What is announced: destinations, what is asked for them, and the key under which a peer stores them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use suimon_base::Match;

/// Address family and kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 unicast (AFI 1, SAFI 1).
    Ipv4,
    /// IPv6 unicast (AFI 2, SAFI 1).
    Ipv6,
    /// IPv4 Flowspec (AFI 1, SAFI 133; RFC 8955).
    Flow4,
    /// IPv6 Flowspec (AFI 2, SAFI 133; RFC 8956).
    Flow6,
}

impl Family {
    /// Every family.
    pub const ALL: [Family; 4] = [Family::Ipv4, Family::Ipv6, Family::Flow4, Family::Flow6];

    /// Whether it carries Flowspec.
    pub const fn is_flow(self) -> bool {
        matches!(self, Family::Flow4 | Family::Flow6)
    }
    /// Whether its addresses are IPv4.
    pub const fn is_v4(self) -> bool {
        matches!(self, Family::Ipv4 | Family::Flow4)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4 => "ipv4-unicast",
            Family::Ipv6 => "ipv6-unicast",
            Family::Flow4 => "ipv4-flowspec",
            Family::Flow6 => "ipv6-flowspec",
        })
    }
}

/// An RFC 1997 community, written `65535:666` or by its well-known name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// BLACKHOLE (RFC 7999 §5).
    pub const BLACKHOLE: Community = Community(0xffff_029a);
    /// NO_EXPORT (RFC 1997): not beyond the neighbouring AS.
    pub const NO_EXPORT: Community = Community(0xffff_ff01);
    /// NO_ADVERTISE (RFC 1997): not beyond the neighbouring router.
    pub const NO_ADVERTISE: Community = Community(0xffff_ff02);

    const NAMED: [(&'static str, Community); 3] =
        [("blackhole", Self::BLACKHOLE), ("no-export", Self::NO_EXPORT), ("no-advertise", Self::NO_ADVERTISE)];
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, c)| c == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff),
        }
    }
}

/// A community that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a community: write 65535:666, blackhole, no-export or no-advertise (large: 64500:1:2)")]
pub struct CommunityError(String);

impl FromStr for Community {
    type Err = CommunityError;
    fn from_str(s: &str) -> Result<Self, CommunityError> {
        if let Some((_, c)) = Self::NAMED.iter().find(|(name, _)| *name == s) {
            return Ok(*c);
        }
        let halves = s.split_once(':').and_then(|(a, b)| Some((a.parse::<u16>().ok()?, b.parse::<u16>().ok()?)));
        halves
            .map(|(a, b)| Community(u32::from(a) << 16 | u32::from(b)))
            .ok_or_else(|| CommunityError(s.chars().take(40).collect()))
    }
}

/// A large community (RFC 8092), written `64500:1:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity(pub u32, pub u32, pub u32);

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.0, self.1, self.2)
    }
}

impl FromStr for LargeCommunity {
    type Err = CommunityError;
    fn from_str(s: &str) -> Result<Self, CommunityError> {
        let parts: Option<Vec<u32>> = s.split(':').map(|p| p.parse().ok()).collect();
        match parts.as_deref() {
            Some([a, b, c]) => Ok(LargeCommunity(*a, *b, *c)),
            _ => Err(CommunityError(s.chars().take(40).collect())),
        }
    }
}

macro_rules! as_text {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
as_text!(Community);
as_text!(LargeCommunity);
as_text!(RouteTarget);

/// Which VRF a redirect leads to: the route target as in RFC 8955 §7.4, written `64500:1` or `192.0.2.1:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteTarget {
    /// A 2-octet AS number and a value.
    As2(u16, u32),
    /// A 4-octet AS number and a value (RFC 7674).
    As4(u32, u16),
    /// An IPv4 address and a value (RFC 7674).
    V4(std::net::Ipv4Addr, u16),
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteTarget::As2(a, v) => write!(f, "{a}:{v}"),
            RouteTarget::As4(a, v) => write!(f, "{a}:{v}"),
            RouteTarget::V4(a, v) => write!(f, "{a}:{v}"),
        }
    }
}

impl FromStr for RouteTarget {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("`{s}` is not a route target: write 64500:1 or 192.0.2.1:1");
        let (left, right) = s.split_once(':').ok_or_else(bad)?;
        if let Ok(asn) = left.parse::<u16>() {
            return Ok(RouteTarget::As2(asn, right.parse().map_err(|_| bad())?));
        }
        let value = right.parse().map_err(|_| bad())?;
        match left.parse::<u32>() {
            Ok(asn) => Ok(RouteTarget::As4(asn, value)),
            Err(_) => Ok(RouteTarget::V4(left.parse().map_err(|_| bad())?, value)),
        }
    }
}

/// What a router shall do with packets of a Flowspec rule (RFC 8955 §7); several may stand together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FlowAction {
    /// Traffic-rate-bytes 0: dropped.
    Discard,
    /// Traffic-rate-bytes: passed up to this many octets a second. Travels as a 32-bit float.
    RateBytes(f32),
    /// Traffic-rate-packets: passed up to this many packets a second. Not understood by every router.
    RatePackets(f32),
    /// rt-redirect: looked up in the VRF that imports this target.
    RedirectVrf(RouteTarget),
    /// Redirect to this next hop (draft-ietf-idr-flowspec-redirect-ip); the copy bit mirrors instead.
    RedirectIp {
        /// The next hop.
        to: IpAddr,
        /// Whether packets also go on as before.
        copy: bool,
    },
    /// Traffic-marking: the DSCP becomes this, 0–63.
    Mark(u8),
    /// Traffic-action, bit 46: sample and log.
    Sample,
}

/// How far a route shall go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To every peer with the role.
    #[default]
    All,
    /// Only to peers that are the operator's own edge, and always with NO_EXPORT (catalogue row 98).
    EdgeOnly,
}

/// What the route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Everything to a prefix: a black hole.
    Prefix(IpNet),
    /// Packets of a match with at most one prefix on each side.
    Flow(Box<Match>),
}

impl Target {
    /// The destination prefix, where there is one.
    pub fn destination(&self) -> Option<IpNet> {
        match self {
            Target::Prefix(net) => Some(*net),
            Target::Flow(m) => m.dst.first().copied(),
        }
    }
    /// Its family; a flow without any prefix has none.
    pub fn family(&self) -> Option<Family> {
        match self {
            Target::Prefix(IpNet::V4(_)) => Some(Family::Ipv4),
            Target::Prefix(IpNet::V6(_)) => Some(Family::Ipv6),
            Target::Flow(m) => m.dst.first().or(m.src.first()).map(|net| match net {
                IpNet::V4(_) => Family::Flow4,
                IpNet::V6(_) => Family::Flow6,
            }),
        }
    }
    /// The packets it takes.
    pub fn packets(&self) -> Match {
        match self {
            Target::Prefix(net) => Match { dst: vec![*net], ..Match::default() },
            Target::Flow(m) => (**m).clone(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = match self {
            Target::Prefix(net) => return write!(f, "route {net}"),
            Target::Flow(m) => m,
        };
        fn list<T: fmt::Display>(items: &[T]) -> String {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        f.write_str("flow")?;
        for (name, text) in [
            (" destination ", list(&m.dst)),
            (" source ", list(&m.src)),
            (" protocol ", m.proto.map_or(String::new(), |p| p.to_string())),
            (" destination-port ", list(&m.dst_ports)),
            (" source-port ", list(&m.src_ports)),
            (" packet-length ", list(&m.lengths)),
        ] {
            if !text.is_empty() {
                write!(f, "{name}{text}")?;
            }
        }
        if let Some(t) = m.tcp_flags {
            write!(f, " tcp-flags {:#04x}/{:#04x}", t.value, t.mask)?;
        }
        if m.fragment.is_some() {
            f.write_str(" fragment is-fragment")?;
        }
        Ok(())
    }
}

/// A route with what is asked of those who receive it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// What it is for.
    pub target: Target,
    /// Actions; empty for a black hole.
    pub actions: Vec<FlowAction>,
    /// Communities besides those that a peer's configuration adds.
    pub communities: Vec<Community>,
    /// Large communities besides those that a peer's configuration adds.
    pub large_communities: Vec<LargeCommunity>,
    /// How far it goes.
    pub scope: Scope,
}

impl Route {
    /// A black hole for `net`.
    pub fn black_hole(net: IpNet) -> Route {
        Route {
            target: Target::Prefix(net.trunc()),
            actions: Vec::new(),
            communities: Vec::new(),
            large_communities: Vec::new(),
            scope: Scope::All,
        }
    }
    /// A Flowspec rule.
    pub fn flow(matches: Match, actions: Vec<FlowAction>) -> Route {
        Route {
            target: Target::Flow(Box::new(matches)),
            actions,
            communities: Vec::new(),
            large_communities: Vec::new(),
            scope: Scope::All,
        }
    }
}

/// Under what a peer stores a route: a second announcement with the same key replaces the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// The family.
    pub family: Family,
    /// The NLRI as it travels, its length included.
    pub nlri: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_read_as_written() {
        assert_eq!("blackhole".parse(), Ok(Community::BLACKHOLE));
        assert_eq!("65535:666".parse(), Ok(Community::BLACKHOLE));
        assert_eq!("64500:7".parse::<Community>().map(|c| c.to_string()), Ok("64500:7".into()));
        assert_eq!("4200000000:1:2".parse(), Ok(LargeCommunity(4_200_000_000, 1, 2)));
        for bad in ["", "1", "65536:1", "1:65536", "a:b", "1:2:3"] {
            assert!(bad.parse::<Community>().is_err(), "{bad}");
        }
        for bad in ["1:2", "1:2:3:4", "1:2:x"] {
            assert!(bad.parse::<LargeCommunity>().is_err(), "{bad}");
        }
        assert_eq!("64500:100000".parse(), Ok(RouteTarget::As2(64500, 100_000)));
        assert_eq!("4200000000:1".parse(), Ok(RouteTarget::As4(4_200_000_000, 1)));
        assert_eq!("192.0.2.1:1".parse(), Ok(RouteTarget::V4([192, 0, 2, 1].into(), 1)));
        assert!("192.0.2.1:65536".parse::<RouteTarget>().is_err());
    }
}
