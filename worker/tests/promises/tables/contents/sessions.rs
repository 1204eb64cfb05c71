//! Times, whatever the session says.

use serde_json::json;
use xtask::pgbouncer::Pgbouncer;

use crate::tables::{Application, deleted, updated};

/// As UTC and ISO, whatever the database, the role and the connection say.
#[test]
fn times_are_utc_and_iso_whatever_the_session_says() {
    let application = Application::new(
        "create table things (id text primary key, at timestamptz, local timestamp(3), day date, words text, tag_at timestamp)",
        r#"
        [user]
        table = "things"
        key = "id"
        tags = ["t:{row.at}", "t:{row.day}"]
        on_delete = { tag_at = "event.timestamp" }

        [user.columns]
        at = "created_at"
        local = "public_metadata.local"
        day = "created_at"
        words = "event.timestamp"
        "#,
    );
    let world = &application.world;
    let direct = &world.database_url;
    let (_, name) = direct.rsplit_once('/').unwrap();
    let role = format!("far_away_{}", std::process::id());
    world.sql(&format!(
        "alter database {name} set timezone = 'America/New_York';
         create role {role} login superuser;
         alter role {role} set timezone = 'Asia/Tokyo';
         alter role {role} set datestyle = 'German, DMY'"
    ));
    let pgbouncer = Pgbouncer::start(&world.postgres, 2).unwrap();
    let as_role = direct.replace("postgres@", &format!("{role}@"));
    let urls = [
        format!(
            "{as_role}?options=-c%20timezone=Asia/Tokyo%20-c%20datestyle=SQL,DMY%20-c%20extra_float_digits=-15"
        ),
        as_role,
        pgbouncer.url(name),
        direct.clone(),
    ];
    for (n, url) in urls.iter().enumerate() {
        let _worker = application.worker_with(&[("DATABASE_URL", url)]);
        let id = format!("user_{n}");
        world.redis(&[
            "MSET",
            "t:2024-05-28 22:30:00.381+00",
            "x",
            "t:2024-05-28",
            "x",
        ]);
        // 22:30 UTC is the next day in Tokyo.
        let says = json!({"created_at": 1_716_935_400_381_i64, "public_metadata": {"local": "2024-05-28T01:30:00"}});
        application.expect(&updated(&id, 1, &says), "applied");
        application.expect(&deleted(&id, 2), "applied");
        assert_eq!(
            world.sql(&format!(
                "set timezone = 'UTC'; select at, local, day, words, tag_at from things where id = '{id}'"
            )),
            "2024-05-28 22:30:00.381+00|2024-05-28 01:30:00|2024-05-28|1716883201050|2024-05-28 08:00:02.05",
            "{url}"
        );
        assert_eq!(
            world.redis(&["EXISTS", "t:2024-05-28 22:30:00.381+00", "t:2024-05-28"]),
            "0",
            "{url}"
        );
    }
}
