//! A flow seen by two routers counts once: at the border of the network, on the way in.
//!
//! A packet that crosses a network is metered at every router on its way. Interfaces have roles: those in
//! [`ExporterRole::boundary`] lead to peers, transits and exchanges. A flow counts where it entered or left by such an
//! interface; an exporter without named interfaces is taken to be all border. Where a router meters a packet on its way
//! in and again on its way out, only the ingress side counts: an egress-metered flow is a second sight if the router
//! also meters ingress at the interface it came in by. A router that meters both directions of its uplink alone, and a
//! probe at one wire that calls one direction egress (softflowd does), see each packet once, and so all of it counts.

use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use suimon_base::flow::{FlowRecord, Metered, present};

/// Most interfaces, over all exporters, that are remembered as metered on the way in. Egress-metered flows from further
/// ones count: twice is better than not at all.
pub const MAX_INGRESS_INTERFACES: usize = 65_536;

/// What is known of one exporter beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExporterRole {
    /// Its address.
    pub address: IpAddr,
    /// One in this many packets is sampled; used only where the exporter itself does not say.
    #[serde(default)]
    pub sampling: Option<u32>,
    /// SNMP indices of interfaces that lead out of the network; empty means all.
    #[serde(default)]
    pub boundary: Vec<u32>,
}

/// Decides flow by flow.
#[derive(Debug, Default)]
pub struct Boundary {
    roles: HashMap<IpAddr, Vec<u32>>,
    /// Interfaces of exporters at which flows are metered on their way in.
    ingress_at: HashSet<(IpAddr, u32)>,
}

impl Boundary {
    /// From the configured roles.
    pub fn new(exporters: &[ExporterRole]) -> Self {
        let roles = exporters.iter().filter(|e| !e.boundary.is_empty());
        Boundary { roles: roles.map(|e| (e.address, e.boundary.clone())).collect(), ingress_at: HashSet::new() }
    }

    /// Whether all of these flows count, as far as that can be seen at a glance: no interfaces are named, and none of them
    /// tells its direction.
    #[inline]
    pub fn all_count(&self, flows: &[FlowRecord]) -> bool {
        self.roles.is_empty() && flows.iter().all(|f| f.metered == Metered::Unknown)
    }

    /// Whether this flow counts. Dropped flows have no output interface and count at the interface they came in by.
    pub fn counts(&mut self, exporter: IpAddr, flow: &FlowRecord) -> bool {
        // In and out by one interface is one meter at one wire; interface 0 is an unknown one.
        if flow.in_if != flow.out_if && flow.in_if != 0 {
            let place = (exporter, flow.in_if);
            match flow.metered {
                Metered::Egress if self.ingress_at.contains(&place) => return false,
                Metered::Ingress if self.ingress_at.len() < MAX_INGRESS_INTERFACES => {
                    self.ingress_at.insert(place);
                }
                _ => {}
            }
        }
        match self.roles.get(&exporter) {
            None => true,
            // An exporter that does not tell interfaces cannot be judged by them; better twice than not at all.
            Some(_) if !flow.has(present::IFS) => true,
            Some(border) => border.contains(&flow.in_if) || border.contains(&flow.out_if),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(in_if: u32, out_if: u32, metered: Metered) -> FlowRecord {
        FlowRecord { in_if, out_if, metered, present: present::IFS, ..FlowRecord::default() }
    }

    /// Border router A: 1 is transit, 2 the core. Border router B: 5 is a peer, 6 the core, 7 a customer.
    #[test]
    fn a_packet_over_two_routers_counts_once() {
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let b: IpAddr = "192.0.2.2".parse().unwrap();
        let role = |address, boundary: &[u32]| ExporterRole { address, sampling: None, boundary: boundary.to_vec() };
        let mut boundary = Boundary::new(&[role(a, &[1]), role(b, &[5])]);
        let mut count = |hops: &[(IpAddr, u32, u32)]| {
            hops.iter().filter(|(r, i, o)| boundary.counts(*r, &flow(*i, *o, Metered::Unknown))).count()
        };
        assert_eq!(count(&[(a, 1, 2), (b, 6, 7)]), 1, "from transit to a customer");
        assert_eq!(count(&[(b, 7, 6), (a, 2, 1)]), 1, "from a customer to transit");
        assert_eq!(count(&[(a, 1, 0)]), 1, "dropped at the border");
        assert_eq!(count(&[(b, 7, 7)]), 0, "between customers: never crosses the border");
    }

    #[test]
    fn both_sides_of_one_router_count_once() {
        let r: IpAddr = "192.0.2.1".parse().unwrap();
        let mut boundary = Boundary::new(&[]);
        assert!(boundary.counts(r, &flow(1, 2, Metered::Ingress)));
        assert!(!boundary.counts(r, &flow(1, 2, Metered::Egress)));
        let egress_only: IpAddr = "192.0.2.9".parse().unwrap();
        assert!(boundary.counts(egress_only, &flow(1, 2, Metered::Egress)));
    }

    #[test]
    fn both_directions_of_one_interface_count() {
        let r: IpAddr = "192.0.2.1".parse().unwrap();
        let mut boundary = Boundary::new(&[]);
        assert!(boundary.counts(r, &flow(1, 2, Metered::Ingress)), "in by the uplink");
        assert!(boundary.counts(r, &flow(2, 1, Metered::Egress)), "out by it, from where nothing is metered");
        let probe: IpAddr = "192.0.2.9".parse().unwrap();
        for interface in [0, 3] {
            assert!(boundary.counts(probe, &flow(interface, interface, Metered::Ingress)));
            assert!(boundary.counts(probe, &flow(interface, interface, Metered::Egress)), "the other direction");
        }
    }
}
