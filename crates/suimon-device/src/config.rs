//! `[[device]]` in the daemon's configuration.

use crate::cisco::{CiscoCli, Ios};
use crate::device::Device;
use crate::error::DeviceError;
use crate::hand::DeviceHand;
use crate::names::is_plain;
use crate::netconf::{IosXr, Junos, Netconf};
use crate::nftables::Nftables;
use crate::ssh::SshTarget;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use suimon_filter::dialect::Dialect;

/// Seconds that an unconfirmed change may stand.
const CONFIRM_S: std::ops::RangeInclusive<u32> = 5..=3_600;
/// Seconds that a router may take for an answer.
const ANSWER_S: std::ops::RangeInclusive<u32> = 1..=600;
/// Routers of one daemon.
const MAX_DEVICES: usize = 1_024;
/// Interfaces of one router on which lists are bound.
const MAX_BINDINGS: usize = 256;

/// How a router is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Linux with nftables, by a shell over SSH.
    LinuxNftables,
    /// Cisco IOS and IOS XE, by the command line over SSH.
    CiscoCli,
    /// Juniper Junos, by NETCONF over SSH.
    JunosNetconf,
    /// Cisco IOS XR from 7.1 on, by NETCONF over SSH.
    CiscoXrNetconf,
}

impl Driver {
    /// The dialect of its texts.
    pub const fn dialect(self) -> Dialect {
        match self {
            Driver::LinuxNftables => Dialect::Nftables,
            Driver::CiscoCli => Dialect::CiscoIos,
            Driver::JunosNetconf => Dialect::Junos,
            Driver::CiscoXrNetconf => Dialect::CiscoXr,
        }
    }
    const fn port(self) -> u16 {
        match self {
            Driver::LinuxNftables | Driver::CiscoCli => 22,
            Driver::JunosNetconf | Driver::CiscoXrNetconf => 830,
        }
    }
}

/// Which packets of an interface a list sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Those that arrive.
    #[default]
    In,
    /// Those that leave.
    Out,
}

/// An interface on which every list is bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Binding {
    /// Its name on the router (`GigabitEthernet0/0/0`, `ge-0/0/0.0`).
    pub interface: String,
    /// Arriving packets unless said otherwise.
    #[serde(default)]
    pub direction: Direction,
}

/// One router.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeviceConfig {
    /// The hand's name: proposals name it, the ledger keeps it.
    pub name: String,
    /// What it is.
    pub driver: Driver,
    /// Its management address; an address, not a name, so that no resolver decides where we log in.
    pub address: IpAddr,
    /// TCP port; 22, with NETCONF 830.
    pub port: Option<u16>,
    /// User on the router.
    pub user: String,
    /// Private key, mode 600.
    pub key_file: PathBuf,
    /// Pinned host keys in OpenSSH's format.
    pub known_hosts_file: PathBuf,
    /// The driver's dialect once more, where one wants it written down; another one is refused.
    pub dialect: Option<Dialect>,
    /// Where lists are bound; empty with nftables, which sees all interfaces.
    #[serde(default)]
    pub binding: Vec<Binding>,
    /// Lines that all lists of ours may take together.
    pub budget_lines: Option<usize>,
    /// Seconds after which a change that was not confirmed is undone.
    #[serde(default = "confirm_default")]
    pub confirm_s: u32,
    /// Seconds in which the router must answer a step that reads; a step that changes has twice as long.
    #[serde(default = "answer_default")]
    pub answer_s: u32,
    /// nftables: folder on the router for tokens of armed undos; must not survive a restart.
    #[serde(default = "run_default")]
    pub run_folder: String,
    /// nftables: start the shell with `sudo -n`.
    #[serde(default)]
    pub sudo: bool,
}

fn confirm_default() -> u32 {
    60
}

fn answer_default() -> u32 {
    30
}

fn run_default() -> String {
    "/run/suimon".into()
}

/// What is wrong with `[[device]]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device {name}: {reason}")]
pub struct ConfigError {
    /// Which.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl DeviceConfig {
    /// Where it is.
    pub fn target(&self) -> SshTarget {
        SshTarget {
            address: self.address,
            port: self.port.unwrap_or(self.driver.port()),
            user: self.user.clone(),
            key_file: self.key_file.clone(),
            known_hosts_file: self.known_hosts_file.clone(),
            answer_s: self.answer_s,
        }
    }

