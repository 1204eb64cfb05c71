//! Applications read the rows with the schema that they would write for the table.

use serde_json::json;

use crate::node::Node;
use crate::user::User;
use crate::world::World;

#[test]
fn a_drizzle_application_reads_what_was_sent() {
    reads_what_was_sent("drizzle_reader.mjs");
}

#[test]
fn a_prisma_application_reads_what_was_sent() {
    reads_what_was_sent("prisma_reader.mjs");
}

fn reads_what_was_sent(reader: &str) {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    let _worker = world.worker();
    let users = users();
    let created: Vec<_> = users.iter().map(|user| user.payload().created()).collect();
    let rows = || {
        node.ask(
            reader,
            &json!({ "databaseUrl": world.database_url, "schema": "drizzle_schema.mjs" }),
        )
    };
    world.deliver(node, &created);
    let expected: Vec<_> = users.iter().map(User::row).collect();
    assert_eq!(rows(), json!(expected));

    // One picture comes, one goes, times move by a millisecond, a user is deleted.
    let mut changed = self::users();
    changed[1].image_url = Some("https://img.clerk.com/new.png");
    changed[2].image_url = None;
    for user in &mut changed {
        user.updated_at += 1;
    }
    let mut bodies: Vec<_> = changed[1..]
        .iter()
        .map(|user| user.payload().updated())
        .collect();
    bodies.push(changed[0].payload().deleted());
    world.deliver(node, &bodies);
    let expected: Vec<_> = changed[1..].iter().map(User::row).collect();
    assert_eq!(rows(), json!(expected));
}

/// In the order of their ids. Milliseconds at both ends of a second, years far apart.
fn users() -> [User; 3] {
    [
        User {
            id: "user_1",
            first_name: Some("Ada"),
            last_name: Some("Lovelace"),
            name: "Ada Lovelace",
            email: "ada@example.com",
            image_url: Some("https://img.clerk.com/ada.jpeg?width=80&fit=crop"),
            created_at: 1_716_883_200_001,
            updated_at: 1_716_883_200_998,
        },
        User {
            id: "user_2",
            first_name: None,
            last_name: Some("O'Brien \"李\" 🦀"),
            name: "O'Brien \"李\" 🦀",
            email: "zoë+tag@example.com",
            image_url: None,
            created_at: 1,
            updated_at: 1_719_792_000_000,
        },
        User {
            id: "user_3",
            first_name: None,
            last_name: None,
            name: "User",
            email: "nobody@example.com",
            image_url: Some("https://img.clerk.com/nobody.png"),
            created_at: 1_709_164_799_999,
            updated_at: 4_107_542_399_999,
        },
    ]
}
