//! A table as the database has it.

use tokio_postgres::{Error, Row};

use crate::database::catalogue::column::Column;
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::index::Index;
use crate::database::catalogue::name::TableId;
use crate::database::catalogue::policy::Policy;
use crate::tables::section::{Find, Gone};

/// A table, or what is called as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub id: TableId,
    /// What it is.
    pub form: Form,
    /// Whether its schema is in the search path.
    pub is_in_path: bool,
    /// Whether our role may look into its schema.
    pub has_usage: bool,
    /// The rules that make something else of statements, by name.
    pub rules: Vec<String>,
    /// Whether a trigger of the application may change a row before it is inserted.
    pub fires_before_insert: bool,
    /// Whether our role may delete rows.
    pub may_delete: bool,
    /// Whether it may ask where a row lies (`ctid`, `tableoid`), which rights to single columns do not cover.
    pub may_select_places: bool,
    /// Whether row-level security applies to our role.
    pub has_row_security: bool,
    /// In the order of the table.
    pub columns: Vec<Column>,
    /// The unique ones.
    pub indexes: Vec<Index>,
    /// What it refers to.
    pub references: Vec<ForeignKey>,
    /// What refers to it, itself included.
    pub referenced_by: Vec<ForeignKey>,
    /// What row-level security says to our role.
    pub policies: Vec<Policy>,
}

/// What is called as a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A table.
    Ordinary,
    /// A partitioned table.
    Partitioned,
    /// Something else: `view`, `materialized view` or `foreign table`.
    Other(&'static str),
}

impl Table {
    /// A column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns of the primary key, in the order of its index; none if there is no such key.
    #[must_use]
    pub fn primary_key(&self) -> Vec<&str> {
        let index = self.indexes.iter().find(|index| index.is_primary);
        let columns = index.into_iter().flat_map(|index| &index.columns);
        columns.flatten().map(String::as_str).collect()
    }

    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: TableId::of(row)?,
            form: match row.try_get("form")? {
                "table" => Form::Ordinary,
                "partitioned table" => Form::Partitioned,
                "foreign table" => Form::Other("foreign table"),
                "materialized view" => Form::Other("materialized view"),
                _ => Form::Other("view"),
            },
            is_in_path: row.try_get("is_in_path")?,
            has_usage: row.try_get("has_usage")?,
            rules: row.try_get("rules")?,
            fires_before_insert: row.try_get("fires_before_insert")?,
            may_delete: row.try_get("may_delete")?,
            may_select_places: row.try_get("may_select_places")?,
            has_row_security: row.try_get("has_row_security")?,
            columns: Vec::new(),
            indexes: Vec::new(),
            references: Vec::new(),
            referenced_by: Vec::new(),
            policies: Vec::new(),
        })
    }
}

/// The column of the parent's table that a reference copies: the one that it names, or else the primary key, if that has
/// one column.
pub(crate) fn found_column<'a>(find: &Find, parent: &'a Table) -> Option<&'a Column> {
    match (&find.column, parent.primary_key().as_slice()) {
        (Some(name), _) => parent.column(name),
        (None, [name]) => parent.column(name),
        (None, _) => None,
    }
}

/// What becomes of a row when its parent is deleted: what the file says, or else NULL where the column takes it. `None`:
/// the file has to say it.
pub(crate) fn gone(find: &Find, stored: &Column) -> Option<Gone> {
    find.gone.or(stored.takes_null.then_some(Gone::Null))
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(formatter)
    }
}
