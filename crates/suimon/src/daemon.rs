//! Wiring: ledger, policy, planner, hands, senses, alerts, pages, in the order in which each may start.

use crate::config::Config;
use crate::exit::bad_input;
use crate::flow_sense::{FlowFigures, FlowSense};
use crate::planner::FilterPlanner;
use crate::{alerts, metrics};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use suimon_base::Clock;
use suimon_bgp::customer::desk::Desks;
use suimon_bgp::hand::BgpHand;
use suimon_console::{About, Console, SignIn, serve_tcp, serve_unix};
use suimon_detect::Detector;
use suimon_ledger::Ledger;
use suimon_policy::Packs;
use suimon_spine::ports::Sense;
use suimon_spine::{CommandError, Hand, Handle, ManualHand, Parts, Planner, Settings};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running daemon.
pub struct Daemon {
    /// The way to the engine.
    pub handle: Handle,
    /// Where pages and API are.
    pub address: SocketAddr,
    /// Where the command line reaches it.
    pub socket: PathBuf,
    /// Makes one-time links and tokens.
    pub sign_in: Arc<SignIn>,
    /// Where flows are heard; empty without a collector.
    pub collectors: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts everything. `more_hands` are added to the manual one.
///
/// # Errors
/// Exit code 2 for what the configuration gets wrong, a denial of the collection measure among it; 3 for what fails.
pub async fn start(config: Config, clock: Arc<dyn Clock>, more_hands: Vec<Arc<dyn Hand>>) -> anyhow::Result<Daemon> {
    std::fs::create_dir_all(&config.data).with_context(|| config.data.display().to_string())?;
    let ledger = Ledger::open(&config.data, config.exercise).await?;
    // Nothing is added to a record that does not hold.
    if let Some(broken) = suimon_ledger::verify(&config.data).await?.broken {
        anyhow::bail!("the ledger in {} is broken at event {}: {}", config.data.display(), broken.seq, broken.what);
    }
    let policy = suimon_policy::Engine::new(Packs::new(config.packs).map_err(|e| bad_input(e.to_string()))?);
    let planner: Arc<dyn Planner> = Arc::new(FilterPlanner { known: config.known });
    let mut hands: Vec<Arc<dyn Hand>> = vec![Arc::new(ManualHand)];
    hands.extend(more_hands);
    let mut desks = None;
    if let Some(bgp) = config.bgp {
        let hand = BgpHand::start_with(&bgp.config, bgp.files, clock.clone()).context("the BGP hand")?;
        let hand = Arc::new(hand);
        desks = Desks::of(hand.clone(), clock.clone());
        hands.push(hand);
    }
    let hand_names: Vec<String> = hands.iter().map(|h| h.name().to_owned()).collect();
    let sense = match config.collect {
        Some(collect) => {
            let detector = Detector::new(config.detect, random_u64()?).map_err(|e| bad_input(e.to_string()))?;
            Some(FlowSense::new(collect, detector, clock.clone()))
        }
        None => None,
    };
    let on_watch = sense.as_ref().map_or_else(|| Box::new(|_| ()) as Box<_>, Sense::watch);
    let figures = sense.as_ref().map(FlowSense::figures);
    let dialects = planner.dialects();
    let (handle, observations, engine) = suimon_spine::start(Parts {
        ledger,
        dir: config.data.clone(),
        policy,
        planner,
        hands,
        register: config.register,
        clock: clock.clone(),
        settings: Settings {
            default_hand: config.default_hand,
            default_dialect: config.default_dialect,
            calendar: config.calendar,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            verify: config.verify,
            release: config.release,
        },
        on_watch,
    })
    .await?;
    let collectors = match sense {
        Some(sense) => {
            let bound = start_collecting(&handle, sense, observations, figures.as_ref()).await?;
            stop_with_its_measure(&handle, figures.as_ref());
            bound
        }
        None => Vec::new(),
    };
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot serve pages on {}", config.listen))?;
    let address = listener.local_addr()?;
    // Port 0 is whatever the system gives.
    let given = config.base_url == format!("http://{}", config.listen);
    let base_url = if given { format!("http://{address}") } else { config.base_url };
    alerts::start(handle.clone(), clock.clone(), config.alerts, base_url.clone())
        .map_err(|e| bad_input(e.to_string()))?;

    let (stop, stopped) = watch::channel(false);
    if let Some(desks) = desks {
        // It ends with the engine, and at the latest when the daemon is told to stop.
        let (work, end) = (desks.run(handle.clone()), when(stopped.clone()));
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                () = end => {}
            }
        });
    }
    let sign_in = Arc::new(SignIn::new(random_seed()?));
    let unix = unix_listener(&config.socket)?;
    let console = || Console {
        handle: handle.clone(),
        clock: clock.clone(),
        sign_in: sign_in.clone(),
        about: About {
            base_url: base_url.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            exercise: config.exercise,
            metrics: metrics::renderer(handle.clone(), figures.clone()),
            dialects: dialects.clone(),
            hands: hand_names.clone(),
        },
    };
    let tasks = vec![
        engine,
        spawn_server(serve_tcp(console(), listener, when(stopped.clone())), "pages"),
        spawn_server(serve_unix(console(), unix, when(stopped)), "socket"),
    ];
    Ok(Daemon { handle, address, socket: config.socket, sign_in, collectors, stop, tasks })
}

