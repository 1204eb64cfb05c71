//! The statements that write the rows of a section, made once for the section and the columns that the database has.
//!
//! A statement takes arrays, one for each column, and `unnest` makes rows of them. Texts come as text and are cast to the
//! column's type; times come as timestamptz. Names are quoted by [`quoted`], and no value is ever part of a statement.

mod comparison;
mod deletion;
pub(crate) mod dependents;
mod expression;
mod listing;
mod ownership;
pub(crate) mod references;
mod source;
mod unique_values;
mod writing;

use std::fmt::Write as _;

use tokio_postgres::types::Type;

pub(crate) use self::expression::{array_type, probe};
use self::expression::{assigned, compared_array, parameter_sql_type};
use self::source::Source;
use crate::database::catalogue::column::Column;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::Table;
use crate::tables::section::{self, Content, Gone, Key, OnDelete, Section};

/// The statements of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statements {
    /// Writes the columns of rows that are there.
    pub(crate) update: String,
    /// The same, but for rows that say that they are newer; only with `newest`.
    pub(crate) update_older: Option<String>,
    /// Gives rows that belong to nobody to objects that have none; only with `link_by`.
    pub(crate) link: Option<String>,
    /// Makes rows for objects that have none; only where this section makes rows.
    pub(crate) insert: Option<String>,
    /// Remembers how new a row is that is newer than its object; only with `newest`.
    pub(crate) adopt: Option<String>,
    /// Deletes rows; only where a deletion does, or rows may go along with others.
    pub(crate) delete: Option<String>,
    /// What a deletion sets in rows that stay.
    pub(crate) set_on_delete: Option<String>,
    /// Locks the rows that are about to be written and tells what their tags need; only where tags need it.
    pub(crate) before: Option<String>,
    /// The same of a deletion that leaves the rows.
    pub(crate) before_deletion: Option<String>,
    /// The types of the cells of a deletion.
    pub(crate) deleted_cell_types: Vec<Type>,
    /// Tells which row each object has, or would be linked to.
    pub(crate) rows: String,
    /// By the place of their cell: tells who holds the values that are wanted of a unique column.
    pub(crate) holders: Vec<(usize, String)>,
    /// The same: takes values from the rows that have them, where the column has room for something else.
    pub(crate) vacate: Vec<(usize, Option<String>)>,
    /// Compares rows with what Clerk's objects say, without writing.
    pub(crate) compare: String,
    /// Remembers how a trigger has left the rows that are not as they were written.
    pub(crate) remember_altered: String,
    /// The rows behind a key, in the order of keys.
    pub(crate) rows_after: String,
    /// Makes objects the owners of the rows whose keys they say; none where the key is Clerk's id.
    pub(crate) own: Option<String>,
    /// Forgets whose rows were that are gone.
    pub(crate) disown: Option<String>,
    /// Locks the owners of the rows that may be linked.
    pub(crate) lock_links: Option<String>,
    /// The columns that the tags need, as the statements return them behind the object's id.
    pub(crate) tag_columns: Vec<String>,
    /// The place of the first cell of `on_create`.
    pub(crate) cells_of_columns: usize,
    /// The cells that have a parameter, each with its type: all but those that are made in the statement.
    pub(crate) cell_types: Vec<Option<Type>>,
    /// The places of cells that may be kept as they are.
    pub(crate) keeping: Vec<usize>,
}

/// The characters that a placeholder takes at the least.
const SHORTEST_PLACEHOLDER: usize = 8;

struct Writer<'a> {
    section: &'a Section,
    table: &'a Table,
    /// With schema and quotes.
    name: String,
    /// The key, or its first column, with quotes.
    key: String,
    key_column: &'a Column,
    cells: Vec<(&'a section::Column, &'a Column)>,
    tag_columns: Vec<String>,
}

impl Statements {
    /// `None` if the table has not all that the section names. `lets_rows_go`: rows may go along with those of others.
    #[must_use]
    pub fn new(section: &Section, table: &Table, lets_rows_go: bool) -> Option<Self> {
        let cells = section.cells();
        let cells = cells.map(|column| Some((column, table.column(&column.name)?)));
        let cells: Vec<_> = cells.collect::<Option<_>>()?;
        let writer = Writer {
            section,
            table,
            name: table.id.quoted(),
            key: quoted(section.key_columns().first()?),
            key_column: table.column(section.key_columns().first()?)?,
            cells,
            tag_columns: section
                .tag_columns()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        };
        writer.statements(lets_rows_go)
    }

    /// All that a batch may say about the rows, for the canary.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let writing = [&self.update_older, &self.link, &self.insert, &self.adopt];
        let writing =
            writing
                .into_iter()
                .chain([&self.delete, &self.set_on_delete, &self.before, &self.own]);
        std::iter::once(self.update.as_str()).chain(writing.flatten().map(String::as_str))
    }
}

