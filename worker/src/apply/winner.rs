//! A row that is to be written.

use crate::apply::fit::misfit::{Misfit, Problem};
use crate::apply::fit::{Fitted, fit};
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::database::catalogue::column::Kind;
use crate::database::failure::Refusal;
use crate::event::object::Object;
use crate::event::row::Cell;
use crate::event::{Change, Event};
use crate::tables::section::{Column, Content, Key, OnDelete};

/// A row that is to be written.
pub(crate) struct Winner<'a> {
    /// What brings it.
    pub(crate) event: &'a Event,
    /// The same, as far as the row is concerned.
    pub(crate) object: &'a Object,
    /// What the key of its row says, as texts, where that is not the object's id. Of a deletion: if it has a row.
    pub(crate) key: Vec<String>,
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
        check_id(object, target).map_err(|why| misfit(target, &why))?;
        let (columns, on_create) = columns_of(event, object);
        let mut winner = Self {
            key: Vec::new(),
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
        winner.key = winner.said_key(target)?;
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

    /// What the event says of the key; nothing where that is Clerk's id, and of a deletion.
    fn said_key(&self, target: &Target) -> Result<Vec<String>, Refusal> {
        let (Change::Upsert(_), Key::Said(places)) = (&self.event.change, &target.section.key)
        else {
            return Ok(Vec::new());
        };
        let text = |place: &usize| {
            let text = self.cells[*place].text().map(str::to_owned);
            text.ok_or_else(|| {
                let column = &target.section.columns[*place];
                let problem = Problem::NoKey(column.name.clone());
                let cell = &self.object.row.cells[*place];
                misfit(target, &Misfit::new(cell, column, problem))
            })
        };
        places.iter().map(text).collect()
    }

    /// Each column that is written, what the event says of it, and what fits.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'a Column, &'a Cell, &Fitted<'a>)> {
        let (columns, on_create) = columns_of(self.event, self.object);
        let columns = columns.iter().chain(on_create);
        let cells = columns.zip(&self.object.row.cells).zip(&self.cells);
        cells.map(|((column, cell), fitted)| (column, cell, fitted))
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
    pub(crate) fn can_link(&self, place: usize) -> bool {
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

/// What an event writes whenever it does, and what only when the row is made.
fn columns_of<'a>(event: &Event, object: &'a Object) -> (&'a [Column], &'a [Column]) {
    let section = &object.section;
    match (&event.change, &section.on_delete) {
        (Change::Upsert(_), _) => (&section.columns, &section.on_create),
        (_, OnDelete::Set(columns)) => (columns, &[]),
        _ => (&[], &[]),
    }
}

/// Whether the key has room for the id.
pub(crate) fn check_id(object: &Object, target: &Target) -> Result<(), Misfit> {
    let Key::Id(key) = &target.section.key else {
        return Ok(());
    };
    let most = match target.table.column(key).map(|key| &key.kind) {
        Some(Kind::Text { characters, .. }) => *characters,
        _ => None,
    };
    if most.is_some_and(|most| object.id.as_str().chars().nth(most).is_some()) {
        return Err(Misfit::of_id(Problem::TooLong(key.clone())));
    }
    Ok(())
}

/// The refusal of an event because something does not fit.
pub(crate) fn misfit(target: &Target, why: &impl std::fmt::Display) -> Refusal {
    Refusal {
        reason: format!("{why} (table {})", target.table),
        doubts_the_table: true,
        ..Refusal::default()
    }
}
