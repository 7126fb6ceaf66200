//! The table of targets: which exist, how an address finds its entity and parents, and when it is forgotten.

use crate::config::Config;
use crate::detector::Detector;
use crate::entity::{Entity, Kind, NONE, Recent};
use crate::quiet::{QUIET, Returning};
use crate::sample::Sample;
use crate::slot::Slots;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use suimon_base::attack::Direction;

pub(crate) fn side(direction: Direction) -> usize {
    usize::from(direction == Direction::Out)
}

/// An address that was busy is counted as a quiet one again after this time, in seconds.
const QUIET_AFTER_S: f64 = 60.0;

/// In the tables of customers' entities: not looked for yet.
pub(crate) const UNMET: u32 = NONE - 1;

/// The covering /24 or /48.
pub(crate) fn cover_of(a: IpAddr) -> IpNet {
    match a {
        IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, 24).trunc()),
        IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, 48).trunc()),
    }
}

/// For each network the nearest one at or above it with a customer.
pub(crate) fn nearest_customers(config: &Config) -> Vec<u32> {
    let owned: HashMap<IpNet, u32> =
        config.networks.iter().zip(0u32..).filter(|(n, _)| n.customer.is_some()).map(|(n, i)| (n.prefix, i)).collect();
    let owner = |p: IpNet| {
        let above = std::iter::successors(Some(p), |p| p.supernet());
        above.filter_map(|p| owned.get(&p).copied()).next().unwrap_or(NONE)
    };
    config.networks.iter().map(|n| owner(n.prefix)).collect()
}

impl Detector {
    #[inline]
    pub(crate) fn host(&self, direction: Direction, addr: IpAddr) -> Option<u32> {
        self.addresses[side(direction)].get(addr)
    }

    /// Rules and parents of an existing target under new settings.
    pub(crate) fn reassign(&mut self, at: usize) {
        let (target, kind, direction) = {
            let e = &self.entities[at];
            (e.target, e.kind, e.direction)
        };
        let net = self.nets.find(target.addr());
        let rules = match kind {
            Kind::Host => net.map_or(0, |n| self.book.host(n)),
            Kind::Cover => self.book.cover(target),
            Kind::Customer => {
                let own = self.config.networks.iter().position(|n| n.prefix == target);
                own.and_then(|n| u32::try_from(n).ok()).map_or(0, |n| self.book.customer(n))
            }
        };
        let customer = match (kind, net) {
            (Kind::Host, Some(net)) => self.customer(net, direction),
            _ => NONE,
        };
        let orphan = kind == Kind::Host && self.entities[at].live && self.entities[at].cover == NONE;
        let cover =
            if orphan && net.is_some() { self.cover(cover_of(target.addr()), direction, customer) } else { NONE };
        if let Some(c) = self.entities.get_mut(cover as usize) {
            c.hosts += 1;
        }
        let e = &mut self.entities[at];
        e.rules = rules;
        e.customer = customer;
        if cover != NONE {
            e.cover = cover;
        }
    }

    /// Gives a target a sample, if one is free.
    pub(crate) fn attach(&mut self, at: u32) {
        if self.entities[at as usize].sample != NONE {
            return;
        }
        let fresh = Some(Sample::new(at, self.seed));
        let place = match self.samples.iter().position(Option::is_none) {
            Some(i) => {
                self.samples[i] = fresh;
                i
            }
            None if self.samples.len() < self.config.limits.max_samples => {
                self.samples.push(fresh);
                self.samples.len() - 1
            }
            None => match self.spare_sample(at) {
                Some(i) => {
                    self.samples[i] = fresh;
                    i
                }
                None => {
                    self.counters.samples_refused += 1;
                    return;
                }
            },
        };
        self.entities[at as usize].sample = u32::try_from(place).unwrap_or(NONE);
    }

    /// A sample of a merely busy target, which one near its limit takes over.
    fn spare_sample(&mut self, at: u32) -> Option<usize> {
        if !self.entities[at as usize].hot {
            return None;
        }
        let entities = &mut self.entities;
        let spare = self.samples.iter().position(|s| {
            let e = s.as_ref().and_then(|s| entities.get(s.entity as usize));
            e.is_some_and(|e| !e.hot && !e.attacked)
        })?;
        if let Some(e) = self.samples[spare].as_ref().and_then(|s| entities.get_mut(s.entity as usize)) {
            e.sample = NONE;
        }
        Some(spare)
    }

