//! What an event says of a row: a value for each column of its section.

use crate::event::about::About;
use crate::event::fields::Fields;
use crate::event::object::{ObjectId, Parent};
use crate::event::saying::Saying;
use crate::tables::path::Path;
use crate::tables::section::{Column, Constant, Content, From, Section};
use crate::tables::value::Value;

/// The values of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// One for each of [`Section::cells`]; of a deletion one for each column of `on_delete`.
    pub cells: Vec<Cell>,
    /// Whether the value of the column `link_by` is Clerk's own and, where it is an e-mail address or a phone number, verified.
    pub can_link: bool,
}

/// What an event says of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What is to be written; where `keeps` says so, only when the row is made.
    pub value: Value,
    /// Clerk says nothing, and the column is then left as it is.
    pub keeps: bool,
    /// Which of the column's `paths` has said it, where one has: not the default, not a constant.
    pub said_by: Option<usize>,
    /// The column's default, where a text begins with blanks: if it has to be cut, nothing else may be left of it.
    pub instead: Option<Box<Value>>,
}

impl Row {
    /// What an event says of the row of its object. `fields` are those that [`Section::cells`] want.
    #[must_use]
    pub fn read(section: &Section, about: &About<'_>, fields: &Fields<'_>) -> Self {
        let saying = Saying::new(about, fields);
        let cells: Vec<Cell> = section
            .cells()
            .map(|column| cell(column, &saying))
            .collect();
        let can_link = section.link_by.is_some_and(|place| {
            let (column, cell) = (section.columns.get(place), cells.get(place));
            column
                .zip(cell)
                .is_some_and(|(column, cell)| can_link(column, cell, &saying))
        });
        Self { cells, can_link }
    }

    /// What a deletion says of the row that is left. `fields` are those that `columns` want.
    #[must_use]
    pub fn of_deletion(columns: &[Column], about: &About<'_>, fields: &Fields<'_>) -> Self {
        let saying = Saying::new(about, fields);
        Self {
            cells: columns.iter().map(|column| cell(column, &saying)).collect(),
            can_link: false,
        }
    }
}

/// The objects that the row of an event refers to, where it says an id. `fields` are those that the references of `section` want.
#[must_use]
pub fn parents(section: &Section, about: &About<'_>, fields: &Fields<'_>) -> Vec<Parent> {
    let saying = Saying::new(about, fields);
    let parents = section.finds().filter_map(|(_, find)| {
        let id = saying.value(&find.id).text()?.into_owned();
        let id = ObjectId::plain(id)?;
        Some(Parent {
            family: find.family.clone(),
            id: id.as_str().to_owned(),
        })
    });
    parents.collect()
}

fn cell(column: &Column, saying: &Saying<'_>) -> Cell {
    let value = match &column.content {
        Content::From(from) => return said(from, saying),
        Content::Constant(constant, _) => written(constant, saying),
        // The statement makes it.
        Content::Uuid => Value::Nothing,
        // Whose row it is; what that row says the database knows.
        Content::Find(find) => saying.value(&find.id),
    };
    Cell {
        value,
        keeps: false,
        said_by: None,
        instead: None,
    }
}

fn said(from: &From, saying: &Saying<'_>) -> Cell {
    let default = || {
        from.default
            .as_ref()
            .map(|default| written(default, saying))
    };
    let says = |path| said_at(path, from, saying);
    let first = from
        .paths
        .iter()
        .map(says)
        .enumerate()
        .find(|(_, value)| *value != Value::Nothing);
    let Some((place, value)) = first else {
        return Cell {
            value: default().unwrap_or(Value::Nothing),
            keeps: from.keeps_when_silent,
            said_by: None,
            instead: None,
        };
    };
    let begins_blank = matches!(&value, Value::Text(text) if text.starts_with(char::is_whitespace));
    Cell {
        instead: begins_blank.then(default).flatten().map(Box::new),
        value,
        keeps: false,
        said_by: Some(place),
    }
}

/// What a path says, in other words where there is a map.
fn said_at(path: &Path, from: &From, saying: &Saying<'_>) -> Value {
    let mut value = saying.value(path);
    if let (true, Value::Text(text)) = (from.as_lower, &mut value) {
        *text = text.to_lowercase();
    }
    let Some(map) = &from.map else {
        return value;
    };
    let word = value.text().and_then(|word| map.get(&*word));
    word.map_or(Value::Nothing, |word| written(word, saying))
}

fn written(constant: &Constant, saying: &Saying<'_>) -> Value {
    match constant {
        Constant::Text(template) => Value::Text(saying.text(template)),
        Constant::Value(value) => value.clone(),
    }
}

/// A row is given to somebody only by what Clerk says itself.
fn can_link(column: &Column, cell: &Cell, saying: &Saying<'_>) -> bool {
    let Content::From(from) = &column.content else {
        return false;
    };
    let path = cell.said_by.and_then(|place| from.paths.get(place));
    // The other words of a map may have been said at other paths.
    let mut words = from
        .map
        .iter()
        .flat_map(|map| map.values())
        .flat_map(Constant::paths);
    path.is_some_and(|path| saying.is_sure(path)) && words.all(|path| saying.is_sure(path))
}

#[cfg(test)]
mod tests;
