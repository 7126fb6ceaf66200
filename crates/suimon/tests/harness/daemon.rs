//! A daemon of the test's own, killed when the test ends.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use suimon_testkit::KilledOnDrop;

/// `suimon serve` with a configuration.
#[derive(Debug)]
pub struct Daemon {
    /// The line that says it is ready.
    pub ready: Value,
    /// Its Unix socket.
    pub socket: PathBuf,
    _child: KilledOnDrop,
}

impl Daemon {
    /// Starts it on this file and waits until its sockets are open.
    pub fn start(config: &Path) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suimon"));
        command.args(["serve", "--json", "--config"]).arg(config).env("SUIMON_LOG", "warn");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start suimon serve");
        let mut child = KilledOnDrop(child);
        let mut line = String::new();
        let out = child.0.stdout.take().expect("standard output is piped");
        BufReader::new(out).read_line(&mut line).expect("read the ready line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("no ready line: {e}: {line:?}"));
        let socket = PathBuf::from(ready["socket"].as_str().expect("a socket path"));
        Daemon { ready, socket, _child: child }
    }

    /// GET over the Unix socket, as JSON.
    pub fn get(&self, path: &str) -> Value {
        let mut stream = UnixStream::connect(&self.socket).expect("connect to the daemon");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("send a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read an answer");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no body: {answer:?}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }
}
