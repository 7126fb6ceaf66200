//! The packs and the one question they answer.

use crate::act::{Act, Stage};
use crate::cedar::Answer;
use crate::error::PackError;
use crate::facts::{Facts, PlantState, Question};
use crate::findings;
use crate::pack::{HEAD_FILE, Pack};
use crate::table::{Case, LapseKind, ProhibitionRow};
use crate::verdict::{
    Decision, Denial, Ground, Lapse, MissingCondition, MissingForCase, Obligation, Prohibition, Route, Text, Verdict,
};
use std::collections::BTreeMap;
use suimon_base::Timestamp;

/// The versions of one jurisdiction's pack.
#[derive(Debug)]
pub struct Packs {
    /// In the order of their effective dates.
    packs: Vec<Pack>,
}

impl Packs {
    /// Collects versions.
    ///
    /// # Errors
    /// There is none; they are of several jurisdictions; or two share a version or an effective date.
    pub fn new(mut packs: Vec<Pack>) -> Result<Packs, PackError> {
        packs.sort_by_key(|p| p.from);
        if packs.is_empty() {
            return Err(PackError::whole(HEAD_FILE, "no policy pack is given; without one every act is denied"));
        }
        for pair in packs.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            if a.head.id != b.head.id {
                let message = format!("packs of several jurisdictions: `{}` and `{}`", a.head.id, b.head.id);
                return Err(PackError::whole(HEAD_FILE, message));
            }
            if a.from == b.from || a.head.version == b.head.version {
                let (a, b) = (&a.head.version, &b.head.version);
                let message = format!("versions `{a}` and `{b}` share a version or an effective date");
                return Err(PackError::whole(HEAD_FILE, message));
            }
        }
        Ok(Packs { packs })
    }

    /// The packs that come with the program.
    ///
    /// # Errors
    /// As [`Pack::load`]; a test makes sure that there are none.
    pub fn builtin() -> Result<Packs, PackError> {
        Packs::new(vec![Pack::builtin_jp()?])
    }

    /// The pack in force at a time: the latest that has begun, unless it has ended.
    pub fn in_force(&self, at: Timestamp) -> Option<&Pack> {
        let begun = self.packs.iter().rev().find(|p| p.from <= at)?;
        begun.until.is_none_or(|until| at < until).then_some(begun)
    }

    /// All versions, oldest first.
    pub fn all(&self) -> &[Pack] {
        &self.packs
    }
}

/// Answers questions.
#[derive(Debug)]
pub struct Engine {
    packs: Packs,
}

impl Engine {
    /// An engine over checked packs.
    pub fn new(packs: Packs) -> Engine {
        Engine { packs }
    }

    /// An engine over the packs that come with the program.
    ///
    /// # Errors
    /// As [`Packs::builtin`].
    pub fn builtin() -> Result<Engine, PackError> {
        Ok(Engine::new(Packs::builtin()?))
    }

    /// The packs.
    pub fn packs(&self) -> &Packs {
        &self.packs
    }

    /// May this be done? Denies by default, and denies when the policies cannot be evaluated.
    pub fn decide(&self, q: &Question) -> Verdict {
        let Some(pack) = self.packs.in_force(q.at) else {
            return Verdict::Denied(no_pack(q));
        };
        let found = findings::find(q, &pack.params);
        let who = match q.stage {
            Stage::Propose => &q.proposer,
            Stage::Approve | Stage::Apply | Stage::Reissue => q.approver.as_ref().unwrap_or(&q.proposer),
        };
        let answer = pack.rules.ask(q.act, who, &found);
        // The table is asked as well: both must agree before anything is allowed.
        let forbidden = pack.table.forbidding(&found);
        let nearest = pack.table.nearest(q.act, &found);
        let met = nearest.iter().filter(|(_, missing)| missing.is_empty()).map(|(case, _)| *case);
        if let (Ok(answer), true) = (&answer, forbidden.is_empty()) {
            let grounds: Vec<(&Case, Vec<String>)> =
                met.map(|case| (case, permits(pack, case, answer))).filter(|(_, ids)| !ids.is_empty()).collect();
            if answer.allowed && !grounds.is_empty() {
                return Verdict::Allowed(decision(q, pack, &grounds));
            }
        }
        let fired = answer.ok().filter(|a| !a.allowed).map(|a| a.policies).unwrap_or_default();
        Verdict::Denied(denial(q, pack, fired.into_iter().collect(), &forbidden, &nearest))
    }
}

