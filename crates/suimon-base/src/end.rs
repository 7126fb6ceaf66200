//! When a measure ends. There is no measure without an end (catalogue rows 137–142).

use crate::Timestamp;
use crate::calendar::BusinessCalendar;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The end condition of a measure, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum End {
    /// After this many seconds in force.
    Duration {
        /// Seconds from the moment of application.
        seconds: u64,
    },
    /// At `hour`:00 Japanese time of the next business day after the day of application.
    NextBusinessDay {
        /// Hour of the day, 0–23.
        #[serde(default = "nine")]
        hour: i8,
    },
    /// After the attack has been quiet for this many seconds, measured.
    Quiet {
        /// Seconds without the attack's packets arriving above the noise floor.
        seconds: u64,
    },
    /// When a person releases it; a person is asked at the latest after this many seconds.
    ByHand {
        /// Seconds from application until somebody must look again.
        review_seconds: u64,
    },
}

fn nine() -> i8 {
    9
}

/// Longest end anyone can ask for: a year, in seconds.
pub const MAX_END_SECONDS: u64 = 366 * 86_400;

/// An end that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// Zero or more than a year.
    #[error("an end of {0} s is not between 1 s and {MAX_END_SECONDS} s")]
    OutOfRange(u64),
    /// The hour is no hour.
    #[error("hour {0} is not between 0 and 23")]
    Hour(i8),
    /// Text that says no end.
    #[error("`{0}` is not an end; write 30s, 90m, 12h, 7d, next-business-day, quiet:15m or by-hand:24h (review after)")]
    Unreadable(String),
}

impl End {
    /// Refuses ends that are none.
    ///
    /// # Errors
    /// Names the bound that is broken.
    pub fn check(&self) -> Result<(), EndError> {
        match *self {
            End::Duration { seconds: s } | End::Quiet { seconds: s } | End::ByHand { review_seconds: s } => {
                if s == 0 || s > MAX_END_SECONDS { Err(EndError::OutOfRange(s)) } else { Ok(()) }
            }
            End::NextBusinessDay { hour } => {
                if (0..24).contains(&hour) {
                    Ok(())
                } else {
                    Err(EndError::Hour(hour))
                }
            }
        }
    }

    /// The instant at which time alone ends it, for a measure applied at `applied`.
    pub fn due(&self, applied: Timestamp, calendar: &BusinessCalendar) -> Option<Timestamp> {
        match *self {
            End::Duration { seconds } => Some(plus_s(applied, seconds)),
            End::NextBusinessDay { hour } => calendar.next_business_day(applied, hour).ok(),
            End::Quiet { .. } | End::ByHand { .. } => None,
        }
    }

    /// The instant at which a person must look again although nothing ended it.
    pub fn review(&self, applied: Timestamp) -> Option<Timestamp> {
        match *self {
            End::ByHand { review_seconds } => Some(plus_s(applied, review_seconds)),
            End::Duration { .. } | End::NextBusinessDay { .. } => None,
            // An attack that never goes quiet must not keep a filter without anybody looking.
            End::Quiet { .. } => Some(plus_s(applied, QUIET_REVIEW_S)),
        }
    }

    /// In Japanese.
    pub fn words_ja(&self) -> String {
        match *self {
            End::Duration { seconds } => format!("適用から{}後", span_ja(seconds)),
            End::NextBusinessDay { hour } => format!("翌営業日の{hour}時"),
            End::Quiet { seconds } => format!("攻撃が{}見られなくなったとき", span_ja(seconds)),
            End::ByHand { review_seconds } => format!("担当者の判断（{}以内に再確認）", span_ja(review_seconds)),
        }
    }
}

/// After this long a measure that waits for quiet is put before a person: one day, in seconds.
pub const QUIET_REVIEW_S: u64 = 86_400;

fn plus_s(t: Timestamp, seconds: u64) -> Timestamp {
    t.plus_ms(i64::try_from(seconds.min(MAX_END_SECONDS)).unwrap_or(0) * 1_000)
}

fn span(seconds: u64) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn span_ja(seconds: u64) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{}日", s / 86_400),
        s if s % 3_600 == 0 => format!("{}時間", s / 3_600),
        s if s % 60 == 0 => format!("{}分", s / 60),
        s => format!("{s}秒"),
    }
}

impl fmt::Display for End {
    /// The text that [`End::from_str`](std::str::FromStr) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            End::Duration { seconds } => f.write_str(&span(seconds)),
            End::NextBusinessDay { hour: 9 } => f.write_str("next-business-day"),
            End::NextBusinessDay { hour } => write!(f, "next-business-day:{hour}"),
            End::Quiet { seconds } => write!(f, "quiet:{}", span(seconds)),
            End::ByHand { review_seconds } => write!(f, "by-hand:{}", span(review_seconds)),
        }
    }
}

impl std::str::FromStr for End {
    type Err = EndError;
    fn from_str(text: &str) -> Result<Self, EndError> {
        let bad = || EndError::Unreadable(text.chars().take(40).collect());
        let seconds = |s: &str| -> Result<u64, EndError> {
            let cut = s.len().checked_sub(1).filter(|&i| s.is_char_boundary(i)).ok_or_else(bad)?;
            let (number, unit) = s.split_at(cut);
            let factor = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => return Err(bad()),
            };
            number.parse::<u64>().map_err(|_| bad())?.checked_mul(factor).ok_or_else(bad)
        };
        let end = match text.split_once(':') {
            None if text == "next-business-day" => End::NextBusinessDay { hour: nine() },
            None => End::Duration { seconds: seconds(text)? },
            Some(("next-business-day", hour)) => End::NextBusinessDay { hour: hour.parse().map_err(|_| bad())? },
            Some(("quiet", s)) => End::Quiet { seconds: seconds(s)? },
            Some(("by-hand", s)) => End::ByHand { review_seconds: seconds(s)? },
            Some(_) => return Err(bad()),
        };
        end.check()?;
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["30s", "90m", "12h", "7d", "next-business-day", "next-business-day:13", "quiet:15m", "by-hand:1d"]
        {
            assert_eq!(text.parse::<End>().unwrap().to_string(), text);
        }
        for bad in ["", "0s", "s", "never", "400d", "quiet:", "quiet:1", "next-business-day:24", "10年"] {
            assert!(bad.parse::<End>().is_err(), "{bad}");
        }
    }

    #[test]
    fn due_times() {
        let at: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let c = BusinessCalendar::default();
        let due = |e: &str| e.parse::<End>().unwrap().due(at, &c).map(|t| t.to_string());
        assert_eq!(due("1h").as_deref(), Some("2026-11-20T04:00:00.000Z"));
        // Friday; Monday the 23rd is 勤労感謝の日.
        assert_eq!(due("next-business-day").as_deref(), Some("2026-11-24T00:00:00.000Z"));
        assert_eq!(due("quiet:5m"), None);
    }
}
