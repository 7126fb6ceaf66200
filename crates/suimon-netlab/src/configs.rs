//! The configuration files of everything in the lab, as an operator would write them.

use crate::net;
use std::fmt::Write as _;
use std::path::Path;

/// AS number of the operator: Suimon, edge 1, edge 2.
pub const OPERATOR: u32 = 64500;
/// AS number of the transit provider.
pub const PROVIDER: u32 = 64496;
/// AS number of the watcher.
pub const WATCHER: u32 = 64511;
/// Prefixes that edge 1 and edge 2 take from Suimon.
pub const PREFIX_LIMIT: u32 = 20;

/// BIRD on edge 1: black holes go to the kernel, Flowspec rules to a table.
pub fn bird(limit: u32) -> String {
    format!(
        "router id 192.0.2.1;\nflow4 table ft4;\nprotocol device {{}}\n\
         protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; }}\n\
         protocol static {{ ipv4; route 192.0.2.254/32 blackhole; }}\n\
         filter rtbh4 {{\n  if (65535, 666) ~ bgp_community && net.len = 32 then {{ dest = RTD_BLACKHOLE; accept; }}\n  reject;\n}}\n\
         protocol bgp suimon {{\n  local 192.0.2.1 as {OPERATOR}; neighbor {suimon} as {OPERATOR};\n\
         \x20 multihop; passive yes; error wait time 1,2;\n\
         \x20 ipv4 {{ gateway recursive; import filter rtbh4; import limit {limit} action block; export none; }};\n\
         \x20 flow4 {{ table ft4; import all; export none; validate off; }};\n}}\n",
        suimon = net::SUIMON,
    )
}

/// FRR on edge 2: zebra puts black holes into the kernel.
pub fn frr(limit: u32) -> String {
    let n = format!(" neighbor {}", net::SUIMON);
    format!(
        "hostname edge2\nip route 192.0.2.254/32 Null0\nrouter bgp {OPERATOR}\n bgp router-id 192.0.2.2\n\
         \x20no bgp default ipv4-unicast\n{n} remote-as {OPERATOR}\n{n} passive\n{n} timers connect 1\n\
         address-family ipv4 unicast\n{n} activate\n{n} maximum-prefix {limit} restart 1\n{n} route-map RTBH in\n\
         exit-address-family\naddress-family ipv4 flowspec\n{n} activate\nexit-address-family\nexit\n\
         bgp community-list standard HOLE permit blackhole\nip prefix-list HOST seq 5 permit 0.0.0.0/0 ge 32\n\
         route-map RTBH permit 10\n match community HOLE\n match ip address prefix-list HOST\n set ip next-hop 192.0.2.254\n"
    )
}

/// GoBGP in the transit network, an external peer.
pub fn gobgp() -> String {
    let family = |f: &str| format!("[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{f}\"\n");
    format!(
        "[global.config]\nas = {PROVIDER}\nrouter-id = \"192.0.2.3\"\nport = 179\nlocal-address-list = [\"{transit}\"]\n\
         [[neighbors]]\n[neighbors.config]\nneighbor-address = \"{suimon}\"\npeer-as = {OPERATOR}\n\
         [neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n\
         [neighbors.transport.config]\npassive-mode = true\n{}{}",
        family("ipv4-unicast"),
        family("ipv4-flowspec"),
        transit = net::TRANSIT,
        suimon = net::SUIMON,
    )
}

/// ExaBGP in the management network, which writes down what it hears; `helper` is the program that does.
pub fn exabgp(helper: &Path) -> String {
    format!(
        "process seen {{ run {}; encoder json; }}\nneighbor {suimon} {{\n  router-id {watch}; local-address {watch}; local-as {WATCHER};\n\
         \x20 peer-as {OPERATOR}; passive true; hold-time 30;\n  family {{ ipv4 unicast; ipv4 flow; }}\n\
         \x20 api {{ processes [ seen ]; receive {{ parsed; update; }} neighbor-changes; }}\n}}\n",
        helper.display(),
        suimon = net::SUIMON,
        watch = net::WATCH,
    )
}

