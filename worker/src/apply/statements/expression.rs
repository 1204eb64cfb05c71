//! How values of ours are assigned to columns and compared with them.

use tokio_postgres::types::Type;

use crate::database::catalogue::column::{Column, Kind};

/// How a text of ours is assigned to a column. A text type takes it as it is: a cast would cut it in silence.
pub(super) fn assigned(value: &str, column: &Column) -> String {
    match column.kind {
        Kind::Text { .. } | Kind::Time | Kind::Date => value.to_owned(),
        _ => format!("{value}::{}", column.sql_type),
    }
}

/// How a value of ours is compared with a column, so that its index serves, and with the column's idea of what is equal.
pub(super) fn compared(value: &str, column: &Column) -> String {
    let value = match (&column.kind, column.base_sql_type.as_str()) {
        (Kind::Text { .. }, "text" | "character varying") => value.to_owned(),
        // What the column rounds.
        (Kind::Time | Kind::Date | Kind::Numeric { .. }, _) => {
            format!("{value}::{}", column.exact_sql_type)
        }
        (_, base) => format!("{value}::{base}"),
    };
    match &column.collation {
        Some(collation) => format!("{value} COLLATE {collation}"),
        None => value,
    }
}

/// The same of a parameter that is an array of such values.
pub(super) fn compared_array(parameter: &str, column: &Column) -> String {
    let (given, base) = (parameter_sql_type(column), &column.base_sql_type);
    match &column.kind {
        Kind::Text { .. } if matches!(base.as_str(), "text" | "character varying") => {
            format!("{parameter}::{given}[]")
        }
        Kind::Time | Kind::Date | Kind::Numeric { .. } => {
            format!("{parameter}::{given}[]::{}[]", column.exact_sql_type)
        }
        _ => format!("{parameter}::{given}[]::{base}[]"),
    }
}

pub(super) fn parameter_sql_type(column: &Column) -> &'static str {
    match column.kind {
        Kind::Time | Kind::Date => "timestamptz",
        _ => "text",
    }
}

pub(crate) fn array_type(column: &Column) -> Type {
    match column.kind {
        Kind::Time | Kind::Date => Type::TIMESTAMPTZ_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// The statement that tells what `column` would hold, without writing, and the type of its parameter. The value is read as
/// a row takes it, with what stands in the parentheses of the type: an explicit cast would cut it in silence.
pub(crate) fn probe(column: &Column) -> (String, Type) {
    let exact = &column.exact_sql_type;
    match column.kind {
        Kind::Time | Kind::Date => (
            format!("SELECT ($1::timestamptz::{exact})::text"),
            Type::TIMESTAMPTZ,
        ),
        // Below it would be a text in JSON.
        Kind::Json => (format!("SELECT ($1::text::{exact})::text"), Type::TEXT),
        _ => (
            format!(
                "SELECT c::text FROM jsonb_to_record(jsonb_build_object('c', $1::text)) AS probe (c {exact})"
            ),
            Type::TEXT,
        ),
    }
}

/// A text of the tables file as SQL takes it literally.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
