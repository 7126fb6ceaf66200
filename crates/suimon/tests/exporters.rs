//! Real exporters, as Debian ships them, read a captured attack and export it over loopback to `suimon serve`.
//!
//! The captures are years old, and so are the times in the flow records: what counts is when a record arrives.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/daemon.rs"]
mod daemon;

use daemon::Daemon;
use serde_json::Value;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use suimon_base::Timestamp;
use suimon_testkit::{KilledOnDrop, program_or_skip, shared_or_skip, start_quietly};

/// How long an exporter may take to read a capture and tell all of it, tenths of a second.
const PATIENCE_TENTHS: u32 = 250;

/// Thresholds low enough for captures of a few thousand packets; no normal traffic precedes them.
const CONFIG: &str = r#"version = 1

[node]
data = "data"
listen = "127.0.0.1:0"
exercise = true

[collection]
purpose = "find attacks on the own network"
items = ["addresses", "ports", "protocol", "tcp-flags", "counters", "times", "interfaces", "sampling"]
retention-hours = 1
approver = "role:collection-approver"
review = "2099-12-31"

[collect]
listen = ["127.0.0.1:0", "[::1]:0"]

[[network]]
prefix = "10.10.10.0/24"

[network.thresholds]
baseline-ratio = 0.0
aggregate-ratio = 0.0

[network.thresholds.vectors]
syn = { pps = 1000 }
syn-ack = { pps = 1000 }
dns-reflection = { pps = 50 }
snmp-reflection = { pps = 1000 }
fragments = { pps = 50 }
"#;

struct Bench {
    folder: tempfile::TempDir,
    daemon: Daemon,
    capture: PathBuf,
}

impl Bench {
    /// A daemon for one exporter and one capture, or a visible skip.
    fn new(test: &str, program: &str, capture: &str) -> Option<Bench> {
        let capture = shared_or_skip(test, &format!("captures/ddos/{capture}"))?.canonicalize().unwrap();
        if !program_or_skip(test, program) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("suimon.toml");
        std::fs::write(&config, CONFIG).unwrap();
        Some(Bench { daemon: Daemon::start(&config), folder, capture })
    }

    /// Where it collects; the second address is IPv6.
    fn collector(&self, index: usize) -> String {
        self.daemon.ready["collectors"][index].as_str().unwrap().to_owned()
    }

