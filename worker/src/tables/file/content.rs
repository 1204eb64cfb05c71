//! What a column says.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use crate::tables::file::constant::constant;
use crate::tables::file::identifier::identifier;
use crate::tables::file::keys::{Keys, Words};
use crate::tables::file::notes::{Notes, all};
use crate::tables::file::path::path;
use crate::tables::file::scope::{Place, Scope};
use crate::tables::path::Path;
use crate::tables::section::{Constant, Content, Find, From, Gone, TooLong};

/// The forms of a value, and the options that each has.
const FORMS: [(&str, &[&str]); 4] = [
    ("from", &["map", "default", "silent", "as", "too_long"]),
    ("value", &["too_long"]),
    ("generate", &[]),
    ("find", &["id", "column", "gone"]),
];

const FORMS_EXPECTED: &str = "one of from, value, generate and find";

const AN_ID: &str = "a path to one, such as id = \"organization.id\"";

const GONE: &Words<Gone> = &[
    ("delete", Gone::Delete),
    ("null", Gone::Null),
    ("keep", Gone::Keep),
];

const TOO_LONG: &Words<TooLong> = &[
    ("cut", TooLong::Cut),
    ("null", TooLong::Null),
    ("dead_letter", TooLong::DeadLetter),
];

/// Reads what stands behind the name of a column.
pub(super) fn content(
    value: &Spanned<DeValue<'_>>,
    at: usize,
    scope: Scope<'_>,
    notes: &mut Notes,
) -> Option<Content> {
    match value.get_ref() {
        DeValue::String(text) => {
            let paths = vec![known_path(text, at, scope, notes)?];
            Some(Content::From(From {
                paths,
                as_lower: false,
                map: None,
                default: None,
                keeps_when_silent: false,
                too_long: None,
            }))
        }
        DeValue::Array(_) => {
            let expected =
                "{ from = [\"a\", \"b\"] } for paths, or { value = [ … ] } for a constant";
            notes.mistake(at, "a list is no value of a column", expected);
            None
        }
        DeValue::Table(table) => {
            let keys = Keys { table, at };
            match form(keys, notes)? {
                "from" => from(keys, scope, notes).map(Content::From),
                "value" => value_of(keys, scope, notes),
                "generate" => uuid(keys, scope, notes),
                _ => find(keys, scope, notes).map(Content::Find),
            }
        }
        _ => constant(value, scope, notes).map(|constant| Content::Constant(constant, None)),
    }
}

