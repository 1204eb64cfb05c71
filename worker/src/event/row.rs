//! What an event says of a row: a value for each column of its section.

use crate::tables::value::Value;

/// The values of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// One for each of [`crate::tables::section::Section::cells`]; of a deletion one for each column of `on_delete`.
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
}
