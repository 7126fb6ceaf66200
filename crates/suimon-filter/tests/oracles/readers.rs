//! Reading what people and routers write: other forms of the same filter, errors with their place, hostile text.

use proptest::prelude::*;
use suimon_base::{Action, RuleSet};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::proof::compare;

fn read(text: &str, dialect: Dialect) -> RuleSet {
    parse(text, dialect).unwrap_or_else(|e| panic!("{e}\n{text}")).rules
}

fn same(a: &str, b: &str, dialect: Dialect) {
    let proof = compare(&read(a, dialect), &read(b, dialect)).expect("small enough");
    assert!(proof.equal, "missing {:?}\nextra {:?}", proof.missing.boxes, proof.extra.boxes);
}

const JUNOS: &str = r#"
/* case C-1 */
policy-options {
    prefix-list HOSTS {
        192.0.2.1/32;
        192.0.2.8/30;
        2001:db8::/48;
    }
}
firewall {
    policer P {
        if-exceeding { bandwidth-limit 8m; burst-size-limit 15k; }
        then discard;
    }
    family inet {
        filter F {
            interface-specific;
            term A {
                from {
                    destination-prefix-list { HOSTS; }
                    protocol [ tcp udp ];
                    destination-port [ 53 80-81 domain ];
                }
                then { count A; discard; }
            }
            term B { from { protocol tcp; tcp-flags "(syn & !ack)"; } then { reject; } }
            term C { from { protocol icmp; } then { policer P; accept; } }
            term REST { then accept; }
        }
    }
}
"#;

#[test]
fn junos_set_lines_say_the_same_as_braces() {
    let set = "\
set policy-options prefix-list HOSTS 192.0.2.1/32
set policy-options prefix-list HOSTS 192.0.2.8/30
set policy-options prefix-list HOSTS 2001:db8::/48
set firewall policer P if-exceeding bandwidth-limit 8000k
set firewall policer P if-exceeding burst-size-limit 15000
set firewall policer P then discard
set firewall family inet filter F term A from destination-prefix-list HOSTS
set firewall family inet filter F term A from protocol tcp
set firewall family inet filter F term A from protocol udp
set firewall family inet filter F term A from destination-port 53
set firewall family inet filter F term A from destination-port 80-81
set firewall family inet filter F term A then discard
set firewall family inet filter F term B from protocol tcp
set firewall family inet filter F term B from tcp-initial
set firewall family inet filter F term B then discard
set firewall family inet filter F term C from protocol icmp
set firewall family inet filter F term C then policer P
set firewall family inet filter F term REST then accept
";
    same(JUNOS, set, Dialect::Junos);
    let rules = read(JUNOS, Dialect::Junos);
    assert!(rules.rules.iter().any(|r| r.action == Action::LimitBps(8_000_000)));
    // Without the last term everything else is dropped, and that is a difference.
    let cut = set.replace("set firewall family inet filter F term REST then accept\n", "");
    assert!(!compare(&rules, &read(&cut, Dialect::Junos)).unwrap().equal);
}

const SROS: &str = r#"
configure {
    filter {
        match-list {
            ip-prefix-list "hosts" {
                prefix 192.0.2.1/32 { }
                prefix 192.0.2.8/30 { }
            }
            port-list "ports" {
                port 53 { }
                range start 80 end 81 { }
            }
        }
        ip-filter "F" {
            default-action accept
            description "case C-1 # not a comment"
            scope template
            entry 20 {
                match {
                    protocol tcp
                    tcp-flags {
                        syn true
                        ack false
                    }
                }
                action {
                    drop
                }
            }
            entry 10 {
                match {
                    protocol tcp-udp
                    dst-ip {
                        ip-prefix-list "hosts"
                    }
                    dst-port {
                        port-list "ports"
                    }
                }
                action {
                    drop
                }
            }
            entry 30 {
                match {
                    protocol udp
                    src-port { range { start 100 end 200 } }
                }
                action {
                    accept
                    rate-limit {
                        pir 8000
                    }
                }
            }
        }
    }
}
"#;

