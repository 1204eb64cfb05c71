//! What an attempt tells the trace of its event, once it is over: a worker that dies on the way tells nothing,
//! and the one that takes over tells of its own attempt.

use std::time::SystemTime;

use shared::traces::{self, Span, Step, TraceContext};

use super::{DUPLICATE, LOST, Processor};
use crate::decide::outcome::Outcome;
use crate::decide::ring::Waiting;
use crate::event::Event;
use crate::event::entry::Entry;
use crate::finish::refusals::{DEAD_LETTERED, RETRIED};

/// When the steps of a batch began and ended; all events of the batch share them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    pub(super) begun: SystemTime,
    pub(super) committed: SystemTime,
    pub(super) tags_deleted: SystemTime,
}

/// What came of one entry.
pub(super) struct Attempt<'a> {
    trace: Option<TraceContext>,
    svix_id: &'a str,
    /// What there is to apply, if it can be read.
    event: Option<&'a Event>,
    failed_attempts: u32,
    outcome: &'static str,
    steps: Steps,
}

impl<'a> Attempt<'a> {
    pub(super) fn of(entry: &'a Entry, outcome: &'static str, steps: Steps) -> Self {
        Self {
            trace: entry.trace,
            svix_id: entry.svix_id().map_or("", |svix_id| svix_id.as_str()),
            event: entry.event.as_ref().ok(),
            failed_attempts: entry.failed_attempts,
            outcome,
            steps,
        }
    }

    pub(super) fn of_waiting(waiting: &'a Waiting, outcome: &'static str, steps: Steps) -> Self {
        Self {
            trace: waiting.trace,
            svix_id: waiting.event.svix_id.as_str(),
            event: Some(&waiting.event),
            failed_attempts: waiting.failed_attempts,
            outcome,
            steps,
        }
    }

    fn deletes_tags(&self) -> bool {
        let changed = self.event.is_some_and(|event| event.changed().is_some());
        changed && (self.outcome == Outcome::Applied.name() || self.outcome == DUPLICATE)
    }

    /// The steps within the attempt.
    fn tell_steps(&self, process: &Span) {
        let Steps {
            begun,
            committed,
            tags_deleted,
        } = self.steps;
        if self.event.is_some() {
            let refused = self.is_refused();
            let outcome = if refused { "refused" } else { self.outcome };
            process
                .within(Step::Commit, begun, vec![])
                .end(outcome, refused, committed);
        }
        if self.deletes_tags() {
            process
                .within(Step::DeleteTags, committed, vec![])
                .end("deleted", false, tags_deleted);
        }
    }

    fn is_refused(&self) -> bool {
        [RETRIED, DEAD_LETTERED].contains(&self.outcome)
    }
}

impl Processor {
    /// Tells the traces of what was tried; makes no span where they are off.
    pub(super) fn trace(&self, partition: u32, attempts: &[Attempt<'_>]) {
        let ended = SystemTime::now();
        for attempt in attempts {
            let attributes = || {
                let event_type = attempt.event.map_or("", |event| event.event_type.as_str());
                let mut attributes = traces::event(attempt.svix_id, event_type);
                attributes.push(traces::number("partition", partition));
                attributes.push(traces::number(
                    "attempt",
                    attempt.failed_attempts.saturating_add(1),
                ));
                attributes
            };
            let begun = attempt.steps.begun;
            let Some(process) = self
                .traces
                .begin(Step::Process, begun, attempt.trace, attributes)
            else {
                return;
            };
            attempt.tell_steps(&process);
            process.end(
                attempt.outcome,
                attempt.is_refused() || attempt.outcome == LOST,
                ended,
            );
        }
    }
}
