//! What a device is, has room for and can do.

use crate::dialect::Dialect;
use serde::{Deserialize, Serialize};

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Between the customer and the network: filters here touch one customer.
    CustomerEdge,
    /// At the border of the own network.
    Edge,
    /// In a network that sells transit: somebody else acts.
    Upstream,
}

impl Place {
    /// Its name in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Place::CustomerEdge => "customer-edge",
            Place::Edge => "edge",
            Place::Upstream => "upstream",
        }
    }
}

/// Something that a device can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Limit a rate.
    Police,
    /// Take BGP Flowspec rules.
    Flowspec,
    /// Filter with access lists.
    Acl,
    /// Drop everything to a prefix by a static route.
    NullRoute,
    /// Drop everything to a prefix that BGP marks (remotely triggered black hole).
    Rtbh,
}

/// Hardware entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entries {
    /// In all.
    pub total: u64,
    /// Taken now.
    pub used: u64,
}

impl Entries {
    /// Free now.
    pub const fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }
}

/// How a range of ports is kept in hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum PortRanges {
    /// As the fewest aligned blocks, an entry for each; 1 to 30 for one range.
    Prefixes,
    /// In range registers (logical operation units), one for each different range; blocks once they are used up.
    Registers {
        /// How many.
        total: u64,
        /// Taken now.
        used: u64,
    },
    /// In one entry, whatever the range (software filters, BGP).
    Free,
}

/// A device profile, as in a TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Device {
    /// Its name in answers.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// How its filters are written.
    pub dialect: Dialect,
    /// What it can do.
    pub can: Vec<Ability>,
    /// Lines that its configuration has room for; none is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Hardware entries for filters.
    pub entries: Entries,
    /// Ranges of ports.
    pub port_ranges: PortRanges,
    /// Entries that an IPv6 line takes where an IPv4 line takes one; 1 to 8.
    pub ipv6_width: u64,
    /// Longest IPv4 prefix that its routes and black holes take, in bits; shorter ones hit neighbours too.
    #[serde(default = "host_v4")]
    pub route_longest_v4: u8,
    /// Longest IPv6 prefix that its routes and black holes take, in bits.
    #[serde(default = "host_v6")]
    pub route_longest_v6: u8,
    /// Load of its processor now, in percent.
    pub cpu_percent: u8,
    /// Customers whose traffic passes it.
    pub customers: u64,
}

const fn host_v4() -> u8 {
    32
}

const fn host_v6() -> u8 {
    128
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not the format.
    #[error("{0}")]
    Format(String),
    /// A value that cannot be.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

/// Reads a profile.
///
/// # Errors
/// With line and column where the text is not a profile, or with the key whose value cannot be.
pub fn parse(text: &str) -> Result<Device, DeviceError> {
    let d: Device = toml::from_str(text).map_err(|e| DeviceError::Format(e.to_string()))?;
    let value = |key, reason: &str| Err(DeviceError::Value { key, reason: reason.into() });
    if d.name.is_empty() || d.name.chars().count() > 80 {
        return value("name", "1 to 80 characters");
    }
    if d.entries.used > d.entries.total {
        return value("entries.used", "more than entries.total");
    }
    if !(1..=8).contains(&d.ipv6_width) {
        return value("ipv6-width", "1 to 8 entries");
    }
    if !(8..=32).contains(&d.route_longest_v4) || !(16..=128).contains(&d.route_longest_v6) {
        return value("route-longest-v4 or -v6", "8 to 32 and 16 to 128 bits");
    }
    if d.cpu_percent > 100 {
        return value("cpu-percent", "0 to 100");
    }
    if matches!(d.port_ranges, PortRanges::Registers { total, used } if used > total) {
        return value("port-ranges.used", "more than port-ranges.total");
    }
    Ok(d)
}