/// The permits of `case` that hold.
fn permits(pack: &Pack, case: &Case, answer: &Answer) -> Vec<String> {
    let of_case = pack.rules.index.iter().filter(|p| p.permits && p.case == case.id);
    of_case.map(|p| p.id.clone()).filter(|id| answer.policies.contains(id)).collect()
}

fn decision(q: &Question, pack: &Pack, grounds: &[(&Case, Vec<String>)]) -> Decision {
    let mut obligations: Vec<Obligation> = Vec::new();
    for id in grounds.iter().flat_map(|(case, _)| &case.obligations) {
        if obligations.iter().any(|o| o.id == *id) {
            continue;
        }
        if let Some(row) = pack.table.obligations.iter().find(|o| o.id == *id) {
            obligations.push(Obligation { id: id.clone(), text: Text { ja: row.ja.clone(), en: row.en.clone() } });
        }
    }
    let grounds: Vec<Ground> = grounds.iter().map(|(case, policies)| ground(q, case, policies.clone())).collect();
    let because_ja: Vec<String> = grounds.iter().map(|g| format!("{} {}", g.case, g.title.ja)).collect();
    let because_en: Vec<String> = grounds.iter().map(|g| format!("{} {}", g.case, g.title.en)).collect();
    let basis_ja: Vec<&str> = grounds.iter().flat_map(|g| &g.basis).map(|b| b.name_ja()).collect();
    let basis_en: Vec<&str> = grounds.iter().flat_map(|g| &g.basis).map(|b| b.name_en()).collect();
    let summary = Text {
        ja: format!(
            "「{}」は実施できます。該当する類型：{}（根拠：{}）。",
            q.act.name_ja(),
            because_ja.join("、"),
            basis_ja.join("、")
        ),
        en: format!("Allowed: {}. Case: {} (basis: {}).", q.act.name_en(), because_en.join("; "), basis_en.join(", ")),
    };
    Decision {
        act: q.act,
        stage: q.stage,
        at: q.at,
        proposer: q.proposer.clone(),
        approver: q.approver.clone(),
        pack: pack.reference(),
        grounds,
        obligations,
        summary,
    }
}

fn ground(q: &Question, case: &Case, policies: Vec<String>) -> Ground {
    let review = q.facts.collection.as_ref().and_then(|c| c.review_at);
    let lapses = case.lapses.iter().filter_map(|kind| {
        Some(match kind {
            LapseKind::AttackEnds => Lapse::AttackEnds,
            LapseKind::RequestWithdrawn => Lapse::RequestWithdrawn,
            LapseKind::ImpairmentEnds => Lapse::ImpairmentEnds,
            LapseKind::OptOut => Lapse::OptOut,
            LapseKind::ReviewDate => Lapse::ReviewDate(review?),
            LapseKind::EndStated => Lapse::EndStated,
        })
    });
    Ground {
        case: case.id.clone(),
        title: Text { ja: case.title_ja.clone(), en: case.title_en.clone() },
        policies,
        basis: case.basis.clone(),
        lapses: lapses.collect(),
        evidence: case.evidence.clone(),
        citations: case.citations.iter().map(|c| c.shown()).collect(),
    }
}

fn denial(
    q: &Question,
    pack: &Pack,
    policies: Vec<String>,
    forbidden: &[&ProhibitionRow],
    nearest: &[(&Case, Vec<&str>)],
) -> Denial {
    let route = route(pack, q, forbidden, nearest);
    let offer = match route {
        Route::Counsel => Some(pack.table.offers.counsel.clone()),
        Route::AskCustomer => Some(pack.table.offers.ask_customer.clone()),
        Route::None => None,
    };
    let narrower = q.facts.narrower_alternative.as_ref().filter(|n| n.sufficient);
    // Where the customer is to be asked and no case lacks just one thing, what a request needs comes first.
    let none_is_near = nearest.first().is_some_and(|(_, missing)| missing.len() > 1);
    let ask = route == Route::AskCustomer && none_is_near;
    let (first, rest): (Vec<_>, Vec<_>) =
        nearest.iter().partition(|(case, _)| ask && case.lapses.contains(&LapseKind::RequestWithdrawn));
    let missing = first.into_iter().chain(rest).map(|(case, names)| missing_for(pack, case, names));
    let missing: Vec<MissingForCase> = missing.collect();
    let summary = denied_summary(q.act, forbidden, &missing);
    Denial {
        act: q.act,
        stage: q.stage,
        pack: Some(pack.reference()),
        policies,
        prohibitions: forbidden.iter().map(|row| prohibition(row)).collect(),
        missing,
        route,
        offer,
        least_intrusive: narrower.map(|n| n.description.clone()).filter(|d| !d.trim().is_empty()),
        summary,
    }
}

