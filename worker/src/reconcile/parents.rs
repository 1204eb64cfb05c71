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
                let Some(json) = json else {
                    self.lists[place].unknown.insert(id);
                    continue;
                };
                let json: Box<RawValue> = serde_json::from_slice(&json)
                    .map_err(|_| format!("Clerk's answer about {} is no JSON", id.as_str()))?;
                let object = ListedObject::from(json);
                if object.id.as_deref() != Some(id.as_str()) {
                    let id = id.as_str();
                    return Err(format!("Clerk's answer about {id} is about another object"));
                }
                page.push(object);
            }
            // These refer to others perhaps.
            if !page.is_empty() {
                Box::pin(self.take(place, &page, asked_at)).await?;
            }
        }
        Ok(())
    }

    /// Why `object` waits in vain: this run does not bring what it refers to.
    pub(super) fn parent_that_does_not_come(
        &self,
        object: &Object,
        target: &Target,
        found: &Found,
    ) -> Option<String> {
        target.references.lookups.iter().find_map(|lookup| {
            let id = lookup.referred(object)?;
            let mut lists = self.lists.iter();
            let list = lists.find(|list| list.family.name == lookup.family);
            let awaited = found.awaited(lookup, id.as_str())?;
            if found.is_missing(lookup, id.as_str())
                && list.is_some_and(|list| list.listed.contains(id.as_str()))
            {
                return None;
            }
            let why = match list.is_some_and(|list| list.unknown.contains(&id)) {
                true => ", which Clerk does not have",
                false => "",
            };
            Some(awaited.reason + why)
        })
    }
}
