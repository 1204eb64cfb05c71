//! How an explanation is put into words.

use std::fmt;

use super::{Explanation, Place, Recorded, line};

/// A time span for people.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1000 {
            seconds @ 0..120 => write!(formatter, "{seconds} s"),
            seconds @ 120..7200 => write!(formatter, "{} min", seconds / 60),
            seconds @ 7200..172_800 => write!(formatter, "{} h", seconds / 3600),
            seconds => write!(formatter, "{} days", seconds / 86_400),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread {
                partition,
                entry,
                before,
                age,
            } => write!(
                formatter,
                "unread: entry {entry} of {{clerk:{partition}}}:events, received {} ago, {before} \
                 entries before it; no worker has taken it yet",
                Span(*age)
            ),
            Self::Pending {
                partition,
                entry,
                consumer,
                idle,
                deliveries,
            } => write!(
                formatter,
                "pending: entry {entry} of {{clerk:{partition}}}:events is held by {consumer}, \
                 idle for {}, deliveries {deliveries}",
                Span(*idle)
            ),
            Self::Retry {
                partition,
                due,
                attempts,
                reason,
                waits_for,
            } => {
                write!(
                    formatter,
                    "retry: waits in {{clerk:{partition}}}:retry, failed attempts {attempts}, the next in {}: {reason}",
                    Span(*due)
                )?;
                match waits_for {
                    Some(waits_for) => write!(formatter, "; {waits_for}"),
                    None => Ok(()),
                }
            }
            Self::Dead {
                partition,
                letter,
                reason,
                attempts,
                age,
                replay,
            } => {
                write!(
                    formatter,
                    "dead letter: {letter} of {{clerk:{partition}}}:dead, failed {} ago, attempts {attempts}: {reason}",
                    Span(*age)
                )?;
                match replay {
                    Some(replay) => write!(formatter, "\n  replay: {replay}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outcome,
            r#type,
            processed_at,
            ..
        } = self;
        let age = Span(self.age.try_into().unwrap_or(0));
        let r#type = line(r#type.as_bytes());
        write!(formatter, "{outcome}: {type} at {processed_at}, {age} ago")?;
        let Some(object_id) = &self.object_id else {
            return Ok(());
        };
        let family = r#type.split('.').next().unwrap_or_default();
        write!(formatter, ", {family} {}", line(object_id.as_bytes()))?;
        if let Some(newest) = &self.newest {
            write!(
                formatter,
                "; the newest event of the {family} is {}",
                line(newest.as_bytes())
            )?;
        }
        if self.deleted {
            write!(formatter, "; the {family} is deleted and stays so")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.svix_id)?;
        for place in &self.places {
            write!(formatter, "\n{place}")?;
        }
        if let Some(recorded) = &self.recorded {
            write!(formatter, "\n{recorded}")?;
        }
        for reason in &self.unreachable {
            write!(formatter, "\n{reason}")?;
        }
        if self.incomplete {
            formatter
                .write_str("\nthe streams are long: only their oldest entries were looked at")?;
        }
        if !self.is_found() && self.unreachable.is_empty() && !self.incomplete {
            write!(
                formatter,
                "\nunknown: in no stream, not in the ledger. It never came, or was finished more than {} days \
                 ago (LEDGER_RETENTION_DAYS), or its dead letter was dropped by hand",
                self.retention_days
            )?;
        }
        Ok(())
    }
}
