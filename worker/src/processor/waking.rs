//! Waking: an event that waits for an object is due as soon as that object has changed (see [`crate::finish`]).
//!
//! After a commit all partitions are asked at once whether anything waits there, while the cache tags are deleted. Only
//! where something does a script looks for those who wait for what was changed. A worker that dies before leaves its
//! entries pending; whoever takes them over finds them in the ledger, and wakes.

use std::collections::BTreeSet;

use redis::{ErrorKind, RedisResult};
use shared::fault_point::{FaultPoint, reach};
use shared::queue::object;
use tokio::task::JoinSet;

use super::Processor;
use crate::apply::awaited::{Awaited, changed_since};
use crate::apply::makers::row_of;
use crate::event::{Change, Event};
use crate::finish::queue::Hastened;
use crate::outage::Interrupted;
use crate::source::queue::Queue;

/// How many of the woken events are put back on the stream at once: payloads of 1 MiB are copied. The others come back
/// within a second, like all that is due.
const RETURNED_AT_ONCE: usize = 16;

/// An event of the batch that was parked because it waits for an object.
pub(super) struct Registered {
    pub(super) awaited: Awaited,
    pub(super) until: Hastened,
}

/// Objects that have changed, and in which partitions to wake who waits for them.
pub(super) struct Waking<'a> {
    objects: Vec<String>,
    queues: Vec<&'a Queue>,
}

/// The object that an event changes, as the queue names it.
pub(super) fn changed_object(event: &Event) -> Option<String> {
    let changed = event.changed()?;
    Some(object(&changed.section.family, changed.id.as_str()))
}

/// The objects that others may have waited for if this event changes something: its own, its row where that has another
/// key, and where a row may have been linked the one that was nobody's.
pub(super) fn changed_objects(event: &Event) -> impl Iterator<Item = String> {
    let section = event.changed().map(|changed| &changed.section);
    let links = section.filter(|section| section.link_by.is_some());
    let nobody = links.map(|section| object(&section.family, ""));
    let row = event.upserted().and_then(row_of);
    changed_object(event).into_iter().chain(row).chain(nobody)
}

/// Whether an event may change or remove the rows of other objects: of those that refer to its own.
pub(super) fn may_touch_others(event: &Event) -> bool {
    event.changed().is_some_and(|object| {
        let is_deletion = matches!(event.change, Change::Delete(_));
        // One that goes along with another one takes others along in its turn.
        object.section.is_found && (is_deletion || !object.parents.is_empty())
    })
}

impl Processor {
    /// Asks all partitions whether anything waits there for another object.
    pub(super) async fn look_who_waits(
        &self,
        objects: BTreeSet<String>,
    ) -> Result<Waking<'_>, Interrupted> {
        let objects = Vec::from_iter(objects);
        if objects.is_empty() {
            let queues = Vec::new();
            return Ok(Waking { objects, queues });
        }
        let look = || self.partitions_that_await();
        let partitions = self.outages.until_redis_answers(look).await?;
        let queues = partitions.into_iter();
        let queues = queues.filter_map(|partition| self.partitions.get(partition));
        Ok(Waking {
            objects,
            queues: queues.collect(),
        })
    }

    /// All at once: the commands share a round trip, and in a cluster each partition may lie on another server.
    async fn partitions_that_await(&self) -> RedisResult<Vec<u32>> {
        let mut asking: JoinSet<RedisResult<Option<u32>>> = JoinSet::new();
        for queue in self.partitions.iter() {
            let queue = queue.clone();
            asking.spawn(async move {
                let is_awaited = queue.is_anything_awaited().await?;
                Ok(is_awaited.then_some(queue.partition()))
            });
        }
        let mut partitions = Vec::new();
        while let Some(answer) = asking.join_next().await {
            let panicked = |_| Err((ErrorKind::Client, "a task has panicked").into());
            partitions.extend(answer.unwrap_or_else(panicked)?);
        }
        Ok(partitions)
    }

    /// Makes all due that wait for these objects.
    pub(super) async fn wake(&self, waking: &mut Waking<'_>) -> Result<(), Interrupted> {
        if waking.queues.is_empty() {
            return Ok(());
        }
        let mut woken_in = Vec::new();
        for queue in &waking.queues {
            let wake = || queue.wake(&waking.objects);
            let woken = self.outages.until_redis_answers(wake).await?;
            self.metrics.woken.inc_by(woken as u64);
            if woken > 0 {
                woken_in.push(*queue);
            }
        }
        waking.queues = woken_in;
        reach(FaultPoint::Woken).await;
        Ok(())
    }

    /// Puts those who were woken back on the stream.
    pub(super) async fn return_woken(&self, waking: &Waking<'_>) -> Result<(), Interrupted> {
        for queue in &waking.queues {
            let unpark = || queue.unpark(RETURNED_AT_ONCE);
            self.outages.until_redis_answers(unpark).await?;
            reach(FaultPoint::Unparked).await;
        }
        Ok(())
    }

    /// Wakes those of a batch that wait for something which has changed since they looked. Whoever changed it may have
    /// looked for them before they were registered. The others are to wait as long as they were told.
    pub(super) async fn look_again(
        &self,
        queue: &Queue,
        registered: Vec<Registered>,
    ) -> Result<(), Interrupted> {
        if registered.is_empty() {
            return Ok(());
        }
        let awaited: Vec<&Awaited> = registered.iter().map(|one| &one.awaited).collect();
        let look = || changed_since(&self.database, &awaited);
        let changed = self.outages.until_postgres_answers(look).await?;
        if !changed.is_empty() {
            let mut waking = Waking {
                objects: Vec::from_iter(changed),
                queues: vec![queue],
            };
            self.wake(&mut waking).await?;
            self.return_woken(&waking).await?;
        }
        let until = registered.into_iter().map(|one| one.until);
        let until: Vec<Hastened> = until.filter(|(_, due, later)| due != later).collect();
        let put_off = || queue.put_off(&until);
        self.outages.until_redis_answers(put_off).await?;
        reach(FaultPoint::LookedAgain).await;
        Ok(())
    }
}
