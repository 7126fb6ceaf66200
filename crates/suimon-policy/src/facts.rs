//! The question: what is to be done, by whom, and what is known. Plain data; absent facts count against the act.

use crate::act::{Act, Stage};
use serde::{Deserialize, Serialize};
use suimon_base::Timestamp;

/// "May this be done?"
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// When the event took place; the pack in force at that time answers.
    pub at: Timestamp,
    /// What is to be done.
    pub act: Act,
    /// Where in its life the measure is.
    pub stage: Stage,
    /// Who proposed it.
    pub proposer: String,
    /// Who approved it; needed from [`Stage::Approve`] on.
    #[serde(default)]
    pub approver: Option<String>,
    /// What is known.
    #[serde(default)]
    pub facts: Facts,
}

/// What is known about the act. Everything is optional, and what is not given counts as not so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// When the facts were looked at, where that is not the time of the event: set it to now for [`Stage::Reissue`].
    /// Dates (review, terms) are compared with it.
    pub as_of: Option<Timestamp>,
    /// A customer's request.
    pub request: Option<RequestFacts>,
    /// The state of the operator's own plant.
    pub plant: Option<PlantFacts>,
    /// Another party whom the act protects.
    pub third_party: Option<ThirdPartyFacts>,
    /// A clause of the terms of service.
    pub terms: Option<ConsentFacts>,
    /// A standing collection of flow records.
    pub collection: Option<CollectionFacts>,
    /// The attack.
    pub attack: Option<AttackFacts>,
    /// How deep a reading goes.
    pub reading: Option<ReadingFacts>,
    /// A public body that wants the act.
    pub public_body: Option<PublicBodyFacts>,
    /// A milder means that is known.
    pub narrower_alternative: Option<NarrowerAlternative>,
    /// The measure has an end condition.
    pub end_stated: bool,
    /// Every destination lies within what the customer holds.
    pub scope_within_holdings: bool,
}

/// A customer's request (catalogue rows 45, 125).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestFacts {
    /// Who asked.
    pub requester: String,
    /// The requester was recognised as a registered contact.
    pub identified: bool,
    /// What the requester may do.
    pub authority: Authority,
    /// That authority covers the destination.
    pub authority_covers_target: bool,
    /// How the request came.
    pub channel: Channel,
    /// The call-back that telephone and mail need.
    pub callback: Callback,
    /// The words, unaltered.
    pub words: String,
    /// What was asked for; [`Act::INVESTIGATE_AND_BLOCK`] for the plain request.
    pub covers: Vec<Act>,
    /// The requester has taken it back.
    pub withdrawn: bool,
}

/// What a contact may do for a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// Nothing, or not known.
    #[default]
    None,
    /// Ask for an act.
    Ask,
    /// Order an act.
    Order,
    /// Have an act lifted.
    Lift,
    /// Receive what is known.
    Disclose,
}

/// How a request came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// By telephone; needs a call-back.
    #[default]
    Telephone,
    /// By mail; needs a call-back.
    Mail,
    /// Through the portal, signed in.
    Portal,
    /// In person.
    InPerson,
    /// A signed standing order ("leave it to the provider") given before.
    StandingOrder,
}

/// The result of calling back on the registered number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Callback {
    /// Nobody called back.
    #[default]
    NotDone,
    /// The request was confirmed.
    Confirmed,
    /// It was not confirmed.
    Failed,
}

/// The operator's own plant (catalogue rows 20, 44).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlantFacts {
    /// Whether it is impaired.
    pub state: PlantState,
    /// Measurements that show it.
    pub evidence: Vec<String>,
    /// Why the act is needed (必要性).
    pub necessity: String,
    /// The scope is the least that helps (手段の相当性).
    pub minimum_scope: bool,
    /// The measure ends when the impairment does.
    pub ends_with_impairment: bool,
}

/// Whether the operator's plant is impaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlantState {
    /// Not impaired, or not known.
    #[default]
    Unimpaired,
    /// About to be.
    Imminent,
    /// Impaired.
    Impaired,
    /// It was, and no longer is.
    Over,
}

