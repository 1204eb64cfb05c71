//! Columns that say to which object of another family a row belongs.

use std::mem::discriminant;

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::suggest::candidate::{Candidate, member, reference};
use crate::suggest::columns::must_be_filled;
use crate::suggest::file::{FILL_IN, Line, text};
use crate::suggest::names::{CREATORS, Family, MEMBERSHIP, ORGANIZATION, USER};
use crate::suggest::words::{place, plain};

/// Who has made an organization.
const CREATED_BY: &str = "created_by";

/// The line of such a column; `None` for any other. `chosen` are the tables that have a section.
pub(super) fn referring(
    candidate: &Candidate<'_>,
    column: &Column,
    chosen: &[&Candidate<'_>],
) -> Option<Line> {
    let table = candidate.table;
    let foreign_key = reference(table, &column.name);
    let (family, path) = referred(candidate, column)?;
    let mut parents = chosen.iter().filter(|parent| {
        let is_its_table = foreign_key.is_none_or(|key| key.other_table == parent.table.id);
        parent.family.section == family.section && is_its_table
    });
    let Some(parent) = parents.next() else {
        let note = format!(
            "no table that looks like {} is referred to",
            family.looks_like
        );
        return Some(match (&column.kind, foreign_key) {
            (Kind::Text { .. }, None) => Line::new(
                &column.name,
                text(path),
                "a guess: Clerk's id, not the application's",
            ),
            _ => Line::choice(&column.name, FILL_IN, note),
        });
    };
    let (other, mut note) = match foreign_key.and_then(|key| key.other_columns.first()) {
        Some(other) => (other.as_str(), ""),
        None => (
            likely_column(column, parent),
            "a guess: no foreign key says what it refers to",
        ),
    };
    let mut value = format!("find = {}, id = {}", text(family.section), text(path));
    if parent.table.primary_key() != [other] {
        value += &format!(", column = {}", text(other));
    }
    if path == CREATED_BY {
        note = "a guess: who has made it";
        if stays(column) {
            value += ", gone = \"keep\"";
        }
    }
    Some(Line::new(&column.name, format!("{{ {value} }}"), note))
}

/// Whether an organization stays when who has made it is deleted, and the column cannot say so.
fn stays(creator: &Column) -> bool {
    !creator.takes_null
}

/// Whether a row with this foreign key goes, or lets go, when the row of `parent` is deleted.
pub(super) fn lets_go(
    foreign_key: &ForeignKey,
    parent: &Candidate<'_>,
    chosen: &[&Candidate<'_>],
) -> bool {
    let mut children = chosen
        .iter()
        .filter(|child| child.table.id == foreign_key.table);
    children.any(|child| {
        let mut columns = child.table.columns.iter();
        columns.any(|column| {
            let is_its = foreign_key.columns == [column.name.as_str()];
            let referred = referred(child, column).filter(|_| is_its);
            referred.is_some_and(|(family, path)| {
                family.section == parent.family.section && (path != CREATED_BY || !stays(column))
            })
        })
    })
}

/// The family of the object, and which path says its id.
fn referred(candidate: &Candidate<'_>, column: &Column) -> Option<(&'static Family, &'static str)> {
    let table = candidate.table;
    let is_member = |family| {
        candidate.family.section == MEMBERSHIP.section
            && member(table, family).is_some_and(|member| member.name == column.name)
    };
    let is_creator =
        candidate.family.section == ORGANIZATION.section && place(CREATORS, &column.name).is_some();
    if is_member(&ORGANIZATION) {
        Some((&ORGANIZATION, "organization.id"))
    } else if is_member(&USER) {
        Some((&USER, "public_user_data.user_id"))
    } else if is_creator && (reference(table, &column.name).is_some() || must_be_filled(column)) {
        Some((&USER, CREATED_BY))
    } else {
        None
    }
}

/// The column that is referred to where no foreign key says so: the primary key, unless it is of another type.
fn likely_column<'a>(column: &Column, parent: &Candidate<'a>) -> &'a str {
    let is_alike = |other: &&Column| discriminant(&other.kind) == discriminant(&column.kind);
    let primary = match parent.table.primary_key().as_slice() {
        [primary] => parent.table.column(primary).filter(is_alike),
        _ => None,
    };
    let key = parent.key.first().copied();
    let says_clerk = plain(&column.name).starts_with("clerk");
    match primary {
        Some(primary) if key.is_none() || !says_clerk => &primary.name,
        _ => key.unwrap_or("id"),
    }
}
