//! References to rows of other sections.

use crate::agreement::columns::{expected_column, tell_short_for_ids};
use crate::agreement::notes::Notes;
use crate::agreement::subject::{Subject, Written};
use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::{found_column, gone};
use crate::tables::file::nearest::nearest;
use crate::tables::section::{Content, Find, Gone, MissingRow, OnDelete, Section};

/// `all` sections of the file whose tables are there.
pub(super) fn check(subject: Subject<'_>, all: &[Subject<'_>], notes: &mut Notes<'_>) {
    for (written, find) in finds(subject) {
        tell_gone(subject, written, find, notes);
        if let Some(parent) = subject.parent(find, all) {
            tell_found(subject, written, find, parent, notes);
        }
    }
}

/// The columns of a section that another row says.
fn finds(subject: Subject<'_>) -> impl Iterator<Item = (Written<'_>, &Find)> {
    subject
        .written()
        .filter_map(|written| match &written.mapped.content {
            Content::Find(find) => Some((written, find)),
            _ => None,
        })
}

/// A column that cannot become NULL when what it refers to is deleted.
fn tell_gone(subject: Subject<'_>, written: Written<'_>, find: &Find, notes: &mut Notes<'_>) {
    let (name, family) = (&written.stored.name, &find.family);
    let what = match gone(find, written.stored) {
        None => format!("nothing says what becomes of the row once its {family} is deleted"),
        Some(Gone::Null) if !written.stored.takes_null => "gone is \"null\"".to_owned(),
        Some(_) => return,
    };
    let what = format!("{what}, and the column {name:?} takes no NULL");
    let alter = subject.alter(name, "DROP NOT NULL");
    let remedy = format!("expected gone = \"delete\" or \"keep\", or {alter}");
    notes.error(&written.at(subject), what, remedy);
}

/// A column of the parent that is not there, or that holds something else.
fn tell_found(
    subject: Subject<'_>,
    written: Written<'_>,
    find: &Find,
    parent: Subject<'_>,
    notes: &mut Notes<'_>,
) {
    let (at, stored, table) = (written.at(subject), written.stored, parent.table);
    let meant = meant(subject, written, parent);
    let expected = meant.map(|column| format!("expected column = {column:?}"));
    let Some(found) = found_column(find, table) else {
        let names = table.columns.iter().map(|column| column.name.as_str());
        let (what, expected) = match (&find.column, table.primary_key().as_slice()) {
            (Some(name), _) => (
                format!("{table} has no column {name:?}"),
                Some(expected_column(nearest(name, names))),
            ),
            (None, []) => (format!("{table} has no primary key to find"), expected),
            (None, columns) => {
                let columns = columns.join(", ");
                let what = format!("the primary key of {table} has several columns ({columns})");
                (what, expected)
            }
        };
        let expected = expected.unwrap_or_else(|| "expected column = …".to_owned());
        notes.error(&at, what, expected);
        return;
    };
    if !takes(stored, found) {
        let (name, sql_type) = (&stored.name, &stored.exact_sql_type);
        let what = format!(
            "the column {name:?} is {sql_type} and does not take {:?} of {table}, which is {}",
            found.name, found.exact_sql_type
        );
        let (column, found_type) = (quoted(name), &found.sql_type);
        let by_text = match found_type.as_str() {
            "text" => "",
            _ => "::text",
        };
        let change = format!("TYPE {found_type} USING {column}{by_text}::{found_type}");
        let alter = subject.alter(name, &change);
        let remedy = expected.map_or_else(|| alter.clone(), |other| format!("{other}, or {alter}"));
        notes.error(&at, what, remedy);
    } else if parent.section.id_key() == Some(&found.name) {
        tell_short_for_ids(subject, stored, &at, notes);
    }
}

/// Whether a column takes what the other one holds.
fn takes(column: &Column, found: &Column) -> bool {
    let is_alike = matches!(
        (&column.kind, &found.kind),
        (Kind::Text { .. }, Kind::Text { .. }) | (Kind::Integer { .. }, Kind::Integer { .. })
    );
    is_alike || column.base_sql_type == found.base_sql_type
}

/// The column of the parent that the foreign key names, or else the likeliest of those that fit.
fn meant<'a>(subject: Subject<'_>, written: Written<'_>, parent: Subject<'a>) -> Option<&'a str> {
    let name = &written.stored.name;
    let columns = || {
        let columns = parent.table.columns.iter();
        columns.filter(|column| takes(written.stored, column))
    };
    let mut foreign_keys = subject.table.references.iter();
    let foreign_key = foreign_keys.find(|foreign_key| {
        foreign_key.other_table == parent.table.id && foreign_key.columns == [name.as_str()]
    });
    if let Some([other]) = foreign_key.map(|foreign_key| foreign_key.other_columns.as_slice()) {
        return columns()
            .map(|column| column.name.as_str())
            .find(|own| own == other);
    }
    let unique = columns().filter(|column| column.is_unique);
    let mut names: Vec<_> = unique.map(|column| column.name.as_str()).collect();
    if names.is_empty() {
        names = columns().map(|column| column.name.as_str()).collect();
    }
    match names.as_slice() {
        [only] => Some(*only),
        names => nearest(name, names.iter().copied()),
    }
}

impl<'a> Subject<'a> {
    /// The section that `find` finds in.
    fn parent(self, find: &Find, all: &[Self]) -> Option<Self> {
        let mut all = all.iter().copied();
        all.find(|other| other.section.family == find.family)
    }

    /// Whether rows are deleted, be it together with those of a parent.
    pub(super) fn deletes_rows(self) -> bool {
        self.rows_go(self.section)
    }

    fn rows_go(self, section: &Section) -> bool {
        let goes_with = |find: &Find| {
            let parent = self.tables.section(&find.family);
            find.gone == Some(Gone::Delete) && parent.is_some_and(|parent| self.rows_go(parent))
        };
        section.on_delete == OnDelete::Delete
            || section.missing_row == MissingRow::Create
                && section.finds().any(|(_, find)| goes_with(find))
    }

    /// The columns that other sections copy out of the rows of this one.
    pub(super) fn found(self) -> impl Iterator<Item = &'a str> {
        let finds = self.tables.sections().flat_map(|other| other.finds());
        let own = finds.filter(move |(_, find)| find.family == self.section.family);
        own.filter_map(move |(_, find)| Some(found_column(find, self.table)?.name.as_str()))
    }

    /// Whether a section says what becomes of the rows that this foreign key keeps.
    pub(super) fn lets_go(self, foreign_key: &ForeignKey, all: &[Self]) -> bool {
        let family = &self.section.family;
        let mut children = all
            .iter()
            .filter(|child| child.table.id == foreign_key.table);
        children.any(|child| {
            let mut finds = finds(*child).filter(|(_, find)| find.family == *family);
            finds.any(|(written, find)| {
                let found = found_column(find, self.table).map(|column| &column.name);
                let pairs = foreign_key.columns.iter().zip(&foreign_key.other_columns);
                let mut pairs = pairs.filter(|(own, _)| **own == written.stored.name);
                let stays = gone(find, written.stored) == Some(Gone::Delete) && !child.makes_rows();
                pairs.any(|(_, other)| Some(other) == found) && !stays
            })
        })
    }
}