    /// Waits for the attack and checks what does not depend on the exporter. Returns the attack.
    fn detected(&self, vector: &str, began: Timestamp) -> Value {
        for _ in 0..PATIENCE_TENTHS {
            let attacks = self.daemon.get("/api/v1/attacks");
            if let Some(known) = attacks.as_array().unwrap().first() {
                let attack = known["attack"].clone();
                assert_eq!(attack["target"], "10.10.10.10/32", "{attack}");
                assert_eq!(attack["direction"], "in");
                let vectors: Vec<&str> =
                    attack["vectors"].as_array().unwrap().iter().map(|v| v["vector"].as_str().unwrap()).collect();
                assert!(vectors.contains(&vector), "{vectors:?}");
                let at: Timestamp = attack["detected"].as_str().unwrap().parse().unwrap();
                let started: Timestamp = attack["started"].as_str().unwrap().parse().unwrap();
                assert!(at >= began && at.ms_since(started) <= 3_000, "by time of receipt: {started} to {at}");
                return attack;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no attack was detected: {}", self.daemon.get("/api/v1/now"));
    }

    fn softflowd(&self, version: &str, collector: usize) -> Group {
        let mut command = Command::new("softflowd");
        command.arg("-r").arg(&self.capture).args(["-n", &self.collector(collector), "-v", version]);
        // Foreground, no files of its own, room for all flows, and flows told a second after they began.
        command.args(["-d", "-p", "none", "-c", "none", "-m", "100000", "-t", "maxlife=1", "-t", "expint=1"]);
        Group::start(&mut command)
    }

    fn pmacctd(&self, plugin: &str) -> Group {
        let config = self.folder.path().join("pmacctd.conf");
        let text = format!(
            "daemonize: false\npcap_savefile: {}\nplugin_buffer_size: 102400\nplugin_pipe_size: 10240000\n{plugin}",
            self.capture.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("pmacctd");
        Group::start(command.arg("-f").arg(&config).current_dir(self.folder.path()))
    }

    fn nfprobe(&self, version: u8) -> Group {
        self.pmacctd(&format!(
            "plugins: nfprobe[a]\n\
             aggregate[a]: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags\n\
             nfprobe_receiver: {}\nnfprobe_version: {version}\nnfprobe_maxflows: 200000\n\
             nfprobe_timeouts: tcp=1:tcp.rst=1:tcp.fin=1:udp=1:icmp=1:general=1:maxlife=1:expint=1\n",
            self.collector(0)
        ))
    }
}

/// An exporter and the processes that it starts for its plugins; all are killed when the test ends.
struct Group(KilledOnDrop);

impl Group {
    fn start(command: &mut Command) -> Group {
        Group(start_quietly(command.env("PATH", path()).process_group(0)).unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group has the number of its first process, which is reaped only after this.
        let all = format!("kill -s KILL -- -{}", self.0.0.id());
        let _ = Command::new("sh").args(["-c", &all]).stderr(Stdio::null()).status();
    }
}

/// Where Debian keeps daemons is not always in a user's path.
fn path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn now() -> Timestamp {
    let file = tempfile::NamedTempFile::new().unwrap();
    let since = file.as_file().metadata().unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

fn peak_pps(attack: &Value) -> u64 {
    attack["peak"]["pps"].as_u64().unwrap()
}

const SYN_ACK: &str = "amp.TCP.reflection.SYNACK.pcap";
const SYN: &str = "pkt.TCP.synflood.spoofed.pcap";
const DNS: &str = "amp.dns.RRSIG.fragmented.pcap";
const SNMP: &str = "amp.UDP.snmp.src161.pcapng";

#[test]
fn softflowd_netflow_9() {
    let Some(bench) = Bench::new("softflowd_netflow_9", "softflowd", SYN) else { return };
    let began = now();
    let _exporter = bench.softflowd("9", 0);
    let attack = bench.detected("syn", began);
    assert_eq!(attack["evidence"]["sampling"]["rate"], 1);
}

#[test]
fn softflowd_netflow_9_fragments() {
    let Some(bench) = Bench::new("softflowd_netflow_9_fragments", "softflowd", DNS) else { return };
    let began = now();
    let _exporter = bench.softflowd("9", 0);
    bench.detected("dns-reflection", began);
}

#[test]
fn softflowd_ipfix_over_ipv6() {
    let Some(bench) = Bench::new("softflowd_ipfix_over_ipv6", "softflowd", SNMP) else { return };
    let began = now();
    let _exporter = bench.softflowd("10", 1);
    // softflowd calls flows towards the victim egress, and they count all the same: 4,079 packets in 24 ms.
    assert!(peak_pps(&bench.detected("snmp-reflection", began)) > 3_500);
}

#[test]
fn softflowd_netflow_5() {
    let Some(bench) = Bench::new("softflowd_netflow_5", "softflowd", SYN_ACK) else { return };
    let began = now();
    let _exporter = bench.softflowd("5", 0);
    bench.detected("syn-ack", began);
}

#[test]
fn pmacctd_nfprobe_netflow_9() {
    let Some(bench) = Bench::new("pmacctd_nfprobe_netflow_9", "pmacctd", SYN_ACK) else { return };
    let began = now();
    let _exporter = bench.nfprobe(9);
    bench.detected("syn-ack", began);
}

#[test]
fn pmacctd_nfprobe_ipfix() {
    let Some(bench) = Bench::new("pmacctd_nfprobe_ipfix", "pmacctd", SNMP) else { return };
    let began = now();
    let _exporter = bench.nfprobe(10);
    bench.detected("snmp-reflection", began);
}

#[test]
fn pmacctd_sfprobe_sampled() {
    let Some(bench) = Bench::new("pmacctd_sfprobe_sampled", "pmacctd", SYN_ACK) else { return };
    let began = now();
    let _exporter = bench.pmacctd(&format!(
        "plugins: sfprobe[a]\nsfprobe_receiver: {}\nsfprobe_agentip: 127.0.0.1\nsampling_rate: 2\n",
        bench.collector(0)
    ));
    let attack = bench.detected("syn-ack", began);
    let sampling = &attack["evidence"]["sampling"];
    assert_eq!((&sampling["rate"], &sampling["assumed"]), (&2.into(), &false.into()));
    // Half of about 6,650 packets is seen, and doubled again.
    assert!((1_000..=8_000).contains(&peak_pps(&attack)), "{}", peak_pps(&attack));
}

/// The captures' own times, long past, are still those of the flow records.
#[test]
fn flow_times_are_old() {
    let Some(capture) = shared_or_skip("flow_times_are_old", &format!("captures/ddos/{SYN}")) else { return };
    let file = std::fs::read(Path::new(&capture)).unwrap();
    let first = suimon_wire::pcap::frames(&file).unwrap().next().unwrap().unwrap().time;
    assert!(now().ms_since(first) > 365 * 86_400_000);
}
