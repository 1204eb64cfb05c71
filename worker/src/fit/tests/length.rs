//! What has no room.

use super::*;

const TOO_LONG: &str = "data.field is too long for column \"c\"";

#[test]
fn what_is_too_long_is_cut_left_out_or_refused() {
    use TooLong::{Cut, DeadLetter, Null};
    let too_long = || Err(TOO_LONG.to_owned());
    let null = || Ok(Fitted::Null);
    for (path, said_so, column, expected) in [
        ("field", None, stored(characters(3)), null()),
        ("field", None, not_null(characters(3)), too_long()),
        ("field", None, unique(characters(3)), too_long()),
        ("field", Some(Cut), stored(characters(3)), as_text("é😀c")),
        ("field", Some(Cut), not_null(characters(3)), as_text("é😀c")),
        ("field", Some(Cut), unique(characters(3)), as_text("é😀c")),
        ("field", Some(Null), unique(characters(3)), null()),
        ("field", Some(Null), not_null(characters(3)), too_long()),
        ("field", Some(DeadLetter), stored(characters(3)), too_long()),
        ("field", None, stored(characters(5)), as_text("é😀cde")),
        ("field", None, stored(ANY_TEXT), as_text("é😀cde")),
        ("username", None, stored(characters(4)), as_text("é😀cd")),
        ("full_name", None, not_null(characters(4)), as_text("é😀cd")),
        (
            "public_metadata.name",
            None,
            stored(characters(4)),
            as_text("é😀cd"),
        ),
        ("username", Some(Null), stored(characters(4)), null()),
    ] {
        let mapped = From {
            too_long: said_so,
            ..from(&[path])
        };
        let fitted = fitted_from(mapped, said(said_text("é😀cde")), column.clone());
        assert_eq!(fitted, expected, "{path} {said_so:?} {column:?}");
    }
    let name = || from(&["username"]);
    let of_unique = fitted_from(name(), said(said_text("abcd")), unique(characters(3)));
    assert_eq!(
        of_unique,
        Err("data.username is too long for column \"c\"".to_owned())
    );
    let default = Cell {
        said_by: None,
        ..said(said_text("abcd"))
    };
    assert_eq!(fitted_from(name(), default, stored(characters(3))), null());
    assert_eq!(fitted(Value::Integer(12_345), characters(3)), null());
}

#[test]
fn a_constant_that_is_too_long_is_what_the_file_says() {
    for (said_so, expected) in [
        (None, Ok(Fitted::Null)),
        (Some(TooLong::Null), Ok(Fitted::Null)),
        (Some(TooLong::Cut), Ok(Fitted::Text("abc".into()))),
        (
            Some(TooLong::DeadLetter),
            Err("its value is too long for column \"c\"".to_owned()),
        ),
    ] {
        let constant = column("c", Content::Constant(text("abcd"), said_so));
        let cell = said(said_text("abcd"));
        let fitted = fit(&cell, &constant, &stored(characters(3)));
        assert_eq!(fitted.map_err(|misfit| misfit.to_string()), expected);
    }
}

#[test]
fn spaces_at_the_end_of_padded_text_do_not_count() {
    for (says, kind, expected) in [
        ("ab   ", padded(3), "ab"),
        ("ab", padded(3), "ab"),
        ("ab cd", padded(3), "ab"),
        (" abcd", padded(3), " ab"),
        ("ab \t ", padded(3), "ab"),
        ("ab   ", characters(3), "ab "),
    ] {
        let fitted = fitted_from(from(&["username"]), said(said_text(says)), stored(kind));
        assert_eq!(fitted, as_text(expected), "{says:?}");
    }
}

#[test]
fn a_text_of_which_only_blanks_are_left_gives_way_to_the_default() {
    let blanks = |instead: Option<Value>, stored| {
        let cell = Cell {
            instead: instead.map(Box::new),
            ..said(said_text("   Ada"))
        };
        fitted_from(from(&["full_name"]), cell, stored)
    };
    assert_eq!(
        blanks(Some(said_text("User")), stored(characters(3))),
        as_text("Use")
    );
    assert_eq!(
        blanks(Some(said_text("User")), stored(padded(3))),
        as_text("Use")
    );
    assert_eq!(
        blanks(Some(Value::Integer(7)), stored(characters(3))),
        as_text("7")
    );
    assert_eq!(
        blanks(Some(said_text("User")), stored(characters(4))),
        as_text("   A")
    );
    assert_eq!(blanks(None, stored(characters(3))), Ok(Fitted::Null));
    let reason = "data.full_name is too long for column \"c\"";
    assert_eq!(
        blanks(None, not_null(characters(3))),
        Err(reason.to_owned())
    );
}
