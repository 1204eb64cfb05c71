//! An application that created the table with its own tools keeps it as it is.

use std::process::Command;

use serde_json::json;
use xtask::server_programs;

use crate::node::Node;
use crate::user::User;
use crate::world::World;

#[test]
fn a_table_that_drizzle_created_stays_as_it_is_and_is_kept_up_to_date() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    world.sql(&node.drizzle_sql("drizzle_own_schema.mjs"));
    stays_as_it_is_and_is_kept_up_to_date(&world, node, "drizzle_reader.mjs");
}

#[test]
fn a_table_that_prisma_created_stays_as_it_is_and_is_kept_up_to_date() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    world.sql(&node.prisma_sql("own_schema.prisma", &world.database_url));
    stays_as_it_is_and_is_kept_up_to_date(&world, node, "prisma_reader.mjs");
}

/// Both schemas have a column `role` with a default, orders that a user's deletion deletes, and times without a
/// zone, which are UTC to Drizzle and Prisma wherever the database is.
fn stays_as_it_is_and_is_kept_up_to_date(world: &World, node: &Node, reader: &str) {
    world.leave_utc();
    world.sql(
        r#"insert into users (id, name, email, "createdAt", "updatedAt", role) values
             ('user_1', 'Ada', 'one@example.com', '2020-01-01', '2020-01-01', 'admin'),
             ('user_2', 'Bob', 'two@example.com', '2020-01-01', '2020-01-01', default)"#,
    );
    world.sql(r#"insert into orders ("userId") values ('user_1'), ('user_2')"#);
    let before = structure(world);
    assert!(before.contains("role"), "{before}");

    // The first two swap their addresses, which only one transaction can do.
    let users = [
        User::new("user_1", "two@example.com"),
        User::new("user_2", "one@example.com"),
        User::new("user_3", "three@example.com"),
    ];
    let events = users.each_ref().map(|user| user.payload().updated());
    world.send(node, &events);
    let _worker = world.worker();
    world.settle();
    let rows = node.ask(
        reader,
        &json!({ "databaseUrl": world.database_url, "schema": "drizzle_own_schema.mjs" }),
    );
    assert_eq!(rows, json!(users.each_ref().map(User::row)));
    assert_eq!(
        world.sql("select id, role from users order by id"),
        "user_1|admin\nuser_2|member\nuser_3|member"
    );
    assert_eq!(world.sql("select count(*) from orders"), "2");

    world.deliver(node, &[users[0].payload().deleted()]);
    assert_eq!(world.sql(r#"select "userId" from orders"#), "user_2");
    assert_eq!(structure(world), before);
}

/// All that PostgreSQL knows of the application's schema: tables, types, defaults, constraints,
/// indexes, triggers, privileges.
fn structure(world: &World) -> String {
    let output = Command::new(
        server_programs::postgres_binaries()
            .unwrap()
            .join("pg_dump"),
    )
    .args(["--schema-only", "--schema=public", &world.database_url])
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    let dump = String::from_utf8(output.stdout).unwrap();
    // Newer versions put a random word there.
    dump.lines()
        .filter(|line| !line.starts_with(r"\restrict") && !line.starts_with(r"\unrestrict"))
        .map(|line| format!("{line}\n"))
        .collect()
}
