//! A row that is to be written.

use crate::apply::fit::Fitted;
use crate::event::Event;
use crate::event::object::Object;

/// A row that is to be written.
pub(crate) struct Winner<'a> {
    /// What brings it.
    pub(crate) event: &'a Event,
    /// The same, as far as the row is concerned.
    pub(crate) object: &'a Object,
    /// One for each of the section's cells.
    pub(crate) cells: Vec<Fitted<'a>>,
}

impl Winner<'_> {
    /// Whether a row may be linked by the value of the cell at `place`: what was cut is not what Clerk has said.
    pub(super) fn can_link(&self, place: usize) -> bool {
        let said = self
            .object
            .row
            .cells
            .get(place)
            .and_then(|cell| cell.value.text());
        self.object.row.can_link && said.as_deref() == self.cells[place].text()
    }
}