    fn check(&self) -> Result<(), String> {
        if !is_plain(&self.name) {
            return Err(format!("name {:?}: letters, digits and -._/: only, at most 64", self.name));
        }
        if let Some(d) = self.dialect.filter(|d| *d != self.driver.dialect()) {
            return Err(format!("dialect {d} does not go with the driver, whose dialect is {}", self.driver.dialect()));
        }
        if !CONFIRM_S.contains(&self.confirm_s) {
            return Err(format!("confirm-s {}: from {} to {}", self.confirm_s, CONFIRM_S.start(), CONFIRM_S.end()));
        }
        if !ANSWER_S.contains(&self.answer_s) {
            return Err(format!("answer-s {}: from {} to {}", self.answer_s, ANSWER_S.start(), ANSWER_S.end()));
        }
        let nft = self.driver == Driver::LinuxNftables;
        match self.binding.len() {
            0 if !nft => return Err("binding: a list that is bound nowhere drops nothing; name an interface".into()),
            n if nft && n > 0 => return Err("binding: nftables sees all interfaces; leave it out".into()),
            n if n > MAX_BINDINGS => return Err(format!("binding: {n}; at most {MAX_BINDINGS}")),
            _ => {}
        }
        if let Some(b) = self.binding.iter().find(|b| !is_plain(&b.interface)) {
            return Err(format!("interface {:?}: letters, digits and -._/: only", b.interface));
        }
        if self.binding.iter().collect::<BTreeSet<_>>().len() != self.binding.len() {
            return Err("binding: the same interface and direction twice".into());
        }
        Ok(())
    }

    fn device(&self) -> Result<Arc<dyn Device>, DeviceError> {
        let (target, bindings) = (self.target(), self.binding.clone());
        Ok(match self.driver {
            Driver::LinuxNftables => Arc::new(Nftables::new(target, self.confirm_s, &self.run_folder, self.sudo)?),
            Driver::CiscoCli => Arc::new(CiscoCli::new(target, Ios, bindings, self.confirm_s)?),
            Driver::JunosNetconf => Arc::new(Netconf::new(target, Junos, bindings, self.confirm_s)?),
            Driver::CiscoXrNetconf => Arc::new(Netconf::new(target, IosXr, bindings, self.confirm_s)?),
        })
    }
}

/// Makes a hand of every router. Nothing is reached yet; files and names are checked.
///
/// # Errors
/// At the first router that cannot be right.
pub fn open(devices: &[DeviceConfig]) -> Result<Vec<DeviceHand>, ConfigError> {
    let wrong = |name: &str, reason: String| ConfigError { name: name.into(), reason };
    if devices.len() > MAX_DEVICES {
        return Err(wrong("", format!("{} devices; at most {MAX_DEVICES}", devices.len())));
    }
    let mut names = BTreeSet::new();
    let mut hands = Vec::new();
    for d in devices {
        d.check().map_err(|e| wrong(&d.name, e))?;
        if !names.insert(&d.name) || d.name == suimon_spine::ManualHand::NAME {
            return Err(wrong(&d.name, "the name is taken".into()));
        }
        let device = d.device().map_err(|e| wrong(&d.name, e.to_string()))?;
        hands.push(DeviceHand::new(&d.name, d.budget_lines, device));
    }
    Ok(hands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        device: Vec<DeviceConfig>,
    }

    const ROUTER: &str = r#"
[[device]]
name = "edge1"
driver = "cisco-cli"
address = "192.0.2.1"
user = "suimon"
key-file = "/nowhere/key"
known-hosts-file = "/nowhere/known-hosts"
budget-lines = 500
[[device.binding]]
interface = "GigabitEthernet0/0/0"
"#;

    fn read(text: &str) -> Result<Vec<DeviceConfig>, String> {
        toml::from_str::<File>(text).map(|f| f.device).map_err(|e| e.to_string())
    }

    fn refused(change: impl FnOnce(&str) -> String) -> String {
        let devices = read(&change(ROUTER)).unwrap();
        open(&devices).err().map_or_else(String::new, |e| e.to_string())
    }

    #[test]
    fn a_router_is_read_with_its_defaults() {
        let d = &read(ROUTER).unwrap()[0];
        assert_eq!((d.target().port, d.confirm_s, d.sudo), (22, 60, false));
        assert_eq!(d.binding[0].direction, Direction::In);
        assert!(d.check().is_ok());
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_name() {
        assert!(read(&ROUTER.replace("user =", "usr =")).unwrap_err().contains("usr"));
        assert!(read(&ROUTER.replace("192.0.2.1", "router.example.com")).is_err());
        // Files are looked at last.
        assert!(refused(str::to_owned).contains("edge1: key-file /nowhere/key"));
        assert!(refused(|t| t.replace("Ethernet0/0/0", "Ethernet0; reload")).contains("interface"));
        assert!(refused(|t| t.replace("edge1", "manual")).contains("taken"));
        assert!(refused(|t| t.replace("cisco-cli", "linux-nftables")).contains("leave it out"));
        assert!(refused(|t| t.replace("user =", "dialect = \"junos\"\nuser =")).contains("does not go"));
        assert!(refused(|t| t.replace("user =", "confirm-s = 1\nuser =")).contains("confirm-s 1"));
        assert!(refused(|t| t.split("[[device.binding]]").next().unwrap().to_owned()).contains("bound nowhere"));
        assert!(
            refused(|t| format!("{t}[[device.binding]]\ninterface = \"GigabitEthernet0/0/0\"\n")).contains("twice")
        );
    }
}
