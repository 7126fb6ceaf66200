//! Benchmarks that compare Suimon with others.

mod bgp;
mod collect;
mod filter;
mod process;
mod receivers;
mod synthesis;

use crate::cargo;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// `cargo xtask bench wire|collect|filter|synthesis`.
pub fn bench(args: &[String]) -> Result<ExitCode> {
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("wire") => {
            let mut command = cargo::command();
            command.current_dir(cargo::root()).args(["bench", "--package", "suimon-wire", "--bench", "wire"]);
            if !rest.is_empty() {
                command.arg("--").args(rest);
            }
            cargo::replace_by(command)
        }
        Some("collect") => collect::collect(rest),
        Some("filter") => filter::filter(rest),
        Some("bgp") => bgp::bgp(rest),
        Some("synthesis") => synthesis::synthesis(rest),
        _ => bail!("bench what? `wire`, `collect`, `filter` or `synthesis`"),
    }
}
