//! Settings of a detector, their defaults and limits, and the versioned file form.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use suimon_base::units::Fps;
use suimon_base::{Bps, Pps, Vector};

/// Closed buckets a window can be made of.
pub const MAX_WINDOW_BUCKETS: u64 = crate::slot::RING as u64;
/// Format of the file form that this program reads.
pub const FILE_VERSION: u32 = 1;
/// Most networks of one configuration.
pub const MAX_NETWORKS: usize = 65_536;

/// What a configuration can be refused for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A field has a value that cannot work.
    #[error("{field}: {problem}")]
    Field {
        /// The field, as in the file form.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The file form cannot be read; the text names line and column.
    #[error("detection configuration: {0}")]
    File(String),
    /// The vector table cannot be read.
    #[error("vector table: {0}")]
    Vectors(String),
}

fn bad(field: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::Field { field: field.into(), problem: problem.into() }
}

/// Upper limits of a rate; `None` is no limit (in a network: inherited). All are corrected for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limit {
    /// Bits a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bps: Option<Bps>,
    /// Packets a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pps: Option<Pps>,
    /// Flows a second. Under sampling a lower bound: see the explanation of detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<Fps>,
}

impl Limit {
    /// Limits in bits and packets a second.
    pub const fn new(bps: u64, pps: u64) -> Self {
        Limit { bps: Some(Bps(bps)), pps: Some(Pps(pps)), fps: None }
    }
    /// A limit in packets a second only.
    pub const fn pps(pps: u64) -> Self {
        Limit { bps: None, pps: Some(Pps(pps)), fps: None }
    }
    fn over(self, base: Limit) -> Limit {
        Limit { bps: self.bps.or(base.bps), pps: self.pps.or(base.pps), fps: self.fps.or(base.fps) }
    }
    fn is_zero(self) -> bool {
        self.bps == Some(Bps(0)) || self.pps == Some(Pps(0)) || self.fps == Some(Fps(0))
    }
}

/// Thresholds of one address, and how they grow for prefixes. `None` inherits within a network, and is no limit (or
/// the built-in multiple or ratio) at the top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Thresholds {
    /// All traffic of an address.
    #[serde(default)]
    pub total: Limit,
    /// One vector's traffic of an address.
    #[serde(default)]
    pub vectors: BTreeMap<Vector, Limit>,
    /// A covering /24 or /48 has this many times the limits of an address; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover_multiple: Option<f64>,
    /// A customer's prefix has this many times the limits of an address; at least 1. Where it holds n /24 or /48, its
    /// total has n times and each vector √n times as much again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_multiple: Option<f64>,
    /// Vectors that ordinary services also make (reflections, UDP, fragments) must also exceed this many times the
    /// address's own normal rate; 0 switches it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_ratio: Option<f64>,
    /// Prefixes must exceed this many times their own normal rate, whatever the vector; 0 switches it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_ratio: Option<f64>,
}

/// Default of [`Thresholds::cover_multiple`].
pub const COVER_MULTIPLE: f64 = 3.0;
/// Default of [`Thresholds::customer_multiple`].
pub const CUSTOMER_MULTIPLE: f64 = 3.0;
/// Default of [`Thresholds::baseline_ratio`].
pub const BASELINE_RATIO: f64 = 4.0;
/// Default of [`Thresholds::aggregate_ratio`].
pub const AGGREGATE_RATIO: f64 = 2.0;

