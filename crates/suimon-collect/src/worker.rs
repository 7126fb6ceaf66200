//! One worker: reads its socket, decodes what is at home here, hands the rest over.

use crate::HOMES;
use crate::boundary::{Boundary, ExporterRole};
use crate::stats::Stats;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, PoisonError, RwLock};
use suimon_base::{Clock, FlowBatch, Timestamp};
use suimon_wire::{Decoder, Limits};

/// Largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// Counters are published this often; milliseconds.
const PUBLISH_MS: i64 = 500;
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
            published: Timestamp::ZERO,
            complained: Timestamp::ZERO,
            closed: false,
        }
    }

    pub fn run(mut self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while !self.closed && !self.setup.stop.load(Ordering::Relaxed) {
            let read = self.setup.socket.recv_from(&mut buffer);
            let now = self.setup.clock.now();
            match read {
                Ok((len, from)) => {
                    Stats::add(&self.setup.stats.datagrams, 1);
                    Stats::add(&self.setup.stats.octets, len as u64);
                    let bytes = buffer.get(..len).unwrap_or_default();
                    self.arrived(from.ip().to_canonical(), now, bytes);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                // An ICMP error of an earlier peer must not end a listening socket.
                Err(error) => tracing::debug!(%error, "udp receive"),
            }
            while let Ok(handed) = self.setup.handed.try_recv() {
                self.decode(handed.exporter, handed.received, &handed.bytes);
            }
            if now.ms_since(self.published) >= PUBLISH_MS {
                self.published = now;
                self.setup.stats.publish(self.decoder.counters());
            }
        }
        self.setup.stats.publish(self.decoder.counters());
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
        let mut records = Vec::with_capacity(bytes.len() / 40);
        let (mut key, mut elsewhere) = (None, 0);
        let boundary = &mut self.boundary;
        let result = self.decoder.datagram(exporter, received, bytes, &mut |k, flow| {
            key = Some(k);
            if boundary.counts(exporter, flow) {
                records.push(*flow);
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
        Stats::add(&self.setup.stats.flows, records.len() as u64);
        if let Some(exporter) = key
            && !records.is_empty()
        {
            self.pass_on(FlowBatch { exporter, received, records });
        }
    }

    fn pass_on(&mut self, batch: FlowBatch) {
        match self.setup.out.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => {
                Stats::add(&self.setup.stats.detection_behind, 1);
                self.closed = self.setup.out.send(batch).is_err();
            }
            Err(TrySendError::Disconnected(_)) => self.closed = true,
        }
    }
}
