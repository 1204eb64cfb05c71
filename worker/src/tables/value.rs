//! What is written to a column, before anybody has looked at the column's type.

use std::borrow::Cow;

/// A value, of Clerk's or of the file's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing is said: NULL.
    Nothing,
    /// Text: without NUL, and with U+FFFD for half a surrogate.
    Text(String),
    /// A whole number that JSON writes as Rust does.
    Integer(i64),
    /// Any other number, as JSON writes it.
    Number(String),
    /// `true` or `false`
    Boolean(bool),
    /// An object or an array, as JSON writes it; without what PostgreSQL cannot hold in JSON.
    Json(String),
}

impl Value {
    /// As text: numbers, booleans, objects and arrays as JSON writes them. `None` where nothing is said.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Nothing => return None,
            Self::Text(text) | Self::Number(text) | Self::Json(text) => text.as_str().into(),
            Self::Integer(number) => number.to_string().into(),
            Self::Boolean(true) => "true".into(),
            Self::Boolean(false) => "false".into(),
        })
    }
}
