//! The announcer for those who run GoBGP already: routes are put into its table over gRPC.
//!
//! There is no hold time between GoBGP and us: when this process dies, **GoBGP keeps the routes**. Three things answer
//! that. Each route carries a large community that names its measure; at the start all routes with that mark are read back,
//! so that the engine can apply again what the ledger wants and release the rest; and an orderly stop withdraws everything.
//! While we run, GoBGP's table and what it sent to its neighbours are read back every `check-s` seconds, and what is
//! missing, after a restart of GoBGP for instance, is put in again.

pub mod api;
mod plan;

use crate::announcer::{Announcer, PeerStatus, Standing, Ticket};
use crate::codec::{self, CodecError, PeerAttributes};
use crate::config::{BgpConfig, GobgpConfig};
use crate::guard::Cleared;
use crate::route::{Family, Route, RouteKey, Scope};
use crate::table::{Table, TableError};
use api::{CallError, Client, Neighbour, Tls};
use ipnet::IpNet;
use plan::{Diff, Held, Mark, Want};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suimon_base::MeasureId;
use tokio::sync::Notify;

/// Most neighbours of GoBGP whose adj-out is read.
pub const MAX_NEIGHBOURS: usize = 256;
/// Longest NLRI, octets: GoBGP 3.10 writes those of 240 and more wrong (RFC 8955 §4.1 wants two octets of length there).
pub const MAX_NLRI_OCTETS: usize = 240;
/// How soon it is looked again while a change has not reached the neighbours, milliseconds.
const SOON_MS: u64 = 50;
/// How often it is looked that soon after a change; later `check-s` does.
const SOON_TIMES: u32 = 100;
/// How long the withdrawal of everything may take at an orderly stop.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The name in receipts and status.
const NAME: &str = "gobgp";

/// What was read back last.
#[derive(Debug, Default)]
struct Seen {
    /// Whether GoBGP answered at all in this run.
    looked: bool,
    /// Whether it answered last time.
    up: bool,
    /// Up to which change it was told.
    generation: u64,
    rib: BTreeMap<RouteKey, Held>,
    neighbours: Vec<(Neighbour, BTreeMap<RouteKey, Held>)>,
    established: u64,
    lost: u64,
    note: String,
}

impl Seen {
    fn count(held: &BTreeMap<RouteKey, Held>, id: MeasureId) -> usize {
        held.values().filter(|h| h.marks.contains(&id)).count()
    }
    /// Whether GoBGP or a neighbour of it still has a route of a measure.
    fn has(&self, id: MeasureId) -> bool {
        Self::count(&self.rib, id) > 0 || self.neighbours.iter().any(|(n, held)| n.up() && Self::count(held, id) > 0)
    }
}

#[derive(Debug, Default)]
struct Inner {
    generation: u64,
    table: Table,
    /// Measures found at the start, or put in by others with our mark: nobody has decided on them in this run.
    adopted: BTreeSet<MeasureId>,
    /// Released here; they leave this set when nothing of them is seen any more.
    leaving: BTreeSet<MeasureId>,
    seen: Seen,
    stopping: bool,
    stopped: bool,
}

impl Inner {
    /// Routes of `id` (of all measures for `None`) that an established neighbour was sent as they shall be, and all.
    fn covered(&self, want: &BTreeMap<RouteKey, Want>, id: Option<MeasureId>) -> (usize, usize) {
        let mine =
            |key: &&RouteKey| id.is_none_or(|id| self.table.routes().get(*key).is_some_and(|w| w.owners.contains(&id)));
        let keys: Vec<&RouteKey> = want.keys().filter(mine).collect();
        let sent = |key: &&&RouteKey| {
            let ours = self.seen.rib.get(**key).is_some_and(|h| Some(&h.asks) == want.get(**key).map(|w| &w.asks));
            ours && self.seen.up && self.seen.neighbours.iter().any(|(n, held)| n.up() && held.contains_key(**key))
        };
        (keys.iter().filter(sent).count(), keys.len())
    }

    fn settled(&self, want: &BTreeMap<RouteKey, Want>) -> bool {
        let (sent, all) = self.covered(want, None);
        self.seen.up && self.leaving.is_empty() && sent == all
    }
}

struct Shared {
    inner: Mutex<Inner>,
    moved: Condvar,
    wake: Notify,
    config: GobgpConfig,
    mark: Mark,
    attributes: PeerAttributes,
    spaces: Vec<IpNet>,
}

fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    // Every change under this lock is complete before anything can fail.
    shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What GoBGP shall have. A route whose attributes cannot be written was refused by `set`.
    fn want(&self, table: &Table) -> BTreeMap<RouteKey, Want> {
        let one = |(key, w): (&RouteKey, &crate::table::Wanted)| {
            let mut route = (*w.route).clone();
            route.large_communities.extend(w.owners.iter().filter_map(|id| self.mark.of(*id)));
            let attributes = codec::local_attributes(key, &route, &self.attributes).ok()?;
            Some((key.clone(), Want { asks: plan::asks(&attributes), attributes }))
        };
        table.routes().iter().filter_map(one).collect()
    }

    fn refuse(&self, id: MeasureId, routes: &[Route]) -> Result<(), TableError> {
        let families = self.config.families();
        for route in routes {
            let bad = |reason: CodecError| TableError::Codec { target: route.target.to_string(), reason };
            let key = codec::key(&route.target).map_err(bad)?;
            let say = |text: &str| Err(bad(CodecError::Encode(text.to_owned())));
            if self.mark.of(id).is_none() {
                return say("the measure's number does not fit into the mark of 32 bits");
            }
            if !families.contains(&key.family) {
                return say("GoBGP is not configured for this family in [bgp.gobgp]");
            }
            if route.scope == Scope::EdgeOnly && !self.config.edge {
                return say(
                    "it is for the operator's own edge only, and gobgp.edge does not say that GoBGP has only that",
                );
            }
            if key.nlri.len() >= MAX_NLRI_OCTETS {
                return say("GoBGP writes rules of 240 octets and more wrong; split it or use the driver `own`");
            }
            codec::local_attributes(&key, route, &self.attributes).map_err(bad)?;
        }
        Ok(())
    }
}

/// The driver.
pub struct Gobgp {
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Gobgp {
    /// Starts it; GoBGP need not be there yet. `spaces` is all space that may be announced: routes there are read back.
    ///
    /// # Errors
    /// When the section cannot be used or the operating system gives no thread.
    pub fn start(config: &BgpConfig, gobgp: &GobgpConfig, tls: Option<&Tls>) -> io::Result<Gobgp> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("suimon-gobgp")
            .enable_io()
            .enable_time()
            .build()?;
        let spaces = config.guard.own.iter().chain(config.guard.customers.iter().flat_map(|c| &c.prefixes));
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            moved: Condvar::new(),
            wake: Notify::new(),
            mark: Mark { asn: config.local_as, mark: gobgp.mark },
            attributes: PeerAttributes {
                local_as: config.local_as,
                internal: true,
                four_octet_as: true,
                next_hop_v4: gobgp.next_hop_v4,
                next_hop_v6: gobgp.next_hop_v6,
                rtbh_communities: gobgp.rtbh_communities.clone(),
                flowspec_communities: gobgp.flowspec_communities.clone(),
                large_communities: gobgp.large_communities.clone(),
            },
            spaces: IpNet::aggregate(&spaces.copied().collect()),
            config: gobgp.clone(),
        });
        // The channel wants a runtime around it, though it connects later.
        let _guard = runtime.enter();
        let client = Client::new(gobgp, tls).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        runtime.spawn(run(shared.clone(), client));
        Ok(Gobgp { shared, runtime: Some(runtime) })
    }

    /// Waits until GoBGP was looked at once, at most `patience`; returns whether it was.
    fn looked(&self, patience: Duration) -> bool {
        let (inner, _) = self
            .shared
            .moved
            .wait_timeout_while(lock(&self.shared), patience, |i| !i.seen.looked)
            .unwrap_or_else(PoisonError::into_inner);
        inner.seen.looked
    }
}

