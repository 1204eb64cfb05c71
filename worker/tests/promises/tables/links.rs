//! Rows that become an object's in place of a second one.

mod races;
mod waking;

use serde_json::json;

use super::{Application, address, deleted, updated};
use crate::helpers::{RETRY, World};
use crate::waking::{waiting, waits_for_long};

const PEOPLE: &str = "
    create extension citext;
    create table people (
      id serial primary key, clerk_id text unique, email citext not null unique, name text, locale text,
      plan text, seats int, note text default 'none', stamped timestamptz)";
const FILE: &str = r#"
    [user]
    table = "people"
    key = "clerk_id"
    link_by = "email"
    newest = "stamped"

    [user.columns]
    email = "primary_email_address"
    name = { from = "first_name", default = "User" }
    locale = { from = "locale", silent = "keep", default = "en" }

    [user.on_create]
    plan = { value = "free" }
    seats = 1
    "#;
const ROWS: &str =
    "select id, clerk_id, email, name, locale, plan, seats, note from people order by id";

fn invite(world: &World, email: &str) {
    world.sql(&format!("insert into people (email) values ('{email}')"));
}

fn verified(id: &str, second: i64, email: &str) -> String {
    updated(id, second, &address(email, true))
}

fn unverified(id: &str, second: i64, email: &str) -> String {
    updated(id, second, &address(email, false))
}

fn waits(world: &World, svix_id: &str, reason: &str) {
    world.wait_for("it waits", |world| {
        !waiting(world, svix_id, "reason").is_empty()
    });
    assert_eq!(waiting(world, svix_id, "reason"), reason);
}

const OF_NO_USER: &str =
    "the value of column \"email\" of public.people belongs to a row of no user";
const OF_ANOTHER: &str =
    "the value of column \"email\" of public.people belongs to a row of another user";

/// Though it says that it is newer than Clerk's user.
#[test]
fn an_invited_row_becomes_the_user_s() {
    let application = Application::new(
        &format!(
            "{PEOPLE}; insert into people (email, name, locale, plan, note, stamped) values
               ('ADA@example.com', 'Invited', 'fr', 'paid', 'ours', '2030-01-01'),
               ('grace@example.com', 'Invited', null, null, null, null)"
        ),
        FILE,
    );
    let world = &application.world;
    let _worker = application.worker();
    let mut ada = address("Ada@Example.com", true);
    ada["first_name"] = json!("Ada");
    application.expect(&updated("user_1", 5, &ada), "applied");
    let mut grace = address("Grace@Example.com", true);
    grace["locale"] = json!("es");
    application.expect(&updated("user_2", 5, &grace), "applied");
    // Nobody has invited this one.
    application.expect(&verified("user_3", 5, "3@example.com"), "applied");
    let rows = "1|user_1|Ada@Example.com|Ada|fr|paid|1|ours\n\
         2|user_2|Grace@Example.com|User|es|free|1|\n\
         3|user_3|3@example.com|User|en|free|1|none";
    assert_eq!(world.sql(ROWS), rows);
    // From now on they are rows like others.
    world.sql("update people set seats = null, locale = null");
    application.expect(&verified("user_1", 4, "late@example.com"), "stale");
    application.expect(&verified("user_1", 6, "new@example.com"), "applied");
    application.expect(&deleted("user_2", 6), "applied");
    assert_eq!(
        world.sql(ROWS),
        "1|user_1|new@example.com|User||paid||ours\n3|user_3|3@example.com|User||free||none"
    );
    assert_eq!(world.sql("select last_value from people_id_seq"), "3");
}

/// One who has not shown that the address is theirs waits for the row; a later event may show it.
#[test]
fn only_a_verified_address_links() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    invite(world, "ada@example.com");
    let _worker = application.worker();
    application.add_often(
        "msg_unverified",
        &unverified("user_1", 1, "ada@example.com"),
    );
    waits_for_long(world, "msg_unverified");
    waits(world, "msg_unverified", OF_NO_USER);
    world.add("msg_verified", &verified("user_1", 2, "ada@example.com"));
    world.settle();
    assert_eq!(application.became("msg_verified"), "applied");
    assert_eq!(application.became("msg_unverified"), "stale");
    assert_eq!(
        world.sql(ROWS),
        "1|user_1|ada@example.com|User||free|1|none"
    );
}

