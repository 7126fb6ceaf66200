//! Judging: at the end of each bucket, every target near a threshold is compared with its limits.

use crate::attacks::{Fire, Found, Running, Unit, rate_of};
use crate::detector::{Detector, bucket_number};
use crate::entity::{Kind, total};
use crate::rules::Rules;
use crate::slot::Rate;
use crate::vectors::{self, TOTAL};
use ipnet::IpNet;
use suimon_base::attack::{Attack, AttackChange, Rates};
use suimon_base::{Direction, Timestamp, Vector};

/// A vector that makes this share of an unspecific total names the attack.
const DOMINANT: f64 = 0.5;
/// Fragments beside a UDP vector belong to it from this share of its packets on, and answers beside fragments too.
const COMPANION: f64 = 0.05;

/// A clock that goes back by more was set; by less it is the order of arrival.
const CLOCK_STEP_MS: i64 = 10_000;

impl Detector {
    /// Moves on to `now` and returns what happened since the last call. Call it every 100 to 200 ms, also without
    /// flows: attacks begin and end here.
    pub fn tick(&mut self, now: Timestamp) -> Vec<AttackChange> {
        self.advance(now);
        let mut out = std::mem::take(&mut self.out);
        // A new attack is detected when somebody is told of it, not when its bucket ended.
        let fresh: Vec<u64> =
            out.iter().filter_map(|c| if let AttackChange::Started(a) = c { Some(a.serial) } else { None }).collect();
        for change in &mut out {
            let (AttackChange::Started(a) | AttackChange::Updated(a) | AttackChange::Ended(a)) = change;
            if fresh.contains(&a.serial) {
                a.detected = self.now;
            }
        }
        for r in self.running.iter_mut().filter(|r| fresh.contains(&r.told.serial)) {
            r.told.detected = self.now;
        }
        out
    }

