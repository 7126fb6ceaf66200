//! Rules on who depends on whom, read from `cargo metadata`.

use super::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What `cargo metadata` says about the workspace, reduced to what the rules ask.
struct Graph {
    /// Direct dependencies of our crates: (crate, dependency, kind).
    direct: Vec<(String, String, Kind)>,
    /// For every package id: its name and the ids it needs outside tests.
    resolved: BTreeMap<String, (String, Vec<String>)>,
    /// Our crates by package id.
    ours: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Build,
    Dev,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn kind(value: &Value) -> Kind {
    match value.as_str() {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    }
}

impl Graph {
    fn read() -> Self {
        let mut command = crate::cargo::command();
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        command.current_dir(crate::cargo::root());
        command.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host]);
        let output = command.output().expect("cargo starts");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
        let members: BTreeSet<String> = list(&json["workspace_members"]).iter().map(text).collect();
        let mut graph = Graph { direct: Vec::new(), resolved: BTreeMap::new(), ours: BTreeMap::new() };
        let mut names = BTreeMap::new();
        for package in list(&json["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            names.insert(id.clone(), name.clone());
            if members.contains(&id) {
                for dependency in list(&package["dependencies"]) {
                    graph.direct.push((name.clone(), text(&dependency["name"]), kind(&dependency["kind"])));
                }
                graph.ours.insert(id, name);
            }
        }
        for node in list(&json["resolve"]["nodes"]) {
            let needed = list(&node["deps"])
                .iter()
                .filter(|d| list(&d["dep_kinds"]).iter().any(|k| kind(&k["kind"]) == Kind::Normal))
                .map(|d| text(&d["pkg"]))
                .collect();
            let id = text(&node["id"]);
            let name = names.get(&id).cloned().unwrap_or_default();
            graph.resolved.insert(id, (name, needed));
        }
        assert!(!graph.ours.is_empty() && !graph.resolved.is_empty(), "cargo metadata names our crates");
        graph
    }

    /// The chain of names from `start` to the first of `wanted`, if any leads there.
    fn way_to(&self, start: &str, wanted: &[&str]) -> Option<Vec<String>> {
        let mut seen = BTreeSet::from([start.to_owned()]);
        let mut queue = std::collections::VecDeque::from([(start.to_owned(), Vec::<String>::new())]);
        while let Some((id, mut way)) = queue.pop_front() {
            let (name, needed) = self.resolved.get(&id)?;
            way.push(name.clone());
            if wanted.contains(&name.as_str()) {
                return Some(way);
            }
            for next in needed {
                if seen.insert(next.clone()) {
                    queue.push_back((next.clone(), way.clone()));
                }
            }
        }
        None
    }
}

#[test]
fn our_crates_use_only_whom_the_table_allows() {
    let graph = Graph::read();
    let ours: BTreeSet<&str> = graph.ours.values().map(String::as_str).collect();
    let mut breaches = Vec::new();
    for name in &ours {
        if !MAY_USE.iter().any(|(n, _)| n == name) {
            breaches.push(format!("{name}: not in the table of who may use whom (MAY_USE); add it with a reason"));
        }
    }
    for (from, to, kind) in &graph.direct {
        if !ours.contains(to.as_str()) {
            continue;
        }
        let find =
            |table: &'static [(&str, &[&str])]| table.iter().find(|(n, _)| n == from).map_or(&[][..], |(_, a)| a);
        let allowed = find(MAY_USE);
        if to == TESTS_ONLY {
            if *kind != Kind::Dev {
                breaches.push(format!("{from}: {to} is for tests, under [dev-dependencies] only"));
            }
        } else if SENSES_AND_HANDS.contains(&from.as_str()) && SENSES_AND_HANDS.contains(&to.as_str()) {
            breaches.push(format!("{from}: uses {to}, but senses and hands meet only in the spine"));
        } else if *kind == Kind::Dev && find(TESTS_MAY_USE).contains(&to.as_str()) {
            continue;
        } else if !allowed.contains(&"*") && !allowed.contains(&to.as_str()) {
            breaches.push(format!("{from}: may use {allowed:?}, not {to}"));
        }
    }
    none(breaches);
}

#[test]
fn pure_crates_reach_no_async_runtime() {
    let graph = Graph::read();
    let mut breaches = Vec::new();
    for (id, name) in &graph.ours {
        if !WITHOUT_RUNTIME.contains(&name.as_str()) {
            continue;
        }
        if let Some(way) = graph.way_to(id, RUNTIMES) {
            breaches.push(format!("{name}: reaches an async runtime: {}", way.join(" → ")));
        }
    }
    none(breaches);
}

#[test]
fn what_one_crate_owns_no_other_uses() {
    let graph = Graph::read();
    let mut breaches = Vec::new();
    for (from, to, _) in &graph.direct {
        for (owned, owner) in OWNED {
            if (to == owned || to.strip_prefix(owned).is_some_and(|rest| rest.starts_with('-'))) && from != owner {
                breaches.push(format!("{from}: uses {to}, which only {owner} may"));
            }
        }
    }
    none(breaches);
}
