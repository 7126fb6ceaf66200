//! The model router as a hand, and the thread that plays packets through it in real time.

use super::play::Play;
use super::setup::MODEL_ROUTER;
use crate::cli::{DrillArgs, Export};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use suimon_base::{Clock, MeasureId, Timestamp};
use suimon_filter::dialect::{self, Dialect};
use suimon_lab::{Exporter, ExporterConfig, ExporterStats, Judge, Label, ModelRouter, Packet, Protocol, Selection};
use suimon_policy::Decision;
use suimon_spine::Hand;
use suimon_spine::ports::{HandError, HandReport, Order};

/// How long the player sleeps when nothing is due.
const NAP: Duration = Duration::from_micros(500);
/// Packets taken under one lock.
const CHUNK: usize = 512;

/// What the player tells the outside while it runs.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Wall time of the first attack packet.
    pub first_attack: Option<Timestamp>,
    /// Wall time of the first datagram that told of an attack packet.
    pub first_told: Option<Timestamp>,
    /// Microseconds of traffic played.
    pub at_us: u64,
    /// Wall time of microsecond 0.
    pub epoch: Timestamp,
    /// Longest time by which the player was behind the packets' own times, microseconds.
    pub behind_us: u64,
    /// The exporter's figures.
    pub exporter: ExporterStats,
    /// All packets have been played.
    pub done: bool,
}

/// Router and judge, shared by the hand and the player.
pub struct Core {
    router: ModelRouter,
    /// What came through.
    pub judge: Judge,
    /// How far the player is.
    pub progress: Progress,
    /// The texts in force, as a router keeps its configuration over our death.
    texts: BTreeMap<String, String>,
}

/// The model router seen from the spine.
pub struct ModelRouterHand {
    core: Arc<Mutex<Core>>,
    dialect: Dialect,
    nvram: PathBuf,
}

impl ModelRouterHand {
    /// A router whose configuration is kept in `data`, with what it held before.
    pub fn new(data: &Path, dialect: Dialect) -> anyhow::Result<Self> {
        let nvram = data.join("model-router.json");
        let texts: BTreeMap<String, String> = match std::fs::read_to_string(&nvram) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e.into()),
        };
        let mut router = ModelRouter::new();
        for (id, text) in &texts {
            router.install(0, id.parse()?, dialect::parse(text, dialect)?.rules);
        }
        let core = Core { router, judge: Judge::new(), progress: Progress::default(), texts };
        Ok(ModelRouterHand { core: Arc::new(Mutex::new(core)), dialect, nvram })
    }

    /// The shared part.
    pub fn core(&self) -> Arc<Mutex<Core>> {
        self.core.clone()
    }

    fn save(&self, texts: &BTreeMap<String, String>) -> Result<(), HandError> {
        let write = || -> std::io::Result<()> {
            let new = self.nvram.with_extension("new");
            std::fs::write(&new, serde_json::to_string(texts).map_err(std::io::Error::other)?)?;
            std::fs::File::open(&new)?.sync_all()?;
            std::fs::rename(&new, &self.nvram)
        };
        write().map_err(|e| HandError(format!("{}: {e}", self.nvram.display())))
    }
}

/// Locks the shared part; a player that panicked has already ended the drill.
pub fn lock(core: &Mutex<Core>) -> std::sync::MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hand for ModelRouterHand {
    fn name(&self) -> &str {
        MODEL_ROUTER
    }

    fn apply(&self, order: &Order, _: &Decision) -> Result<HandReport, HandError> {
        // The router understands the text, not our model: what it does is what the text says.
        let listing = dialect::parse(&order.text, self.dialect).map_err(|e| HandError(e.to_string()))?;
        let mut core = lock(&self.core);
        let mut texts = core.texts.clone();
        texts.insert(order.id.to_string(), order.text.clone());
        self.save(&texts)?;
        core.texts = texts;
        let at_us = core.progress.at_us;
        let rules = listing.rules.rules.len();
        core.router.install(at_us, order.id, listing.rules);
        Ok(HandReport::Done { place: MODEL_ROUTER.to_owned(), receipt: format!("{rules} rules, {}", self.dialect) })
    }

    fn release(&self, id: MeasureId) -> Result<HandReport, HandError> {
        let mut core = lock(&self.core);
        let mut texts = core.texts.clone();
        texts.remove(&id.to_string());
        self.save(&texts)?;
        core.texts = texts;
        core.router.remove(id);
        let left = core.router.installed().filter(|(m, _)| *m == id).count();
        if left > 0 {
            return Err(HandError(format!("{id} is still installed")));
        }
        Ok(HandReport::Done { place: MODEL_ROUTER.to_owned(), receipt: "read back: no rule of it is left".to_owned() })
    }

    fn in_force(&self) -> Result<Option<Vec<MeasureId>>, HandError> {
        Ok(Some(lock(&self.core).router.installed().map(|(id, _)| id).collect()))
    }
}

