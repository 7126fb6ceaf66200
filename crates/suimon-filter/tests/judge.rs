//! `explain`, `diff` and `lint`, judged by `RuleSet::decide` over whole small universes (catalogue rows 70, 79, 85–87).

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use suimon_base::flow::Fragment;
use suimon_base::{Action, PacketHeader};
use suimon_filter::compile::{Options, Profile, compile};
use suimon_filter::dialect::{Dialect, parse};
use suimon_filter::diff::diff;
use suimon_filter::explain::explain;
use suimon_filter::lint::{FindingId, LintOptions, lint};
use suimon_filter::packet::Packet;
use suimon_filter::proof::{SetBox, compare};

/// One line of an IOS list over few addresses and ports.
fn line() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec!["permit", "deny"]);
    let proto = prop::sample::select(vec!["ip", "tcp", "udp", "udp", "icmp"]);
    let src = prop::sample::select(vec!["any", "any", "host 192.0.2.1", "192.0.2.0 0.0.0.1", "192.0.2.2 0.0.0.1"]);
    let dst = prop::sample::select(vec![
        "any",
        "host 198.51.100.0",
        "198.51.100.0 0.0.0.1",
        "198.51.100.2 0.0.0.1",
        "198.51.100.0 0.0.0.3",
        "198.51.100.1 0.0.0.2",
    ]);
    let ports = || prop::sample::select(vec!["", "", "eq 1", "range 1 2", "gt 1", "lt 2", "neq 1"]);
    let tail = prop::sample::select(vec!["", "", "", "fragments", "syn"]);
    (action, proto, src, ports(), dst, ports(), tail).prop_map(|(action, proto, src, sports, dst, dports, tail)| {
        let ported = matches!(proto, "tcp" | "udp") && tail != "fragments";
        let (sports, dports) = if ported { (sports, dports) } else { ("", "") };
        let tail = if tail == "syn" && proto != "tcp" { "" } else { tail };
        let words = [action, proto, src, sports, dst, dports, tail];
        words.iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(" ")
    })
}

fn list(lines: &[String]) -> String {
    let mut out = String::from("ip access-list extended X\n");
    for (i, l) in lines.iter().enumerate() {
        let _ = writeln!(out, " {} {l}", (i + 1) * 10);
    }
    out
}

/// Every packet that differs for such lists.
fn universe() -> Vec<PacketHeader> {
    let mut out = Vec::new();
    for s in 0..5u8 {
        for d in 0..5u8 {
            let base = PacketHeader {
                src: [192, 0, 2, s].into(),
                dst: [198, 51, 100, d].into(),
                proto: 1,
                ports: None,
                tcp_flags: 0,
                icmp: 0,
                fragment: Fragment::Whole,
                ip_len: 100,
                tos: 0,
                ttl: 64,
            };
            for proto in [1, 6, 17, 47] {
                out.push(PacketHeader { proto, fragment: Fragment::Later, ..base });
            }
            out.extend([1, 47].map(|proto| PacketHeader { proto, ..base }));
            for (sport, dport) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
                let ports = Some((sport, dport));
                out.push(PacketHeader { proto: 17, ports, ..base });
                out.extend([0, 2].map(|tcp_flags| PacketHeader { proto: 6, ports, tcp_flags, ..base }));
            }
        }
    }
    out
}

fn packet(h: &PacketHeader) -> Packet {
    let PacketHeader { src, dst, proto, ports, tcp_flags, fragment, ip_len, .. } = *h;
    Packet { src, dst, proto, ports, tcp_flags: Some(tcp_flags), fragment, ip_len: Some(ip_len) }
}

