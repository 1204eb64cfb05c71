//! What is said of rows that refer to each other by `find`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dependents::{Dependent, Parent, add_dependents};
use super::expression::{compared, literal};
use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::{Table, found_column, gone};
use crate::event::object::{Object, ObjectId};
use crate::tables::section::{Gone, MissingRow, OnDelete, Section};

/// The references of a section, and those of others to its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct References {
    /// How the rows are looked up that this section finds in.
    pub(crate) lookups: Vec<Lookup>,
    /// What becomes of others' rows that refer to a row that goes; those first that refer to others of these.
    pub(crate) when_it_goes: Vec<Dependent>,
    /// The same where the row of a deleted object stays.
    pub(crate) when_it_stays: Vec<Dependent>,
}

/// How the rows are looked up that a column refers to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lookup {
    /// The place of the column's cell.
    pub(crate) place: usize,
    /// Whose rows they are.
    pub(crate) family: String,
    /// The column of theirs that is copied.
    pub(crate) found: String,
    /// What becomes of the column when the object is deleted that it refers to.
    pub(crate) gone: Gone,
    /// What becomes of the row then, if it goes along with the other one.
    pub(crate) fate: Option<Fate>,
    /// Takes ids; tells for each whether its object has a row, what that says, and what is known of the object.
    pub(crate) sql: String,
}

/// What becomes of a row that goes along with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes.
    Goes,
    /// It stays, and its own `on_delete` is done.
    IsSet,
    /// It stays as it is.
    Stays,
}

impl Lookup {
    /// The id that an object says there, if it is one.
    pub(crate) fn referred(&self, object: &Object) -> Option<ObjectId> {
        let id = object.row.cells.get(self.place)?.value.text()?;
        ObjectId::plain(id.into_owned())
    }
}

/// The sections of a file with their tables.
pub(crate) type Tables<'a> = BTreeMap<&'a str, (&'a Arc<Section>, &'a Table)>;

impl References {
    /// `None` if a table has not all that is needed.
    pub(crate) fn new(family: &str, tables: &Tables<'_>) -> Option<Self> {
        let (section, table) = *tables.get(family)?;
        let lookups = section.finds().map(|(place, find)| {
            let column = section.cells().nth(place)?;
            let gone = gone(find, table.column(&column.name)?)?;
            let (parent, parent_table) = tables.get(find.family.as_str())?;
            let found = found_column(find, parent_table)?;
            Some(Lookup {
                place,
                family: find.family.clone(),
                found: found.name.clone(),
                gone,
                fate: (gone == Gone::Delete).then(|| fate(section, row_stays(parent))),
                sql: look_up(parent, parent_table, found)?,
            })
        });
        let lookups: Vec<Lookup> = lookups.collect::<Option<_>>()?;
        let mut references = Self {
            lookups,
            ..Self::default()
        };
        let parent = Parent { section, table };
        if references.lets_rows_go() || !row_stays(section) {
            add_dependents(parent, &[], false, tables, &mut references.when_it_goes)?;
        }
        if row_stays(section) {
            add_dependents(parent, &[], true, tables, &mut references.when_it_stays)?;
        }
        Some(references)
    }

    /// Whether a row of this section may go along with another one.
    pub(crate) fn lets_rows_go(&self) -> bool {
        let mut lookups = self.lookups.iter();
        lookups.any(|lookup| lookup.fate == Some(Fate::Goes))
    }

    fn dependents(&self) -> impl Iterator<Item = &Dependent> {
        self.when_it_goes.iter().chain(&self.when_it_stays)
    }

    /// All that a batch may say about the rows of others, for the canary.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let lookups = self.lookups.iter().map(|lookup| lookup.sql.as_str());
        lookups.chain(
            self.dependents()
                .flat_map(|dependent| [dependent.lock.as_str(), dependent.change.as_str()]),
        )
    }
}

fn row_stays(section: &Section) -> bool {
    section.on_delete != OnDelete::Delete
}

/// What becomes of a row of `section` that goes along with another one, which stays itself or not.
pub(super) fn fate(section: &Section, parent_stays: bool) -> Fate {
    let as_deleted_itself = parent_stays || section.missing_row != MissingRow::Create;
    match &section.on_delete {
        OnDelete::Keep if as_deleted_itself => Fate::Stays,
        OnDelete::Set(_) if as_deleted_itself => Fate::IsSet,
        _ => Fate::Goes,
    }
}

fn look_up(parent: &Section, table: &Table, found: &Column) -> Option<String> {
    let key = table.column(parent.id_key()?)?;
    let (name, family) = (table.id.quoted(), literal(&parent.family));
    let quoted_key = quoted(&key.name);
    let text = match found.kind {
        Kind::Time | Kind::Date => format!("to_json(present.{}) #>> '{{}}'", quoted(&found.name)),
        _ => format!("present.{}::text", quoted(&found.name)),
    };
    let id = compared("wanted.object_id", key);
    Some(format!(
        "SELECT wanted.object_id, present.{quoted_key} IS NOT NULL, {text},\n       coalesce(known.deleted OR known.went_along AND present.{quoted_key} IS NULL, false),\n       coalesce(known.touched_by, known.svix_id)\n  FROM unnest($1::text[])\n    AS wanted (object_id)\n  LEFT JOIN {name} AS present ON present.{quoted_key} = {id}\n  LEFT JOIN clerk_sync.versions AS known ON known.family = {family} AND known.object_id = wanted.object_id"
    ))
}

impl std::fmt::Display for References {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Lookup { family, sql, .. } in &self.lookups {
            writeln!(formatter, "-- look up rows of {family}\n{sql};\n")?;
        }
        for Dependent {
            section,
            lock,
            change,
            ..
        } in self.dependents()
        {
            let family = &section.family;
            writeln!(
                formatter,
                "-- lock rows of {family} that refer to these\n{lock};\n"
            )?;
            writeln!(formatter, "-- release them\n{change};\n")?;
        }
        Ok(())
    }
}
