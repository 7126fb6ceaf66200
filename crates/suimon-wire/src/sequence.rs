//! Sequence numbers: what is missing, what came late, what was a restart.

use crate::summary::ExporterCounters;

/// A forward jump of more units than this is a restart, not loss.
const MAX_GAP_UNITS: u32 = 1 << 20;
/// A backward jump of more units than this is a restart, not reordering.
const MAX_LATE_UNITS: u32 = 1 << 16;
/// Consecutive late datagrams that continue each other: the exporter restarted close to where it was.
const LATE_RUN: u32 = 3;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    /// The number that the next datagram should carry; `None` when it cannot be known.
    next: Option<u32>,
    late_next: u32,
    late_run: u32,
}

impl Sequence {
    /// Notes a datagram with number `seq` that advances the sequence by `units`; `None` where the number of units is not
    /// known (IPFIX data of an unknown template).
    pub(crate) fn note(&mut self, seq: u32, units: Option<u32>, counters: &mut ExporterCounters) {
        let after = units.map(|n| seq.wrapping_add(n));
        let Some(expected) = self.next else {
            self.next = after;
            return;
        };
        let ahead = seq.wrapping_sub(expected);
        let behind = expected.wrapping_sub(seq);
        if ahead == 0 {
            self.late_run = 0;
            self.next = after;
        } else if ahead <= MAX_GAP_UNITS {
            counters.sequence_gaps += u64::from(ahead);
            self.late_run = 0;
            self.next = after;
        } else if behind <= MAX_LATE_UNITS {
            self.late_run = if self.late_run > 0 && seq == self.late_next { self.late_run + 1 } else { 1 };
            self.late_next = after.unwrap_or(seq);
            if self.late_run >= LATE_RUN {
                counters.sequence_resets += 1;
                self.late_run = 0;
                self.next = after;
            } else {
                counters.sequence_late += u64::from(units.unwrap_or(0));
            }
        } else {
            counters.sequence_resets += 1;
            self.late_run = 0;
            self.next = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: &[(u32, u32)]) -> ExporterCounters {
        let mut c = ExporterCounters::default();
        let mut s = Sequence::default();
        for &(seq, n) in steps {
            s.note(seq, Some(n), &mut c);
        }
        c
    }

    #[test]
    fn gaps_are_missing_units_over_the_wrap() {
        let c = run(&[(u32::MAX - 9, 5), (u32::MAX - 4, 5), (7, 3)]);
        assert_eq!((c.sequence_gaps, c.sequence_resets), (7, 0));
    }
    #[test]
    fn a_late_datagram_is_not_a_restart() {
        let c = run(&[(10, 1), (12, 1), (11, 1), (13, 1)]);
        assert_eq!((c.sequence_gaps, c.sequence_late, c.sequence_resets), (1, 1, 0));
    }
    #[test]
    fn restarts_near_and_far_are_seen() {
        let c = run(&[(5_000_000, 1), (0, 1), (1, 1)]);
        assert_eq!((c.sequence_gaps, c.sequence_resets), (0, 1));
        let c = run(&[(3_000, 1), (0, 1), (1, 1), (2, 1), (3, 1)]);
        assert_eq!((c.sequence_gaps, c.sequence_resets), (0, 1));
    }
}
