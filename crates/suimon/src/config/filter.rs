//! `[filter]`: what proposals are held against.

use crate::exit::bad_input;
use crate::placing::{Known, Placed};
use ipnet::IpNet;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use suimon_filter::place::{self, Ask, device};
use suimon_filter::request::Critical;

/// The section. Every key has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Section {
    own: Vec<IpNet>,
    critical: Option<PathBuf>,
    police_bps: Option<u64>,
    device: Vec<Profile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    profile: PathBuf,
    hand: Option<String>,
}

impl Section {
    /// With the files that it names read. `hands` are the names that exist.
    ///
    /// # Errors
    /// Exit code 2 with the key or the file.
    pub fn known(&self, folder: &Path, hands: &[&str]) -> anyhow::Result<Known> {
        let read = |path: &PathBuf| {
            let path = folder.join(path);
            std::fs::read_to_string(&path)
                .map_err(|e| bad_input(format!("filter: cannot read {}: {e}", path.display())))
        };
        let wrong = |path: &PathBuf, e: String| bad_input(format!("filter: {}: {e}", path.display()));
        if self.device.len() > place::MAX_DEVICES {
            return Err(bad_input(format!("filter.device: at most {} devices", place::MAX_DEVICES)));
        }
        let critical = match &self.critical {
            Some(path) => Critical::list(&read(path)?).map_err(|e| wrong(path, e.to_string()))?,
            None => Vec::new(),
        };
        let one = |p: &Profile| -> anyhow::Result<Placed> {
            if let Some(hand) = p.hand.as_deref().filter(|h| !hands.contains(h)) {
                return Err(bad_input(format!("filter.device: there is no hand `{hand}`")));
            }
            let device = device::parse(&read(&p.profile)?).map_err(|e| wrong(&p.profile, e.to_string()))?;
            Ok(Placed { device, hand: p.hand.clone() })
        };
        let usual = Ask::default();
        Ok(Known {
            own: self.own.clone(),
            critical,
            devices: self.device.iter().map(one).collect::<anyhow::Result<_>>()?,
            ask: Ask { police_bps: self.police_bps.unwrap_or(usual.police_bps), ..usual },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let profile = include_str!("../../../../docs/examples/devices/edge-acl.toml");
        std::fs::write(folder.path().join("edge.toml"), profile).unwrap();
        std::fs::write(folder.path().join("c.toml"), "[[service]]\nname = \"119\"\naddresses = [\"192.0.2.1/32\"]\n")
            .unwrap();
        let read = |text: &str| toml::from_str::<Section>(text).unwrap().known(folder.path(), &["edge1"]);
        let device = |file: &str, hand: &str| format!("[[device]]\nprofile = \"{file}\"\nhand = \"{hand}\"\n");
        let known = read(&format!("own = [\"192.0.2.0/28\"]\ncritical = \"c.toml\"\n{}", device("edge.toml", "edge1")))
            .unwrap();
        assert_eq!((known.own.len(), known.critical.len(), known.devices.len()), (1, 1, 1));
        for (text, word) in [
            (device("none.toml", "edge1"), "cannot read"),
            (device("c.toml", "edge1"), "c.toml"),
            (device("edge.toml", "edge9"), "no hand `edge9`"),
            ("critical = \"edge.toml\"".to_owned(), "edge.toml"),
        ] {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
