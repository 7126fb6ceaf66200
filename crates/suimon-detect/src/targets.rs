//! The table of targets: which exist, how an address finds its entity and parents, and when it is forgotten.

use crate::config::Config;
use crate::detector::Detector;
use crate::entity::{Entity, Kind, NONE};
use crate::sample::Sample;
use crate::slot::Slots;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::HashMap;
use std::net::IpAddr;
use suimon_base::attack::Direction;

pub(crate) fn side(direction: Direction) -> usize {
    usize::from(direction == Direction::Out)
}

/// The covering /24 or /48.
fn cover_of(a: IpAddr) -> IpNet {
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
    pub(crate) fn host(&self, direction: Direction, addr: IpAddr) -> Option<u32> {
        match addr {
            IpAddr::V4(a) => self.v4[side(direction)].get(&u32::from(a)).copied(),
            IpAddr::V6(a) => self.v6[side(direction)].get(&u128::from(a)).copied(),
        }
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

    /// The target and its parents for an address met for the first time.
    pub(crate) fn meet(&mut self, direction: Direction, addr: IpAddr, net: u32) -> (u32, u32, u32) {
        let customer = self.customer(net, direction);
        let cover = self.cover(cover_of(addr), direction, customer);
        let limits = self.config.limits;
        let crowded = cover != NONE && self.entities[cover as usize].hosts >= limits.max_hosts_per_cover;
        if crowded || self.counters.hosts as usize >= limits.max_hosts {
            return (NONE, cover, customer);
        }
        let mut e = Entity::new(IpNet::from(addr), direction, Kind::Host, self.book.host(net), self.bucket);
        (e.cover, e.customer) = (cover, customer);
        let at = self.put(e);
        match addr {
            IpAddr::V4(a) => self.v4[side(direction)].insert(a.into(), at),
            IpAddr::V6(a) => self.v6[side(direction)].insert(a.into(), at),
        };
        self.counters.hosts += 1;
        if cover != NONE {
            self.entities[cover as usize].hosts += 1;
        }
        (at, cover, customer)
    }

    fn cover(&mut self, prefix: IpNet, direction: Direction, customer: u32) -> u32 {
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

    fn customer(&mut self, net: u32, direction: Direction) -> u32 {
        let owner = self.customer_net.get(net as usize).copied().unwrap_or(NONE);
        let Some(network) = self.config.networks.get(owner as usize) else { return NONE };
        // A customer's single address is watched as an address.
        if network.prefix.prefix_len() == network.prefix.max_prefix_len() {
            return NONE;
        }
        let prefix = network.prefix;
        if let Some(at) = self.customers[side(direction)].get(&prefix) {
            return *at;
        }
        let rules = self.book.customer(owner);
        let at = self.put(Entity::new(prefix, direction, Kind::Customer, rules, self.bucket));
        self.customers[side(direction)].insert(prefix, at);
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

    /// The entity of exactly this prefix.
    pub(crate) fn entity(&self, target: IpNet, direction: Direction) -> Option<u32> {
        let s = side(direction);
        let host = match target {
            IpNet::V4(n) if n.prefix_len() == 32 => self.v4[s].get(&u32::from(n.addr())),
            IpNet::V6(n) if n.prefix_len() == 128 => self.v6[s].get(&u128::from(n.addr())),
            _ => None,
        };
        host.or_else(|| self.customers[s].get(&target)).or_else(|| self.covers[s].get(&target)).copied()
    }

    /// Forgets addresses without traffic, a part of the table at each bucket.
    pub(crate) fn sweep(&mut self) {
        let pressed = self.counters.hosts as usize * 10 >= self.config.limits.max_hosts * 9;
        // Under pressure ten seconds of silence are enough.
        let idle_ms = if pressed { self.config.idle_ms.min(10_000) } else { self.config.idle_ms };
        let idle = u32::try_from(idle_ms / self.config.bucket_ms).unwrap_or(u32::MAX).max(self.scale.window + 1);
        let n = self.entities.len();
        // Once around in about ten seconds.
        let part = n.div_ceil((self.scale.per_second * 10.0) as usize).max(64).min(n);
        for _ in 0..part {
            self.sweep = if self.sweep + 1 >= n { 0 } else { self.sweep + 1 };
            let at = self.sweep;
            let e = &self.entities[at];
            let quiet = e.live && !e.attacked && !e.hot && e.longs == 0 && self.bucket.saturating_sub(e.touched) > idle;
            if quiet && (e.kind == Kind::Host || (e.kind == Kind::Cover && e.hosts == 0)) {
                self.forget(at);
            }
        }
    }

    fn forget(&mut self, at: usize) {
        let e = &mut self.entities[at];
        e.live = false;
        e.slots = Slots::default();
        e.history = None;
        let (sample, target, s, kind, cover) = (e.sample, e.target, side(e.direction), e.kind, e.cover);
        e.sample = NONE;
        if let Some(place) = self.samples.get_mut(sample as usize) {
            *place = None;
        }
        if kind == Kind::Cover {
            self.covers[s].remove(&target);
            self.counters.covers -= 1;
        } else {
            match target.addr() {
                IpAddr::V4(a) => self.v4[s].remove(&u32::from(a)),
                IpAddr::V6(a) => self.v6[s].remove(&u128::from(a)),
            };
            self.counters.hosts -= 1;
            self.counters.hosts_evicted += 1;
            if let Some(c) = self.entities.get_mut(cover as usize) {
                c.hosts = c.hosts.saturating_sub(1);
            }
        }
        self.free.push(u32::try_from(at).unwrap_or(NONE));
    }
}
