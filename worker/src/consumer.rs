//! Reads batches: new entries, and those of workers that are gone.

use std::time::{Duration, Instant};

use redis::streams::StreamId;
use redis::{RedisResult, Value};
use shared::queue::field;
use shared::redis_link;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::entry::Entry;
use crate::metrics::Metrics;
use crate::queue::{Queue, is_group_gone};
use crate::visibility::InFlight;

/// Bytes of payloads that one read should bring: with payloads near the limit of the ingest a full
/// batch would be hundreds of megabytes.
const READ_BYTES: usize = 8 << 20;
/// How many entries to read before their size is known.
const FIRST_READ: usize = 32;
/// How long a read waits for the first entry: how long a stop may have to wait for it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A consumer that holds nothing is removed after this many times the time of a take-over.
const GONE_AFTER: u32 = 4;

/// Reads for one worker process.
pub struct Consumer {
    /// What it reads from.
    pub queue: Queue,
    /// What it has read and nobody has finished yet.
    pub in_flight: InFlight,
    /// How many entries a batch has at the most.
    pub batch_size: usize,
    /// How long an entry's worker must be silent before it is taken over.
    pub reclaim_after: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// What the consumer remembers from one read to the next.
struct Position {
    /// A read may have failed after Redis had given us entries that we do not know of.
    must_recover: bool,
    take_over_due: Instant,
    take_over_from: String,
    /// Bytes of the largest payload of the last read.
    largest: usize,
}

impl Consumer {
    /// Sends batches to `batches` until `stop` is cancelled or nobody receives any more. Reads the
    /// next batch only when there is a place for it, so the memory that waits is one batch.
    pub async fn run(self, batches: Sender<Vec<Entry>>, stop: CancellationToken) {
        let mut back_off = BackOff::of_a_store();
        let mut position = Position {
            must_recover: true,
            take_over_due: Instant::now(),
            take_over_from: "0-0".to_owned(),
            largest: READ_BYTES / FIRST_READ,
        };
        loop {
            let Some(Ok(place)) = stop.run_until_cancelled(batches.reserve()).await else {
                return;
            };
            // A read that has begun is not cancelled: Redis might give us entries that nobody sees.
            match self.next_batch(&mut position).await {
                Ok(entries) => {
                    back_off = BackOff::of_a_store();
                    if !entries.is_empty() {
                        let batch: Vec<Entry> = entries.iter().map(Entry::parse).collect();
                        drop(entries);
                        self.in_flight
                            .add(batch.iter().map(|entry| entry.id.clone()));
                        place.send(batch);
                    }
                }
                Err(error) => {
                    position.must_recover = true;
                    if is_group_gone(&error) {
                        tracing::warn!(
                            "the stream or its consumer group is gone: creating it again"
                        );
                    } else {
                        self.metrics
                            .store_failures
                            .with_label_values(&["redis"])
                            .inc();
                        tracing::warn!(reason = redis_link::reason(&error), "Redis cannot be read");
                    }
                    stop.run_until_cancelled(tokio::time::sleep(back_off.after_failure()))
                        .await;
                }
            }
        }
    }

    async fn next_batch(&self, position: &mut Position) -> RedisResult<Vec<StreamId>> {
        if position.must_recover {
            self.queue.hand_back(&self.in_flight.all()).await?;
            position.must_recover = false;
        }
        let count = (READ_BYTES / position.largest.max(1)).clamp(1, self.batch_size);
        if Instant::now() >= position.take_over_due {
            let taken = self.take_over(position, count).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        let entries = self
            .queue
            .read(count, LONGEST_WAIT.min(self.reclaim_after / 2))
            .await?;
        position.largest = entries
            .iter()
            .map(payload_bytes)
            .max()
            .unwrap_or(position.largest);
        Ok(entries)
    }

    async fn take_over(&self, position: &mut Position, count: usize) -> RedisResult<Vec<StreamId>> {
        self.queue.show_life().await?;
        let (taken, next) = self
            .queue
            .take_over(self.reclaim_after, &position.take_over_from, count)
            .await?;
        position.take_over_from = next;
        if position.take_over_from == "0-0" {
            position.take_over_due = Instant::now() + self.reclaim_after / 2;
            self.queue
                .remove_idle_consumers(self.reclaim_after * GONE_AFTER)
                .await?;
        }
        // After an outage longer than the time of a take-over our own entries look abandoned too.
        let taken: Vec<StreamId> = taken
            .into_iter()
            .filter(|entry| !self.in_flight.contains(&entry.id))
            .collect();
        if !taken.is_empty() {
            self.metrics.reclaimed.inc_by(taken.len() as u64);
            tracing::info!(
                entries = taken.len(),
                "took over entries of a worker that is gone"
            );
        }
        Ok(taken)
    }
}

fn payload_bytes(entry: &StreamId) -> usize {
    match entry.map.get(field::PAYLOAD) {
        Some(Value::BulkString(payload)) => payload.len(),
        _ => 0,
    }
}
