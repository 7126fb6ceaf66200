//! The section `[bgp]` of the configuration.

use crate::customer::{MAX_OFFERS, Memorandum};
use crate::route::{Community, Family, LargeCommunity, RouteTarget};
use crate::speaker::options::MAX_KEY_OCTETS;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Most peers; each costs a task and a copy of what it was told.
pub const MAX_PEERS: usize = 64;
/// Shortest hold time that RFC 4271 §4.2 knows besides 0, seconds.
pub const MIN_HOLD_S: u16 = 3;

/// `[bgp]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BgpConfig {
    /// Our AS number.
    pub local_as: u32,
    /// Our BGP identifier, an IPv4 address of ours.
    pub router_id: Ipv4Addr,
    /// How long `apply` and `release` wait for the peers, milliseconds.
    #[serde(default = "default_wait_ms")]
    pub wait_ms: u64,
    /// How long `apply` waits while no session has come up since the start, milliseconds. After a restart peers may let
    /// some time pass before they take a session again, and what is in force is applied at once.
    #[serde(default = "default_start_wait_ms")]
    pub start_wait_ms: u64,
    /// What carries the routes.
    #[serde(default)]
    pub driver: Driver,
    /// `[bgp.gobgp]`, for the driver of that name.
    #[serde(default)]
    pub gobgp: Option<GobgpConfig>,
    /// `[[bgp.peer]]`, for the driver `own`.
    #[serde(default, rename = "peer")]
    pub peers: Vec<PeerConfig>,
    /// `[[bgp.memorandum]]`: what customers may ask for by BGP.
    #[serde(default, rename = "memorandum")]
    pub memoranda: Vec<MemorandumConfig>,
    /// How long a customer's requests stand after its session was lost, seconds: the attack may have cut it.
    #[serde(default = "default_customer_keep_s")]
    pub customer_keep_s: u32,
    /// `[bgp.bmp]`: routers that tell what they took.
    #[serde(default)]
    pub bmp: Option<BmpConfig>,
    /// `[bgp.guard]`: what may be announced at all.
    #[serde(default)]
    pub guard: GuardConfig,
}

const fn default_wait_ms() -> u64 {
    5_000
}
const fn default_start_wait_ms() -> u64 {
    90_000
}

/// What carries the routes to the routers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Sessions of our own; they end with the process, and so do the routes.
    #[default]
    Own,
    /// A GoBGP that runs beside us, over its gRPC interface. It keeps the routes when this process dies.
    Gobgp,
}

/// `[bgp.gobgp]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GobgpConfig {
    /// Host and port of its gRPC interface, `127.0.0.1:50051`.
    pub address: String,
    /// Second part of the large community that marks our routes there: `local-as:mark:measure`. A number that nothing
    /// else in the network uses, since marked routes are taken for ours.
    pub mark: u32,
    /// What it is for.
    pub roles: Vec<Role>,
    /// Whether all of its neighbours are the operator's own edge; without that nothing of the scope `edge-only` is put in.
    #[serde(default)]
    pub edge: bool,
    /// Most routes it is given.
    #[serde(default = "default_peer_routes")]
    pub max_routes: usize,
    /// How often its table is compared with what shall be in it, seconds.
    #[serde(default = "default_check_s")]
    pub check_s: u32,
    /// PEM file of the authorities that may have signed its certificate; with it the connection is encrypted.
    #[serde(default)]
    pub tls_ca_file: Option<PathBuf>,
    /// The name in its certificate, where it is not the host of `address`.
    #[serde(default)]
    pub tls_name: Option<String>,
    /// PEM file of our certificate, for a GoBGP that asks for one.
    #[serde(default)]
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(default)]
    pub tls_key_file: Option<PathBuf>,
    /// Next hop of IPv4 black holes.
    #[serde(default)]
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Next hop of IPv6 black holes.
    #[serde(default)]
    pub next_hop_v6: Option<Ipv6Addr>,
    /// Communities of black holes.
    #[serde(default = "default_rtbh")]
    pub rtbh_communities: Vec<Community>,
    /// Communities of Flowspec rules.
    #[serde(default = "default_flowspec")]
    pub flowspec_communities: Vec<Community>,
    /// Large communities of every route, besides the mark.
    #[serde(default)]
    pub large_communities: Vec<LargeCommunity>,
}

const fn default_check_s() -> u32 {
    5
}

