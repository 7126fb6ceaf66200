//! What a request leaves open, each with the default that was taken and what follows from it.

use super::{Context, Notes, addresses_of, special};
use crate::range::{Family, RangeSet};
use serde::{Deserialize, Serialize};
use suimon_base::{Action, RuleSet};

/// Which question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum QuestionId {
    /// Are the ports those of the source or of the destination?
    PortSide,
    /// Which protocol carries the ports?
    PortProtocol,
    /// A protocol is named alone and with ports.
    ProtocolAlone,
    /// Towards the addresses, from them, or both?
    Direction,
    /// What about non-first fragments?
    Fragments,
    /// Special-purpose space is named.
    SpecialPurpose,
    /// Is there an IPv6 (or IPv4) counterpart?
    OtherFamily,
    /// When does it end?
    EndTime,
    /// Addresses outside the requester's holdings, or holdings unknown.
    Ownership,
    /// Everything to the addresses would be dropped.
    Everything,
    /// TCP flags were mentioned but not used.
    TcpFlags,
    /// Groups of addresses and ports were paired in order.
    Pairing,
    /// Numbers that were not used.
    UnreadNumbers,
    /// Answers to the requester's own queries would be dropped too.
    ReplyTraffic,
    /// The operator's own addresses would be hit.
    OwnGoal,
    /// 重要通信 that the operator listed would be hit.
    CriticalTraffic,
    /// The end that a router adds to a list.
    ListEnd,
    /// Lines around a router's list that were not read.
    UnreadLines,
    /// Quoted lines name addresses too.
    QuotedLines,
    /// Sources and destinations are named: only the pairs?
    Pairs,
}

/// One open point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Which.
    pub id: QuestionId,
    /// The question in English.
    pub text_en: String,
    /// The question in Japanese.
    pub text_ja: String,
    /// The answer that was assumed.
    pub default: String,
    /// What follows from the default, English.
    pub consequence_en: String,
    /// What follows from the default, Japanese.
    pub consequence_ja: String,
}

pub(super) fn ask(id: QuestionId, default: &str, en: (String, &str), ja: (String, &str)) -> Question {
    Question {
        id,
        text_en: en.0,
        text_ja: ja.0,
        default: default.into(),
        consequence_en: en.1.into(),
        consequence_ja: ja.1.into(),
    }
}

/// The questions for what was understood.
pub fn of(rules: &RuleSet, notes: &Notes, context: &Context) -> Vec<Question> {
    let mut out = Vec::new();
    ports(rules, notes, &mut out);
    headers(rules, notes, &mut out);
    sides(rules, notes, &mut out);
    addresses(rules, context, &mut out);
    super::hits::questions(rules, context, &mut out);
    super::hits::around(notes, &mut out);
    if !notes.end {
        out.push(ask(
            QuestionId::EndTime,
            "ask",
            (
                "Until when shall the filter stay?".into(),
                "No end was named. A measure is applied only with an end condition, so one must be agreed first.",
            ),
            (
                "いつまで遮断しますか。".into(),
                "終了時刻の記載がありません。終了条件のない措置は適用できないため、先に決める必要があります。",
            ),
        ));
    }
    if !notes.unread.is_empty() {
        let list = notes.unread.join(", ");
        out.push(ask(
            QuestionId::UnreadNumbers,
            "ignore",
            (
                format!("These numbers were not used: {list}. Are they ports or protocols?"),
                "They are ignored. Write a port as 53/UDP if it is meant.",
            ),
            (
                format!("次の数字は使用しませんでした: {list}。ポートまたはプロトコルでしょうか。"),
                "無視しています。ポートの場合は 53/UDP のように書いてください。",
            ),
        ));
    }
    out
}

