//! What a candidate does, said so that nobody has to read the rule.

use super::Means;
use super::share::Lost;
use suimon_base::{Action, Attack, Direction, Match, PortRange, RuleSet};

/// English and Japanese.
pub fn say(attack: &Attack, rules: &RuleSet, means: Means, lost: &Lost) -> (String, String) {
    let target = attack.target;
    let (mut en, mut ja) = match means {
        Means::NullRoute if attack.direction == Direction::In => (
            format!(
                "Null route: {target} becomes unreachable for everyone. The attack has succeeded against it; the rest of the network is spared."
            ),
            format!(
                "ヌルルート: {target} は誰からも到達できなくなります。攻撃の目的は達成されてしまいますが、ほかの利用者への影響は止まります。"
            ),
        ),
        Means::NullRoute => (
            format!(
                "{target} is cut off: everything it sends is dropped. Routing sees destinations only, so this needs a filter."
            ),
            format!("{target} からの通信をすべて遮断します。経路制御は宛先しか見ないため、フィルタで行います。"),
        ),
        Means::Police => (
            format!(
                "Limits {} {target}. This reduces the attack, it does not stop it, and wanted packets are lost in the same share.",
                kinds(attack.direction, rules).0
            ),
            format!(
                "{target} {}を一定の速度までに制限します。攻撃を減らしますが止めるものではなく、正常な通信も同じ割合で失われます。",
                kinds(attack.direction, rules).1
            ),
        ),
        Means::Acl | Means::Flowspec => (
            format!("Drops {} {target}. A filter cuts good and bad alike.", kinds(attack.direction, rules).0),
            format!(
                "{target} {}を遮断します。フィルタは攻撃も正常な通信も区別せずに止めます。",
                kinds(attack.direction, rules).1
            ),
        ),
    };
    if means != Means::NullRoute {
        for r in &rules.rules {
            if let Some((e, j)) = effect(&r.matches)
                && !en.contains(&e)
            {
                en = format!("{en} {e}");
                ja = format!("{ja}{j}");
            }
        }
    }
    let percent = |x: f64| format!("{:.1} %", x * 100.0);
    let attack_share = percent(lost.attack);
    match (lost.legitimate, lost.connections) {
        (Some(p), Some(c)) => (
            format!(
                "{en} Expected: {attack_share} of the attack dropped, {} of normal packets and {} of new connections lost.",
                percent(p),
                percent(c)
            ),
            format!(
                "{ja}見込み: 攻撃の {attack_share} を遮断、正常なパケットの {}、新規接続の {} が失われます。",
                percent(p),
                percent(c)
            ),
        ),
        _ => (
            format!(
                "{en} Expected: {attack_share} of the attack dropped. Nothing is known of the normal traffic, so its loss cannot be told."
            ),
            format!(
                "{ja}見込み: 攻撃の {attack_share} を遮断します。平常時の通信の記録がないため、正常な通信への影響は分かりません。"
            ),
        ),
    }
}

fn list(ports: &[PortRange]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn proto(p: Option<u8>) -> String {
    match p {
        None => "IP".into(),
        Some(1) => "ICMP".into(),
        Some(6) => "TCP".into(),
        Some(17) => "UDP".into(),
        Some(47) => "GRE".into(),
        Some(50) => "ESP".into(),
        Some(58) => "ICMPv6".into(),
        Some(p) => format!("IP protocol {p}"),
    }
}

/// The packets of all rules, with the preposition of the direction.
fn kinds(direction: Direction, rules: &RuleSet) -> (String, String) {
    let en: Vec<String> = rules.rules.iter().map(|r| kind(&r.matches, r.action).0).collect();
    let ja: Vec<String> = rules.rules.iter().map(|r| kind(&r.matches, r.action).1).collect();
    match direction {
        Direction::In => (format!("{} to", en.join(" and ")), format!("宛の{}", ja.join("と"))),
        Direction::Out => (format!("{} from", en.join(" and ")), format!("からの{}", ja.join("と"))),
    }
}

fn kind(m: &Match, action: Action) -> (String, String) {
    let (mut en, mut ja) = (format!("{} packets", proto(m.proto)), format!("{}パケット", proto(m.proto)));
    if m.fragment.is_some() {
        en = format!("non-first {} fragments", proto(m.proto));
        ja = format!("{}の2つ目以降のフラグメント", proto(m.proto));
    }
    if let Some(t) = m.tcp_flags {
        let syn = t.mask & 0x12 == 0x12 && t.value & 0x12 == 2;
        en = if syn {
            "TCP connection requests (SYN)".into()
        } else {
            format!("TCP packets with flags {:#04x}/{:#04x}", t.value, t.mask)
        };
        ja = if syn {
            "TCPの接続要求（SYN）".into()
        } else {
            format!("TCPフラグ {:#04x}/{:#04x} のパケット", t.value, t.mask)
        };
    }
    let mut details_en = Vec::new();
    let mut details_ja = Vec::new();
    if !m.src_ports.is_empty() {
        details_en.push(format!("from port {}", list(&m.src_ports)));
        details_ja.push(format!("送信元ポート {}", list(&m.src_ports)));
    }
    if !m.dst_ports.is_empty() {
        details_en.push(format!("to port {}", list(&m.dst_ports)));
        details_ja.push(format!("宛先ポート {}", list(&m.dst_ports)));
    }
    if !m.lengths.is_empty() {
        details_en.push(format!("of {} octets", list(&m.lengths)));
        details_ja.push(format!("長さ {} オクテット", list(&m.lengths)));
    }
    if let Action::LimitPps(n) = action {
        details_en.push(format!("at most {n} a second"));
        details_ja.push(format!("毎秒 {n} 個まで"));
    }
    if !details_en.is_empty() {
        en = format!("{en} ({})", details_en.join(", "));
        ja = format!("{ja}（{}）", details_ja.join("、"));
    }
    (en, ja)
}

/// What users notice.
fn effect(m: &Match) -> Option<(String, String)> {
    if let Some(t) = m.tcp_flags {
        let syn = t.mask & 0x12 == 0x12 && t.value & 0x12 == 2;
        let port = if m.dst_ports.is_empty() { "every port".into() } else { format!("port {}", list(&m.dst_ports)) };
        let port_ja = if m.dst_ports.is_empty() {
            "すべてのポート".into()
        } else {
            format!("ポート {}", list(&m.dst_ports))
        };
        return syn.then(|| {
            (
                format!("New connections to {port} stop working; established ones go on."),
                format!("{port_ja} への新しい接続ができなくなります。接続済みの通信は続きます。"),
            )
        });
    }
    if m.fragment.is_some() {
        return Some((
            "Large datagrams that arrive in fragments are lost.".into(),
            "分割されて届く大きなデータグラムは失われます。".into(),
        ));
    }
    if !m.lengths.is_empty() {
        return None;
    }
    if !m.src_ports.is_empty() {
        let ports = list(&m.src_ports);
        return Some((
            format!("Answers from port {ports} are dropped, wanted or not."),
            format!("ポート {ports} からの応答は、必要なものも含めて届かなくなります。"),
        ));
    }
    if !m.dst_ports.is_empty() {
        let (p, ports) = (proto(m.proto), list(&m.dst_ports));
        return Some((
            format!("The service on {p} port {ports} becomes unreachable."),
            format!("{p} ポート {ports} のサービスは利用できなくなります。"),
        ));
    }
    let p = proto(m.proto);
    Some((format!("All {p} traffic in this direction stops."), format!("この向きの{p}通信はすべて止まります。")))
}
