//! Closing a ring: the event that completes it and those that wait are applied together, in one transaction.
//!
//! The waiting events stay where they are until their tags are deleted. Before the transaction they are made due in 30 s:
//! if the worker dies in between, they come back, are found in the ledger, and their tags are deleted again. Those that
//! could not be applied are then due when they were before, unless somebody else has tried or hastened them: a ring that
//! cannot be closed would otherwise use up its attempts within minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use shared::fault_point::{FaultPoint, reach};
use shared::svix_id::SvixId;

use super::steps::{Attempt, Steps};
use super::waking::changed_object;
use super::{Processor, outcome};
use crate::apply::Verdict;
use crate::apply::fence::Holding;
use crate::decide::ring::{Search, Waiting};
use crate::event::Event;
use crate::event::entry::Entry;
use crate::finish::RECOVERY;
use crate::finish::queue::Hastened;
use crate::outage::Interrupted;
use crate::source::queue::Queue;

/// How many events about one object are looked at that wait for another one: payloads of 1 MiB are read.
const WAITING_AT_ONCE: usize = 32;

impl Processor {
    /// Applies an event that waits for the object `awaited` together with those that wait, if
    /// they are a ring. Returns what became of the event itself, and when; the others stay where they wait unless
    /// they were applied.
    pub(super) async fn close_ring(
        &self,
        queue: &Queue,
        entry: &Entry,
        event: &Event,
        awaited: &str,
    ) -> Result<Option<(Verdict, Steps)>, Interrupted> {
        let Some(object) = changed_object(event) else {
            return Ok(None);
        };
        let mut search = Search::new(&object, awaited);
        let mut ring: Vec<Waiting> = Vec::new();
        let mut closed = None;
        while let Some(more) = self.waiting_ring(&mut search).await? {
            ring.extend(more);
            // One that waits in two partitions comes back from the other and is found in the ledger.
            let mut known = BTreeSet::from([event.svix_id.clone()]);
            ring.retain(|waiting| known.insert(waiting.event.svix_id.clone()));
            let applied = self.apply_ring(queue, entry, event, &ring).await?;
            let Some((verdicts, steps)) = applied else {
                break;
            };
            for verdict in &verdicts {
                if let Verdict::Waiting(awaited) = verdict {
                    search.go_on(&awaited.object);
                }
            }
            let mut verdicts = verdicts.into_iter();
            closed = verdicts.next().map(|verdict| (verdict, steps));
            ring.retain(|_| {
                verdicts
                    .next()
                    .is_some_and(|verdict| !is_finished(&verdict))
            });
            if !matches!(closed, Some((Verdict::Waiting(_), _))) {
                break;
            }
        }
        Ok(closed)
    }

    /// Applies an event together with those of a ring. Returns what became of it and of them, and when.
    async fn apply_ring(
        &self,
        queue: &Queue,
        entry: &Entry,
        event: &Event,
        ring: &[Waiting],
    ) -> Result<Option<(Vec<Verdict>, Steps)>, Interrupted> {
        let mut places = BTreeMap::from([(&event.svix_id, queue)]);
        let mut holding = Holding::default();
        holding.add(&event.svix_id, queue, &entry.id);
        for waiting in ring {
            let Some(queue) = self.partitions.get(waiting.partition) else {
                return Ok(None);
            };
            places.insert(&waiting.event.svix_id, queue);
            holding.add_waiting(&waiting.event.svix_id, queue);
        }
        // Should this worker die after the commit, their tags are not to wait for their next attempt (P7).
        let waiting = ring.iter().map(|waiting| &waiting.event);
        let hastened = self.hasten(by_partition(waiting.clone(), &places)).await?;
        let events: Vec<&Event> = std::iter::once(event).chain(waiting).collect();
        let begun = SystemTime::now();
        let verdicts = self.until_applied(&holding, &events).await?;
        let committed = SystemTime::now();
        reach(FaultPoint::RingCommitted).await;
        let mut waking = self.delete_tags(&events, verdicts.iter().map(Some)).await?;
        reach(FaultPoint::RingTagsDeleted).await;
        let steps = Steps {
            begun,
            committed,
            tags_deleted: SystemTime::now(),
        };
        self.wake(&mut waking).await?;
        let mut finished = Vec::new();
        for (event, verdict) in events.iter().zip(&verdicts) {
            if is_finished(verdict) {
                finished.push(*event);
                self.report(event, verdict, committed);
            }
        }
        for (queue, finished) in by_partition(finished, &places) {
            self.outages
                .until_redis_answers(|| queue.finish_waiting(&finished))
                .await?;
        }
        reach(FaultPoint::RingClosed).await;
        // Only now: those of the ring wait for each other, and were woken too.
        self.return_woken(&waking).await?;
        self.put_off(&hastened).await?;
        for (waiting, verdict) in ring.iter().zip(&verdicts[1..]) {
            if is_finished(verdict) {
                let attempt = Attempt::of_waiting(waiting, outcome(verdict), steps);
                self.trace(waiting.partition, &[attempt]);
            }
        }
        Ok(Some((verdicts, steps)))
    }

