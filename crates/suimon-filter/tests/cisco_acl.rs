//! The public parser `cisco-acl` (PyPI) reads what is written for IOS and NX-OS, and says the same as our reader: a second
//! opinion on every line's action, protocol, addresses and ports.

use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use suimon_base::rule::FragmentMatch;
use suimon_base::{Action, PortRange};
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::request;

const TEST: &str = "suimon-filter cisco_acl_reads_the_same";

/// The IPv4 lists of a text, each with its heading. `match-all` lines are left out: the package does not know them.
fn lists(text: &str) -> Vec<(String, usize)> {
    let mut out: Vec<(String, usize)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if !line.starts_with(' ') {
            open = line.starts_with("ip access-list");
            if open {
                out.push((String::new(), 0));
            }
        }
        let Some(last) = out.last_mut().filter(|_| open) else { continue };
        if line.contains(" match-all ") {
            last.1 += 1;
            continue;
        }
        last.0 += line;
        last.0.push('\n');
    }
    out
}

/// What our reader says about each line of a list.
fn ours(text: &str, dialect: Dialect) -> Vec<Value> {
    let listing = parse(text, dialect).expect("it was written here");
    let mut last = 0;
    let mut out = Vec::new();
    for (rule, line) in listing.rules.rules.iter().zip(listing.lines) {
        // A line that permits ports has a second rule for fragments, an implicit deny has no line.
        if line == 0 || line == last {
            continue;
        }
        last = line;
        let m = &rule.matches;
        let words: Vec<&str> = text.lines().nth(line - 1).expect("the line of a rule").split_whitespace().collect();
        let net = |list: &[ipnet::IpNet]| list.first().map_or("0.0.0.0/0".into(), ToString::to_string);
        let ports = |list: &[PortRange]| list.iter().flat_map(|r| r.lo..=r.hi).collect::<Vec<u16>>();
        out.push(json!([
            words[0].parse::<u64>().expect("a sequence number"),
            if rule.action == Action::Permit { "permit" } else { "deny" },
            // There "ip" is protocol 0; a literal 0 reads the same and is unused in IPv4.
            m.proto.map_or(0, u64::from),
            net(&m.src),
            ports(&m.src_ports),
            net(&m.dst),
            ports(&m.dst_ports),
            if m.fragment == Some(FragmentMatch::Later) { "fragments" } else { "" },
        ]));
    }
    out
}

fn requests() -> Vec<suimon_base::RuleSet> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the goldens are committed")
        .map(|e| e.expect("a readable folder").path())
        .filter(|p| p.extension().is_some_and(|e| e == "request"))
        .collect();
    names.sort();
    let mut out: Vec<_> = names
        .iter()
        .map(|p| request::parse(&std::fs::read_to_string(p).expect("text")).expect("understood").rules)
        .collect();
    // Every protocol number, and every port that IOS has a name for.
    for proto in (0u8..=255).filter(|p| !matches!(p, 6 | 17)) {
        let text =
            format!("[[rules]]\nsrc = [\"198.51.{proto}.0/24\"]\ndst = [\"192.0.2.{proto}\"]\nproto = {proto}\n");
        out.push(request::parse(&text).expect("understood").rules);
    }
    for proto in ["tcp", "udp"] {
        let text =
            format!("[[rules]]\ndst = [\"192.0.2.1\"]\nproto = \"{proto}\"\nsrc-ports = [\"0-250\", \"490-560\"]\n");
        out.push(request::parse(&text).expect("understood").rules);
        let text = format!(
            "[[rules]]\ndst = [\"192.0.2.0/27\"]\nproto = \"{proto}\"\ndst-ports = [3949, \"4500-4520\", 15001]\n"
        );
        out.push(request::parse(&text).expect("understood").rules);
    }
    out
}

#[test]
fn cisco_acl_reads_the_same() {
    if !suimon_testkit::program_or_skip(TEST, "python3") {
        return;
    }
    let has = Command::new("python3").args(["-c", "import cisco_acl"]).stderr(Stdio::null()).status().unwrap();
    if !has.success() {
        suimon_testkit::skip(TEST, "the PyPI package cisco-acl is not installed for python3");
        return;
    }
    let mut asked = Vec::new();
    let mut expected: Vec<Vec<Value>> = Vec::new();
    let mut left_out = 0;
    for rules in requests() {
        for (dialect, platform) in [(Dialect::CiscoIos, "ios"), (Dialect::CiscoNxos, "nxos")] {
            let options = Options { case: Some("C-1".into()), ..Options::default() };
            let Ok(compiled) = compile(&rules, dialect, &options) else { continue };
            for (list, skipped) in lists(&compiled.text) {
                left_out += skipped;
                expected.push(ours(&list, dialect));
                asked.push(json!({"platform": platform, "text": list}));
            }
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_with_cisco_acl.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(Value::Array(asked.clone()).to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let theirs: Vec<Vec<Value>> = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(theirs.len(), expected.len());
    let mut lines = 0;
    for ((theirs, ours), asked) in theirs.iter().zip(&expected).zip(&asked) {
        assert_eq!(theirs.len(), ours.len(), "{}", asked["text"]);
        for (t, o) in theirs.iter().zip(ours) {
            assert_eq!(t, o, "{}", asked["text"]);
            lines += 1;
        }
    }
    assert!(lines > 1_500, "{lines} lines compared, {left_out} left out");
}