/// By another column than an address: what Clerk says, not what the file says in its place.
#[test]
fn what_clerk_says_links_and_a_default_does_not() {
    let table =
        "create table people (id serial primary key, clerk_id text unique, code text unique)";
    let file = |code: &str| {
        format!(
            r#"
            [user]
            table = "people"
            key = "clerk_id"
            link_by = "code"
            columns = {{ code = {code} }}
            "#
        )
    };
    let phone = |status: &str| {
        json!({"primary_phone_number_id": "idn_1", "phone_numbers":
            [{"id": "idn_1", "phone_number": "+1", "verification": {"status": status}}]})
    };
    for (code, invited, says, links) in [
        (
            r#""external_id""#,
            "crm_7",
            json!({"external_id": "crm_7"}),
            true,
        ),
        (
            r#"{ from = "external_id", default = "{id}" }"#,
            "user_1",
            json!({}),
            false,
        ),
        (
            r#"{ from = "external_id", default = "{id}" }"#,
            "user_1",
            json!({"external_id": "user_1"}),
            true,
        ),
        (
            r#"{ from = "username", map = { ada = "+1" } }"#,
            "+1",
            json!({"username": "ada"}),
            true,
        ),
        (r#""primary_phone_number""#, "+1", phone("verified"), true),
        (
            r#""primary_phone_number""#,
            "+1",
            phone("unverified"),
            false,
        ),
        (
            r#"{ from = "username", map = { ada = "{primary_phone_number}" } }"#,
            "+1",
            {
                let mut says = phone("unverified");
                says["username"] = json!("ada");
                says
            },
            false,
        ),
        (
            r#""phone_numbers.0.phone_number""#,
            "+1",
            phone("verified"),
            true,
        ),
        (
            r#""phone_numbers.0.phone_number""#,
            "+1",
            phone("unverified"),
            false,
        ),
    ] {
        let application = Application::new(
            &format!("{table}; insert into people (code) values ('{invited}')"),
            &file(code),
        );
        let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
        let svix_id = application.apply(&updated("user_1", 1, &says));
        let row = application.world.sql("select id, clerk_id from people");
        if links {
            assert_eq!(
                (application.became(&svix_id).as_str(), row.as_str()),
                ("applied", "1|user_1"),
                "{code}"
            );
        } else {
            let reason = OF_NO_USER.replace("email", "code");
            assert_eq!(
                application.became(&svix_id),
                format!("dead: {reason}"),
                "{code}"
            );
            assert_eq!(row, "1|", "{code}");
        }
    }
}

#[test]
fn the_row_of_a_deleted_object_is_taken_over() {
    for (on_delete, left) in [
        (r#"on_delete = "keep""#, "1|user_1"),
        (r#"on_delete = { note = "event.type" }"#, "1|user_1"),
        (r#"on_delete = { clerk_id = "null" }"#, "1|"),
    ] {
        let application = Application::new(
            PEOPLE,
            &FILE.replace("newest", &format!("{on_delete}\nnewest")),
        );
        let world = &application.world;
        let row = || world.sql("select id, clerk_id from people");
        let worker = application.worker();
        application.expect(&verified("user_1", 1, "ada@example.com"), "applied");
        world.sql("update people set plan = 'paid', seats = null");
        application.expect(&deleted("user_1", 2), "applied");
        assert_eq!(row(), left);
        application.expect(&verified("user_2", 3, "ada@example.com"), "applied");
        assert_eq!(row(), "1|user_2");
        assert_eq!(world.sql("select plan, seats from people"), "paid|1");
        // It is not user_1's any more.
        application.expect(&deleted("user_1", 4), "stale");
        application.expect(&verified("user_1", 5, "ada@example.com"), "stale");
        assert_eq!(row(), "1|user_2");
        drop(worker);
        // The deletion and the new one in one batch, the new one first.
        let events = [
            verified("user_0", 7, "ada@example.com"),
            deleted("user_2", 6),
        ];
        let events = events.map(|event| world.add_next(&event));
        let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
        world.settle();
        for svix_id in events {
            assert_eq!(application.became(&svix_id), "applied");
        }
        assert_eq!(row(), "1|user_0", "{on_delete}");
    }
}

/// The address is in the row that it has been given; the one that it has stays.
#[test]
fn an_object_with_a_row_of_its_own_does_not_link() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&verified("user_1", 1, "old@example.com"), "applied");
    invite(world, "new@example.com");
    // Nor if that row was there before us.
    world.sql("insert into people (clerk_id, email) values ('user_0', '0@example.com')");
    let early = world.add_next(&verified("user_0", 2, "new@example.com"));
    waits(world, &early, OF_NO_USER);
    world.sql("delete from people where clerk_id = 'user_0'");
    world.redis(&["ZREM", RETRY, &early]);
    let waiting = world.add_next(&verified("user_1", 2, "new@example.com"));
    waits(world, &waiting, OF_NO_USER);
    let rows = "select clerk_id, email from people order by id";
    assert_eq!(world.sql(rows), "user_1|old@example.com\n|new@example.com");
    world.sql("delete from people where clerk_id is null");
    world.settle();
    assert_eq!(world.sql(rows), "user_1|new@example.com");
    // Nor is the row of somebody who is there given away.
    let other = world.add_next(&verified("user_2", 3, "new@example.com"));
    waits(world, &other, OF_ANOTHER);
    assert_eq!(waiting_for(world, &other), "user/user_1");
    assert_eq!(world.sql(rows), "user_1|new@example.com");
}

fn waiting_for(world: &World, svix_id: &str) -> String {
    waiting(world, svix_id, "awaited")
}

/// Two want the row of one invitation: in one batch the older event gets it.
#[test]
fn of_two_in_one_batch_the_older_event_gets_the_row() {
    for newer_first in [true, false] {
        let application = Application::new(PEOPLE, FILE);
        let world = &application.world;
        world.migrate();
        invite(world, "ada@example.com");
        let mut events = [
            verified("user_1", 5, "ada@example.com"),
            verified("user_2", 4, "ada@example.com"),
        ];
        if !newer_first {
            events.reverse();
        }
        let svix_ids = events.map(|event| world.add_next(&event));
        let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
        world.settle();
        assert_eq!(world.sql("select id, clerk_id from people"), "1|user_2");
        let mut became = svix_ids.map(|svix_id| application.became(&svix_id));
        became.sort();
        assert_eq!(became[0], "applied");
        assert!(
            became[1].starts_with("dead: the value of column \"email\""),
            "{became:?}"
        );
    }
}
