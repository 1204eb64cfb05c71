//! Which table is whose.

use std::cmp::Reverse;

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::table::{Form, Table};
use crate::suggest::columns::says;
use crate::suggest::names::{FAMILIES, Family, MEMBERSHIP, ORGANIZATION, USER};
use crate::suggest::words::{called, mentions, place, plain};

/// Shorter than any id of Clerk's: room for a UUID, but not for `user_` and what follows.
const TOO_FEW_CHARACTERS: usize = 36;

/// A table that looks like the objects of a family.
pub(super) struct Candidate<'a> {
    pub(super) family: &'static Family,
    pub(super) table: &'a Table,
    /// The columns that tell whose row it is; empty where none holds an id of Clerk's.
    pub(super) key: Vec<&'a str>,
    pub(super) reason: Reason,
    score: usize,
}

/// Why it is the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its name says that it is Clerk's id.
    Clerks,
    /// Its name says that it is an id that somebody else has made.
    Others,
    /// It is the primary key, a text that no default fills.
    Primary,
    /// These tell the organization and the user.
    Membership,
    /// There is none.
    Missing,
}

/// Of each family the likeliest table and then the others; without families that have none.
pub(super) fn candidates(tables: &[Table]) -> Vec<Vec<Candidate<'_>>> {
    let of = |family: &Family| {
        let all = tables
            .iter()
            .filter(|table| is_applications(table) && can_be_named(table));
        let all = all.filter_map(candidate);
        let mut found: Vec<_> = all
            .filter(|candidate| candidate.family.section == family.section)
            .collect();
        found.sort_by_key(|candidate| Reverse(candidate.score));
        found
    };
    let found = FAMILIES.into_iter().map(of);
    found.filter(|found| !found.is_empty()).collect()
}

/// Tables that look like a family, but that no tables file can name.
pub(super) fn left_out(tables: &[Table]) -> impl Iterator<Item = &Table> {
    let all = tables
        .iter()
        .filter(|table| is_applications(table) && !can_be_named(table));
    all.filter(|table| candidate(table).is_some())
}

fn is_applications(table: &Table) -> bool {
    let is_table = matches!(table.form, Form::Ordinary | Form::Partitioned);
    is_table && table.id.schema != "clerk_sync"
}

fn can_be_named(table: &Table) -> bool {
    let is_quoted = |name: &str| name.starts_with('"') && name.ends_with('"');
    let is_plain = |name: &str| !name.contains('.') && !is_quoted(name);
    is_plain(&table.id.name) && is_plain(&table.id.schema)
}

/// The family that a table looks like, if any.
fn candidate(table: &Table) -> Option<Candidate<'_>> {
    let likeliest = || {
        let candidates = FAMILIES
            .into_iter()
            .filter_map(|family| of_family(table, family));
        candidates.max_by_key(|candidate| candidate.score)
    };
    membership(table).or_else(likeliest)
}

fn of_family<'a>(table: &'a Table, family: &'static Family) -> Option<Candidate<'a>> {
    let (column, reason) = key(table, family);
    let is_unique = column.is_some_and(|column| column.is_unique);
    let marks = family
        .marks
        .iter()
        .filter(|(path, _)| says(family, table, path));
    let marks: usize = marks.map(|(_, weight)| weight).sum();
    let place = called(family.tables, &table.id.name);
    let is_alike = match place {
        Some(_) => marks + usize::from(column.is_some()) >= 2,
        // Tables of other things say Clerk's id of their user, too; but not who that is.
        None => marks >= 2 && is_unique && reason == Reason::Clerks && says_family(column?, family),
    };
    let reason_score = match reason {
        Reason::Clerks => 30,
        Reason::Primary => 15,
        Reason::Others => 10,
        Reason::Membership | Reason::Missing => 0,
    };
    // Nouns are in the order of their likelihood, and there are fewer than ten of them.
    let name_score = place.map_or(0, |place| 10_usize.saturating_sub(place));
    is_alike.then(|| Candidate {
        family,
        table,
        key: Vec::from_iter(column.map(|column| column.name.as_str())),
        reason,
        score: reason_score + 10 * usize::from(is_unique) + name_score + marks,
    })
}

