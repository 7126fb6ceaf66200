//! A router as the spine's verification sees it.

use crate::names::{is_ours, owner};
use crate::observed::{Observed, Seen as List, State};
use crate::wanted::Wanted;
use suimon_base::MeasureId;
use suimon_filter::dialect::Dialect;
use suimon_spine::ports::{Order, Seen, SeenState, Sight, Stray};

/// What was read, beside what is wanted at `place`.
pub(crate) fn sight(read: &Observed, orders: &[Order], dialect: Dialect, place: &str) -> Sight {
    let seen = orders.iter().map(|order| {
        let lists: Vec<&List> = read.of(order.id).collect();
        let state = match Wanted::new(order, dialect) {
            Ok(wanted) => state(read, &wanted, &lists, dialect),
            Err(e) => SeenState::Different { why: e.to_string() },
        };
        let counters = read.counters(order.id);
        let text = (state != SeenState::AsWanted && !lists.is_empty())
            .then(|| lists.iter().map(|l| l.text.as_str()).collect::<String>());
        let octets = counters.and_then(|c| c.octets);
        Seen { id: order.id, place: place.to_owned(), state, packets: counters.map(|c| c.packets), octets, text }
    });
    let wanted = |id: Option<MeasureId>| id.is_some_and(|id| orders.iter().any(|o| o.id == id));
    let strays = read.lists.iter().filter(|l| is_ours(&l.name) && !wanted(owner(&l.name))).map(|l| Stray {
        name: l.name.clone(),
        id: owner(&l.name),
        place: if l.bound.is_empty() { place.to_owned() } else { format!("{place} {}", l.bound.join(", ")) },
        dialect: dialect.to_string(),
        text: l.text.clone(),
        bound: !l.bound.is_empty(),
        packets: l.counters.map(|c| c.packets),
    });
    Sight { strays: strays.collect(), seen: seen.collect() }
}

fn state(read: &Observed, wanted: &Wanted, lists: &[&List], dialect: Dialect) -> SeenState {
    match read.state(wanted, dialect) {
        State::Present => SeenState::AsWanted,
        State::Absent => SeenState::Missing,
        State::Differs { why } => {
            let there = |n: &&String| lists.iter().any(|l| l.name == **n);
            if wanted.names().iter().all(|n| there(&n)) {
                SeenState::Different { why }
            } else {
                SeenState::Partly { why }
            }
        }
    }
}
