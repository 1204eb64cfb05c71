//! Values that one row alone may have, besides e-mail addresses.

mod other_indexes;
mod swaps;

use serde_json::{Value, json};

use super::{Application, deleted, updated};
use crate::helpers::{DEAD, World};
use crate::waking::{waiting, waits_for_long};

/// A column for each type that a unique value may have.
const THINGS: &str = r#"
    create extension citext;
    create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create type mood as enum ('sad', 'glad', 'mad');
    create domain handle as citext;
    create table things (
      id text primary key, username text not null default '', "plain" varchar(20) unique, email citext unique,
      nick text collate anycase unique, short char(4) unique, handle handle unique, number int unique,
      big bigint unique, price numeric(6, 1) unique, token uuid unique, at timestamp(0) unique, day date unique,
      mood mood unique, flag boolean unique, data jsonb unique, address inet unique, made text unique)"#;

/// Of each column: two ways to write one value, and another value.
fn values() -> Vec<(&'static str, Value, Value, Value)> {
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad9";
    vec![
        ("plain", json!("ada"), json!("ada"), json!("ADA")),
        (
            "email",
            json!("Ada@Example.com"),
            json!("ada@example.COM"),
            json!("a@example.com"),
        ),
        ("nick", json!("Ada"), json!("aDA"), json!("Adá")),
        ("short", json!("a"), json!("a   "), json!("A")),
        ("handle", json!("Ada"), json!("ADA"), json!("Eve")),
        ("number", json!(7), json!("7"), json!(8)),
        ("big", json!(-7), json!(-7.0), json!(-8)),
        ("price", json!("1.0"), json!(1.04), json!(1.06)),
        (
            "token",
            json!(format!("{uuid}A")),
            json!(format!("{uuid}a")),
            json!(format!("{uuid}b")),
        ),
        (
            "at",
            json!(1_716_883_200_381_i64),
            json!("2024-05-28T08:00:00Z"),
            json!(1_716_883_200_581_i64),
        ),
        (
            "day",
            json!(1_716_883_200_381_i64),
            json!("2024-05-28"),
            json!("2024-05-29"),
        ),
        ("mood", json!("sad"), json!("sad"), json!("glad")),
        ("flag", json!(true), json!("true"), json!(false)),
        (
            "data",
            json!({"a": 1, "b": []}),
            json!({"b": [], "a": 1.0}),
            json!({"a": 1, "b": [1]}),
        ),
        (
            "address",
            json!("127.0.0.1"),
            json!("127.0.0.1/32"),
            json!("127.0.0.2"),
        ),
    ]
}

fn file(columns: &[&str]) -> String {
    let column = |name: &&str| format!("{name} = \"public_metadata.{name}\"\n");
    let columns: String = columns.iter().map(column).collect();
    format!("[user]\ntable = \"things\"\nkey = \"id\"\n[user.columns]\n{columns}")
}

fn with(column: &str, value: &Value) -> Value {
    json!({"public_metadata": {column: value}})
}

fn reason(column: &str) -> String {
    format!("the value of column \"{column}\" of public.things belongs to a row of another user")
}

