//! What is done with a batch, in the order that the promises rest on: commit, then delete the cache
//! tags and wake who waits, then remove the entries. A worker that dies anywhere in between leaves the entries pending;
//! whoever takes them over finds them in the ledger, deletes the tags again, and wakes (P3, P7).

mod applied;
mod rings;
mod steps;
mod waking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use shared::fault_point::{FaultPoint, reach};
use shared::svix_id::SvixId;
use shared::traces::Traces;
use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::applied::Applied;
use self::steps::{Attempt, Steps};
use self::waking::{Registered, changed_object};
use crate::apply::Verdict;
use crate::apply::awaited::Awaited;
use crate::apply::target::Targets;
use crate::database::failure::Refusal;
use crate::database::{BATCHES_AT_ONCE, Database};
use crate::event::Event;
use crate::event::entry::Entry;
use crate::event::object::ObjectId;
use crate::event::reader::Reader;
use crate::finish::changes::Changes;
use crate::finish::queue::Wait;
use crate::finish::refusals::{DEAD_LETTERED, Hopeless, RETRIED, Refusals, still_waits};
use crate::metrics::Metrics;
use crate::outage::{Interrupted, Outages};
use crate::source::consumer::Batch;
use crate::source::partitions::Partitions;
use crate::source::queue::Queue;
use crate::source::raw_entry::EntryId;

/// Processes batches.
pub struct Processor {
    /// Where events wait.
    pub partitions: Partitions,
    /// What reads waiting events.
    pub reader: Reader,
    /// Where objects go.
    pub database: Database,
    /// Which tables that are.
    pub targets: Targets,
    /// What is done after a commit.
    pub changes: Changes,
    /// What becomes of events that the database refuses.
    pub refusals: Refusals,
    /// How stores that are away are waited for.
    pub outages: Outages,
    /// What is counted.
    pub metrics: Metrics,
    /// Where events are followed.
    pub traces: Traces,
    /// Cancelled once the process is to stop.
    pub stop: CancellationToken,
}

/// The words for what may become of an event, besides those of the ledger.
const DUPLICATE: &str = "duplicate";
const LOST: &str = "lost";

/// What is to be done with all copies of an event.
enum Fate {
    /// It stands in the ledger, and that is reported, with this outcome after these steps.
    Finished(&'static str, Steps),
    /// It waits, for another object if one is named, or is dead-lettered.
    Refused(Refusal, Option<Awaited>),
    /// It is another worker's.
    Lost,
}

/// What has become of the entries of a batch so far.
#[derive(Default)]
struct Settled<'a> {
    /// What is to be done with all copies of an event.
    fates: BTreeMap<&'a SvixId, Fate>,
    /// To be removed.
    finished: Vec<(&'a EntryId, &'a str)>,
    /// To be dead-lettered.
    hopeless: Vec<Hopeless<'a>>,
    /// Parked, until another object changes.
    registered: Vec<Registered>,
    /// For the traces.
    attempts: Vec<Attempt<'a>>,
}

impl Processor {
    /// Processes [`BATCHES_AT_ONCE`] batches at once.
    pub fn start(self, batches: Receiver<Batch<Entry>>, tasks: &TaskTracker) {
        let (processor, batches) = (Arc::new(self), Arc::new(Mutex::new(batches)));
        for _ in 0..BATCHES_AT_ONCE {
            tasks.spawn(Arc::clone(&processor).run(Arc::clone(&batches)));
        }
    }

    /// Processes batches until there are no more, or until `stop` is cancelled and the batch that
    /// was begun is done with. Several may run at once and share `batches`: while one waits for Redis,
    /// another keeps PostgreSQL busy. To each other they are what other workers are.
    async fn run(self: Arc<Self>, batches: Arc<Mutex<Receiver<Batch<Entry>>>>) {
        let next = async || batches.lock().await.recv().await;
        while let Some(Some(batch)) = self.stop.run_until_cancelled(next()).await {
            let Batch {
                queue,
                in_flight,
                entries,
                place,
            } = batch;
            drop(place);
            let ids = entries.iter().map(|entry| entry.id.clone());
            let ids: Vec<EntryId> = ids.collect();
            self.metrics.batch_size.observe(ids.len() as f64);
            let processed = self.process(&queue, &entries).await;
            in_flight.remove(&ids);
            if processed.is_err() {
                return;
            }
        }
    }

    async fn process(&self, queue: &Queue, batch: &[Entry]) -> Result<(), Interrupted> {
        let applied = self.apply(queue, batch).await?;
        let mut settled = Settled::default();
        for entry in batch {
            self.settle(queue, entry, &applied, &mut settled).await?;
        }
        self.look_again(queue, settled.registered).await?;
        let dead = self.refusals.dead_letter(queue, &settled.hopeless).await?;
        let dead = dead.into_iter();
        settled
            .attempts
            .extend(dead.map(|entry| Attempt::of(entry, DEAD_LETTERED, applied.steps)));
        let remove = || queue.finish(&settled.finished);
        self.outages.until_redis_answers(remove).await?;
        reach(FaultPoint::Finished).await;
        self.trace(queue.partition(), &settled.attempts);
        Ok(())
    }

