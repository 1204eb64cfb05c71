//! The columns that a section names, and those that it leaves out.

use crate::agreement::notes::Notes;
use crate::agreement::says::{is_always_said, takes};
use crate::agreement::subject::{Subject, Written};
use crate::database::catalogue::column::{Column as Stored, Kind};
use crate::database::catalogue::name::quoted;
use crate::tables::fields::{ID_CHARACTERS, Says};
use crate::tables::file::as_key;
use crate::tables::file::nearest::nearest;
use crate::tables::path::Path;
use crate::tables::section::{Content, From, UUID_CHARACTERS};

pub(super) fn check(subject: Subject<'_>, notes: &mut Notes<'_>) {
    let meant = tell_missing(subject, notes);
    tell_unfilled(subject, &meant, notes);
    tell_newest(subject, notes);
    if let Some(key) = subject.section.id_key() {
        tell_generated(subject, "key", key, &subject.at("key"), notes);
    }
    for written in subject.written() {
        let at = written.at(subject);
        tell_generated(subject, written.place, &written.mapped.name, &at, notes);
        match &written.mapped.content {
            Content::From(from) => tell_paths(subject, written, from, notes),
            Content::Uuid => tell_uuid(subject, written, notes),
            Content::Constant(..) | Content::Find(_) => {}
        }
    }
}

/// Tells columns that the table does not have, and returns those that were most likely meant.
fn tell_missing<'a>(subject: Subject<'a>, notes: &mut Notes<'_>) -> Vec<&'a str> {
    let mut meant = Vec::new();
    let section = subject.section;
    let family = section.family.as_str();
    let key = section.id_key().into_iter();
    let mut named: Vec<_> = key.map(|key| (vec![family, "key"], key)).collect();
    let mapped = subject.mapped();
    named.extend(mapped.map(|(place, column)| {
        (
            vec![family, place, column.name.as_str()],
            column.name.as_str(),
        )
    }));
    let newest = section.newest.as_deref();
    named.extend(newest.map(|newest| (vec![family, "newest"], newest)));
    let tags = section.tags.iter().flat_map(|tag| tag.columns());
    named.extend(tags.map(|column| (vec![family, "tags"], column)));
    for (at, name) in named {
        if subject.table.column(name).is_none() {
            let names = subject
                .table
                .columns
                .iter()
                .map(|column| column.name.as_str());
            let what = format!("{} has no column {name:?}", subject.table);
            let nearest = nearest(name, names);
            meant.extend(nearest);
            notes.error(&at, what, expected_column(nearest));
        }
    }
    meant
}

/// In place of a column that is not there.
pub(super) fn expected_column(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("expected {nearest:?}"),
        None => "expected one of its columns".to_owned(),
    }
}

/// Columns that must be filled, and nobody does it.
fn tell_unfilled(subject: Subject<'_>, meant: &[&str], notes: &mut Notes<'_>) {
    let must_be_filled = subject.table.columns.iter().filter(|column| {
        !column.takes_null
            && !column.has_default
            && !subject.makes(&column.name)
            && !meant.contains(&column.name.as_str())
    });
    let is_unique = |name: &str| {
        let mut indexes = subject.table.indexes.iter();
        indexes.any(|index| index.is_over(name))
    };
    for column in must_be_filled.filter(|_| subject.makes_rows()) {
        let what = format!(
            "nobody fills the column {:?} of {}, which takes no NULL and has no default",
            column.name, subject.table
        );
        let value = match &column.kind {
            Kind::Uuid => "{ generate = \"uuid\" }",
            Kind::Text { characters, .. }
                if subject.table.primary_key() == [column.name.as_str()]
                    && characters.is_none_or(|most| most >= UUID_CHARACTERS) =>
            {
                "{ generate = \"uuid\" }"
            }
            _ if is_unique(&column.name) => "\"path\"",
            _ => "{ value = … }",
        };
        let family = &subject.section.family;
        let name = as_key(&column.name);
        let remedy = format!("expected {name} = {value} below [{family}.on_create]");
        if subject.table.fires_before_insert {
            let what = format!("{what} (unless a trigger does)");
            notes.warning(&subject.at("table"), what, remedy);
        } else {
            notes.error(&subject.at("table"), what, remedy);
        }
    }
}