/// Whether a printed box holds a packet.
fn holds(b: &SetBox, h: &PacketHeader) -> bool {
    fn within<T: std::str::FromStr + PartialOrd + Copy>(list: &[String], x: Option<T>) -> bool {
        let read = |s: &str| s.parse::<T>().unwrap_or_else(|_| panic!("{s}"));
        list.is_empty()
            || x.is_some_and(|x| {
                list.iter().any(|r| {
                    let (lo, hi) = r.split_once('-').unwrap_or((r, r));
                    read(lo) <= x && x <= read(hi)
                })
            })
    }
    assert!(!b.truncated);
    let later = h.fragment == Fragment::Later;
    within(&b.proto, Some(h.proto))
        && within(&b.src, Some(h.src))
        && within(&b.dst, Some(h.dst))
        && within(&b.src_ports, h.ports.map(|p| p.0))
        && within(&b.dst_ports, h.ports.map(|p| p.1))
        && within(&b.tcp_flags, Some(h.tcp_flags))
        && within(&b.lengths, Some(h.ip_len))
        && b.fragment.is_none_or(|f| (f == "later") == later)
        && (b.family == suimon_filter::range::Family::V4) == h.src.is_ipv4()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A line is reported as never reached exactly where it decides no packet of the universe.
    #[test]
    fn never_reached_lines_are_those_that_decide_nothing(lines in prop::collection::vec(line(), 1..9)) {
        let text = list(&lines);
        let read = parse(&text, Dialect::CiscoIos).unwrap();
        let mut deciding = BTreeSet::new();
        let mut implicit = false;
        for h in universe() {
            let (i, action) = read.rules.decide(&h).unwrap();
            deciding.insert(read.lines[i]);
            implicit |= read.lines[i] == 0 && action == Action::Discard;
        }
        let report = lint(&text, Dialect::CiscoIos, &LintOptions::default());
        let of = |ids: &[FindingId]| -> BTreeSet<usize> {
            report.findings.iter().filter(|f| ids.contains(&f.id)).map(|f| f.line).collect()
        };
        let dead: BTreeSet<usize> = (2..lines.len() + 2).filter(|l| !deciding.contains(l)).collect();
        prop_assert_eq!(of(&[FindingId::NeverMatches, FindingId::AfterPermitAny]), dead, "{}", text);
        prop_assert_eq!(!of(&[FindingId::ImplicitDeny]).is_empty(), implicit, "{}", text);
        // Fragments: reported exactly where a dropped packet's later fragments pass.
        let passes = universe().into_iter().filter(|h| h.ports.is_some()).any(|h| {
            let (i, action) = read.rules.decide(&h).unwrap();
            let m = &read.rules.rules[i].matches;
            let later = PacketHeader { ports: None, fragment: Fragment::Later, tcp_flags: 0, ..h };
            action == Action::Discard
                && (!m.src_ports.is_empty() || !m.dst_ports.is_empty())
                && read.rules.decide(&later).unwrap().1 == Action::Permit
        });
        prop_assert!(!passes || !of(&[FindingId::Fragments]).is_empty(), "{}", text);
    }

    #[test]
    fn an_explanation_is_what_the_rules_decide(lines in prop::collection::vec(line(), 1..9)) {
        let text = list(&lines);
        let read = parse(&text, Dialect::CiscoIos).unwrap();
        for h in universe() {
            let said = explain(&read, &text, Dialect::CiscoIos, &packet(&h)).unwrap();
            let (i, action) = read.rules.decide(&h).unwrap();
            prop_assert_eq!(said.action, action);
            prop_assert_eq!(said.decided_by.as_ref().map_or(0, |l| l.line), read.lines[i]);
            prop_assert_eq!(said.implicit, read.lines[i] == 0);
            if let Some(l) = said.decided_by {
                prop_assert!(l.text.ends_with(&lines[l.line - 2]));
            }
        }
    }

    /// The three sets hold exactly the packets that the lists treat differently, and are empty where the diagrams are one.
    #[test]
    fn a_difference_is_what_packets_see(
        a in prop::collection::vec(line(), 1..6),
        b in prop::collection::vec(line(), 1..6),
    ) {
        let read = |l: &[String]| parse(&list(l), Dialect::CiscoIos).unwrap();
        let (a, b) = (read(&a), read(&b));
        let d = diff((&a, Dialect::CiscoIos), (&b, Dialect::CiscoIos)).unwrap();
        let empty = d.newly_dropped.is_empty() && d.newly_passed.is_empty() && d.limited_differently.is_empty();
        prop_assert_eq!(d.equal, empty);
        prop_assert_eq!(d.equal, compare(&a.rules, &b.rules).unwrap().equal);
        for h in universe() {
            let (x, y) = (a.rules.decide(&h).unwrap().1, b.rules.decide(&h).unwrap().1);
            for (space, action) in [(&d.newly_dropped, Action::Discard), (&d.newly_passed, Action::Permit)] {
                prop_assert!(!space.truncated);
                let inside = space.boxes.iter().any(|s| holds(s, &h));
                prop_assert_eq!(inside, x != y && y == action, "{:?}", h);
            }
        }
    }
}

