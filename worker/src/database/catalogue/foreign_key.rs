//! A foreign key.

use tokio_postgres::{Error, Row};

use crate::database::catalogue::name::TableId;

/// A foreign key, of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The name of its constraint.
    pub name: String,
    /// The table that refers to the other one.
    pub table: TableId,
    /// Its columns.
    pub columns: Vec<String>,
    /// Whether all of them take NULL.
    pub takes_null: bool,
    /// The table that is referred to.
    pub other_table: TableId,
    /// The columns there, in the same order.
    pub other_columns: Vec<String>,
    /// `CASCADE`, `SET NULL` or `SET DEFAULT`; without one a row that is referred to cannot be deleted.
    pub on_delete: Option<String>,
}

impl ForeignKey {
    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        let table = |schema, name| {
            Ok(TableId {
                schema: row.try_get(schema)?,
                name: row.try_get(name)?,
            })
        };
        Ok(Self {
            name: row.try_get("name")?,
            table: table("schema", "table")?,
            columns: row.try_get("columns")?,
            takes_null: row.try_get("takes_null")?,
            other_table: table("other_schema", "other_table")?,
            other_columns: row.try_get("other_columns")?,
            on_delete: row.try_get("on_delete")?,
        })
    }
}
