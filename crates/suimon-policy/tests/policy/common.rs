//! Facts that meet each case of the Japanese pack, and how to take each condition away.

use suimon_policy::*;

/// A time at which the Japanese pack is in force.
pub fn at() -> suimon_base::Timestamp {
    "2026-04-01T09:00:00Z".parse().unwrap()
}

fn days_later(days: i64) -> suimon_base::Timestamp {
    at().plus_ms(days * 86_400_000)
}

/// A question whose every general condition is met, without any case.
pub fn question(act: Act) -> Question {
    Question {
        at: at(),
        act,
        stage: Stage::Approve,
        proposer: "operator-1".to_owned(),
        approver: Some("operator-2".to_owned()),
        facts: Facts { end_stated: true, scope_within_holdings: true, ..Facts::default() },
    }
}

pub fn request() -> RequestFacts {
    RequestFacts {
        requester: "network contact of the customer".to_owned(),
        identified: true,
        authority: Authority::Order,
        authority_covers_target: true,
        channel: Channel::Telephone,
        callback: Callback::Confirmed,
        words: "攻撃が来ていて困っているが、状況が確認できないので、調査して遮断してほしい".to_owned(),
        covers: Act::INVESTIGATE_AND_BLOCK.to_vec(),
        withdrawn: false,
    }
}

pub fn plant() -> PlantFacts {
    PlantFacts {
        state: PlantState::Impaired,
        evidence: vec!["link load 98 %".to_owned()],
        necessity: "the link drops packets of every customer behind it".to_owned(),
        minimum_scope: true,
        ends_with_impairment: true,
    }
}

pub fn attack(malice: bool) -> AttackFacts {
    AttackFacts {
        under_way: true,
        effect: true,
        effect_evidence: vec!["the site does not answer".to_owned()],
        malice: if malice { Malice::Yes } else { Malice::Unknown },
        malice_evidence: if malice { vec!["extortion mail".to_owned()] } else { Vec::new() },
    }
}

pub fn third_party(defence: bool) -> ThirdPartyFacts {
    let text = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
    ThirdPartyFacts {
        kind: ProtectedParty::Subscriber,
        name: "customer at 198.51.100.0/24".to_owned(),
        proportionate: text(defence, "drops only what the rule names"),
        no_other_means: text(!defence, "rate limit tried; did not help"),
        harm_balance: text(!defence, "0.1 % of legitimate packets lost against a full outage"),
        ends_with_attack: true,
    }
}

pub fn terms() -> ConsentFacts {
    ConsentFacts {
        document: "Internet access terms".to_owned(),
        clause: "article 37-2".to_owned(),
        version: "2025-04".to_owned(),
        effective: Some(days_later(-30)),
        legitimacy: "list criteria, version 3".to_owned(),
        changeable_any_time: "tested 2026-03-01".to_owned(),
        same_conditions: "confirmed by the legal department".to_owned(),
        publicised: vec!["mail 2025-03-01, all contractors".to_owned()],
        opted_out: Some(false),
    }
}

pub fn collection() -> CollectionFacts {
    CollectionFacts {
        purpose: "detect attacks on customers".to_owned(),
        items: vec![FlowItem::Addresses, FlowItem::Ports, FlowItem::Counters, FlowItem::Times],
        retention_hours: 72,
        approver: "head of operations".to_owned(),
        review_at: Some(days_later(90)),
    }
}

/// A question that exactly one case permits.
pub fn meets(case: &str, act: Act) -> Question {
    let mut q = question(act);
    let f = &mut q.facts;
    match case {
        "JP-01" => f.request = Some(request()),
        "JP-02" => f.plant = Some(plant()),
        "JP-03a" => (f.attack, f.third_party) = (Some(attack(true)), Some(third_party(true))),
        "JP-03b" => (f.attack, f.third_party) = (Some(attack(false)), Some(third_party(false))),
        "JP-16" | "JP-18" => f.terms = Some(terms()),
        "JP-23" => {
            f.collection = Some(collection());
            f.end_stated = false;
        }
        other => panic!("no facts for case {other}"),
    }
    q
}

