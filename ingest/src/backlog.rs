//! How many entries may wait in the stream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Mutex as AsyncMutex;

/// Admits entries while fewer than a limit wait.
///
/// The length of the stream is not asked for before every entry: one measurement admits up to a
/// thousandth of the limit. So the limit is exact with one ingest, and with several it is passed by
/// a thousandth of it for each of the others at the most.
pub struct Backlog {
    limit: u64,
    state: Mutex<State>,
    /// Held while measuring, so that a crowd measures once.
    measured: AsyncMutex<Option<Measurement>>,
}

struct State {
    /// Entries that may still be admitted before the next measurement.
    admissible: u64,
    /// Entries that were admitted and may or may not be in the stream yet.
    in_flight: u64,
}

#[derive(Clone, Copy)]
struct Measurement {
    at: Instant,
    full: bool,
}

/// Why an entry is not admitted.
#[derive(Debug, PartialEq, Eq)]
pub enum NotAdmitted<E> {
    /// The limit is reached.
    Full,
    /// The length could not be measured.
    Unknown(E),
}

/// One admitted entry; in flight until dropped.
pub struct Admission<'a>(&'a Backlog);

impl Backlog {
    /// Admits while fewer than `limit` entries wait.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                admissible: 0,
                in_flight: 0,
            }),
            measured: AsyncMutex::new(None),
        }
    }

    /// Admits one entry; `measure` tells the length of the stream.
    ///
    /// # Errors
    /// When the limit is reached, or cannot be told because `measure` fails.
    pub async fn admit<E, M>(
        &self,
        measure: impl Fn() -> M,
    ) -> Result<Admission<'_>, NotAdmitted<E>>
    where
        M: Future<Output = Result<u64, E>>,
    {
        let asked = Instant::now();
        loop {
            if let Some(admission) = self.take() {
                return Ok(admission);
            }
            let mut measured = self.measured.lock().await;
            if measured.is_some_and(|measurement| measurement.full && measurement.at >= asked) {
                return Err(NotAdmitted::Full);
            }
            // Whoever held the lock may have left some for us.
            if let Some(admission) = self.take() {
                return Ok(admission);
            }
            let at = Instant::now();
            let length = measure().await.map_err(NotAdmitted::Unknown)?;
            let mut state = self.state();
            // What is in flight may be counted twice; that errs on the safe side.
            let left = self.limit.saturating_sub(length + state.in_flight);
            state.admissible = left.min((self.limit / 1000).max(1));
            *measured = Some(Measurement {
                at,
                full: left == 0,
            });
        }
    }

    fn take(&self) -> Option<Admission<'_>> {
        let mut state = self.state();
        state.admissible = state.admissible.checked_sub(1)?;
        state.in_flight += 1;
        Some(Admission(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
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
