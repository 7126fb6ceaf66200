//! Whom a request hits besides the attack: the requester's own replies, the operator itself, 重要通信; and what a list
//! taken from a router leaves open (catalogue row 86).

use super::questions::{Question, QuestionId, ask};
use super::{Context, Notes, addresses_of};
use crate::boxes::PORT_PROTOS;
use crate::range::Family;
use suimon_base::{Action, Match, RuleSet};

/// Most names or ranges in one question.
const MAX_SHOWN: usize = 8;
/// Where the ports begin that a host takes for its own queries (RFC 6335 §6; many systems begin at 32768).
const FIRST_EPHEMERAL: u16 = 32_768;

fn shown(list: &[String]) -> String {
    let dots = if list.len() > MAX_SHOWN { ", …" } else { "" };
    format!("{}{dots}", list.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(", "))
}

pub fn questions(rules: &RuleSet, context: &Context, out: &mut Vec<Question>) {
    let acting: Vec<&Match> = rules.rules.iter().filter(|r| r.action != Action::Permit).map(|r| &r.matches).collect();
    replies(&acting, out);
    own(&acting, context, out);
    critical(&acting, context, out);
}

/// Packets from a service's port, or to a port that clients take, are also the answers to one's own queries.
fn replies(acting: &[&Match], out: &mut Vec<Question>) {
    let from_service = acting.iter().any(|m| !m.src_ports.is_empty());
    let to_client = acting.iter().any(|m| m.dst_ports.iter().any(|r| r.hi >= FIRST_EPHEMERAL));
    let whole = acting.iter().any(|m| {
        !m.dst.is_empty()
            && m.src_ports.is_empty()
            && m.dst_ports.is_empty()
            && m.fragment.is_none()
            && m.tcp_flags.is_none()
            && m.proto.is_none_or(|p| PORT_PROTOS.contains(&p))
    });
    if !from_service && !to_client && !whole {
        return;
    }
    out.push(ask(
        QuestionId::ReplyTraffic,
        "drop",
        (
            "May the answers to the requester's own queries be dropped too (DNS, NTP, web …)?".into(),
            "They look the same and are dropped: hosts behind the filter get no answer from these ports. Name the \
             servers they need as permits in TOML before the rule.",
        ),
        (
            "ご依頼者側から送った問い合わせへの応答（DNS、NTP、Webなど）も止まりますが、よろしいですか。".into(),
            "区別できないため一緒に遮断します。遮断先のホストは該当ポートからの応答を受け取れません。\
             必要なサーバーがあれば、TOML形式で先に permit を書いてください。",
        ),
    ));
}

fn own(acting: &[&Match], context: &Context, out: &mut Vec<Question>) {
    if context.own.is_empty() {
        return;
    }
    let mine = addresses_of(&context.own);
    let mut hit: [Vec<(u128, u128)>; 2] = Default::default();
    for m in acting {
        let sides: Vec<&[ipnet::IpNet]> =
            [m.dst.as_slice(), m.src.as_slice()].into_iter().filter(|l| !l.is_empty()).collect();
        let named: Vec<_> = if sides.is_empty() { mine.to_vec() } else { Vec::new() };
        for (f, set) in named.iter().enumerate() {
            hit[f].extend(set.ranges());
        }
        for side in sides {
            for (f, set) in addresses_of(side).iter().enumerate() {
                hit[f].extend(set.intersect(&mine[f]).ranges());
            }
        }
    }
    let hit = hit.map(crate::range::RangeSet::new);
    let nets: Vec<String> =
        Family::BOTH.into_iter().flat_map(|f| hit[f as usize].prefixes(f).into_iter().map(|n| n.to_string())).collect();
    if nets.is_empty() {
        return;
    }
    let list = shown(&nets);
    out.push(ask(
        QuestionId::OwnGoal,
        "stop",
        (
            format!(
                "The request names the operator's own addresses: {list}. Shall routers, DNS or monitoring be filtered?"
            ),
            "They are in the rules as written; entered so, the filter may cut the operator off. Take them out first.",
        ),
        (
            format!("自社（運用者）のアドレスが含まれています: {list}。ルーターやDNS、監視の通信も遮断しますか。"),
            "記載どおり規則に含めています。このまま投入すると自社の通信が止まるおそれがあります。先に外してください。",
        ),
    ));
}

fn critical(acting: &[&Match], context: &Context, out: &mut Vec<Question>) {
    let hit: Vec<String> =
        context.critical.iter().filter(|c| acting.iter().any(|m| c.meets(m))).map(|c| c.name.clone()).collect();
    if hit.is_empty() {
        return;
    }
    let list = shown(&hit);
    out.push(ask(
        QuestionId::CriticalTraffic,
        "stop",
        (
            format!("The request takes packets of communication listed as critical: {list}. Who has agreed to that?"),
            "They are dropped as written. Do not apply it before the person responsible has agreed, or take them out.",
        ),
        (
            format!("重要通信に登録されている通信が含まれています: {list}。どなたが了承されましたか。"),
            "記載どおり遮断します。責任者の了承があるまで適用しないでください。または対象から外してください。",
        ),
    ));
}

/// What a list taken from a router leaves open.
pub fn around(notes: &Notes, out: &mut Vec<Question>) {
    if notes.end_left_out {
        out.push(ask(
            QuestionId::ListEnd,
            "not-part",
            (
                "The list only denies. A router would drop everything else too at its end: is that meant?".into(),
                "Only the denied packets are dropped; everything else passes.",
            ),
            (
                "リストには deny しかありません。ルーターではリストの終わりでほかの通信もすべて止まりますが、その意図ですか。".into(),
                "deny の行に書かれた通信だけを遮断し、それ以外は通します。",
            ),
        ));
    }
    if notes.end_kept {
        out.push(ask(
            QuestionId::ListEnd,
            "part",
            (
                "The list says what may pass, and everything else is dropped at its end: for which destinations?"
                    .into(),
                "It is kept as written, for every destination there is; such a filter is not given out. Name the \
                 destinations in the last line.",
            ),
            (
                "リストは許可する通信を示し、終わりでそれ以外をすべて止めます。どの宛先についてでしょうか。".into(),
                "記載どおり全宛先が対象になりますが、そのような設定は出力しません。最後の行に宛先を書いてください。",
            ),
        ));
    }
    if !notes.unread_lines.is_empty() {
        let list = shown(&notes.unread_lines);
        out.push(ask(
            QuestionId::UnreadLines,
            "ignore",
            (
                format!("These lines around the list were not read: {list}. Do they say anything about the filter?"),
                "They are ignored; they name no address and no exception.",
            ),
            (
                format!("リストの前後の次の行は読み取っていません: {list}。フィルターに関する記載はありますか。"),
                "無視しています。アドレスや例外の記載はありません。",
            ),
        ));
    }
}