    /// A number for an address met for the first time, as a quiet one; [`NONE`] where there is no room.
    #[inline(never)]
    pub(crate) fn meet(&mut self, direction: Direction, addr: IpAddr, net: u32) -> u32 {
        let customer = self.customer(net, direction);
        let cover = self.cover(cover_of(addr), direction, customer);
        let limits = self.config.limits;
        let crowded = cover != NONE && self.entities[cover as usize].hosts >= limits.max_hosts_per_cover;
        if crowded || self.counters.hosts as usize >= limits.max_hosts {
            return NONE;
        }
        let Some(at) = self.quiets.put(addr, direction, cover, self.bucket) else { return NONE };
        self.addresses[side(direction)].set(addr, at | QUIET);
        self.counters.hosts += 1;
        if cover != NONE {
            self.entities[cover as usize].hosts += 1;
        }
        at | QUIET
    }

    /// Makes an entity of a quiet address. What the sums and the ring of it hold goes to `vector` where the records that
    /// were kept do not say better.
    #[cold]
    pub(crate) fn promote(&mut self, at: u32, net: u32, vector: u8) -> u32 {
        let addr = self.quiets.known_at(at).addr;
        let direction = self.quiets.known_at(at).direction;
        let e = Entity::new(IpNet::from(addr), direction, Kind::Host, self.book.host(net), self.bucket);
        let to = self.put(e);
        let moved = self.quiets.promote(at, to, self.bucket);
        self.addresses[side(direction)].set(addr, to);
        let customer = self.customer(net, direction);
        let (bucket, scale) = (self.bucket, self.scale);
        let e = &mut self.entities[to as usize];
        (e.cover, e.customer, e.sampling, e.assumed) = (moved.cover, customer, moved.sampling, moved.assumed);
        e.first = moved.known.first;
        let weight = e.history_weight(bucket, &scale) as f32 * scale.per_second as f32;
        let kept: Vec<Recent> = moved.known.kept().copied().collect();
        let share = 1.0 / kept.len().max(1) as f32;
        let mut shares: BTreeMap<u8, f32> = BTreeMap::new();
        kept.iter().for_each(|r| *shares.entry(r.vector).or_default() += share);
        if shares.is_empty() {
            shares.insert(vector, 1.0);
        }
        // The ring is of the last second, and so most likely of what comes now.
        shares.entry(vector).or_default();
        for (v, share) in shares {
            let usual = moved.usual.map(|x| x * share * weight);
            e.slot(v, bucket).inherit(bucket, usual, (v == vector).then_some(&moved.ring));
        }
        for r in kept {
            e.keep(r);
        }
        to
    }

    pub(crate) fn cover(&mut self, prefix: IpNet, direction: Direction, customer: u32) -> u32 {
        if let Some(at) = self.covers[side(direction)].get(&prefix) {
            return *at;
        }
        // A customer's prefix of the same length says it all.
        if self.entities.get(customer as usize).is_some_and(|e| e.target == prefix) {
            return NONE;
        }
        if self.counters.covers as usize >= self.config.limits.max_covers {
            self.counters.covers_refused += 1;
            return NONE;
        }
        let rules = self.book.cover(prefix);
        let at = self.put(Entity::new(prefix, direction, Kind::Cover, rules, self.bucket));
        self.covers[side(direction)].insert(prefix, at);
        self.counters.covers += 1;
        at
    }

    /// The entity of the customer whose network `net` is; [`NONE`] where there is none.
    #[inline]
    pub(crate) fn customer(&mut self, net: u32, direction: Direction) -> u32 {
        match self.customer_of[side(direction)].get(net as usize) {
            Some(&UNMET) | None => self.meet_customer(net, direction),
            Some(at) => *at,
        }
    }

    #[cold]
    fn meet_customer(&mut self, net: u32, direction: Direction) -> u32 {
        let owner = self.customer_net.get(net as usize).copied().unwrap_or(NONE);
        let network = self.config.networks.get(owner as usize);
        // A customer's single address is watched as an address.
        let prefix = network.map(|n| n.prefix).filter(|p| p.prefix_len() < p.max_prefix_len());
        let at = prefix.map_or(NONE, |prefix| {
            let known = self.customers[side(direction)].get(&prefix).copied();
            known.unwrap_or_else(|| {
                let rules = self.book.customer(owner);
                let at = self.put(Entity::new(prefix, direction, Kind::Customer, rules, self.bucket));
                self.customers[side(direction)].insert(prefix, at);
                at
            })
        });
        if let Some(place) = self.customer_of[side(direction)].get_mut(net as usize) {
            *place = at;
        }
        at
    }

    fn put(&mut self, mut e: Entity) -> u32 {
        if let Some(at) = self.free.pop() {
            let old = &mut self.entities[at as usize];
            e.generation = old.generation + 1;
            *old = e;
            return at;
        }
        self.entities.push(e);
        u32::try_from(self.entities.len() - 1).unwrap_or(NONE)
    }

    /// The number of exactly this prefix.
    pub(crate) fn entity(&self, target: IpNet, direction: Direction) -> Option<u32> {
        let s = side(direction);
        let single = target.prefix_len() == target.max_prefix_len();
        let host = single.then(|| self.host(direction, target.addr())).flatten();
        host.or_else(|| self.customers[s].get(&target).copied()).or_else(|| self.covers[s].get(&target).copied())
    }

