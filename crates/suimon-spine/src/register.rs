//! What the operator knows beforehand: customers, contacts, terms, and the terms of collection itself.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use suimon_base::Authority;
use suimon_policy::FlowItem;

/// A customer under contract (catalogue rows 2, 3, 103, 111, 112).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Customer {
    /// Short id, used in the ledger and on the command line.
    pub id: String,
    /// Name as in the contract.
    pub name: String,
    /// Service or line identifier.
    pub service: String,
    /// Best effort or dedicated line.
    #[serde(default)]
    pub class: ServiceClass,
    /// Addresses allocated to it.
    pub prefixes: Vec<IpNet>,
    /// People who may ask, order, lift.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Consent by terms, where the contract has it.
    #[serde(default)]
    pub consent: Option<TermsConsent>,
}

/// Whether others share the line's bottleneck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceClass {
    /// ベストエフォート: shared.
    #[default]
    BestEffort,
    /// 専用線: dedicated.
    Dedicated,
}

/// A registered contact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Contact {
    /// Id or role, unique within the customer.
    pub id: String,
    /// What it may do.
    pub authority: Vec<Authority>,
    /// Number for call-back, as registered.
    #[serde(default)]
    pub telephone: Option<String>,
    /// Mail address, as registered.
    #[serde(default)]
    pub mail: Option<String>,
}

impl Contact {
    /// The strongest authority for a request: order before ask.
    pub fn authority_to_request(&self) -> Option<Authority> {
        [Authority::Order, Authority::Ask].into_iter().find(|a| self.authority.contains(a))
    }
}

/// Consent by terms with its four conditions, each evidenced by a sentence (包括同意の四条件).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TermsConsent {
    /// Document and article.
    pub clause: String,
    /// Version of the document.
    pub version: String,
    /// When it took effect, `2026-04-01`.
    pub effective: String,
    /// Why an ordinary user would accept it (一定の正当性).
    pub legitimacy: String,
    /// How consent can be changed at any time (いつでも変更可).
    pub change_any_time: String,
    /// Evidence that other conditions stay the same either way (同一条件).
    pub same_terms: String,
    /// How it was made known (相応の周知).
    pub notice: String,
    /// Whether this line has opted out.
    #[serde(default)]
    pub opted_out: bool,
}

/// The standing measure under which flows are read (知得); without it no collector starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CollectionTerms {
    /// What for.
    pub purpose: String,
    /// Which facts of a flow.
    pub items: Vec<FlowItem>,
    /// How long anything made from a flow record may be kept, in hours.
    pub retention_hours: u32,
    /// Who answers for it.
    pub approver: String,
    /// When it is looked at again, `2027-03-31`; from the next day on the collector does not start.
    pub review: String,
}

/// All of the above.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Register {
    /// Customers.
    pub customers: Vec<Customer>,
    /// The operator's own prefixes, customers' included.
    pub networks: Vec<IpNet>,
    /// Terms of collection.
    pub collection: Option<CollectionTerms>,
}

impl Register {
    /// The customer with this id.
    pub fn customer(&self, id: &str) -> Option<&Customer> {
        self.customers.iter().find(|c| c.id == id)
    }

    /// Whose address this is: the customer with the longest prefix that holds it.
    pub fn customer_of(&self, addr: IpAddr) -> Option<&Customer> {
        let longest = |c: &Customer| c.prefixes.iter().filter(|p| p.contains(&addr)).map(|p| p.prefix_len()).max();
        self.customers.iter().filter_map(|c| longest(c).map(|len| (len, c))).max_by_key(|(len, _)| *len).map(|(_, c)| c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(id: &str, prefix: &str) -> Customer {
        Customer {
            id: id.to_owned(),
            name: id.to_owned(),
            service: "line".to_owned(),
            class: ServiceClass::BestEffort,
            prefixes: vec![prefix.parse().unwrap()],
            contacts: Vec::new(),
            consent: None,
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let r = Register {
            customers: vec![customer("wide", "192.0.2.0/24"), customer("narrow", "192.0.2.128/25")],
            ..Register::default()
        };
        let of = |a: &str| r.customer_of(a.parse().unwrap()).map(|c| c.id.as_str());
        assert_eq!(of("192.0.2.200"), Some("narrow"));
        assert_eq!(of("192.0.2.1"), Some("wide"));
        assert_eq!(of("198.51.100.1"), None);
    }
}
