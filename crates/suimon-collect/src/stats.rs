//! Counters that only grow, one set a worker and one an exporter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use suimon_base::flow::ExporterKey;
use suimon_wire::ExporterCounters;

/// Counters of one exporter key.
pub type ExporterStats = ExporterCounters;

/// Counters of the whole collector.
#[derive(Debug, Default)]
pub struct Stats {
    /// Datagrams read from sockets.
    pub datagrams: AtomicU64,
    /// Octets of UDP payload read from sockets.
    pub octets: AtomicU64,
    /// Flows given to detection.
    pub flows: AtomicU64,
    /// Flows left out because another router counts them.
    pub flows_elsewhere: AtomicU64,
    /// Datagrams whose header could not be read, or whose exporter found no room.
    pub unreadable: AtomicU64,
    /// Datagrams handed to the home worker of their exporter.
    pub handed_over: AtomicU64,
    /// Datagrams lost because the home worker's queue was full.
    pub handover_lost: AtomicU64,
    exporters: Mutex<BTreeMap<ExporterKey, ExporterStats>>,
}

impl Stats {
    /// Counters by exporter key, at most a second old.
    pub fn exporters(&self) -> BTreeMap<ExporterKey, ExporterStats> {
        self.exporters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish<'a>(&self, counters: impl Iterator<Item = (ExporterKey, &'a ExporterCounters)>) {
        let mut all = self.exporters.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, c) in counters {
            all.insert(key, c.clone());
        }
        // Forged exporters come and go in the decoder; the published table must not remember them all.
        while all.len() > crate::HOMES {
            all.pop_first();
        }
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
