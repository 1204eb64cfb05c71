//! The events that make rows say what Clerk says.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::apply::parents::Found;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::Winner;
use crate::event::Event;
use crate::event::object::Object;
use crate::operate::explain::line;
use crate::reconcile::Reconciliation;
use crate::reconcile::comparison::{Comparison, present};
use crate::reconcile::patience::patiently;
use crate::reconcile::stream::{Addition, too_long};

impl Reconciliation {
    /// The events that make rows say what these objects say; none in a dry run. Those that no row can hold are told.
    ///
    /// # Errors
    /// When PostgreSQL stays away.
    pub(super) async fn repairs(
        &mut self,
        place: usize,
        objects: &[(Event, &RawValue)],
        asked_at: SystemTime,
    ) -> Result<Vec<Addition>, String> {
        let target = Arc::clone(&self.lists[place].target);
        let events: Vec<&Event> = objects.iter().map(|(event, _)| event).collect();
        let read = async || Found::read(&self.database, &target, &events).await;
        let found = patiently(&self.progress, read).await?;
        self.bring_parents(&target, &found).await?;

        let (mut winners, mut jsons, mut additions) = (Vec::new(), Vec::new(), Vec::new());
        for (event, json) in objects {
            let Some(object) = event.upserted() else {
                continue;
            };
            match Winner::fit(event, object, &target, &found) {
                // It goes with what it refers to.
                Ok(winner) if winner.goes_along() => {
                    self.lists[place].counts.add(&Comparison::DeletedHere);
                }
                Ok(winner) => {
                    winners.push(winner);
                    jsons.push(*json);
                }
                Err(left_out) => match self.obstacle(&left_out, object, &target, &found) {
                    Some(reason) => self.tell_unusable(place, object.id.as_str(), &reason),
                    None => {
                        let missing = Comparison::Missing(object.updated_at);
                        additions.extend(self.repair(place, object, json, missing));
                    }
                },
            }
        }
        let ask = async || present(&self.database, &target, &winners).await;
        let mut present = patiently(&self.progress, ask).await?;
        for (winner, json) in winners.iter().zip(jsons) {
            let object = winner.object;
            let present = present.remove(object.id.as_str()).unwrap_or_default();
            let comparison = present.compare(object, asked_at);
            if let (Comparison::Missing(_), Some(unfit)) = (&comparison, &winner.unfit)
                && !present.can_be_linked()
                && let Some(reason) = self.obstacle(&unfit.left_out, object, &target, &found)
            {
                self.tell_unusable(place, object.id.as_str(), &reason);
                continue;
            }
            additions.extend(self.repair(place, object, json, comparison));
        }
        Ok(additions)
    }

    /// Why an object cannot be written; `None` if it waits only for what this run brings.
    fn obstacle(
        &self,
        left_out: &LeftOut,
        object: &Object,
        target: &Target,
        found: &Found,
    ) -> Option<String> {
        match left_out {
            LeftOut::Waiting(_) => self.parent_that_does_not_come(object, target, found),
            _ => Some(left_out.reason().to_owned()),
        }
    }

    /// The event that makes the row of an object say what it says, where one is needed; told in a dry run.
    fn repair(
        &mut self,
        place: usize,
        object: &Object,
        json: &RawValue,
        comparison: Comparison,
    ) -> Option<Addition> {
        self.lists[place].counts.add(&comparison);
        let id = line(object.id.as_str().as_bytes());
        let (told, kind, event_at) = match comparison {
            Comparison::Missing(event_at) => (format!("missing {id}"), "created", event_at),
            Comparison::Different(event_at, columns) => {
                let columns = columns.join(", ");
                (format!("different {id}: {columns}"), "updated", event_at)
            }
            _ => return None,
        };
        if self.settings.dry_run {
            self.progress.tell(&told);
            return None;
        }
        let addition = Addition::upsert(object, kind, json, event_at);
        if addition.is_none() {
            self.progress.tell(&too_long(&object.id));
        }
        addition
    }
}
