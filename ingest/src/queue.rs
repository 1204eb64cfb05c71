//! XADD, and the answer of Redis before ours.

use std::time::{Instant, SystemTime};

use redis::RedisError;
use shared::fault_point::{FaultPoint, reach};
use shared::queue::{Keys, field};
use shared::redis_link::RedisLink;
use shared::svix_id::SvixId;

use crate::backlog::{Backlog, NotAdmitted};
use crate::metrics::Metrics;
use crate::replication::Replication;

/// How many connections share the events. Redis reads 16 KiB of a connection, some seven events, between
/// two writes to its append-only file (`readQueryFromClient` in
/// <https://github.com/redis/redis/blob/7.0/src/networking.c>). What comes over several connections
/// at once shares one write, and one wait for the disk.
pub const CONNECTIONS: usize = 8;

/// The stream that events are put on.
pub struct Queue {
    link: RedisLink,
    /// Where replicas must have an entry too.
    replication: Option<Replication>,
    events: String,
    backlog: Backlog<RedisError>,
    metrics: Metrics,
}

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

impl Queue {
    /// The stream of the only partition.
    #[must_use]
    pub fn new(
        link: RedisLink,
        replication: Option<Replication>,
        max_backlog: u64,
        metrics: Metrics,
    ) -> Self {
        Self {
            link,
            replication,
            events: Keys::of(0).events,
            backlog: Backlog::new(max_backlog),
            metrics,
        }
    }

    /// Puts an event on the stream. When this returns `Ok`, Redis has acknowledged the entry (P1), and
    /// so have as many replicas as it was told to wait for.
    ///
    /// # Errors
    /// When they have not.
    pub async fn push(
        &self,
        svix_id: &SvixId,
        event_type: &str,
        payload: &[u8],
    ) -> Result<(), NotQueued> {
        let admission =
            self.backlog
                .admit(|| self.length())
                .await
                .map_err(|error| match error {
                    NotAdmitted::Full => NotQueued::BacklogFull,
                    NotAdmitted::Unknown(error) => NotQueued::Unavailable(error),
                })?;
        reach(FaultPoint::Verified).await;
        let begun = Instant::now();
        let mut command = redis::cmd("XADD");
        command
            .arg(&self.events)
            .arg("*")
            .arg(field::SVIX_ID)
            .arg(svix_id.as_str())
            .arg(field::TYPE)
            .arg(event_type)
            .arg(field::PAYLOAD)
            .arg(payload)
            .arg(field::RECEIVED_AT)
            .arg(milliseconds_since_epoch());
        let added = match &self.replication {
            Some(replication) => replication.add(command).await,
            None => command
                .exec_async(&mut self.link.clone())
                .await
                .map_err(NotQueued::Unavailable),
        };
        drop(admission);
        self.metrics
            .enqueue_seconds
            .observe(begun.elapsed().as_secs_f64());
        reach(FaultPoint::Queued).await;
        added
    }

    async fn length(&self) -> Result<u64, RedisError> {
        redis::cmd("XLEN")
            .arg(&self.events)
            .query_async(&mut self.link.clone())
            .await
    }
}

fn milliseconds_since_epoch() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}
