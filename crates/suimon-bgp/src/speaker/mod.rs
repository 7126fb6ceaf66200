//! The announcer of this crate: one task and one session to each peer, on a runtime of its own.

pub mod options;
mod peer;
mod socket;

use crate::announcer::{Announcer, PeerStatus, Standing, Ticket};
use crate::config::{BgpConfig, Password, PeerConfig};
use crate::customer::AdjIn;
use crate::guard::Cleared;
use crate::route::{Family, Route, RouteKey, Scope};
use crate::table::{Table, TableError};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suimon_base::MeasureId;
use tokio::sync::watch;

/// How long the last words to the peers may take when the speaker stops. They are one NOTIFICATION each; what does not
/// leave is done by the closing of the sessions.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What is known of one peer.
#[derive(Debug, Default)]
struct PeerState {
    state: &'static str,
    families: Vec<Family>,
    /// What it was sent, once it has left our buffers.
    adj_out: BTreeMap<RouteKey, Arc<Route>>,
    /// Up to which change it was told.
    done: u64,
    established: u64,
    lost: u64,
    updates_ignored: u64,
    refreshes: u64,
    note: String,
    stopped: bool,
    /// What a customer asks for.
    adj_in: AdjIn,
}

impl PeerState {
    fn up(&self) -> bool {
        !self.families.is_empty()
    }
}

/// Shared by the callers and the sessions.
struct Shared {
    table: Mutex<Table>,
    change: watch::Sender<Arc<Table>>,
    peers: Mutex<BTreeMap<String, PeerState>>,
    moved: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is complete before anything can fail.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn update(&self, name: &str, change: impl FnOnce(&mut PeerState)) {
        change(lock(&self.peers).entry(name.to_owned()).or_default());
        self.moved.notify_all();
    }
}

/// Whether a peer with these families is to have a route.
fn wants(config: &PeerConfig, families: &[Family], key: &RouteKey, route: &Route) -> bool {
    !config.is_customer() && families.contains(&key.family) && (config.edge || route.scope == Scope::All)
}

/// The announcer.
pub struct Speaker {
    shared: Arc<Shared>,
    configs: Vec<PeerConfig>,
    stop: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Speaker {
    /// Starts the sessions, with passwords by the peer's name; they come up by themselves and come back after every loss.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(config: &BgpConfig, passwords: &BTreeMap<String, Password>) -> io::Result<Speaker> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("suimon-bgp")
            .enable_io()
            .enable_time()
            .build()?;
        let (change, table) = watch::channel(Arc::new(Table::default()));
        let (stop, stopped) = watch::channel(false);
        let peers = config
            .peers
            .iter()
            .map(|p| (p.name.clone(), PeerState { state: "idle", ..PeerState::default() }))
            .collect();
        let shared =
            Arc::new(Shared { table: Mutex::default(), change, peers: Mutex::new(peers), moved: Condvar::new() });
        for peer in &config.peers {
            let parts = peer::Parts {
                local_as: config.local_as,
                router_id: config.router_id,
                config: peer.clone(),
                password: passwords.get(&peer.name).cloned(),
                shared: shared.clone(),
                table: table.clone(),
                stop: stopped.clone(),
            };
            runtime.spawn(peer::run(parts));
        }
        Ok(Speaker { shared, configs: config.peers.clone(), stop, runtime: Some(runtime) })
    }

    /// What a customer asks for now; `None` while its session is down.
    pub fn adj_in(&self, peer: &str) -> Option<AdjIn> {
        lock(&self.shared.peers).get(peer).filter(|p| p.up()).map(|p| p.adj_in.clone())
    }

    fn changed(&self, table: &Table) {
        self.shared.change.send_replace(Arc::new(table.clone()));
    }
}

impl Announcer for Speaker {
    fn set(&self, id: MeasureId, routes: &Cleared) -> Result<Ticket, TableError> {
        let mut table = lock(&self.shared.table);
        let before = table.generation();
        let generation = table.set(id, routes.routes())?;
        if generation != before {
            self.changed(&table);
        }
        Ok(Ticket(generation))
    }

    fn remove(&self, id: MeasureId) -> Ticket {
        let mut table = lock(&self.shared.table);
        let before = table.generation();
        let generation = table.remove(id);
        if generation != before {
            self.changed(&table);
        }
        Ticket(generation)
    }

    fn wait(&self, ticket: Ticket, patience: Duration) -> bool {
        let reached = |peers: &BTreeMap<String, PeerState>| {
            let mut up = peers.values().filter(|p| p.up()).peekable();
            up.peek().is_some() && up.all(|p| p.done >= ticket.0)
        };
        let peers = lock(&self.shared.peers);
        let (peers, _) = self
            .shared
            .moved
            .wait_timeout_while(peers, patience, |peers| !reached(peers))
            .unwrap_or_else(PoisonError::into_inner);
        reached(&peers)
    }

    fn standing(&self, id: MeasureId) -> Vec<Standing> {
        let table = lock(&self.shared.table);
        let keys = table.keys(id).unwrap_or_default();
        let peers = lock(&self.shared.peers);
        let one = |config: &PeerConfig| {
            let state = peers.get(&config.name)?;
            let configured = config.families();
            let wanted =
                |key: &&RouteKey| table.routes().get(*key).is_some_and(|w| wants(config, &configured, key, &w.route));
            Some(Standing {
                peer: config.name.clone(),
                up: state.up(),
                current: state.up() && state.done >= table.generation(),
                has: keys.iter().filter(|k| state.adj_out.contains_key(*k)).count(),
                of: keys.iter().filter(wanted).count(),
                note: state.note.clone(),
            })
        };
        self.configs.iter().filter_map(one).collect()
    }

    fn coverage(&self, id: MeasureId) -> (usize, usize) {
        let table = lock(&self.shared.table);
        let keys = table.keys(id).unwrap_or_default();
        let peers = lock(&self.shared.peers);
        let same = |key: &RouteKey, state: &PeerState| match (state.adj_out.get(key), table.routes().get(key)) {
            (Some(sent), Some(wanted)) => **sent == *wanted.route,
            _ => false,
        };
        let held = |key: &&RouteKey| peers.values().any(|state| state.up() && same(key, state));
        (keys.iter().filter(held).count(), keys.len())
    }

    fn measures(&self) -> Vec<MeasureId> {
        lock(&self.shared.table).measures().map(|(id, _)| id).collect()
    }

    fn others(&self, id: MeasureId) -> Vec<Arc<Route>> {
        lock(&self.shared.table).without(id)
    }

    fn table(&self) -> Table {
        lock(&self.shared.table).clone()
    }

    fn peers(&self) -> Vec<PeerStatus> {
        lock(&self.shared.peers)
            .iter()
            .map(|(name, p)| PeerStatus {
                peer: name.clone(),
                state: p.state,
                families: p.families.clone(),
                routes: p.adj_out.len(),
                established: p.established,
                lost: p.lost,
                updates_ignored: p.updates_ignored,
                refreshes: p.refreshes,
                note: p.note.clone(),
            })
            .collect()
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let peers = lock(&self.shared.peers);
        // The closing of the sockets says the same to the peers who are not reached in this time.
        let _ = self.shared.moved.wait_timeout_while(peers, LAST_WORDS, |p| !p.values().all(|p| p.stopped));
        if let Some(runtime) = self.runtime.take() {
            // A speaker may be dropped within another runtime, where waiting for this one's end would panic.
            runtime.shutdown_background();
        }
    }
}
