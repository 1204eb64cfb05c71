//! The key of a section.

use crate::tables::file::identifier::identifier;
use crate::tables::file::keys::Keys;
use crate::tables::file::notes::Notes;
use crate::tables::path::Path;
use crate::tables::section::{Column, Content, From, Gone, Key, TooLong};

const EXPECTED: &str =
    "a column, or a list of columns; all but the one with Clerk's id must be in columns too";

/// The columns that the file calls the key.
pub(super) fn key_names(keys: Keys<'_>) -> Vec<&str> {
    let texts = keys.texts("key", &mut Notes::default());
    let texts = texts.into_iter().flatten();
    texts.map(|(_, name)| name).collect()
}

/// Reads the key. A column of it that `columns` lacks holds Clerk's id; it is added there if the key has another one.
pub(super) fn key(keys: Keys<'_>, columns: &mut Vec<Column>, notes: &mut Notes) -> Option<Key> {
    if !keys.has("key") {
        notes.mistake(keys.at, "\"key\" is missing", EXPECTED);
    }
    let (at, _) = keys.get("key")?;
    let names = keys.texts("key", notes)?.into_iter();
    let names: Vec<String> = names
        .map(|(at, name)| identifier(name, at, notes))
        .collect::<Option<_>>()?;
    let named = keys
        .get("columns")
        .and_then(|(_, value)| value.get_ref().as_table());
    let is_missing = |name: &&String| !named.is_some_and(|named| named.contains_key(name.as_str()));
    let missing: Vec<&String> = names.iter().filter(is_missing).collect();
    if names.is_empty() {
        notes.mistake(at, "\"key\" has no column", EXPECTED);
    } else if let [first, second, ..] = missing.as_slice() {
        let what = format!("the key columns {first:?} and {second:?} are not in columns");
        notes.mistake(at, what, EXPECTED);
    }
    if let [name] = names.as_slice() {
        let holds_id = |column: &Column| column.name == *name && column.content == clerks_id();
        let holds_id = columns.iter().any(holds_id);
        if holds_id || !missing.is_empty() {
            columns.retain(|column| column.name != *name);
            return Some(Key::Id(name.clone()));
        }
    } else if let [name] = missing.as_slice() {
        let (name, content) = ((*name).clone(), clerks_id());
        columns.push(Column { name, content });
    }
    check(&names, columns, keys, notes);
    // A key is neither cut nor left out, and goes with what it refers to.
    for column in columns
        .iter_mut()
        .filter(|column| names.contains(&column.name))
    {
        match &mut column.content {
            Content::From(From { too_long, .. }) | Content::Constant(_, too_long) => {
                *too_long = Some(TooLong::DeadLetter);
            }
            Content::Find(find) => find.gone = Some(Gone::Delete),
            Content::Uuid => {}
        }
    }
    let place = |name: &String| columns.iter().position(|column| column.name == *name);
    let places = names.iter().map(place);
    places.collect::<Option<_>>().map(Key::Said)
}

fn clerks_id() -> Content {
    Content::From(From {
        paths: vec![Path::Field(vec!["id".to_owned()])],
        as_lower: false,
        map: None,
        default: None,
        keeps_when_silent: false,
        too_long: None,
    })
}

/// Tells what a column of the key cannot be: another one at each event of the same object.
fn check(names: &[String], columns: &[Column], keys: Keys<'_>, notes: &mut Notes) {
    let named = keys
        .get("columns")
        .and_then(|(_, value)| value.get_ref().as_table());
    for column in columns.iter().filter(|column| names.contains(&column.name)) {
        let key = named.and_then(|named| named.get_key_value(column.name.as_str()));
        let at = key.map_or(keys.at, |(key, _)| key.span().start);
        let is_short = |too_long| matches!(too_long, Some(TooLong::Cut | TooLong::Null));
        if let Content::Find(find) = &column.content
            && matches!(find.gone, Some(Gone::Null | Gone::Keep))
        {
            let what = format!(
                "this gone means nothing for the key column {:?}",
                column.name
            );
            notes.mistake(at, what, "gone = \"delete\", or none");
        }
        let what = match &column.content {
            Content::From(from) if from.keeps_when_silent => "silent = \"keep\"",
            Content::From(From { too_long, .. }) | Content::Constant(_, too_long)
                if is_short(*too_long) =>
            {
                "this too_long"
            }
            _ if column.paths().iter().any(|path| path.is_of_the_event()) => {
                "what is another value at each event"
            }
            _ => continue,
        };
        let what = format!("{what} means nothing for the key column {:?}", column.name);
        notes.mistake(at, what, "a value that never changes for an object");
    }
}
