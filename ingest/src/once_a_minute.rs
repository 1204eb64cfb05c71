//! A log line that is written at most once a minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// One kind of log line.
#[derive(Default)]
pub struct OnceAMinute(Mutex<Option<Instant>>);

impl OnceAMinute {
    /// Whether a minute has passed since this last returned `true`, if it ever did.
    pub fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= MINUTE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_a_minute() {
        let (line, start) = (OnceAMinute::default(), Instant::now());
        let due: Vec<_> = [0, 1, 59, 60, 61, 119, 120, 500]
            .into_iter()
            .filter(|second| line.is_due(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(due, [0, 60, 120, 500]);
    }
}
