//! Why a value cannot be written to its column.

use std::borrow::Cow;

use crate::event::row::Cell;
use crate::tables::path::Path;
use crate::tables::section::{Column, Content};

/// Why a value cannot be written to its column. Names the field and the column, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct Misfit {
    /// The field that says it, or that says nothing.
    what: String,
    problem: Problem,
}

/// What is wrong with it, and with which column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("says nothing, and column \"{0}\" takes no NULL")]
    Nothing(String),
    #[error("says nothing, and column \"{0}\" is of the key")]
    NoKey(String),
    #[error("is too long for column \"{0}\"")]
    TooLong(String),
    #[error("is none of the words that column \"{0}\" takes")]
    NoWord(String),
    #[error("has a text that is too long for column \"{0}\"")]
    TooLongInList(String),
    #[error("has a word that column \"{0}\" does not take")]
    NoWordInList(String),
    #[error("does not read as {1}, which column \"{0}\" takes")]
    Unreadable(String, Cow<'static, str>),
    #[error("says no id, which column \"{0}\" needs to find a row")]
    NoId(String),
    #[error("refers to an object that is deleted, and column \"{0}\" takes no NULL")]
    Gone(String),
    #[error("is refused by the check {1} of the type of column \"{0}\"")]
    Checked(String, String),
}

impl Misfit {
    /// Of the key, which holds Clerk's id.
    pub(crate) fn of_id(problem: Problem) -> Self {
        let what = "data.id".to_owned();
        Self { what, problem }
    }

    pub(crate) fn new(cell: &Cell, mapped: &Column, problem: Problem) -> Self {
        let what = match &mapped.content {
            Content::From(from) => match cell.said_by {
                Some(place) => from.paths.get(place).map(name).unwrap_or_default(),
                None if from.default.is_some() => "its default".to_owned(),
                None => from.paths.iter().map(name).collect::<Vec<_>>().join(" or "),
            },
            Content::Constant(..) | Content::Uuid => "its value".to_owned(),
            Content::Find(find) => name(&find.id),
        };
        Self { what, problem }
    }

    /// What is wrong with it, whatever says it.
    pub(crate) fn problem(&self) -> String {
        self.problem.to_string()
    }
}

/// As people look for it in a payload.
fn name(path: &Path) -> String {
    match path {
        Path::Computed(_) | Path::Field(_) => format!("data.{path}"),
        Path::Null | Path::Now | Path::Event(_) | Path::Data => path.to_string(),
    }
}
