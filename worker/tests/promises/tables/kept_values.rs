//! A column that is left as it is keeps its value, whoever else wants it.

use serde_json::{Value, json};

use super::{Application, updated};
use crate::helpers::World;
use crate::waking::waiting;

const PEOPLE: &str = "
    create table people (
      id serial primary key, clerk_id text unique, email text unique, nick varchar(40) not null unique,
      badge varchar(40) unique, note text)";
const FILE: &str = r#"
    [user]
    table = "people"
    key = "clerk_id"
    link_by = "email"

    [user.columns]
    email = "primary_email_address"
    nick = { from = "username", silent = "keep", default = "{id}" }

    [user.on_create]
    badge = { from = "external_id", default = "{id}" }
    "#;

fn says(email: &str, more: &Value) -> Value {
    let mut says = super::address(email, true);
    for (name, value) in more.as_object().cloned().unwrap_or_default() {
        says[name] = value;
    }
    says
}

fn rows(world: &World) -> String {
    world.sql("select clerk_id, email, nick, badge from people order by id")
}

/// P4: `wants` wants what the row of the other one keeps, in the very transaction in which that one is written.
fn keeps(column: &str, sql: &str, wants: &Value, rows_after: &str) {
    let application = Application::new(&format!("{PEOPLE}; {sql}"), FILE);
    let world = &application.world;
    world.migrate();
    let keeping = world.add_next(&updated("user_a", 2, &says("a2@example.com", &json!({}))));
    let wanting = world.add_next(&updated("user_b", 2, &says("b@example.com", wants)));
    let _worker = application.worker();
    world.wait_for("the one that keeps it is applied", |world| {
        world.outcome(&keeping) == "applied"
    });
    let reason = format!(
        "the value of column \"{column}\" of public.people belongs to a row of another user"
    );
    world.wait_for("the other one waits", |world| {
        waiting(world, &wanting, "reason") == reason
    });
    assert_eq!(rows(world), rows_after);
    world.sql(&format!("update people set {column} = 'free'"));
    world.settle();
    assert_eq!(world.outcome(&wanting), "applied");
}

#[test]
fn a_row_that_keeps_a_value_gives_it_to_nobody() {
    let own = "insert into people (clerk_id, email, nick, badge) values ('user_a', 'a@example.com', 'ada', 'seven')";
    keeps(
        "nick",
        own,
        &json!({"username": "ada"}),
        "user_a|a2@example.com|ada|seven",
    );
}

#[test]
fn a_row_that_was_made_with_a_value_gives_it_to_nobody() {
    let own = "insert into people (clerk_id, email, nick, badge) values ('user_a', 'a@example.com', 'ada', 'seven')";
    keeps(
        "badge",
        own,
        &json!({"external_id": "seven"}),
        "user_a|a2@example.com|ada|seven",
    );
}

#[test]
fn a_row_that_is_linked_keeps_what_it_says_and_gives_it_to_nobody() {
    for (column, wants) in [
        ("nick", json!({"username": "ada"})),
        ("badge", json!({"external_id": "seven"})),
    ] {
        keeps(
            column,
            "insert into people (email, nick, badge) values ('a2@example.com', 'ada', 'seven')",
            &wants,
            "user_a|a2@example.com|ada|seven",
        );
    }
}
