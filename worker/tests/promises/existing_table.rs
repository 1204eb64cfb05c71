//! An application that already has the table keeps it.

mod columns;
pub(crate) mod nulls;
mod search_path;
mod times;
mod triggers;

use crate::helpers::{World, user};

fn with_table(sql: &str) -> World {
    let world = World::new();
    world.sql(
        r#"create table users (
             id varchar(255) primary key, name varchar(255) not null, email varchar(255) not null unique,
             "imageUrl" varchar(1000), "createdAt" timestamptz not null, "updatedAt" timestamptz not null)"#,
    );
    world.sql(sql);
    world
}

#[test]
fn its_own_columns_defaults_foreign_keys_and_triggers_stay() {
    let world = with_table(
        "alter table users add column role text not null default 'member', add column seen int; \
         create table orders (user_id varchar(255) not null references users on delete cascade); \
         create function bump() returns trigger language plpgsql as $$ \
           begin new.seen := coalesce(old.seen, 0) + 1; return new; end $$; \
         create trigger bump before update on users for each row execute function bump()",
    );
    let _worker = world.worker();
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    world.sql("update users set role = 'admin'; insert into orders values ('user_1')");
    world.add_next(&user("user_1", "ada@example.org", 2).updated());
    world.settle();
    assert_eq!(
        world.sql("select email, role, seen from users"),
        "ada@example.org|admin|2"
    );
    world.add_next(&user("user_1", "ada@example.org", 3).deleted());
    world.settle();
    assert_eq!(world.sql("select count(*) from orders"), "0");
    assert_eq!(
        world.sql("select string_agg(nspname, ' ' order by nspname) from pg_namespace where nspname !~ '^(pg_|information)'"),
        "clerk_sync public"
    );
    assert_eq!(
        world.sql("select string_agg(tablename, ' ' order by tablename) from pg_tables where schemaname = 'public'"),
        "orders users"
    );
}

/// P4
#[test]
fn a_row_that_was_there_before_us_and_is_newer_is_not_overwritten() {
    let world = with_table(
        r#"insert into users values ('user_1', 'Ours', 'ours@example.com', null, '2020-01-01', '2024-05-28 08:00:10+00')"#,
    );
    let _worker = world.worker();
    // 08:00:05, older; then 08:00:08, newer than that and still older than the row; then 08:00:12.
    let older = world.add_next(&user("user_1", "five@example.com", 5).created());
    world.settle();
    let still_older = world.add_next(&user("user_1", "eight@example.com", 8).updated());
    world.settle();
    assert_eq!(world.users(), "user_1 Ours ours@example.com");
    assert_eq!(
        (
            world.outcome(&older).as_str(),
            world.outcome(&still_older).as_str()
        ),
        ("stale", "stale")
    );
    world.add_next(&user("user_1", "twelve@example.com", 12).updated());
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace twelve@example.com");
}

/// P4: nor does it lose its address to a swap.
#[test]
fn a_newer_row_of_the_application_keeps_its_address() {
    let world = with_table(
        r#"insert into users values ('user_a', 'Ours', 'x@example.com', null, '2020-01-01', '2024-05-28 08:00:10+00'),
             ('user_c', 'Ours', 'z@example.com', null, '-infinity', '-infinity'),
             ('user_d', 'Ours', 'q@example.com', null, 'infinity', 'infinity')"#,
    );
    world.migrate();
    let older = world.add_next(&user("user_a", "y@example.com", 5).created());
    let waiting = world.add_next(&user("user_b", "x@example.com", 6).created());
    // Their holders' times are none that a program could hold.
    let others = [("user_e", "z@example.com"), ("user_f", "q@example.com")]
        .map(|(id, email)| world.add_next(&user(id, email, 7).created()));
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.settle();
    assert_eq!(
        world.users(),
        "user_a Ours x@example.com\nuser_c Ours z@example.com\nuser_d Ours q@example.com"
    );
    for svix_id in others {
        assert!(world.reason(&svix_id).is_some());
    }
    assert_eq!(world.outcome(&older), "stale");
    assert!(world.reason(&waiting).is_some());
}

/// P4: an application that stamps `updatedAt` itself does not lose Clerk's next update.
#[test]
fn a_row_that_we_wrote_and_the_application_stamped_is_overwritten() {
    let world = World::new();
    let _worker = world.worker();
    world.add_next(&user("user_1", "one@example.com", 1).created());
    world.settle();
    world.sql(r#"update users set "updatedAt" = now()"#);
    world.add_next(&user("user_1", "two@example.com", 2).updated());
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace two@example.com");
}

/// Ten workers start at once on an empty database.
#[test]
fn ten_workers_migrate_an_empty_database_together() {
    let world = World::new();
    let workers: Vec<_> = (0..10).map(|_| world.start_worker(&[])).collect();
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.wait_for("all have started", |_| {
        workers
            .iter()
            .all(|worker| worker.program.output().contains("worker has started"))
    });
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace ada@example.com");
    for worker in &workers {
        assert!(worker.program.is_running(), "{}", worker.program.output());
        assert!(
            !worker.program.output().contains("cannot be migrated"),
            "{}",
            worker.program.output()
        );
    }
    assert_eq!(
        world.sql("select count(*) from clerk_sync.schema_history"),
        "1"
    );
}

#[test]
fn a_role_that_may_only_read_and_write_works_once_the_database_is_migrated() {
    let world = World::migrated();
    let role = format!("writer_{}", std::process::id());
    world.sql(&format!(
        "create role {role} login; grant usage on schema clerk_sync to {role}; \
         grant select, insert, update, delete on users to {role}; \
         grant select, insert, update, delete on all tables in schema clerk_sync to {role}"
    ));
    let url = world.database_url.replace("postgres@", &format!("{role}@"));
    let _worker = world.worker_with(&[("DATABASE_URL", &url)]);
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace ada@example.com");
}

/// P4: making room for each other changes a row, and the trigger stamps it; they get their addresses all the
/// same.
#[test]
fn users_swap_their_addresses_where_a_trigger_stamps_every_change() {
    let world = with_table(
        r#"insert into users values
             ('user_a', 'A', 'a@example.com', null, '2020-01-01', '2020-01-01'),
             ('user_b', 'B', 'b@example.com', null, '2020-01-01', '2020-01-01');
           create function stamp() returns trigger language plpgsql as $$
             begin new."updatedAt" := now(); return new; end $$;
           create trigger stamp before update on users for each row execute function stamp()"#,
    );
    world.add_next(&user("user_a", "b@example.com", 2).updated());
    world.add_next(&user("user_b", "a@example.com", 2).updated());
    let _worker = world.worker();
    world.settle();
    assert_eq!(
        world.users(),
        "user_a Ada Lovelace b@example.com\nuser_b Ada Lovelace a@example.com"
    );
}
