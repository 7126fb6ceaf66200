//! What is put to the policy engine: gathered from the record and the register, never from the proposer's wish alone.

use crate::command::Claims;
use crate::engine::Engine;
use crate::measures::Ground;
use crate::register::TermsConsent;
use ipnet::IpNet;
use suimon_base::calendar::{japan, parse_date};
use suimon_base::event::{Alternative, Plan, RequestWords};
use suimon_base::party::ContactChannel;
use suimon_base::state::Measure;
use suimon_base::{Actor, End, Timestamp};
use suimon_policy::{
    Act, AttackFacts, Authority, Callback, Channel, CollectionFacts, ConsentFacts, Facts, Malice, NarrowerAlternative,
    PlantFacts, PlantState, ProtectedParty, Question, RequestFacts, Stage, ThirdPartyFacts,
};

/// From this share of the attack on, a means is enough.
const SUFFICIENT: f64 = 0.99;
/// A means is milder when it costs legitimate traffic at least this much less.
const MILDER_BY: f64 = 0.01;

impl Engine {
    pub(crate) fn question(
        &self,
        act: Act,
        stage: Stage,
        proposer: &Actor,
        approver: Option<&Actor>,
        facts: Facts,
    ) -> Question {
        let approver = match (&facts.collection, approver) {
            (Some(c), None) => Some(c.approver.clone()),
            (_, approver) => approver.map(ToString::to_string),
        };
        Question { at: self.clock.now(), act, stage, proposer: proposer.to_string(), approver, facts }
    }

    /// The facts of a measure as they are now.
    pub(crate) fn facts(
        &self,
        ground: &Ground,
        plan: Option<&Plan>,
        end: Option<&End>,
        claims: &Claims,
        on_record: Option<&Measure>,
    ) -> Facts {
        let holdings = ground.customer.as_ref().map_or(&[][..], |c| c.prefixes.as_slice());
        let targets = plan.map_or(&[][..], |p| p.targets.as_slice());
        let request_id = on_record.map_or(ground.request, |m| m.draft.request);
        let request = request_id.and_then(|id| {
            self.look(|s| s.requests.get(&id).map(|r| request_facts(&r.request, targets, r.withdrawn.is_some())))
        });
        Facts {
            as_of: Some(self.clock.now()),
            request,
            plant: claims.plant_impaired.as_ref().map(|evidence| PlantFacts {
                state: PlantState::Impaired,
                evidence: vec![evidence.clone()],
                necessity: claims.alternatives_tried.clone().unwrap_or_default(),
                minimum_scope: plan.is_some_and(proved),
                ends_with_impairment: matches!(end, Some(End::Quiet { .. } | End::Duration { .. })),
            }),
            third_party: claims.protects.as_ref().map(|name| ThirdPartyFacts {
                kind: if ground.customer.is_some() { ProtectedParty::Subscriber } else { ProtectedParty::Outsider },
                name: name.clone(),
                proportionate: claims.harm_balance.clone().unwrap_or_default(),
                no_other_means: claims.alternatives_tried.clone().unwrap_or_default(),
                harm_balance: claims.harm_balance.clone().unwrap_or_default(),
                ends_with_attack: matches!(end, Some(End::Quiet { .. })),
            }),
            terms: ground.customer.as_ref().and_then(|c| c.consent.as_ref()).map(consent_facts),
            collection: None,
            attack: ground.attack.as_ref().map(|(_, attack)| AttackFacts {
                under_way: attack.ended.is_none(),
                effect: attack.evidence.fired.iter().any(|f| f.value >= f.threshold),
                effect_evidence: vec![attack.evidence.words_en.clone()],
                malice: match &claims.malice {
                    None => Malice::Unknown,
                    Some(m) if m.malicious => Malice::Yes,
                    Some(_) => Malice::No,
                },
                malice_evidence: claims.malice.iter().map(|m| m.evidence.clone()).collect(),
            }),
            reading: None,
            public_body: None,
            narrower_alternative: plan.and_then(|p| narrower(p, claims)),
            end_stated: end.is_some_and(|e| e.check().is_ok()),
            scope_within_holdings: within(targets, holdings),
        }
    }

