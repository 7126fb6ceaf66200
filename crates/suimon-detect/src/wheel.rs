//! Long flows: a flow that lasted for a minute contributes its own rate for a minute, not all of it when it arrives.

use crate::slot::Standing;

/// One flow's rate and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Long {
    pub entity: u32,
    pub generation: u32,
    pub cover: u32,
    pub customer: u32,
    pub vector: u8,
    pub rate: Standing,
}

/// Expiries by bucket; adding and expiring cost the same however many there are.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<Long>>,
    len: usize,
    max: usize,
}

impl Wheel {
    /// For expiries up to `buckets` ahead.
    pub(crate) fn new(buckets: usize, max: usize) -> Self {
        Wheel { slots: vec![Vec::new(); buckets + 2], len: 0, max }
    }
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    /// Buckets ahead that fit.
    pub(crate) fn reach(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX) - 2
    }
    /// Whether another one fits under the bound.
    pub(crate) fn has_room(&self) -> bool {
        self.len < self.max
    }
    /// To expire when bucket `at` closes.
    pub(crate) fn add(&mut self, at: u32, long: Long) {
        let n = self.slots.len();
        self.slots[at as usize % n].push(long);
        self.len += 1;
    }
    /// What expires when bucket `at` closes.
    pub(crate) fn expire(&mut self, at: u32) -> Vec<Long> {
        let n = self.slots.len();
        let due = std::mem::take(&mut self.slots[at as usize % n]);
        self.len -= due.len();
        due
    }
    /// Everything, as when the length of a bucket changes.
    pub(crate) fn drain(&mut self) -> Vec<Long> {
        self.len = 0;
        self.slots.iter_mut().flat_map(std::mem::take).collect()
    }
}
