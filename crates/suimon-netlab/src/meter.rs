//! What arrives, by the kernel's counters, every 200 ms: at the transit network (what was sent) and at the customer.

use crate::attack::Stream;
use crate::clock;
use crate::net::Net;
use crate::proc;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Between two looks, milliseconds.
const EVERY_MS: u64 = 200;
/// A stream of which fewer packets were sent between two looks says nothing.
const LEAST: u64 = 10;

/// What happened to a stream between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The earlier of the two.
    pub from_ms: u64,
    /// The later.
    pub to_ms: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived at the customer.
    pub arrived: u64,
}

impl Look {
    /// Whether it says anything.
    pub fn says(&self) -> bool {
        self.sent >= LEAST
    }

    /// Whether hardly anything arrived: less than a twentieth. Packets under way at a look are counted late.
    pub fn dropped(&self) -> bool {
        self.arrived * 20 < self.sent
    }
}

type Looks = BTreeMap<Stream, Vec<Look>>;

/// The meter; stops when dropped.
#[derive(Debug)]
pub struct Meter {
    looks: Arc<Mutex<Looks>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    /// Puts counters into both namespaces and begins to look.
    pub fn start(net: &Net) -> Result<Meter> {
        for role in ["transit", "customer"] {
            let mut text = "table inet lab {\n".to_owned();
            let counters: String = Stream::ALL.iter().map(|s| format!("counter {} {{ }}\n", s.name())).collect();
            // The attack, not the customers' own answers: those come from other sources.
            let rule =
                |s: &Stream| format!("ip saddr 198.18.0.0/16 ip daddr {} counter name {}\n", s.target(), s.name());
            let rules: String = Stream::ALL.iter().map(rule).collect();
            text += &format!(
                "{counters}chain c {{ type filter hook prerouting priority -300; policy accept;\n{rules}}}\n}}\n"
            );
            let mut child = net.command(role, "nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("nft")?;
            child.stdin.take().context("nft's input")?.write_all(text.as_bytes())?;
            anyhow::ensure!(child.wait()?.success(), "nft refuses the lab's counters in {role}");
        }
        let (looks, stop) = (Arc::<Mutex<Looks>>::default(), Arc::new(AtomicBool::new(false)));
        let commands = ["transit", "customer"].map(|role| {
            let mut command = net.command(role, "nft");
            command.args(["-j", "list", "counters", "table", "inet", "lab"]);
            command
        });
        let (into, stopped) = (looks.clone(), stop.clone());
        let thread = std::thread::spawn(move || watch(commands, &into, &stopped));
        Ok(Meter { looks, stop, thread: Some(thread) })
    }

    /// Looks at a stream since then.
    pub fn looks(&self, stream: Stream, since_ms: u64) -> Vec<Look> {
        let all = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&stream).into_iter().flatten().filter(|l| l.from_ms >= since_ms).copied().collect()
    }

    /// Packets a second that were sent and that arrived since then.
    pub fn rates(&self, stream: Stream, since_ms: u64) -> (f64, f64) {
        let looks = self.looks(stream, since_ms);
        let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return (0.0, 0.0) };
        let seconds = (last.to_ms - first.from_ms).max(1) as f64 / 1_000.0;
        let sum = |f: fn(&Look) -> u64| looks.iter().map(f).sum::<u64>() as f64 / seconds;
        (sum(|l| l.sent), sum(|l| l.arrived))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only counts; a panic there shows as missing looks.
            let _ = thread.join();
        }
    }
}

fn watch(mut commands: [Command; 2], looks: &Mutex<Looks>, stop: &AtomicBool) {
    let mut before: Option<(u64, [BTreeMap<String, u64>; 2])> = None;
    while !stop.load(Ordering::Relaxed) {
        let now = clock::ms();
        let [sent, arrived] = &mut commands;
        if let (Some(sent), Some(arrived)) = (counters(sent), counters(arrived)) {
            if let Some((from_ms, [sent0, arrived0])) = &before {
                let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
                for stream in Stream::ALL {
                    let more = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
                        let of = |m: &BTreeMap<String, u64>| m.get(stream.name()).copied().unwrap_or(0);
                        of(now).saturating_sub(of(then))
                    };
                    let look = Look {
                        from_ms: *from_ms,
                        to_ms: now,
                        sent: more(&sent, sent0),
                        arrived: more(&arrived, arrived0),
                    };
                    looks.entry(stream).or_default().push(look);
                }
            }
            before = Some((now, [sent, arrived]));
        }
        clock::sleep_ms(EVERY_MS.saturating_sub(clock::ms() - now));
    }
}

fn counters(command: &mut Command) -> Option<BTreeMap<String, u64>> {
    let (_, out, _) = proc::output(command).ok()?;
    let v: Value = serde_json::from_str(&out).ok()?;
    let all = v["nftables"].as_array()?.iter().map(|o| &o["counter"]);
    Some(all.filter_map(|c| Some((c["name"].as_str()?.to_owned(), c["packets"].as_u64()?))).collect())
}

/// Packets and octets that an interface received, by the kernel.
pub fn interface(net: &Net, role: &str, name: &str) -> Result<(u64, u64)> {
    let text = proc::run(Command::new("ip").args(["-n", &net.name(role), "-s", "-j", "link", "show", "dev", name]))?;
    let v: Value = serde_json::from_str(&text)?;
    let rx = &v[0]["stats64"]["rx"];
    Ok((rx["packets"].as_u64().context("packets")?, rx["bytes"].as_u64().context("octets")?))
}
