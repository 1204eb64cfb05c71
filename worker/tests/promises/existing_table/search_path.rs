//! `users` is made only where no schema of the search path has one.

use crate::helpers::{World, user};

fn with_search_path(path: &str) -> World {
    let world = World::new();
    let (_, name) = world.database_url.rsplit_once('/').unwrap();
    world.sql(&format!(
        "create schema app; create schema postgres; alter database {name} set search_path = {path}"
    ));
    world
}

fn tables(world: &World) -> String {
    world.sql(
        "select string_agg(nspname || '.' || relname, ' ' order by nspname) from pg_class \
           join pg_namespace on pg_namespace.oid = relnamespace \
          where relname = 'users' and relkind in ('r', 'p', 'v', 'f', 'm')",
    )
}

const COLUMNS: &str = r#"(id text primary key, name text, email text unique, "imageUrl" text,
    "createdAt" timestamp, "updatedAt" timestamp)"#;

#[test]
fn a_table_in_any_schema_of_the_search_path_is_the_one_that_is_kept_up_to_date() {
    for (path, schema) in [
        (r#""$user", public"#, "public"),
        ("app, public", "public"),
        ("app, public", "app"),
        ("public, app", "app"),
        (r#"nowhere, "$user""#, "postgres"),
    ] {
        let world = with_search_path(path);
        world.sql(&format!("create table {schema}.users {COLUMNS}"));
        // The second one finds the migration done.
        let workers = [world.worker(), world.worker()];
        world.add_next(&user("user_1", "ada@example.com", 1).created());
        world.settle();
        assert_eq!(tables(&world), format!("{schema}.users"), "{path}");
        assert_eq!(
            world.sql(&format!("select id from {schema}.users")),
            "user_1"
        );
        drop(workers);
    }
}

#[test]
fn without_a_table_one_is_made_in_the_first_schema_and_made_again_if_it_is_dropped() {
    let world = with_search_path("app, public");
    world.migrate();
    assert_eq!(tables(&world), "app.users");
    world.sql("drop table app.users");
    world.migrate();
    world.migrate();
    assert_eq!(tables(&world), "app.users");
    // What another application has in a schema that is not looked into is not ours.
    let world = with_search_path("public");
    world.sql(&format!("create table app.users {COLUMNS}"));
    world.migrate();
    assert_eq!(tables(&world), "app.users public.users");
}

#[test]
fn a_view_or_a_foreign_table_is_a_table_that_is_there() {
    for is_there in [
        "create view public.users as select 1 as id",
        "create materialized view public.users as select 1 as id",
        "create table public.users (id text primary key) partition by hash (id)",
        "create foreign data wrapper nobody; create server nowhere foreign data wrapper nobody; \
         create foreign table public.users (id text) server nowhere",
    ] {
        let world = with_search_path("app, public");
        world.sql(is_there);
        world.migrate();
        assert_eq!(tables(&world), "public.users", "{is_there}");
    }
}

/// The worker's role may use the schema of the table, and create nothing but `clerk_sync`. Where it may not
/// even look into that schema, it makes no second table beside it.
#[test]
fn a_role_that_may_not_create_tables_need_not_where_there_is_one() {
    let world = with_search_path("app, public");
    world.sql(&format!("create table app.users {COLUMNS}"));
    let role = format!("careful_{}", std::process::id());
    let (_, name) = world.database_url.rsplit_once('/').unwrap();
    world.sql(&format!(
        "create role {role} login; grant create on database {name} to {role}; \
         grant create on schema public to {role}"
    ));
    let url = world.database_url.replace("postgres@", &format!("{role}@"));
    let worker = world.start_worker(&[("DATABASE_URL", &url)]);
    world.wait_for("the worker says what is missing", |_| {
        worker
            .program
            .output()
            .contains("has no USAGE on the schema of app.users")
    });
    assert_eq!(tables(&world), "app.users");
    drop(worker);
    world.sql(&format!(
        "grant usage on schema app to {role}; revoke create on schema public from {role}; \
         grant select, insert, update, delete on app.users to {role}"
    ));
    let _worker = world.worker_with(&[("DATABASE_URL", &url)]);
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(world.sql("select id from app.users"), "user_1");
}
