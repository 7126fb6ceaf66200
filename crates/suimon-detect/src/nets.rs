//! Longest match over the protected networks: flat, disjoint, sorted ranges (an address costs one binary search).

use ipnet::IpNet;
use std::net::IpAddr;

#[derive(Clone, Debug, Default)]
pub(crate) struct Nets {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// Starts of ranges, each valid up to the next start.
#[derive(Clone, Debug, Default)]
struct Ranges<T> {
    starts: Vec<T>,
    net: Vec<u32>,
}

/// No network.
pub(crate) const NONE: u32 = u32::MAX;

impl<T: Ord + Copy> Ranges<T> {
    fn find(&self, a: T) -> Option<u32> {
        let at = self.starts.partition_point(|s| *s <= a).checked_sub(1)?;
        Some(self.net[at]).filter(|n| *n != NONE)
    }
}

/// The range of IPv4 addresses that was found last: flows that come together are often of one network, and most other
/// ends lie in the same gap between the networks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    first: u32,
    /// Addresses behind the first.
    more: u32,
    net: u32,
}

impl Near {
    /// No range yet: the look-up of the first address fills it.
    pub(crate) fn new(nets: &Nets) -> Self {
        nets.range(0)
    }
}

impl Nets {
    /// Of several equal prefixes the last one counts.
    pub(crate) fn new(prefixes: &[IpNet]) -> Self {
        let of = |v4: bool| -> Vec<(u128, u128, u32)> {
            let mut list: Vec<(u128, u128, u8, u32)> = Vec::new();
            for (i, p) in (0u32..).zip(prefixes) {
                if p.addr().is_ipv4() == v4 {
                    list.push((number(p.network()), number(p.broadcast()), p.prefix_len(), i));
                }
            }
            list.sort_by_key(|x| (x.0, x.2, x.3));
            list.into_iter().map(|(lo, hi, _, i)| (lo, hi, i)).collect()
        };
        let (starts, net) = flatten(&of(true));
        let v4 = Ranges { starts: starts.into_iter().filter_map(|s| u32::try_from(s).ok()).collect(), net };
        let (starts, net) = flatten(&of(false));
        Nets { v4, v6: Ranges { starts, net } }
    }

    /// Index of the longest prefix that contains the address.
    pub(crate) fn find(&self, a: IpAddr) -> Option<u32> {
        match a {
            IpAddr::V4(a) => self.v4.find(a.into()),
            IpAddr::V6(a) => self.v6.find(a.into()),
        }
    }

    /// [`Nets::find`] that looks at the range found last first; [`NONE`] where no prefix contains the address.
    #[inline]
    pub(crate) fn find_near(&self, a: IpAddr, near: &mut Near) -> u32 {
        let IpAddr::V4(a) = a else { return self.find(a).unwrap_or(NONE) };
        let a = u32::from(a);
        if a.wrapping_sub(near.first) > near.more {
            *near = self.range(a);
        }
        near.net
    }

    fn range(&self, a: u32) -> Near {
        let starts = &self.v4.starts;
        let before = starts.partition_point(|s| *s <= a);
        let (first, net) = before.checked_sub(1).map_or((0, NONE), |at| (starts[at], self.v4.net[at]));
        let last = starts.get(before).map_or(u32::MAX, |next| next - 1);
        Near { first, more: last - first, net }
    }
}

fn number(a: IpAddr) -> u128 {
    match a {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => a.into(),
    }
}

/// Nested ranges, sorted by start and then outer first, into disjoint ones.
fn flatten(list: &[(u128, u128, u32)]) -> (Vec<u128>, Vec<u32>) {
    let mut starts: Vec<u128> = Vec::new();
    let mut nets: Vec<u32> = Vec::new();
    let mut put = |at: u128, net: u32| {
        if starts.last() == Some(&at) {
            if let Some(last) = nets.last_mut() {
                *last = net;
            }
        } else {
            starts.push(at);
            nets.push(net);
        }
    };
    let mut open: Vec<(u128, u32)> = Vec::new();
    let close_before = |open: &mut Vec<(u128, u32)>, limit: Option<u128>, put: &mut dyn FnMut(u128, u32)| {
        while let Some(&(hi, _)) = open.last() {
            if limit.is_some_and(|l| hi >= l) {
                break;
            }
            open.pop();
            // After the very last address nothing follows.
            if let Some(next) = hi.checked_add(1) {
                put(next, open.last().map_or(NONE, |o| o.1));
            }
        }
    };
    for &(lo, hi, net) in list {
        close_before(&mut open, Some(lo), &mut put);
        put(lo, net);
        open.push((hi, net));
    }
    close_before(&mut open, None, &mut put);
    (starts, nets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition: the longest of all that contain the address.
        #[test]
        fn longest_match(list in proptest::collection::vec((any::<u8>(), 0u8..=8), 0..12), a in any::<u8>(), six in any::<bool>()) {
            let base = |x: u8| -> IpAddr {
                if six { format!("2001:db8::{x:x}").parse().unwrap() } else { std::net::Ipv4Addr::from(0xffff_ff00 | u32::from(x)).into() }
            };
            let full = if six { 128 } else { 32 };
            let nets: Vec<IpNet> = list.iter().map(|(x, l)| IpNet::new(base(*x), full - 8 + l).unwrap().trunc()).collect();
            let compiled = Nets::new(&nets);
            let found = compiled.find(base(a)).map(|i| nets[i as usize]);
            let wanted = nets.iter().filter(|n| n.contains(&base(a))).max_by_key(|n| n.prefix_len()).copied();
            prop_assert_eq!(found, wanted);
        }

        /// Whatever was looked up before.
        #[test]
        fn near_is_found_as_well(list in proptest::collection::vec((any::<u8>(), 24u8..=32), 0..12), asked in proptest::collection::vec(any::<u32>(), 1..40)) {
            let base = |x: u32| std::net::Ipv4Addr::from(0xffff_fe00 | x & 0x1ff);
            let nets: Vec<IpNet> =
                list.iter().map(|(x, l)| IpNet::new(base(u32::from(*x)).into(), *l).unwrap().trunc()).collect();
            let nets = Nets::new(&nets);
            let mut near = Near::new(&nets);
            for x in asked {
                let a = if x % 16 == 0 { std::net::Ipv4Addr::from(x) } else { base(x >> 8) };
                prop_assert_eq!(nets.find_near(a.into(), &mut near), nets.find(a.into()).unwrap_or(NONE));
            }
        }
    }
}
