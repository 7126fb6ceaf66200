//! Programs that the lab starts, each in a process group of its own, all killed with the lab.

use anyhow::{Context as _, Result};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running program.
#[derive(Debug)]
pub struct Proc {
    child: Child,
}

impl Proc {
    /// Starts it with both outputs in `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Proc> {
        let file = File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        Ok(Proc { child: command.spawn().with_context(|| shown(command))? })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|s| s.to_string())
    }

    /// Sends a signal to it and everything that it started.
    pub fn signal(&self, name: &str) {
        kill(name, &format!("-{}", self.pid()));
    }

    /// Sends a signal to it alone.
    pub fn signal_one(&self, name: &str) {
        kill(name, &self.pid().to_string());
    }

    /// Asks it to end, and kills it after three seconds.
    pub fn stop(mut self) {
        self.signal_one("TERM");
        crate::clock::until(3_000, || self.ended());
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.signal("KILL");
        // It is dead; its number is given back here.
        let _ = self.child.wait();
    }
}

/// `kill -s NAME -- WHOM`; whom it no longer finds needs nothing.
pub fn kill(name: &str, whom: &str) {
    let _ = Command::new("kill").args(["-s", name, "--", whom]).stderr(Stdio::null()).status();
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a program to its end: exit code and both outputs.
pub fn output(command: &mut Command) -> Result<(Option<i32>, String, String)> {
    let out = command.stdin(Stdio::null()).output().with_context(|| shown(command))?;
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Ok((out.status.code(), text(&out.stdout), text(&out.stderr)))
}

/// As [`output`], which must succeed; standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let (code, out, err) = output(command)?;
    anyhow::ensure!(code == Some(0), "{}: {err}{out}", shown(command));
    Ok(out)
}