    /// Closes every bucket that ended before `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if now <= self.now && self.base.is_some() {
            if self.now.ms_since(now) > CLOCK_STEP_MS {
                self.step_back(now);
            }
            return;
        }
        let number = bucket_number(now, self.config.bucket_ms);
        let base = *self.base.get_or_insert(number - i64::from(self.bucket));
        let target = u32::try_from(number - base).unwrap_or(self.bucket);
        while self.bucket < target {
            self.now = self.now.max(self.starts(self.bucket + 1));
            self.close();
            self.bucket += 1;
            let idle = self.hot.is_empty() && self.running.is_empty() && self.wheel.len() == 0;
            if idle && target - self.bucket > 1_000 {
                self.bucket = target;
            }
        }
        self.opened();
        self.now = self.now.max(now);
    }

    /// The clock was set back: counting goes on in the same bucket, which now begins at `now`.
    fn step_back(&mut self, now: Timestamp) {
        self.base = Some(bucket_number(now, self.config.bucket_ms) - i64::from(self.bucket));
        self.now = now;
        for r in &mut self.running {
            r.sent = now;
            r.below = None;
        }
    }

    /// When a bucket began.
    pub(crate) fn starts(&self, bucket: u32) -> Timestamp {
        let ms = i64::try_from(self.config.bucket_ms).unwrap_or(i64::MAX);
        Timestamp::from_millis((self.base.unwrap_or(0) + i64::from(bucket)).saturating_mul(ms))
    }

    fn close(&mut self) {
        let bucket = self.bucket;
        // The most specific targets first: what they explain is not told again of the prefixes above.
        let mut order = std::mem::take(&mut self.hot);
        order.sort_by_key(|i| {
            let e = &self.entities[*i as usize];
            (std::cmp::Reverse(e.target.prefix_len()), *i)
        });
        for &at in &order {
            self.judge(at, bucket);
        }
        order.retain(|&at| {
            let e = &mut self.entities[at as usize];
            e.hot = e.attacked || bucket <= e.hot_until;
            e.hot
        });
        let fresh = std::mem::replace(&mut self.hot, order);
        self.hot.extend(fresh);
        for long in self.wheel.expire(bucket) {
            self.end_long(&long);
        }
        self.release_samples(bucket);
        self.quiets.settle();
        self.sweep();
    }

    /// Samples of targets that are neither near a threshold nor busy any more.
    fn release_samples(&mut self, bucket: u32) {
        if !bucket.is_multiple_of(self.scale.second) {
            return;
        }
        for place in &mut self.samples {
            let Some(at) = place.as_ref().map(|s| s.entity as usize) else { continue };
            let e = &mut self.entities[at];
            let busy = e.busy >= crate::sample::BUSY && bucket.saturating_sub(e.touched) <= self.scale.second;
            if !(e.hot || e.attacked || busy) {
                e.sample = crate::entity::NONE;
                *place = None;
            }
        }
    }

    fn judge(&mut self, at: u32, bucket: u32) {
        self.attach(at);
        let scale = self.scale;
        let e = &mut self.entities[at as usize];
        let frozen = e.attacked;
        for s in e.slots.iter_mut() {
            s.move_to(bucket, &scale, frozen);
        }
        if frozen {
            e.frozen = e.frozen.saturating_add(1);
        }
        let rules = &self.book.rules[e.rules as usize];
        let near = |s: &crate::slot::Slot| {
            let t = &rules.trips[usize::from(s.vector)];
            s.standing.bytes >= t.standing_bytes || s.standing.packets >= t.standing_packets
        };
        if e.slots.iter().any(near) {
            e.hot_until = bucket + scale.window;
        }
        let (kind, direction, target) = (e.kind, e.direction, e.target);
        let mut window = e.rates(bucket, scale.window, &scale);
        let mut second = e.rates(bucket, scale.second, &scale);
        let normal: Vec<(u8, Rate)> = e.slots.iter().map(|s| (s.vector, s.normal())).collect();
        if kind != Kind::Host {
            self.explain(target, direction, &mut window, scale.window, bucket);
            self.explain(target, direction, &mut second, scale.second, bucket);
        }
        let e = &self.entities[at as usize];
        let enough = if e.sampling > 1 { f64::from(self.config.min_samples) } else { 0.0 };
        let rules = &self.book.rules[e.rules as usize];
        let fires = fires(rules, &window, &normal, enough);
        let weight = e.history_weight(bucket, &scale);
        let named = names(&fires, &window, &normal, weight);
        match self.running.iter().position(|r| r.entity == at) {
            Some(i) => self.follow(i, &fires, &named, &window, &second),
            None if !fires.is_empty() => self.start(at, bucket, fires, &named, &window, &second),
            None => {}
        }
    }

    /// Takes off what attacks on more specific targets already explain, each packet once.
    fn explain(&self, target: IpNet, direction: Direction, rates: &mut [(u8, Rate)], count: u32, bucket: u32) {
        let inside: Vec<&Running> = self
            .running
            .iter()
            .filter(|r| r.told.direction == direction && r.told.target != target && target.contains(&r.told.target))
            .collect();
        for r in &inside {
            let covered = |o: &&Running| o.told.target != r.told.target && o.told.target.contains(&r.told.target);
            if inside.iter().any(covered) {
                continue;
            }
            let e = &self.entities[r.entity as usize];
            for (v, rate) in e.rates(bucket, count, &self.scale) {
                if let Some((_, own)) = rates.iter_mut().find(|(o, _)| *o == v) {
                    own.take(&rate);
                }
            }
        }
    }

    fn start(
        &mut self,
        at: u32,
        bucket: u32,
        mut fires: Vec<Fire>,
        named: &[u8],
        window: &[(u8, Rate)],
        second: &[(u8, Rate)],
    ) {
        if self.running.len() >= self.config.limits.max_attacks {
            self.counters.attacks_refused += 1;
            return;
        }
        fires.sort_by(|a, b| b.factor().total_cmp(&a.factor()));
        let started = fires.first().map_or(self.now, |f| self.first_over(at, bucket, f));
        let before = self.profile_before(at, bucket, started);
        self.serial += 1;
        let e = &mut self.entities[at as usize];
        e.attacked = true;
        let (target, direction, kind) = (e.target, e.direction, e.kind);
        let found =
            named.iter().map(|v| Found { vector: *v, peak: Rate::default(), current: Rate::default() }).collect();
        let mut running = Running {
            entity: at,
            kind,
            found,
            fires,
            peak: Rate::default(),
            below: None,
            sent: self.now,
            before,
            samples: 0.0,
            told: Attack {
                serial: self.serial,
                target,
                direction,
                vectors: Vec::new(),
                started,
                detected: self.now,
                ended: None,
                peak: Rates::default(),
                sources: 0,
                spoof_likelihood: 0.0,
                evidence: crate::evidence::empty(),
            },
        };
        running.follow(window, second);
        self.tell(&mut running, window);
        self.out.push(AttackChange::Started(running.told.clone()));
        self.running.push(running);
    }

    fn follow(&mut self, i: usize, fires: &[Fire], named: &[u8], window: &[(u8, Rate)], second: &[(u8, Rate)]) {
        let mut r = self.running.remove(i);
        let news = r.learn(fires, named);
        r.follow(window, second);
        if r.lasts(window, self.config.release_ratio) {
            r.below = None;
        } else if r.below.is_none() {
            r.below = Some(self.now);
        }
        let hold = i64::try_from(self.config.hold_ms).unwrap_or(i64::MAX);
        if let Some(below) = r.below.filter(|b| self.now.ms_since(*b) >= hold) {
            self.tell(&mut r, window);
            r.told.ended = Some(below);
            self.entities[r.entity as usize].attacked = false;
            self.out.push(AttackChange::Ended(r.told));
            return;
        }
        let due = self.now.ms_since(r.sent) >= i64::try_from(self.config.update_ms).unwrap_or(i64::MAX);
        if news || due {
            r.sent = self.now;
            self.tell(&mut r, window);
            self.out.push(AttackChange::Updated(r.told.clone()));
        }
        self.running.insert(i, r);
    }

    /// Start of the first bucket of the run over the limit that leads to now.
    fn first_over(&self, at: u32, bucket: u32, fire: &Fire) -> Timestamp {
        let e = &self.entities[at as usize];
        let over = |b: u32| fire.unit.of(&rate_of(&e.rates(b, 1, &self.scale), fire.vector)) >= fire.threshold;
        let window = bucket.saturating_sub(self.scale.window - 1)..=bucket;
        self.starts(window.clone().find(|b| over(*b)).unwrap_or(*window.start()))
    }
}

