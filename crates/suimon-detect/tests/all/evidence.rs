//! Evidence: figures per class, words, matches, sampling, and what was normal before.

use crate::common::*;
use std::net::IpAddr;
use std::path::Path;
use suimon_base::Vector;
use suimon_base::attack::{Attack, ProfileClass, TrafficProfile};
use suimon_base::flow::{FlowRecord, Sampling, SamplingSource};
use suimon_base::rule::TcpFlags;
use suimon_detect::Detector;

const TARGET: &str = "198.51.100.7";

/// 400 pps of visitors' HTTPS, 100 pps of DNS answers; from the tenth second on 30,000 pps of SYN to port 443.
fn mixed(ms: i64, r: &mut rand_chacha::ChaCha8Rng, out: &mut Vec<FlowRecord>) {
    let target: IpAddr = TARGET.parse().unwrap();
    if ms % 10 == 0 {
        out.push(flow(outside(r, target), target, 6, (40_000 + (ms % 999) as u16, 443), 0x1b, 4, 400));
        out.push(flow("192.0.2.53".parse().unwrap(), target, 17, (53, 5_353), 0, 1, 120));
    }
    if ms >= 10_000 {
        out.extend((0..30).map(|_| packet_of(Vector::Syn, target, r)));
    }
}

fn play(sampling: u32) -> (Attack, Attack) {
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(11);
    let mut n = 0u32;
    let changes = run(&mut d, 0, 14_000, |ms, out| {
        mixed(ms, &mut r, out);
        out.retain_mut(|f| {
            n += 1;
            f.sampling = Sampling { rate: sampling, source: SamplingSource::Options };
            n.is_multiple_of(sampling)
        });
    });
    (started(&changes)[0].clone(), d.running()[0].clone())
}

fn pps(p: &TrafficProfile, of: impl Fn(&ProfileClass) -> bool) -> f64 {
    p.classes.iter().filter(|c| of(c)).map(|c| c.pps).sum()
}

fn near(value: f64, wanted: f64, error: f64) {
    assert!((value / wanted - 1.0).abs() <= error, "{value}, wanted {wanted} within {error}");
}

#[test]
fn profiles_before_and_during_are_right_by_class() {
    let (first, last) = play(1);
    let https = |c: &ProfileClass| c.proto == 6 && c.dst_port == Some(443) && c.tcp_flags == 0x1b;
    let dns = |c: &ProfileClass| c.proto == 17 && c.src_port == Some(53);
    let syn = |c: &ProfileClass| c.proto == 6 && c.dst_port == Some(443) && c.tcp_flags == 0x02;
    let before = &first.evidence.before;
    assert!(before.records >= 20, "{before:?}");
    near(pps(before, https), 400.0, 0.1);
    near(pps(before, dns), 100.0, 0.1);
    assert_eq!(pps(before, syn), 0.0, "the attack is not part of what was before it");
    assert_eq!(last.evidence.before, *before);
    let during = &last.evidence.during;
    near(pps(during, https), 400.0, 0.1);
    near(pps(during, dns), 100.0, 0.1);
    near(pps(during, syn), 30_000.0, 0.02);
    let class = during.classes.iter().find(|c| https(c)).unwrap();
    assert_eq!((class.ip_len.lo, class.ip_len.hi), (400, 400));
    near(class.fps, 100.0, 0.1);
    assert_eq!(class.src_port, None, "a visitor's port tells nothing");
}

#[test]
fn a_match_is_narrow_and_evidence_has_its_lists() {
    let (_, a) = play(1);
    let m = &a.vectors[0].matches;
    assert_eq!(m.tcp_flags, Some(TcpFlags { mask: 0x12, value: 0x02 }));
    assert_eq!(m.dst_ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["443"]);
    assert_eq!(m.dst, vec![format!("{TARGET}/32").parse().unwrap()]);
    let e = &a.evidence;
    assert_eq!(e.ingress[0].key, "192.0.2.1/7");
    assert_eq!(e.tcp_flags[0].key, "SYN");
    assert_eq!(e.sizes[0].key, "0-99");
    assert_eq!(e.fired[0].rule, "syn.pps");
    // As last told, 3.4 s after the beginning.
    near(a.sources as f64, 102_000.0, 0.05);
    assert!(a.spoof_likelihood > 0.8, "{:?}", e.spoof_reasons);
}

#[test]
fn sampled_figures_have_their_error() {
    let (_, a) = play(100);
    let e = &a.evidence.sampling;
    assert_eq!((e.rate, e.assumed), (100, false));
    assert!((300..=320).contains(&e.samples), "{e:?}");
    near(e.relative_error, 1.0 / 300f64.sqrt(), 0.05);
    near(a.peak.pps.0 as f64, 30_000.0, 0.05);
}

#[test]
fn few_sources_that_come_back_are_not_called_forged() {
    let target: IpAddr = TARGET.parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut n = 0u8;
    run(&mut d, 0, 3_000, |_, out| {
        for _ in 0..30 {
            n = (n + 1) % 40;
            let src = std::net::Ipv4Addr::new(192, 0, 2, n).into();
            out.push(flow(src, target, 6, (5_000, 443), 0x02, 1, 60));
        }
    });
    let a = &d.running()[0];
    assert_eq!(a.sources, 40);
    assert!(a.spoof_likelihood <= 0.3, "{} {:?}", a.spoof_likelihood, a.evidence.spoof_reasons);
}

#[test]
fn words() {
    let mut text = String::new();
    let mut add = |title: &str, a: &Attack| {
        text += &format!("{title}\n{}\n{}\n\n", a.evidence.words_en, a.evidence.words_ja);
    };
    let (first, last) = play(1);
    add("started", &first);
    add("running", &last);
    add("sampled", &play(100).1);
    let target: IpAddr = "2001:db8:1::7".parse().unwrap();
    let mut d = Detector::new(config(), 1).unwrap();
    let mut r = rng(12);
    run(&mut d, 0, 3_000, |_, out| {
        for _ in 0..40 {
            let mut f = packet_of(Vector::DnsReflection, target, &mut r);
            f.sampling = Sampling::default();
            let second = packet_of(Vector::Fragments, target, &mut r);
            out.extend([f, FlowRecord { src: f.src, sampling: Sampling::default(), ..second }]);
        }
    });
    add("reflection", &d.running()[0]);
    suimon_testkit::golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/words.txt"), &text);
}
