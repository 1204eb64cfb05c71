//! What a tables file maps is compared, in the columns' own types.

use std::fs;

use super::{added, assert_says, list, nth, run_with};
use crate::clerk_server::{ClerkServer, listed};
use crate::helpers::World;
use crate::tables::Application;

const MEMBERS: &str = r#"
    create type mood as enum ('calm', 'wild');
    create table members (
      id serial primary key, clerk text unique, email varchar(40) unique, nick varchar(5), mood mood,
      meta jsonb, seats numeric(6,2), tags text[], seen timestamp(0), plan text, written timestamptz, sent bigint,
      locale text);"#;

const FILE: &str = r#"
    [user]
    table = "members"
    key = "clerk"
    [user.columns]
    email = "primary_email_address"
    nick = { from = "first_name", too_long = "cut" }
    mood = { from = "public_metadata.mood", default = "calm" }
    meta = "public_metadata"
    seats = "public_metadata.seats"
    tags = "public_metadata.tags"
    seen = "updated_at"
    locale = { from = "locale", silent = "keep" }
    written = "now"
    sent = "event.timestamp"
    [user.on_create]
    plan = { value = "free" }
    "#;

pub(crate) fn run(application: &Application, clerk: &ClerkServer, arguments: &[&str]) -> String {
    let settings = [("TABLES_FILE", application.file())];
    let (output, code) = run_with(&application.world, clerk, arguments, &settings);
    assert_eq!(code, 0, "{output}");
    application.world.settle();
    output
}

/// Users with metadata of every kind.
fn clerk() -> ClerkServer {
    let mut users = list(0..3);
    users[0]["public_metadata"] = serde_json::json!({});
    users[1]["public_metadata"] = serde_json::json!({ "mood": "wild", "seats": 1.5, "tags": ["a", "b\"c"], "z": 1, "a": null });
    users[2]["public_metadata"] = serde_json::json!({ "seats": "2.005", "tags": [] });
    ClerkServer::start(users)
}

fn one_is_different(world: &World, sql: &str, application: &Application, clerk: &ClerkServer) {
    world.sql(sql);
    assert_says(
        &run(application, clerk, &[]),
        &["2 equal, 0 missing, 1 different"],
    );
    assert_says(
        &run(application, clerk, &[]),
        &["3 equal, 0 missing, 0 different"],
    );
}

#[test]
fn what_the_file_maps_is_compared_and_nothing_else() {
    let application = Application::new(MEMBERS, FILE);
    let world = &application.world;
    let worker = application.worker();
    let clerk = clerk();
    assert_says(&run(&application, &clerk, &[]), &["0 equal, 3 missing"]);
    let rows = "select clerk, nick, mood, meta, seats, tags, seen, plan, locale from members order by clerk";
    assert_eq!(
        world.sql(rows),
        "user_00000|Ada|calm|{}|||2024-05-28 08:00:00|free|\n\
         user_00001|Ada|wild|{\"a\": null, \"z\": 1, \"mood\": \"wild\", \"tags\": [\"a\", \"b\\\"c\"], \"seats\": 1.5}|1.50|{a,\"b\\\"c\"}|2024-05-28 08:00:01|free|\n\
         user_00002|Ada|calm|{\"tags\": [], \"seats\": \"2.005\"}|2.01|{}|2024-05-28 08:00:02|free|"
    );
    let before = added(world);
    assert_says(&run(&application, &clerk, &[]), &["3 equal, 0 missing"]);
    // What is the application's, or is another thing in each event.
    world.sql("update members set plan = 'paid', locale = 'de', written = null, sent = 1");
    assert_says(&run(&application, &clerk, &[]), &["3 equal, 0 missing"]);
    assert_eq!(added(world), before);
    for change in [
        "update members set nick = 'ada' where clerk = 'user_00001'",
        "update members set mood = null where clerk = 'user_00001'",
        "update members set meta = '{}' where clerk = 'user_00001'",
        "update members set seats = 1.51 where clerk = 'user_00001'",
        "update members set tags = '{b,a}' where clerk = 'user_00001'",
        "update members set seen = seen + interval '1 second' where clerk = 'user_00001'",
        "update members set email = upper(email) where clerk = 'user_00001'",
    ] {
        one_is_different(world, change, &application, &clerk);
    }
    // A column that is new in the file is filled by the next run.
    drop(worker);
    world.sql("alter table members add column family text");
    let more = FILE.replace("[user.columns]", "[user.columns]\nfamily = \"last_name\"");
    fs::write(application.file(), more).unwrap();
    let _worker = application.worker();
    assert_says(
        &run(&application, &clerk, &[]),
        &["0 equal, 0 missing, 3 different"],
    );
    assert_eq!(world.sql("select distinct family from members"), "Lovelace");
    assert_says(&run(&application, &clerk, &[]), &["3 equal, 0 missing"]);
}

