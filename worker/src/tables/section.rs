//! One section of the file: a family of Clerk's objects, and the table that they are written to.

use std::collections::{BTreeMap, BTreeSet};

use crate::tables::path::Path;
use crate::tables::tag::Tag;
use crate::tables::template::Template;
use crate::tables::value::Value;

/// The characters that a UUID takes as text.
pub(crate) const UUID_CHARACTERS: usize = 36;

/// What becomes of the objects of one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What stands before the dot in the event types.
    pub family: String,
    /// Where the rows are.
    pub table: TableName,
    /// Which columns tell whose row it is.
    pub key: Key,
    /// What is written whenever the object changes.
    pub columns: Vec<Column>,
    /// What is written besides when the row is made.
    pub on_create: Vec<Column>,
    /// What a deletion does.
    pub on_delete: OnDelete,
    /// What becomes of an event whose object has no row.
    pub missing_row: MissingRow,
    /// Which of `columns` tells the row of an object that has none yet.
    pub link_by: Option<usize>,
    /// The column that tells how new a row is that was there before us.
    pub newest: Option<String>,
    /// What is deleted from the cache.
    pub tags: Vec<Tag>,
    /// How many sections may have to be written before this one: 0 where it finds in no other, else one more than the
    /// most of those that it finds in. No section finds in itself, not even by way of others.
    pub depth: usize,
    /// Whether rows of other sections refer to its rows.
    pub is_found: bool,
    /// Whether a deletion may touch rows of other sections that have tags.
    pub touches_tags: bool,
}

/// Which columns tell whose row it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// One that holds Clerk's id. It is in neither list of columns.
    Id(String),
    /// These of `columns`, by their places. So the row may become another object's.
    Said(Vec<usize>),
}

/// A table as the file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The schema; without one the search path tells.
    pub schema: Option<String>,
    /// The case as in the database, no quotes.
    pub name: String,
}

/// A column and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The case as in the database, no quotes.
    pub name: String,
    /// What is written.
    pub content: Content,
}

/// What a column says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// What Clerk says.
    From(From),
    /// Always the same, but for what stands in the braces of a text.
    Constant(Constant, Option<TooLong>),
    /// A new UUID; in `on_create` only.
    Uuid,
    /// What the row of another object says.
    Find(Find),
}

/// A reference to the row of another object.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// The other object's family. It has a section, and the key of its rows is Clerk's id.
    pub family: String,
    /// Where the event says the other object's id.
    pub id: Path,
    /// The column of the other row that is copied; where none is named the primary key.
    pub column: Option<String>,
    /// What becomes of the row that refers, where the file says so. Of a column of the key it always does.
    pub gone: Option<Gone>,
}

/// What becomes of a row when the object is deleted that it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It goes, too.
    Delete,
    /// Its column becomes NULL.
    Null,
    /// It stays as it is.
    Keep,
}

/// A value out of the event.
#[derive(Clone, Debug, PartialEq)]
pub struct From {
    /// The first of these that says something. At least one.
    pub paths: Vec<Path>,
    /// In lower case.
    pub as_lower: bool,
    /// Other words for what Clerk says; without a map its own.
    pub map: Option<BTreeMap<String, Constant>>,
    /// What is written where Clerk says nothing.
    pub default: Option<Constant>,
    /// Where Clerk says nothing the column is left as it is.
    pub keeps_when_silent: bool,
    /// What becomes of a text that is too long, where the file says so.
    pub too_long: Option<TooLong>,
}

/// A value that the file gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Text, with paths in braces.
    Text(Template),
    /// Anything else.
    Value(Value),
}

/// What becomes of a text that is longer than its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// As much as there is room for.
    Cut,
    /// NULL.
    Null,
    /// The event goes to the dead letters.
    DeadLetter,
}

/// What a deletion does to the row.
#[derive(Clone, Debug, PartialEq)]
pub enum OnDelete {
    /// The row goes.
    Delete,
    /// The row stays as it is.
    Keep,
    /// The row stays, and these columns are set.
    Set(Vec<Column>),
}

