//! Bad input at the daemon's doors: configuration, collection without terms, a second daemon, hostile datagrams, a full disk.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use suimon_base::Timestamp;
use suimon_lab::{Exporter, ExporterConfig, Protocol, Scenario};
use suimon_testkit::free_udp_port;
use support::{SUIMON, Serve, config, expect, metric, metrics, until};
use traffic::Traffic;

/// A daemon under fire stays below this, mebibytes.
const RSS_CAP_MIB: u64 = 400;

fn with_collector() -> String {
    config("[collect]\nlisten = [\"127.0.0.1:0\"]\n")
}

/// Runs `serve` or `check-config`, which must end by itself.
fn run(folder: &Path, text: &str, serve: bool) -> Output {
    let file = folder.join("suimon.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("timeout");
    command.args(["20", SUIMON]);
    if serve {
        command.args(["serve", "--config"])
    } else {
        command.arg("check-config")
    };
    command.arg(&file).output().unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn a_wrong_configuration_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let good = with_collector();
    expect(run(folder.path(), &good, false), 0, &["the good one"]);
    let cases: [(&str, &str, &[&str]); 9] = [
        ("listen = \"127.0.0.1:0\"", "lisen = \"127.0.0.1:0\"", &["line 4, column 1", "lisen", "suimon.toml"]),
        ("retention-hours = 24", "retention-hours = \"a day\"", &["line 8, column", "retention-hours"]),
        ("version = 1", "version = 2", &["version 2", "reads version 1"]),
        ("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:8443\"", &["node.listen", "0.0.0.0:8443", "loopback"]),
        (
            "prefixes = [\"203.0.113.0/24\"]",
            "prefixes = [\"198.51.100.0/24\"]",
            &["customer-1", "198.51.100.0/24", "[[network]]"],
        ),
        (
            "prefixes = [\"203.0.113.0/24\"]",
            "prefixes = [\"203.0.113.0/33\"]",
            &["line 21, column 13", "203.0.113.0/33"],
        ),
        ("review = \"2099-03-31\"", "review = \"2099-02-31\"", &["collection.review", "2099-02-31"]),
        ("dns-reflection = {", "dns-refection = {", &["dns-refection"]),
        ("[collect]", "[collect", &["line", "column"]),
    ];
    for (from, to, wanted) in cases {
        assert!(good.contains(from), "{from}");
        for serve in [false, true] {
            let out = run(folder.path(), &good.replacen(from, to, 1), serve);
            let said = said(&out);
            assert_eq!(out.status.code(), Some(2), "{to}: {said}");
            for word in wanted {
                assert!(said.contains(word), "`{word}` is not in:\n{said}");
            }
        }
    }
    let out = Command::new(SUIMON).args(["serve", "--config", "/nonexistent/suimon.toml"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
}

#[test]
fn nothing_is_collected_without_terms() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_udp_port();
    let good = config(&format!("[collect]\nlisten = [\"127.0.0.1:{port}\"]\n"));
    let begin = good.find("[collection]").unwrap();
    let end = good.find("[[network]]").unwrap();
    let without = format!("{}{}", &good[..begin], &good[end..]);
    let cases = [
        (without, "purpose"),
        (good.replace("2099-03-31", "2020-03-31"), "review"),
        (good.replace("find attacks on customers", ""), "purpose"),
        (good.replace("role:collection-approver", ""), "approve"),
    ];
    for (text, missing) in cases {
        let out = run(folder.path(), &text, true);
        let said = said(&out);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(
            said.contains("not collected") && said.to_lowercase().contains(missing),
            "`{missing}` is not in:\n{said}"
        );
        assert!(out.stdout.is_empty(), "it said it was ready");
        UdpSocket::bind(("127.0.0.1", port)).unwrap();
    }
    // Without a collector there is nothing to refuse.
    let quiet = good.replace(&format!("[collect]\nlisten = [\"127.0.0.1:{port}\"]\n"), "");
    Serve::start(folder.path(), &quiet).stop();
}

#[test]
fn one_daemon_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path(), &config(""));
    let out = run(folder.path(), &config(""), true);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("in use by another process"), "{}", said(&out));
    // The first one was not harmed: its socket still answers.
    serve.ends(0, &["case", "list"]);
    serve.stop();
}

fn rss_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).expect("its memory");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

