//! Names of protocols, ports and TCP flags as the dialects spell them.

/// IOS port keywords: name, number, with TCP, with UDP.
const IOS_PORTS: [(&str, u16, bool, bool); 57] = [
    ("bgp", 179, true, false),
    ("biff", 512, false, true),
    ("bootpc", 68, false, true),
    ("bootps", 67, false, true),
    ("chargen", 19, true, false),
    ("cmd", 514, true, false),
    ("connectedapps-plain", 15001, true, false),
    ("connectedapps-tls", 15002, true, false),
    ("daytime", 13, true, false),
    ("discard", 9, true, true),
    ("dnsix", 195, false, true),
    ("domain", 53, true, true),
    ("drip", 3949, true, false),
    ("echo", 7, true, true),
    ("exec", 512, true, false),
    ("finger", 79, true, false),
    ("ftp", 21, true, false),
    ("ftp-data", 20, true, false),
    ("gopher", 70, true, false),
    ("hostname", 101, true, false),
    ("ident", 113, true, false),
    ("irc", 194, true, false),
    ("isakmp", 500, false, true),
    ("klogin", 543, true, false),
    ("kshell", 544, true, false),
    ("login", 513, true, false),
    ("lpd", 515, true, false),
    ("mobile-ip", 434, false, true),
    ("msrpc", 135, true, false),
    ("nameserver", 42, false, true),
    ("netbios-dgm", 138, false, true),
    ("netbios-ns", 137, false, true),
    ("netbios-ss", 139, false, true),
    ("nntp", 119, true, false),
    ("non500-isakmp", 4500, false, true),
    ("ntp", 123, false, true),
    ("onep-plain", 15001, true, false),
    ("onep-tls", 15002, true, false),
    ("pim-auto-rp", 496, true, true),
    ("pop2", 109, true, false),
    ("pop3", 110, true, false),
    ("rip", 520, false, true),
    ("smtp", 25, true, false),
    ("snmp", 161, false, true),
    ("snmptrap", 162, false, true),
    ("sunrpc", 111, true, true),
    ("syslog", 514, false, true),
    ("tacacs", 49, true, true),
    ("talk", 517, true, true),
    ("telnet", 23, true, false),
    ("tftp", 69, false, true),
    ("time", 37, true, true),
    ("uucp", 540, true, false),
    ("who", 513, false, true),
    ("whois", 43, true, false),
    ("www", 80, true, false),
    ("xdmcp", 177, false, true),
];

/// A port from an IOS keyword or number, for TCP or UDP.
pub fn ios_port_of(word: &str, proto: u8) -> Option<u16> {
    let named = IOS_PORTS.iter().find(|p| p.0 == word && ((proto == 6 && p.2) || (proto == 17 && p.3)));
    named.map(|p| p.1).or_else(|| decimal(word))
}

/// TCP flags of the low octet, by rising bit; IOS has the first six.
pub const FLAGS: [(&str, u8); 8] =
    [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ece", 64), ("cwr", 128)];

/// The bit of a flag's name.
pub fn flag_of(word: &str) -> Option<u8> {
    FLAGS.iter().find(|f| f.0 == word).map(|f| f.1)
}

/// nftables protocol names that need no /etc/protocols.
const NFT: [(&str, u8); 10] = [
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("sctp", 132),
    ("udplite", 136),
];

/// A protocol from an nftables name or number.
pub fn nft_proto_of(word: &str) -> Option<u8> {
    let alias = match word {
        "ipv6-icmp" => Some(58),
        "ipip" | "ipencap" => Some(4),
        "ospf" => Some(89),
        _ => None,
    };
    alias.or_else(|| NFT.iter().find(|p| p.0 == word).map(|p| p.1)).or_else(|| decimal(word))
}

/// The nftables name of a protocol, else its number.
pub fn nft_proto(proto: u8) -> String {
    NFT.iter().find(|p| p.1 == proto).map_or_else(|| proto.to_string(), |p| p.0.into())
}

/// A plain decimal number without sign.
pub fn decimal<T: std::str::FromStr>(word: &str) -> Option<T> {
    (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok()).flatten()
}

/// Protocol names of Junos, SR OS and RouterOS that mean the same in all of them, or only in one.
const COMMON: [(&str, u8); 9] = [
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("gre", 47),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", 132),
];
const JUNOS: [(&str, u8); 6] = [("ipip", 4), ("esp", 50), ("ah", 51), ("icmp6", 58), ("ospf", 89), ("rsvp", 46)];
const SROS: [(&str, u8); 3] = [("ipv6-icmp", 58), ("ospf-igp", 89), ("rsvp", 46)];
const ROUTEROS: [(&str, u8); 5] = [("ipencap", 4), ("ipsec-esp", 50), ("ipsec-ah", 51), ("icmpv6", 58), ("ospf", 89)];

fn named(own: &[(&'static str, u8)], proto: u8) -> String {
    let found = COMMON.iter().chain(own).find(|p| p.1 == proto);
    found.map_or_else(|| proto.to_string(), |p| p.0.into())
}

fn of_name(own: &[(&str, u8)], word: &str) -> Option<u8> {
    COMMON.iter().chain(own).find(|p| p.0 == word).map(|p| p.1).or_else(|| decimal(word))
}

/// The Junos name of a protocol, else its number.
pub fn junos_proto(proto: u8) -> String {
    named(&JUNOS, proto)
}

/// A protocol from a Junos name or number.
pub fn junos_proto_of(word: &str) -> Option<u8> {
    of_name(&JUNOS, word)
}

/// The SR OS name of a protocol, else its number.
pub fn sros_proto(proto: u8) -> String {
    named(&SROS, proto)
}

/// A protocol from an SR OS name or number.
pub fn sros_proto_of(word: &str) -> Option<u8> {
    of_name(&SROS, word)
}

/// The RouterOS name of a protocol, else its number.
pub fn routeros_proto(proto: u8) -> String {
    named(&ROUTEROS, proto)
}

/// A protocol from a RouterOS name or number.
pub fn routeros_proto_of(word: &str) -> Option<u8> {
    of_name(&ROUTEROS, word)
}