/// What becomes of an event whose object has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingRow {
    /// It makes one.
    Create,
    /// It waits until somebody else has made it.
    Wait,
    /// It is recorded as ignored.
    Ignore,
}

impl Section {
    /// The columns that are written when a row is made: those of `columns`, then those of `on_create`.
    pub fn cells(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().chain(&self.on_create)
    }

    /// Its references to rows of other objects, with the places of their cells.
    pub fn finds(&self) -> impl Iterator<Item = (usize, &Find)> {
        let find = |(place, column): (usize, _)| match column {
            &Column {
                content: Content::Find(ref find),
                ..
            } => Some((place, find)),
            _ => None,
        };
        self.cells().enumerate().filter_map(find)
    }

    /// What a deletion sets in a row that stays.
    #[must_use]
    pub fn left_columns(&self) -> &[Column] {
        match &self.on_delete {
            OnDelete::Set(columns) => columns,
            OnDelete::Delete | OnDelete::Keep => &[],
        }
    }

    /// The column of the key, where that is Clerk's id.
    #[must_use]
    pub fn id_key(&self) -> Option<&str> {
        match &self.key {
            Key::Id(name) => Some(name),
            Key::Said(_) => None,
        }
    }

    /// The columns of the key.
    #[must_use]
    pub fn key_columns(&self) -> Vec<&str> {
        match &self.key {
            Key::Id(name) => vec![name],
            Key::Said(places) => {
                let columns = places.iter().filter_map(|place| self.columns.get(*place));
                columns.map(|column| column.name.as_str()).collect()
            }
        }
    }

    /// Whether a row may become another object's, or nobody's.
    #[must_use]
    pub fn changes_owners(&self) -> bool {
        let keys = self.key_columns();
        let is_key = |column: &Column| keys.contains(&column.name.as_str());
        let unlinks =
            matches!(&self.on_delete, OnDelete::Set(columns) if columns.iter().any(is_key));
        unlinks || self.link_by.is_some() || matches!(self.key, Key::Said(_))
    }
}

impl Section {
    /// The columns that the tags need, where the object's id does not tell them all.
    #[must_use]
    pub fn tag_columns(&self) -> Vec<&str> {
        let columns: BTreeSet<&str> = self.tags.iter().flat_map(Tag::columns).collect();
        let keys = self.key_columns();
        let are_told = !self.changes_owners() && columns.iter().all(|name| keys.contains(name));
        let columns = columns.into_iter().filter(|_| !are_told);
        columns.collect()
    }

    /// Whether an event may have tags that only rows tell.
    #[must_use]
    pub fn keeps_tags(&self) -> bool {
        self.touches_tags || !self.tag_columns().is_empty()
    }

    /// The tags of objects' rows that their ids tell, each once; the others take the rows.
    #[must_use]
    pub fn tags_of<'a>(&self, object_ids: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let needs_rows = !self.tag_columns().is_empty();
        let mut tags = BTreeSet::new();
        for object_id in object_ids {
            let says = |_: &str| (!needs_rows).then_some(object_id);
            tags.extend(self.tags.iter().filter_map(|tag| tag.of_row(says)));
        }
        tags
    }
}

impl Column {
    /// The paths that may say what is written, those of templates included.
    pub fn paths(&self) -> Vec<&Path> {
        match &self.content {
            Content::From(from) => {
                let constants = from.default.iter();
                let constants = constants.chain(from.map.iter().flat_map(BTreeMap::values));
                let paths = from.paths.iter();
                paths.chain(constants.flat_map(Constant::paths)).collect()
            }
            Content::Constant(constant, _) => constant.paths().collect(),
            Content::Uuid => Vec::new(),
            Content::Find(find) => vec![&find.id],
        }
    }
}

impl Constant {
    /// The paths in the braces of its text.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let template = match self {
            Self::Text(template) => Some(template),
            Self::Value(_) => None,
        };
        template.into_iter().flat_map(Template::paths)
    }
}
