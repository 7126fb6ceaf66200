//! GoBGP, BIRD and FRR as they are installed, each listening on a free port of the loopback.

use crate::setup::{SOURCE, wait};
use std::path::Path;
use std::process::{Command, Stdio};
use suimon_testkit::KilledOnDrop;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gobgp,
    Bird,
    Frr,
}

pub struct Daemon {
    pub kind: Kind,
    /// Where it listens.
    pub address: &'static str,
    pub port: u16,
    pub asn: u32,
    api: String,
    folder: tempfile::TempDir,
    _process: KilledOnDrop,
}

const BGPD: &str = "/usr/lib/frr/bgpd";

fn output(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().expect("the program starts");
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

fn here(test: &str, kind: Kind) -> bool {
    let has = |program| suimon_testkit::program_or_skip(test, program);
    match kind {
        Kind::Gobgp => has("gobgpd") && has("gobgp"),
        Kind::Bird => has("bird") && has("birdc"),
        Kind::Frr if !Path::new(BGPD).is_file() => {
            suimon_testkit::skip(test, "bgpd of FRR is not installed");
            false
        }
        Kind::Frr => has("vtysh"),
    }
}

const FAMILIES: [&str; 4] = ["ipv4-unicast", "ipv6-unicast", "ipv4-flowspec", "ipv6-flowspec"];

/// `more` are further neighbours of GoBGP: (port on 127.0.0.1 that it connects to, AS number).
fn gobgp_config(port: u16, more: &[(u16, u32)]) -> String {
    let families: String = FAMILIES
        .iter()
        .map(|f| format!("[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{f}\"\n"))
        .collect();
    let neighbour = |address: &str, asn: u32, transport: &str| {
        format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\npeer-as = {asn}\n\
             [neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n\
             [neighbors.transport.config]\n{transport}\n[neighbors.ebgp-multihop.config]\nenabled = true\n\
             multihop-ttl = 5\n{families}"
        )
    };
    let mut text = format!(
        "[global.config]\nas = 64512\nrouter-id = \"192.0.2.1\"\nport = {port}\nlocal-address-list = [\"127.0.0.1\"]\n"
    );
    text += &neighbour(SOURCE, 64500, "passive-mode = true");
    for (port, asn) in more {
        text += &neighbour("127.0.0.1", *asn, &format!("remote-port = {port}"));
    }
    text
}

fn bird_config(port: u16, extra: &str) -> String {
    let flow = |n: u8| format!("flow{n} {{ table ft{n}; import all; export none; validate off; }};\n");
    let plain = |n: u8| format!("ipv{n} {{ gateway recursive; import all; export none; }};\n");
    format!(
        "router id 192.0.2.2;\nflow4 table ft4;\nflow6 table ft6;\nprotocol device {{}}\n\
         protocol static {{ ipv4; route 192.0.2.254/32 blackhole; }}\n\
         protocol static {{ ipv6; route 2001:db8:ffff::1/128 blackhole; }}\nprotocol bgp m {{\n\
         local 127.0.0.2 port {port} as 64513;\nneighbor {SOURCE} as 64500;\nmultihop;\npassive yes;\nstrict bind yes;\n{extra}\n\
         error wait time 1,2;\n{}{}{}{}}}\n",
        plain(4),
        plain(6),
        flow(4),
        flow(6)
    )
}

fn frr_config() -> String {
    let n = format!("neighbor {SOURCE}");
    let family = |f: &str| format!("address-family {f}\n{n} activate\nexit-address-family\n");
    format!(
        "router bgp 64514\nbgp router-id 192.0.2.3\nno bgp ebgp-requires-policy\nno bgp default ipv4-unicast\n\
         {n} remote-as 64500\n{n} passive\n{n} ebgp-multihop 5\n{n} update-source 127.0.0.3\n{n} disable-connected-check\n\
         {}{}{}{}",
        family("ipv4 unicast"),
        family("ipv6 unicast"),
        family("ipv4 flowspec"),
        family("ipv6 flowspec")
    )
}

/// Where a customer of FRR comes from.
pub const CUSTOMER: &str = "127.0.0.20";
pub const CUSTOMER_AS: u32 = 64501;

/// BMP of what comes in, before and after a policy that refuses one address; and a customer.
fn frr_bmp(port: u16) -> String {
    let monitor = |f: &str, p: &str| format!("bmp monitor {f} unicast {p}-policy\n");
    format!(
        "neighbor {CUSTOMER} remote-as {CUSTOMER_AS}\nneighbor {CUSTOMER} passive\nneighbor {CUSTOMER} ebgp-multihop 5\n\
         neighbor {CUSTOMER} update-source 127.0.0.3\nneighbor {CUSTOMER} disable-connected-check\n\
         bmp targets suimon\nbmp connect 127.0.0.1 port {port} min-retry 100 max-retry 1000\n{}{}{}{}exit\n\
         address-family ipv4 unicast\nneighbor {CUSTOMER} activate\nneighbor {SOURCE} route-map IN in\n\
         neighbor {SOURCE} soft-reconfiguration inbound\n\
         exit-address-family\nexit\n\
         ip prefix-list NO seq 5 permit 198.51.100.66/32\nroute-map IN deny 5\nmatch ip address prefix-list NO\nexit\n\
         route-map IN permit 10\nexit\n",
        monitor("ipv4", "pre"),
        monitor("ipv4", "post"),
        monitor("ipv6", "pre"),
        monitor("ipv6", "post")
    )
}

fn gobgp_bmp(port: u16) -> String {
    format!(
        "[[bmp-servers]]\n[bmp-servers.config]\naddress = \"127.0.0.1\"\nport = {port}\n\
         route-monitoring-policy = \"all\"\n"
    )
}

impl Daemon {
    /// Starts one, or says visibly that it is not here.
    pub fn start(test: &str, kind: Kind, more: &[(u16, u32)]) -> Option<Daemon> {
        Self::start_with(test, kind, more, None)
    }

    /// As `start`; FRR and GoBGP tell over BMP to this port of 127.0.0.1.
    pub fn start_with(test: &str, kind: Kind, more: &[(u16, u32)], bmp: Option<u16>) -> Option<Daemon> {
        Self::start_full(test, kind, more, bmp, "")
    }

    /// BIRD with more words in its session.
    pub fn bird(test: &str, extra: &str) -> Option<Daemon> {
        Self::start_full(test, Kind::Bird, &[], None, extra)
    }

    fn start_full(test: &str, kind: Kind, more: &[(u16, u32)], bmp: Option<u16>, extra: &str) -> Option<Daemon> {
        if !here(test, kind) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = suimon_testkit::free_tcp_port();
        let api = suimon_testkit::free_tcp_port().to_string();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (program, args, address, asn, text) = match kind {
            Kind::Gobgp => {
                let args = vec!["-f".into(), path("conf"), "--api-hosts".into(), format!("127.0.0.1:{api}")];
                ("gobgpd", args, "127.0.0.1", 64512, gobgp_config(port, more) + &bmp.map(gobgp_bmp).unwrap_or_default())
            }
            Kind::Bird => {
                let args = vec!["-f".into(), "-c".into(), path("conf"), "-s".into(), path("ctl")];
                ("bird", args, "127.0.0.2", 64513, bird_config(port, extra))
            }
            Kind::Frr => {
                std::fs::create_dir(folder.path().join("vty")).unwrap();
                let words = ["-Z", "-S", "-f", &path("conf"), "-i", &path("pid"), "-z", &path("zserv"), "-P", "0"];
                let mut args: Vec<String> = words.iter().map(|s| (*s).to_owned()).collect();
                args.extend(["--vty_socket".into(), path("vty"), "-p".into(), port.to_string()]);
                args.extend(["-l".into(), "127.0.0.3".into()]);
                if bmp.is_some() {
                    args.extend(["-M".into(), "bmp".into()]);
                }
                (BGPD, args, "127.0.0.3", 64514, frr_config() + &bmp.map(frr_bmp).unwrap_or_default())
            }
        };
        std::fs::write(folder.path().join("conf"), text).unwrap();
        let process = suimon_testkit::start_quietly(Command::new(program).args(args)).unwrap();
        let daemon = Daemon { kind, address, port, asn, api, folder, _process: process };
        wait(&format!("{kind:?} answers"), || match kind {
            Kind::Gobgp => daemon.gobgp(&["neighbor"]).contains(SOURCE),
            Kind::Bird => daemon.birdc("show protocols").contains("BGP"),
            Kind::Frr => daemon.vtysh("show bgp summary").contains(SOURCE),
        });
        Some(daemon)
    }

    pub fn gobgp(&self, args: &[&str]) -> String {
        output(Command::new("gobgp").args(["-p", &self.api]).args(args))
    }
    fn birdc(&self, ask: &str) -> String {
        output(Command::new("birdc").arg("-s").arg(self.folder.path().join("ctl")).args(ask.split(' ')))
    }
    fn vtysh(&self, ask: &str) -> String {
        let vty = self.folder.path().join("vty");
        output(Command::new("vtysh").arg("--vty_socket").arg(vty).args(["-c", ask]))
    }

    /// Everything it says about the routes of all families.
    pub fn routes(&self) -> String {
        match self.kind {
            Kind::Gobgp => {
                FAMILIES.iter().map(|f| self.gobgp(&["global", "rib", "-a", &f.replace("-unicast", "")])).collect()
            }
            Kind::Bird => self.birdc("show route all"),
            Kind::Frr => [
                "show bgp ipv4 unicast 198.51.100.7/32",
                "show bgp ipv6 unicast 2001:db8::7/128",
                "show bgp ipv4 flowspec detail",
                "show bgp ipv6 flowspec detail",
            ]
            .iter()
            .map(|ask| self.vtysh(ask))
            .collect(),
        }
    }

    /// Which of the four routes of the tests are there with what was asked for them.
    pub fn has(&self) -> [bool; 4] {
        let text = self.routes();
        let all = |words: &[&str]| words.iter().all(|w| text.contains(w));
        match self.kind {
            Kind::Gobgp => [
                all(&["198.51.100.7/32", "blackhole", "no-export", "64500:1:2"]),
                all(&["2001:db8::7/128", "blackhole"]),
                all(&["[destination: 198.51.100.8/32][protocol: ==udp][source-port: ==123]", "discard"]),
                all(&["[destination: 2001:db8::8/128/0][protocol: ==udp][source-port: ==123]", "discard"]),
            ],
            Kind::Bird => [
                all(&["198.51.100.7/32", "(65535,666)", "(65535,65281)", "(64500, 1, 2)"]),
                all(&["2001:db8::7/128", "(65535,666)"]),
                all(&["flow4 { dst 198.51.100.8/32; proto 17; sport 123; }", "(generic, 0x80060000, 0x0)"]),
                all(&["flow6 { dst 2001:db8::8/128; next header 17; sport 123; }", "(generic, 0x80060000, 0x0)"]),
            ],
            Kind::Frr => [
                all(&["BGP routing table entry for 198.51.100.7/32", "blackhole", "64500:1:2"]),
                all(&["BGP routing table entry for 2001:db8::7/128", "blackhole"]),
                all(&["Destination Address 198.51.100.8/32", "Source Port = 123", "FS:rate 0.000000"]),
                all(&["Destination Address 2001:db8::8/128", "Source Port = 123", "FS:rate 0.000000"]),
            ],
        }
    }

    /// Ends the session from its side.
    pub fn reset(&self) {
        match self.kind {
            // `reset` would keep GoBGP idle for 30 s.
            Kind::Gobgp => {
                self.gobgp(&["neighbor", SOURCE, "disable"]);
                wait("GoBGP's session ends", || !self.gobgp(&["neighbor"]).contains("Establ"));
                self.gobgp(&["neighbor", SOURCE, "enable"]);
            }
            Kind::Bird => drop(self.birdc("restart m")),
            Kind::Frr => drop(self.vtysh("clear bgp *")),
        }
    }

    /// Asks for routes again (RFC 2918); `false` for GoBGP, whose `softresetin` only looks at what it kept.
    pub fn refresh(&self) -> bool {
        match self.kind {
            Kind::Gobgp => return false,
            Kind::Bird => drop(self.birdc("reload in m")),
            Kind::Frr => drop(self.vtysh(&format!("clear bgp ipv4 unicast {SOURCE} in"))),
        }
        true
    }
}
