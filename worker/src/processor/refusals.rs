//! What the database refuses waits for its next attempt, or goes to the dead letters.

use shared::fault_point::{FaultPoint, reach};
use shared::svix_id::SvixId;

use super::{Interrupted, Processor};
use crate::back_off::BackOff;
use crate::entry::Entry;
use crate::failure::{Quoted, Refusal, Remedy};
use crate::ledger;
use crate::queue::AddressWait;
use crate::retry::{NextStep, next_step};
use crate::user::UserId;

/// Of an event that waits until another user lets go of its address.
pub(super) fn address_taken() -> Refusal {
    Refusal {
        reason: "the e-mail address belongs to another user".to_owned(),
        remedy: Remedy::WaitUntilFree,
        quoted: Quoted::default(),
    }
}

impl Processor {
    /// `address` is what the event waits for, if it does.
    pub(super) async fn refused(
        &self,
        entry: &Entry,
        failed_attempts: u32,
        refusal: &Refusal,
        address: Option<AddressWait<'_>>,
    ) -> Result<(), Interrupted> {
        let failed_attempts = failed_attempts.saturating_add(1);
        match next_step(refusal, failed_attempts, self.max_attempts) {
            NextStep::DeadLetter => {
                self.dead_letter(entry, &refusal.reason, failed_attempts)
                    .await
            }
            NextStep::Park { wait } => {
                let park = || self.queue.park(&entry.id, failed_attempts, wait, address);
                if self.until_redis_answers(park).await? {
                    reach(FaultPoint::Parked).await;
                    self.count(entry, "retried");
                    tracing::warn!(
                        svix_id = entry.svix_id().map(SvixId::as_str),
                        r#type = entry.event_type(),
                        user_id = entry.user_id().map(UserId::as_str),
                        reason = refusal.reason,
                        failed_attempts,
                        "an event waits for its next attempt"
                    );
                }
                Ok(())
            }
        }
    }

    /// The letter first, then a look into the ledger: another worker may have applied a copy of the
    /// event after this one was refused. Either the look finds it, or the other one finds the letter
    /// when it finishes its copy, and removes it. The entry goes last (P5).
    pub(super) async fn dead_letter(
        &self,
        entry: &Entry,
        reason: &str,
        attempts: u32,
    ) -> Result<(), Interrupted> {
        let svix_id = entry.svix_id().map(SvixId::as_str);
        let dead_letter = || self.queue.dead_letter(&entry.id, svix_id, reason, attempts);
        if !self.until_redis_answers(dead_letter).await? {
            return Ok(());
        }
        reach(FaultPoint::DeadLettered).await;
        if let Some(svix_id) = svix_id
            && self.is_recorded(svix_id).await?
        {
            let changed = entry.user_id().into_iter().collect();
            self.until_redis_answers(|| self.cache_tags.delete(&changed))
                .await?;
            let finished = [(&entry.id, svix_id)];
            return self
                .until_redis_answers(|| self.queue.finish(&finished))
                .await;
        }
        if self
            .until_redis_answers(|| self.queue.discard(&entry.id))
            .await?
        {
            self.count(entry, "dead_lettered");
            tracing::error!(
                entry = entry.id,
                svix_id,
                r#type = entry.event_type(),
                user_id = entry.user_id().map(UserId::as_str),
                reason,
                attempts,
                "an event was dead-lettered"
            );
        }
        Ok(())
    }

    async fn is_recorded(&self, svix_id: &str) -> Result<bool, Interrupted> {
        let mut back_off = BackOff::of_a_store();
        loop {
            match ledger::is_recorded(&self.database, svix_id).await {
                Ok(recorded) => return Ok(recorded),
                Err(failure) => {
                    self.wait_for("postgres", failure.reason(), &mut back_off)
                        .await?;
                }
            }
        }
    }
}
