//! Tags are deleted a second time, for readers that cache what they read before the commit.

use std::time::Duration;

use shared::redis_link;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::finish::cache_tags::CacheTags;

/// How many tags are deleted in one step.
const TAGS_AT_ONCE: usize = 256;
/// The longest time between two looks: another worker's tags may have a shorter wait than ours.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest time between two looks that find nothing more to do.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes tags whose time has come, also those of workers that are gone, until `stop` is cancelled. Does
/// nothing where there is no second deletion.
pub async fn delete_due_tags(cache_tags: CacheTags, stop: CancellationToken) {
    let Some(wait_for_second) = cache_tags.second_deletion() else {
        return;
    };
    // Whatever is deleted after a look is not due before the next one.
    let look = wait_for_second.clamp(PAUSE, LOOK);
    let mut wait = PAUSE;
    let mut back_off = BackOff::of_a_store();
    while stop
        .run_until_cancelled(tokio::time::sleep(wait))
        .await
        .is_some()
    {
        wait = match cache_tags.delete_due(TAGS_AT_ONCE).await {
            Ok((deleted, next)) => {
                back_off = BackOff::of_a_store();
                if deleted < TAGS_AT_ONCE {
                    next.unwrap_or(look).clamp(PAUSE, look)
                } else {
                    Duration::ZERO
                }
            }
            Err(error) => {
                tracing::warn!(
                    reason = redis_link::reason(&error),
                    "cache tags could not be deleted a second time"
                );
                back_off.after_failure()
            }
        };
    }
}
