//! Whether the tables file and the database fit each other: decided in memory, of a file and of what the catalogue tells.
//!
//! Everything that does not fit is told at once, a line each, `FILE:LINE: what, remedy`. The remedy is something to type:
//! the nearest name, or SQL.

mod clerk_sync;
mod columns;
mod constants;
mod finds;
mod key;
mod notes;
mod plain_ids;
mod references;
mod rights;
mod row_security;
mod says;
mod session;
mod subject;
mod table;

use std::sync::Arc;

use crate::agreement::notes::Notes;
use crate::agreement::subject::Subject;
use crate::database::catalogue::Catalogue;
use crate::tables::Tables;
use crate::tables::section::{Section, TableName};

/// What there is to tell, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What does not fit. While there is any, nothing can be written.
    pub errors: Vec<String>,
    /// What may be a mistake.
    pub warnings: Vec<String>,
    /// The families, each with the table that was looked at.
    pub tables: Vec<(String, String)>,
}

/// What is known besides the file and the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Whether the worker will make what is missing of its own when it starts.
    pub is_before_the_start: bool,
    /// The `search_path` that the URL asks for.
    pub search_path: Option<String>,
}

/// The tables that are to be looked up: those of the file, and our own.
#[must_use]
pub fn names(tables: &Tables) -> Vec<TableName> {
    let of_file = tables.sections().map(|section| section.table.clone());
    of_file.chain(clerk_sync::names()).collect()
}

/// Compares the file with what the catalogue tells of its [`names`].
#[must_use]
pub fn check(tables: &Tables, catalogue: &Catalogue, circumstances: &Circumstances) -> Agreement {
    let mut notes = Notes::new(tables.places());
    session::check(&catalogue.session, circumstances, &mut notes);
    clerk_sync::check(catalogue, circumstances, &mut notes);
    let subjects = subjects(tables, catalogue, circumstances, &mut notes);
    for subject in subjects.iter().copied() {
        check_form(subject, &subjects, &mut notes);
        rights::check(subject, &mut notes);
        row_security::check(subject, &mut notes);
    }
    let name = |subject: &Subject<'_>| {
        let family = subject.section.family.clone();
        (family, subject.table.to_string())
    };
    Agreement {
        tables: subjects.iter().map(name).collect(),
        ..notes.into_agreement()
    }
}

/// The same of the application's tables alone, whatever our role may do with them.
#[must_use]
pub fn check_forms(tables: &Tables, catalogue: &Catalogue) -> Agreement {
    let mut notes = Notes::new(tables.places());
    let subjects = subjects(tables, catalogue, &Circumstances::default(), &mut notes);
    for subject in subjects.iter().copied() {
        check_form(subject, &subjects, &mut notes);
    }
    notes.into_agreement()
}

/// The sections whose tables are there; tells those that are missing.
fn subjects<'a>(
    tables: &'a Tables,
    catalogue: &'a Catalogue,
    circumstances: &Circumstances,
    notes: &mut Notes<'_>,
) -> Vec<Subject<'a>> {
    let (is_built_in, is_early) = (tables.is_built_in(), circumstances.is_before_the_start);
    let subject = |section: &'a Arc<Section>| {
        let table = table::find(section, catalogue, is_built_in, is_early, notes)?;
        Some(Subject {
            tables,
            section,
            table,
            role: &catalogue.session.role,
        })
    };
    let subjects: Vec<Subject<'a>> = tables.sections().filter_map(subject).collect();
    tell_names(&subjects, notes);
    subjects
}

/// Sections whose tables are the same and have other names in the file: nobody has seen that they share a table.
fn tell_names(subjects: &[Subject<'_>], notes: &mut Notes<'_>) {
    for (place, subject) in subjects.iter().enumerate() {
        let mut before = subjects[..place].iter();
        let other = before.find(|other| {
            other.table.id == subject.table.id && other.section.table != subject.section.table
        });
        if let Some(other) = other {
            let what = format!(
                "{:?} and {:?} of [{}] are the same table",
                subject.section.table.to_string(),
                other.section.table.to_string(),
                other.section.family
            );
            notes.error(&subject.at("table"), what, "expected the same name in both");
        }
    }
}

fn check_form(subject: Subject<'_>, all: &[Subject<'_>], notes: &mut Notes<'_>) {
    columns::check(subject, notes);
    constants::check(subject, notes);
    finds::check(subject, all, notes);
    key::check(subject, notes);
    references::check(subject, all, notes);
    plain_ids::check(subject, all, notes);
}
