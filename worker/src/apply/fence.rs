//! A worker may be stopped for longer than the time of a take-over and go on, knowing nothing of it. What it does then is
//! fenced: it must not apply what another worker holds by now.
//!
//! Its scripts check whether it still holds the entry. Its transaction checks between the ledger and the rest: once the
//! svix-ids are locked, Redis is asked which entries this worker still holds, and the others are left out. The order is lock
//! first, then look. A worker that takes an entry over after the look waits at the svix-id and finds it recorded; one that
//! did so before may have dead-lettered it (P5).

use std::collections::{BTreeMap, HashSet};

use shared::redis_link;
use shared::svix_id::SvixId;

use crate::database::failure::Failure;
use crate::event::Event;
use crate::source::queue::Queue;
use crate::source::raw_entry::EntryId;

/// Tells which events are still this worker's to apply.
///
/// It is asked once their rows of the ledger are written and locked. Whoever takes them over later has to
/// wait there until this transaction has ended, and finds them recorded; whoever did so before may
/// have dead-lettered them, so they must not be applied (P5).
pub trait Fence {
    /// The svix-ids of those that are not.
    ///
    /// # Errors
    /// [`Failure::QueueUnavailable`] when nobody knows.
    fn lost(
        &self,
        events: &[&Event],
    ) -> impl Future<Output = Result<HashSet<String>, Failure>> + Send;
}

/// What a worker holds, as the queue's Redis knows it.
#[derive(Default)]
pub struct Holding<'a> {
    /// Where each event is, and its entry; those that have none wait in the retry set there.
    places: BTreeMap<&'a SvixId, (&'a Queue, Option<&'a EntryId>)>,
}

impl<'a> Holding<'a> {
    /// Holds the event of an entry.
    pub fn add(&mut self, svix_id: &'a SvixId, queue: &'a Queue, entry: &'a EntryId) {
        self.places.insert(svix_id, (queue, Some(entry)));
    }

    /// Holds an event that waits in the retry set of `queue`.
    pub fn add_waiting(&mut self, svix_id: &'a SvixId, queue: &'a Queue) {
        self.places.insert(svix_id, (queue, None));
    }
}

impl Fence for Holding<'_> {
    async fn lost(&self, events: &[&Event]) -> Result<HashSet<String>, Failure> {
        let mut lost = HashSet::new();
        let mut partitions: BTreeMap<u32, (&Queue, Vec<_>)> = BTreeMap::new();
        for event in events {
            let svix_id = event.svix_id.as_str();
            match self.places.get(&event.svix_id) {
                Some(&(queue, entry)) => {
                    let partition = partitions.entry(queue.partition());
                    let (_, of_partition) = partition.or_insert_with(|| (queue, Vec::new()));
                    of_partition.push((svix_id, entry));
                }
                None => {
                    lost.insert(svix_id.to_owned());
                }
            }
        }
        for (queue, events) in partitions.into_values() {
            let unavailable = |error| Failure::QueueUnavailable(redis_link::reason(&error));
            lost.extend(queue.lost(&events).await.map_err(unavailable)?);
        }
        Ok(lost)
    }
}
