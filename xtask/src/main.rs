//! One tool for developers. `cargo xtask` without arguments says what it can do.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program talks on its streams")]

mod bench;
mod cargo;
mod lab;
#[cfg(test)]
mod layering;
mod programs;
mod run_tests;
mod setup;
mod soak;
mod totals;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  drill [ARGS…]           set up what is missing, build `suimon` and run `suimon drill ARGS…`; its exit code is ours
  lab [ARGS…]             network namespaces with real routers around `suimon serve`: the story of an attack, or faults;
                          `lab --help` tells more
  test [FILTER] [-p X]    everything that CI runs; with FILTER or -p only those tests
  bless [FILTER]          rewrite the golden files from what the programs print now, then list what changed
  bench wire              decoders: flows a second per core beside other crates
  bench collect [suimon|fastnetmon|nfcapd]…   CPU, loss and memory of receivers of the same stream
  bench bgp               from approval to the first peer; a thousand Flowspec rules in and out
  bench filter            a million ranges beside iprange, the proof, the check of a list of 10,000 lines
  bench synthesis [FLOWS]  seconds that `filter synthesize` takes for a million flows; at most 2
  soak [MINUTES] [fuzz|ignored|lab]…  the long runs: each fuzz target for MINUTES (default 10), then tests marked #[ignore],
                          then all faults of the lab
  setup                   only the set-up of `test`: install or name the missing programs
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("drill") => drill(rest),
        Some("lab") => lab::lab(rest),
        Some("test") => run_tests::test(rest),
        Some("bless") => run_tests::bless(rest),
        Some("bench") => bench::bench(rest),
        Some("soak") => soak::soak(rest),
        Some("setup") => {
            setup::for_build()?;
            setup::for_tests();
            Ok(ExitCode::SUCCESS)
        }
        None | Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => bail!("no command `{other}`\n\n{USAGE}"),
    }
}

fn drill(args: &[String]) -> Result<ExitCode> {
    setup::for_build()?;
    eprintln!("xtask: building suimon (minutes the first time, seconds after)");
    if !cargo::run(cargo::command().args(["build", "--package", "suimon", "--bin", "suimon"]))? {
        bail!("suimon does not build; cargo's message is above");
    }
    // `cargo run` replaces itself by the program, so that signals and the exit code are the drill's own.
    let mut run = cargo::command();
    run.args(["run", "--quiet", "--package", "suimon", "--bin", "suimon", "--", "drill"]).args(args);
    cargo::replace_by(run)
}
