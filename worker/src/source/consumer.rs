//! Reads batches: new entries, and those of workers that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::RedisResult;
use shared::fault_point::{FaultPoint, reach};
use shared::redis_link;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::metrics::Metrics;
use crate::source::queue::{FROM_THE_START, Queue, is_group_gone};
use crate::source::raw_entry::RawEntry;
use crate::source::visibility::InFlight;

/// How many entries a read brings. Of each entry all but the payload is kept, so that
/// with payloads of 1 MiB, the limit of the ingest, a read takes 32 MiB and a batch, which is read in
/// several, hardly more.
const READ_AT_ONCE: usize = 32;
/// How many the next one of a batch brings where those of the read before were small. Should large ones follow, this
/// one read takes four times as much.
const SMALL_READ_AT_ONCE: usize = 4 * READ_AT_ONCE;
/// The size of an entry up to which it is small, in bytes.
const SMALL: usize = 16 << 10;
/// A consumer that holds nothing is removed after this many times the time of a take-over.
const GONE_AFTER: u32 = 4;

/// What was read together.
pub struct Batch<E> {
    /// Where it was read.
    pub queue: Queue,
    /// What has been read there and not finished.
    pub in_flight: InFlight,
    /// What was read.
    pub entries: Vec<E>,
    /// Dropped when the batch waits no more: then its partition may have the next one read.
    pub place: OwnedSemaphorePermit,
}

/// Reads one partition for one worker process.
pub struct Consumer<E> {
    /// What it reads from.
    pub queue: Queue,
    /// What it has read and nobody has finished yet.
    pub in_flight: InFlight,
    /// Whether anything may be read now.
    pub may_read: watch::Receiver<bool>,
    /// How many entries a batch has at the most.
    pub batch_size: usize,
    /// How many partitions this process reads.
    pub partitions: u32,
    /// Held by the one of them that reads entries which are there, so that it is one read's payloads that
    /// are in memory.
    pub reading: Arc<Mutex<()>>,
    /// How long a read waits for the first entry: how long a stop may have to wait for it.
    pub wait: Duration,
    /// How long an entry's worker must be silent before it is taken over.
    pub reclaim_after: Duration,
    /// What is kept of an entry.
    pub parse: Arc<dyn Fn(&RawEntry) -> E + Send + Sync>,
    /// What is counted.
    pub metrics: Metrics,
}

/// What the consumer remembers from one read to the next.
struct Position {
    /// A read may have failed after Redis had given us entries that we do not know of.
    must_recover: bool,
    take_over_due: Instant,
    take_over_from: String,
}

impl<E> Consumer<E> {
    /// Sends batches to `batches` until `stop` is cancelled or nobody receives any more. Reads the
    /// next batch only when the last one does not wait any more. `batches` must hold one of each
    /// partition: so none stands in front of another that always has entries.
    pub async fn run(mut self, batches: Sender<Batch<E>>, stop: CancellationToken) {
        let mut back_off = BackOff::of_a_store();
        let mut position = Position {
            must_recover: true,
            take_over_due: Instant::now(),
            take_over_from: FROM_THE_START.to_owned(),
        };
        let place = Arc::new(Semaphore::new(1));
        loop {
            let free = Arc::clone(&place).acquire_owned();
            let Some(Ok(place)) = stop.run_until_cancelled(free).await else {
                return;
            };
            let may_read = self.may_read.wait_for(|may_read| *may_read);
            let Some(Ok(_)) = stop.run_until_cancelled(may_read).await else {
                return;
            };
            // A read that has begun is not cancelled: Redis might give us entries that nobody sees.
            match self.next_batch(&mut position).await {
                Ok(entries) => {
                    back_off = BackOff::of_a_store();
                    if entries.is_empty() {
                        continue;
                    }
                    let batch = Batch {
                        queue: self.queue.clone(),
                        in_flight: self.in_flight.clone(),
                        entries,
                        place,
                    };
                    if batches.send(batch).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    position.must_recover = true;
                    if is_group_gone(&error) {
                        tracing::info!(
                            partition = self.queue.partition(),
                            "the stream or its consumer group is gone: creating it again"
                        );
                    } else {
                        self.metrics
                            .store_failures
                            .with_label_values(&["redis"])
                            .inc();
                        tracing::warn!(
                            partition = self.queue.partition(),
                            reason = redis_link::reason(&error),
                            "Redis cannot be read"
                        );
                    }
                    stop.run_until_cancelled(tokio::time::sleep(back_off.after_failure()))
                        .await;
                }
            }
        }
    }

    async fn next_batch(&self, position: &mut Position) -> RedisResult<Vec<E>> {
        if position.must_recover {
            self.queue.hand_back(&self.in_flight.all()).await?;
            reach(FaultPoint::HandedBack).await;
            position.must_recover = false;
        }
        if Instant::now() >= position.take_over_due {
            let batch = self.take_over(position).await?;
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
        let mut batch = Vec::new();
        let mut wait = Some(self.wait);
        // All partitions may get their first entries at once.
        let mut read_at_once = (READ_AT_ONCE / self.partitions as usize).max(1);
        loop {
            let count = read_at_once.min(self.batch_size - batch.len());
            let alone = match wait {
                Some(_) => None,
                None => Some(self.reading.lock().await),
            };
            let read = self.queue.read(count, wait.take()).await;
            match read {
                Ok(entries) => {
                    let read = entries.len();
                    if read > 0 {
                        reach(FaultPoint::Read).await;
                    }
                    batch.extend(self.begin(&entries));
                    read_at_once = after(&entries);
                    drop((entries, alone));
                    if read < count || batch.len() >= self.batch_size {
                        return Ok(batch);
                    }
                }
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => {
                    // What was read is good; the next batch begins with finding out what is not.
                    position.must_recover = true;
                    return Ok(batch);
                }
            }
        }
    }

    async fn take_over(&self, position: &mut Position) -> RedisResult<Vec<E>> {
        self.queue.show_life().await?;
        let count = READ_AT_ONCE.min(self.batch_size);
        // After an outage longer than the time of a take-over our own entries look abandoned too.
        let working = self.in_flight.all();
        let alone = self.reading.lock().await;
        let (taken, next) = self
            .queue
            .take_over(
                self.reclaim_after,
                &position.take_over_from,
                count,
                &working,
            )
            .await?;
        position.take_over_from = next;
        if position.take_over_from == FROM_THE_START {
            position.take_over_due = Instant::now() + self.reclaim_after / 2;
            self.queue
                .remove_idle_consumers(self.reclaim_after * GONE_AFTER)
                .await?;
        }
        if !taken.is_empty() {
            reach(FaultPoint::TakenOver).await;
            self.metrics.reclaimed.inc_by(taken.len() as u64);
            tracing::info!(
                partition = self.queue.partition(),
                entries = taken.len(),
                "took over entries of a worker that is gone"
            );
        }
        let batch = self.begin(&taken);
        drop((taken, alone));
        Ok(batch)
    }

    /// From here on the entries are in flight.
    fn begin(&self, entries: &[RawEntry]) -> Vec<E> {
        self.in_flight.add(entries.iter().map(|(id, _)| id.clone()));
        entries.iter().map(|entry| (self.parse)(entry)).collect()
    }
}

/// How many entries the read after this one of the same batch may bring.
fn after(entries: &[RawEntry]) -> usize {
    let bytes = |(_, fields): &RawEntry| fields.iter().map(|(_, value)| value.len()).sum::<usize>();
    if entries.iter().any(|entry| bytes(entry) > SMALL) {
        READ_AT_ONCE
    } else {
        SMALL_READ_AT_ONCE
    }
}
