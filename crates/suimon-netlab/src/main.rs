//! The program behind `cargo xtask lab`.

fn main() -> std::process::ExitCode {
    suimon_netlab::cli::main(std::env::args().skip(1).collect())
}
