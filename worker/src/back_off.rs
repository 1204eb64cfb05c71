//! How long to wait before the next attempt.
//!
//! The only place that knows the `backoff` crate, which is no longer maintained
//! (RUSTSEC-2025-0012): to replace it, replace this file.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// An interval between attempts doubles up to a limit; what is waited is up to half an interval
/// shorter or longer, so that those who failed together do not come back together.
#[derive(Debug)]
pub struct BackOff(ExponentialBackoff);

impl BackOff {
    /// Between attempts at one event: 1 s, doubling to 15 min.
    #[must_use]
    pub fn of_an_event() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(15 * 60))
    }

    /// Between looks whether a store is back: 100 ms, doubling to 2 s.
    #[must_use]
    pub fn of_a_store() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(2))
    }

    fn new(first: Duration, longest: Duration) -> Self {
        Self(ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.5,
            multiplier: 2.0,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The same intervals, kept to exactly.
    #[cfg(test)]
    fn without_jitter(mut self) -> Self {
        self.0.randomization_factor = 0.0;
        self
    }

    /// What to wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// What to wait after `failures` failures in a row, counted from 1.
    #[must_use]
    pub fn after_failures(mut self, failures: u32) -> Duration {
        // By then the interval has long been the longest.
        const ENOUGH: u32 = 32;
        for _ in 1..failures.min(ENOUGH) {
            self.after_failure();
        }
        self.after_failure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_from_a_second_to_a_quarter_of_an_hour() {
        let seconds = |failures| {
            BackOff::of_an_event()
                .without_jitter()
                .after_failures(failures)
                .as_secs()
        };
        assert_eq!(
            [1, 2, 3, 10, 11, 25, u32::MAX].map(seconds),
            [1, 2, 4, 512, 900, 900, 900]
        );
    }

    #[test]
    fn twenty_five_attempts_take_about_four_hours() {
        let waits = (1..25).map(|failures| {
            BackOff::of_an_event()
                .without_jitter()
                .after_failures(failures)
        });
        let hours = waits.sum::<Duration>().as_secs_f64() / 3600.0;
        assert!((3.5..4.5).contains(&hours), "{hours}");
    }

    #[test]
    fn jitter_stays_within_half_an_interval() {
        for _ in 0..1000 {
            let wait = BackOff::of_an_event().after_failures(4).as_secs_f64();
            assert!((4.0..=12.1).contains(&wait), "{wait}");
        }
    }
}
