//! Emitted Flowspec rules in a real GoBGP, and what BIRD and FRR, peering with it on the loopback, make of the NLRI.
//!
//! GoBGP listens on 127.0.0.1, BIRD comes from 127.0.0.2 and FRR from 127.0.0.3, all on free ports. Their printed routes
//! are read back here, with code that the reader of the dialect does not share, and compared with the request.

use crate::random::{Kind, Requests, say, seed};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use suimon_base::rule::{FragmentMatch, TcpFlags};
use suimon_base::{Action, Match, PortRange, Rule, RuleSet};
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_filter::proof::compare;
use suimon_testkit::KilledOnDrop;

/// Steps of 50 ms to wait for something.
const PATIENCE: usize = 200;

struct Peers {
    folder: PathBuf,
    api: String,
    _daemons: Vec<KilledOnDrop>,
    bird: bool,
    frr: bool,
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn output(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().expect("the program starts");
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not happen");
}

fn daemon(program: &str, args: &[&str]) -> KilledOnDrop {
    suimon_testkit::start_quietly(Command::new(program).args(args)).expect("the daemon starts")
}

impl Peers {
    /// GoBGP and whichever of BIRD and FRR is here; `None`, said visibly, without GoBGP or without both.
    fn start(test: &str) -> Option<Peers> {
        if !suimon_testkit::program_or_skip(test, "gobgpd") || !suimon_testkit::program_or_skip(test, "gobgp") {
            return None;
        }
        let bird = suimon_testkit::program_or_skip(test, "bird") && suimon_testkit::program_or_skip(test, "birdc");
        let bgpd = "/usr/lib/frr/bgpd";
        let mut frr = suimon_testkit::program_or_skip(test, "vtysh");
        if frr && !Path::new(bgpd).is_file() {
            suimon_testkit::skip(test, "bgpd of FRR is not installed");
            frr = false;
        }
        if !bird && !frr {
            return None;
        }
        let port = suimon_testkit::free_tcp_port();
        let api = suimon_testkit::free_tcp_port().to_string();
        let folder = std::env::temp_dir().join(format!("suimon-flowspec-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder of its own");
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a file in it");
            path.to_string_lossy().into_owned()
        };
        let mut daemons = Vec::new();
        let gobgp = file("gobgp.toml", gobgp_config(port));
        daemons.push(daemon("gobgpd", &["-f", &gobgp, "--api-hosts", &format!("127.0.0.1:{api}")]));
        let mut peers = Peers { folder: folder.clone(), api, _daemons: Vec::new(), bird, frr };
        wait("GoBGP answers", || peers.gobgp(&["neighbor"]).contains("127.0.0.2"));
        if bird {
            let config = file("bird.conf", bird_config(port));
            let socket = folder.join("bird.ctl");
            daemons.push(daemon("bird", &["-f", "-c", &config, "-s", &socket.to_string_lossy()]));
        }
        if frr {
            let config = file("frr.conf", frr_config(port));
            let vty = folder.join("vty");
            std::fs::create_dir_all(&vty).expect("a folder in it");
            let (pid, zserv) = (folder.join("frr.pid"), folder.join("zserv.api"));
            let listen = suimon_testkit::free_tcp_port().to_string();
            let own = [pid, zserv, vty].map(|p| p.to_string_lossy().into_owned());
            let args = ["-Z", "-S", "-f", &config, "-i", &own[0], "-z", &own[1], "--vty_socket", &own[2], "-P", "0"];
            daemons.push(daemon(bgpd, &[&args[..], &["-p", &listen, "-l", "127.0.0.3"]].concat()));
        }
        peers._daemons = daemons;
        let sessions = usize::from(bird) + usize::from(frr);
        wait("the peers' sessions", || peers.gobgp(&["neighbor"]).matches("Establ").count() == sessions);
        Some(peers)
    }

    fn gobgp(&self, args: &[&str]) -> String {
        output(Command::new("gobgp").args(["-p", &self.api]).args(args))
    }

