//! What carries routes to the peers, behind a trait, so that another speaker can stand in.

use crate::guard::Cleared;
use crate::route::Route;
use crate::table::{Table, TableError};
use std::sync::Arc;
use std::time::Duration;
use suimon_base::MeasureId;

/// A point in the history of the desired set; peers reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// How a peer stands to one measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub peer: String,
    /// Whether its session is established.
    pub up: bool,
    /// Whether it was sent everything up to the latest change.
    pub current: bool,
    /// Routes of the measure in its adj-out.
    pub has: usize,
    /// Routes of the measure that it should have by its role and the families it takes.
    pub of: usize,
    /// The latest trouble, in words; empty without.
    pub note: String,
}

/// How a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its name.
    pub peer: String,
    /// The state by RFC 4271 §8.2.2, in small letters: `idle`, `connect`, `established`…
    pub state: &'static str,
    /// Families that both sides take.
    pub families: Vec<crate::route::Family>,
    /// Routes it has been sent and that were not withdrawn.
    pub routes: usize,
    /// How often the session came up.
    pub established: u64,
    /// How often it went down.
    pub lost: u64,
    /// UPDATE messages from the peer; they are ignored.
    pub updates_ignored: u64,
    /// Route refreshes answered.
    pub refreshes: u64,
    /// The latest trouble, in words; empty without.
    pub note: String,
}

/// A speaker of BGP.
pub trait Announcer: Send + Sync {
    /// Makes `routes` all that a measure announces; the same again changes nothing.
    ///
    /// # Errors
    /// When a route cannot travel or clashes with another measure's.
    fn set(&self, id: MeasureId, routes: &Cleared) -> Result<Ticket, TableError>;
    /// Withdraws all of a measure; nothing where it has nothing.
    fn remove(&self, id: MeasureId) -> Ticket;
    /// Waits until every peer whose session is up has been sent everything up to `ticket` and at least one is up, at
    /// most `patience`. Returns whether that came true.
    fn wait(&self, ticket: Ticket, patience: Duration) -> bool;
    /// How every peer stands to a measure.
    fn standing(&self, id: MeasureId) -> Vec<Standing>;
    /// Routes of a measure that at least one peer with an established session was sent, and all of its routes.
    fn coverage(&self, id: MeasureId) -> (usize, usize);
    /// Measures that want routes.
    fn measures(&self) -> Vec<MeasureId>;
    /// Routes that measures other than `id` want, each once.
    fn others(&self, id: MeasureId) -> Vec<Arc<Route>>;
    /// All that is wanted.
    fn table(&self) -> Table;
    /// Every session.
    fn peers(&self) -> Vec<PeerStatus>;
    /// Whether routes stay in the network when this process dies. They are found again at the next start, but what was
    /// wanted with them is no longer known: the engine applies anew what the ledger wants.
    fn outlives_us(&self) -> bool {
        false
    }
    /// Why a measure that was withdrawn may still be announced although no session says so.
    fn unsure(&self, _id: MeasureId) -> Option<String> {
        None
    }
}
