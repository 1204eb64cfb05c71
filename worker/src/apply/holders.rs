//! What is asked about unique values, as verbs: which row an object has, who holds a value, who has to let go of it.

use deadpool_postgres::Transaction;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::apply::arrays::{Array, Arrays};
use crate::apply::fit::Fitted;
use crate::apply::target::Target;
use crate::apply::winner::Winner;
use crate::database::pooler;

/// A row that a winner has, or would be linked to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) object_id: String,
    /// Where it lies.
    pub(crate) row: String,
    /// Whether it says that it is newer than the object.
    pub(crate) is_newer: bool,
    /// Whether it is the object's, not one that it would be linked to.
    pub(crate) is_own: bool,
}

/// Which row each winner has, or would be linked to; the oldest event first. Nobody where there is none.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn places(
    transaction: &Transaction<'_>,
    target: &Target,
    oldest_first: &[&Winner<'_>],
) -> Result<Vec<Place>, Error> {
    let mut arrays = Arrays::of_objects(target, oldest_first).with_updated_at(oldest_first);
    if let Some(place) = target.section.link_by {
        let links = oldest_first.iter().map(|winner| {
            let text = winner.cells[place].text();
            text.filter(|_| winner.can_link(place))
        });
        arrays = arrays.with_texts(links);
    }
    let rows = pooler::query(transaction, &target.statements.rows, &arrays.parameters()).await?;
    let place = |row: &Row| {
        Ok(Place {
            object_id: row.try_get(0)?,
            row: row.try_get(1)?,
            is_newer: row.try_get(2)?,
            is_own: row.try_get(3)?,
        })
    };
    rows.iter().map(place).collect()
}

/// Who has a value that somebody wants.
#[derive(Debug)]
pub(crate) struct Holder {
    /// The place of the wish, counted from 0.
    pub(crate) wish: usize,
    /// Equal values have the same number.
    pub(crate) value: i64,
    /// Where the row lies that has it, if one has.
    pub(crate) row: Option<String>,
    /// The object whose row that is, if it is anybody's.
    pub(crate) object_id: Option<String>,
    /// The svix-id of that object's newest event.
    pub(crate) version: Option<String>,
}

/// Who holds what winners want of one unique column; NULL is nobody's wish.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn holders(
    transaction: &Transaction<'_>,
    (place, sql): &(usize, String),
    target: &Target,
    winners: &[&Winner<'_>],
) -> Result<Vec<Holder>, Error> {
    let Some(kind) = &target.statements.cell_types[*place] else {
        return Ok(Vec::new());
    };
    let cells = winners.iter().map(|winner| &winner.cells[*place]);
    let arrays = Arrays(vec![Array::of(kind, cells)]);
    let rows = pooler::query(transaction, sql, &arrays.parameters()).await?;
    let holder = |row: &Row| {
        let number: i64 = row.try_get(0)?;
        Ok(Holder {
            wish: usize::try_from(number - 1).unwrap_or(usize::MAX),
            value: row.try_get(1)?,
            row: row.try_get(2)?,
            object_id: row.try_get(3)?,
            version: row.try_get(4)?,
        })
    };
    rows.iter().map(holder).collect()
}

/// Takes values of a unique column from the rows that have them.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn vacate<'a>(
    transaction: &Transaction<'_>,
    sql: &str,
    kind: &Type,
    values: impl Iterator<Item = &'a Fitted<'a>>,
) -> Result<(), Error> {
    let arrays = Arrays(vec![Array::of(kind, values)]);
    pooler::query(transaction, sql, &arrays.parameters())
        .await
        .map(drop)
}