/// Whether the name of the key says of which family it is: `clerk_id` is a user's.
fn says_family(key: &Column, family: &Family) -> bool {
    family.section == USER.section || plain(&key.name).starts_with("clerkorg")
}

/// The column that holds Clerk's id, the likeliest if there are several.
fn key<'a>(table: &'a Table, family: &Family) -> (Option<&'a Column>, Reason) {
    let all = || {
        table
            .columns
            .iter()
            .filter(|column| takes_ids(table, column))
    };
    let named = |names| {
        let named = all().filter(move |column| place(names, &column.name).is_some());
        named.min_by_key(|column| (!column.is_unique, place(names, &column.name)))
    };
    let primary = table.primary_key();
    let mut primary = all().filter(|column| primary == [&column.name] && !column.has_default);
    let (clerks, other) = (named(family.clerk_ids), named(family.other_ids));
    let unique = other.filter(|other| other.is_unique);
    let likeliest = [
        (clerks, Reason::Clerks),
        (unique, Reason::Others),
        (primary.next(), Reason::Primary),
        (other, Reason::Others),
    ];
    let found = likeliest.into_iter().find(|(column, _)| column.is_some());
    found.unwrap_or((None, Reason::Missing))
}

/// Whether Clerk's id may be in the column.
fn takes_ids(table: &Table, column: &Column) -> bool {
    let has_room = match column.kind {
        Kind::Text {
            characters,
            is_padded,
        } => !is_padded && characters.is_none_or(|characters| characters > TOO_FEW_CHARACTERS),
        _ => false,
    };
    has_room && !column.is_generated && reference(table, &column.name).is_none()
}

/// A table that says which user is in which organization.
fn membership(table: &Table) -> Option<Candidate<'_>> {
    let organization = member(table, &ORGANIZATION)?;
    let user = member(table, &USER)?;
    // There is one row for each user, or for each organization.
    if organization.is_unique || user.is_unique {
        return None;
    }
    let mut key = vec![organization.name.as_str(), user.name.as_str()];
    let mut indexes = table.indexes.iter().filter(|index| index.always_holds());
    let index = indexes.find(|index| index.is_on(&key));
    let name = &table.id.name;
    let is_called = called(MEMBERSHIP.tables, name).is_some()
        || mentions(USER.tables, name) && mentions(ORGANIZATION.tables, name);
    if !is_called && (index.is_none() || !says(&MEMBERSHIP, table, "role")) {
        return None;
    }
    if let Some(index) = index {
        key = index.columns.iter().flatten().map(String::as_str).collect();
    }
    Some(Candidate {
        family: &MEMBERSHIP,
        table,
        key,
        reason: Reason::Membership,
        score: usize::from(is_called) + 2 * usize::from(index.is_some()),
    })
}

/// The column that says which object of `family` a row belongs to: by its name, or else by a foreign key.
pub(super) fn member<'a>(table: &'a Table, family: &Family) -> Option<&'a Column> {
    let is_named = |column: &&Column| {
        let name = plain(&column.name);
        let name = name.strip_prefix("clerk").unwrap_or(&name);
        place(family.tables, name.strip_suffix("id").unwrap_or(name)).is_some()
    };
    let refers = |column: &&Column| {
        reference(table, &column.name).is_some_and(|key| {
            key.other_table != table.id && called(family.tables, &key.other_table.name).is_some()
        })
    };
    let columns = &table.columns;
    let named = columns.iter().find(is_named);
    named.or_else(|| columns.iter().find(refers))
}

/// The foreign key of a column alone.
pub(super) fn reference<'a>(table: &'a Table, column: &str) -> Option<&'a ForeignKey> {
    table.references.iter().find(|key| key.columns == [column])
}