/// Real datagrams of every protocol that the lab's exporter speaks.
fn valid() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for protocol in [Protocol::Netflow9, Protocol::Ipfix, Protocol::Sflow] {
        let epoch = Timestamp::from_secs(1_800_000_000);
        let mut exporter = Exporter::new(ExporterConfig { protocol, ..ExporterConfig::default() }, epoch);
        let mut scenario = Scenario::by_name("dns-reflection").unwrap();
        (scenario.calm_ms, scenario.attack_ms, scenario.tail_ms) = (100, 200, 0);
        for packet in scenario.packets(1) {
            exporter.observe(packet.at_us, &packet.header, true);
            out.extend(exporter.poll(packet.at_us, epoch));
        }
        out.extend(exporter.flush(400_000, epoch));
    }
    assert!(out.len() > 20);
    out
}

/// Sends in bursts that the kernel's buffer holds.
struct Gun {
    socket: UdpSocket,
    to: SocketAddr,
    sent: u64,
}

impl Gun {
    fn new(from: &str, to: SocketAddr) -> Gun {
        Gun { socket: UdpSocket::bind((from, 0)).unwrap(), to, sent: 0 }
    }

    fn fire(&mut self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.to).unwrap();
        self.sent += 1;
        if self.sent.is_multiple_of(64) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// SplitMix64: enough to spread octets.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[test]
fn hostile_datagrams_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path(), &with_collector());
    let seed = RandomState::new().hash_one(1);
    let mut random = Random(seed);
    let good = Traffic::start(serve.collector(), "127.0.0.3", &Arc::default(), 10_000, 5_000);
    let mut gun = Gun::new("127.0.0.2", serve.collector());
    let valid = valid();
    for n in 0..10_000_usize {
        let mut datagram: Vec<u8> = (0..random.below(1_500)).map(|_| random.below(256) as u8).collect();
        if n % 2 == 0 && datagram.len() > 2 {
            // A version that exists, so that more than the first two octets are looked at.
            datagram[..2].copy_from_slice(&[[0, 5], [0, 9], [0, 10], [0, 0]][random.below(4)]);
        }
        gun.fire(&datagram);
        let mut datagram = valid[random.below(valid.len())].clone();
        for _ in 0..=random.below(7) {
            let at = random.below(datagram.len());
            datagram[at] = random.below(256) as u8;
        }
        if n % 3 == 0 {
            datagram.truncate(random.below(datagram.len()));
        }
        gun.fire(&datagram);
    }
    let rss = rss_mib(serve.pid());
    assert!(rss < RSS_CAP_MIB, "seed {seed}: {rss} MiB");
    // Figures by exporter are up to a second old.
    for moved in ["suimon_collect_unreadable", "suimon_exporter_malformed", "suimon_exporter_sequence_gaps"] {
        until(moved, || (metric(&metrics(&serve), moved) > 0.0).then_some(()));
    }
    // The last ones are still gathering in the kernel's buffer for a moment.
    until(&format!("seed {seed}: all of {}", gun.sent), || {
        let text = metrics(&serve);
        let heard = metric(&text, "suimon_collect_datagrams") + metric(&text, "suimon_collect_kernel_drops");
        (heard >= gun.sent as f64 * 0.99).then_some(())
    });
    // The good exporter is heard all the same: its attack is found, and its counters are clean.
    until("the attack", || (!serve.ends(0, &["case", "list"]).is_empty()).then_some(()));
    let of_good = |name: &str| {
        let text = metrics(&serve);
        let lines = text.lines().filter(|l| l.starts_with(name) && l.contains("exporter=\"127.0.0.3"));
        lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    until("its flows", || (of_good("suimon_exporter_flows") > 1_000.0).then_some(()));
    drop(good);
    assert_eq!(of_good("suimon_exporter_malformed"), 0.0);
    serve.stop();
}

/// A NetFlow v9 datagram with templates of `fields` fields each.
fn templates(source: u32, first: u16, count: u16, fields: u16) -> Vec<u8> {
    let mut set = Vec::new();
    for id in first..first + count {
        set.extend(id.to_be_bytes());
        set.extend(fields.to_be_bytes());
        for field in 0..fields {
            set.extend((field + 1).to_be_bytes());
            set.extend(4_u16.to_be_bytes());
        }
    }
    let mut out = Vec::new();
    out.extend(9_u16.to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend([0; 12]);
    out.extend(source.to_be_bytes());
    out.extend(0_u16.to_be_bytes());
    out.extend((set.len() as u16 + 4).to_be_bytes());
    out.extend(set);
    out
}

#[test]
fn a_flood_of_templates_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path(), &with_collector());
    let mut gun = Gun::new("127.0.0.2", serve.collector());
    // Forged source ids, and one that defines all the templates that there can be.
    for source in 0..50_000 {
        gun.fire(&templates(source, 256, 8, 20));
    }
    for first in (256..65_000_u16).step_by(16) {
        gun.fire(&templates(1, first, 16, 20));
    }
    let rss = rss_mib(serve.pid());
    assert!(rss < RSS_CAP_MIB, "{rss} MiB");
    for name in ["suimon_exporter_templates_refused", "suimon_collect_unreadable"] {
        until(name, || (metric(&metrics(&serve), name) > 0.0).then_some(()));
    }
    let text = metrics(&serve);
    assert!(text.len() < 16 << 20, "the metrics have grown to {} octets", text.len());
    // Somebody honest is still heard.
    let good = Traffic::start(serve.collector(), "127.0.0.3", &Arc::default(), 10_000, 0);
    until("the attack", || (!serve.ends(0, &["case", "list"]).is_empty()).then_some(()));
    drop(good);
    let rss = rss_mib(serve.pid());
    assert!(rss < RSS_CAP_MIB, "{rss} MiB");
    serve.stop();
}