fn tell_newest(subject: Subject<'_>, notes: &mut Notes<'_>) {
    let newest = subject.section.newest.as_deref();
    if let Some(column) = newest.and_then(|newest| subject.table.column(newest))
        && !matches!(column.kind, Kind::Time | Kind::Date)
    {
        let what = format!("newest = {:?} is {}", column.name, column.exact_sql_type);
        let change = Says::Moment.change(column);
        notes.error(
            &subject.at("newest"),
            what,
            subject.alter(&column.name, &change),
        );
    }
}

fn tell_generated(
    subject: Subject<'_>,
    place: &str,
    name: &str,
    at: &[&str],
    notes: &mut Notes<'_>,
) {
    if let Some(column) = subject
        .table
        .column(name)
        .filter(|column| column.is_generated)
    {
        let what = format!("only PostgreSQL can write the generated column {name:?} of {place}");
        let change = match column.is_identity {
            true => "SET GENERATED BY DEFAULT",
            false => "DROP EXPRESSION",
        };
        notes.error(at, what, subject.alter(name, change));
    }
}

/// A column that cannot take what its paths say, or nothing where they say nothing.
fn tell_paths(subject: Subject<'_>, written: Written<'_>, from: &From, notes: &mut Notes<'_>) {
    let (at, stored) = (written.at(subject), written.stored);
    let name = &stored.name;
    for path in from.paths.iter().filter(|_| from.map.is_none()) {
        let says = Says::of(&subject.section.family, path);
        if !takes(&stored.kind, says) {
            let what = format!(
                "{:?} says {}, which the column {name:?} does not take: it is {}",
                path.to_string(),
                says.words(),
                stored.exact_sql_type
            );
            notes.error(&at, what, subject.alter(name, &says.change(stored)));
        }
        if says == Says::Id && from.too_long.is_none() {
            tell_short_for_ids(subject, stored, &at, notes);
        }
    }
    if stored.takes_null {
        return;
    }
    if from.paths == [Path::Null] {
        let what = format!("the column {name:?} takes no NULL");
        notes.error(&at, what, subject.alter(name, "DROP NOT NULL"));
    } else if from.keeps_when_silent && from.default.is_none() && subject.makes_rows() {
        let what = format!("the column {name:?} takes no NULL, and a new row has nothing to keep");
        notes.error(&at, what, "expected default = … beside silent");
    }
}

/// Most of Clerk's ids are shorter than they may be.
pub(super) fn tell_short_for_ids(
    subject: Subject<'_>,
    stored: &Stored,
    at: &[&str],
    notes: &mut Notes<'_>,
) {
    let is_short =
        matches!(stored.kind, Kind::Text { characters: Some(most), .. } if most < ID_CHARACTERS);
    if is_short {
        let what = format!(
            "Clerk's ids have up to {ID_CHARACTERS} characters, and the column {:?} is {}",
            stored.name, stored.exact_sql_type
        );
        notes.warning(at, what, subject.alter(&stored.name, "TYPE varchar(255)"));
    }
}

fn tell_uuid(subject: Subject<'_>, written: Written<'_>, notes: &mut Notes<'_>) {
    let stored = written.stored;
    let takes_uuids = match &stored.kind {
        Kind::Text { characters, .. } => characters.is_none_or(|most| most >= UUID_CHARACTERS),
        Kind::Uuid | Kind::Other => true,
        _ => false,
    };
    if !takes_uuids {
        let (name, sql_type) = (&stored.name, &stored.exact_sql_type);
        let what = format!("the column {name:?} is {sql_type} and takes no UUID");
        let remedy = "expected a column of type uuid or text";
        notes.error(&written.at(subject), what, remedy);
    }
}

/// A default of the database's that a column has and that nobody will use.
pub(super) fn tell_unused_defaults(subject: Subject<'_>, notes: &mut Notes<'_>) {
    for written in subject
        .written()
        .filter(|written| written.place != "on_delete")
    {
        let stored = written.stored;
        if let (Content::From(from), Some(default)) = (&written.mapped.content, &stored.default_sql)
            && from.default.is_none()
            && !from
                .paths
                .iter()
                .any(|path| is_always_said(&subject.section.family, path))
        {
            let what = format!(
                "the DEFAULT of the column {} is not used, because the column is always written",
                quoted(&stored.name)
            );
            let remedy = format!("expected default = … beside from (in SQL it is {default})");
            notes.warning(&written.at(subject), what, remedy);
        }
    }
}