/// The limits that are passed.
fn fires(rules: &Rules, window: &[(u8, Rate)], normal: &[(u8, Rate)], enough: f64) -> Vec<Fire> {
    let mut out = Vec::new();
    let mut check = |vector: u8, rate: &Rate, usual: &Rate| {
        if rate.samples < enough {
            return;
        }
        let level = rules.level(vector, usual);
        for (unit, limit) in Unit::ALL.into_iter().zip([level.packets, level.bytes * 8.0, level.flows]) {
            let value = unit.of(rate);
            if value >= limit {
                out.push(Fire { vector, unit, value, threshold: limit });
            }
        }
    };
    for (v, rate) in window {
        if *v != TOTAL {
            check(*v, rate, &rate_of(normal, *v));
        }
    }
    check(TOTAL, &total(window), &total(normal));
    out
}

fn is_udp(v: u8) -> bool {
    use Vector as V;
    !matches!(
        vectors::name(v),
        V::Syn | V::SynAck | V::AckRst | V::TcpOther | V::Fragments | V::Icmp | V::Gre | V::OtherProtocol | V::Total
    )
}

/// The vectors to name for what fired.
fn names(fires: &[Fire], window: &[(u8, Rate)], normal: &[(u8, Rate)], weight: f64) -> Vec<u8> {
    let mut named: Vec<u8> = fires.iter().map(|f| f.vector).filter(|v| *v != TOTAL).collect();
    named.sort_unstable();
    named.dedup();
    if let Some(f) = fires.iter().find(|f| f.vector == TOTAL) {
        let share = |v: u8| f.unit.of(&rate_of(window, v)) / f.value.max(1e-9);
        for (v, _) in window {
            if *v != TOTAL && !named.contains(v) && share(*v) >= DOMINANT {
                named.push(*v);
            }
        }
        if named.iter().map(|v| share(*v)).sum::<f64>() < DOMINANT {
            named.push(TOTAL);
        }
    }
    let fragments = Vector::Fragments as u8;
    let packets = |v: u8| rate_of(window, v).packets;
    let unusual = |v: u8| packets(v) > 4.0 * rate_of(normal, v).packets / weight.max(1e-6) || weight < 1e-3;
    let udp: f64 = named.iter().filter(|v| is_udp(**v)).map(|v| packets(*v)).sum();
    if udp > 0.0 && !named.contains(&fragments) && packets(fragments) >= COMPANION * udp && unusual(fragments) {
        named.push(fragments);
    }
    if named.contains(&fragments) && udp == 0.0 {
        for (v, r) in window {
            let answers = is_udp(*v) && *v != Vector::UdpOther as u8;
            if answers && r.packets >= COMPANION * packets(fragments) && unusual(*v) {
                named.push(*v);
            }
        }
    }
    named
}