impl GobgpConfig {
    /// Families that it is given: black holes only where a next hop is known.
    pub fn families(&self) -> Vec<Family> {
        families(&self.roles, self.next_hop_v4, self.next_hop_v6)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bad = |key: &str, reason: &str| {
            Err(ConfigError::Value { place: format!("gobgp.{key}"), reason: reason.to_owned() })
        };
        if !self.address.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && p.parse::<u16>().is_ok_and(|p| p > 0)) {
            return bad("address", "is not host:port");
        }
        if self.families().is_empty() {
            return bad("roles", "name rtbh (with next-hop-v4 or next-hop-v6), flowspec or both");
        }
        if self.check_s == 0 {
            return bad("check-s", "is 0");
        }
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            return bad("tls-cert-file", "certificate and key go together");
        }
        if self.tls_ca_file.is_none() && (self.tls_cert_file.is_some() || self.tls_name.is_some()) {
            return bad("tls-ca-file", "is needed for the other keys of TLS");
        }
        Ok(())
    }
}

const fn default_customer_keep_s() -> u32 {
    300
}

/// `[[bgp.memorandum]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemorandumConfig {
    /// Its number.
    pub id: String,
    /// The customer's id in the register.
    pub customer: String,
    /// The registered contact in whose name requests by BGP are made.
    pub contact: String,
    /// Who answers for the effects.
    pub responsible_party: String,
    /// For which destinations.
    pub prefixes: Vec<IpNet>,
    /// ASes besides the customer's own for whose routes it may ask.
    #[serde(default)]
    pub origins: Vec<u32>,
    /// The communities of which a black hole carries one; without any, none can be asked for.
    #[serde(default)]
    pub communities: Vec<Community>,
    /// Whether Flowspec rules are agreed.
    #[serde(default)]
    pub flowspec: bool,
    /// Most routes at a time.
    #[serde(default = "default_memorandum_routes")]
    pub max_routes: usize,
    /// From when it holds, as `2026-04-01T00:00:00Z`.
    pub signed: String,
    /// Until when.
    pub until: String,
    /// The end of each measure, as in a proposal.
    #[serde(default = "default_memorandum_end")]
    pub end: String,
}

const fn default_memorandum_routes() -> usize {
    10
}
fn default_memorandum_end() -> String {
    "by-hand:24h".to_owned()
}

impl MemorandumConfig {
    /// The memorandum.
    ///
    /// # Errors
    /// When a time cannot be read or something does not hold.
    pub fn read(&self) -> Result<Memorandum, ConfigError> {
        let bad = |reason: String| ConfigError::Value { place: format!("memorandum `{}`", self.id), reason };
        let time = |key: &str, text: &str| {
            text.parse::<suimon_base::Timestamp>().map_err(|e| bad(format!("{key} `{text}`: {e}")))
        };
        let (signed, until) = (time("signed", &self.signed)?, time("until", &self.until)?);
        if signed >= until {
            return Err(bad("it ends before it begins".to_owned()));
        }
        if self.prefixes.is_empty() || self.prefixes.iter().any(|p| p.prefix_len() == 0) {
            return Err(bad("prefixes is empty, or names 0.0.0.0/0 or ::/0".to_owned()));
        }
        if self.communities.contains(&Community::NO_EXPORT) || self.communities.contains(&Community::NO_ADVERTISE) {
            return Err(bad("communities: no-export and no-advertise mean something else".to_owned()));
        }
        if self.communities.is_empty() && !self.flowspec {
            return Err(bad("neither communities nor flowspec: nothing could be asked for".to_owned()));
        }
        if self.max_routes == 0 || self.max_routes > MAX_OFFERS {
            return Err(bad(format!("max-routes is not from 1 to {MAX_OFFERS}")));
        }
        if self.responsible_party.trim().is_empty() {
            return Err(bad("responsible-party is empty".to_owned()));
        }
        self.end.parse::<suimon_base::End>().map_err(|e| bad(format!("end: {e}")))?;
        Ok(Memorandum {
            id: self.id.clone(),
            customer: self.customer.clone(),
            contact: self.contact.clone(),
            responsible_party: self.responsible_party.clone(),
            prefixes: self.prefixes.clone(),
            origins: self.origins.iter().copied().map(suimon_base::Asn).collect(),
            communities: self.communities.clone(),
            flowspec: self.flowspec,
            max_routes: self.max_routes,
            signed,
            until,
            end: self.end.clone(),
        })
    }
}

