//! The attack in one paragraph, English and Japanese, for a reader under stress: what, how much, why, from whom, how sure.

use suimon_base::attack::{Attack, Share};
use suimon_base::{Direction, Vector};

/// English and Japanese name of a vector.
pub fn vector_name(v: Vector) -> (&'static str, &'static str) {
    match v {
        Vector::Syn => ("SYN flood", "SYNフラッド"),
        Vector::SynAck => ("SYN-ACK reflection", "SYN-ACKリフレクション"),
        Vector::AckRst => ("ACK or RST flood", "ACK/RSTフラッド"),
        Vector::TcpOther => ("TCP flood", "TCPフラッド"),
        Vector::DnsReflection => ("DNS reflection", "DNSリフレクション"),
        Vector::NtpReflection => ("NTP reflection", "NTPリフレクション"),
        Vector::SsdpReflection => ("SSDP reflection", "SSDPリフレクション"),
        Vector::CldapReflection => ("CLDAP reflection", "CLDAPリフレクション"),
        Vector::SnmpReflection => ("SNMP reflection", "SNMPリフレクション"),
        Vector::MemcachedReflection => ("memcached reflection", "memcachedリフレクション"),
        Vector::ChargenReflection => ("chargen reflection", "chargenリフレクション"),
        Vector::WsDiscoveryReflection => ("WS-Discovery reflection", "WS-Discoveryリフレクション"),
        Vector::ArmsReflection => ("ARMS reflection", "ARMSリフレクション"),
        Vector::IkeReflection => ("IKE/IPsec NAT-T reflection", "IKE/IPsec NAT-Tリフレクション"),
        Vector::DvrReflection => ("DVR reflection (UDP port 37810)", "DVRリフレクション(UDPポート37810)"),
        Vector::Fragments => ("fragments", "フラグメント"),
        Vector::Icmp => ("ICMP flood", "ICMPフラッド"),
        Vector::Gre => ("GRE flood", "GREフラッド"),
        Vector::UdpOther => ("UDP flood", "UDPフラッド"),
        Vector::OtherProtocol => ("flood of another IP protocol", "その他のIPプロトコルによるフラッド"),
        Vector::Total => ("mixed traffic above the total limit", "総量のしきい値を超える混在したトラフィック"),
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn percent(x: f64) -> String {
    format!("{:.0} %", x * 100.0)
}

/// The largest lines; shares under this say nothing to a reader.
const LEAST_SHARE: f64 = 0.01;

fn shares(list: &[Share], n: usize, between: &str) -> Option<String> {
    let few = list.iter().take(n).filter(|s| s.share >= LEAST_SHARE);
    let few: Vec<String> = few.map(|s| format!("{} ({})", s.key, percent(s.share))).collect();
    (!few.is_empty()).then(|| few.join(between))
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}", ms / 1_000) } else { format!("{:.1}", ms as f64 / 1_000.0) }
}

/// The English paragraph.
pub(crate) fn english(a: &Attack) -> String {
    let names: Vec<&str> = a.vectors.iter().map(|v| vector_name(v.vector).0).collect();
    let what = names.join(", ");
    let way = if a.direction == Direction::In { "towards" } else { "from" };
    let mut text =
        format!("{what} {way} {} since {}: peak {} and {} in one second.", a.target, a.started, a.peak.pps, a.peak.bps);
    if let Some(f) = a.evidence.fired.first() {
        text += &format!(
            " Rule {} fired: {} {} against a limit of {} {} over {} s.",
            f.rule,
            grouped(f.value),
            f.unit,
            grouped(f.threshold),
            f.unit,
            seconds(f.window_ms)
        );
    }
    if a.sources > 0 {
        let side = if a.direction == Direction::In { "sources" } else { "peers" };
        // A sample does not show every source.
        let about = if a.evidence.sampling.rate > 1 { "At least" } else { "About" };
        text += &format!(" {about} {} {side}", grouped(a.sources));
        match a.direction {
            Direction::In if a.spoof_likelihood >= 0.7 => text += ", probably forged",
            Direction::In if a.spoof_likelihood <= 0.3 => text += ", probably real",
            _ => {}
        }
        text += &shares(&a.evidence.top_sources, 2, ", ").map_or(".".to_owned(), |t| format!("; the largest: {t}."));
    }
    if !a.evidence.top_dst_ports.is_empty() {
        let ports = shares(&a.evidence.top_dst_ports, 3, ", ");
        text += &ports.map_or(" Destination ports vary.".to_owned(), |t| format!(" Destination ports: {t}."));
    }
    let s = &a.evidence.sampling;
    if s.rate > 1 {
        text += &format!(
            " Figures are estimates from {} sampled packets (1 in {}), ±{}.",
            grouped(s.samples),
            grouped(s.rate.into()),
            percent(s.relative_error)
        );
    } else if s.assumed {
        text += " The exporter did not tell its sampling; unsampled is assumed.";
    }
    text
}

/// The Japanese paragraph.
pub(crate) fn japanese(a: &Attack) -> String {
    let names: Vec<&str> = a.vectors.iter().map(|v| vector_name(v.vector).1).collect();
    let what = names.join("、");
    let way = if a.direction == Direction::In { "宛て" } else { "発" };
    let mut text = format!(
        "{}{way}の{what}を{}から検知しています。最大値は1秒間で{}、{}です。",
        a.target, a.started, a.peak.pps, a.peak.bps
    );
    if let Some(f) = a.evidence.fired.first() {
        text += &format!(
            "ルール{}が成立しました({}秒間で{} {}、しきい値は{} {}です)。",
            f.rule,
            seconds(f.window_ms),
            grouped(f.value),
            f.unit,
            grouped(f.threshold),
            f.unit
        );
    }
    if a.sources > 0 {
        let side = if a.direction == Direction::In { "送信元" } else { "通信相手" };
        let about = if a.evidence.sampling.rate > 1 { "少なくとも" } else { "約" };
        text += &format!("{side}は{about}{}アドレスです", grouped(a.sources));
        match a.direction {
            Direction::In if a.spoof_likelihood >= 0.7 => text += "(詐称されている可能性が高いです)",
            Direction::In if a.spoof_likelihood <= 0.3 => text += "(実在する送信元の可能性が高いです)",
            _ => {}
        }
        let largest = shares(&a.evidence.top_sources, 2, "、");
        text += &largest.map_or("。".to_owned(), |t| format!("。上位は{t}です。"));
    }
    if !a.evidence.top_dst_ports.is_empty() {
        let ports = shares(&a.evidence.top_dst_ports, 3, "、");
        text += &ports
            .map_or("宛先ポートは分散しています。".to_owned(), |t| format!("宛先ポートは{t}です。"));
    }
    let s = &a.evidence.sampling;
    if s.rate > 1 {
        text += &format!(
            "数値は{}個の標本(サンプリング1/{})からの推定値で、誤差は±{}程度です。",
            grouped(s.samples),
            grouped(s.rate.into()),
            percent(s.relative_error)
        );
    } else if s.assumed {
        text += "サンプリングレートの通知がないため、サンプリングなしとみなしています。";
    }
    text
}
