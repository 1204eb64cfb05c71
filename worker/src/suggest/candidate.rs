//! Which table is whose.

use std::cmp::Reverse;

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::table::{Form, Table};
use crate::suggest::columns::known;
use crate::suggest::names::{FAMILIES, Family, MEMBERSHIP, ORGANIZATION, USER};

/// Clerk's ids have no more.
pub(super) const ID_CHARACTERS: usize = 40;
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
    let is_plain =
        |name: &str| !name.contains('.') && !(name.starts_with('"') && name.ends_with('"'));
    is_plain(&table.id.name) && is_plain(&table.id.schema)
}

/// The family that a table looks like, if any.
fn candidate(table: &Table) -> Option<Candidate<'_>> {
    let others = FAMILIES
        .into_iter()
        .filter(|family| family.section != MEMBERSHIP.section);
    let likeliest = || {
        others
            .filter_map(|family| of_family(table, family))
            .max_by_key(|candidate| candidate.score)
    };
    membership(table).or_else(likeliest)
}

fn of_family<'a>(table: &'a Table, family: &'static Family) -> Option<Candidate<'a>> {
    let (column, reason) = key(table, family);
    let mut paths: Vec<_> = table
        .columns
        .iter()
        .filter_map(|column| known(family, table, column))
        .map(|known| known.path)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    let marks = family.marks.iter().filter(|(path, _)| paths.contains(path));
    let marks: usize = marks.map(|(_, weight)| weight).sum();
    let place = family
        .tables
        .iter()
        .position(|noun| is_called(&table.id.name, noun));
    let is_alike = match place {
        Some(_) => marks + usize::from(column.is_some()) >= 2,
        // Tables of other things say Clerk's id of their user, too; but not who that is.
        None => {
            reason == Reason::Clerks
                && column.is_some_and(|column| column.is_unique)
                && marks >= 2
                && says_family(column, family)
        }
    };
    let key_score = match reason {
        Reason::Clerks => 30,
        Reason::Others => 10,
        Reason::Primary => 15,
        Reason::Membership | Reason::Missing => 0,
    };
    let uniqueness = if column.is_some_and(|column| column.is_unique) {
        10
    } else {
        0
    };
    let name = place.map_or(0, |place| family.tables.len() - place);
    is_alike.then(|| Candidate {
        family,
        table,
        key: column
            .map(|column| column.name.as_str())
            .into_iter()
            .collect(),
        reason,
        score: key_score + uniqueness + name + marks,
    })
}

/// Whether the name of the key says of which family it is: `clerk_id` is a user's.
fn says_family(key: Option<&Column>, family: &Family) -> bool {
    let name = key.map_or_else(String::new, |key| plain(&key.name));
    family.section == USER.section || name.starts_with("clerkorg")
}

/// The column that holds Clerk's id.
fn key<'a>(table: &'a Table, family: &Family) -> (Option<&'a Column>, Reason) {
    let named = |names: &[&str]| {
        let mut columns: Vec<_> = table
            .columns
            .iter()
            .filter(|column| {
                names.contains(&plain(&column.name).as_str()) && takes_ids(table, column)
            })
            .collect();
        columns.sort_by_key(|column| !column.is_unique);
        columns.first().copied()
    };
    if let Some(column) = named(family.clerk_ids) {
        return (Some(column), Reason::Clerks);
    }
    let other = named(family.other_ids);
    if let Some(column) = other.filter(|column| column.is_unique) {
        return (Some(column), Reason::Others);
    }
    if let [primary] = table.primary_key().as_slice()
        && let Some(column) = table.column(primary)
        && takes_ids(table, column)
        && !column.has_default
    {
        return (Some(column), Reason::Primary);
    }
    match other {
        Some(column) => (Some(column), Reason::Others),
        None => (None, Reason::Missing),
    }
}

/// Whether Clerk's id may be in the column.
fn takes_ids(table: &Table, column: &Column) -> bool {
    let has_room = matches!(column.kind, Kind::Text { characters, is_padded: false } if characters.is_none_or(|characters| characters > TOO_FEW_CHARACTERS));
    has_room && !column.is_generated && reference(table, &column.name).is_none()
}

/// A table that says which user is in which organization.
fn membership(table: &Table) -> Option<Candidate<'_>> {
    let organization = member(table, &ORGANIZATION)?;
    let user = member(table, &USER)?;
    // One row for each user, or for each organization.
    if organization.is_unique || user.is_unique {
        return None;
    }
    let pair = [organization.name.as_str(), user.name.as_str()];
    let index = table
        .indexes
        .iter()
        .find(|index| index.always_holds() && index.is_on(&pair));
    let words = words(&table.id.name);
    let is_of = |family: &Family| {
        words
            .iter()
            .any(|word| family.tables.contains(&word.as_str()))
    };
    let is_called = MEMBERSHIP
        .tables
        .iter()
        .any(|noun| is_called(&table.id.name, noun))
        || is_of(&USER) && is_of(&ORGANIZATION);
    let has_role = || {
        table.columns.iter().any(|column| {
            known(&MEMBERSHIP, table, column).is_some_and(|known| known.path == "role")
        })
    };
    if !is_called && (index.is_none() || !has_role()) {
        return None;
    }

    let key = match index {
        Some(index) => index.columns.iter().flatten().map(String::as_str).collect(),
        None => pair.to_vec(),
    };
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
        let noun = name.strip_suffix("id").unwrap_or(name);
        family.tables.contains(&noun)
    };
    let refers = |column: &&Column| {
        reference(table, &column.name).is_some_and(|key| {
            key.other_table != table.id
                && family
                    .tables
                    .iter()
                    .any(|noun| is_called(&key.other_table.name, noun))
        })
    };
    let columns = table.columns.iter();
    columns
        .clone()
        .find(is_named)
        .or_else(|| columns.clone().find(refers))
}

/// The foreign key of a column alone.
pub(super) fn reference<'a>(table: &'a Table, column: &str) -> Option<&'a ForeignKey> {
    table.references.iter().find(|key| key.columns == [column])
}

/// Whether the name of a table says `noun`: as its last word, or as all of its words.
fn is_called(name: &str, noun: &str) -> bool {
    let words = words(name);
    words.last().is_some_and(|last| last == noun) || words.concat() == noun
}

/// A name without what is written in different ways: `clerkUserId` and `clerk_user_id` are the same.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .filter(|sign| sign.is_alphanumeric())
        .collect::<String>()
        .to_lowercase()
}

/// The words of a name, in the singular: of `app_users` and `AppUser` they are `app` and `user`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for sign in name.chars() {
        if !sign.is_alphanumeric() || (was_lower && sign.is_uppercase()) {
            words.push(String::new());
        }
        was_lower = sign.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| sign.is_alphanumeric()) {
            word.extend(sign.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(|word| singular(&word)).collect()
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_called_by_its_last_word_whatever_its_case_and_number() {
        for (name, noun, expected) in [
            ("users", "user", true),
            ("User", "user", true),
            ("app_users", "user", true),
            ("AppUsers", "user", true),
            ("auth_user", "user", true),
            ("accounts_profile", "profile", true),
            ("people", "people", true),
            ("companies", "company", true),
            ("waitlist_entries", "waitlistentry", true),
            ("WaitlistEntry", "waitlistentry", true),
            ("the users", "user", true),
            ("user_roles", "user", false),
            ("UserRole", "user", false),
            ("super", "user", false),
            ("", "user", false),
            ("_", "user", false),
        ] {
            assert_eq!(is_called(name, noun), expected, "{name}");
        }
    }
}
