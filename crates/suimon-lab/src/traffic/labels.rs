//! Label files: which packets of a known capture are the attack, and why.

use super::Label;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use suimon_base::{Match, PacketHeader};

/// A label file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("label file {name}: {reason}")]
pub struct LabelError {
    name: String,
    reason: String,
}

/// One line of a label file: packets that match, what they are and why.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LabelRule {
    /// Short name.
    pub name: String,
    /// What the packets are.
    pub label: Label,
    /// Why, for the reader.
    pub why: String,
    /// How many packets of the capture it decides about; a test holds the file to it.
    pub packets: u64,
    /// Which packets.
    #[serde(rename = "match")]
    pub matches: Match,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LabelFile {
    version: u32,
    sha256: String,
    capture: String,
    victim: IpAddr,
    rule: Vec<LabelRule>,
}

/// How packets of a capture are told apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// File name of the capture, or what the guess is.
    pub title: String,
    /// Address of the victim.
    pub victim: IpAddr,
    /// Whether a label file says so; `false` is the guess by busiest destination.
    pub known: bool,
    /// Asked in order; a packet that none matches is legitimate.
    pub rules: Vec<LabelRule>,
}

/// The committed label files, by name.
const FILES: [(&str, &str); 4] = [
    ("dns-rrsig-fragmented", include_str!("../../labels/dns-rrsig-fragmented.toml")),
    ("snmp-reflection", include_str!("../../labels/snmp-reflection.toml")),
    ("syn-ack-reflection", include_str!("../../labels/syn-ack-reflection.toml")),
    ("syn-flood-spoofed", include_str!("../../labels/syn-flood-spoofed.toml")),
];

/// SHA-256 of a file in lower-case hexadecimal.
pub fn sha256_hex(file: &[u8]) -> String {
    Sha256::digest(file).iter().fold(String::with_capacity(64), |mut s, b| {
        // Writing to a string cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

impl Labels {
    /// Reads the text of a label file (version 1); `name` is for the error.
    ///
    /// # Errors
    /// When the text is not a label file; the reason has the line and column.
    pub fn parse(name: &str, text: &str) -> Result<(String, Labels), LabelError> {
        let error = |reason: String| LabelError { name: name.to_owned(), reason };
        let file: LabelFile = toml::from_str(text).map_err(|e| error(e.to_string()))?;
        if file.version != 1 {
            return Err(error(format!("version {} is not known, this program reads 1", file.version)));
        }
        Ok((file.sha256, Labels { title: file.capture, victim: file.victim, known: true, rules: file.rule }))
    }

    /// The committed labels of the capture with this content, if it is a known one.
    ///
    /// # Errors
    /// When a committed label file is broken, which a test rules out.
    pub fn of_known_capture(file: &[u8]) -> Result<Option<Labels>, LabelError> {
        let wanted = sha256_hex(file);
        for (name, text) in FILES {
            let (sha256, labels) = Labels::parse(name, text)?;
            if sha256 == wanted {
                return Ok(Some(labels));
            }
        }
        Ok(None)
    }

    /// The guess for an unknown capture: all packets to its busiest destination are the attack (of equally busy ones, to
    /// the lowest address). `None` for a capture without packets.
    pub fn by_busiest_destination<'a>(packets: impl IntoIterator<Item = &'a PacketHeader>) -> Option<Labels> {
        let mut counts: HashMap<IpAddr, u64> = HashMap::new();
        for p in packets {
            *counts.entry(p.dst).or_default() += 1;
        }
        let (victim, packets) = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))?;
        let rule = LabelRule {
            name: "busiest destination".to_owned(),
            label: Label::Attack,
            why: "no label file knows this capture: all packets to its busiest destination are taken for the attack"
                .to_owned(),
            packets,
            matches: Match { dst: vec![victim.into()], ..Match::default() },
        };
        Some(Labels { title: "unknown capture".to_owned(), victim, known: false, rules: vec![rule] })
    }

    /// What a packet is, and the index of the rule that says so.
    pub fn judge(&self, packet: &PacketHeader) -> (Label, Option<usize>) {
        let found = self.rules.iter().enumerate().find(|(_, r)| r.matches.matches(packet));
        found.map_or((Label::Legitimate, None), |(i, r)| (r.label, Some(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_files_read_and_their_sums_differ() {
        let mut sums: Vec<String> = FILES.iter().map(|(n, t)| Labels::parse(n, t).unwrap().0).collect();
        assert!(sums.iter().all(|s| s.len() == 64));
        sums.sort();
        sums.dedup();
        assert_eq!(sums.len(), FILES.len());
    }

    #[test]
    fn a_typo_is_named_with_its_line() {
        let text = FILES[0].1.replace("victim", "vicitm");
        let error = Labels::parse("x", &text).unwrap_err().to_string();
        assert!(error.contains("vicitm") && error.contains("line"), "{error}");
        let text = FILES[0].1.replace("version = 1", "version = 2");
        assert!(Labels::parse("x", &text).unwrap_err().to_string().contains("version 2"));
    }

    #[test]
    fn sha256_of_the_empty_file() {
        assert!(sha256_hex(b"").starts_with("e3b0c44298fc1c14"));
    }
}
