//! What is written to a column for which Clerk says something.

use crate::database::catalogue::column::{Column, Kind};
use crate::suggest::file::{FILL_IN, Line, key, text};
use crate::suggest::names::{
    APPLICATIONS_CLOCK, Family, Known, LEAST, MEMBERSHIP, Silence, Takes, UPDATED_AT,
};
use crate::suggest::words::place;
use crate::tables::fields::ID_CHARACTERS;

/// The line of a column.
pub(super) fn line(family: &Family, known: &Known, column: &Column) -> Line {
    if known.path == UPDATED_AT && has_the_applications_clock(column) {
        return Line::new(&column.name, text("now"), APPLICATIONS_CLOCK);
    }
    let mut notes = vec![known.note];
    let mut from = text(known.path);
    let mut options = Vec::new();
    let map = map(family, column);
    let default = default(known, column);
    // A word that is not in the map counts as nothing said.
    let may_be_silent = map.is_some() || matches!(known.silence, Silence::Keep);
    let is_unknown = may_be_silent && default.is_none() && !column.takes_null;
    options.extend(map.map(|map| format!("map = {{ {map} }}")));
    if is_unknown {
        options.push(format!("default = {FILL_IN}"));
        notes = vec!["a guess; and NOT NULL: what is it where Clerk says nothing?"];
    }
    if let Some(default) = &default {
        options.push(format!("default = {default}"));
    }
    match known.silence {
        Silence::Keep => options.push("silent = \"keep\"".to_owned()),
        Silence::Path(other) if !column.takes_null => from = format!("[{from}, {}]", text(other)),
        Silence::Choice(choices) if !column.takes_null && default.is_none() => notes.push(choices),
        _ => {}
    }
    if known.takes == Takes::Time && matches!(column.kind, Kind::Integer { .. }) {
        notes.push("in milliseconds since 1970");
    }
    let value = if options.is_empty() && !from.starts_with('[') {
        from
    } else {
        options.insert(0, format!("from = {from}"));
        format!("{{ {} }}", options.join(", "))
    };
    notes.retain(|note| !note.is_empty());
    let line = Line::new(&column.name, value, notes.join("; "));
    Line {
        is_choice: is_unknown || has_unknown_words(known, column),
        ..line
    }
}

/// Whether the application writes the time of a change itself, as Prisma and Rails do: nothing in the database fills the
/// column, and its type is theirs, `timestamp(3)` and `timestamp(6)`.
pub(super) fn has_the_applications_clock(column: &Column) -> bool {
    let sql_type = column.exact_sql_type.as_str();
    !column.takes_null
        && !column.has_default
        && sql_type.starts_with("timestamp(")
        && sql_type.ends_with(" without time zone")
}

/// Whether the application may have words of its own there, and a check that takes no other.
pub(super) fn has_unknown_words(known: &Known, column: &Column) -> bool {
    matches!(known.silence, Silence::Keep) && !matches!(column.kind, Kind::Enum(_))
}

/// What is written where Clerk says nothing, as TOML: what the database would write, or else what does no harm.
fn default(known: &Known, column: &Column) -> Option<String> {
    let must = !column.takes_null;
    match known.silence {
        Silence::Path(_) => None,
        // No two rows may say the same.
        Silence::Writes(_) if column.is_unique => must.then(|| id(column)),
        _ if column.is_unique => None,
        Silence::Writes(value) => literal(column).or_else(|| must.then(|| value.to_owned())),
        _ => literal(column).or_else(|| must.then(|| least(column)).flatten()),
    }
}

/// Clerk's id, or as much of it as there is room for.
pub(super) fn id(column: &Column) -> String {
    match column.kind {
        Kind::Text {
            characters: Some(characters),
            ..
        } if characters < ID_CHARACTERS => {
            format!("\"{{id:{characters}}}\"")
        }
        _ => "\"{id}\"".to_owned(),
    }
}

/// The words of an enum for Clerk's: of `ADMIN` it is `admin`, or of a membership `org:admin`.
fn map(family: &Family, column: &Column) -> Option<String> {
    let Kind::Enum(words) = &column.kind else {
        return None;
    };
    let is_role = family.section == MEMBERSHIP.section;
    let mut pairs: Vec<(String, &String)> = Vec::new();
    for word in words {
        let lower = word.to_lowercase();
        let clerks = match is_role && !lower.starts_with("org:") {
            true => format!("org:{lower}"),
            false => lower,
        };
        if pairs.iter().all(|(other, _)| *other != clerks) {
            pairs.push((clerks, word));
        }
    }
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(clerks, word)| format!("{} = {}", key(clerks), constant(word)))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(", "))
}

/// The word of an enum that gives the least rights.
fn least(column: &Column) -> Option<String> {
    let Kind::Enum(words) = &column.kind else {
        return None;
    };
    let ranked = words
        .iter()
        .filter_map(|word| Some((place(LEAST, word)?, word)));
    ranked.min().map(|(_, word)| constant(word))
}

/// The column's DEFAULT, where that is a plain value.
fn literal(column: &Column) -> Option<String> {
    let sql = column.default_sql.as_deref()?;
    match column.kind {
        Kind::Boolean => ["true", "false"].contains(&sql).then(|| sql.to_owned()),
        Kind::Integer { .. } => sql.parse().ok().map(|number: i64| number.to_string()),
        Kind::Text { .. } | Kind::Enum(_) => quoted_text(sql).map(|text| constant(&text)),
        Kind::Json => quoted_text(sql).filter(|json| json == "{}"),
        _ => None,
    }
}

/// Of `'it''s'::text` it is `it's`.
fn quoted_text(sql: &str) -> Option<String> {
    let (quoted, cast) = match sql.rsplit_once("::") {
        Some((quoted, cast)) if !cast.contains('\'') => (quoted, cast),
        _ => (sql, ""),
    };
    let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let is_plain = !inner.replace("''", "").contains('\'') && !cast.contains(['(', '|']);
    is_plain.then(|| inner.replace("''", "'"))
}

/// A text as the file has it: braces stand for themselves.
pub(super) fn constant(value: &str) -> String {
    text(&value.replace('{', "{{").replace('}', "}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_is_a_plain_text_is_read() {
        for (sql, expected) in [
            ("'user'::user_role", Some("user")),
            ("''::character varying", Some("")),
            ("'it''s'::text", Some("it's")),
            ("'a::b'::text", Some("a::b")),
            ("'free'", Some("free")),
            ("'{}'::jsonb", Some("{}")),
            ("now()", None),
            ("lower('A'::text)", None),
            ("('a'::text || 'b'::text)", None),
            ("'a'::text || 'b'::text", None),
            ("E'\\n'::text", None),
            ("'", None),
            ("nextval('users_id_seq'::regclass)", None),
        ] {
            assert_eq!(quoted_text(sql).as_deref(), expected, "{sql}");
        }
    }
}
