//! Who is behind whom: customer cones and the origins of routes (子AS・孫AS; catalogue rows 97–101).

use super::mrt::{self, MrtError};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use suimon_base::Asn;

/// Most relations and origins, together. The Internet has a million routes and half a million relations.
pub const MAX_ENTRIES: usize = 8_000_000;
/// The AS number that stands for nobody (RFC 7607).
const NO_AS: u32 = 0;

/// A text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ConeError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Relations between ASes and the origins of prefixes.
#[derive(Clone, Debug, Default)]
pub struct Cone {
    customers: BTreeMap<Asn, BTreeSet<Asn>>,
    origins: BTreeMap<(IpAddr, u8), BTreeSet<Asn>>,
    entries: usize,
    live: Option<Arc<Cone>>,
}

fn asn(text: &str) -> Option<Asn> {
    let digits = text.trim().trim_start_matches("AS").trim_start_matches("as");
    digits.parse().ok().filter(|n| *n != NO_AS).map(Asn)
}

impl Cone {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.live.as_ref().is_none_or(|l| l.is_empty())
    }

    /// Lays what is known at the moment over what files say; both count.
    pub fn set_live(&mut self, live: Option<Arc<Cone>>) {
        self.live = live;
    }

    fn room(&mut self, line: usize) -> Result<(), ConeError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(ConeError { line, reason: format!("more than {MAX_ENTRIES} entries") });
        }
        Ok(())
    }

    /// Adds `provider|customer|-1` lines (the AS relationship files of CAIDA, "serial-1"; further columns are ignored).
    /// Lines of peers (`|0`) say nothing about cones.
    ///
    /// # Errors
    /// At the first line that is neither such a line nor a comment.
    pub fn add_relationships(&mut self, text: &str) -> Result<(), ConeError> {
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut parts = line.split('|');
            let read = (parts.next().and_then(asn), parts.next().and_then(asn), parts.next());
            let (Some(provider), Some(customer), Some(kind @ ("-1" | "0"))) = read else {
                return Err(ConeError { line: i + 1, reason: "not `provider|customer|-1`".into() });
            };
            if kind == "-1" {
                self.room(i + 1)?;
                self.customers.entry(provider).or_default().insert(customer);
            }
        }
        Ok(())
    }

    /// Adds origins: `192.0.2.0/24 64500` lines, RPKI CSV (`AS64500,192.0.2.0/24,24,…`), or IRR objects with `route:` or
    /// `route6:` and `origin:` (their other attributes are ignored).
    ///
    /// # Errors
    /// At the first line that is none of these.
    pub fn add_origins(&mut self, text: &str) -> Result<(), ConeError> {
        let mut object: Option<IpNet> = None;
        let mut in_object = false;
        for (i, raw) in text.lines().enumerate() {
            let line = raw.trim();
            let bad = |reason: &str| Err(ConeError { line: i + 1, reason: reason.to_owned() });
            if line.is_empty() {
                (object, in_object) = (None, false);
                continue;
            }
            if line.starts_with(['#', '%']) || line.to_ascii_lowercase().starts_with("asn,ip prefix") {
                continue;
            }
            if let Some((name, value)) = line.split_once(':')
                && (in_object || matches!(name, "route" | "route6" | "origin"))
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && name.parse::<u16>().is_err()
            {
                in_object = true;
                match name {
                    "route" | "route6" => match value.trim().parse() {
                        Ok(net) => object = Some(net),
                        Err(_) => return bad("the route is not a prefix"),
                    },
                    "origin" => match (object, asn(value)) {
                        (Some(net), Some(origin)) => self.add_origin(i + 1, net, origin)?,
                        _ => return bad("an origin without route, or not an AS number"),
                    },
                    _ => {}
                }
                continue;
            }
            if in_object && raw.starts_with([' ', '\t', '+']) {
                continue;
            }
            let parts: Vec<&str> = line.split([',', ' ', '\t']).filter(|p| !p.is_empty()).collect();
            let read = |net: &str, origin: &str| Some((net.parse::<IpNet>().ok()?, asn(origin)?));
            match parts.get(..2).and_then(|p| read(p[0], p[1]).or_else(|| read(p[1], p[0]))) {
                Some((net, origin)) => self.add_origin(i + 1, net, origin)?,
                None => return bad("neither `prefix AS`, nor RPKI CSV, nor an IRR object"),
            }
        }
        Ok(())
    }

    fn add_origin(&mut self, line: usize, net: IpNet, origin: Asn) -> Result<(), ConeError> {
        self.room(line)?;
        self.origins.entry((net.network(), net.prefix_len())).or_default().insert(origin);
        Ok(())
    }

    /// Adds a RIB dump: origins of every route, and, from paths that start with one of `direct` (our customers, who send
    /// us only their cones) or with `own` and then one of them, who is behind whom.
    ///
    /// # Errors
    /// When the dump cannot be read.
    pub fn add_rib(&mut self, dump: &[u8], own: Asn, direct: &[Asn]) -> Result<(), MrtError> {
        let mut full = false;
        mrt::read(dump, &mut |net, path| {
            let mut path: Vec<Asn> = path.to_vec();
            path.dedup();
            if path.first() == Some(&own) {
                path.remove(0);
            }
            let Some(origin) = path.last().copied() else { return };
            full |= self.add_origin(0, net, origin).is_err();
            if path.first().is_some_and(|first| direct.contains(first)) {
                for pair in path.windows(2) {
                    full |= self.room(0).is_err();
                    if !full {
                        self.customers.entry(pair[0]).or_default().insert(pair[1]);
                    }
                }
            }
        })?;
        if full { Err(MrtError { offset: 0, reason: "more routes than can be kept" }) } else { Ok(()) }
    }

    /// Adds a relation: `below` is a customer of `above`. `false` when there is no room.
    pub fn add_customer(&mut self, above: Asn, below: Asn) -> bool {
        let known = self.customers.get(&above).is_some_and(|c| c.contains(&below));
        let room = known || self.room(0).is_ok();
        if room {
            self.customers.entry(above).or_default().insert(below);
        }
        room
    }

    /// Adds a route and its origin. `false` when there is no room.
    pub fn add_route(&mut self, net: IpNet, origin: Asn) -> bool {
        let net = net.trunc();
        let known = self.origins.get(&(net.network(), net.prefix_len())).is_some_and(|o| o.contains(&origin));
        known || self.add_origin(0, net, origin).is_ok()
    }

    /// Every AS below `of`, with the least number of steps to it: 1 is a customer (子AS), 2 a customer's (孫AS).
    /// Loops in the data end.
    pub fn descendants(&self, of: Asn) -> BTreeMap<Asn, u32> {
        let mut depth = BTreeMap::from([(of, 0)]);
        let mut queue = VecDeque::from([of]);
        while let Some(at) = queue.pop_front() {
            let next = depth.get(&at).map_or(1, |d| d + 1);
            let live = self.live.iter().filter_map(|l| l.customers.get(&at));
            for below in self.customers.get(&at).into_iter().chain(live).flatten() {
                if !depth.contains_key(below) {
                    depth.insert(*below, next);
                    queue.push_back(*below);
                }
            }
        }
        depth.remove(&of);
        depth
    }

    /// Routes that share addresses with `net`: those within it, and the longest that covers it.
    pub fn routes_of(&self, net: IpNet) -> Vec<(IpNet, Asn)> {
        let net = net.trunc();
        let mut out = self.live.as_ref().map(|l| l.routes_of(net)).unwrap_or_default();
        let mut push = |(addr, len): (IpAddr, u8), origins: &BTreeSet<Asn>| {
            if let Ok(route) = IpNet::new(addr, len) {
                out.extend(origins.iter().map(|o| (route, *o)));
            }
        };
        let covering = (0..=net.prefix_len()).rev().find_map(|len| {
            let wider = IpNet::new(net.network(), len).ok()?.trunc();
            let key = (wider.network(), len);
            self.origins.get(&key).map(|o| (key, o))
        });
        if let Some((key, origins)) = covering {
            push(key, origins);
        }
        for (key, origins) in self.origins.range((net.network(), net.prefix_len() + 1)..=(net.broadcast(), u8::MAX)) {
            if key.1 > net.prefix_len() && net.contains(&key.0) {
                push(*key, origins);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cones_are_recursive_and_loops_end() {
        let mut c = Cone::default();
        c.add_relationships("# c\n64500|64501|-1\n64501|64502|-1|bgp\n64502|64503|-1\n64503|64501|-1\n64500|64510|0\n")
            .unwrap();
        let below = c.descendants(Asn(64500));
        assert_eq!(below, BTreeMap::from([(Asn(64501), 1), (Asn(64502), 2), (Asn(64503), 3)]));
        assert_eq!(c.descendants(Asn(64510)), BTreeMap::new());
        for bad in ["64500|x|-1", "64500|64501", "64500|64501|2", "0|64501|-1"] {
            assert_eq!(c.add_relationships(bad).unwrap_err().line, 1, "{bad}");
        }
    }

    #[test]
    fn origins_in_three_forms() {
        let mut c = Cone::default();
        c.add_origins(
            "192.0.2.0/24 64500\n# x\nASN,IP Prefix,Max Length,Trust Anchor\nAS64501,198.51.100.0/24,24,ta\n",
        )
        .unwrap();
        c.add_origins("route: 203.0.113.0/24\ndescr: words: more\n  and more\norigin: AS64502\n\nroute6: 2001:db8::/32\norigin: as64503\n")
            .unwrap();
        c.add_origins("2001:db8:1::/48 AS64504\n").unwrap();
        let of = |t: &str| c.routes_of(t.parse().unwrap()).into_iter().map(|r| r.1.0).collect::<Vec<_>>();
        assert_eq!(of("192.0.2.1/32"), [64500]);
        assert_eq!(of("198.51.100.0/24"), [64501]);
        assert_eq!(of("203.0.112.0/23"), [64502]);
        assert_eq!(of("2001:db8:1::1/128"), [64504]);
        assert_eq!(of("2001:db8::/32"), [64503, 64504]);
        assert_eq!(of("0.0.0.0/0"), [64500, 64501, 64502]);
        assert!(of("10.0.0.0/8").is_empty());
        for bad in ["x", "192.0.2.0/33 64500", "route: x", "origin: AS1", "192.0.2.0/24 AS0"] {
            assert!(c.add_origins(bad).is_err(), "{bad}");
        }
    }
}
