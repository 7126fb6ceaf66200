//! A customer's traffic under attack, played in real time through a model router whose exporter tells a running daemon.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use suimon_base::Timestamp;
use suimon_lab::{Exporter, ExporterConfig, ModelRouter, Scenario};

/// The traffic; it stops when it is dropped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[expect(clippy::disallowed_methods, reason = "traffic is played in real time")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(since.as_micros() as i64)
}

impl Traffic {
    /// Plays DNS reflection against 203.0.113.80 after a calm second, filtered by `router`; `from` is the exporter's own
    /// address.
    pub fn start(
        collector: SocketAddr,
        from: &str,
        router: &Arc<Mutex<ModelRouter>>,
        attack_ms: u64,
        tail_ms: u64,
    ) -> Traffic {
        let mut scenario = Scenario::by_name("dns-reflection").unwrap();
        (scenario.calm_ms, scenario.attack_ms, scenario.tail_ms) = (1_000, attack_ms, tail_ms);
        let stop = Arc::new(AtomicBool::new(false));
        let socket = UdpSocket::bind((from, 0)).unwrap();
        let (shared, stopped) = (router.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let epoch = now();
            let mut exporter = Exporter::new(ExporterConfig::default(), epoch);
            let mut packets = scenario.packets(7).peekable();
            while !stopped.load(Ordering::Relaxed) && packets.peek().is_some() {
                let at = now();
                let at_us = (at.as_micros() - epoch.as_micros()) as u64;
                let mut router = shared.lock().unwrap();
                while let Some(packet) = packets.next_if(|p| p.at_us <= at_us) {
                    let passed = router.offer(packet.at_us, &packet).is_forwarded();
                    exporter.observe(packet.at_us, &packet.header, passed);
                }
                drop(router);
                for datagram in exporter.poll(at_us, at) {
                    // A full buffer is loss, as on a real network.
                    let _ = socket.send_to(&datagram, collector);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Traffic { stop, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