    fn rib(&self, what: &str, line: &str) {
        let v6 = line.contains("::");
        let family = if v6 { "ipv6-flowspec" } else { "ipv4-flowspec" };
        let words = gobgp_words(line);
        let mut args = vec!["global", "rib", what, "-a", family];
        args.extend(words.iter().map(String::as_str));
        let said = self.gobgp(&args);
        assert!(said.trim().is_empty(), "gobgp {args:?}: {said}");
    }

    fn in_bird(&self) -> Vec<Rule> {
        let socket = self.folder.join("bird.ctl");
        bird_rules(&output(Command::new("birdc").arg("-s").arg(socket).args(["show", "route", "all"])))
    }

    fn in_frr(&self) -> Vec<Rule> {
        let vty = self.folder.join("vty");
        let show = |family: &str| {
            let ask = format!("show bgp {family} flowspec detail");
            output(Command::new("vtysh").arg("--vty_socket").arg(&vty).args(["-c", &ask]))
        };
        frr_rules(&(show("ipv4") + &show("ipv6")))
    }
}

fn gobgp_config(port: u16) -> String {
    let mut text = format!(
        "[global.config]\nas = 64512\nrouter-id = \"192.0.2.1\"\nport = {port}\nlocal-address-list = [\"127.0.0.1\"]\n"
    );
    for (address, number) in [("127.0.0.2", 64_513), ("127.0.0.3", 64_514)] {
        text += &format!("[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\npeer-as = {number}\n");
        text += "[neighbors.transport.config]\npassive-mode = true\n";
        for family in ["ipv4-flowspec", "ipv6-flowspec"] {
            text += &format!("[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n");
        }
    }
    text
}

fn bird_config(port: u16) -> String {
    let own = suimon_testkit::free_tcp_port();
    let channel = |n: u8| format!("flow{n} {{ table ft{n}; import all; export none; validate off; }};");
    format!(
        "router id 192.0.2.2;\nflow4 table ft4;\nflow6 table ft6;\nprotocol device {{}}\nprotocol bgp g {{\n\
         local 127.0.0.2 port {own} as 64513;\nneighbor 127.0.0.1 port {port} as 64512;\nmultihop;\nstrict bind yes;\n\
         connect delay time 1;\nconnect retry time 1;\n{}\n{}\n}}\n",
        channel(4),
        channel(6)
    )
}

fn frr_config(port: u16) -> String {
    let n = "neighbor 127.0.0.1";
    let family = |f: &str| format!("address-family {f} flowspec\n{n} activate\nexit-address-family\n");
    format!(
        "router bgp 64514\nbgp router-id 192.0.2.3\nno bgp ebgp-requires-policy\nno bgp default ipv4-unicast\n\
         {n} remote-as 64512\n{n} port {port}\n{n} ebgp-multihop 5\n{n} update-source 127.0.0.3\n\
         {n} disable-connected-check\n{n} timers connect 1\n{}{}",
        family("ipv4"),
        family("ipv6")
    )
}

/// Our text as the words of `gobgp global rib add`.
fn gobgp_words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut last = "";
    for word in line.split(' ') {
        let letters = |names: &str| {
            let letter = |n: &str| {
                if n == "cwr" { 'C' } else { n.to_ascii_uppercase().chars().next().expect("a flag has a name") }
            };
            names.split('+').map(letter).collect::<String>()
        };
        out.push(match (last, word) {
            ("tcp-flags", w) => {
                let parts: Vec<String> = w.split('&').map(|p| format!("{}{}", &p[..1], letters(&p[1..]))).collect();
                parts.join("&")
            }
            ("protocol" | "destination-port" | "source-port" | "packet-length", w) if w.starts_with('=') => {
                format!("={w}")
            }
            (_, "rate-bytes") => "rate-limit".into(),
            (_, w) => w.into(),
        });
        last = word;
    }
    out
}

