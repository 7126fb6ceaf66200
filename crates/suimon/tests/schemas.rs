//! Every JSON output of the command line against its committed schema, and the schemas against their sources.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/daemon.rs"]
mod daemon;
#[path = "harness/run.rs"]
mod run;
#[path = "harness/schema.rs"]
mod schema;

use daemon::Daemon;
use run::suimon;
use schema::Schema;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use suimon_base::{Timestamp, Vector};
use suimon_testkit::workspace_root;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn all_schemas() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(schema::folder()).unwrap().map(|e| e.unwrap().path());
    let name = |p: &Path| p.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut all: Vec<_> = files.map(|p| (name(&p), read_json(&p))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(all.len() >= 17, "{} schemas", all.len());
    all
}

fn strings(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Calls `look` with every subschema and where it stands.
fn walk(place: &str, value: &Value, look: &mut dyn FnMut(&str, &Value)) {
    look(place, value);
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| walk(&format!("{place}/{k}"), v, look)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| walk(&format!("{place}/{i}"), v, look)),
        _ => {}
    }
}

#[test]
fn each_schema_is_one_and_closed() {
    for (name, schema) in all_schemas() {
        assert!(jsonschema::meta::is_valid(&schema), "{name} is not a schema");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(schema["$id"], format!("urn:suimon:schema:{name}"));
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{name}");
        Schema::named(&name);
        walk("", &schema, &mut |place, s| {
            let is_object = s.get("type").is_some_and(|t| t == "object") && s.get("properties").is_some();
            // One of several shapes, each of which is closed.
            let is_choice = s.get("oneOf").is_some();
            if is_object && !is_choice {
                assert_eq!(s.get("additionalProperties"), Some(&json!(false)), "{name}{place} is open");
            }
        });
    }
}

#[test]
fn shared_shapes_are_those_of_the_api() {
    let api = read_json(&workspace_root().join("docs/reference/openapi.json"));
    let mut compared = 0;
    for (name, schema) in all_schemas() {
        for (key, ours) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            let Some(theirs) = api.pointer(&format!("/components/schemas/{key}")) else { continue };
            // The API leaves some shapes open that are closed here; where both name properties, they name the same.
            let names = |s: &Value| s.get("properties").and_then(Value::as_object).map(|p| p.keys().cloned().collect());
            let (a, b): (Option<BTreeSet<String>>, Option<BTreeSet<String>>) = (names(ours), names(theirs));
            if let (Some(a), Some(b)) = (a, b) {
                assert_eq!(a, b, "{name}: properties of {key}");
                assert_eq!(strings(&ours["required"]), strings(&theirs["required"]), "{name}: required in {key}");
                compared += 1;
            }
            assert_eq!(strings(&ours["enum"]), strings(&theirs["enum"]), "{name}: values of {key}");
        }
    }
    assert!(compared > 30, "{compared} shapes compared");
}

#[test]
fn vectors_and_stages_are_those_of_the_program() {
    // serde names every variant when it meets one that does not exist.
    let error = serde_json::from_value::<Vector>(json!("?")).unwrap_err().to_string();
    let names: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
    assert!(names.contains("total") && names.len() > 20, "{error}");
    for name in ["detect", "drill-stage", "case"] {
        let schema = read_json(&schema::folder().join(format!("{name}.json")));
        assert_eq!(strings(&schema["$defs"]["Vector"]["enum"]), names, "{name}");
    }
    let source = include_str!("../src/drill/timeline.rs");
    let (_, tail) = source.split_once("pub fn name(self)").unwrap();
    let (body, _) = tail.split_once("fn label").unwrap();
    let stages: BTreeSet<&str> = body.split('"').skip(1).step_by(2).collect();
    assert!(stages.contains("first-attack-packet"));
    let schema = read_json(&schema::folder().join("drill-stage.json"));
    assert_eq!(strings(&schema["properties"]["stage"]["enum"]), stages);
    let shapes = schema["oneOf"].as_array().unwrap().iter();
    let shapes: BTreeSet<&str> = shapes.map(|s| s["properties"]["stage"]["const"].as_str().unwrap()).collect();
    assert_eq!(shapes, stages);
}

#[test]
fn schemas_refuse_what_they_should() {
    let good = json!({
        "src": "192.0.2.1", "dst": "2001:db8::1", "src_port": 53, "dst_port": null, "proto": 17, "bytes": 1, "packets": 1,
        "tcp_flags": null, "in_if": 1, "out_if": 0, "sampling": { "rate": 1, "source": "assumed" },
        "exporter": "192.0.2.2", "start": "2026-01-31T23:59:59.999Z", "end": null,
    });
    let schema = Schema::named("decode");
    schema.check(&good);
    for (field, bad) in [
        ("proto", json!("udp")),
        ("proto", json!(256)),
        ("src", json!("192.0.2.256")),
        ("src_port", json!(65_536)),
        ("start", json!("2026-01-31T23:59:59Z")),
        ("start", json!("2026-01-31T23:59:59.999+09:00")),
        ("start", json!("2026-02-31T23:59:59.999Z")),
        ("sampling", json!({ "rate": 0, "source": "assumed" })),
        ("sampling", json!(1)),
        ("more", json!(1)),
    ] {
        let mut value = good.clone();
        value[field] = bad;
        assert!(!schema.accepts(&value), "{field}: {}", value[field]);
    }
    let mut value = good;
    value.as_object_mut().unwrap().remove("sampling");
    assert!(!schema.accepts(&value), "counters without sampling");
    let stage = Schema::named("drill-stage");
    let start = json!({ "at": "2026-01-31T23:59:59.999Z", "since_start_ms": 0 });
    for (name, accepted) in [("first-attack-packet", true), ("detected", false), ("lunch", false)] {
        let mut value = start.clone();
        value["stage"] = json!(name);
        assert_eq!(stage.accepts(&value), accepted, "{name}");
    }
}

