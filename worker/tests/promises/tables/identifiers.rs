//! Names and values that look like SQL are names and values.

use serde_json::json;

use super::{Application, address, deleted, updated};
use crate::helpers::DEAD;

/// 63 bytes.
const LONG: &str = "ééééééééééééééééééééééééééééééé_";

/// Every statement about rows: made, updated, linked, swapped, unlinked, looked at before and after.
fn application() -> Application {
    let sql = format!(
        r#"create schema "we""ird {{%s}} Schema";
           create type "we""ird {{%s}} Schema"."mo.od" as enum ('it''s', '"', 'a,b');
           create domain "we""ird {{%s}} Schema"."do main" as varchar(40);
           create table "we""ird {{%s}} Schema"."SELECT ""* {{row}} $1" (
             "primary" serial primary key, "Clerk""Id.$2" text unique, "e mail%s" text collate "C" unique,
             "order" int unique, "a.b" "we""ird {{%s}} Schema"."mo.od", "null" jsonb, "{{id}}" text[],
             "'; drop table x; --" "we""ird {{%s}} Schema"."do main" unique, "{LONG}" timestamp(3),
             "UPPER" text, "upper" text, "$1::text" text, "user" text, "c0" text, "k1" text, "winner" text default 'w');
           insert into "we""ird {{%s}} Schema"."SELECT ""* {{row}} $1" ("e mail%s", "UPPER") values ('a@example.com', 'ours')"#
    );
    let file = format!(
        r#"
        [user]
        table = 'we"ird {{%s}} Schema.SELECT "* {{row}} $1'
        key = 'Clerk"Id.$2'
        link_by = "e mail%s"
        newest = "{LONG}"
        tags = ["t:{{row.primary}}", 't:{{row.e mail%s}}', 't:{{row.{LONG}}}', 't:{{row.Clerk"Id.$2}}', "t:{{row.'; drop table x; --}}"]

        [user.columns]
        "e mail%s" = "primary_email_address"
        "order" = "public_metadata.order"
        "a.b" = {{ from = "public_metadata.mood", silent = "keep" }}
        "null" = "public_metadata.json"
        "{{id}}" = "public_metadata.list"
        "'; drop table x; --" = {{ from = "username", silent = "keep", default = "{{id}}" }}
        "{LONG}" = "updated_at"
        "$1::text" = "first_name"
        "k1" = "last_name"

        [user.on_create]
        "UPPER" = {{ value = "'; select {{id}} --" }}
        "upper" = {{ value = '"' }}
        "c0" = {{ generate = "uuid" }}

        [user.on_delete]
        'Clerk"Id.$2' = "null"
        "user" = {{ value = "user's \\ {{id}}" }}
        "#
    );
    Application::new(&sql, &file)
}

const TABLE: &str = r#""we""ird {%s} Schema"."SELECT ""* {row} $1""#;

#[test]
fn names_full_of_signs_name_what_they_name() {
    let application = application();
    let world = &application.world;
    let worker = application.worker();
    let says = |email: &str, order: i64, name: &str| {
        let mut says = address(email, true);
        says["username"] = json!(name);
        says["public_metadata"] =
            json!({"order": order, "mood": "it's", "json": {"a": "'"}, "list": ["'", "\"", "{}"]});
        says
    };
    let rows = || {
        world.sql(&format!(
            r#"select "primary", "Clerk""Id.$2", "e mail%s", "order", "a.b", "null", "{{id}}", "'; drop table x; --",
                 "{LONG}", "UPPER", "upper", length("c0"), "winner", "user" from {TABLE} order by 1"#
        ))
    };
    let tags = [
        "t:1",
        "t:a@example.com",
        "t:2024-05-28 08:00:01",
        "t:user_1",
        "t:ada",
    ];
    for tag in tags {
        world.redis(&["SET", tag, "cached"]);
    }
    application.expect(
        &updated("user_1", 1, &says("a@example.com", 1, "ada")),
        "applied",
    );
    assert_eq!(
        world.redis(&[
            "EXISTS",
            "t:1",
            "t:a@example.com",
            "t:2024-05-28 08:00:01",
            "t:user_1",
            "t:ada"
        ]),
        "0"
    );
    application.expect(
        &updated("user_2", 1, &says("b@example.com", 2, "bob")),
        "applied",
    );
    let row = |key: &str, n: u8, email: &str, name: &str, second: u8, upper: &str, user: &str| {
        format!(
            r#"{n}|{key}|{email}@example.com|{n}|it's|{{"a": "'"}}|{{',"\"","{{}}"}}|{name}|2024-05-28 08:00:0{second}|{upper}|"|36|w|{user}"#
        )
    };
    let made = "'; select user_2 --";
    assert_eq!(
        rows(),
        [
            row("user_1", 1, "a", "ada", 1, "ours", ""),
            row("user_2", 2, "b", "bob", 1, made, "")
        ]
        .join("\n")
    );
    drop(worker);
    world.add_next(&updated("user_1", 2, &says("b@example.com", 1, "bob")));
    world.add_next(&updated("user_2", 2, &says("a@example.com", 2, "ada")));
    let _worker = application.worker();
    world.settle();
    assert_eq!(
        rows(),
        [
            row("user_1", 1, "b", "bob", 2, "ours", ""),
            row("user_2", 2, "a", "ada", 2, made, "")
        ]
        .join("\n")
    );
    application.expect(&deleted("user_1", 3), "applied");
    assert_eq!(
        rows(),
        [
            row("", 1, "b", "bob", 2, "ours", r"user's \ user_1"),
            row("user_2", 2, "a", "ada", 2, made, "")
        ]
        .join("\n")
    );
    // It comes back under another id.
    application.expect(
        &updated("user_3", 4, &says("b@example.com", 1, "bob")),
        "applied",
    );
    assert_eq!(world.sql(&format!("select count(*) from {TABLE}")), "2");
}

