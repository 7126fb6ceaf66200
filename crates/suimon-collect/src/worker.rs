//! One worker: reads its socket, decodes what is at home here, hands the rest over.

use crate::HOMES;
use crate::boundary::{Boundary, ExporterRole};
use crate::socket;
use crate::stats::Stats;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use suimon_base::{Clock, FlowBatch, Timestamp};
use suimon_wire::{Decoder, Limits};

/// Largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// Counters are published this often; milliseconds.
const PUBLISH_MS: i64 = 500;
/// Datagrams read before a worker looks at its other duties.
const DRAIN: usize = 256;
/// A worker that read fewer lets some gather before it reads again; with more there is no time to lose.
const GATHER_BELOW: usize = 48;
/// For how long. The smallest receive buffer in use holds several times what comes in this time at 20,000 datagrams/s.
const GATHER: Duration = Duration::from_millis(2);
/// Flows of one exporter that go to detection together.
const BATCH_FLOWS: usize = 512;
/// At most one line a worker about unreadable datagrams in this time; milliseconds.
const COMPLAIN_MS: i64 = 10_000;

/// A datagram on its way to its home.
pub(crate) struct Handed {
    pub exporter: IpAddr,
    pub received: Timestamp,
    pub bytes: Box<[u8]>,
}

pub(crate) struct Setup {
    pub index: usize,
    pub socket: UdpSocket,
    pub handed: Receiver<Handed>,
    pub others: Vec<SyncSender<Handed>>,
    pub homes: Arc<RwLock<HashMap<IpAddr, usize>>>,
    pub exporters: Vec<ExporterRole>,
    pub clock: Arc<dyn Clock>,
    pub out: SyncSender<FlowBatch>,
    pub stop: Arc<AtomicBool>,
    pub stats: Arc<Stats>,
}

pub(crate) struct Worker {
    setup: Setup,
    decoder: Decoder,
    boundary: Boundary,
    /// What this worker has learned of `homes`.
    known: HashMap<IpAddr, usize>,
    /// Flows of the exporter heard last, and batches before it, on their way to detection.
    pending: Option<FlowBatch>,
    full: Vec<FlowBatch>,
    published: Timestamp,
    complained: Timestamp,
    closed: bool,
}

impl Worker {
    pub fn new(setup: Setup) -> Self {
        let mut decoder = Decoder::new(Limits::default());
        for e in &setup.exporters {
            if let Some(rate) = e.sampling {
                decoder.set_sampling(e.address, rate);
            }
        }
        let boundary = Boundary::new(&setup.exporters);
        Worker {
            setup,
            decoder,
            boundary,
            known: HashMap::new(),
            pending: None,
            full: Vec::new(),
            published: Timestamp::ZERO,
            complained: Timestamp::ZERO,
            closed: false,
        }
    }

    pub fn run(mut self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.closed && !self.setup.stop.load(Ordering::Relaxed) {
            let now = self.setup.clock.now();
            let read = self.drain(&mut buffer, now);
            while let Ok(handed) = self.setup.handed.try_recv() {
                self.decode(handed.exporter, handed.received, &handed.bytes);
            }
            self.pass_on();
            if now.ms_since(self.published) >= PUBLISH_MS {
                self.published = now;
                self.setup.stats.publish(self.decoder.counters());
            }
            // Waking for every datagram would cost more than decoding it: while some come, a few are left to gather.
            match read {
                0 => socket::wait(&self.setup.socket),
                n if n < GATHER_BELOW => std::thread::sleep(GATHER),
                _ => {}
            }
        }
        self.setup.stats.publish(self.decoder.counters());
    }

    /// Reads what is there, at most [`DRAIN`] datagrams, and says how many there were.
    fn drain(&mut self, buffer: &mut [u8], now: Timestamp) -> usize {
        for n in 0..DRAIN {
            match self.setup.socket.recv_from(buffer) {
                Ok((len, from)) => {
                    Stats::add(&self.setup.stats.datagrams, 1);
                    Stats::add(&self.setup.stats.octets, len as u64);
                    let bytes = buffer.get(..len).unwrap_or_default();
                    self.arrived(from.ip().to_canonical(), now, bytes);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // An ICMP error of an earlier peer must not end a listening socket.
                Err(error) => tracing::debug!(%error, "udp receive"),
            }
        }
        DRAIN
    }

    fn arrived(&mut self, exporter: IpAddr, now: Timestamp, bytes: &[u8]) {
        let home = self.home(exporter);
        if home == self.setup.index {
            return self.decode(exporter, now, bytes);
        }
        let handed = Handed { exporter, received: now, bytes: bytes.into() };
        let sent = self.setup.others.get(home).map(|other| other.try_send(handed));
        let counter = match sent {
            Some(Ok(())) => &self.setup.stats.handed_over,
            _ => &self.setup.stats.handover_lost,
        };
        Stats::add(counter, 1);
    }

    fn home(&mut self, exporter: IpAddr) -> usize {
        if let Some(home) = self.known.get(&exporter) {
            return *home;
        }
        let mut homes = self.setup.homes.write().unwrap_or_else(PoisonError::into_inner);
        let home = match homes.get(&exporter) {
            Some(home) => *home,
            None if homes.len() < HOMES => {
                homes.insert(exporter, self.setup.index);
                self.setup.index
            }
            None => return self.setup.index,
        };
        drop(homes);
        self.known.insert(exporter, home);
        home
    }

    fn decode(&mut self, exporter: IpAddr, received: Timestamp, bytes: &[u8]) {
        let (mut counted, mut elsewhere) = (0, 0);
        let (boundary, pending, full) = (&mut self.boundary, &mut self.pending, &mut self.full);
        let result = self.decoder.datagram(exporter, received, bytes, &mut |key, flow| {
            if boundary.counts(exporter, flow) {
                counted += 1;
                match pending {
                    Some(batch) if batch.exporter == key && batch.records.len() < BATCH_FLOWS => {
                        batch.records.push(*flow);
                    }
                    _ => {
                        let mut records = Vec::with_capacity(BATCH_FLOWS);
                        records.push(*flow);
                        full.extend(pending.replace(FlowBatch { exporter: key, received, records }));
                    }
                }
            } else {
                elsewhere += 1;
            }
        });
        let fault = match &result {
            Err(error) => {
                Stats::add(&self.setup.stats.unreadable, 1);
                Some(error.to_string())
            }
            Ok(summary) => summary.first_error.as_ref().map(ToString::to_string),
        };
        if let Some(fault) = fault
            && received.ms_since(self.complained) >= COMPLAIN_MS
        {
            self.complained = received;
            tracing::warn!(%exporter, %fault, "a flow datagram is malformed; more like it are only counted");
        }
        Stats::add(&self.setup.stats.flows_elsewhere, elsewhere);
        Stats::add(&self.setup.stats.flows, counted);
    }

    /// Gives what was gathered to detection.
    fn pass_on(&mut self) {
        let batches: Vec<FlowBatch> = self.full.drain(..).chain(self.pending.take()).collect();
        for batch in batches {
            match self.setup.out.try_send(batch) {
                Ok(()) => {}
                Err(TrySendError::Full(batch)) => {
                    Stats::add(&self.setup.stats.detection_behind, 1);
                    self.closed |= self.setup.out.send(batch).is_err();
                }
                Err(TrySendError::Disconnected(_)) => self.closed = true,
            }
        }
    }
}
