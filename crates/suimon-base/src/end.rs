//! When a measure ends. There is no measure without an end (catalogue rows 137–142).

use crate::Timestamp;
use crate::calendar::{BusinessCalendar, japan, parse_date};
use crate::holiday::{HolidayError, check_country, is_name};
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
    /// At `hour`:00 Japanese time of the next business day after the day of application (row 138).
    NextBusinessDay {
        /// Hour of the day, 0–23.
        #[serde(default = "nine")]
        hour: i8,
    },
    /// At `hour`:00 Japanese time of a day (row 140).
    OnDate {
        /// The day in Japan, `2026-12-25`.
        date: String,
        /// Hour of the day, 0–23.
        #[serde(default = "nine")]
        hour: i8,
    },
    /// At `hour`:00 Japanese time of the first business day after a long holiday of a country: the one that is under way
    /// when the measure is applied, or the next (row 140).
    AfterHoliday {
        /// Two capital letters, `CN`.
        country: String,
        /// Its name in the calendar of that country, `national-day`.
        holiday: String,
        /// Hour of the day, 0–23.
        #[serde(default = "nine")]
        hour: i8,
    },
    /// When a counter-measure on the customer's side is done, as a person records (row 141).
    TaskDone {
        /// Which.
        task: Task,
        /// Seconds from application until somebody must look again.
        review_seconds: u64,
    },
    /// After the attack has been quiet for this many seconds, measured (row 142).
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

/// What is to be done before the measure is not needed any more (catalogue row 141).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Logs are prepared, so that the next attack can be investigated.
    Logs,
    /// The customer limits access by itself.
    AccessLimits,
    /// The service is hardened or patched.
    Hardening,
    /// The service is moved elsewhere.
    Move,
    /// A DDoS protection service is in place.
    DdosService,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 5] = [Task::Logs, Task::AccessLimits, Task::Hardening, Task::Move, Task::DdosService];

    /// As in texts of ends.
    pub const fn name(self) -> &'static str {
        match self {
            Task::Logs => "logs",
            Task::AccessLimits => "access-limits",
            Task::Hardening => "hardening",
            Task::Move => "move",
            Task::DdosService => "ddos-service",
        }
    }

    /// In Japanese.
    pub const fn ja(self) -> &'static str {
        match self {
            Task::Logs => "ログの準備",
            Task::AccessLimits => "アクセス制限",
            Task::Hardening => "サーバーの対策",
            Task::Move => "移設",
            Task::DdosService => "DDoS対策サービスの導入",
        }
    }
}

fn nine() -> i8 {
    9
}

/// Longest end anyone can ask for: a year, in seconds.
pub const MAX_END_SECONDS: u64 = 366 * 86_400;
/// After this long a measure that waits for quiet is put before a person: one day, in seconds.
pub const QUIET_REVIEW_S: u64 = 86_400;
/// After this long a measure that waits for a task is put before a person where nothing else is said: a week, in seconds.
pub const TASK_REVIEW_S: u64 = 7 * 86_400;

/// An end that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// Zero or more than a year.
    #[error("an end of {0} s is not between 1 s and {MAX_END_SECONDS} s")]
    OutOfRange(u64),
    /// The hour is no hour.
    #[error("hour {0} is not between 0 and 23")]
    Hour(i8),
    /// The day is no day.
    #[error("`{0}` is not a day, such as 2026-12-25")]
    Day(String),
    /// The day lies before the application or more than a year after it.
    #[error("{0} is not within the year after the measure begins")]
    NotWithinAYear(String),
    /// The calendar does not say when it is.
    #[error(transparent)]
    Holiday(#[from] HolidayError),
    /// Text that says no end.
    #[error(
        "`{0}` is not an end; write 30s, 90m, 12h, 7d, next-business-day, on:2026-12-25, after-holiday:CN/national-day, \
         task:hardening, quiet:15m or by-hand:24h (review after)"
    )]
    Unreadable(String),
}

