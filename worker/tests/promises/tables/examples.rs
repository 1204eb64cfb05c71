//! Every file of docs/tables, from a signed request to the row.

use worker::apply::target::Targets;
use worker::tables::Tables;

use super::Application;
use crate::helpers::{World, database};
use crate::ingest::Ingest;

const FULL: &str = include_str!("../../../../shared/fixtures/user.updated.full.json");

/// What becomes of Clerk's fullest user, and of its deletion.
async fn rows(name: &str, sql: &str, tables: &str, query: &str) -> (Application, String) {
    let application = Application::new(sql, tables);
    let world = &application.world;
    let _worker = application.worker();
    let ingest = Ingest::start(&world.redis.url(), &[]).await;
    assert_eq!(ingest.deliver_with("msg_1", FULL, &[]).await, 200, "{name}");
    world.settle();
    assert_eq!(
        world.outcome("msg_1"),
        "applied",
        "{name}: {:?}",
        world.reason("msg_1")
    );
    let row = world.sql(query);
    let deletion = r#"{"type":"user.deleted","timestamp":1716883400000,"data":{"id":"user_2g7np7Hrk0SN6kj5EDMLDaKNL0S","deleted":true}}"#;
    assert_eq!(
        ingest.deliver_with("msg_2", deletion, &[]).await,
        200,
        "{name}"
    );
    world.settle();
    assert_eq!(
        world.outcome("msg_2"),
        "applied",
        "{name}: {:?}",
        world.reason("msg_2")
    );
    (application, row)
}

macro_rules! example {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../../docs/tables/", $name, ".sql")),
            include_str!(concat!("../../../../docs/tables/", $name, ".toml")),
        )
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_written_to_each_table_as_its_file_says() {
    const ADA: &str = "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S";
    let image = "https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yZzd0ZXN0IiwicmlkIjoidXNlcl8yZzducDdIcmswU042a2o1RURNTERhS05MMFMiLCJpbml0aWFscyI6IkFMIn0";
    let check = async |(name, sql, tables): (&'static str, &str, &str),
                       query: &str,
                       written: String,
                       left: &str| {
        let (application, row) = rows(name, sql, tables, query).await;
        assert_eq!(row, written, "{name}");
        assert_eq!(application.world.sql(query), left, "{name}");
    };
    check(
        example!("prisma"),
        r#"select "clerkId", email, "firstName", "lastName", username, "imageUrl", "createdAt", "updatedAt", id ~ '^[0-9a-f-]{36}$' from "User""#,
        format!("{ADA}|ada@example.com|Ada|King|ada|{image}|2024-05-28 08:00:00.381|2024-05-28 08:01:40.111|t"),
        "",
    )
    .await;
    check(
        example!("course"),
        r#"select "clerkUserId", email, name, role, "imageUrl", "deletedAt" at time zone 'UTC', "updatedAt" at time zone 'UTC' from users"#,
        format!("{ADA}|ada@example.com|Ada King|user|{image}||2024-05-28 08:01:40.111"),
        &format!("{ADA}|deleted-{ADA}@users.invalid|Deleted user|user||2024-05-28 08:03:20|2024-05-28 08:01:40.111"),
    )
    .await;
    check(
        example!("invited"),
        "select clerk_user_id, email, name, joined_at at time zone 'UTC' from members",
        format!("{ADA}|ada@example.com|Ada King|2024-05-28 08:00:00.381"),
        "|ada@example.com|Ada King|2024-05-28 08:00:00.381",
    )
    .await;
    check(
        example!("organizations"),
        "select id, clerk_id, email, created_at from users",
        format!("1|{ADA}|ada@example.com|2024-05-28 08:00:00.381"),
        "",
    )
    .await;
    check(
        example!("profiles"),
        "select id, username, full_name, avatar_url, email, metadata, updated_at at time zone 'UTC' from profiles",
        format!(
            r#"{ADA}|ada|Ada King|{image}|ada@example.com|{{"plan": {{"name": "pro", "seats": 3}}, "role": "editor", "onboarded": true}}|2024-05-28 08:01:40.111"#
        ),
        "",
    )
    .await;
    check(
        example!("rails"),
        "select id, clerk_id, email, first_name, last_name, phone, banned, last_sign_in_at, created_at, updated_at from users",
        format!("1|{ADA}|ada@example.com|Ada|King|+442079460123|f|2024-05-28 08:03:20|2024-05-28 08:00:00.381|2024-05-28 08:01:40.111"),
        "",
    )
    .await;
    check(
        example!("seed"),
        r#"select id, name, email, "imageUrl", "createdAt", "updatedAt" from users"#,
        format!(
            "{ADA}|Ada King|ada@example.com|{image}|2024-05-28 08:00:00.381|2024-05-28 08:01:40.111"
        ),
        "",
    )
    .await;
}

/// The file that holds where none is named is the one in the documentation.
#[test]
fn the_built_in_file_is_that_of_the_seed_table() {
    let (_, sql, tables) = example!("seed");
    assert_eq!(tables, worker::tables::BUILT_IN);
    let world = World::new();
    world.sql(sql);
    let _worker = world.worker();
    world.add("msg_1", FULL);
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "1");
}

/// The files that people copy.
#[tokio::test]
async fn the_files_of_the_documentation_fit_their_tables() {
    for (name, sql, tables) in [
        example!("course"),
        example!("invited"),
        example!("organizations"),
        example!("prisma"),
        example!("profiles"),
        example!("rails"),
        example!("seed"),
        example!("tenants"),
    ] {
        let world = World::new();
        world.sql(sql);
        let targets = Targets::new(Tables::parse(name, tables).unwrap().tables);
        let agreement = targets.check_before_the_start(&database(&world)).await;
        assert_eq!(agreement.unwrap().errors, Vec::<String>::new(), "{name}");
    }
}
