//! What a column says, and what it takes.

mod refused;
mod sessions;

use serde_json::{Value, json};

use super::{Application, address, updated};

/// The options of a column, a user after the other: what each says, and what is then in the column.
fn check(column: &str, sql_type: &str, steps: &[(Value, &str)]) {
    let application = Application::new(
        &format!(
            "create type mood as enum ('SAD', 'glad'); create domain short as varchar(4) check (value <> 'never');
             create domain seats as int not null check (value > 0);
             create table things (id text primary key, c {sql_type})"
        ),
        &format!("[user]\ntable = \"things\"\nkey = \"id\"\n[user.columns]\nc = {column}"),
    );
    let _worker = application.worker();
    for (place, (says, expected)) in (1..).zip(steps) {
        let svix_id = application.apply(&updated("user_123456789", place, says));
        let became = application.became(&svix_id);
        let expected = match *expected {
            "NULL" => "NULL".to_owned(),
            value => format!("[{value}]"),
        };
        let value = application
            .world
            .sql("select coalesce('[' || c::text || ']', 'NULL') from things");
        assert_eq!(
            (became.as_str(), value.as_str()),
            ("applied", expected.as_str()),
            "{column} {sql_type} {says}"
        );
    }
}

/// A column, its type, and what is written there one after the other.
type Case<'a> = (&'a str, &'a str, &'a [(Value, &'a str)]);

/// Many at once: each has a table and a worker.
fn check_all(cases: &[Case<'_>]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((column, sql_type, steps)) =
                    cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    check(column, sql_type, steps);
                }
            });
        }
    });
}

fn meta(name: &str, value: &Value) -> Value {
    json!({"public_metadata": {name: value}})
}

