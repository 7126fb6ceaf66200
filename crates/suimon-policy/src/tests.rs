//! Policies and case table over random facts and findings: they must say the same, and so must `decide()`.

use crate::*;
use crate::{act::Act, findings};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::OnceLock;

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::builtin().unwrap())
}

/// What the case table alone says, worked out the plain way.
fn table_permits(pack: &Pack, act: Act, found: &BTreeMap<&str, bool>) -> bool {
    let met = pack.table.cases.iter().any(|c| c.acts.contains(&act) && c.conditions.iter().all(|n| found[n.as_str()]));
    let forbidden = pack
        .table
        .prohibitions
        .iter()
        .any(|p| p.holds.iter().all(|n| found[n.as_str()]) && p.fails.iter().all(|n| !found[n.as_str()]));
    met && !forbidden
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just("as recorded".to_owned()), 1 => Just(String::new()), 1 => Just(" ".to_owned())]
}

/// True most of the time, so that whole cases are met often enough to matter.
fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.85)
}

fn acts() -> impl Strategy<Value = Act> {
    prop::sample::select(Act::ALL.to_vec())
}

fn request() -> impl Strategy<Value = RequestFacts> {
    let authority = prop_oneof![4 => Just(Authority::Ask), 4 => Just(Authority::Order), 1 => Just(Authority::Lift)];
    let channel =
        prop::sample::select(vec![Channel::Telephone, Channel::Mail, Channel::Portal, Channel::StandingOrder]);
    let callback =
        prop_oneof![6 => Just(Callback::Confirmed), 1 => Just(Callback::NotDone), 1 => Just(Callback::Failed)];
    let covers = prop_oneof![5 => Just(Act::ALL.to_vec()), 1 => prop::collection::vec(acts(), 0..3)];
    (text(), mostly(), authority, mostly(), channel, callback, text(), covers, mostly()).prop_map(
        |(requester, identified, authority, authority_covers_target, channel, callback, words, covers, stands)| {
            RequestFacts {
                requester,
                identified,
                authority,
                authority_covers_target,
                channel,
                callback,
                words,
                covers,
                withdrawn: !stands,
            }
        },
    )
}

fn plant() -> impl Strategy<Value = PlantFacts> {
    let state = prop_oneof![
        3 => Just(PlantState::Impaired), 2 => Just(PlantState::Imminent), 1 => Just(PlantState::Over),
        1 => Just(PlantState::Unimpaired)
    ];
    (state, prop::collection::vec(text(), 0..3), text(), mostly(), mostly()).prop_map(
        |(state, evidence, necessity, minimum_scope, ends_with_impairment)| PlantFacts {
            state,
            evidence,
            necessity,
            minimum_scope,
            ends_with_impairment,
        },
    )
}

fn emergency() -> impl Strategy<Value = (AttackFacts, ThirdPartyFacts)> {
    let malice = prop::sample::select(vec![Malice::Yes, Malice::No, Malice::Unknown]);
    let evidence = || prop::collection::vec(text(), 0..3);
    let attack = (mostly(), mostly(), evidence(), malice, evidence()).prop_map(|(under_way, effect, e, malice, m)| {
        AttackFacts { under_way, effect, effect_evidence: e, malice, malice_evidence: m }
    });
    let kind = prop_oneof![4 => Just(ProtectedParty::Subscriber), 1 => Just(ProtectedParty::Unknown)];
    let third = (kind, text(), text(), text(), text(), mostly()).prop_map(
        |(kind, name, proportionate, no_other_means, harm_balance, ends_with_attack)| ThirdPartyFacts {
            kind,
            name,
            proportionate,
            no_other_means,
            harm_balance,
            ends_with_attack,
        },
    );
    (attack, third)
}

const AT_MS: i64 = 1_775_000_000_000;

fn near() -> impl Strategy<Value = Option<suimon_base::Timestamp>> {
    prop::option::weighted(0.9, (-3_i64..=9).prop_map(|h| suimon_base::Timestamp::from_millis(AT_MS + h * 3_600_000)))
}

fn terms() -> impl Strategy<Value = ConsentFacts> {
    let effective = near().prop_map(|t| t.map(|t| t.plus_ms(-6 * 3_600_000)));
    let opted = prop_oneof![6 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)];
    let publicised = prop::collection::vec(text(), 0..3);
    (text(), text(), text(), effective, text(), text(), text(), publicised, opted).prop_map(
        |(document, clause, version, effective, legitimacy, changeable, same, publicised, opted_out)| ConsentFacts {
            document,
            clause,
            version,
            effective,
            legitimacy,
            changeable_any_time: changeable,
            same_conditions: same,
            publicised,
            opted_out,
        },
    )
}

