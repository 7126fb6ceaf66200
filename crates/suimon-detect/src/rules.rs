//! Thresholds compiled for one kind of target, with the levels from which on a target is looked at closely.

use crate::config::{
    AGGREGATE_RATIO, BASELINE_RATIO, COVER_MULTIPLE, CUSTOMER_MULTIPLE, Config, ConfigError, Limit, Thresholds,
};
use crate::entity::{Kind, MAX_SLOTS};
use crate::quiet::Ceiling;
use crate::slot::FIXED;
use crate::vectors::{self, COUNT, TOTAL};
use ipnet::IpNet;
use suimon_base::Vector;

/// A normal rate raises a threshold at most this many times, so that patience does not buy an attacker everything.
pub(crate) const MOST_RAISED: f64 = 10.0;

/// Limits in octets, packets and flows a second; infinite is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    pub bytes: f64,
    pub packets: f64,
    pub flows: f64,
}

impl Level {
    fn new(limit: Limit, times: f64) -> Self {
        let or = |x: Option<u64>, unit: f64| x.map_or(f64::INFINITY, |x| x as f64 * times / unit);
        Level {
            bytes: or(limit.bps.map(|x| x.0), 8.0),
            packets: or(limit.pps.map(|x| x.0), 1.0),
            flows: or(limit.fps.map(|x| x.0), 1.0),
        }
    }
    fn least(self, o: Level) -> Level {
        Level { bytes: self.bytes.min(o.bytes), packets: self.packets.min(o.packets), flows: self.flows.min(o.flows) }
    }
    fn divided(self, by: f64) -> Level {
        Level { bytes: self.bytes / by, packets: self.packets / by, flows: self.flows / by }
    }
}

/// Counts in one bucket, or standing rates, from which on a target is judged at every bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trip {
    pub bytes: u64,
    pub packets: u32,
    pub flows: u32,
    pub standing_bytes: u64,
    pub standing_packets: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    pub kind: Kind,
    /// By vector index; [`TOTAL`] is the total.
    pub levels: [Level; COUNT],
    pub trips: [Trip; COUNT],
    /// How many times its normal rate a vector must exceed; 0 is off.
    pub ratio: [f64; COUNT],
}

/// Vectors that ordinary services also make in large steady amounts.
fn has_baseline(v: Vector) -> bool {
    !matches!(v, Vector::Syn | Vector::SynAck | Vector::AckRst | Vector::TcpOther | Vector::Total)
}

impl Rules {
    /// `covers` is the number of /24 or /48 in the prefix, at least 1.
    pub(crate) fn new(t: &Thresholds, kind: Kind, covers: f64, buckets_a_second: f64) -> Self {
        let times = match kind {
            Kind::Host => 1.0,
            Kind::Cover => t.cover_multiple.unwrap_or(COVER_MULTIPLE),
            Kind::Customer => t.customer_multiple.unwrap_or(CUSTOMER_MULTIPLE),
        };
        // Ordinary traffic grows with the number of addresses, and single vectors of it less steadily.
        let total = Level::new(t.total, times * covers);
        let levels: [Level; COUNT] = std::array::from_fn(|i| match t.vectors.get(&vectors::ALL[i]) {
            _ if i == usize::from(TOTAL) => total,
            Some(limit) => Level::new(*limit, times * covers.sqrt()),
            None => Level::new(Limit::default(), 1.0),
        });
        // A window over a threshold T has a bucket over T/2, or standing rates over T/2. A total over T has one of at
        // most MAX_SLOTS vectors over T / MAX_SLOTS.
        let trips = levels.map(|l| {
            let at = l.least(total.divided(MAX_SLOTS as f64)).divided(2.0);
            let whole = |x: f64| (x.max(1.0)) as u64;
            Trip {
                bytes: whole(at.bytes / buckets_a_second),
                packets: u32::try_from(whole(at.packets / buckets_a_second)).unwrap_or(u32::MAX),
                flows: u32::try_from(whole(at.flows / buckets_a_second)).unwrap_or(u32::MAX),
                standing_bytes: whole(at.bytes * FIXED as f64),
                standing_packets: whole(at.packets * FIXED as f64),
            }
        });
        let ratio = std::array::from_fn(|i| match kind {
            Kind::Host if has_baseline(vectors::ALL[i]) => t.baseline_ratio.unwrap_or(BASELINE_RATIO),
            Kind::Host => 0.0,
            _ => t.aggregate_ratio.unwrap_or(AGGREGATE_RATIO),
        });
        Rules { kind, levels, trips, ratio }
    }