#[test]
fn what_a_trigger_makes_of_a_row_is_repaired_once() {
    let application = Application::new(
        &format!(
            "{MEMBERS} create function shout() returns trigger language plpgsql as $$ \
               begin new.nick := upper(new.nick); return new; end $$; \
             create trigger shout before insert or update on members for each row execute function shout()"
        ),
        FILE,
    );
    let world = &application.world;
    let _worker = application.worker();
    let clerk = ClerkServer::start(list(0..3));
    // One by an event; the others by the list.
    application.apply(&nth(0).created());
    assert_says(
        &run(&application, &clerk, &[]),
        &["0 equal, 2 missing, 1 different"],
    );
    assert_says(&run(&application, &clerk, &[]), &["3 equal, 0 missing"]);
    assert_eq!(world.sql("select distinct nick from members"), "ADA");
    one_is_different(
        world,
        "update members set seats = 7 where clerk = 'user_00001'",
        &application,
        &clerk,
    );
    // What comes later is looked at anew.
    application.apply(
        &nth(2)
            .first_name("Grace")
            .updated_at(1_800_000_000_000)
            .updated(),
    );
    clerk.state().users[2] = listed(&nth(2).first_name("Grace").updated_at(1_800_000_000_000));
    let output = run(&application, &clerk, &[]);
    assert_says(&output, &["2 equal, 0 missing, 1 different"]);
    let output = run(&application, &clerk, &[]);
    assert_says(&output, &["3 equal, 0 missing, 0 different"]);
}

#[test]
fn objects_without_a_row_are_not_pushed_where_none_is_made() {
    for missing_row in ["wait", "ignore"] {
        let file = FILE.replace("[user.columns]", "link_by = \"email\"\n[user.columns]");
        let file = file.replace("key =", &format!("missing_row = \"{missing_row}\"\nkey ="));
        let application = Application::new(MEMBERS, &file);
        let world = &application.world;
        let _worker = application.worker();
        let clerk = ClerkServer::start(list(0..3));
        let output = run(&application, &clerk, &[]);
        assert_says(&output, &["0 equal, 0 missing", "3 without a row"]);
        assert_eq!(world.redis(&["EXISTS", crate::helpers::EVENTS]), "1");
        assert_eq!(added(world), "0");
        // One that may be linked is.
        world.sql("insert into members (email) values ('1@example.com')");
        let output = run(&application, &clerk, &[]);
        assert_says(&output, &["0 equal, 1 missing", "2 without a row"]);
        assert_eq!(
            world.sql("select clerk, nick from members"),
            "user_00001|Ada"
        );
        let output = run(&application, &clerk, &[]);
        assert_says(&output, &["1 equal, 0 missing", "2 without a row"]);
    }
}

/// Rows that deletions leave are where they belong; those of users whom Clerk no longer has are left by a deletion whose
/// time is that of asking.
#[test]
fn rows_that_deletions_leave_are_not_deleted_again() {
    let file = format!(
        "{FILE}\n[user.on_delete]\nsent = \"event.timestamp\"\nnick = {{ value = \"gone\" }}"
    );
    let application = Application::new(MEMBERS, &file);
    let world = &application.world;
    let _worker = application.worker();
    let clerk = ClerkServer::start(list(0..4));
    run(&application, &clerk, &[]);
    application.apply(&nth(3).deleted());
    clerk.state().users.drain(2..);
    let delete = ["--delete-missing", "--max-delete-share", "100", "--yes"];
    let output = run(&application, &clerk, &delete);
    assert_says(&output, &["1 of 4 rows are of users"]);
    assert_eq!(
        world.sql("select clerk, nick, abs(extract(epoch from now()) - sent / 1000) < 600 from members order by clerk offset 2"),
        "user_00002|gone|t\nuser_00003|gone|f"
    );
    assert_says(
        &run(&application, &clerk, &delete),
        &["0 of 4 rows are of users"],
    );
}
