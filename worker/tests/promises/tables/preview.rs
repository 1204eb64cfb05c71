//! `worker tables preview`: what events would write.

use std::io::Write as _;
use std::process::Output;

use serde_json::json;
use tempfile::NamedTempFile;
use xtask::program::Program;

use super::{Application, address, deleted, updated};
use crate::helpers::DEAD;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(FIXTURES, "fixtures")
}

/// What a preview prints, and its exit code.
fn preview_as(url: &str, application: &Application, files: &[&str]) -> (String, String, i32) {
    let arguments = [&["tables", "preview"], files].concat();
    let environment = [("DATABASE_URL", url), ("TABLES_FILE", application.file())];
    let Output {
        status,
        stdout,
        stderr,
    } = Program::run("worker", &arguments, &environment).unwrap();
    (text(&stdout), text(&stderr), status.code().unwrap())
}

fn preview(application: &Application, files: &[&str]) -> (String, String, i32) {
    preview_as(&application.world.database_url, application, files)
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".json").unwrap();
    file.write_all(content).unwrap();
    file
}

fn name(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// Examples as somebody has read them. No line is longer than a terminal, but for reasons.
#[test]
fn a_preview_tells_what_events_would_write_and_what_becomes_of_a_deletion() {
    let examples = [
        (
            include_str!("../../../../docs/tables/prisma.sql"),
            include_str!("../../../../docs/tables/prisma.toml"),
            &[
                "user.created",
                "user.created.phone-only",
                "session.created",
                "user.deleted",
            ][..],
            include_str!("preview/prisma.txt"),
            1,
        ),
        (
            include_str!("../../../../docs/tables/course.sql"),
            include_str!("../../../../docs/tables/course.toml"),
            &["user.updated.full", "user.deleted"],
            include_str!("preview/course.txt"),
            0,
        ),
        (
            include_str!("../../../../docs/tables/invited.sql"),
            include_str!("../../../../docs/tables/invited.toml"),
            &["user.created.no-names", "user.created.phone-only"],
            include_str!("preview/invited.txt"),
            1,
        ),
        (
            include_str!("../../../../docs/tables/organizations.sql"),
            include_str!("../../../../docs/tables/organizations.toml"),
            &[
                "organization.updated",
                "organizationMembership.created",
                "organization.deleted",
            ],
            include_str!("preview/organizations.txt"),
            0,
        ),
    ];
    for (sql, tables, events, expected, code) in examples {
        let application = Application::new(sql, tables);
        let files: Vec<String> = events
            .iter()
            .map(|event| format!("{FIXTURES}/{event}.json"))
            .collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let told = preview(&application, &files);
        assert_eq!(told, (expected.to_owned(), String::new(), code));
        let is_long = |line: &&str| line.chars().count() > 100 && !line.contains("DEAD LETTER");
        assert_eq!(told.0.lines().find(is_long), None);
    }
}

/// For all that the file says of a column, what is told agrees with it.
#[test]
fn a_preview_tells_of_each_column_its_value_its_type_and_where_that_comes_from() {
    let application = Application::new(
        "create type mood as enum ('sad', 'glad');
         create table things (
           clerk_id text unique, email text unique, name varchar(4), nick varchar(5), note text, mood mood not null, moods mood[],
           locale text, lang text not null, seats int, price numeric(6, 2), ratio real, active boolean, token uuid,
           data jsonb, at timestamptz, local timestamp(3), day date, words text[], host inet, bits bit(3), id uuid, svix text,
           heard timestamptz, seen timestamptz, plan text, handle text, gone timestamptz)",
        r#"
        [user]
        table = "things"
        key = "clerk_id"
        link_by = "email"
        newest = "at"
        tags = ["all", "user:{row.clerk_id}", "nick:{row.nick}"]

        [user.columns]
        email = { from = "primary_email_address", as = "lower" }
        name = { from = ["full_name", "username"], default = "User" }
        nick = "public_metadata.nick"
        note = "public_metadata.note"
        mood = { from = "public_metadata.mood", map = { happy = "glad" }, default = "sad" }
        moods = "public_metadata.moods"
        locale = { from = "locale", silent = "keep" }
        lang = { from = "public_metadata.lang", silent = "keep", default = "en" }
        seats = "public_metadata.seats"
        price = "public_metadata.price"
        ratio = 0.5
        active = true
        token = "public_metadata.token"
        data = "public_metadata.data"
        at = "updated_at"
        local = "updated_at"
        day = "updated_at"
        words = "public_metadata.words"
        host = "public_metadata.host"
        bits = "public_metadata.bits"
        svix = "event.id"
        heard = "event.received_at"
        seen = "now"

        [user.on_create]
        id = { generate = "uuid" }
        plan = { value = "free" }
        handle = { value = "user-{id:3}" }

        [user.on_delete]
        gone = "event.timestamp"
        note = "null"
        clerk_id = "null"
        "#,
    );
    let mut says = address("ADA@example.com", true);
    says["username"] = json!("Countess");
    says["public_metadata"] = json!({
        "nick": "much too long", "note": "a\u{1b}[2J\"b\"", "mood": "angry", "moods": ["sad"], "seats": "7", "price": 1.005,
        "token": "0190163D-8694-739B-AEA5-966C26F8AD9A", "data": {"b": 1, "a": [null]}, "words": ["a", "b c"],
        "host": "127.0.0.1", "bits": "101",
    });
    let event = file(updated("user_123", 1, &says).as_bytes());
    let (told, complaints, code) = preview(&application, &[name(&event)]);
    assert_eq!((complaints.as_str(), code), ("", 0), "{told}");
    let told: Vec<String> = told
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        r#"the row of public.things with this "clerk_id" is written, or linked or made if there is none"#,
        r#"clerk_id text "user_123" (id)"#,
        r#"email text "ada@example.com" (primary_email_address)"#,
        r#"name varchar(4) "Coun" (username; too long, cut)"#,
        r#"nick varchar(5) NULL (public_metadata.nick; too long, left out)"#,
        r#"note text "a\u{1b}[2J\"b\"" (public_metadata.note)"#,
        r#"mood public.mood "sad" (default: "angry" is not in map)"#,
        r#"moods public.mood[] {sad} (public_metadata.moods)"#,
        r#"locale text stays as it is (Clerk says nothing; NULL in a new row)"#,
        r#"lang text stays as it is (default: Clerk says nothing; "en" in a new row)"#,
        "seats integer 7 (public_metadata.seats)",
        "price numeric(6,2) 1.01 (public_metadata.price)",
        "ratio real 0.5 (constant)",
        "active boolean true (constant)",
        r#"token uuid "0190163d-8694-739b-aea5-966c26f8ad9a" (public_metadata.token)"#,
        r#"data jsonb {"a": [null], "b": 1} (public_metadata.data)"#,
        "at timestamptz 2024-05-28 08:00:01+00 (updated_at)",
        "local timestamp(3) 2024-05-28 08:00:01 (updated_at)",
        "day date 2024-05-28 (updated_at)",
        r#"words text[] {a,"b c"} (public_metadata.words)"#,
        r#"host inet "127.0.0.1/32" (public_metadata.host)"#,
        r#"bits bit(3) "101" (public_metadata.bits)"#,
        "svix text the event's svix-id (event.id)",
        "heard timestamptz when it is received (event.received_at)",
        "seen timestamptz the worker's clock (now)",
        "and only when the row is made:",
        "id uuid a new UUID (generated)",
        r#"plan text "free" (constant)"#,
        r#"handle text "user-123" (constant)"#,
        "all",
        "user:user_123",
        "nick:{row.nick}",
        "once the user is deleted, the row stays, and is set to:",
        "gone timestamptz when it is deleted (event.timestamp)",
        "note text NULL (null)",
        "clerk_id text NULL (null)",
    ] {
        assert!(
            told.iter().any(|other| other == line),
            "{line}\n{}",
            told.join("\n")
        );
    }
}

