//! What is written to a column, before anybody has looked at the column's type.

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
