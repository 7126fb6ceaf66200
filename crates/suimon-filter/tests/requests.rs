//! What free text is understood as, and where it is refused.

use suimon_base::{Match, PortRange, RuleSet};
use suimon_filter::request::{Context, Question, QuestionId, parse, parse_with};

fn rules(text: &str) -> RuleSet {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).rules
}

fn one(text: &str) -> Match {
    let set = rules(text);
    assert_eq!(set.rules.len(), 1, "{text}: {set:?}");
    set.rules[0].matches.clone()
}

fn ids(questions: &[Question]) -> Vec<QuestionId> {
    questions.iter().map(|q| q.id).collect()
}

#[test]
fn the_same_request_in_many_hands() {
    let want = rules("192.0.2.0-192.0.2.127\n53/UDP\n");
    for text in [
        "192.0.2.0~192.0.2.127 53/UDP",
        "192.0.2.0 〜 192.0.2.127 の 53/udp を遮断",
        "192.0.2.0～192.0.2.127、UDP/53",
        "192.0.2.0–192.0.2.127 UDP 53",
        "192.0.2.0—127 UDP:53",
        "192.0.2.0/25 udp port 53",
        "192.0.2.0 0.0.0.127 UDPポート53",
        "192.0.2.0/255.255.255.128 53/UDP",
        "１９２．０．２．０／２５　５３／ＵＤＰ",
        "192[.]0[.]2[.]0/25 53/UDP",
        "> 192.0.2.0/25\n> 53/UDP\n",
        "> > 宛先: 192.0.2.0から192.0.2.127まで\n> > UDP: 53",
        "192.0.2.0/26, 192.0.2.64/26 53/UDP",
        "192.0.2.0~\n192.0.2.127\n53/UDP",
        "UDP:\n53\n192.0.2.0/25",
        "192.0.2.0 through 192.0.2.127, 53udp",
    ] {
        assert_eq!(rules(text), want, "{text}");
    }
}

#[test]
fn sides() {
    let m = one("送信元ポート 53/UDP\n宛先 192.0.2.1");
    assert_eq!((m.src_ports, m.dst_ports), (vec![PortRange::one(53)], vec![]));
    let m = one("198.51.100.7から192.0.2.1への通信、ICMP");
    assert_eq!(m.src.len() + m.dst.len(), 2, "{m:?}");
    let m = one("source: 198.51.100.0/24\ndestination: 192.0.2.1\nGRE");
    assert_eq!(
        (m.src[0].to_string(), m.dst[0].to_string(), m.proto),
        ("198.51.100.0/24".into(), "192.0.2.1/32".into(), Some(47))
    );
    let m = one("送信元アドレス\n198.51.100.0/24\n\nESP");
    assert!(m.dst.is_empty() && m.src.len() == 1);
    let m = one("2001:db8::1 ICMP");
    assert_eq!(m.proto, Some(58));
}

#[test]
fn groups_are_paired_in_order_and_asked_about() {
    let p = parse("192.0.2.1 53/UDP\n192.0.2.2 80/TCP\n").unwrap();
    assert_eq!(p.rules.rules.len(), 2);
    assert!(ids(&p.questions).contains(&QuestionId::Pairing));
    let e = parse("192.0.2.1 53/UDP\nand also 192.0.2.2\n").unwrap_err();
    assert_eq!((e.line, e.column, e.text.as_str()), (2, 10, "192.0.2.2"));
}