impl Default for Thresholds {
    /// Limits for an access and hosting provider; the reasons are in `docs/explanation/detection.md`.
    fn default() -> Self {
        const M: u64 = 1_000_000;
        let reflected = Limit::new(200 * M, 50_000);
        let rare = Limit::new(100 * M, 20_000);
        let vectors = BTreeMap::from([
            (Vector::Syn, Limit::pps(10_000)),
            (Vector::SynAck, Limit::pps(10_000)),
            (Vector::AckRst, Limit::pps(200_000)),
            (Vector::DnsReflection, reflected),
            (Vector::NtpReflection, rare),
            (Vector::SsdpReflection, rare),
            (Vector::CldapReflection, rare),
            (Vector::SnmpReflection, rare),
            (Vector::MemcachedReflection, rare),
            (Vector::ChargenReflection, rare),
            (Vector::WsDiscoveryReflection, rare),
            (Vector::ArmsReflection, rare),
            (Vector::IkeReflection, Limit::new(2_000 * M, 200_000)),
            (Vector::DvrReflection, rare),
            (Vector::Fragments, reflected),
            (Vector::Icmp, rare),
            (Vector::Gre, Limit::new(2_000 * M, 200_000)),
            (Vector::UdpOther, Limit::new(2_000 * M, 200_000)),
            (Vector::OtherProtocol, Limit::new(2_000 * M, 200_000)),
        ]);
        Thresholds {
            total: Limit { bps: Some(Bps(5_000 * M)), pps: Some(Pps(500_000)), fps: Some(Fps(100_000)) },
            vectors,
            cover_multiple: Some(COVER_MULTIPLE),
            customer_multiple: Some(CUSTOMER_MULTIPLE),
            baseline_ratio: Some(BASELINE_RATIO),
            aggregate_ratio: Some(AGGREGATE_RATIO),
        }
    }
}

impl Thresholds {
    /// No limit at all; a start for thresholds written out one by one.
    pub fn none() -> Self {
        Thresholds {
            total: Limit::default(),
            vectors: BTreeMap::new(),
            cover_multiple: None,
            customer_multiple: None,
            baseline_ratio: None,
            aggregate_ratio: None,
        }
    }

    /// These thresholds where given, `base` where not.
    pub fn over(&self, base: &Thresholds) -> Thresholds {
        let mut vectors = base.vectors.clone();
        for (v, limit) in &self.vectors {
            let merged = limit.over(vectors.get(v).copied().unwrap_or_default());
            vectors.insert(*v, merged);
        }
        Thresholds {
            total: self.total.over(base.total),
            vectors,
            cover_multiple: self.cover_multiple.or(base.cover_multiple),
            customer_multiple: self.customer_multiple.or(base.customer_multiple),
            baseline_ratio: self.baseline_ratio.or(base.baseline_ratio),
            aggregate_ratio: self.aggregate_ratio.or(base.aggregate_ratio),
        }
    }

    fn check(&self, place: &str) -> Result<(), ConfigError> {
        if self.total.is_zero() {
            return Err(bad(format!("{place}.total"), "a limit of 0 would always fire; leave it out for none"));
        }
        if let Some((v, _)) = self.vectors.iter().find(|(_, l)| l.is_zero()) {
            return Err(bad(format!("{place}.vectors.{v}"), "a limit of 0 would always fire; leave it out for none"));
        }
        for (name, value, least) in [
            ("cover-multiple", self.cover_multiple, 1.0),
            ("customer-multiple", self.customer_multiple, 1.0),
            ("baseline-ratio", self.baseline_ratio, 0.0),
            ("aggregate-ratio", self.aggregate_ratio, 0.0),
        ] {
            if let Some(v) = value
                && !(v >= least && v <= 1e6)
            {
                return Err(bad(format!("{place}.{name}"), format!("{v} is not between {least} and 1000000")));
            }
        }
        Ok(())
    }
}

/// A prefix whose addresses are protected and watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// The prefix. Nested ones are allowed; the longest decides.
    pub prefix: IpNet,
    /// The customer's key; a prefix with one is also watched as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Where given, replaces the general thresholds limit by limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
}