fn prohibition(row: &ProhibitionRow) -> Prohibition {
    let text = |ja: &String, en: &String| Text { ja: ja.clone(), en: en.clone() };
    Prohibition {
        id: row.id.clone(),
        title: text(&row.title_ja, &row.title_en),
        text: text(&row.text_ja, &row.text_en),
        how: text(&row.how_ja, &row.how_en),
        citations: row.citations.iter().map(|c| c.shown()).collect(),
    }
}

fn missing_for(pack: &Pack, case: &Case, names: &[&str]) -> MissingForCase {
    let texts: BTreeMap<&str, _> = pack.table.conditions.iter().map(|c| (c.id.as_str(), c)).collect();
    let conditions = names.iter().filter_map(|name| texts.get(name)).map(|c| MissingCondition {
        id: c.id.clone(),
        text_ja: c.text_ja.clone(),
        text_en: c.text_en.clone(),
        how_ja: c.how_ja.clone(),
        how_en: c.how_en.clone(),
    });
    MissingForCase {
        case: case.id.clone(),
        title_ja: case.title_ja.clone(),
        title_en: case.title_en.clone(),
        basis: case.basis.clone(),
        conditions: conditions.collect(),
    }
}

/// Counsel when a prohibition sends there or no case covers the act; the customer when no case is met, the operator's
/// own plant is not impaired and a request could permit (catalogue row 44); else nobody.
fn route(pack: &Pack, q: &Question, forbidden: &[&ProhibitionRow], nearest: &[(&Case, Vec<&str>)]) -> Route {
    if nearest.is_empty() || forbidden.iter().any(|p| p.route == Route::Counsel) {
        return Route::Counsel;
    }
    let some_case_met = nearest.iter().any(|(_, missing)| missing.is_empty());
    let request_could =
        pack.table.cases.iter().any(|c| c.acts.contains(&q.act) && c.lapses.contains(&LapseKind::RequestWithdrawn));
    if !some_case_met && request_could && no_own_impact(&q.facts) && q.facts.collection.is_none() {
        return Route::AskCustomer;
    }
    Route::None
}

fn no_own_impact(facts: &Facts) -> bool {
    facts.plant.as_ref().is_none_or(|p| matches!(p.state, PlantState::Unimpaired | PlantState::Over))
}

fn denied_summary(act: Act, forbidden: &[&ProhibitionRow], missing: &[MissingForCase]) -> Text {
    let mut ja = format!("「{}」は実施できません。", act.name_ja());
    let mut en = format!("Denied: {}.", act.name_en());
    for row in forbidden {
        ja.push_str(&row.text_ja);
        en.push(' ');
        en.push_str(&row.text_en);
    }
    match missing.first() {
        None => {
            ja.push_str("該当する類型がありません。");
            en.push_str(" No case covers it.");
        }
        Some(case) if !case.conditions.is_empty() => {
            let list_ja: Vec<&str> = case.conditions.iter().map(|c| c.text_ja.as_str()).collect();
            let list_en: Vec<&str> = case.conditions.iter().map(|c| c.text_en.as_str()).collect();
            ja.push_str(&format!(
                "最も近い類型は{} {}で、足りないものは次のとおりです：{}。",
                case.case,
                case.title_ja,
                list_ja.join("、")
            ));
            en.push_str(&format!(
                " The nearest case is {} ({}); missing: {}.",
                case.case,
                case.title_en,
                list_en.join("; ")
            ));
        }
        Some(_) => {}
    }
    Text { ja, en }
}

fn no_pack(q: &Question) -> Denial {
    let offer = Text {
        ja: "判断表を整えるまで実施せず、弁護士等に相談してください。".to_owned(),
        en: "Do not act before a pack for that time is provided; ask counsel.".to_owned(),
    };
    Denial {
        act: q.act,
        stage: q.stage,
        pack: None,
        policies: Vec::new(),
        prohibitions: Vec::new(),
        missing: Vec::new(),
        route: Route::Counsel,
        offer: Some(offer),
        least_intrusive: None,
        summary: Text {
            ja: format!("{}に有効な判断表がないため、実施できません。", q.at),
            en: format!("Denied: no policy pack was in force at {}.", q.at),
        },
    }
}