impl End {
    /// Refuses ends that are none.
    ///
    /// # Errors
    /// Names the bound that is broken.
    pub fn check(&self) -> Result<(), EndError> {
        let hour_of = |hour: i8| if (0..24).contains(&hour) { Ok(()) } else { Err(EndError::Hour(hour)) };
        match self {
            End::Duration { seconds: s }
            | End::Quiet { seconds: s }
            | End::TaskDone { review_seconds: s, .. }
            | End::ByHand { review_seconds: s } => {
                if *s == 0 || *s > MAX_END_SECONDS {
                    Err(EndError::OutOfRange(*s))
                } else {
                    Ok(())
                }
            }
            End::NextBusinessDay { hour } => hour_of(*hour),
            End::OnDate { date, hour } => {
                parse_date(date).map_err(|_| EndError::Day(date.chars().take(20).collect()))?;
                hour_of(*hour)
            }
            End::AfterHoliday { country, holiday, hour } => {
                check_country(country)?;
                if !is_name(holiday) {
                    return Err(EndError::Unreadable(holiday.chars().take(40).collect()));
                }
                hour_of(*hour)
            }
        }
    }

    /// The instant at which time alone ends it, for a measure applied at `applied`; `None` where something else than time
    /// ends it.
    ///
    /// # Errors
    /// When the day lies more than a year after `applied`, or the calendar has no data for it.
    pub fn due(&self, applied: Timestamp, calendar: &BusinessCalendar) -> Result<Option<Timestamp>, EndError> {
        let far = || EndError::NotWithinAYear(self.to_string());
        let due = match self {
            End::Duration { seconds } => plus_s(applied, *seconds),
            End::NextBusinessDay { hour } => calendar.next_business_day(applied, *hour).map_err(|_| far())?,
            End::OnDate { date, hour } => {
                let day = parse_date(date).map_err(|_| EndError::Day(date.clone()))?;
                let zoned = day.at((*hour).clamp(0, 23), 0, 0, 0).to_zoned(japan()).map_err(|_| far())?;
                Timestamp::from_jiff(zoned.timestamp())
            }
            End::AfterHoliday { country, holiday, hour } => {
                let day = applied.to_jiff().to_zoned(japan()).date();
                let last = calendar.holidays.next(country, holiday, day)?.last;
                calendar.business_day_after(last, *hour).map_err(|_| far())?
            }
            End::TaskDone { .. } | End::Quiet { .. } | End::ByHand { .. } => return Ok(None),
        };
        if due <= plus_s(applied, MAX_END_SECONDS) { Ok(Some(due)) } else { Err(far()) }
    }

    /// Refuses an end that would be over at once, or that nobody can work out, for a measure that begins at `from`.
    ///
    /// # Errors
    /// As [`End::check`] and [`End::due`], or when the day has passed.
    pub fn check_from(&self, from: Timestamp, calendar: &BusinessCalendar) -> Result<(), EndError> {
        self.check()?;
        match self.due(from, calendar)? {
            Some(due) if due <= from => Err(EndError::NotWithinAYear(self.to_string())),
            _ => Ok(()),
        }
    }

    /// The instant at which a person must look again although nothing ended it.
    pub fn review(&self, applied: Timestamp) -> Option<Timestamp> {
        match self {
            End::ByHand { review_seconds } | End::TaskDone { review_seconds, .. } => {
                Some(plus_s(applied, *review_seconds))
            }
            End::Duration { .. } | End::NextBusinessDay { .. } | End::OnDate { .. } | End::AfterHoliday { .. } => None,
            // An attack that never goes quiet must not keep a filter without anybody looking.
            End::Quiet { .. } => Some(plus_s(applied, QUIET_REVIEW_S)),
        }
    }

