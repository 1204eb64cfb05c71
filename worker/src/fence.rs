//! A worker that was stopped for longer than the time of a take-over, and goes on, must not apply what
//! is another one's by now.

use std::collections::{BTreeMap, HashSet};

use shared::redis_link;
use shared::svix_id::SvixId;

use crate::entry::EntryId;
use crate::event::Event;
use crate::failure::Failure;
use crate::queue::Queue;

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
pub struct Holding<'a> {
    /// Who knows.
    pub queue: &'a Queue,
    /// The entry of each event; those that have none here wait in the retry set.
    pub entries: BTreeMap<&'a SvixId, &'a EntryId>,
}

impl Fence for Holding<'_> {
    async fn lost(&self, events: &[&Event]) -> Result<HashSet<String>, Failure> {
        if events.is_empty() {
            return Ok(HashSet::new());
        }
        let events: Vec<(&str, Option<&EntryId>)> = events
            .iter()
            .map(|event| {
                let entry = self.entries.get(&event.svix_id).copied();
                (event.svix_id.as_str(), entry)
            })
            .collect();
        self.queue
            .lost(&events)
            .await
            .map_err(|error| Failure::QueueUnavailable(redis_link::reason(&error)))
    }
}