/// Starts the player. It sends what the router exports to the first collector address.
pub fn start_player(
    play: &Play,
    args: &DrillArgs,
    core: Arc<Mutex<Core>>,
    collector: SocketAddr,
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let local: SocketAddr =
        if collector.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { ([0, 0, 0, 0, 0, 0, 0, 1], 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.connect(collector)?;
    let epoch = clock.now();
    lock(&core).progress.epoch = epoch;
    let protocol = match args.export {
        Export::Netflow9 => Protocol::Netflow9,
        Export::Ipfix => Protocol::Ipfix,
        Export::Sflow => Protocol::Sflow,
    };
    let config = ExporterConfig {
        protocol,
        sampling: args.sampling,
        selection: Selection::Random(args.seed),
        ..ExporterConfig::default()
    };
    let player = Player {
        packets: play.packets().peekable(),
        exporter: Exporter::new(config, epoch),
        end_us: play.end_us,
        core,
        socket,
        clock,
        epoch,
        told_attack: None,
    };
    Ok(std::thread::Builder::new().name("player".to_owned()).spawn(move || player.run(&stop))?)
}

struct Player {
    packets: std::iter::Peekable<suimon_lab::Merge>,
    exporter: Exporter,
    end_us: u64,
    core: Arc<Mutex<Core>>,
    socket: UdpSocket,
    clock: Arc<dyn Clock>,
    epoch: Timestamp,
    /// Sampled packets that had been told when the first attack packet was sampled.
    told_attack: Option<u64>,
}

impl Player {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            let now_us = u64::try_from(now.as_micros() - self.epoch.as_micros()).unwrap_or(0);
            let busy = self.chunk(now, now_us);
            for datagram in self.exporter.poll(now_us, now) {
                // A full socket buffer is loss on the wire; the collector sees the gap.
                let _ = self.socket.send(&datagram);
            }
            let stats = self.exporter.stats();
            let mut core = lock(&self.core);
            core.progress.exporter = stats;
            if core.progress.first_told.is_none() && self.told_attack.is_some_and(|n| stats.told > n) {
                core.progress.first_told = Some(now);
            }
            if now_us >= self.end_us && self.packets.peek().is_none() {
                core.progress.done = true;
                return;
            }
            drop(core);
            if !busy {
                std::thread::sleep(NAP);
            }
        }
    }

    /// Plays what is due, up to a chunk; whether more may be due.
    fn chunk(&mut self, now: Timestamp, now_us: u64) -> bool {
        let mut guard = lock(&self.core);
        let core = &mut *guard;
        for _ in 0..CHUNK {
            let Some(packet) = self.packets.next_if(|p| p.at_us <= now_us) else {
                core.progress.at_us = now_us;
                return false;
            };
            core.progress.at_us = packet.at_us;
            core.progress.behind_us = core.progress.behind_us.max(now_us - packet.at_us);
            let passed = core.router.offer(packet.at_us, &packet).is_forwarded();
            core.judge.record(&packet, passed);
            note_first(&mut core.progress, &packet, now);
            let before = self.exporter.stats().sampled;
            self.exporter.observe(packet.at_us, &packet.header, passed);
            let after = self.exporter.stats();
            if packet.label == Label::Attack && self.told_attack.is_none() && after.sampled > before {
                self.told_attack = Some(after.told);
            }
        }
        true
    }
}

fn note_first(progress: &mut Progress, packet: &Packet, now: Timestamp) {
    if packet.label == Label::Attack && progress.first_attack.is_none() {
        progress.first_attack = Some(now);
    }
}
