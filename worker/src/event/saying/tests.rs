use std::time::{Duration, SystemTime};

use shared::svix_id::SvixId;

use super::*;
use crate::event::wanted::Wanted;
use crate::tables::example::{column, from, path, text as constant};
use crate::tables::section::{Constant, Content};

const USER: &str = include_str!("../../../../shared/fixtures/user.updated.json");

/// What is asked of an event with this `data`, for which `paths` were wanted.
fn ask<T>(data: &str, paths: &[&str], question: impl Fn(&Saying<'_>) -> T) -> T {
    ask_sent_at("1716883300150", data, paths, question)
}

fn ask_sent_at<T>(
    timestamp: &str,
    data: &str,
    paths: &[&str],
    question: impl Fn(&Saying<'_>) -> T,
) -> T {
    let json = |json| serde_json::from_str::<&RawValue>(json).unwrap();
    let about = About {
        svix_id: &SvixId::parse("msg_1").unwrap(),
        event_type: "user.updated",
        timestamp: Some(json(timestamp)),
        received_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_716_883_300_420),
        instance_id: Some(json(r#""ins_1""#)),
        now: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_885_200_000),
    };
    let wanted = Wanted::by(&[column("c", Content::From(from(paths)))]);
    let fields = wanted.read(json(data)).unwrap();
    question(&Saying::new(&about, &fields))
}

fn value_of(data: &str, asked: &str) -> Value {
    ask(data, &[asked], |saying| saying.value(&path(asked)))
}

fn text_of(says: &str) -> Value {
    Value::Text(says.to_owned())
}

fn number_of(says: &str) -> Value {
    Value::Number(says.to_owned())
}

fn json_of(says: &str) -> Value {
    Value::Json(says.to_owned())
}

/// A user with this primary entry and another one beside it.
fn contact(kind: [&str; 3], says: &str, verification: &str) -> String {
    let [primary, entries, entry] = kind;
    let other = format!(r#"{{"id":"other","{entry}":"x","verification":{{"status":"verified"}}}}"#);
    let primary_one = format!(r#"{{"{entry}":{says},"id":"one","verification":{verification}}}"#);
    format!(r#"{{"{primary}":"one","{entries}":[{other},{primary_one}]}}"#)
}

const EMAIL: [&str; 3] = [
    "primary_email_address_id",
    "email_addresses",
    "email_address",
];
const PHONE: [&str; 3] = ["primary_phone_number_id", "phone_numbers", "phone_number"];
const WALLET: [&str; 3] = ["primary_web3_wallet_id", "web3_wallets", "web3_wallet"];
const VERIFIED: &str = r#"{"status":"verified"}"#;

#[test]
fn a_field_says_what_json_says() {
    for (json, expected) in [
        (r#""Ada""#, text_of("Ada")),
        (r#"" Ada\t""#, text_of(" Ada\t")),
        (r#""A\u0000da\ud83d""#, text_of("Ada\u{fffd}")),
        (r#""""#, Value::Nothing),
        (r#"" \t\u00a0\u2003\n""#, Value::Nothing),
        (r#""\u0000 \u0000""#, Value::Nothing),
        ("null", Value::Nothing),
        ("true", Value::Boolean(true)),
        ("false", Value::Boolean(false)),
        ("0", Value::Integer(0)),
        ("-7", Value::Integer(-7)),
        ("-9223372036854775808", Value::Integer(i64::MIN)),
        ("9223372036854775808", number_of("9223372036854775808")),
        ("-0", number_of("-0")),
        ("1.50", number_of("1.50")),
        ("1E3", number_of("1E3")),
        ("1e999", number_of("1e999")),
        ("[]", json_of("[]")),
        ("{}", json_of("{}")),
        (
            r#"{"a": ["\u0000", 1.50]}"#,
            json_of(r#"{"a": ["\ufffd", 1.50]}"#),
        ),
    ] {
        let data = format!(r#"{{"field":{json}}}"#);
        assert_eq!(value_of(&data, "field"), expected, "{json}");
    }
    assert_eq!(value_of("{}", "field"), Value::Nothing);
}

#[test]
fn a_path_leads_through_objects_and_lists_and_says_nothing_where_it_leads_nowhere() {
    let data = r#"{"m":{"a":{"b":"x","0":"zero"},"n":null,"t":"text","twice":1,"twice":2,"\ud83d":0},
                   "l":[{"v":1},[2,3]],"":{"":4}}"#;
    for (asked, expected) in [
        ("m.a.b", text_of("x")),
        ("m.a.0", text_of("zero")),
        ("m.a", json_of(r#"{"b":"x","0":"zero"}"#)),
        ("l.0.v", Value::Integer(1)),
        ("l.1.1", Value::Integer(3)),
        (".", Value::Integer(4)),
        ("m.b", Value::Nothing),
        ("m.n.b", Value::Nothing),
        ("m.t.b", Value::Nothing),
        ("m.t.0", Value::Nothing),
        ("m.a.b.c", Value::Nothing),
        ("m.twice", Value::Nothing),
        ("l.2", Value::Nothing),
        ("l.v", Value::Nothing),
        ("l.-1", Value::Nothing),
        ("l.0.v.0", Value::Nothing),
        ("x.y", Value::Nothing),
    ] {
        assert_eq!(value_of(data, asked), expected, "{asked}");
    }
}

#[test]
fn nesting_of_any_depth_is_read() {
    let deep = format!(
        r#"{{"a":{}1{}}}"#,
        r#"{"b":["#.repeat(20_000),
        "]}".repeat(20_000)
    );
    let asked = format!("a{}", ".b.0".repeat(200));
    assert!(matches!(value_of(&deep, &asked), Value::Json(_)));
}

#[test]
fn names_are_joined_without_the_blank_ones() {
    for (first, last, expected) in [
        (r#""Ada""#, r#""King""#, text_of("Ada King")),
        (r#"" Ada ""#, r#""King""#, text_of(" Ada  King")),
        (r#""Ada""#, "null", text_of("Ada")),
        (r#"" ""#, r#""King""#, text_of("King")),
        (r#""\u0000""#, r#""K\u0000ing""#, text_of("King")),
        (r#""A\ud83d""#, r#""\u00a0""#, text_of("A\u{fffd}")),
        ("null", r#""\t""#, Value::Nothing),
        ("{}", r#""King""#, text_of("King")),
        ("7", "[]", Value::Nothing),
    ] {
        let data = format!(r#"{{"first_name":{first},"last_name":{last}}}"#);
        assert_eq!(value_of(&data, "full_name"), expected, "{data}");
    }
    assert_eq!(value_of("{}", "full_name"), Value::Nothing);
}

#[test]
fn what_is_primary_is_the_entry_with_that_id() {
    for (kind, asked) in [
        (EMAIL, "primary_email_address"),
        (PHONE, "primary_phone_number"),
        (WALLET, "primary_web3_wallet"),
    ] {
        for (says, expected) in [
            (
                r#""o'neill\"@example.com""#,
                text_of("o'neill\"@example.com"),
            ),
            (r#""a\u0000b""#, text_of("ab")),
            (r#"" ""#, Value::Nothing),
            ("null", Value::Nothing),
            ("7", Value::Integer(7)),
            ("[]", json_of("[]")),
        ] {
            let data = contact(kind, says, "null");
            assert_eq!(value_of(&data, asked), expected, "{data}");
        }
        let data = contact(kind, r#""x""#, "null");
        for (replaced, by) in [
            (r#":"one","#, r#":"another","#),
            (r#":"one","#, r#":1,"#),
            (r#":"one","#, r#":null,"#),
            (kind[1], "entries"),
            (r#":["#, r#":7,"x":["#),
            (r#""id":"one""#, r#""id":"one","id":"one""#),
            (r#""id":"one""#, r#""id":1"#),
        ] {
            let data = data.replacen(replaced, by, 1);
            assert_eq!(value_of(&data, asked), Value::Nothing, "{data}");
        }
    }
    let strange = r#"{"primary_email_address_id":"one","email_addresses":[null,7,"one",["one","x"],{"id":7},
        {"id":"one","id":"one"},{},{"id":"one","email_address":"first"},{"id":"one","email_address":"second"}]}"#;
    assert_eq!(value_of(strange, "primary_email_address"), text_of("first"));
}

#[test]
fn an_address_is_verified_or_not_and_has_a_local_part() {
    for (verification, is_verified) in [
        (VERIFIED, true),
        (r#"{"strategy":"ticket","status":"verified"}"#, true),
        (r#"{"status":"unverified"}"#, false),
        (r#"{"status":"Verified"}"#, false),
        (r#"{"status":"verified","status":"verified"}"#, false),
        (r#"{"status":true}"#, false),
        (r#"["verified"]"#, false),
        (r#""verified""#, false),
        ("{}", false),
        ("null", false),
    ] {
        let data = contact(EMAIL, r#""x""#, verification);
        let expected = Value::Boolean(is_verified);
        assert_eq!(
            value_of(&data, "primary_email_verified"),
            expected,
            "{data}"
        );
    }
    for (address, expected) in [
        (r#""ada@example.com""#, text_of("ada")),
        (r#""\"a@b\"@example.com""#, text_of("\"a@b\"")),
        (r#""@example.com""#, Value::Nothing),
        (r#"" @example.com""#, Value::Nothing),
        (r#""ada""#, Value::Nothing),
        ("7", Value::Nothing),
    ] {
        let data = contact(EMAIL, address, VERIFIED);
        assert_eq!(
            value_of(&data, "primary_email_local_part"),
            expected,
            "{data}"
        );
    }
    for asked in ["primary_email_verified", "primary_email_local_part"] {
        assert_eq!(value_of("{}", asked), Value::Nothing, "{asked}");
    }
}

#[test]
fn an_event_says_more_than_its_object() {
    for (asked, expected) in [
        ("null", Value::Nothing),
        ("now", text_of("2026-11-28T17:00:00.000Z")),
        ("data", json_of(r#"{"now": 1, "event":{"id":2}}"#)),
        ("event.id", text_of("msg_1")),
        ("event.type", text_of("user.updated")),
        ("event.timestamp", Value::Integer(1_716_883_300_150)),
        ("event.received_at", Value::Integer(1_716_883_300_420)),
        ("event.instance_id", text_of("ins_1")),
    ] {
        assert_eq!(
            value_of(r#"{"now": 1, "event":{"id":2}}"#, asked),
            expected,
            "{asked}"
        );
    }
}

#[test]
fn a_timestamp_is_a_whole_number_or_nothing() {
    for (json, expected) in [
        ("1.7168833e12", Value::Integer(1_716_883_300_000)),
        ("1.5", Value::Nothing),
        ("1e400", Value::Nothing),
        (r#""1716883300150""#, Value::Nothing),
        ("null", Value::Nothing),
        ("{}", Value::Nothing),
    ] {
        let timestamp = path("event.timestamp");
        let said = ask_sent_at(json, "{}", &[], |saying| saying.value(&timestamp));
        assert_eq!(said, expected, "{json}");
    }
}

#[test]
fn a_text_has_in_its_braces_what_the_paths_say() {
    let data =
        r#"{"id":"user_2g7np7","n":1.50,"b":true,"j":{"a": 1},"null":null,"blank":" ","é":"aé😀"}"#;
    for (template, expected) in [
        ("user-{id}", "user-user_2g7np7"),
        ("{id:8}@users.invalid", "r_2g7np7@users.invalid"),
        ("{id:100}{id:0}", "user_2g7np7"),
        ("{é:2}", "é😀"),
        ("{n}/{b}/{j}", "1.50/true/{\"a\": 1}"),
        ("<{null}{blank}{missing}>", "<>"),
        ("{event.id} {event.received_at:3}", "msg_1 420"),
        ("", ""),
    ] {
        let Constant::Text(template) = constant(template) else {
            panic!("a constant");
        };
        let paths: Vec<String> = template.paths().map(ToString::to_string).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(ask(data, &paths, |saying| saying.text(&template)), expected);
    }
}

#[test]
fn only_what_is_clerks_own_and_verified_is_sure() {
    let is_sure =
        |data: &str, asked: &str| ask(data, &[asked], |saying| saying.is_sure(&path(asked)));
    for (kind, asked) in [
        (EMAIL, "primary_email_address"),
        (EMAIL, "primary_email_local_part"),
        (EMAIL, "email_addresses.1.email_address"),
        (PHONE, "primary_phone_number"),
        (PHONE, "phone_numbers.1.phone_number"),
        (WALLET, "primary_web3_wallet"),
        (WALLET, "web3_wallets.1.web3_wallet"),
    ] {
        assert!(
            is_sure(&contact(kind, r#""x""#, VERIFIED), asked),
            "{asked}"
        );
        for verification in ["null", r#"{"status":"unverified"}"#] {
            assert!(
                !is_sure(&contact(kind, r#""x""#, verification), asked),
                "{asked}"
            );
        }
        assert!(!is_sure("{}", asked), "{asked}");
    }
    let data = r#"{"unsafe_metadata":{"email_address":"x","verification":{"status":"verified"}},
        "external_accounts":[{"email_address":"x","verification":{"status":"verified"}}],
        "email_address":"x","verification":{"status":"verified"}}"#;
    for (asked, expected) in [
        ("id", true),
        ("full_name", true),
        ("public_metadata.employee", true),
        ("external_accounts.0.email_address", true),
        ("unsafe_metadata", false),
        ("unsafe_metadata.employee", false),
        ("unsafe_metadata.email_address", false),
        ("email_address", false),
        ("data", false),
    ] {
        assert_eq!(is_sure(data, asked), expected, "{asked}");
    }
}

#[test]
fn a_real_user_says_all_of_it() {
    let payload: serde_json::Value = serde_json::from_str(USER).unwrap();
    let data = payload["data"].to_string();
    for (asked, expected) in [
        ("full_name", text_of("Ada King")),
        ("primary_email_address", text_of("ada@example.com")),
        ("primary_email_verified", Value::Boolean(true)),
        (
            "email_addresses.0.verification.status",
            text_of("unverified"),
        ),
        ("primary_phone_number", Value::Nothing),
        ("username", Value::Nothing),
        ("public_metadata.flags.beta", Value::Boolean(true)),
        ("created_at", Value::Integer(1_716_883_200_381)),
        ("passkeys", json_of("[]")),
    ] {
        assert_eq!(value_of(&data, asked), expected, "{asked}");
    }
}