#[test]
fn questions_follow_the_words() {
    let p = parse("192.0.2.1 53/UDP").unwrap();
    for id in [
        QuestionId::PortSide,
        QuestionId::Direction,
        QuestionId::Fragments,
        QuestionId::SpecialPurpose,
        QuestionId::OtherFamily,
        QuestionId::EndTime,
        QuestionId::Ownership,
    ] {
        assert!(ids(&p.questions).contains(&id), "{id:?}");
    }
    let context = Context { holdings: vec!["192.0.2.0/24".parse().unwrap()], ..Context::default() };
    let p = parse_with("192.0.2.1 53/UDP", &context).unwrap();
    assert!(!ids(&p.questions).contains(&QuestionId::Ownership));
    let p = parse_with("192.0.2.250-192.0.3.5 53/UDP", &context).unwrap();
    let q = p.questions.iter().find(|q| q.id == QuestionId::Ownership).unwrap();
    assert!(q.text_en.contains("6 addresses") && q.text_en.contains("192.0.3.0-192.0.3.5"), "{}", q.text_en);
    let p = parse("192.0.2.1 を遮断").unwrap();
    assert!(ids(&p.questions).contains(&QuestionId::Everything));
    let p = parse("SYN flood: 192.0.2.1 80/TCP").unwrap();
    assert!(ids(&p.questions).contains(&QuestionId::TcpFlags));
    let p = parse("192.0.2.1\nポート 53\n").unwrap();
    assert_eq!(p.rules.rules.len(), 2);
    assert!(ids(&p.questions).contains(&QuestionId::PortProtocol));
}

#[test]
fn impossible_input_names_its_place() {
    for (text, line, column, quoted, words) in [
        ("宛先\n192.0.2.9~192.0.2.1\n53/UDP", 2, 1, "192.0.2.9~192.0.2.1", "ends before it starts"),
        ("x 192.0.2.256 53/UDP", 1, 3, "192.0.2.256", "0 to 255"),
        ("192.0.2 53/UDP", 1, 1, "192.0.2", "four numbers"),
        ("192.0.2.1 70000/UDP", 1, 11, "70000", "0 to 65535"),
        ("192.0.2.1\n 200-100/TCP", 2, 2, "200-100", "ends before it starts"),
        ("192.0.2.1-2001:db8::1 53/UDP", 1, 1, "192.0.2.1-2001:db8::1", "one family"),
        ("192.0.2.1/33 53/UDP", 1, 1, "192.0.2.1/33", "0 to 32"),
        ("192.0.2.1/24 53/UDP", 1, 1, "192.0.2.1/24", "192.0.2.0/24"),
        ("192.0.2.0~ の 53/UDP", 1, 1, "192.0.2.0~", "no end"),
        ("192.0.2.01 53/UDP", 1, 1, "192.0.2.01", "leading zero"),
        ("困っています。\n遮断してください", 2, 1, "", "no address"),
        ("53/UDP を遮断", 1, 1, "", "no address"),
        ("192.0.2.0/24 53/UDP 192.0.2.5 以外", 1, 31, "以外", "exceptions"),
        ("海外からの 192.0.2.0/24 への通信", 1, 1, "海外からの", "country"),
        ("from 192.0.2.1 to 192.0.2.9 53/UDP", 1, 6, "from 192.0.2.1 to 192.0.2.9", "range or a source"),
        ("2001:db8::zz 53/UDP", 1, 1, "2001", "no address"),
    ] {
        let e = match parse(text) {
            Err(e) => e,
            Ok(p) => panic!("{text}: {p:?}"),
        };
        if words != "no address" {
            assert_eq!((e.line, e.column, e.text.as_str()), (line, column, quoted), "{text}: {e}");
        }
        assert!(e.message.contains(words), "{text}: {e}");
    }
}

#[test]
fn structured_requests_point_at_their_mistakes() {
    let e = parse("[[rules]]\ndst = [\"192.0.2.1\"]\nproto = \"udp\"\ndstports = [53]\n").unwrap_err();
    assert_eq!(e.line, 4, "{e}");
    let e = parse("[[rules]]\ndst = [\"192.0.2.9-192.0.2.1\"]\n").unwrap_err();
    assert_eq!((e.line, e.column), (2, 9), "{e}");
    let e = parse("{\"rules\": [{\"dst\": [\"192.0.2.1\"], \"dst-ports\": [70000], \"proto\": \"udp\"}]}").unwrap_err();
    assert!(e.message.contains("0 to 65535"), "{e}");
    let e = parse("[[rules]]\ndst = [\"192.0.2.1\"]\ndst-ports = [53]\n").unwrap_err();
    assert!(e.message.contains("ports need a protocol"), "{e}");
}