/// Which of the forms the table has; tells the options that it does not have.
fn form(keys: Keys<'_>, notes: &mut Notes) -> Option<&'static str> {
    let known = FORMS
        .iter()
        .flat_map(|(form, options)| [form].into_iter().chain(*options));
    let mut known: Vec<_> = known.copied().collect();
    known.sort_unstable();
    known.dedup();
    let all_known = keys.check(&known, "", notes);
    let forms: Vec<_> = FORMS.iter().filter(|(form, _)| keys.has(form)).collect();
    let [(form, options)] = forms.as_slice() else {
        let names: Vec<_> = forms.iter().map(|(form, _)| *form).collect();
        if !names.is_empty() {
            let what = format!("{} stand together", names.join(" and "));
            notes.mistake(keys.at, what, FORMS_EXPECTED);
        } else if all_known {
            notes.mistake(keys.at, "nothing says what is written", FORMS_EXPECTED);
        }
        return None;
    };
    for key in keys.table.keys() {
        let (at, key) = (key.span().start, key.get_ref().as_ref());
        if known.contains(&key) && key != *form && !options.contains(&key) {
            let expected = match options {
                [] => "no option".to_owned(),
                options => options.join(", "),
            };
            let what = format!("{key:?} means nothing beside {form:?}");
            notes.mistake(at, what, expected);
        }
    }
    Some(form)
}

/// What Clerk says.
fn from(keys: Keys<'_>, scope: Scope<'_>, notes: &mut Notes) -> Option<From> {
    let texts = keys.texts("from", notes);
    let known = |(at, text)| known_path(text, at, scope, notes);
    let paths = texts.and_then(|texts| all(texts.into_iter().map(known)));
    let as_lower = keys.word("as", &[("lower", ())], notes).is_some();
    let map = map(keys, as_lower, scope, notes);
    let default = keys.get("default");
    let default = default.and_then(|(_, value)| constant(value, scope, notes));
    let keeps_when_silent = keys.word("silent", &[("keep", ())], notes).is_some();
    if let (Place::OnDelete, Some((at, _))) = (scope.place, keys.get("silent")) {
        let expected = "another option: a column that is to stay as it is is not named there";
        notes.mistake(at, "\"silent\" means nothing in on_delete", expected);
    }
    let too_long = keys.word("too_long", TOO_LONG, notes);
    let from = From {
        paths: paths?,
        as_lower,
        map,
        default,
        keeps_when_silent,
        too_long,
    };
    check_paths(&from, keys, notes);
    Some(from)
}

/// Tells paths and options that mean nothing together.
fn check_paths(from: &From, keys: Keys<'_>, notes: &mut Notes) {
    let has_options = keys.table.len() > 1;
    let nulls = from.paths.contains(&Path::Null) && (has_options || from.paths.len() > 1);
    let now = from.paths.iter().position(|path| *path == Path::Now);
    let is_last = |place: usize| place + 1 == from.paths.len();
    if from.paths.is_empty() {
        notes.mistake(keys.at, "from has no path", "at least one");
    }
    if nulls {
        notes.mistake(
            keys.at,
            "null never says anything",
            "it alone, without options",
        );
    }
    if now.is_some_and(|place| has_options || !is_last(place)) {
        let expected = "it at the end of the list, without options";
        notes.mistake(keys.at, "now always says something", expected);
    }
}

/// Other words for what Clerk says.
fn map(
    keys: Keys<'_>,
    as_lower: bool,
    scope: Scope<'_>,
    notes: &mut Notes,
) -> Option<BTreeMap<String, Constant>> {
    let words = keys.table("map", notes)?;
    if words.table.is_empty() {
        notes.mistake(words.at, "map has no words", "at least one, or no map");
    }
    let mut map = BTreeMap::new();
    for (word, value) in words.table {
        let text = word.get_ref().as_ref();
        if as_lower && text.to_lowercase() != text {
            let what = format!("as = \"lower\" never leaves the word {text:?}");
            notes.mistake(
                word.span().start,
                what,
                format!("{:?}", text.to_lowercase()),
            );
        }
        if let Some(constant) = constant(value, scope, notes) {
            map.insert(text.to_owned(), constant);
        }
    }
    Some(map)
}

/// A constant with options.
fn value_of(keys: Keys<'_>, scope: Scope<'_>, notes: &mut Notes) -> Option<Content> {
    let too_long = keys.word("too_long", TOO_LONG, notes);
    let (at, value) = keys.get("value")?;
    let constant = constant(value, scope, notes)?;
    if too_long.is_some() && !matches!(constant, Constant::Text(_)) {
        notes.mistake(
            at,
            "too_long means nothing for this value",
            "a text, or no too_long",
        );
    }
    Some(Content::Constant(constant, too_long))
}

fn uuid(keys: Keys<'_>, scope: Scope<'_>, notes: &mut Notes) -> Option<Content> {
    if scope.place != Place::OnCreate {
        let what = format!("{:?} generates nothing", scope.place.key());
        notes.mistake(keys.at, what, "generate in \"on_create\" only");
    }
    keys.word("generate", &[("uuid", ())], notes)
        .map(|()| Content::Uuid)
}

/// A reference to another row.
fn find(keys: Keys<'_>, scope: Scope<'_>, notes: &mut Notes) -> Option<Find> {
    if scope.place == Place::OnDelete {
        let expected = "find in \"columns\" and \"on_create\" only";
        notes.mistake(keys.at, "\"on_delete\" finds nothing", expected);
        return None;
    }
    if !keys.has("id") {
        notes.mistake(keys.at, "\"id\" of find is missing", AN_ID);
    }
    let family = keys.text("find", notes);
    let id = keys.text("id", notes);
    let id = id.and_then(|(at, text)| match path(text, scope) {
        Ok(path @ Path::Field(_)) => Some(path),
        Ok(_) => {
            notes.mistake(at, format!("{text:?} is no id of Clerk's"), AN_ID);
            None
        }
        Err(unknown) => {
            notes.mistake(at, unknown.what, unknown.expected);
            None
        }
    });
    let column = keys.text("column", notes);
    let column = column.map(|(at, name)| identifier(name, at, notes));
    let gone = keys.word("gone", GONE, notes);
    Some(Find {
        family: family?.1.to_owned(),
        id: id?,
        column: column.map_or(Some(None), |column| column.map(Some))?,
        gone,
    })
}

fn known_path(text: &str, at: usize, scope: Scope<'_>, notes: &mut Notes) -> Option<Path> {
    match path(text, scope) {
        Ok(path) => Some(path),
        Err(unknown) => {
            let expected = format!(
                "{}, or for a constant {{ value = {text:?} }}",
                unknown.expected
            );
            notes.mistake(at, unknown.what, expected);
            None
        }
    }
}
