//! Cache tags that the row tells: of the row as it was, and as it is now.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::fault_point::FaultPoint;
use xtask::fault_points::FaultPoints;

use super::{Application, address, deleted, updated};
use crate::helpers::{DEADLINE, World};

/// A trigger writes addresses in lower case.
const PEOPLE: &str = "
    create table people (
      id serial primary key, clerk_id text unique, email text unique, name text, plan text, seats int);
    create function lower_case() returns trigger language plpgsql as $$
      begin new.email := lower(new.email); return new; end $$;
    create trigger lower_case before insert or update on people for each row execute function lower_case();";
const FILE: &str = r#"
    [user]
    table = "people"
    key = "clerk_id"
    link_by = "email"
    tags = ["people", "p:{row.id}", "c:{row.clerk_id}", "m:{row.email}", "{row.plan}/{row.seats}", "{{{row.name}}}"]
    on_delete = { name = { value = "gone" }, clerk_id = "null" }
    columns = { email = "primary_email_address", name = "first_name" }
    "#;
const ALL: [&str; 20] = [
    "people",
    "p:1",
    "p:2",
    "p:3",
    "c:user_1",
    "c:user_2",
    "c:user_3",
    "c:",
    "m:a@example.com",
    "m:b@example.com",
    "m:c@example.com",
    "m:d@example.com",
    "m:A@Example.com",
    "free/3",
    "paid/3",
    "/3",
    "free/",
    "{Ada}",
    "{Eve}",
    "{gone}",
];

fn fill(world: &World) {
    for tag in ALL {
        world.redis(&["SET", tag, "cached"]);
    }
}

/// The tags that are gone.
fn gone(world: &World) -> BTreeSet<&'static str> {
    let keys = world.redis(&["KEYS", "*"]);
    let left: BTreeSet<&str> = keys.lines().collect();
    ALL.into_iter().filter(|tag| !left.contains(tag)).collect()
}

fn person(id: &str, second: i64, email: &str, name: Option<&str>) -> String {
    let mut says = address(email, true);
    says["first_name"] = json!(name);
    updated(id, second, &says)
}

/// Nothing of it is left, neither in its table nor in the ledger.
fn nothing_is_kept(world: &World) {
    assert_eq!(world.sql("select count(*) from clerk_sync.cache_tags"), "0");
    let ledger = world.sql("select e::text from clerk_sync.events as e");
    for tag in ["example.com", "Ada", "paid"] {
        assert!(!ledger.contains(tag), "{ledger}");
    }
}

/// P7
#[test]
fn the_tags_of_the_row_as_it_was_and_as_it_is_go_and_no_others() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let _worker = application.worker();
    let check = |payload: &str, outcome: &str, tags: &[&'static str]| {
        fill(world);
        application.expect(payload, outcome);
        assert_eq!(gone(world), tags.iter().copied().collect(), "{payload}");
        nothing_is_kept(world);
    };
    check(
        &person("user_1", 1, "A@Example.com", Some("Ada")),
        "applied",
        &["people", "p:1", "c:user_1", "m:a@example.com", "{Ada}"],
    );
    // Of columns that are not mapped; a NULL in it: no tag.
    world.sql("update people set plan = 'free', seats = 3");
    check(
        &person("user_1", 2, "b@example.com", None),
        "applied",
        &[
            "people",
            "p:1",
            "c:user_1",
            "m:a@example.com",
            "m:b@example.com",
            "free/3",
            "{Ada}",
        ],
    );
    world.sql("update people set plan = null");
    check(
        &person("user_1", 1, "c@example.com", Some("Eve")),
        "stale",
        &[],
    );
    check(
        &person("user_1", 3, "b@example.com", Some("Ada")),
        "applied",
        &["people", "p:1", "c:user_1", "m:b@example.com", "{Ada}"],
    );
    // A row that stays.
    check(
        &deleted("user_1", 4),
        "applied",
        &[
            "people",
            "p:1",
            "c:user_1",
            "m:b@example.com",
            "{Ada}",
            "{gone}",
        ],
    );
    // A row that is linked.
    world.sql("update people set plan = 'paid'");
    check(
        &person("user_2", 5, "b@example.com", Some("Eve")),
        "applied",
        &[
            "people",
            "p:1",
            "c:user_2",
            "m:b@example.com",
            "paid/3",
            "{gone}",
            "{Eve}",
        ],
    );
    // Nothing was there, and nothing is.
    check(&deleted("user_3", 5), "applied", &["people"]);
}

