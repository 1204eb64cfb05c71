//! How many users there are of each kind.

use std::fmt;

use crate::reconcile::comparison::Comparison;

/// Counts of users.
#[derive(Default)]
pub(super) struct Counts {
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
}

impl Counts {
    /// One more user that compares so.
    pub(super) const fn add(&mut self, comparison: Comparison) {
        match comparison {
            Comparison::Equal => self.equal += 1,
            Comparison::NewerHere => self.newer += 1,
            Comparison::DeletedHere => self.deleted += 1,
            Comparison::WithoutRow => self.without_row += 1,
            Comparison::Missing(_) => self.missing += 1,
            Comparison::Different(_) => self.different += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} users read: {} equal, {} missing, {} different, {} newer here, {} deleted here, {} unusable",
            self.read,
            self.equal,
            self.missing,
            self.different,
            self.newer,
            self.deleted,
            self.unusable
        )?;
        match self.without_row {
            0 => Ok(()),
            count => write!(
                formatter,
                ", {count} without a row, which this section does not make"
            ),
        }
    }
}
