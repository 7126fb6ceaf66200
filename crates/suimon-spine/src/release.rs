//! How measures end: what the operator sets.

use serde::{Deserialize, Serialize};

/// `[release]` of the configuration. Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ReleaseSettings {
    /// Contacts are to be told this long before a release that can be foreseen; 0 switches it off.
    pub notice_s: u64,
    /// The quiet that is asked for doubles with each return of an attack, up to this.
    pub quiet_cap_s: u64,
    /// Attacks on the same target within this time after a release count as its return.
    pub return_within_s: u64,
    /// Hands are asked this often how much room their devices have left.
    pub budget_every_s: u64,
    /// What arrives is put on record this long after a release.
    pub flows_after_s: u64,
    /// A measure that has stood longer than this without renewal is stale.
    pub stale_after_s: u64,
    /// Trial openings.
    pub probe: ProbeSettings,
}

/// `[release.probe]`: whether a filter may be opened for a moment to see whether the attack is still there, where neither
/// flows nor counters tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ProbeSettings {
    /// Off unless switched on.
    pub enabled: bool,
    /// How long it is open, in seconds. Longer than the routers' active timeout, or flows come too late.
    pub open_s: u64,
    /// So many packets of the attack may pass before it is closed at once.
    pub most_packets: u64,
    /// Waits between openings double up to this, in seconds.
    pub cap_s: u64,
}

impl Default for ReleaseSettings {
    fn default() -> Self {
        ReleaseSettings {
            notice_s: 600,
            quiet_cap_s: 86_400,
            return_within_s: 7 * 86_400,
            budget_every_s: 600,
            flows_after_s: 60,
            stale_after_s: 7 * 86_400,
            probe: ProbeSettings::default(),
        }
    }
}

impl Default for ProbeSettings {
    fn default() -> Self {
        ProbeSettings { enabled: false, open_s: 30, most_packets: 100_000, cap_s: 86_400 }
    }
}

/// Longest time that a trial opening may last, in seconds.
pub const MAX_OPEN_S: u64 = 600;

impl ReleaseSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self) -> Result<(), String> {
        let year = suimon_base::end::MAX_END_SECONDS;
        for (key, value, least, most) in [
            ("notice-s", self.notice_s, 0, 7 * 86_400),
            ("quiet-cap-s", self.quiet_cap_s, 1, year),
            ("return-within-s", self.return_within_s, 0, year),
            ("budget-every-s", self.budget_every_s, 60, 86_400),
            ("flows-after-s", self.flows_after_s, 0, 3_600),
            ("stale-after-s", self.stale_after_s, 60, year),
            ("probe.open-s", self.probe.open_s, 1, MAX_OPEN_S),
            ("probe.most-packets", self.probe.most_packets, 1, 1_000_000_000),
            ("probe.cap-s", self.probe.cap_s, 60, year),
        ] {
            if value < least || value > most {
                return Err(format!("release.{key}: {value} is not between {least} and {most}"));
            }
        }
        Ok(())
    }
}

/// Seconds as milliseconds; what is checked fits.
pub(crate) fn ms(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work_and_nonsense_does_not() {
        assert_eq!(ReleaseSettings::default().check(), Ok(()));
        let bad = ReleaseSettings { budget_every_s: 0, ..ReleaseSettings::default() };
        assert!(bad.check().unwrap_err().contains("budget-every-s"));
        let probe = ProbeSettings { open_s: MAX_OPEN_S + 1, ..ProbeSettings::default() };
        let bad = ReleaseSettings { probe, ..ReleaseSettings::default() };
        assert!(bad.check().unwrap_err().contains("probe.open-s"));
    }
}