/// `[bgp.bmp]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BmpConfig {
    /// Where routers connect to.
    pub listen: Vec<SocketAddr>,
    /// `[[bgp.bmp.router]]`.
    #[serde(rename = "router")]
    pub routers: Vec<BmpRouterConfig>,
}

/// `[[bgp.bmp.router]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BmpRouterConfig {
    /// Its name; the same as that of the `[[bgp.peer]]` that it is.
    pub name: String,
    /// The address that it connects from.
    pub address: IpAddr,
}

impl BmpConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let bad = |key: &str, reason: &str| {
            Err(ConfigError::Value { place: format!("bmp.{key}"), reason: reason.to_owned() })
        };
        if self.listen.is_empty() {
            return bad("listen", "is empty");
        }
        if self.routers.is_empty() || self.routers.len() > MAX_PEERS {
            return bad("router", "name at least one router and at most 64");
        }
        for (i, r) in self.routers.iter().enumerate() {
            if self.routers[..i].iter().any(|o| o.name == r.name || o.address == r.address) {
                return bad("router", &format!("`{}` is there twice, by name or address", r.name));
            }
        }
        Ok(())
    }
}

fn families(roles: &[Role], v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Vec<Family> {
    let mut out = Vec::new();
    if roles.contains(&Role::Rtbh) {
        out.extend(v4.map(|_| Family::Ipv4));
        out.extend(v6.map(|_| Family::Ipv6));
    }
    if roles.contains(&Role::Flowspec) {
        out.extend([Family::Flow4, Family::Flow6]);
    }
    if roles.contains(&Role::Customer) {
        out.extend(Family::ALL);
    }
    out
}

/// A password; it is not printed.
#[derive(Clone)]
pub struct Password(Vec<u8>);

impl Password {
    /// From a file's octets.
    ///
    /// # Errors
    /// When it has not 1 to 80 octets.
    pub fn new(file: &[u8]) -> Result<Password, ConfigError> {
        let octets = file.strip_suffix(b"\n").unwrap_or(file);
        let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
        if octets.is_empty() || octets.len() > MAX_KEY_OCTETS {
            let reason = "a TCP-MD5 password has 1 to 80 octets".to_owned();
            return Err(ConfigError::Value { place: "peer md5-password-file".to_owned(), reason });
        }
        Ok(Password(octets.to_vec()))
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What a peer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It takes black holes.
    Rtbh,
    /// It takes Flowspec rules.
    Flowspec,
    /// It is a customer's router: what it announces are requests; it is told nothing.
    Customer,
}

/// `[[bgp.peer]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PeerConfig {
    /// Its name in receipts and logs.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its TCP port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Its AS number; ours for an internal session.
    pub remote_as: u32,
    /// Our address towards it; without it the system chooses.
    #[serde(default)]
    pub source: Option<IpAddr>,
    /// What it is for.
    pub roles: Vec<Role>,
    /// Whether it is the operator's own router; `false` for an upstream. Routes of the scope `edge-only` go only there.
    #[serde(default = "yes")]
    pub edge: bool,
    /// Most routes it is given; keep it under the limit configured there.
    #[serde(default = "default_peer_routes")]
    pub max_routes: usize,
    /// Hold time in seconds: how long after the death of our host it may still filter.
    #[serde(default = "default_hold_s")]
    pub hold_s: u16,
    /// Seconds between attempts to reach it.
    #[serde(default = "default_retry_s")]
    pub retry_s: u32,
    /// Hops to a peer that is not on the same link: the TTL of what we send.
    #[serde(default)]
    pub multihop: Option<u8>,
    /// With the role `customer`: the memorandum on file under which it may ask.
    #[serde(default)]
    pub memorandum: Option<String>,
    /// Sends with TTL 255 and takes nothing with less (GTSM, RFC 5082); the peer does the same.
    #[serde(default)]
    pub gtsm: bool,
    /// File with the password of TCP-MD5 (RFC 2385), 1 to 80 octets; a line end at its end does not count.
    #[serde(default)]
    pub md5_password_file: Option<PathBuf>,
    /// Refused: see [`ConfigError::GracefulRestart`].
    #[serde(default)]
    pub graceful_restart: bool,
    /// Next hop of IPv4 black holes.
    #[serde(default)]
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Next hop of IPv6 black holes.
    #[serde(default)]
    pub next_hop_v6: Option<Ipv6Addr>,
    /// Communities of black holes.
    #[serde(default = "default_rtbh")]
    pub rtbh_communities: Vec<Community>,
    /// Communities of Flowspec rules.
    #[serde(default = "default_flowspec")]
    pub flowspec_communities: Vec<Community>,
    /// Large communities of every route.
    #[serde(default)]
    pub large_communities: Vec<LargeCommunity>,
}

const fn default_port() -> u16 {
    179
}
const fn yes() -> bool {
    true
}
const fn default_peer_routes() -> usize {
    1_000
}
const fn default_hold_s() -> u16 {
    30
}
const fn default_retry_s() -> u32 {
    5
}
fn default_rtbh() -> Vec<Community> {
    vec![Community::BLACKHOLE, Community::NO_EXPORT]
}
fn default_flowspec() -> Vec<Community> {
    vec![Community::NO_EXPORT]
}

/// `[bgp.guard]`. What is not allowed here does not leave, whoever approved it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct GuardConfig {
    /// The operator's own space.
    pub own: Vec<IpNet>,
    /// `[[bgp.guard.customer]]`: customers' registered space.
    #[serde(rename = "customer")]
    pub customers: Vec<CustomerConfig>,
    /// `[[bgp.guard.protect]]`: what no measure may touch.
    #[serde(rename = "protect")]
    pub protected: Vec<ProtectConfig>,
    /// Shortest prefix of an IPv4 black hole; not under 8.
    pub rtbh_min_v4: u8,
    /// Shortest prefix of an IPv6 black hole; not under 16.
    pub rtbh_min_v6: u8,
    /// Shortest destination of an IPv4 Flowspec rule; not under 8.
    pub flowspec_min_v4: u8,
    /// Shortest destination of an IPv6 Flowspec rule; not under 16.
    pub flowspec_min_v6: u8,
    /// Most routes of everybody together.
    pub max_routes: usize,
    /// How many of them are kept for emergencies.
    pub emergency_reserve: usize,
    /// Next hops that a redirect may name.
    pub redirect_next_hops: Vec<IpAddr>,
    /// Route targets that a redirect may name.
    pub redirect_targets: Vec<RouteTarget>,
    /// AS numbers whose paths in the RIB dump start a customer cone: direct customers.
    pub direct_customers: Vec<u32>,
    /// File of `provider|customer|-1` lines.
    pub as_relationships: Option<PathBuf>,
    /// File of route origins: `prefix AS`, IRR `route:`/`origin:` objects or RPKI CSV.
    pub route_origins: Option<PathBuf>,
    /// A TABLE_DUMP_V2 dump of the operator's routes (RFC 6396), not compressed.
    pub rib_dump: Option<PathBuf>,
    /// `[[bgp.guard.consent]]`: recorded consents of subordinate ASes.
    #[serde(rename = "consent")]
    pub consents: Vec<ConsentConfig>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        GuardConfig {
            own: Vec::new(),
            customers: Vec::new(),
            protected: Vec::new(),
            rtbh_min_v4: 32,
            rtbh_min_v6: 128,
            flowspec_min_v4: 24,
            flowspec_min_v6: 48,
            max_routes: 1_000,
            emergency_reserve: 200,
            redirect_next_hops: Vec::new(),
            redirect_targets: Vec::new(),
            direct_customers: Vec::new(),
            as_relationships: None,
            route_origins: None,
            rib_dump: None,
            consents: Vec::new(),
        }
    }
}

