//! The sense that watches flows: the collector's workers count into one detector and effect meter, and a thread of its
//! own judges what they counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suimon_base::event::Effect;
use suimon_base::flow::ExporterKey;
use suimon_base::{Clock, FlowRecord, MeasureId, Pps, Timestamp};
use suimon_collect::{CollectConfig, Collector, Running, Stats};
use suimon_detect::effect::{EffectMeter, Watch};
use suimon_detect::{Counters, Detector};
use suimon_spine::Observation;
use suimon_spine::ports::{Sense, Watched};
use tokio::sync::mpsc;

/// How often the detector looks at its windows: half a bucket, so that an attack is told within a second.
const TICK: Duration = Duration::from_millis(100);
/// How often effects are read, milliseconds.
const EFFECT_MS: i64 = 500;

/// What the outside may look at while it runs.
#[derive(Debug, Default)]
pub struct FlowFigures {
    /// The collector's counters, once it runs.
    pub collector: Mutex<Option<(Arc<Stats>, Vec<std::net::SocketAddr>)>>,
    /// The detector's counters, at most a tick old.
    pub detector: Mutex<Counters>,
    /// Datagrams dropped by the kernel at our sockets.
    pub kernel_drops: AtomicU64,
    /// Set when collecting has lost its basis: the sockets are closed within a tick.
    pub stop: AtomicBool,
}

/// The sense; it binds its sockets only when it is started, which is after the collection measure is on record.
pub struct FlowSense {
    collect: CollectConfig,
    detector: Detector,
    clock: Arc<dyn Clock>,
    watched: Arc<Mutex<Option<Vec<Watched>>>>,
    figures: Arc<FlowFigures>,
}

impl FlowSense {
    /// A sense with its detector; nothing is bound yet.
    pub fn new(collect: CollectConfig, detector: Detector, clock: Arc<dyn Clock>) -> Self {
        FlowSense { collect, detector, clock, watched: Arc::default(), figures: Arc::default() }
    }

    /// Its figures.
    pub fn figures(&self) -> Arc<FlowFigures> {
        self.figures.clone()
    }
}

impl Sense for FlowSense {
    fn name(&self) -> &'static str {
        "flows"
    }

    fn start(self: Box<Self>, out: mpsc::Sender<Observation>) -> Result<(), String> {
        let collector = Collector::bind(self.collect).map_err(|e| e.to_string())?;
        let addresses = collector.addresses();
        let counting = Arc::new(Mutex::new(Counting {
            detector: self.detector,
            meter: EffectMeter::new(),
            floors: BTreeMap::new(),
        }));
        let taker = counting.clone();
        let sink = Arc::new(move |exporter: &ExporterKey, received, records: &[FlowRecord]| {
            lock(&taker).take(exporter, received, records);
        });
        let running = collector.start(self.clock.clone(), sink).map_err(|e| e.to_string())?;
        *lock(&self.figures.collector) = Some((running.stats(), addresses));
        let looking = Looking {
            counting,
            watched: self.watched,
            figures: self.figures,
            out,
            clock: self.clock,
            metered: Timestamp::ZERO,
        };
        std::thread::Builder::new()
            .name("detect".to_owned())
            .spawn(move || looking.run(running))
            .map_err(|e| format!("cannot start the detection thread: {e}"))?;
        Ok(())
    }

    fn watch(&self) -> Box<dyn Fn(Vec<Watched>) + Send + Sync> {
        let watched = self.watched.clone();
        Box::new(move |new| *lock(&watched) = Some(new))
    }
}

/// A panic of another thread under the lock has not half-counted more than one flow.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the collector's workers count into.
struct Counting {
    detector: Detector,
    meter: EffectMeter,
    /// Measures that are watched, with the packet rate below which each is quiet.
    floors: BTreeMap<MeasureId, Pps>,
}

/// The thread that judges what was counted and tells the spine.
struct Looking {
    counting: Arc<Mutex<Counting>>,
    watched: Arc<Mutex<Option<Vec<Watched>>>>,
    figures: Arc<FlowFigures>,
    out: mpsc::Sender<Observation>,
    clock: Arc<dyn Clock>,
    metered: Timestamp,
}

impl Looking {
    fn run(mut self, running: Running) {
        while !self.figures.stop.load(Ordering::Relaxed) && self.tick() {
            self.figures.kernel_drops.store(running.kernel_drops(), Ordering::Relaxed);
            std::thread::sleep(TICK);
        }
        running.stop();
    }

    /// Whether anybody still listens. Nothing is told under the lock: a listener who takes his time must not hold up
    /// counting.
    fn tick(&mut self) -> bool {
        let now = self.clock.now();
        let mut told = Vec::new();
        {
            let mut counting = lock(&self.counting);
            if let Some(watched) = lock(&self.watched).take() {
                counting.watch(watched);
            }
            told.extend(counting.detector.tick(now).into_iter().map(|c| Observation::Attack(Box::new(c))));
            if now.ms_since(self.metered) >= EFFECT_MS {
                self.metered = now;
                let floors = counting.floors.clone();
                let effects = floors.into_iter().filter_map(|(id, floor)| Some((id, counting.effect(id, floor, now)?)));
                told.extend(effects.map(|(id, effect)| Observation::Effect(id, effect)));
            }
            *lock(&self.figures.detector) = counting.detector.counters();
        }
        told.into_iter().all(|o| self.out.blocking_send(o).is_ok()) && !self.out.is_closed()
    }
}

impl Counting {
    fn take(&mut self, exporter: &ExporterKey, received: Timestamp, records: &[FlowRecord]) {
        self.detector.batch(exporter, received, records);
        if !self.floors.is_empty() {
            for flow in records {
                self.meter.flow(received, flow);
            }
        }
    }

    fn watch(&mut self, watched: Vec<Watched>) {
        self.floors = watched.iter().map(|w| (w.id, Pps(w.quiet_floor_pps.max(1.0) as u64))).collect();
        let watches = watched.into_iter().map(|w| Watch { id: w.id.0, target: w.targets, attack: w.attack });
        self.meter.set(watches.collect());
    }

    fn effect(&mut self, id: MeasureId, floor: Pps, now: Timestamp) -> Option<Effect> {
        let r = self.meter.read(id.0, now)?;
        let quiet_ms = self.meter.quiet_ms(id.0, now, floor);
        let pps = |p: Pps| p.0 as f64;
        Some(Effect {
            attack_arriving_pps: pps(r.attack.arriving().pps),
            attack_passed_pps: pps(r.attack.passed.pps),
            other_arriving_pps: pps(r.other.arriving().pps),
            other_passed_pps: pps(r.other.passed.pps),
            observes_drops: r.observes_drops,
            quiet_ms: quiet_ms.and_then(|q| i64::try_from(q).ok()),
        })
    }
}