/// Bounds on what traffic can make grow; what is refused is counted ([`crate::Counters`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Addresses tracked, both directions together; each takes about 1.5 KB, and 200 octets to 1.2 KB (IPv4 addresses
    /// alone in their /24) while it is far below every limit.
    pub max_hosts: usize,
    /// Addresses tracked within one /48 (IPv6), so that one customer cannot fill the table.
    pub max_hosts_per_cover: u32,
    /// Covering prefixes tracked.
    pub max_covers: usize,
    /// Long flows being spread over their duration; each takes 56 octets.
    pub max_long_flows: usize,
    /// Targets with a sample of their traffic at a time; each takes up to 200 KB.
    pub max_samples: usize,
    /// Attacks running at a time.
    pub max_attacks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_hosts: 262_144,
            max_hosts_per_cover: 8_192,
            max_covers: 65_536,
            max_long_flows: 1_000_000,
            max_samples: 256,
            max_attacks: 4_096,
        }
    }
}

/// Settings of a detector; also its file form, where every field but `version` has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Length of the window that thresholds are compared over, milliseconds; 1 to 5 buckets.
    pub window_ms: u64,
    /// Length of a bucket, milliseconds: 20 to 1,000, dividing 1,000 and the window.
    pub bucket_ms: u64,
    /// How long rates must stay under the release level before an attack ends, milliseconds.
    pub hold_ms: u64,
    /// The release level as a share of the threshold, above 0 and at most 1.
    pub release_ratio: f64,
    /// Shortest time between two updates of one attack, milliseconds.
    pub update_ms: u64,
    /// Sampled packets that must be behind a rate before a rule may fire on sampled flows.
    pub min_samples: u32,
    /// Longest time a long flow is spread over, milliseconds; at most an hour.
    pub long_flow_ms: u64,
    /// Time constant of an address's normal rate, milliseconds.
    pub baseline_ms: u64,
    /// An address without traffic for this long is forgotten, milliseconds.
    pub idle_ms: u64,
    /// Limits of an address that no network overrides.
    pub thresholds: Thresholds,
    /// What is watched. Flows that touch none of it are counted and forgotten.
    pub networks: Vec<Network>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            window_ms: 1_000,
            bucket_ms: 200,
            hold_ms: 5_000,
            release_ratio: 0.5,
            update_ms: 1_000,
            min_samples: 5,
            long_flow_ms: 60_000,
            baseline_ms: 300_000,
            idle_ms: 600_000,
            thresholds: Thresholds::default(),
            networks: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads the file form: `version = 1` and any field of [`Config`] in kebab-case. Thresholds given there replace
    /// the built-in ones limit by limit.
    ///
    /// # Errors
    /// TOML syntax, an unknown field (with line and column), an unknown version, or a value that cannot work.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| ConfigError::File(e.to_string()))?;
        match table.get("version") {
            Some(toml::Value::Integer(v)) if *v == i64::from(FILE_VERSION) => {}
            Some(v) => return Err(bad("version", format!("{v} is not {FILE_VERSION}"))),
            None => return Err(bad("version", format!("is missing; write version = {FILE_VERSION}"))),
        }
        // Read from the text, not from the table, so that errors carry line and column.
        let mut config: Config =
            toml::from_str(&without_version(text)).map_err(|e| ConfigError::File(e.to_string()))?;
        config.thresholds = config.thresholds.over(&Thresholds::default());
        config.check()?;
        Ok(config)
    }

    /// Whether every value can work.
    ///
    /// # Errors
    /// The first field that cannot, and why.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(20..=1_000).contains(&self.bucket_ms) || 1_000 % self.bucket_ms != 0 {
            return Err(bad("bucket-ms", format!("{} is not a divisor of 1000 from 20 to 1000", self.bucket_ms)));
        }
        if self.window_ms == 0 || !self.window_ms.is_multiple_of(self.bucket_ms) {
            return Err(bad(
                "window-ms",
                format!("{} is not a multiple of bucket-ms {}", self.window_ms, self.bucket_ms),
            ));
        }
        if self.window_ms / self.bucket_ms > MAX_WINDOW_BUCKETS || 1_000 / self.bucket_ms > MAX_WINDOW_BUCKETS {
            return Err(bad(
                "bucket-ms",
                format!("a window and a second may have at most {MAX_WINDOW_BUCKETS} buckets; take a longer bucket"),
            ));
        }
        if !(self.release_ratio > 0.0 && self.release_ratio <= 1.0) {
            return Err(bad("release-ratio", format!("{} is not above 0 and at most 1", self.release_ratio)));
        }
        if self.long_flow_ms < self.window_ms || self.long_flow_ms > 3_600_000 {
            return Err(bad("long-flow-ms", format!("{} is not between the window and an hour", self.long_flow_ms)));
        }
        if self.baseline_ms < 10_000 {
            return Err(bad("baseline-ms", "is under 10 seconds; a normal rate needs longer"));
        }
        if self.min_samples == 0 {
            return Err(bad("min-samples", "is 0; at least one packet must have been seen"));
        }
        if self.limits.max_hosts == 0 || self.limits.max_hosts > 1 << 26 {
            return Err(bad("limits.max-hosts", "is not between 1 and 67108864"));
        }
        if self.networks.len() > MAX_NETWORKS {
            return Err(bad("networks", format!("{} of them; at most {MAX_NETWORKS}", self.networks.len())));
        }
        self.thresholds.check("thresholds")?;
        for (i, n) in self.networks.iter().enumerate() {
            if n.prefix != n.prefix.trunc() {
                return Err(bad(
                    format!("networks[{i}].prefix"),
                    format!("{} has host bits; write {}", n.prefix, n.prefix.trunc()),
                ));
            }
            if let Some(t) = &n.thresholds {
                t.check(&format!("networks[{i}].thresholds"))?;
            }
        }
        Ok(())
    }
}

