//! Programs that Suimon's build, tests and benchmarks use but do not contain: the one table.

use std::path::PathBuf;

/// What a program is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Some test runs it as an oracle or as a real peer; without it that test is skipped, visibly.
    Tests,
    /// Only `cargo xtask bench` runs it.
    Bench,
}

/// A program and the Debian package it comes from.
#[derive(Debug)]
pub struct Program {
    /// The name as it is started.
    pub name: &'static str,
    /// The Debian package.
    pub package: &'static str,
    /// Who wants it.
    pub wanted: Wanted,
    /// What it is for, in words for the reader of a message.
    pub purpose: &'static str,
}

const fn program(name: &'static str, package: &'static str, wanted: Wanted, purpose: &'static str) -> Program {
    Program { name, package, wanted, purpose }
}

/// Every program. A test of the layering suite fails when a test asks for one that is not here.
pub const PROGRAMS: &[Program] = &[
    program("tshark", "tshark", Wanted::Tests, "an independent decoder of flow datagrams and packets"),
    program("nfdump", "nfdump", Wanted::Tests, "an independent decoder of NetFlow, IPFIX and sFlow"),
    program("nfcapd", "nfdump", Wanted::Tests, "an independent flow collector"),
    program("softflowd", "softflowd", Wanted::Tests, "a real NetFlow and IPFIX exporter"),
    program("pmacctd", "pmacct", Wanted::Tests, "a real NetFlow, IPFIX and sFlow exporter"),
    program("nft", "nftables", Wanted::Tests, "reads the nftables rules that are written"),
    program("ip", "iproute2", Wanted::Tests, "a pair of interfaces for real packets through the nftables rules"),
    program("gobgpd", "gobgpd", Wanted::Tests, "a BGP speaker that takes the Flowspec rules"),
    program("gobgp", "gobgpd", Wanted::Tests, "gives the Flowspec rules to gobgpd"),
    program("bird", "bird2", Wanted::Tests, "a BGP peer that says what it saw of Flowspec rules"),
    program("birdc", "bird2", Wanted::Tests, "asks bird"),
    program("vtysh", "frr", Wanted::Tests, "a BGP peer (bgpd) that says what it saw of Flowspec rules"),
    program("exabgp", "exabgp", Wanted::Tests, "encodes and decodes Flowspec rules independently"),
    program("sshd", "openssh-server", Wanted::Tests, "the way into the test's routers"),
    program("ssh", "openssh-client", Wanted::Tests, "the client that the router drivers start"),
    program("ssh-keygen", "openssh-client", Wanted::Tests, "host and client keys of the test's routers"),
    program("nsenter", "util-linux", Wanted::Tests, "a console on the test's routers"),
    program("iprange", "iprange", Wanted::Tests, "least covers of address ranges by somebody else"),
    program("aggregate", "aggregate", Wanted::Tests, "least covers of IPv4 prefixes by somebody else"),
    program("unshare", "util-linux", Wanted::Tests, "a network namespace of a test's own"),
    program("setpriv", "util-linux", Wanted::Tests, "a second user of the operating system"),
    program("python3", "python3", Wanted::Tests, "an independent reader of mail"),
    program("pip3", "python3-pip", Wanted::Tests, "fetches the public parser of Cisco access lists"),
    program("aiosmtpd", "python3-aiosmtpd", Wanted::Tests, "a real mail server"),
    program("openssl", "openssl", Wanted::Tests, "makes the certificate that the mail test must trust or refuse"),
    program("tc", "iproute2", Wanted::Tests, "the lab's thin line"),
    program("ss", "iproute2", Wanted::Tests, "says whether the lab's servers listen"),
    program("sysctl", "procps", Wanted::Tests, "forwarding in the lab's namespaces"),
    program("mount", "mount", Wanted::Tests, "a small disk for the lab's faults"),
    program("tcpreplay", "tcpreplay", Wanted::Tests, "the lab's attacker"),
    program("curl", "curl", Wanted::Tests, "the lab's client of the web server"),
    program("dig", "bind9-dnsutils", Wanted::Tests, "the lab's client of the DNS server"),
    program("unbound", "unbound", Wanted::Tests, "the lab's DNS server"),
    program("nginx", "nginx-light", Wanted::Tests, "the lab's web server"),
    program("faketime", "faketime", Wanted::Tests, "clocks that jump, in the lab's faults"),
    program("fastnetmon", "fastnetmon", Wanted::Bench, "the collector and detector to compare with"),
];

/// Where `name` is, in `PATH` or in the folders of system programs.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|p| p.is_file())
}

/// Those that somebody wants and that are not there.
pub fn missing(wanted: Wanted) -> Vec<&'static Program> {
    PROGRAMS.iter().filter(|p| p.wanted == wanted && find(p.name).is_none()).collect()
}
