//! Every nasty payload, and what becomes of it.

use serde_json::Value;

use Expected::{Applied, Dead, Deleted, Ignored, Refused, Row, Stale};

/// Stands, in some case, in every payload and nowhere else.
pub(crate) const MARK: &str = "geheimnis";

const NO_PRIMARY: Expected = Dead(
    "data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)",
);
const NO_OBJECT: Expected = Dead("data is not an object of Clerk's");
const ID: Expected = Dead("data.id is missing or unusable");
const IMAGE_URL: Expected = Dead(
    "data.image_url does not read as text, which column \"imageUrl\" takes (table public.users)",
);
const ADDRESS: Expected = Dead(
    "data.primary_email_address does not read as text, which column \"email\" takes (table public.users)",
);
const LONG_ADDRESS: Expected =
    Dead("data.primary_email_address is too long for column \"email\" (table public.users)");
const CREATED_AT: Expected = Dead(
    "data.created_at does not read as a time, which column \"createdAt\" takes (table public.users)",
);
const NO_CREATED_AT: Expected = Dead(
    "data.created_at says nothing, and column \"createdAt\" takes no NULL (table public.users)",
);
const UPDATED_AT: Expected = Dead(
    "data.updated_at does not read as a time, which column \"updatedAt\" takes (table public.users)",
);
const NO_UPDATED_AT: Expected = Dead(
    "data.updated_at says nothing, and column \"updatedAt\" takes no NULL (table public.users)",
);