#[test]
fn scenarios_and_what_cannot_be_seen() {
    let lines = suimon(["drill", "list", "--json"]).lines(0);
    Schema::named("drill-list").check_all(&lines);
    let lines = suimon(["drill", "dns-reflection", "--sampling", "1000000", "--json"]).lines(1);
    Schema::named("drill-stage").check_all(&lines);
    assert_eq!(lines.last().unwrap()["stage"], "undetectable");
}

/// The whole job once, and then every other command on the record that it left.
#[test]
fn a_drill_and_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = ["drill", "dns-reflection", "--json", "--attack-seconds", "8", "--quiet-seconds", "2"];
    let lines = suimon(args.into_iter().chain(["--data", text(&data)])).lines(0);
    Schema::named("drill-stage").check_all(&lines);
    the_story(&lines);
    let verify = |code| suimon(["ledger", "verify", "--json", text(&data)]).lines(code);
    let verified = verify(0);
    Schema::named("ledger-verify").check_all(&verified);
    assert_eq!((&verified[0]["ok"], &verified[0]["head"]), (&json!(true), &json!("matches")));

    // The drill's own configuration, without the model router that only a drill has.
    let config = std::fs::read_to_string(data.join("drill.toml")).unwrap();
    let config: String = config.lines().filter(|l| !l.contains("model-router")).map(|l| format!("{l}\n")).collect();
    let path = data.join("serve.toml");
    std::fs::write(&path, config).unwrap();
    let lines = suimon(["check-config", "--json", text(&path)]).lines(0);
    Schema::named("check-config").check_all(&lines);
    let daemon = Daemon::start(&path);
    Schema::named("serve-ready").check(&daemon.ready);
    the_record(&daemon);
    commands_on_a_daemon(&daemon, folder.path());
    drop(daemon);

    std::fs::remove_file(data.join("ledger.head")).unwrap();
    let verified = verify(0);
    Schema::named("ledger-verify").check_all(&verified);
    assert_eq!(verified[0]["head"], "missing");
    assert_eq!(suimon(["ledger", "verify", "--json", text(&folder.path().join("none"))]).code, 2);
}

