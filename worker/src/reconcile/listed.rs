//! The objects that Clerk has listed.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

use crate::reconcile::deletion::Candidate;

/// The ids that Clerk's list has named: eight bytes each. Two that are taken for one only keep a row.
pub(super) struct Listed {
    /// When the list began to be read.
    since: SystemTime,
    ids: HashSet<u64>,
    hasher: RandomState,
}

impl Listed {
    /// No objects yet.
    pub(super) fn new() -> Self {
        Self {
            since: SystemTime::now(),
            ids: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn insert(&mut self, id: &str) {
        self.ids.insert(self.hasher.hash_one(id));
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.ids.contains(&self.hasher.hash_one(id))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the list should have named the object of `row` and has not: a newer row may be of a later object.
    pub(super) fn should_have_named(&self, row: &Candidate) -> bool {
        row.updated_at < self.since && !self.contains(row.id.as_str())
    }
}
