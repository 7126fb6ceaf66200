//! A router of the test: sshd on a free port of 127.0.0.1 in front of a network namespace.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use suimon_base::{MeasureId, RuleSet};
use suimon_device::SshTarget;
use suimon_filter::compile::{Options, compile};
use suimon_filter::dialect::Dialect;
use suimon_spine::ports::Order;
use suimon_testkit::{KilledOnDrop, free_tcp_port, program_or_skip, skip};

/// What answers behind sshd.
pub enum Behind<'a> {
    /// A shell in the namespace.
    Shell,
    /// This command, whatever the client asks for.
    Command(&'a str),
    /// This command as subsystem `netconf`.
    Netconf(&'a str),
}

pub struct Router {
    pub dir: tempfile::TempDir,
    pub port: u16,
    sshd: Option<KilledOnDrop>,
    namespace: Option<KilledOnDrop>,
}

fn run(command: &mut Command) -> String {
    let out = command.output().expect("the program starts");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("a file of the test");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

/// Host and client keys, made once for all tests of the process: files by name, text and mode.
fn keys() -> &'static [(String, String, u32)] {
    static KEYS: OnceLock<Vec<(String, String, u32)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let mut out = Vec::new();
        for key in ["host", "other", "client"] {
            let path = dir.path().join(key);
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(&path));
            for (name, mode) in [(key.to_owned(), 0o600), (format!("{key}.pub"), 0o644)] {
                out.push((name.clone(), std::fs::read_to_string(dir.path().join(name)).expect("a key"), mode));
            }
        }
        out
    })
}

