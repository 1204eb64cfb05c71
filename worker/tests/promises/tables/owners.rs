//! Rows whose key is not Clerk's id: they belong to the object that wrote them last.

mod other_keys;

use std::process::{Child, Command, Stdio};

use serde_json::json;
use worker::apply;
use worker::apply::target::Targets;
use worker::database::Database;
use worker::event::Event;
use worker::event::reader::Reader;
use worker::tables::Tables;

use super::{Application, address, deleted, updated};
use crate::clerk_server::ClerkServer;
use crate::helpers::{Unfenced, World, database, event_of};
use crate::reconcile::tables::run;

const DESKS: &str = "create table desks (
    id serial primary key, desk varchar(8) unique, name text, note text default 'none')";
const FILE: &str = r#"
    [user]
    table = "desks"
    key = "desk"
    tags = ["desk:{row.desk}"]
    [user.columns]
    desk = "external_id"
    name = "first_name"
    "#;
const ROWS: &str = "select desk, name, note from desks order by desk";

/// Who sits at a desk since this second.
fn at(desk: &str, id: &str, second: i64, name: &str) -> String {
    updated(
        id,
        second,
        &json!({"external_id": desk, "first_name": name}),
    )
}

pub(super) fn permutations(count: usize) -> Vec<Vec<usize>> {
    match count {
        0 => vec![vec![]],
        _ => permutations(count - 1)
            .into_iter()
            .flat_map(|shorter| {
                (0..count).map(move |place| {
                    let mut longer = shorter.clone();
                    longer.insert(place, count - 1);
                    longer
                })
            })
            .collect(),
    }
}

/// One desk in the order `order`: Ada comes, changes her name and leaves, then Bob, then Cem, who stays.
fn events_of_a_desk(reader: &Reader, desk: usize, order: &[usize]) -> Vec<Event> {
    let (ada, bob, cem) = (
        format!("ada_{desk}"),
        format!("bob_{desk}"),
        format!("cem_{desk}"),
    );
    let desk = format!("d{desk}");
    let events = [
        at(&desk, &ada, 1, "Ada"),
        at(&desk, &ada, 2, "Ada L"),
        deleted(&ada, 3),
        at(&desk, &bob, 4, "Bob"),
        deleted(&bob, 5),
        at(&desk, &cem, 6, "Cem"),
    ];
    let event = |place: &usize| event_of(reader, &format!("msg_{desk}_{place}"), &events[*place]);
    order.iter().map(event).collect()
}

/// P4
#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_its_last_owners_in_whatever_order_events_arrive() {
    let world = World::migrated();
    let (database, reader, targets) = desks(&world);
    for (all_at_once, without_the_last) in [(false, false), (true, false), (false, true)] {
        world.sql("truncate desks, clerk_sync.events, clerk_sync.versions, clerk_sync.owners");
        let desks: Vec<Vec<Event>> = permutations(6 - usize::from(without_the_last))
            .iter()
            .enumerate()
            .map(|(desk, order)| events_of_a_desk(&reader, desk, order))
            .collect();
        let batches: Vec<Vec<&Event>> = if all_at_once {
            desks
                .chunks(40)
                .map(|some| some.iter().flatten().collect())
                .collect()
        } else {
            (0..desks[0].len())
                .map(|round| desks.iter().map(|desk| &desk[round]).collect())
                .collect()
        };
        for batch in batches {
            apply::apply(&database, &targets, &Unfenced, &batch)
                .await
                .unwrap();
        }
        let expected = if without_the_last { "0|" } else { "720|Cem" };
        assert_eq!(
            world.sql("select count(*), string_agg(distinct name, ',') from desks"),
            expected,
            "{all_at_once}"
        );
    }
}

fn desks(world: &World) -> (Database, Reader, Targets) {
    world.sql(DESKS);
    let tables = Tables::parse("desks.toml", FILE).unwrap().tables;
    (database(world), Reader::new(&tables), Targets::new(tables))
}

/// What the application has written to the row stays.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_the_batch_in_which_the_old_owner_leaves_gets_its_row() {
    let world = World::migrated();
    let (database, reader, targets) = desks(&world);
    let events = events_of_a_desk(&reader, 1, &[1, 2, 3]);
    let [ada, left, bob] = events.as_slice() else {
        panic!()
    };
    for batch in [vec![ada], vec![left, bob]] {
        apply::apply(&database, &targets, &Unfenced, &batch)
            .await
            .unwrap();
        world.sql("update desks set note = 'ours'");
    }
    assert_eq!(world.sql("select id, name from desks"), "1|Bob");
}

/// P6: a trigger of the application that changes a key is no outage.
#[test]
fn a_trigger_that_changes_the_key_stops_nobody() {
    let application = Application::new(
        &format!(
            "{DESKS};
             create function lowered() returns trigger language plpgsql as $$
               begin new.desk := lower(new.desk); return new; end $$;
             create trigger lowered before insert on desks for each row execute function lowered()"
        ),
        FILE,
    );
    let world = &application.world;
    let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.add("msg_upper", &at("D1", "user_1", 1, "Ada"));
    application.expect(&at("d2", "user_2", 1, "Bob"), "applied");
    assert_eq!(
        world.sql("select count(*) from desks where desk = 'd2'"),
        "1"
    );
}

#[test]
fn what_says_no_key_or_one_that_is_too_long_is_refused() {
    let application = Application::new(DESKS, FILE);
    let _worker = application.worker();
    application.expect(
        &updated("user_1", 1, &json!({"first_name": "Ada"})),
        "dead: data.external_id says nothing, and column \"desk\" is of the key (table public.desks)",
    );
    application.expect(
        &at("desk 1234", "user_1", 2, "Ada"),
        "dead: data.external_id is too long for column \"desk\" (table public.desks)",
    );
    assert_eq!(application.world.sql(ROWS), "");
}

