//! What a question's facts amount to: the yes-or-no findings that policies and case tables speak of.
//!
//! This is the one place that says what each finding means; a pack can combine findings but not redefine them.

use crate::act::{Act, Stage};
use crate::facts::{
    AttackFacts, Authority, Callback, Channel, CollectionFacts, ConsentFacts, Facts, FlowItem, Malice, PlantFacts,
    PlantState, ProtectedParty, Question, ReadingFacts, RequestFacts, Rung, ThirdPartyFacts,
};
use std::collections::BTreeMap;
use suimon_base::Timestamp;

/// Every finding by its name in packs.
pub(crate) type Findings = BTreeMap<&'static str, bool>;

/// What the pack says about the meaning of findings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    /// Items that a standing collection may keep.
    pub(crate) collection_items: Vec<FlowItem>,
}

/// The findings on `q`.
pub(crate) fn find(q: &Question, params: &Params) -> Findings {
    let mut out = Findings::new();
    let as_of = q.facts.as_of.unwrap_or(q.at);
    general(&mut out, q, as_of);
    request(&mut out, q.facts.request.as_ref(), q.act, q.facts.scope_within_holdings);
    plant(&mut out, q.facts.plant.as_ref());
    emergency(&mut out, q.facts.attack.as_ref(), q.facts.third_party.as_ref());
    terms(&mut out, q.facts.terms.as_ref(), as_of);
    collection(&mut out, q.facts.collection.as_ref(), as_of, params);
    out
}

/// The names of all findings.
pub(crate) fn names() -> Vec<&'static str> {
    let q = Question {
        at: Timestamp::ZERO,
        act: Act::Acl,
        stage: Stage::Propose,
        proposer: String::new(),
        approver: None,
        facts: Facts::default(),
    };
    find(&q, &Params::default()).into_keys().collect()
}

fn said(text: &str) -> bool {
    !text.trim().is_empty()
}

fn any_said(texts: &[String]) -> bool {
    texts.iter().any(|t| said(t))
}

