//! Guard rails: what may leave at all. Pure; nothing reaches an announcer that was not cleared here.
//!
//! Approval says that a measure is lawful and wanted; these checks say that it is no accident. They look at the routes
//! themselves and at the network, whoever approved them.

pub mod cone;
pub mod mrt;
pub mod overlap;
mod rules;

#[cfg(test)]
mod tests;

use crate::config::GuardConfig;
use crate::route::{Route, Scope};
use cone::Cone;
use ipnet::IpNet;
use overlap::Covered;
use std::collections::BTreeMap;
use std::sync::Arc;
use suimon_base::{Asn, Timestamp};

/// Lines of a dry run at most; the rest is counted.
pub const MAX_LISTED: usize = 2_000;

/// Why a route, or all of them, may not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing.
    #[error("there is no route to announce")]
    Nothing,
    /// No destination: it would take packets to everybody.
    #[error("{0}: it names no destination and would touch everybody")]
    NoDestination(String),
    /// Outside registered space.
    #[error("{0}: {1} is neither the operator's own space nor a customer's")]
    NotRegistered(String, IpNet),
    /// A short prefix.
    #[error("{0}: the prefix is shorter than /{1}")]
    Short(String, u8),
    /// A match that says nothing, or cannot be true.
    #[error("{0}: {1}")]
    Malformed(String, String),
    /// It touches something protected.
    #[error("{0}: it touches what is protected: {1}")]
    Protected(String, String),
    /// A cap.
    #[error("{who}: {would} routes, more than {cap}{note}")]
    Cap {
        /// Whose.
        who: String,
        /// How many there would be.
        would: usize,
        /// How many there may be.
        cap: usize,
        /// What else to know.
        note: &'static str,
    },
    /// A subordinate AS's route.
    #[error("{target}: it touches {route} of {asn} ({}), whose consent is not on record", depth_words(*depth))]
    Subordinate {
        /// Which route of ours.
        target: String,
        /// Which route of theirs.
        route: IpNet,
        /// Whose.
        asn: Asn,
        /// Steps below the holder of the space; `None` where it is not below.
        depth: Option<u32>,
    },
}

fn depth_words(depth: Option<u32>) -> String {
    match depth {
        Some(1) => "a customer's AS, 子AS".to_owned(),
        Some(n) => format!("{n} steps below, 孫AS"),
        None => "not known below the holder".to_owned(),
    }
}

/// A cap of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCap {
    /// Its name.
    pub name: String,
    /// Most routes.
    pub max_routes: usize,
    /// Whether it is the operator's own edge; an upstream is not given routes of the scope `edge-only`.
    pub edge: bool,
    /// Families it is configured for.
    pub families: Vec<crate::route::Family>,
}

/// Routes that passed; only [`Guard::check`] makes one.
#[derive(Clone, Debug)]
pub struct Cleared(Vec<Route>);

impl Cleared {
    /// The routes.
    pub fn routes(&self) -> &[Route] {
        &self.0
    }
}

/// What a check found; also the dry run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Why it may not leave; empty when it may.
    pub refusals: Vec<Refusal>,
    /// What to know although it may.
    pub warnings: Vec<String>,
    /// Address space touched.
    pub covered: Covered,
    /// Routes by holder of the space.
    pub holders: BTreeMap<String, usize>,
    /// Other ASes whose routes are touched, with steps below the holder.
    pub touched: BTreeMap<Asn, Option<u32>>,
    /// One line a route, at most [`MAX_LISTED`].
    pub listing: Vec<String>,
}

impl Report {
    /// The whole of it as text, for people.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        lines.push(format!(
            "{} routes; destinations: {} IPv4 addresses, {} IPv6 /64 networks",
            self.holders.values().sum::<usize>(),
            self.covered.v4,
            self.covered.v6_64
        ));
        lines.extend(self.holders.iter().map(|(who, n)| format!("{n} in the space of {who}")));
        lines.extend(
            self.touched.iter().map(|(asn, depth)| format!("touches routes of {asn}: {}", depth_words(*depth))),
        );
        lines.extend(self.warnings.iter().map(|w| format!("warning: {w}")));
        lines.extend(self.refusals.iter().map(|r| format!("refused: {r}")));
        lines.extend(self.listing.iter().cloned());
        lines.join("\n")
    }
}

/// A recorded consent.
#[derive(Clone, Debug)]
struct Consent {
    asn: Asn,
    prefixes: Vec<IpNet>,
    until: Timestamp,
}

/// The checks with what they need to know.
#[derive(Clone, Debug)]
pub struct Guard {
    config: GuardConfig,
    own_as: Asn,
    cone: Cone,
    peers: Vec<PeerCap>,
    consents: Vec<Consent>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The routes of one measure.
    pub routes: &'a [Route],
    /// What other measures announce.
    pub others: &'a [Arc<Route>],
    /// Whether the reserve may be used.
    pub emergency: bool,
    /// The time, for the end of consents.
    pub now: Timestamp,
}

impl Guard {
    /// A guard of a checked configuration. A consent whose end cannot be read does not count.
    pub fn new(config: &GuardConfig, own_as: Asn, cone: Cone, peers: Vec<PeerCap>) -> Guard {
        let consents = config
            .consents
            .iter()
            .filter_map(|c| {
                Some(Consent { asn: Asn(c.asn), prefixes: c.prefixes.clone(), until: c.until.parse().ok()? })
            })
            .collect();
        Guard { config: config.clone(), own_as, cone, peers, consents }
    }

    /// Lays what is known at the moment of other ASes over what files say.
    pub fn set_live_cone(&mut self, live: Option<Arc<Cone>>) {
        self.cone.set_live(live);
    }

    /// Every check, and the dry run.
    pub fn report(&self, ask: &Ask<'_>) -> Report {
        let mut report = Report::default();
        if ask.routes.is_empty() {
            report.refusals.push(Refusal::Nothing);
        }
        let mut destinations = Vec::new();
        for route in ask.routes {
            let holder = rules::route(self, route, ask.now, &mut report);
            *report.holders.entry(holder).or_default() += 1;
            destinations.extend(route.target.destination());
            if report.listing.len() < MAX_LISTED {
                report.listing.push(rules::line(route));
            }
        }
        if let Some(rest) = ask.routes.len().checked_sub(MAX_LISTED).filter(|n| *n > 0) {
            report.warnings.push(format!("{rest} more routes are not listed"));
        }
        if self.cone.is_empty() {
            report
                .warnings
                .push("no routes or relations of other ASes are known: 子AS・孫AS were not looked for".into());
        }
        report.covered = overlap::covered(&destinations);
        rules::caps(self, ask, &mut report);
        if ask.routes.iter().any(|r| r.scope == Scope::All) && !report.touched.is_empty() {
            report
                .warnings
                .push("the scope edge-only (own edge, NO_EXPORT) would keep this inside the operator's AS".into());
        }
        report
    }

    /// Clears routes for an announcer.
    ///
    /// # Errors
    /// The report with every refusal.
    pub fn check(&self, ask: &Ask<'_>) -> Result<(Cleared, Report), Box<Report>> {
        let report = self.report(ask);
        if report.refusals.is_empty() { Ok((Cleared(ask.routes.to_vec()), report)) } else { Err(Box::new(report)) }
    }
}