impl Router {
    /// `None`, visibly, where programs or rights are absent.
    pub fn start(test: &str, behind: &Behind<'_>) -> Option<Router> {
        for program in ["sshd", "ssh", "ssh-keygen", "nft", "unshare", "nsenter", "ip"] {
            if !program_or_skip(test, program) {
                return None;
            }
        }
        let probe = Command::new("unshare").args(["-n", "nft", "list", "ruleset"]).output().expect("unshare starts");
        if !probe.status.success() {
            skip(test, "no right to make a network namespace with nftables");
            return None;
        }
        // sshd's own folder for its unprivileged half; the package makes it at boot.
        std::fs::create_dir_all("/run/sshd").ok()?;
        let dir = tempfile::tempdir().expect("a folder of the test");
        let mut router = Router { dir, port: free_tcp_port(), sshd: None, namespace: None };
        for (name, text, mode) in keys() {
            write(&router.path(name), text, *mode);
        }
        router.pin("host");
        router.write_shell(behind);
        router.power_on();
        router.listen(behind);
        Some(router)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Pins one of the host keys for the address.
    pub fn pin(&self, key: &str) {
        let public = std::fs::read_to_string(self.path(&format!("{key}.pub"))).expect("a public key");
        write(&self.path("known_hosts"), &format!("[127.0.0.1]:{} {public}", self.port), 0o644);
    }

    fn write_shell(&self, behind: &Behind<'_>) {
        let d = self.dir.path().display();
        let command = match behind {
            Behind::Shell => "sh -c \"${SSH_ORIGINAL_COMMAND:-sh}\"".to_owned(),
            Behind::Command(c) | Behind::Netconf(c) => (*c).to_owned(),
        };
        let shell = format!(
            "#!/bin/sh\necho $PPID > {d}/session\necho x >> {d}/sessions\nPATH={d}/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\n\
             exec nsenter -t $(cat {d}/ns) -n {command}\n"
        );
        write(&self.path("shell"), &shell, 0o755);
        std::fs::create_dir(self.path("bin")).expect("a folder");
        // The real nft, and what may go wrong around it.
        let nft = format!(
            r#"#!/bin/sh
fault=$(cat {d}/fault 2>/dev/null)
case "$fault $1" in
"hang -j") sleep 20 ;;
"flood -j") exec yes "a line of a flood that never ends, again and again and again and again" ;;
"refuse -f") rm {d}/fault; echo "Error: Could not process rule: Operation not supported" >&2; exit 1 ;;
"half -f") rm {d}/fault; /usr/sbin/nft "$@"; s=$?; /usr/sbin/nft flush chain inet suimon_m_12 prerouting; exit $s ;;
"cut -f") rm {d}/fault; /usr/sbin/nft "$@"; kill -9 $(cat {d}/session); exit 0 ;;
"cut-before -f") rm {d}/fault; kill -9 $(cat {d}/session); exit 0 ;;
esac
exec /usr/sbin/nft "$@"
"#
        );
        write(&self.path("bin/nft"), &nft, 0o755);
    }

    /// A namespace that holds nothing, as after a restart; routes and tables of an earlier one are gone.
    pub fn power_on(&mut self) {
        self.namespace = None;
        let child = suimon_testkit::start_quietly(Command::new("unshare").args(["-n", "sleep", "1000"]));
        let child = child.expect("unshare starts");
        let own = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
        let ns = format!("/proc/{}/ns/net", child.0.id());
        for _ in 0..200 {
            if std::fs::read_link(&ns).is_ok_and(|n| n != own) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        write(&self.path("ns"), &child.0.id().to_string(), 0o644);
        self.namespace = Some(child);
        self.inside("ip", &["link", "set", "lo", "up"]);
        self.inside("ip", &["address", "add", "192.0.2.9/32", "dev", "lo"]);
    }

    fn listen(&mut self, behind: &Behind<'_>) {
        let d = self.dir.path().display();
        let (subsystem, force) = match behind {
            Behind::Netconf(_) => (format!("Subsystem netconf {d}/shell\n"), String::new()),
            _ => (String::new(), format!("ForceCommand {d}/shell\n")),
        };
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {d}/host\nAuthorizedKeysFile {d}/client.pub\nStrictModes no\n\
             UsePAM no\nPidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nPrintMotd no\nPrintLastLog no\nMaxStartups 100\nKexAlgorithms curve25519-sha256\n{subsystem}{force}",
            self.port
        );
        write(&self.path("sshd_config"), &config, 0o600);
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-e").arg("-f").arg(self.path("sshd_config"));
        let log = std::fs::File::create(self.path("sshd.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.sshd = Some(KilledOnDrop(command.spawn().expect("sshd starts")));
        for _ in 0..300 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("sshd does not listen: {}", std::fs::read_to_string(self.path("sshd.log")).unwrap_or_default());
    }

    /// Pulls the cable: nobody listens any more.
    pub fn unplug(&mut self) {
        self.sshd = None;
    }

    pub fn plug_in(&mut self, behind: &Behind<'_>) {
        self.listen(behind);
    }

    pub fn fault(&self, name: &str) {
        write(&self.path("fault"), name, 0o644);
    }

    /// Sessions since the start.
    pub fn sessions(&self) -> usize {
        std::fs::read_to_string(self.path("sessions")).unwrap_or_default().lines().count()
    }

    /// Runs a program in the namespace, as a person at the router's console would.
    pub fn inside(&self, program: &str, args: &[&str]) -> String {
        let pid = std::fs::read_to_string(self.path("ns")).expect("a namespace");
        run(Command::new("nsenter").args(["-t", pid.trim(), "-n", program]).args(args))
    }

    pub fn target(&self) -> SshTarget {
        let user = run(Command::new("id").arg("-un")).trim().to_owned();
        SshTarget {
            address: "127.0.0.1".parse().expect("an address"),
            port: self.port,
            user,
            key_file: self.path("client"),
            known_hosts_file: self.path("known_hosts"),
            answer_s: 10,
        }
    }
}

pub fn rules(json: &str) -> RuleSet {
    serde_json::from_str(&format!("{{\"rules\":[{json}]}}")).expect("rules")
}

/// UDP to 192.0.2.9 from anywhere.
pub fn udp() -> RuleSet {
    rules(r#"{"matches":{"dst":["192.0.2.9/32"],"proto":17},"action":"discard"}"#)
}

pub fn order(id: u64, rules: RuleSet, dialect: Dialect) -> Order {
    let id = MeasureId(id);
    let options = Options {
        name: suimon_device::list_name(id),
        case: Some("C-1".into()),
        end: Some("2027-01-01T00:00:00Z".into()),
        ..Options::default()
    };
    let c = compile(&rules, dialect, &options).expect("the compiler writes it");
    Order { id, rules, text: c.text, undo: c.undo }
}
