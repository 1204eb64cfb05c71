//! Tables that change while workers run.

use std::time::Duration;

use serde_json::{Value, json};
use xtask::http::Http;

use super::{Application, deleted, updated};
use crate::helpers::{DEAD, Worker, World};

const PEOPLE: &str = "
    create type mood as enum ('sad');
    create table people (
      id text primary key, name text, mood mood, seats int, born date, note text not null default '', code varchar(4),
      gone boolean)";
const FILE: &str = r#"
    [user]
    table = "people"
    key = "id"
    on_delete = { gone = true }

    [user.columns]
    name = "first_name"
    mood = "public_metadata.mood"
    seats = "public_metadata.seats"
    "#;

fn named(second: i64, name: &str) -> String {
    updated("user_1", second, &json!({"first_name": name}))
}

fn metadata(second: i64, metadata: &Value) -> String {
    updated("user_1", second, &json!({"public_metadata": metadata}))
}

async fn answers(worker: &Worker, status: u16) {
    let url = format!("http://{}/readyz", worker.admin);
    xtask::wait::until("it says so", Duration::from_secs(30), async || {
        Http::new()
            .get(&url)
            .await
            .is_ok_and(|answer| answer.status == status)
    })
    .await
    .unwrap();
}

/// Says of the outage that it has begun.
fn is_away(world: &World, worker: &Worker, what: &str) {
    world.wait_for("the worker says what is missing", |_| {
        worker.program.output().contains(what)
    });
}

/// P8: a column that is gone is an outage; it uses up no attempt, and ends by itself.
#[test]
fn a_renamed_column_is_an_outage_that_ends_when_it_is_renamed_back() {
    for (away, back, is_known) in [
        (
            "alter table people rename name to full_name",
            "alter table people rename full_name to name",
            true,
        ),
        (
            "alter table people rename name to full_name",
            "alter table people rename full_name to name",
            false,
        ),
        (
            "alter table people rename id to key",
            "alter table people rename key to id",
            true,
        ),
        (
            "alter table people rename to persons",
            "alter table persons rename to people",
            false,
        ),
        (
            "revoke all on people from worker_role",
            "grant all on people to worker_role",
            true,
        ),
    ] {
        let application = Application::new(PEOPLE, FILE);
        let world = &application.world;
        world.migrate();
        let role = format!("role_{}_{}", std::process::id(), is_known);
        let statement = |sql: &str| world.sql(&sql.replace("worker_role", &role));
        let url = if away.starts_with("revoke") {
            statement(
                "create role worker_role login; grant usage on schema clerk_sync, public to worker_role;
                 grant select, insert, update, delete on all tables in schema clerk_sync to worker_role;
                 grant all on people to worker_role",
            );
            world.database_url.replace("postgres@", &format!("{role}@"))
        } else {
            world.database_url.clone()
        };
        let worker = application.worker_with(&[("MAX_ATTEMPTS", "1"), ("DATABASE_URL", &url)]);
        if is_known {
            application.expect(&named(1, "Ada"), "applied");
        }
        statement(away);
        let update = world.add_next(&named(2, "Eve"));
        let deletion = world.add_next(&deleted("user_2", 2));
        is_away(world, &worker, "nothing is read until they do");
        statement(back);
        world.settle();
        for svix_id in [&update, &deletion] {
            assert_eq!(application.became(svix_id), "applied", "{away}");
        }
        assert_eq!(
            world.sql("select id, name from people"),
            "user_1|Eve",
            "{away}"
        );
        assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    }
}

