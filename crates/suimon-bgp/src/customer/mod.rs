//! Customers who ask by BGP: a black hole with an agreed community, or a Flowspec rule, over a session of theirs.
//!
//! Nothing that a customer sends is passed on. It is judged against the memorandum on file ([`judge`]), and what stands
//! within it becomes a request and a proposal like any other ([`desk`]): the policy pack decides whether it may be, and who
//! has to approve.

pub mod desk;
pub mod judge;

use crate::route::RouteKey;
use crate::update::Update;
use std::collections::BTreeMap;
use std::sync::Arc;
use suimon_base::Timestamp;

/// Routes of one customer that are looked at; more are counted and refused unseen. No memorandum allows more.
pub const MAX_OFFERS: usize = 1_000;

/// What a session's customer asks for now.
#[derive(Clone, Debug, Default)]
pub struct AdjIn {
    /// Routes with what came along.
    pub routes: BTreeMap<RouteKey, Arc<Update>>,
    /// Routes beyond [`MAX_OFFERS`].
    pub overflowed: u64,
    /// UPDATEs that could not be read.
    pub unreadable: u64,
    /// Whether the customer has sent all that it has (end of RIB) since the session came up.
    pub complete: bool,
}

impl AdjIn {
    /// Takes an UPDATE.
    pub fn take(&mut self, update: Update) {
        self.complete |= update.end_of.is_some();
        for key in &update.withdrawn {
            self.routes.remove(key);
        }
        let update = Arc::new(update);
        for key in &update.announced {
            if self.routes.len() >= MAX_OFFERS && !self.routes.contains_key(key) {
                self.overflowed += 1;
                continue;
            }
            self.routes.insert(key.clone(), update.clone());
        }
    }
}

/// A memorandum on file: who may ask for what by BGP, and who answers for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Memorandum {
    /// Its number.
    pub id: String,
    /// The customer's id in the register.
    pub customer: String,
    /// The registered contact in whose name requests by BGP are made.
    pub contact: String,
    /// Who answers for the effects (責任分界).
    pub responsible_party: String,
    /// For which destinations.
    pub prefixes: Vec<ipnet::IpNet>,
    /// ASes besides the customer's own for whose routes it may ask, with their consent.
    pub origins: Vec<suimon_base::Asn>,
    /// The communities of which a black hole carries one.
    pub communities: Vec<crate::route::Community>,
    /// Whether Flowspec rules are agreed.
    pub flowspec: bool,
    /// Most routes at a time.
    pub max_routes: usize,
    /// From when it holds.
    pub signed: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The end of each measure, as in a proposal.
    pub end: String,
}
