//! What an object of Clerk's differs in from what is here, and which event would make it the same.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;

use crate::apply::rows;
use crate::apply::target::Target;
use crate::apply::winner::Winner;
use crate::database::Database;
use crate::database::failure::Failure;
use crate::event::object::Object;
use crate::tables::section::MissingRow;

/// How old the newest event of an object has to be before a row that does not agree with it is repaired. It may
/// be newer than what the API has told; this is for clocks that differ, too.
const SETTLED: Duration = Duration::from_secs(60);

/// What is here of an object.
#[derive(Debug, Default)]
pub struct Present {
    has_row: bool,
    /// The columns in which the row says something else.
    different: Vec<String>,
    /// A trigger has left it as it is when it was repaired.
    is_altered: bool,
    /// There is no row, but one that belongs to nobody.
    can_be_linked: bool,
    version: Option<Version>,
}

#[derive(Debug)]
struct Version {
    updated_at: SystemTime,
    event_at: SystemTime,
    deleted: bool,
    /// Only the application's own row told it.
    is_adopted: bool,
}

/// How an object of Clerk's compares with what is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The row says the same, or what a trigger wants it to say.
    Equal,
    /// There is something newer here, or may be.
    NewerHere,
    /// The object was deleted here, which is for good.
    DeletedHere,
    /// There is no row, and none is made.
    WithoutRow,
    /// There is no row. An event of that time would write it.
    Missing(SystemTime),
    /// The row says something else in these columns. An event of that time would correct it.
    Different(SystemTime, Vec<String>),
}

/// Reads what is here of objects, by id. Without an entry: nothing.
///
/// # Errors
/// When PostgreSQL does not tell.
pub(crate) async fn present(
    database: &Database,
    target: &Target,
    winners: &[Winner<'_>],
) -> Result<HashMap<String, Present>, Failure> {
    let winners: Vec<&Winner<'_>> = winners.iter().collect();
    let (sql, arrays) = rows::comparison(target, &winners);
    let rows = database.read(sql, &arrays.parameters()).await?;
    let present = |row: &Row| Ok((row.try_get(0)?, Present::read(row)?));
    rows.iter().map(present).collect()
}

impl Present {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let deleted: Option<bool> = row.try_get(7)?;
        let version = match deleted {
            Some(deleted) => Some(Version {
                updated_at: row.try_get(5)?,
                event_at: row.try_get(6)?,
                deleted,
                is_adopted: row.try_get(8)?,
            }),
            None => None,
        };
        Ok(Self {
            has_row: row.try_get(1)?,
            different: row.try_get(2)?,
            is_altered: row.try_get(3)?,
            can_be_linked: row.try_get(4)?,
            version,
        })
    }

    /// Whether there is no row, but one that belongs to nobody.
    #[must_use]
    pub const fn can_be_linked(&self) -> bool {
        self.can_be_linked
    }

    /// Compares with `object`, which was asked for at `asked_at`.
    #[must_use]
    pub fn compare(&self, object: &Object, asked_at: SystemTime) -> Comparison {
        let version = self.version.as_ref().filter(|version| !version.is_adopted);
        let is_of_this_version =
            version.is_some_and(|version| version.updated_at >= object.updated_at);
        if version.is_some_and(|version| version.deleted) {
            return Comparison::DeletedHere;
        }
        let is_same = self.different.is_empty();
        if self.has_row && (is_same || self.is_altered && is_of_this_version) {
            return Comparison::Equal;
        }
        let makes_rows = object.section.missing_row == MissingRow::Create;
        if !self.has_row && !self.can_be_linked && !makes_rows {
            return Comparison::WithoutRow;
        }
        let time = match version {
            Some(version) if version.updated_at > object.updated_at => {
                return Comparison::NewerHere;
            }
            // This very version was written once, so only the event's time can tell what is newer: it has to
            // be later than the one that is known, and earlier than whatever is still to come.
            Some(version) if version.updated_at == object.updated_at => {
                if version.event_at + SETTLED > asked_at {
                    return Comparison::NewerHere;
                }
                object
                    .updated_at
                    .max(version.event_at + Duration::from_millis(1))
            }
            _ => object.updated_at,
        };
        match self.has_row {
            false => Comparison::Missing(time),
            true => Comparison::Different(time, self.different.clone()),
        }
    }
}
