//! The cache tags of rows that change.

use std::collections::BTreeSet;

use crate::apply::rows::Told;
use crate::apply::target::Target;

/// The tags of rows as they were and as they are, without those that the object's id tells.
pub(crate) fn of_rows(target: &Target, rows: &[Told]) -> BTreeSet<String> {
    let columns = &target.statements.tag_columns;
    if columns.is_empty() {
        return BTreeSet::new();
    }
    let tags = rows.iter().flat_map(|row| {
        let says = |column: &str| {
            let place = columns.iter().position(|known| known == column)?;
            row.columns.get(place)?.as_deref()
        };
        let tags = target.section.tags.iter();
        tags.filter_map(move |tag| tag.of_row(says))
    });
    tags.collect()
}
