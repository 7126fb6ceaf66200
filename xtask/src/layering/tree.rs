//! Rules on how files look, read from the tree.

use super::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders that are made, not written.
const MADE: &[&str] = &[".git", "target", "artifacts", "corpus", "coverage", "node_modules", "data"];

/// Every text file of the tree with its path from the root.
fn files() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).expect("a folder of the tree").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !MADE.iter().any(|m| name == *m) {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let root = crate::cargo::root();
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    let texts = found.into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(&path).ok()?;
        Some((path.strip_prefix(&root).ok()?.to_string_lossy().into_owned(), text))
    });
    texts.collect()
}

/// Lines of code with their numbers: comments are left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, l)| (i + 1, l)).filter(|(_, l)| !l.trim_start().starts_with("//"))
}

#[test]
fn files_are_short() {
    let mut breaches = Vec::new();
    let mut long = Vec::new();
    for (path, text) in files().iter().filter(|(p, _)| p.ends_with(".rs")) {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            breaches.push(format!("{path}: {lines} lines; at most {MAX_LINES}"));
        } else if lines > MANY_LINES {
            long.push(format!("{lines:>5} {path}"));
        }
    }
    println!("files over {MANY_LINES} lines:\n{}", long.join("\n"));
    none(breaches);
}

#[test]
fn nothing_is_allowed_silently_and_nothing_is_unfinished() {
    let mut breaches = Vec::new();
    for (path, text) in files().iter().filter(|(p, _)| p.ends_with(".rs")) {
        for (number, line) in code(text) {
            if line.contains(concat!("#[al", "low")) || line.contains(concat!("#![al", "low")) {
                breaches.push(format!("{path}:{number}: use #[expect(…, reason = …)]: it goes when its cause goes"));
            }
        }
        // A `compile_fail` example in a comment may name what never runs; a note to finish something may not stand there.
        for (number, line) in text.lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            for word in UNFINISHED.iter().filter(|w| line.contains(**w) && !(comment && w.ends_with('('))) {
                breaches.push(format!("{path}:{}: `{word}`: finish it, or say it in docs/limitations", number + 1));
            }
        }
    }
    none(breaches);
}

#[test]
fn pure_crates_do_no_io() {
    let mut breaches = Vec::new();
    for (path, text) in files() {
        let pure = PURE.iter().any(|c| path.starts_with(&format!("crates/{c}/src/")));
        if !pure || !path.ends_with(".rs") || path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        // By habit, tests are the last thing in a file.
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code(product) {
            for word in IMPURE.iter().filter(|w| line.contains(**w)) {
                breaches.push(format!("{path}:{number}: `{word}` in a crate without I/O"));
            }
        }
    }
    none(breaches);
}

#[test]
fn the_tree_names_no_machine() {
    let mut breaches = Vec::new();
    // The lock file names its registry in every entry; that is cargo's.
    for (path, text) in files().iter().filter(|(p, _)| !p.ends_with("Cargo.lock")) {
        for (number, line) in text.lines().enumerate() {
            for word in MACHINE {
                let inside = |at: usize| at > 0 && line.as_bytes().get(at - 1).is_some_and(u8::is_ascii_alphanumeric);
                if line.match_indices(word).any(|(at, _)| !inside(at)) {
                    breaches.push(format!("{path}:{}: `{word}` belongs to a machine, not to the project", number + 1));
                }
            }
        }
    }
    none(breaches);
}

/// Dependencies of a manifest: (line number, name, whether it is taken from the workspace, whether a comment argues for it).
fn dependency_lines(text: &str) -> Vec<(usize, String, bool, bool)> {
    let mut found = Vec::new();
    let (mut inside, mut argued) = (false, false);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            let table = line.trim_matches(['[', ']']);
            inside = table.ends_with("dependencies");
            argued = false;
            // The form [dependencies.name].
            if let Some((before, name)) = table.rsplit_once('.')
                && before.ends_with("dependencies")
            {
                found.push((number + 1, name.to_owned(), false, false));
            }
        } else if line.is_empty() {
            argued = false;
        } else if line.starts_with('#') {
            argued = true;
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && !line.starts_with([' ', ']', '}', '"'])
        {
            let (name, value) = (name.trim(), value.replace(' ', ""));
            let of_workspace = name.ends_with(".workspace") || value.contains("workspace=true");
            found.push((number + 1, name.trim_end_matches(".workspace").to_owned(), of_workspace, argued));
        }
    }
    found
}

#[test]
fn every_dependency_is_argued_for() {
    let files = files();
    let manifests: Vec<_> = files.iter().filter(|(p, _)| p.ends_with("Cargo.toml")).collect();
    let root = manifests.iter().find(|(p, _)| p == "Cargo.toml").map(|(_, t)| dependency_lines(t)).unwrap_or_default();
    let argued_at_root: BTreeSet<_> = root.iter().filter(|d| d.3).map(|d| d.1.as_str()).collect();
    let mut breaches = Vec::new();
    for (path, text) in manifests {
        for (number, name, of_workspace, argued) in dependency_lines(text) {
            let ours = name.starts_with("suimon");
            if !(ours || argued || of_workspace && argued_at_root.contains(name.as_str())) {
                breaches.push(format!("{path}:{number}: no comment says what {name} is for, why it and what instead"));
            }
        }
    }
    none(breaches);
}

#[test]
fn the_reader_of_manifests_sees_what_is_not_argued() {
    let text = "[dependencies]\n# why\na = \"1\"\nb.workspace = true\n\nc = { version = \"1\" }\n[dev-dependencies.d]\n[[bench]]\nname = \"x\"\n";
    let seen: Vec<_> = dependency_lines(text).into_iter().map(|(_, n, w, a)| (n, w, a)).collect();
    let expected = [("a", false, true), ("b", true, true), ("c", false, false), ("d", false, false)];
    assert_eq!(seen, expected.map(|(n, w, a)| (n.to_owned(), w, a)));
}

#[test]
fn every_program_that_a_test_asks_for_can_be_installed() {
    let mut breaches = Vec::new();
    for (path, text) in files().iter().filter(|(p, _)| p.ends_with(".rs") && !p.starts_with("xtask/")) {
        for (at, _) in text.match_indices("program_or_skip(") {
            let call = text.get(at..).and_then(|t| t.split_once(')')).map_or("", |(call, _)| call);
            // The second argument, where it is written out as a string.
            let Some(program) = call.split(',').nth(1).and_then(|a| a.split('"').nth(1)) else { continue };
            if !crate::programs::PROGRAMS.iter().any(|p| p.name == program) {
                breaches.push(format!("{path}: a test wants {program}; add it to PROGRAMS in xtask/src/programs.rs"));
            }
        }
    }
    none(breaches);
}