/// P7
#[test]
fn a_key_of_two_columns_of_which_one_holds_clerks_id() {
    let application = Application::new(
        "create table seats (tenant text, clerk_id text, name text, primary key (tenant, clerk_id))",
        r#"
        [user]
        table = "seats"
        key = ["tenant", "clerk_id"]
        tags = ["{row.tenant}:{row.clerk_id}"]
        [user.columns]
        tenant = "public_metadata.tenant"
        name = "first_name"
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let of = |second: i64, id: &str, tenant: &str, name: &str| {
        updated(
            id,
            second,
            &json!({"public_metadata": {"tenant": tenant}, "first_name": name}),
        )
    };
    let rows = || world.sql("select * from seats order by 1, 2");
    for id in ["user_1", "user_2"] {
        application.expect(&of(1, id, "acme", "Ada"), "applied");
    }
    world.redis(&["MSET", "acme:user_1", "stale", "acme:user_2", "fresh"]);
    application.expect(&of(2, "user_1", "acme", "Bob"), "applied");
    assert_eq!(rows(), "acme|user_1|Bob\nacme|user_2|Ada");
    assert_eq!(world.redis(&["EXISTS", "acme:user_1"]), "0");
    world.redis(&["SET", "acme:user_1", "stale"]);
    application.expect(&deleted("user_1", 3), "applied");
    application.expect(&of(4, "user_1", "acme", "Eve"), "stale");
    assert_eq!(rows(), "acme|user_2|Ada");
    assert_eq!(world.redis(&["EXISTS", "acme:user_1"]), "0");
    assert_eq!(world.redis(&["GET", "acme:user_2"]), "fresh");
}

/// Does something in a transaction and holds it until its standard input ends.
pub(crate) fn holding(world: &World, sql: &str) -> Child {
    let mut psql = Command::new("psql")
        .args([&world.database_url, "--quiet", "--no-psqlrc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let input = psql.stdin.as_mut().unwrap();
    std::io::Write::write_all(input, format!("begin; {sql};\n").as_bytes()).unwrap();
    psql
}

/// P4: another transaction gives the row to a new owner in the very moment in which its old one is deleted.
#[test]
fn a_row_that_changes_hands_is_not_deleted_with_its_old_owner() {
    let application = Application::new(DESKS, FILE);
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&at("d1", "user_1", 1, "Ada"), "applied");
    let mut other = holding(
        world,
        "update clerk_sync.owners set object_id = 'user_2', updated_at = now(); update desks set name = 'Bob'",
    );
    let locked = "select count(*) from pg_locks where relation = 'clerk_sync.owners'::regclass and mode = 'RowExclusiveLock'";
    world.wait_for("the other has the row", |world| world.sql(locked) != "0");
    let deletion = world.add_next(&deleted("user_1", 2));
    world.wait_for("the worker waits for it", |world| {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        world.sql(waiting) == "1"
    });
    let mut input = other.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"commit;\n").unwrap();
    drop(input);
    assert!(other.wait().unwrap().success());
    world.settle();
    assert_eq!(application.became(&deletion), "applied");
    assert_eq!(world.sql(ROWS), "d1|Bob|none");
}

#[test]
fn rows_that_were_there_are_taken_linked_and_compared_by_their_keys() {
    let application = Application::new(
        "create extension citext;
         create table desks (id serial primary key, desk citext unique, name text, email text unique, note text default 'none', seen timestamptz);
         insert into desks (desk, name, note) values ('D1', 'first', 'ours');
         insert into desks (desk, name, seen) values ('d2', 'newer', now());
         insert into desks (email, note) values ('3@example.com', 'invited')",
        r#"
        [user]
        table = "desks"
        key = "desk"
        newest = "seen"
        link_by = "email"
        on_delete = { desk = "null", note = { value = "gone" } }
        [user.columns]
        desk = "external_id"
        name = "first_name"
        email = "primary_email_address"
        seen = "updated_at"
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let mut users = Vec::new();
    for n in 1..=4 {
        let mut user = crate::reconcile::list(n..=n).remove(0);
        user["external_id"] = json!(format!("d{n}"));
        user["email_addresses"][0]["verification"] = json!({"status": "verified"});
        users.push(user);
    }
    let clerk = ClerkServer::start(users);
    let rows = || world.sql("select desk, name, email, note from desks order by id");
    run(&application, &clerk, &[]);
    assert_eq!(
        rows(),
        "D1|Ada|1@example.com|ours\nd2|Ada|2@example.com|none\nd3|Ada|3@example.com|invited\nd4|Ada|4@example.com|none"
    );
    let second = run(&application, &clerk, &[]);
    assert!(
        second.contains("4 equal, 0 missing, 0 different"),
        "{second}"
    );
    for (n, email) in [(1, "2@example.com"), (2, "1@example.com")] {
        let mut user = address(email, true);
        user["external_id"] = json!(format!("d{n}"));
        world.add_next(&updated(&format!("user_0000{n}"), 10, &user));
    }
    world.settle();
    assert_eq!(
        world.sql("select desk, email from desks where desk in ('d1', 'd2') order by id"),
        "D1|2@example.com\nd2|1@example.com"
    );
    application.expect(&deleted("user_00004", 9), "applied");
    assert_eq!(
        world.sql("select desk, note from desks where name = 'Ada' and desk is null"),
        "|gone"
    );
}
