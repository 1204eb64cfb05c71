//! Waiting for Clerk and the stores while it is likely that they come back.

use std::time::{Duration, Instant};

use crate::back_off::BackOff;
use crate::database::failure::Failure;
use crate::reconcile::progress::Progress;

/// For how long nothing may succeed before we give up. What is wrong for longer than that, such as a
/// password, somebody has to mend.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is left of it while one thing is asked for again and again.
pub struct Patience<'a> {
    progress: &'a Progress,
    back_off: BackOff,
    failing_since: Instant,
}

impl<'a> Patience<'a> {
    /// All of it. It says to `progress` what it waits for.
    #[must_use]
    pub fn new(progress: &'a Progress) -> Self {
        Self {
            progress,
            back_off: BackOff::of_a_store(),
            failing_since: Instant::now(),
        }
    }

    /// So much time does not count, because the other side wants us to wait.
    pub fn extend(&mut self, time: Duration) {
        self.failing_since += time;
    }

    /// Waits because of `reason`: longer after each failure, and for `at_least` so long.
    ///
    /// # Errors
    /// The reason, when there is no patience left.
    pub async fn wait(&mut self, reason: &str, at_least: Duration) -> Result<(), String> {
        let Some(next) = self.next(at_least) else {
            return Err(format!("{reason}, for {} min now", PATIENCE.as_secs() / 60));
        };
        let seconds = next.as_secs_f32();
        self.progress
            .say(&format!("{reason}: waiting {seconds:.1} s"));
        tokio::time::sleep(next).await;
        Ok(())
    }

    fn next(&mut self, at_least: Duration) -> Option<Duration> {
        let is_left = self.failing_since.elapsed() <= PATIENCE;
        is_left.then(|| self.back_off.after_failure().max(at_least))
    }
}

/// Asks PostgreSQL, and again while it is away.
pub(super) async fn patiently<T>(
    progress: &Progress,
    mut ask: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, String> {
    let mut patience = Patience::new(progress);
    loop {
        let failure = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let reason = failure.reason();
        // No such table, or schema.
        let is_empty = ["42P01", "3F000"].iter().any(|sign| reason.contains(sign));
        // Such as a column that is not there. A right may yet be granted.
        let is_wrong = reason.contains("SQLSTATE 42") && !reason.contains("SQLSTATE 42501");
        if is_empty || is_wrong {
            let hint = if is_empty {
                " (worker migrate creates the tables)"
            } else {
                ""
            };
            return Err(format!(
                "PostgreSQL does not tell what is here: {reason}{hint}"
            ));
        }
        patience.wait(reason, Duration::ZERO).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_unless_we_were_asked_to_wait() {
        let progress = Progress::new();
        let mut patience = Patience::new(&progress);
        let long = PATIENCE + Duration::from_secs(1);
        patience.failing_since = Instant::now().checked_sub(long).unwrap();
        assert_eq!(patience.next(Duration::ZERO), None);
        patience.extend(Duration::from_secs(60));
        assert!(patience.next(Duration::ZERO).is_some());
    }

    #[test]
    fn who_asks_for_no_wait_at_all_is_not_asked_again_at_once() {
        let progress = Progress::new();
        let mut patience = Patience::new(&progress);
        assert!(patience.next(Duration::ZERO) >= Some(Duration::from_millis(50)));
        let minute = Duration::from_secs(60);
        assert_eq!(patience.next(minute), Some(minute));
    }
}
