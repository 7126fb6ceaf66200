//! Real packets through the emitted nftables rules in the kernel, in a network namespace of the test's own.
//!
//! Each packet has its own Ethernet source address. One table counts what arrives (priority -460, before the filter),
//! another what is left (-440, after it), one counter for each address; `nft -j` reads them back.

use crate::random::{Kind, Requests, packets, say, seed, verdict};
use std::io::Write as _;
use std::process::{Command, Stdio};
use suimon_base::flow::Fragment;
use suimon_base::{Action, Match, PacketHeader, PortRange, Rule, RuleSet};
use suimon_filter::compile::{Options, Profile, compile};
use suimon_filter::dialect::Dialect;

/// Makes a pair of interfaces, then for each case: loads the rules, sends the frames, reads the counters.
const DRIVER: &str = r#"
import json, socket, subprocess, sys, time
def run(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(" ".join(words) + ": " + done.stderr + (text or ""))
    return done.stdout
run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "b0")
run("ip", "link", "set", "b0", "address", "02:00:00:00:ff:fe")
for name in ("a0", "b0"):
    run("ip", "link", "set", name, "up")
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("a0", 0))
def counters(table, count):
    out = [0] * count
    for item in json.loads(run("nft", "-j", "list", "table", "inet", table))["nftables"]:
        if "rule" in item:
            index, packets = None, 0
            for part in item["rule"]["expr"]:
                if "match" in part and "payload" in part["match"]["left"]:
                    index = int(part["match"]["right"].replace(":", "")[-4:], 16)
                if "counter" in part:
                    packets = part["counter"]["packets"]
            if index is not None:
                out[index] = packets
    return out
results = []
for case in json.load(sys.stdin):
    count = len(case["frames"])
    watch = ""
    for table, priority in (("arrived", -460), ("left", -440)):
        watch += "table inet %s { chain c { type filter hook prerouting priority %d; policy accept;\n" % (table, priority)
        for i in range(count):
            watch += 'iifname "b0" ether saddr 02:00:00:00:%02x:%02x counter\n' % (i >> 8, i & 255)
        watch += "}\n}\n"
    run("nft", "flush", "ruleset")
    run("nft", "-f", "-", text=case["rules"])
    run("nft", "-f", "-", text=watch)
    for frame in case["frames"]:
        link.send(bytes.fromhex(frame))
    for _ in range(40):
        arrived = counters("arrived", count)
        if all(arrived):
            break
        time.sleep(0.02)
    results.append({"arrived": arrived, "left": counters("left", count)})
print(json.dumps(results))
"#;

/// The counters of each case: what arrived at the filter, what was left behind it.
fn drive(test: &str, cases: &[(String, Vec<String>)]) -> Option<Vec<(Vec<u64>, Vec<u64>)>> {
    for program in ["nft", "unshare", "ip", "python3"] {
        if !suimon_testkit::program_or_skip(test, program) {
            return None;
        }
    }
    let probe = Command::new("unshare").args(["-n", "nft", "list", "ruleset"]).output().expect("unshare starts");
    if !probe.status.success() {
        suimon_testkit::skip(test, "no right to make a network namespace");
        return None;
    }
    let list: Vec<serde_json::Value> =
        cases.iter().map(|(rules, frames)| serde_json::json!({"rules": rules, "frames": frames})).collect();
    let mut child = Command::new("unshare")
        .args(["-n", "python3", "-c", DRIVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare starts");
    let text = serde_json::to_string(&list).expect("strings");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let out = child.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let results: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).expect("JSON of the driver");
    let numbers =
        |v: &serde_json::Value| v.as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64).collect();
    Some(results.iter().map(|r| (numbers(&r["arrived"]), numbers(&r["left"]))).collect())
}

/// Octets where ports and flags would stand if a later fragment had them, such as the rules look for. The kernel reads
/// them there: of IPv4 behind the header, of IPv6 from the header itself (the destination port in the flow label).
fn bait(rules: &RuleSet, p: &PacketHeader) -> (u16, u16, u8) {
    let m = rules.rules.iter().map(|r| &r.matches).find(|m| m.proto == Some(p.proto) && m.fragment.is_none());
    let port = |list: Option<&Vec<PortRange>>| list.and_then(|l| l.first()).map_or(0, |r| r.lo);
    let flags = m.and_then(|m| m.tcp_flags).map_or(0, |t| t.value);
    (port(m.map(|m| &m.src_ports)), port(m.map(|m| &m.dst_ports)), flags)
}