fn the_story(lines: &[Value]) {
    let order = [
        "start",
        "first-attack-packet",
        "first-exported",
        "detected",
        "case-opened",
        "denied",
        "request",
        "callback",
        "proposed",
        "basis",
        "approved",
        "applied",
        "effect",
        "quiet",
        "released",
        "closed",
        "judged",
        "report",
    ];
    let at = |stage: &str| {
        lines.iter().position(|l| l["stage"] == stage).unwrap_or_else(|| panic!("{stage} is missing: {lines:?}"))
    };
    let places: Vec<usize> = order.iter().map(|s| at(s)).collect();
    assert!(places.is_sorted(), "{places:?}");
    let time = |stage: &str| lines[at(stage)]["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let times: Vec<Timestamp> = order.iter().map(|s| time(s)).collect();
    assert!(times.is_sorted(), "{times:?}");
    let detected = &lines[at("detected")];
    let delay = detected["detection_delay_ms"].as_i64().unwrap();
    assert!(delay <= 1_000, "detection took {delay} ms");
    assert_eq!(detected["vectors"], json!(["dns-reflection"]));
    assert_eq!(detected["target"], "203.0.113.80/32");
    let judged = &lines[at("judged")];
    assert_eq!((&judged["ok"], &judged["why_released"]), (&json!(true), &json!("quiet")), "{judged}");
    let share = |span: &str, what: &str| {
        let count = |k: &str| judged[span][what][k].as_f64().unwrap();
        assert!(count("offered") > 100.0, "{span} {what}: {judged}");
        count("passed") / count("offered")
    };
    assert_eq!(share("before", "attack"), 1.0);
    assert_eq!(share("before", "legitimate"), 1.0);
    assert!(share("after", "attack") < 0.01, "{judged}");
    assert!(share("after", "legitimate") > 0.99 && share("after", "connections") > 0.99, "{judged}");
    // The attack lasts eight seconds whatever is done against it.
    let length = time("released").ms_since(time("first-attack-packet"));
    assert!(length >= 8_000, "released {length} ms after the attack began");
    assert!(lines[at("report")]["report"].as_str().unwrap().contains("exercise"));
}

fn the_record(daemon: &Daemon) {
    let page = daemon.get("/api/v1/events?after=0&limit=500");
    let events = page["events"].as_array().unwrap();
    assert!(events.len() >= 20, "{} events", events.len());
    for (i, e) in events.iter().enumerate() {
        assert_eq!(e["seq"].as_u64(), Some(i as u64 + 1));
        assert_eq!(e["exercise"], true, "{e}");
    }
    let on = |args: &[&str]| suimon(args.iter().copied().chain(["--json", "--socket", text(&daemon.socket)])).lines(0);
    let cases = on(&["case", "list"]);
    Schema::named("case-list").check_all(&cases);
    assert_eq!((&cases[0]["id"], &cases[0]["phase"]), (&json!("C-1"), &json!("closed")));
    Schema::named("case").check_all(&on(&["case", "show", "C-1"]));
    for lang in ["ja", "en"] {
        Schema::named("case-report").check_all(&on(&["case", "show", "C-1", "--report", "--lang", lang]));
    }
    let measures = on(&["measure", "list"]);
    Schema::named("measure-list").check_all(&measures);
    let states: BTreeSet<&str> = measures.iter().map(|m| m["status"].as_str().unwrap()).collect();
    assert_eq!(states, BTreeSet::from(["denied", "released"]));
    for m in &measures {
        Schema::named("measure").check_all(&on(&["measure", "show", m["id"].as_str().unwrap()]));
    }
    let link = on(&["sign-in"]);
    Schema::named("sign-in").check_all(&link);
}

fn commands_on_a_daemon(daemon: &Daemon, folder: &Path) {
    let on = |args: &[&str]| suimon(args.iter().copied().chain(["--json", "--socket", text(&daemon.socket)]));
    let (outcome, denial) = (Schema::named("outcome"), Schema::named("denial"));
    let request = folder.join("request.toml");
    std::fs::write(
        &request,
        r#"customer = "customer-1"
words = "攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい"
contact = "network-desk"
company = "Exercise customer"
service = "line-0001"
channel = "telephone"
scope = ["203.0.113.80/32"]
"#,
    )
    .unwrap();
    let opened = on(&["case", "open", "--request", text(&request)]).lines(0);
    outcome.check_all(&opened);
    let case = opened[0]["case"].as_str().unwrap();
    let filter = folder.join("filter.txt");
    std::fs::write(&filter, "203.0.113.80 宛の 53/UDP を遮断してください\n").unwrap();
    let propose = ["measure", "propose", "--case", case, "--end", "1h", "--request", text(&filter)];
    // Nobody called back yet.
    denial.check_all(&on(&propose).lines(1));
    let asked = opened[0]["request"].as_str().unwrap();
    outcome.check_all(&on(&["case", "callback", asked, "--confirmed", "true"]).lines(0));
    let proposed = on(&propose).lines(0);
    outcome.check_all(&proposed);
    let measure = proposed[0]["measures"][0].as_str().unwrap();
    Schema::named("measure").check_all(&on(&["measure", "show", measure]).lines(0));
    // The proposer may not approve.
    let own = on(&["measure", "approve", measure]);
    denial.check_all(&own.lines(1));
    // The way back: nothing is stale or released yet, so most steps do not fit, and say so.
    assert_eq!(on(&["measure", "stale"]).lines(0), Vec::<Value>::new());
    let renew = ["--end", "1d", "--requester", "called", "--owner", "asked"];
    for step in [
        vec!["measure", "task-done", measure, "--by", "noc"],
        vec!["measure", "access", measure, "--ok", "true", "--by", "noc"],
        [vec!["measure", "renew", measure], renew.to_vec()].concat(),
        vec!["measure", "renew", measure, "--approve"],
        vec!["measure", "told", measure, "--when", "before", "--contact", "noc"],
        vec!["measure", "reapply", measure],
    ] {
        assert_eq!(on(&step).code, 2, "{step:?}");
    }
    let again = on(&["measure", "reapply", "M-3", "--end", "1h"]);
    assert_eq!(again.code, 2, "its case is closed");
    outcome.check_all(&on(&["measure", "access", "M-3", "--ok", "true", "--by", "noc"]).lines(0));
    outcome.check_all(&on(&["measure", "told", "M-3", "--when", "after", "--contact", "noc"]).lines(0));
    Schema::named("measure").check_all(&on(&["measure", "show", "M-3"]).lines(0));
    let tried = on(&[&propose[..], &["--dry-run"]].concat()).lines(0);
    Schema::named("dry-run").check_all(&tried);
    outcome.check_all(&on(&["measure", "release", "--all"]).lines(0));
    // Nothing is in the network by any hand that looks, so nothing differs and nobody drops anything.
    Schema::named("verify").check_all(&on(&["verify"]).lines(0));
    Schema::named("why").check_all(&on(&["why", "198.51.100.1", "203.0.113.80", "udp", "53"]).lines(1));
    assert_eq!(on(&["orphan", "list", "--all"]).lines(0), Vec::<Value>::new());
    assert_eq!(on(&["bgp", "peers"]).lines(0), Vec::<Value>::new());
}
