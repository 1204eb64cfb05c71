//! Any payload with any mapping.

use proptest::prelude::*;
use serde_json::value::RawValue;
use shared::svix_id::SvixId;

use super::*;
use crate::event::about::About;
use crate::event::row::Row;
use crate::event::wanted::Wanted;
use crate::tables::example::{map, section};
use crate::tables::section::Constant;

/// Paths of all kinds, and the fields that they lead through.
const PATHS: [&str; 22] = [
    "null",
    "now",
    "data",
    "event.id",
    "event.type",
    "event.timestamp",
    "event.received_at",
    "event.instance_id",
    "full_name",
    "primary_email_address",
    "primary_email_verified",
    "primary_email_local_part",
    "primary_phone_number",
    "primary_web3_wallet",
    "id",
    "username",
    "email_addresses.0.email_address",
    "phone_numbers.1",
    "public_metadata.role",
    "public_metadata.list.0.role",
    "unsafe_metadata",
    "updated_at",
];
const NAMES: [&str; 20] = [
    "id",
    "username",
    "first_name",
    "last_name",
    "email_addresses",
    "email_address",
    "primary_email_address_id",
    "phone_numbers",
    "phone_number",
    "primary_phone_number_id",
    "web3_wallets",
    "web3_wallet",
    "primary_web3_wallet_id",
    "public_metadata",
    "unsafe_metadata",
    "updated_at",
    "role",
    "list",
    "verification",
    "status",
];

/// A string of pieces, the nasty ones of JSON among them.
fn string() -> impl Strategy<Value = String> {
    const PIECES: [&str; 14] = [
        "a",
        "é",
        "😀",
        " ",
        r"\n",
        r#"\""#,
        r"\\",
        r"\u0000",
        r"\ud83d",
        r"\ude00",
        r"\ud83d\ude00",
        r"\u0041",
        "@",
        "verified",
    ];
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..6)
        .prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A JSON text. Names are few, so that paths lead somewhere.
fn any_json() -> impl Strategy<Value = String> {
    const SCALARS: [&str; 12] = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "7",
        "1716883200406",
        "1.50",
        "-1e3",
        "1e400",
        "9223372036854775808",
        r#""one""#,
    ];
    let scalar = prop_oneof![
        proptest::sample::select(&SCALARS[..]).prop_map(str::to_owned),
        string()
    ];
    scalar.prop_recursive(4, 40, 6, |json| {
        let list = proptest::collection::vec(json.clone(), 0..4);
        prop_oneof![
            list.prop_map(|entries| format!("[{}]", entries.join(","))),
            object(json)
        ]
    })
}

fn object(json: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        9 => proptest::sample::select(&NAMES[..]).prop_map(|name| format!("\"{name}\"")),
        1 => string(),
    ];
    // The same name twice is rarely what a test is to be about.
    proptest::collection::btree_map(name, json, 0..12).prop_map(|fields| {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, json)| format!("{name}:{json}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn any_constant() -> impl Strategy<Value = Constant> {
    let texts = [
        "User",
        "",
        "  ",
        "user-{id:3}",
        "{data}{unsafe_metadata:2}",
        "{public_metadata.role}",
    ];
    prop_oneof![
        proptest::sample::select(texts.to_vec()).prop_map(text),
        any::<i64>().prop_map(|number| Constant::Value(Value::Integer(number))),
    ]
}

fn any_from() -> impl Strategy<Value = From> {
    let paths = proptest::collection::vec(proptest::sample::select(&PATHS[..]), 1..4);
    let too_long = [TooLong::Cut, TooLong::Null, TooLong::DeadLetter];
    let too_long = proptest::option::of(proptest::sample::select(too_long.to_vec()));
    let default = proptest::option::of(any_constant());
    let word = proptest::option::weighted(0.2, any_constant());
    (paths, any::<bool>(), word, default, any::<bool>(), too_long).prop_map(
        |(paths, as_lower, word, default, keeps_when_silent, too_long)| From {
            as_lower,
            map: word.and_then(|word| map(&[("a", word.clone()), ("true", word)])),
            default,
            keeps_when_silent,
            too_long,
            ..from(&paths)
        },
    )
}

fn any_stored() -> impl Strategy<Value = Stored> {
    let kinds = vec![
        ANY_TEXT,
        characters(3),
        padded(3),
        Kind::Enum(vec!["User".to_owned()]),
        Kind::Time,
        Kind::Date,
        Kind::Boolean,
        smallint(),
        NUMERIC,
        Kind::Real,
        Kind::Uuid,
        Kind::Json,
        text_array(),
        Kind::Other,
    ];
    let flags = (any::<bool>(), any::<bool>());
    (proptest::sample::select(kinds), flags).prop_map(|(kind, (takes_null, is_unique))| Stored {
        takes_null,
        is_unique,
        ..stored(kind)
    })
}

/// Whether each string in it, names included, is a text without NUL.
fn is_clean_json(json: &str) -> bool {
    // The only number here that is out of range for Rust.
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&json.replace("1e400", "7"));
    parsed.is_ok_and(|value| !value.to_string().contains(r"\u0000"))
}

fn is_clean(value: &Value) -> bool {
    let json = match value {
        Value::Json(json) => json.as_str(),
        _ => "0",
    };
    is_clean_json(json) && !value.text().is_some_and(|text| text.contains('\0'))
}

proptest! {
    #[test]
    fn whatever_is_said_what_is_written_is_text_that_postgresql_can_hold(
        data in object(any_json()),
        columns in proptest::collection::vec((any_from(), any_stored()), 1..8),
    ) {
        let (froms, stored): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let mapped = froms.into_iter().map(|from| column("c", Content::From(from)));
        let mut section = section(mapped.collect());
        section.link_by = Some(0);
        let about = About {
            svix_id: &SvixId::parse("msg_1").unwrap(),
            event_type: "user.updated",
            timestamp: None,
            received_at: SystemTime::UNIX_EPOCH,
            instance_id: None,
            now: SystemTime::UNIX_EPOCH,
        };
        let data: &RawValue = serde_json::from_str(&data).unwrap();
        let wanted = Wanted::by(section.cells());
        let row = Row::read(&section, &about, &wanted.read(data).unwrap());
        for ((cell, mapped), stored) in row.cells.iter().zip(&section.columns).zip(&stored) {
            prop_assert!(is_clean(&cell.value), "{cell:?}");
            prop_assert!(cell.instead.as_deref().is_none_or(is_clean), "{cell:?}");
            match fit(cell, mapped, stored) {
                Ok(Fitted::Null) => prop_assert!(stored.takes_null),
                Ok(Fitted::Time(_)) => prop_assert!(matches!(stored.kind, Kind::Time | Kind::Date)),
                Ok(Fitted::Text(text)) => {
                    prop_assert!(!text.contains('\0'));
                    if let Kind::Text { characters: Some(most), .. } = stored.kind {
                        prop_assert!(text.chars().count() <= most);
                    }
                    if stored.kind == Kind::Json {
                        prop_assert!(is_clean_json(&text), "{text}");
                    }
                }
                Err(misfit) => prop_assert!(misfit.to_string().ends_with(['L', '"', 's'])),
            }
        }
    }
}
