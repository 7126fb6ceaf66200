//! An hour of ordinary traffic raises nothing, whatever the seed.
//!
//! The hour is compressed: of each of 60 minutes, each at its own point of the day's curve, the first 1.2 seconds are played, with
//! the busiest minute a flash crowd of three times the usual visitors. Rates are an ISP's: the largest services run at
//! several times what single-vector limits would allow an ordinary host.

use crate::common::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::net::IpAddr;
use suimon_base::flow::{FlowRecord, Sampling, SamplingSource, present};
use suimon_detect::Detector;

type Make = fn(&mut ChaCha8Rng, IpAddr) -> FlowRecord;

struct Service {
    host: IpAddr,
    /// Records a millisecond at the day's peak.
    rate: f64,
    make: Make,
}

fn high(r: &mut ChaCha8Rng) -> u16 {
    r.random_range(1_024..60_000)
}

/// A visitor's connection towards a web server, now and then only its SYN.
fn web(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let (src, port) = (outside(r, host), high(r));
    if r.random_bool(0.2) {
        return flow(src, host, 6, (port, 443), 0x02, 1, 60);
    }
    let packets = r.random_range(4..40);
    flow(src, host, 6, (port, 443), 0x1b, packets, r.random_range(52..300))
}

/// Acknowledgements of a download that the server sends.
fn acks(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let (src, port) = (outside(r, host), high(r));
    flow(src, host, 6, (port, 443), 0x10, r.random_range(10..200), 52)
}

/// An answer to one of the resolver's own questions.
fn dns(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let (src, port) = (outside(r, host), high(r));
    flow(src, host, 17, (53, port), 0, 1, r.random_range(80..1_232))
}

fn ntp(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let src = outside(r, host);
    if r.random_bool(0.5) {
        flow(src, host, 17, (123, 123), 0, 1, 76)
    } else {
        flow(src, host, 17, (high(r), 123), 0, 1, 76)
    }
}

/// Video over QUIC towards a household or a shared address.
fn quic(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let (src, port) = (outside(r, host), high(r));
    flow(src, host, 17, (443, port), 0, r.random_range(20..120), 1_278)
}

fn vpn(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let src = outside(r, host);
    let packets = r.random_range(10..120);
    if r.random_bool(0.3) {
        flow(src, host, 50, (0, 0), 0, packets, r.random_range(100..1_400))
    } else {
        flow(src, host, 17, (4_500, 4_500), 0, packets, r.random_range(100..1_400))
    }
}

fn mail(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let (src, port) = (outside(r, host), high(r));
    flow(src, host, 6, (port, 25), 0x1b, r.random_range(10..60), r.random_range(100..1_400))
}

/// A transfer that ran for the exporter's active timeout and is exported at once with all others of its minute.
fn backup(r: &mut ChaCha8Rng, host: IpAddr) -> FlowRecord {
    let (src, port) = (outside(r, host), high(r));
    let f = flow(src, host, 6, (port, 873), 0x18, 100_000, 1_400);
    FlowRecord { present: f.present | present::TIMES, ..f }
}

fn services() -> Vec<Service> {
    let list: [(&str, f64, Make); 14] = [
        ("198.51.100.10", 5.0, web),
        ("198.51.100.11", 2.0, web),
        ("2001:db8:1::10", 5.0, web),
        ("198.51.100.10", 0.3, acks),
        ("198.51.100.53", 15.0, dns),
        ("2001:db8:1::53", 15.0, dns),
        ("198.51.100.123", 5.0, ntp),
        ("203.0.113.20", 0.6, quic),
        ("203.0.113.21", 0.4, quic),
        ("2001:db8:cafe::20", 0.6, quic),
        ("198.51.100.50", 0.6, vpn),
        ("2001:db8:1::50", 0.6, vpn),
        ("203.0.113.25", 1.0, mail),
        ("203.0.113.30", 0.0, backup),
    ];
    list.map(|(host, rate, make)| Service { host: host.parse().unwrap(), rate, make }).into()
}

fn hour(seed: u64, sampling: u32) -> Vec<String> {
    let mut d = Detector::new(config(), seed).unwrap();
    let mut r = rng(seed);
    let services = services();
    let mut raised = Vec::new();
    for minute in 0..60i64 {
        // The day's curve, played within the hour: low 0.3, high 1.
        let day = 0.65 - 0.35 * (std::f64::consts::TAU * minute as f64 / 60.0).cos();
        let crowd = if minute == 32 { 3.0 } else { 1.0 };
        let from = minute * 60_000;
        for f in synchronous_expiry(&mut r, from) {
            d.flow(&exporter(), at(from), &f);
        }
        let changes = run(&mut d, from, from + 1_200, |_, out| {
            for s in &services {
                let web = s.rate == 5.0;
                let mut expected = s.rate * day * if web { crowd } else { 1.0 };
                while expected > 0.0 && r.random_bool(expected.min(1.0)) {
                    let f = (s.make)(&mut r, s.host);
                    out.extend(sampled(&mut r, f, sampling));
                    expected -= 1.0;
                }
            }
        });
        raised.extend(started(&changes).iter().map(|a| a.evidence.words_en.clone()));
        raised.extend(d.tick(at(from + 59_900)).iter().map(|c| c.attack().evidence.words_en.clone()));
    }
    assert!(d.counters().flows > 1_000_000 / u64::from(sampling), "{:?}", d.counters());
    raised
}

/// Three hundred one-minute flows of 1 kpps each: 18 million packets, all exported in the same instant.
fn synchronous_expiry(r: &mut ChaCha8Rng, from: i64) -> Vec<FlowRecord> {
    let host: IpAddr = "203.0.113.30".parse().unwrap();
    let one = |r: &mut ChaCha8Rng| {
        let f = backup(r, host);
        FlowRecord { start: at(from - 60_000), end: at(from), packets: 60_000, bytes: 60_000 * 1_400, ..f }
    };
    (0..300).map(|_| one(r)).collect()
}

/// The record an exporter that samples one in `n` makes, if it sees the flow at all.
fn sampled(r: &mut ChaCha8Rng, mut f: FlowRecord, n: u32) -> Option<FlowRecord> {
    if n == 1 {
        return Some(f);
    }
    let len = f.bytes / f.packets;
    let seen = (0..f.packets).filter(|_| r.random_ratio(1, n)).count() as u64;
    // Flags are those of the packets that were looked at: the one SYN of a connection is rarely among them.
    if f.packets > 1 && f.tcp_flags & 0x02 != 0 && !r.random_ratio(seen as u32, f.packets as u32) {
        f.tcp_flags &= !0x02;
    }
    (f.packets, f.bytes) = (seen, seen * len);
    f.sampling = Sampling { rate: n, source: SamplingSource::Options };
    (seen > 0).then_some(f)
}

/// A seed drawn anew at each run: the process's own hash keys are random.
fn drawn() -> u64 {
    use std::hash::BuildHasher as _;
    std::collections::hash_map::RandomState::new().hash_one(0)
}

#[test]
fn an_hour_of_ordinary_traffic_raises_nothing() {
    // Drawn anew at each run; a failure names its seed.
    for _ in 0..10 {
        let seed = drawn();
        let raised = hour(seed, 1);
        assert!(raised.is_empty(), "seed {seed}: {raised:?}");
    }
}

#[test]
fn sampling_does_not_raise_anything_either() {
    let seed = drawn();
    for n in [100, 1_000] {
        let raised = hour(seed, n);
        assert!(raised.is_empty(), "seed {seed}, one in {n}: {raised:?}");
    }
}
