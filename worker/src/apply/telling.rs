//! What is said in the log of how file and database fit each other.

use std::time::{Duration, Instant};

use crate::agreement::Agreement;

/// How often what does not fit is said again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Telling {
    said: Agreement,
    said_at: Option<Instant>,
}

impl Telling {
    /// What does not fit, as it was said last.
    pub(super) fn errors(&self) -> &[String] {
        &self.said.errors
    }

    /// Says what is new, and once a minute what does not fit.
    pub(super) fn tell(&mut self, agreement: &Agreement) {
        if agreement.warnings != self.said.warnings {
            for warning in &agreement.warnings {
                tracing::warn!("{warning}");
            }
        }
        let is_new = agreement.errors != self.said.errors;
        let is_due = self.said_at.is_none_or(|at| at.elapsed() >= AGAIN_AFTER);
        if !agreement.errors.is_empty() && (is_new || is_due) {
            tracing::error!(
                "the tables file and the database do not fit: nothing is read until they do"
            );
            for error in &agreement.errors {
                tracing::error!("{error}");
            }
            self.said_at = Some(Instant::now());
        }
        if agreement.errors.is_empty() && !self.said.errors.is_empty() {
            tracing::info!("the tables file and the database fit again");
        }
        self.said = agreement.clone();
    }
}
