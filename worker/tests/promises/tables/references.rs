//! Rows that refer to those of other objects by `find`.

mod along;
mod deletions;
mod races;

use serde_json::json;
use worker::apply::target::Targets;
use worker::apply::{self, Verdict};
use worker::event::Event;
use worker::event::reader::Reader;
use worker::tables::Tables;

use super::{Application, milliseconds, updated};
use crate::helpers::{Unfenced, World, database, event_of};
use crate::waking::waiting;

const TABLES: &str = "
    create table users (id serial primary key, clerk_id text not null unique, name text);
    create table organizations (id uuid primary key default gen_random_uuid(), clerk_org_id text not null unique, name text);
    create table memberships (id serial primary key, organization_id uuid not null REFERENCES_ORGANIZATIONS,
      user_id int not null REFERENCES_USERS, role text, unique (organization_id, user_id))";
const FILE: &str = r#"
    [user]
    table = "users"
    key = "clerk_id"
    columns = { name = "first_name" }
    [organization]
    table = "organizations"
    key = "clerk_org_id"
    columns = { name = "name" }
    [organizationMembership]
    table = "memberships"
    key = ["organization_id", "user_id"]
    tags = ["member:{row.id}"]
    [organizationMembership.columns]
    organization_id = { find = "organization", id = "organization.id" }
    user_id = { find = "user", id = "public_user_data.user_id", column = "id" }
    role = "role"
    "#;
const ROWS: &str = "select clerk_org_id, clerk_id, role from memberships m
    left join organizations o on o.id = m.organization_id left join users u on u.id = m.user_id order by 1, 2";

/// The tables with foreign keys that do this, or without any.
fn tables(foreign_keys: Option<&str>) -> String {
    let references = |table: &str| {
        foreign_keys.map_or(String::new(), |does| format!("references {table} {does}"))
    };
    TABLES
        .replace("REFERENCES_ORGANIZATIONS", &references("organizations"))
        .replace("REFERENCES_USERS", &references("users"))
}

/// An event of an object of Clerk's since this second.
fn event(event_type: &str, second: i64, mut data: serde_json::Value) -> String {
    let at = milliseconds(second);
    data["updated_at"] = json!(at);
    json!({"type": event_type, "timestamp": at + 50, "data": data}).to_string()
}

fn user(second: i64) -> String {
    updated("user_1", second, &json!({"first_name": "Ada"}))
}

fn organization(second: i64) -> String {
    event(
        "organization.created",
        second,
        json!({"id": "org_1", "name": "Acme"}),
    )
}

fn organization_deleted(second: i64) -> String {
    event(
        "organization.deleted",
        second,
        json!({"id": "org_1", "deleted": true}),
    )
}

/// A membership of the one user in the one organization.
fn member(what: &str, id: &str, second: i64, role: &str) -> String {
    let data = json!({"id": id, "role": role, "organization": {"id": "org_1"},
        "public_user_data": {"user_id": "user_1"}});
    event(&format!("organizationMembership.{what}"), second, data)
}

/// P5, P6: and is woken, in whichever partition it waits.
#[test]
fn an_event_waits_for_the_row_that_it_refers_to() {
    let application = Application::new(&tables(Some("")), FILE);
    let world = &application.world;
    let _worker = application.worker();
    application.add_often("msg_member", &member("created", "m_1", 3, "admin"));
    let waits_for = |what: &str| {
        world.wait_for(what, |world| waiting(world, "msg_member", "reason") == what);
    };
    waits_for("waits for organization org_1");
    world.add_next(&organization(1));
    waits_for("waits for user user_1");
    world.add_next(&user(2));
    world.settle();
    assert_eq!(application.became("msg_member"), "applied");
    assert_eq!(world.sql(ROWS), "org_1|user_1|admin");
    // What it does not say is nothing said.
    let nobody = event(
        "organizationMembership.created",
        4,
        json!({"id": "m_2", "organization": {"id": "org_1"}}),
    );
    application.expect(
        &nobody,
        "dead: data.public_user_data.user_id says nothing, and column \"user_id\" takes no NULL (table public.memberships)",
    );
}

#[test]
fn what_comes_together_is_applied_in_one_transaction_parents_first() {
    let application = Application::new(&tables(Some("")), FILE);
    let world = &application.world;
    world.migrate();
    for payload in [
        member("created", "m_1", 3, "admin"),
        user(2),
        organization(1),
    ] {
        world.add_next(&payload);
    }
    let _worker = application.worker();
    world.settle();
    assert_eq!(world.sql(ROWS), "org_1|user_1|admin");
    let transactions = "select count(*), count(distinct processed_at) from clerk_sync.events";
    assert_eq!(world.sql(transactions), "3|1");
}

