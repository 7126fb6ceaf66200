//! Every case of the table permits with all its conditions, and names exactly the one that is taken away.

use crate::common::*;
use suimon_policy::*;

/// The case table, read on its own: id, acts, conditions.
fn table() -> Vec<(String, Vec<Act>, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Table {
        cases: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        id: String,
        acts: Vec<Act>,
        conditions: Vec<String>,
    }
    let table: Table = toml::from_str(&builtin_jp_files()["cases.toml"]).unwrap();
    table.cases.into_iter().map(|c| (c.id, c.acts, c.conditions)).collect()
}

#[test]
fn each_case_permits_and_each_missing_condition_is_named_alone() {
    let engine = Engine::builtin().unwrap();
    let mut denials = 0;
    for (case, acts, conditions) in table() {
        for act in acts {
            let q = meets(&case, act);
            let decision = allowed(&engine, &q);
            assert_eq!(decision.cases(), [case.as_str()], "{act}");
            assert_eq!(decision.act(), act);
            assert_eq!(decision.pack().id, "jp");
            assert!(!decision.lapses().is_empty() && !decision.basis().is_empty() && !decision.policies().is_empty());
            for condition in &conditions {
                let mut q = q.clone();
                take_away(&mut q, condition);
                let denial = denied(&engine, &q);
                let nearest = denial.missing.first().unwrap();
                assert_eq!(nearest.case, case, "nearest without {condition}");
                let missing: Vec<&str> = nearest.conditions.iter().map(|c| c.id.as_str()).collect();
                assert_eq!(missing, [condition.as_str()]);
                assert!(denial.missing.is_sorted_by_key(|m| m.conditions.len()));
                denials += 1;
            }
        }
    }
    assert!(denials > 150, "only {denials} denials were tried");
}

#[test]
fn without_facts_every_act_is_denied() {
    let engine = Engine::builtin().unwrap();
    for act in Act::ALL {
        let mut q = question(act);
        q.facts = Facts::default();
        denied(&engine, &q);
        q.facts.end_stated = true;
        let denial = denied(&engine, &q);
        assert!(denial.policies.is_empty(), "nothing forbids, nothing permits");
        let expected = match act {
            Act::Suspend | Act::Disclose => Route::Counsel,
            Act::Notify | Act::DnsFilter => Route::None,
            _ => Route::AskCustomer,
        };
        assert_eq!(denial.route, expected, "{act}");
        assert_eq!(denial.offer.is_some(), expected != Route::None);
    }
}

#[test]
fn without_own_impact_the_customer_is_asked() {
    let engine = Engine::builtin().unwrap();
    let mut q = question(Act::Acl);
    let denial = denied(&engine, &q);
    assert_eq!(denial.route, Route::AskCustomer);
    assert!(denial.offer.unwrap().ja.contains("調査して遮断してほしい"));
    q.facts.plant = Some(PlantFacts { evidence: Vec::new(), ..plant() });
    assert_eq!(denied(&engine, &q).route, Route::None, "with own impact the evidence is what is missing");
}

#[test]
fn malice_unknown_needs_the_stricter_test() {
    let engine = Engine::builtin().unwrap();
    let mut q = meets("JP-03a", Act::Flowspec);
    q.facts.attack.as_mut().unwrap().malice_evidence.clear();
    assert_eq!(denied(&engine, &q).missing[0].case, "JP-03a");
    let third = q.facts.third_party.as_mut().unwrap();
    third.no_other_means = "rate limit tried".to_owned();
    third.harm_balance = "little lost against an outage".to_owned();
    assert_eq!(allowed(&engine, &q).basis(), [Basis::Necessity]);
}

#[test]
fn emergency_bases_lapse_with_the_attack_unless_another_takes_over() {
    let engine = Engine::builtin().unwrap();
    for case in ["JP-03a", "JP-03b"] {
        let mut q = meets(case, Act::Acl);
        q.stage = Stage::Reissue;
        assert!(allowed(&engine, &q).lapses().contains(&Lapse::AttackEnds));
        q.facts.attack.as_mut().unwrap().under_way = false;
        assert_eq!(denied(&engine, &q).missing[0].conditions[0].id, "attack_under_way");
        q.facts.request = Some(request());
        assert_eq!(allowed(&engine, &q).cases(), ["JP-01"]);
    }
}