#[test]
fn a_whole_mail() {
    let text = "件名: 【至急】攻撃を受けています\n差出人: noc@example.com\n日時: 2026/11/22 10:40\n\nお世話になっております。\n\
        11/22 10:30頃より、弊社サーバ 192.0.2.10 (www.example.com) 宛に大量のUDP通信が届いており困っています。\n\
        約 3.5Gbps、120 kpps です。つきましては以下を遮断してください。\n\n\
        ・宛先： 192.0.2.10\n・プロトコル： UDP\n・送信元ポート： 53、123\n・期間： 明日 18:00 まで\n--\n電話 03-1234-5678 内線 210\n";
    let p = parse(text).unwrap();
    let got: Vec<_> = p.rules.rules.iter().map(|r| &r.matches).collect();
    assert_eq!(got.len(), 2, "{got:?}");
    for (m, port) in got.iter().zip([53, 123]) {
        assert_eq!((m.proto, m.src_ports.as_slice(), m.dst_ports.len()), (Some(17), &[PortRange::one(port)][..], 0));
        assert_eq!(m.dst, ["192.0.2.10/32".parse().unwrap()]);
    }
    let asked = ids(&p.questions);
    assert!(asked.contains(&QuestionId::ProtocolAlone) && asked.contains(&QuestionId::UnreadNumbers));
    assert!(!asked.contains(&QuestionId::EndTime) && !asked.contains(&QuestionId::PortSide));
    // The story alone asks for the whole protocol; with a port it does not.
    assert_eq!(rules("UDP の攻撃です。192.0.2.1 の 53/UDP").rules.len(), 1);
    assert_eq!(one("192.0.2.1 TCP").dst_ports, []);
}

#[test]
fn a_long_list_of_lines_is_compared_within_a_second() {
    use suimon_filter::{
        compile::{Options, compile},
        dialect::Dialect,
        proof::check,
    };
    let mut text = String::from("53/UDP\n");
    for i in 0..10_000u32 {
        text.push_str(&format!("{}\n", std::net::Ipv4Addr::from_bits(0xc600_0000 + i * 0x1fd)));
    }
    let rules = parse(&text).unwrap().rules;
    let got = compile(&rules, Dialect::CiscoIos, &Options::default()).unwrap();
    assert_eq!(got.lines, 10_001);
    assert!(check(&rules, &got.text, Dialect::CiscoIos).unwrap().equal);
}

