//! How many objects there are of each kind.

use std::collections::BTreeMap;
use std::fmt;

use crate::reconcile::comparison::Comparison;
use crate::reconcile::family::Family;

/// Counts of a family's objects.
pub(super) struct Counts {
    family: &'static Family,
    /// All that Clerk has listed.
    pub(super) read: usize,
    equal: usize,
    missing: usize,
    different: usize,
    newer: usize,
    deleted: usize,
    without_row: usize,
    /// Those that cannot be written into a row.
    pub(super) unusable: usize,
    /// In how many of the different ones each column differs.
    columns: BTreeMap<String, usize>,
}

impl Counts {
    /// Of nothing yet.
    pub(super) const fn of(family: &'static Family) -> Self {
        Self {
            family,
            read: 0,
            equal: 0,
            missing: 0,
            different: 0,
            newer: 0,
            deleted: 0,
            without_row: 0,
            unusable: 0,
            columns: BTreeMap::new(),
        }
    }

    /// One more object that compares so.
    pub(super) fn add(&mut self, comparison: &Comparison) {
        match comparison {
            Comparison::Equal => self.equal += 1,
            Comparison::NewerHere => self.newer += 1,
            Comparison::DeletedHere => self.deleted += 1,
            Comparison::WithoutRow => self.without_row += 1,
            Comparison::Missing(_) => self.missing += 1,
            Comparison::Different(_, columns) => {
                self.different += 1;
                for column in columns {
                    *self.columns.entry(column.clone()).or_default() += 1;
                }
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} read: {} equal, {} missing, {} different, {} newer here, {} deleted here, {} unusable",
            self.read,
            self.family.plural,
            self.equal,
            self.missing,
            self.different,
            self.newer,
            self.deleted,
            self.unusable
        )?;
        if self.without_row > 0 {
            let count = self.without_row;
            write!(
                formatter,
                ", {count} without a row, which this section does not make"
            )?;
        }
        if !self.columns.is_empty() {
            let columns = self.columns.iter();
            let columns = columns.map(|(name, count)| format!("{name} in {count}"));
            let columns = Vec::from_iter(columns).join(", ");
            write!(
                formatter,
                "\ndifferent columns of {}: {columns}",
                self.family.plural
            )?;
        }
        Ok(())
    }
}
