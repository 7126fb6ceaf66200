//! Measures the BGP hand for `cargo xtask bench bgp`: prints names and milliseconds.
//!
//! The peer is a thread of this program that answers OPEN and KEEPALIVE and counts NLRI, from RFC 4271 and RFC 4760 alone.
//! A time runs from the order with its approved text to the moment at which the peer has read the route from its socket.
#![expect(clippy::print_stdout, reason = "a terminal program talks on its streams")]
#![expect(clippy::disallowed_methods, reason = "a benchmark needs the time")]

use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use suimon_base::{ManualClock, MeasureId, RuleSet};
use suimon_bgp::config::{BgpConfig, GuardConfig, PeerConfig, Role};
use suimon_bgp::convert::{self, Means};
use suimon_bgp::guard::cone::Cone;
use suimon_bgp::hand::{BgpHand, Hand};
use suimon_filter::dialect::{self, Dialect};

/// Single announcements that are timed.
const SINGLES: usize = 300;
/// Rules of the large measure.
const RULES: usize = 1_000;
/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// The AS number of the peer.
const PEER_AS: u16 = 64_514;

/// (reached, gone, when)
type Seen = (usize, usize, Instant);

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff; 16];
    out.extend((19 + body.len() as u16).to_be_bytes());
    out.push(kind);
    out.extend(body);
    out
}

fn open() -> Vec<u8> {
    let [a, b] = PEER_AS.to_be_bytes();
    let capabilities = [1, 4, 0, 1, 0, 133, 1, 4, 0, 2, 0, 133, 65, 4, 0, 0, a, b];
    let n = capabilities.len() as u8;
    let mut body = vec![4, a, b, 0, 90, 192, 0, 2, 77, n + 2, 2, n];
    body.extend(capabilities);
    message(1, &body)
}

/// Rules in a run of Flowspec NLRI (RFC 8955 §4.1).
fn rules_in(mut octets: &[u8]) -> usize {
    let mut n = 0;
    while let [first, rest @ ..] = octets {
        let (skip, length) = match (first, rest) {
            (0xf0.., [second, ..]) => (2, usize::from(first & 0x0f) << 8 | usize::from(*second)),
            _ => (1, usize::from(*first)),
        };
        octets = octets.get(skip + length..).unwrap_or_default();
        n += 1;
    }
    n
}

/// Rules reached and gone in an UPDATE without unicast routes.
fn count(body: &[u8]) -> (usize, usize) {
    let mut at = body.get(4..).unwrap_or_default();
    let (mut reached, mut gone) = (0, 0);
    while let [flags, kind, rest @ ..] = at {
        let wide = if flags & 0x10 != 0 { 2 } else { 1 };
        let length = rest.iter().take(wide).fold(0, |sum, b| sum << 8 | usize::from(*b));
        let value = rest.get(wide..wide + length).unwrap_or_default();
        match kind {
            14 => reached += rules_in(value.get(5..).unwrap_or_default()),
            15 => gone += rules_in(value.get(3..).unwrap_or_default()),
            _ => {}
        }
        at = rest.get(wide + length..).unwrap_or_default();
    }
    (reached, gone)
}

fn peer(mut stream: TcpStream, seen: &Sender<Seen>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = [0; 19];
        stream.read_exact(&mut head)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[16], head[17]])) - 19];
        stream.read_exact(&mut body)?;
        match head[18] {
            1 => stream.write_all(&[open(), message(4, &[])].concat())?,
            2 => {
                let (reached, gone) = count(&body);
                // The receiver is gone only when everything is measured.
                let _ = seen.send((reached, gone, Instant::now()));
            }
            4 => stream.write_all(&message(4, &[]))?,
            _ => return Ok(()),
        }
    }
}

fn config(port: u16) -> Result<BgpConfig> {
    let peer = PeerConfig {
        roles: vec![Role::Flowspec],
        max_routes: 5_000,
        retry_s: 1,
        ..PeerConfig::new("bench", "127.0.0.1".parse()?, PEER_AS.into())
    };
    Ok(BgpConfig {
        local_as: 64_500,
        router_id: "192.0.2.10".parse()?,
        wait_ms: 10_000,
        start_wait_ms: 10_000,
        peers: vec![PeerConfig { port, ..peer }],
        guard: GuardConfig { own: vec!["198.51.100.0/24".parse()?], max_routes: 5_000, ..GuardConfig::default() },
    })
}

fn order(rules: usize, from: usize) -> Result<(RuleSet, String)> {
    let mut text = String::new();
    for i in from..from + rules {
        let (host, port) = (i % 200 + 1, 1_000 + i / 200);
        writeln!(text, "match destination 198.51.100.{host}/32 protocol =17 source-port ={port} then discard")?;
    }
    Ok((dialect::parse(&text, Dialect::Flowspec)?.rules, text))
}

/// Waits for so many rules; when the last of them came.
fn wait(seen: &Receiver<Seen>, mut reached: usize, mut gone: usize) -> Result<Instant> {
    loop {
        let (r, g, at) = seen.recv_timeout(PATIENCE).context("the peer saw nothing")?;
        reached = reached.saturating_sub(r);
        gone = gone.saturating_sub(g);
        if reached == 0 && gone == 0 {
            return Ok(at);
        }
    }
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (send, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A session that ends is seen by the measurement that waits in vain.
            let _ = peer(stream, &send);
        }
    });
    let hand = BgpHand::start(&config(port)?, Cone::default(), Arc::new(ManualClock::default()))?;
    let apply = |id: u64, rules: &RuleSet, text: &str| -> Result<()> {
        let routes = convert::routes(rules, text, Means::Flowspec)?;
        hand.announce(MeasureId(id), &routes, false)?;
        Ok(())
    };
    let (rules, text) = order(1, 0)?;
    apply(1, &rules, &text)?;
    wait(&seen, 1, 0)?;

    let mut times = Vec::new();
    for i in 1..=SINGLES {
        let (rules, text) = order(1, i)?;
        let start = Instant::now();
        apply(1 + i as u64, &rules, &text)?;
        times.push(wait(&seen, 1, 0)? - start);
    }
    times.sort_unstable();
    println!("first-peer-p50 {:.3}", ms(times[SINGLES / 2]));
    println!("first-peer-p99 {:.3}", ms(times[SINGLES * 99 / 100]));
    println!("first-peer-max {:.3}", ms(times[SINGLES - 1]));

    let (rules, text) = order(RULES, 2_000)?;
    let start = Instant::now();
    let routes = convert::routes(&rules, &text, Means::Flowspec)?;
    println!("thousand-proof {:.3}", ms(start.elapsed()));
    hand.announce(MeasureId(9_000), &routes, false)?;
    println!("thousand-apply {:.3}", ms(wait(&seen, RULES, 0)? - start));
    let start = Instant::now();
    Hand::release(&hand, MeasureId(9_000))?;
    println!("thousand-release {:.3}", ms(wait(&seen, 0, RULES)? - start));
    Ok(())
}
