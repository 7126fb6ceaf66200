//! A sense: UDP sockets and workers that turn flow datagrams into [`FlowRecord`]s.
//!
//! Several workers share each listening address (`SO_REUSEPORT`). Every exporter has one home worker, the first that
//! heard it, which alone keeps its templates, sampling and sequence numbers; a datagram that the kernel gave to another
//! worker is handed over. Everything a stranger can make grow is bounded and counted.

pub mod boundary;
mod socket;
mod stats;
mod worker;

pub use boundary::{Boundary, ExporterRole};
pub use stats::{ExporterStats, Stats};

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use suimon_base::flow::ExporterKey;
use suimon_base::{Clock, FlowRecord, Timestamp};

/// Datagrams that may wait on their way to the home worker of their exporter.
pub const HANDOVER_DATAGRAMS: usize = 4_096;
/// Exporter addresses with a home worker; a stranger beyond that is decoded where it was heard.
pub const HOMES: usize = 65_536;

/// Takes flows of one exporter with their time of receipt, on the thread that read them: they are counted where they
/// were decoded, in the nearest cache, without being copied. While it takes its time the kernel's buffer fills, and then drops.
pub type Sink = Arc<dyn Fn(&ExporterKey, Timestamp, &[FlowRecord]) + Send + Sync>;

/// What to listen on and who is expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CollectConfig {
    /// Addresses to listen on, IPv4 and IPv6.
    pub listen: Vec<SocketAddr>,
    /// Worker threads an address; 1 to 64.
    #[serde(default = "two")]
    pub workers: usize,
    /// Receive buffer of each socket in octets.
    #[serde(default = "receive_buffer")]
    pub receive_buffer_octets: usize,
    /// Exporters that are known: sampling rate and interface roles.
    #[serde(default)]
    pub exporters: Vec<ExporterRole>,
}

fn two() -> usize {
    2
}

fn receive_buffer() -> usize {
    64 << 20
}

/// Why the collector does not start.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// An address cannot be bound.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// Which address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The number of workers makes no sense.
    #[error("{0} workers: between 1 and 64 are possible")]
    Workers(usize),
    /// Nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// A thread cannot be started.
    #[error("cannot start a worker thread: {0}")]
    Thread(std::io::Error),
}

/// Bound sockets, not yet reading.
#[derive(Debug)]
pub struct Collector {
    config: CollectConfig,
    sockets: Vec<UdpSocket>,
}

/// A running collector; dropping it does not stop it.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    stats: Arc<Stats>,
    ports: Vec<SocketAddr>,
}

impl Collector {
    /// Binds every address with every worker's socket. Port 0 takes a free one, the same for all workers of the address.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn bind(config: CollectConfig) -> Result<Collector, CollectError> {
        if config.listen.is_empty() {
            return Err(CollectError::NoAddress);
        }
        if config.workers == 0 || config.workers > 64 {
            return Err(CollectError::Workers(config.workers));
        }
        let mut sockets = Vec::new();
        for addr in &config.listen {
            let mut addr = *addr;
            for _ in 0..config.workers {
                let bound = socket::bind(addr, config.receive_buffer_octets)
                    .map_err(|source| CollectError::Bind { addr, source })?;
                addr = bound.local_addr().map_err(|source| CollectError::Bind { addr, source })?;
                sockets.push(bound);
            }
        }
        Ok(Collector { config, sockets })
    }

    /// The addresses really bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut all: Vec<SocketAddr> = self.sockets.iter().filter_map(|s| s.local_addr().ok()).collect();
        all.dedup();
        all
    }

    /// Starts the workers; flows go to `sink` until [`Running::stop`] is called.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self, clock: Arc<dyn Clock>, sink: Sink) -> Result<Running, CollectError> {
        let ports = self.addresses();
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(Stats::default());
        let homes: Arc<RwLock<HashMap<IpAddr, usize>>> = Arc::default();
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..self.sockets.len()).map(|_| sync_channel(HANDOVER_DATAGRAMS)).unzip();
        let mut threads = Vec::new();
        for (index, (socket, handed)) in self.sockets.into_iter().zip(receivers).enumerate() {
            let worker = worker::Worker::new(worker::Setup {
                index,
                socket,
                handed,
                others: senders.clone(),
                homes: homes.clone(),
                exporters: self.config.exporters.clone(),
                clock: clock.clone(),
                sink: sink.clone(),
                stop: stop.clone(),
                stats: stats.clone(),
            });
            let builder = std::thread::Builder::new().name(format!("collect-{index}"));
            threads.push(builder.spawn(move || worker.run()).map_err(CollectError::Thread)?);
        }
        Ok(Running { stop, threads, stats, ports })
    }
}

impl Running {
    /// Counters so far.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Datagrams that the kernel threw away at our sockets since they were bound: their buffers were full.
    pub fn kernel_drops(&self) -> u64 {
        self.ports.iter().map(|addr| socket::kernel_drops(*addr)).sum()
    }

    /// Stops the workers and waits for them.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a collector worker panicked");
            }
        }
    }
}