/// Takes one condition away from facts that meet it.
pub fn take_away(q: &mut Question, condition: &str) {
    let f = &mut q.facts;
    match condition {
        "end_stated" => f.end_stated = false,
        "requester_identified" => f.request.as_mut().unwrap().identified = false,
        "requester_authorised" => f.request.as_mut().unwrap().authority = Authority::Lift,
        "request_called_back" => f.request.as_mut().unwrap().callback = Callback::NotDone,
        "request_words_kept" => f.request.as_mut().unwrap().words = "  ".to_owned(),
        "request_covers_act" => f.request.as_mut().unwrap().covers.clear(),
        "request_scope_own" => f.scope_within_holdings = false,
        "request_stands" => f.request.as_mut().unwrap().withdrawn = true,
        "plant_impaired" => f.plant.as_mut().unwrap().state = PlantState::Over,
        "plant_evidence_kept" => f.plant.as_mut().unwrap().evidence.clear(),
        "plant_necessity_stated" => f.plant.as_mut().unwrap().necessity.clear(),
        "plant_scope_minimum" => f.plant.as_mut().unwrap().minimum_scope = false,
        "plant_end_bound" => f.plant.as_mut().unwrap().ends_with_impairment = false,
        "attack_under_way" => f.attack.as_mut().unwrap().under_way = false,
        "attack_effect_evidenced" => f.attack.as_mut().unwrap().effect_evidence.clear(),
        "protected_party_named" => f.third_party.as_mut().unwrap().name.clear(),
        "malice_evidenced" => f.attack.as_mut().unwrap().malice = Malice::Unknown,
        "defence_proportionate" => f.third_party.as_mut().unwrap().proportionate.clear(),
        "no_other_means" => f.third_party.as_mut().unwrap().no_other_means.clear(),
        "harm_balanced" => f.third_party.as_mut().unwrap().harm_balance.clear(),
        "emergency_end_bound" => f.third_party.as_mut().unwrap().ends_with_attack = false,
        "terms_clause_recorded" => f.terms.as_mut().unwrap().version.clear(),
        "terms_in_effect" => f.terms.as_mut().unwrap().effective = Some(days_later(1)),
        "terms_legitimate" => f.terms.as_mut().unwrap().legitimacy.clear(),
        "terms_changeable_any_time" => f.terms.as_mut().unwrap().changeable_any_time.clear(),
        "terms_same_conditions" => f.terms.as_mut().unwrap().same_conditions.clear(),
        "terms_publicised" => f.terms.as_mut().unwrap().publicised.clear(),
        "line_not_opted_out" => f.terms.as_mut().unwrap().opted_out = Some(true),
        "collection_purpose_stated" => f.collection.as_mut().unwrap().purpose.clear(),
        "collection_items_minimal" => f.collection.as_mut().unwrap().items.push(FlowItem::Names),
        "collection_retention_stated" => f.collection.as_mut().unwrap().retention_hours = 0,
        "collection_approver_named" => f.collection.as_mut().unwrap().approver.clear(),
        "collection_review_ahead" => f.collection.as_mut().unwrap().review_at = Some(at()),
        other => panic!("no way to take `{other}` away"),
    }
}

pub fn allowed(engine: &Engine, q: &Question) -> Decision {
    match engine.decide(q) {
        Verdict::Allowed(decision) => decision,
        Verdict::Denied(denial) => panic!("denied: {} {:?}", denial.summary.en, denial.policies),
    }
}

pub fn denied(engine: &Engine, q: &Question) -> Denial {
    match engine.decide(q) {
        Verdict::Denied(denial) => denial,
        Verdict::Allowed(decision) => panic!("allowed: {}", decision.summary().en),
    }
}
