//! The real `nft` reads every nftables golden.

use std::path::Path;
use std::process::Command;

#[test]
fn nft_accepts_what_is_written() {
    let test = "suimon-filter nft_accepts_what_is_written";
    if !suimon_testkit::program_or_skip(test, "nft") || !suimon_testkit::program_or_skip(test, "unshare") {
        return;
    }
    let probe = Command::new("unshare").args(["-n", "nft", "list", "ruleset"]).output().unwrap();
    if !probe.status.success() {
        suimon_testkit::skip(test, "no right to make a network namespace");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "nftables") {
            continue;
        }
        let all = std::fs::read_to_string(&path).unwrap();
        let Some((text, undo)) = all.split_once("=== undo\n") else { continue };
        // Loaded for real in a namespace of its own, taken away again by the undo, and nothing is left.
        let script =
            format!("nft -f - <<'END' && nft '{}' && test -z \"$(nft list ruleset)\"\n{text}END\n", undo.trim());
        let out = Command::new("unshare").args(["-n", "sh", "-c", &script]).output().unwrap();
        assert!(out.status.success(), "{}: {}\n{text}", path.display(), String::from_utf8_lossy(&out.stderr));
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
}
