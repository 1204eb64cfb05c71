//! Redis that has lost what it held, after FLUSHALL or with an empty volume. It answers NOGROUP: stream and group are made
//! again, and it is told if the group had been there. A worker that has read from it knows; on a start the ledger does.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

/// How long the loss of one partition after the other is told once.
const ONE_LOSS: Duration = Duration::from_secs(60);

/// Tells of losses; clones tell them together.
#[derive(Clone)]
pub struct Losses(Arc<Inner>);

struct Inner {
    count: IntCounter,
    /// Whether events had been applied when this process began.
    has_worked: OnceLock<bool>,
    told: Mutex<Option<Instant>>,
}

impl Losses {
    /// Counts them in `count`.
    #[must_use]
    pub fn new(count: IntCounter) -> Self {
        Self(Arc::new(Inner {
            count,
            has_worked: OnceLock::new(),
            told: Mutex::default(),
        }))
    }

    /// Before anything is read: whether events have been applied before.
    pub fn begin(&self, has_worked: bool) {
        let _ = self.0.has_worked.set(has_worked);
    }

    /// The consumer group of a partition was not there, and has been made; `was_there` if this process has read from it
    /// before. It is a loss then, and where it is the group of the first partition on a start and events have been applied:
    /// that one is there from the first start on, while any other may be new.
    pub fn group_was_gone(&self, partition: u32, was_there: bool) {
        let has_worked = self.0.has_worked.get().copied().unwrap_or_default();
        let is_loss = was_there || (partition == 0 && has_worked);
        if !is_loss {
            return;
        }
        self.0.count.inc();
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < ONE_LOSS) {
            return;
        }
        *told = Some(Instant::now());
        tracing::error!(
            partition,
            remedy = "run `worker reconcile`, and see \"When data is lost\" in docs/operations.md",
            "Redis has lost what it held: the consumer group was gone, and with it every event that waited to be applied or \
             for its next attempt, and the dead letters"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(has_worked: bool) -> Losses {
        let losses = Losses::new(IntCounter::new("losses", "losses").unwrap());
        losses.begin(has_worked);
        losses
    }

    #[test]
    fn a_first_start_is_no_loss() {
        let losses = losses(false);
        losses.group_was_gone(0, false);
        assert_eq!(losses.0.count.get(), 0);
    }

    #[test]
    fn more_partitions_are_no_loss() {
        let losses = losses(true);
        losses.group_was_gone(1, false);
        assert_eq!(losses.0.count.get(), 0);
    }

    #[test]
    fn a_group_that_was_there_is_a_loss_and_so_is_the_first_one_of_all_on_a_later_start() {
        let losses = losses(true);
        losses.group_was_gone(0, false);
        losses.group_was_gone(1, true);
        assert_eq!(losses.0.count.get(), 2);
    }
}
