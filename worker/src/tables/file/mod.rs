//! Reads a tables file; tells all that is wrong with it at once.

mod braces;
mod columns;
mod constant;
mod content;
mod family;
mod finds;
mod identifier;
mod key;
mod keys;
mod lines;
pub(crate) mod nearest;
mod notes;
mod path;
mod scope;
mod section;
mod sharing;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use shared::terminal::is_obeyed;
use toml::de::{DeTable, DeValue};
use toml_writer::{TomlKeyBuilder, TomlWrite as _};

use crate::tables::file::family::Family;
use crate::tables::file::finds::check_finds;
use crate::tables::file::keys::Keys;
use crate::tables::file::lines::Lines;
use crate::tables::file::notes::Notes;
use crate::tables::file::scope::KEYS;
use crate::tables::file::section::section;
use crate::tables::file::sharing::check_sharing;
use crate::tables::places::Places;
use crate::tables::section::Section;
use crate::tables::{BUILT_IN, Tables};

/// A file without mistakes.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it says.
    pub tables: Tables,
    /// What may be a mistake; a line each, `FILE:LINE: what`.
    pub warnings: Vec<String>,
}

/// What is wrong with a file; a line each, `FILE:LINE: what, expected what`, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(Vec<String>);

impl Tables {
    /// The file that holds where none is named.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a test reads it")]
    pub fn built_in() -> Self {
        let report =
            Self::parse("built-in tables file", BUILT_IN).expect("the built-in file is valid");
        Self {
            is_built_in: true,
            ..report.tables
        }
    }

    /// Reads the text of the file `name`.
    ///
    /// # Errors
    /// All mistakes of it.
    pub fn parse(name: &str, text: &str) -> Result<Report, Mistakes> {
        let mut notes = Notes::default();
        let lines = Lines::of(text);
        let table = toml(text, &lines, &mut notes).unwrap_or_default();
        let mut places = BTreeMap::new();
        add_places(&table, &[], &lines, &mut places);
        let sections = match notes.has_mistakes() {
            true => Vec::new(),
            false => sections(&table, &mut notes),
        };
        let (mistakes, warnings) = notes.into_lines(name, &lines);
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let places = Places {
            file: name.into(),
            lines: places.into(),
        };
        let tables = Self {
            places,
            ..Self::new(sections, false)
        };
        Ok(Report { tables, warnings })
    }
}

/// What stands where somebody has to write something. It is no TOML, so that nobody forgets it.
pub(crate) const FILL_IN: &str = "FILL_IN";

/// A name as a key of TOML, or in a comment: on one line.
pub(crate) fn as_key(name: &str) -> String {
    let mut text = String::new();
    let builder = TomlKeyBuilder::new(name);
    // Writing to a text never fails.
    let _ = text.key(builder.as_unquoted().unwrap_or_else(|| builder.as_basic()));
    shown(&text)
}

/// A key or a text of TOML with escapes of TOML in place of what a terminal would obey.
pub(crate) fn shown(toml: &str) -> String {
    let shown = |character| match is_obeyed(character) {
        true => format!("\\u{:04X}", u32::from(character)),
        false => character.to_string(),
    };
    toml.chars().map(shown).collect()
}

/// The file as TOML; tells the first mistake of each line, since others of the line may follow from it.
fn toml<'a>(text: &'a str, lines: &Lines, notes: &mut Notes) -> Option<DeTable<'a>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut told = BTreeSet::new();
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        if told.insert(lines.number(at)) {
            let end = text.get(at..).and_then(|rest| rest.split('\n').next());
            let (what, expected) = match error.message().split_once(", expected ") {
                _ if end.is_some_and(|end| end.starts_with(FILL_IN)) => (
                    "FILL_IN is still there",
                    "a value, such as { value = \"free\" }",
                ),
                Some(said) => said,
                None => (error.message(), "TOML as https://toml.io has it"),
            };
            // All that it says of a key that is there twice.
            let key = text.get(error.span().unwrap_or_default());
            let key = key.filter(|_| what == "duplicate key").unwrap_or_default();
            notes.mistake(at, format!("no TOML: {what} {key}").trim_end(), expected);
        }
    }
    errors.is_empty().then(|| table.into_inner())
}

/// Notes the line of each section, of its keys, and of the columns below them.
fn add_places(
    table: &DeTable<'_>,
    above: &[String],
    lines: &Lines,
    places: &mut BTreeMap<Vec<String>, usize>,
) {
    const DEPTH: usize = 3;
    for (key, value) in table {
        let keys = [above, &[key.get_ref().to_string()]].concat();
        if let DeValue::Table(below) = value.get_ref()
            && keys.len() < DEPTH
        {
            add_places(below, &keys, lines, places);
        }
        places.insert(keys, lines.number(key.span().start));
    }
}

/// Tells a family that we do not know; whether it may be one all the same.
fn tell_unknown(family: &Family<'_>, at: usize, notes: &mut Notes) -> bool {
    let (name, meant) = (family.name, family.meant());
    let is_misspelt = |meant: &&str| {
        name.eq_ignore_ascii_case(meant) || name.eq_ignore_ascii_case(&format!("{meant}s"))
    };
    if let Some(meant) = meant.filter(is_misspelt) {
        let what = format!("Clerk has no family {name:?}");
        notes.mistake(at, what, format!("[{meant}]"));
        return false;
    }
    let text = format!("Clerk has no family {name:?} that we know of");
    let meant = meant.map(|meant| format!("; perhaps {meant:?} is meant"));
    notes.warning(at, text + &meant.unwrap_or_default());
    true
}

fn sections(table: &DeTable<'_>, notes: &mut Notes) -> Vec<Section> {
    let mut sections = Vec::new();
    if table.is_empty() {
        notes.mistake(0, "there is no section", "[user]");
    }
    for (key, value) in table {
        let (at, name) = (key.span().start, key.get_ref().as_ref());
        let family = Family::of(name);
        match value.get_ref() {
            _ if KEYS.contains(&name) => {
                let what = format!("{name:?} stands in no section");
                notes.mistake(at, what, "it below [user]");
            }
            _ if name.is_empty() || !name.chars().all(char::is_alphanumeric) => {
                let what = format!("{name:?} is no family of Clerk's");
                notes.mistake(
                    at,
                    what,
                    "what stands before the dot in an event's type: user",
                );
            }
            DeValue::Table(table) => {
                if !family.is_known() && !tell_unknown(&family, at, notes) {
                    continue;
                }
                let section = section(&family, Keys { table, at }, notes);
                sections.extend(section.map(|section| (at, section)));
            }
            // Not its value: it may be a file of secrets.
            _ => {
                let what = format!("{name:?} is no section");
                notes.mistake(at, what, format!("[{name}]"));
            }
        }
    }
    check_sharing(&sections, notes);
    check_finds(table, &mut sections, notes);
    sections.into_iter().map(|(_, section)| section).collect()
}
