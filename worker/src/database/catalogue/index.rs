//! A unique index.

use tokio_postgres::{Error, Row};

/// A unique index; a primary key and a unique constraint have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The columns that are unique together; `None` for an expression.
    pub columns: Vec<Option<String>>,
    /// All columns that it depends on, also those within expressions.
    pub mentioned: Vec<String>,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// Whether it may be violated until the transaction ends.
    pub is_deferrable: bool,
    /// Whether it leaves rows out.
    pub is_partial: bool,
    /// Whether PostgreSQL has built it to the end.
    pub is_valid: bool,
    /// NULLS NOT DISTINCT: one row at the most has NULL.
    pub has_one_null: bool,
}

impl Index {
    /// Whether it is on exactly these columns, in whatever order.
    #[must_use]
    pub fn is_on(&self, columns: &[&str]) -> bool {
        let own = self.columns.iter();
        let is_one =
            |own: &Option<String>| own.as_deref().is_some_and(|own| columns.contains(&own));
        self.columns.len() == columns.len() && own.clone().all(is_one)
    }

    /// Whether what it says holds for all rows at any time.
    #[must_use]
    pub const fn always_holds(&self) -> bool {
        !self.is_deferrable && !self.is_partial && self.is_valid
    }

    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            columns: row.try_get("columns")?,
            mentioned: row.try_get("mentioned")?,
            is_primary: row.try_get("is_primary")?,
            is_deferrable: row.try_get("is_deferrable")?,
            is_partial: row.try_get("is_partial")?,
            is_valid: row.try_get("is_valid")?,
            has_one_null: row.try_get("has_one_null")?,
        })
    }
}
