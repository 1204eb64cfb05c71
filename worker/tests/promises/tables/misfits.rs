//! What does not fit is told at once, with what to type.

use worker::agreement::Agreement;
use worker::apply::target::Targets;
use worker::database::Database;
use worker::database::url::DatabaseUrl;
use worker::tables::Tables;
use xtask::program::Program;

use super::Application;
use crate::helpers::{World, database};

/// A file in which each line is followed by what is told of it.
struct Case {
    sql: String,
    file: String,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Case {
    /// `@me` is the role that the check runs as, if there is one, and `@group` another one.
    fn parse(text: &str, me: &str) -> Self {
        let named = |text: &str, quote: &str| {
            let of = |role: &str| format!("{quote}{role}{quote}");
            text.replace("@me", &of(me))
                .replace("@group", &of(&format!("{me}_group")))
        };
        let (sql, file) = text.split_once("----\n").unwrap();
        let sql = sql.lines().filter(|line| !line.starts_with("# "));
        let told = |mark: &str, other: &str| {
            let mut told = Vec::new();
            for (line, text) in file.lines().enumerate() {
                let notes = text.split(mark).skip(1);
                let notes = notes.map(|note| note.split(other).next().unwrap().trim_end());
                told.extend(notes.map(|note| format!("f:{}: {}", line + 1, named(note, "\""))));
            }
            told
        };
        Self {
            sql: named(&sql.collect::<Vec<_>>().join("\n"), ""),
            file: file.to_owned(),
            errors: told("#! ", "#? "),
            warnings: told("#? ", "#! "),
        }
    }
}

async fn check(database: &Database, file: &str) -> Agreement {
    let tables = Tables::parse("f", file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let targets = Targets::new(tables.tables);
    targets.check_before_the_start(database).await.unwrap()
}

/// The cases are in misfits.txt: what makes the tables, and a file with what is told behind each line.
#[tokio::test]
async fn each_misfit_is_told_with_its_line_and_what_to_type() {
    let (mut told, mut different) = (0, Vec::new());
    for (number, text) in include_str!("misfits.txt").split("====\n").enumerate() {
        let world = World::new();
        let me = format!("me_{}_{number}", std::process::id());
        let case = Case::parse(text, &me);
        world.sql(&format!("create role {me} login"));
        if let Err(error) = world.postgres.psql(&world.database_url, &case.sql) {
            different.push(format!("{}\n{error}", case.sql));
            continue;
        }
        let mut url = world.database_url.clone();
        if text.contains("@me") {
            world.sql(&format!(
                "do $$ begin execute format('grant create on database %I to {me}', current_database()); end $$"
            ));
            url = url.replace("postgres@", &format!("{me}@"));
        }
        let url = DatabaseUrl::parse(Some(&url), &|_| None).unwrap();
        let agreement = check(&Database::new(&url).unwrap(), &case.file).await;
        told += case.errors.len() + case.warnings.len();
        if (&agreement.errors, &agreement.warnings) != (&case.errors, &case.warnings) {
            let lines = [agreement.errors, agreement.warnings].concat().join("\n");
            let expected = [case.errors, case.warnings].concat().join("\n");
            different.push(format!(
                "{}\ntells\n{lines}\nexpected\n{expected}",
                case.sql
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    assert!(told > 75, "{told}");
}

/// All that is told to be typed makes the next check pass.
#[tokio::test]
async fn what_is_told_to_be_typed_is_valid_sql() {
    let world = World::new();
    let me = format!("typing_{}", std::process::id());
    world.sql(&format!(
        "create role {me} login; create schema app; create schema types; create type types.mood as enum ('sad');
         create table app.t (id varchar(9) unique deferrable, n serial, mood types.mood, at int, \"e\"\"mail\" text not null,
           low text generated always as (upper(id)) stored, i int generated always as identity);
         alter table app.t enable row level security; create rule r as on insert to app.t do nothing"
    ));
    let file = r#"
        [user]
        table = "app.t"
        key = "id"
        columns = { at = "created_at", mood = "public_metadata.mood", low = "username", 'e"mail' = "null" }
        on_create = { i = 1 }"#;
    let url = world.database_url.replace("postgres@", &format!("{me}@"));
    let url = DatabaseUrl::parse(Some(&url), &|_| None).unwrap();
    let database = Database::new(&url).unwrap();
    // Some show only once others are gone.
    for _ in 0..3 {
        let agreement = check(&database, file).await;
        for line in agreement.errors {
            let (_, remedy) = line.split_once(", ").unwrap();
            let from = ["CREATE", "ALTER", "GRANT", "DROP"].into_iter();
            let from = from
                .filter_map(|word| line.find(&format!(", {word} ")))
                .min();
            let remedy = from.map_or(remedy, |from| &line[from + 2..]);
            let (remedy, query) = remedy
                .split_once(" (find duplicates first")
                .unwrap_or((remedy, ""));
            world.sql(remedy);
            if let Some(from) = query.find("SELECT") {
                world.sql(query[from..].trim_end_matches(')'));
            }
        }
    }
    let errors = check(&database, file).await.errors;
    assert_eq!(errors, Vec::<String>::new());
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_told() {
    let world = World::new();
    let name = format!("ascii_{}", std::process::id());
    world.sql(&format!(
        "create database {name} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0"
    ));
    let (before, _) = world.database_url.rsplit_once('/').unwrap();
    let url = format!("{before}/{name}");
    world
        .postgres
        .psql(&url, "create table t (id text primary key)")
        .unwrap();
    let url = DatabaseUrl::parse(Some(&url), &|_| None).unwrap();
    let database = Database::new(&url).unwrap();
    let agreement = check(&database, "[user]\ntable = \"t\"\nkey = \"id\"").await;
    assert_eq!(
        agreement.errors,
        [format!(
            "f:1: the database \"{name}\" is SQL_ASCII and cannot hold all that Clerk sends, another database: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;"
        )]
    );
}

/// As behind a pooler that does not pass it on.
#[tokio::test]
async fn a_search_path_that_the_session_does_not_have_is_told() {
    let world = World::new();
    world.sql("create schema app; create table app.t (id text primary key)");
    let file = "[user]\ntable = \"app.t\"\nkey = \"id\"";
    let asking = format!(
        "{}?options=-c%20search_path%3Dapp%2Cpublic",
        world.database_url
    );
    let asking = DatabaseUrl::parse(Some(&asking), &|_| None).unwrap();
    assert_eq!(asking.search_path().as_deref(), Some("app,public"));
    let without = database(&world);
    let with = Database::new(&asking).unwrap();
    for (database, is_told) in [(with, false), (without, true)] {
        let tables = Tables::parse("f", file).unwrap().tables;
        let targets = Targets::new(tables).with_search_path(asking.search_path());
        let agreement = targets.check_before_the_start(&database).await.unwrap();
        let lines = agreement.errors.join("\n");
        assert_eq!(
            lines.contains("DATABASE_URL asks for the search_path app,public"),
            is_told,
            "{lines}"
        );
        assert_eq!(agreement.errors.len(), usize::from(is_told));
    }
}

/// The tables of the schema that is ours.
#[tokio::test]
async fn tables_of_clerk_sync_that_are_of_another_form_are_told() {
    let world = World::new();
    let database = database(&world);
    let targets = Targets::new(Tables::built_in());
    let agreement = targets.check_before_the_start(&database).await.unwrap();
    // All of it is made at the start.
    assert_eq!(agreement, Agreement::default());
    world.sql("create schema clerk_sync");
    let agreement = targets.check_before_the_start(&database).await.unwrap();
    assert_eq!(agreement, Agreement::default());
    world.migrate();
    world.sql(
        "alter table clerk_sync.events drop object_id; alter table clerk_sync.versions alter deleted type text;
         drop table clerk_sync.cache_tags",
    );
    let agreement = targets.check_before_the_start(&database).await.unwrap();
    let remedy = "DROP SCHEMA clerk_sync CASCADE; then worker migrate, then worker reconcile";
    let told = |what: &str| format!("built-in tables file:1: {what}, {remedy}");
    let events =
        told("clerk_sync.events is not as this version makes it: it has no column \"object_id\"");
    let versions = told("clerk_sync.versions is not as this version makes it: \"deleted\" is text");
    let cache_tags = told("there is no table clerk_sync.cache_tags");
    assert_eq!(agreement.errors, [events.clone(), versions, cache_tags]);
    world.sql("drop schema clerk_sync cascade; alter table users rename to people");
    world.migrate();
    world.sql(
        "alter table clerk_sync.events add other int not null;
         alter table clerk_sync.versions drop constraint versions_pkey, add primary key (object_id)",
    );
    let agreement = targets.check_before_the_start(&database).await.unwrap();
    let events = told(
        "clerk_sync.events is not as this version makes it: nobody fills its column \"other\"",
    );
    let versions = told(
        "clerk_sync.versions is not as this version makes it: its primary key is not (family, object_id)",
    );
    assert_eq!(agreement.errors, [events, versions]);
}

/// A key that objects say is kept as a text: it has to be equal where the column is. Clerk's own id is not kept so.
#[tokio::test]
async fn a_key_of_any_collation_is_refused_where_other_texts_are_equal() {
    let world = World::new();
    world.sql(
        "create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table t (id text collate anycase unique, odd text collate anycase unique, plain text collate \"POSIX\" unique)",
    );
    let file = |key: &str, columns: &str| {
        format!("[user]\ntable = \"t\"\nkey = \"{key}\"\ncolumns = {{ {columns} }}\n")
    };
    let database = database(&world);
    for (column, expected) in [
        (
            "odd",
            vec![
                "f:3: the key column \"odd\" is text COLLATE public.anycase, which is no type of a key, \
                 expected text, varchar, citext, uuid, an enum or integer, without a collation of its own",
            ],
        ),
        ("plain", vec![]),
    ] {
        let said = file(column, &format!("{column} = \"external_id\""));
        assert_eq!(check(&database, &said).await.errors, expected, "{column}");
    }
    let errors = check(&database, &file("id", "")).await.errors;
    assert_eq!(errors, Vec::<String>::new());
}

fn run(url: &str, arguments: &[&str]) -> (i32, String) {
    let output = Program::run("worker", arguments, &[("DATABASE_URL", url)]).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), text)
}

#[test]
fn the_command_exits_1_with_a_line_for_each_misfit_or_else_0() {
    let sql = "create table t (id text primary key, email text unique, n int default 1)";
    let file = "[user]\ntable = \"t\"\nkey = \"id\"\n[user.columns]\nn = \"public_metadata.n\"\n";
    let application = Application::new(sql, file);
    let world = &application.world;
    let file = application.file();
    let check = || {
        run(
            &world.database_url,
            &["tables", "check", "--tables-file", file],
        )
    };
    let warning = format!(
        "warning: {file}:5: the DEFAULT of the column \"n\" is not used, because the column is always written, expected default = … beside from (in SQL it is 1)\n"
    );
    let checked = format!("{warning}{file} fits the database\n  [user] public.t\n");
    assert_eq!(check(), (0, checked));
    world.sql(
        "alter table t drop constraint t_pkey, alter id drop not null; alter table t rename n to m",
    );
    let (code, lines) = check();
    assert_eq!(code, 1);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&format!(
        "{file}:3: key = \"id\": there is no unique index on it, CREATE"
    )));
    assert_eq!(
        lines[1],
        format!("{file}:5: public.t has no column \"n\", expected one of its columns")
    );
    // Nothing was made by looking.
    assert_eq!(world.sql("select to_regnamespace('clerk_sync')"), "");
}

/// The built-in file is a file like any other.
#[test]
fn without_a_file_the_built_in_one_is_checked() {
    let world = World::new();
    let check = || run(&world.database_url, &["tables", "check"]);
    let fits = "the built-in tables file fits the database (TABLES_FILE is not set)\n  [user] ";
    let made = format!("{fits}a table users, which the worker makes when it starts\n");
    assert_eq!(check(), (0, made));
    world.migrate();
    assert_eq!(check(), (0, format!("{fits}public.users\n")));
    world.sql(
        r#"drop table users; create table users (id uuid primary key, name varchar(255) not null, email varchar(255) not null unique,
             "imageUrl" varchar(1000), "createdAt" text, "updatedat" timestamptz not null)"#,
    );
    let (code, lines) = check();
    assert_eq!(code, 1);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            "built-in tables file:3: the key \"id\" is uuid, and Clerk's id is a text, a column of its own: ALTER TABLE \"public\".\"users\" ADD COLUMN clerk_id text UNIQUE; and key = \"clerk_id\"",
            "built-in tables file:4: public.users has no column \"updatedAt\", expected \"updatedat\"",
            "built-in tables file:12: public.users has no column \"updatedAt\", expected \"updatedat\"",
        ]
    );
}

