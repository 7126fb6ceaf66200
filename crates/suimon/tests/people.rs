//! The whole path by hand: two people of the operating system, the Unix socket, texts that a person types in.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use suimon_filter::dialect::{self, Dialect};
use suimon_lab::ModelRouter;
use support::{SUIMON, Serve, config, expect, metric, metrics, until};
use traffic::Traffic;

/// The mailed request of the filter's own golden.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../suimon-filter/tests/golden/mailed-ranges.request");

/// A customer that holds what the mailed request names.
const MORE: &str = r#"
[[network]]
prefix = "192.0.0.0/16"
[[network]]
prefix = "198.51.0.0/16"
[[network]]
prefix = "203.0.0.0/16"
[[customer]]
id = "customer-2"
name = "Example customer 2"
service = "line-0002"
prefixes = ["192.0.0.0/16", "198.51.0.0/16", "203.0.0.0/16"]
[[customer.contacts]]
id = "network-desk"
authority = ["ask", "order", "lift"]
telephone = "03-0000-0002"
"#;

fn request(folder: &Path, customer: u8) -> String {
    let path = folder.join(format!("request-{customer}.toml"));
    let text = format!(
        "customer = \"customer-{customer}\"\n\
         words = \"攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい\"\n\
         contact = \"network-desk\"\ncompany = \"Example customer {customer}\"\n\
         service = \"line-000{customer}\"\nchannel = \"mail\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Another user of this machine, in the group that owns the socket or not.
fn second(serve: &Serve, in_group: bool, args: &[&str]) -> Output {
    Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", if in_group { "0" } else { "65534" }, "--clear-groups", SUIMON])
        .args(args)
        .env("SUIMON_SOCKET", serve.socket())
        .output()
        .unwrap()
}

fn approved_by_second(serve: &Serve, measure: &str) {
    let args = ["measure", "approve", measure];
    expect(second(serve, true, &args), 0, &args);
}

/// Root, with a way to be somebody else; a folder that others may enter.
fn set(test: &str) -> Option<tempfile::TempDir> {
    if !nix::unistd::Uid::effective().is_root() {
        suimon_testkit::skip(test, "a second user needs root");
        return None;
    }
    if !suimon_testkit::program_or_skip(test, "setpriv") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(folder)
}

fn measure(serve: &Serve, id: &str) -> Value {
    let whole = serve.json(&["measure", "show", id]);
    whole.get("measure").cloned().unwrap_or(whole)
}

fn first(list: &Value) -> String {
    list["measures"][0].as_str().expect("a measure").to_owned()
}

#[test]
fn by_hand_from_mail_to_report() {
    let Some(folder) = set("by_hand_from_mail_to_report") else { return };
    let folder = folder.path();
    let serve = Serve::start(folder, &config(MORE));
    let opened = serve.json(&["case", "open", "--request", &request(folder, 2)]);
    assert_eq!((opened["case"].as_str(), opened["request"].as_str()), (Some("C-1"), Some("R-1")));

    // Nobody has called back: a mail alone is not enough.
    let propose = ["measure", "propose", "--case", "C-1", "--request", GOLDEN, "--end", "next-business-day"];
    let denied = serve.ends(1, &propose);
    assert!(
        denied.contains("not allowed") && denied.to_lowercase().contains("call") && denied.contains("折り返し"),
        "{denied}"
    );
    serve.ends(0, &["case", "callback", "R-1", "--confirmed", "true", "--note", "03-0000-0002"]);

    let id = first(&serve.json(&propose));
    let alone = serve.ends(1, &["measure", "approve", &id]);
    assert!(alone.contains("not allowed"), "{alone}");
    assert_eq!(measure(&serve, &id)["status"], "proposed");
    // Who may not open the socket may do nothing.
    expect(second(&serve, false, &["measure", "approve", &id]), 3, &["a stranger approves"]);
    approved_by_second(&serve, &id);

    // The text is handed out with its undo, and waits for a person.
    let m = measure(&serve, &id);
    assert_eq!(m["status"], "applying");
    assert_ne!(m["proposed"][0], m["approved"][0]);
    let plan = &m["draft"]["plan"];
    let text = plan["text"].as_str().unwrap();
    let denies = text.lines().filter(|l| l.trim_start().starts_with("deny") || l.contains(" deny ")).count();
    assert_eq!(denies, 33, "{text}");
    assert!(plan["undo"].as_str().unwrap().contains("no ip access-list"), "{plan}");
    assert_eq!(plan["proof"]["equal"], true);
    let words = serve.ends(0, &["measure", "show", &id]);
    assert!(words.contains(text.trim()) && words.contains("undo:"), "{words}");
    serve.ends(0, &["measure", "applied", &id, "--place", "edge-1 Gi0/0 in", "--note", "33 entries"]);

    // A restart in the middle keeps everything.
    serve.stop();
    let serve = Serve::start(folder, &config(MORE));
    let list = serve.ends(0, &["measure", "list"]);
    assert!(list.lines().any(|l| l.starts_with(&id) && l.contains("applied")), "{list}");
    assert!(list.contains("denied"), "{list}");
    assert_eq!(measure(&serve, &id)["applied"]["place"], "edge-1 Gi0/0 in");
    assert_eq!(metric(&metrics(&serve), "suimon_measures_in_force"), 1.0);

    let early = serve.cli(&["case", "close", "C-1"]);
    assert_eq!(early.status.code(), Some(2), "a case with a measure in the network is closed");
    let undo = serve.ends(0, &["measure", "release", &id, "--words", "the customer asks"]);
    assert!(undo.contains("no ip access-list") && undo.contains("edge-1 Gi0/0 in"), "{undo}");
    assert_eq!(measure(&serve, &id)["status"], "releasing");
    serve.ends(0, &["measure", "release", &id, "--done", "show access-lists: none"]);
    assert_eq!(measure(&serve, &id)["status"], "released");

    // Once more, released with everything else.
    let again = first(&serve.json(&propose));
    approved_by_second(&serve, &again);
    serve.ends(0, &["measure", "applied", &again, "--place", "edge-1"]);
    let all = serve.ends(0, &["measure", "release", "--all"]);
    assert!(all.contains(&again) && !all.contains(&format!("{id} ")), "{all}");
    serve.ends(0, &["measure", "release", &again, "--done", "looked"]);
    serve.ends(0, &["case", "close", "C-1", "--host-check", "nothing unusual"]);

    for (lang, wanted) in [("ja", ["依頼", "根拠", "翌営業日"]), ("en", ["request", "basis", "edge-1 Gi0/0 in"])]
    {
        let report = serve.ends(0, &["case", "show", "C-1", "--report", "--lang", lang]);
        for word in wanted {
            assert!(report.contains(word), "`{word}` is not in:\n{report}");
        }
    }
    let data = folder.join("data");
    verify_then_tamper(serve, &data);
}

fn verify_then_tamper(serve: Serve, data: &Path) {
    let verify = ["ledger", "verify", data.to_str().unwrap()];
    serve.ends(0, &verify);
    serve.stop();
    let run = || Command::new(SUIMON).args(verify).output().unwrap();
    expect(run(), 0, &verify);
    if !suimon_testkit::program_or_skip("people::tamper", "python3") {
        return;
    }
    // Whoever owns the file can take its triggers away too; the chain still tells.
    let script = "import sqlite3, sys\n\
                  c = sqlite3.connect(sys.argv[1])\n\
                  for (name,) in c.execute(\"select name from sqlite_master where type = 'trigger'\").fetchall():\n\
                  \x20   c.execute('drop trigger ' + name)\n\
                  c.execute(\"update events set body = replace(body, 'customer-2', 'customer-9') \
                  where kind = 'case-opened'\")\n\
                  c.commit()\n";
    let status = Command::new("python3").args(["-c", script]).arg(data.join("ledger.db")).status().unwrap();
    assert!(status.success());
    let broken = expect(run(), 1, &verify);
    assert!(broken.contains("BROKEN"), "{broken}");
}

#[test]
fn addresses_of_somebody_else_are_refused() {
    let Some(folder) = set("addresses_of_somebody_else_are_refused") else { return };
    let folder = folder.path();
    let serve = Serve::start(folder, &config(""));
    serve.json(&["case", "open", "--request", &request(folder, 1)]);
    serve.ends(0, &["case", "callback", "R-1", "--confirmed", "true"]);
    let foreign: PathBuf = folder.join("foreign.txt");
    std::fs::write(&foreign, "宛先アドレス\n198.51.100.7\n\nポート/プロトコル\n80/TCP\n\nを遮断してください\n")
        .unwrap();
    let args = ["measure", "propose", "--case", "C-1", "--end", "1h", "--request", foreign.to_str().unwrap()];
    let out = serve.cli(&args);
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("own addresses") && said.contains("保有アドレス"), "{said}");
    let list = serve.ends(0, &["measure", "list"]);
    assert!(!list.contains("proposed"), "{list}");
    // Approving what was denied is no way round.
    if list.contains("denied") {
        let id = list.split_whitespace().next().unwrap();
        let out = second(&serve, true, &["measure", "approve", id]);
        assert!(!out.status.success());
    }
}

#[test]
fn an_attack_met_by_hand() {
    let Some(folder) = set("an_attack_met_by_hand") else { return };
    let folder = folder.path();
    let serve = Serve::start(folder, &config("[collect]\nlisten = [\"127.0.0.1:0\"]\n[detect]\nhold-ms = 2000\n"));
    let router = Arc::new(Mutex::new(ModelRouter::new()));
    let _traffic = Traffic::start(serve.collector(), "127.0.0.1", &router, 16_000, 15_000);
    let case = until("a case", || {
        let list = serve.ends(0, &["case", "list"]);
        list.split_whitespace().next().map(str::to_owned)
    });
    serve.ends(0, &["case", "request", &case, "--request", &request(folder, 1)]);
    serve.ends(0, &["case", "callback", "R-1", "--confirmed", "true"]);
    let id = first(&serve.json(&["measure", "propose", "--case", &case, "--end", "quiet:3s"]));
    approved_by_second(&serve, &id);
    let text = measure(&serve, &id)["draft"]["plan"]["text"].as_str().unwrap().to_owned();
    // A person types it in.
    let rules = dialect::parse(&text, Dialect::CiscoIos).unwrap().rules;
    router.lock().unwrap().install(0, id.parse().unwrap(), rules);
    serve.ends(0, &["measure", "applied", &id, "--place", "edge-1"]);

    let effect = until("an effect", || {
        let effect = measure(&serve, &id)["effect"][0].clone();
        effect.is_object().then_some(effect)
    });
    let pps = |name: &str| effect[name].as_f64().unwrap();
    assert_eq!(effect["observes-drops"], true);
    assert!(pps("attack-arriving-pps") > 1_000.0, "{effect}");
    assert!(pps("attack-passed-pps") < pps("attack-arriving-pps") / 100.0, "{effect}");
    assert!(pps("other-passed-pps") > pps("other-arriving-pps") * 0.99, "{effect}");

    let released = until("quiet", || Some(measure(&serve, &id)).filter(|m| m["status"] == "releasing"));
    assert_eq!(released["release"][0]["why"], "quiet", "{}", released["release"]);
    router.lock().unwrap().remove(id.parse().unwrap());
    serve.ends(0, &["measure", "release", &id, "--done", "show access-lists: none"]);
    serve.ends(0, &["case", "close", &case]);
    let report = serve.ends(0, &["case", "show", &case, "--report", "--lang", "ja"]);
    assert!(report.contains("203.0.113.80"), "{report}");
}