async fn run(shared: Arc<Shared>, mut client: Client) {
    let mut soon = 0;
    loop {
        let (stopping, generation) = {
            let inner = lock(&shared);
            (inner.stopping, inner.generation)
        };
        let done = look(&shared, &mut client).await;
        if let Err(e) = &done {
            let mut inner = lock(&shared);
            if inner.seen.up || inner.seen.note != e.0 {
                tracing::warn!(error = %e, "gobgp does not answer");
            }
            inner.seen.lost += u64::from(inner.seen.up);
            inner.seen.up = false;
            inner.seen.note.clone_from(&e.0);
            inner.seen.neighbours.clear();
        }
        let settled = {
            let mut inner = lock(&shared);
            let settled = inner.settled(&shared.want(&inner.table));
            if stopping && (settled || done.is_err()) {
                inner.stopped = true;
            }
            settled && inner.generation == generation
        };
        shared.moved.notify_all();
        if stopping && lock(&shared).stopped {
            return;
        }
        soon = if settled { 0 } else { soon + 1 };
        let wait = match settled || soon > SOON_TIMES || done.is_err() {
            true => Duration::from_secs(shared.config.check_s.into()),
            false => Duration::from_millis(SOON_MS),
        };
        tokio::select! {
            () = shared.wake.notified() => soon = 0,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Reads back, puts right what differs, and reads what the neighbours were sent.
async fn look(shared: &Shared, client: &mut Client) -> Result<(), CallError> {
    let families = shared.config.families();
    let mut rib = read_rib(shared, client, &families).await?;
    let (generation, diff) = {
        let mut inner = lock(shared);
        let known = |i: &Inner| -> BTreeSet<MeasureId> {
            let mine = i.table.measures().map(|(id, _)| id);
            mine.chain(i.adopted.iter().copied()).chain(i.leaving.iter().copied()).collect()
        };
        let want = shared.want(&inner.table);
        let found = plan::diff(&want, &rib, &known(&inner), &inner.adopted).found;
        if !found.is_empty() {
            tracing::warn!(?found, "routes with our mark were found in gobgp that nobody asked for in this run");
            inner.adopted.extend(found);
        }
        (inner.generation, plan::diff(&want, &rib, &known(&inner), &inner.adopted))
    };
    let Diff { changes, clashes, .. } = diff;
    if !changes.is_empty() {
        client.change(changes).await?;
        rib = read_rib(shared, client, &families).await?;
    }
    let mut neighbours = Vec::new();
    for neighbour in client.neighbours(MAX_NEIGHBOURS).await? {
        let mut sent = BTreeMap::new();
        if neighbour.up() {
            for family in &families {
                // A family that the neighbour does not take is an error there; nothing was sent then.
                if let Ok(paths) = client.adj_out(&neighbour.address, *family, &shared.spaces).await {
                    let mut read = plan::read(&paths, *family, shared.mark, false);
                    read.retain(|_, h| !h.marks.is_empty());
                    sent.extend(read);
                }
            }
        }
        neighbours.push((neighbour, sent));
    }
    let mut inner = lock(shared);
    inner.seen.established += u64::from(!inner.seen.up);
    inner.seen.looked = true;
    inner.seen.up = true;
    inner.seen.generation = generation;
    inner.seen.rib = rib;
    inner.seen.neighbours = neighbours;
    inner.seen.note = match clashes.len() {
        0 => String::new(),
        n => format!("{n} routes are in GoBGP from other hands, without our mark; they are left alone"),
    };
    let gone: Vec<MeasureId> = inner.leaving.iter().filter(|id| !inner.seen.has(**id)).copied().collect();
    gone.iter().for_each(|id| {
        inner.leaving.remove(id);
    });
    Ok(())
}

async fn read_rib(
    shared: &Shared,
    client: &mut Client,
    families: &[Family],
) -> Result<BTreeMap<RouteKey, Held>, CallError> {
    let mut out = BTreeMap::new();
    for family in families {
        let paths = client.rib(*family, &shared.spaces).await?;
        out.extend(plan::read(&paths, *family, shared.mark, true));
    }
    Ok(out)
}

impl Announcer for Gobgp {
    fn set(&self, id: MeasureId, routes: &Cleared) -> Result<Ticket, TableError> {
        self.shared.refuse(id, routes.routes())?;
        let mut inner = lock(&self.shared);
        for route in routes.routes() {
            let key = codec::key(&route.target);
            if key.is_ok_and(|k| inner.seen.rib.get(&k).is_some_and(|h| h.marks.is_empty())) {
                let reason = CodecError::Encode("GoBGP has it from other hands, without our mark".to_owned());
                return Err(TableError::Codec { target: route.target.to_string(), reason });
            }
        }
        let before = inner.table.generation();
        inner.table.set(id, routes.routes())?;
        let news = inner.table.generation() != before;
        if news | inner.adopted.remove(&id) | inner.leaving.remove(&id) {
            inner.generation += 1;
            self.shared.wake.notify_one();
        }
        Ok(Ticket(inner.generation))
    }

    fn remove(&self, id: MeasureId) -> Ticket {
        let mut inner = lock(&self.shared);
        let before = inner.table.generation();
        inner.table.remove(id);
        let news = inner.table.generation() != before;
        if news | inner.adopted.remove(&id) {
            inner.leaving.insert(id);
            inner.generation += 1;
            self.shared.wake.notify_one();
        }
        Ticket(inner.generation)
    }

    fn wait(&self, ticket: Ticket, patience: Duration) -> bool {
        let reached = |i: &Inner| i.seen.generation >= ticket.0 && i.settled(&self.shared.want(&i.table));
        let (inner, _) = self
            .shared
            .moved
            .wait_timeout_while(lock(&self.shared), patience, |i| !reached(i))
            .unwrap_or_else(PoisonError::into_inner);
        reached(&inner)
    }

    fn standing(&self, id: MeasureId) -> Vec<Standing> {
        let inner = lock(&self.shared);
        let seen = &inner.seen;
        let of = inner.table.keys(id).map_or(0, <[RouteKey]>::len);
        let current = seen.up && seen.generation >= inner.generation && !inner.leaving.contains(&id);
        let own = Standing {
            peer: NAME.to_owned(),
            up: seen.up,
            current,
            has: Seen::count(&seen.rib, id),
            of,
            note: seen.note.clone(),
        };
        let one = |(n, sent): &(Neighbour, BTreeMap<RouteKey, Held>)| Standing {
            peer: format!("{NAME} neighbour {}", n.address),
            up: n.up(),
            current,
            has: Seen::count(sent, id),
            of,
            note: String::new(),
        };
        std::iter::once(own).chain(seen.neighbours.iter().map(one)).collect()
    }

    fn coverage(&self, id: MeasureId) -> (usize, usize) {
        let inner = lock(&self.shared);
        inner.covered(&self.shared.want(&inner.table), Some(id))
    }

    fn measures(&self) -> Vec<MeasureId> {
        self.looked(Duration::from_secs(self.shared.config.check_s.into()));
        let inner = lock(&self.shared);
        let mine = inner.table.measures().map(|(id, _)| id);
        let all: BTreeSet<MeasureId> =
            mine.chain(inner.adopted.iter().copied()).chain(inner.leaving.iter().copied()).collect();
        all.into_iter().collect()
    }

    fn others(&self, id: MeasureId) -> Vec<Arc<Route>> {
        lock(&self.shared).table.without(id)
    }

    fn table(&self) -> Table {
        lock(&self.shared).table.clone()
    }

    fn peers(&self) -> Vec<PeerStatus> {
        let inner = lock(&self.shared);
        let seen = &inner.seen;
        let own = PeerStatus {
            peer: NAME.to_owned(),
            state: if seen.up { "established" } else { "connect" },
            families: self.shared.config.families(),
            routes: seen.rib.values().filter(|h| !h.marks.is_empty()).count(),
            established: seen.established,
            lost: seen.lost,
            updates_ignored: 0,
            refreshes: 0,
            note: seen.note.clone(),
        };
        let one = |(n, sent): &(Neighbour, BTreeMap<RouteKey, Held>)| PeerStatus {
            peer: format!("{NAME} neighbour {}", n.address),
            state: n.state,
            families: Vec::new(),
            routes: sent.len(),
            established: u64::from(n.up()),
            lost: 0,
            updates_ignored: 0,
            refreshes: 0,
            note: String::new(),
        };
        std::iter::once(own).chain(seen.neighbours.iter().map(one)).collect()
    }

    fn outlives_us(&self) -> bool {
        true
    }

    fn unsure(&self, id: MeasureId) -> Option<String> {
        let inner = lock(&self.shared);
        let seen = &inner.seen;
        let may = inner.leaving.contains(&id) || !seen.looked || seen.has(id);
        (!seen.up && may).then(|| {
            let address = &self.shared.config.address;
            format!("GoBGP at {address} does not answer and may still announce it: {}", seen.note)
        })
    }
}

impl Drop for Gobgp {
    fn drop(&mut self) {
        {
            let mut inner = lock(&self.shared);
            let mine: Vec<MeasureId> = inner.table.measures().map(|(id, _)| id).collect();
            for id in mine {
                inner.table.remove(id);
                inner.leaving.insert(id);
            }
            let adopted = std::mem::take(&mut inner.adopted);
            inner.leaving.extend(adopted);
            inner.generation += 1;
            inner.stopping = true;
        }
        self.shared.wake.notify_one();
        let waited = self.shared.moved.wait_timeout_while(lock(&self.shared), LAST_WORDS, |i| !i.stopped);
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !inner.leaving.is_empty() {
            tracing::error!(measures = ?inner.leaving, "gobgp may still announce routes of these measures");
        }
        drop(inner);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
