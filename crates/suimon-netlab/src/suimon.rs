//! `suimon serve` in the management namespace, and people at its command line.

use crate::clock;
use crate::configs::{self, Variant};
use crate::net::Net;
use crate::proc::{self, Proc};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Takes calls, proposes, releases.
    Operator,
    /// Another user of the operating system, in the socket's group.
    Approver,
}

/// The approver's number: `nobody`.
const APPROVER: &str = "65534";
/// A start that takes longer failed. Hands that do not answer make it wait.
const START_MS: u64 = 60_000;

/// One instance with its data folder.
#[derive(Debug)]
pub struct Suimon {
    /// The program.
    pub binary: PathBuf,
    /// Its configuration.
    pub variant: Variant,
    /// What differs in its environment, for `serve` only.
    pub env: Vec<(String, String)>,
    name: String,
    process: Option<Proc>,
    starts: usize,
}

impl Suimon {
    /// An instance that does not run yet, called `name`, with a data folder of that name.
    pub fn new(binary: &Path, net: &Net, name: &str) -> Suimon {
        let variant = Variant {
            data: net.folder().join(name).display().to_string(),
            confirm_s: 5,
            answer_s: 4,
            address: crate::net::SUIMON,
            collector: 2055,
            max_routes: 1_000,
            more: String::new(),
        };
        Suimon { binary: binary.to_owned(), variant, env: Vec::new(), name: name.to_owned(), process: None, starts: 0 }
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        Path::new(&self.variant.data)
    }

    fn log(&self, net: &Net) -> PathBuf {
        net.folder().join(format!("{}-{}.log", self.name, self.starts))
    }

    /// Starts it and does not wait.
    pub fn launch(&mut self, net: &Net) -> Result<()> {
        ensure!(self.process.is_none(), "it runs already");
        self.starts += 1;
        let config = net.folder().join(format!("{}.toml", self.name));
        std::fs::write(&config, configs::suimon(&net.folder(), &self.variant))?;
        let mut command = net.command("management", &self.binary.display().to_string());
        command.args(["--json", "serve", "--config"]).arg(&config);
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        self.process = Some(Proc::start(&mut command, &self.log(net))?);
        Ok(())
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self, net: &Net) -> Result<()> {
        self.launch(net)?;
        self.wait_ready(net)
    }

    /// Waits until it says that it is ready.
    pub fn wait_ready(&mut self, net: &Net) -> Result<()> {
        let log = self.log(net);
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let process = self.process.as_mut().context("it does not run")?;
        let seen = clock::until(START_MS, || {
            if said().contains("\"stage\":\"ready\"") {
                return Some(None);
            }
            process.ended().map(Some)
        });
        match seen {
            Some((None, _)) => Ok(()),
            Some((Some(status), _)) => {
                self.process = None;
                bail!("suimon ended ({status}) instead of being ready: {}", last_words(&said()))
            }
            None => bail!("suimon is not ready after {} s: {}", START_MS / 1_000, last_words(&said())),
        }
    }

    /// Waits for it to end by itself; what it said last.
    pub fn wait_end(&mut self, net: &Net, patience_ms: u64) -> Option<String> {
        let process = self.process.as_mut()?;
        let (status, _) = clock::until(patience_ms, || process.ended())?;
        self.process = None;
        Some(format!("{status}: {}", last_words(&std::fs::read_to_string(self.log(net)).unwrap_or_default())))
    }

    /// Everything it logged since its last start.
    pub fn logged(&self, net: &Net) -> String {
        std::fs::read_to_string(self.log(net)).unwrap_or_default()
    }

    /// `kill -9`, the process alone.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal_one("KILL");
            clock::until(2_000, || process.ended());
        }
    }

    /// A signal to the running process.
    pub fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            process.signal_one(name);
        }
    }

    /// Asks it to end, as a service manager does.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|p| p.ended().is_none())
    }

    /// Leaves it running after this program.
    pub fn keep(&mut self) {
        std::mem::forget(self.process.take());
    }

    /// A command of a person, without judging its end.
    pub fn ask(&self, who: Person, args: &[&str]) -> Result<(Option<i32>, String, String)> {
        let mut command = match who {
            Person::Operator => Command::new(&self.binary),
            Person::Approver => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", APPROVER, "--regid", "0", "--clear-groups"]).arg(&self.binary);
                command
            }
        };
        command.args(args).env("SUIMON_SOCKET", self.data().join("suimon.sock"));
        proc::output(&mut command)
    }

    /// A command that must succeed; its one JSON object.
    pub fn json(&self, who: Person, args: &[&str]) -> Result<Value> {
        let args = [args, &["--json"]].concat();
        let (code, out, err) = self.ask(who, &args)?;
        ensure!(code == Some(0), "suimon {}: exit code {code:?}: {out}{err}", args.join(" "));
        serde_json::from_str(&out).with_context(|| out)
    }
}

/// The last lines of a log, without colours.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(4)).copied().collect::<Vec<_>>().join(" / ");
    let mut plain = String::new();
    let mut colour = false;
    for c in last.chars() {
        match c {
            '\u{1b}' => colour = true,
            'm' if colour => colour = false,
            c if !colour => plain.push(c),
            _ => {}
        }
    }
    plain
}
