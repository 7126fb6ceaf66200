//! Text from strangers: random and altered requests, lists, packets and data never end the program, and what is
//! impossible names its place.

use proptest::prelude::*;
use suimon_filter::dialect::Dialect;
use suimon_filter::lint::{LintOptions, lint};
use suimon_filter::packet::Packet;
use suimon_filter::request::country::asked;
use suimon_filter::request::country_data::Data;
use suimon_filter::request::{Context, Format, parse, parse_with, recognise};

const SEEDS: [&str; 9] = [
    "宛先アドレス\n192.0.0.0~192.0.224.255\n\nポート/プロトコル\n53/UDP\n80/TCP,UDP\n\nを遮断してください\n",
    "> 送信元：198[.]51[.]100[.]1（hxxp://198[.]51[.]100[.]2:8080/a?b）\n> 2001:db8::1～2001:db8::ff ポート 53番\nGRE, ESP\n-- \nNOC",
    "ip access-list extended X\n 10 deny udp any eq 53 192.0.2.0 0.0.0.255\n 20 permit ip any any\ninterface Gi0/1\n ip access-group X in\n",
    "table inet x {\n chain f {\n type filter hook forward priority 0; policy accept;\n ip daddr { 192.0.2.0/24 } udp sport 53 drop\n }\n}\n",
    "match destination 192.0.2.7/32 protocol =17 source-port =53 then discard\n",
    "[[rules]]\ndst = [\"192.0.2.1-192.0.2.9\"]\nproto = \"udp\"\ndst-ports = [53]\n",
    "中国からの通信と、日本以外からの UDP を遮断\nblock country RU and the United States",
    "tcp [2001:db8::1]:1024 > [2001:db8::2]:80 [S.] length 60",
    "apnic|JP|ipv4|192.0.2.0|256|20200101|allocated\n192.0.2.0/24,JP\n",
];

fn altered() -> impl Strategy<Value = String> {
    let alteration = (any::<prop::sample::Index>(), any::<char>(), 0u8..4);
    (prop::sample::select(SEEDS.to_vec()), prop::collection::vec(alteration, 0..12)).prop_map(|(seed, list)| {
        let mut text: Vec<char> = seed.chars().collect();
        for (at, c, how) in list {
            let i = at.index(text.len() + 1);
            match how {
                0 => text.insert(i, c),
                1 if i < text.len() => text[i] = c,
                2 if i < text.len() => drop(text.remove(i)),
                _ => {
                    let j = at.index(text.len().max(1));
                    let piece: Vec<char> = text[j.min(i)..i.max(j).min(text.len())].to_vec();
                    text.extend(piece.into_iter().take(40));
                }
            }
        }
        text.into_iter().collect()
    })
}

fn all(text: &str) {
    let _ = parse(text);
    let _ = recognise(text);
    let _ = asked(text);
    let _ = text.parse::<Packet>();
    for name in ["delegated-x", "geolocation.csv", "origin.csv", "as-country.csv", "ingress.csv"] {
        let _ = Data::read([(name, text)]);
    }
    for dialect in Dialect::ALL {
        let options = LintOptions { running: Some(text.into()), budget: Some(1), ..LintOptions::default() };
        let report = lint(text, dialect, &options);
        let lines = text.lines().count();
        assert!(report.findings.iter().all(|f| f.line <= lines.max(1) && !f.why.is_empty() && !f.fix.is_empty()));
        let context = Context { format: Some(Format::Router(dialect)), ..Context::default() };
        let _ = parse_with(text, &context);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn altered_text_ends_nothing(text in altered()) {
        all(&text);
    }

    #[test]
    fn random_text_ends_nothing(text in "\\PC{0,120}") {
        all(&text);
    }

    #[test]
    fn an_impossible_range_names_its_place(
        before in 0usize..30,
        low in 0u32..u32::MAX,
        more in 1u32..1000,
        sign in prop::sample::select(vec!["~", "〜", "～", "-", "–", " 〜 "]),
    ) {
        let (a, b) = (std::net::Ipv4Addr::from_bits(low), std::net::Ipv4Addr::from_bits(low.saturating_add(more)));
        let mut text = "192.0.2.1\n".repeat(before);
        text.push_str(&format!("  {b}{sign}{a}\n53/UDP\n"));
        let e = parse(&text).unwrap_err();
        prop_assert_eq!((e.line, e.column), (before + 1, 3));
        prop_assert!(e.message.contains("ends before it starts"), "{}", e);
    }
}

#[test]
fn a_long_list_is_judged_in_seconds() {
    let mut text = String::from("ip access-list extended X\n remark end never\n");
    for i in 0..10_000u32 {
        let a = std::net::Ipv4Addr::from_bits(0xc600_0000 + i * 0x1fd);
        text.push_str(&format!(" deny udp any eq 53 host {a}\n deny udp any host {a} fragments\n"));
    }
    text.push_str(" deny udp any eq 53 host 198.0.0.0\n permit ip any any\n");
    let report = lint(&text, Dialect::CiscoIos, &LintOptions::default());
    let found: Vec<_> = report.findings.iter().map(|f| (f.id, f.line, f.others.clone())).collect();
    use suimon_filter::lint::FindingId as F;
    assert_eq!(found, [(F::OtherFamily, 0, vec![]), (F::NeverMatches, 20_003, vec![3])]);
}
