//! What `cargo xtask lab` understands.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program talks on its streams")]

use crate::tell::Tell;
use crate::{faults, net, scenery, story};
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask lab [--json] [--keep]           the story: attack, detection, measures, release
       cargo xtask lab [--json] --faults [ID…]     faults, all or these, each with what must hold
       cargo xtask lab --faults ci | list          the quick ones that CI runs; the list of all
       cargo xtask lab --down                      remove what labs left whose process is gone

Needs root for network namespaces. Exit codes: 0 held, 1 not held, 2 bad input, 3 failed or not possible here.
";

/// Runs the program with these arguments.
pub fn main(args: Vec<String>) -> ExitCode {
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(args: &[String]) -> Result<u8> {
    let (mut json, mut keep, mut faults, mut record) = (false, false, false, false);
    let (mut binary, mut names) = (None, Vec::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--json" => json = true,
            "--keep" => keep = true,
            "--faults" => faults = true,
            "--record" => record = true,
            "--down" => {
                println!("{} lab(s) removed", net::clear_stale(false));
                return Ok(0);
            }
            "--suimon" => binary = Some(PathBuf::from(rest.next().context("--suimon takes a path")?)),
            "--help" | "-h" => {
                print!("{USAGE}");
                return Ok(0);
            }
            name if faults && !name.starts_with('-') => names.push(name.to_owned()),
            other => {
                eprintln!("lab: `{other}`?\n\n{USAGE}");
                return Ok(2);
            }
        }
    }
    if names.iter().any(|n| n == "list") {
        print!("{}", faults::list());
        return Ok(0);
    }
    if let Some(why) = scenery::impossible() {
        bail!("NOT RUN: {why}");
    }
    let binary = binary.context("--suimon PATH names the program under test")?;
    let binary = std::fs::canonicalize(&binary).with_context(|| binary.display().to_string())?;
    let tell = Tell::new(json);
    if faults {
        let Some(chosen) = faults::choose(&names) else {
            eprintln!("lab: no such fault; `--faults list` names them");
            return Ok(2);
        };
        return faults::run_all(&binary, &tell, &chosen, record).map(|held| u8::from(!held));
    }
    let verdict = story::play(&binary, &tell, keep)?;
    let held = verdict.faults.is_empty();
    let words = if held { "everything held".to_owned() } else { verdict.faults.join("\n") };
    tell.stage("judged", json!({ "held": held, "faults": verdict.faults }), &words);
    if keep {
        println!("{}", kept());
    }
    Ok(u8::from(!held))
}

fn kept() -> String {
    let (id, folder) = (std::process::id(), net::FOLDER);
    format!(
        "kept: namespaces suimon-lab-{id}-ROLE, files in {folder}/{id}\n\
         \x20 edge1 {}, edge2 {}, transit {}, Suimon {}, ExaBGP {}\n\
         \x20 web {}, DNS {}, hosts that may be given up {} {}\n\
         \x20 ip netns exec suimon-lab-{id}-client curl http://{}/\n\
         \x20 SUIMON_SOCKET={folder}/{id}/data/suimon.sock suimon measure list\n\
         \x20 birdc -s {folder}/{id}/bird.ctl show route\n\
         remove it: cargo xtask lab --down",
        net::EDGES[0],
        net::EDGES[1],
        net::TRANSIT,
        net::SUIMON,
        net::WATCH,
        net::WEB,
        net::DNS,
        net::SPARE[0],
        net::SPARE[1],
        net::WEB
    )
}