/// Whatever `gone` says, and whoever makes the rows.
#[test]
fn a_preview_tells_what_becomes_of_the_rows_that_refer_to_a_deleted_object() {
    let file_of = |on_delete: &str| {
        format!(
            r#"
            [user]
            table = "users"
            key = "id"
            on_delete = "{on_delete}"
            [permission]
            table = "a"
            key = "id"
            columns = {{ u = {{ find = "user", id = "user_id", gone = "delete" }}, v = {{ find = "user", id = "boss_id" }} }}
            [role]
            table = "b"
            key = "id"
            on_delete = {{ at = "now" }}
            on_create = {{ u = {{ find = "user", id = "user_id", gone = "delete" }}, v = {{ find = "user", id = "boss_id", gone = "keep" }} }}
            [session]
            table = "c"
            key = "id"
            missing_row = "wait"
            columns = {{ u = {{ find = "user", id = "user_id", gone = "delete" }} }}
            "#
        )
    };
    let sql = "create table users (id text primary key); create table a (id text primary key, u text, v text);
               create table b (id text primary key, u text, v text not null default 'x', at timestamp);
               create table c (id text primary key, u text)";
    let event = file(deleted("user_1", 1).as_bytes());
    for (on_delete, goes, is_set) in [
        ("delete", "are deleted first", "are deleted first"),
        (
            "keep",
            "are deleted",
            "stay, and are set as [role.on_delete] says",
        ),
    ] {
        let application = Application::new(sql, &file_of(on_delete));
        let (told, complaints, code) = preview(&application, &[name(&event)]);
        assert_eq!(
            (complaints.lines().count(), code),
            (0, 0),
            "{told}{complaints}"
        );
        let told: Vec<_> = told.lines().skip(2).collect();
        let expected = [
            format!(r#"  the rows of public.a that refer to it by "u" {goes}"#),
            r#"  the rows of public.a that refer to it by "v" get NULL in "v""#.to_owned(),
            format!(r#"  the rows of public.b that refer to it by "u" {is_set}"#),
            r#"  the rows of public.b that refer to it by "v" stay as they are"#.to_owned(),
            r#"  the rows of public.c that refer to it by "u" stay as they are"#.to_owned(),
            String::new(),
        ];
        assert_eq!(told, expected, "{on_delete}");
    }
}

/// What would be dead-lettered is told in the words of the dead letter.
#[test]
fn a_preview_refuses_what_the_worker_refuses_with_the_same_reason() {
    let application = Application::new(
        "create domain even as int check (value % 2 = 0);
         create table things (
           id varchar(20) primary key, seats int, must text not null, even even, host inet, price numeric(4, 2), plan text not null,
           gone int)",
        r#"
        [user]
        table = "things"
        key = "id"
        on_delete = { gone = "external_id" }
        columns = { seats = "public_metadata.seats", must = { from = ["first_name", "username"] }, even = "public_metadata.even", host = "public_metadata.host", price = "public_metadata.price" }
        on_create = { plan = "public_metadata.plan" }
        "#,
    );
    let world = &application.world;
    let says = |field: &str, value: serde_json::Value| {
        let mut says = json!({"first_name": "x", "public_metadata": {"plan": "free"}});
        says["public_metadata"][field] = value;
        says
    };
    let lacks_plan = json!({"first_name": "x", "public_metadata": {"seats": 1}});
    let payloads = [
        updated("user_1", 1, &says("seats", json!("many"))),
        updated("user_2", 1, &json!({"public_metadata": {"plan": "free"}})),
        updated("user_3", 1, &says("even", json!(7))),
        updated("user_4", 1, &says("host", json!("nowhere"))),
        updated("user_5", 1, &says("price", json!(99.995))),
        updated("user_6", 1, &lacks_plan),
        updated("user_567890123456789x", 1, &says("seats", json!(1))),
        updated(" ", 1, &says("seats", json!(1))),
        r#"{"type":"user.updated","data":["user_1"]}"#.to_owned(),
        r#"{"type":"user.deleted","data":{"id":"user_9","external_id":"crm"}}"#.to_owned(),
    ];
    let _worker = application.worker();
    for payload in payloads {
        let svix_id = application.apply(&payload);
        let reason = world.reason(&svix_id).unwrap();
        let (told, complaints, code) = preview(&application, &[name(&file(payload.as_bytes()))]);
        let line = told
            .lines()
            .find(|line| line.ends_with(&format!(": {reason}")));
        assert!(
            line.unwrap_or_default().contains("DEAD LETTER"),
            "{reason}\n{told}"
        );
        assert_eq!((complaints.as_str(), code), ("", 1), "{told}");
    }
    assert_eq!(world.redis(&["XLEN", DEAD]), "10");
    // A deletion that will not fit is told before there is one.
    let sql = "alter table things alter gone set not null, alter gone set default 0";
    world.sql(sql);
    let event = file(updated("user_1", 1, &says("seats", json!(1))).as_bytes());
    let (told, _, code) = preview(&application, &[name(&event)]);
    let reason = r#"  DEAD LETTER, once it is deleted: data.external_id says nothing, and column "gone" takes no NULL (table public.things)"#;
    assert!(told.lines().any(|line| line == reason), "{told}");
    assert_eq!(code, 1);
}

/// Nothing changes, not even a sequence; and the person who asks needs no right to the table.
#[test]
fn a_preview_writes_nothing_and_needs_no_right_to_the_table() {
    let application = Application::new(
        "create sequence asked;
         create domain counted as text check (nextval('asked') > 0);
         create table users (id text primary key, email text unique, name counted);
         insert into users (id, email) values ('user_1', 'ada@example.com')",
        r#"
        [user]
        table = "users"
        key = "id"
        tags = ["user:{row.name}"]
        columns = { email = "primary_email_address", name = "full_name" }
        "#,
    );
    let world = &application.world;
    let role = format!("looker_{}", std::process::id());
    world.sql(&format!(
        "create role {role} login; grant usage on sequence asked to {role}"
    ));
    let state = || {
        world.sql(
            "select (select string_agg(users::text, '|') from users), (select last_value::text || is_called from asked),
                    (select count(*) from pg_class), (select string_agg(nspname, ' ' order by 1) from pg_namespace)",
        )
    };
    let before = state();
    let events = file(
        format!(
            "[{}, {}]",
            updated("user_1", 1, &address("b@example.com", true)),
            deleted("user_1", 2)
        )
        .as_bytes(),
    );
    let as_role = world.database_url.replace("postgres@", &format!("{role}@"));
    for (url, right) in [
        (&world.database_url, None),
        (&as_role, None),
        (&as_role, Some("grant select on users to")),
    ] {
        if let Some(right) = right {
            world.sql(&format!("{right} {role}"));
        }
        let (told, complaints, code) = preview_as(url, &application, &[name(&events)]);
        assert!(told.contains(r#""b@example.com""#), "{told}{complaints}");
        assert!(told.contains("this \"id\" is deleted"), "{told}");
        assert_eq!((complaints.as_str(), code), ("", 0));
        assert_eq!(state(), before, "{right:?}");
    }
    world.sql(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn a_preview_tells_what_is_wrong_with_a_file_and_shows_the_others() {
    let application = Application::new(
        "create table users (id text primary key, name text)",
        "[user]\ntable = \"users\"\nkey = \"id\"\ncolumns = { name = \"full_name\" }",
    );
    let event = |id: &str| updated(id, 1, &json!({"first_name": "Ada"}));
    let user = r#"{"id":"user_1","object":"user","first_name":"Ada"}"#;
    let session = r#"{"type":"session.created","data":{"id":"sess_1"}}"#;
    let expected = r#"expected an event as Clerk's webhooks send it: {"type": "user.updated", "data": { … }, …}"#;
    let api = r#"this is the user as Clerk's API returns it, not an event. Put it into one: {"type": "user.updated", "data": …}"#;
    // Of each file what it holds, the events that are shown, what is told, and the exit code.
    let cases = [
        (event("user_1"), vec![": user.updated, user_1"], vec![], 0),
        (
            format!("[{},{}]", event("user_1"), session),
            vec![
                ", event 1: user.updated, user_1",
                ", event 2: session.created, sess_1",
            ],
            vec![],
            0,
        ),
        (
            format!("{}\n{}\n", event("user_1"), event("user_2")),
            vec![
                ", event 1: user.updated, user_1",
                ", event 2: user.updated, user_2",
            ],
            vec![],
            0,
        ),
        (user.to_owned(), vec![], vec![format!(": {api}")], 2),
        (
            format!("[{user},{}]", event("user_1")),
            vec![", event 2: user.updated, user_1"],
            vec![format!(", event 1: {api}")],
            2,
        ),
        (
            r#"{"data":[],"total_count":0}"#.to_owned(),
            vec![],
            vec![format!(": this is not an event, {expected}")],
            2,
        ),
        (
            "user_1".to_owned(),
            vec![],
            vec![format!(":1: this is not JSON, {expected}")],
            2,
        ),
        (
            format!("{}\n{{\"type\":", event("user_1")),
            vec![": user.updated, user_1"],
            vec![format!(":2: the JSON stops in the middle, {expected}")],
            2,
        ),
        (
            String::new(),
            vec![],
            vec![format!(": it is empty, {expected}")],
            2,
        ),
    ];
    for (content, shown, told, code) in cases {
        let file = file(content.as_bytes());
        let (output, complaints, exit) = preview(&application, &[name(&file)]);
        let heads: Vec<&str> = output
            .lines()
            .filter(|line| line.starts_with('/'))
            .collect();
        let named = |end: &str| format!("{}{end}", name(&file));
        assert_eq!(
            heads,
            shown.iter().map(|end| named(end)).collect::<Vec<_>>(),
            "{content}"
        );
        let complaints: Vec<&str> = complaints.lines().collect();
        assert_eq!(
            complaints,
            told.iter().map(|end| named(end)).collect::<Vec<_>>(),
            "{content}"
        );
        assert_eq!(exit, code, "{content}");
    }
    let one = file(event("user_1").as_bytes());
    let (output, complaints, exit) = preview(&application, &["/nowhere.json", name(&one)]);
    assert!(
        complaints.starts_with("/nowhere.json: it cannot be read ("),
        "{complaints}"
    );
    assert!(output.contains("user.updated, user_1"), "{output}");
    assert_eq!(exit, 2);
    // Without a file there is nothing to show; and the tables file is looked at first.
    assert_eq!(preview(&application, &[]).2, 2);
    application.world.sql("alter table users drop column name");
    let (output, _, exit) = preview(&application, &[name(&one)]);
    let expected = format!(
        "{}:4: public.users has no column \"name\", expected one of its columns\n",
        application.file()
    );
    assert_eq!((output, exit), (expected, 1));
}
