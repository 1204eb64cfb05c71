//! What the file itself writes: constants, defaults and other words.

use crate::agreement::notes::Notes;

use crate::agreement::subject::{Subject, Written};
use crate::database::catalogue::column::Kind;
use crate::event::row::Cell;
use crate::fit::fit;
use crate::tables::fields::{ID_CHARACTERS, Says};
use crate::tables::section::{Column, Constant, Content, TooLong};
use crate::tables::template::{Part, Template};
use crate::tables::value::Value;

pub(super) fn check(subject: Subject<'_>, notes: &mut Notes<'_>) {
    for written in subject.written() {
        for (what, constant) in constants(written.mapped) {
            let name = &written.stored.name;
            if let Some(problem) = too_short(written, constant) {
                let alter = subject.alter(name, "TYPE varchar(255)");
                let remedy = format!("expected too_long = \"cut\", or {alter}");
                notes.error(
                    &written.at(subject),
                    format!("{what} of {name:?} {problem}"),
                    remedy,
                );
            } else if let Some(problem) = misfit(written, constant) {
                let remedy = format!("expected a value for {}", kind(written));
                notes.error(
                    &written.at(subject),
                    format!("{what} of {name:?} {problem}"),
                    remedy,
                );
            }
        }
        tell_repeated(subject, written, notes);
    }
}

/// The constants of a column, each with what it is.
fn constants(column: &Column) -> Vec<(String, &Constant)> {
    match &column.content {
        Content::Constant(constant, _) => vec![("the value".to_owned(), constant)],
        Content::Uuid | Content::Find(_) => Vec::new(),
        Content::From(from) => {
            let words = from.map.iter().flatten();
            let words = words.map(|(word, constant)| (format!("the word for {word:?}"), constant));
            let default = from.default.iter();
            let default = default.map(|constant| ("the default".to_owned(), constant));
            words.chain(default).collect()
        }
    }
}

/// The type of a column, and the words that it takes.
fn kind(written: Written<'_>) -> String {
    let sql_type = &written.stored.exact_sql_type;
    match &written.stored.kind {
        Kind::Enum(words) => format!("{sql_type} ({})", words.join(", ")),
        _ => sql_type.clone(),
    }
}

/// A text that is longer than the column, where the file does not say what becomes of it.
fn too_short(written: Written<'_>, constant: &Constant) -> Option<String> {
    let said = match &written.mapped.content {
        Content::From(from) => from.too_long,
        Content::Constant(_, too_long) => *too_long,
        Content::Uuid | Content::Find(_) => None,
    };
    let (
        Kind::Text {
            characters: Some(most),
            ..
        },
        Constant::Text(template),
    ) = (&written.stored.kind, constant)
    else {
        return None;
    };
    let length = longest(template);
    let is_meant = matches!(said, Some(TooLong::Cut | TooLong::Null));
    (length > *most && !is_meant)
        .then(|| format!("has up to {length} characters, for which the column is too short"))
}

/// How long a text becomes, as far as that is known: of Clerk's ids, and of what stands in the file.
fn longest(template: &Template) -> usize {
    let parts = template.0.iter().map(|part| match part {
        Part::Text(text) => text.chars().count(),
        Part::Path(path, last) if Says::of("user", path) == Says::Id => {
            last.unwrap_or(ID_CHARACTERS).min(ID_CHARACTERS)
        }
        Part::Path(..) => 0,
    });
    parts.sum()
}

/// Why a value that is always the same does not fit its column.
fn misfit(written: Written<'_>, constant: &Constant) -> Option<String> {
    let value = match constant {
        Constant::Value(value) => value.clone(),
        Constant::Text(template) => Value::Text(plain(template)?),
    };
    let cell = Cell {
        value,
        keeps: false,
        said_by: None,
        instead: None,
    };
    let constant = Column {
        name: written.mapped.name.clone(),
        content: Content::Constant(constant.clone(), Some(TooLong::Cut)),
    };
    fit(&cell, &constant, written.stored)
        .err()
        .map(|misfit| misfit.problem())
}

/// The text of a template without any path.
fn plain(template: &Template) -> Option<String> {
    let parts = template.0.iter().map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Path(..) => None,
    });
    parts.collect()
}

/// The same value for every row, where only one may have it.
fn tell_repeated(subject: Subject<'_>, written: Written<'_>, notes: &mut Notes<'_>) {
    let constant = match &written.mapped.content {
        Content::From(from) => from.default.as_ref().map(|default| ("default", default)),
        Content::Constant(constant, _) => Some(("value", constant)),
        Content::Uuid | Content::Find(_) => None,
    };
    let Some((what, _)) = constant.filter(|(_, constant)| constant.paths().next().is_none()) else {
        return;
    };
    let column = &written.stored.name;
    // Rows that a partial index leaves out may well be the deleted ones.
    let counts_deleted = written.place != "on_delete";
    let index = subject
        .table
        .indexes
        .iter()
        .find(|index| index.is_over(column) && (counts_deleted || !index.is_partial));
    if let Some(index) = index {
        let text = format!(
            "the {what} of {column:?} is the same for every row, and the unique index {:?} takes it once",
            index.name
        );
        let remedy = format!("expected a path in it, such as {what} = \"…{{id}}\"");
        notes.error(&written.at(subject), text, remedy);
    }
}
