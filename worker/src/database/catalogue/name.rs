//! Names of tables, as people and as SQL write them.

use std::fmt::{Display, Formatter, Result};

use tokio_postgres::{Error, Row};

use crate::tables::section::TableName;

/// A table of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableId {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl TableId {
    /// As SQL writes it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    pub(super) fn of(row: &Row) -> std::result::Result<Self, Error> {
        Ok(Self {
            schema: row.try_get("schema")?,
            name: row.try_get("name")?,
        })
    }
}

impl Display for TableId {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        write!(formatter, "{}.{}", self.schema, self.name)
    }
}

impl Display for TableName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{schema}.")?;
        }
        formatter.write_str(&self.name)
    }
}

/// A name as SQL takes it literally
/// (<https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>).
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