/// A program for ExaBGP that appends its lines to a file. It keeps its own output open: ExaBGP takes the end of that for
/// the end of the program.
pub fn exabgp_helper(seen: &Path) -> String {
    format!("#!/bin/sh\nwhile read -r line; do printf '%s\\n' \"$line\" >> {}; done\n", seen.display())
}

/// sshd on an edge router.
pub fn sshd(address: &str, keys: &Path, shell: &Path) -> String {
    let keys = keys.display();
    format!(
        "ListenAddress {address}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/client.pub\nStrictModes no\nUsePAM no\n\
         PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         PrintMotd no\nPrintLastLog no\nMaxStartups 100\nKexAlgorithms curve25519-sha256\nForceCommand {}\n",
        shell.display()
    )
}

/// The shell behind sshd: the real one, with our `nft` before the real one in its path.
pub fn shell(folder: &Path) -> String {
    let d = folder.display();
    format!(
        "#!/bin/sh\necho $PPID > {d}/session\nPATH={d}/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\n\
         exec sh -c \"${{SSH_ORIGINAL_COMMAND:-sh}}\"\n"
    )
}

/// The real nft, and what may go wrong around it: the file `fault` names it.
pub fn nft(folder: &Path) -> String {
    format!(
        r#"#!/bin/sh
d={d}
fault=$(cat $d/fault 2>/dev/null)
table() {{ /usr/sbin/nft list tables | sed -n 's/^table inet \(suimon_m_[0-9]*\)$/\1/p' | tail -n 1; }}
case "$fault $1" in
"hang -j") sleep 30 ;;
"flood -j") exec yes "a line of a flood that never ends, again and again and again and again" ;;
"refuse -f") rm $d/fault; echo "Error: Could not process rule: Operation not supported" >&2; exit 1 ;;
"half -f") rm $d/fault; /usr/sbin/nft "$@"; s=$?; /usr/sbin/nft flush chain inet $(table) prerouting; exit $s ;;
"cut -f") rm $d/fault; /usr/sbin/nft "$@"; kill -9 $(cat $d/session); exit 0 ;;
"cut-before -f") rm $d/fault; kill -9 $(cat $d/session); exit 0 ;;
"slow -f") sleep 3 ;;
"stuck delete") echo "Error: Device or resource busy" >&2; exit 1 ;;
esac
exec /usr/sbin/nft "$@"
"#,
        d = folder.display()
    )
}

/// pmacctd on edge 2: IPFIX, flows told a second after they began.
pub fn pmacctd() -> String {
    format!(
        "daemonize: false\npcap_interface: wan\nplugins: nfprobe[a]\n\
         aggregate[a]: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags\nnfprobe_receiver: {}:2055\n\
         nfprobe_version: 10\nnfprobe_maxflows: 200000\n\
         nfprobe_timeouts: tcp=1:tcp.rst=1:tcp.fin=1:udp=1:icmp=1:general=1:maxlife=1:expint=1\n\
         plugin_buffer_size: 102400\nplugin_pipe_size: 10240000\n",
        net::SUIMON
    )
}

/// Unbound with a zone of its own.
pub fn unbound(folder: &Path) -> String {
    format!(
        "server:\n  interface: {dns}\n  port: 53\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{d}\"\n\
         \x20 pidfile: \"{d}/unbound.pid\"\n  use-syslog: no\n  do-ip6: no\n  access-control: 0.0.0.0/0 allow\n\
         \x20 local-zone: \"example.com.\" static\n  local-data: \"www.example.com. 60 IN A {web}\"\n\
         remote-control:\n  control-enable: no\n",
        dns = net::DNS,
        web = net::WEB,
        d = folder.display()
    )
}