fn found(text: &str, options: &LintOptions) -> Vec<(FindingId, usize)> {
    lint(text, Dialect::CiscoIos, options).findings.iter().map(|f| (f.id, f.line)).collect()
}

/// A list with nothing to say about: both families, fragments, an end, an explicit rest.
const CLEAN: &str = "\
ip access-list extended DOS-v1
 remark end 2026-12-01T00:00Z
 10 deny udp any eq 53 host 192.0.2.7
 20 deny udp any host 192.0.2.7 fragments
 30 permit ip any any
ipv6 access-list DOS-v1-V6
 sequence 10 deny udp any eq 53 host 2001:db8::7
 sequence 20 deny udp any host 2001:db8::7 fragments
 sequence 30 permit ipv6 any any
";

#[test]
fn a_clean_list_has_no_findings() {
    let options = LintOptions {
        budget: Some(6),
        protects: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        ..LintOptions::default()
    };
    assert_eq!(found(CLEAN, &options), []);
    let report = lint(CLEAN, Dialect::CiscoIos, &LintOptions { budget: Some(5), ..options });
    assert_eq!(report.lines, 6);
    assert_eq!((report.findings[0].id, report.findings[0].line), (FindingId::OverBudget, 9));
}

#[test]
fn each_mistake_is_found_at_its_line() {
    use FindingId as F;
    let default = LintOptions::default();
    let has = |text: &str, options: &LintOptions, id: F, line: usize| {
        let all = found(text, options);
        assert!(all.contains(&(id, line)), "{id:?} at {line} is not in {all:?}\n{text}");
    };
    has(&CLEAN.replace("end 2026", "2026"), &default, F::NoEnd, 0);
    has(&CLEAN.replace(" 20 deny udp any host 192.0.2.7 fragments\n", ""), &default, F::Fragments, 3);
    has(&CLEAN.replace(" 30 permit ip any any\n", ""), &default, F::ImplicitDeny, 8);
    has(&CLEAN.replace("permit ip any any", "permit udp any any"), &default, F::ImplicitDeny, 9);
    has(CLEAN.split("ipv6").next().unwrap(), &default, F::OtherFamily, 0);
    has(&CLEAN.replace(" 20 deny", " 5 deny"), &default, F::SequenceOrder, 4);
    has(&CLEAN.replace(" 20 deny", " 10 deny"), &default, F::SequenceOrder, 4);
    has(
        &CLEAN.replace("deny udp any eq 53 host 192", "deny ip any eq 53 host 192"),
        &default,
        F::PortWithoutProtocol,
        3,
    );
    has(&CLEAN.replace("host 192.0.2.7 f", "192.0.2.0 255.255.255.0 f"), &default, F::NetmaskForWildcard, 4);
    has(&CLEAN.replace("deny udp any host 192.0.2.7 fr", "drop udp any host 192.0.2.7 fr"), &default, F::Syntax, 4);
    // All mistakes of one text, not only the first.
    let two = CLEAN.replace("deny udp any eq 53", "deny udp any equals 53");
    assert_eq!(found(&two, &default).iter().filter(|f| f.0 == F::Syntax).map(|f| f.1).collect::<Vec<_>>(), [3, 7]);
    let late = "ip access-list extended X\n 10 permit ip any any\n 20 deny udp any any eq 53\n";
    has(late, &default, F::AfterPermitAny, 3);
    // Two blocks together take a third.
    let union = "deny udp any 192.0.2.0 0.0.0.127\ndeny udp any 192.0.2.128 0.0.0.127 fragments\n\
                 deny udp any 192.0.2.128 0.0.0.127 eq 53\ndeny udp any 192.0.2.128 0.0.0.127 neq 53\n\
                 permit udp any 192.0.2.0 0.0.0.255 eq 80\npermit ip any any\n";
    has(union, &default, F::NeverMatches, 5);
    let f = lint(union, Dialect::CiscoIos, &default).findings.into_iter().find(|f| f.id == F::NeverMatches).unwrap();
    assert_eq!(f.others, [1, 2, 4]);
    let protects = LintOptions { protects: vec!["192.0.2.0/24".parse().unwrap()], ..default.clone() };
    let turned = CLEAN.replace("any eq 53 host 192.0.2.7", "host 192.0.2.7 host 198.51.100.1 eq 53");
    has(&turned, &protects, F::WrongDirection, 3);
    has(&CLEAN.replace("host 192.0.2.7 f", "host 198.51.100.7 f"), &protects, F::WrongDirection, 4);
}

