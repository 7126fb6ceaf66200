//! The attacks that the program brings along. docs/reference/scenarios.md describes them for readers.

use super::attack::{AttackSource, Part, Shape};
use super::legit::{Legit, LegitProfile};
use super::{Merge, Source, merge};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An attack on a customer, mixed with the customer's legitimate traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line, English.
    pub title_en: &'static str,
    /// One line, Japanese.
    pub title_ja: &'static str,
    /// What happens, English.
    pub about_en: &'static str,
    /// What happens, Japanese.
    pub about_ja: &'static str,
    /// The attacked customer's prefixes.
    pub customer: Vec<IpNet>,
    /// What is attacked: an address, or a prefix for carpet bombing.
    pub target: IpNet,
    /// Legitimate traffic alone before the attack, milliseconds.
    pub calm_ms: u64,
    /// Length of the attack in milliseconds, fixed before the start.
    pub attack_ms: u64,
    /// Legitimate traffic alone after the attack, milliseconds.
    pub tail_ms: u64,
    /// The vectors.
    pub parts: Vec<Part>,
    /// The customer's usual traffic.
    pub legit: LegitProfile,
}

const SHOP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
const SHOP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0x80);
const RESOLVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0x53);
const NET: IpNet = IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24);
const NET6: IpNet = IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0)), 48);

fn part(shape: Shape, pps: u32, target: IpNet, after_ms: u64) -> Part {
    Part { shape, pps, target, after_ms }
}

const fn dns(fragments: u8) -> Shape {
    Shape::Reflection { src_port: 53, reflectors: 2_000, len: (400, 1_400), fragments }
}

const SHOP_ONLY: IpNet = IpNet::new_assert(IpAddr::V4(SHOP), 32);
const SHOP6_ONLY: IpNet = IpNet::new_assert(IpAddr::V6(SHOP6), 128);

/// The same shop under another attack.
fn variant(
    name: &'static str,
    title_en: &'static str,
    title_ja: &'static str,
    about_en: &'static str,
    about_ja: &'static str,
    target: IpNet,
    parts: Vec<Part>,
) -> Scenario {
    Scenario { name, title_en, title_ja, about_en, about_ja, target, parts, ..Scenario::web_shop() }
}

impl Scenario {
    /// Name of the scenario that the drill takes when none is named.
    pub const DEFAULT: &'static str = "web-shop";

    /// The scenario called `name`.
    pub fn by_name(name: &str) -> Option<Scenario> {
        Scenario::all().into_iter().find(|s| s.name == name)
    }

    /// Every scenario, the default first.
    pub fn all() -> Vec<Scenario> {
        let mut all = vec![Scenario::web_shop()];
        all.extend(Scenario::reflections());
        all.extend(Scenario::floods());
        all
    }

    fn web_shop() -> Scenario {
        let cldap = Shape::Reflection { src_port: 389, reflectors: 700, len: (1_200, 1_480), fragments: 0 };
        Scenario {
            name: Scenario::DEFAULT,
            title_en: "DNS reflection with fragments, joined by CLDAP reflection, against a web shop",
            title_ja: "通販サイトへのDNSリフレクション攻撃（フラグメントを含む）とCLDAPリフレクション攻撃",
            about_en: "Open resolvers send large DNS answers in fragments, 26,000 packets a second; two seconds later \
                       CLDAP servers add 12,000. The shop sells over TCP and QUIC; its resolver next door needs its DNS answers.",
            about_ja: "オープンリゾルバから断片化した大きなDNS応答が毎秒26,000パケット届き、2秒後にCLDAPの応答が毎秒12,000パケット\
                       加わります。通販サイトはTCPとQUICで営業しており、隣のリゾルバにはDNS応答が必要です。",
            customer: vec![NET, NET6],
            target: SHOP_ONLY,
            calm_ms: 4_000,
            attack_ms: 25_000,
            tail_ms: 15_000,
            parts: vec![part(dns(2), 26_000, SHOP_ONLY, 0), part(cldap, 12_000, SHOP_ONLY, 2_000)],
            legit: LegitProfile::web(IpAddr::V4(SHOP), IpAddr::V4(RESOLVER)),
        }
    }