    /// Forgets addresses without traffic, a part of the table at each bucket.
    pub(crate) fn sweep(&mut self) {
        let pressed = self.counters.hosts as usize * 10 >= self.config.limits.max_hosts * 9;
        // Under pressure ten seconds of silence are enough.
        let idle_ms = if pressed { self.config.idle_ms.min(10_000) } else { self.config.idle_ms };
        let idle = u32::try_from(idle_ms / self.config.bucket_ms).unwrap_or(u32::MAX).max(self.scale.window + 1);
        // Once around in about ten seconds.
        let rounds = (self.scale.per_second * 10.0) as usize;
        for (addr, direction, cover) in self.quiets.sweep(self.bucket, idle, rounds) {
            self.unlist(addr, direction, cover);
        }
        let n = self.entities.len();
        for _ in 0..n.div_ceil(rounds).max(64).min(n) {
            self.sweep = if self.sweep + 1 >= n { 0 } else { self.sweep + 1 };
            let at = self.sweep;
            let e = &self.entities[at];
            let calm = e.live && !e.attacked && !e.hot && e.longs == 0;
            let idle = self.bucket.saturating_sub(e.touched) > idle;
            if calm && idle && (e.kind == Kind::Host || (e.kind == Kind::Cover && e.hosts == 0)) {
                self.forget(at);
            } else if calm && e.kind == Kind::Host && e.sample == NONE && self.is_quiet(at) {
                self.demote(at);
            }
        }
    }

    /// Whether an address that was busy has been quiet for long and is quiet on average.
    fn is_quiet(&self, at: usize) -> bool {
        let e = &self.entities[at];
        let buckets = (QUIET_AFTER_S * self.scale.per_second) as u32;
        if self.bucket.saturating_sub(e.busy_at) <= buckets {
            return false;
        }
        let usual = e.usual(self.scale.per_second);
        self.nets.find(e.target.addr()).is_some_and(|net| self.book.ceiling(net).holds(usual))
    }

    /// Makes a quiet address of an entity; the opposite of [`Detector::promote`]. Its rates of single vectors and the
    /// last second of counters are lost, which were small; its records are thinned out.
    fn demote(&mut self, at: usize) {
        let e = &self.entities[at];
        let (addr, direction, cover) = (e.target.addr(), e.direction, e.cover);
        let quiet = Returning {
            addr,
            direction,
            cover,
            first: e.first,
            last: e.touched,
            sampling: e.sampling,
            assumed: e.assumed,
            usual: e.usual(self.scale.per_second),
            records: e.latest(self.bucket),
        };
        if let Some(place) = self.quiets.restore(quiet) {
            self.drop_entity(at);
            self.addresses[side(direction)].set(addr, place | QUIET);
        }
    }

    /// An address that is no longer tracked.
    fn unlist(&mut self, addr: IpAddr, direction: Direction, cover: u32) {
        self.addresses[side(direction)].remove(addr);
        self.counters.hosts -= 1;
        self.counters.hosts_evicted += 1;
        if let Some(c) = self.entities.get_mut(cover as usize) {
            c.hosts = c.hosts.saturating_sub(1);
        }
    }

    fn forget(&mut self, at: usize) {
        let e = &self.entities[at];
        let (target, direction, kind, cover) = (e.target, e.direction, e.kind, e.cover);
        self.drop_entity(at);
        if kind == Kind::Cover {
            self.covers[side(direction)].remove(&target);
            self.counters.covers -= 1;
        } else {
            self.unlist(target.addr(), direction, cover);
        }
    }

    fn drop_entity(&mut self, at: usize) {
        let e = &mut self.entities[at];
        e.live = false;
        e.slots = Slots::default();
        e.history = None;
        let sample = std::mem::replace(&mut e.sample, NONE);
        if let Some(place) = self.samples.get_mut(sample as usize) {
            *place = None;
        }
        self.free.push(u32::try_from(at).unwrap_or(NONE));
    }

    /// Quiet addresses under new settings: those that a covering prefix had no room for may have one now.
    pub(crate) fn adopt_quiet(&mut self) {
        let orphans: Vec<(u32, IpAddr, Direction)> = {
            let orphan = self.quiets.iter().filter(|(_, q, _)| q.cover == NONE);
            orphan.map(|(at, _, k)| (at, k.addr, k.direction)).collect()
        };
        for (at, addr, direction) in orphans {
            let Some(net) = self.nets.find(addr) else { continue };
            let customer = self.customer(net, direction);
            let cover = self.cover(cover_of(addr), direction, customer);
            if let Some(c) = self.entities.get_mut(cover as usize) {
                c.hosts += 1;
                self.quiets.get_mut(at).cover = cover;
            }
        }
    }
}
