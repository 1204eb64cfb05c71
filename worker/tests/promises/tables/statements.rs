//! The statements that are made for a file and a table, for people to read.

use worker::apply::target::Targets;
use worker::tables::Tables;

use crate::helpers::{World, database};

/// Whoever changes how statements are made sees here what becomes of them: the expected ones are in files beside this one.
#[tokio::test(flavor = "multi_thread")]
async fn statements_are_as_they_were_read_by_somebody() {
    let files = [
        (
            "seed",
            include_str!("../../../../docs/tables/seed.sql"),
            include_str!("../../../../docs/tables/seed.toml"),
            include_str!("statements/seed.sql"),
        ),
        (
            "prisma",
            include_str!("../../../../docs/tables/prisma.sql"),
            include_str!("../../../../docs/tables/prisma.toml"),
            include_str!("statements/prisma.sql"),
        ),
        (
            "invited",
            include_str!("../../../../docs/tables/invited.sql"),
            include_str!("../../../../docs/tables/invited.toml"),
            include_str!("statements/invited.sql"),
        ),
        (
            "tenants",
            include_str!("../../../../docs/tables/tenants.sql"),
            include_str!("../../../../docs/tables/tenants.toml"),
            include_str!("statements/tenants.sql"),
        ),
        (
            "organizations",
            include_str!("../../../../docs/tables/organizations.sql"),
            include_str!("../../../../docs/tables/organizations.toml"),
            include_str!("statements/organizations.sql"),
        ),
    ];
    let mut different = Vec::new();
    for (name, sql, tables, expected) in files {
        let world = World::new();
        world.sql(sql);
        world.migrate();
        let targets = Targets::new(Tables::parse(name, tables).unwrap().tables);
        let snapshot = targets.read(&database(&world)).await.unwrap();
        // That of users, or of memberships in the file that has no users.
        let target = snapshot.values().last().unwrap();
        let mut statements = target.statements.to_string();
        for target in snapshot.values() {
            statements.push_str(&target.references.to_string());
        }
        // To take over what has changed: cp target/tmp/NAME.sql worker/tests/promises/tables/statements/
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.sql"));
        std::fs::write(&file, &statements).unwrap();
        if statements != expected {
            different.push(file);
        }
    }
    assert!(different.is_empty(), "{different:?}");
}
