//! The daemon and the command line.

mod alerts;
mod cli;
mod client;
mod clock;
mod commands;
mod config;
mod daemon;
mod drill;
mod exit;
mod flow_sense;
mod metrics;
mod output;
mod placing;
mod planner;

use clap::Parser as _;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(&cli.command);
    let json = cli.json;
    exit::code(match cli.command {
        Command::Serve(args) => commands::serve::run(&args, json),
        Command::CheckConfig(args) => commands::serve::check(&args, json),
        Command::Drill(args) => drill::run(&args, json),
        Command::Decode(args) => commands::decode::run(&args, json),
        Command::Detect(args) => commands::detect::run(&args, json),
        Command::Filter(command) => commands::filter::run(&command, json),
        Command::Ledger(command) => commands::ledger::run(&command, json),
        Command::Case(command) => commands::case::run(&command, json),
        Command::Measure(command) => commands::measure::run(&command, json),
        Command::Why(args) => commands::why::run(&args, json),
        Command::Verify(args) => commands::verify::run(&args, json),
        Command::Orphan(command) => commands::verify::orphan(&command, json),
        Command::Bgp(command) => commands::verify::bgp(&command, json),
        Command::SignIn(args) => commands::serve::sign_in(&args, json),
    })
}

/// Log lines go to standard error; `SUIMON_LOG` says how many, in the usual syntax of directives.
fn log_to_stderr(command: &Command) {
    let usual = if matches!(command, Command::Serve(_)) { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_env_var("SUIMON_LOG")
        .try_from_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