    async fn hasten<'a>(
        &self,
        waiting: Vec<(&'a Queue, Vec<&str>)>,
    ) -> Result<Vec<(&'a Queue, Vec<Hastened>)>, Interrupted> {
        let mut hastened = Vec::new();
        for (queue, svix_ids) in waiting {
            let hasten = || queue.hasten(&svix_ids, RECOVERY);
            hastened.push((queue, self.outages.until_redis_answers(hasten).await?));
        }
        Ok(hastened)
    }

    /// What could not be applied keeps the time that it was to wait: a ring that cannot be closed would use up all
    /// attempts of its events within minutes. What was applied does not wait any more.
    async fn put_off(&self, hastened: &[(&Queue, Vec<Hastened>)]) -> Result<(), Interrupted> {
        for (queue, hastened) in hastened {
            self.outages
                .until_redis_answers(|| queue.put_off(hastened))
                .await?;
        }
        reach(FaultPoint::RingPutOff).await;
        Ok(())
    }

    async fn waiting_ring(&self, search: &mut Search) -> Result<Option<Vec<Waiting>>, Interrupted> {
        while let Some(object) = search.what_to_ask() {
            let waiting = self.waiting_of(&object).await?;
            let ring = search.found(waiting);
            if ring.is_some() {
                return Ok(ring);
            }
        }
        Ok(None)
    }

    /// What waits of an object in any partition: an entry may have been added by hand, or when there were
    /// more or fewer partitions. One after the other, because payloads are read.
    async fn waiting_of(&self, object: &str) -> Result<Vec<Waiting>, Interrupted> {
        let mut found = Vec::new();
        for queue in self.partitions.iter() {
            let entries = self
                .outages
                .until_redis_answers(|| queue.waiting_of(object, WAITING_AT_ONCE - found.len()))
                .await?;
            let waiting = |entry| Waiting::parse(entry, queue.partition(), &self.reader);
            found.extend(entries.iter().filter_map(waiting));
            if found.len() >= WAITING_AT_ONCE {
                break;
            }
        }
        Ok(found)
    }
}

const fn is_finished(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Recorded(_) | Verdict::Duplicate)
}

/// The svix-ids of events, by the queue of their partition.
fn by_partition<'a>(
    events: impl IntoIterator<Item = &'a Event>,
    places: &BTreeMap<&SvixId, &'a Queue>,
) -> Vec<(&'a Queue, Vec<&'a str>)> {
    let mut partitions: BTreeMap<u32, (&Queue, Vec<&str>)> = BTreeMap::new();
    for event in events {
        if let Some(&queue) = places.get(&event.svix_id) {
            let partition = partitions.entry(queue.partition());
            let (_, svix_ids) = partition.or_insert_with(|| (queue, Vec::new()));
            svix_ids.push(event.svix_id.as_str());
        }
    }
    partitions.into_values().collect()
}