/// The forms of catalogue row 82 and what surrounds them, each read as the same request.
#[test]
fn forms_of_addresses_and_services() {
    for (a, b) in [
        ("2001:db8::~2001:db8::ffff 53/UDP", "2001:db8::/112 53/UDP"),
        ("2001:db8::-2001:db8::ffff UDP/53", "2001:db8::/112 53/UDP"),
        ("２００１：ｄｂ８：：１ ～ ２００１：ｄｂ８：：２ 53/UDP", "2001:db8::1, 2001:db8::2 53/UDP"),
        ("2001[:]db8[:][:]1 53/UDP", "2001:db8::1 53/UDP"),
        ("[2001:db8::1]:53/udp", "2001:db8::1 53/UDP"),
        ("198[.]51[.]100[.]1 80/TCP,UDP", "198.51.100.1 80/TCP 80/UDP"),
        ("hxxp://198[.]51[.]100[.]1/ 80/TCP", "198.51.100.1 80/TCP"),
        ("hxxps://198.51.100.1/login?id=5 80/TCP", "198.51.100.1 80/TCP"),
        ("hxxp://198.51.100[.]1:8080/a 8080/TCP", "198.51.100.1 8080/TCP"),
        ("198.51.100.1 1024〜65535/UDP", "198.51.100.1 1024-65535/UDP"),
        ("198.51.100.1 UDP/1024～65535", "198.51.100.1 1024-65535/UDP"),
        ("198.51.100.1 UDP １０２４–６５５３５", "198.51.100.1 1024-65535/UDP"),
        ("198.51.100.1 80/TCP・UDP", "198.51.100.1 80/TCP,UDP"),
        ("198.51.100.1 80/tcp/udp", "198.51.100.1 80/TCP,UDP"),
        ("198.51.100.1 TCP/UDP 80", "198.51.100.1 80/TCP,UDP"),
        ("198.51.100.1 GRE, ESP", "198.51.100.1 ESP GRE"),
        ("198.51.100.1 へのGRE通信", "198.51.100.1 GRE"),
        ("198.51.100.1 プロトコル番号：47", "198.51.100.1 GRE"),
        ("192.0.2.0 255.255.255.0 53/UDP", "192.0.2.0/24 53/UDP"),
        ("192.0.2.0 netmask 255.255.255.0 53/UDP", "192.0.2.0/24 53/UDP"),
        ("192.0.2.0 mask 255.255.255.0 53/UDP", "192.0.2.0/24 53/UDP"),
        ("192.0.2.0 （255.255.255.0） 53/UDP", "192.0.2.0/24 53/UDP"),
        ("192.0.2.0 0.0.1.255 53/UDP", "192.0.2.0/23 53/UDP"),
        ("192.0.2.0 wildcard 0.0.0.255 53/UDP", "192.0.2.0/24 53/UDP"),
        ("192.0.2.0 0.0.0.2 53/UDP", "192.0.2.0 192.0.2.2 53/UDP"),
        ("192.0.2.1 / 32 53/UDP", "192.0.2.1 53/UDP"),
        ("192.0.2.1,192.0.2.2;192.0.2.3 53/UDP", "192.0.2.1-192.0.2.3 53/UDP"),
        ("192.0.2.1、192.0.2.2及び192.0.2.3 53/UDP", "192.0.2.1-192.0.2.3 53/UDP"),
        ("① 192.0.2.1\n② 192.0.2.2\n53/UDP", "192.0.2.1-192.0.2.2 53/UDP"),
        ("1. 192.0.2.1\n2. 192.0.2.2\n53/UDP", "192.0.2.1-192.0.2.2 53/UDP"),
        ("192.0.2.1 → 53/UDP", "192.0.2.1 53/UDP"),
        ("<192.0.2.1> 53/UDP", "192.0.2.1 53/UDP"),
        ("| 192.0.2.1 | 53/UDP |", "192.0.2.1 53/UDP"),
        ("192.0.2.1\t53/UDP", "192.0.2.1 53/UDP"),
    ] {
        let got = parse(a).unwrap_or_else(|e| panic!("{a}: {e}")).rules;
        assert!(suimon_filter::proof::compare(&rules(b), &got).unwrap().equal, "{a}: {got:?}");
    }
}

#[test]
fn mail_around_the_words() {
    let text = "Received: from mail.example.com (mail.example.com [203.0.113.25])\n\tby mx.example.com (203.0.113.26) with ESMTP;\n\
        \tSun, 22 Nov 2026 10:40:00 +0900\nX-Originating-IP: [203.0.113.27]\nAuthentication-Results: mx.example.com; spf=pass\n\
        MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nFrom: NOC <noc@example.com>\nTo: abuse@example.com\nSubject: block 203.0.113.9\n\n\
        Hello,\n\n> On Sun, 22 Nov 2026 at 10:30, NOC <noc@example.com> wrote:\n>> Please block UDP 53 to 192.0.2.1.\n\n\
        -----Original Message-----\nFrom: someone <a@example.com>\nSent: Sunday, 22 November 2026 10:20\nTo: b@example.com\n\nThanks.\n-- \nNOC, +81 3 1234 5678\n";
    let m = one(text);
    assert_eq!((m.dst.len(), m.dst[0].to_string(), m.proto), (1, "192.0.2.1/32".into(), Some(17)), "{m:?}");
    assert_eq!(m.dst_ports, [PortRange::one(53)]);
}

