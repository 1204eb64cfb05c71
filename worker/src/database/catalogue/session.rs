//! Who we are to the database, and what it is like.

use tokio_postgres::{Error, Row};

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// The role that rights are asked of.
    pub role: String,
    /// The database.
    pub database: String,
    /// In which characters it stores: `UTF8`.
    pub encoding: String,
    /// The setting `search_path`, as it stands there.
    pub search_path: String,
    /// Where a table is created that is named without a schema.
    pub schema: Option<String>,
    /// Whether the role may create a schema.
    pub creates_schemas: bool,
    /// Whether it may create a table in `schema`.
    pub creates_tables: bool,
    /// Whether there is a schema `clerk_sync`.
    pub has_clerk_sync: bool,
}

impl Session {
    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            role: row.try_get("role")?,
            database: row.try_get("database")?,
            encoding: row.try_get("encoding")?,
            search_path: row.try_get("search_path")?,
            schema: row.try_get("schema")?,
            creates_schemas: row.try_get("creates_schemas")?,
            creates_tables: row.try_get("creates_tables")?,
            has_clerk_sync: row.try_get("has_clerk_sync")?,
        })
    }
}
