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
    let context = Context { holdings: vec!["192.0.2.0/24".parse().unwrap()] };
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