#[test]
fn prohibitions_win_over_every_case() {
    let engine = Engine::builtin().unwrap();
    type Change = fn(&mut Question);
    let changes: [(&str, Route, Change); 9] = [
        ("forbid-no-end", Route::None, |q| q.facts.end_stated = false),
        ("forbid-same-approver", Route::None, |q| q.approver = None),
        ("forbid-same-approver", Route::None, |q| q.approver = Some(" Operator-1".to_owned())),
        ("forbid-payload", Route::Counsel, |q| {
            q.facts.reading = Some(ReadingFacts { rung: Rung::Payload, tried: None, why_not_lower: "x".to_owned() });
        }),
        ("forbid-payload", Route::Counsel, |q| {
            q.facts.collection = Some(CollectionFacts { items: vec![FlowItem::Payload], ..collection() });
        }),
        ("forbid-public-body-content", Route::Counsel, |q| {
            q.facts.public_body =
                Some(PublicBodyFacts { name: "a public body".to_owned(), wants_content_blocked: true });
        }),
        ("forbid-disproportionate", Route::None, |q| {
            q.facts.narrower_alternative = Some(NarrowerAlternative {
                description: "limit to UDP port 123".to_owned(),
                sufficient: true,
                reason_not_chosen: String::new(),
            });
        }),
        ("forbid-rung-skipped", Route::None, |q| {
            q.facts.reading =
                Some(ReadingFacts { rung: Rung::Headers, tried: Some(Rung::Aggregate), why_not_lower: String::new() });
        }),
        ("forbid-unnamed-proposer", Route::None, |q| q.proposer = String::new()),
    ];
    for (policy, route, change) in changes {
        let mut q = meets("JP-02", Act::Acl);
        change(&mut q);
        let denial = denied(&engine, &q);
        assert_eq!(denial.policies, [policy]);
        assert_eq!(denial.prohibitions.len(), 1);
        assert_eq!(denial.route, route, "{policy}");
        if policy == "forbid-disproportionate" {
            assert_eq!(denial.least_intrusive.as_deref(), Some("limit to UDP port 123"));
        }
    }
}

#[test]
fn proposing_needs_no_approver_and_reasons_answer_prohibitions() {
    let engine = Engine::builtin().unwrap();
    let mut q = meets("JP-01", Act::Rtbh);
    (q.stage, q.approver) = (Stage::Propose, None);
    q.facts.narrower_alternative = Some(NarrowerAlternative {
        description: "access list".to_owned(),
        sufficient: true,
        reason_not_chosen: "the uplink itself is full".to_owned(),
    });
    q.facts.reading = Some(ReadingFacts {
        rung: Rung::Headers,
        tried: None,
        why_not_lower: "flows lack the flags that tell the vectors apart".to_owned(),
    });
    allowed(&engine, &q);
    q.stage = Stage::Apply;
    assert_eq!(denied(&engine, &q).policies, ["forbid-same-approver"]);
}

#[test]
fn a_request_by_portal_needs_no_call_back_but_a_failed_one_counts() {
    let engine = Engine::builtin().unwrap();
    let mut q = meets("JP-01", Act::Acl);
    let r = q.facts.request.as_mut().unwrap();
    (r.channel, r.callback) = (Channel::Portal, Callback::NotDone);
    allowed(&engine, &q);
    q.facts.request.as_mut().unwrap().callback = Callback::Failed;
    assert_eq!(denied(&engine, &q).missing[0].conditions[0].id, "request_called_back");
}

#[test]
fn a_collection_lapses_at_its_review() {
    let engine = Engine::builtin().unwrap();
    let mut q = meets("JP-23", Act::CollectFlows);
    let review = q.facts.collection.as_ref().unwrap().review_at.unwrap();
    assert_eq!(allowed(&engine, &q).lapses(), [Lapse::ReviewDate(review)]);
    q.stage = Stage::Reissue;
    q.facts.as_of = Some(review.plus_ms(-1));
    allowed(&engine, &q);
    q.facts.as_of = Some(review);
    denied(&engine, &q);
}

#[test]
fn terms_cover_only_what_the_pack_has_a_pattern_for() {
    let engine = Engine::builtin().unwrap();
    let mut q = question(Act::Suspend);
    q.facts.terms = Some(terms());
    let denial = denied(&engine, &q);
    assert!(denial.missing.is_empty());
    assert_eq!(denial.route, Route::Counsel);
}
