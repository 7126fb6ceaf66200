//! Nanoseconds a flow with 65,536 active hosts: `cargo bench -p suimon-detect`.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::Ipv4Addr;
use suimon_base::Timestamp;
use suimon_base::flow::{ExporterKey, FlowRecord, Sampling, SamplingSource};
use suimon_detect::{Config, Detector, Network};

const HOSTS: u32 = 65_536;
/// Records in a batch, as in one NetFlow datagram.
const BATCH: usize = 30;
/// Flows a second of the stream's own time.
const RATE: usize = 300_000;
/// Seconds of stream: the first makes the hosts, the others are measured.
const SECONDS: usize = 12;

fn stream(r: &mut ChaCha8Rng, ms: i64) -> (Timestamp, Vec<FlowRecord>) {
    let record = |r: &mut ChaCha8Rng| {
        let (tcp, syn) = (r.random_bool(0.8), r.random_bool(0.1));
        let packets = if tcp && syn { 1 } else { r.random_range(1..20u64) };
        FlowRecord {
            src: Ipv4Addr::from(r.random_range(0x0b00_0000..0xa000_0000u32)).into(),
            dst: Ipv4Addr::from(0xc612_0000 | r.random_range(0..HOSTS)).into(),
            proto: if tcp { 6 } else { 17 },
            src_port: r.random_range(1_024..65_000),
            dst_port: 443,
            tcp_flags: match (tcp, syn) {
                (true, true) => 0x02,
                (true, false) => 0x1b,
                _ => 0,
            },
            packets,
            bytes: packets * r.random_range(60..1_400u64),
            in_if: r.random_range(1..8),
            sampling: Sampling { rate: 1, source: SamplingSource::Config },
            ..FlowRecord::default()
        }
    };
    (Timestamp::from_millis(1_800_000_000_000 + ms), (0..BATCH).map(|_| record(r)).collect())
}

/// Nanoseconds this thread has run, so that other work on the machine does not count (Linux).
fn ran_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark is a program of its own")]
fn main() {
    for (name, customer) in [("one network", None), ("one network of one customer", Some("example".to_owned()))] {
        let networks = vec![Network { prefix: "198.18.0.0/16".parse().unwrap(), customer, thresholds: None }];
        let mut d = Detector::new(Config { networks, ..Config::default() }, 1).unwrap();
        let mut r = ChaCha8Rng::seed_from_u64(1);
        let exporter = ExporterKey { addr: Ipv4Addr::new(192, 0, 2, 1).into(), domain: 0 };
        let per_ms = RATE / 1_000 / BATCH;
        let mut settled = Vec::new();
        for second in 0..SECONDS {
            let from = second as i64 * 1_000;
            let batches: Vec<_> =
                (from..from + 1_000).flat_map(|ms| (0..per_ms).map(move |_| ms)).map(|ms| stream(&mut r, ms)).collect();
            let start = ran_ns();
            for (i, (received, records)) in batches.iter().enumerate() {
                d.batch(&exporter, *received, records);
                if i % (per_ms * 100) == 0 {
                    let changes = d.tick(*received);
                    assert!(changes.is_empty(), "{changes:?}");
                }
            }
            let ns = (ran_ns() - start) as f64 / RATE as f64;
            println!("{name}: second {second}: {ns:.0} ns a flow");
            // The first seconds make the hosts and fill their histories.
            if second >= SECONDS / 2 {
                settled.push(ns);
            }
        }
        settled.sort_by(f64::total_cmp);
        let hosts = d.counters().hosts;
        println!("{name}: median {:.0} ns a flow of CPU time with {hosts} hosts", settled[settled.len() / 2]);
    }
}
