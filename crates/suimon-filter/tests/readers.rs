//! What the readers of the router dialects take, what they refuse, and where they say it is wrong.

use Dialect::{AristaEos, CiscoIos, CiscoNxos, CiscoXr, HuaweiVrp, Rtbh};
use suimon_base::flow::Fragment;
use suimon_base::{Action, PacketHeader, RuleSet};
use suimon_filter::compile::{CompileError, Options, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::request;

fn read(text: &str, dialect: Dialect) -> RuleSet {
    parse(text, dialect).unwrap_or_else(|e| panic!("{dialect}: {e}\n{text}")).rules
}

fn packet(src: &str, dst: &str, proto: u8, ports: (u16, u16), len: u16, flags: u8, fragment: Fragment) -> PacketHeader {
    let carries = matches!(proto, 6 | 17) && fragment != Fragment::Later;
    PacketHeader {
        src: src.parse().expect("an address"),
        dst: dst.parse().expect("an address"),
        proto,
        ports: carries.then_some(ports),
        tcp_flags: flags,
        icmp: 0,
        fragment,
        ip_len: len,
        tos: 0,
        ttl: 60,
    }
}

fn udp(dst: &str, port: u16) -> PacketHeader {
    packet("198.51.100.1", dst, 17, (1000, port), 100, 0, Fragment::Whole)
}

fn action(rules: &RuleSet, p: &PacketHeader) -> Action {
    rules.decide(p).map_or(Action::Permit, |d| d.1)
}

#[test]
fn errors_name_their_place() {
    for (dialect, text, line, column, says) in [
        (CiscoIos, "ip access-list extended A\n permit ip any 192.0.2.0/24\n", 2, 16, "not understood"),
        (CiscoIos, "ipv4 access-list A\n", 1, 1, "ip access-list extended NAME"),
        (CiscoXr, "ip access-list extended A\n", 1, 1, "ipv4 access-list NAME"),
        (CiscoXr, "ipv4 access-list A\n 10 deny ip any any\n", 2, 10, "ipv4, tcp, udp"),
        (CiscoXr, "ipv4 access-list A\n 10 deny udp any any eq 53 80\n", 2, 28, "not understood"),
        (CiscoXr, "ipv4 access-list A\n 10 deny udp any any packet-length range 9 1\n", 2, 42, "no length at all"),
        (CiscoXr, "ipv6 access-list A\n 10 deny udp any any packet-length eq 9\n", 2, 22, "not understood"),
        (CiscoNxos, "ip access-list extended A\n", 1, 25, "not understood"),
        (CiscoNxos, "ip access-list A\n  10 deny tcp any any syn ack\n", 2, 27, "differs between releases"),
        (CiscoNxos, "ip access-list A\n  10 deny tcp any any match-all +syn\n", 2, 23, "not understood"),
        (CiscoNxos, "ip access-list A\n  10 permit ip any any\n  10 deny ip any any\n", 3, 1, "sequence number once"),
        (AristaEos, "ip access-list A\n   10 deny ip any 192.0.2.0/33\n", 2, 19, "not understood"),
        (AristaEos, "access-list 101 deny ip any any\n", 1, 13, "not understood"),
        (HuaweiVrp, "acl number 2000\n rule deny source 192.0.2.1 0\n", 1, 12, "3000 to 3999"),
        (HuaweiVrp, "acl name A advance\n rule 5 deny ip destination-port eq 53\n", 2, 17, "needs tcp or udp"),
        (HuaweiVrp, "acl name A advance\n rule 5 deny tcp tcp-flag syn\n", 2, 18, "between VRP releases"),
        (HuaweiVrp, "acl name A advance match-order auto\n", 1, 32, "rule numbers"),
        (HuaweiVrp, "acl name A advance\n rule 5 deny udp source 192.0.2.1\n", 2, 34, "the line ends here"),
        (Rtbh, "route 192.0.2.7/24 community 65535:666\n", 1, 7, "192.0.2.0/24"),
        (Rtbh, "# x\nroute 192.0.2.7/32 community 64496:1\n", 2, 20, "65535:666"),
        (Rtbh, "announce 192.0.2.7/32\n", 1, 1, "route PREFIX"),
        (Rtbh, "# nothing\n", 1, 1, "there is no route"),
        (
            CiscoIos,
            "ip access-list extended A\n permit ip any any\nclass-map match-any C\n match access-group name A\n",
            3,
            21,
            "in no policy",
        ),
        (
            CiscoIos,
            "ip access-list extended A\n permit ip any any\npolicy-map P\n class C\n  police rate 9 bps\n",
            4,
            8,
            "not in the text",
        ),
        (
            CiscoIos,
            "class-map match-any C\n match access-group name A\npolicy-map P\n class C\n  police rate 9 bps\n   exceed-action transmit\n",
            6,
            18,
            "another action",
        ),
    ] {
        let e = parse(text, dialect).expect_err(text);
        assert_eq!((e.line, e.column), (line, column), "{dialect}: {e}\n{text}");
        assert!(e.to_string().contains(says), "{dialect}: {e}\n{text}");
    }
}

#[test]
fn prefixes_wildcards_and_hosts_are_the_same_address() {
    for (dialect, text) in [
        (CiscoXr, "ipv4 access-list A\n 10 deny udp any 192.0.2.0/24 eq domain\n 20 permit ipv4 any any\ncommit\n"),
        (CiscoXr, "ipv4 access-list A\n 10 deny udp any 192.0.2.0 0.0.0.255 range 53 53\n 20 permit ipv4 any any\n!\n"),
        (
            CiscoNxos,
            "ip access-list A\n  statistics per-entry\n  10 deny udp any 192.0.2.0/24 eq 53\n  20 permit ip any any\n",
        ),
        (AristaEos, "ip access-list A\n   10 deny udp any 192.0.2.0/24 eq 53\n   20 permit ip any any log\n"),
        (
            HuaweiVrp,
            "acl 3001\n rule 5 deny udp destination 192.0.2.0 0.0.0.255 destination-port eq dns\n"
                .replace("dns", "domain")
                .leak(),
        ),
    ] {
        let rules = read(text, dialect);
        assert_eq!(action(&rules, &udp("192.0.2.255", 53)), Action::Discard, "{dialect}");
        assert_eq!(action(&rules, &udp("192.0.2.255", 54)), Action::Permit, "{dialect}");
        assert_eq!(action(&rules, &udp("192.0.3.0", 53)), Action::Permit, "{dialect}");
    }
}

#[test]
fn the_end_of_a_list_is_the_platforms() {
    let other = udp("203.0.113.1", 1);
    for (dialect, text, wanted) in [
        (CiscoIos, "ip access-list extended A\n 10 deny udp any host 192.0.2.1\n", Action::Discard),
        (CiscoXr, "ipv4 access-list A\n 10 deny udp any host 192.0.2.1\n", Action::Discard),
        (CiscoNxos, "ip access-list A\n  10 deny udp any 192.0.2.1/32\n", Action::Discard),
        (AristaEos, "ip access-list A\n   10 deny udp any host 192.0.2.1\n", Action::Discard),
        (HuaweiVrp, "acl name A advance\n rule 5 deny udp destination 192.0.2.1 0\n", Action::Permit),
    ] {
        assert_eq!(action(&read(text, dialect), &other), wanted, "{dialect}");
    }
}

#[test]
fn numbers_decide_the_order() {
    for (dialect, text) in [
        (CiscoIos, "ip access-list extended A\n 20 deny ip any any\n 10 permit udp any any\n"),
        (CiscoXr, "ipv4 access-list A\n 20 deny ipv4 any any\n 10 permit udp any any\n"),
        (HuaweiVrp, "acl name A advance\n rule 20 deny ip\n rule 10 permit udp\n"),
    ] {
        let listing = parse(text, dialect).unwrap();
        assert_eq!(action(&listing.rules, &udp("192.0.2.1", 1)), Action::Permit, "{dialect}");
        assert_eq!(listing.lines[..2], [3, 2], "{dialect}");
    }
}

#[test]
fn packet_lengths_of_xr() {
    let text = "ipv4 access-list A\n 10 deny udp any any packet-length gt 1400\n 20 deny udp any any packet-length lt 60\n \
                30 deny udp any any packet-length eq 468\n 40 permit ipv4 any any\n";
    let rules = read(text, CiscoXr);
    for (len, wanted) in [(59, true), (60, false), (467, false), (468, true), (1400, false), (1401, true)] {
        let p = packet("198.51.100.1", "192.0.2.1", 17, (1, 2), len, 0, Fragment::Whole);
        assert_eq!(action(&rules, &p) == Action::Discard, wanted, "{len}");
    }
}

#[test]
fn units_of_policers() {
    let cisco = |line: &str| {
        format!(
            "ip access-list extended A\n permit icmp any any\nclass-map match-any C\n match access-group name A\npolicy-map P\n class C\n  {line}\n"
        )
    };
    for (line, wanted) in [
        ("police 8000 conform-action transmit exceed-action drop", Action::LimitBps(8_000)),
        ("police cir 64000 bc 8000 conform-action transmit exceed-action drop", Action::LimitBps(64_000)),
        ("police rate 5000 pps burst 200 packets", Action::LimitPps(5_000)),
        ("police rate 2 mbps", Action::LimitBps(2_000_000)),
        ("police rate 3 gbps", Action::LimitBps(3_000_000_000)),
    ] {
        let icmp = packet("198.51.100.1", "192.0.2.1", 1, (0, 0), 100, 0, Fragment::Whole);
        assert_eq!(action(&read(&cisco(line), CiscoIos), &icmp), wanted, "{line}");
        assert_eq!(action(&read(&cisco(line), CiscoIos), &udp("192.0.2.1", 1)), Action::Permit);
    }
    let vrp = |car: &str| {
        format!(
            "acl name A advance\n rule 5 permit icmp\n#\ntraffic classifier C operator or\n if-match acl name A\n#\ntraffic behavior B\n {car}\n#\ntraffic policy P\n classifier C behavior B\n"
        )
    };
    for (line, wanted) in [
        ("car cir 256", Action::LimitBps(256_000)),
        ("car cir 256 cbs 48128 green pass red discard", Action::LimitBps(256_000)),
        ("car cir 256 limit-type pps", Action::LimitPps(256)),
    ] {
        let icmp = packet("198.51.100.1", "192.0.2.1", 1, (0, 0), 100, 0, Fragment::Whole);
        assert_eq!(action(&read(&vrp(line), HuaweiVrp), &icmp), wanted, "{line}");
    }
}

#[test]
fn a_class_that_is_more_than_one_rule_or_meets_the_list_is_refused() {
    let text = |list: &str, head: &str| {
        format!(
            "{head}ip access-list extended A\n{list}class-map match-any C\n match access-group name A\npolicy-map P\n class C\n  police rate 9000 bps\n"
        )
    };
    let two = text(" permit udp any host 192.0.2.1\n permit tcp any host 192.0.2.2\n", "");
    assert!(parse(&two, CiscoIos).unwrap_err().to_string().contains("not one rule"));
    let overlap =
        text(" permit udp any host 192.0.2.1\n", "ip access-list extended F\n deny udp any any\n permit ip any any\n");
    assert!(parse(&overlap, CiscoIos).unwrap_err().to_string().contains("depends on the platform"));
    let hole =
        text(" permit udp any host 192.0.2.1\n", "ip access-list extended F\n permit icmp any any\n deny ip any any\n");
    assert!(parse(&hole, CiscoIos).unwrap_err().to_string().contains("permits everything"));
    // A port in a class of IOS takes the fragments of the address too, unless a deny keeps them out.
    let ports = text(" permit udp any host 192.0.2.1 eq 53\n", "");
    assert!(parse(&ports, CiscoIos).unwrap_err().to_string().contains("not one rule"));
    let guarded = text(" deny udp any any fragments\n permit udp any host 192.0.2.1 eq 53\n", "");
    let rules = read(&guarded, CiscoIos);
    assert_eq!(action(&rules, &udp("192.0.2.1", 53)), Action::LimitBps(9_000));
    let later = packet("198.51.100.1", "192.0.2.1", 17, (0, 0), 100, 0, Fragment::Later);
    assert_eq!(action(&rules, &later), Action::Permit);
    // On NX-OS a deny in a class does not keep anything out.
    let nxos = "ip access-list A\n  10 deny udp any any fragments\n  20 permit udp any 192.0.2.1/32 eq 53\n\
                class-map type qos match-any C\n  match access-group name A\npolicy-map type qos P\n  class C\n    police cir 9000 bps bc 200 ms conform transmit violate drop\n";
    let e = parse(nxos, CiscoNxos).unwrap_err();
    assert_eq!((e.line, e.message.contains("does not keep packets out")), (2, true), "{e}");
}

#[test]
fn rates_outside_a_policer_are_refused() {
    let of = |action: &str| {
        request::parse(&format!("[[rules]]\ndst = [\"192.0.2.7\"]\nproto = \"udp\"\naction = {{ {action} }}\n"))
            .unwrap()
            .rules
    };
    for (dialect, action, says) in [
        (CiscoIos, "limit-bps = 7999", "8000 to"),
        (CiscoIos, "limit-pps = 2000001", "1 to 2000000 packets"),
        (CiscoXr, "limit-bps = 4294967296", "8000 to 4294967295 bits"),
        (CiscoNxos, "limit-pps = 1000", "polices bits"),
        (AristaEos, "limit-pps = 1000", "polices bits"),
        (HuaweiVrp, "limit-bps = 8001", "multiple of 1000"),
        (Rtbh, "limit-bps = 8000", "no rate"),
    ] {
        match compile(&of(action), dialect, &Options::default()) {
            Err(CompileError::Unsupported { rule: 0, reason, .. }) => {
                assert!(reason.contains(says), "{dialect}: {reason}")
            }
            other => panic!("{dialect} {action}: {other:?}"),
        }
    }
}

#[test]
fn the_undo_unbinds_first_where_the_interface_is_known() {
    let rules = request::parse("[[rules]]\ndst = [\"192.0.2.7\", \"2001:db8::7\"]\nproto = \"udp\"\n").unwrap().rules;
    let options = Options { version: Some(3), interface: Some("Ethernet1/1".into()), ..Options::default() };
    for (dialect, undo) in [
        (
            CiscoIos,
            "interface Ethernet1/1\n no ip access-group SUIMON-v3 in\n no ipv6 traffic-filter SUIMON-v3-V6 in\nexit\nno ip access-list extended SUIMON-v3\nno ipv6 access-list SUIMON-v3-V6\n",
        ),
        (
            CiscoXr,
            "interface Ethernet1/1\n no ipv4 access-group SUIMON-v3 ingress\n no ipv6 access-group SUIMON-v3-V6 ingress\nexit\ncommit\nno ipv4 access-list SUIMON-v3\nno ipv6 access-list SUIMON-v3-V6\ncommit\n",
        ),
        (
            CiscoNxos,
            "interface Ethernet1/1\n no ip access-group SUIMON-v3 in\n no ipv6 traffic-filter SUIMON-v3-V6 in\nexit\nno ip access-list SUIMON-v3\nno ipv6 access-list SUIMON-v3-V6\n",
        ),
        (
            AristaEos,
            "interface Ethernet1/1\n no ip access-group SUIMON-v3 in\n no ipv6 access-group SUIMON-v3-V6 in\nexit\nno ip access-list SUIMON-v3\nno ipv6 access-list SUIMON-v3-V6\n",
        ),
        (
            HuaweiVrp,
            "interface Ethernet1/1\n undo traffic-filter inbound acl name SUIMON-v3\n undo traffic-filter inbound ipv6 acl name SUIMON-v3-V6\nquit\nundo acl name SUIMON-v3\nundo acl ipv6 name SUIMON-v3-V6\n",
        ),
    ] {
        let compiled = compile(&rules, dialect, &options).unwrap();
        assert_eq!(compiled.undo, undo, "{dialect}");
        assert!(compiled.warnings[0].contains("read back"), "{dialect}");
        assert!(compiled.warnings[1].contains("interface Ethernet1/1"), "{dialect}");
    }
    let bad = Options { interface: Some("Ethernet1/1\nreload".into()), ..Options::default() };
    assert!(matches!(compile(&rules, CiscoIos, &bad), Err(CompileError::Interface(_))));
    let long = Options { name: "A".repeat(48), version: Some(1), ..Options::default() };
    assert!(matches!(compile(&rules, HuaweiVrp, &long), Err(CompileError::LongName { max: 32, .. })));
}

#[test]
fn what_a_stranger_can_make_grow_is_bounded() {
    let lists: String = (0..2_000).map(|i| format!("ip access-list extended A{i}\n")).collect();
    assert!(parse(&lists, CiscoIos).unwrap_err().to_string().contains("at most 1000"));
    let acls: String = (0..2_000).map(|i| format!("acl name A{i} advance\n")).collect();
    assert!(parse(&acls, HuaweiVrp).unwrap_err().to_string().contains("at most 1000"));
    let classes: String = (0..2_000).map(|i| format!("class-map match-any C{i}\n")).collect();
    assert!(parse(&classes, CiscoXr).unwrap_err().to_string().contains("at most 1000"));
    let matches = format!("class-map type qos match-any C\n{}", "  match access-group name A\n".repeat(100));
    assert!(parse(&matches, CiscoNxos).unwrap_err().to_string().contains("at most 16"));
    let wild = "ip access-list extended A\n permit ip 192.0.2.0 85.85.85.85 any\n";
    assert!(parse(wild, CiscoIos).unwrap_err().to_string().contains("4096 prefixes"));
}

/// Groups as people write them: numbered members, names of ports, nested groups, other operators.
#[test]
fn groups_of_people() {
    let nxos = "object-group ip address CUSTOMER\n  10 host 192.0.2.1\n  20 192.0.2.16/28\n  30 192.0.2.64 0.0.0.3\n\
                object-group ip port GAMES\n  10 eq 53\n  20 range 27015 27030\n  30 gt 65533\n\
                ip access-list A\n  10 deny udp any portgroup GAMES addrgroup CUSTOMER\n  20 permit ip any any\n";
    let plain = "ip access-list A\n  10 deny udp any eq 53 192.0.2.1/32\n";
    let read = parse(nxos, Dialect::CiscoNxos).unwrap();
    let first = &read.rules.rules[0].matches;
    assert_eq!((first.dst.len(), first.src_ports.len(), read.lines[0]), (3, 3, 10));
    assert!(parse(plain, Dialect::CiscoNxos).is_ok());
    let xr = "object-group network ipv4 INNER\n range 192.0.2.1 192.0.2.6\n!\nobject-group network ipv4 OUTER\n \
              description both\n object-group INNER\n 198.51.100.0/24\n!\nobject-group port DNS\n eq domain\n!\n\
              ipv4 access-list A\n 10 permit udp net-group OUTER port-group DNS any\n!\n";
    let read = parse(xr, Dialect::CiscoXr).unwrap();
    assert_eq!(read.rules.rules[0].matches.src.len(), 5);
    assert_eq!(read.rules.rules[0].matches.src_ports[0].lo, 53);
    for (text, dialect, place) in [
        ("ip access-list A\n 10 deny udp any addrgroup NONE\n", Dialect::CiscoNxos, "line 2"),
        ("object-group ip address A\nip access-list A\n 10 deny ip any any\n", Dialect::CiscoNxos, "line 1"),
        (
            "object-group network A\n host 192.0.2.1\nobject-group network A\n host 192.0.2.2\n",
            Dialect::CiscoIos,
            "line 3",
        ),
        ("object-group service A\n tcp eq 80\n", Dialect::CiscoIos, "line 1"),
        ("object-group network ipv4 A\n 2001:db8::/32\n", Dialect::CiscoXr, "line 2"),
    ] {
        let e = parse(text, dialect).unwrap_err();
        assert!(e.to_string().starts_with(place), "{e}");
    }
}

#[test]
fn exceptions_of_junos_and_lists_of_sr_os() {
    let junos = "policy-options { prefix-list CUSTOMER { 192.0.2.0/24; } prefix-list OURS { 192.0.2.128/25; } }\n\
                 firewall { family inet { filter A { term 1 { from {\n\
                 source-prefix-list { CUSTOMER; OURS except; }\n\
                 destination-address { 0.0.0.0/0; 198.51.100.0/24 except; 198.51.100.7/32; }\n\
                 protocol [ tcp udp ]; } then discard; } term 2 { then accept; } } } }\n";
    let read = parse(junos, Dialect::Junos).unwrap();
    let m = &read.rules.rules[0].matches;
    assert_eq!(m.src, vec!["192.0.2.0/25".parse::<ipnet::IpNet>().unwrap()]);
    let of = |a: &str| m.dst.iter().any(|n| n.contains(&a.parse::<std::net::IpAddr>().unwrap()));
    assert!(of("198.51.100.7") && !of("198.51.100.8") && of("203.0.113.1"));
    let only = "firewall { family inet { filter A { term 1 { from { source-address { 192.0.2.0/24 except; } } then discard; } } } }";
    assert!(parse(only, Dialect::Junos).unwrap_err().to_string().contains("only exceptions"));
    let nokia = "/configure filter match-list ip-prefix-list \"N\" prefix 192.0.2.0/24\n\
                 /configure filter match-list ip-prefix-list \"N\" prefix-exclude 192.0.2.0/25\n\
                 /configure filter match-list protocol-list \"T\" protocol gre\n\
                 /configure filter match-list protocol-list \"T\" protocol 50\n\
                 /configure filter ip-filter \"A\" default-action accept\n\
                 /configure filter ip-filter \"A\" entry 10 match dst-ip ip-prefix-list \"N\"\n\
                 /configure filter ip-filter \"A\" entry 10 match protocol-list \"T\"\n\
                 /configure filter ip-filter \"A\" entry 10 action drop\n";
    let read = parse(nokia, Dialect::NokiaSros).unwrap();
    let protos: Vec<Option<u8>> = read.rules.rules.iter().map(|r| r.matches.proto).collect();
    assert_eq!(protos, [Some(47), Some(50)]);
    assert_eq!(read.rules.rules[0].matches.dst, vec!["192.0.2.128/25".parse::<ipnet::IpNet>().unwrap()]);
}
