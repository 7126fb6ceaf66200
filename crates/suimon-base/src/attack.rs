//! An attack as detection tells it: what, against whom, since when, by which rule, and how sure (catalogue rows 49, 59, 60).

use crate::flow::Fragment;
use crate::rule::{Match, PortRange};
use crate::units::Fps;
use crate::{Bps, Pps, Timestamp};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Seen from the operator's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards the operator's or a customer's addresses.
    In,
    /// From them to elsewhere.
    Out,
}

/// The kind of traffic an attack is made of, the most specific that fits. The table of what each one looks like is
/// data of `suimon-detect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vector {
    /// TCP SYN without ACK.
    Syn,
    /// TCP SYN+ACK nobody here asked for: reflection.
    SynAck,
    /// TCP ACK or RST.
    AckRst,
    /// Other TCP.
    TcpOther,
    /// DNS answers, from UDP port 53.
    DnsReflection,
    /// NTP answers, from UDP port 123.
    NtpReflection,
    /// SSDP answers, from UDP port 1900.
    SsdpReflection,
    /// Connection-less LDAP answers, from UDP port 389.
    CldapReflection,
    /// SNMP answers, from UDP port 161.
    SnmpReflection,
    /// memcached answers, from UDP port 11211.
    MemcachedReflection,
    /// chargen answers, from UDP port 19.
    ChargenReflection,
    /// WS-Discovery answers, from UDP port 3702.
    WsDiscoveryReflection,
    /// Apple Remote Management answers, from UDP port 3283.
    ArmsReflection,
    /// IKE and IPsec NAT traversal answers, from UDP ports 500 and 4500.
    IkeReflection,
    /// Answers of video recorders from UDP port 37810.
    DvrReflection,
    /// Non-first fragments of UDP or unknown datagrams.
    Fragments,
    /// ICMP and ICMPv6.
    Icmp,
    /// GRE.
    Gre,
    /// Other UDP.
    UdpOther,
    /// Any other IP protocol.
    OtherProtocol,
    /// No single kind dominates: the total is over its threshold.
    Total,
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The serde name is the one name of a vector everywhere.
        let text = serde_json::to_value(self).ok();
        f.write_str(text.as_ref().and_then(|v| v.as_str()).unwrap_or("unknown"))
    }
}

/// A rate in three units, corrected for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Rates {
    /// Bits a second.
    pub bps: Bps,
    /// Packets a second.
    pub pps: Pps,
    /// Flows a second.
    pub fps: Fps,
}

/// One vector of an attack with its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct VectorFinding {
    /// Which kind.
    pub vector: Vector,
    /// Largest one-second bucket so far.
    pub peak: Rates,
    /// Rate over the last window.
    pub current: Rates,
    /// The narrowest match that takes this vector's packets towards the target; what a filter would start from.
    pub matches: Match,
}

/// The threshold that fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct FiredRule {
    /// Name of the rule in the configuration or its built-in name.
    pub rule: String,
    /// Unit of `value` and `threshold`: `bps`, `pps` or `flows/s`.
    pub unit: String,
    /// Measured value, corrected for sampling.
    pub value: u64,
    /// The limit it passed.
    pub threshold: u64,
    /// Window in milliseconds.
    pub window_ms: u64,
}

/// How much was really looked at (catalogue row 59: flow is sampled, never "all packets").
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct SamplingEvidence {
    /// Largest one-in-N among the exporters that contributed.
    pub rate: u32,
    /// Whether some exporter's rate is only assumed.
    pub assumed: bool,
    /// Sampled packets behind the figure.
    pub samples: u64,
    /// Relative standard error of the packet estimate, 0.1 = ±10 %: 1/√samples; 0 when unsampled.
    pub relative_error: f64,
}

/// One line of a top list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Share {
    /// What is counted: an address, a port, a flag combination, a size class, an interface.
    pub key: String,
    /// Share of the attack's packets, 0 to 1.
    pub share: f64,
}

