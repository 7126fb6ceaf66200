//! 重要通信 that the operator lists: what must not be hit without somebody having said so (catalogue row 86).

use crate::boxes::{self, HeaderBox};
use crate::range::Family;
use ipnet::IpNet;
use serde::Deserialize;
use suimon_base::{Match, PortRange};

/// Most services of a list.
pub const MAX_SERVICES: usize = 10_000;

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Critical {
    /// What people call it.
    pub name: String,
    /// Its packets in both directions.
    pub matches: Vec<Match>,
}

/// A list that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CriticalError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    service: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    addresses: Vec<IpNet>,
    proto: Option<String>,
    #[serde(default)]
    ports: Vec<u16>,
}

impl Critical {
    /// The services of a TOML list: `[[service]]` with `name`, `addresses`, and optionally `proto` and `ports`.
    ///
    /// # Errors
    /// Where the list is no such TOML, names an unknown protocol, or ports without TCP, UDP or SCTP.
    pub fn list(text: &str) -> Result<Vec<Critical>, CriticalError> {
        let file: File = toml::from_str(text).map_err(|e| CriticalError(e.to_string()))?;
        if file.service.len() > MAX_SERVICES {
            return Err(CriticalError(format!("more than {MAX_SERVICES} services")));
        }
        file.service.into_iter().map(one).collect()
    }

    /// Whether a filter's match is aimed at some of its packets: those to the service where the match names destinations,
    /// those from it where it names sources, both where it names neither.
    pub fn meets(&self, m: &Match) -> bool {
        let of = |m: &Match| Family::BOTH.map(|f| boxes::of_match(m, f));
        let theirs = of(m);
        let neither = m.src.is_empty() && m.dst.is_empty();
        self.matches.iter().any(|own| {
            let named = if own.dst.is_empty() { !m.src.is_empty() } else { !m.dst.is_empty() };
            let both = |(a, b): (&Option<HeaderBox>, &Option<HeaderBox>)| matches!((a, b), (Some(a), Some(b)) if boxes::overlap(a, b));
            (named || neither) && of(own).iter().zip(&theirs).any(both)
        })
    }
}

fn one(e: Entry) -> Result<Critical, CriticalError> {
    let wrong = |what: &str| Err(CriticalError(format!("service {:?}: {what}", e.name)));
    if e.addresses.is_empty() {
        return wrong("it has no addresses");
    }
    let proto = match &e.proto {
        None => None,
        Some(name) => match super::protocol(name) {
            Some(p) => Some(p),
            None => return wrong("its protocol is not known"),
        },
    };
    let ports: Vec<PortRange> = e.ports.iter().map(|&p| PortRange::one(p)).collect();
    let to = Match { dst: e.addresses.clone(), proto, dst_ports: ports.clone(), ..Match::default() };
    let from = Match { src: e.addresses.clone(), proto, src_ports: ports, ..Match::default() };
    if let Some(reason) = boxes::invalid(&to) {
        return wrong(&reason);
    }
    Ok(Critical { name: e.name, matches: vec![to, from] })
}