#[test]
fn a_column_says_what_its_options_make_of_what_clerk_says() {
    let named = |first: &str, last: &str, username: &str| json!({"first_name": first, "last_name": last, "username": username});
    let mood = |word: Value| meta("mood", &word);
    let long = |text: &str| meta("long", &json!(text));
    check_all(&[
        // A list of paths: the first that says something.
        (
            r#"{ from = ["full_name", "username", "primary_email_local_part", "external_id"], default = "Unknown" }"#,
            "text not null",
            &[
                (named("Ada", " ", "x"), "Ada"),
                (named(" Ada ", "King", "x"), " Ada  King"),
                (named("", "  ", "ada"), "ada"),
                (address("a.b@c@example.com", false), "a.b@c"),
                (json!({"external_id": 7}), "7"),
                (json!({"external_id": false}), "false"),
                (json!({"external_id": "\u{a0}\n"}), "Unknown"),
                (json!({"external_id": null}), "Unknown"),
            ],
        ),
        // Left as it is, and the default only when the row is made.
        (
            r#"{ from = "locale", silent = "keep", default = "en-{id:3}" }"#,
            "text not null",
            &[
                (json!({}), "en-789"),
                (json!({"locale": "fr"}), "fr"),
                (json!({"locale": " "}), "fr"),
                (json!({"locale": null}), "fr"),
            ],
        ),
        (
            r#"{ from = ["locale", "public_metadata.locale"], silent = "keep" }"#,
            "text",
            &[
                (json!({}), "NULL"),
                (meta("locale", &json!("de")), "de"),
                (json!({}), "de"),
                (json!({"locale": "fr"}), "fr"),
            ],
        ),
        // A map says nothing where it does not know the word; then silent.
        (
            r#"{ from = "public_metadata.mood", map = { happy = "glad", "7" = "SAD", true = "SAD" }, silent = "keep", default = "glad" }"#,
            "mood not null",
            &[
                (mood(json!("other")), "glad"),
                (mood(json!(7)), "SAD"),
                (mood(json!("Happy")), "SAD"),
                (mood(json!("happy")), "glad"),
                (mood(json!(true)), "SAD"),
            ],
        ),
        (
            r#"{ from = ["public_metadata.mood", "username"], as = "lower", map = { happy = "a", ada = "b", "ärger" = 7, "[1]" = "list" }, default = 0 }"#,
            "text",
            &[
                (mood(json!("HAPPY")), "a"),
                (
                    json!({"username": "ADA", "public_metadata": {"mood": "x"}}),
                    "b",
                ),
                (mood(json!("ÄRGER")), "7"),
                (mood(json!([1])), "list"),
                (mood(json!("x")), "0"),
            ],
        ),
        (
            r#"{ from = "primary_email_address", as = "lower" }"#,
            "text",
            &[(address("ADA@ÉXample.com", false), "ada@éxample.com")],
        ),
        // Without a map or default: NULL.
        (
            r#""username""#,
            "text",
            &[
                (json!({"username": "ada"}), "ada"),
                (json!({"username": ""}), "NULL"),
                (json!({}), "NULL"),
            ],
        ),
        (
            r#""primary_email_address""#,
            "text",
            &[
                (address("a@x.com", false), "a@x.com"),
                (
                    json!({"primary_email_address_id": "idn_9", "email_addresses": []}),
                    "NULL",
                ),
            ],
        ),
        (
            r#""primary_email_verified""#,
            "boolean",
            &[
                (address("a@x.com", false), "false"),
                (address("a@x.com", true), "true"),
                (json!({}), "NULL"),
            ],
        ),
        // Constants, whatever Clerk says.
        (
            r#"{ value = "{username}:{username:2}:{external_id}" }"#,
            "text",
            &[
                (json!({"username": "ada", "external_id": 7}), "ada:da:7"),
                (json!({}), "::"),
            ],
        ),
        ("1", "int", &[(json!({}), "1")]),
        ("false", "boolean", &[(json!({}), "false")]),
        ("1", "text", &[(json!({}), "1")]),
        (r#""null""#, "text", &[(json!({}), "NULL")]),
        // Too long.
        (
            r#""first_name""#,
            "varchar(4)",
            &[
                (named("Charles", "", ""), "Char"),
                (named("😀😀😀😀😀", "", ""), "😀😀😀😀"),
            ],
        ),
        (
            r#""full_name""#,
            "short",
            &[(named("Charles", "King", ""), "Char")],
        ),
        (
            r#""public_metadata.name""#,
            "varchar(4)",
            &[(meta("name", &json!("Charles")), "Char")],
        ),
        (
            r#""public_metadata.long""#,
            "varchar(4)",
            &[(long("1234"), "1234"), (long("12345"), "NULL")],
        ),
        (
            r#"{ from = "public_metadata.long", too_long = "cut" }"#,
            "varchar(4)",
            &[(long("12345"), "1234")],
        ),
        (
            r#"{ from = "first_name", too_long = "null" }"#,
            "varchar(4)",
            &[(named("Charles", "", ""), "NULL")],
        ),
        (
            r#"{ value = "{username}", too_long = "cut" }"#,
            "varchar(4)",
            &[(named("", "", "charles"), "char")],
        ),
        (
            r#"{ from = "first_name", too_long = "cut", default = "User" }"#,
            "varchar(4) not null",
            &[(named("     x", "", ""), "User")],
        ),
        (
            r#"{ from = "public_metadata.long", too_long = "cut" }"#,
            "varchar(4) unique",
            &[(long("12345"), "1234")],
        ),
        (
            r#""public_metadata.long""#,
            "char(4)",
            &[(long("12    "), "12"), (long("12345"), "NULL")],
        ),
        (
            r#""public_metadata.long""#,
            "text",
            &[(long(" 12 "), " 12 "), (long("a\u{0}b"), "ab")],
        ),
        // A place in a list, and what `data.` does not know.
        (
            r#""email_addresses.0.email_address""#,
            "text",
            &[
                (address("a@x.com", true), "another@example.com"),
                (json!({"email_addresses": []}), "NULL"),
                (json!({"email_addresses": {"0": 7}}), "NULL"),
            ],
        ),
        (
            r#""data.what_clerk_adds.next""#,
            "text",
            &[(json!({"what_clerk_adds": {"next": "year"}}), "year")],
        ),
        (
            r#""public_metadata.a.b.1.c""#,
            "int",
            &[
                (meta("a", &json!({"b": [0, {"c": 7}]})), "7"),
                (meta("a", &json!({"b": "no"})), "NULL"),
            ],
        ),
    ]);
}

#[test]
fn a_column_of_each_type_takes_what_reads_as_one() {
    let x = |value: Value| meta("x", &value);
    let path = r#""public_metadata.x""#;
    check_all(&[
        (
            path,
            "text",
            &[
                (x(json!(7)), "7"),
                (x(json!(7.5)), "7.5"),
                (x(json!(true)), "true"),
            ],
        ),
        (
            path,
            "mood",
            &[(x(json!("SAD")), "SAD"), (x(json!("")), "NULL")],
        ),
        (
            path,
            "short",
            &[(x(json!("abcd")), "abcd"), (x(json!("abcde")), "NULL")],
        ),
        (path, "seats", &[(x(json!(7)), "7"), (x(json!("8")), "8")]),
        (
            path,
            "smallint",
            &[
                (x(json!(-32768)), "-32768"),
                (x(json!("32767")), "32767"),
                (x(json!(1e2)), "100"),
            ],
        ),
        (
            path,
            "bigint",
            &[
                (x(json!(i64::MAX)), "9223372036854775807"),
                (x(json!("-9223372036854775808")), "-9223372036854775808"),
            ],
        ),
        (
            path,
            "numeric(6, 2)",
            &[
                (x(json!(1.005)), "1.01"),
                (x(json!("12.5")), "12.50"),
                (x(json!(-7)), "-7.00"),
            ],
        ),
        (
            path,
            "real",
            &[(x(json!(0.5)), "0.5"), (x(json!("1e3")), "1000")],
        ),
        (
            path,
            "boolean",
            &[(x(json!(true)), "true"), (x(json!("false")), "false")],
        ),
        (
            path,
            "uuid",
            &[(
                x(json!("0190163D-8694-739B-AEA5-966C26F8AD9A")),
                "0190163d-8694-739b-aea5-966c26f8ad9a",
            )],
        ),
        (
            path,
            "jsonb",
            &[
                (
                    x(json!({"a": [1, null, "\u{0}"]})),
                    "{\"a\": [1, null, \"\u{fffd}\"]}",
                ),
                (x(json!("text \"quoted\"")), r#""text \"quoted\"""#),
                (x(json!(1.50)), "1.5"),
                (x(json!(false)), "false"),
                (x(json!(null)), "NULL"),
                (x(json!([])), "[]"),
            ],
        ),
        (
            path,
            "json",
            &[
                (x(json!([{"b": 1, "a": 2}])), r#"[{"a":2,"b":1}]"#),
                (x(json!("x")), r#""x""#),
            ],
        ),
        (
            r#"{ from = "public_metadata", default = {} }"#,
            "jsonb not null",
            &[
                (json!({}), "{}"),
                (x(json!(1)), r#"{"x": 1}"#),
                (json!({"public_metadata": null}), "{}"),
            ],
        ),
        (
            r#"{ from = "public_metadata.x", default = ["none"] }"#,
            "text[] not null",
            &[
                (json!({}), "{none}"),
                (
                    x(json!(["a", "b,c", "", "\"\\", "null"])),
                    r#"{a,"b,c","","\"\\","null"}"#,
                ),
                (x(json!([])), "{}"),
            ],
        ),
        (path, "mood[]", &[(x(json!(["SAD", "glad"])), "{SAD,glad}")]),
        (path, "varchar(5)[]", &[(x(json!(["abcde"])), "{abcde}")]),
        (path, "inet", &[(x(json!("127.0.0.1")), "127.0.0.1/32")]),
        (path, "interval", &[(x(json!("1 day")), "1 day")]),
        (
            path,
            "date",
            &[
                (x(json!(1_716_940_799_999_i64)), "2024-05-28"),
                (x(json!("2024-05-29T00:30:00+02:00")), "2024-05-28"),
                (x(json!("2024-05-30")), "2024-05-30"),
            ],
        ),
        (
            path,
            "timestamptz",
            &[
                (
                    x(json!(1_716_883_200_381_i64)),
                    "2024-05-28 08:00:00.381+00",
                ),
                (
                    x(json!("2024-05-28T10:00:00+02:00")),
                    "2024-05-28 08:00:00+00",
                ),
                (
                    x(json!("2024-05-28 08:00:00.5")),
                    "2024-05-28 08:00:00.5+00",
                ),
            ],
        ),
        (
            path,
            "timestamp(3)",
            &[
                (x(json!(-1)), "1969-12-31 23:59:59.999"),
                (
                    x(json!("2024-05-28T08:00:00.123456Z")),
                    "2024-05-28 08:00:00.123",
                ),
            ],
        ),
    ]);
}
