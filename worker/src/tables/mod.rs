//! The tables file: which columns of which table say what of Clerk's objects. It is read once, into types that cannot be
//! wrong; what it does not know is the database, see `database::catalogue`.

#[cfg(test)]
pub(crate) mod example;
pub(crate) mod fields;
pub mod file;
pub mod path;
pub mod places;
pub mod section;
pub mod tag;
pub mod template;
pub mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tables::places::Places;
use crate::tables::section::{Find, Section};

/// The file that holds where none is named.
pub const BUILT_IN: &str = include_str!("built_in.toml");

/// A tables file.
#[derive(Clone, Debug)]
pub struct Tables {
    /// By family: what stands before the dot in Clerk's event types.
    sections: Arc<BTreeMap<String, Arc<Section>>>,
    /// Whether it is the one that holds where none is named.
    is_built_in: bool,
    /// Where it says what.
    places: Places,
}

impl Tables {
    /// Of sections that fit each other.
    pub(crate) fn new(sections: impl IntoIterator<Item = Section>, is_built_in: bool) -> Self {
        let by_family = |section: Section| (section.family.clone(), Arc::new(section));
        Self {
            sections: Arc::new(sections.into_iter().map(by_family).collect()),
            is_built_in,
            places: Places::default(),
        }
    }

    /// What becomes of the objects of `family`; `None`: nothing.
    #[must_use]
    pub fn section(&self, family: &str) -> Option<&Arc<Section>> {
        self.sections.get(family)
    }

    /// The sections whose rows refer to those of `family`, by way of others too.
    #[must_use]
    pub fn dependents(&self, family: &str) -> Vec<&Arc<Section>> {
        let mut families = vec![family];
        let mut dependents = Vec::new();
        // Who refers to another section is deeper.
        for section in self.parents_first() {
            let refers = |(_, find): (usize, &Find)| families.contains(&find.family.as_str());
            if section.finds().any(refers) {
                families.push(&section.family);
                dependents.push(section);
            }
        }
        dependents
    }

    /// All of them, each after those that it finds in.
    #[must_use]
    pub fn parents_first(&self) -> Vec<&Arc<Section>> {
        let mut sections: Vec<_> = self.sections().collect();
        sections.sort_by_key(|section| section.depth);
        sections
    }

    /// All of them.
    pub fn sections(&self) -> impl Iterator<Item = &Arc<Section>> {
        self.sections.values()
    }

    /// Where the file says what.
    #[must_use]
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// Whether it is the one that holds where none is named: only then a table `users` is created.
    #[must_use]
    pub const fn is_built_in(&self) -> bool {
        self.is_built_in
    }
}
