//! A section for a table.

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::name::quoted;
use crate::suggest::candidate::{Candidate, Reason};
use crate::suggest::columns::{columns, fits, known};
use crate::suggest::file::{self, Line, Section, text};
use crate::suggest::names::{DELETED, Known, UPDATED_AT};
use crate::suggest::references::lets_go;
use crate::suggest::value::{has_the_applications_clock, id};
use crate::suggest::words::place;
use crate::tables::fields::ID_CHARACTERS;

/// The section for `candidate`, which the file names `table`. `others` are as likely; `chosen` have sections, too.
pub(super) fn section(
    candidate: &Candidate<'_>,
    others: &[Candidate<'_>],
    chosen: &[&Candidate<'_>],
    table: &str,
) -> Section {
    let (columns, on_create) = columns(candidate, chosen);
    let mut notes = Vec::new();
    if !others.is_empty() {
        let others: Vec<_> = others
            .iter()
            .map(|other| text(&other.table.id.name))
            .collect();
        let looks_like = candidate.family.looks_like;
        notes.push(format!(
            "Also looks like {looks_like}: {}.",
            others.join(", ")
        ));
    }
    notes.extend(missing(candidate));
    let mut keys = vec![Line::new("table", text(table), ""), key(candidate)];
    keys.extend(choices(candidate, &columns));
    let on_delete = on_delete(candidate);
    let deletion_notes = match on_delete.is_empty() {
        true => refusals(candidate, chosen),
        false => Vec::new(),
    };
    let lines = columns.iter().chain(&on_create).chain(&on_delete);
    let mut named: Vec<&str> = lines.map(|line| line.name.as_str()).collect();
    named.extend(candidate.table.primary_key());
    named.extend(&candidate.key);
    let others = candidate.table.columns.iter();
    let others = others.filter(|column| !column.is_generated);
    let others = others.map(|column| column.name.clone());
    let others = others
        .filter(|name| !named.contains(&name.as_str()))
        .collect();
    Section {
        family: candidate.family.section,
        notes,
        keys,
        deletion_notes,
        columns,
        on_create,
        on_delete,
        others,
    }
}

fn key(candidate: &Candidate<'_>) -> Line {
    let note = match candidate.reason {
        Reason::Clerks | Reason::Membership | Reason::Missing => "",
        Reason::Others => "a guess: it may be the id of something else",
        Reason::Primary => {
            "a guess: it is text and no default fills it. If the application makes these ids, add a column for Clerk's"
        }
    };
    let value = match candidate.key.as_slice() {
        [] => text(key_to_add(candidate).0),
        [column] => text(column),
        columns => {
            let columns: Vec<_> = columns.iter().map(|column| text(column)).collect();
            format!("[{}]", columns.join(", "))
        }
    };
    Line::new("key", value, note)
}

/// The column that is to hold Clerk's id where none can, and whether it is there, with another type.
fn key_to_add<'a>(candidate: &Candidate<'a>) -> (&'a str, bool) {
    let is_named = |column: &&Column| place(candidate.family.clerk_ids, &column.name).is_some();
    let column = candidate.table.columns.iter().find(is_named);
    column.map_or(("clerk_id", false), |column| (&column.name, true))
}

/// What the key lacks, with the statement that makes it.
fn missing(candidate: &Candidate<'_>) -> Vec<String> {
    let table = candidate.table;
    let mut missing = Vec::new();
    if candidate.key.is_empty() {
        let (column, is_there) = key_to_add(candidate);
        let column = quoted(column);
        missing.push(match is_there {
            true => format!("{column} cannot hold Clerk's ids, which are texts such as user_2abc: give it the type text, and a unique index."),
            false => format!("No column holds Clerk's id: ALTER TABLE {} ADD COLUMN {column} text UNIQUE;", table.id.quoted()),
        });
        return missing;
    }
    if !table
        .indexes
        .iter()
        .any(|index| index.always_holds() && index.is_on(&candidate.key))
    {
        let columns: Vec<_> = candidate.key.iter().map(|column| quoted(column)).collect();
        missing.push(format!(
            "The key has no unique index: CREATE UNIQUE INDEX CONCURRENTLY ON {} ({});",
            table.id.quoted(),
            columns.join(", ")
        ));
    }
    let columns = candidate.key.iter().filter_map(|key| table.column(key));
    for column in columns {
        if matches!(column.kind, Kind::Text { characters: Some(characters), .. } if characters < ID_CHARACTERS)
        {
            missing.push(format!(
                "{} is {}; Clerk's ids have up to {ID_CHARACTERS} characters.",
                quoted(&column.name),
                column.exact_sql_type
            ));
        }
    }
    missing
}

/// What somebody may want, and nobody can know from here.
fn choices(candidate: &Candidate<'_>, columns: &[Line]) -> Vec<Line> {
    let table = candidate.table;
    let says = |path: &str| {
        let mut columns = columns
            .iter()
            .filter(|line| !line.is_choice)
            .filter_map(|line| table.column(&line.name));
        columns.find(|column| {
            known(candidate.family, table, column).is_some_and(|known| known.path == path)
        })
    };
    let mut choices = Vec::new();
    let key = candidate.key.first().and_then(|key| table.column(key));
    let email = says("primary_email_address").filter(|email| email.is_unique);
    if let Some(email) = email
        && key.is_some_and(|key| key.takes_null)
    {
        choices.push(Line::choice(
            "link_by",
            text(&email.name),
            "if people are invited by e-mail: the user who signs up with the address gets the row",
        ));
    }
    let is_clerks =
        |column: &&Column| column.kind == Kind::Time && !has_the_applications_clock(column);
    if let Some(updated) = says(UPDATED_AT).filter(is_clerks) {
        choices.push(Line::choice("newest", text(&updated.name), "if rows are there that may be newer than what Clerk says first: these stay as they are"));
    }
    let row = match table.primary_key() {
        primary if primary.is_empty() => candidate.key.clone(),
        primary => primary,
    };
    if row.iter().all(|column| !column.contains(['{', '}'])) {
        let all = candidate.family.tag;
        let row: Vec<_> = row
            .iter()
            .map(|column| format!(":{{row.{column}}}"))
            .collect();
        let tags = format!(
            "[{}, {}]",
            text(all),
            text(&format!("{all}{}", row.concat()))
        );
        choices.push(Line::choice(
            "tags",
            tags,
            "if a cache has pages under such tags",
        ));
    }
    choices
}

/// What marks a row as deleted, and what makes room for who signs up again.
fn on_delete(candidate: &Candidate<'_>) -> Vec<Line> {
    let table = candidate.table;
    let mark = |column: &Column| {
        let (_, _, value, note) = DELETED.iter().find(|(names, takes, ..)| {
            place(names, &column.name).is_some() && fits(*takes, &column.kind)
        })?;
        Some(Line::new(&column.name, *value, *note))
    };
    let mut lines: Vec<_> = table
        .columns
        .iter()
        .filter(|column| !column.is_generated)
        .filter_map(mark)
        .collect();
    if lines.is_empty() {
        return lines;
    }
    for column in &table.columns {
        let is_key = candidate.key.contains(&column.name.as_str());
        if let Some(known) = known(candidate.family, table, column)
            && column.is_unique
            && !is_key
        {
            let value = freed(known, column);
            lines.push(Line::new(&column.name, value, "free for somebody else"));
        }
    }
    lines
}

/// A value that nobody else wants.
fn freed(known: &Known, column: &Column) -> String {
    let value = match known.path {
        "primary_email_address" => "deleted-{id}@users.invalid",
        _ => "deleted-{id}",
    };
    let id_itself = "{id}".len();
    let length = value.len() - id_itself + ID_CHARACTERS;
    match column.kind {
        _ if column.takes_null => text("null"),
        Kind::Text { characters, .. }
            if characters.is_none_or(|characters| characters >= length) =>
        {
            format!("{{ value = {} }}", text(value))
        }
        _ => format!("{{ value = {} }}", id(column)),
    }
}

/// What keeps PostgreSQL from deleting a row, and what to do about it.
fn refusals(candidate: &Candidate<'_>, chosen: &[&Candidate<'_>]) -> Vec<String> {
    let keys = candidate.table.referenced_by.iter();
    let keys = keys.filter(|key| key.on_delete.is_none() && !lets_go(key, candidate, chosen));
    let tables = keys.map(|key| format!("{} ({})", text(&key.table.name), key.columns.join(", ")));
    let tables: Vec<_> = tables.collect();
    if tables.is_empty() {
        return Vec::new();
    }
    let mut notes = vec![format!(
        "Refers to this table without ON DELETE, so PostgreSQL refuses to delete a row: {}.",
        tables.join(", ")
    )];
    if let [key] = candidate.key.as_slice()
        && candidate
            .table
            .column(key)
            .is_some_and(|key| key.takes_null)
    {
        let (key, family) = (file::key(key), candidate.family.section);
        notes.push(format!(
            "A deletion may unlink the row: {key} = \"null\" below [{family}.on_delete]."
        ));
    }
    notes.push(
        "Keep the row, or say ON DELETE there: SET NULL where the column takes it; CASCADE deletes those rows, too."
            .to_owned(),
    );
    notes
}
