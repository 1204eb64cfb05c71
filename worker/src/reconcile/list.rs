//! A family's list, and what has been found out about it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::apply::target::{Snapshot, Target};
use crate::event::object::ObjectId;
use crate::reconcile::counts::Counts;
use crate::reconcile::family::{Family, LISTED};
use crate::reconcile::listed::Listed;
use crate::reconcile::pages::ListedObject;

/// A family that Clerk lists and that has a section.
pub(super) struct List {
    pub(super) family: &'static Family,
    /// Whether it is to be read; if not, single objects of it may be asked for.
    pub(super) is_chosen: bool,
    /// Where its objects go.
    pub(super) target: Arc<Target>,
    pub(super) counts: Counts,
    /// Which objects Clerk has told of in this run, where that matters.
    pub(super) listed: Listed,
    matters: bool,
    /// Objects that others refer to, and that Clerk does not have.
    pub(super) unknown: HashSet<ObjectId>,
}

impl List {
    /// Those of all families that have a target: each after those that it refers to.
    pub(super) fn all(
        snapshot: &Snapshot,
        chosen: &[&'static Family],
        delete_missing: bool,
    ) -> Vec<Self> {
        let list = |family: &'static Family| {
            let target = Arc::clone(snapshot.get(family.name)?);
            let refers = |other: &Arc<Target>| {
                other
                    .section
                    .finds()
                    .any(|(_, find)| find.family == family.name)
            };
            Some(Self {
                is_chosen: chosen.contains(&family),
                counts: Counts::of(family),
                listed: Listed::new(),
                matters: delete_missing || snapshot.values().any(refers),
                unknown: HashSet::new(),
                family,
                target,
            })
        };
        let mut lists: Vec<Self> = LISTED.iter().filter_map(list).collect();
        lists.sort_by_key(|list| list.target.section.depth);
        lists
    }

    /// Notes that Clerk has told of these.
    pub(super) fn note(&mut self, page: &[ListedObject]) {
        self.counts.read += page.len();
        if self.matters {
            for id in page.iter().filter_map(|object| object.id.as_deref()) {
                self.listed.insert(id);
            }
        }
    }
}
