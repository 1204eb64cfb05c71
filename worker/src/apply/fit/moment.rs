//! Times as people and programs write them.

use std::time::SystemTime;

use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// A time as ISO 8601 says it, in the years 1 to 9999; UTC where it names no zone, midnight where it is but a date.
pub(super) fn iso(text: &str) -> Option<SystemTime> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let local = pieces
        .date()
        .to_datetime(pieces.time().unwrap_or(Time::MIN));
    let timestamp = offset.to_timestamp(local).ok()?;
    if !(1..=9999).contains(&Offset::UTC.to_datetime(timestamp).year()) {
        return None;
    }
    timestamp.try_into().ok()
}
