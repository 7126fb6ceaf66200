//! The BMP receiver: what routers say they took, refused and use.
//!
//! Routers connect to us (RFC 7854 §3.2) and only from the addresses that are configured. Nothing is sent to them. Two
//! things are made of it: whether a router accepted our routes ([`Receiver::presence`], used by
//! [`crate::hand::BgpHand::accepted`]), and who stands behind which customer, for the guard rails
//! ([`Receiver::cone`]).

pub mod message;
pub mod state;

use crate::config::BmpConfig;
use crate::guard::cone::Cone;
use crate::route::RouteKey;
use ipnet::IpNet;
use message::View;
use state::{Counts, Presence, RouterState, Watch};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suimon_base::{Asn, Clock, Timestamp};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

/// Octets read at once.
const READ_OCTETS: usize = 1 << 16;

/// Pause after a connection that the system could not give us (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How it stands with one router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterStatus {
    /// Its configured name.
    pub router: String,
    /// What it calls itself.
    pub says: String,
    /// Since when it is connected, or since when it is not.
    pub connected: Result<Timestamp, Timestamp>,
    /// How often it connected.
    pub sessions: u64,
    /// Routes that are kept.
    pub routes: usize,
    /// Counters of the session.
    pub counts: Counts,
    /// The latest trouble; empty without.
    pub note: String,
}

struct Router {
    connected: Result<Timestamp, Timestamp>,
    sessions: u64,
    state: RouterState,
    note: String,
}