/// Every field of the neutral model can be written as TOML and as JSON.
#[test]
fn structured_requests_cover_the_model() {
    use suimon_base::rule::{FragmentMatch, TcpFlags};
    use suimon_base::{Action, Rule};
    let toml = r#"
        end = "by hand"
        [[rules]]
        src = ["198.51.100.0/24", "2001:db8::/32"]
        dst = ["192.0.2.1-192.0.2.2", "2001:db8:1::1"]
        proto = "tcp"
        src-ports = [53, "1000-2000"]
        dst-ports = [80]
        tcp-flags = "syn,!ack,!cwr,ece"
        lengths = ["40-60", 1500]
        action = "permit"
        [[rules]]
        dst = ["192.0.2.1"]
        proto = 17
        fragment = "later"
        action = { limit-pps = 5 }
        [[rules]]
        dst = ["192.0.2.1"]
        action = { limit-bps = 7 }
        [[rules]]
        dst = ["192.0.2.1"]
    "#;
    let p = parse(toml).unwrap();
    let first = &p.rules.rules[0];
    assert_eq!(first.action, Action::Permit);
    let m = &first.matches;
    assert_eq!(
        (m.src.len(), m.dst.len(), m.proto, m.src_ports.len(), m.dst_ports.len(), m.lengths.len()),
        (2, 3, Some(6), 2, 1, 2)
    );
    assert_eq!(m.tcp_flags, Some(TcpFlags { mask: 2 | 16 | 64 | 128, value: 2 | 64 }));
    assert_eq!(p.rules.rules[1].matches.fragment, Some(FragmentMatch::Later));
    let actions: Vec<Action> = p.rules.rules.iter().map(|r: &Rule| r.action).collect();
    assert_eq!(actions, [Action::Permit, Action::LimitPps(5), Action::LimitBps(7), Action::Discard]);
    let json: serde_json::Value = toml::from_str(toml).unwrap();
    assert_eq!(parse(&json.to_string()).unwrap(), p);
}

/// TOML of another purpose is an error, not a story with an address in it.
#[test]
fn other_toml_is_no_free_text() {
    for (text, line) in [
        ("# a case\ncustomer = \"customer-1\"\nscope = [\"203.0.113.80/32\"]\n", 2),
        ("[[service]]\nname = \"calls\"\naddresses = [\"192.0.2.16/28\"]\n", 1),
    ] {
        let e = parse(text).unwrap_err();
        assert_eq!(e.line, line, "{e}");
        assert!(e.message.contains("unknown field"), "{e}");
    }
    for text in ["[2001:db8::1]:53/udp", "src = 192.0.2.1, 53/UDP", "[192.0.2.1] 53/UDP"] {
        rules(text);
    }
}

mod routers {
    use super::*;
    use suimon_filter::compile::{Options, compile};
    use suimon_filter::dialect::Dialect;
    use suimon_filter::proof::compare;
    use suimon_filter::request::{Format, recognise};

    /// What a dialect writes comes back as the same request, recognised by its look (catalogue rows 81, 131).
    #[test]
    fn every_dialect_is_a_request() {
        for words in ["192.0.2.0-192.0.2.9 53/UDP", "192.0.2.7 2001:db8::7 80/TCP", "192.0.2.7 を遮断"] {
            let want = rules(words);
            for dialect in Dialect::ALL {
                let Ok(written) = compile(&want, dialect, &Options::default()) else { continue };
                // Some dialects look alike; then one that reads the text is taken.
                let format = recognise(&written.text);
                assert!(matches!(format, Ok(Format::Router(_))), "{dialect}: {format:?}\n{}", written.text);
                let got = rules(&written.text);
                assert!(compare(&want, &got).unwrap().equal, "{dialect}:\n{}\n{got:?}", written.text);
                let context = Context { format: Some(Format::Router(dialect)), ..Context::default() };
                assert!(compare(&want, &parse_with(&written.text, &context).unwrap().rules).unwrap().equal);
            }
        }
    }