    /// The level that counts for a target with this normal rate.
    pub(crate) fn level(&self, v: u8, normal: &crate::slot::Rate) -> Level {
        let (l, ratio) = (self.levels[usize::from(v)], self.ratio[usize::from(v)]);
        let raise = |limit: f64, usual: f64| {
            if limit.is_finite() { (usual * ratio).clamp(limit, limit * MOST_RAISED) } else { limit }
        };
        Level {
            bytes: raise(l.bytes, normal.bytes),
            packets: raise(l.packets, normal.packets),
            flows: raise(l.flows, normal.flows),
        }
    }
}

/// Every set of rules of a configuration, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub rules: Vec<Rules>,
    /// By network: up to where its addresses are counted as quiet ones.
    pub ceilings: Vec<Ceiling>,
    per_net: Vec<(u32, u32)>,
    nets: Vec<(IpNet, Thresholds)>,
    default: Thresholds,
    buckets_a_second: f64,
    cover_default: u32,
}

impl Book {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut book = Book {
            default: config.thresholds.clone(),
            buckets_a_second: 1_000.0 / config.bucket_ms as f64,
            ..Book::default()
        };
        book.cover_default = book.put(Rules::new(&config.thresholds, Kind::Cover, 1.0, book.buckets_a_second));
        for n in &config.networks {
            let own = n.thresholds.as_ref().map(|t| t.over(&config.thresholds));
            let t = own.as_ref().unwrap_or(&config.thresholds);
            let host = book.put(Rules::new(t, Kind::Host, 1.0, book.buckets_a_second));
            let customer = book.put(Rules::new(t, Kind::Customer, covers_of(n.prefix), book.buckets_a_second));
            book.ceilings.push(Ceiling::of(&book.rules[host as usize]));
            book.per_net.push((host, customer));
            if let Some(own) = own {
                book.nets.push((n.prefix, own));
            }
        }
        Ok(book)
    }

    fn put(&mut self, rules: Rules) -> u32 {
        let at = self.rules.iter().position(|r| *r == rules).unwrap_or_else(|| {
            self.rules.push(rules);
            self.rules.len() - 1
        });
        u32::try_from(at).unwrap_or(0)
    }

    /// Of an address in network `net`.
    pub(crate) fn host(&self, net: u32) -> u32 {
        self.per_net.get(net as usize).map_or(0, |x| x.0)
    }
    /// Up to where an address in network `net` is quiet; nothing is for an unknown network.
    #[inline]
    pub(crate) fn ceiling(&self, net: u32) -> Ceiling {
        self.ceilings.get(net as usize).copied().unwrap_or_default()
    }
    /// Of network `net` as a whole.
    pub(crate) fn customer(&self, net: u32) -> u32 {
        self.per_net.get(net as usize).map_or(0, |x| x.1)
    }
    /// Of a covering prefix: the most lenient of the networks it touches, else one big server in it would be an
    /// attack on its neighbours.
    pub(crate) fn cover(&mut self, cover: IpNet) -> u32 {
        let mut merged: Option<Thresholds> = None;
        for (prefix, t) in &self.nets {
            if prefix.contains(&cover) || cover.contains(prefix) {
                let base = merged.take().unwrap_or_else(|| self.default.clone());
                merged = Some(lenient(&base, t));
            }
        }
        match merged {
            None => self.cover_default,
            Some(t) => self.put(Rules::new(&t, Kind::Cover, 1.0, self.buckets_a_second)),
        }
    }
}

/// Number of covering prefixes in a prefix, at least 1; above 4,096 it makes no difference any more.
fn covers_of(prefix: IpNet) -> f64 {
    let cover = if prefix.addr().is_ipv4() { 24 } else { 48 };
    2f64.powi(cover - i32::from(prefix.prefix_len())).clamp(1.0, 4_096.0)
}

fn lenient(a: &Thresholds, b: &Thresholds) -> Thresholds {
    fn more<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
        a.zip(b).map(|(a, b)| a.max(b))
    }
    let limit =
        |a: Limit, b: Limit| Limit { bps: more(a.bps, b.bps), pps: more(a.pps, b.pps), fps: more(a.fps, b.fps) };
    let mut out = a.clone();
    out.total = limit(a.total, b.total);
    out.vectors.retain(|v, _| b.vectors.contains_key(v));
    for (v, l) in &mut out.vectors {
        *l = limit(*l, b.vectors[v]);
    }
    let most = |a: Option<f64>, b: Option<f64>, usual: f64| Some(a.unwrap_or(usual).max(b.unwrap_or(usual)));
    out.cover_multiple = most(a.cover_multiple, b.cover_multiple, COVER_MULTIPLE);
    out.aggregate_ratio = most(a.aggregate_ratio, b.aggregate_ratio, AGGREGATE_RATIO);
    out
}