struct Shared {
    config: BmpConfig,
    watch: Watch,
    clock: Arc<dyn Clock>,
    routers: Mutex<BTreeMap<String, Router>>,
    refused: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is complete before anything can fail.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The receiver; it stops when it is dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Receiver {
    /// Binds the addresses and listens. `spaces` is the registered space, `direct` the direct customers' ASes.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn start(
        config: &BmpConfig,
        spaces: Vec<IpNet>,
        direct: &[u32],
        clock: Arc<dyn Clock>,
    ) -> io::Result<Receiver> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("suimon-bmp")
            .enable_io()
            .enable_time()
            .build()?;
        let now = clock.now();
        let router = || Router { connected: Err(now), sessions: 0, state: RouterState::default(), note: String::new() };
        let routers = config.routers.iter().map(|r| (r.name.clone(), router())).collect();
        let watch = Watch { spaces, direct: direct.iter().copied().map(Asn).collect() };
        let shared = Arc::new(Shared {
            config: config.clone(),
            watch,
            clock,
            routers: Mutex::new(routers),
            refused: Mutex::new(0),
        });
        let mut addresses = Vec::new();
        for address in &config.listen {
            let listener = runtime
                .block_on(TcpListener::bind(address))
                .map_err(|e| io::Error::new(e.kind(), format!("cannot listen for BMP on {address}: {e}")))?;
            addresses.push(listener.local_addr()?);
            runtime.spawn(accept(shared.clone(), listener));
        }
        Ok(Receiver { shared, addresses, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections from addresses that are not configured.
    pub fn refused(&self) -> u64 {
        *lock(&self.shared.refused)
    }

    /// Every configured router.
    pub fn routers(&self) -> Vec<RouterStatus> {
        let one = |(name, r): (&String, &Router)| RouterStatus {
            router: name.clone(),
            says: r.state.name.clone(),
            connected: r.connected,
            sessions: r.sessions,
            routes: r.state.routes(),
            counts: r.state.counts,
            note: r.note.clone(),
        };
        lock(&self.shared.routers).iter().map(one).collect()
    }

    /// What a router says of a route that the speaker with these addresses or this identifier sent it: before policy,
    /// after policy, and in its own table; and since when its session with that speaker is up or not. `Err` since when the
    /// router says nothing at all; `None` for a router that is not configured.
    pub fn told(
        &self,
        router: &str,
        addresses: &[IpAddr],
        bgp_id: Ipv4Addr,
        key: &RouteKey,
    ) -> Option<Result<Told, Timestamp>> {
        let routers = lock(&self.shared.routers);
        let r = routers.get(router)?;
        let Ok(connected) = r.connected else { return Some(r.connected.map(|_| Told::nothing(Err(None)))) };
        let session = r.state.session(addresses, bgp_id);
        Some(Ok(Told {
            connected,
            session,
            arrived: r.state.presence(addresses, bgp_id, View::InPre, key),
            accepted: r.state.presence(addresses, bgp_id, View::InPost, key),
            used: r.state.in_loc_rib(key),
        }))
    }

    /// Counts changes of what the cone is made from.
    pub fn cone_changes(&self) -> u64 {
        lock(&self.shared.routers).values().map(|r| r.state.cone_changes).fold(0, u64::wrapping_add)
    }

    /// Adds what the routers know of other ASes to a cone. Routes of the speaker with these addresses or this identifier
    /// are our own and say nothing. Returns whether something found no room.
    pub fn cone(&self, cone: &mut Cone, own: Asn, addresses: &[IpAddr], bgp_id: Ipv4Addr) -> bool {
        let routers = lock(&self.shared.routers);
        let mut full = false;
        for direct in
            routers.values().any(|r| r.sessions > 0).then_some(&self.shared.watch.direct).into_iter().flatten()
        {
            full |= !cone.add_customer(own, *direct);
        }
        for router in routers.values() {
            for (near, far) in router.state.pairs() {
                full |= !cone.add_customer(*near, *far);
            }
            router.state.paths(addresses, bgp_id, |net, path| {
                if let Some(origin) = path.last() {
                    full |= !cone.add_route(net, *origin);
                }
            });
        }
        full
    }
}

/// What a router says of one route of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Since when the router is connected to us.
    pub connected: Timestamp,
    /// Since when its session with us is up; `Err` with the time of its end, where that was seen.
    pub session: Result<Timestamp, Option<Timestamp>>,
    /// Adj-RIB-In before policy.
    pub arrived: Presence,
    /// Adj-RIB-In after policy.
    pub accepted: Presence,
    /// Loc-RIB.
    pub used: Presence,
}

impl Told {
    fn nothing(session: Result<Timestamp, Option<Timestamp>>) -> Told {
        let (none, connected) = (Presence::Unheard, Timestamp::default());
        Told { connected, session, arrived: none, accepted: none, used: none }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A receiver may be dropped within another runtime, where waiting for this one's end would panic.
            runtime.shutdown_background();
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(pair) => pair,
            Err(error) => {
                tracing::warn!(%error, "a bmp connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let from = from.ip().to_canonical();
        let Some(router) = shared.config.routers.iter().find(|r| r.address == from) else {
            *lock(&shared.refused) += 1;
            tracing::warn!(%from, "a bmp connection from an address that is not configured");
            continue;
        };
        let session = {
            let mut routers = lock(&shared.routers);
            let Some(r) = routers.get_mut(&router.name) else { continue };
            r.sessions += 1;
            r.connected = Ok(shared.clock.now());
            r.state = r.state.after();
            r.note.clear();
            r.sessions
        };
        tracing::info!(router = router.name, "bmp connected");
        tokio::spawn(serve(shared.clone(), router.name.clone(), session, stream));
    }
}

/// Reads one router until it goes, or until a younger connection of it stands in.
async fn serve(shared: Arc<Shared>, name: String, session: u64, mut stream: TcpStream) {
    let mut inbox = Vec::new();
    let why = loop {
        let before = inbox.len();
        inbox.reserve(READ_OCTETS);
        match stream.read_buf(&mut inbox).await {
            Ok(0) => break "the router closed the connection".to_owned(),
            Ok(_) => {}
            Err(e) => break e.to_string(),
        }
        debug_assert!(inbox.len() > before);
        match take(&shared, &name, session, &mut inbox) {
            Ok(true) => {}
            Ok(false) => return,
            Err(e) => break e.to_string(),
        }
    };
    let mut routers = lock(&shared.routers);
    if let Some(r) = routers.get_mut(&name).filter(|r| r.sessions == session) {
        tracing::warn!(router = name, why, "bmp connection lost");
        r.connected = Err(shared.clock.now());
        r.note = why;
        r.state = r.state.after();
    }
}

/// Takes every whole message of the inbox; `false` when another connection of the router has taken over.
fn take(shared: &Shared, name: &str, session: u64, inbox: &mut Vec<u8>) -> Result<bool, message::BmpError> {
    let mut at = 0;
    let mut routers = lock(&shared.routers);
    let Some(router) = routers.get_mut(name).filter(|r| r.sessions == session) else { return Ok(false) };
    while let Some(length) = message::length(&inbox[at..])? {
        let Some(octets) = inbox.get(at..at + length) else { break };
        router.state.take(&message::read(octets)?, &shared.watch, shared.clock.now());
        at += length;
    }
    inbox.drain(..at);
    Ok(true)
}
