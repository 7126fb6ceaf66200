//! The programs of the lab: which are wanted, and how each is started.

use crate::attack::Attack;
use crate::clock;
use crate::configs;
use crate::net::{self, Net};
use crate::proc::{self, Proc};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs without which there is no lab. `cargo xtask setup` installs them.
pub const PROGRAMS: &[&str] = &[
    "ip",
    "tc",
    "nsenter",
    "sysctl",
    "nft",
    "bird",
    "birdc",
    "gobgpd",
    "gobgp",
    "exabgp",
    "vtysh",
    "sshd",
    "ssh",
    "ssh-keygen",
    "softflowd",
    "pmacctd",
    "unbound",
    "nginx",
    "curl",
    "dig",
    "tcpreplay",
    "setpriv",
    "chown",
    "umount",
];
/// FRR's daemons lie outside of any path.
const FRR: &str = "/usr/lib/frr";

/// Why this machine cannot hold the lab; `None` where it can.
pub fn impossible() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).collect();
    let missing: Vec<&str> =
        PROGRAMS.iter().copied().filter(|p| !folders.iter().any(|d| d.join(p).is_file())).collect();
    if !missing.is_empty() {
        return Some(format!("not installed: {} (`cargo xtask setup`)", missing.join(", ")));
    }
    if !Path::new(FRR).join("bgpd").is_file() {
        return Some("FRR's bgpd is not installed (`cargo xtask setup`)".into());
    }
    // Made, used and removed: what is refused here would be refused in the middle.
    let probe = format!("suimon-probe-{}", std::process::id());
    let try_it =
        |args: &[&str]| proc::output(Command::new("ip").args(args)).map(|(code, _, err)| (code == Some(0), err));
    let made = match try_it(&["netns", "add", &probe]) {
        Ok((true, _)) => {
            let bridge = try_it(&["-n", &probe, "link", "add", "switch", "type", "bridge"]);
            let nft = proc::output(
                Command::new("nsenter").arg(format!("--net=/run/netns/{probe}")).args(["nft", "list", "ruleset"]),
            );
            match (bridge, nft) {
                (Ok((true, _)), Ok((Some(0), _, _))) => None,
                (Ok((_, said)), _) => Some(format!("no bridge or no nftables in a network namespace: {}", said.trim())),
                (Err(e), _) => Some(e.to_string()),
            }
        }
        Ok((false, said)) => Some(format!("network namespaces are not allowed here: {}", said.trim())),
        Err(e) => Some(e.to_string()),
    };
    // It may not have come into being.
    let _ = try_it(&["netns", "delete", &probe]);
    made
}

/// Everything that runs in the lab but Suimon, the attacks and the clients.
#[derive(Debug)]
pub struct Scenery {
    /// Namespaces.
    pub net: Net,
    running: BTreeMap<&'static str, Proc>,
}

impl Scenery {
    /// Namespaces and all programs.
    pub fn up() -> Result<Scenery> {
        let mut s = Scenery { net: Net::up()?, running: BTreeMap::new() };
        let folder = s.folder();
        std::fs::create_dir_all("/run/sshd").context("sshd's own folder")?;
        for sub in ["keys", "edge1/bin", "edge2/bin", "frr/vty", "servers", "attacks"] {
            std::fs::create_dir_all(folder.join(sub)).with_context(|| sub.to_owned())?;
        }
        s.make_keys()?;
        for edge in ["edge1", "edge2"] {
            s.write(&format!("{edge}/shell"), &configs::shell(&folder.join(edge)), 0o755)?;
            s.write(&format!("{edge}/bin/nft"), &configs::nft(&folder.join(edge)), 0o755)?;
        }
        s.set_prefix_limit(configs::PREFIX_LIMIT)?;
        for (n, edge) in ["edge1", "edge2"].iter().enumerate() {
            let text = configs::sshd(net::EDGES[n], &folder.join("keys"), &folder.join(edge).join("shell"));
            s.write(&format!("{edge}/sshd_config"), &text, 0o600)?;
        }
        s.write("gobgp.toml", &configs::gobgp(), 0o644)?;
        s.write("exabgp-seen.sh", &configs::exabgp_helper(&folder.join("exabgp.seen")), 0o755)?;
        s.write("exabgp.conf", &configs::exabgp(&folder.join("exabgp-seen.sh")), 0o644)?;
        s.write("edge2/pmacctd.conf", &configs::pmacctd(), 0o644)?;
        s.write("servers/unbound.conf", &configs::unbound(&folder.join("servers")), 0o644)?;
        s.write("servers/nginx.conf", &configs::nginx(&folder.join("servers")), 0o644)?;
        Attack::write_captures(&folder.join("attacks"))?;
        for name in ALL {
            s.start(name)?;
        }
        s.ready()?;
        Ok(s)
    }

    /// The lab's files.
    pub fn folder(&self) -> PathBuf {
        self.net.folder()
    }