#[test]
fn sros_flat_lines_say_the_same_as_braces() {
    let flat = "\
/configure filter ip-filter \"F\" entry 10 match protocol tcp-udp
/configure filter ip-filter \"F\" entry 10 match dst-ip ip-prefix-list \"hosts\"
/configure filter ip-filter \"F\" entry 10 match dst-port port-list \"ports\"
/configure filter ip-filter \"F\" entry 10 action drop
/configure filter ip-filter \"F\" default-action accept
/configure filter ip-filter \"F\" entry 20 { match protocol tcp }
/configure filter ip-filter \"F\" entry 20 { match tcp-flags syn true }
/configure filter ip-filter \"F\" entry 20 { match tcp-flags ack false }
/configure filter ip-filter \"F\" entry 20 { action drop }
/configure filter ip-filter \"F\" entry 30 match protocol udp
/configure filter ip-filter \"F\" entry 30 match src-port range start 100
/configure filter ip-filter \"F\" entry 30 match src-port range end 200
/configure filter ip-filter \"F\" entry 30 action rate-limit pir 8000
/configure filter match-list ip-prefix-list \"hosts\" prefix 192.0.2.1/32
/configure filter match-list ip-prefix-list \"hosts\" prefix 192.0.2.8/30 { }
/configure filter match-list port-list \"ports\" port 53
/configure filter match-list port-list \"ports\" range start 80 end 81
";
    same(SROS, flat, Dialect::NokiaSros);
    let rules = read(SROS, Dialect::NokiaSros);
    assert!(rules.rules.iter().any(|r| r.action == Action::LimitBps(8_000_000)));
}

#[test]
fn sros_takes_later_fragments_where_a_zero_fulfils_the_entry() {
    let text = |port: &str| {
        format!(
            "/configure filter ip-filter \"F\" default-action accept\n\
             /configure filter ip-filter \"F\" entry 10 match protocol udp\n\
             /configure filter ip-filter \"F\" entry 10 match dst-port {port}\n\
             /configure filter ip-filter \"F\" entry 10 action drop\n"
        )
    };
    let later = |port: &str| read(&text(port), Dialect::NokiaSros).rules.iter().any(|r| r.matches.fragment.is_some());
    assert!(later("eq 0") && later("lt 10") && !later("eq 53") && !later("gt 0"));
}

const MIKROTIK: &str = "\
# by RouterOS 7.15
/ip firewall address-list
add address=192.0.2.1 list=hosts
add address=192.0.2.8-192.0.2.11 list=hosts comment=\"four of them\"
add address=203.0.113.0/24 list=hosts disabled=yes
/ip firewall raw
add action=jump chain=prerouting jump-target=F
add action=drop chain=F comment=\"case C-1\" dst-address-list=hosts dst-port=53,80-81 \\
    protocol=udp
add action=passthrough chain=F
add action=accept chain=F limit=5k,500:packet protocol=icmp
add action=drop chain=F protocol=icmp
";

#[test]
fn routeros_exports_are_read() {
    let plain = "\
/ip firewall raw add chain=F protocol=udp dst-port=53,80-81 dst-address-list=hosts action=drop
/ip firewall raw add chain=F protocol=icmp limit=5000/1s,5:packet action=return
/ip firewall raw add chain=F protocol=1 action=drop
/ip firewall address-list add list=hosts address=192.0.2.1/32
/ip firewall address-list add list=hosts address=192.0.2.8/30
";
    let plain = plain.replace("protocol=1 ", "protocol=icmp ");
    same(MIKROTIK, &plain, Dialect::Mikrotik);
    assert!(read(MIKROTIK, Dialect::Mikrotik).rules.iter().any(|r| r.action == Action::LimitPps(5000)));
}

#[test]
fn errors_name_their_place() {
    let all: &[(Dialect, &str, usize, usize, &str)] = &[
        (Dialect::Junos, "", 1, 1, "no filter"),
        (
            Dialect::Junos,
            "firewall {\n  family inet {\n    filter F { term A { from { port 53; } } }\n  }\n}\n",
            3,
            32,
            "\"port\"",
        ),
        (Dialect::Junos, "set firewall family inet filter F term A then policer P\n", 1, 55, "\"P\""),
        (Dialect::Junos, "firewall { family inet { filter F { term A { then discard; }\n", 1, 1, "inside braces"),
        (Dialect::Junos, "/* case\nfirewall {}\n", 1, 1, "comment"),
        (
            Dialect::Junos,
            "set firewall family inet filter F term A from destination-port 53\n",
            1,
            40,
            "without a protocol",
        ),
        (
            Dialect::Junos,
            "set firewall family inet filter F term A from source-address 2001:db8::/32\n",
            1,
            62,
            "other family",
        ),
        (Dialect::Junos, "set firewall family inet filter F term A then next term\n", 1, 47, "\"next\""),
        (Dialect::NokiaSros, "/configure router \"Base\"\n", 1, 12, "\"router\""),
        (Dialect::NokiaSros, "/configure filter ip-filter \"F\" entry 10 match dscp ef\n", 1, 48, "\"dscp\""),
        (
            Dialect::NokiaSros,
            "/configure filter ip-filter \"F\" entry 10 match protocol udp\n",
            1,
            39,
            "without an action",
        ),
        (
            Dialect::NokiaSros,
            "/configure filter ip-filter \"F\" entry 10 action rate-limit pir max\n",
            1,
            64,
            "\"max\"",
        ),
        (Dialect::Mikrotik, "add chain=x action=drop\n", 1, 1, "before its menu"),
        (
            Dialect::Mikrotik,
            "/ip firewall raw\nadd chain=x action=drop connection-state=new\n",
            2,
            25,
            "connection-state",
        ),
        (Dialect::Mikrotik, "/ip firewall raw\nadd chain=x action=drop dst-address=!192.0.2.1\n", 2, 25, "negated"),
        (Dialect::Mikrotik, "/ip firewall raw\nadd chain=x limit=5,5:packet action=accept\n", 2, 1, "nothing drops"),
        (Dialect::Mikrotik, "/ip firewall raw\nadd chain=x action=drop comment=\"open\n", 2, 33, "does not end"),
    ];
    for (dialect, text, line, column, word) in all {
        let e = parse(text, *dialect).expect_err(text);
        assert_eq!((e.line, e.column), (*line, *column), "{e}\n{text}");
        assert!(e.message.contains(word), "{e}\n{text}");
    }
}

