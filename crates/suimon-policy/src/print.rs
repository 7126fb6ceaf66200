//! A pack as a table for people who do not read code.

use crate::pack::Pack;
use crate::table::{Case, Citation, CounselReview};

/// The language of a printed pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Japanese.
    Japanese,
    /// English.
    English,
}

impl Language {
    fn pick<'a>(self, ja: &'a str, en: &'a str) -> &'a str {
        match self {
            Language::Japanese => ja,
            Language::English => en,
        }
    }
}

impl Pack {
    /// The case table and the prohibitions as Markdown. Citations appear as users see them.
    pub fn to_markdown(&self, language: Language) -> String {
        let pick = |ja, en| language.pick(ja, en);
        let separator = pick("、", ", ");
        let review = match self.head.counsel_review {
            CounselReview::Pending => pick("弁護士等の確認：まだです", "Review by counsel: pending"),
            CounselReview::Done => pick("弁護士等の確認：済んでいます", "Review by counsel: done"),
        };
        let mut out = format!(
            "**{}** ({} {}, {} {})\n\n{}\n\n{review}\n\n",
            pick(&self.head.title_ja, &self.head.title_en),
            self.head.id,
            self.head.version,
            pick("適用開始", "effective from"),
            self.head.effective_from,
            pick(&self.head.provenance_ja, &self.head.provenance_en),
        );
        out.push_str(pick(
            "| 番号 | 類型 | 根拠 | 対象の行為 | 条件（すべて必要） | 失効するとき | 出典 |\n|---|---|---|---|---|---|---|\n",
            "| Id | Case | Basis | Acts | Conditions (all needed) | Lapses | Source |\n|---|---|---|---|---|---|---|\n",
        ));
        for case in &self.table.cases {
            let basis: Vec<&str> = case.basis.iter().map(|b| pick(b.name_ja(), b.name_en())).collect();
            let acts: Vec<&str> = case.acts.iter().map(|a| pick(a.name_ja(), a.name_en())).collect();
            let sources = shown(&case.citations, language);
            out.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {} |\n",
                case.id,
                pick(&case.title_ja, &case.title_en),
                basis.join(separator),
                acts.join(separator),
                self.condition_texts(case, language).join("<br>"),
                case.lapses.iter().map(|l| l.words(language)).collect::<Vec<_>>().join(separator),
                sources.join("<br>"),
            ));
        }
        out.push_str(pick(
            "\n| 番号 | どの類型でも認められないこと | 直し方 | 出典 |\n|---|---|---|---|\n",
            "\n| Id | Never permitted, whatever the case | What to do | Source |\n|---|---|---|---|\n",
        ));
        for row in &self.table.prohibitions {
            let sources = shown(&row.citations, language);
            out.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                row.id,
                pick(&row.title_ja, &row.title_en),
                pick(&row.how_ja, &row.how_en),
                sources.join("<br>"),
            ));
        }
        out
    }

    fn condition_texts(&self, case: &Case, language: Language) -> Vec<&str> {
        let text = |id: &String| self.table.conditions.iter().find(|c| c.id == *id);
        case.conditions.iter().filter_map(text).map(|c| language.pick(&c.text_ja, &c.text_en)).collect()
    }
}

fn shown(citations: &[Citation], language: Language) -> Vec<String> {
    let texts = citations.iter().map(Citation::shown);
    texts.map(|t| if language == Language::Japanese { t.ja } else { t.en }).collect()
}
