//! From the stream to a batch: reading, taking over, staying visible, handing back.
//!
//! **Reading.** Each partition has a [`Consumer`] with a connection of its own, because a blocking read holds its
//! connection up. A batch is read 32 entries at a time, or 128 where the ones just read for it were small, and only what
//! the payloads say is kept. So payloads of 1 MiB take 32 MiB of memory, or 128 MiB in a batch that begins with small ones,
//! and not `BATCH_SIZE` of them. A read that has begun is never cancelled: Redis might give us entries that nobody sees. For
//! the same reason a read that fails is followed by handing back whatever this consumer holds and does not know of.
//!
//! **Partitions.** The consumers send their batches into one channel that has as many places as there are partitions. A
//! consumer reserves a place before it reads, and waits in turn for the next one. So each has one batch waiting at most,
//! and a flooded partition is one of many in the queue. All first reads together bring 32 entries, or one each; the reads
//! after the first are made by one consumer at a time. Nothing depends on which user is in which partition.
//!
//! **Taking over.** Every `RECLAIM_AFTER_MS / 2` a worker claims entries that have been idle for `RECLAIM_AFTER_MS`. This
//! also clears entries from the pending list that were deleted. A living worker resets the idle time of what it works on
//! three times in that period. It never claims what it is working on itself, even after a long outage, nor what another
//! worker has taken from it. Consumers that hold nothing and have been silent for four times as long are removed; looking
//! and removing are one script, so no entry is stranded.
//!
//! **The end.** On SIGTERM or SIGINT nothing more is read; a read that waits ends within a second. The batch that was begun
//! is finished. After four fifths of `SHUTDOWN_GRACE_MS` at the latest, everything that this consumer still holds goes back
//! to the stream in one script, and the consumer is removed. The entries have new ids then, which changes nothing: the
//! order in the stream has no meaning (P4).

pub mod consumer;
pub mod losses;
pub mod partitions;
pub mod queue;
pub mod raw_entry;
pub mod visibility;

use std::sync::Arc;
use std::time::Duration;

use shared::fault_point::{FaultPoint, reach};
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::consumer::{Batch, Consumer};
use self::partitions::Partitions;
use self::raw_entry::RawEntry;
use self::visibility::InFlight;
use crate::metrics::Metrics;

/// How long a read waits for the first entry.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What is read, and how.
pub struct Source<E> {
    /// Where events wait.
    pub partitions: Partitions,
    /// What is kept of an entry.
    pub parse: Arc<dyn Fn(&RawEntry) -> E + Send + Sync>,
    /// Whether anything may be read now.
    pub may_read: watch::Receiver<bool>,
    /// How many entries a batch has at the most.
    pub batch_size: usize,
    /// How long a worker must be silent before its entries are taken over.
    pub reclaim_after: Duration,
    /// How long a stop may take.
    pub shutdown_grace: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

impl<E: Send + 'static> Source<E> {
    /// Reads until `stop` is cancelled. What is in flight stays visible until `background_stop` is.
    #[must_use]
    pub fn start(
        &self,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        background_stop: &CancellationToken,
    ) -> Receiver<Batch<E>> {
        let count = self.partitions.count();
        // One batch of each partition waits while others are being processed.
        let (batches, received) = mpsc::channel(count as usize);
        let reading = Arc::default();
        for queue in self.partitions.iter() {
            let in_flight = InFlight::default();
            tokio::spawn(visibility::keep_visible(
                queue.clone(),
                in_flight.clone(),
                self.reclaim_after,
                background_stop.clone(),
            ));
            let consumer = Consumer {
                queue: queue.clone(),
                in_flight,
                may_read: self.may_read.clone(),
                batch_size: self.batch_size,
                partitions: count,
                reading: Arc::clone(&reading),
                // Short enough that a stop need not wait for it, nor a take-over.
                wait: LONGEST_WAIT
                    .min(self.reclaim_after / 2)
                    .min(self.shutdown_grace / 4),
                reclaim_after: self.reclaim_after,
                parse: Arc::clone(&self.parse),
                metrics: self.metrics.clone(),
            };
            tasks.spawn(consumer.run(batches.clone(), stop.clone()));
        }
        received
    }
}

/// Lets the batch in flight finish, then hands back whatever this consumer still holds.
pub async fn leave(tasks: &TaskTracker, partitions: &Partitions, grace: Duration) {
    // Handing back must fit into the grace period too.
    let for_batches = grace * 4 / 5;
    if tokio::time::timeout(for_batches, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("a batch did not finish in time: handing it back");
    }
    match tokio::time::timeout(grace - for_batches, partitions.leave()).await {
        Ok((entries, 0)) => {
            reach(FaultPoint::Left).await;
            tracing::info!(entries, "handed back");
        }
        _ => {
            tracing::warn!("entries could not be handed back: another worker takes them over later")
        }
    }
}

/// Unique for each process, and tells an operator where it runs.
#[must_use]
pub fn consumer_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!(
        "{}-{}-{}",
        host.trim(),
        std::process::id(),
        uuid::Uuid::new_v4().simple()
    )
}
