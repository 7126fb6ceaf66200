//! The sense that watches flows: collector, detector and effect meter, joined by a bounded queue on one thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use suimon_base::event::Effect;
use suimon_base::{Clock, FlowBatch, MeasureId, Pps, Timestamp};
use suimon_collect::{BATCHES_QUEUED, CollectConfig, Collector, Running, Stats};
use suimon_detect::effect::{EffectMeter, Watch};
use suimon_detect::{Counters, Detector};
use suimon_spine::Observation;
use suimon_spine::ports::{Sense, Watched};
use tokio::sync::mpsc;

/// How often the detector looks at its windows, milliseconds: half a bucket, so that an attack is told within a second.
const TICK_MS: i64 = 100;
/// How long flows gather before detection takes them.
const GATHER: Duration = Duration::from_millis(5);
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
        let (batches, inbox) = sync_channel(BATCHES_QUEUED);
        let running = collector.start(self.clock.clone(), batches).map_err(|e| e.to_string())?;
        *self.figures.collector.lock().unwrap_or_else(PoisonError::into_inner) = Some((running.stats(), addresses));
        let looking = Looking {
            detector: self.detector,
            meter: EffectMeter::new(),
            watched: self.watched,
            floors: BTreeMap::new(),
            figures: self.figures,
            out,
            clock: self.clock,
            ticked: Timestamp::ZERO,
            metered: Timestamp::ZERO,
        };
        std::thread::Builder::new()
            .name("detect".to_owned())
            .spawn(move || looking.run(&inbox, running))
            .map_err(|e| format!("cannot start the detection thread: {e}"))?;
        Ok(())
    }

    fn watch(&self) -> Box<dyn Fn(Vec<Watched>) + Send + Sync> {
        let watched = self.watched.clone();
        Box::new(move |new| *watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(new))
    }
}

struct Looking {
    detector: Detector,
    meter: EffectMeter,
    watched: Arc<Mutex<Option<Vec<Watched>>>>,
    /// Measures that are watched, with the packet rate below which each is quiet.
    floors: BTreeMap<MeasureId, Pps>,
    figures: Arc<FlowFigures>,
    out: mpsc::Sender<Observation>,
    clock: Arc<dyn Clock>,
    ticked: Timestamp,
    metered: Timestamp,
}

impl Looking {
    fn run(mut self, inbox: &Receiver<FlowBatch>, running: Running) {
        'running: loop {
            // Taking what has gathered costs far less than being woken for each batch.
            std::thread::sleep(GATHER);
            loop {
                match inbox.try_recv() {
                    Ok(batch) => self.take(&batch),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => break 'running,
                }
                if self.clock.now().ms_since(self.ticked) >= TICK_MS {
                    break;
                }
            }
            let now = self.clock.now();
            if now.ms_since(self.ticked) >= TICK_MS {
                self.ticked = now;
                if !self.tick(now) {
                    break;
                }
                self.figures.kernel_drops.store(running.kernel_drops(), Ordering::Relaxed);
            }
        }
        running.stop();
    }

    fn take(&mut self, batch: &FlowBatch) {
        self.detector.batch(batch);
        if !self.floors.is_empty() {
            for flow in &batch.records {
                self.meter.flow(batch.received, flow);
            }
        }
    }

    /// Whether anybody still listens.
    fn tick(&mut self, now: Timestamp) -> bool {
        if let Some(watched) = self.watched.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.floors = watched.iter().map(|w| (w.id, Pps(w.quiet_floor_pps.max(1.0) as u64))).collect();
            let watches = watched.into_iter().map(|w| Watch { id: w.id.0, target: w.targets, attack: w.attack });
            self.meter.set(watches.collect());
        }
        for change in self.detector.tick(now) {
            if self.out.blocking_send(Observation::Attack(Box::new(change))).is_err() {
                return false;
            }
        }
        if now.ms_since(self.metered) >= EFFECT_MS {
            self.metered = now;
            for (id, floor) in self.floors.clone() {
                let Some(effect) = self.effect(id, floor, now) else { continue };
                if self.out.blocking_send(Observation::Effect(id, effect)).is_err() {
                    return false;
                }
            }
        }
        *self.figures.detector.lock().unwrap_or_else(PoisonError::into_inner) = self.detector.counters();
        !self.out.is_closed()
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
