//! What each type takes.

use std::time::Duration;

use super::*;

#[test]
fn text_takes_texts_numbers_and_booleans() {
    for (value, expected) in [
        (said_text(" Ada\t"), " Ada\t"),
        (Value::Integer(-7), "-7"),
        (number("1.50"), "1.50"),
        (Value::Boolean(true), "true"),
        (Value::Boolean(false), "false"),
    ] {
        assert_eq!(fitted(value.clone(), ANY_TEXT), as_text(expected));
        assert_eq!(fitted(value.clone(), Kind::Other), as_text(expected));
        let words = Kind::Enum(vec!["other".to_owned(), expected.to_owned()]);
        assert_eq!(fitted(value, words), as_text(expected));
    }
    for json in ["{}", "[]", r#"["a"]"#] {
        assert_eq!(fitted(json_of(json), ANY_TEXT), unreadable("text"));
        assert_eq!(fitted(json_of(json), Kind::Other), as_text(json));
    }
    let words = || Kind::Enum(vec!["ADMIN".to_owned(), "[]".to_owned()]);
    for value in [
        said_text("admin"),
        said_text("ADMIN "),
        Value::Integer(0),
        json_of("[]"),
    ] {
        let reason = "data.field is none of the words that column \"c\" takes".to_owned();
        assert_eq!(fitted(value, words()), Err(reason));
    }
}

#[test]
fn times_are_milliseconds_or_iso() {
    let at = |milliseconds: u64| {
        Ok(Fitted::Time(
            SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds),
        ))
    };
    for (value, expected) in [
        (Value::Integer(1_716_883_200_406), 1_716_883_200_406),
        (Value::Integer(253_402_300_799_999), 253_402_300_799_999),
        (number("1.716883200406e12"), 1_716_883_200_406),
        (number("1716883200406.000"), 1_716_883_200_406),
        (number("-0"), 0),
        (said_text("2024-05-28T08:00:00.406Z"), 1_716_883_200_406),
        (
            said_text("2024-05-28 10:00:00.406+02:00"),
            1_716_883_200_406,
        ),
        (said_text("2024-05-28T04:00:00.406-04"), 1_716_883_200_406),
        (said_text("2024-05-28T08:00:00.406"), 1_716_883_200_406),
        (said_text("20240528T080000.406Z"), 1_716_883_200_406),
        (said_text("2024-05-28T08:00"), 1_716_883_200_000),
        (said_text("2024-05-28"), 1_716_854_400_000),
        (said_text("9999-12-31T23:59:59.999Z"), 253_402_300_799_999),
    ] {
        assert_eq!(fitted(value.clone(), Kind::Time), at(expected), "{value:?}");
        assert_eq!(fitted(value.clone(), Kind::Date), at(expected), "{value:?}");
    }
    let year_1 = SystemTime::UNIX_EPOCH - Duration::from_millis(62_135_596_800_000);
    for value in [Value::Integer(-62_135_596_800_000), said_text("0001-01-01")] {
        assert_eq!(fitted(value, Kind::Time), Ok(Fitted::Time(year_1)));
    }
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_micros(1_500);
    let fitted_before_1970 = fitted(said_text("1969-12-31T23:59:59.9985Z"), Kind::Time);
    assert_eq!(fitted_before_1970, Ok(Fitted::Time(before_1970)));
    let texts = [
        "",
        "now",
        "today",
        "infinity",
        "-infinity",
        "epoch",
        "allballs",
        "1716883200406",
        "2024",
        "2024-05",
        "2024-13-01",
        "2024-02-30",
        "2024-05-28T25:00Z",
        "28.05.2024",
        "May 28 2024",
        "2024-05-28T08:00:00Z ",
        "2024-05-28T08:00:00Z[Europe/Paris]",
        "2024-05-28T08:00[UTC]",
        "0000-12-31",
        "-000001-01-01",
        "+010000-01-01",
        "10000-01-01",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:30-01:00",
        "2024-05-28 BC",
        "0044-03-15 BC",
        "2024-05-28T08:00:00 Europe/Paris",
    ];
    let others = [
        Value::Integer(253_402_300_800_000),
        Value::Integer(-62_135_596_800_001),
        Value::Integer(i64::MIN),
        number("1.5"),
        number("1e300"),
        number("1e400"),
        Value::Boolean(true),
        json_of("[]"),
        json_of("{}"),
    ];
    for value in texts.into_iter().map(said_text).chain(others) {
        assert_eq!(
            fitted(value.clone(), Kind::Time),
            unreadable("a time"),
            "{value:?}"
        );
    }
}

