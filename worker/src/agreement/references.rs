//! What other rows and other rows' values do to those that are written: warnings alone.

use crate::agreement::columns::tell_unused_defaults;
use crate::agreement::notes::Notes;
use crate::agreement::subject::Subject;
use crate::database::catalogue::foreign_key::ForeignKey;
use crate::database::catalogue::name::quoted;
use crate::tables::file::as_key;
use crate::tables::path::{Computed, Path};
use crate::tables::section::{Column, OnDelete};

/// `all` sections of the file whose tables are there.
pub(super) fn check(subject: Subject<'_>, all: &[Subject<'_>], notes: &mut Notes<'_>) {
    let refusing = subject.table.referenced_by.iter();
    let refusing = refusing.filter(|foreign_key| foreign_key.on_delete.is_none());
    for foreign_key in refusing.filter(|_| subject.deletes_rows()) {
        if !subject.lets_go(foreign_key, all) {
            tell_refused_deletion(subject, foreign_key, notes);
        }
    }
    tell_taken_addresses(subject, notes);
    tell_unused_defaults(subject, notes);
}

fn tell_refused_deletion(subject: Subject<'_>, foreign_key: &ForeignKey, notes: &mut Notes<'_>) {
    let list = |columns: &[String]| {
        let columns: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
        columns.join(", ")
    };
    let (name, table) = (quoted(&foreign_key.name), foreign_key.table.quoted());
    let what = format!(
        "the foreign key {:?} of {} refuses the deletion of a row that it points at",
        foreign_key.name, foreign_key.table
    );
    let deletes = format!("which deletes the rows of {}, too", foreign_key.table);
    // What deletes nothing of the application's comes first.
    let (action, what_it_does) = match foreign_key.takes_null {
        true => ("SET NULL", format!("or CASCADE, {deletes}")),
        false => ("CASCADE", deletes),
    };
    let remedy = format!(
        "expected on_delete = \"keep\" or a table of columns, or ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {action}; ({what_it_does})",
        list(&foreign_key.columns),
        foreign_key.other_table.quoted(),
        list(&foreign_key.other_columns)
    );
    let at = match subject.tables.places().has(&subject.at("on_delete")) {
        true => "on_delete",
        false => "table",
    };
    notes.warning(&subject.at(at), what, remedy);
}

/// A deleted user's address that nobody else can have.
fn tell_taken_addresses(subject: Subject<'_>, notes: &mut Notes<'_>) {
    let section = subject.section;
    let set: &[Column] = match &section.on_delete {
        OnDelete::Delete => return,
        OnDelete::Keep => &[],
        OnDelete::Set(columns) => columns,
    };
    let link_by = section.link_by.and_then(|place| section.columns.get(place));
    for written in subject
        .written()
        .filter(|written| written.place != "on_delete")
    {
        let name = &written.stored.name;
        let is_freed = set.iter().chain(link_by).any(|column| column.name == *name);
        let mut indexes = subject.table.indexes.iter();
        let is_unique = indexes.any(|index| index.is_over(name) && !index.is_partial);
        if says_address(written.mapped) && is_unique && !is_freed {
            let what = format!(
                "the deletion leaves the unique e-mail address in {name:?}, so somebody who signs up again with it waits"
            );
            let family = &section.family;
            let remedy = format!(
                "expected {} = {{ value = \"deleted-{{id}}@users.invalid\" }} below [{family}.on_delete], or link_by = {name:?}",
                as_key(name)
            );
            notes.warning(&subject.at("on_delete"), what, remedy);
        }
    }
}

fn says_address(column: &Column) -> bool {
    column.paths().into_iter().any(|path| match path {
        Path::Computed(computed) => *computed == Computed::PrimaryEmailAddress,
        Path::Field(steps) => steps.last().is_some_and(|last| last == "email_address"),
        _ => false,
    })
}