    /// A file of the lab.
    pub fn write(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.folder().join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    fn make_keys(&self) -> Result<()> {
        let keys = self.folder().join("keys");
        for key in ["host", "other", "client"] {
            proc::run(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
                    .arg(keys.join(key)),
            )?;
        }
        self.pin("host")
    }

    /// Pins one of the host keys for both edge routers.
    pub fn pin(&self, key: &str) -> Result<()> {
        let public = std::fs::read_to_string(self.folder().join(format!("keys/{key}.pub")))?;
        self.write("keys/known", &format!("{},{} {public}", net::EDGES[0], net::EDGES[1]), 0o644)
    }

    /// Configurations of BIRD and FRR with this limit of prefixes; takes effect with their next start.
    pub fn set_prefix_limit(&self, limit: u32) -> Result<()> {
        self.write("bird.conf", &configs::bird(limit), 0o644)?;
        self.write("frr/frr.conf", &configs::frr(limit), 0o644)?;
        proc::run(Command::new("chown").args(["-R", "frr:frr"]).arg(self.folder().join("frr")))?;
        Ok(())
    }

    /// Starts a program that is not running.
    pub fn start(&mut self, name: &'static str) -> Result<()> {
        let command = &mut self.command_of(name);
        let log = self.folder().join(format!("{name}.log"));
        if let Some(mut old) = self.running.remove(name) {
            ensure!(old.ended().is_some(), "{name} runs already");
        }
        self.running.insert(name, Proc::start(command, &log)?);
        if name == "zebra" {
            // The others connect to its socket once.
            let socket = self.folder().join("frr/zserv");
            clock::until(5_000, || socket.exists().then_some(())).context("zebra does not listen")?;
        }
        Ok(())
    }

    /// Kills a program.
    pub fn kill(&mut self, name: &str) {
        self.running.remove(name);
        if name == "zebra" {
            // A socket of the dead one would pass for the next one's.
            let _ = std::fs::remove_file(self.folder().join("frr/zserv"));
        }
    }

    /// The process of a program.
    pub fn process(&self, name: &str) -> Result<&Proc> {
        self.running.get(name).with_context(|| format!("{name} does not run"))
    }

    fn command_of(&self, name: &str) -> Command {
        let d = self.folder();
        let path = |file: &str| d.join(file).display().to_string();
        let (role, program, args): (&str, String, Vec<String>) = match name {
            "bird" => (
                "edge1",
                "bird".into(),
                vec!["-f".into(), "-c".into(), path("bird.conf"), "-s".into(), path("bird.ctl")],
            ),
            "zebra" | "staticd" | "bgpd" => {
                let mut args = vec!["-f".into(), path("frr/frr.conf"), "-i".into(), path(&format!("frr/{name}.pid"))];
                args.extend([
                    "-z".into(),
                    path("frr/zserv"),
                    "-P".into(),
                    "0".into(),
                    "--vty_socket".into(),
                    path("frr/vty"),
                ]);
                if name == "bgpd" {
                    args.extend(["-l".into(), net::EDGES[1].into()]);
                }
                ("edge2", format!("{FRR}/{name}"), args)
            }
            "gobgpd" => {
                let args = vec!["-f".into(), path("gobgp.toml"), "--api-hosts".into(), "127.0.0.1:50051".into()];
                ("transit", "gobgpd".into(), args)
            }
            "exabgp" => ("management", "exabgp".into(), vec![path("exabgp.conf")]),
            "sshd1" | "sshd2" => {
                let edge = if name == "sshd1" { "edge1" } else { "edge2" };
                (
                    edge,
                    "/usr/sbin/sshd".into(),
                    vec!["-D".into(), "-e".into(), "-f".into(), path(&format!("{edge}/sshd_config"))],
                )
            }
            "softflowd" => {
                let to = format!("{}:2055", net::SUIMON);
                let words = ["-i", "wan", "-n", &to, "-v", "9", "-d", "-p", "none", "-c", "none", "-m", "100000"];
                let times = ["-t", "maxlife=1", "-t", "expint=1"];
                ("edge1", "softflowd".into(), words.iter().chain(&times).map(|s| (*s).to_owned()).collect())
            }
            "pmacctd" => ("edge2", "pmacctd".into(), vec!["-f".into(), path("edge2/pmacctd.conf")]),
            "unbound" => ("customer", "unbound".into(), vec!["-d".into(), "-c".into(), path("servers/unbound.conf")]),
            _ => (
                "customer",
                "nginx".into(),
                vec!["-e".into(), path("servers/nginx.error"), "-c".into(), path("servers/nginx.conf")],
            ),
        };
        let mut command = self.net.command(role, &program);
        command.args(args).current_dir(&d);
        if name == "exabgp" {
            let settings = [
                ("exabgp.daemon.user", "root"),
                ("exabgp.tcp.bind", net::WATCH),
                ("exabgp.tcp.port", "179"),
                ("exabgp.daemon.daemonize", "false"),
                ("exabgp.daemon.drop", "false"),
                ("exabgp.log.all", "false"),
                ("exabgp.api.cli", "false"),
            ];
            command.envs(settings);
        }
        command
    }

    fn ready(&self) -> Result<()> {
        let listens = |role: &str, address: &str| {
            let (_, out, _) = proc::output(self.net.command(role, "ss").args(["-Hlntu"])).unwrap_or_default();
            out.contains(address)
        };
        for (role, address) in [
            ("edge1", ":179"),
            ("edge2", "192.0.2.2:179"),
            ("transit", "192.0.2.3:179"),
            ("management", "192.0.2.20:179"),
            ("edge1", "192.0.2.1:22"),
            ("edge2", "192.0.2.2:22"),
            ("customer", "203.0.113.53:53"),
            ("customer", "203.0.113.80:80"),
        ] {
            let found = clock::until(20_000, || listens(role, address).then_some(()));
            found.with_context(|| {
                format!("nobody listens on {address} in {role}: see the logs in {}", self.folder().display())
            })?;
        }
        Ok(())
    }

    /// Lets everything run on after this program.
    pub fn keep(mut self) {
        self.net.keep();
        for process in std::mem::take(&mut self.running).into_values() {
            std::mem::forget(process);
        }
    }
}

/// Every program, in the order of starting.
pub const ALL: &[&str] = &[
    "bird",
    "zebra",
    "staticd",
    "bgpd",
    "gobgpd",
    "exabgp",
    "sshd1",
    "sshd2",
    "softflowd",
    "pmacctd",
    "unbound",
    "nginx",
];
