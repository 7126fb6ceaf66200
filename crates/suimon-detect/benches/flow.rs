//! Nanoseconds a flow with 65,536 active hosts: `cargo bench -p suimon-detect`.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::Ipv4Addr;
use suimon_base::Timestamp;
use suimon_base::flow::{ExporterKey, FlowBatch, FlowRecord, Sampling, SamplingSource};
use suimon_detect::{Config, Detector, Network};

const HOSTS: u32 = 65_536;
/// Records in a batch, as in one NetFlow datagram.
const BATCH: usize = 30;
/// Flows a second of the stream's own time.
const RATE: usize = 300_000;
/// Seconds of stream: the first makes the hosts, the others are measured.
const SECONDS: usize = 6;

fn stream(r: &mut ChaCha8Rng, ms: i64) -> FlowBatch {
    let record = |r: &mut ChaCha8Rng| {
        let packets = r.random_range(1..20u64);
        FlowRecord {
            src: Ipv4Addr::from(r.random_range(0x0b00_0000..0xa000_0000u32)).into(),
            dst: Ipv4Addr::from(0xc612_0000 | r.random_range(0..HOSTS)).into(),
            proto: if r.random_bool(0.7) { 6 } else { 17 },
            src_port: r.random_range(1_024..65_000),
            dst_port: 443,
            tcp_flags: if r.random_bool(0.5) { 0x1b } else { 0x02 },
            packets,
            bytes: packets * r.random_range(60..1_400u64),
            in_if: r.random_range(1..8),
            sampling: Sampling { rate: 1, source: SamplingSource::Config },
            ..FlowRecord::default()
        }
    };
    FlowBatch {
        exporter: ExporterKey { addr: "192.0.2.1".parse().unwrap(), domain: 0 },
        received: Timestamp::from_millis(1_800_000_000_000 + ms),
        records: (0..BATCH).map(|_| record(r)).collect(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#[expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark is a program of its own")]
fn main() {
    for (name, customer) in [("one network", None), ("one network of one customer", Some("example".to_owned()))] {
        let networks = vec![Network { prefix: "198.18.0.0/16".parse().unwrap(), customer, thresholds: None }];
        let mut d = Detector::new(Config { networks, ..Config::default() }, 1).unwrap();
        let mut r = ChaCha8Rng::seed_from_u64(1);
        let mut best = f64::INFINITY;
        let per_ms = RATE / 1_000 / BATCH;
        for second in 0..SECONDS {
            let mut spent = std::time::Duration::ZERO;
            for tenth in 0..10 {
                let from = (second * 1_000 + tenth * 100) as i64;
                let batches: Vec<FlowBatch> = (from..from + 100)
                    .flat_map(|ms| (0..per_ms).map(move |_| ms))
                    .map(|ms| stream(&mut r, ms))
                    .collect();
                let start = std::time::Instant::now();
                for b in &batches {
                    d.batch(b);
                }
                let changes = d.tick(Timestamp::from_millis(1_800_000_000_000 + from + 100));
                spent += start.elapsed();
                assert!(changes.is_empty(), "{changes:?}");
            }
            let ns = spent.as_nanos() as f64 / RATE as f64;
            if second > 0 {
                best = best.min(ns);
            }
            println!("{name}: second {second}: {ns:.0} ns a flow");
        }
        println!("{name}: best {best:.0} ns a flow with {} hosts", d.counters().hosts);
    }
}
