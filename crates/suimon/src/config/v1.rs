//! Version 1 of the configuration file: plain serde structs, no decisions.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use suimon_collect::CollectConfig;
use suimon_detect::Network;
use suimon_device::DeviceConfig;
use suimon_spine::Customer;
use suimon_spine::register::CollectionTerms;
use suimon_spine::release::ReleaseSettings;

/// The version that this module reads.
pub const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    pub version: u32,
    pub node: Node,
    pub collection: Option<CollectionTerms>,
    pub collect: Option<CollectConfig>,
    pub detect: Option<suimon_detect::Config>,
    #[serde(default)]
    pub network: Vec<Network>,
    #[serde(default)]
    pub customer: Vec<Customer>,
    #[serde(default)]
    pub measure: Measure,
    #[serde(default)]
    pub calendar: Calendar,
    #[serde(default)]
    pub release: ReleaseSettings,
    #[serde(default)]
    pub alert: Vec<Alert>,
    pub policy: Option<Policy>,
    #[serde(default)]
    pub filter: super::filter::Section,
    #[serde(default)]
    pub verify: super::verify::Section,
    pub bgp: Option<suimon_bgp::config::BgpConfig>,
    #[serde(default)]
    pub device: Vec<DeviceConfig>,
}

/// Where things are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Node {
    pub data: PathBuf,
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    pub socket: Option<PathBuf>,
    pub base_url: Option<String>,
    #[serde(default)]
    pub exercise: bool,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8_443))
}

/// Defaults of proposals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Measure {
    pub default_hand: String,
    pub default_dialect: String,
}

impl Default for Measure {
    fn default() -> Self {
        Measure { default_hand: super::MANUAL.to_owned(), default_dialect: "cisco-ios".to_owned() }
    }
}

/// Closing days besides weekends and public holidays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Calendar {
    pub extra_closed: Vec<String>,
    pub holidays: BTreeMap<String, PathBuf>,
}

/// Folders of policy packs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    pub packs: Vec<PathBuf>,
}

/// Where an alert goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Alert {
    #[serde(rename_all = "kebab-case")]
    Webhook { name: String, url: String, secret_file: Option<PathBuf>, ca_file: Option<PathBuf> },
    #[serde(rename_all = "kebab-case")]
    Mail {
        name: String,
        server: String,
        port: u16,
        #[serde(default)]
        tls: Tls,
        ca_file: Option<PathBuf>,
        from: String,
        to: Vec<String>,
        #[serde(default)]
        language: Language,
        user: Option<String>,
        password_file: Option<PathBuf>,
    },
}

/// Encryption towards the mail server.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    Always,
    #[default]
    Starttls,
    None,
}

/// Language of an alert.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    #[default]
    Ja,
    En,
    Both,
}
