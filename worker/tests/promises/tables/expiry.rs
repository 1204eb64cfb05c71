//! How long it is kept what is known of objects.

use serde_json::json;

use super::owners::holding;
use super::{Application, deleted, milliseconds, updated};
use crate::helpers::World;

const TABLES: &str = r#"
create table people (id text primary key, name text);
create table ships (serial text primary key, crew int);
create table berths (name text primary key, crew int);
"#;

/// Some family that nobody knows, by Clerk's id and by another key.
const FILE: &str = r#"
[user]
table = "people"
key = "id"
columns = { name = "first_name" }
[ship]
table = "ships"
key = "serial"
columns = { crew = "crew" }
[berth]
table = "berths"
key = "name"
columns = { name = "name", crew = "crew" }
"#;

const SHIPS: &str = "select serial, crew from ships order by 1";
const BERTHS: &str = "select name, crew from berths order by 1";

/// An object of a family other than `user`, as it is since this second; its key, if it is a berth, is `name`.
fn at(family: &str, id: &str, second: i64, name: &str) -> String {
    let time = milliseconds(second);
    let data = json!({"id": id, "updated_at": time, "name": name, "crew": second});
    json!({"type": format!("{family}.updated"), "timestamp": time, "data": data}).to_string()
}

fn gone(family: &str, id: &str, second: i64) -> String {
    let data = json!({"id": id, "deleted": true});
    let event_type = format!("{family}.deleted");
    json!({"type": event_type, "timestamp": milliseconds(second), "data": data}).to_string()
}

/// Lets days go by for these objects, and what has expired be deleted. A version that nobody needs tells when that is done.
fn let_days_go_by(application: &Application, days: u8, objects: &str) {
    let world = &application.world;
    world.sql(&format!(
        "update clerk_sync.versions set applied_at = applied_at - interval '{days} days' where object_id like '{objects}';
         update clerk_sync.events set processed_at = processed_at - interval '{days} days' where object_id like '{objects}';
         insert into clerk_sync.versions (family, object_id, updated_at, event_at, applied_at, svix_id, deleted)
           values ('marker', 'marker', now(), now(), '-infinity', '', false)"
    ));
    let _worker = application.worker_with(&[("LEDGER_RETENTION_DAYS", "7")]);
    wait_for_deletion(world, "marker");
}

fn wait_for_deletion(world: &World, object_id: &str) {
    let count = format!("select count(*) from clerk_sync.versions where object_id = '{object_id}'");
    world.wait_for("the version is deleted", |world| world.sql(&count) == "0");
}

/// P4
#[test]
fn what_is_known_of_a_user_stays_and_of_other_families_goes_after_the_days() {
    let application = Application::new(TABLES, FILE);
    let world = &application.world;
    let apply = |events: &[(String, &str)]| {
        let _worker = application.worker();
        for (event, outcome) in events {
            application.expect(event, outcome);
        }
    };
    let user = |id: &str, second| updated(id, second, &json!({"first_name": "Ada"}));
    apply(&[
        (user("user_1", 5), "applied"),
        (user("user_gone", 5), "applied"),
        (deleted("user_gone", 6), "applied"),
        (at("ship", "old_1", 5, ""), "applied"),
        (at("ship", "old_gone", 5, ""), "applied"),
        (gone("ship", "old_gone", 6), "applied"),
        (at("ship", "new_1", 5, ""), "applied"),
        (at("berth", "old_b1", 5, "north"), "applied"),
        (at("berth", "old_b2", 5, "south"), "applied"),
        (gone("berth", "old_b2", 6), "applied"),
    ]);
    // Within the days what comes late is stale, and what was deleted does not come back.
    let_days_go_by(&application, 6, "%");
    let late = [
        (user("user_1", 4), "stale"),
        (user("user_gone", 7), "stale"),
        (at("ship", "old_1", 4, ""), "stale"),
        (at("ship", "old_gone", 7, ""), "stale"),
        (at("berth", "old_b2", 7, "south"), "stale"),
        (at("berth", "old_b3", 4, "south"), "stale"),
    ];
    apply(&late);
    // An event begins the days anew.
    apply(&[(at("ship", "new_1", 6, ""), "applied")]);

    let_days_go_by(&application, 2, "%");
    let versions =
        "select object_id from clerk_sync.versions where object_id <> 'old_b3' order by 1";
    assert_eq!(world.sql(versions), "new_1\nuser_1\nuser_gone");
    let owners = "select object_id, row_key from clerk_sync.owners";
    assert_eq!(world.sql(owners), "old_b1|{north}");
    // Rows that are there are found, and go with their objects.
    apply(&[
        (user("user_1", 3), "stale"),
        (user("user_gone", 8), "stale"),
        (at("ship", "new_1", 4, ""), "stale"),
        (at("ship", "old_1", 7, ""), "applied"),
        (at("ship", "old_gone", 7, ""), "applied"),
        (at("berth", "old_b1", 7, "north"), "applied"),
    ]);
    assert_eq!(world.sql(SHIPS), "new_1|6\nold_1|7\nold_gone|7");
    assert_eq!(world.sql(BERTHS), "north|7");
    let_days_go_by(&application, 8, "old%");
    apply(&[
        (gone("ship", "old_1", 9), "applied"),
        (gone("berth", "old_b1", 9), "applied"),
    ]);
    assert_eq!(world.sql(SHIPS), "new_1|6\nold_gone|7");
    assert_eq!(world.sql(BERTHS), "");
    let_days_go_by(&application, 8, "old%");
    assert_eq!(world.sql("select count(*) from clerk_sync.owners"), "0");
}

/// More than one statement deletes, and those that are just being used stay until the next time.
#[test]
fn a_version_that_a_worker_holds_is_not_waited_for() {
    let application = Application::new(TABLES, FILE);
    let world = &application.world;
    drop(application.worker());
    world.sql(
        "insert into clerk_sync.versions (family, object_id, updated_at, event_at, applied_at, svix_id, deleted)
         select 'ship', 'ship_' || n, now(), now(), now() - interval '8 days', '', n % 2 = 0 from generate_series(1, 2500) n",
    );
    let held = "select from clerk_sync.versions where object_id = 'ship_7' for update";
    let mut worker = holding(world, held);
    let locked = "select count(*) from pg_locks where relation = 'clerk_sync.versions'::regclass and mode = 'RowShareLock'";
    world.wait_for("it is held", |world| world.sql(locked) != "0");
    let left = |world: &World| world.sql("select object_id from clerk_sync.versions limit 2");
    let days = [("LEDGER_RETENTION_DAYS", "7")];
    let other = application.worker_with(&days);
    world.wait_for("the others are deleted", |world| left(world) == "ship_7");
    drop(other);
    drop(worker.stdin.take());
    worker.wait().unwrap();
    let _worker = application.worker_with(&days);
    wait_for_deletion(world, "ship_7");
}