    /// In Japanese.
    pub fn words_ja(&self) -> String {
        match self {
            End::Duration { seconds } => format!("適用から{}後", span_ja(*seconds)),
            End::NextBusinessDay { hour } => format!("翌営業日の{hour}時"),
            End::OnDate { date, hour } => format!("{date}の{hour}時"),
            End::AfterHoliday { country, holiday, hour } => {
                format!("{country}の長期休暇（{holiday}）が明けたあと、最初の営業日の{hour}時")
            }
            End::TaskDone { task, review_seconds } => {
                format!("お客様側の対策（{}）が済んだとき（{}以内に再確認）", task.ja(), span_ja(*review_seconds))
            }
            End::Quiet { seconds } => format!("攻撃が{}見られなくなったとき", span_ja(*seconds)),
            End::ByHand { review_seconds } => format!("担当者の判断（{}以内に再確認）", span_ja(*review_seconds)),
        }
    }
}

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

/// A span in Japanese, in the largest unit that fits.
pub fn span_ja(seconds: u64) -> String {
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
        let at = |hour: &i8| if *hour == nine() { String::new() } else { format!(":{hour}") };
        match self {
            End::Duration { seconds } => f.write_str(&span(*seconds)),
            End::NextBusinessDay { hour } => write!(f, "next-business-day{}", at(hour)),
            End::OnDate { date, hour } => write!(f, "on:{date}{}", at(hour)),
            End::AfterHoliday { country, holiday, hour } => write!(f, "after-holiday:{country}/{holiday}{}", at(hour)),
            End::TaskDone { task, review_seconds: TASK_REVIEW_S } => write!(f, "task:{}", task.name()),
            End::TaskDone { task, review_seconds } => write!(f, "task:{}:{}", task.name(), span(*review_seconds)),
            End::Quiet { seconds } => write!(f, "quiet:{}", span(*seconds)),
            End::ByHand { review_seconds } => write!(f, "by-hand:{}", span(*review_seconds)),
        }
    }
}

