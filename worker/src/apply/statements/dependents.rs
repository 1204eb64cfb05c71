//! What is said of rows that refer to those of deleted objects.

use std::sync::Arc;

use super::expression::{assigned, compared, parameter_sql_type};
use super::ownership::owner;
use super::references::{Fate, Tables, fate};
use super::source::Source;
use crate::database::catalogue::column::Column;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::{Table, found_column, gone};
use crate::tables::section::{self, Find, Gone, Section};
use crate::tables::tag::Tag;

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

/// The section whose objects are deleted.
#[derive(Clone, Copy)]
pub(super) struct Parent<'a> {
    pub(super) section: &'a Arc<Section>,
    pub(super) table: &'a Table,
}

/// A step from rows to those that refer to them.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
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
pub(super) fn add_dependents<'a>(
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
