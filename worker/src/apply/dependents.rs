//! Rows that refer to those of deleted objects: they go first, or let go of them.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::apply::arrays::{Array, Arrays};
use crate::apply::statements::references::Dependent;
use crate::apply::target::Target;
use crate::apply::winner::Winner;
use crate::database::pooler;

/// Does what the file wants of the rows that refer to those of `deleted`, and returns their tags, before and after. In the
/// order of their keys, which those keep to who delete another object that they refer to.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn release(
    transaction: &Transaction<'_>,
    target: &Target,
    deleted: &[&Winner<'_>],
) -> Result<BTreeSet<String>, Error> {
    let mut tags = BTreeSet::new();
    for (place, dependent) in target.references.dependents.iter().enumerate() {
        let mut deleted = deleted.to_vec();
        // What is set only a deletion says.
        deleted.retain(|winner| dependent.set.is_empty() || !winner.is_orphan);
        let ids = deleted.iter().map(|winner| winner.object.id.as_str());
        let ids: Vec<&str> = ids.collect();
        if ids.is_empty() {
            continue;
        }
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&ids, Type::TEXT_ARRAY)];
        let locked = pooler::query(transaction, &dependent.lock, &parameters).await?;
        if locked.is_empty() {
            continue;
        }
        let mut arrays = Arrays(Vec::new()).with_texts(ids.iter().map(|id| Some(*id)));
        for (cell, kind) in dependent.cell_types.iter().enumerate() {
            let cells = deleted.iter().map(|winner| &winner.dependents[place][cell]);
            arrays.0.push(Array::of(kind, cells));
        }
        let changed = pooler::query(transaction, &dependent.change, &arrays.parameters()).await?;
        for row in locked.iter().chain(&changed) {
            add_tags(dependent, row, &mut tags)?;
        }
    }
    Ok(tags)
}

fn add_tags(dependent: &Dependent, row: &Row, tags: &mut BTreeSet<String>) -> Result<(), Error> {
    let columns = 1..row.len();
    let columns: Vec<Option<String>> = columns
        .map(|place| row.try_get(place))
        .collect::<Result<_, _>>()?;
    let says = |name: &str| {
        let place = dependent
            .tag_columns
            .iter()
            .position(|column| column == name)?;
        columns.get(place)?.as_deref()
    };
    let of_row = dependent
        .section
        .tags
        .iter()
        .filter_map(|tag| tag.of_row(says));
    tags.extend(of_row);
    Ok(())
}
