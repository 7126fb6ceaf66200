//! The sessions as the spine's verification sees them: adj-out, which is what peers were sent (catalogue row 96).

use crate::announcer::{Announcer, Standing};
use crate::guard::Report;
use suimon_spine::ports::{DryRun, Order, Seen, SeenState, Session, Sight, Stray};

/// Where a measure is looked for that no peer was told of.
const EVERYWHERE: &str = "all peers";

/// Desired routes against what each peer was sent.
pub(crate) fn sight(announcer: &dyn Announcer, orders: &[Order]) -> Sight {
    let held = announcer.measures();
    let seen =
        |id, place: &str, state| Seen { id, place: place.to_owned(), state, packets: None, octets: None, text: None };
    let mut out = Sight::default();
    for order in orders {
        if !held.contains(&order.id) {
            out.seen.push(seen(order.id, EVERYWHERE, SeenState::Missing));
            continue;
        }
        let peers: Vec<Standing> = announcer.standing(order.id).into_iter().filter(|s| s.of > 0).collect();
        if peers.is_empty() {
            let why = "no peer takes its routes".to_owned();
            out.seen.push(seen(order.id, EVERYWHERE, SeenState::Partly { why }));
        }
        out.seen.extend(peers.iter().map(|s| seen(order.id, &s.peer, state(s))));
    }
    let unwanted = held.into_iter().filter(|id| !orders.iter().any(|o| o.id == *id));
    out.strays = unwanted
        .map(|id| Stray {
            name: id.to_string(),
            id: Some(id),
            place: EVERYWHERE.to_owned(),
            dialect: String::new(),
            text: String::new(),
            bound: true,
            packets: None,
        })
        .collect();
    out
}

fn state(s: &Standing) -> SeenState {
    match (s.up, s.has) {
        (false, _) if s.note.is_empty() => SeenState::Unreachable { why: "the session is down".to_owned() },
        (false, _) => SeenState::Unreachable { why: format!("the session is down: {}", s.note) },
        (true, has) if has >= s.of && s.current => SeenState::AsWanted,
        (true, has) => SeenState::Partly { why: format!("{has} of {} routes were sent", s.of) },
    }
}

/// The dry run of the guard rails.
pub(crate) fn dry_run(report: &Report) -> DryRun {
    let mut touches =
        vec![format!("destinations: {} IPv4 addresses, {} IPv6 /64 networks", report.covered.v4, report.covered.v6_64)];
    touches.extend(report.holders.iter().map(|(who, n)| format!("{n} in the space of {who}")));
    touches.extend(report.touched.iter().map(|(asn, depth)| match depth {
        Some(n) => format!("routes of {asn}, {n} below the holder"),
        None => format!("routes of {asn}, not known below the holder"),
    }));
    DryRun {
        refusals: report.refusals.iter().map(ToString::to_string).collect(),
        warnings: report.warnings.clone(),
        touches,
        listing: report.listing.clone(),
    }
}

/// Every session.
pub(crate) fn sessions(announcer: &dyn Announcer, hand: &str) -> Vec<Session> {
    let one = |p: crate::announcer::PeerStatus| Session {
        hand: hand.to_owned(),
        peer: p.peer,
        state: p.state.to_owned(),
        families: p.families.iter().map(ToString::to_string).collect(),
        routes: p.routes as u64,
        established: p.established,
        lost: p.lost,
        updates_ignored: p.updates_ignored,
        refreshes: p.refreshes,
        note: p.note,
    };
    announcer.peers().into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(up: bool, current: bool, has: usize, of: usize) -> Standing {
        Standing { peer: "edge1".into(), up, current, has, of, note: String::new() }
    }

    #[test]
    fn what_was_sent_is_what_is_seen() {
        assert_eq!(state(&peer(true, true, 4, 4)).name(), "as-wanted");
        assert_eq!(state(&peer(true, false, 4, 4)).name(), "partly");
        assert_eq!(state(&peer(true, true, 3, 4)).name(), "partly");
        assert_eq!(state(&peer(false, true, 0, 4)).name(), "unreachable");
    }
}