fn port_range(lo: &str, hi: &str) -> PortRange {
    PortRange { lo: lo.parse().expect(lo), hi: hi.parse().expect(hi) }
}

fn add_flags(m: &mut Match, mask: u8, value: u8) {
    let t = m.tcp_flags.get_or_insert(TcpFlags { mask: 0, value: 0 });
    t.mask |= mask;
    t.value |= value;
}

fn rate(octets: f32) -> Action {
    if octets == 0.0 { Action::Discard } else { Action::LimitBps(octets as u64 * 8) }
}

/// `flow4 { dst 192.0.2.7/32; proto 17; dport 1000..2000; tcp flags 0x2/0x2 && 0x0/0x10; } …`, its community later.
fn bird_rules(text: &str) -> Vec<Rule> {
    let mut out: Vec<Rule> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.trim().strip_prefix("BGP.ext_community: (generic, 0x80060000, 0x") {
            let bits = u32::from_str_radix(rest.trim_end_matches(')'), 16).expect(rest);
            out.last_mut().expect("a route before its community").action = rate(f32::from_bits(bits));
        }
        let Some(body) = line.strip_prefix("flow4 { ").or_else(|| line.strip_prefix("flow6 { ")) else { continue };
        let body = body.split('}').next().unwrap_or_default();
        let mut m = Match::default();
        for part in body.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = part.rsplit_once(' ').expect(part);
            let pair = || {
                let (lo, hi) = value.split_once("..").unwrap_or((value, value));
                vec![port_range(lo, hi)]
            };
            match name {
                "dst" => m.dst = vec![value.parse().expect(part)],
                "src" => m.src = vec![value.parse().expect(part)],
                "proto" | "next header" => m.proto = Some(value.parse().expect(part)),
                "dport" => m.dst_ports = pair(),
                "sport" => m.src_ports = pair(),
                "length" => m.lengths = pair(),
                "fragment" if value == "!!is_fragment" || value == "is_fragment" => {
                    m.fragment = Some(FragmentMatch::Later)
                }
                _ if part.starts_with("tcp flags ") => {
                    for test in part["tcp flags ".len()..].split(" && ") {
                        let (value, mask) = test.split_once('/').expect(part);
                        let hex = |s: &str| u8::from_str_radix(s.trim_start_matches("0x"), 16).expect(part);
                        add_flags(&mut m, hex(mask), hex(value));
                    }
                }
                _ => panic!("BIRD said {part:?}"),
            }
        }
        out.push(Rule { matches: m, action: Action::Permit });
    }
    out
}

/// `Destination Port >= 1000 , <= 2000`, `TCP Flags = 2,&∋ ! 16`, and `FS:rate 0.000000` at the end of each entry.
fn frr_rules(text: &str) -> Vec<Rule> {
    let mut out = Vec::new();
    let mut m = Match::default();
    for line in text.lines().map(str::trim) {
        let numbers = |rest: &str| {
            let mut r = PortRange { lo: 0, hi: u16::MAX };
            for test in rest.split(',').map(str::trim) {
                let (op, n) = test.split_once(' ').expect(line);
                let n: u16 = n.trim().parse().expect(line);
                match op.trim_start_matches('&') {
                    "=" => r = PortRange { lo: n, hi: n },
                    ">=" => r.lo = n,
                    "<=" => r.hi = n,
                    _ => panic!("FRR said {line:?}"),
                }
            }
            vec![r]
        };
        let net = |rest: &str| vec![rest.split("/off").next().unwrap_or_default().parse().expect(line)];
        if line.starts_with("BGP flowspec entry") {
            m = Match::default();
        } else if let Some(rest) = line.strip_prefix("Destination Address ") {
            m.dst = net(rest);
        } else if let Some(rest) = line.strip_prefix("Source Address ") {
            m.src = net(rest);
        } else if let Some(rest) = line.strip_prefix("IP Protocol = ") {
            m.proto = Some(rest.trim().parse().expect(line));
        } else if let Some(rest) = line.strip_prefix("Destination Port ") {
            m.dst_ports = numbers(rest);
        } else if let Some(rest) = line.strip_prefix("Source Port ") {
            m.src_ports = numbers(rest);
        } else if let Some(rest) = line.strip_prefix("Packet Length ") {
            m.lengths = numbers(rest);
        } else if line == "Packet Fragment ∋ 2" || line == "Packet Fragment = 2" {
            m.fragment = Some(FragmentMatch::Later);
        } else if let Some(rest) = line.strip_prefix("TCP Flags ") {
            for test in rest.split(',').map(|t| t.trim().trim_start_matches('&').trim()) {
                let bits: u8 = test.rsplit(' ').next().unwrap_or_default().parse().expect(line);
                match test.split_whitespace().collect::<Vec<_>>()[..] {
                    ["=", _] => add_flags(&mut m, bits, bits),
                    // "Contains one of", negated: none of them.
                    ["∋", "!", _] => add_flags(&mut m, bits, 0),
                    _ => panic!("FRR said {line:?}"),
                }
            }
        } else if let Some(rest) = line.strip_prefix("FS:rate ") {
            out.push(Rule { matches: std::mem::take(&mut m), action: rate(rest.parse().expect(line)) });
        } else if let Some(rest) = line.strip_prefix("FS:") {
            panic!("FRR said FS:{rest}");
        }
    }
    out
}

