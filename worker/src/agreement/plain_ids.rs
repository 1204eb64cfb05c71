//! Ids that lead to a row, which may not be there yet, or not any more: warnings alone.

use crate::agreement::notes::Notes;
use crate::agreement::subject::{Subject, Written};
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::name::quoted;
use crate::tables::Tables;
use crate::tables::file::as_key;
use crate::tables::path::Path;
use crate::tables::section::{Content, Section};

/// `all` sections of the file whose tables are there.
pub(super) fn check(subject: Subject<'_>, all: &[Subject<'_>], notes: &mut Notes<'_>) {
    if let Some(key) = subject.section.id_key()
        && let Some(foreign_key) = reference(subject, key)
    {
        let remedy = drop_constraint(subject, foreign_key);
        tell(key, foreign_key, &subject.at("key"), remedy, notes);
    }
    for written in subject.written() {
        if let Content::From(from) = &written.mapped.content
            && from.map.is_none()
            && let [path, others @ ..] = from.paths.as_slice()
            && *path != Path::Null
        {
            // A deletion finds nothing, nor does more than one path.
            let path = Some(path).filter(|_| others.is_empty() && written.place != "on_delete");
            check_column(subject, written, path, all, notes);
        }
    }
}

fn check_column(
    subject: Subject<'_>,
    written: Written<'_>,
    path: Option<&Path>,
    all: &[Subject<'_>],
    notes: &mut Notes<'_>,
) {
    let column = &written.stored.name;
    let at = written.at(subject);
    let mut parents = all
        .iter()
        .filter(|parent| can_find(subject, parent.section));
    if let Some(foreign_key) = reference(subject, column) {
        let drop = drop_constraint(subject, foreign_key);
        let mut pairs = foreign_key.columns.iter().zip(&foreign_key.other_columns);
        let other = pairs
            .find(|(own, _)| *own == column)
            .map(|(_, other)| other);
        let parent = parents.find(|parent| parent.table.id == foreign_key.other_table);
        let remedy = match (path, parent, other) {
            (Some(path), Some(parent), Some(other)) => {
                format!("{}, or {drop}", find(column, path, *parent, other))
            }
            _ => drop,
        };
        tell(column, foreign_key, &at, remedy, notes);
    } else if let Some((path, family)) = path.and_then(|path| Some((path, family_of(path)?)))
        && let Some(parent) = parents.find(|parent| parent.section.family == family)
        && let Some(key) = parent.section.id_key()
    {
        let what = format!(
            "{column:?} gets the plain id of a family that has a section, [{family}]: its row may not be there"
        );
        notes.warning(&at, what, find(column, path, *parent, key));
    }
}

fn tell(
    column: &str,
    foreign_key: &ForeignKey,
    at: &[&str],
    remedy: String,
    notes: &mut Notes<'_>,
) {
    let what = format!(
        "{column:?} gets a plain id, and its foreign key {:?} needs the row of {} first",
        foreign_key.name, foreign_key.other_table
    );
    notes.warning(at, what, remedy);
}

fn reference<'a>(subject: Subject<'a>, column: &str) -> Option<&'a ForeignKey> {
    let mut references = subject.table.references.iter();
    references.find(|foreign_key| foreign_key.columns.iter().any(|own| own == column))
}

fn drop_constraint(subject: Subject<'_>, foreign_key: &ForeignKey) -> String {
    let (table, name) = (subject.name(), quoted(&foreign_key.name));
    format!("ALTER TABLE {table} DROP CONSTRAINT {name};")
}

/// The line that finds the same row.
fn find(column: &str, path: &Path, parent: Subject<'_>, other: &str) -> String {
    let named = match parent.table.primary_key() == [other] {
        true => String::new(),
        false => format!(", column = {other:?}"),
    };
    let (column, family) = (as_key(column), &parent.section.family);
    format!("expected {column} = {{ find = {family:?}, id = \"{path}\"{named} }}")
}

/// Whether a section may find in this one.
fn can_find(subject: Subject<'_>, parent: &Section) -> bool {
    parent.id_key().is_some() && !leads_to(subject.tables, parent, &subject.section.family)
}

fn leads_to(tables: &Tables, section: &Section, family: &str) -> bool {
    let mut parents = section
        .finds()
        .filter_map(|(_, find)| tables.section(&find.family));
    section.family == family || parents.any(|parent| leads_to(tables, parent, family))
}

/// The family of the object whose id Clerk says there; of what the application says there nobody knows.
fn family_of(path: &Path) -> Option<&'static str> {
    let Path::Field(steps) = path else {
        return None;
    };
    let steps: Vec<_> = steps.iter().map(String::as_str).collect();
    match steps.as_slice() {
        [first, ..] if first.ends_with("metadata") => None,
        [.., "organization" | "public_organization_data", "id"] => Some("organization"),
        [.., "organization_id" | "last_active_organization_id"] => Some("organization"),
        [.., "user_id" | "created_by"] => Some("user"),
        _ => None,
    }
}