/// `[[bgp.guard.customer]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CustomerConfig {
    /// Who, as in the contract.
    pub name: String,
    /// Registered space.
    pub prefixes: Vec<IpNet>,
    /// Its AS number, where it has one.
    #[serde(default)]
    pub asn: Option<u32>,
    /// Most routes for it.
    #[serde(default = "default_customer_routes")]
    pub max_routes: usize,
}

impl CustomerConfig {
    /// A customer without an AS number of its own and with the usual cap.
    pub fn new(name: &str, prefixes: Vec<IpNet>) -> CustomerConfig {
        CustomerConfig { name: name.to_owned(), prefixes, asn: None, max_routes: default_customer_routes() }
    }
}

const fn default_customer_routes() -> usize {
    100
}

/// Which side of a packet a protected address stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Packets to it.
    #[default]
    Destination,
    /// Packets from it (a resolver's answers, a bank's service).
    Source,
}

/// `[[bgp.guard.protect]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProtectConfig {
    /// What it is, for the refusal: `router loopbacks`, `emergency calls`.
    pub what: String,
    /// Addresses.
    pub prefixes: Vec<IpNet>,
    /// Whether packets to them or from them.
    #[serde(default)]
    pub side: Side,
    /// Only this protocol.
    #[serde(default)]
    pub protocol: Option<u8>,
    /// Only these ports on the protected side.
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// `[[bgp.guard.consent]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConsentConfig {
    /// Whose.
    pub asn: u32,
    /// For which of its prefixes; what lies within is covered.
    pub prefixes: Vec<IpNet>,
    /// Where it is recorded: a case, a memorandum.
    pub reference: String,
    /// Until when, as `2026-12-31T00:00:00Z`.
    pub until: String,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Graceful restart is asked for.
    #[error(
        "bgp.peer `{0}`: graceful-restart: the peer would keep filters after the death of this program; there is no such mode"
    )]
    GracefulRestart(String),
    /// A value out of its range.
    #[error("bgp.{place}: {reason}")]
    Value {
        /// Which key.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

impl PeerConfig {
    /// A peer with the defaults and no role.
    pub fn new(name: &str, address: IpAddr, remote_as: u32) -> PeerConfig {
        PeerConfig {
            name: name.to_owned(),
            address,
            port: default_port(),
            remote_as,
            source: None,
            roles: Vec::new(),
            edge: yes(),
            max_routes: default_peer_routes(),
            hold_s: default_hold_s(),
            retry_s: default_retry_s(),
            multihop: None,
            memorandum: None,
            gtsm: false,
            md5_password_file: None,
            graceful_restart: false,
            next_hop_v4: None,
            next_hop_v6: None,
            rtbh_communities: default_rtbh(),
            flowspec_communities: default_flowspec(),
            large_communities: Vec::new(),
        }
    }

    /// Whether it is a customer's router.
    pub fn is_customer(&self) -> bool {
        self.roles.contains(&Role::Customer)
    }

    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Families to negotiate: black holes only where a next hop is known.
    pub fn families(&self) -> Vec<Family> {
        families(&self.roles, self.next_hop_v4, self.next_hop_v6)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bad = |reason: &str| {
            Err(ConfigError::Value { place: format!("peer `{}`", self.name), reason: reason.to_owned() })
        };
        if self.graceful_restart {
            return Err(ConfigError::GracefulRestart(self.name.clone()));
        }
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            return bad("name is empty or holds control characters");
        }
        if self.roles.is_empty() {
            return bad("roles is empty: name rtbh, flowspec or both");
        }
        if self.roles.contains(&Role::Rtbh) && self.next_hop_v4.is_none() && self.next_hop_v6.is_none() {
            return bad("the role rtbh needs next-hop-v4 or next-hop-v6, an address that the peer routes to nowhere");
        }
        if self.is_customer() != self.memorandum.is_some() || self.is_customer() && self.roles.len() > 1 {
            return bad("the role customer stands alone and names its memorandum");
        }
        if self.hold_s < MIN_HOLD_S {
            return bad("hold-s is under 3; 0 would let filters outlive this host for ever");
        }
        if self.retry_s == 0 {
            return bad("retry-s is 0");
        }
        if self.remote_as == 0 || self.port == 0 {
            return bad("remote-as and port are not 0");
        }
        if self.gtsm && self.multihop.is_some() {
            return bad("gtsm is for a peer on the same link, multihop for one that is not");
        }
        if self.multihop == Some(0) {
            return bad("multihop is 0");
        }
        match self.source {
            Some(s) if s.is_ipv4() != self.address.is_ipv4() => bad("source and address are of different families"),
            _ => Ok(()),
        }
    }
}

