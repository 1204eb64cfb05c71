//! How many entries may wait in the streams.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Mutex as AsyncMutex;

/// Admits entries while fewer than a limit wait.
///
/// The length of the stream is not asked for before every entry: one measurement admits up to a
/// thousandth of the limit. So the limit is exact with one ingest, and with several it is passed by
/// a thousandth of it for each of the others at the most.
pub struct Backlog<E> {
    limit: u64,
    state: Mutex<State>,
    /// Why the last measurement admitted nothing, and since when that holds. Held while measuring,
    /// so that a crowd measures once and shares the outcome.
    refused: AsyncMutex<Option<(Instant, NotAdmitted<E>)>>,
}

struct State {
    /// Entries that may still be admitted before the next measurement.
    admissible: u64,
    /// Entries that were admitted and may or may not be in the stream yet.
    in_flight: u64,
}

/// Why an entry is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted<E> {
    /// The limit is reached.
    Full,
    /// The length could not be measured.
    Unknown(E),
}

/// One admitted entry; in flight until dropped.
pub struct Admission<'a>(&'a Mutex<State>);

impl<E: Clone> Backlog<E> {
    /// Admits while fewer than `limit` entries wait.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                admissible: 0,
                in_flight: 0,
            }),
            refused: AsyncMutex::new(None),
        }
    }

    /// Admits one entry; `measure` tells the length of all streams together.
    ///
    /// # Errors
    /// When the limit is reached, or cannot be told because `measure` fails.
    pub async fn admit<M>(&self, measure: impl Fn() -> M) -> Result<Admission<'_>, NotAdmitted<E>>
    where
        M: Future<Output = Result<u64, E>>,
    {
        let asked = Instant::now();
        loop {
            if let Some(admission) = self.take() {
                return Ok(admission);
            }
            let mut refused = self.refused.lock().await;
            if let Some((since, reason)) = &*refused
                && *since >= asked
            {
                return Err(reason.clone());
            }
            // Whoever held the lock may have left some for us.
            if let Some(admission) = self.take() {
                return Ok(admission);
            }
            let begun = Instant::now();
            let length = match measure().await {
                Ok(length) => length,
                Err(error) => {
                    // Whoever came while it hung is refused with us. If each of them waited for a
                    // time-out of its own, one after the other, the last would wait for minutes.
                    let reason = NotAdmitted::Unknown(error);
                    *refused = Some((Instant::now(), reason.clone()));
                    return Err(reason);
                }
            };
            let mut state = lock(&self.state);
            // What is in flight may be counted twice; that errs on the safe side.
            let left = self.limit.saturating_sub(length + state.in_flight);
            state.admissible = left.min((self.limit / 1000).max(1));
            *refused = (left == 0).then_some((begun, NotAdmitted::Full));
        }
    }

    fn take(&self) -> Option<Admission<'_>> {
        let mut state = lock(&self.state);
        state.admissible = state.admissible.checked_sub(1)?;
        state.in_flight += 1;
        Some(Admission(&self.state))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        lock(self.0).in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn the_limit_is_exact_and_opens_again() {
        let length = Cell::new(0);
        let backlog = Backlog::new(3);
        let measure = || async { Ok::<_, ()>(length.get()) };
        for _ in 0..3 {
            let admission = backlog.admit(measure).await.ok().unwrap();
            length.set(length.get() + 1);
            drop(admission);
        }
        assert_eq!(backlog.admit(measure).await.err(), Some(NotAdmitted::Full));
        length.set(2);
        assert!(backlog.admit(measure).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_in_flight_counts() {
        let backlog = Backlog::new(2);
        let measure = || async { Ok::<_, ()>(0) };
        let in_flight = (
            backlog.admit(measure).await.ok(),
            backlog.admit(measure).await.ok(),
        );
        assert!(in_flight.0.is_some() && in_flight.1.is_some());
        assert_eq!(backlog.admit(measure).await.err(), Some(NotAdmitted::Full));
        drop(in_flight);
        assert!(backlog.admit(measure).await.is_ok());
    }

    #[tokio::test]
    async fn a_failed_measurement_admits_nothing() {
        let backlog = Backlog::new(2);
        assert_eq!(
            backlog.admit(|| async { Err("gone") }).await.err(),
            Some(NotAdmitted::Unknown("gone"))
        );
    }

    /// P9
    #[tokio::test]
    async fn a_crowd_shares_one_failure() {
        let measurements = Cell::new(0);
        let backlog = Backlog::new(2);
        let all_have_come = tokio::sync::Notify::new();
        let measure = || async {
            measurements.set(measurements.get() + 1);
            all_have_come.notified().await;
            Err::<u64, _>("gone")
        };
        let outcomes = tokio::join!(
            backlog.admit(measure),
            backlog.admit(measure),
            backlog.admit(measure),
            // Polled last, when the others wait.
            async { all_have_come.notify_one() },
        );
        for outcome in [outcomes.0, outcomes.1, outcomes.2] {
            assert_eq!(outcome.err(), Some(NotAdmitted::Unknown("gone")));
        }
        assert_eq!(measurements.get(), 1);
    }

    #[tokio::test]
    async fn one_measurement_serves_a_thousandth_of_the_limit() {
        let measurements = Cell::new(0);
        let backlog = Backlog::new(10_000);
        for _ in 0..100 {
            let measure = || async {
                measurements.set(measurements.get() + 1);
                Ok::<_, ()>(0)
            };
            assert!(backlog.admit(measure).await.is_ok());
        }
        assert_eq!(measurements.get(), 10);
    }
}
