//! What is said of rows that refer to each other by `find`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::expression::{assigned, compared, literal, parameter_sql_type};
use super::ownership::owner;
use super::source::Source;
use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::{Table, found_column, gone};
use crate::event::object::Object;
use crate::tables::section::{self, Find, Gone, MissingRow, OnDelete, Section};
use crate::tables::tag::Tag;

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
    /// The id that an object says there.
    pub(crate) fn referred(&self, object: &Object) -> Option<String> {
        let id = object.row.cells.get(self.place)?.value.text()?;
        Some(id.into_owned())
    }
}

/// What becomes of rows when those go that they refer to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dependent {
    /// Whose rows they are.
    pub(crate) section: Arc<Section>,
    /// Where they are.
    pub(crate) table: Table,
    /// The columns that their tags need.
    pub(crate) tag_columns: Vec<String>,
    /// Takes ids of objects; tells of each row that refers to one of theirs which object that is, its own object, where it
    /// lies, and what the tags need.
    pub(crate) find: String,
    /// The same, and locks the rows in the order of their keys.
    pub(crate) lock: String,
    /// Deletes or changes the rows that lie there, and tells what the tags need of those that stay.
    pub(crate) change: String,
    /// Whether they go along with those that they refer to, which is more than to let go of them.
    pub(crate) goes_along: bool,
    /// The columns that are set, as the database has them.
    pub(crate) set: Vec<(section::Column, Column)>,
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
fn fate(section: &Section, parent_stays: bool) -> Fate {
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

/// The section whose objects are deleted.
#[derive(Clone, Copy)]
struct Parent<'a> {
    section: &'a Arc<Section>,
    table: &'a Table,
}

/// A step from rows to those that refer to them.
#[derive(Clone, Copy)]
struct Step<'a> {
    section: &'a Arc<Section>,
    table: &'a Table,
    /// The column that refers.
    column: &'a Column,
    /// The one that it refers to.
    found: &'a Column,
}

/// What becomes of the rows at the end of a way.
enum Change<'a> {
    Delete,
    Null,
    Set(&'a [section::Column]),
}

/// Adds what becomes of the rows that refer to those at the end of `way`, which begins at the rows of `parent`.
fn add_dependents<'a>(
    parent: Parent<'a>,
    way: &[Step<'a>],
    row_stays: bool,
    tables: &Tables<'a>,
    dependents: &mut Vec<Dependent>,
) -> Option<()> {
    let (last, last_table) = match way.last() {
        Some(step) => (step.section, step.table),
        None => (parent.section, parent.table),
    };
    for (section, table) in tables.values().copied() {
        let refers = |(_, find): &(usize, &Find)| find.family == last.family;
        for (place, find) in section.finds().filter(refers) {
            let column = table.column(&section.cells().nth(place)?.name)?;
            let gone = gone(find, column)?;
            let Some(change) = change(section, gone, row_stays) else {
                continue;
            };
            let step = Step {
                section,
                table,
                column,
                found: found_column(find, last_table)?,
            };
            let way: Vec<Step<'_>> = way.iter().copied().chain([step]).collect();
            if matches!(change, Change::Delete) {
                add_dependents(parent, &way, false, tables, dependents)?;
            }
            dependents.push(dependent(parent, &way, change)?);
        }
    }
    Some(())
}

fn change(section: &Section, gone: Gone, parent_stays: bool) -> Option<Change<'_>> {
    match gone {
        Gone::Keep => None,
        Gone::Null => Some(Change::Null),
        Gone::Delete => match fate(section, parent_stays) {
            Fate::Goes => Some(Change::Delete),
            Fate::IsSet => Some(Change::Set(section.left_columns())),
            Fate::Stays => None,
        },
    }
}

fn dependent(parent: Parent<'_>, way: &[Step<'_>], change: Change<'_>) -> Option<Dependent> {
    let last = way.last()?;
    let tag_columns = last.section.tags.iter().flat_map(Tag::columns);
    let mut tag_columns: Vec<String> = tag_columns.map(str::to_owned).collect();
    tag_columns.sort();
    tag_columns.dedup();
    let told: String = tag_columns
        .iter()
        .map(|column| format!(", present.{}::text", quoted(column)))
        .collect();
    let mut gone = Source::default();
    gone.add("text", "object_id");
    let (others, is_one) = joined(parent, way)?;
    let keys = last.section.key_columns().into_iter();
    let keys = Vec::from_iter(keys.map(|key| format!("present.{}", quoted(key)))).join(", ");
    let (name, owner) = (last.table.id.quoted(), owner(last.section, last.table)?);
    let find = format!(
        "SELECT gone.object_id, {owner}, present.tableoid::text, present.ctid::text{told}\n  FROM {name} AS present{others}, {}\n WHERE {is_one}",
        gone.sql("gone")
    );
    let mut rows = Source::default();
    rows.add("oid", "part");
    rows.add("tid", "place");
    let goes_along = !matches!(change, Change::Null);
    let mut set = Vec::new();
    let lies = "present.ctid = changed.place AND present.tableoid = changed.part";
    let update = |assignments: &str, rows: &Source| {
        format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM {}\n WHERE {lies}\nRETURNING ''{told}",
            rows.sql("changed")
        )
    };
    let change = match change {
        Change::Delete => format!(
            "DELETE FROM {name} AS present\n USING {}\n WHERE {lies}",
            rows.sql("changed")
        ),
        Change::Null => update(&format!("{} = NULL", quoted(&last.column.name)), &rows),
        Change::Set(columns) => {
            let mut assignments = Vec::new();
            for (place, column) in columns.iter().enumerate() {
                let stored = last.table.column(&column.name)?;
                rows.add(parameter_sql_type(stored), format!("c{place}"));
                let value = assigned(&format!("changed.c{place}"), stored);
                assignments.push(format!("{} = {value}", quoted(&column.name)));
                set.push((column.clone(), stored.clone()));
            }
            update(&assignments.join(",\n       "), &rows)
        }
    };
    Some(Dependent {
        section: Arc::clone(last.section),
        table: last.table.clone(),
        tag_columns,
        lock: format!("{find}\n ORDER BY {keys}\n   FOR UPDATE OF present"),
        find,
        change,
        goes_along,
        set,
    })
}

/// The tables between `gone` and `present`, and what joins all of them.
fn joined(parent: Parent<'_>, way: &[Step<'_>]) -> Option<(String, String)> {
    let (mut others, mut conditions) = (String::new(), Vec::new());
    let alias = |place: usize| match place + 1 == way.len() {
        true => "present".to_owned(),
        false => format!("child{place}"),
    };
    for (place, step) in way.iter().enumerate() {
        let column = format!("{}.{}", alias(place), quoted(&step.column.name));
        let found = quoted(&step.found.name);
        let key = parent.section.id_key()?;
        let value = match place.checked_sub(1) {
            Some(before) => format!("{}.{found}", alias(before)),
            // The id tells, also where the row has gone before.
            None if step.found.name == key => "gone.object_id".to_owned(),
            None => {
                others.push_str(&format!(", {} AS parent", parent.table.id.quoted()));
                let id = compared("gone.object_id", parent.table.column(key)?);
                conditions.push(format!("parent.{} = {id}", quoted(key)));
                format!("parent.{found}")
            }
        };
        conditions.push(format!("{column} = {}", compared(&value, step.column)));
        if place + 1 < way.len() {
            let name = step.table.id.quoted();
            others.push_str(&format!(", {name} AS {}", alias(place)));
        }
    }
    Some((others, conditions.join(" AND ")))
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
