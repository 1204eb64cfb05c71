//! What is written to the columns of a table.

use std::collections::HashMap;

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::table::Table;
use crate::suggest::candidate::{Candidate, reference};
use crate::suggest::file::{FILL_IN, Line, text};
use crate::suggest::names::{CREATED_AT, Family, Known, MADE_WITH, NAME_BESIDE_LAST_NAME, Takes};
use crate::suggest::references::referring;
use crate::suggest::value;
use crate::suggest::words::place;
use crate::tables::section::UUID_CHARACTERS;

/// The lines of `columns` and of `on_create`. `chosen` are the tables that have a section.
pub(super) fn columns(
    candidate: &Candidate<'_>,
    chosen: &[&Candidate<'_>],
) -> (Vec<Line>, Vec<Line>) {
    let (family, table) = (candidate.family, candidate.table);
    let first = likeliest(family, table);
    let (mut columns, mut on_create) = (Vec::new(), Vec::new());
    for column in &table.columns {
        let name = column.name.as_str();
        let is_key = candidate.key.contains(&name);
        if let Some(line) = referring(candidate, column, chosen) {
            columns.push(line);
        } else if is_key {
            // Clerk's id is written there.
        } else if let Some(known) = said(family, table, column) {
            let mut line = value::line(family, known, column);
            if let Some(first) = first.get(known.path).filter(|first| **first != name) {
                line.is_choice |= !must_be_filled(column);
                line.note = format!("a guess: {} says the same", text(first));
            }
            match known.path {
                CREATED_AT => on_create.push(line),
                _ => columns.push(line),
            }
        } else if must_be_filled(column) {
            on_create.push(filled(table, column));
        }
    }
    (columns, on_create)
}

/// What Clerk says for a column, judging by its name and type.
pub(super) fn known(family: &Family, table: &Table, column: &Column) -> Option<&'static Known> {
    // What another table allows is not Clerk's to say.
    let is_free = !column.is_generated && reference(table, &column.name).is_none();
    let found = named(family, column).filter(|_| is_free)?;
    let has = |path| {
        let mut columns = table
            .columns
            .iter()
            .filter_map(|column| named(family, column));
        columns.any(|known| known.path == path)
    };
    let is_first_name = place(NAME_BESIDE_LAST_NAME.names, &column.name).is_some()
        && has("last_name")
        && !has("first_name");
    match is_first_name {
        true => Some(&NAME_BESIDE_LAST_NAME),
        false => Some(found),
    }
}

fn named(family: &Family, column: &Column) -> Option<&'static Known> {
    let is_alike = |known: &&Known| {
        place(known.names, &column.name).is_some() && fits(known.takes, &column.kind)
    };
    family.columns.iter().find(is_alike)
}

/// Whether the table has a column for what Clerk says at `path`.
pub(super) fn says(family: &Family, table: &Table, path: &str) -> bool {
    let mut known = table
        .columns
        .iter()
        .filter_map(|column| known(family, table, column));
    known.any(|known| known.path == path)
}

/// [`known`], without what only the application can know: its words, where no enum tells them and nothing fills the
/// column.
fn said(family: &Family, table: &Table, column: &Column) -> Option<&'static Known> {
    let known = known(family, table, column)?;
    (!value::has_unknown_words(known, column) || !must_be_filled(column)).then_some(known)
}

/// The column that each path is written to; any other would only say the same.
fn likeliest<'a>(family: &Family, table: &'a Table) -> HashMap<&'static str, &'a str> {
    let found = table.columns.iter().filter_map(|column| {
        let known = known(family, table, column)?;
        let rank = (!known.note.is_empty(), place(known.names, &column.name));
        Some((known.path, rank, column.name.as_str()))
    });
    let mut found: Vec<_> = found.collect();
    // Of several the last one stays.
    found.sort_unstable();
    found
        .into_iter()
        .rev()
        .map(|(path, _, column)| (path, column))
        .collect()
}

pub(super) fn fits(takes: Takes, kind: &Kind) -> bool {
    match (takes, kind) {
        (Takes::Text | Takes::Word, Kind::Text { .. })
        | (Takes::Word, Kind::Enum(_))
        | (Takes::Time, Kind::Time | Kind::Date)
        | (Takes::Boolean, Kind::Boolean)
        | (Takes::Integer, Kind::Integer { .. })
        | (Takes::Json, Kind::Json) => true,
        (Takes::Time, Kind::Integer { greatest, .. }) => *greatest == i64::MAX,
        _ => false,
    }
}

/// Whether a row cannot be made without a value for it.
pub(super) fn must_be_filled(column: &Column) -> bool {
    !column.takes_null && !column.has_default
}

/// A column for which Clerk says nothing, and which takes no NULL.
fn filled(table: &Table, column: &Column) -> Line {
    let made = MADE_WITH.iter().find(|(names, takes, ..)| {
        place(names, &column.name).is_some() && fits(*takes, &column.kind)
    });
    if let Some((.., value, note)) = made {
        return Line::new(&column.name, *value, *note);
    }
    let refers = reference(table, &column.name);
    let is_key = table.primary_key() == [column.name.as_str()];
    let takes_uuids = match column.kind {
        Kind::Uuid => is_key || column.is_unique,
        Kind::Text { characters, .. } => {
            is_key && characters.is_none_or(|characters| characters >= UUID_CHARACTERS)
        }
        _ => false,
    };
    if takes_uuids && refers.is_none() {
        return Line::new(
            &column.name,
            "{ generate = \"uuid\" }",
            "no default of the database fills it",
        );
    }
    let what = match (refers, &column.kind) {
        (Some(key), _) => format!(
            "refers to {}; or missing_row = \"wait\", if the application makes these rows",
            text(&key.other_table.name)
        ),
        (None, Kind::Text { .. }) if is_key || column.is_unique => {
            format!("such as {{ value = {} }}", value::id(column))
        }
        (None, kind) => format!("such as {}, or a path", example(kind)),
    };
    let sql_type = &column.exact_sql_type;
    let note = format!("{sql_type} NOT NULL, and nothing fills it: {what}");
    Line::choice(&column.name, FILL_IN, note)
}

/// What somebody could write there.
fn example(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "false".to_owned(),
        Kind::Integer { .. } | Kind::Numeric { .. } | Kind::Real => "0".to_owned(),
        Kind::Time | Kind::Date => text("now"),
        Kind::Uuid => "{ generate = \"uuid\" }".to_owned(),
        Kind::Json => "{ value = {} }".to_owned(),
        Kind::TextArray(_) => "{ value = [] }".to_owned(),
        Kind::Enum(words) => {
            let word = words.first().map_or("", String::as_str);
            format!("{{ value = {} }}", value::constant(word))
        }
        _ => "{ value = \"text\" }".to_owned(),
    }
}
