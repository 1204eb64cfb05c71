//! What follows from a change once it is committed: its cache tags are deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::fault_point::{FaultPoint, reach};

use crate::database::Database;
use crate::database::cache_tags::{forget, kept};
use crate::event::Event;
use crate::finish::cache_tags::CacheTags;
use crate::outage::{Interrupted, Outages};
use crate::tables::section::Section;

/// Deletes cache tags of changes.
#[derive(Clone)]
pub struct Changes {
    /// What is deleted.
    pub cache_tags: CacheTags,
    /// Where the tags are kept that nothing but a row tells.
    pub database: Database,
    /// How stores that are away are waited for.
    pub outages: Outages,
}

impl Changes {
    /// Deletes the tags of what these events have changed, now or by a worker that may have died before it came to them.
    pub(crate) async fn delete_tags(&self, events: &[&Event]) -> Result<(), Interrupted> {
        let mut families: BTreeMap<&str, (&Arc<Section>, Vec<&Event>)> = BTreeMap::new();
        for event in events {
            if let Some(object) = event.changed() {
                let family = families.entry(object.section.family.as_str());
                let (_, events) = family.or_insert_with(|| (&object.section, Vec::new()));
                events.push(event);
            }
        }
        let (mut tags, mut kept_for) = (BTreeSet::new(), Vec::new());
        for (section, events) in families.values() {
            let ids = events
                .iter()
                .filter_map(|event| Some(event.object_id()?.as_str()));
            tags.extend(section.tags_of(ids));
            if section.keeps_tags() {
                kept_for.extend(events.iter().map(|event| event.svix_id.as_str()));
            }
        }
        if !kept_for.is_empty() {
            let kept = || kept(&self.database, &kept_for);
            tags.extend(self.outages.until_postgres_answers(kept).await?);
        }
        let delete = || self.cache_tags.delete(&tags);
        self.outages.until_redis_answers(delete).await?;
        if !kept_for.is_empty() {
            reach(FaultPoint::TagsDeleted).await;
            let forget = || forget(&self.database, &kept_for);
            self.outages.until_postgres_answers(forget).await?;
        }
        Ok(())
    }
}