/// P6: PostgreSQL is asked whether it or the event is at fault, about a table of these names.
#[test]
fn whose_fault_it_is_is_found_out_whatever_the_names_are() {
    let application = application();
    let world = &application.world;
    world.sql(&format!(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'full' using errcode = '53100'; end $$;
         create trigger refuse before insert on {TABLE} for each row when (new.\"order\" = 13) execute function refuse()"
    ));
    let says = |n: i64| {
        let mut says = address(&format!("{n}@example.com"), true);
        says["public_metadata"] = json!({"order": n});
        says
    };
    world.migrate();
    let svix_ids =
        [12, 13, 14].map(|n| world.add_next(&updated(&format!("user_{n}"), 1, &says(n))));
    let worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.settle();
    let [before, refused, behind] = svix_ids.map(|svix_id| application.became(&svix_id));
    assert_eq!([before.as_str(), behind.as_str()], ["applied", "applied"]);
    assert_eq!(refused, "dead: PostgreSQL refuses it (SQLSTATE 53100)");
    assert!(
        !worker.program.output().contains("cannot be used"),
        "{}",
        worker.program.output()
    );
}

/// P6: what Clerk says is written as it is said, and done as it is said by nobody.
#[test]
fn hostile_values_never_become_sql() {
    let hostile = [
        "'; drop table people; --",
        "\\'; drop table people; --",
        "$1",
        "$$; drop table people; $$",
        "%s%n{0}{}{id}{{id}}",
        "NULL",
        "{NULL}",
        "{\"a\",NULL}",
        "\",\"b\"}",
        "\\",
        "\"",
        "(select 1)",
        "E'\\x00'",
        "\u{202e}\u{1f600}\u{7f}\u{1}\n\r\t",
        "null",
        "default",
        "{{}}",
    ];
    let application = Application::new(
        r#"create table people (
             id text primary key, email text unique, name varchar(100), words text[], anycase text, made text,
             data jsonb, plain json, gone text)"#,
        r#"
        [user]
        table = "people"
        key = "id"
        link_by = "email"
        tags = ["t:{row.name}"]
        on_delete = { gone = { value = "{id}" } }

        [user.columns]
        email = "external_id"
        name = "first_name"
        words = "public_metadata.words"
        data = "public_metadata"
        plain = "public_metadata"

        [user.on_create]
        made = { value = "{first_name}" }
        "#,
    );
    let world = &application.world;
    world.migrate();
    for (n, text) in hostile.iter().enumerate() {
        let says = json!({"first_name": text, "external_id": format!("{n}{text}"),
            "public_metadata": {"words": [text, text], *text: text}});
        world.add(
            &format!("msg_{n}"),
            &updated(&format!("{n}{text}"), 1, &says),
        );
    }
    let _worker = application.worker();
    world.settle();
    assert_eq!(
        world.redis(&["XLEN", DEAD]),
        "0",
        "{}",
        world.redis(&["XRANGE", DEAD, "-", "+"])
    );
    // In hexadecimal, because psql shows lines.
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    for (n, text) in hostile.iter().enumerate() {
        let of = |expression: &str| {
            world.sql(&format!(
                "select encode(convert_to({expression}, 'UTF8'), 'hex') from people where left(id, {}) = '{n}' and id ~ '^[0-9]+[^0-9]'
                   and substring(id from '^[0-9]+') = '{n}'", n.to_string().len()
            ))
        };
        for (expression, expected) in [
            ("name", (*text).to_owned()),
            ("made", (*text).to_owned()),
            ("words[1]", (*text).to_owned()),
            ("words[2]", (*text).to_owned()),
            ("id", format!("{n}{text}")),
            ("email", format!("{n}{text}")),
            ("data->'words'->>0", (*text).to_owned()),
            ("plain->'words'->>1", (*text).to_owned()),
        ] {
            assert_eq!(of(expression), hex(&expected), "{expression} {text:?}");
        }
        world.add_next(&deleted(&format!("{n}{text}"), 2));
    }
    world.settle();
    assert_eq!(
        world.sql("select count(*) from people where gone = id"),
        hostile.len().to_string()
    );
}