/// The statements follow the columns, without a new start.
#[test]
fn a_column_of_another_type_is_written_as_that() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1"), ("BATCH_SIZE", "20")]);
    let mut second = 0;
    let mut next = |alter: &str, seats: Value, expected: &str| {
        world.sql(alter);
        // What fits the column as it was, and as it is; then what fits only that.
        for seats in [Value::Null, seats] {
            second += 1;
            let svix_id = application.apply(&metadata(second, &json!({"seats": seats})));
            assert_eq!(application.became(&svix_id), "applied", "{alter} {seats}");
        }
        assert_eq!(world.sql("select seats from people"), expected, "{alter}");
    };
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad9a";
    let anew = |sql_type: &str| format!("alter table people drop seats, add seats {sql_type}");
    next("select 1", json!(1), "1");
    let to_json = "alter table people alter seats type jsonb using to_jsonb(seats)";
    next(to_json, json!({"a": 1}), r#"{"a": 1}"#);
    next(
        &anew("timestamptz"),
        json!("2024-05-28T08:00:00Z"),
        "2024-05-28 08:00:00+00",
    );
    next(&anew("uuid"), json!(uuid), uuid);
    next(&anew("text[]"), json!(["a"]), "{a}");
    next(&anew("boolean"), json!(true), "t");
    next(&anew("inet"), json!("127.0.0.1"), "127.0.0.1");
    next(&anew("integer"), json!(1), "1");
    // Several batches may meet it at once, and those that look second find that another has looked.
    world.sql(&anew("jsonb"));
    for n in 0..200 {
        world.add_next(&updated(
            &format!("user_{n}"),
            99,
            &json!({"public_metadata": {"seats": n}}),
        ));
    }
    world.settle();
    assert_eq!(
        world.sql("select count(*) from people where seats::text = substr(id, 6)"),
        "200"
    );
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// A table that is made anew, as a migration does.
#[test]
fn a_table_that_is_made_anew_is_written() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
    application.expect(&metadata(1, &json!({"mood": "sad"})), "applied");
    world.sql(
        "drop table people; drop type mood; create schema moods; create type moods.mood as enum ('glad');
         create table people (id varchar(60) primary key, name varchar(2), mood moods.mood, seats smallint, gone bool)",
    );
    let says = json!({"first_name": "Ada", "public_metadata": {"mood": "glad", "seats": 7}});
    application.expect(&updated("user_1", 2, &says), "applied");
    assert_eq!(
        world.sql("select id, name, mood, seats from people"),
        "user_1|Ad|glad|7"
    );
}

#[test]
fn an_enum_that_gets_a_word_takes_it_when_the_event_is_replayed() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let _worker = application.worker();
    let refused = application.expect(
        &metadata(1, &json!({"mood": "glad"})),
        "dead: data.public_metadata.mood is none of the words that column \"mood\" takes (table public.people)",
    );
    world.sql("alter type mood add value 'glad'");
    // The catalogue is read once a second at the most.
    world.wait_for("it is applied", |world| {
        application.replay(&refused);
        world.outcome(&refused) == "applied"
    });
    assert_eq!(world.sql("select mood from people"), "glad");
}

/// What a column takes less or more from now on.
#[test]
fn a_column_that_takes_less_refuses_with_its_name_and_one_that_takes_more_is_written() {
    let application = Application::new(
        PEOPLE,
        &FILE.replace(
            "name = \"first_name\"",
            "name = \"first_name\"\nnote = { from = \"last_name\", too_long = \"dead_letter\" }",
        ),
    );
    let world = &application.world;
    let _worker = application.worker();
    let says = |second: i64, first: Option<&str>, last: &str| {
        updated(
            "user_1",
            second,
            &json!({"first_name": first, "last_name": last}),
        )
    };
    application.expect(&says(1, None, "Lovelace"), "applied");
    world.sql("update people set name = ''; alter table people alter name set not null");
    let refused = application.expect(
        &says(2, None, "Lovelace"),
        "dead: data.first_name says nothing, and column \"name\" takes no NULL (table public.people)",
    );
    world.sql("alter table people alter note type varchar(3) using ''");
    let too_long = application.expect(
        &says(3, Some("Ada"), "Lovelace"),
        "dead: data.last_name is too long for column \"note\" (table public.people)",
    );
    world.sql("alter table people alter name drop not null, alter note type varchar(20)");
    for svix_id in [&refused, &too_long] {
        world.wait_for("it is applied", |world| {
            application.replay(svix_id);
            world.outcome(svix_id) == "applied"
        });
    }
    assert_eq!(world.sql("select name, note from people"), "Ada|Lovelace");
}

/// P8: the worker is not ready as long as its table is gone when it starts, and begins when it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_without_its_table_waits_for_it() {
    let application = Application::new("", FILE);
    let world = &application.world;
    world.migrate();
    let worker = world.start_worker(&[("TABLES_FILE", application.file()), ("MAX_ATTEMPTS", "1")]);
    let svix_id = world.add_next(&named(1, "Ada"));
    answers(&worker, 503).await;
    is_away(world, &worker, "there is no table");
    assert_eq!(world.backlog(), 1);
    world.sql(PEOPLE);
    world.settle();
    assert_eq!(application.became(&svix_id), "applied");
    answers(&worker, 200).await;
}
