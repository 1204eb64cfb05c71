//! The cache tags of rows that change.

use std::collections::BTreeSet;

use crate::apply::rows::Told;
use crate::apply::target::Target;
use crate::tables::section::Section;

/// The tags of rows as they were and as they are, without those that the object's id tells.
pub(crate) fn of_rows(target: &Target, rows: &[Told]) -> BTreeSet<String> {
    let columns = &target.statements.tag_columns;
    if columns.is_empty() {
        return BTreeSet::new();
    }
    let tags = rows
        .iter()
        .flat_map(|row| of_row(&target.section, columns, &row.columns));
    tags.collect()
}

/// The tags of a row that says this in these columns.
pub(crate) fn of_row<'a>(
    section: &'a Section,
    columns: &'a [String],
    row: &'a [Option<String>],
) -> impl Iterator<Item = String> + 'a {
    let says = move |column: &str| {
        let place = columns.iter().position(|known| known == column)?;
        row.get(place)?.as_deref()
    };
    let tags = section.tags.iter();
    tags.filter_map(move |tag| tag.of_row(says))
}