#[test]
fn bindings_are_judged() {
    use FindingId as F;
    let bound = |dir: &str| {
        format!(
            "{CLEAN}!\ninterface GigabitEthernet0/1\n description customer 7\n ip address 192.0.2.1 255.255.255.0\n ip access-group DOS-v1 {dir}\n!\n"
        )
    };
    assert_eq!(found(&bound("out"), &LintOptions::default()), []);
    let wrong = found(&bound("in"), &LintOptions::default());
    assert_eq!(wrong, [(F::WrongDirection, 3)]);
    let running = Some("interface GigabitEthernet0/1\n ip access-group CUSTOMER out\n!\nip access-list extended DOS-v1\n deny ip any any\n".to_owned());
    let options = LintOptions { running, ..LintOptions::default() };
    assert_eq!(found(&bound("out"), &options), [(F::AddsToList, 1), (F::ReplacesList, 14)]);
    let remark = bound("out").replace(" remark end", " remark inbound, end");
    assert_eq!(found(&remark, &LintOptions::default()), [(F::WrongDirection, 14)]);
}

#[test]
fn the_question_of_the_issue() {
    let text = "ip access-list extended X\n 10 deny udp any eq 53 192.0.0.0 0.0.127.255\n 20 permit tcp any any\n";
    let read = parse(text, Dialect::CiscoIos).unwrap();
    let ask = |p: &str| explain(&read, text, Dialect::CiscoIos, &p.parse().unwrap()).unwrap();
    let said = ask("udp 198.51.100.1:53 > 192.0.0.1:4242");
    assert_eq!(said.words, "line 2 drops it: 10 deny udp any eq 53 192.0.0.0 0.0.127.255");
    let said = ask("udp 198.51.100.1:54 > 192.0.0.1:4242");
    assert_eq!(said.words, "no line takes it; the implicit end of the list drops it");
    assert!(said.implicit && said.decided_by.is_none());
    let said = ask("udp 198.51.100.1 > 192.0.0.1 later-fragment");
    assert!(said.implicit, "{said:?}");
    // A list of IPv4 says nothing of IPv6.
    let said = ask("udp [2001:db8::1]:53 > [2001:db8::2]:4242");
    assert_eq!((said.action, said.implicit), (Action::Permit, true));
    let asks = "deny tcp any any syn\npermit ip any any\n";
    let read = parse(asks, Dialect::CiscoIos).unwrap();
    let p: Packet = "tcp 192.0.2.1:1 > 192.0.2.2:80".parse().unwrap();
    let e = explain(&read, asks, Dialect::CiscoIos, &p).unwrap_err();
    assert_eq!((e.line, e.field), (1, "the TCP flags"));
}

#[test]
fn limits_and_dialects_are_compared() {
    let one = "match destination 192.0.2.7/32 protocol =17 source-port =53 then rate-bytes 1000000\n";
    let flowspec = |t: &str| parse(t, Dialect::Flowspec).unwrap_or_else(|e| panic!("{t}: {e}"));
    let f = Dialect::Flowspec;
    let (a, b) = (flowspec(one), flowspec(&one.replace("1000000", "2000000")));
    let d = diff((&a, f), (&b, f)).unwrap();
    assert!(!d.equal && d.newly_dropped.is_empty() && d.newly_passed.is_empty());
    assert_eq!(d.limited_differently.addresses, "1");
    let acl = "deny udp any eq 53 host 192.0.2.7\npermit ip any any\n";
    let drop = flowspec("match destination 192.0.2.7/32 protocol =17 source-port =53 then discard\n");
    let ios = parse(acl, Dialect::CiscoIos).unwrap();
    assert!(diff((&ios, Dialect::CiscoIos), (&drop, f)).unwrap().equal);
    let d = diff((&ios, Dialect::CiscoIos), (&a, f)).unwrap();
    assert_eq!((d.limited_differently.addresses.as_str(), d.newly_passed.is_empty()), ("1", true));
}

#[test]
fn a_profile_says_how_many_lines_there_are() {
    use suimon_filter::lint::budget_of;
    assert_eq!(budget_of("lines = 1000\n"), Ok(1000));
    assert_eq!(budget_of("entries = { total = 500, used = 480 }\n"), Ok(20));
    for (profile, words) in [("lines = -1", "neither"), ("x = 1", "neither"), ("lines", "expected")] {
        let e = budget_of(profile).unwrap_err();
        assert!(e.contains(words), "{e}");
    }
}