/// P11: an address that a file takes for an id is told nowhere.
#[test]
fn what_is_no_id_is_refused_and_not_told() {
    let file = FILE.replace("public_user_data.user_id", "public_user_data.identifier");
    let application = Application::new(&tables(None), &file);
    // Nor where the application has such a row.
    let rows = "insert into users (clerk_id) values ('ada@example.com'), ('Ada Lovelace')";
    application.world.sql(rows);
    let _worker = application.worker();
    application.expect(&organization(1), "applied");
    for identifier in ["ada@example.com", "Ada Lovelace", &"x".repeat(256)] {
        let data = json!({"id": "m_1", "organization": {"id": "org_1"},
            "public_user_data": {"identifier": identifier}});
        application.expect(
            &event("organizationMembership.created", 2, data),
            "dead: data.public_user_data.identifier says no id, which column \"user_id\" needs to find a row (table public.memberships)",
        );
    }
    let known = "select string_agg(object_id, ',') from clerk_sync.versions";
    assert_eq!(application.world.sql(known), "org_1");
}

/// All orders of these.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    super::owners::permutations(count)
}

/// P4: a return under another id, a change of the role, the deletion of the organization.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_refer_end_the_same_in_whatever_order_events_arrive() {
    for foreign_keys in [None, Some("on delete cascade")] {
        for is_deleted in [false, true] {
            let world = World::migrated();
            world.sql("drop table users");
            world.sql(&tables(foreign_keys));
            let file = Tables::parse("file", FILE).unwrap().tables;
            let (database, reader) = (database(&world), Reader::new(&file));
            let targets = Targets::new(file);
            let orders = permutations(5 + usize::from(is_deleted));
            let mut waiting: Vec<Event> = Vec::new();
            for round in 0..orders[0].len() {
                let of_round = orders.iter().enumerate();
                let of_round = of_round.map(|(n, order)| one_of_six(&reader, n, order[round]));
                let batch: Vec<Event> = waiting.drain(..).chain(of_round).collect();
                for some in batch.chunks(250) {
                    let events: Vec<&Event> = some.iter().collect();
                    let verdicts = apply::apply(&database, &targets, &Unfenced, &events)
                        .await
                        .unwrap();
                    let still = some.iter().zip(verdicts);
                    let still = still.filter(|(_, verdict)| matches!(verdict, Verdict::Waiting(_)));
                    waiting.extend(still.map(|(event, _)| event.clone()));
                }
            }
            let events: Vec<&Event> = waiting.iter().collect();
            let verdicts = apply::apply(&database, &targets, &Unfenced, &events)
                .await
                .unwrap();
            assert!(
                verdicts
                    .iter()
                    .all(|verdict| matches!(verdict, Verdict::Recorded(_))),
                "{verdicts:?}"
            );
            let expected = if is_deleted { "0|" } else { "120|owner" };
            let rows = "select count(*), string_agg(distinct role, ',') from memberships";
            assert_eq!(world.sql(rows), expected, "{foreign_keys:?}");
        }
    }
}

/// One of the events of the world `n`.
fn one_of_six(reader: &Reader, n: usize, place: usize) -> Event {
    let payload = match place {
        0 => organization(1),
        1 => user(2),
        2 => member("created", "m_1", 3, "member"),
        3 => member("deleted", "m_1", 3, "member"),
        4 => member("created", "m_2", 5, "owner"),
        _ => organization_deleted(6),
    };
    let mut payload = payload;
    for id in ["org_1", "user_1", "m_1", "m_2"] {
        payload = payload.replace(&format!("\"{id}\""), &format!("\"{id}_{n}\""));
    }
    event_of(reader, &format!("msg_{n}_{place}"), &payload)
}

/// What was there before us and is newer stays as it is, also where a row that refers to it comes first.
#[test]
fn a_parent_that_only_the_application_knows_is_met_for_the_first_time_later() {
    let file = FILE.replace(
        "key = \"clerk_org_id\"",
        "key = \"clerk_org_id\"\nnewest = \"since\"",
    );
    let application = Application::new(&tables(Some("")), &file);
    let world = &application.world;
    world.sql(
        "alter table organizations add since timestamptz;
         insert into organizations (clerk_org_id, name, since) values ('org_1', 'Ours', now());
         insert into users (clerk_id) values ('user_1')",
    );
    let _worker = application.worker();
    application.expect(&member("created", "m_1", 3, "admin"), "applied");
    application.expect(&organization(1), "stale");
    application.expect(&user(1), "applied");
    assert_eq!(world.sql("select name from organizations"), "Ours");
    assert_eq!(world.sql("select name from users"), "Ada");
    assert_eq!(world.sql(ROWS), "org_1|user_1|admin");
}