fn peers_agree(test: &str, requests: usize) {
    let Some(peers) = Peers::start(test) else { return };
    let seed = seed(test);
    let mut source = Requests::new(seed, Kind::Any { limits: true });
    let (mut done, mut rules, mut packet_rates) = (0, 0, 0);
    while done < requests {
        let set = source.next();
        let Ok(compiled) = compile(&set, Dialect::Flowspec, &Options::default()) else { continue };
        let lines: Vec<&str> = compiled.text.lines().filter(|l| l.starts_with("match ")).collect();
        if lines.iter().any(|l| l.contains("rate-packets")) {
            packet_rates += 1;
            continue;
        }
        if lines.len() > 40 {
            continue;
        }
        for line in &lines {
            peers.rib("add", line);
        }
        type See = fn(&Peers) -> Vec<Rule>;
        let views: [(&str, bool, See); 2] = [("BIRD", peers.bird, Peers::in_bird), ("FRR", peers.frr, Peers::in_frr)];
        for (name, here, see) in views {
            if !here {
                continue;
            }
            wait(&format!("{name} sees {} rules of\n{}", lines.len(), compiled.text), || {
                see(&peers).len() == lines.len()
            });
            let seen = RuleSet { rules: see(&peers) };
            let proof = compare(&set, &seen).expect("small enough");
            assert!(
                proof.equal,
                "{name}, seed {seed}\n{}\nmissing {:?}\nextra {:?}\n{seen:?}",
                compiled.text, proof.missing.boxes, proof.extra.boxes
            );
        }
        // The undo, as the program says it, takes them all away again.
        for line in compiled.undo.lines() {
            peers.rib("del", line.strip_prefix("withdraw ").expect(line));
        }
        for (name, here, see) in views {
            wait(&format!("{name} forgets"), || !here || see(&peers).is_empty());
        }
        done += 1;
        rules += lines.len();
    }
    say(&format!(
        "{test}: {done} requests with {rules} rules seen equal and withdrawn; {packet_rates} with packet rates left out"
    ));
    if packet_rates > 0 {
        suimon_testkit::skip(test, "rules with rate-packets: GoBGP 3.10 cannot announce RFC 8955 §7.2");
    }
}

#[test]
fn bird_and_frr_see_what_was_asked() {
    peers_agree("suimon-filter bird_and_frr_see_what_was_asked", 8);
}

#[test]
#[ignore = "takes minutes; `cargo xtask soak` runs it"]
fn bird_and_frr_see_what_three_hundred_requests_asked() {
    peers_agree("suimon-filter bird_and_frr_see_what_three_hundred_requests_asked", 300);
}