/// Words of every dialect, so that random text comes far into the readers.
const WORDS: &[&str] = &[
    "firewall",
    "{",
    "}",
    ";",
    "family",
    "inet",
    "inet6",
    "filter",
    "F",
    "term",
    "A",
    "from",
    "then",
    "discard",
    "accept",
    "[",
    "]",
    "set",
    "policer",
    "if-exceeding",
    "bandwidth-limit",
    "8m",
    "protocol",
    "udp",
    "destination-port",
    "0-65535",
    "53",
    "192.0.2.0/24",
    "2001:db8::/32",
    "source-address",
    "tcp-flags",
    "\"(syn & !ack)\"",
    "is-fragment",
    "prefix-list",
    "policy-options",
    "/*",
    "*/",
    "#",
    "\n",
    "/configure",
    "configure",
    "match-list",
    "ip-prefix-list",
    "port-list",
    "prefix",
    "ip-filter",
    "ipv6-filter",
    "entry",
    "10",
    "match",
    "action",
    "drop",
    "rate-limit",
    "pir",
    "dst-port",
    "eq",
    "range",
    "start",
    "end",
    "fragment",
    "non-first-only",
    "default-action",
    "\"",
    "/ip",
    "/ipv6",
    "raw",
    "address-list",
    "add",
    "chain=F",
    "action=drop",
    "action=accept",
    "limit=5,5:packet",
    "dst-address=192.0.2.1",
    "list=L",
    "address=192.0.2.1-192.0.2.9",
    "\\",
    "protocol=udp",
    "dst-port=53,80",
    "tcp-flags=syn,!ack",
    "fragment=yes",
    "comment=\"a b\"",
    "=",
    "４",
    "\u{feff}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn hostile_text_gives_an_error_with_a_place(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..60),
        wild in "[ -~\\n\\t「」é]{0,80}",
    ) {
        let joined = words.join(" ");
        for base in ["", JUNOS, SROS, MIKROTIK] {
            for text in [format!("{base}{joined}"), format!("{joined}{base}"), format!("{base}{wild}")] {
                for dialect in Dialect::ALL {
                    if let Err(e) = parse(&text, dialect) {
                        prop_assert!(e.line >= 1 && e.line <= text.lines().count().max(1), "{e}");
                        prop_assert!(e.column >= 1 && !e.expected.is_empty(), "{e}");
                    }
                }
            }
        }
    }

    /// A text of a router, cut anywhere and with one octet changed.
    #[test]
    fn damaged_text_is_an_error_or_a_list(at in any::<prop::sample::Index>(), with in any::<char>()) {
        for (dialect, text) in [(Dialect::Junos, JUNOS), (Dialect::NokiaSros, SROS), (Dialect::Mikrotik, MIKROTIK)] {
            let chars: Vec<char> = text.chars().collect();
            let i = at.index(chars.len());
            let _ = parse(&chars[..i].iter().collect::<String>(), dialect);
            let changed: String = chars.iter().enumerate().map(|(j, &c)| if i == j { with } else { c }).collect();
            let _ = parse(&changed, dialect);
        }
    }
}

#[test]
fn what_a_stranger_can_make_grow_is_bounded() {
    let deep = "a { ".repeat(1_000);
    assert!(
        parse(&deep, Dialect::Junos).unwrap_err().message.contains("\"a\"") || parse(&deep, Dialect::Junos).is_err()
    );
    let long = format!("/ip firewall raw add {}", "chain=x ".repeat(20_000));
    assert!(parse(&long, Dialect::Mikrotik).unwrap_err().message.contains("too long"));
    let words = format!("/configure filter {}", "x ".repeat(200));
    assert!(parse(&words, Dialect::NokiaSros).is_err());
}