fn ports(rules: &RuleSet, notes: &Notes, out: &mut Vec<Question>) {
    if notes.unsided_ports {
        out.push(ask(
            QuestionId::PortSide,
            "destination",
            (
                "Are the ports destination ports, or source ports?".into(),
                "They are taken as destination ports. A reflection attack (DNS, NTP …) arrives from the port, and this \
                 filter does nothing against it: then they must be source ports.",
            ),
            (
                "ポートは宛先ポートですか、送信元ポートですか。".into(),
                "宛先ポートとして扱います。リフレクション攻撃（DNS、NTPなど）はそのポート「から」届くため、\
                 その場合この遮断は効きません。送信元ポートの指定が必要です。",
            ),
        ));
    }
    if notes.without_protocol {
        out.push(ask(
            QuestionId::PortProtocol,
            "tcp,udp",
            (
                "Which protocol carries the ports: TCP, UDP, or both?".into(),
                "Both are dropped: twice the lines, and possibly service that was not meant.",
            ),
            (
                "ポートのプロトコルはTCPですか、UDPですか、両方ですか。".into(),
                "両方を遮断します。行数は2倍になり、意図しない通信も止まる可能性があります。",
            ),
        ));
    }
    if notes.protocol_alone {
        out.push(ask(
            QuestionId::ProtocolAlone,
            "ports-only",
            (
                "A protocol is named alone and ports are named too: only these ports, or the whole protocol?".into(),
                "Only the named ports of the protocol are dropped.",
            ),
            (
                "プロトコルだけの記載とポートの記載があります。ポートだけを遮断しますか、プロトコル全体ですか。".into(),
                "記載のポートだけを遮断します。",
            ),
        ));
    }
    let with_ports = |r: &suimon_base::Rule| !r.matches.src_ports.is_empty() || !r.matches.dst_ports.is_empty();
    let udp_ports = rules.rules.iter().any(with_ports);
    if udp_ports && !rules.rules.iter().any(|r| r.matches.fragment.is_some()) {
        out.push(ask(
            QuestionId::Fragments,
            "pass",
            (
                "Shall non-first fragments towards these addresses be dropped too?".into(),
                "They pass: they carry no ports, so no port rule takes them. Large reflected answers arrive mostly as \
                 fragments.",
            ),
            (
                "2つ目以降のフラグメントも遮断しますか。".into(),
                "遮断しません。ポート番号を持たないためポート指定の行には一致しません。\
                 大きなリフレクション応答の多くはフラグメントで届きます。",
            ),
        ));
    }
}

fn headers(rules: &RuleSet, notes: &Notes, out: &mut Vec<Question>) {
    if !notes.direction {
        out.push(ask(
            QuestionId::Direction,
            "towards",
            (
                "Shall traffic towards the named addresses be dropped, or also the traffic from them?".into(),
                "Only packets towards the destinations (or from the sources) as written are dropped; replies in the \
                 other direction pass.",
            ),
            (
                "遮断するのは記載の宛先に向かう通信だけですか、戻りの通信も含みますか。".into(),
                "記載どおりの向きだけを遮断します。逆向きの通信は通ります。",
            ),
        ));
    }
    let everything = rules.rules.iter().any(|r| {
        let m = &r.matches;
        r.action == Action::Discard && m.proto.is_none() && m.fragment.is_none() && m.lengths.is_empty()
    });
    if everything {
        out.push(ask(
            QuestionId::Everything,
            "drop-all",
            (
                "No port or protocol is named: shall everything be dropped?".into(),
                "All traffic matching the addresses is dropped; for a destination that means it is unreachable.",
            ),
            (
                "ポートもプロトコルも指定されていません。すべての通信を遮断しますか。".into(),
                "該当アドレスの通信をすべて遮断します。宛先であれば到達不能になります。",
            ),
        ));
    }
    if !notes.flag_words.is_empty() {
        let list = notes.flag_words.join(", ");
        out.push(ask(
            QuestionId::TcpFlags,
            "all-tcp",
            (
                format!("The text mentions {list}: shall only such TCP packets be dropped?"),
                "TCP flags are not used; all packets of the named protocol and port are dropped.",
            ),
            (
                format!("{list} の記載があります。該当するTCPパケットだけを遮断しますか。"),
                "TCPフラグは条件にしていません。指定のプロトコル・ポートのパケットをすべて遮断します。",
            ),
        ));
    }
    if notes.paired {
        out.push(ask(
            QuestionId::Pairing,
            "in-order",
            (
                "There are several groups of addresses and ports: does each group of ports belong to its own addresses?"
                    .into(),
                "Each group of ports applies only to the addresses written with it.",
            ),
            (
                "アドレスとポートの組が複数あります。それぞれの組ごとに適用しますか。".into(),
                "各ポートは、一緒に書かれたアドレスにだけ適用します。",
            ),
        ));
    }
}

/// Most quoted lines that a question shows.
const SHOWN: usize = 4;