/// Two spellings of one account must not pass for two people.
fn same_person(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

fn general(out: &mut Findings, q: &Question, as_of: Timestamp) {
    let facts = &q.facts;
    // A standing collection ends at its review date, and a warning is over once given.
    let ends_by_review =
        q.act == Act::CollectFlows && facts.collection.as_ref().is_some_and(|c| review_ahead(c, as_of));
    out.insert("end_stated", facts.end_stated || ends_by_review || q.act.is_momentary());
    out.insert("proposer_named", said(&q.proposer));
    out.insert("after_proposal", q.stage != Stage::Propose);
    let another = q.approver.as_deref().is_some_and(|a| said(a) && !same_person(a, &q.proposer));
    out.insert("approved_by_another", another);
    let narrower = facts.narrower_alternative.as_ref();
    let unreasoned = narrower.is_some_and(|n| n.sufficient && !said(&n.reason_not_chosen));
    out.insert("narrower_sufficient_unreasoned", unreasoned);
    let payload_item = facts.collection.as_ref().is_some_and(|c| c.items.contains(&FlowItem::Payload));
    let payload_rung = facts.reading.as_ref().is_some_and(|r| r.rung == Rung::Payload);
    out.insert("payload_read", payload_item || payload_rung);
    out.insert("rung_skipped_unreasoned", facts.reading.as_ref().is_some_and(rung_skipped));
    let public = facts.public_body.as_ref().is_some_and(|p| p.wants_content_blocked);
    out.insert("public_body_blocks_content", public);
}

/// A rung may be read without a reason when it is the lowest, or when the one just below has been tried.
fn rung_skipped(r: &ReadingFacts) -> bool {
    let below = match r.rung {
        Rung::CustomerLog => return false,
        Rung::Aggregate => Rung::CustomerLog,
        Rung::PerHostFlows => Rung::Aggregate,
        Rung::Headers => Rung::PerHostFlows,
        Rung::Payload => Rung::Headers,
    };
    r.tried.is_none_or(|tried| tried < below) && !said(&r.why_not_lower)
}

fn request(out: &mut Findings, request: Option<&RequestFacts>, act: Act, scope_own: bool) {
    let is = |test: &dyn Fn(&RequestFacts) -> bool| request.is_some_and(test);
    out.insert("requester_identified", is(&|r| r.identified && said(&r.requester)));
    let may_ask = |a: Authority| matches!(a, Authority::Ask | Authority::Order);
    out.insert("requester_authorised", is(&|r| may_ask(r.authority) && r.authority_covers_target));
    let needs_callback = |c: Channel| matches!(c, Channel::Telephone | Channel::Mail);
    // A call-back that failed speaks against the request however it came.
    let called_back = is(&|r| match r.callback {
        Callback::Confirmed => true,
        Callback::Failed => false,
        Callback::NotDone => !needs_callback(r.channel),
    });
    out.insert("request_called_back", called_back);
    out.insert("request_words_kept", is(&|r| said(&r.words)));
    out.insert("request_covers_act", is(&|r| r.covers.contains(&act)));
    out.insert("request_scope_own", request.is_some() && scope_own);
    out.insert("request_stands", is(&|r| !r.withdrawn));
}

fn plant(out: &mut Findings, plant: Option<&PlantFacts>) {
    let is = |test: &dyn Fn(&PlantFacts) -> bool| plant.is_some_and(test);
    out.insert("plant_impaired", is(&|p| matches!(p.state, PlantState::Imminent | PlantState::Impaired)));
    out.insert("plant_evidence_kept", is(&|p| any_said(&p.evidence)));
    out.insert("plant_necessity_stated", is(&|p| said(&p.necessity)));
    out.insert("plant_scope_minimum", is(&|p| p.minimum_scope));
    out.insert("plant_end_bound", is(&|p| p.ends_with_impairment));
}

fn emergency(out: &mut Findings, attack: Option<&AttackFacts>, third: Option<&ThirdPartyFacts>) {
    let attack_is = |test: &dyn Fn(&AttackFacts) -> bool| attack.is_some_and(test);
    out.insert("attack_under_way", attack_is(&|a| a.under_way));
    out.insert("attack_effect_evidenced", attack_is(&|a| a.effect && any_said(&a.effect_evidence)));
    out.insert("malice_evidenced", attack_is(&|a| a.malice == Malice::Yes && any_said(&a.malice_evidence)));
    let third_is = |test: &dyn Fn(&ThirdPartyFacts) -> bool| third.is_some_and(test);
    out.insert("protected_party_named", third_is(&|t| t.kind != ProtectedParty::Unknown && said(&t.name)));
    out.insert("defence_proportionate", third_is(&|t| said(&t.proportionate)));
    out.insert("no_other_means", third_is(&|t| said(&t.no_other_means)));
    out.insert("harm_balanced", third_is(&|t| said(&t.harm_balance)));
    out.insert("emergency_end_bound", third_is(&|t| t.ends_with_attack));
}

fn terms(out: &mut Findings, terms: Option<&ConsentFacts>, as_of: Timestamp) {
    let is = |test: &dyn Fn(&ConsentFacts) -> bool| terms.is_some_and(test);
    let recorded = is(&|t| said(&t.document) && said(&t.clause) && said(&t.version));
    out.insert("terms_clause_recorded", recorded);
    out.insert("terms_in_effect", is(&|t| t.effective.is_some_and(|from| from <= as_of)));
    out.insert("terms_legitimate", is(&|t| said(&t.legitimacy)));
    out.insert("terms_changeable_any_time", is(&|t| said(&t.changeable_any_time)));
    out.insert("terms_same_conditions", is(&|t| said(&t.same_conditions)));
    out.insert("terms_publicised", is(&|t| any_said(&t.publicised)));
    out.insert("line_not_opted_out", is(&|t| t.opted_out == Some(false)));
}

fn review_ahead(c: &CollectionFacts, as_of: Timestamp) -> bool {
    c.review_at.is_some_and(|review| review > as_of)
}

fn collection(out: &mut Findings, collection: Option<&CollectionFacts>, as_of: Timestamp, params: &Params) {
    let is = |test: &dyn Fn(&CollectionFacts) -> bool| collection.is_some_and(test);
    out.insert("collection_purpose_stated", is(&|c| said(&c.purpose)));
    let minimal = is(&|c| !c.items.is_empty() && c.items.iter().all(|i| params.collection_items.contains(i)));
    out.insert("collection_items_minimal", minimal);
    out.insert("collection_retention_stated", is(&|c| c.retention_hours > 0));
    out.insert("collection_approver_named", is(&|c| said(&c.approver)));
    out.insert("collection_review_ahead", is(&|c| review_ahead(c, as_of)));
}
