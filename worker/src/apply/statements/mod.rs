//! The statements that write the rows of a section, made once for the section and the columns that the database has.
//!
//! A statement takes arrays, one for each column, and `unnest` makes rows of them. Texts come as text and are cast to the
//! column's type; times come as timestamptz. Names are quoted by [`quoted`], and no value is ever part of a statement.

mod comparison;
mod expression;
mod listing;
mod ownership;
pub(crate) mod references;
mod source;
mod unique_values;

use std::fmt::Write as _;

use tokio_postgres::types::Type;

pub(crate) use self::expression::probe;
use self::expression::{
    array_type, assigned, compared, compared_array, literal, parameter_sql_type,
};
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
    /// What a deletion does; nothing where rows are kept.
    pub(crate) delete: Option<String>,
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
    /// `None` if the table has not all that the section names.
    #[must_use]
    pub fn new(section: &Section, table: &Table) -> Option<Self> {
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
        writer.statements()
    }

    /// All that a batch may say about the rows, for the canary.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let writing = [&self.update_older, &self.link, &self.insert, &self.adopt];
        let writing = writing
            .into_iter()
            .chain([&self.delete, &self.before, &self.own]);
        std::iter::once(self.update.as_str()).chain(writing.flatten().map(String::as_str))
    }
}