#[test]
fn booleans_and_numbers_are_their_json_or_text_that_reads_as_one() {
    for (value, kind, expected) in [
        (Value::Boolean(true), Kind::Boolean, "true"),
        (said_text("false"), Kind::Boolean, "false"),
        (Value::Integer(-32_768), smallint(), "-32768"),
        (said_text("32767"), smallint(), "32767"),
        (said_text("+007"), smallint(), "7"),
        (number("1.0e3"), smallint(), "1000"),
        (number("-0"), smallint(), "0"),
        (Value::Integer(i64::MAX), NUMERIC, "9223372036854775807"),
        (number("1.50"), NUMERIC, "1.50"),
        (number("1e131071"), NUMERIC, "1e131071"),
        (said_text("-.5E-3"), NUMERIC, "-.5E-3"),
        (said_text("+5."), NUMERIC, "+5."),
        (number("1e308"), Kind::Real, "1e308"),
        (number("0e-400"), Kind::Real, "0e-400"),
        (said_text("-0.1"), Kind::Real, "-0.1"),
        (Value::Integer(7), Kind::Real, "7"),
    ] {
        assert_eq!(fitted(value.clone(), kind), as_text(expected), "{value:?}");
    }
    let small = "a whole number from -32768 to 32767";
    for (kind, expected, values) in [
        (
            Kind::Boolean,
            "true or false",
            ["True", "t", "1", "", " true"],
        ),
        (smallint(), small, ["32768", "1.0", "1e3", "0x10", " 7"]),
        (
            NUMERIC,
            "a decimal number",
            ["NaN", "Infinity", "1e131072", "1e-16384", "."],
        ),
        (
            NUMERIC,
            "a decimal number",
            ["1_000", "0x10", "1e", "- 1", "１"],
        ),
        (
            Kind::Real,
            "a floating-point number",
            ["nan", "-inf", "1e309", "1e-400", "infinity"],
        ),
    ] {
        for says in values {
            let fitted = fitted(said_text(says), kind.clone());
            assert_eq!(fitted, unreadable(expected), "{says:?}");
        }
        let others = [json_of("[]"), json_of("1")];
        for value in others {
            assert_eq!(fitted(value, kind.clone()), unreadable(expected));
        }
    }
    for value in [
        number("1.5"),
        number("1e300"),
        number("9223372036854775808"),
        Value::Integer(32_768),
        Value::Boolean(true),
    ] {
        assert_eq!(fitted(value, smallint()), unreadable(small));
    }
    assert_eq!(
        fitted(Value::Boolean(true), Kind::Real),
        unreadable("a floating-point number")
    );
    assert_eq!(
        fitted(Value::Integer(1), Kind::Boolean),
        unreadable("true or false")
    );
}

#[test]
fn a_single_real_holds_less_than_a_double_one() {
    let single = |says| {
        let column = Stored {
            base_sql_type: "real".to_owned(),
            ..stored(Kind::Real)
        };
        fitted_from(from(&["field"]), said(number(says)), column).is_ok()
    };
    assert!(single("3.4e38") && single("1e-45"));
    assert!(!single("3.5e38") && !single("1e-46"));
}

#[test]
fn a_uuid_is_any_that_postgresql_reads() {
    let plain = "0b5f1a4e-7c39-4d6f-9a8e-2b1c3d4e5f60";
    for says in [
        plain.to_owned(),
        plain.to_uppercase(),
        plain.replace('-', ""),
        format!("{{{plain}}}"),
    ] {
        assert_eq!(fitted(said_text(&says), Kind::Uuid), as_text(&says));
    }
    for says in [
        format!("urn:uuid:{plain}"),
        format!("{plain} "),
        plain.replace("0b", "0g"),
        "user_1".to_owned(),
    ] {
        assert_eq!(fitted(said_text(&says), Kind::Uuid), unreadable("a UUID"));
    }
    assert_eq!(fitted(Value::Integer(7), Kind::Uuid), unreadable("a UUID"));
}

