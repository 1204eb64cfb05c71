//! Objects that listed ones refer to and that have no row here: Clerk is asked for them, one by one.
//!
//! Lists of parents are read before those of their children, so this is for what has come meanwhile, and for a run that
//! reads the children only.

use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::apply::parents::Found;
use crate::apply::target::Target;
use crate::event::object::{Object, ObjectId};
use crate::reconcile::Reconciliation;
use crate::reconcile::list::List;
use crate::reconcile::pages::ListedObject;

impl Reconciliation {
    /// Treats objects that rows of `target` refer to as if they had been listed, where they have no row and Clerk has not
    /// told of them in this run.
    pub(super) async fn bring_parents(
        &mut self,
        target: &Target,
        found: &Found,
    ) -> Result<(), String> {
        for lookup in &target.references.lookups {
            let is_of_lookup = |list: &List| list.family.name == lookup.family;
            let Some(place) = self.lists.iter().position(is_of_lookup) else {
                continue;
            };
            let family = self.lists[place].family;
            if family.by_id.is_none() {
                continue;
            }
            let asked_at = SystemTime::now();
            let mut page = Vec::new();
            for id in found.missing(lookup) {
                let list = &self.lists[place];
                let Some(id) = ObjectId::parse(id.to_owned()) else {
                    continue;
                };
                if list.listed.contains(id.as_str()) || list.unknown.contains(&id) {
                    continue;
                }
                let json = self.api.object(family, &id).await?;
                match json.and_then(|json| serde_json::from_slice::<Box<RawValue>>(&json).ok()) {
                    Some(json) => page.push(ListedObject::from(json)),
                    None => drop(self.lists[place].unknown.insert(id)),
                }
            }
            // These refer to others perhaps.
            if !page.is_empty() {
                Box::pin(self.take(place, &page, asked_at)).await?;
            }
        }
        Ok(())
    }

    /// Whether Clerk has told in this run of all that `object` refers to and that has no row.
    pub(super) fn knows_parents(&self, object: &Object, target: &Target, found: &Found) -> bool {
        target.references.lookups.iter().all(|lookup| {
            let referred = lookup.referred(object);
            let is_missing = |id: &String| found.is_missing(lookup, id);
            referred.filter(is_missing).is_none_or(|id| {
                let mut lists = self.lists.iter();
                lists.any(|list| list.family.name == lookup.family && list.listed.contains(&id))
            })
        })
    }
}
