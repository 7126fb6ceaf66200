//! Business days, for ends such as "until the next business day" (翌営業日まで, catalogue row 138).
//!
//! Japanese public holidays follow 国民の祝日に関する法律 (昭和23年法律第178号) 2条・3条 as it stands since 2022. The days of
//! the equinoxes are announced each February by the National Astronomical Observatory (暦要項); the usual formula
//! used here is exact for 1980–2099. Single days that a law moves (as in 2020 and 2021) and the operator's own closing
//! days (年末年始) come in as extra days.

use crate::Timestamp;
use crate::holiday::Holidays;
use jiff::civil::{Date, Weekday, date};
use jiff::tz::{Offset, TimeZone};

/// A calendar of Japanese business days with the operator's own closing days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusinessCalendar {
    /// Days on which the operator does not work, besides weekends and public holidays.
    pub extra_closed: Vec<Date>,
    /// Long holidays of countries.
    pub holidays: Holidays,
}

/// Japan Standard Time: UTC+9 without daylight saving (明治二十八年勅令第百六十七号).
pub fn japan() -> TimeZone {
    TimeZone::fixed(Offset::constant(9))
}

impl BusinessCalendar {
    /// Whether people work on `day`.
    pub fn is_business_day(&self, day: Date) -> bool {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
            && !is_japanese_holiday(day)
            && !self.extra_closed.contains(&day)
    }

    /// `hour`:00 Japanese time of the first business day after the day of `at`.
    ///
    /// # Errors
    /// When `at` lies at the end of representable time.
    pub fn next_business_day(&self, at: Timestamp, hour: i8) -> Result<Timestamp, jiff::Error> {
        self.business_day_after(at.to_jiff().to_zoned(japan()).date(), hour)
    }

    /// `hour`:00 Japanese time of the first business day after `day`.
    ///
    /// # Errors
    /// When `day` lies at the end of representable time.
    pub fn business_day_after(&self, day: Date, hour: i8) -> Result<Timestamp, jiff::Error> {
        let mut day = day.tomorrow()?;
        while !self.is_business_day(day) {
            day = day.tomorrow()?;
        }
        let start = day.at(hour.clamp(0, 23), 0, 0, 0).to_zoned(japan())?;
        Ok(Timestamp::from_jiff(start.timestamp()))
    }
}

/// Whether `day` is a holiday under articles 2 and 3 of the law.
pub fn is_japanese_holiday(day: Date) -> bool {
    if is_named_holiday(day) {
        return true;
    }
    // Article 3(2): a holiday on a Sunday moves to the nearest following day that is not itself a holiday.
    let mut before = day.yesterday();
    while let Ok(d) = before {
        if !is_named_holiday(d) {
            break;
        }
        if d.weekday() == Weekday::Sunday {
            return true;
        }
        before = d.yesterday();
    }
    // Article 3(3): a day between two holidays is a holiday.
    let between = |a: Result<Date, jiff::Error>| a.is_ok_and(is_named_holiday);
    between(day.yesterday()) && between(day.tomorrow())
}

fn is_named_holiday(day: Date) -> bool {
    let (month, dom) = (day.month(), day.day());
    let nth_monday = |n: i8| day.weekday() == Weekday::Monday && (dom - 1) / 7 + 1 == n;
    match month {
        1 => dom == 1 || nth_monday(2),
        2 => dom == 11 || dom == 23,
        3 => dom == equinox(day.year(), 20.8431),
        4 => dom == 29,
        5 => (3..=5).contains(&dom),
        7 => nth_monday(3),
        8 => dom == 11,
        9 => nth_monday(3) || dom == equinox(day.year(), 23.2488),
        10 => nth_monday(2),
        11 => dom == 3 || dom == 23,
        _ => false,
    }
}

fn equinox(year: i16, base: f64) -> i8 {
    let years = f64::from(year - 1980);
    (base + 0.242_194 * years - (years / 4.0).floor()).floor() as i8
}

/// The civil date in Japan at `at`.
pub fn japanese_date(at: Timestamp) -> Date {
    at.to_jiff().to_zoned(japan()).date()
}

/// Parses `2026-12-29`.
///
/// # Errors
/// When the text is not a civil date.
pub fn parse_date(text: &str) -> Result<Date, jiff::Error> {
    text.parse()
}

/// The first day this calendar knows the rules of.
pub const RULES_SINCE: Date = date(2022, 1, 1);

#[cfg(test)]
mod tests {
    use super::*;

    /// From the Cabinet Office's published list for 2024 and 2026.
    #[test]
    fn holidays_agree_with_the_published_lists() {
        let y2024 = [
            "01-01", "01-08", "02-11", "02-12", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05", "05-06", "07-15",
            "08-11", "08-12", "09-16", "09-22", "09-23", "10-14", "11-03", "11-04", "11-23",
        ];
        let y2026 = [
            "01-01", "01-12", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05", "05-06", "07-20", "08-11",
            "09-21", "09-22", "09-23", "10-12", "11-03", "11-23",
        ];
        for (year, wanted) in [(2024, y2024.as_slice()), (2026, y2026.as_slice())] {
            let mut day = date(year, 1, 1);
            let mut found = Vec::new();
            while day.year() == year {
                if is_japanese_holiday(day) {
                    found.push(day.strftime("%m-%d").to_string());
                }
                day = day.tomorrow().unwrap();
            }
            assert_eq!(found, wanted, "{year}");
        }
    }

    #[test]
    fn next_business_day_skips_weekend_and_holidays() {
        let c = BusinessCalendar { extra_closed: vec![date(2026, 12, 29)], ..BusinessCalendar::default() };
        let next = |t: &str| c.next_business_day(t.parse().unwrap(), 9).unwrap().to_string();
        // Friday evening in Japan before the long weekend of 2026-09-19 … 23.
        assert_eq!(next("2026-09-18T12:00:00Z"), "2026-09-24T00:00:00.000Z");
        // 23:30 UTC on Sunday is Monday in Japan, so the next business day is Tuesday.
        assert_eq!(next("2026-11-15T23:30:00Z"), "2026-11-17T00:00:00.000Z");
        assert_eq!(next("2026-12-28T01:00:00Z"), "2026-12-30T00:00:00.000Z");
    }
}
