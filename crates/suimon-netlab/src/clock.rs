//! The one place where the lab asks the time.
#![expect(clippy::disallowed_methods, reason = "the lab measures real programs in real time")]

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Milliseconds since the lab's first look at the clock; never goes back.
pub fn ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Wall time for people: RFC 3339, UTC, milliseconds.
pub fn wall() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    suimon_base::Timestamp::from_micros(us).to_string()
}

/// Waits.
pub fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Looks every 50 ms until something is there or `patience_ms` are over; how long it took.
pub fn until<T>(patience_ms: u64, mut look: impl FnMut() -> Option<T>) -> Option<(T, u64)> {
    let start = ms();
    loop {
        if let Some(found) = look() {
            return Some((found, ms() - start));
        }
        if ms() - start >= patience_ms {
            return None;
        }
        sleep_ms(50);
    }
}