/// Packets of one look, seen from the target: enough to ask whether a rule would take them. No peer addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct ProfileClass {
    /// IP protocol.
    pub proto: u8,
    /// Source port where it tells something (a service's port, or one port of many peers); else `None`.
    pub src_port: Option<u16>,
    /// Destination port where it tells something; else `None`.
    pub dst_port: Option<u16>,
    /// TCP flags seen.
    pub tcp_flags: u8,
    /// Fragmentation.
    pub fragment: Fragment,
    /// Smallest and largest mean packet length of the class, octets.
    pub ip_len: PortRange,
    /// Packets a second, corrected for sampling.
    pub pps: f64,
    /// New connections or flows a second, corrected for sampling.
    pub fps: f64,
}

/// What traffic towards one target looks like: the normal one before an attack, or all of it during one
/// (catalogue row 61: collateral is estimated before a measure is applied).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct TrafficProfile {
    /// Flow records behind it; 0 means nothing is known.
    pub records: u64,
    /// The classes, the largest first, at most [`TrafficProfile::MAX_CLASSES`].
    pub classes: Vec<ProfileClass>,
}

impl TrafficProfile {
    /// Most classes a profile keeps; smaller ones are folded into a class without ports.
    pub const MAX_CLASSES: usize = 32;
}

/// Reasons for the attack, in numbers and in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Evidence {
    /// The rules that fired, the decisive one first.
    pub fired: Vec<FiredRule>,
    /// Sampling behind the figures.
    pub sampling: SamplingEvidence,
    /// Largest sources.
    pub top_sources: Vec<Share>,
    /// Largest source ports.
    pub top_src_ports: Vec<Share>,
    /// Largest destination ports.
    pub top_dst_ports: Vec<Share>,
    /// TCP flag combinations.
    pub tcp_flags: Vec<Share>,
    /// Packet size classes in octets, such as `0-99`, `1400-1499`.
    pub sizes: Vec<Share>,
    /// Exporter and input interface, such as `192.0.2.1/7`.
    pub ingress: Vec<Share>,
    /// The target's traffic before the attack.
    pub before: TrafficProfile,
    /// The target's traffic when the attack was detected or last updated, attack included.
    pub during: TrafficProfile,
    /// Why the sources look spoofed or real, one reason a line.
    pub spoof_reasons: Vec<String>,
    /// One paragraph, English.
    pub words_en: String,
    /// One paragraph, Japanese.
    pub words_ja: String,
}

/// One or more vectors against one target over a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Attack {
    /// Number of the attack within its detector, from 1; the spine's id is made from it.
    pub serial: u64,
    /// An address, a customer's prefix, or a covering /24 or /48.
    pub target: IpNet,
    /// Towards us or from us.
    pub direction: Direction,
    /// Vectors, the largest first; never empty.
    pub vectors: Vec<VectorFinding>,
    /// When the first bucket over the threshold began.
    pub started: Timestamp,
    /// When the detector said so.
    pub detected: Timestamp,
    /// When it fell below the release threshold for the hold time; `None` while it lasts.
    pub ended: Option<Timestamp>,
    /// Largest one-second bucket of the whole attack.
    pub peak: Rates,
    /// Distinct source addresses, estimated.
    pub sources: u64,
    /// 0 (surely real) to 1 (surely spoofed).
    pub spoof_likelihood: f64,
    /// Why.
    pub evidence: Evidence,
}

/// What a detector reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum AttackChange {
    /// A new attack.
    Started(Attack),
    /// New vectors or figures of a running one.
    Updated(Attack),
    /// It is over; `ended` is set.
    Ended(Attack),
}

impl AttackChange {
    /// The attack, whatever happened to it.
    pub fn attack(&self) -> &Attack {
        match self {
            AttackChange::Started(a) | AttackChange::Updated(a) | AttackChange::Ended(a) => a,
        }
    }
}
