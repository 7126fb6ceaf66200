//! What the build, the drill and the tests need on a fresh Debian machine, installed or named.

use crate::cargo;
use crate::programs::{self, Program, Wanted};
use anyhow::{Context as _, Result, bail};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the build needs besides the Rust toolchain: SQLite and the TLS library are compiled from C.
const BUILD_PACKAGES: &[&str] = &["gcc", "libc6-dev"];

/// Parsers and aggregators that only PyPI has, each with the module that shows it is there.
const PYTHON_PACKAGES: &[(&str, &str)] = &[("cisco-acl==3.3.5", "cisco_acl"), ("aggregate6==1.0.15", "aggregate6")];

/// Debian's hook that says whether an installed package may start its daemon.
const POLICY_RC_D: &str = "/usr/sbin/policy-rc.d";

/// Makes sure that C compiles here.
pub fn for_build() -> Result<()> {
    if c_compiles() {
        return Ok(());
    }
    let packages = BUILD_PACKAGES.join(" ");
    eprintln!("xtask: no working C compiler (`cc`), which the build needs for SQLite and TLS");
    if !install(BUILD_PACKAGES)? || !c_compiles() {
        bail!("install a C compiler and start again: {} {packages}", apt_install());
    }
    Ok(())
}

/// Installs the programs that tests run, where that is possible; else says which tests will be skipped.
pub fn for_tests() {
    install_programs(Wanted::Tests, "tests that need them are skipped, and named at the end");
}

/// A folder of this build with the Python packages that tests use as oracles, each fetched once; tests whose package cannot
/// be had are skipped.
pub fn python_packages() -> Option<PathBuf> {
    let dir = cargo::target_dir().ok()?.join("oracles/python");
    for (package, module) in PYTHON_PACKAGES {
        if dir.join(module).exists() {
            continue;
        }
        eprintln!("xtask: pip3 install {package}");
        let mut pip = Command::new("pip3");
        // `--upgrade` lets a second package share what a first one brought.
        pip.args(["install", "--quiet", "--upgrade", "--retries", "1", "--timeout", "15", "--target"]).arg(&dir);
        pip.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env("PIP_ROOT_USER_ACTION", "ignore").stdin(Stdio::null());
        if !cargo::run(pip.arg(package)).unwrap_or(false) {
            eprintln!("xtask: {package} is not installed; tests that need it are skipped, and named at the end");
        }
    }
    Some(dir)
}

/// Installs the programs that only benchmarks run.
pub fn for_bench() {
    install_programs(Wanted::Bench, "what needs them is left out of the comparison");
}

fn install_programs(wanted: Wanted, else_what: &str) {
    let missing = programs::missing(wanted);
    if missing.is_empty() {
        return;
    }
    if let Err(error) = install(&packages(&missing)) {
        eprintln!("xtask: {error:#}");
    }
    let missing = programs::missing(wanted);
    if missing.is_empty() {
        return;
    }
    eprintln!("xtask: not installed; {else_what}:");
    for program in &missing {
        eprintln!("  {:<12} (package {}): {}", program.name, program.package, program.purpose);
    }
    eprintln!("  {} {}", apt_install(), packages(&missing).join(" "));
}

fn packages(programs: &[&Program]) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs.iter().map(|p| p.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Whether this compiler compiles and links a program that uses the C library.
fn c_compiles() -> bool {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let child = Command::new(compiler)
        .args(["-x", "c", "-", "-o", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut input) = child.stdin.take()
        && input.write_all(b"#include <stdlib.h>\nint main(void) { return abs(0); }\n").is_err()
    {
        // The compiler ended early; its status says so.
    }
    child.wait().is_ok_and(|status| status.success())
}

/// The command a person would type.
fn apt_install() -> &'static str {
    if is_root() { "apt-get update && apt-get install" } else { "sudo apt-get update && sudo apt-get install" }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}

/// Installs Debian packages where we may; `false` where we may not (not root, not Debian).
fn install(packages: &[&str]) -> Result<bool> {
    if !is_root() || programs::find("apt-get").is_none() {
        return Ok(false);
    }
    let _no_daemons = NoDaemons::put();
    eprintln!("xtask: apt-get install {}", packages.join(" "));
    // The package lists may be missing (a container) or old; they are fetched only where the first try says so.
    if apt(&["install", "--yes", "--quiet", "--no-install-recommends"], packages)? {
        return Ok(true);
    }
    eprintln!("xtask: apt-get update");
    if !apt(&["update", "--quiet"], &[])? {
        bail!("apt-get update failed; its message is above");
    }
    if !apt(&["install", "--yes", "--quiet", "--no-install-recommends"], packages)? {
        bail!("apt-get install {} failed; its message is above", packages.join(" "));
    }
    Ok(true)
}

fn apt(verb: &[&str], packages: &[&str]) -> Result<bool> {
    let mut command = Command::new("apt-get");
    // Questions (tshark asks who may capture) get their default answer, which is no.
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    cargo::run(command.args(verb).args(packages)).context("apt-get")
}

/// While this lives, installed packages do not start their daemons.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    fn put() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = Path::new(POLICY_RC_D);
        // Somebody else's policy stays.
        let ours = !path.exists()
            && std::fs::write(path, "#!/bin/sh\nexit 101\n").is_ok()
            && std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).is_ok();
        NoDaemons { ours }
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.ours && std::fs::remove_file(POLICY_RC_D).is_err() {
            eprintln!("xtask: {POLICY_RC_D} could not be removed; remove it by hand");
        }
    }
}
