//! Namespaces, links and addresses.
//!
//! ```text
//!  attacker ─┐                 ┌─ edge1 (BIRD, nftables, softflowd) ─┐
//!            ├─ transit (GoBGP)┤                                     ├─ customer (web, DNS)
//!  client  ──┘                 └─ edge2 (FRR, nftables, pmacctd) ────┘
//!                                   management (Suimon, ExaBGP): a switch to edge1, edge2 and transit
//! ```

use crate::proc;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where running labs keep their files: one folder each, named by the number of the lab's process.
pub const FOLDER: &str = "/run/suimon-lab";
/// The namespaces.
pub const ROLES: [&str; 7] = ["attacker", "client", "transit", "edge1", "edge2", "customer", "management"];

/// Suimon.
pub const SUIMON: &str = "192.0.2.10";
/// ExaBGP, which only watches.
pub const WATCH: &str = "192.0.2.20";
/// Edge 1 and 2 and transit in the management network.
pub const EDGES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
/// See [`EDGES`].
pub const TRANSIT: &str = "192.0.2.3";
/// The customer's web server, behind edge 1.
pub const WEB: &str = "203.0.113.80";
/// The customer's DNS server, behind edge 2.
pub const DNS: &str = "203.0.113.53";
/// Hosts of the customer that may be given up, behind edge 1 and edge 2.
pub const SPARE: [&str; 2] = ["203.0.113.66", "203.0.113.69"];
/// Octets a second ×8 of the customer's line to edge 1: an attack fills it.
const LINE: &str = "10mbit";

/// A link: (namespace, interface, address/length) at both ends.
type End = (&'static str, &'static str, &'static str);
const LINKS: [(End, End); 9] = [
    (("attacker", "wan", "198.51.100.130/30"), ("transit", "attacker", "198.51.100.129/30")),
    (("client", "wan", "198.51.100.10/30"), ("transit", "client", "198.51.100.9/30")),
    (("transit", "edge1", "192.0.2.129/30"), ("edge1", "wan", "192.0.2.130/30")),
    (("transit", "edge2", "192.0.2.133/30"), ("edge2", "wan", "192.0.2.134/30")),
    (("edge1", "lan", "192.0.2.137/30"), ("customer", "edge1", "192.0.2.138/30")),
    (("edge2", "lan", "192.0.2.141/30"), ("customer", "edge2", "192.0.2.142/30")),
    (("edge1", "mgmt", "192.0.2.1/25"), ("management", "edge1", "")),
    (("edge2", "mgmt", "192.0.2.2/25"), ("management", "edge2", "")),
    (("transit", "mgmt", "192.0.2.3/25"), ("management", "transit", "")),
];
/// The attacker's next hop, to whom the frames of an attack are addressed.
pub const ATTACKED_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// What `ip` is told in each namespace once the links are there.
const SETTINGS: [(&str, &str); 7] = [
    ("attacker", "route add default via 198.51.100.129"),
    ("client", "route add default via 198.51.100.9"),
    (
        "transit",
        "link set attacker address 02:00:00:00:00:01\nroute add 203.0.113.0/24 via 192.0.2.130\n\
         route add 203.0.113.53 via 192.0.2.134\nroute add 203.0.113.69 via 192.0.2.134\n\
         route add 198.18.0.0/15 via 198.51.100.130",
    ),
    ("edge1", "route add default via 192.0.2.129\nroute add 203.0.113.0/24 via 192.0.2.138"),
    ("edge2", "route add default via 192.0.2.133\nroute add 203.0.113.0/24 via 192.0.2.142"),
    (
        "customer",
        "addr add 203.0.113.80/32 dev lo\naddr add 203.0.113.53/32 dev lo\naddr add 203.0.113.66/32 dev lo\n\
         addr add 203.0.113.69/32 dev lo\nroute add default via 192.0.2.137\nrule add from 203.0.113.53 table 2\n\
         rule add from 203.0.113.69 table 2\nroute add default via 192.0.2.141 table 2",
    ),
    (
        "management",
        "link add switch type bridge\nlink set switch up\nlink set edge1 master switch\nlink set edge2 master switch\n\
         link set transit master switch\naddr add 192.0.2.10/25 dev switch\naddr add 192.0.2.20/25 dev switch",
    ),
];

/// The namespaces of one lab; gone when dropped, unless kept.
#[derive(Debug)]
pub struct Net {
    tag: String,
    kept: bool,
}

impl Net {
    /// Builds everything.
    pub fn up() -> Result<Net> {
        let net = Net { tag: std::process::id().to_string(), kept: false };
        std::fs::create_dir_all(net.folder()).with_context(|| net.folder().display().to_string())?;
        for role in ROLES {
            proc::run(Command::new("ip").args(["netns", "add", &net.name(role)]))?;
            // Attack packets come with any source: reverse path filters would drop them before anybody else.
            let settings =
                ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"];
            proc::run(net.command(role, "sysctl").arg("-qw").args(settings))?;
            net.ip(role, "link set lo up")?;
        }
        for ((a, a_if, a_addr), (b, b_if, b_addr)) in LINKS {
            net.ip(a, &format!("link add {a_if} type veth peer name {b_if} netns {}", net.name(b)))?;
            for (role, interface, address) in [(a, a_if, a_addr), (b, b_if, b_addr)] {
                let address =
                    if address.is_empty() { String::new() } else { format!("\naddr add {address} dev {interface}") };
                net.ip(role, &format!("link set {interface} up{address}"))?;
            }
        }
        for (role, settings) in SETTINGS {
            net.ip(role, settings)?;
        }
        let shape = ["qdisc", "add", "dev", "lan", "root", "tbf", "rate", LINE, "burst", "32kb", "latency", "40ms"];
        proc::run(net.command("edge1", "tc").args(shape)).context("the customer's line")?;
        Ok(net)
    }

    /// Leaves everything up when this is dropped.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// The lab's files.
    pub fn folder(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.tag)
    }

    /// A namespace's name.
    pub fn name(&self, role: &str) -> String {
        format!("suimon-lab-{}-{role}", self.tag)
    }

    /// A program in a namespace.
    pub fn command(&self, role: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name(role))).arg(program);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command
    }

    /// Several lines for `ip` in a namespace.
    pub fn ip(&self, role: &str, lines: &str) -> Result<()> {
        for line in lines.lines() {
            proc::run(Command::new("ip").args(["-n", &self.name(role)]).args(line.split_whitespace()))?;
        }
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if !self.kept {
            remove(&self.tag);
        }
    }
}

