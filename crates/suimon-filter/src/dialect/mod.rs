//! The dialects: how each writes rules, and how each is read back.

mod acl;
mod compact;
mod except;
mod flowspec;
mod flowspec_read;
mod junos;
mod junos_read;
mod mikrotik;
mod mikrotik_read;
mod names;
mod nft;
mod nft_read;
mod nokia;
mod nokia_read;
mod rtbh;
mod scan;
mod terms;
mod tree;
mod vrp;
mod vrp_read;

use crate::compile::{CompileError, Options};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use suimon_base::RuleSet;

/// A router's or protocol's way of writing filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Dialect {
    /// Cisco IOS named extended access lists, IPv4 and IPv6.
    CiscoIos,
    /// Cisco IOS XR access lists, IPv4 and IPv6, with `commit`.
    CiscoXr,
    /// Cisco NX-OS access lists, IPv4 and IPv6.
    CiscoNxos,
    /// Arista EOS access lists, IPv4 and IPv6.
    AristaEos,
    /// Huawei VRP advanced ACLs, IPv4 and IPv6.
    HuaweiVrp,
    /// Juniper Junos firewall filters, families inet and inet6, in braces.
    Junos,
    /// Nokia SR OS filters of the MD-CLI, IPv4 and IPv6.
    NokiaSros,
    /// MikroTik RouterOS 7, a chain in the raw table, IPv4 and IPv6.
    Mikrotik,
    /// Linux nftables, an own table of family `inet`.
    Nftables,
    /// BGP Flow Specification (RFC 8955, RFC 8956), one rule a line as text.
    Flowspec,
    /// Black hole routes with the BLACKHOLE community (RFC 7999), one a line as text.
    Rtbh,
}

impl Dialect {
    /// Every dialect, in the order they are listed to people.
    pub const ALL: [Dialect; 11] = [
        Dialect::CiscoIos,
        Dialect::CiscoXr,
        Dialect::CiscoNxos,
        Dialect::AristaEos,
        Dialect::HuaweiVrp,
        Dialect::Junos,
        Dialect::NokiaSros,
        Dialect::Mikrotik,
        Dialect::Nftables,
        Dialect::Flowspec,
        Dialect::Rtbh,
    ];
    /// Its name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::CiscoIos => "cisco-ios",
            Dialect::CiscoXr => "cisco-xr",
            Dialect::CiscoNxos => "cisco-nxos",
            Dialect::AristaEos => "arista-eos",
            Dialect::HuaweiVrp => "huawei-vrp",
            Dialect::Junos => "junos",
            Dialect::NokiaSros => "nokia-sros",
            Dialect::Mikrotik => "mikrotik",
            Dialect::Nftables => "nftables",
            Dialect::Flowspec => "flowspec",
            Dialect::Rtbh => "rtbh",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a dialect; use one of {names}", names = Dialect::ALL.map(Dialect::name).join(", "))]
pub struct UnknownDialect(String);

impl FromStr for Dialect {
    type Err = UnknownDialect;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Dialect::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| UnknownDialect(s.chars().take(80).collect()))
    }
}

/// Text that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}, column {column}: {message}; expected {expected}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: String,
}

/// A list that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The rules in the order in which the router asks them, the end of the list included (IOS: deny everything else).
    pub rules: RuleSet,
    /// For each rule the line of the text it came from, from 1; 0 for what the text does not say (an implicit deny).
    pub lines: Vec<usize>,
}

/// Reads `text` of a dialect.
///
/// # Errors
/// At the first thing the dialect does not have, with its place.
pub fn parse(text: &str, dialect: Dialect) -> Result<Listing, ParseError> {
    match dialect {
        Dialect::CiscoIos => acl::parse(&acl::facts::IOS, text),
        Dialect::CiscoXr => acl::parse(&acl::facts::XR, text),
        Dialect::CiscoNxos => acl::parse(&acl::facts::NXOS, text),
        Dialect::AristaEos => acl::parse(&acl::facts::EOS, text),
        Dialect::HuaweiVrp => vrp_read::parse(text),
        Dialect::Junos => junos_read::parse(text),
        Dialect::NokiaSros => nokia_read::parse(text),
        Dialect::Mikrotik => mikrotik_read::parse(text),
        Dialect::Nftables => nft_read::parse(text),
        Dialect::Flowspec => flowspec_read::parse(text),
        Dialect::Rtbh => rtbh::parse(text),
    }
}

/// What a writer returns.
pub(crate) struct Written {
    pub text: String,
    pub undo: String,
    pub lines: usize,
    pub least: bool,
    pub warnings: Vec<String>,
}

/// Writes rules that were checked.
pub(crate) fn write(rules: &RuleSet, dialect: Dialect, options: &Options) -> Result<Written, CompileError> {
    match dialect {
        Dialect::CiscoIos => acl::write(&acl::facts::IOS, rules, options, None),
        Dialect::CiscoXr => acl::write(&acl::facts::XR, rules, options, None),
        Dialect::CiscoNxos => acl::write(&acl::facts::NXOS, rules, options, None),
        Dialect::AristaEos => acl::write(&acl::facts::EOS, rules, options, None),
        Dialect::HuaweiVrp => vrp::write(rules, options, None),
        Dialect::Junos => junos::write(rules, options, None),
        Dialect::NokiaSros => nokia::write(rules, options, None),
        Dialect::Mikrotik => mikrotik::write(rules, options, None),
        Dialect::Nftables => nft::write(rules, options, None),
        Dialect::Flowspec => flowspec::write(rules, options, None),
        Dialect::Rtbh => rtbh::write(rules, options),
    }
}

pub(crate) use compact::{wildcard, write as write_compact};

/// The bit of a TCP flag's name (`syn`, `ack` …).
pub(crate) fn flag_bit(name: &str) -> Option<u8> {
    names::flag_of(name)
}
