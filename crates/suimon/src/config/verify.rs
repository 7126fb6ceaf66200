//! `[verify]`: how often the hands look at the network, and after how long somebody is told.

use crate::exit::bad_input;
use serde::Deserialize;
use suimon_spine::VerifySettings;

/// The section. Every key has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Section {
    every_s: Option<u64>,
    start_bound_s: Option<u64>,
    alarm_after_s: Option<u64>,
    silent_minutes: Option<u64>,
}

impl Section {
    /// Checked, in milliseconds.
    ///
    /// # Errors
    /// Exit code 2 with the key and its bounds.
    pub fn settings(&self) -> anyhow::Result<VerifySettings> {
        let usual = VerifySettings::default();
        let within = |key: &str, value: Option<u64>, usual_ms: u64, unit_ms: u64, most: u64| match value {
            None => Ok(usual_ms),
            Some(n) if (1..=most).contains(&n) => Ok(n * unit_ms),
            Some(n) => Err(bad_input(format!("verify.{key} {n}: from 1 to {most}"))),
        };
        let ms = |n: i64| u64::try_from(n).unwrap_or_default();
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Ok(VerifySettings {
            every_ms: within("every-s", self.every_s, usual.every_ms, 1_000, 3_600)?,
            start_bound_ms: within("start-bound-s", self.start_bound_s, usual.start_bound_ms, 1_000, 600)?,
            alarm_after_ms: signed(within(
                "alarm-after-s",
                self.alarm_after_s,
                ms(usual.alarm_after_ms),
                1_000,
                86_400,
            )?),
            silent_ms: signed(within("silent-minutes", self.silent_minutes, ms(usual.silent_ms), 60_000, 525_600)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_usual_and_what_cannot_be_is_refused() {
        let read = |text: &str| toml::from_str::<Section>(text).unwrap().settings();
        assert_eq!(read("").unwrap(), VerifySettings::default());
        assert_eq!(read("every-s = 2\nsilent-minutes = 10").unwrap().silent_ms, 600_000);
        assert!(format!("{:#}", read("every-s = 0").unwrap_err()).contains("verify.every-s 0: from 1 to 3600"));
        assert!(toml::from_str::<Section>("every = 2").is_err());
    }
}
