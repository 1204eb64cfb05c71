//! Sections that write the same table.

use std::collections::BTreeSet;

use crate::tables::file::notes::Notes;
use crate::tables::section::{MissingRow, Section};

/// Tells what cannot be where sections share a table; each has its place in the file.
pub(super) fn check_sharing(sections: &[(usize, Section)], notes: &mut Notes) {
    for (place, (at, section)) in sections.iter().enumerate() {
        let before = sections[..place].iter().map(|(_, other)| other);
        for other in before.filter(|other| other.table == section.table) {
            let with = format!("[{}] has the same table", other.family);
            let makes_rows = |section: &Section| section.missing_row == MissingRow::Create;
            if makes_rows(section) && makes_rows(other) {
                let expected = "missing_row = \"wait\" or \"ignore\" in one of the two";
                notes.mistake(*at, format!("{with}, and both make rows"), expected);
            }
            if section.key_columns() != other.key_columns() {
                notes.mistake(
                    *at,
                    format!("{with}, and another key"),
                    "the same key in both",
                );
            }
            let names = |section: &Section| -> BTreeSet<String> {
                let keys = section.key_columns();
                let columns = section.columns.iter().map(|column| column.name.clone());
                columns
                    .filter(|name| !keys.contains(&name.as_str()))
                    .collect()
            };
            for name in names(section).intersection(&names(other)) {
                let what = format!("{with}, and both have the column {name:?} in columns");
                notes.mistake(*at, what, "it in one of the two");
            }
        }
    }
}
