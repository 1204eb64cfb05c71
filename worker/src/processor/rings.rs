//! Users who swap addresses: the event that closes the ring, and those that wait, are applied together.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use shared::fault_point::{FaultPoint, reach};

use super::{Interrupted, Processor};
use crate::apply::Verdict;
use crate::entry::Entry;
use crate::event::Event;
use crate::fence::Holding;
use crate::ring::{Search, Waiting};
use crate::user::UserId;

/// When the waiting events of a ring come back whose worker died after it had applied them.
const RING_RECOVERY: Duration = Duration::from_secs(30);

impl Processor {
    /// Applies an event that waits for the address of `holder` together with those that wait, if
    /// they are a ring. Returns what became of the event itself; the others stay where they wait unless
    /// they were applied.
    pub(super) async fn close_ring(
        &self,
        entry: &Entry,
        event: &Event,
        holder: &str,
    ) -> Result<Option<Verdict>, Interrupted> {
        let Some(user_id) = event.user_id() else {
            return Ok(None);
        };
        let Some(mut ring) = self.waiting_ring(user_id, holder).await? else {
            return Ok(None);
        };
        ring.retain(|waiting| waiting.svix_id != event.svix_id);
        let waiting: Vec<&str> = ring.iter().map(|event| event.svix_id.as_str()).collect();
        // Should this worker die after the commit, their tags are not to wait for their next attempt (P7).
        self.until_redis_answers(|| self.queue.hasten(&waiting, RING_RECOVERY))
            .await?;
        let events: Vec<&Event> = std::iter::once(event).chain(&ring).collect();
        let holding = Holding {
            queue: &self.queue,
            entries: BTreeMap::from([(&event.svix_id, &entry.id)]),
        };
        let verdicts = self.until_applied(&holding, &events, true).await?;
        let committed_at = SystemTime::now();
        reach(FaultPoint::RingCommitted).await;
        self.delete_tags(&events, verdicts.iter().map(Some)).await?;
        reach(FaultPoint::RingTagsDeleted).await;
        let mut finished = Vec::new();
        for (event, verdict) in events.iter().zip(&verdicts) {
            if matches!(verdict, Verdict::Recorded(_) | Verdict::Duplicate) {
                finished.push(event.svix_id.as_str());
                self.report(event, verdict, committed_at);
            }
        }
        self.until_redis_answers(|| self.queue.finish_waiting(&finished))
            .await?;
        reach(FaultPoint::RingClosed).await;
        Ok(verdicts.into_iter().next())
    }

    async fn waiting_ring(
        &self,
        user_id: &UserId,
        holder: &str,
    ) -> Result<Option<Vec<Event>>, Interrupted> {
        let mut search = Search::new(user_id.as_str(), holder);
        while let Some(user) = search.whom_to_ask() {
            let waiting = self
                .until_redis_answers(|| self.queue.waiting_of(&user))
                .await?;
            let ring = search.found(waiting.iter().filter_map(Waiting::parse).collect());
            if ring.is_some() {
                return Ok(ring);
            }
        }
        Ok(None)
    }
}
