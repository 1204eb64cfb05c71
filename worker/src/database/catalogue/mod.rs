//! What the database has of tables, as PostgreSQL's catalogue tells it.
//!
//! Values are fitted to the columns before PostgreSQL sees them, so that what does not fit is refused by name, and the
//! statements are made for the columns' types. A look is two round trips, three where a table is
//! missing, whatever the number of tables.

pub mod column;
pub mod foreign_key;
pub mod index;
pub mod name;
pub mod policy;
pub mod session;
pub mod table;

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::database::catalogue::column::Column;
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::index::Index;
use crate::database::catalogue::name::TableId;
use crate::database::catalogue::policy::Policy;
use crate::database::catalogue::session::Session;
use crate::database::catalogue::table::Table;
use crate::database::pooler::Parameters;
use crate::tables::section::TableName;

/// What one look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// Who has looked, and where.
    pub session: Session,
    /// Those of the search path in its order, then the others.
    pub tables: Vec<Table>,
    /// All tables of the application, but only where one that was asked for is missing.
    pub others: Vec<TableId>,
}

/// What there is of the tables that have these names.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn read(transaction: &Transaction<'_>, names: &[TableName]) -> Result<Catalogue, Error> {
    let mut catalogue = look(transaction, names, false).await?;
    if names.iter().any(|name| catalogue.table(name).is_none()) {
        let rows = transaction
            .query_typed(include_str!("names.sql"), &[])
            .await?;
        catalogue.others = rows.iter().map(TableId::of).collect::<Result<_, _>>()?;
    }
    Ok(catalogue)
}

/// What there is in all schemas of the search path.
///
/// # Errors
/// As [`read`].
pub async fn read_search_path(transaction: &Transaction<'_>) -> Result<Catalogue, Error> {
    look(transaction, &[], true).await
}

async fn look(
    transaction: &Transaction<'_>,
    names: &[TableName],
    all: bool,
) -> Result<Catalogue, Error> {
    let schemas: Vec<_> = names.iter().map(|name| name.schema.as_deref()).collect();
    let names: Vec<_> = names.iter().map(|name| name.name.as_str()).collect();
    // Without a name: see the module pooler.
    let wanted: &Parameters<'_> = &[
        (&schemas, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&all, Type::BOOL),
    ];
    let (session, tables) = tokio::try_join!(
        transaction.query_typed(include_str!("session.sql"), &[]),
        transaction.query_typed(include_str!("tables.sql"), wanted)
    )?;
    let mut oids: Vec<u32> = Vec::new();
    for row in &tables {
        oids.push(row.try_get("oid")?);
    }
    let of_tables: &Parameters<'_> = &[(&oids, Type::OID_ARRAY)];
    let (columns, indexes, foreign_keys, policies) = tokio::try_join!(
        transaction.query_typed(include_str!("columns.sql"), of_tables),
        transaction.query_typed(include_str!("indexes.sql"), of_tables),
        transaction.query_typed(include_str!("foreign_keys.sql"), of_tables),
        transaction.query_typed(include_str!("policies.sql"), of_tables)
    )?;
    let mut columns = by_table(&columns, "table", Column::of)?;
    let mut indexes = by_table(&indexes, "table", Index::of)?;
    let mut references = by_table(&foreign_keys, "conrelid", ForeignKey::of)?;
    let mut referenced_by = by_table(&foreign_keys, "confrelid", ForeignKey::of)?;
    let mut policies = by_table(&policies, "table", Policy::of)?;
    let tables = tables.iter().zip(&oids).map(|(row, oid)| {
        let mut table = Table::of(row)?;
        table.indexes = indexes.remove(oid).unwrap_or_default();
        table.columns = columns.remove(oid).unwrap_or_default();
        for column in &mut table.columns {
            let is_plain = |index: &Index| index.always_holds() && !index.has_one_null;
            let mut indexes = table.indexes.iter().filter(|index| is_plain(index));
            column.is_unique = indexes.any(|index| index.is_on(&[&column.name]));
        }
        table.references = references.remove(oid).unwrap_or_default();
        table.referenced_by = referenced_by.remove(oid).unwrap_or_default();
        table.policies = policies.remove(oid).unwrap_or_default();
        Ok(table)
    });
    Ok(Catalogue {
        // One row, always; without it there would be an error by now.
        session: session
            .first()
            .map(Session::of)
            .transpose()?
            .unwrap_or_default(),
        tables: tables.collect::<Result<_, Error>>()?,
        others: Vec::new(),
    })
}

fn by_table<T>(
    rows: &[Row],
    oid: &str,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<HashMap<u32, Vec<T>>, Error> {
    let mut by_table: HashMap<u32, Vec<T>> = HashMap::new();
    for row in rows {
        by_table
            .entry(row.try_get(oid)?)
            .or_default()
            .push(read(row)?);
    }
    Ok(by_table)
}

impl Catalogue {
    /// All that a name may mean, in the order of the search path.
    pub fn named(&self, name: &TableName) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| {
            let is_in_schema = match &name.schema {
                Some(schema) => table.id.schema == *schema,
                None => table.is_in_path,
            };
            table.id.name == name.name && is_in_schema
        })
    }

    /// What a statement would find by this name; where our role may look into none of the schemas, what it would find
    /// if it might.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        let found = self.named(name).find(|table| table.has_usage);
        found.or_else(|| self.named(name).next())
    }
}
