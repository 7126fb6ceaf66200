//! Under which number an address is counted.
//!
//! IPv4 goes by its octets, through two small tables to a row of 256 numbers for each /24. A provider's addresses lie close
//! together, so this is a fraction of what a hash table of single addresses takes, and most look-ups stay in a near cache.

use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::IpAddr;

/// No number.
const NONE: u32 = u32::MAX;

/// Addresses of one direction.
pub(crate) struct Addresses {
    /// By the upper two octets: one more than the place in `middle`, 0 for none. Zeros need no memory until they are read.
    top: Vec<u32>,
    /// By the third octet: one more than the place in `rows`, 0 for none. As many as /16 that were ever met.
    middle: Vec<[u32; 256]>,
    rows: Vec<Row>,
    free: Vec<u32>,
    v6: HashMap<u128, u32, FixedState>,
}

/// The addresses of a /24.
#[derive(Clone)]
struct Row {
    numbers: [u32; 256],
    used: u16,
}

/// The upper two octets, the third and the last.
#[inline]
fn parts(addr: u32) -> (usize, usize, usize) {
    ((addr >> 16) as usize, (addr >> 8 & 0xff) as usize, (addr & 0xff) as usize)
}

impl Addresses {
    pub(crate) fn new(state: FixedState) -> Self {
        Addresses {
            top: vec![0; 1 << 16],
            middle: Vec::new(),
            rows: Vec::new(),
            free: Vec::new(),
            v6: HashMap::with_hasher(state),
        }
    }

    /// Place of the row of an IPv4 address.
    #[inline]
    fn row(&self, addr: u32) -> Option<usize> {
        let (high, third, _) = parts(addr);
        let middle = self.top[high].checked_sub(1)?;
        let row = self.middle.get(middle as usize)?[third].checked_sub(1)?;
        Some(row as usize)
    }

    #[inline]
    pub(crate) fn get(&self, addr: IpAddr) -> Option<u32> {
        match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                let row = self.rows.get(self.row(a)?)?;
                Some(row.numbers[parts(a).2]).filter(|n| *n != NONE)
            }
            IpAddr::V6(a) => self.v6.get(&u128::from(a)).copied(),
        }
    }

    /// Gives an address a number, or another one.
    pub(crate) fn set(&mut self, addr: IpAddr, number: u32) {
        match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                let at = self.row(a).unwrap_or_else(|| self.open(a));
                let row = &mut self.rows[at];
                let place = &mut row.numbers[parts(a).2];
                row.used += u16::from(*place == NONE);
                *place = number;
            }
            IpAddr::V6(a) => {
                self.v6.insert(a.into(), number);
            }
        }
    }

    /// An empty row for the /24 of an address that has none.
    fn open(&mut self, addr: u32) -> usize {
        let (high, third, _) = parts(addr);
        if self.top[high] == 0 {
            self.middle.push([0; 256]);
            self.top[high] = self.middle.len() as u32;
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Row { numbers: [NONE; 256], used: 0 });
            self.rows.len() as u32 - 1
        });
        self.middle[self.top[high] as usize - 1][third] = at + 1;
        at as usize
    }

    pub(crate) fn remove(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                let (high, third, last) = parts(a);
                let Some(at) = self.row(a) else { return };
                let row = &mut self.rows[at];
                row.used -= u16::from(row.numbers[last] != NONE);
                row.numbers[last] = NONE;
                if row.used == 0 {
                    self.middle[self.top[high] as usize - 1][third] = 0;
                    self.free.push(at as u32);
                }
            }
            IpAddr::V6(a) => {
                self.v6.remove(&u128::from(a));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a plain map, with addresses that share rows.
        #[test]
        fn like_a_map(steps in proptest::collection::vec((0u8..3, 0u8..6, any::<bool>(), 0u32..99), 0..200)) {
            let addr = |n: u8, six: bool| -> IpAddr {
                if six { format!("2001:db8::{n:x}").parse().unwrap() } else { [192, 0, n % 2, n].into() }
            };
            let mut ours = Addresses::new(FixedState::with_seed(1));
            let mut plain: BTreeMap<IpAddr, u32> = BTreeMap::new();
            for (what, n, six, number) in steps {
                let a = addr(n, six);
                match what {
                    0 | 1 => {
                        ours.set(a, number);
                        plain.insert(a, number);
                    }
                    _ => {
                        ours.remove(a);
                        plain.remove(&a);
                    }
                }
                for n in 0..6 {
                    for six in [false, true] {
                        prop_assert_eq!(ours.get(addr(n, six)), plain.get(&addr(n, six)).copied());
                    }
                }
            }
            let rows: std::collections::BTreeSet<u8> =
                plain.keys().filter_map(|a| if let IpAddr::V4(a) = a { Some(a.octets()[2]) } else { None }).collect();
            prop_assert_eq!(ours.rows.len() - ours.free.len(), rows.len(), "rows without addresses are given back");
        }
    }
}
