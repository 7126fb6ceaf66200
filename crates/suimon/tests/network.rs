//! What is in the network, by command line and API: a real nftables router behind a real sshd that is read, edited by hand
//! and unplugged, and the guard rails of BGP from outside.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

#[path = "../../suimon-device/tests/routers/router.rs"]
#[expect(dead_code, reason = "the router of the device's own tests can do more than is asked here")]
mod router;
#[expect(dead_code, reason = "not every helper of the other tests is needed here")]
mod support;

use router::{Behind, Router};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use support::{SUIMON, Serve, config, expect, until};

fn request(folder: &Path) -> String {
    let path = folder.join("request.toml");
    let text = "customer = \"customer-1\"\nwords = \"調査して遮断してほしい\"\ncontact = \"network-desk\"\n\
                company = \"Example customer 1\"\nservice = \"line-0001\"\nchannel = \"mail\"\n";
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn filter(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A case with a confirmed request.
fn case(serve: &Serve, folder: &Path) {
    serve.json(&["case", "open", "--request", &request(folder)]);
    serve.ends(0, &["case", "callback", "R-1", "--confirmed", "true"]);
}

fn approved_by_second(serve: &Serve, measure: &str) {
    let out = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "0", "--clear-groups", SUIMON, "measure", "approve", measure])
        .env("SUIMON_SOCKET", serve.socket())
        .output()
        .unwrap();
    expect(out, 0, &["approve"]);
}

#[expect(clippy::disallowed_methods, reason = "how long an answer takes is measured for real")]
fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

fn why(serve: &Serve, code: i32, rest: &[&str]) -> Value {
    let args = [&["why", "198.51.100.1", "203.0.113.80", "udp"][..], rest, &["--json"]].concat();
    serde_json::from_str(&serve.ends(code, &args)).unwrap()
}

#[test]
fn a_router_is_watched_edited_by_hand_and_unplugged() {
    let test = "a_router_is_watched_edited_by_hand_and_unplugged";
    if !nix::unistd::Uid::effective().is_root() || !suimon_testkit::program_or_skip(test, "setpriv") {
        return suimon_testkit::skip(test, "a second user needs root");
    }
    let Some(mut router) = Router::start(test, &Behind::Shell) else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let target = router.target();
    let device = format!(
        "[verify]\nevery-s = 1\nalarm-after-s = 1\n[[device]]\nname = \"edge1\"\ndriver = \"linux-nftables\"\naddress = \"127.0.0.1\"\nport = {}\n\
         user = \"{}\"\nkey-file = \"{}\"\nknown-hosts-file = \"{}\"\nanswer-s = 5\nconfirm-s = 30\nrun-folder = \"{}\"\n",
        target.port,
        target.user,
        target.key_file.display(),
        target.known_hosts_file.display(),
        router.path("run").display(),
    );
    let serve = Serve::start(folder, &config(&device));
    case(&serve, folder);
    let text = filter(folder, "f.txt", "203.0.113.80 宛の 4000/UDP を遮断してください\n");
    let propose = [
        "measure",
        "propose",
        "--case",
        "C-1",
        "--end",
        "1h",
        "--hand",
        "edge1",
        "--dialect",
        "nftables",
        "--request",
        &text,
    ];
    let id = serve.json(&propose)["measures"][0].as_str().unwrap().to_owned();
    assert_eq!(why(&serve, 1, &["4000"])["verdict"], "passes", "nothing is there before it is approved");
    approved_by_second(&serve, &id);
    let state = |wanted: &str| {
        until(wanted, || {
            let seen = serve.cli(&["verify", "--json"]);
            let seen: Value = serde_json::from_slice(&seen.stdout).ok()?;
            let edge = seen["hands"].as_array()?.iter().find(|h| h["hand"] == "edge1")?.clone();
            (edge["measures"][0]["state"] == wanted || (wanted == "dark" && edge["unreachable"].is_object()))
                .then_some(edge)
        })
    };
    state("as-wanted");
    let asked = stopwatch();
    let answer = why(&serve, 0, &["4000"]);
    assert!(asked.elapsed() < std::time::Duration::from_secs(1), "{:?}", asked.elapsed());
    let first = &answer["deciders"][0];
    assert_eq!(
        (&answer["verdict"], &first["measure"], &first["known"]),
        (&json!("drops"), &json!(id), &json!("observed"))
    );
    assert!(first["line"]["text"].as_str().unwrap().contains("4000"), "{first}");
    assert_eq!(why(&serve, 1, &["4001"])["verdict"], "passes");
    assert_eq!(why(&serve, 0, &[])["verdict"], "drops-some", "the port was not said");
    let words = serve.ends(0, &["why", "198.51.100.1", "203.0.113.80", "udp", "4000"]);
    assert!(words.contains("Example customer 1 / network-desk / line-0001") && words.contains("looked at"), "{words}");

    // The router restarts: it is back without anybody.
    router.power_on();
    let table = || router_tables(&router);
    until("put back", || table().contains("suimon_m_").then_some(()));
    state("as-wanted");
    // Somebody edits it at the console: a person decides.
    let name = format!("suimon_{}", id.to_lowercase().replace('-', "_"));
    router.inside("nft", &["insert", "rule", "inet", &name, "prerouting", "ip", "daddr", "203.0.113.80", "accept"]);
    state("different");
    let orphan = until("an orphan", || {
        let list = serve.ends(0, &["orphan", "list", "--json"]);
        serde_json::from_str::<Value>(list.lines().next()?).ok()
    });
    assert_eq!((&orphan["kind"], &orphan["measure"]), (&json!("differs"), &json!(id)), "{orphan}");
    assert_eq!(why(&serve, 1, &["4000"])["verdict"], "passes", "the network decides, not the ledger");
    let number = orphan["id"].as_str().unwrap();
    assert_eq!(serve.cli(&["orphan", "resolve", number, "adopt", "--reason", "x"]).status.code(), Some(2));
    serve.ends(0, &["orphan", "resolve", number, "restore", "--reason", "edited by mistake"]);
    state("as-wanted");
    // Unplugged: what is known gets old, and that is said.
    router.unplug();
    state("dark");
    let answer = why(&serve, 0, &["4000"]);
    assert_eq!((&answer["deciders"][0]["known"], &answer["dark"][0]["hand"]), (&json!("not-looked"), &json!("edge1")));
    until("an alarm", || {
        let seen = serve.cli(&["verify", "--json"]);
        let seen: Value = serde_json::from_slice(&seen.stdout).ok()?;
        seen["outages"].as_array().is_some_and(|o| !o.is_empty()).then_some(())
    });
    router.plug_in(&Behind::Shell);
    state("as-wanted");
    serve.ends(0, &["measure", "release", &id, "--words", "over"]);
    until("gone", || (!router_tables(&router).contains("suimon_m_")).then_some(()));
    serve.stop();
}

