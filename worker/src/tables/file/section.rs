//! One section of the file.

use toml::de::DeValue;

use crate::tables::file::columns::columns;
use crate::tables::file::family::Family;
use crate::tables::file::identifier::identifier;
use crate::tables::file::key::{key, key_names};
use crate::tables::file::keys::{Keys, Words, described};
use crate::tables::file::nearest::nearest;
use crate::tables::file::notes::Notes;
use crate::tables::file::scope::{KEYS, Place, Scope};
use crate::tables::file::template::tag;
use crate::tables::path::Path;
use crate::tables::section::{Column, Content, MissingRow, OnDelete, Section, TableName};
use crate::tables::tag::Tag;

const MISSING_ROW: &Words<MissingRow> = &[
    ("create", MissingRow::Create),
    ("wait", MissingRow::Wait),
    ("ignore", MissingRow::Ignore),
];

/// Reads a section; `None` where a name without which there is none is missing.
pub(super) fn section(family: &Family<'_>, keys: Keys<'_>, notes: &mut Notes) -> Option<Section> {
    let or = format!(", or a column of this name below [{}.columns]", family.name);
    keys.check(&KEYS, &or, notes);
    let table = table_name(keys, notes);
    let mut columns = columns_of(Place::Columns, family, keys, notes);
    let key = key(keys, &mut columns, notes);
    let on_create = columns_of(Place::OnCreate, family, keys, notes);
    let missing_row = keys.word("missing_row", MISSING_ROW, notes);
    let missing_row = missing_row.unwrap_or(MissingRow::Create);
    let on_delete = on_delete(family, keys, missing_row, notes);
    check_places(keys, notes);
    if let OnDelete::Set(columns) = &on_delete {
        check_key_on_delete(keys, columns, notes);
    }
    // A row that is linked takes them, too.
    let makes_rows = missing_row == MissingRow::Create || keys.has("link_by");
    if let Some((at, _)) = keys.get("on_create").filter(|_| !makes_rows) {
        let expected = "missing_row = \"create\", or no on_create";
        notes.mistake(at, "this section makes no rows", expected);
    }
    let link_by = link_by(family.name, keys, &columns, notes);
    let newest = newest(keys, columns.iter().chain(&on_create), notes);
    Some(Section {
        family: family.name.to_owned(),
        newest,
        tags: tags(keys, notes),
        table: table?,
        key: key?,
        columns,
        on_create,
        on_delete,
        missing_row,
        link_by,
        // Once all sections are read.
        depth: 0,
        is_found: false,
        touches_tags: false,
    })
}

fn columns_of(place: Place, family: &Family<'_>, keys: Keys<'_>, notes: &mut Notes) -> Vec<Column> {
    let keys = keys.table(place.key(), notes);
    let scope = Scope { family, place };
    keys.map(|keys| columns(keys, scope, notes))
        .unwrap_or_default()
}

fn table_name(keys: Keys<'_>, notes: &mut Notes) -> Option<TableName> {
    const EXPECTED: &str = "name or schema.name, the case as in the database, no quotes";
    if !keys.has("table") {
        notes.mistake(keys.at, "\"table\" is missing", EXPECTED);
    }
    let (at, text) = keys.text("table", notes)?;
    let is_quoted = |part: &str| part.len() > 1 && part.starts_with('"') && part.ends_with('"');
    let parts: Vec<_> = text.split('.').collect();
    if parts.iter().any(|part| is_quoted(part)) {
        notes.mistake(at, format!("\"table\" is {text:?}, in quotes"), EXPECTED);
        return None;
    }
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name),
        [schema, name] => (Some(identifier(schema, at, notes)), name),
        _ => {
            let what = format!("\"table\" is {text:?}, with more than one dot");
            notes.mistake(at, what, EXPECTED);
            return None;
        }
    };
    let name = identifier(name, at, notes)?;
    let schema = schema.map_or(Some(None), |schema| schema.map(Some))?;
    Some(TableName { schema, name })
}

/// Tells columns that stand in two lists.
fn check_places(keys: Keys<'_>, notes: &mut Notes) {
    let table = |place: Place| {
        let value = keys.get(place.key())?.1.get_ref();
        value.as_table()
    };
    let columns = table(Place::Columns);
    let on_create = table(Place::OnCreate).into_iter();
    for name in on_create.flat_map(|table| table.keys()) {
        let (at, name) = (name.span().start, name.get_ref().as_ref());
        if columns.is_some_and(|table| table.contains_key(name)) {
            let what = format!("{name:?} stands in columns, too");
            notes.mistake(at, what, "it in one of the two");
        }
        if key_names(keys).contains(&name) {
            let what = format!("the key column {name:?} stands in on_create");
            notes.mistake(at, what, "it in columns");
        }
    }
}

/// Tells a deletion that would give a row to another object: it may only take it from its own.
fn check_key_on_delete(keys: Keys<'_>, columns: &[Column], notes: &mut Notes) {
    let names = key_names(keys);
    for column in columns
        .iter()
        .filter(|column| names.contains(&column.name.as_str()))
    {
        check_deleted_key(keys, column, notes);
    }
}

