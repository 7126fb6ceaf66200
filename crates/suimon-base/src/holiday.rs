//! Long holidays of countries, for ends such as "after the Chinese National Day" (特定の国の長期休暇以降に解除, catalogue row 140).
//!
//! The dates are data: text files in `calendars/`, each with the law or notice that they come from, and the operator's own
//! files in the same format. A year without data is an error that says so; nothing is guessed.

use crate::calendar::parse_date;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Most lines of all calendars together.
pub const MAX_HOLIDAYS: usize = 10_000;

/// Calendars that come with the program: country and text.
const BUILTIN: [(&str, &str); 6] = [
    ("CN", include_str!("../calendars/cn.txt")),
    ("JP", include_str!("../calendars/jp.txt")),
    ("KR", include_str!("../calendars/kr.txt")),
    ("RU", include_str!("../calendars/ru.txt")),
    ("US", include_str!("../calendars/us.txt")),
    ("VN", include_str!("../calendars/vn.txt")),
];

/// Where a date comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolidaySource {
    /// A government has announced it for that year.
    Announced,
    /// It follows from a law or a custom by itself.
    Rule,
}

/// One long holiday of one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// Its name, such as `national-day`.
    pub name: String,
    /// First day, in the country.
    pub first: Date,
    /// Last day, in the country.
    pub last: Date,
    /// Where it comes from.
    pub source: HolidaySource,
}

/// A calendar file that cannot be read, or one that does not say what is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolidayError {
    /// A line is no line.
    #[error("calendar of {country}, line {line}: {what}")]
    Line {
        /// The country.
        country: String,
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Two letters are needed.
    #[error("`{0}` is not a country: two capital letters, such as CN")]
    Country(String),
    /// No calendar of that country.
    #[error("there is no calendar of {country}; there are: {known}")]
    NoCountry {
        /// The country.
        country: String,
        /// Those that are there.
        known: String,
    },
    /// The calendar knows no such holiday.
    #[error("the calendar of {country} has no `{name}`; it has: {known}")]
    NoHoliday {
        /// The country.
        country: String,
        /// What was asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// The holiday is known, but not for that year.
    #[error("the calendar of {country} has no `{name}` for {year}: add its dates to a file of [calendar] holidays")]
    NoYear {
        /// The country.
        country: String,
        /// The holiday.
        name: String,
        /// The year without data.
        year: i16,
    },
}

/// The calendars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holidays(BTreeMap<String, Vec<Holiday>>);

impl Default for Holidays {
    /// Those that come with the program.
    fn default() -> Self {
        let mut all = Holidays(BTreeMap::new());
        for (country, text) in BUILTIN {
            // A test reads each of them; a line that cannot be read is a year without data.
            let _ = all.add(country, text);
        }
        all
    }
}

impl Holidays {
    /// Adds a file, one holiday a line: `NAME FIRST LAST announced|rule`; `#` begins a comment. A line for a holiday and a
    /// year that is known already replaces it. Nothing is added where a line cannot be read.
    ///
    /// # Errors
    /// Names the line.
    pub fn add(&mut self, country: &str, text: &str) -> Result<(), HolidayError> {
        check_country(country)?;
        let mut read = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = |what: String| HolidayError::Line { country: country.to_owned(), line: i + 1, what };
            read.push(holiday(line).map_err(bad)?);
            let have: usize = self.0.values().map(Vec::len).sum();
            if have + read.len() > MAX_HOLIDAYS {
                return Err(bad(format!("more than {MAX_HOLIDAYS} holidays")));
            }
        }
        let known = self.0.entry(country.to_owned()).or_default();
        for new in read {
            known.retain(|h| h.name != new.name || h.first.year() != new.first.year());
            known.push(new);
        }
        known.sort_by_key(|h| h.first);
        Ok(())
    }

    /// The holiday of that name that is under way on `day` or comes next.
    ///
    /// # Errors
    /// When country or holiday are unknown, or a year between has no data.
    pub fn next(&self, country: &str, name: &str, day: Date) -> Result<&Holiday, HolidayError> {
        check_country(country)?;
        let list = |names: Vec<&str>| names.join(", ");
        let all = self.0.get(country).ok_or_else(|| HolidayError::NoCountry {
            country: country.to_owned(),
            known: list(self.0.keys().map(String::as_str).collect()),
        })?;
        let of_name = || all.iter().filter(|h| h.name == name);
        if of_name().next().is_none() {
            let mut known: Vec<&str> = all.iter().map(|h| h.name.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(HolidayError::NoHoliday {
                country: country.to_owned(),
                name: name.to_owned(),
                known: list(known),
            });
        }
        let has_year = |year: i16| of_name().any(|h| h.first.year() == year);
        let found = of_name().find(|h| h.last >= day);
        // Each happens once a year, so a year between that has none is a year without data.
        let until = found.map_or_else(|| day.year() + i16::from(has_year(day.year())), |h| h.first.year());
        match ((day.year()..=until).find(|y| !has_year(*y)), found) {
            (None, Some(found)) => Ok(found),
            (year, _) => Err(HolidayError::NoYear {
                country: country.to_owned(),
                name: name.to_owned(),
                year: year.unwrap_or(until),
            }),
        }
    }

    /// Countries and their holidays, in order.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[Holiday])> {
        self.0.iter().map(|(country, all)| (country.as_str(), all.as_slice()))
    }
}

/// Two capital letters (ISO 3166-1 alpha-2).
pub(crate) fn check_country(country: &str) -> Result<(), HolidayError> {
    if country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(HolidayError::Country(country.chars().take(8).collect()))
    }
}

/// Small letters, digits and hyphens, at most 32.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 32 && name.bytes().all(fits)
}

