//! What may be asked about: acts, how they touch the secrecy of communications, and the bases that can justify them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A thing that Suimon may do to a network or to what is known about its users (catalogue rows 8-10, 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Read and keep flow records.
    CollectFlows,
    /// Limit the rate of some traffic.
    Police,
    /// Drop traffic by an access list.
    Acl,
    /// Drop all traffic to a destination on one's own routers.
    NullRoute,
    /// Have all traffic to a destination dropped by announcing it with a blackhole community (RFC 7999).
    Rtbh,
    /// Drop or limit traffic by announced flow specifications (RFC 8955, RFC 8956).
    Flowspec,
    /// Answer some names otherwise than their owners do.
    DnsFilter,
    /// Find out whom some traffic belongs to, and warn them.
    Notify,
    /// Suspend a subscriber's line or account.
    Suspend,
    /// Tell somebody outside what is known of a communication.
    Disclose,
}

impl Act {
    /// Every act, in the order of the type.
    pub const ALL: [Act; 10] = [
        Act::CollectFlows,
        Act::Police,
        Act::Acl,
        Act::NullRoute,
        Act::Rtbh,
        Act::Flowspec,
        Act::DnsFilter,
        Act::Notify,
        Act::Suspend,
        Act::Disclose,
    ];

    /// What the plain request "please investigate and block" covers (catalogue row 125): reading flows and every means
    /// of dropping or limiting traffic. Names and lines are not among them.
    pub const INVESTIGATE_AND_BLOCK: [Act; 6] =
        [Act::CollectFlows, Act::Police, Act::Acl, Act::NullRoute, Act::Rtbh, Act::Flowspec];

    /// The name used in packs, in JSON and in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Act::CollectFlows => "collect-flows",
            Act::Police => "police",
            Act::Acl => "acl",
            Act::NullRoute => "null-route",
            Act::Rtbh => "rtbh",
            Act::Flowspec => "flowspec",
            Act::DnsFilter => "dns-filter",
            Act::Notify => "notify",
            Act::Suspend => "suspend",
            Act::Disclose => "disclose",
        }
    }

    /// The name for Japanese readers.
    pub const fn name_ja(self) -> &'static str {
        match self {
            Act::CollectFlows => "フロー情報の収集",
            Act::Police => "帯域の制限",
            Act::Acl => "アクセスリストによる遮断",
            Act::NullRoute => "ヌルルートによる遮断",
            Act::Rtbh => "RTBHによる遮断",
            Act::Flowspec => "Flowspecによる遮断・制限",
            Act::DnsFilter => "DNSフィルタリング",
            Act::Notify => "特定と注意喚起",
            Act::Suspend => "利用の停止",
            Act::Disclose => "外部への開示",
        }
    }

    /// The name for English readers.
    pub const fn name_en(self) -> &'static str {
        match self {
            Act::CollectFlows => "collecting flow records",
            Act::Police => "limiting a rate",
            Act::Acl => "dropping by access list",
            Act::NullRoute => "dropping by null route",
            Act::Rtbh => "dropping by RTBH",
            Act::Flowspec => "dropping or limiting by Flowspec",
            Act::DnsFilter => "filtering names",
            Act::Notify => "identifying and warning",
            Act::Suspend => "suspending a service",
            Act::Disclose => "disclosing to outsiders",
        }
    }

    /// How the act touches the secrecy of communications: reading is acquisition (知得); dropping, limiting, suspending
    /// and warning on the strength of traffic facts is use (窃用); telling others is disclosure (漏えい).
    pub const fn infringement(self) -> Infringement {
        match self {
            Act::CollectFlows => Infringement::Acquire,
            Act::Disclose => Infringement::Disclose,
            Act::Police
            | Act::Acl
            | Act::NullRoute
            | Act::Rtbh
            | Act::Flowspec
            | Act::DnsFilter
            | Act::Notify
            | Act::Suspend => Infringement::Use,
        }
    }

    /// True for acts that are over as soon as they are done, and so need no end condition.
    pub const fn is_momentary(self) -> bool {
        matches!(self, Act::Notify | Act::Disclose)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The three ways to infringe the secrecy of communications, or none (catalogue rows 8-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Infringement {
    /// 知得: actively coming to know.
    Acquire,
    /// 窃用: using for one's own or another's benefit.
    Use,
    /// 漏えい: putting into a state in which others can know.
    Disclose,
    /// Ordinary forwarding, configuration and public facts.
    None,
}

/// Where in its life a measure is when the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Somebody proposes it; no approver is needed yet.
    Propose,
    /// A second person approves it.
    Approve,
    /// It is about to take effect.
    Apply,
    /// It is in force already and the decision is made anew, at start-up or because facts changed.
    Reissue,
}

/// Whose consent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consent {
    /// Given for this act by the party itself.
    Individual,
    /// Given in advance by terms of service (包括同意).
    Terms,
}

/// What can make an infringing act lawful (lawful basis). Written as `consent-individual`, `consent-terms`,
/// `legitimate-business`, `self-defence`, `necessity`, `law`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Basis {
    /// 同意: a party to the communication consents.
    Consent(Consent),
    /// 正当業務行為: purpose, necessity and reasonable means (catalogue row 15).
    LegitimateBusiness,
    /// 正当防衛: against an unlawful attack under way, malice evidenced (catalogue row 16).
    SelfDefence,
    /// 緊急避難: a present danger, no other means, harm not above the harm averted (catalogue row 17).
    Necessity,
    /// 法令: a statute, warrant or order requires or permits it.
    Law,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Basis; 6] = [
        Basis::Consent(Consent::Individual),
        Basis::Consent(Consent::Terms),
        Basis::LegitimateBusiness,
        Basis::SelfDefence,
        Basis::Necessity,
        Basis::Law,
    ];

    /// The name used in packs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Basis::Consent(Consent::Individual) => "consent-individual",
            Basis::Consent(Consent::Terms) => "consent-terms",
            Basis::LegitimateBusiness => "legitimate-business",
            Basis::SelfDefence => "self-defence",
            Basis::Necessity => "necessity",
            Basis::Law => "law",
        }
    }

    /// The Japanese legal term.
    pub const fn name_ja(self) -> &'static str {
        match self {
            Basis::Consent(Consent::Individual) => "個別の同意",
            Basis::Consent(Consent::Terms) => "約款による包括同意",
            Basis::LegitimateBusiness => "正当業務行為",
            Basis::SelfDefence => "正当防衛",
            Basis::Necessity => "緊急避難",
            Basis::Law => "法令",
        }
    }

    /// The English term.
    pub const fn name_en(self) -> &'static str {
        match self {
            Basis::Consent(Consent::Individual) => "individual consent",
            Basis::Consent(Consent::Terms) => "consent by terms of service",
            Basis::LegitimateBusiness => "legitimate business",
            Basis::SelfDefence => "self-defence",
            Basis::Necessity => "necessity",
            Basis::Law => "law",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Basis> for String {
    fn from(basis: Basis) -> String {
        basis.name().to_owned()
    }
}

impl TryFrom<String> for Basis {
    type Error = String;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        Basis::ALL.into_iter().find(|b| b.name() == name).ok_or_else(|| format!("unknown basis `{name}`"))
    }
}
