//! A new version finds what an old one has left, and works beside it.

use crate::helpers::{EVENTS, World, user};

/// What the first migration and refinery's own table look like before the last migration: the history has
/// the name, the checksum and the time of each one that was applied.
fn before_the_last_migration() -> World {
    let world = World::migrated();
    world.sql(
        "drop table clerk_sync.events, clerk_sync.versions, clerk_sync.owners, clerk_sync.cache_tags; \
         delete from clerk_sync.schema_history \
          where version = (select max(version) from clerk_sync.schema_history)",
    );
    world
}

#[test]
fn a_worker_brings_the_schema_before_to_today_and_keeps_its_rows() {
    let world = before_the_last_migration();
    world.sql(
        r#"insert into users values
             ('user_old', 'Old', 'old@example.com', null, '2020-01-01', '2020-01-01'),
             ('user_newer', 'Newer', 'newer@example.com', null, '2020-01-01', '2030-01-01')"#,
    );
    let old = world.add_next(&user("user_old", "new@example.com", 1).updated());
    let stale = world.add_next(&user("user_newer", "late@example.com", 1).updated());
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.outcome(&old), "applied");
    assert_eq!(world.outcome(&stale), "stale");
    assert_eq!(
        world.users(),
        "user_newer Newer newer@example.com\nuser_old Ada Lovelace new@example.com"
    );
}

/// P12
#[test]
fn tables_of_a_form_that_no_migration_knows_are_told_with_what_to_do() {
    for form in [
        "alter table clerk_sync.versions rename to user_versions",
        "drop table clerk_sync.owners",
    ] {
        let world = World::migrated();
        world.sql(form);
        let url = [("DATABASE_URL", world.database_url.as_str())];
        let migrate = || xtask::program::Program::run("worker", &["migrate"], &url).unwrap();
        let refused = String::from_utf8(migrate().stderr).unwrap();
        let remedy = "DROP SCHEMA clerk_sync CASCADE";
        assert!(refused.contains(remedy), "{form}: {refused}");
        world.sql(remedy);
        assert!(migrate().status.success());
        assert_eq!(world.sql("select count(*) from clerk_sync.versions"), "0");
    }
}

/// P3 and P4 hold over an upgrade: the ledger and the tombstones of the version before count.
#[test]
fn what_the_version_before_recorded_is_neither_applied_again_nor_brought_back() {
    let world = World::migrated();
    world.sql(
        r#"insert into users values
             ('user_1', 'Ada', 'ada@example.com', null, '2020-01-01', '2024-05-28 08:00:05+00');
           insert into clerk_sync.versions (family, object_id, updated_at, event_at, svix_id, deleted) values
             ('user', 'user_1', '2024-05-28 08:00:05+00', '2024-05-28 08:00:05.05+00', 'msg_old_1', false),
             ('user', 'user_2', '2024-05-28 08:00:05+00', '2024-05-28 08:00:05.05+00', 'msg_old_2', true);
           insert into clerk_sync.events (svix_id, type, object_id, outcome, received_at, processed_at) values
             ('msg_old_1', 'user.updated', 'user_1', 'applied', now(), now()),
             ('msg_old_2', 'user.deleted', 'user_2', 'applied', now(), now())"#,
    );
    let ledger = world.sql("select * from clerk_sync.events order by 1");
    // A replay, whose payload would be newer; an update of the deleted user; an older one; a newer one.
    world.add(
        "msg_old_1",
        &user("user_1", "replayed@example.com", 9).updated(),
    );
    world.add(
        "msg_new_2",
        &user("user_2", "back@example.com", 9).updated(),
    );
    world.add(
        "msg_new_3",
        &user("user_1", "older@example.com", 4).updated(),
    );
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.users(), "user_1 Ada ada@example.com");
    assert_eq!(world.outcome("msg_new_2"), "stale");
    assert_eq!(world.outcome("msg_new_3"), "stale");
    world.add(
        "msg_new_4",
        &user("user_1", "newer@example.com", 6).updated(),
    );
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace newer@example.com");
    let kept = "select * from clerk_sync.events where svix_id like 'msg_old%' order by 1";
    assert_eq!(world.sql(kept), ledger);
}

/// Ingests of the next version may add fields; a worker of this one reads past them.
#[test]
fn an_entry_with_fields_of_a_later_version_is_applied() {
    let world = World::migrated();
    let payload = user("user_1", "ada@example.com", 1).created();
    let entry = [
        "svix-id",
        "msg_1",
        "payload",
        &payload,
        "field-of-later",
        "x",
    ];
    world.redis(&[&["XADD", EVENTS, "*"], entry.as_slice()].concat());
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.outcome("msg_1"), "applied");
}

/// A database that a later version has migrated further does not stop the workers that are still here.
#[test]
fn a_worker_starts_on_the_schema_of_a_later_version() {
    let world = World::migrated();
    world.sql(
        "alter table clerk_sync.events add column of_later text; \
         insert into clerk_sync.schema_history \
         select version + 1, 'of_later', applied_on, '1' from clerk_sync.schema_history \
          order by version desc limit 1",
    );
    let _worker = world.worker();
    world.add("msg_1", &user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(world.outcome("msg_1"), "applied");
}

#[test]
fn the_version_tells_the_commit() {
    let output = xtask::program::Program::run("worker", &["--version"], &[]).unwrap();
    let expected = format!("worker {}\n", shared::VERSION);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
