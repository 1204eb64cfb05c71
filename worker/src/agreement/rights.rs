//! What our role may do.

use std::collections::BTreeSet;

use crate::agreement::notes::Notes;
use crate::agreement::subject::Subject;
use crate::database::catalogue::column::Column;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::{Table, gone};
use crate::tables::section::{Content, Gone};

/// What has to be done with a table.
#[derive(Default)]
pub(super) struct Needed<'a> {
    pub(super) select: Vec<&'a str>,
    pub(super) insert: Vec<&'a str>,
    pub(super) update: Vec<&'a str>,
    pub(super) delete: bool,
    /// Where a row lies: that is asked where unique values meet.
    pub(super) places: bool,
}

pub(super) fn check(subject: Subject<'_>, notes: &mut Notes<'_>) {
    let (table, role) = (subject.table, subject.role);
    let needed = needed(subject);
    tell_missing(&subject.at("table"), table, role, &needed, notes);
    let role = quoted(role);
    if subject.makes_rows() {
        let is_filled = |column: &&Column| !subject.makes(&column.name);
        let sequences = table.columns.iter().filter(is_filled);
        for sequence in sequences.filter_map(|column| column.refused_sequence.as_deref()) {
            let what = format!("the role {role} may not use the sequence {sequence}");
            let remedy = format!("GRANT USAGE ON SEQUENCE {sequence} TO {role};");
            notes.error(&subject.at("table"), what, remedy);
        }
    }
    let written = subject.written().map(|written| written.stored);
    let hidden = written.filter_map(|column| column.hidden_schema.as_deref());
    for schema in hidden.collect::<BTreeSet<_>>() {
        let what =
            format!("the role {role} has no USAGE on the schema {schema:?} of a column's type");
        let remedy = format!("GRANT USAGE ON SCHEMA {} TO {role};", quoted(schema));
        notes.error(&subject.at("table"), what, remedy);
    }
}

/// What the statements of a section do.
fn needed(subject: Subject<'_>) -> Needed<'_> {
    let section = subject.section;
    let keys = section.key_columns();
    let mut needed = Needed {
        select: keys.clone(),
        delete: subject.deletes_rows(),
        places: true,
        ..Needed::default()
    };
    needed.select.extend(subject.found());
    needed.select.extend(section.newest.as_deref());
    needed
        .select
        .extend(section.tags.iter().flat_map(|tag| tag.columns()));
    if subject.makes_rows() {
        needed.insert.extend(&keys);
    }
    if section.link_by.is_some() {
        needed.update.extend(&keys);
    }
    for written in subject.written() {
        let name = written.stored.name.as_str();
        if written.place != "on_delete" {
            needed.select.push(name);
            if subject.makes_rows() {
                needed.insert.push(name);
            }
        }
        // A key stays.
        if written.place == "columns" && keys.contains(&name) {
            continue;
        }
        let becomes_null = match &written.mapped.content {
            Content::Find(find) => gone(find, written.stored) == Some(Gone::Null),
            _ => false,
        };
        // A value of a new row that another row has may be taken from that.
        let is_taken = section.link_by.is_some() || written.stored.is_unique;
        if written.place != "on_create" || is_taken || becomes_null {
            needed.update.push(name);
        }
    }
    // A deletion that takes rows along locks them, for which PostgreSQL wants the right to update some column.
    let mut goes_along = subject
        .written()
        .filter(|written| match &written.mapped.content {
            Content::Find(find) => gone(find, written.stored) != Some(Gone::Keep),
            _ => false,
        });
    if needed.update.is_empty() {
        let column = goes_along
            .next()
            .map(|written| written.stored.name.as_str());
        needed.update.extend(column);
    }
    needed
}

/// Tells the rights to a table that are missing, and how they are given.
pub(super) fn tell_missing(
    at: &[&str],
    table: &Table,
    role: &str,
    needed: &Needed<'_>,
    notes: &mut Notes<'_>,
) {
    let mut missing = Vec::new();
    let mut select = refused(table, &needed.select, |column| column.may_select);
    if needed.places && !table.may_select_places {
        select.extend(["ctid", "tableoid"]);
    }
    let insert = refused(table, &needed.insert, |column| column.may_insert);
    let update = refused(table, &needed.update, |column| column.may_update);
    for (right, refused, needed) in [
        ("SELECT", select, &needed.select),
        ("INSERT", insert, &needed.insert),
        ("UPDATE", update, &needed.update),
    ] {
        // The right to the whole table, unless it was given for columns.
        if !refused.is_empty() && needed.iter().all(|column| refused.contains(column)) {
            missing.push(right.to_owned());
        } else if !refused.is_empty() {
            let columns: Vec<_> = refused.into_iter().map(quoted).collect();
            missing.push(format!("{right} ({})", columns.join(", ")));
        }
    }
    if needed.delete && !table.may_delete {
        missing.push("DELETE".to_owned());
    }
    if missing.is_empty() {
        return;
    }
    let (role, missing) = (quoted(role), missing.join(", "));
    let what = format!("the role {role} lacks rights to {table}");
    let remedy = format!("GRANT {missing} ON {} TO {role};", table.id.quoted());
    notes.error(at, what, remedy);
}

/// The columns that our role may not use in this way.
fn refused<'a>(table: &Table, needed: &[&'a str], may: fn(&Column) -> bool) -> BTreeSet<&'a str> {
    let is_refused = |name: &&&str| table.column(name).is_some_and(|column| !may(column));
    needed.iter().filter(is_refused).copied().collect()
}
