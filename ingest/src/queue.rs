//! XADD, and the answer of Redis before ours.

use std::time::{Duration, Instant, SystemTime};

use redis::{ErrorKind, RedisError};
use shared::envelope::Envelope;
use shared::fault_point::{FaultPoint, reach};
use shared::partition::partition_of;
use shared::queue::{Keys, field};
use shared::redis_link::{CONNECTION_TIMEOUT, RESPONSE_TIMEOUT, RedisLink};
use shared::svix_id::SvixId;
use shared::traces::{self, Span, Step};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::backlog::{Backlog, NotAdmitted};
use crate::metrics::Metrics;
use crate::not_queued::NotQueued;
use crate::replication::Replication;

/// The streams that events are put on.
pub struct Queue {
    link: RedisLink,
    /// Where replicas must have an entry too.
    replication: Option<Replication>,
    /// The key of the stream of each partition.
    streams: Vec<String>,
    backlog: Backlog<RedisError>,
    metrics: Metrics,
}

impl Queue {
    /// The streams of `partitions` partitions, at least one, which together may hold `max_backlog`.
    #[must_use]
    pub fn new(
        link: RedisLink,
        replication: Option<Replication>,
        partitions: u32,
        max_backlog: u64,
        metrics: Metrics,
    ) -> Self {
        let partitions = 0..partitions.max(1);
        Self {
            link,
            replication,
            streams: partitions.map(|number| Keys::of(number).events).collect(),
            backlog: Backlog::new(max_backlog),
            metrics,
        }
    }

    /// Puts an event on the stream of its user. When this returns `Ok`, Redis has acknowledged the entry
    /// (P1), and so have as many replicas as it was told to wait for. Where the event is traced, as a step of
    /// `trace`, the entry tells whoever reads it of that step.
    ///
    /// # Errors
    /// When they have not, by `deadline` at the latest.
    pub async fn push(
        &self,
        svix_id: &SvixId,
        event: &Envelope<'_>,
        payload: &[u8],
        deadline: Instant,
        trace: Option<&Span>,
    ) -> Result<(), NotQueued> {
        let admission = timeout_at(
            deadline.into(),
            self.backlog.admit(|| self.backlog_length()),
        )
        .await
        .map_err(|_| NotQueued::late())?
        .map_err(|error| match error {
            NotAdmitted::Full => NotQueued::BacklogFull,
            NotAdmitted::Unknown(error) => NotQueued::Unavailable(error),
        })?;
        reach(FaultPoint::Verified).await;
        let begun = Instant::now();
        let partition = self.partition_of(svix_id, event);
        let span = trace.map(|trace| {
            let attributes = vec![traces::number("partition", partition as u32)];
            trace.within(Step::Enqueue, SystemTime::now(), attributes)
        });
        let mut command = redis::cmd("XADD");
        command
            .arg(&self.streams[partition])
            .arg("*")
            .arg(field::SVIX_ID)
            .arg(svix_id.as_str())
            .arg(field::TYPE)
            .arg(event.event_type.as_ref())
            .arg(field::PAYLOAD)
            .arg(payload)
            .arg(field::RECEIVED_AT)
            .arg(milliseconds_since_epoch());
        if let Some(span) = &span {
            command
                .arg(field::TRACEPARENT)
                .arg(span.context().to_string());
        }
        let adding = async {
            match &self.replication {
                Some(replication) => replication.add(partition, command).await,
                None => command
                    .exec_async(&mut self.link.clone())
                    .await
                    .map_err(NotQueued::Unavailable),
            }
        };
        let added = if self.may_take_longer_than(deadline.saturating_duration_since(begun)) {
            timeout_at(deadline.into(), adding)
                .await
                .unwrap_or_else(|_| Err(NotQueued::late()))
        } else {
            adding.await
        };
        drop(admission);
        if let Some(span) = span {
            let outcome = added.as_ref().map_or_else(NotQueued::name, |()| "queued");
            span.end(outcome, added.is_err(), SystemTime::now());
        }
        self.metrics
            .enqueue_seconds
            .observe(begun.elapsed().as_secs_f64());
        reach(FaultPoint::Queued).await;
        added
    }

    /// One server answers, or is given up, soon enough by itself, and a timer for each event would be a twentieth of
    /// all that the ingest does for it.
    fn may_take_longer_than(&self, time: Duration) -> bool {
        let has_one_server = self.replication.is_none() && !self.link.is_cluster();
        !has_one_server || time < CONNECTION_TIMEOUT + RESPONSE_TIMEOUT
    }

    /// What is about no user goes anywhere, but always to the same stream.
    fn partition_of(&self, svix_id: &SvixId, event: &Envelope<'_>) -> usize {
        if self.streams.len() == 1 {
            return 0;
        }
        let id = event.data_id();
        let id = id.as_deref().unwrap_or(svix_id.as_str());
        let partitions = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        partition_of(id, partitions) as usize
    }

    /// Asks for all lengths at once. Not in one pipeline, which could not go to several servers; and while one
    /// of several does not answer, its events are refused and not those of the others.
    async fn backlog_length(&self) -> Result<u64, RedisError> {
        let mut lengths = JoinSet::new();
        for stream in &self.streams {
            let (mut length, mut link) = (redis::cmd("XLEN"), self.link.clone());
            length.arg(stream);
            lengths.spawn(async move { length.query_async::<u64>(&mut link).await });
        }
        let mut sum = Err((ErrorKind::Client, "there is no stream").into());
        while let Some(length) = lengths.join_next().await {
            let panicked = |_| Err((ErrorKind::Client, "measuring has panicked").into());
            sum = match (sum, length.unwrap_or_else(panicked)) {
                (Ok(sum), Ok(length)) => Ok(sum + length),
                (Ok(known), Err(_)) | (Err(_), Ok(known)) => Ok(known),
                (Err(_), Err(error)) => Err(error),
            };
        }
        sum
    }
}

fn milliseconds_since_epoch() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}
