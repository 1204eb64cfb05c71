//! What the database has of a table, as PostgreSQL's catalogue tells it.
//!
//! Values are fitted to the columns before PostgreSQL sees them, so that what does not fit is refused by name, and the
//! statements are made for the columns' types.

pub mod column;

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::database::catalogue::column::{Column, Kind};
use crate::tables::section::{OnDelete, Section, TableName};

/// A table that has all that a section names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    columns: BTreeMap<String, Column>,
}

/// Something that the section names is not there. For the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The table.
    #[error("there is no table {0} (in the schemas of the search path, if none is named)")]
    Table(String),
    /// A column.
    #[error("the table {table} has no column \"{column}\"")]
    Column {
        /// The table, as in the file.
        table: String,
        /// The column.
        column: String,
    },
}

/// Reads what the database has of the table of `section`. The outer error is what PostgreSQL says.
///
/// # Errors
/// When something is missing, or PostgreSQL does not tell.
pub async fn read(
    transaction: &Transaction<'_>,
    section: &Section,
) -> Result<Result<Table, Missing>, Error> {
    let name = section.table.quoted();
    let sql = include_str!("columns.sql");
    // Without a name: see the module pooler.
    let rows = transaction.query_typed(sql, &[(&name, Type::TEXT)]).await?;
    let Some(first) = rows.first() else {
        return Ok(Err(Missing::Table(section.table.to_string())));
    };
    let mut table = Table {
        schema: first.try_get(0)?,
        name: first.try_get(1)?,
        columns: BTreeMap::new(),
    };
    for row in &rows {
        let column = read_column(row)?;
        table.columns.insert(column.name.clone(), column);
    }
    if let Some(key) = table.columns.get_mut(&section.key) {
        key.is_unique = false;
    }
    let missing = named(section).find(|name| !table.columns.contains_key(*name));
    Ok(match missing {
        Some(column) => Err(Missing::Column {
            table: section.table.to_string(),
            column: column.to_owned(),
        }),
        None => Ok(table),
    })
}

/// The columns that a section names.
fn named(section: &Section) -> impl Iterator<Item = &str> {
    let on_delete = match &section.on_delete {
        OnDelete::Set(columns) => columns.as_slice(),
        OnDelete::Delete | OnDelete::Keep => &[],
    };
    let columns = section.cells().chain(on_delete);
    std::iter::once(section.key.as_str())
        .chain(columns.map(|column| column.name.as_str()))
        .chain(section.newest.as_deref())
        .chain(section.tags.iter().flat_map(|tag| tag.columns()))
}

impl Table {
    /// A column that the section names.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.name)
    }
}

impl TableName {
    /// As SQL writes it.
    fn quoted(&self) -> String {
        let schema = self.schema.as_deref().map(quoted);
        let parts = schema.into_iter().chain([quoted(&self.name)]);
        Vec::from_iter(parts).join(".")
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

fn read_column(row: &Row) -> Result<Column, Error> {
    let kind: String = row.try_get(3)?;
    Ok(Column {
        name: row.try_get(2)?,
        kind: kind_of(&kind, row.try_get(4)?, row.try_get(11)?),
        sql_type: row.try_get(5)?,
        exact_sql_type: row.try_get(6)?,
        base_sql_type: row.try_get(7)?,
        collation: row.try_get(12)?,
        takes_null: row.try_get(8)?,
        has_default: row.try_get(9)?,
        is_unique: row.try_get(10)?,
    })
}

fn kind_of(kind: &str, modifier: i32, words: Vec<String>) -> Kind {
    let integer = |least, greatest| Kind::Integer { least, greatest };
    match kind {
        "text" | "varchar" | "bpchar" | "citext" => Kind::Text {
            // PostgreSQL adds the four bytes of its header to the length; -1 is none.
            characters: usize::try_from(modifier - 4).ok(),
            is_padded: kind == "bpchar",
        },
        "enum" => Kind::Enum(words),
        "timestamptz" | "timestamp" => Kind::Time,
        "date" => Kind::Date,
        "bool" => Kind::Boolean,
        "int2" => integer(i16::MIN.into(), i16::MAX.into()),
        "int4" => integer(i32::MIN.into(), i32::MAX.into()),
        "int8" => integer(i64::MIN, i64::MAX),
        "numeric" => Kind::Numeric {
            digits: digits(modifier),
        },
        "float4" | "float8" => Kind::Real,
        "uuid" => Kind::Uuid,
        "json" | "jsonb" => Kind::Json,
        "text array" => Kind::TextArray,
        _ => Kind::Other,
    }
}

/// Of a `numeric` with a limit: `numeric_typmod_scale` and its neighbours in PostgreSQL's `numeric.c`.
fn digits(modifier: i32) -> Option<(i64, i64)> {
    // The header, as above. A scale has eleven bits, and may be negative since PostgreSQL 15.
    let modifier = u32::try_from(modifier - 4).ok()?;
    let scale = i64::from((modifier & 0x7ff) ^ 0x400) - 0x400;
    Some((i64::from(modifier >> 16), scale))
}