/// An Ethernet frame with the packet; `index` goes into the source address.
fn frame(p: &PacketHeader, bait: (u16, u16, u8), index: usize) -> String {
    let mut out = vec![0x02, 0, 0, 0, 0xff, 0xfe, 0x02, 0, 0, 0, (index >> 8) as u8, index as u8];
    let start = 14;
    match (p.src, p.dst) {
        (std::net::IpAddr::V4(s), std::net::IpAddr::V4(d)) => {
            out.extend([0x08, 0x00]);
            let offset: u16 = match p.fragment {
                Fragment::First => 0x2000,
                Fragment::Later => 185,
                _ => 0,
            };
            out.extend([0x45, 0]);
            out.extend(p.ip_len.to_be_bytes());
            out.extend([0, index as u8]);
            out.extend(offset.to_be_bytes());
            out.extend([p.ttl, p.proto, 0, 0]);
            out.extend(s.octets());
            out.extend(d.octets());
            let sum: u32 = out[start..].chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            out.splice(start + 10..start + 12, (!(folded as u16)).to_be_bytes());
        }
        (std::net::IpAddr::V6(s), std::net::IpAddr::V6(d)) => {
            out.extend([0x86, 0xdd, 0x60, 0]);
            out.extend(bait.1.to_be_bytes());
            out.extend((p.ip_len - 40).to_be_bytes());
            let whole = p.fragment == Fragment::Whole;
            out.extend([if whole { p.proto } else { 44 }, p.ttl]);
            out.extend(s.octets());
            out.extend(d.octets());
            if !whole {
                // Offset 185 × 8 octets, or the first one with more to come.
                let offset: u16 = if p.fragment == Fragment::Later { 185 << 3 } else { 1 };
                out.extend([p.proto, 0]);
                out.extend(offset.to_be_bytes());
                out.extend([0, 0, 0, index as u8]);
            }
        }
        _ => panic!("a packet has one family"),
    }
    if p.fragment == Fragment::Later {
        out.extend(bait.0.to_be_bytes());
        out.extend(bait.1.to_be_bytes());
        out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, bait.2, 0x10, 0]);
    }
    if let Some((s, d)) = p.ports {
        out.extend(s.to_be_bytes());
        out.extend(d.to_be_bytes());
        if p.proto == 6 {
            out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, p.tcp_flags, 0x10, 0, 0, 0, 0, 0]);
        } else {
            out.extend([0, 8, 0, 0]);
        }
    }
    out.resize(start + usize::from(p.ip_len), 0);
    out.iter().map(|b| format!("{b:02x}")).collect()
}

fn kernel_agrees(test: &str, requests: usize) {
    let seed = seed(test);
    let mut source = Requests::new(seed, Kind::Any { limits: false });
    let (mut cases, mut asked) = (Vec::new(), Vec::new());
    while cases.len() < requests {
        let set = source.next();
        // Profile `compact` has permits before denies, so its order counts too.
        let profile = if cases.len() % 2 == 0 { Profile::Basic } else { Profile::Compact };
        let options = Options { profile, ..Options::default() };
        let Ok(compiled) = compile(&set, Dialect::Nftables, &options) else { continue };
        let list = packets(&set, seed ^ cases.len() as u64, 60);
        cases.push((
            compiled.text,
            list.iter().enumerate().map(|(i, p)| frame(p, bait(&set, p), i)).collect::<Vec<_>>(),
        ));
        asked.push((set, list));
    }
    let Some(results) = drive(test, &cases) else { return };
    assert_eq!(results.len(), requests);
    let (mut dropped, mut passed) = (0, 0);
    for (((set, list), (arrived, left)), case) in asked.iter().zip(&results).zip(&cases) {
        for (i, p) in list.iter().enumerate() {
            assert_eq!(arrived[i], 1, "the kernel did not hand on {p:?}");
            let wanted = u64::from(verdict(set, p) == Action::Permit);
            assert_eq!(left[i], wanted, "{p:?}\n{}", case.0);
            dropped += 1 - wanted;
            passed += wanted;
        }
    }
    say(&format!("{test}: {requests} requests, {dropped} packets dropped and {passed} passed, as decided"));
    assert!(dropped > requests as u64 && passed > requests as u64, "the packets tell nothing");
}

#[test]
fn the_kernel_drops_what_the_request_drops() {
    kernel_agrees("suimon-filter the_kernel_drops_what_the_request_drops", 25);
}

#[test]
#[ignore = "takes a minute; `cargo xtask soak` runs it"]
fn the_kernel_drops_what_a_thousand_requests_drop() {
    kernel_agrees("suimon-filter the_kernel_drops_what_a_thousand_requests_drop", 1_000);
}

#[test]
fn the_kernel_holds_the_rates() {
    let test = "suimon-filter the_kernel_holds_the_rates";
    let base = PacketHeader {
        src: "198.51.100.1".parse().unwrap(),
        dst: "192.0.2.1".parse().unwrap(),
        proto: 17,
        ports: Some((53, 4000)),
        tcp_flags: 0,
        icmp: 0,
        fragment: Fragment::Whole,
        ip_len: 1000,
        tos: 0,
        ttl: 60,
    };
    let frames: Vec<String> = (0..400).map(|i| frame(&base, (0, 0, 0), i)).collect();
    let cases: Vec<(String, Vec<String>)> = [Action::LimitPps(20), Action::LimitBps(160_000)]
        .map(|action| {
            let matches = Match { dst: vec!["192.0.2.1/32".parse().unwrap()], proto: Some(17), ..Match::default() };
            let set = RuleSet { rules: vec![Rule { matches, action }] };
            (compile(&set, Dialect::Nftables, &Options::default()).unwrap().text, frames.clone())
        })
        .to_vec();
    let Some(results) = drive(test, &cases) else { return };
    // Both rates are 20 packets a second of these 1,000 octets. The frames leave within a fraction of a second, so what is
    // left is the burst and little more: five packets, or five thousand octets and what the kernel adds to a byte rate.
    for (rate, (arrived, left)) in ["20 packets", "20,000 octets"].iter().zip(&results) {
        assert_eq!(arrived.iter().sum::<u64>(), 400, "{rate}");
        let left: u64 = left.iter().sum();
        say(&format!("{test}: {rate} a second: {left} of 400 packets at once were left"));
        assert!((1..=60).contains(&left), "{rate}: {left}");
    }
}
