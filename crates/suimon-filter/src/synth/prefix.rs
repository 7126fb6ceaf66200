//! Prefixes that hold much of a weight, and none that only holds what chance put there.

use crate::range::{Family, bounds};
use ipnet::IpNet;
use std::net::IpAddr;

/// Most prefixes that are looked at.
pub const MAX_PREFIXES: usize = 24;

/// What a prefix needs to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Share of the whole weight.
    pub share: f64,
    /// Shortest length in IPv4.
    pub shortest_v4: u8,
    /// Shortest length in IPv6.
    pub shortest_v6: u8,
}

/// The number of an address.
pub fn number(a: IpAddr) -> (Family, u128) {
    match a {
        IpAddr::V4(a) => (Family::V4, u128::from(a.to_bits())),
        IpAddr::V6(a) => (Family::V6, a.to_bits()),
    }
}

/// The longest prefixes that hold their weight and have the share, the heaviest first (of equals the longer).
/// `weights` is sorted by address; negative weights count as nothing.
pub fn heavy(weights: &[(Family, u128, f64)], needs: Needs) -> Vec<IpNet> {
    let total: f64 = weights.iter().map(|w| w.2.max(0.0)).sum();
    let mut found: Vec<(f64, IpNet)> = Vec::new();
    for family in Family::BOTH {
        let shortest = if family == Family::V4 { needs.shortest_v4 } else { needs.shortest_v6 };
        let own: Vec<(u128, f64)> = weights.iter().filter(|w| w.0 == family && w.2 > 0.0).map(|w| (w.1, w.2)).collect();
        let mut sums = vec![0.0];
        for w in &own {
            sums.push(sums.last().copied().unwrap_or(0.0) + w.1);
        }
        walk(&own, &sums, (0, own.len()), family, &mut |net, weight| {
            if net.prefix_len() >= shortest && total > 0.0 && weight >= needs.share * total {
                found.push((weight, net));
            }
            weight >= needs.share * total
        });
    }
    // A prefix that one of its parts nearly fills says nothing new.
    let all = found.clone();
    found.retain(|(w, net)| !all.iter().any(|(x, n)| n != net && net.contains(n) && *x >= 0.995 * w));
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.prefix_len().cmp(&a.1.prefix_len())).then(a.1.cmp(&b.1)));
    found.truncate(MAX_PREFIXES);
    found.into_iter().map(|f| f.1).collect()
}

/// Calls `see` with each prefix at which the addresses part, and goes on below it where that says so.
fn walk(
    own: &[(u128, f64)],
    sums: &[f64],
    (from, to): (usize, usize),
    family: Family,
    see: &mut impl FnMut(IpNet, f64) -> bool,
) {
    let (Some(first), Some(last)) = (own.get(from), own.get(to.wrapping_sub(1))) else { return };
    if from >= to {
        return;
    }
    let bits = family.bits();
    let apart = 128 - (first.0 ^ last.0).leading_zeros() as u8;
    let len = bits - apart;
    let net = family.net(if apart >= 128 { 0 } else { first.0 >> apart << apart }, len);
    if !see(net, sums[to] - sums[from]) || apart == 0 {
        return;
    }
    let middle = last.0 >> (apart - 1) << (apart - 1);
    let cut = from + own[from..to].partition_point(|w| w.0 < middle);
    walk(own, sums, (from, cut), family, see);
    walk(own, sums, (cut, to), family, see);
}

/// Which of the prefixes an address is in: the longest one's index. Prefixes are nested or apart.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The prefixes.
    pub nets: Vec<IpNet>,
    /// Disjoint runs of addresses with the index of their longest prefix, sorted.
    runs: Vec<(Family, u128, u128, u16)>,
}

impl Places {
    /// From prefixes.
    pub fn new(nets: Vec<IpNet>) -> Places {
        let mut edges: Vec<(Family, u128)> = Vec::new();
        for n in &nets {
            let (f, (lo, hi)) = (Family::of_net(n), bounds(n));
            edges.push((f, lo));
            if hi < f.max() {
                edges.push((f, hi + 1));
            }
        }
        edges.sort_unstable();
        edges.dedup();
        let mut runs = Vec::new();
        for (i, &(f, lo)) in edges.iter().enumerate() {
            let hi = edges.get(i + 1).filter(|e| e.0 == f).map_or(f.max(), |e| e.1 - 1);
            let inside = |n: &&IpNet| Family::of_net(n) == f && bounds(n).0 <= lo && hi <= bounds(n).1;
            let deepest = nets.iter().filter(inside).max_by_key(|n| n.prefix_len());
            if let Some(at) = deepest.and_then(|d| nets.iter().position(|n| n == d)) {
                runs.push((f, lo, hi, at as u16));
            }
        }
        Places { nets, runs }
    }

    /// The index of the longest prefix around an address.
    pub fn of(&self, a: IpAddr) -> Option<u16> {
        let (f, n) = number(a);
        let at = self.runs.partition_point(|r| (r.0, r.1) <= (f, n)).checked_sub(1)?;
        self.runs.get(at).filter(|r| r.0 == f && n <= r.2).map(|r| r.3)
    }

    /// The indices that lie within prefix `at`, itself included.
    pub fn within(&self, at: usize) -> Vec<u16> {
        let Some(outer) = self.nets.get(at) else { return Vec::new() };
        (0..self.nets.len()).filter(|&i| outer.contains(&self.nets[i])).map(|i| i as u16).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&str, f64)]) -> Vec<(Family, u128, f64)> {
        let mut out: Vec<_> = list
            .iter()
            .map(|(a, w)| {
                let (f, n) = number(a.parse().unwrap());
                (f, n, *w)
            })
            .collect();
        out.sort_by_key(|a| (a.0, a.1));
        out
    }

    const NEEDS: Needs = Needs { share: 0.02, shortest_v4: 8, shortest_v6: 19 };

    #[test]
    fn a_host_is_a_host_and_a_carpet_a_prefix() {
        let one = heavy(&of(&[("192.0.2.7", 10.0)]), NEEDS);
        assert_eq!(one, ["192.0.2.7/32".parse().unwrap()]);
        let carpet: Vec<(String, f64)> = (0..=255).map(|i| (format!("192.0.2.{i}"), 1.0)).collect();
        let carpet: Vec<(&str, f64)> = carpet.iter().map(|c| (c.0.as_str(), c.1)).collect();
        assert_eq!(heavy(&of(&carpet), NEEDS)[0], "192.0.2.0/24".parse().unwrap());
    }

    #[test]
    fn invented_sources_give_no_prefix() {
        let spread: Vec<(Family, u128, f64)> =
            (0..200_000u64).map(|i| (Family::V4, u128::from((i * 21_474 + 7) as u32), 1.0)).collect();
        assert_eq!(heavy(&spread, NEEDS), Vec::<IpNet>::new());
    }

    #[test]
    fn places_are_the_longest_prefix() {
        let nets = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"];
        let p = Places::new(nets.iter().map(|n| n.parse().unwrap()).collect());
        let at = |a: &str| p.of(a.parse().unwrap());
        assert_eq!([at("10.0.0.1"), at("10.1.2.3"), at("10.2.0.0"), at("11.0.0.0")], [Some(0), Some(1), Some(0), None]);
        assert_eq!([at("2001:db8::1"), at("::1"), at("2001:db9::")], [Some(2), None, None]);
        assert_eq!(p.within(0), [0, 1]);
    }
}
