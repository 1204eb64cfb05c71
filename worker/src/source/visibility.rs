//! A long batch is not stolen from a living worker.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::source::queue::Queue;
use crate::source::raw_entry::EntryId;

/// The entries of one partition that this process has read and not finished yet.
#[derive(Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<EntryId>>>);

impl InFlight {
    /// Adds entries.
    pub fn add(&self, entries: impl IntoIterator<Item = EntryId>) {
        self.entries().extend(entries);
    }

    /// Removes entries.
    pub fn remove<'a>(&self, entries: impl IntoIterator<Item = &'a EntryId>) {
        let mut in_flight = self.entries();
        for entry in entries {
            in_flight.remove(entry);
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<EntryId> {
        self.entries().iter().cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, HashSet<EntryId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the other workers three times per `reclaim_after` what this one is still working on, until
/// `stop` is cancelled.
pub async fn keep_visible(
    queue: Queue,
    in_flight: InFlight,
    reclaim_after: Duration,
    stop: CancellationToken,
) {
    while stop
        .run_until_cancelled(tokio::time::sleep(reclaim_after / 3))
        .await
        .is_some()
    {
        let entries = in_flight.all();
        // Where this fails, a store is away, and whoever uses it next says so.
        if !entries.is_empty() {
            let _ = queue.extend_visibility(&entries).await;
        }
    }
}
