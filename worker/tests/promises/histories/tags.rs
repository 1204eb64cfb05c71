//! Cache tags of the users of a history, and of one who is not in it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use xtask::history::{History, Reference};

use crate::helpers::World;

/// Tags that were there before any event, and whether they should go.
pub(super) struct Tags(BTreeMap<String, bool>);

impl Tags {
    /// Each tag is a set that names one cached entry.
    pub(super) fn plant(world: &World, history: &History) -> Self {
        let changed = Reference::of(&history.events).newest;
        let mut tags: BTreeMap<String, bool> = changed
            .keys()
            .map(|user_id| (format!("id:{user_id}:users"), true))
            .collect();
        tags.insert("global:users".to_owned(), !changed.is_empty());
        tags.insert("id:nobody:users".to_owned(), false);
        for tag in tags.keys() {
            world.redis(&["SADD", tag, &entry(tag)]);
            world.redis(&["SET", &entry(tag), "cached"]);
        }
        Self(tags)
    }

    pub(super) fn check(&self, world: &World) -> Result<(), TestCaseError> {
        let kept = self.0.iter().filter(|(_, goes)| !**goes);
        let expected: BTreeSet<String> = kept
            .flat_map(|(tag, _)| [tag.clone(), entry(tag)])
            .collect();
        let keys = world.redis(&["KEYS", "*:users"]);
        let found: BTreeSet<String> = keys.lines().map(str::to_owned).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }
}

fn entry(tag: &str) -> String {
    format!("page:{tag}")
}