#[test]
fn a_device_counts_ranges_as_it_keeps_them() {
    use suimon_filter::lint::profile;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/devices/customer-edge.toml");
    let whole = std::fs::read_to_string(path).unwrap();
    assert_eq!(profile("lines = 7\n").unwrap(), (Some(7), None));
    assert!(profile("lines = 7\nplace = \"edge\"\n").unwrap_err().contains("missing field"));
    let (budget, device) = profile(&whole.replace("used = 100", "used = 1010")).unwrap();
    assert_eq!(budget, None);
    // 14 entries are free. Two denies of one port, 1 + 1; ports 1024 and above, 6 blocks; 1-65534, 30 blocks; the permit.
    let text = "ip access-list N\n remark end 2026-12-01\n 10 deny udp any eq 53 host 192.0.2.7\n \
        20 deny udp any eq 123 host 192.0.2.7\n 30 deny udp any gt 1023 host 192.0.2.8\n \
        40 deny udp any range 1 65534 host 192.0.2.9\n 50 permit ip any any\n";
    let options = LintOptions { device, budget, ..LintOptions::default() };
    let report = lint(text, Dialect::CiscoNxos, &options);
    let cost = report.cost.as_ref().unwrap();
    assert_eq!((cost.entries, cost.free, cost.short, cost.fits), (39, 14, 25, false));
    let over: Vec<_> = report.findings.iter().filter(|f| f.id == FindingId::OverBudget).collect();
    assert_eq!((over.len(), over[0].line), (1, 6), "{over:?}");
    let (_, device) = profile(&whole).unwrap();
    let report = lint(text, Dialect::CiscoNxos, &LintOptions { device, ..LintOptions::default() });
    assert!(report.cost.unwrap().fits && report.findings.iter().all(|f| f.id != FindingId::OverBudget));
}

#[test]
fn an_nftables_rule_with_ports_needs_a_test_of_fragments() {
    let chain = |rules: &str| {
        format!(
            "table inet t {{ # end 2026-12-01\nchain c {{\ntype filter hook prerouting priority -450; policy accept;\n{rules}}}\n}}\n"
        )
    };
    let untested = |rules: &str| {
        let report = lint(&chain(rules), Dialect::Nftables, &LintOptions::default());
        let found: Vec<_> = report.findings.into_iter().filter(|f| f.id == FindingId::FragmentTest).collect();
        assert!(found.len() < 2);
        found.into_iter().flat_map(|f| [vec![f.line], f.others].concat()).collect::<Vec<_>>()
    };
    let (v4, v6) = ("ip daddr 192.0.2.1 udp sport 53", "ip6 daddr 2001:db8::1 udp sport 53");
    assert_eq!(untested(&format!("{v4} drop\n{v6} drop\nip daddr 192.0.2.2 drop\n")), [4, 5]);
    assert_eq!(
        untested(&format!("{v4} ip frag-off & 0x1fff == 0 drop\nfrag frag-off != 0 accept\n{v6} drop\n")),
        [0; 0]
    );
    // The other family's line does not help, nor one that takes the fragments of one host, nor one that stands behind.
    assert_eq!(untested(&format!("frag frag-off != 0 accept\n{v4} drop\n")), [5]);
    assert_eq!(untested(&format!("ip daddr 192.0.2.1 ip frag-off & 0x1fff != 0 drop\n{v4} drop\n")), [5]);
    assert_eq!(untested(&format!("{v6} drop\nfrag frag-off != 0 accept\n")), [4]);
    assert_eq!(untested(&format!("ip frag-off & 0x1fff != 0 drop\n{v4} drop\n")), [0; 0]);
    // What the compiler writes has the tests.
    let request = "deny udp any eq 53 host 192.0.2.7\npermit ip any any\nipv6 access-list X\n deny tcp any host 2001:db8::7 eq 80\n \
        permit ipv6 any any\n";
    let rules = suimon_filter::request::parse(request).unwrap().rules;
    for profile in [Profile::Basic, Profile::Compact] {
        let options = Options { profile, end: Some("2026-12-01".into()), ..Options::default() };
        let text = compile(&rules, Dialect::Nftables, &options).unwrap().text;
        let report = lint(&text, Dialect::Nftables, &LintOptions::default());
        assert!(text.contains("sport 53") && report.findings.iter().all(|f| f.id != FindingId::FragmentTest), "{text}");
    }
}
