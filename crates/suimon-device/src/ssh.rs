//! How OpenSSH's client is started: nothing of the user's own configuration, one key, one file of pinned host keys.

use crate::error::{DeviceError, words};
use crate::names::{is_plain, is_plain_path};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds until a connection must stand.
const CONNECT_S: u64 = 10;
/// Seconds between two signs of life, and how many may be missed.
const ALIVE_S: u64 = 5;
const ALIVE_MISSED: u64 = 3;

/// Where a router is and how one gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    /// Its management address.
    pub address: IpAddr,
    /// TCP port.
    pub port: u16,
    /// User on the router.
    pub user: String,
    /// Private key; readable by its owner only.
    pub key_file: PathBuf,
    /// Pinned host keys in OpenSSH's format; writable by its owner only.
    pub known_hosts_file: PathBuf,
    /// Seconds in which a step that reads must be answered; one that changes has twice as long.
    pub answer_s: u32,
}

/// What runs at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshMode<'a> {
    /// One command, without a terminal.
    Command(&'a str),
    /// The login shell on a terminal: a router's command line.
    Terminal,
    /// A subsystem by its name (RFC 4254 section 6.5).
    Subsystem(&'a str),
}

impl SshTarget {
    /// Address and port for people.
    pub fn place(&self) -> String {
        std::net::SocketAddr::new(self.address, self.port).to_string()
    }

    pub(crate) fn read_s(&self) -> u64 {
        self.answer_s.into()
    }

    pub(crate) fn change_s(&self) -> u64 {
        self.read_s() * 2
    }

    /// Refuses names that would be more than names, and files that others may read or change.
    ///
    /// # Errors
    /// [`DeviceError::Config`] naming the file or value.
    pub fn check(&self) -> Result<(), DeviceError> {
        if !is_plain(&self.user) {
            return Err(DeviceError::Config(format!("user {:?}: letters, digits and -._ only", self.user)));
        }
        secret(&self.key_file, 0o077, "key-file", "readable by its owner only (chmod 600)")?;
        secret(&self.known_hosts_file, 0o022, "known-hosts-file", "writable by its owner only (chmod 644)")
    }

    /// The client's command line, ready to start.
    pub(crate) fn command(&self, mode: SshMode<'_>) -> Command {
        let mut c = Command::new("ssh");
        // No agent, no askpass, no locale and no surprise from whoever started the daemon.
        c.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C").env("TERM", "dumb");
        c.args(["-F", "/dev/null"]);
        let known = self.known_hosts_file.display();
        let tty = if mode == SshMode::Terminal { "force" } else { "no" };
        let options = [
            "BatchMode=yes".into(),
            "StrictHostKeyChecking=yes".into(),
            format!("UserKnownHostsFile={known}"),
            "GlobalKnownHostsFile=/dev/null".into(),
            "UpdateHostKeys=no".into(),
            "VerifyHostKeyDNS=no".into(),
            "CheckHostIP=no".into(),
            "IdentitiesOnly=yes".into(),
            "IdentityAgent=none".into(),
            "PreferredAuthentications=publickey".into(),
            "ControlMaster=no".into(),
            "ControlPath=none".into(),
            "ClearAllForwardings=yes".into(),
            "ForwardAgent=no".into(),
            "PermitLocalCommand=no".into(),
            "EscapeChar=none".into(),
            "LogLevel=ERROR".into(),
            format!("RequestTTY={tty}"),
            format!("ConnectTimeout={CONNECT_S}"),
            format!("ServerAliveInterval={ALIVE_S}"),
            format!("ServerAliveCountMax={ALIVE_MISSED}"),
        ];
        for o in options {
            c.arg("-o").arg(o);
        }
        c.arg("-i").arg(&self.key_file).arg("-l").arg(&self.user).args(["-p", &self.port.to_string()]);
        if matches!(mode, SshMode::Subsystem(_)) {
            c.arg("-s");
        }
        c.arg("--").arg(self.address.to_string());
        match mode {
            SshMode::Command(text) | SshMode::Subsystem(text) => {
                c.arg(text);
            }
            SshMode::Terminal => {}
        }
        c
    }

    /// What the end of the client means. `said` is its standard error.
    pub(crate) fn ended(&self, step: &str, said: &str) -> DeviceError {
        let place = self.place();
        let has = |s: &str| said.contains(s);
        if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            return DeviceError::HostKey { place, reason: "it is not the key that is pinned".into() };
        }
        if has("host key is known for") || has("Host key verification failed") {
            return DeviceError::HostKey { place, reason: "no key of this router is pinned".into() };
        }
        if has("Permission denied") || has("Too many authentication failures") {
            return DeviceError::Login { place, reason: words(said, 200) };
        }
        let reason = if said.trim().is_empty() { "the session ended".into() } else { words(said, 200) };
        DeviceError::Lost { place, step: step.into(), reason }
    }
}

fn secret(path: &Path, forbidden: u32, what: &str, rule: &str) -> Result<(), DeviceError> {
    let shown = path.display().to_string();
    if !is_plain_path(&shown) {
        return Err(DeviceError::Config(format!("{what} {shown:?}: an absolute path of letters, digits and -._/+")));
    }
    let meta = std::fs::metadata(path).map_err(|e| DeviceError::Config(format!("{what} {shown}: {e}")))?;
    if !meta.is_file() {
        return Err(DeviceError::Config(format!("{what} {shown}: not a file")));
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(DeviceError::Config(format!("{what} {shown}: mode {mode:o}; it must be {rule}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_no_option_from_a_name() {
        let mut target = SshTarget {
            address: "192.0.2.1".parse().unwrap(),
            port: 22,
            user: "-oProxyCommand=true".into(),
            key_file: "/nowhere/key".into(),
            known_hosts_file: "/nowhere/known".into(),
            answer_s: 30,
        };
        assert!(matches!(target.check(), Err(DeviceError::Config(m)) if m.contains("user")));
        target.user = "suimon".into();
        assert!(matches!(target.check(), Err(DeviceError::Config(m)) if m.contains("key-file /nowhere/key")));
        let args: Vec<_> = target.command(SshMode::Subsystem("netconf")).get_args().map(|a| a.to_owned()).collect();
        assert_eq!(args[args.len() - 3..], ["--", "192.0.2.1", "netconf"]);
    }

    #[test]
    fn the_end_of_the_client_is_told_apart() {
        let target = SshTarget {
            address: "2001:db8::1".parse().unwrap(),
            port: 830,
            user: "suimon".into(),
            key_file: "/k".into(),
            known_hosts_file: "/h".into(),
            answer_s: 30,
        };
        let of = |said: &str| target.ended("hello", said);
        assert!(matches!(of("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @"), DeviceError::HostKey { .. }));
        assert!(matches!(of("No ED25519 host key is known for 192.0.2.1"), DeviceError::HostKey { .. }));
        assert!(matches!(of("suimon@r: Permission denied (publickey)."), DeviceError::Login { .. }));
        assert!(of("connect: Connection refused").is_worth_a_retry());
        assert_eq!(of("").to_string(), "[2001:db8::1]:830: the session ended while: hello");
    }
}
