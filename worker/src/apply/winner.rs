//! A row that is to be written.

use crate::apply::parents::{Found, ParentRow};
use crate::apply::statements::references::Fate;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::database::catalogue::column::{Column as Stored, Kind};
use crate::database::catalogue::table::Table;
use crate::database::failure::Refusal;
use crate::event::object::{Object, ObjectId};
use crate::event::row::{Cell, Row};
use crate::event::{Change, Event};
use crate::fit::misfit::{Misfit, Problem};
use crate::fit::{Fitted, copied, fit};
use crate::tables::section::{Column, Content, Gone, Key, OnDelete};

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
    /// The places of cells that are kept as they are, because their rows refer to deleted objects.
    kept: Vec<usize>,
    /// Why no row can be made of it, though one that is there can be written.
    pub(crate) unfit: Option<Unfit>,
    /// What becomes of its row, of a deletion and where it goes along with the row of a deleted object.
    pub(crate) fate: Option<Fate>,
}

/// Something does not fit that is written only when a row is made.
pub(crate) struct Unfit {
    pub(crate) left_out: LeftOut,
    /// Whether a row that is linked has it all: its columns take no NULL.
    is_in_every_row: bool,
}

impl<'a> Winner<'a> {
    /// Fits what `event` says of `object` to the columns of its table. `found` is what the rows say that it refers to.
    ///
    /// # Errors
    /// When something does not fit that has to be written, or a row is not there yet that it refers to.
    pub(crate) fn fit(
        event: &'a Event,
        object: &'a Object,
        target: &Target,
        found: &Found,
    ) -> Result<Self, LeftOut> {
        check_id(object, target).map_err(|why| refused(target, &why))?;
        let (columns, on_create) = columns_of(event, object);
        let mut winner = Self {
            key: Vec::new(),
            cells: Vec::with_capacity(columns.len() + on_create.len()),
            kept: Vec::new(),
            unfit: None,
            fate: match (&event.change, &target.section.on_delete) {
                (Change::Upsert(_), _) => found.fate(object, target, columns.len()),
                (_, OnDelete::Delete) => Some(Fate::Goes),
                (_, OnDelete::Set(_)) => Some(Fate::IsSet),
                (_, OnDelete::Keep) => Some(Fate::Stays),
            },
            event,
            object,
        };
        if winner.goes_along() {
            if winner.fate == Some(Fate::IsSet) {
                let row = event.row_left(&target.section, Some(object.id.as_str()));
                let columns = target.section.left_columns().iter();
                // The table has all that the section names.
                let columns =
                    columns.filter_map(|column| Some((column, target.table.column(&column.name)?)));
                winner.cells = fit_left(columns, &row).map_err(|why| refused(target, &why))?;
            }
            return Ok(winner);
        }
        for column in columns {
            let fitted = winner.fit_next(column, target, found)?;
            winner.cells.push(fitted);
        }
        winner.key = winner.said_key(target).map_err(LeftOut::Refused)?;
        for column in on_create {
            let fitted = winner.fit_next(column, target, found);
            let fitted = fitted.unwrap_or_else(|left_out| {
                let stored = target.table.column(&column.name);
                let takes_null = stored.is_some_and(|stored| stored.takes_null);
                winner.add_unfit(left_out, takes_null);
                Fitted::Null
            });
            winner.cells.push(fitted);
        }
        Ok(winner)
    }

    /// Whether its row goes along with that of a deleted object: the event is stale.
    pub(crate) const fn goes_along(&self) -> bool {
        self.fate.is_some() && matches!(self.event.change, Change::Upsert(_))
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

    fn fit_next(
        &mut self,
        column: &Column,
        target: &Target,
        found: &Found,
    ) -> Result<Fitted<'a>, LeftOut> {
        let place = self.cells.len();
        let cell = self.object.row.cells.get(place);
        let Some((cell, stored)) = cell.zip(target.table.column(&column.name)) else {
            // The table has all that the section names.
            return Ok(Fitted::Null);
        };
        let mut lookups = target.references.lookups.iter();
        let lookup = lookups.find(|lookup| lookup.place == place);
        let fitted = match (&column.content, lookup, cell.value.text()) {
            // The statement makes it.
            (Content::Uuid, ..) => return Ok(Fitted::Null),
            (_, Some(_), Some(id)) if ObjectId::plain(id.to_string()).is_none() => {
                Err(Problem::NoId(column.name.clone()))
            }
            (_, Some(lookup), Some(id)) => match found.get(place, &id) {
                Some(parent) if parent.is_deleted => match lookup.gone {
                    // A row that is there says what it said when it was made.
                    Gone::Delete => return Err(LeftOut::Stale),
                    Gone::Null => Ok(Fitted::Null),
                    Gone::Keep => {
                        self.kept.push(place);
                        if !stored.takes_null {
                            let problem = Problem::Gone(column.name.clone());
                            let why = misfit(target, &Misfit::new(cell, column, problem));
                            self.add_unfit(LeftOut::Refused(why), false);
                        }
                        Ok(Fitted::Null)
                    }
                },
                Some(ParentRow {
                    value: Some(value), ..
                }) => copied(value, stored).ok_or_else(|| {
                    let expected = stored.exact_sql_type.clone().into();
                    Problem::Unreadable(column.name.clone(), expected)
                }),
                Some(parent) => return Err(LeftOut::Waiting(parent.awaited(lookup, &id))),
                // It was looked up, unless nobody writes: then the id stands for what the row says.
                None => Ok(Fitted::Text(id.into_owned().into())),
            },
            _ => return fit(cell, column, stored).map_err(|why| refused(target, &why)),
        };
        fitted.map_err(|problem| refused(target, &Misfit::new(cell, column, problem)))
    }

    /// Notes why no row can be made of it. `takes_null`: the column that it is about does.
    fn add_unfit(&mut self, left_out: LeftOut, takes_null: bool) {
        let unfit = self.unfit.get_or_insert(Unfit {
            left_out,
            is_in_every_row: true,
        });
        unfit.is_in_every_row &= !takes_null;
    }

    /// Whether the column of the cell at `place` is left as it is.
    pub(crate) fn keeps(&self, place: usize) -> bool {
        let cell = self.object.row.cells.get(place);
        cell.is_some_and(|cell| cell.keeps) || self.kept.contains(&place)
    }

    /// What becomes of it where it has no row.
    pub(super) fn unfit(&self) -> Option<(&'a str, LeftOut)> {
        let left_out = self.unfit.as_ref()?.left_out.clone();
        Some((self.event.svix_id.as_str(), left_out))
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

/// What `row` says of columns that are set in rows that stay; the database's beside those of the file.
///
/// # Errors
/// When something does not fit.
pub(crate) fn fit_left<'a>(
    columns: impl Iterator<Item = (&'a Column, &'a Stored)>,
    row: &Row,
) -> Result<Vec<Fitted<'static>>, Misfit> {
    let cells = columns.zip(&row.cells);
    let fitted = cells.map(|((column, stored), cell)| fit(cell, column, stored));
    fitted
        .map(|fitted| fitted.map(Fitted::into_owned))
        .collect()
}

fn refused(target: &Target, why: &Misfit) -> LeftOut {
    LeftOut::Refused(misfit(target, why))
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
    misfit_of(&target.table, why)
}

/// The same, by the table.
pub(crate) fn misfit_of(table: &Table, why: &impl std::fmt::Display) -> Refusal {
    Refusal {
        reason: format!("{why} (table {table})"),
        doubts_the_table: true,
        ..Refusal::default()
    }
}
