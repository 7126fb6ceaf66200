//! Cut broadly now, reopen in steps: each stage drops nothing that the one before it let through.

use super::cost::looks_inside;
use super::{Ask, Choice, Device, Place, limited};
use crate::compile::{self, Options};
use serde::Serialize;
use suimon_base::{Action, Match, Rule, RuleSet};

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// `broad`, `exact`, `police`, `open`.
    pub id: &'static str,
    /// The device, where there is one that can.
    pub device: Option<String>,
    /// Where it stands.
    pub place: Option<Place>,
    /// Lines on it; 0 for the last stage.
    pub lines: u64,
    /// What is dropped or limited.
    pub rules: RuleSet,
    /// What is done, English.
    pub words_en: String,
    /// What is done, Japanese.
    pub words_ja: String,
    /// When to go on, English.
    pub until_en: String,
    /// When to go on, Japanese.
    pub until_ja: String,
}

/// The stages for the first possible choice that leaves the destination reachable; where there is none, for the first
/// possible one.
pub fn stages(rules: &RuleSet, devices: &[Device], choices: &[Choice], ask: &Ask) -> Vec<Stage> {
    let usable = || choices.iter().filter(|c| c.possible);
    let chosen = usable().find(|c| !c.cuts_everything && c.way != super::Way::Police).or_else(|| usable().next());
    let device = chosen.and_then(|c| devices.iter().find(|d| d.name == c.device));
    let count = |rules: &RuleSet| {
        chosen.and_then(|c| compile::compile(rules, c.dialect, &Options::default()).ok()).map(|c| c.lines as u64)
    };
    let mut out = Vec::new();
    let mut push = |id, rules: RuleSet, lines: Option<u64>, words: [&str; 4]| {
        let Some(lines) = lines else { return };
        out.push(Stage {
            id,
            device: device.map(|d| d.name.clone()),
            place: device.map(|d| d.place),
            lines,
            rules,
            words_en: words[0].into(),
            words_ja: words[1].into(),
            until_en: words[2].into(),
            until_ja: words[3].into(),
        });
    };
    let broad = broad(rules);
    if broad != *rules {
        let lines = count(&broad);
        push(
            "broad",
            broad,
            lines,
            [
                "Now: drop the named protocols between the named addresses, whatever the ports. Few lines, quickly entered.",
                "今すぐ: 対象アドレスの該当プロトコルを、ポートを問わず遮断します。行数が少なく、すぐに設定できます。",
                "Go on when the exact list is ready and other services of the destination are confirmed to be missed.",
                "正確なリストの準備ができ、宛先のほかのサービスに影響が出ていると確認できたら次へ進みます。",
            ],
        );
    }
    push(
        "exact",
        rules.clone(),
        count(rules),
        [
            "Then: exactly what the request names; everything else is open again.",
            "次に: 依頼に該当する通信だけを遮断します。それ以外は元に戻ります。",
            "Go on when the dropped traffic has fallen to what is normal.",
            "遮断している通信量が平常の水準まで下がったら次へ進みます。",
        ],
    );
    let police = limited(rules, ask.police_bps);
    let lines = count(&police);
    push(
        "police",
        police,
        lines,
        [
            "Then: limit instead of drop, to see whether the attack comes back.",
            "その後: 遮断から速度制限に変え、攻撃が再開しないか確かめます。",
            "Go on when nothing is dropped by the limit for an hour.",
            "制限による破棄が1時間なければ次へ進みます。",
        ],
    );
    push(
        "open",
        RuleSet::default(),
        Some(0),
        [
            "At the end: take the filter away with its undo, and confirm it on the device.",
            "最後に: 解除手順でフィルタを外し、機器上で外れたことを確認します。",
            "The end.",
            "これで終了です。",
        ],
    );
    out
}

/// The rules without what looks beyond addresses and protocol, as far as that still names something.
fn broad(rules: &RuleSet) -> RuleSet {
    // A permit before a discard is an exception; without its ports it would open more than was asked.
    if rules.rules.iter().any(|r| r.action != Action::Discard) {
        return rules.clone();
    }
    let mut out = RuleSet::default();
    for r in &rules.rules {
        let m = &r.matches;
        let names = m.proto.is_some() && (!m.src.is_empty() || !m.dst.is_empty());
        let matches = if looks_inside(m) && names {
            Match { src: m.src.clone(), dst: m.dst.clone(), proto: m.proto, ..Match::default() }
        } else {
            m.clone()
        };
        let rule = Rule { matches, action: Action::Discard };
        if !out.rules.contains(&rule) {
            out.rules.push(rule);
        }
    }
    out
}
