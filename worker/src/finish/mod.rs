//! After the commit: cache tags, removal, waiting for another attempt, dead letters.
//!
//! The tags go before the entry, and a dead letter is written before its entry is removed. So whatever dies in between is
//! done again by another worker, and nothing is lost (P5, P7).

pub mod cache_tags;
pub mod queue;
pub mod refusals;
pub mod retry;
pub mod second_deletion;

use tokio_util::sync::CancellationToken;

use self::cache_tags::CacheTags;
use crate::source::partitions::Partitions;

/// Returns what waits for another attempt when it is due, and deletes cache tags a second time, until `stop` is
/// cancelled.
pub fn start(partitions: &Partitions, cache_tags: &CacheTags, stop: &CancellationToken) {
    for queue in partitions.iter() {
        tokio::spawn(retry::return_due_entries(queue.clone(), stop.clone()));
    }
    tokio::spawn(second_deletion::delete_due_tags(
        cache_tags.clone(),
        stop.clone(),
    ));
}