/// What is to become of a payload.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// 400 at the door; and if a hand adds it to the stream, a dead letter that says it is no event.
    Refused,
    /// A dead letter with this reason, after one attempt.
    Dead(&'static str),
    /// Recorded as ignored.
    Ignored,
    /// Recorded as stale.
    Stale,
    /// The user has no row any more.
    Deleted,
    /// The user has a row.
    Applied,
    /// The user has a row, and this column holds this.
    Row(&'static str, Value),
}

/// One payload.
pub(crate) struct Case {
    pub(crate) what: String,
    pub(crate) body: String,
    pub(crate) expected: Expected,
}

impl Expected {
    /// `recorded` is the line of the ledger with the user's row, `letter` the dead letter; null when
    /// there is none.
    pub(crate) fn is_met_by(&self, recorded: &Value, letter: &Value) -> bool {
        let reason = letter["reason"].as_str().unwrap_or_default();
        let (dead, finished) = (letter["attempts"] == "1", letter.is_null());
        match self {
            Refused => recorded.is_null() && dead && reason.starts_with("the payload is not "),
            Dead(expected) => recorded.is_null() && dead && reason == *expected,
            Ignored => finished && recorded["outcome"] == "ignored",
            Stale => finished && recorded["outcome"] == "stale",
            Deleted => finished && recorded["outcome"] == "applied" && recorded["id"].is_null(),
            Applied => finished && recorded["outcome"] == "applied" && recorded["id"].is_string(),
            Row(column, value) => Applied.is_met_by(recorded, letter) && recorded[column] == *value,
        }
    }
}

/// An event of a user that nobody would object to. `NUMBER` makes it one of its own.
const USER: [(&str, &str); 9] = [
    ("id", r#""user_NUMBER""#),
    ("first_name", r#""Ada""#),
    ("last_name", r#""Geheimnis""#),
    ("image_url", r#""https://img.clerk.com/geheimnis""#),
    ("primary_email_address_id", r#""idn""#),
    (
        "email_addresses",
        r#"[{"id":"idn","email_address":"geheimnis-NUMBER@example.com"}]"#,
    ),
    ("created_at", "1716883200381"),
    ("updated_at", "1716883200406"),
    ("unsafe_metadata", r#"{"note":"Geheimnis"}"#),
];

/// The same as a body.
fn event(event_type: &str, fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!(
        r#"{{"type":"{event_type}","data":{{{}}},"timestamp":1716883200420}}"#,
        fields.join(",")
    )
}

fn user() -> Vec<(&'static str, String)> {
    USER.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// The body with one field of the user, written as `json`.
fn with(field: &str, json: &str) -> String {
    let json = match field {
        "email_address" => format!(r#"[{{"id":"idn","email_address":{json}}}]"#),
        "email_addresses.id" => {
            format!(r#"[{{"id":{json},"email_address":"geheimnis-NUMBER@example.com"}}]"#)
        }
        _ => json.to_owned(),
    };
    let field = if field.starts_with("email_address") {
        "email_addresses"
    } else {
        field
    };
    let mut fields = user();
    match fields.iter_mut().find(|(name, _)| *name == field) {
        Some((_, value)) => *value = json,
        None if field == "timestamp" => {
            return event("user.updated", &fields).replace("1716883200420", &json);
        }
        None => fields.push((field, json)),
    }
    event("user.updated", &fields)
}

pub(crate) fn cases() -> Vec<Case> {
    let values = values()
        .into_iter()
        .map(|(field, json, expected)| (format!("{field}: {json}"), with(field, &json), expected));
    let documents = documents()
        .into_iter()
        .map(|(what, body, expected)| (what.to_owned(), body, expected));
    values
        .chain(kinds())
        .chain(documents)
        .enumerate()
        .map(|(number, (what, body, expected))| Case {
            what: what.chars().take(80).collect(),
            body: body.replace("NUMBER", &number.to_string()),
            expected,
        })
        .collect()
}

/// One field with a value that is hard to hold.
#[rustfmt::skip]
fn values() -> Vec<(&'static str, String, Expected)> {
    let text = |text: &str| format!("\"{text}\"");
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let filler = "😀".repeat(250);
    vec![
        ("id", text(r"user\u0000NUMBER"), ID),
        ("id", text(r"\ud800NUMBER"), ID),
        ("id", text(""), ID),
        ("id", text(&"x".repeat(256)), ID),
        ("id", text(&"😀".repeat(256)), ID),
        ("id", text(&"😀".repeat(255)), Row("id", "😀".repeat(255).into())),
        ("id", text(r"\u0075ser_n\u00dcmber"), Row("id", "user_nÜmber".into())),
        ("id", deep(10_000), ID),

        ("first_name", text(r"A\u0000da"), Row("name", "Ada Geheimnis".into())),
        ("first_name", text(r"\u0000"), Row("name", "Geheimnis".into())),
        ("first_name", text(r"A\ud83d"), Row("name", "A\u{fffd} Geheimnis".into())),
        ("first_name", text(r"\ude00\ud83d"), Row("name", "\u{fffd}\u{fffd} Geheimnis".into())),
        ("first_name", text(r"\ud83d\ude00"), Row("name", "😀 Geheimnis".into())),
        ("first_name", text(&"😀".repeat(256)), Row("name", "😀".repeat(255).into())),
        ("first_name", text(&filler), Row("name", format!("{filler} Gehe").into())),
        ("first_name", text(&format!("{}x", " ".repeat(300))), Row("name", "User".into())),
        ("first_name", text(r"\u001b[31m\u0007\n"), Row("name", "\u{1b}[31m\u{7}\n Geheimnis".into())),
        ("first_name", text("'); drop table users; --"), Row("name", "'); drop table users; -- Geheimnis".into())),
        ("first_name", text(r"\u2028\uffff\ufeff"), Row("name", "\u{2028}\u{ffff}\u{feff} Geheimnis".into())),
        ("first_name", text(&"x".repeat(1_000_000)), Row("name", "x".repeat(255).into())),
        ("first_name", deep(200_000), Row("name", "Geheimnis".into())),
        ("last_name", text(r"\u00a0\u2003"), Row("name", "Ada".into())),
        ("last_name", text(r"\u0000\u0000"), Row("name", "Ada".into())),

        ("image_url", text(&"u".repeat(1001)), Row("imageUrl", Value::Null)),
        ("image_url", text(&"😀".repeat(1000)), Row("imageUrl", "😀".repeat(1000).into())),
        ("image_url", text(r"https://\u0000"), Row("imageUrl", "https://".into())),
        ("image_url", text(r"https://\ud800"), Row("imageUrl", "https://\u{fffd}".into())),
        ("image_url", text(""), Row("imageUrl", Value::Null)),

        ("email_address", text(r"geheimnis\u0000@example.com"), Row("email", "geheimnis@example.com".into())),
        ("email_address", text(r"geheimnis\ud800@example.com"), Row("email", "geheimnis\u{fffd}@example.com".into())),
        ("email_address", text(""), NO_PRIMARY),
        ("email_address", text(r" \u00a0\t"), NO_PRIMARY),
        ("email_address", text(&"x".repeat(256)), LONG_ADDRESS),
        ("email_address", text(&"😀".repeat(255)), Row("email", "😀".repeat(255).into())),
        ("email_address", text(r#"o'neill\"@example.com"#), Row("email", "o'neill\"@example.com".into())),
        ("email_addresses", r#"[null,7,"x",[],["idn","wrong"],{"id":7},{"id":"idn","id":"idn"},{"id":"other"},{"id":"idn","email_address":"the last one","verification":null}]"#.into(),
            Row("email", "the last one".into())),
        ("email_addresses", r#"[["idn","geheimnis@example.com"]]"#.into(), NO_PRIMARY),
        ("email_addresses", r#"[{"id":"idn","email_address":"first"},{"id":"idn","email_address":"second"}]"#.into(), Row("email", "first".into())),
        ("email_addresses", r#"[{"id":"IDN","email_address":"geheimnis@example.com"}]"#.into(), NO_PRIMARY),
        ("email_addresses", format!("[{}]", vec![r#"{"id":"other","email_address":"geheimnis@example.com"}"#; 10_000].join(",")), NO_PRIMARY),
        ("email_addresses", format!(r#"[{}{{"id":"idn","email_address":"the last of many"}}]"#, r#"{"id":"other","email_address":"x"},"#.repeat(10_000)), Row("email", "the last of many".into())),
        ("email_addresses", deep(10_000), NO_PRIMARY),
        ("email_addresses", deep(200_000), NO_PRIMARY),
        ("email_addresses.id", text(r"\ud800"), NO_PRIMARY),
        ("primary_email_address_id", text(r"\ud800"), NO_PRIMARY),
        ("primary_email_address_id", text("geheimnis"), NO_PRIMARY),

        ("updated_at", i64::MIN.to_string(), UPDATED_AT),
        ("updated_at", i64::MAX.to_string(), UPDATED_AT),
        ("updated_at", u64::MAX.to_string(), UPDATED_AT),
        ("updated_at", "9007199254740993".into(), UPDATED_AT),
        ("updated_at", "253402300800000".into(), UPDATED_AT),
        ("updated_at", "253402300799999".into(), Row("updatedAt", 253_402_300_799_999_i64.into())),
        ("updated_at", "-62135596800001".into(), UPDATED_AT),
        ("updated_at", "-62135596800000".into(), Row("updatedAt", (-62_135_596_800_000_i64).into())),
        ("updated_at", "-1".into(), Row("updatedAt", (-1).into())),
        ("updated_at", "-0".into(), Row("updatedAt", 0.into())),
        ("updated_at", "-0.0e-400".into(), Row("updatedAt", 0.into())),
        ("updated_at", "1.5".into(), UPDATED_AT),
        ("updated_at", "1716883200406.000".into(), Row("updatedAt", 1_716_883_200_406_i64.into())),
        ("updated_at", "1.716883200406E+12".into(), Row("updatedAt", 1_716_883_200_406_i64.into())),
        ("updated_at", "1e300".into(), UPDATED_AT),
        ("updated_at", "1e400".into(), UPDATED_AT),
        ("updated_at", format!("1{}", "0".repeat(100_000)), UPDATED_AT),
        ("updated_at", text("1716883200406"), UPDATED_AT),
        ("updated_at", text("2024-05-28T08:00:00Z"), Row("updatedAt", 1_716_883_200_000_i64.into())),
        ("updated_at", "NaN".into(), Refused),
        ("updated_at", "-Infinity".into(), Refused),
        ("updated_at", "01".into(), Refused),
        ("updated_at", "+1".into(), Refused),
        ("updated_at", "1.".into(), Refused),
        ("updated_at", "0x10".into(), Refused),
        ("created_at", "1e300".into(), CREATED_AT),
        ("created_at", i64::MIN.to_string(), CREATED_AT),
        ("created_at", "-1".into(), Row("createdAt", (-1).into())),

        // Only a tie needs it.
        ("timestamp", i64::MIN.to_string(), Applied),
        ("timestamp", u64::MAX.to_string(), Applied),
        ("timestamp", "1e400".into(), Applied),
        ("timestamp", "1.5".into(), Applied),
        ("timestamp", deep(200_000), Applied),

        // Nobody reads these, whatever they hold.
        ("unsafe_metadata", deep(128), Applied),
        ("unsafe_metadata", deep(10_000), Applied),
        ("unsafe_metadata", deep(200_000), Applied),
        ("unsafe_metadata", r#"{"\ud800":"\udfff\u0000","a":1,"a":2,"n":1e400}"#.into(), Applied),
        ("unsafe_metadata", text(&"x".repeat(1_000_000)), Applied),
        ("deleted", "true".into(), Applied),
        ("object", "null".into(), Applied),
        ("__proto__", r#"{"id":"geheimnis"}"#.into(), Applied),
        ("ID", text("geheimnis"), Applied),
        ("", "null".into(), Applied),
        (r"\u0000", "null".into(), Applied),
        (r"\u0069d", text("geheimnis"), NO_OBJECT),
        // No field of Clerk's has such a name.
        (r"\ud800", "null".into(), Applied),
    ]
}

/// Each used field with each kind of value.
#[rustfmt::skip]
fn kinds() -> impl Iterator<Item = (String, String, Expected)> {
    const VALUES: [&str; 6] = ["null", "true", "7", r#""text""#, "[]", "{}"];
    const TWICE: Expected = NO_OBJECT;
    //   missing     null        true        7           "text"      []          {}          twice
    let table = [
        ("type",
            [Refused,    Refused,    Refused,    Refused,    Ignored,    Refused,    Refused,    Refused]),
        ("data",
            [NO_OBJECT, NO_OBJECT, NO_OBJECT, NO_OBJECT, NO_OBJECT, NO_OBJECT, ID,         NO_OBJECT]),
        ("timestamp",
            [Applied,    Applied,    Applied,    Applied,    Applied,    Applied,    Applied,    NO_OBJECT]),
        ("id",
            [ID,         ID,         ID,         ID,         Applied,    ID,         ID,         TWICE]),
        ("first_name",
            [Applied,    Applied,    Applied,    Applied,    Applied,    Applied,    Applied,    TWICE]),
        ("last_name",
            [Applied,    Applied,    Applied,    Applied,    Applied,    Applied,    Applied,    TWICE]),
        ("image_url",
            [Applied,    Applied,    Applied,    Applied,    Applied,    IMAGE_URL,  IMAGE_URL,  TWICE]),
        ("primary_email_address_id",
            [NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, TWICE]),
        ("email_addresses",
            [NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, TWICE]),
        ("email_addresses.id",
            [NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY, NO_PRIMARY]),
        ("email_address",
            [NO_PRIMARY, NO_PRIMARY, Row("email", "true".into()), Row("email", "7".into()), Applied, ADDRESS, ADDRESS, NO_PRIMARY]),
        ("created_at",
            [NO_CREATED_AT, NO_CREATED_AT, CREATED_AT, Applied, CREATED_AT, CREATED_AT, CREATED_AT, TWICE]),
        ("updated_at",
            [NO_UPDATED_AT, NO_UPDATED_AT, UPDATED_AT, Applied, UPDATED_AT, UPDATED_AT, UPDATED_AT, TWICE]),
    ];
    table.into_iter().flat_map(|(field, expected)| {
        let whole = event("user.updated", &user());
        // The name as it stands in the body, and its value there.
        let name = field.rsplit('.').next().unwrap();
        let value = match field {
            "type" => r#""user.updated""#.to_owned(),
            "timestamp" => "1716883200420".to_owned(),
            "data" => whole[whole.find(r#"{"id""#).unwrap()..=whole.rfind("},").unwrap()].to_owned(),
            "email_address" => r#""geheimnis-NUMBER@example.com""#.to_owned(),
            "email_addresses.id" => r#""idn""#.to_owned(),
            _ => USER.iter().find(|(name, _)| *name == field).unwrap().1.to_owned(),
        };
        let member = format!("\"{name}\":{value}");
        assert!(whole.contains(&member), "{member}");
        let replaced = move |by: &str| {
            // Whoever is left out takes a comma along.
            let body = whole.replacen(&member, by, 1);
            body.replace("{,", "{").replace(",,", ",").replace(",}", "}")
        };
        let doubled = format!("\"{name}\":{value},\"{name}\":{value}");
        let mut bodies = vec![("missing", replaced(""))];
        bodies.extend(VALUES.map(|json| (json, replaced(&format!("\"{name}\":{json}")))));
        bodies.push(("twice", replaced(&doubled)));
        bodies
            .into_iter()
            .zip(expected)
            .map(move |((what, body), expected)| (format!("{field}: {what}"), body, expected))
    })
}

/// Bodies that are odd as a whole.
#[rustfmt::skip]
fn documents() -> Vec<(&'static str, String, Expected)> {
    let user = event("user.updated", &user());
    let typed = |event_type: &str| user.replacen("user.updated", event_type, 1);
    let data = |event_type: &str, data: &str| format!(r#"{{"type":"{event_type}","data":{data}}}"#);
    let all_null: Vec<_> = USER.iter().map(|(name, _)| (*name, "null".to_owned())).collect();
    let huge = |length: usize| {
        let frame = user.replace("NUMBER", "huge").replacen('{', r#"{"x":"","#, 1);
        frame.replacen("\"\"", &format!("\"{}\"", "x".repeat(length - frame.len())), 1)
    };
    let spaced: String = user
        .split_inclusive(['{', '}', '[', ']', ','])
        .map(|part| format!("{part} \t\r\n"))
        .collect();
    vec![
        ("nothing", String::new(), Refused),
        ("blank", " \n".into(), Refused),
        ("no JSON", "Geheimnis".into(), Refused),
        ("a string", r#""Geheimnis""#.into(), Refused),
        ("a number", "7".into(), Refused),
        ("null", "null".into(), Refused),
        ("an empty object", "{}".into(), Refused),
        ("an event in an array", format!("[{user}]"), Refused),
        ("an event as an array", r#"["user.updated",{"id":"Geheimnis"},1]"#.into(), Refused),
        ("a byte order mark", format!("\u{feff}{user}"), Refused),
        ("a form feed", format!("\u{c}{user}"), Refused),
        ("a NUL at the end", format!("{user}\0"), Refused),
        ("trailing garbage", format!("{user} Geheimnis"), Refused),
        ("two documents", format!("{user}\n{user}"), Refused),
        ("cut off", user[..user.len() / 2].to_owned(), Refused),
        ("a trailing comma", user.replacen("}]", "},]", 1), Refused),
        ("a comment", format!("/* Geheimnis */{user}"), Refused),
        ("single quotes", user.replace('"', "'"), Refused),
        ("a line break in a string", user.replacen("Ada", "A\nda", 1), Refused),
        ("an unknown escape", user.replacen("Ada", r"A\xda", 1), Refused),
        ("half an escape", user.replacen("Ada", r"A\u12", 1), Refused),
        ("a key twice, once escaped", user.replacen('{', r#"{"\u0074ype":"user.created","#, 1), Refused),
        ("keys in another case", user.replacen("\"type\"", "\"Type\"", 1), Refused),
        ("10,000 deep and no object", "[".repeat(10_000) + &"]".repeat(10_000), Refused),
        ("a million deep and never closed", "[".repeat(1_000_000), Refused),
        ("objects that are never closed", r#"{"data":"#.repeat(100_000), Refused),

        ("an empty type", typed(""), Ignored),
        ("half an emoji as type", typed(r"user.\ud83d"), Refused),
        ("a blank type", typed(" "), Ignored),
        ("a type of 10 kB", typed(&"x".repeat(10_000)), Ignored),
        ("control characters in the type", typed(r"a\u0000b\n\u001b[31m"), Ignored),
        ("NUL behind a known type", typed(r"user.updated\u0000"), Applied),
        ("a known type in another case", typed("User.Updated"), Ignored),
        ("a space behind a known type", typed("user.updated "), Applied),
        ("a known type, escaped", typed(r"\u0075ser.updated"), Applied),
        ("a user of a type that nobody knows", data("user.frozen", r#"{"id":{"Geheimnis":[]}}"#), ID),
        ("twice the same id of a type that nobody knows", data("session.created", r#"{"id":1,"id":2}"#), Ignored),

        ("every field null", event("user.created", &all_null), ID),
        ("no field at all", data("user.created", "{}"), ID),
        ("names of fields in another case", data("user.created", r#"{"Id":"geheimnis"}"#), ID),
        ("an update that says deleted", data("user.updated", r#"{"id":"user_NUMBER","deleted":true}"#), NO_PRIMARY),
        ("a deletion without id", data("user.deleted", r#"{"deleted":true}"#), ID),
        ("a deletion of null", data("user.deleted", r#"{"id":null}"#), ID),
        ("a deletion of a number", data("user.deleted", r#"{"id":7}"#), ID),
        ("a deletion of NUL", data("user.deleted", r#"{"id":"\u0000"}"#), ID),
        ("a deletion of half an emoji", data("user.deleted", r#"{"id":"\ud800"}"#), ID),
        ("a deletion of two", data("user.deleted", r#"{"id":"a","id":"b"}"#), NO_OBJECT),
        ("a deletion", data("user.deleted", r#"{"id":"user_gone","deleted":false,"note":"Geheimnis"}"#), Deleted),
        ("an update of a deleted user", user.replace("user_NUMBER", "user_gone"), Stale),

        ("an unusable timestamp loses a tie", user.replace("NUMBER", "tie").replace("1716883200420", "1e400"), Stale),
        ("a usable timestamp wins a tie", user.replace("NUMBER", "tie"), Applied),
        ("spaces everywhere", spaced, Applied),
        ("unknown fields twice", user.replacen('{', r#"{"x":1,"x":2,"#, 1), Applied),
        ("as long as it may be", huge(1 << 20), Applied),
    ]
}