    #[test]
    fn a_list_inside_a_mail() {
        let text = "お世話になっております。\n以下の設定をお願いします。\n\n> ip access-list extended X\n>  deny udp any eq 53 host 192.0.2.7\n\
            >  permit ip any any\n\n以上、よろしくお願いいたします。\n";
        let p = parse(text).unwrap();
        assert_eq!(p.rules, rules("送信元ポート 53/UDP 宛先 192.0.2.7"));
        assert!(ids(&p.questions).contains(&QuestionId::UnreadLines));
        // Denies alone: the rest is not meant.
        let p = parse("deny udp any eq 53 host 192.0.2.7\n").unwrap();
        assert_eq!(p.rules.rules.len(), 1);
        assert!(ids(&p.questions).contains(&QuestionId::ListEnd));
        // Permits and an end: kept, and not given out.
        let p = parse("permit tcp any host 192.0.2.7 eq 80\ndeny tcp any host 192.0.2.7\n").unwrap();
        assert!(ids(&p.questions).contains(&QuestionId::ListEnd));
        let e = compile(&p.rules, Dialect::CiscoIos, &Options::default()).unwrap_err();
        assert!(e.to_string().contains("every packet"), "{e}");
        for (text, line, words) in [
            ("Except 192.0.2.9 please:\ndeny udp any host 192.0.2.7\npermit ip any any", 1, "outside the list"),
            (
                "例外があります。\n198.51.100.1 は除く\ndeny udp any host 192.0.2.7\npermit ip any any",
                2,
                "outside the list",
            ),
            ("ip access-list extended X\n deny ip any host 192.0.2.7 eq 53\n", 2, "cisco-ios"),
        ] {
            let e = parse(text).unwrap_err();
            assert_eq!(e.line, line, "{e}");
            assert!(e.message.contains(words), "{e}");
        }
    }

    #[test]
    fn words_of_the_trade_are_no_lists() {
        for text in
            ["Please deny 53/UDP to 192.0.2.1", "filter 192.0.2.1 80/TCP", "set the filter: 192.0.2.1 80/TCP please"]
        {
            assert_eq!(recognise(text), Ok(Format::Text), "{text}");
            rules(text);
        }
    }
}

mod hits {
    use super::*;
    use suimon_filter::request::Critical;

    const SERVICES: &str =
        "[[service]]\nname = \"emergency calls\"\naddresses = [\"192.0.2.16/28\"]\nproto = \"udp\"\nports = [5060]\n";

    /// Catalogue row 86: own-goal and 重要通信.
    #[test]
    fn own_addresses_and_critical_services() {
        let context = Context {
            own: vec!["192.0.2.53/32".parse().unwrap(), "2001:db8:53::/48".parse().unwrap()],
            critical: Critical::list(SERVICES).unwrap(),
            ..Context::default()
        };
        let asked = |text: &str| {
            let p = parse_with(text, &context).unwrap();
            let of = |id| p.questions.iter().find(|q| q.id == id).map(|q| q.text_en.clone());
            (of(QuestionId::OwnGoal), of(QuestionId::CriticalTraffic))
        };
        assert_eq!(asked("192.0.2.1 53/UDP"), (None, None));
        let (own, critical) = asked("192.0.2.0/24 53/UDP");
        assert!(own.unwrap().contains("192.0.2.53/32") && critical.is_none());
        let (own, critical) = asked("宛先 192.0.2.16/29 UDP");
        assert!(own.is_none() && critical.unwrap().contains("emergency calls"));
        // From the service as well as to it.
        assert!(asked("送信元 192.0.2.17 UDP").1.is_some());
        assert!(asked("192.0.2.17 TCP").1.is_none());
        for (text, words) in [
            ("[[service]]\nname = \"x\"\naddresses = []\n", "no addresses"),
            ("[[service]]\nname = \"x\"\naddresses = [\"192.0.2.1/32\"]\nports = [5]\n", "ports need"),
            ("[[service]]\nname = \"x\"\naddresses = [\"192.0.2.1/32\"]\nproto = \"foo\"\n", "not known"),
            ("[[servise]]\n", "servise"),
        ] {
            let e = Critical::list(text).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
    }

    #[test]
    fn reply_traffic_is_asked_about() {
        let asks = |text| ids(&parse(text).unwrap().questions).contains(&QuestionId::ReplyTraffic);
        assert!(asks("送信元ポート 53/UDP 宛先 192.0.2.1"));
        assert!(asks("192.0.2.1 を遮断"));
        assert!(asks("192.0.2.1 1024-65535/UDP"));
        assert!(!asks("192.0.2.1 宛先ポート 53/UDP"));
        assert!(!asks("192.0.2.1 GRE"));
    }
}

mod countries {
    use super::*;
    use suimon_filter::request::country::{Code, Which, asked};
    use suimon_filter::request::country_data::{Data, Definition, answer};

