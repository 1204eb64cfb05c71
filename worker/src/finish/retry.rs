//! What happens to an event that the database refuses, and when it comes back.

use std::time::Duration;

use shared::fault_point::{FaultPoint, reach};
use shared::redis_link;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::database::failure::{Refusal, Remedy};
use crate::source::queue::Queue;

/// How many entries come back in one step.
const UNPARKED_AT_ONCE: usize = 256;
/// How often to look for entries that another worker has parked.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What to do with a refused event.
#[derive(Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Try again after this time.
    Park {
        /// How long to wait.
        wait: Duration,
    },
    /// It has had its chances.
    DeadLetter,
}

/// Decides, after `failed_attempts` of which the last has just failed.
#[must_use]
pub fn next_step(refusal: &Refusal, failed_attempts: u32, max_attempts: u32) -> NextStep {
    if refusal.remedy == Remedy::GiveUp || failed_attempts >= max_attempts {
        return NextStep::DeadLetter;
    }
    NextStep::Park {
        wait: BackOff::of_an_event().after_failures(failed_attempts),
    }
}

/// Puts entries back on the stream when they are due, until `stop` is cancelled.
pub async fn return_due_entries(queue: Queue, stop: CancellationToken) {
    let mut wait = PAUSE;
    let mut back_off = BackOff::of_a_store();
    while stop
        .run_until_cancelled(tokio::time::sleep(wait))
        .await
        .is_some()
    {
        wait = match queue.unpark(UNPARKED_AT_ONCE).await {
            Ok((unparked, next)) => {
                if unparked > 0 {
                    reach(FaultPoint::Unparked).await;
                }
                back_off = BackOff::of_a_store();
                next.unwrap_or(LOOK).clamp(PAUSE, LOOK)
            }
            Err(error) => {
                tracing::warn!(
                    reason = redis_link::reason(&error),
                    "entries could not be put back"
                );
                back_off.after_failure()
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(remedy: Remedy, failed_attempts: u32) -> NextStep {
        next_step(
            &Refusal {
                remedy,
                ..Refusal::default()
            },
            failed_attempts,
            25,
        )
    }

    #[test]
    fn what_cannot_heal_is_dead_lettered_at_once() {
        assert_eq!(step(Remedy::GiveUp, 1), NextStep::DeadLetter);
    }

    #[test]
    fn what_may_heal_is_dead_lettered_after_the_last_attempt() {
        for remedy in [
            Remedy::Repeat,
            Remedy::Stalled,
            Remedy::TryLater,
            Remedy::WaitUntilFree,
        ] {
            assert!(
                matches!(step(remedy, 24), NextStep::Park { .. }),
                "{remedy:?}"
            );
            assert_eq!(step(remedy, 25), NextStep::DeadLetter, "{remedy:?}");
        }
    }
}