/// nginx with one page.
pub fn nginx(folder: &Path) -> String {
    let d = folder.display();
    format!(
        "user root;\ndaemon off;\nworker_processes 1;\npid {d}/nginx.pid;\nerror_log {d}/nginx.error;\n\
         events {{ worker_connections 256; }}\nhttp {{\n  access_log off;\n  client_body_temp_path {d}/t1;\n  proxy_temp_path {d}/t2;\n\
         \x20 fastcgi_temp_path {d}/t3;\n  uwsgi_temp_path {d}/t4;\n  scgi_temp_path {d}/t5;\n\
         \x20 server {{ listen {}:80; location / {{ return 200 \"the customer's page\\n\"; }} }}\n}}\n",
        net::WEB
    )
}

/// What differs from fault to fault in Suimon's configuration.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Data folder.
    pub data: String,
    /// Seconds after which an unconfirmed change undoes itself.
    pub confirm_s: u32,
    /// Seconds for an answer of a router.
    pub answer_s: u32,
    /// Our address; a second Suimon has another one.
    pub address: &'static str,
    /// Flow collector's port.
    pub collector: u16,
    /// Routes that each peer is given at most.
    pub max_routes: u32,
    /// More text.
    pub more: String,
}

/// Suimon's configuration.
pub fn suimon(folder: &Path, v: &Variant) -> String {
    let keys = folder.join("keys");
    let mut text = format!(
        r#"version = 1

[node]
data = "{data}"
listen = "127.0.0.1:0"
exercise = true

[collection]
purpose = "exercise: find attacks in the lab"
items = ["addresses", "ports", "protocol", "tcp-flags", "counters", "times", "interfaces", "sampling"]
retention-hours = 1
approver = "role:collection-approver"
review = "2099-12-31"

[collect]
listen = ["{address}:{collector}"]

[detect]
hold-ms = 2000

[[network]]
prefix = "203.0.113.0/24"
[network.thresholds]
baseline-ratio = 0.0
aggregate-ratio = 0.0
[network.thresholds.vectors]
dns-reflection = {{ pps = 300 }}

[[customer]]
id = "customer-1"
name = "Exercise customer"
service = "line-0001"
prefixes = ["203.0.113.0/24"]
[[customer.contacts]]
id = "network-desk"
authority = ["ask", "order", "lift"]
telephone = "03-0000-0001"

[measure]
default-hand = "edge1"
default-dialect = "nftables"

[bgp]
local-as = {OPERATOR}
router-id = "{address}"
start-wait-ms = 15000
"#,
        data = v.data,
        address = v.address,
        collector = v.collector,
    );
    for (n, address) in net::EDGES.iter().enumerate() {
        let n = n + 1;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[device]]\nname = \"edge{n}\"\ndriver = \"linux-nftables\"\naddress = \"{address}\"\nuser = \"root\"\n\
             key-file = \"{k}/client\"\nknown-hosts-file = \"{k}/known\"\nconfirm-s = {}\nanswer-s = {}\n\
             run-folder = \"{d}/edge{n}/run\"\n",
            v.confirm_s,
            v.answer_s,
            k = keys.display(),
            d = folder.display(),
        );
    }
    let peers = [
        ("bird-edge1", net::EDGES[0], OPERATOR),
        ("frr-edge2", net::EDGES[1], OPERATOR),
        ("gobgp-transit", net::TRANSIT, PROVIDER),
        ("exabgp-watch", net::WATCH, WATCHER),
    ];
    for (name, address, asn) in peers {
        let _ = write!(
            text,
            "\n[[bgp.peer]]\nname = \"{name}\"\naddress = \"{address}\"\nremote-as = {asn}\nsource = \"{}\"\n\
             roles = [\"rtbh\", \"flowspec\"]\nnext-hop-v4 = \"192.0.2.254\"\nretry-s = 1\nhold-s = 6\nmax-routes = {}\n",
            v.address, v.max_routes
        );
    }
    text + &v.more
}

/// The call that opens a case: the sentence of the customer who cannot see what is happening.
pub const CASE: &str = "customer = \"customer-1\"\n\
    words = \"攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい\"\n\
    contact = \"network-desk\"\ncompany = \"Exercise customer\"\nservice = \"line-0001\"\nchannel = \"telephone\"\n";