impl BgpConfig {
    /// Looks at what the types cannot say.
    ///
    /// # Errors
    /// At the first value that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |place: &str, reason: &str| Err(ConfigError::Value { place: place.into(), reason: reason.into() });
        if self.local_as == 0 {
            return bad("local-as", "is 0");
        }
        if self.router_id.is_unspecified() {
            return bad("router-id", "is 0.0.0.0");
        }
        match (self.driver, &self.gobgp) {
            (Driver::Own, None) if self.peers.is_empty() || self.peers.len() > MAX_PEERS => {
                return bad("peer", "name at least one peer and at most 64");
            }
            (Driver::Own, Some(_)) => return bad("gobgp", "is only for driver = \"gobgp\""),
            (Driver::Gobgp, None) => return bad("gobgp", "is missing"),
            (Driver::Gobgp, Some(_)) if !self.peers.iter().all(PeerConfig::is_customer) => {
                return bad("peer", "with driver = \"gobgp\" the sessions are GoBGP's; configure its neighbours there");
            }
            (Driver::Gobgp, Some(gobgp)) => gobgp.check()?,
            (Driver::Own, None) => {}
        }
        let mut names: Vec<&str> = self.peers.iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
            return bad("peer", &format!("two peers are named `{}`", twice[0]));
        }
        self.peers.iter().try_for_each(PeerConfig::check)?;
        if self.driver == Driver::Own && self.peers.iter().all(PeerConfig::is_customer) {
            return bad("peer", "there are only customers; nobody would be told anything");
        }
        for (i, memo) in self.memoranda.iter().enumerate() {
            memo.read()?;
            if self.memoranda[..i].iter().any(|o| o.id == memo.id) {
                return bad("memorandum", &format!("two are called `{}`", memo.id));
            }
        }
        for peer in self.peers.iter().filter(|p| p.is_customer()) {
            if !self.memoranda.iter().any(|m| Some(&m.id) == peer.memorandum.as_ref()) {
                return bad(&format!("peer `{}`", peer.name), "its memorandum is not among [[bgp.memorandum]]");
            }
        }
        self.bmp.iter().try_for_each(BmpConfig::check)?;
        self.guard.check()
    }
}

