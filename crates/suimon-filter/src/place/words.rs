//! What a way does, said so that nobody has to read a rule.

use super::device::{Device, Place};
use super::{Ask, Way};

/// English and Japanese.
pub fn say(way: Way, d: &Device, ask: &Ask) -> (String, String) {
    let (en, ja) = match way {
        Way::Police => (
            format!(
                "Limits what the request names to {} bits a second: the attack is reduced, not stopped, and wanted packets of that kind are lost in the same share.",
                ask.police_bps
            ),
            format!(
                "依頼に該当する通信を毎秒 {} ビットまでに制限します。攻撃は減りますが止まりません。該当する正常な通信も同じ割合で失われます。",
                ask.police_bps
            ),
        ),
        Way::Flowspec => (
            "Drops what the request names, by BGP Flowspec on every router that takes the rules. The destination stays reachable for everything else."
                .to_owned(),
            "依頼に該当する通信だけを、BGP Flowspec を受け取るルーターで遮断します。それ以外の通信は届きます。".to_owned(),
        ),
        Way::AclCustomerEdge | Way::AclUpstream => (
            "Drops what the request names. The destination stays reachable for everything else.".to_owned(),
            "依頼に該当する通信だけを遮断します。それ以外の通信は届きます。".to_owned(),
        ),
        Way::NullRoute | Way::RtbhEdge | Way::RtbhUpstream => (
            "The destination becomes unreachable: the attack has succeeded. The rest of the network is spared.".to_owned(),
            "宛先に到達できなくなり、攻撃の目的が果たされてしまいます。ほかの利用者への影響は止まります。".to_owned(),
        ),
    };
    let (where_en, where_ja) = match (way, d.place) {
        (Way::RtbhUpstream | Way::AclUpstream, _) | (_, Place::Upstream) => (
            "It acts in the upstream network, before the link: somebody else has to do it and to undo it.",
            "上位の事業者側で、回線の手前で止めます。設定も解除も先方の作業になります。",
        ),
        (_, Place::Edge) => (
            "It acts at the border: the link to the upstream network stays as full as it is.",
            "自網の境界で止めます。上位回線の混雑はそのまま残ります。",
        ),
        (_, Place::CustomerEdge) => (
            "It acts at the customer's access: only this customer is touched, and everything before it stays loaded.",
            "お客さまの収容箇所で止めます。ほかのお客さまには影響しませんが、手前の区間の負荷は残ります。",
        ),
    };
    (format!("{en} {where_en}"), format!("{ja}{where_ja}"))
}