/// The text with its top-level `version` line blanked, every other line where it was.
fn without_version(text: &str) -> String {
    let mut top = true;
    let keep = |line: &str| {
        top &= !line.trim_start().starts_with('[');
        let key = line.split('=').next().unwrap_or_default().trim();
        if top && key == "version" { String::new() } else { line.to_owned() }
    };
    text.lines().map(keep).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_form_overlays_the_defaults_and_names_typos() {
        let c = Config::from_toml(
            "version = 1\nhold-ms = 9000\n[thresholds]\ntotal = { pps = 7 }\n[thresholds.vectors]\nsyn = { pps = 1500 }\n\
             [[networks]]\nprefix = \"198.51.100.0/24\"\ncustomer = \"example\"\n",
        )
        .unwrap();
        assert_eq!(c.hold_ms, 9_000);
        assert_eq!(c.thresholds.total.pps, Some(Pps(7)));
        assert_eq!(c.thresholds.total.bps, Thresholds::default().total.bps);
        assert_eq!(c.thresholds.vectors[&Vector::Syn].pps, Some(Pps(1_500)));
        assert_eq!(c.thresholds.vectors[&Vector::Icmp], Thresholds::default().vectors[&Vector::Icmp]);
        for (text, word) in [
            ("version = 1\nhold = 3", "hold"),
            ("version = 2", "version"),
            ("hold-ms = 3", "version"),
            ("version = 1\nbucket-ms = 300", "bucket-ms"),
            ("version = 1\nbucket-ms = 100", "bucket-ms"),
            ("version = 1\nrelease-ratio = 0.0", "release-ratio"),
            ("version = 1\n[thresholds.vectors]\nsin = { pps = 3 }", "sin"),
            ("version = 1\n[thresholds.vectors]\nsyn = { pps = 0 }", "syn"),
            ("version = 1\n[[networks]]\nprefix = \"198.51.100.1/24\"", "198.51.100.0/24"),
        ] {
            let e = Config::from_toml(text).unwrap_err().to_string();
            assert!(e.contains(word), "{text}: {e}");
        }
    }
}