    const REGISTRY: &str = "2|apnic|20260101|3|19830101|20260101|+1000\napnic|*|ipv4|*|2|summary\n\
        apnic|JP|ipv4|192.0.2.0|256|20200101|allocated|A1\napnic|CN|ipv4|198.51.100.0|256|20200101|assigned|A2\n\
        apnic||ipv4|203.0.113.0|256||available|\napnic|JP|ipv6|2001:db8::|32|20200101|allocated|A1\napnic|JP|asn|64500|1|20200101|allocated|A1\n";

    /// Catalogue rows 132, 133: the definitions with size and error, and never a filter.
    #[test]
    fn definitions_with_size_and_error() {
        let files = [
            ("delegated-apnic-extended-latest", REGISTRY),
            ("geolocation.csv", "prefix,country\n192.0.2.0/24,JP\n192.0.2.128/25,CN\n203.0.113.0/25,CN\n"),
            ("origin.csv", "192.0.2.0/24,AS64500\n198.51.100.0/24,64501\n"),
            ("as-country.csv", "64500,JP\n64501,CN\n"),
            ("ingress.csv", "tokyo-1,JP\nhongkong-1,CN\n"),
            ("README", "x"),
        ];
        let data = Data::read(files).unwrap();
        assert_eq!(data.unused, ["README"]);
        let words = &asked("中国からの通信を遮断してください")[0];
        let a = answer(words, &data, None);
        let of = |d: Definition| a.definitions.iter().find(|m| m.id == d).unwrap();
        let sizes: Vec<_> = a.definitions.iter().map(|m| m.addresses_v4).collect();
        assert_eq!(sizes, [Some(256), Some(256), Some(256), None, None]);
        assert_eq!(of(Definition::Geolocation).prefixes, Some(2));
        assert_eq!(
            of(Definition::Operator).missing,
            Some("origin.csv (prefix,asn) and operator-country.csv (asn,country)")
        );
        assert_eq!(of(Definition::IngressLink).links, ["hongkong-1"]);
        // Half of what the database calls China is registered in Japan; of the other half the registry knows nothing.
        let against = &of(Definition::Geolocation).against[0];
        assert_eq!(
            (against.with, against.elsewhere_v4, against.unknown_v4, against.elsewhere_percent),
            (Definition::Registration, 128, 128, 50.0)
        );
        assert_eq!((a.in_all_v4, a.in_any_v4), (Some(0), Some(512)));
        // 海外 needs a home.
        let abroad = &asked("海外からの通信を遮断")[0];
        assert_eq!(answer(abroad, &data, None).which, None);
        let a = answer(abroad, &data, Code::new("jp"));
        assert_eq!((a.which, a.definitions[0].addresses_v4), (Some(Which::NotIn(Code::new("JP").unwrap())), Some(256)));
        // Without data every definition says what it needs.
        let a = answer(words, &Data::default(), None);
        assert!(a.definitions.iter().all(|m| m.missing.is_some() && m.addresses_v4.is_none()));
        assert_eq!(a.in_any_v4, None);
        for (file, text, line) in [
            ("geolocation.csv", "a,b\n192.0.2.0/24,JPN\n", 2),
            ("origin.csv", "192.0.2.0/24,64500\n192.0.2.0,AS\n", 2),
            ("delegated-x", "x|JP|ipv4|192.0.2.0|many|20200101|allocated\n", 1),
        ] {
            let e = Data::read([(file, text)]).unwrap_err();
            assert_eq!((e.file.as_str(), e.line), (file, line), "{e}");
        }
    }

