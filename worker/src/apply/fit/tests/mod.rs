mod kinds;
mod length;
mod payloads;

use super::*;
use crate::tables::example::{column, from, text};
use crate::tables::section::From;

/// A column that takes NULL.
fn stored(kind: Kind) -> Stored {
    Stored {
        name: "c".to_owned(),
        kind,
        exact_sql_type: "exactly".to_owned(),
        takes_null: true,
        ..Stored::default()
    }
}

fn not_null(kind: Kind) -> Stored {
    Stored {
        takes_null: false,
        ..stored(kind)
    }
}

fn unique(kind: Kind) -> Stored {
    Stored {
        is_unique: true,
        ..stored(kind)
    }
}

const fn characters(most: usize) -> Kind {
    Kind::Text {
        characters: Some(most),
        is_padded: false,
    }
}

const fn padded(most: usize) -> Kind {
    Kind::Text {
        characters: Some(most),
        is_padded: true,
    }
}

const ANY_TEXT: Kind = Kind::Text {
    characters: None,
    is_padded: false,
};

const NUMERIC: Kind = Kind::Numeric { digits: None };

fn text_array() -> Kind {
    Kind::TextArray(Box::new(ANY_TEXT))
}

fn smallint() -> Kind {
    Kind::Integer {
        least: i16::MIN.into(),
        greatest: i16::MAX.into(),
    }
}

fn said(value: Value) -> Cell {
    Cell {
        value,
        keeps: false,
        said_by: Some(0),
        instead: None,
    }
}

fn said_text(says: &str) -> Value {
    Value::Text(says.to_owned())
}

fn number(says: &str) -> Value {
    Value::Number(says.to_owned())
}

fn json_of(says: &str) -> Value {
    Value::Json(says.to_owned())
}

/// What becomes of a value that `data.field` says.
fn fitted(value: Value, kind: Kind) -> Result<Fitted<'static>, String> {
    fitted_from(from(&["field"]), said(value), stored(kind))
}

fn fitted_from(from: From, cell: Cell, stored: Stored) -> Result<Fitted<'static>, String> {
    match fit(&cell, &column("c", Content::From(from)), &stored) {
        Ok(Fitted::Null) => Ok(Fitted::Null),
        Ok(Fitted::Text(text)) => Ok(Fitted::Text(text.into_owned().into())),
        Ok(Fitted::Time(time)) => Ok(Fitted::Time(time)),
        Err(misfit) => Err(misfit.to_string()),
    }
}

fn as_text(says: &str) -> Result<Fitted<'static>, String> {
    Ok(Fitted::Text(says.to_owned().into()))
}

fn unreadable(expected: &str) -> Result<Fitted<'static>, String> {
    Err(format!(
        "data.field does not read as {expected}, which column \"c\" takes"
    ))
}

#[test]
fn nothing_is_null_where_the_column_takes_it() {
    let nothing = || Cell {
        said_by: None,
        ..said(Value::Nothing)
    };
    for kind in [
        ANY_TEXT,
        Kind::Time,
        Kind::Boolean,
        Kind::Json,
        text_array(),
        Kind::Other,
    ] {
        assert_eq!(
            fitted_from(from(&["a"]), nothing(), stored(kind.clone())),
            Ok(Fitted::Null)
        );
        let refused = fitted_from(from(&["a"]), nothing(), not_null(kind));
        let reason = "data.a says nothing, and column \"c\" takes no NULL";
        assert_eq!(refused, Err(reason.to_owned()));
    }
}

#[test]
fn a_misfit_names_what_says_it_and_the_column_but_not_the_value() {
    let says = said_text("secret");
    for (paths, said_by, default, expected) in [
        (vec!["username"], Some(0), None, "data.username"),
        (vec!["a.b", "m.0.x"], Some(1), None, "data.m.0.x"),
        (
            vec!["primary_email_address"],
            Some(0),
            None,
            "data.primary_email_address",
        ),
        (vec!["event.type"], Some(0), None, "event.type"),
        (vec!["now"], Some(0), None, "now"),
        (vec!["data"], Some(0), None, "data"),
        (vec!["username"], None, Some(text("secret")), "its default"),
        (
            vec!["username", "full_name"],
            None,
            None,
            "data.username or data.full_name",
        ),
    ] {
        let mapped = From {
            default,
            ..from(&paths)
        };
        let cell = Cell {
            said_by,
            ..said(says.clone())
        };
        let reason = fitted_from(mapped, cell, stored(Kind::Boolean)).unwrap_err();
        let rest = " does not read as true or false, which column \"c\" takes";
        assert_eq!(reason, format!("{expected}{rest}"));
    }
    let constant = column("c", Content::Constant(text("secret"), None));
    let misfit = fit(&said(says), &constant, &stored(Kind::Uuid)).unwrap_err();
    assert_eq!(
        misfit.to_string(),
        "its value does not read as a UUID, which column \"c\" takes"
    );
}