    /// Parks an entry, or tells in `settled` what is to be done with it.
    async fn settle<'a>(
        &self,
        queue: &Queue,
        entry: &'a Entry,
        applied: &Applied<'a>,
        settled: &mut Settled<'a>,
    ) -> Result<(), Interrupted> {
        let event = match &entry.event {
            Ok(event) => event,
            Err(unreadable) => {
                settled.hopeless.push(Hopeless {
                    entry,
                    reason: unreadable.to_string(),
                    attempts: 1,
                });
                return Ok(());
            }
        };
        let chosen = applied.chosen[&event.svix_id];
        if !settled.fates.contains_key(&event.svix_id) {
            let fate = self.fate(queue, chosen, applied).await?;
            settled.fates.insert(&event.svix_id, fate);
        }
        match &settled.fates[&event.svix_id] {
            Fate::Finished(outcome, steps) => {
                settled.finished.push((&entry.id, event.svix_id.as_str()));
                let is_copy = !std::ptr::eq(chosen, entry);
                let outcome = if is_copy { DUPLICATE } else { outcome };
                settled.attempts.push(Attempt::of(entry, outcome, *steps));
            }
            Fate::Refused(refusal, awaited) => {
                let object = changed_object(event);
                let waits_for = object.as_deref().zip(awaited.as_ref());
                let waits_for = waits_for.map(|(object, awaited)| Wait {
                    object,
                    awaited: &awaited.object,
                });
                let failed_attempts = chosen.failed_attempts;
                let refused = self
                    .refusals
                    .park(queue, entry, failed_attempts, refusal, waits_for);
                match refused.await? {
                    Err(hopeless) => settled.hopeless.push(hopeless),
                    Ok(parked) => {
                        let attempt = Attempt::of(entry, RETRIED, applied.steps);
                        settled.attempts.push(attempt);
                        let parked = parked.zip(awaited.clone());
                        let registered = parked.map(|((due, later), awaited)| Registered {
                            awaited,
                            until: (event.svix_id.to_string(), due, later),
                        });
                        settled.registered.extend(registered);
                    }
                }
            }
            Fate::Lost => settled
                .attempts
                .push(Attempt::of(entry, LOST, applied.steps)),
        }
        Ok(())
    }

    async fn fate(
        &self,
        queue: &Queue,
        entry: &Entry,
        applied: &Applied<'_>,
    ) -> Result<Fate, Interrupted> {
        let Ok(event) = &entry.event else {
            return Ok(Fate::Lost);
        };
        let Some(verdict) = applied.verdicts.get(&event.svix_id) else {
            return Ok(Fate::Lost);
        };
        let steps = applied.steps;
        Ok(match verdict {
            Verdict::Recorded(_) | Verdict::Duplicate => {
                self.report(event, verdict, steps.committed);
                Fate::Finished(outcome(verdict), steps)
            }
            Verdict::Refused(refusal) => Fate::Refused(refusal.clone(), None),
            Verdict::Waiting(awaited) if !awaited.is_of_a_value => {
                Fate::Refused(still_waits(awaited), Some(awaited.clone()))
            }
            Verdict::Waiting(awaited) => {
                match self
                    .close_ring(queue, entry, event, &awaited.object)
                    .await?
                {
                    Some((verdict @ (Verdict::Recorded(_) | Verdict::Duplicate), steps)) => {
                        Fate::Finished(outcome(&verdict), steps)
                    }
                    // It waits for the address all the same.
                    Some((Verdict::Refused(refusal), _)) => {
                        Fate::Refused(refusal, Some(awaited.clone()))
                    }
                    Some((Verdict::Lost, _)) => Fate::Lost,
                    Some((Verdict::Waiting(_), _)) | None => {
                        Fate::Refused(still_waits(awaited), Some(awaited.clone()))
                    }
                }
            }
            Verdict::Lost => {
                tracing::warn!(
                    svix_id = event.svix_id.as_str(),
                    r#type = event.event_type,
                    object_id = event.object_id().map(ObjectId::as_str),
                    "another worker has taken an event over"
                );
                Fate::Lost
            }
        })
    }

    fn report(&self, event: &Event, verdict: &Verdict, committed_at: SystemTime) {
        let outcome = outcome(verdict);
        let latency = committed_at
            .duration_since(event.received_at)
            .unwrap_or_default();
        self.metrics.event(&event.event_type, outcome);
        self.metrics
            .end_to_end_seconds
            .observe(latency.as_secs_f64());
        tracing::info!(
            svix_id = event.svix_id.as_str(),
            r#type = event.event_type,
            object_id = event.object_id().map(ObjectId::as_str),
            outcome,
            milliseconds = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
            "event"
        );
    }
}

/// The word for what stands in the ledger.
const fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Recorded(outcome) => outcome.name(),
        _ => DUPLICATE,
    }
}