/// Equal is what the column says. All at once, each free again in another way.
#[test]
fn who_wants_a_taken_value_waits_and_is_woken_when_it_is_free() {
    let values = values();
    let columns: Vec<&str> = values.iter().map(|(column, ..)| *column).collect();
    let application = Application::new(THINGS, &file(&columns));
    let world = &application.world;
    let _worker = application.worker();
    for (column, value, _, other) in &values {
        world.add_next(&updated(&format!("{column}_1"), 1, &with(column, value)));
        world.add_next(&updated(&format!("{column}_2"), 1, &with(column, other)));
    }
    world.settle();
    assert_eq!(
        world.sql("select count(*) from things"),
        (2 * values.len()).to_string(),
        "{}",
        world.redis(&["XRANGE", DEAD, "-", "+"])
    );
    for (column, _, same, _) in &values {
        let svix_id = format!("msg_{column}");
        application.add_often(
            &svix_id,
            &updated(&format!("{column}_3"), 2, &with(column, same)),
        );
    }
    for (column, ..) in &values {
        let svix_id = format!("msg_{column}");
        waits_for_long(world, &svix_id);
        assert_eq!(waiting(world, &svix_id, "reason"), reason(column));
        assert_eq!(
            waiting(world, &svix_id, "awaited"),
            format!("user/{column}_1")
        );
    }
    for (place, (column, ..)) in values.iter().enumerate() {
        let id = format!("{column}_1");
        world.add_next(&if place % 2 == 0 {
            deleted(&id, 3)
        } else {
            updated(&id, 3, &json!({}))
        });
    }
    for (column, ..) in &values {
        world.wait_for(column, |world| {
            world.outcome(&format!("msg_{column}")) == "applied"
        });
    }
    world.settle();
    for (column, ..) in &values {
        let owner = format!("select count({column}) from things where id = '{column}_3'");
        assert_eq!(world.sql(&owner), "1", "{column}");
    }
}

/// The value that the row is made with is nobody else's either; the others need it no more.
#[test]
fn a_value_of_on_create_that_is_taken_is_waited_for_too() {
    let application = Application::new(
        THINGS,
        &format!(
            "{}\n[user.on_create]\nmade = {{ value = \"user-{{id:2}}\" }}",
            file(&["email"])
        ),
    );
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&updated("user_a01", 1, &json!({})), "applied");
    application.add_often("msg_1", &updated("user_b01", 1, &json!({})));
    waits_for_long(world, "msg_1");
    assert_eq!(waiting(world, "msg_1", "reason"), reason("made"));
    let other = world.add_next(&updated(
        "user_c02",
        1,
        &with("email", &json!("c@example.com")),
    ));
    world.wait_for("the other one is there", |world| {
        world.outcome(&other) == "applied"
    });
    // Two rows change what they were made with, by the application; what Clerk says of them is written all the same.
    world.sql("update things set made = null; update things set made = case id when 'user_c02' then 'user-01' else 'user-02' end");
    let both = [("user_a01", "c@example.com"), ("user_c02", "a@example.com")];
    for (id, email) in both {
        world.add_next(&updated(id, 2, &with("email", &json!(email))));
    }
    world.wait_for("they have swapped nothing but the address", |world| {
        world.sql("select id, email, made from things order by id")
            == "user_a01|c@example.com|user-02\nuser_c02|a@example.com|user-01"
    });
    world.wait_for("it waits for the new owner", |world| {
        waiting(world, "msg_1", "awaited") == "user/user_c02"
    });
    world.add_next(&deleted("user_c02", 3));
    world.wait_for("the value is free", |world| {
        world.outcome("msg_1") == "applied"
    });
}

fn waits(world: &World, svix_id: &str, column: &str) {
    // It may be tried again just now.
    world.wait_for("it waits, and says why", |world| {
        waiting(world, svix_id, "reason") == reason(column)
    });
}

/// NULL is nobody's, and nobody waits for it.
#[test]
fn any_number_of_rows_say_nothing_in_a_unique_column() {
    let application = Application::new(THINGS, &file(&["email", "number"]));
    let world = &application.world;
    world.migrate();
    for n in 0..5 {
        world.add_next(&updated(&format!("user_{n}"), 1, &json!({})));
    }
    // One whose address is taken, so that all is settled.
    world.sql("insert into things (id, email) values ('ours', 'a@example.com')");
    let waiting = world.add_next(&updated(
        "user_9",
        1,
        &with("email", &json!("A@example.com")),
    ));
    let _worker = application.worker();
    world.wait_for("the others are there", |world| {
        world.sql("select count(*) from things") == "6"
    });
    waits(world, &waiting, "email");
}
