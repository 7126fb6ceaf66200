//! Sends the stream of `cargo xtask bench collect`: NetFlow v9 over UDP, at a fixed rate.
//!
//! `xtask-send ADDRESS:PORT FLOWS_PER_SECOND SECONDS` prints `datagrams flows seconds` as it ended.
#![expect(clippy::print_stdout, reason = "a terminal program talks on its streams")]
#![expect(clippy::disallowed_methods, reason = "a sender in real time needs the time")]

use anyhow::{Context as _, Result, ensure};
use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime};
use suimon_base::Timestamp;
use suimon_lab::stream::{Netflow9Stream, stamp};

/// Addresses that the flows go to in turn.
const ACTIVE_HOSTS: u32 = 65_536;

/// Records a datagram.
const RECORDS: usize = 30;

/// How often a burst is sent. Shorter ones cost the sender more than sleeping is exact.
const BURST: Duration = Duration::from_millis(1);

/// The exporter's uptime when the stream begins, in milliseconds; any value does.
const UPTIME_MS: u32 = 3_600_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [to, rate, seconds] = args.as_slice() else {
        anyhow::bail!("usage: xtask-send ADDRESS:PORT FLOWS_PER_S SECONDS")
    };
    let rate: u64 = rate.parse().context("flows per second")?;
    let seconds: u64 = seconds.parse().context("seconds")?;
    ensure!(
        rate > 0 && seconds > 0 && rate * seconds <= 100_000_000,
        "rate and seconds: 1 to 100 million flows in all"
    );

    // All of it is made before the start, so that making it disturbs nobody's measurement.
    let datagrams_of_data = rate * seconds / RECORDS as u64;
    let mut datagrams = Vec::new();
    let mut data = 0;
    for datagram in Netflow9Stream::new(ACTIVE_HOSTS, RECORDS) {
        if is_data(&datagram) {
            data += 1;
        }
        datagrams.push(datagram);
        if data == datagrams_of_data {
            break;
        }
    }

    let socket = UdpSocket::bind("127.0.0.1:0").context("a socket")?;
    socket.connect(to).with_context(|| to.clone())?;
    let per_second = datagrams.len() as f64 / seconds as f64;
    let start = Instant::now();
    let mut sent = 0usize;
    while sent < datagrams.len() {
        let due = ((start.elapsed().as_secs_f64() * per_second) as usize + 1).min(datagrams.len());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock")?;
        let now = Timestamp::from_millis(i64::try_from(now.as_millis()).context("the clock")?);
        let uptime = UPTIME_MS + u32::try_from(start.elapsed().as_millis()).context("uptime")?;
        for (n, datagram) in datagrams.iter_mut().enumerate().take(due).skip(sent) {
            stamp(datagram, n as u32, now, uptime);
            socket.send(datagram).with_context(|| format!("datagram {n} to {to}"))?;
        }
        sent = due;
        std::thread::sleep(BURST);
    }
    println!("{} {} {:.3}", sent, datagrams_of_data * RECORDS as u64, start.elapsed().as_secs_f64());
    Ok(())
}

/// Data, or only a template? A template has one record in its header's count.
fn is_data(datagram: &[u8]) -> bool {
    datagram.get(2..4) == Some(&(RECORDS as u16).to_be_bytes())
}
