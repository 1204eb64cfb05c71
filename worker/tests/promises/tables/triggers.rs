//! Triggers of the application: what they change is respected, and what they leave out is left out.

use serde_json::json;

use super::{Application, address, deleted, updated};
use crate::helpers::{DEAD, World};

const PEOPLE: &str = "
    create table people (
      id serial primary key, clerk_id text unique, email text unique, name text, gone boolean not null default false)";

fn file(more: &str) -> String {
    format!(
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        link_by = "email"
        tags = ["t:{{row.name}}"]
        {more}
        columns = {{ email = "primary_email_address", name = "first_name" }}
        "#
    )
}

/// A trigger that leaves out what `when` says.
fn leaving_out(event: &str, when: &str) -> String {
    format!(
        "create function leave_{event}() returns trigger language plpgsql as $$ begin return null; end $$;
         create trigger leave_{event} before {event} on people for each row when ({when}) execute function leave_{event}();"
    )
}

fn named(id: &str, second: i64, name: &str) -> String {
    let mut says = address(&format!("{id}@example.com"), true);
    says["first_name"] = json!(name);
    updated(id, second, &says)
}

fn rows(world: &World) -> String {
    world.sql("select clerk_id, email, name, gone from people order by id")
}

/// P4: and what is known of the object does not go back.
#[test]
fn what_a_trigger_leaves_out_is_applied_and_nothing_older_is_after_it() {
    let application = Application::new(
        &format!(
            "{PEOPLE}; {} {}",
            leaving_out("insert", "new.name = 'no'"),
            leaving_out(
                "update",
                "new.name = 'no' or new.gone and old.name = 'keep'"
            ),
        ),
        &file("on_delete = { gone = true }"),
    );
    let world = &application.world;
    let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
    application.expect(&named("user_1", 5, "no"), "applied");
    application.expect(&named("user_1", 4, "Ada"), "stale");
    assert_eq!(rows(world), "");
    application.expect(&named("user_1", 6, "Ada"), "applied");
    application.expect(&named("user_1", 8, "no"), "applied");
    application.expect(&named("user_1", 7, "Eve"), "stale");
    assert_eq!(rows(world), "user_1|user_1@example.com|Ada|f");
    application.expect(&named("user_1", 9, "keep"), "applied");
    application.expect(&deleted("user_1", 10), "applied");
    assert_eq!(rows(world), "user_1|user_1@example.com|keep|f");
    application.expect(&named("user_1", 11, "Eve"), "stale");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// A row that a trigger does not let us write is there: nobody waits for it, and it is not ignored.
#[test]
fn a_row_that_a_trigger_keeps_as_it_is_is_not_missing() {
    for missing_row in ["wait", "ignore"] {
        let application = Application::new(
            &format!(
                "{PEOPLE}; insert into people (clerk_id, name) values ('user_1', 'Ours'); {}",
                leaving_out("update", "old.name = 'Ours'"),
            ),
            &file(&format!("missing_row = \"{missing_row}\"")),
        );
        let world = &application.world;
        let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
        for second in [1, 2] {
            application.expect(&named("user_1", second, "Ada"), "applied");
        }
        assert_eq!(rows(world), "user_1||Ours|f", "{missing_row}");
    }
}

#[test]
fn what_a_trigger_makes_of_a_value_stays_so() {
    let application = Application::new(
        &format!(
            "{PEOPLE}; create function stamp() returns trigger language plpgsql as $$ begin
               new.name := upper(new.name); new.clerk_id := new.clerk_id; return new; end $$;
             create trigger stamp before insert or update on people for each row execute function stamp()"
        ),
        &file(""),
    );
    let world = &application.world;
    let _worker = application.worker();
    world.sql("insert into people (email) values ('user_1@example.com')");
    for (second, name) in [(1, "Ada"), (2, "Eve")] {
        world.redis(&["SET", &format!("t:{}", name.to_uppercase()), "cached"]);
        application.expect(&named("user_1", second, name), "applied");
        let expected = format!("user_1|user_1@example.com|{}|f", name.to_uppercase());
        assert_eq!(rows(world), expected);
    }
    assert_eq!(world.redis(&["KEYS", "t:*"]), "");
}

/// P4: the application makes a row again that it has removed, after we have looked for it and before we make one: a
/// trigger that runs once for each statement does so, in another session.
#[test]
fn a_row_that_comes_back_between_the_update_and_the_insert_is_written() {
    let application = Application::new(
        &format!(
            "{PEOPLE}; create extension dblink;
             create function come_back() returns trigger language plpgsql as $$ begin
               if to_regclass('comes_back') is not null and not exists (select from people) then
                 perform dblink_exec('host=127.0.0.1 port=' || current_setting('port') || ' user=postgres dbname=' || current_database(),
                   'insert into people (clerk_id, name) values (''user_1'', ''Ours'')');
               end if;
               return null; end $$;
             create trigger come_back after update on people for each statement execute function come_back()"
        ),
        &file("").replace("link_by = \"email\"\n", ""),
    );
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&named("user_1", 1, "Ada"), "applied");
    world.sql("delete from people; create table comes_back ()");
    application.expect(&named("user_1", 2, "Eve"), "applied");
    assert_eq!(rows(world), "user_1|user_1@example.com|Eve|f");
}
