//! What a user of Clerk's differs in from what is here, and which event would make it the same.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::database::Database;
use crate::database::catalogue::Columns;
use crate::database::failure::Failure;
use crate::event::user::User;

/// How old the newest event of a user has to be before a row that does not agree with it is repaired. It may
/// be newer than what the API has told; this is for clocks that differ, too.
const SETTLED: Duration = Duration::from_secs(60);

/// What is here of a user.
#[derive(Debug, Default)]
pub struct Present {
    /// The row.
    row: Option<PresentRow>,
    /// Of the newest event.
    version: Option<Version>,
}

#[derive(Debug)]
struct PresentRow {
    name: Option<String>,
    email: Option<String>,
    image_url: Option<String>,
    created_at: SystemTime,
    updated_at: SystemTime,
}

#[derive(Debug)]
struct Version {
    updated_at: SystemTime,
    event_at: SystemTime,
    deleted: bool,
}

/// How a user of Clerk's compares with what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The row says the same.
    Equal,
    /// There is something newer here, or may be.
    NewerHere,
    /// The user was deleted here, which is for good.
    DeletedHere,
    /// There is no row. An event of that time would write it.
    Missing(SystemTime),
    /// The row says something else. An event of that time would correct it.
    Different(SystemTime),
}

/// Reads what is here of users, by id. Without an entry: nothing.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn present(
    database: &Database,
    ids: &[&str],
) -> Result<HashMap<String, Present>, Failure> {
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&ids, Type::TEXT_ARRAY)];
    let sql = include_str!("reconcile_users.sql");
    let rows = database.read(sql, &parameters).await?;
    let present = |row: &Row| Ok((row.try_get(0)?, Present::read(row)?));
    rows.iter().map(present).collect()
}

impl Present {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let has_row: bool = row.try_get(1)?;
        let deleted: Option<bool> = row.try_get(9)?;
        Ok(Self {
            row: if has_row {
                Some(PresentRow {
                    name: row.try_get(2)?,
                    email: row.try_get(3)?,
                    image_url: row.try_get(4)?,
                    created_at: row.try_get(5)?,
                    updated_at: row.try_get(6)?,
                })
            } else {
                None
            },
            version: if let Some(deleted) = deleted {
                Some(Version {
                    updated_at: row.try_get(7)?,
                    event_at: row.try_get(8)?,
                    deleted,
                })
            } else {
                None
            },
        })
    }

    /// Compares with `user`, which was asked for at `asked_at`, as `columns` hold it.
    #[must_use]
    pub fn compare(&self, user: &User, columns: &Columns, asked_at: SystemTime) -> Comparison {
        let Self { row, version } = self;
        if version.as_ref().is_some_and(|version| version.deleted) {
            return Comparison::DeletedHere;
        }
        if row.as_ref().is_some_and(|row| row.says(user, columns)) {
            return Comparison::Equal;
        }
        if row
            .as_ref()
            .is_some_and(|row| row.updated_at > columns.updated_at(user.updated_at))
        {
            return Comparison::NewerHere;
        }
        let time = match version {
            Some(version) if version.updated_at > user.updated_at => return Comparison::NewerHere,
            // This very version was written once, so only the event's time can tell what is newer: it has to
            // be later than the one that is known, and earlier than whatever is still to come.
            Some(version) if version.updated_at == user.updated_at => {
                if version.event_at + SETTLED > asked_at {
                    return Comparison::NewerHere;
                }
                user.updated_at
                    .max(version.event_at + Duration::from_millis(1))
            }
            _ => user.updated_at,
        };
        match row {
            None => Comparison::Missing(time),
            Some(_) => Comparison::Different(time),
        }
    }
}

impl PresentRow {
    fn says(&self, user: &User, columns: &Columns) -> bool {
        self.name.as_deref() == Some(columns.name(&user.name))
            && self.email.as_deref() == Some(columns.email(&user.email))
            && self.image_url.as_deref() == columns.image_url(user.image_url.as_deref())
            && self.created_at == columns.created_at(user.created_at)
            && self.updated_at == columns.updated_at(user.updated_at)
    }
}
