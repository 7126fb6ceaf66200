//! What tests of several crates share. Only ever a dev-dependency.
//!
//! Outside data (captures) is found by `SUIMON_SHARED`, default `../shared` beside the workspace. A test that cannot run
//! says so with [`skip`]: `cargo xtask test` sets `SUIMON_SKIP_LOG`, counts the lines and names them at the end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root folder.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A file or folder of the outside data, if it is there.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let base = std::env::var_os("SUIMON_SHARED").map_or_else(|| workspace_root().join("../shared"), PathBuf::from);
    let path = base.join(relative);
    path.exists().then_some(path)
}

/// Says visibly that `test` does not run and why.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(log) = std::env::var_os("SUIMON_SKIP_LOG") {
        let line = format!("{test}: {reason}\n");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
        if let Ok(mut file) = file {
            // A lost line would only hide a skip from the count; the stderr line above remains.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// [`shared`], or a visible skip of `test`.
pub fn shared_or_skip(test: &str, relative: &str) -> Option<PathBuf> {
    let found = shared(relative);
    if found.is_none() {
        skip(test, &format!("{relative} is not in SUIMON_SHARED"));
    }
    found
}

/// Whether `program` can be started (`program --version` or `-V` need not succeed), or a visible skip of `test`.
pub fn program_or_skip(test: &str, program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .any(|dir| dir.join(program).is_file());
    if !found {
        skip(test, &format!("{program} is not installed"));
    }
    found
}

/// Compares `actual` with the committed file, or writes the file where `UPDATE=1`.
///
/// # Panics
/// When they differ, naming the file and the first line that does.
pub fn golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE").is_some_and(|v| v == "1") {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).expect("create the golden's folder");
        }
        std::fs::write(path, actual).expect("write the golden");
        return;
    }
    let wanted =
        std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}; UPDATE=1 writes it", path.display()));
    if wanted != actual {
        let at = wanted.lines().zip(actual.lines()).position(|(a, b)| a != b);
        let line = at.unwrap_or_else(|| wanted.lines().count().min(actual.lines().count()));
        panic!(
            "{} differs at line {}:\n  golden: {}\n  actual: {}\nUPDATE=1 rewrites it",
            path.display(),
            line + 1,
            wanted.lines().nth(line).unwrap_or("<end>"),
            actual.lines().nth(line).unwrap_or("<end>")
        );
    }
}

/// A UDP port of 127.0.0.1 that was free a moment ago.
pub fn free_udp_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind a loopback port");
    socket.local_addr().expect("a bound socket has an address").port()
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
pub fn free_tcp_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
    socket.local_addr().expect("a bound socket has an address").port()
}

/// A child process that is killed when the test ends, however it ends.
#[derive(Debug)]
pub struct KilledOnDrop(pub std::process::Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program with its output thrown away.
///
/// # Errors
/// What the operating system says.
pub fn start_quietly(command: &mut Command) -> std::io::Result<KilledOnDrop> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(KilledOnDrop)
}