/// P12: all of it, before anything has been made.
#[test]
fn a_role_that_may_not_make_what_is_missing_is_told_all_of_it_at_the_start() {
    let world = World::new();
    let me = format!("maker_{}", std::process::id());
    world.sql(&format!(
        "create role {me} login; revoke create on schema public from public"
    ));
    let url = world.database_url.replace("postgres@", &format!("{me}@"));
    let (_, database) = world.database_url.rsplit_once('/').unwrap();
    let expected = [
        format!(
            "built-in tables file:1: the role \"{me}\" may not create the schema clerk_sync, GRANT CREATE ON DATABASE \"{database}\" TO \"{me}\";"
        ),
        format!(
            "built-in tables file:2: there is no table \"users\", and the role \"{me}\" may not create it, GRANT CREATE ON SCHEMA \"public\" TO \"{me}\";"
        ),
    ];
    let (code, lines) = run(&url, &["tables", "check"]);
    assert_eq!(
        (code, lines.lines().collect::<Vec<_>>()),
        (1, expected.iter().map(String::as_str).collect())
    );
    let worker = world.start_worker(&[("DATABASE_URL", &url)]);
    world.wait_for("the worker says what is missing", |_| {
        let output = worker.program.output();
        // In the log quotes are escaped.
        expected
            .iter()
            .all(|line| output.contains(&line.replace('"', "\\\"")) || output.contains(line))
    });
}
