//! What the policy engine said, for people. The ledger keeps it as JSON, and this reads that, so that old events show
//! as well as new ones.

use super::context::Ctx;
use super::show::joined;
use crate::text::Texts;
use serde_json::Value;

/// A decision or a denial.
pub(crate) struct DecisionView {
    pub summary: String,
    pub pack: Option<String>,
    pub grounds: Vec<GroundView>,
    pub obligations: Vec<String>,
    pub prohibitions: Vec<ProhibitionView>,
    pub missing: Vec<MissingView>,
    pub route: Option<&'static str>,
    pub offer: Option<String>,
    pub least: Option<String>,
}

pub(crate) struct GroundView {
    pub title: String,
    pub case: String,
    pub basis: String,
    pub policies: String,
    pub lapses: String,
    pub citations: String,
}

pub(crate) struct ProhibitionView {
    pub title: String,
    pub text: String,
    pub how: String,
    pub citations: String,
}

pub(crate) struct MissingView {
    pub title: String,
    pub case: String,
    pub basis: String,
    pub conditions: Vec<ConditionView>,
}

pub(crate) struct ConditionView {
    pub text: String,
    pub how: String,
}

impl DecisionView {
    pub(crate) fn new(ctx: &Ctx, v: &Value) -> Self {
        let t = ctx.t;
        let pack = v.get("pack").filter(|p| p.is_object());
        DecisionView {
            summary: said(ctx, v, "summary"),
            pack: pack.map(|p| format!("{} {}", text(p, "id"), text(p, "version"))),
            grounds: each(v, "grounds")
                .map(|g| GroundView {
                    title: said(ctx, g, "title"),
                    case: text(g, "case"),
                    basis: joined(each(g, "basis").map(|b| basis_name(t, b))),
                    policies: joined(each(g, "policies").filter_map(Value::as_str)),
                    lapses: joined(each(g, "lapses").map(|l| lapse(t, l))),
                    citations: joined(each(g, "citations").map(|c| one(ctx, c))),
                })
                .collect(),
            obligations: each(v, "obligations").map(|o| said(ctx, o, "text")).collect(),
            prohibitions: each(v, "prohibitions")
                .map(|p| ProhibitionView {
                    title: said(ctx, p, "title"),
                    text: said(ctx, p, "text"),
                    how: said(ctx, p, "how"),
                    citations: joined(each(p, "citations").map(|c| one(ctx, c))),
                })
                .collect(),
            missing: each(v, "missing").map(|m| missing(ctx, m)).collect(),
            route: match v.get("route").and_then(Value::as_str) {
                Some("counsel") => Some(t.route_counsel),
                Some("ask-customer") => Some(t.route_ask_customer),
                _ => None,
            },
            offer: v.get("offer").filter(|o| o.is_object()).map(|o| one(ctx, o)),
            least: v.get("least_intrusive").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

fn missing(ctx: &Ctx, m: &Value) -> MissingView {
    MissingView {
        title: ctx.either(&text(m, "title_ja"), &text(m, "title_en")).to_owned(),
        case: text(m, "case"),
        basis: joined(each(m, "basis").map(|b| basis_name(ctx.t, b))),
        conditions: each(m, "conditions")
            .map(|c| ConditionView {
                text: ctx.either(&text(c, "text_ja"), &text(c, "text_en")).to_owned(),
                how: ctx.either(&text(c, "how_ja"), &text(c, "how_en")).to_owned(),
            })
            .collect(),
    }
}

fn each<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    v.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(v: &Value, key: &str) -> String {
    v.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A field that is a pair of texts.
fn said(ctx: &Ctx, v: &Value, key: &str) -> String {
    v.get(key).map(|pair| one(ctx, pair)).unwrap_or_default()
}

/// A pair of texts.
fn one(ctx: &Ctx, pair: &Value) -> String {
    text(pair, ctx.either("ja", "en"))
}

fn basis_name(t: &Texts, basis: &Value) -> String {
    match basis.as_str().unwrap_or_default() {
        "consent-individual" => t.basis_consent_individual,
        "consent-terms" => t.basis_consent_terms,
        "legitimate-business" => t.basis_business,
        "self-defence" => t.basis_defence,
        "necessity" => t.basis_necessity,
        "law" => t.basis_law,
        other => other,
    }
    .to_owned()
}

fn lapse(t: &Texts, lapse: &Value) -> String {
    match lapse.get("when").and_then(Value::as_str).unwrap_or_default() {
        "attack-ends" => t.lapse_attack_ends,
        "request-withdrawn" => t.lapse_withdrawn,
        "impairment-ends" => t.lapse_impairment_ends,
        "opt-out" => t.lapse_opt_out,
        "review-date" => return format!("{} ({})", t.lapse_review, text(lapse, "at")),
        "end-stated" => t.lapse_end_stated,
        other => other,
    }
    .to_owned()
}