fn check_deleted_key(keys: Keys<'_>, column: &Column, notes: &mut Notes) {
    let is_null = |paths: &[Path]| paths.iter().all(|path| *path == Path::Null);
    if matches!(&column.content, Content::From(from) if is_null(&from.paths)) {
        return;
    }
    let table = keys.get(Place::OnDelete.key());
    let table = table.and_then(|(at, value)| Some((at, value.get_ref().as_table()?)));
    let name = &column.name;
    if let Some((at, table)) = table {
        let place = table.get_key_value(name.as_str());
        let at = place.map_or(at, |(key, _)| key.span().start);
        let what = format!("the key {name:?} becomes something else in on_delete");
        notes.mistake(
            at,
            what,
            "\"null\", which unlinks the row, or no line for it",
        );
    }
}

fn on_delete(
    family: &Family<'_>,
    keys: Keys<'_>,
    missing_row: MissingRow,
    notes: &mut Notes,
) -> OnDelete {
    const EXPECTED: &str = "\"delete\", \"keep\", or a table of the columns that are set";
    let makes_rows = missing_row == MissingRow::Create;
    let Some((at, value)) = keys.get("on_delete") else {
        return match makes_rows {
            true => OnDelete::Delete,
            false => OnDelete::Keep,
        };
    };
    match value.get_ref() {
        DeValue::String(word) if word == "delete" => {
            if !makes_rows {
                let what = "with this missing_row no row is deleted";
                notes.mistake(at, what, "\"keep\", or a table of the columns that are set");
            }
            OnDelete::Delete
        }
        DeValue::String(word) if word == "keep" => OnDelete::Keep,
        DeValue::Table(table) if !table.is_empty() => {
            OnDelete::Set(columns_of(Place::OnDelete, family, keys, notes))
        }
        DeValue::Table(_) => {
            notes.mistake(at, "\"on_delete\" has no column", EXPECTED);
            OnDelete::Keep
        }
        other => {
            let what = format!("\"on_delete\" is {}", described(other));
            notes.mistake(at, what, EXPECTED);
            OnDelete::Keep
        }
    }
}

fn link_by(family: &str, keys: Keys<'_>, columns: &[Column], notes: &mut Notes) -> Option<usize> {
    let (at, name) = keys.text("link_by", notes)?;
    if key_names(keys).contains(&name) {
        let expected = "another column: the key of a row that is linked is NULL";
        notes.mistake(at, "\"link_by\" is a column of the key", expected);
        return None;
    }
    let named = keys.get("columns");
    let named = named.and_then(|(_, value)| value.get_ref().as_table());
    if !named.is_some_and(|named| named.contains_key(name)) {
        let names = named.into_iter().flat_map(|table| table.keys());
        let nearest = nearest(name, names.map(|name| name.get_ref().as_ref()));
        let expected = match nearest {
            Some(nearest) => format!("{nearest:?}"),
            None => format!("one below [{family}.columns]"),
        };
        let what = format!("\"link_by\" is {name:?}, which is none of columns");
        notes.mistake(at, what, expected);
        return None;
    }
    let place = columns.iter().position(|column| column.name == name)?;
    let column = columns.get(place)?;
    let is_users =
        |path: &&Path| **path == Path::Data || path.first_field() == Some("unsafe_metadata");
    let is_clerks = |path: &Path| *path != Path::Null && !path.is_of_the_event();
    let what = match &column.content {
        _ if column.paths().iter().any(is_users) => "which the user can write",
        Content::From(from) if from.paths.iter().any(is_clerks) => return Some(place),
        Content::Find(_) => "which another row says",
        _ => "of which Clerk says nothing",
    };
    let expected = "a column with a value of Clerk's that the user cannot write";
    notes.mistake(at, format!("\"link_by\" is {name:?}, {what}"), expected);
    None
}

fn newest<'a>(
    keys: Keys<'_>,
    mut columns: impl Iterator<Item = &'a Column>,
    notes: &mut Notes,
) -> Option<String> {
    let (at, name) = keys.text("newest", notes)?;
    let is_found = |column: &Column| matches!(column.content, Content::Find(_));
    if columns.any(|column| column.name == name && is_found(column)) {
        let what = format!("\"newest\" is {name:?}, which another row says");
        notes.mistake(at, what, "a column with the time of this row");
    }
    identifier(name, at, notes)
}

fn tags(keys: Keys<'_>, notes: &mut Notes) -> Vec<Tag> {
    if let Some((at, value)) = keys.get("tags")
        && value.get_ref().is_str()
    {
        notes.mistake(at, "\"tags\" is a text", "a list of texts");
        return Vec::new();
    }
    let texts = keys.texts("tags", notes).unwrap_or_default().into_iter();
    texts
        .filter_map(|(at, text)| tag(text, at, notes))
        .collect()
}
