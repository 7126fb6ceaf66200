//! The files `pack.toml` and `cases.toml` as they are written.

use crate::act::{Act, Basis};
use crate::facts::FlowItem;
use crate::print::Language;
use crate::verdict::{Route, Text};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `pack.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Head {
    pub(crate) format: u32,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) title_ja: String,
    pub(crate) title_en: String,
    pub(crate) effective_from: String,
    pub(crate) effective_until: Option<String>,
    pub(crate) provenance_ja: String,
    pub(crate) provenance_en: String,
    pub(crate) counsel_review: CounselReview,
}

/// Whether counsel has signed a pack off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CounselReview {
    /// Not yet.
    Pending,
    /// Yes.
    Done,
}

/// `cases.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(default)]
    pub(crate) params: TableParams,
    pub(crate) offers: Offers,
    pub(crate) cases: Vec<Case>,
    pub(crate) prohibitions: Vec<ProhibitionRow>,
    pub(crate) conditions: Vec<Condition>,
    #[serde(default)]
    pub(crate) obligations: Vec<ObligationRow>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TableParams {
    #[serde(default)]
    pub(crate) collection_items: Vec<FlowItem>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Offers {
    pub(crate) ask_customer: Text,
    pub(crate) counsel: Text,
}

/// One way to be permitted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) title_ja: String,
    pub(crate) title_en: String,
    pub(crate) basis: Vec<Basis>,
    pub(crate) acts: Vec<Act>,
    pub(crate) conditions: Vec<String>,
    pub(crate) lapses: Vec<LapseKind>,
    #[serde(default)]
    pub(crate) obligations: Vec<String>,
    pub(crate) evidence: Vec<Text>,
    pub(crate) citations: Vec<Citation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LapseKind {
    AttackEnds,
    RequestWithdrawn,
    ImpairmentEnds,
    OptOut,
    ReviewDate,
    EndStated,
}

impl LapseKind {
    /// In words, as for people who read the pack.
    pub(crate) fn words(self, language: Language) -> &'static str {
        let (ja, en) = match self {
            LapseKind::AttackEnds => ("攻撃が終わったとき", "when the attack ends"),
            LapseKind::RequestWithdrawn => ("依頼が取り消されたとき", "when the request is withdrawn"),
            LapseKind::ImpairmentEnds => ("設備の支障がなくなったとき", "when the impairment ends"),
            LapseKind::OptOut => ("不同意の設定に変わったとき", "when the line opts out"),
            LapseKind::ReviewDate => ("見直し日になったとき", "on the review date"),
            LapseKind::EndStated => ("決められた終了条件を満たしたとき", "when the stated end is reached"),
        };
        match language {
            Language::Japanese => ja,
            Language::English => en,
        }
    }
}

/// One reason never to be permitted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ProhibitionRow {
    pub(crate) id: String,
    pub(crate) title_ja: String,
    pub(crate) title_en: String,
    pub(crate) text_ja: String,
    pub(crate) text_en: String,
    pub(crate) how_ja: String,
    pub(crate) how_en: String,
    #[serde(default)]
    pub(crate) holds: Vec<String>,
    #[serde(default)]
    pub(crate) fails: Vec<String>,
    pub(crate) route: Route,
    pub(crate) citations: Vec<Citation>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Condition {
    pub(crate) id: String,
    pub(crate) text_ja: String,
    pub(crate) text_en: String,
    pub(crate) how_ja: String,
    pub(crate) how_en: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObligationRow {
    pub(crate) id: String,
    pub(crate) ja: String,
    pub(crate) en: String,
}

/// What a citation rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    Statute,
    Guideline,
    Terms,
    OperatorPolicy,
}

/// Where something is written. Without confirmation there is no text to show.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Citation {
    pub(crate) level: Level,
    pub(crate) confirmed: bool,
    #[serde(default)]
    pub(crate) text_ja: String,
    #[serde(default)]
    pub(crate) text_en: String,
}

impl Citation {
    /// As users see it.
    pub(crate) fn shown(&self) -> Text {
        let (ja, en) = match self.level {
            Level::Statute => ("法令", "statute"),
            Level::Guideline => ("ガイドライン", "guideline"),
            Level::Terms => ("約款", "terms of service"),
            Level::OperatorPolicy => ("事業者の方針", "operator's policy"),
        };
        if self.confirmed {
            Text { ja: format!("{ja}：{}", self.text_ja), en: format!("{en}: {}", self.text_en) }
        } else {
            Text {
                ja: format!("{ja}：弁護士等の確認を要します"), en: format!("{en}: to be confirmed by counsel")
            }
        }
    }
}

impl Table {
    /// The prohibitions that apply, in the order of the table.
    pub(crate) fn forbidding<'a>(&'a self, findings: &'a BTreeMap<&str, bool>) -> Vec<&'a ProhibitionRow> {
        let is = |name: &String| findings.get(name.as_str()).copied().unwrap_or(false);
        self.prohibitions.iter().filter(|p| p.holds.iter().all(is) && !p.fails.iter().any(is)).collect()
    }

    /// The cases for `act`, each with the conditions that are not met, nearest first (fewest missing, then the order
    /// of the table).
    pub(crate) fn nearest<'a>(&'a self, act: Act, findings: &BTreeMap<&str, bool>) -> Vec<(&'a Case, Vec<&'a str>)> {
        let is = |name: &str| findings.get(name).copied().unwrap_or(false);
        let mut cases: Vec<_> = self
            .cases
            .iter()
            .filter(|c| c.acts.contains(&act))
            .map(|c| (c, c.conditions.iter().map(String::as_str).filter(|n| !is(n)).collect::<Vec<_>>()))
            .collect();
        cases.sort_by_key(|(_, missing)| missing.len());
        cases
    }
}
