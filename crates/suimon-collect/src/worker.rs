//! One worker: reads its socket, decodes what is at home here, hands the rest over.

use crate::boundary::{Boundary, ExporterRole};
use crate::socket::{self, AT_ONCE, Mailbox};
use crate::stats::Stats;
use crate::{HOMES, Sink};
use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, PoisonError, RwLock};
use suimon_base::{Clock, FlowRecord, Timestamp};
use suimon_wire::{Decoder, Limits};

/// Counters are published this often; milliseconds.
const PUBLISH_MS: i64 = 500;
/// Datagrams read before a worker looks at its other duties.
const DRAIN: usize = 512;
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
    pub sink: Sink,
    pub stop: Arc<AtomicBool>,
    pub stats: Arc<Stats>,
}

pub(crate) struct Worker {
    setup: Setup,
    decoder: Decoder,
    boundary: Boundary,
    /// What this worker has learned of `homes`, and the last one asked for: datagrams come in bursts.
    known: HashMap<IpAddr, usize>,
    last: Option<(IpAddr, usize)>,
    /// Room for those flows of a datagram that count here, where not all do.
    kept: Vec<FlowRecord>,
    published: Timestamp,
    complained: Timestamp,
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
            last: None,
            kept: Vec::new(),
            published: Timestamp::ZERO,
            complained: Timestamp::ZERO,
        }
    }

    pub fn run(mut self) {
        let mut mail = Mailbox::new();
        let gather = socket::gather(&self.setup.socket);
        while !self.setup.stop.load(Ordering::Relaxed) {
            let now = self.setup.clock.now();
            let read = self.drain(&mut mail, now);
            while let Ok(handed) = self.setup.handed.try_recv() {
                self.decode(handed.exporter, handed.received, &handed.bytes);
            }
            if now.ms_since(self.published) >= PUBLISH_MS {
                self.published = now;
                self.setup.stats.publish(self.decoder.counters());
            }
            // Waking for every datagram would cost more than decoding it: while some come, a few are left to gather.
            match read {
                0 => socket::wait(&self.setup.socket),
                DRAIN.. => {}
                _ => std::thread::sleep(gather),
            }
        }
        self.setup.stats.publish(self.decoder.counters());
    }

    /// Reads what is there, at most [`DRAIN`] datagrams, and says how many there were.
    fn drain(&mut self, mail: &mut Mailbox, now: Timestamp) -> usize {
        let mut read = 0;
        while read < DRAIN {
            if let Err(error) = mail.fill(&self.setup.socket) {
                // An ICMP error of an earlier peer must not end a listening socket.
                tracing::debug!(%error, "udp receive");
            }
            let mut octets = 0;
            for (exporter, bytes) in mail.datagrams() {
                octets += bytes.len() as u64;
                self.arrived(exporter, now, bytes);
            }
            Stats::add(&self.setup.stats.datagrams, mail.len() as u64);
            Stats::add(&self.setup.stats.octets, octets);
            read += mail.len();
            if mail.len() < AT_ONCE {
                break;
            }
        }
        read
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
        match self.last {
            Some((last, home)) if last == exporter => home,
            _ => {
                let home = self.find_home(exporter);
                self.last = Some((exporter, home));
                home
            }
        }
    }

    fn find_home(&mut self, exporter: IpAddr) -> usize {
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
        let (boundary, kept, sink) = (&mut self.boundary, &mut self.kept, &self.setup.sink);
        let result = self.decoder.batches(exporter, received, bytes, &mut |key, records| {
            let all = boundary.all_count(records);
            let other = if all { None } else { records.iter().position(|f| !boundary.counts(exporter, f)) };
            let Some(first) = other else {
                counted += records.len() as u64;
                return sink(&key, received, records);
            };
            kept.clear();
            kept.extend_from_slice(&records[..first]);
            kept.extend(records[first + 1..].iter().filter(|f| boundary.counts(exporter, f)));
            counted += kept.len() as u64;
            elsewhere += (records.len() - kept.len()) as u64;
            sink(&key, received, kept);
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
}