    fn reflections() -> Vec<Scenario> {
        let ntp = Shape::Reflection { src_port: 123, reflectors: 1_200, len: (468, 468), fragments: 0 };
        let mut v6 = variant(
            "ipv6-reflection",
            "DNS reflection over IPv6",
            "IPv6でのDNSリフレクション攻撃",
            "As dns-reflection, over IPv6 and with one fragment behind each first one, 24,000 packets a second.",
            "dns-reflectionと同じ攻撃をIPv6で行います。応答ごとに後続の断片が1つ付き、毎秒24,000パケットです。",
            SHOP6_ONLY,
            vec![part(dns(1), 24_000, SHOP6_ONLY, 0)],
        );
        v6.legit = LegitProfile::web(IpAddr::V6(SHOP6), IpAddr::V6(RESOLVER6));
        vec![
            variant(
                "dns-reflection",
                "DNS reflection without fragments",
                "DNSリフレクション攻撃（フラグメントなし）",
                "Answers of 400 to 1,400 octets from UDP port 53 of 2,000 open resolvers, 30,000 packets a second.",
                "2,000台のオープンリゾルバのUDP 53番ポートから、400〜1,400オクテットの応答が毎秒30,000パケット届きます。",
                SHOP_ONLY,
                vec![part(dns(0), 30_000, SHOP_ONLY, 0)],
            ),
            variant(
                "ntp-reflection",
                "NTP monlist reflection",
                "NTP monlistリフレクション攻撃",
                "468-octet answers from UDP port 123 of 1,200 servers, 40,000 packets a second; the shop itself sets its clock by NTP.",
                "1,200台のサーバのUDP 123番ポートから、468オクテットの応答が毎秒40,000パケット届きます。通販サイト自身もNTPで時刻を合わせています。",
                SHOP_ONLY,
                vec![part(ntp, 40_000, SHOP_ONLY, 0)],
            ),
            variant(
                "carpet-bombing",
                "DNS reflection spread over the customer's whole /24",
                "お客様の/24全体へ分散したDNSリフレクション攻撃",
                "40,000 packets a second over 256 addresses: about 160 to each, below any threshold for one address.",
                "256個のアドレスへ毎秒40,000パケットが分散します。1アドレスあたり約160パケットで、アドレスごとのしきい値には届きません。",
                NET,
                vec![part(dns(0), 40_000, NET, 0)],
            ),
            v6,
        ]
    }

    fn floods() -> Vec<Scenario> {
        vec![
            variant(
                "syn-flood",
                "SYN flood with invented sources to the shop's own port",
                "送信元を偽装した、通販サイトのポートへのSYNフラッド攻撃",
                "40-octet SYNs without options to TCP port 443 from invented addresses, 30,000 packets a second. Addresses and \
                 ports cannot tell them from customers; the packet length can, where the dialect knows it.",
                "偽装した送信元から、オプションのない40オクテットのSYNがTCP 443番ポートへ毎秒30,000パケット届きます。アドレスとポートでは\
                 お客様の通信と区別できません。パケット長を扱える機器であれば区別できます。",
                SHOP_ONLY,
                vec![part(Shape::Syn { dst_port: 443, len: 40 }, 30_000, SHOP_ONLY, 0)],
            ),
            variant(
                "ack-flood",
                "ACK flood with invented sources to an unused port",
                "送信元を偽装した、未使用ポートへのACKフラッド攻撃",
                "ACKs to TCP port 8080, which the shop does not use, from invented addresses, 30,000 packets a second.",
                "通販サイトが使っていないTCP 8080番ポートへ、偽装した送信元からACKが毎秒30,000パケット届きます。",
                SHOP_ONLY,
                vec![part(Shape::Ack { dst_port: 8_080 }, 30_000, SHOP_ONLY, 0)],
            ),
            variant(
                "mixed",
                "Four vectors at once: DNS reflection, UDP flood, ICMP flood, GRE flood",
                "4種類の同時攻撃（DNSリフレクション、UDPフラッド、ICMPフラッド、GREフラッド）",
                "DNS reflection 15,000, a UDP flood of a bot net to port 9,999 12,000, ICMP echo 14,000 and GRE 8,000 packets a second, \
                 starting one second after another.",
                "DNSリフレクション毎秒15,000、ボットネットからのUDP 9,999番ポートへのフラッド毎秒12,000、ICMPエコー毎秒14,000、GRE毎秒8,000パケットが\
                 1秒おきに始まります。",
                SHOP_ONLY,
                vec![
                    part(dns(2), 15_000, SHOP_ONLY, 0),
                    part(Shape::Udp { dst_port: 9_999, bots: 900, len: (540, 1_400) }, 12_000, SHOP_ONLY, 1_000),
                    part(Shape::Icmp { bots: 600 }, 14_000, SHOP_ONLY, 2_000),
                    part(Shape::Gre { bots: 300 }, 8_000, SHOP_ONLY, 3_000),
                ],
            ),
        ]
    }

    /// When the attack's first packet is due at the earliest, microseconds.
    pub fn attack_start_us(&self) -> u64 {
        self.calm_ms * 1_000
    }

    /// When the attack stops, microseconds.
    pub fn attack_end_us(&self) -> u64 {
        (self.calm_ms + self.attack_ms) * 1_000
    }

    /// When all packets stop, microseconds.
    pub fn end_us(&self) -> u64 {
        (self.calm_ms + self.attack_ms + self.tail_ms) * 1_000
    }

    /// The packets; the same seed gives the same ones.
    pub fn packets(&self, seed: u64) -> Merge {
        let legit = Legit::new(self.legit.clone(), seed, 0, self.end_us(), 1);
        let mut sources: Vec<Source> = vec![Box::new(legit)];
        for (i, part) in self.parts.iter().enumerate() {
            let stream = i as u64;
            let source = AttackSource::new(*part, seed, stream, self.attack_start_us(), self.attack_end_us());
            sources.push(Box::new(source));
        }
        merge(sources)
    }
}
