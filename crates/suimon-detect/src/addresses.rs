//! Under which number an address is counted.
//!
//! IPv4 goes by /24: one small table of these, and a row of 256 numbers for each. A provider's addresses lie close
//! together, so this is a fraction of what a table of single addresses takes, and most look-ups stay in a near cache.

use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::IpAddr;

/// No number.
const NONE: u32 = u32::MAX;

/// Addresses of one direction.
pub(crate) struct Addresses {
    blocks: HashMap<u32, u32, FixedState>,
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

impl Addresses {
    pub(crate) fn new(state: FixedState) -> Self {
        Addresses {
            blocks: HashMap::with_hasher(state.clone()),
            rows: Vec::new(),
            free: Vec::new(),
            v6: HashMap::with_hasher(state),
        }
    }

    #[inline]
    pub(crate) fn get(&self, addr: IpAddr) -> Option<u32> {
        match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                let row = self.blocks.get(&(a >> 8))?;
                Some(self.rows.get(*row as usize)?.numbers[(a & 0xff) as usize]).filter(|n| *n != NONE)
            }
            IpAddr::V6(a) => self.v6.get(&u128::from(a)).copied(),
        }
    }

    /// Gives an address a number, or another one.
    pub(crate) fn set(&mut self, addr: IpAddr, number: u32) {
        match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                let row = *self.blocks.entry(a >> 8).or_insert_with(|| {
                    self.free.pop().unwrap_or_else(|| {
                        self.rows.push(Row { numbers: [NONE; 256], used: 0 });
                        u32::try_from(self.rows.len() - 1).unwrap_or(NONE)
                    })
                });
                let row = &mut self.rows[row as usize];
                let place = &mut row.numbers[(a & 0xff) as usize];
                row.used += u16::from(*place == NONE);
                *place = number;
            }
            IpAddr::V6(a) => {
                self.v6.insert(a.into(), number);
            }
        }
    }

    pub(crate) fn remove(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                let Some(&at) = self.blocks.get(&(a >> 8)) else { return };
                let row = &mut self.rows[at as usize];
                let place = &mut row.numbers[(a & 0xff) as usize];
                row.used -= u16::from(*place != NONE);
                *place = NONE;
                if row.used == 0 {
                    self.blocks.remove(&(a >> 8));
                    self.free.push(at);
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
            prop_assert_eq!(ours.blocks.len(), rows.len(), "rows without addresses are given back");
        }
    }
}