/// P7: a row that goes tells its tags for the last time.
#[test]
fn the_tags_of_a_row_that_is_deleted_go() {
    let application = Application::new(
        PEOPLE,
        &FILE.replace("on_delete", "on_create").replace(
            "name = { value = \"gone\" }, clerk_id = \"null\"",
            "plan = { value = \"free\" }",
        ),
    );
    let world = &application.world;
    let _worker = application.worker();
    application.expect(
        &person("user_1", 1, "a@example.com", Some("Ada")),
        "applied",
    );
    world.sql("update people set seats = 3");
    fill(world);
    application.expect(&deleted("user_1", 2), "applied");
    assert_eq!(
        gone(world),
        [
            "people",
            "p:1",
            "c:user_1",
            "m:a@example.com",
            "free/3",
            "{Ada}"
        ]
        .into_iter()
        .collect()
    );
    nothing_is_kept(world);
}

/// P7: also of rows that change in one batch, or in a ring of several.
#[test]
fn the_tags_of_all_rows_that_swap_go() {
    for batch_size in ["256", "1"] {
        let application = Application::new(PEOPLE, FILE);
        let world = &application.world;
        let worker = application.worker();
        application.expect(
            &person("user_1", 1, "a@example.com", Some("Ada")),
            "applied",
        );
        application.expect(
            &person("user_2", 1, "b@example.com", Some("Eve")),
            "applied",
        );
        drop(worker);
        fill(world);
        world.add_next(&person("user_1", 2, "b@example.com", Some("Ada")));
        world.add_next(&person("user_2", 2, "a@example.com", Some("Eve")));
        let _worker = application.worker_with(&[("BATCH_SIZE", batch_size)]);
        world.settle();
        let tags = [
            "people",
            "p:1",
            "p:2",
            "c:user_1",
            "c:user_2",
            "m:a@example.com",
            "m:b@example.com",
            "{Ada}",
            "{Eve}",
        ];
        assert_eq!(gone(world), tags.into_iter().collect(), "{batch_size}");
        nothing_is_kept(world);
    }
}

/// P7: the worker dies after the commit, before or after it has deleted the tags; the row is another one by then.
#[test]
fn tags_go_also_when_the_worker_dies_before_it_has_deleted_them() {
    let die = |point: FaultPoint, batch: &[Value]| {
        let application = Application::new(PEOPLE, FILE);
        let world = &application.world;
        let worker = application.worker();
        application.expect(
            &person("user_1", 1, "a@example.com", Some("Ada")),
            "applied",
        );
        application.expect(
            &person("user_2", 1, "b@example.com", Some("Eve")),
            "applied",
        );
        world.sql("update people set plan = 'paid', seats = 3 where clerk_id = 'user_2'");
        drop(worker);
        fill(world);
        let svix_ids: Vec<String> = batch
            .iter()
            .map(|event| world.add_next(event.as_str().unwrap()))
            .collect();
        let points = FaultPoints::arm(&format!("{point:?}")).unwrap();
        let worker = application.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
        let _held = points.held(DEADLINE).unwrap();
        for svix_id in &svix_ids {
            assert_eq!(world.outcome(svix_id), "applied");
        }
        assert_ne!(world.sql("select count(*) from clerk_sync.cache_tags"), "0");
        worker.program.kill();
        fill(world);
        world.sql(
            "update people set email = 'd@example.com', plan = 'free' where clerk_id = 'user_2'",
        );
        let _another = application.worker_with(&[("RECLAIM_AFTER_MS", "1000")]);
        world.settle();
        let tags = [
            "people",
            "p:1",
            "p:2",
            "c:user_1",
            "c:user_2",
            "m:a@example.com",
            "m:b@example.com",
            "m:c@example.com",
            "paid/3",
            "{Ada}",
            "{Eve}",
            "{gone}",
        ];
        assert_eq!(gone(world), tags.into_iter().collect(), "{point:?}");
        nothing_is_kept(world);
    };
    let batch = [
        json!(deleted("user_1", 2)),
        json!(person("user_2", 2, "c@example.com", Some("Eve"))),
    ];
    std::thread::scope(|scope| {
        for point in [FaultPoint::Committed, FaultPoint::TagsDeleted] {
            let batch = &batch;
            scope.spawn(move || die(point, batch));
        }
    });
}

#[test]
fn each_tag_stands_behind_the_prefix() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let _worker = application.worker_with(&[("CACHE_TAG_PREFIX", "shop:")]);
    fill(world);
    world.redis(&[
        "MSET",
        "shop:people",
        "x",
        "shop:m:a@example.com",
        "x",
        "shop:p:2",
        "x",
    ]);
    application.expect(&person("user_1", 1, "a@example.com", None), "applied");
    assert_eq!(gone(world), BTreeSet::new());
    assert_eq!(world.redis(&["KEYS", "shop:*"]), "shop:p:2");
}
