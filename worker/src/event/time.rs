//! A time as Clerk says it: milliseconds since the epoch, in the years 1 to 9999, which PostgreSQL and every reader of
//! its timestamps can hold.

use std::time::{Duration, SystemTime};

const YEAR_1: i64 = -62_135_596_800_000;
const YEAR_10000: i64 = 253_402_300_800_000;

/// `None` outside the years 1 to 9999.
#[must_use]
pub fn of_milliseconds(milliseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = if milliseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.filter(|_| (YEAR_1..YEAR_10000).contains(&milliseconds))
}

/// Of milliseconds as JSON writes them; `None` if they are not whole, too.
#[must_use]
pub fn of_number(json: &str) -> Option<SystemTime> {
    of_milliseconds(whole(json)?)
}

/// Whole milliseconds since the epoch.
#[must_use]
pub fn milliseconds(time: SystemTime) -> i64 {
    let count = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or_else(|before| -count(before.duration()), count)
}

/// A whole number as JSON writes it, perhaps with a point or an exponent: 1.7e12.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(crate) fn whole(json: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    json.parse().ok().or_else(|| {
        let number: f64 = json.parse().ok()?;
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}