#[test]
fn a_full_disk_does_not_hold_up_releases() {
    let test = "a_full_disk_does_not_hold_up_releases";
    if !nix::unistd::Uid::effective().is_root() {
        return suimon_testkit::skip(test, "mounting a small disk needs root");
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("suimon.toml"));
    std::fs::create_dir(&data).unwrap();
    // The second person has to get at the socket.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("suimon.sock");
    let text = config("").replace("[node]\n", &format!("[node]\nsocket = {socket:?}\n"));
    std::fs::write(&file, text).unwrap();
    let script = r#"mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" --json serve --config "$3""#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(&data).arg(SUIMON).arg(&file);
    let tried = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success());
    if !tried {
        return suimon_testkit::skip(test, "a mount namespace of its own is not to be had");
    }
    let serve = Serve::spawn(command);
    let request = folder.path().join("request.toml");
    std::fs::write(
        &request,
        "customer = \"customer-1\"\nwords = \"遮断してほしい\"\ncontact = \"network-desk\"\n\
         company = \"Example customer 1\"\nservice = \"line-0001\"\nchannel = \"mail\"\n",
    )
    .unwrap();
    let wanted = folder.path().join("wanted.txt");
    std::fs::write(&wanted, "宛先アドレス\n203.0.113.7\n\nポート/プロトコル\n80/TCP\n\nを遮断してください\n").unwrap();
    serve.ends(0, &["case", "open", "--request", request.to_str().unwrap()]);
    serve.ends(0, &["case", "callback", "R-1", "--confirmed", "true"]);
    let propose = ["measure", "propose", "--case", "C-1", "--end", "1h", "--request", wanted.to_str().unwrap()];
    let id = serve.json(&propose)["measures"][0].as_str().unwrap().to_owned();
    let approved = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "0", "--clear-groups", SUIMON, "measure", "approve", &id])
        .env("SUIMON_SOCKET", serve.socket())
        .output()
        .unwrap();
    expect(approved, 0, &["approve"]);
    serve.ends(0, &["measure", "applied", &id, "--place", "edge-1"]);

    // The daemon's disk, seen from here.
    let inside = Path::new("/proc").join(serve.pid().to_string()).join("root").join(data.strip_prefix("/").unwrap());
    assert!(inside.join("ledger.db").is_file(), "{}", serve.log.lock().unwrap());
    let fill = inside.join("fill");
    let full = std::fs::write(&fill, vec![0_u8; 4 << 20]);
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);

    let note = serve.cli(&["case", "open", "--request", request.to_str().unwrap()]);
    assert_eq!(note.status.code(), Some(3), "{}", said(&note));
    serve.ends(0, &["measure", "release", "--all", "--words", "everything"]);
    serve.ends(0, &["measure", "release", &id, "--done", "show access-lists: none"]);
    let text = metrics(&serve);
    assert!(metric(&text, "suimon_ledger_events_waiting") >= 2.0, "{text}");

    std::fs::remove_file(&fill).unwrap();
    until("the record", || {
        let list = serve.ends(0, &["measure", "list"]);
        list.contains("released").then_some(())
    });
    serve.ends(0, &["case", "close", "C-1"]);
    // What is on the disk now is all there, and holds: seen in a copy, since the disk goes with the daemon.
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["ledger.db", "ledger.db-wal", "ledger.head"] {
        std::fs::copy(inside.join(name), copy.join(name)).unwrap();
    }
    let told = metric(&metrics(&serve), "suimon_ledger_events_total");
    let verified = Command::new(SUIMON).args(["ledger", "verify", "--json"]).arg(&copy).output().unwrap();
    let report = expect(verified, 0, &["ledger", "verify"]);
    assert!(report.contains(&format!("\"events\":{told},")), "{told} events were acknowledged: {report}");
    serve.stop();
}