/// Labs that have left something, by the number of their process, and whether that process lives.
pub fn labs() -> Vec<(String, bool)> {
    let mut tags = std::collections::BTreeSet::new();
    for (folder, namespaces) in [("/run/netns", true), (FOLDER, false)] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let tag = if namespaces {
                name.strip_prefix("suimon-lab-").and_then(|n| n.split('-').next()).map(str::to_owned)
            } else {
                Some(name)
            };
            tags.extend(tag.filter(|t| t.chars().all(|c| c.is_ascii_digit())));
        }
    }
    tags.into_iter().map(|t| (t.clone(), Path::new("/proc").join(&t).exists())).collect()
}

/// Removes what labs left whose process is gone, and with `all` every lab; how many.
pub fn clear_stale(all: bool) -> usize {
    let stale: Vec<_> = labs().into_iter().filter(|(_, lives)| all || !lives).collect();
    for (tag, _) in &stale {
        remove(tag);
    }
    stale.len()
}

/// Ends what runs in the namespaces of a lab and removes them with its files.
fn remove(tag: &str) {
    let quietly = |args: &[&str]| {
        let out = Command::new("ip").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output();
        out.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
    };
    for role in ROLES {
        let name = format!("suimon-lab-{tag}-{role}");
        if !Path::new("/run/netns").join(&name).exists() {
            continue;
        }
        for pid in quietly(&["netns", "pids", &name]).split_whitespace() {
            proc::kill("KILL", pid);
        }
        quietly(&["netns", "delete", &name]);
    }
    let folder = Path::new(FOLDER).join(tag);
    // A small disk that a fault mounted there.
    let _ = Command::new("umount").arg("-l").arg(folder.join("disk")).stderr(Stdio::null()).status();
    // What cannot be removed is seen by the next `--down`.
    let _ = std::fs::remove_dir_all(folder);
}