    pub(crate) fn collection_facts(&self) -> Facts {
        let collection = self.register.collection.as_ref().map(|t| CollectionFacts {
            purpose: t.purpose.clone(),
            items: t.items.clone(),
            retention_hours: t.retention_hours,
            approver: t.approver.clone(),
            review_at: day_after(&t.review),
        });
        Facts { as_of: Some(self.clock.now()), end_stated: collection.is_some(), collection, ..Facts::default() }
    }
}

fn request_facts(r: &RequestWords, targets: &[IpNet], withdrawn: bool) -> RequestFacts {
    RequestFacts {
        requester: format!("{} / {} / {}", r.requester.company, r.requester.contact, r.requester.service),
        identified: r.authority.is_some(),
        authority: match r.authority {
            Some(suimon_base::Authority::Order) => Authority::Order,
            Some(suimon_base::Authority::Ask) => Authority::Ask,
            Some(suimon_base::Authority::Lift) => Authority::Lift,
            Some(suimon_base::Authority::Disclose) => Authority::Disclose,
            None => Authority::None,
        },
        authority_covers_target: r.authority.is_some() && within(targets, &r.scope),
        channel: match r.channel {
            ContactChannel::Telephone => Channel::Telephone,
            ContactChannel::Mail => Channel::Mail,
            ContactChannel::Portal => Channel::Portal,
        },
        callback: match &r.callback {
            None => Callback::NotDone,
            Some(c) if c.confirmed => Callback::Confirmed,
            Some(_) => Callback::Failed,
        },
        words: r.words.clone(),
        covers: match (r.asks_blocking, r.asks_investigation) {
            (true, _) => Act::INVESTIGATE_AND_BLOCK.to_vec(),
            (false, true) => vec![Act::CollectFlows],
            (false, false) => Vec::new(),
        },
        withdrawn,
    }
}

fn consent_facts(c: &TermsConsent) -> ConsentFacts {
    ConsentFacts {
        document: c.clause.clone(),
        clause: c.clause.clone(),
        version: c.version.clone(),
        effective: midnight(&c.effective),
        legitimacy: c.legitimacy.clone(),
        changeable_any_time: c.change_any_time.clone(),
        same_conditions: c.same_terms.clone(),
        publicised: if c.notice.is_empty() { Vec::new() } else { vec![c.notice.clone()] },
        opted_out: Some(c.opted_out),
    }
}

/// A known means that stops as much of the attack and costs legitimate traffic less than the chosen one.
fn narrower(plan: &Plan, claims: &Claims) -> Option<NarrowerAlternative> {
    let cost = |a: &Alternative| a.legitimate_dropped.unwrap_or(0.0).max(a.connections_dropped.unwrap_or(0.0));
    let chosen = plan.alternatives.get(plan.chosen?)?;
    let milder = plan
        .alternatives
        .iter()
        .find(|a| a.refused.is_none() && a.attack_dropped >= SUFFICIENT && cost(a) + MILDER_BY <= cost(chosen))?;
    Some(NarrowerAlternative {
        description: milder.words_en.clone(),
        sufficient: true,
        reason_not_chosen: claims.wider_because.clone().unwrap_or_default(),
    })
}

/// The proof found nothing missing and nothing extra.
fn proved(plan: &Plan) -> bool {
    plan.proof.get("equal").and_then(serde_json::Value::as_bool).unwrap_or(false)
}

/// Whether there are targets and each lies inside one of the prefixes.
pub(crate) fn within(targets: &[IpNet], prefixes: &[IpNet]) -> bool {
    !targets.is_empty() && targets.iter().all(|t| prefixes.iter().any(|p| p.contains(t)))
}

fn midnight(date: &str) -> Option<Timestamp> {
    let zoned = parse_date(date).ok()?.to_zoned(japan()).ok()?;
    Some(Timestamp::from_jiff(zoned.timestamp()))
}

pub(crate) fn day_after(date: &str) -> Option<Timestamp> {
    let zoned = parse_date(date).ok()?.tomorrow().ok()?.to_zoned(japan()).ok()?;
    Some(Timestamp::from_jiff(zoned.timestamp()))
}
