//! Rows of objects that Clerk no longer has.

use std::io::{IsTerminal as _, Write as _};
use std::time::SystemTime;

use tokio_postgres::types::{ToSql, Type};

use crate::apply::target::Target;
use crate::database::Database;
use crate::database::failure::Failure;
use crate::event::object::ObjectId;

/// How many rows are read at once.
const ROWS_AT_ONCE: i64 = 5000;

/// A row, as far as is needed to delete it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Whose.
    pub id: ObjectId,
    /// How new it is, as far as it or its newest event says; else the year 1.
    pub updated_at: SystemTime,
    /// Whether a deletion of the object was applied: this row was written afterwards, by somebody else.
    pub was_deleted: bool,
}

/// The rows that come after the one of `id`, in the order of ids; none at the end.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn rows_after(
    database: &Database,
    target: &Target,
    id: &str,
) -> Result<Vec<Candidate>, Failure> {
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&id, Type::TEXT), (&ROWS_AT_ONCE, Type::INT8)];
    let rows = database
        .read(&target.statements.rows_after, &parameters)
        .await?;
    let mut candidates = Vec::with_capacity(rows.len());
    for row in rows {
        let (updated_at, was_deleted) = (row.try_get(1)?, row.try_get(2)?);
        // What is no id of Clerk's is the application's own.
        if let Some(id) = ObjectId::parse(row.try_get(0)?) {
            candidates.push(Candidate {
                id,
                updated_at,
                was_deleted,
            });
        }
    }
    Ok(candidates)
}

/// Whether `missing` out of `rows` are no more than `share` percent.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a share need not be exact")]
pub fn is_within(share: f64, missing: usize, rows: usize) -> bool {
    missing as f64 * 100.0 <= share * rows as f64
}

/// Asks on the terminal.
///
/// # Errors
/// When there is none, in words.
pub fn confirm(question: &str) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody can be asked whether to delete them: add --yes".to_owned());
    }
    let mut answer = String::new();
    write!(std::io::stderr(), "{question} [y/N] ")
        .and_then(|()| std::io::stdin().read_line(&mut answer))
        .map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_all_rows() {
        assert!(is_within(5.0, 5, 100));
        assert!(!is_within(5.0, 6, 100));
        assert!(is_within(0.0, 0, 0));
        assert!(!is_within(0.0, 1, 100));
        assert!(is_within(100.0, 3, 3));
    }
}
