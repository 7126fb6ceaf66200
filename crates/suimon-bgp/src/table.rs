//! What shall be announced: for each measure its routes. Pure; sessions compare it with what they have sent.

use crate::codec::{self, CodecError};
use crate::route::{Route, RouteKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use suimon_base::MeasureId;

/// Why a measure's routes were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A route cannot travel.
    #[error("{target}: {reason}")]
    Codec {
        /// Which.
        target: String,
        /// Why.
        reason: CodecError,
    },
    /// The same key is announced with something else; the second announcement would replace the first.
    #[error("{target}: {other} announces the same with other actions or communities, and one would replace the other")]
    Conflict {
        /// Which.
        target: String,
        /// For whom it is announced already.
        other: String,
    },
    /// The order holds nothing.
    #[error("there is no route to announce")]
    Nothing,
}

/// A route and who wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The route.
    pub route: Arc<Route>,
    /// Measures that want it; it goes when the last of them is released.
    pub owners: BTreeSet<MeasureId>,
}

/// Desired routes of every measure.
#[derive(Clone, Debug, Default)]
pub struct Table {
    generation: u64,
    measures: BTreeMap<MeasureId, Vec<RouteKey>>,
    routes: BTreeMap<RouteKey, Wanted>,
}

impl Table {
    /// Counts changes.
    pub fn generation(&self) -> u64 {
        self.generation
    }
    /// Measures with routes.
    pub fn measures(&self) -> impl Iterator<Item = (MeasureId, &[RouteKey])> {
        self.measures.iter().map(|(id, keys)| (*id, keys.as_slice()))
    }
    /// Keys of one measure.
    pub fn keys(&self, id: MeasureId) -> Option<&[RouteKey]> {
        self.measures.get(&id).map(Vec::as_slice)
    }
    /// Every route once, by key.
    pub fn routes(&self) -> &BTreeMap<RouteKey, Wanted> {
        &self.routes
    }
    /// Routes that others than `id` want.
    pub fn without(&self, id: MeasureId) -> Vec<Arc<Route>> {
        let others = |w: &&Wanted| w.owners.iter().any(|o| *o != id);
        self.routes.values().filter(others).map(|w| w.route.clone()).collect()
    }

    /// Makes `routes` all that `id` wants; the same routes again change nothing.
    ///
    /// # Errors
    /// When a route cannot travel or clashes with another measure's; the table is unchanged then.
    pub fn set(&mut self, id: MeasureId, routes: &[Route]) -> Result<u64, TableError> {
        let mut keyed: BTreeMap<RouteKey, &Route> = BTreeMap::new();
        for route in routes {
            let text = || route.target.to_string();
            let key = codec::key(&route.target).map_err(|reason| TableError::Codec { target: text(), reason })?;
            if let Some(w) = self.routes.get(&key)
                && *w.route != *route
                && let Some(other) = w.owners.iter().find(|o| **o != id)
            {
                return Err(TableError::Conflict { target: text(), other: other.to_string() });
            }
            if let Some(twice) = keyed.insert(key, route)
                && twice != route
            {
                return Err(TableError::Conflict { target: text(), other: id.to_string() });
            }
        }
        if keyed.is_empty() {
            return Err(TableError::Nothing);
        }
        let same = self.measures.get(&id).is_some_and(|old| {
            old.iter().eq(keyed.keys())
                && keyed.iter().all(|(k, r)| self.routes.get(k).is_some_and(|w| *w.route == **r))
        });
        if same {
            return Ok(self.generation);
        }
        self.drop_owner(id);
        let keys: Vec<RouteKey> = keyed.keys().cloned().collect();
        for (key, route) in keyed {
            let entry = self
                .routes
                .entry(key)
                .or_insert_with(|| Wanted { route: Arc::new(route.clone()), owners: BTreeSet::new() });
            entry.owners.insert(id);
        }
        self.measures.insert(id, keys);
        self.generation += 1;
        Ok(self.generation)
    }

    /// Takes a measure's routes out; a measure that has none changes nothing.
    pub fn remove(&mut self, id: MeasureId) -> u64 {
        if self.measures.contains_key(&id) {
            self.drop_owner(id);
            self.measures.remove(&id);
            self.generation += 1;
        }
        self.generation
    }

    fn drop_owner(&mut self, id: MeasureId) {
        for key in self.measures.get(&id).map_or(&[][..], Vec::as_slice) {
            if let Some(w) = self.routes.get_mut(key) {
                w.owners.remove(&id);
                if w.owners.is_empty() {
                    self.routes.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Community, FlowAction};
    use suimon_base::Match;

    fn hole(text: &str) -> Route {
        Route::black_hole(text.parse().unwrap())
    }

    #[test]
    fn sets_are_idempotent_and_replace() {
        let mut t = Table::default();
        assert_eq!(t.set(MeasureId(1), &[hole("192.0.2.1/32"), hole("192.0.2.2/32")]), Ok(1));
        assert_eq!(t.set(MeasureId(1), &[hole("192.0.2.2/32"), hole("192.0.2.1/32")]), Ok(1), "order does not matter");
        assert_eq!(t.set(MeasureId(1), &[hole("192.0.2.2/32")]), Ok(2));
        assert_eq!(t.routes().len(), 1);
        assert_eq!(t.remove(MeasureId(1)), 3);
        assert_eq!(t.remove(MeasureId(1)), 3);
        assert!(t.routes().is_empty());
        assert_eq!(t.set(MeasureId(1), &[]), Err(TableError::Nothing));
    }

    #[test]
    fn a_route_goes_with_its_last_owner() {
        let mut t = Table::default();
        t.set(MeasureId(1), &[hole("192.0.2.1/32")]).unwrap();
        t.set(MeasureId(2), &[hole("192.0.2.1/32")]).unwrap();
        t.remove(MeasureId(1));
        assert_eq!(t.routes().len(), 1);
        t.remove(MeasureId(2));
        assert!(t.routes().is_empty());
    }

    #[test]
    fn what_would_replace_anothers_route_is_refused() {
        let mut t = Table::default();
        t.set(MeasureId(1), &[hole("192.0.2.1/32")]).unwrap();
        let mut other = hole("192.0.2.1/32");
        other.communities.push(Community(7));
        let before = t.generation();
        assert!(matches!(t.set(MeasureId(2), &[other.clone()]), Err(TableError::Conflict { .. })));
        assert_eq!((t.generation(), t.measures().count()), (before, 1));
        // Its own owner may change it.
        assert_eq!(t.set(MeasureId(1), &[other]), Ok(2));
        let dst = vec!["192.0.2.1/32".parse().unwrap()];
        let drop = Route::flow(Match { dst: dst.clone(), ..Match::default() }, vec![FlowAction::Discard]);
        let rate = Route::flow(Match { dst, ..Match::default() }, vec![FlowAction::RateBytes(1000.0)]);
        assert!(matches!(t.set(MeasureId(3), &[drop, rate]), Err(TableError::Conflict { .. })));
    }

    #[test]
    fn an_owner_who_changes_a_shared_route_is_refused() {
        let mut t = Table::default();
        t.set(MeasureId(1), &[hole("192.0.2.1/32")]).unwrap();
        t.set(MeasureId(2), &[hole("192.0.2.1/32")]).unwrap();
        let mut other = hole("192.0.2.1/32");
        other.communities.push(Community(7));
        assert!(matches!(t.set(MeasureId(2), &[other]), Err(TableError::Conflict { .. })));
        assert_eq!(t.without(MeasureId(2)).len(), 1);
    }
}