impl GuardConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let bad = |place: &str, reason: &str| {
            Err(ConfigError::Value { place: format!("guard.{place}"), reason: reason.into() })
        };
        for (place, value, least, most) in [
            ("rtbh-min-v4", self.rtbh_min_v4, 8, 32),
            ("rtbh-min-v6", self.rtbh_min_v6, 16, 128),
            ("flowspec-min-v4", self.flowspec_min_v4, 8, 32),
            ("flowspec-min-v6", self.flowspec_min_v6, 16, 128),
        ] {
            if !(least..=most).contains(&value) {
                return bad(place, &format!("is {value}, not from {least} to {most}"));
            }
        }
        if self.emergency_reserve >= self.max_routes {
            return bad("emergency-reserve", "leaves no room below max-routes");
        }
        let spaces = self.own.iter().chain(self.customers.iter().flat_map(|c| &c.prefixes));
        for net in spaces.chain(self.consents.iter().flat_map(|c| &c.prefixes)) {
            if net.prefix_len() == 0 {
                return bad("own", "0.0.0.0/0 and ::/0 are nobody's space");
            }
        }
        for c in &self.consents {
            c.until.parse::<suimon_base::Timestamp>().or_else(|e| {
                bad("consent", &format!("until `{}` of AS{}: {e}", c.until, c.asn)).map(|()| Default::default())
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
local-as = 64500
router-id = "192.0.2.1"
[[peer]]
name = "edge1"
address = "192.0.2.10"
remote-as = 64500
roles = ["rtbh", "flowspec"]
next-hop-v4 = "192.0.2.254"
[guard]
own = ["192.0.2.0/24"]
"#;

    fn read(text: &str) -> Result<BgpConfig, String> {
        let config: BgpConfig = toml::from_str(text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn reads_what_the_manual_shows() {
        let config = read(GOOD).unwrap();
        assert_eq!(config.peers[0].families(), [Family::Ipv4, Family::Flow4, Family::Flow6]);
        assert_eq!(config.peers[0].rtbh_communities, [Community::BLACKHOLE, Community::NO_EXPORT]);
    }

    #[test]
    fn refuses_with_the_place() {
        for (line, word) in [
            ("graceful-restart = true", "graceful-restart"),
            ("hold-s = 0", "hold-s"),
            ("retry-s = 0", "retry-s"),
            ("source = \"2001:db8::1\"", "families"),
            ("gtsm = true\nmultihop = 2", "gtsm"),
            ("multihop = 0", "multihop"),
            ("unknown = 1", "unknown"),
            ("rtbh-communities = [\"1:2:3\"]", "community"),
        ] {
            let text = GOOD.replace("[guard]", &format!("{line}\n[guard]"));
            let error = read(&text).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
        for (line, word) in [
            ("own = [\"0.0.0.0/0\"]", "nobody"),
            ("own = [\"::/0\"]", "nobody"),
            ("rtbh-min-v4 = 0", "rtbh-min-v4"),
            ("flowspec-min-v6 = 8", "flowspec-min-v6"),
            ("emergency-reserve = 1000", "emergency-reserve"),
        ] {
            let error = read(&GOOD.replace("own = [\"192.0.2.0/24\"]", line)).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
