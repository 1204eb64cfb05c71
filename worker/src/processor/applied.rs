//! Applying a batch: until PostgreSQL has said of every event what became of it, and the cache tags are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use shared::fault_point::{FaultPoint, reach};
use shared::svix_id::SvixId;

use super::Processor;
use super::steps::Steps;
use super::waking::{Waking, changed_objects, may_touch_others};
use crate::apply::awaited::touched_by;
use crate::apply::fence::Holding;
use crate::apply::{Verdict, apply};
use crate::back_off::BackOff;
use crate::decide::outcome::Outcome;
use crate::event::Event;
use crate::event::entry::Entry;
use crate::outage::Interrupted;
use crate::source::queue::Queue;

/// What was applied of a batch, and when.
pub(super) struct Applied<'a> {
    /// The entry of each event that its copies share their fate with.
    pub(super) chosen: BTreeMap<&'a SvixId, &'a Entry>,
    /// What became of each event.
    pub(super) verdicts: BTreeMap<&'a SvixId, Verdict>,
    /// When.
    pub(super) steps: Steps,
}

impl Processor {
    /// Applies the events of a batch, deletes the tags, and wakes.
    pub(super) async fn apply<'a>(
        &self,
        queue: &Queue,
        batch: &'a [Entry],
    ) -> Result<Applied<'a>, Interrupted> {
        let chosen = one_of_each(batch);
        let mut holding = Holding::default();
        for (svix_id, entry) in &chosen {
            holding.add(svix_id, queue, &entry.id);
        }
        let events: Vec<&Event> = chosen
            .values()
            .filter_map(|entry| entry.event.as_ref().ok())
            .collect();
        let begun = SystemTime::now();
        let verdicts = self.until_applied(&holding, &events).await?;
        let committed = SystemTime::now();
        let mut waking = self.delete_tags(&events, verdicts.iter().map(Some)).await?;
        reach(FaultPoint::TagsDeleted).await;
        let tags_deleted = SystemTime::now();
        self.wake(&mut waking).await?;
        self.return_woken(&waking).await?;
        let svix_ids = events.iter().map(|event| &event.svix_id);
        Ok(Applied {
            verdicts: svix_ids.zip(verdicts).collect(),
            chosen,
            steps: Steps {
                begun,
                committed,
                tags_deleted,
            },
        })
    }

    pub(super) async fn until_applied(
        &self,
        holding: &Holding<'_>,
        events: &[&Event],
    ) -> Result<Vec<Verdict>, Interrupted> {
        let mut back_off = BackOff::of_a_store();
        let mut verdicts: Vec<Option<Verdict>> = vec![None; events.len()];
        loop {
            let fits = self.targets.until_fitting();
            self.stop
                .run_until_cancelled(fits)
                .await
                .ok_or(Interrupted)?;
            let open = |index: &usize| verdicts[*index].is_none();
            let open: Vec<usize> = (0..events.len()).filter(open).collect();
            let open_events: Vec<&Event> = open.iter().map(|index| events[*index]).collect();
            match apply(&self.database, &self.targets, holding, &open_events).await {
                Ok(given) => {
                    for (index, verdict) in open.into_iter().zip(given) {
                        verdicts[index] = Some(verdict);
                    }
                    return Ok(verdicts.into_iter().flatten().collect());
                }
                Err(away) => {
                    for (index, verdict) in open.into_iter().zip(away.verdicts) {
                        verdicts[index] = verdict;
                    }
                    // What was committed must not wait for the rest.
                    let committed = verdicts.iter().map(Option::as_ref);
                    let mut waking = self.delete_tags(events, committed).await?;
                    self.wake(&mut waking).await?;
                    self.return_woken(&waking).await?;
                    if *self.targets.fitting().borrow() {
                        self.outages
                            .wait(away.store, &away.reason, &mut back_off)
                            .await?;
                    }
                }
            }
        }
    }

    /// Deletes the tags of all that was committed, now or by a worker that may have died before it
    /// came to the tags. Looks at the same time where anything waits.
    pub(super) async fn delete_tags<'a>(
        &self,
        events: &[&Event],
        verdicts: impl Iterator<Item = Option<&'a Verdict>>,
    ) -> Result<Waking<'_>, Interrupted> {
        let changed = events
            .iter()
            .zip(verdicts)
            .filter(|(_, verdict)| {
                matches!(
                    verdict,
                    Some(Verdict::Recorded(Outcome::Applied) | Verdict::Duplicate)
                )
            })
            .map(|(event, _)| *event);
        let changed: Vec<&Event> = changed.collect();
        let objects = changed.iter().flat_map(|event| changed_objects(event));
        let mut objects: BTreeSet<String> = objects.collect();
        let touching = changed.iter().filter(|event| may_touch_others(event));
        let touching: Vec<&str> = touching.map(|event| event.svix_id.as_str()).collect();
        if !touching.is_empty() {
            let touched = || touched_by(&self.database, &touching);
            objects.extend(self.outages.until_postgres_answers(touched).await?);
        }
        let ((), waking) = tokio::try_join!(
            self.changes.delete_tags(&changed),
            self.look_who_waits(objects)
        )?;
        Ok(waking)
    }
}

/// One readable entry of each svix-id: the one that has failed most often, so that a second delivery
/// does not begin to count anew; of equals the first.
fn one_of_each(batch: &[Entry]) -> BTreeMap<&SvixId, &Entry> {
    let mut entries: BTreeMap<&SvixId, &Entry> = BTreeMap::new();
    for entry in batch {
        if let Ok(event) = &entry.event {
            let known = entries.entry(&event.svix_id).or_insert(entry);
            if entry.failed_attempts > known.failed_attempts {
                *known = entry;
            }
        }
    }
    entries
}
