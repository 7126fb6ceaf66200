//! `suimon filter plan` on the example devices, as people and scripts call it (catalogue rows 97–101, 129–134).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "harness/run.rs"]
mod run;
#[path = "harness/schema.rs"]
mod schema;

use run::{Run, suimon};
use schema::Schema;
use std::path::Path;
use suimon_testkit::{golden, workspace_root};

const REQUEST: &str = "[[rules]]\ndst = [\"203.0.113.80\"]\nproto = \"udp\"\nsrc-ports = [53]\n";

fn plan(request: &str, devices: &[&str], more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.toml");
    std::fs::write(&path, request).unwrap();
    let examples = workspace_root().join("docs/examples/devices");
    let mut args = vec!["filter".to_owned(), "plan".into(), "--request".into(), path.to_str().unwrap().into()];
    for d in devices {
        let file = if Path::new(d).is_absolute() { d.into() } else { examples.join(d) };
        args.extend(["--device".to_owned(), file.to_str().unwrap().into()]);
    }
    suimon(args.into_iter().chain(more.iter().map(|m| (*m).to_owned())))
}

const ALL: [&str; 3] = ["edge-acl.toml", "customer-edge.toml", "upstream.toml"];

#[test]
fn ways_are_ranked_and_staged() {
    let run = plan(REQUEST, &ALL, &[]);
    assert_eq!(run.code, 0, "{}", run.err);
    golden(&workspace_root().join("crates/suimon/tests/golden/filter-plan.txt"), &run.out);
    let lines = plan(REQUEST, &ALL, &["--json"]).lines(0);
    Schema::named("filter-plan").check_all(&lines);
    let choices = lines[0]["choices"].as_array().unwrap();
    // What cuts everything comes after what leaves the destination reachable.
    let cuts: Vec<bool> = choices.iter().map(|c| c["cuts_everything"].as_bool().unwrap()).collect();
    assert!(cuts.is_sorted() && cuts[cuts.len() - 1], "{cuts:?}");
    let stages: Vec<&str> = lines[0]["stages"].as_array().unwrap().iter().filter_map(|s| s["id"].as_str()).collect();
    assert_eq!(stages, ["broad", "exact", "police", "open"]);
}

#[test]
fn what_is_not_possible_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.toml");
    let text = std::fs::read_to_string(workspace_root().join("docs/examples/devices/edge-acl.toml")).unwrap();
    let text = text.replace("used = 3100", "used = 4096").replace(", \"null-route\", \"rtbh\"", "");
    std::fs::write(&full, text).unwrap();
    let full = full.to_str().unwrap();
    let run = plan(REQUEST, &[full], &[]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.out.contains("not possible: ") && run.out.contains("0 are free"), "{}", run.out);
    Schema::named("filter-plan").check_all(&plan(REQUEST, &[full], &["--json"]).lines(1));
    // A rule without a destination cannot become a route.
    let anywhere = "[[rules]]\nsrc = [\"198.51.100.0/24\"]\nproto = \"udp\"\n";
    let run = plan(anywhere, &["upstream.toml"], &[]);
    assert!(run.out.contains("a route sees destinations only"), "{}", run.out);
}

#[test]
fn bad_input_is_exit_2_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.toml");
    std::fs::write(&path, "name = \"x\"\nplace = \"cellar\"\n").unwrap();
    let run = plan(REQUEST, &[path.to_str().unwrap()], &[]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.contains("device.toml") && run.err.contains("line 2"), "{}", run.err);
    assert_eq!(plan(REQUEST, &[], &[]).code, 2);
}