fn router_tables(router: &Router) -> String {
    router.inside("nft", &["list", "tables"])
}

const BGP: &str = r#"
[bgp]
local-as = 64500
router-id = "192.0.2.10"
start-wait-ms = 300
wait-ms = 100
[[bgp.peer]]
name = "edge1"
address = "127.0.0.1"
port = 9
remote-as = 64500
roles = ["rtbh", "flowspec"]
next-hop-v4 = "192.0.2.254"
next-hop-v6 = "2001:db8:ffff::1"
[bgp.guard]
max-routes = 3
emergency-reserve = 1
[[bgp.guard.protect]]
what = "the resolver"
prefixes = ["203.0.113.53/32"]
"#;

/// How the command line begins to say that the policy engine refuses.
const DENIED: &str = "not allowed";

/// Each guard rail that a filter request can reach, by the command line and by the API; nothing is ever announced.
#[test]
fn nobody_gets_past_the_guard_rails_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let serve = Serve::start(folder, &config(BGP));
    case(&serve, folder);
    let many: String = (1..=4).map(|n| format!("203.0.113.{n}\n")).collect();
    let whole = |net: &str| format!("{net} 宛をすべて遮断してください\n");
    let dns = |net: &str| format!("{net} 宛の 53/UDP を遮断してください\n");
    // Whose space it is not is refused by the policy already; the hand's own rails are asked where that allows it.
    for (what, dialect, text, word) in [
        ("the default route", "rtbh", whole("0.0.0.0/0"), DENIED),
        ("the IPv6 default route", "rtbh", whole("::/0"), DENIED),
        ("a flow to everybody", "flowspec", dns("0.0.0.0/0"), DENIED),
        ("an IPv6 flow to everybody", "flowspec", dns("::/0"), DENIED),
        ("somebody else's space", "rtbh", whole("198.51.100.7"), DENIED),
        ("a short prefix", "rtbh", whole("203.0.113.0/24"), "shorter than /32"),
        ("a short prefix as a flow", "flowspec", whole("203.0.113.0/24"), "shorter than /32"),
        ("a protected host", "rtbh", whole("203.0.113.53"), "the resolver"),
        ("a protected host as a flow", "flowspec", dns("203.0.113.53"), "the resolver"),
        (
            "too many",
            "flowspec",
            format!("宛先アドレス\n{many}\nポート/プロトコル\n53/UDP\n\nを遮断してください\n"),
            "more than",
        ),
        ("an access list", "cisco-ios", dns("203.0.113.80"), "nothing that BGP carries"),
    ] {
        let file = filter(folder, "f.txt", &text);
        let args = [
            "measure",
            "propose",
            "--case",
            "C-1",
            "--end",
            "1h",
            "--hand",
            "bgp",
            "--dialect",
            dialect,
            "--request",
            &file,
        ];
        let out = serve.cli(&args);
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(matches!(out.status.code(), Some(1 | 2)) && said.contains(word), "{what}: {said}");
        let tried = serve.cli(&[&args[..], &["--dry-run"]].concat());
        let said = String::from_utf8_lossy(&[tried.stdout, tried.stderr].concat()).into_owned();
        assert!(tried.status.code() == Some(1) && said.contains(word), "{what}, dry run: {said}");
        let body = json!({ "case": "C-1", "end": "1h", "hand": "bgp", "dialect": dialect, "filter-request": text });
        let (status, said) = post(&serve, "/api/v1/measures", &body);
        let word = if word == DENIED { "\"denied\"" } else { word };
        assert!((400..500).contains(&status) && said.contains(word), "{what}, API: {status} {said}");
    }
    // What is fine passes the checks, so that the refusals above mean something.
    let file = filter(folder, "f.txt", "203.0.113.80 宛をすべて遮断してください\n");
    let args = [
        "measure",
        "propose",
        "--case",
        "C-1",
        "--end",
        "1h",
        "--hand",
        "bgp",
        "--dialect",
        "rtbh",
        "--request",
        &file,
        "--dry-run",
    ];
    let fine = serve.cli(&args);
    let said = String::from_utf8_lossy(&fine.stdout).into_owned();
    assert!(said.contains("route 203.0.113.80/32") && !said.contains("refused:"), "{said}");
    let peers = serve.ends(0, &["bgp", "peers"]);
    assert!(peers.starts_with("edge1") && peers.contains("0 routes"), "{peers}");
    serve.stop();
}

fn post(serve: &Serve, path: &str, body: &Value) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(serve.socket()).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, text)
}
