//! After the commit: cache tags, removal, retries, waking, dead letters.
//!
//! The tags go before the entry, and a dead letter is written before its entry is removed. So what a worker leaves undone
//! when it dies, another worker does again, and nothing is lost (P5, P7).
//!
//! **Retries.** An event that may heal is parked in Redis, so that waiting takes no slot of a worker and survives a restart.
//! It waits 1 s, doubling to 15 min, with a jitter of up to half of that, and is dead-lettered after `MAX_ATTEMPTS` failures.
//! Every worker returns what is due, at most a second late. A second delivery of an event that waits is dropped when it
//! fails too.
//!
//! **Waking.** An event that waits for another object is registered by the name of that object, and made due when the
//! object changes. A worker that has parked an event looks at the object again, and a worker that has committed a change
//! looks afterwards who is registered, so one of the two sees the other. Until its worker has looked again the event is
//! due soon, in case that worker dies. An attempt after a waking counts for nothing: the waking takes one off those that
//! have failed.
//!
//! **Dead letters.** An event may be on the stream twice, in the hands of two workers. So between writing the letters of a
//! batch and removing their entries, the ledger is asked by trying to write there, which waits for a transaction that is
//! about to commit. If the event is recorded, this copy is a duplicate: its tags are deleted and its letter goes. If it is
//! applied later, whoever finishes it finds the letter and removes it.

pub mod cache_tags;
pub mod changes;
pub mod queue;
pub mod refusals;
pub mod retry;
pub mod second_deletion;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::cache_tags::CacheTags;
use crate::source::partitions::Partitions;

/// When a waiting event comes back whose worker died before it was done with it.
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);

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