#[test]
fn json_takes_any_value_that_jsonb_holds() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for (value, expected) in [
        (said_text("a\"\\\n"), r#""a\"\\\n""#),
        (said_text("7"), "\"7\""),
        (Value::Integer(7), "7"),
        (number("1.50"), "1.50"),
        (Value::Boolean(false), "false"),
        (json_of("{}"), "{}"),
        (
            json_of(r#"{"a": ["1e999999", "\"1e999999", 1.50, null]}"#),
            r#"{"a": ["1e999999", "\"1e999999", 1.50, null]}"#,
        ),
        (json_of(&deep(5000)), &deep(5000)),
        (
            json_of(&format!("[{}]", "[],".repeat(2000) + "0")),
            &format!("[{}]", "[],".repeat(2000) + "0"),
        ),
    ] {
        assert_eq!(fitted(value, Kind::Json), as_text(expected));
    }
    for value in [
        number("1e999999"),
        json_of("[1,-1E+999999]"),
        json_of(r#"{"\\":1e-20000}"#),
        json_of(&deep(5001)),
    ] {
        assert_eq!(
            fitted(value, Kind::Json),
            unreadable("JSON that can be stored")
        );
    }
}

#[test]
fn a_list_of_texts_is_a_list_of_texts() {
    for (json, expected) in [
        ("[]", "{}"),
        (r#"["a", "b c", ""]"#, r#"{"a","b c",""}"#),
        (
            r#"["NULL", "{,}", "\"", "\\", "a\nb"]"#,
            "{\"NULL\",\"{,}\",\"\\\"\",\"\\\\\",\"a\nb\"}",
        ),
        (r#"["\ud83d\ude00", "\ufffd"]"#, "{\"😀\",\"\u{fffd}\"}"),
    ] {
        assert_eq!(
            fitted(json_of(json), text_array()),
            as_text(expected),
            "{json}"
        );
    }
    let no_lists = [
        r#"["a",7]"#,
        "[true]",
        "[null]",
        r#"[["a"]]"#,
        "[{}]",
        "{}",
        r#"{"a":"b"}"#,
    ];
    let others = [
        said_text("{a}"),
        said_text("a"),
        Value::Integer(7),
        Value::Boolean(true),
    ];
    for value in no_lists.into_iter().map(json_of).chain(others) {
        assert_eq!(
            fitted(value.clone(), text_array()),
            unreadable("a list of texts"),
            "{value:?}"
        );
    }
}

/// numeric(6,2), numeric(2,4) and numeric(2,-3), all of which PostgreSQL has.
#[test]
fn a_numeric_with_a_precision_holds_what_has_room_once_it_is_rounded() {
    for (digits, fits, others) in [
        (
            (4, 2),
            [
                "0",
                "9999.99",
                "-9999.994",
                "0009999",
                "99.9999e2",
                "9.5",
                "1e-400",
                "0e9",
            ],
            [
                "10000",
                "9999.995",
                "-9999.995",
                "1e4",
                "1e131071",
                "99999",
                "99.99995e2",
                "123456",
            ],
        ),
        (
            (-2, 4),
            [
                "0", "0.0099", "0.00994", "-0.00", "99e-4", "0.001", "1e-9", "0.0",
            ],
            [
                "0.01", "0.00995", "1", "-0.01", "100e-4", "0.1", "9", "0.1e-1",
            ],
        ),
        (
            (5, -3),
            [
                "0", "99000", "99499", "99499.9", "499", "1", "-99000", "0.5",
            ],
            [
                "99500", "100000", "1e5", "-99500", "999999", "99999", "99999.9", "1e9",
            ],
        ),
    ] {
        for (says, has_room) in fits
            .map(|says| (says, true))
            .into_iter()
            .chain(others.map(|says| (says, false)))
        {
            let kind = Kind::Numeric {
                digits: Some(digits),
            };
            let fitted = fitted(number(says), kind);
            let expected = match has_room {
                true => as_text(says),
                false => unreadable("a decimal number that exactly holds"),
            };
            assert_eq!(fitted, expected, "{digits:?} {says}");
        }
    }
}

#[test]
fn a_list_has_what_its_column_takes() {
    let words = Kind::Enum(vec!["sad".to_owned(), "glad".to_owned()]);
    let listed = |json: &str, element: Kind, too_long| {
        let from = From {
            too_long,
            ..from(&["field"])
        };
        let kind = Kind::TextArray(Box::new(element));
        fitted_from(from, said(json_of(json)), stored(kind))
    };
    let too_long = || Err("data.field has a text that is too long for column \"c\"".to_owned());
    let dead = Some(TooLong::DeadLetter);
    for (json, element, option, expected) in [
        (
            r#"["sad","glad"]"#,
            words.clone(),
            None,
            as_text(r#"{"sad","glad"}"#),
        ),
        (
            r#"["sad","mad"]"#,
            words,
            None,
            Err("data.field has a word that column \"c\" does not take".to_owned()),
        ),
        (r#"["😀bcd"]"#, characters(4), None, as_text(r#"{"😀bcd"}"#)),
        (r#"["a","abcde"]"#, characters(4), None, too_long()),
        (r#"["a","abcde"]"#, characters(4), dead, too_long()),
        (
            r#"["a","abcde"]"#,
            characters(4),
            Some(TooLong::Cut),
            as_text(r#"{"a","abcd"}"#),
        ),
        (
            r#"["a","abcde"]"#,
            characters(4),
            Some(TooLong::Null),
            Ok(Fitted::Null),
        ),
        (r#"["abcd  "]"#, padded(4), None, as_text(r#"{"abcd"}"#)),
        (r#"["abcde"]"#, padded(4), None, too_long()),
    ] {
        assert_eq!(listed(json, element, option), expected, "{json}");
    }
}