fn sides(rules: &RuleSet, notes: &Notes, out: &mut Vec<Question>) {
    if !notes.left_out.is_empty() {
        let shown: Vec<String> = notes.left_out.iter().take(SHOWN).map(|l| format!("\"{l}\"")).collect();
        let (list, more) = (shown.join(", "), if notes.left_out.len() > SHOWN { ", …" } else { "" });
        out.push(ask(
            QuestionId::QuotedLines,
            "left-out",
            (
                format!("Quoted lines name addresses too: {list}{more}. Are they meant?"),
                "They are not filtered: the mail names addresses outside the quotes. Take the quote marks away if they are \
                 meant.",
            ),
            (
                format!("引用部分にもアドレスがあります: {list}{more}。これらも対象ですか。"),
                "引用の外にアドレスがあるため、引用部分は遮断しません。対象の場合は引用記号を外してください。",
            ),
        ));
    }
    let both = |r: &suimon_base::Rule| !r.matches.src.is_empty() && !r.matches.dst.is_empty();
    if notes.free && rules.rules.iter().any(both) {
        out.push(ask(
            QuestionId::Pairs,
            "pairs",
            (
                "Sources and destinations are named: only packets from these sources to these destinations, or also what \
                 others send to the destinations?"
                    .into(),
                "Only packets from a named source to a named destination are dropped. If the attack has other sources \
                 too, it goes on.",
            ),
            (
                "送信元と宛先の両方が記載されています。その送信元から宛先への通信だけですか。".into(),
                "記載の送信元から記載の宛先への通信だけを遮断します。ほかの送信元からの攻撃は止まりません。",
            ),
        ));
    }
}

fn addresses(rules: &RuleSet, context: &Context, out: &mut Vec<Question>) {
    let acting = || rules.rules.iter().filter(|r| r.action != Action::Permit).map(|r| &r.matches);
    let dst: Vec<_> = acting().flat_map(|m| m.dst.iter().copied()).collect();
    let all: Vec<_> = acting().flat_map(|m| m.src.iter().chain(&m.dst).copied()).collect();
    let special = special::touched(&addresses_of(&all));
    if !special.is_empty() {
        let list = special.join(", ");
        out.push(ask(
            QuestionId::SpecialPurpose,
            "keep",
            (
                format!("The request names special-purpose space: {list}. Is that meant?"),
                "It is filtered as written. Such space belongs to no customer; the range is probably too wide.",
            ),
            (
                format!("特殊用途のアドレスが含まれています: {list}。意図どおりですか。"),
                "記載どおり遮断します。お客様に割り当てられるアドレスではないため、範囲が広すぎる可能性があります。",
            ),
        ));
    }
    let has = |f: Family| all.iter().any(|n| Family::of_net(n) == f);
    if has(Family::V4) != has(Family::V6) {
        let (en, ja) = if has(Family::V4) { ("IPv6", "IPv6") } else { ("IPv4", "IPv4") };
        out.push(ask(
            QuestionId::OtherFamily,
            "none",
            (
                format!("Do the same hosts have {en} addresses that shall be filtered too?"),
                "Only the family that was named is filtered; the attack can go on over the other.",
            ),
            (
                format!("同じホストの{ja}アドレスも遮断しますか。"),
                "記載のあるアドレスだけを遮断します。もう一方のプロトコルの通信は止まりません。",
            ),
        ));
    }
    if !dst.is_empty() {
        ownership(&dst, context, out);
    }
}

fn ownership(dst: &[ipnet::IpNet], context: &Context, out: &mut Vec<Question>) {
    if context.holdings.is_empty() {
        out.push(ask(
            QuestionId::Ownership,
            "check",
            (
                "Do all these destinations belong to the requester?".into(),
                "Nothing is known of the requester's holdings; dropping someone else's traffic needs another basis.",
            ),
            (
                "宛先アドレスはすべてご依頼者のものですか。".into(),
                "ご依頼者の保有アドレスが登録されていません。他者の通信を遮断するには別の根拠が必要です。",
            ),
        ));
        return;
    }
    let (asked, held) = (addresses_of(dst), addresses_of(&context.holdings));
    let outside: Vec<RangeSet> = asked.iter().zip(&held).map(|(a, h)| a.subtract(h)).collect();
    let nets: Vec<String> = Family::BOTH
        .into_iter()
        .zip(&outside)
        .flat_map(|(f, s)| s.ranges().iter().map(move |r| format!("{}-{}", f.addr(r.0), f.addr(r.1))))
        .collect();
    if nets.is_empty() {
        return;
    }
    let count = outside.iter().fold(0u128, |n, s| n.saturating_add(s.count()));
    let shown = nets.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let dots = if nets.len() > 8 { ", …" } else { "" };
    out.push(ask(
        QuestionId::Ownership,
        "check",
        (
            format!("{count} addresses are outside the requester's holdings: {shown}{dots}. Who holds them?"),
            "They are in the rules as written; dropping someone else's traffic needs another basis.",
        ),
        (
            format!("ご依頼者の保有範囲外のアドレスが {count} 個あります: {shown}{dots}。どなたのものですか。"),
            "記載どおり規則に含めています。他者の通信を遮断するには別の根拠が必要です。",
        ),
    ));
}
