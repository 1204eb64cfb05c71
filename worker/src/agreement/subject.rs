//! A section and its table.

use crate::database::catalogue::column::Column as Stored;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::{Form, Table};
use crate::tables::Tables;
use crate::tables::section::{Column, MissingRow, OnDelete, Section};

/// A section and the table that it is about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) tables: &'a Tables,
    pub(super) section: &'a Section,
    pub(super) table: &'a Table,
    /// The role that writes.
    pub(super) role: &'a str,
}

/// A column that the section writes, and where it says so.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    /// `columns`, `on_create` or `on_delete`.
    pub(super) place: &'static str,
    pub(super) mapped: &'a Column,
    pub(super) stored: &'a Stored,
}

impl<'a> Subject<'a> {
    /// All columns that the section says something of, with what they are in.
    pub(super) fn mapped(self) -> impl Iterator<Item = (&'static str, &'a Column)> {
        let on_delete: &[Column] = match &self.section.on_delete {
            OnDelete::Set(columns) => columns,
            OnDelete::Delete | OnDelete::Keep => &[],
        };
        let lists: [(&str, &[Column]); 3] = [
            ("columns", &self.section.columns),
            ("on_create", &self.section.on_create),
            ("on_delete", on_delete),
        ];
        let of_list = |(place, list): (&'static str, &'a [Column])| {
            list.iter().map(move |column| (place, column))
        };
        lists.into_iter().flat_map(of_list)
    }

    /// Those of them that the table has.
    pub(super) fn written(self) -> impl Iterator<Item = Written<'a>> {
        self.mapped().filter_map(move |(place, mapped)| {
            Some(Written {
                place,
                mapped,
                stored: self.table.column(&mapped.name)?,
            })
        })
    }

    /// Whether the section says anything of the column when a row is made.
    pub(super) fn makes(self, column: &str) -> bool {
        self.section.key_columns().contains(&column)
            || self.section.cells().any(|cell| cell.name == column)
    }

    pub(super) fn makes_rows(self) -> bool {
        self.section.missing_row == MissingRow::Create
    }

    /// The keys of a place in the section.
    pub(super) fn at<'b>(self, key: &'b str) -> [&'b str; 2]
    where
        'a: 'b,
    {
        [&self.section.family, key]
    }

    /// The name of the table as SQL writes it.
    pub(super) fn name(self) -> String {
        self.table.id.quoted()
    }

    /// `ALTER TABLE` for a column.
    pub(super) fn alter(self, column: &str, change: &str) -> String {
        format!(
            "ALTER TABLE {} ALTER COLUMN {} {change};",
            self.name(),
            quoted(column)
        )
    }

    /// What makes a unique index. `columns` as SQL writes them.
    pub(super) fn create_unique_index(self, columns: &str) -> String {
        let concurrently = match self.table.form {
            // PostgreSQL cannot do that for a partitioned table.
            Form::Partitioned => "",
            Form::Ordinary | Form::Other(_) => "CONCURRENTLY ",
        };
        let name = self.name();
        format!("CREATE UNIQUE INDEX {concurrently}ON {name} ({columns});")
    }
}

impl<'a> Written<'a> {
    /// The keys of its place in the file.
    pub(super) fn at(self, subject: Subject<'a>) -> [&'a str; 3] {
        [&subject.section.family, self.place, &self.mapped.name]
    }
}