    #[test]
    fn a_country_is_never_mapped_in_silence() {
        for text in [
            "block Russia: 192.0.2.1 53/UDP",
            "192.0.2.1 への中国からの通信を遮断",
            "海外からの 192.0.2.1 への通信",
            "Please block country X for 192.0.2.1",
            "192.0.2.1 53/UDP from outside Japan",
        ] {
            let e = parse(text).unwrap_err();
            assert!(e.message.contains("country is not a set"), "{text}: {e}");
            assert!(!asked(text).is_empty(), "{text}");
        }
    }
}

/// What was asked before is not asked now.
#[test]
fn quoted_lines_below_an_answer_are_left_out() {
    let text = "宛先: 192.0.2.9\n53/UDP\n\n> 前回のメール: 203.0.113.0/24 は解除済みです\n> お世話になっております\n";
    let p = parse(text).unwrap();
    let dst: Vec<String> = p.rules.rules[0].matches.dst.iter().map(ToString::to_string).collect();
    assert_eq!(dst, ["192.0.2.9/32"]);
    let asked = p.questions.iter().find(|q| q.id == QuestionId::QuotedLines).unwrap();
    assert!(asked.text_en.contains("203.0.113.0/24") && !asked.text_en.contains("お世話"), "{}", asked.text_en);
    // Quoted as a whole, it is the request.
    let whole = parse("お願いします。\n> 宛先: 192.0.2.9\n> 53/UDP\n").unwrap();
    assert!(!ids(&whole.questions).contains(&QuestionId::QuotedLines) && whole.rules.rules.len() == 1);
    // Places are those of the mail as it came.
    let e = parse("> 192.0.2.1\n192.0.2.1/24\n").unwrap_err();
    assert_eq!(e.line, 2);
}

#[test]
fn sources_with_destinations_are_asked_about() {
    let p = parse("source 198.51.100.7\ndestination 192.0.2.9\n53/UDP\n").unwrap();
    assert!(ids(&p.questions).contains(&QuestionId::Pairs));
    let toml = "[[rules]]\nsrc = [\"198.51.100.7\"]\ndst = [\"192.0.2.9\"]\n";
    assert!(!ids(&parse(toml).unwrap().questions).contains(&QuestionId::Pairs));
}

/// What asks not to drop is not read as a drop.
#[test]
fn releases_and_negations_are_refused() {
    for text in [
        "please unblock 192.0.2.9 53/udp",
        "do not block 192.0.2.9 53/udp",
        "192.0.2.9 53/udp: don't drop this please",
        "Please stop filtering 192.0.2.9 53/udp",
        "192.0.2.9 への 53/UDP の遮断を解除してください",
        "192.0.2.9 53/UDP は遮断しないでください",
        "53/UDP 192.0.2.9\n遮断解除をお願いします",
    ] {
        let e = parse(text).unwrap_err();
        assert!(e.to_string().contains("not to drop"), "{text}: {e}");
    }
    for text in [
        "192.0.2.9 53/UDP を遮断し、12月1日9時に遮断を解除してください",
        "192.0.2.9 53/UDP。攻撃が収まり次第、遮断を解除してください",
        "block 192.0.2.9 53/udp, not urgent",
        "192.0.2.9 53/udp, please filter it",
    ] {
        parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    }
}

/// A list with its groups, inside a mail.
#[test]
fn lists_with_groups_are_requests() {
    let text = "以下をお願いします。\n> object-group ip address CUSTOMER\n>  10 host 192.0.2.1\n>  20 192.0.2.16/28\n\
                > ip access-list A\n>  10 deny udp any eq 53 addrgroup CUSTOMER\n>  20 permit ip any any\n";
    let p = parse(text).unwrap();
    assert_eq!(p.rules.rules[0].matches.dst.len(), 2, "{:?}", p.rules);
}
