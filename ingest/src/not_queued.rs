//! Why an event was not queued.

use std::io;

use redis::RedisError;

/// Why an event was not put on the stream, as far as anybody knows: after a time-out it may stand
/// there all the same, and the ledger takes care of the second delivery.
#[derive(Debug)]
pub enum NotQueued {
    /// As many entries wait as may.
    BacklogFull,
    /// Redis is down, loading, read-only, out of memory, or hangs.
    Unavailable(RedisError),
    /// It stands on the stream, but only so many replicas have acknowledged it in time.
    TooFewReplicas(u64),
}

impl NotQueued {
    /// The word in traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BacklogFull => "backlog_full",
            Self::Unavailable(_) => "unavailable",
            Self::TooFewReplicas(_) => "too_few_replicas",
        }
    }

    /// Redis has had its time.
    pub(crate) fn late() -> Self {
        Self::Unavailable(io::Error::from(io::ErrorKind::TimedOut).into())
    }
}
