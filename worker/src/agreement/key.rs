//! Whether the database tells rows apart as the section does.

use crate::agreement::columns::tell_short_for_ids;
use crate::agreement::notes::Notes;
use crate::agreement::says::takes;
use crate::agreement::subject::Subject;
use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::index::Index;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::Form;
use crate::tables::fields::Says;

pub(super) fn check(subject: Subject<'_>, notes: &mut Notes<'_>) {
    let section = subject.section;
    let keys = section.key_columns();
    let key = section.id_key().and_then(|key| subject.table.column(key));
    if let Some(key) = key {
        tell_type(subject, key, notes);
    } else {
        let said = keys.iter().filter_map(|key| subject.table.column(key));
        for key in said {
            tell_said(subject, key, notes);
        }
    }
    if keys.iter().all(|key| subject.table.column(key).is_some()) {
        tell_index(subject, "key", &keys, notes);
    }
    let link_by = section.link_by.and_then(|place| section.columns.get(place));
    if let Some(column) = link_by.filter(|column| subject.table.column(&column.name).is_some()) {
        tell_index(subject, "link_by", &[&column.name], notes);
    }
}

/// The key holds Clerk's id.
fn tell_type(subject: Subject<'_>, key: &Column, notes: &mut Notes<'_>) {
    let at = subject.at("key");
    let takes_ids = takes(&key.kind, Says::Id)
        && !matches!(key.kind, Kind::Enum(_) | Kind::Json | Kind::TextArray(_));
    if !takes_ids {
        let what = format!(
            "the key {:?} is {}, and Clerk's id is a text",
            key.name, key.exact_sql_type
        );
        let name = subject.name();
        let remedy = format!(
            "a column of its own: ALTER TABLE {name} ADD COLUMN clerk_id text UNIQUE; and key = \"clerk_id\""
        );
        notes.error(&at, what, remedy);
    }
    tell_short_for_ids(subject, key, &at, notes);
}

/// A key that objects say is kept as texts, which have to be equal where the values are.
fn tell_said(subject: Subject<'_>, key: &Column, notes: &mut Notes<'_>) {
    let is_of_bytes = |collation: &String| {
        let names = ["C", "POSIX", "ucs_basic"];
        names
            .iter()
            .any(|name| collation.trim_matches('"').ends_with(name))
    };
    let is_citext = key.base_sql_type.ends_with("citext");
    let is_comparable = match &key.kind {
        Kind::Text { .. } => match &key.collation {
            None => true,
            Some(collation) => !is_citext && is_of_bytes(collation),
        },
        Kind::Enum(_) | Kind::Uuid | Kind::Integer { .. } | Kind::Boolean => true,
        _ => false,
    };
    if !is_comparable {
        let what = format!(
            "the key column {:?} is {}{}, which is no type of a key",
            key.name,
            key.exact_sql_type,
            key.collation
                .as_ref()
                .map_or_else(String::new, |name| format!(" COLLATE {name}"))
        );
        let remedy = "expected text, varchar, citext, uuid, an enum or integer, without a collation of its own";
        notes.error(&subject.at("key"), what, remedy);
    }
}

fn tell_index(subject: Subject<'_>, at: &str, columns: &[&str], notes: &mut Notes<'_>) {
    let Some(problem) = problem(subject, columns) else {
        return;
    };
    let name = subject.name();
    let quoted: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
    let are_there = quoted.join(" IS NOT NULL AND ");
    let quoted = quoted.join(", ");
    let remedy = format!(
        "{} (find duplicates first: SELECT {quoted}, count(*) FROM {name} WHERE {are_there} IS NOT NULL GROUP BY {quoted} HAVING count(*) > 1;)",
        subject.create_unique_index(&quoted)
    );
    let said = match columns {
        [column] => format!("{column:?}"),
        columns => format!("{columns:?}"),
    };
    notes.error(&subject.at(at), format!("{at} = {said}: {problem}"), remedy);
}

/// Why no index says that the values of the columns stand there once at any time.
fn problem(subject: Subject<'_>, columns: &[&str]) -> Option<String> {
    let indexes = &subject.table.indexes;
    let mut on_it = indexes.iter().filter(|index| index.is_on(columns));
    if on_it.clone().any(Index::always_holds) {
        return None;
    }
    if let Some(index) = on_it.next() {
        let name = &index.name;
        let why = if !index.is_valid {
            "is invalid"
        } else if index.is_partial {
            "is partial"
        } else {
            "is deferrable"
        };
        return Some(format!("its unique index {name:?} {why}"));
    }
    let mut mentioning = indexes
        .iter()
        .filter(|index| columns.iter().any(|column| index.mentions(column)));
    Some(match mentioning.next() {
        Some(index) if index.columns.contains(&None) => {
            format!("its unique index {:?} is on an expression", index.name)
        }
        Some(index) => format!("the unique index {:?} is on more columns than that", index.name),
        None if subject.table.form == Form::Partitioned => {
            "there is no unique index on it alone (one of a partitioned table holds the columns that partition it)".to_owned()
        }
        None => "there is no unique index on it".to_owned(),
    })
}