/// Collecting ends with the standing measure under which it runs.
fn stop_with_its_measure(handle: &Handle, figures: Option<&Arc<FlowFigures>>) {
    let (Some(figures), handle) = (figures.cloned(), handle.clone()) else { return };
    tokio::spawn(async move {
        let mut changes = handle.changes();
        while changes.changed().await.is_ok() {
            if handle.with_state(|s| s.collection.is_none()) {
                tracing::error!("flows are not collected any more: the terms have run out");
                figures.stop.store(true, Ordering::Relaxed);
                return;
            }
        }
    });
}

/// Reading flows is itself a measure (知得): asked, recorded, and only then begun.
async fn start_collecting(
    handle: &Handle,
    sense: FlowSense,
    observations: tokio::sync::mpsc::Sender<suimon_spine::Observation>,
    figures: Option<&Arc<FlowFigures>>,
) -> anyhow::Result<Vec<SocketAddr>> {
    match handle.start_collection().await {
        Ok(id) => tracing::info!(measure = %id, "flows are collected under the standing measure"),
        Err(CommandError::Denied { denial, .. }) => {
            let mut text = format!("flows are not collected: {}", denial.summary.en);
            for case in &denial.missing {
                for c in case.conditions.iter().filter(|c| c.id.starts_with("collection")) {
                    text.push_str(&format!("\n  [collection] {}: {} — {}", case.case, c.text_en, c.how_en));
                }
            }
            return Err(bad_input(text));
        }
        Err(other) => return Err(other.into()),
    }
    Box::new(sense).start(observations).map_err(|e| anyhow::anyhow!(e))?;
    let bound = figures.and_then(|f| f.collector.lock().unwrap_or_else(PoisonError::into_inner).clone());
    Ok(bound.map(|(_, addresses)| addresses).unwrap_or_default())
}

impl Daemon {
    /// Stops the servers and the engine; what is in the network stays there.
    pub async fn stop(self) {
        // Nobody listening any more is what is wanted.
        let _ = self.stop.send(true);
        self.handle.stop().await;
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the daemon panicked");
            }
        }
        // The socket of a dead daemon would only confuse; start removes it too.
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn when(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn spawn_server(
    server: impl Future<Output = std::io::Result<()>> + Send + 'static,
    name: &'static str,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, name, "a server stopped");
        }
    })
}

/// The data folder is locked by the ledger at this point, so a socket file that is there belongs to a dead daemon.
fn unix_listener(path: &Path) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).context(path.display().to_string()),
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    // Owner and group: whoever may open the socket may act, under the name of their user.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn random_seed() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    Ok(seed)
}

fn random_u64() -> anyhow::Result<u64> {
    let seed = random_seed()?;
    let mut eight = [0; 8];
    eight.copy_from_slice(&seed[..8]);
    Ok(u64::from_le_bytes(eight))
}
