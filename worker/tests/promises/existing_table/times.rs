//! Times without a zone, as Prisma and Drizzle make them, are UTC.

use xtask::pgbouncer::Pgbouncer;

use crate::helpers::{World, user};

/// P4: what Clerk says at 08:00:02 UTC is stored and compared as that.
#[test]
fn times_without_a_zone_are_utc_whatever_the_database_the_role_and_the_url_say() {
    let world = World::new();
    let direct = &world.database_url;
    let (_, name) = direct.rsplit_once('/').unwrap();
    let role = format!("elsewhere_{}", std::process::id());
    world.sql(&format!(
        r#"create table users (
             id text primary key, name text not null, email text not null unique, "imageUrl" text,
             "createdAt" timestamp(3) not null default now(), "updatedAt" timestamp not null);
           alter database {name} set timezone = 'America/New_York';
           create role {role} login superuser;
           alter role {role} set datestyle = 'SQL, DMY';
           alter role {role} set intervalstyle = 'sql_standard'"#
    ));
    let pgbouncer = Pgbouncer::start(&world.postgres, 2).unwrap();
    let as_role = direct.replace("postgres@", &format!("{role}@"));
    let urls = [
        format!("{as_role}?options=-c%20timezone=Asia/Tokyo%20-c%20datestyle=German"),
        as_role,
        pgbouncer.url(name),
    ];
    for (number, url) in urls.iter().enumerate() {
        let (ours, own) = (format!("user_{number}"), format!("user_own_{number}"));
        let address = |id: &str| format!("{id}@example.com");
        world.sql(&format!(
            "insert into users values
               ('{own}', 'Ours', '{own}@example.com', null, '2020-01-01', '2024-05-28 08:00:10')"
        ));
        let _worker = world.worker_with(&[("DATABASE_URL", url)]);
        let outcomes = [
            (ours.as_str(), 2, "applied"),
            (ours.as_str(), 1, "stale"),
            (ours.as_str(), 3, "applied"),
            // Before the application's own row, and after it.
            (own.as_str(), 5, "stale"),
            (own.as_str(), 12, "applied"),
        ];
        for (id, second, outcome) in outcomes {
            let svix_id = world.add_next(&user(id, &address(id), second).updated());
            world.settle();
            assert_eq!(world.outcome(&svix_id), outcome, "{id} {second} {url}");
        }
        assert_eq!(
            world.sql(&format!(
                r#"select "createdAt", "updatedAt" from users where id in ('{ours}', '{own}') order by id"#
            )),
            "2024-05-28 08:00:00.381|2024-05-28 08:00:03\n2024-05-28 08:00:00.381|2024-05-28 08:00:12"
        );
    }
}
