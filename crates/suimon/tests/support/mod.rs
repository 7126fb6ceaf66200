//! A daemon for a test: its own folder, its own ports, killed when the test ends.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The program under test.
pub const SUIMON: &str = env!("CARGO_BIN_EXE_suimon");

/// The part of a configuration that every test shares; `more` follows it.
pub fn config(more: &str) -> String {
    format!(
        r#"version = 1
[node]
data = "data"
listen = "127.0.0.1:0"
[collection]
purpose = "find attacks on customers"
items = ["addresses", "ports", "protocol", "tcp-flags", "counters", "times", "interfaces", "sampling"]
retention-hours = 24
approver = "role:collection-approver"
review = "2099-03-31"
[[network]]
prefix = "203.0.113.0/24"
[network.thresholds]
baseline-ratio = 0.0
[network.thresholds.vectors]
dns-reflection = {{ pps = 200 }}
[[customer]]
id = "customer-1"
name = "Example customer 1"
service = "line-0001"
prefixes = ["203.0.113.0/24"]
[[customer.contacts]]
id = "network-desk"
authority = ["ask", "order", "lift"]
telephone = "03-0000-0001"
{more}"#
    )
}

/// A running `suimon serve`.
pub struct Serve {
    child: Child,
    /// The ready line.
    pub ready: Value,
    /// What it wrote to standard error so far.
    pub log: Arc<Mutex<String>>,
}

impl Serve {
    /// Starts it in `folder` on this configuration and waits until it is ready.
    pub fn start(folder: &Path, config: &str) -> Serve {
        std::fs::write(folder.join("suimon.toml"), config).unwrap();
        let mut command = Command::new(SUIMON);
        command.args(["--json", "serve", "--config"]).arg(folder.join("suimon.toml"));
        Serve::spawn(command)
    }

    /// Starts a prepared command.
    pub fn spawn(mut command: Command) -> Serve {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start serve");
        let log = Arc::new(Mutex::new(String::new()));
        let (errors, out) = (child.stderr.take().unwrap(), child.stdout.take().unwrap());
        let written = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                written.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("not ready: {e}: {line:?}\n{}", log.lock().unwrap()));
        Serve { child, ready, log }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it hears flows.
    pub fn collector(&self) -> SocketAddr {
        self.ready["collectors"][0].as_str().expect("a collector").parse().unwrap()
    }

    /// Runs the command line against it.
    pub fn cli(&self, args: &[&str]) -> Output {
        Command::new(SUIMON).args(args).env("SUIMON_SOCKET", self.socket()).output().unwrap()
    }

    /// As [`Serve::cli`], which must end with `code`; standard output.
    pub fn ends(&self, code: i32, args: &[&str]) -> String {
        let out = self.cli(args);
        assert_eq!(
            out.status.code(),
            Some(code),
            "{args:?}\nstdout: {}\nstderr: {}\nlog:\n{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
            self.log.lock().unwrap(),
        );
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// As [`Serve::ends`] with `--json` and exit code 0, one object.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.ends(0, &[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
    }

    /// Its Unix socket.
    pub fn socket(&self) -> &str {
        self.ready["socket"].as_str().expect("a socket")
    }

    /// Asks it to stop, and waits for that.
    pub fn stop(mut self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log.lock().unwrap());
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("does not stop: {}", self.log.lock().unwrap());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Standard output of a program that ended with this code; both outputs are shown where it did not.
pub fn expect(out: Output, code: i32, what: &[&str]) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(code), "{what:?}\nstdout: {stdout}\nstderr: {stderr}");
    stdout.into_owned()
}

/// Waits up to half a minute.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited in vain for {what}");
}

/// The daemon's metrics.
pub fn metrics(serve: &Serve) -> String {
    let mut stream = std::os::unix::net::UnixStream::connect(serve.socket()).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// Sum of a metric over its labels.
pub fn metric(text: &str, name: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?;
        (rest.starts_with([' ', '{', '_'])).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
    };
    text.lines().filter(|l| !l.starts_with('#')).filter_map(of).sum()
}