impl Writer<'_> {
    fn statements(&self) -> Option<Statements> {
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
        let delete = match &self.section.on_delete {
            OnDelete::Delete => Some(self.delete()),
            OnDelete::Keep => None,
            OnDelete::Set(columns) => Some(self.set_on_delete(columns)?),
        };
        let makes_rows = self.section.missing_row == section::MissingRow::Create;
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
            delete,
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

    /// The same where the column may be kept as it is.
    fn value_or_kept(&self, place: usize, keeping: &[usize]) -> String {
        let (value, name) = (self.value(place), self.column(place));
        if keeping.contains(&place) {
            format!("CASE WHEN winner.k{place} THEN present.{name} ELSE {value} END")
        } else {
            value
        }
    }

    fn column(&self, place: usize) -> String {
        quoted(&self.cells[place].0.name)
    }

    /// What is written to a row that is there. Its key stays.
    fn assignments(&self, keeping: &[usize]) -> Vec<String> {
        let columns = 0..self.section.columns.len();
        columns
            .filter(|place| !self.is_key(*place))
            .map(|place| {
                format!(
                    "{} = {}",
                    self.column(place),
                    self.value_or_kept(place, keeping)
                )
            })
            .collect()
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

    fn update(&self, keeping: &[usize], only_older: bool) -> String {
        let columns = self.section.columns.len();
        let mut source = self.source(columns);
        for place in keeping {
            source.add("boolean", format!("k{place}"));
        }
        let (name, mut is_of) = (&self.name, self.is_of("winner"));
        if only_older {
            source.add("timestamptz", "updated_at");
            let newest = self.section.newest.as_deref().unwrap_or_default();
            let exact = self
                .table
                .column(newest)
                .map_or("timestamptz", |column| &column.exact_sql_type);
            let newest = quoted(newest);
            is_of.push_str(&format!(
                "\n   AND (present.{newest} > winner.updated_at::{exact}) IS NOT TRUE"
            ));
        }
        let (source, told) = (source.sql("winner"), self.told("present"));
        let assignments = self.assignments(keeping);
        if assignments.is_empty() {
            return format!(
                "SELECT winner.object_id{told}\n  FROM {name} AS present, {source}\n WHERE {is_of}"
            );
        }
        let assignments = assignments.join(",\n       ");
        format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM {source}\n WHERE {is_of}\nRETURNING winner.object_id{told}"
        )
    }

    fn insert(&self) -> String {
        let (name, source) = (&self.name, self.source(self.cells.len()).sql("winner"));
        let cells = 0..self.cells.len();
        let cells = cells.map(|place| (self.column(place), self.value(place)));
        let (columns, values): (Vec<_>, Vec<_>) = self.id_key().into_iter().chain(cells).unzip();
        let (columns, values) = (columns.join(", "), values.join(",\n       "));
        let (is_of, owner, told) = (self.is_of("winner"), self.owner(), self.told("present"));
        format!(
            "INSERT INTO {name} AS present ({columns})\nSELECT {values}\n  FROM {source}\n WHERE NOT EXISTS (SELECT FROM {name} AS present WHERE {is_of})\n ORDER BY winner.object_id COLLATE \"C\"\nRETURNING {owner}{told}"
        )
    }

    /// The key and what is written to it, where it is Clerk's id.
    fn id_key(&self) -> Option<(String, String)> {
        let value = || assigned("winner.object_id", self.key_column);
        matches!(self.section.key, Key::Id(_)).then(|| (self.key.clone(), value()))
    }

    /// Of two who want one row the first gets it. Who has a row needs no other. Another transaction that takes the row in
    /// between is waited for, and what is asked of the row is then asked again.
    fn link(&self, link_by: usize, keeping: &[usize]) -> String {
        let mut source = self.source(self.cells.len());
        for place in keeping {
            source.add("boolean", format!("k{place}"));
        }
        let id_key = self.id_key().into_iter();
        let keys = (0..self.cells.len()).filter(|place| self.is_key(*place));
        let keys = id_key.chain(keys.map(|place| (self.column(place), self.value(place))));
        let keys = keys.map(|(column, value)| format!("{column} = {value}"));
        let mut assignments: Vec<String> = keys.collect();
        assignments.extend(self.assignments(keeping));
        for place in self.section.columns.len()..self.cells.len() {
            let (column, value) = (self.column(place), self.value(place));
            assignments.push(format!("{column} = coalesce(present.{column}, {value})"));
        }
        let (name, assignments) = (&self.name, assignments.join(",\n       "));
        let wanted = compared(&format!("winner.c{link_by}"), self.cells[link_by].1);
        let (source, is_of) = (source.numbered("winner"), self.is_of("winner"));
        let (column, is_free, told) = (self.column(link_by), self.is_free(), self.told("present"));
        format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM (SELECT DISTINCT ON ({wanted}) winner.*\n          FROM {source}\n         WHERE NOT EXISTS (SELECT FROM {name} AS present WHERE {is_of})\n         ORDER BY {wanted}, winner.n) AS winner\n WHERE present.{column} = {wanted}\n   AND {is_free}\nRETURNING winner.object_id{told}"
        )
    }

    fn adopt(&self, newest: &str) -> String {
        let (name, source) = (&self.name, self.objects().sql("winner"));
        let (family, newest) = (literal(&self.section.family), quoted(newest));
        let is_of = self.is_of("winner");
        format!(
            "UPDATE clerk_sync.versions AS known\n   SET updated_at = least(present.{newest}, '9999-12-31'), event_at = '-infinity', svix_id = ''\n  FROM {source}\n  JOIN {name} AS present ON {is_of}\n WHERE known.family = {family}\n   AND known.object_id = winner.object_id\n   AND present.{newest} > known.updated_at\nRETURNING known.object_id"
        )
    }

    fn delete(&self) -> String {
        let (name, source) = (&self.name, self.objects().sql("gone"));
        let (is_of, told) = (self.is_of("gone"), self.told("present"));
        format!(
            "DELETE FROM {name} AS present\n USING {source}\n WHERE {is_of}\nRETURNING gone.object_id{told}"
        )
    }

    fn set_on_delete(&self, columns: &[section::Column]) -> Option<String> {
        let mut source = self.objects();
        let mut assignments = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            let stored = self.table.column(&column.name)?;
            source.add(parameter_sql_type(stored), format!("c{place}"));
            let value = assigned(&format!("gone.c{place}"), stored);
            assignments.push(format!("{} = {value}", quoted(&column.name)));
        }
        let (name, assignments) = (&self.name, assignments.join(",\n       "));
        let (source, is_of) = (source.sql("gone"), self.is_of("gone"));
        let told = self.told("present");
        Some(format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM {source}\n WHERE {is_of}\nRETURNING gone.object_id{told}"
        ))
    }

    fn deleted_cell_types(&self) -> Vec<Type> {
        let OnDelete::Set(columns) = &self.section.on_delete else {
            return Vec::new();
        };
        let stored = columns
            .iter()
            .filter_map(|column| self.table.column(&column.name));
        stored.map(array_type).collect()
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
