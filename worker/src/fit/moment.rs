//! Times as people and programs write them.

use std::time::{Duration, SystemTime};

use jiff::civil::{DateTime, Time, date};
use jiff::fmt::temporal::Pieces;

use crate::event::time;

const EPOCH: DateTime = date(1970, 1, 1).to_datetime(Time::MIN);
/// In nanoseconds.
const SECOND: i128 = 1_000_000_000;
const MILLISECOND: i128 = 1_000_000;

/// A time as ISO 8601 says it, in the years 1 to 9999; UTC where it names no zone, midnight where it is but a date.
pub(super) fn iso(text: &str) -> Option<SystemTime> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let local = pieces
        .date()
        .to_datetime(pieces.time().unwrap_or(Time::MIN));
    let offset = pieces
        .to_numeric_offset()
        .map_or(0, |offset| offset.seconds());
    // Not by way of jiff's `Timestamp`, which ends a day before the year 9999 does.
    let nanoseconds = local.duration_since(EPOCH).as_nanos() - i128::from(offset) * SECOND;
    let milliseconds = i64::try_from(nanoseconds.div_euclid(MILLISECOND)).ok()?;
    let rest = u64::try_from(nanoseconds.rem_euclid(MILLISECOND)).ok()?;
    time::of_milliseconds(milliseconds)?.checked_add(Duration::from_nanos(rest))
}