fn holiday(line: &str) -> Result<Holiday, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[name, first, last, source] = words.as_slice() else {
        return Err("it is not NAME FIRST LAST announced|rule".to_owned());
    };
    if !is_name(name) {
        return Err(format!("`{name}` is not a name of small letters, digits and hyphens"));
    }
    let date = |text: &str| parse_date(text).map_err(|e| format!("`{text}`: {e}"));
    let (first, last) = (date(first)?, date(last)?);
    if last < first {
        return Err(format!("{last} lies before {first}"));
    }
    let source = match source {
        "announced" => HolidaySource::Announced,
        "rule" => HolidaySource::Rule,
        other => return Err(format!("`{other}` is neither `announced` nor `rule`")),
    };
    Ok(Holiday { name: name.to_owned(), first, last, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::is_japanese_holiday;
    use jiff::civil::{Weekday, date};

    #[test]
    fn what_comes_with_the_program_can_be_read_and_reaches_2027() {
        let mut empty = Holidays(BTreeMap::new());
        for (country, text) in BUILTIN {
            empty.add(country, text).unwrap();
            assert!(text.starts_with('#'), "{country} names no source");
        }
        assert_eq!(empty, Holidays::default());
        for (country, all) in empty.all() {
            let names: std::collections::BTreeSet<&str> = all.iter().map(|h| h.name.as_str()).collect();
            for name in names {
                let of = |year| all.iter().any(|h| h.name == name && h.first.year() == year);
                assert!(of(2026) && of(2027), "{country} {name}");
            }
        }
    }

    /// Days that follow from rules, found by other rules than the one that wrote them down.
    #[test]
    fn dates_by_rule_are_what_the_rules_say() {
        let h = Holidays::default();
        for year in [2026, 2027] {
            let week = h.next("JP", "golden-week", date(year, 4, 1)).unwrap();
            assert!(is_japanese_holiday(week.first) && is_japanese_holiday(week.last), "{week:?}");
            assert!(!is_japanese_holiday(week.last.tomorrow().unwrap()), "{week:?}");
            let day = h.next("US", "thanksgiving", date(year, 11, 1)).unwrap();
            let fourth = date(year, 11, 1).nth_weekday_of_month(4, Weekday::Thursday).unwrap();
            assert_eq!((day.first, day.last.weekday()), (fourth, Weekday::Sunday));
            // The full moon of the eighth lunar month lies 221 days after the new moon that begins the year, give or take.
            let new_year = h.next("KR", "seollal", date(year, 1, 1)).unwrap().first.tomorrow().unwrap();
            let full_moon = h.next("KR", "chuseok", date(year, 8, 1)).unwrap().first.tomorrow().unwrap();
            let days = (full_moon - new_year).get_days();
            assert!((219..=222).contains(&days), "{year}: {days} days");
        }
    }

    #[test]
    fn the_next_one_and_a_year_without_data() {
        let h = Holidays::default();
        let last = |day: Date| h.next("CN", "national-day", day).map(|h| h.last.to_string());
        assert_eq!(last(date(2026, 9, 1)).as_deref(), Ok("2026-10-07"));
        assert_eq!(last(date(2026, 10, 7)).as_deref(), Ok("2026-10-07"));
        assert_eq!(last(date(2026, 10, 8)).as_deref(), Ok("2027-10-03"));
        let error = last(date(2027, 10, 4)).unwrap_err();
        assert!(matches!(error, HolidayError::NoYear { year: 2028, .. }), "{error}");
        assert!(error.to_string().contains("CN") && error.to_string().contains("2028"), "{error}");
        // A new year that begins in December belongs to the year in which it begins.
        assert_eq!(h.next("JP", "new-year", date(2026, 11, 22)).unwrap().last, date(2027, 1, 3));
        let gap = h.next("VN", "reunification", date(2025, 3, 1)).unwrap_err();
        assert!(matches!(gap, HolidayError::NoYear { year: 2025, .. }), "{gap}");
        assert!(matches!(h.next("XX", "a", date(2026, 1, 1)), Err(HolidayError::NoCountry { .. })));
        assert!(matches!(h.next("cn", "a", date(2026, 1, 1)), Err(HolidayError::Country(_))));
        let error = h.next("CN", "obon", date(2026, 1, 1)).unwrap_err().to_string();
        assert!(error.contains("labour-day, national-day, spring-festival"), "{error}");
    }

    #[test]
    fn an_own_file_adds_and_replaces() {
        let mut h = Holidays::default();
        h.add("CN", "national-day 2027-10-01 2027-10-07 announced # the notice\n\n").unwrap();
        assert_eq!(h.next("CN", "national-day", date(2027, 1, 1)).unwrap().last, date(2027, 10, 7));
        h.add("TW", "new-year 2027-01-01 2027-01-03 rule").unwrap();
        assert!(h.next("TW", "new-year", date(2027, 1, 1)).is_ok());
        for bad in [
            "x 2027-01-01 2027-01-02",
            "X 2027-01-01 2027-01-02 rule",
            "x 2027-02-30 2027-03-01 rule",
            "x 2027-01-02 2027-01-01 rule",
            "x 2027-01-01 2027-01-02 perhaps",
        ] {
            let before = h.clone();
            let error = h.add("TW", &format!("# one\n{bad}")).unwrap_err();
            assert!(matches!(error, HolidayError::Line { line: 2, .. }), "{error}");
            assert_eq!(h, before);
        }
        let many = "x 2027-01-01 2027-01-02 rule\n".repeat(MAX_HOLIDAYS + 1);
        assert!(h.add("TW", &many).unwrap_err().to_string().contains("more than"));
    }
}
