//! What the database refuses waits for its next attempt, or goes to the dead letters.

use std::collections::BTreeSet;

use shared::fault_point::{FaultPoint, reach};
use shared::svix_id::SvixId;

use crate::apply::awaited::Awaited;
use crate::database::Database;
use crate::database::failure::{Refusal, Remedy};
use crate::database::ledger;
use crate::event::entry::Entry;
use crate::event::object::ObjectId;
use crate::finish::changes::Changes;
use crate::finish::queue::{DeadLetter, Wait};
use crate::finish::retry::{NextStep, next_step};
use crate::metrics::Metrics;
use crate::outage::{Interrupted, Outages};
use crate::source::queue::Queue;
use crate::source::raw_entry::EntryId;

/// What becomes of an event that is refused, in metrics and traces.
pub(crate) const RETRIED: &str = "retried";
/// The same of one that has no hope.
pub(crate) const DEAD_LETTERED: &str = "dead_lettered";

/// Of an event that waits until another row lets go of a value.
pub(crate) fn still_waits(awaited: &Awaited) -> Refusal {
    Refusal {
        reason: awaited.reason.clone(),
        remedy: Remedy::WaitUntilFree,
        ..Refusal::default()
    }
}

/// An entry that goes to the dead letters.
pub(crate) struct Hopeless<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
}

impl Hopeless<'_> {
    fn svix_id(&self) -> Option<&str> {
        self.entry.svix_id().map(SvixId::as_str)
    }
}

/// Parks and dead-letters.
pub struct Refusals {
    /// Where the ledger is.
    pub database: Database,
    /// What is deleted when an event turns out to be applied.
    pub changes: Changes,
    /// How many attempts an event has.
    pub max_attempts: u32,
    /// What is counted.
    pub metrics: Metrics,
    /// How stores that are away are waited for.
    pub outages: Outages,
}

impl Refusals {
    /// Lets an entry wait for its next attempt; the inner error is the entry if it has no hope. `waits_for` is what the
    /// event waits for, if it does: returns when it is due and when it is to be due.
    pub(crate) async fn park<'a>(
        &self,
        queue: &Queue,
        entry: &'a Entry,
        failed_attempts: u32,
        refusal: &Refusal,
        waits_for: Option<Wait<'_>>,
    ) -> Result<Result<Option<(String, String)>, Hopeless<'a>>, Interrupted> {
        let failed_attempts = failed_attempts.saturating_add(1);
        let wait = match next_step(refusal, failed_attempts, self.max_attempts) {
            NextStep::Park { wait } => wait,
            NextStep::DeadLetter => {
                return Ok(Err(Hopeless {
                    entry,
                    reason: refusal.reason.clone(),
                    attempts: failed_attempts,
                }));
            }
        };
        let reason = &refusal.reason;
        let park = || queue.park(&entry.id, failed_attempts, wait, reason, waits_for);
        let parked = self.outages.until_redis_answers(park).await?;
        if parked.is_some() {
            reach(FaultPoint::Parked).await;
            self.count(entry, RETRIED);
            tracing::warn!(
                svix_id = entry.svix_id().map(SvixId::as_str),
                r#type = entry.event_type(),
                object_id = entry.object_id().map(ObjectId::as_str),
                reason,
                awaited = waits_for.map(|waits_for| waits_for.awaited),
                failed_attempts,
                "an event waits for its next attempt"
            );
        }
        Ok(Ok(parked))
    }

    /// The letters first, then a look into the ledger: another worker may have applied a copy of an
    /// event after this one was refused. Either the look finds it, or the other one finds the letter
    /// when it finishes its copy, and removes it. The entries go last (P5). Returns those whose letters stay.
    pub(crate) async fn dead_letter<'a>(
        &self,
        queue: &Queue,
        hopeless: &[Hopeless<'a>],
    ) -> Result<Vec<&'a Entry>, Interrupted> {
        if hopeless.is_empty() {
            return Ok(Vec::new());
        }
        let letters: Vec<DeadLetter<'_>> = hopeless
            .iter()
            .map(|hopeless| DeadLetter {
                entry: &hopeless.entry.id,
                svix_id: hopeless.svix_id(),
                reason: &hopeless.reason,
                attempts: hopeless.attempts,
            })
            .collect();
        let dead_letter = || queue.dead_letter(&letters);
        let held = self.outages.until_redis_answers(dead_letter).await?;
        reach(FaultPoint::DeadLettered).await;
        let is_held = |hopeless: &&Hopeless<'_>| held.contains(&hopeless.entry.id);
        let hopeless: Vec<&Hopeless<'_>> = hopeless.iter().filter(is_held).collect();
        let svix_ids: BTreeSet<&str> = hopeless.iter().filter_map(|one| one.svix_id()).collect();
        let svix_ids = Vec::from_iter(svix_ids);
        let recorded = || ledger::recorded(&self.database, &svix_ids);
        let recorded = self.outages.until_postgres_answers(recorded).await?;
        let (finished, dead): (Vec<&Hopeless<'_>>, Vec<_>) =
            hopeless.into_iter().partition(|one| {
                one.svix_id()
                    .is_some_and(|svix_id| recorded.contains(svix_id))
            });
        let changed = finished
            .iter()
            .filter_map(|one| one.entry.event.as_ref().ok());
        self.changes.delete_tags(&Vec::from_iter(changed)).await?;
        let finished: Vec<(&EntryId, &str)> = finished
            .iter()
            .filter_map(|one| Some((&one.entry.id, one.svix_id()?)))
            .collect();
        self.outages
            .until_redis_answers(|| queue.finish(&finished))
            .await?;

        let entries: Vec<&EntryId> = dead.iter().map(|one| &one.entry.id).collect();
        self.outages
            .until_redis_answers(|| queue.discard(&entries))
            .await?;
        for one in &dead {
            self.count(one.entry, DEAD_LETTERED);
            tracing::error!(
                entry = one.entry.id,
                svix_id = one.svix_id(),
                r#type = one.entry.event_type(),
                object_id = one.entry.object_id().map(ObjectId::as_str),
                reason = one.reason,
                attempts = one.attempts,
                "an event was dead-lettered"
            );
        }
        Ok(dead.into_iter().map(|one| one.entry).collect())
    }

    fn count(&self, entry: &Entry, outcome: &str) {
        self.metrics
            .event(entry.event_type().unwrap_or_default(), outcome);
    }
}