/// Another party whom the act protects, and the tests of the emergency bases (catalogue rows 16-18, 21).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThirdPartyFacts {
    /// What kind of party.
    pub kind: ProtectedParty,
    /// Who.
    pub name: String,
    /// Why the act is unavoidable and not excessive, for self-defence (やむを得ずにした行為).
    pub proportionate: String,
    /// Which other means were considered and why none is left, for necessity (補充性).
    pub no_other_means: String,
    /// Why the harm caused does not exceed the harm averted, for necessity (法益権衡).
    pub harm_balance: String,
    /// The measure ends when the attack does.
    pub ends_with_attack: bool,
}

/// Whom an act protects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtectedParty {
    /// Not stated.
    #[default]
    Unknown,
    /// The operator itself.
    Operator,
    /// A subscriber.
    Subscriber,
    /// Somebody outside.
    Outsider,
}

/// A clause of the terms of service and the four conditions of consent by terms, each with its record; an empty record
/// counts as not met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentFacts {
    /// The document.
    pub document: String,
    /// The article or clause.
    pub clause: String,
    /// Its version.
    pub version: String,
    /// From when it has effect.
    pub effective: Option<Timestamp>,
    /// 正当性: criteria of the list and why it is needed.
    pub legitimacy: String,
    /// いつでも変更可: when and how it was tested that consent can be changed at any time.
    pub changeable_any_time: String,
    /// 同一条件: who confirmed that nothing else differs.
    pub same_conditions: String,
    /// 相応の周知: channels, dates and reach.
    pub publicised: Vec<String>,
    /// The line has opted out; `None` where nobody looked.
    pub opted_out: Option<bool>,
}

/// A standing collection of flow records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionFacts {
    /// What for.
    pub purpose: String,
    /// What is kept.
    pub items: Vec<FlowItem>,
    /// For how long, in hours; 0 is "not stated".
    pub retention_hours: u32,
    /// Who approved it.
    pub approver: String,
    /// When it is reviewed; the basis lapses then.
    pub review_at: Option<Timestamp>,
}

/// What can be kept about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowItem {
    /// Source and destination addresses.
    Addresses,
    /// Source and destination ports.
    Ports,
    /// The protocol number.
    Protocol,
    /// TCP flags.
    TcpFlags,
    /// Octets and packets.
    Counters,
    /// Start and end.
    Times,
    /// Interfaces and exporter.
    Interfaces,
    /// AS numbers.
    AsNumbers,
    /// The sampling behind the counters.
    Sampling,
    /// Names asked for or served.
    Names,
    /// Any part of the payload.
    Payload,
}

/// The attack (catalogue rows 18, 20).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttackFacts {
    /// It goes on.
    pub under_way: bool,
    /// It has an effect on somebody.
    pub effect: bool,
    /// What shows the effect.
    pub effect_evidence: Vec<String>,
    /// Whether the sender means harm.
    pub malice: Malice,
    /// What shows it.
    pub malice_evidence: Vec<String>,
}

/// Whether the sender means harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malice {
    /// Not known; the stricter test applies.
    #[default]
    Unknown,
    /// Yes.
    Yes,
    /// No.
    No,
}

/// How deep a reading goes (the ladder of intrusion).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingFacts {
    /// What is read.
    pub rung: Rung,
    /// The deepest rung that was read before without sufficing.
    #[serde(default)]
    pub tried: Option<Rung>,
    /// Why a lower rung does not suffice, where one is skipped.
    #[serde(default)]
    pub why_not_lower: String,
}

/// The ladder of intrusion, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// The customer's own log.
    CustomerLog,
    /// Totals.
    Aggregate,
    /// Flows of a host.
    PerHostFlows,
    /// Packet headers.
    Headers,
    /// Content.
    Payload,
}

/// A public body that wants the act (catalogue rows 4, 5).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublicBodyFacts {
    /// Which body.
    pub name: String,
    /// It wants something blocked because of its content.
    pub wants_content_blocked: bool,
}

/// A means milder than the one proposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NarrowerAlternative {
    /// What it is.
    pub description: String,
    /// It would suffice.
    pub sufficient: bool,
    /// Why it was not chosen all the same.
    pub reason_not_chosen: String,
}