/// Seconds of `30s`, `90m`, `12h`, `7d`, `1w`.
fn seconds(s: &str) -> Option<u64> {
    let cut = s.len().checked_sub(1).filter(|&i| s.is_char_boundary(i))?;
    let (number, unit) = s.split_at(cut);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl std::str::FromStr for End {
    type Err = EndError;
    fn from_str(text: &str) -> Result<Self, EndError> {
        let bad = || EndError::Unreadable(text.chars().take(40).collect());
        let seconds = |s: &str| seconds(s).ok_or_else(bad);
        let hour = |h: Option<&str>| h.map_or(Ok(nine()), |h| h.parse::<i8>().map_err(|_| bad()));
        let mut parts = text.splitn(3, ':');
        let (kind, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let end = match (kind, second, third) {
            ("next-business-day", at, None) => End::NextBusinessDay { hour: hour(at)? },
            (_, None, None) => End::Duration { seconds: seconds(kind)? },
            ("on", Some(date), at) => End::OnDate { date: date.to_owned(), hour: hour(at)? },
            ("after-holiday", Some(what), at) => {
                let (country, holiday) = what.split_once('/').ok_or_else(bad)?;
                End::AfterHoliday { country: country.to_owned(), holiday: holiday.to_owned(), hour: hour(at)? }
            }
            ("task", Some(name), review) => {
                let task = Task::ALL.into_iter().find(|t| t.name() == name).ok_or_else(bad)?;
                End::TaskDone { task, review_seconds: review.map_or(Ok(TASK_REVIEW_S), seconds)? }
            }
            ("quiet", Some(s), None) => End::Quiet { seconds: seconds(s)? },
            ("by-hand", Some(s), None) => End::ByHand { review_seconds: seconds(s)? },
            _ => return Err(bad()),
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
        for text in [
            "30s",
            "90m",
            "12h",
            "7d",
            "next-business-day",
            "next-business-day:13",
            "on:2026-12-25",
            "on:2026-12-25:0",
            "after-holiday:CN/national-day",
            "after-holiday:KR/seollal:13",
            "task:hardening",
            "task:ddos-service:30d",
            "quiet:15m",
            "by-hand:1d",
        ] {
            let end = text.parse::<End>().unwrap();
            assert_eq!(end.to_string(), text);
            let json = serde_json::to_string(&end).unwrap();
            assert_eq!(serde_json::from_str::<End>(&json).unwrap(), end, "{json}");
        }
        assert_eq!("1w".parse::<End>().unwrap().to_string(), "7d");
        for bad in [
            "",
            "0s",
            "s",
            "never",
            "400d",
            "quiet:",
            "quiet:1",
            "next-business-day:24",
            "10年",
            "on:",
            "on:2026-02-30",
            "on:2026-12-25:24",
            "after-holiday:CN",
            "after-holiday:cn/x",
            "after-holiday:CN/",
            "after-holiday:CN/X y",
            "task:",
            "task:sleep",
            "task:logs:0s",
            "quiet:1m:1",
            "by-hand:1d:1d",
            "next-business-day:9:1",
        ] {
            assert!(bad.parse::<End>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_task_has_its_name_in_the_ledger_too() {
        for task in Task::ALL {
            assert_eq!(serde_json::to_value(task).unwrap(), task.name());
        }
    }

    #[test]
    fn due_times() {
        let at: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let c = BusinessCalendar::default();
        let due = |e: &str| e.parse::<End>().unwrap().due(at, &c).unwrap().map(|t| t.to_string());
        assert_eq!(due("1h").as_deref(), Some("2026-11-20T04:00:00.000Z"));
        assert_eq!(due("1w").as_deref(), Some("2026-11-27T03:00:00.000Z"));
        // Friday; Monday the 23rd is 勤労感謝の日.
        assert_eq!(due("next-business-day").as_deref(), Some("2026-11-24T00:00:00.000Z"));
        assert_eq!(due("on:2026-12-25:18").as_deref(), Some("2026-12-25T09:00:00.000Z"));
        // 8 February 2027 is a Monday; the Chinese holiday by rule ends on it.
        assert_eq!(due("after-holiday:CN/spring-festival").as_deref(), Some("2027-02-09T00:00:00.000Z"));
        // The Japanese New Year ends on a Sunday, so Monday it is.
        assert_eq!(due("after-holiday:JP/new-year:10").as_deref(), Some("2027-01-04T01:00:00.000Z"));
        assert_eq!(due("quiet:5m"), None);
        assert_eq!(due("task:move"), None);
    }

    #[test]
    fn days_that_nobody_knows_are_errors() {
        let c = BusinessCalendar::default();
        let due = |e: &str, at: &str| e.parse::<End>().unwrap().due(at.parse().unwrap(), &c);
        let error = due("after-holiday:CN/national-day", "2027-10-05T00:00:00Z").unwrap_err();
        assert!(matches!(error, EndError::Holiday(HolidayError::NoYear { year: 2028, .. })), "{error}");
        assert!(due("after-holiday:AQ/penguin-day", "2026-11-20T00:00:00Z").is_err());
        for day in ["on:2026-11-20", "on:2026-11-19", "on:2027-11-23"] {
            let end: End = day.parse().unwrap();
            let error = end.check_from("2026-11-20T03:00:00Z".parse().unwrap(), &c).unwrap_err();
            assert!(matches!(error, EndError::NotWithinAYear(_)), "{day}: {error}");
        }
    }

    #[test]
    fn whatever_does_not_end_by_time_is_looked_at_by_a_person() {
        let at: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let c = BusinessCalendar::default();
        for end in [
            "1h",
            "next-business-day",
            "on:2026-12-01",
            "after-holiday:US/christmas",
            "task:logs",
            "quiet:1h",
            "by-hand:1d",
        ] {
            let end: End = end.parse().unwrap();
            assert!(end.due(at, &c).unwrap().is_some() != end.review(at).is_some(), "{end}");
        }
    }
}
