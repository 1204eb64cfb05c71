//! A row that is to be written.

use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::database::catalogue::column::Kind;
use crate::database::failure::Refusal;
use crate::event::object::Object;
use crate::event::{Change, Event};
use crate::fit::{Fitted, Misfit, fit};
use crate::tables::section::{Column, Content, OnDelete};

/// A row that is to be written.
pub(crate) struct Winner<'a> {
    /// What brings it.
    pub(crate) event: &'a Event,
    /// The same, as far as the row is concerned.
    pub(crate) object: &'a Object,
    /// One for each of the section's cells; of a deletion one for each column that it sets.
    pub(crate) cells: Vec<Fitted<'a>>,
    /// Why no row can be made of it, though one that is there can be written.
    pub(crate) unfit: Option<Unfit>,
}

/// Something does not fit that is written only when a row is made.
pub(crate) struct Unfit {
    pub(crate) refusal: Refusal,
    /// Whether a row that is linked has it all: its columns take no NULL.
    is_in_every_row: bool,
}

impl<'a> Winner<'a> {
    /// Fits what `event` says of `object` to the columns of its table.
    ///
    /// # Errors
    /// When something does not fit that has to be written.
    pub(crate) fn fit(
        event: &'a Event,
        object: &'a Object,
        target: &Target,
    ) -> Result<Self, Refusal> {
        check_id(object, target)?;
        let section = &object.section;
        let (columns, on_create) = match (&event.change, &section.on_delete) {
            (Change::Upsert(_), _) => (section.columns.as_slice(), section.on_create.as_slice()),
            (_, OnDelete::Set(columns)) => (columns.as_slice(), [].as_slice()),
            _ => ([].as_slice(), [].as_slice()),
        };
        let mut winner = Self {
            cells: Vec::with_capacity(columns.len() + on_create.len()),
            unfit: None,
            event,
            object,
        };
        for column in columns {
            let fitted = winner.fit_next(column, target);
            winner
                .cells
                .push(fitted.map_err(|why| misfit(target, &why))?);
        }
        for column in on_create {
            let fitted = winner.fit_next(column, target).unwrap_or_else(|why| {
                let stored = target.table.column(&column.name);
                let takes_null = stored.is_some_and(|stored| stored.takes_null);
                let unfit = winner.unfit.get_or_insert_with(|| Unfit {
                    refusal: misfit(target, &why),
                    is_in_every_row: true,
                });
                unfit.is_in_every_row &= !takes_null;
                Fitted::Null
            });
            winner.cells.push(fitted);
        }
        Ok(winner)
    }

    fn fit_next(&self, column: &Column, target: &Target) -> Result<Fitted<'a>, Misfit> {
        let cell = self.object.row.cells.get(self.cells.len());
        match cell.zip(target.table.column(&column.name)) {
            Some((cell, stored)) if column.content != Content::Uuid => fit(cell, column, stored),
            // The statement makes it; and the table has all that the section names.
            _ => Ok(Fitted::Null),
        }
    }

    /// What becomes of it where it has no row.
    pub(super) fn unfit(&self) -> Option<(&'a str, LeftOut)> {
        let refusal = self.unfit.as_ref()?.refusal.clone();
        Some((self.event.svix_id.as_str(), LeftOut::Refused(refusal)))
    }

    /// Whether a row may be linked by the value of the cell at `place`: what was cut is not what Clerk has said.
    pub(super) fn can_link(&self, place: usize) -> bool {
        let said = self
            .object
            .row
            .cells
            .get(place)
            .and_then(|cell| cell.value.text());
        let fits = self
            .unfit
            .as_ref()
            .is_none_or(|unfit| unfit.is_in_every_row);
        fits && self.object.row.can_link && said.as_deref() == self.cells[place].text()
    }
}

fn check_id(object: &Object, target: &Target) -> Result<(), Refusal> {
    let key = &target.section.key;
    let most = match target.table.column(key).map(|key| &key.kind) {
        Some(Kind::Text { characters, .. }) => *characters,
        _ => None,
    };
    if most.is_some_and(|most| object.id.as_str().chars().nth(most).is_some()) {
        let why = format!("data.id is too long for column \"{key}\"");
        return Err(misfit(target, &why));
    }
    Ok(())
}

fn misfit(target: &Target, why: &impl std::fmt::Display) -> Refusal {
    Refusal {
        reason: format!("{why} (table {})", target.table),
        doubts_the_table: true,
        ..Refusal::default()
    }
}