fn collection() -> impl Strategy<Value = CollectionFacts> {
    let item = prop_oneof![
        9 => Just(FlowItem::Addresses), 9 => Just(FlowItem::Ports), 1 => Just(FlowItem::Names),
        1 => Just(FlowItem::Payload)
    ];
    (text(), prop::collection::vec(item, 0..4), 0_u32..9, text(), near()).prop_map(
        |(purpose, items, retention_hours, approver, review_at)| CollectionFacts {
            purpose,
            items,
            retention_hours,
            approver,
            review_at,
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let some = |p| prop::bool::weighted(p);
    let rung = prop::sample::select(vec![Rung::CustomerLog, Rung::PerHostFlows, Rung::Headers, Rung::Payload]);
    let reading = (rung, prop::option::of(Just(Rung::Aggregate)), text());
    let reading = reading.prop_map(|(rung, tried, why_not_lower)| ReadingFacts { rung, tried, why_not_lower });
    let narrower = (text(), some(0.5), text());
    let narrower = narrower.prop_map(|(description, sufficient, reason_not_chosen)| NarrowerAlternative {
        description,
        sufficient,
        reason_not_chosen,
    });
    let bodies = (
        prop::option::of(request()),
        prop::option::of(plant()),
        prop::option::of(emergency()),
        prop::option::of(terms()),
        prop::option::of(collection()),
        prop::option::weighted(0.1, reading),
        prop::option::weighted(0.1, narrower),
    );
    (bodies, some(0.03), mostly(), mostly()).prop_map(
        |((request, plant, emergency, terms, collection, reading, narrower), public, end_stated, own)| {
            let (attack, third_party) = emergency.unzip();
            let body = PublicBodyFacts { name: "a public body".to_owned(), wants_content_blocked: true };
            Facts {
                as_of: None,
                request,
                plant,
                third_party,
                terms,
                collection,
                attack,
                reading,
                public_body: public.then_some(body),
                narrower_alternative: narrower,
                end_stated,
                scope_within_holdings: own,
            }
        },
    )
}

fn question() -> impl Strategy<Value = Question> {
    let stage = prop::sample::select(vec![Stage::Propose, Stage::Approve, Stage::Apply, Stage::Reissue]);
    let person = || prop_oneof![8 => Just("a".to_owned()), 8 => Just("b".to_owned()), 1 => Just(String::new())];
    (acts(), stage, person(), prop::option::weighted(0.9, person()), facts()).prop_map(
        |(act, stage, proposer, approver, facts)| Question {
            at: suimon_base::Timestamp::from_millis(AT_MS),
            act,
            stage,
            proposer,
            approver,
            facts,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any combination of findings at all, also such as no facts lead to.
    #[test]
    fn policies_and_table_agree_on_random_findings(
        act in acts(),
        bits in prop::collection::vec(prop::bool::weighted(0.9), findings::names().len()),
        quiet in prop::bool::weighted(0.8),
    ) {
        let pack = &engine().packs().all()[0];
        let mut found: BTreeMap<&str, bool> = findings::names().into_iter().zip(bits).collect();
        if quiet {
            for name in pack.table.prohibitions.iter().flat_map(|p| &p.holds) {
                found.insert(name, false);
            }
        }
        let answer = pack.rules.ask(act, "somebody", &found).unwrap();
        prop_assert_eq!(answer.allowed, table_permits(pack, act, &found));
    }

    /// From facts to verdict: allowed exactly when Cedar allows and when the table permits; and the parts fit.
    #[test]
    fn decide_follows_both_on_random_facts(q in question()) {
        let pack = &engine().packs().all()[0];
        let found = findings::find(&q, &pack.params);
        let cedar = pack.rules.ask(q.act, "somebody", &found).unwrap();
        prop_assert_eq!(cedar.allowed, table_permits(pack, q.act, &found));
        match engine().decide(&q) {
            Verdict::Allowed(d) => {
                prop_assert!(cedar.allowed);
                prop_assert_eq!(d.policies().len(), cedar.policies.len());
                for ground in d.grounds() {
                    let row = pack.table.cases.iter().find(|c| c.id == ground.case).unwrap();
                    prop_assert!(row.conditions.iter().all(|n| found[n.as_str()]));
                    prop_assert_eq!(ground.lapses.len(), row.lapses.len());
                }
            }
            Verdict::Denied(d) => {
                prop_assert!(!cedar.allowed);
                prop_assert_eq!(d.policies.len(), d.prohibitions.len());
                let reason = !d.prohibitions.is_empty()
                    || d.missing.iter().all(|m| !m.conditions.is_empty());
                prop_assert!(reason, "a denial always has a reason");
                let text = serde_json::to_string(&d).unwrap();
                prop_assert_eq!(serde_json::from_str::<Denial>(&text).unwrap(), d);
            }
        }
    }
}

#[test]
fn random_facts_reach_both_verdicts_often() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = question();
    let mut allowed = 0;
    for _ in 0..1_000 {
        let q = strategy.new_tree(&mut runner).unwrap().current();
        allowed += usize::from(matches!(engine().decide(&q), Verdict::Allowed(_)));
    }
    assert!((50..950).contains(&allowed), "{allowed} of 1000 allowed: the generator is lopsided");
}