impl Writer<'_> {
    fn statements(&self, lets_rows_go: bool) -> Option<Statements> {
        let keeping: Vec<usize> = (0..self.section.columns.len())
            .filter(|place| match &self.cells[*place].0.content {
                Content::From(from) => from.keeps_when_silent,
                Content::Find(find) => find.gone == Some(Gone::Keep),
                Content::Constant(..) | Content::Uuid => false,
            })
            .collect();
        let unique: Vec<usize> = (0..self.cells.len())
            .filter(|place| self.cells[*place].1.is_unique && self.has_parameter(*place))
            .filter(|place| !self.is_key(*place))
            .collect();
        let makes_rows = self.section.missing_row == section::MissingRow::Create;
        let deletes_rows = lets_rows_go || self.section.on_delete == OnDelete::Delete;
        let set_on_delete = match &self.section.on_delete {
            OnDelete::Set(columns) => Some(self.set_on_delete(columns)?),
            OnDelete::Delete | OnDelete::Keep => None,
        };
        Some(Statements {
            update: self.update(&keeping, false),
            update_older: self
                .section
                .newest
                .as_ref()
                .map(|_| self.update(&keeping, true)),
            link: self.section.link_by.map(|place| self.link(place, &keeping)),
            insert: makes_rows.then(|| self.insert()),
            adopt: self
                .section
                .newest
                .as_deref()
                .map(|newest| self.adopt(newest)),
            delete: deletes_rows.then(|| self.delete()),
            set_on_delete,
            before: (!self.tag_columns.is_empty()).then(|| self.before(self.section.link_by)),
            before_deletion: (!self.tag_columns.is_empty()).then(|| self.before(None)),
            deleted_cell_types: self.deleted_cell_types(),
            rows: self.rows(),
            holders: unique
                .iter()
                .map(|place| (*place, self.holders(*place)))
                .collect(),
            vacate: unique
                .iter()
                .map(|place| (*place, self.vacate(*place)))
                .collect(),
            compare: self.compare(&keeping),
            remember_altered: self.remember_altered(&keeping),
            rows_after: self.rows_after(),
            own: self.own(),
            disown: self.disown(),
            lock_links: self.lock_links(),
            tag_columns: self.tag_columns.clone(),
            cells_of_columns: self.section.columns.len(),
            cell_types: (0..self.cells.len())
                .map(|place| self.parameter_type(place))
                .collect(),
            keeping,
        })
    }

    fn is_key(&self, place: usize) -> bool {
        matches!(&self.section.key, Key::Said(places) if places.contains(&place))
    }

    fn has_parameter(&self, place: usize) -> bool {
        self.cells[place].0.content != Content::Uuid
    }

    fn parameter_type(&self, place: usize) -> Option<Type> {
        self.has_parameter(place)
            .then(|| array_type(self.cells[place].1))
    }

    /// The object's id, and the first `cells` cells.
    fn source(&self, cells: usize) -> Source {
        let mut source = self.objects();
        for (place, (_, column)) in self.cells.iter().enumerate().take(cells) {
            if self.has_parameter(place) {
                source.add(parameter_sql_type(column), format!("c{place}"));
            }
        }
        source
    }

    /// What is written to a cell's column.
    fn value(&self, place: usize) -> String {
        let (_, column) = self.cells[place];
        if self.has_parameter(place) {
            assigned(&format!("winner.c{place}"), column)
        } else {
            assigned("gen_random_uuid()::text", column)
        }
    }

    fn column(&self, place: usize) -> String {
        quoted(&self.cells[place].0.name)
    }

    /// What the tags need, of `row`.
    fn told(&self, row: &str) -> String {
        let mut told = String::new();
        for column in &self.tag_columns {
            // Writing to a String never fails.
            let _ = write!(told, ", {row}.{}::text", quoted(column));
        }
        told
    }

    /// Without locks: what the application changes between this look and our statement it has to tell its cache itself.
    fn before(&self, link_by: Option<usize>) -> String {
        let (name, told) = (&self.name, self.told("present"));
        let mut is_one = self.is_of_one();
        if let Some(place) = link_by {
            let links = format!("${}", self.said_keys().len() + 2);
            let links = compared_array(&links, self.cells[place].1);
            is_one.push_str(&format!(
                "\n    OR present.{} = ANY({links})",
                self.column(place)
            ));
        }
        let name_of_row = self.row_name();
        format!(
            "SELECT coalesce({name_of_row}, ''){told}\n  FROM {name} AS present\n WHERE {is_one}"
        )
    }
}
