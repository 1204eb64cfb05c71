//! Unique indexes that are not on one column alone.

use serde_json::{Value, json};

use super::{THINGS, file};
use crate::tables::{Application, updated};
use crate::waking::waiting;

/// P6: where no plain index is in the way the event waits for its next attempt, and its neighbours do not.
#[test]
fn under_any_other_unique_index_it_waits_and_is_retried() {
    let cases = [
        (
            "create unique index taken on things (plain, number)",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "create unique index taken on things (plain) where number > 0",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "create unique index taken on things (lower(plain))",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "create unique index taken on things (plain) nulls not distinct",
            ("number", json!(2)),
            ("number", json!(2)),
        ),
        (
            "alter table things add constraint taken unique (plain) deferrable initially immediate",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "alter table things add constraint taken unique (plain) deferrable initially deferred",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "alter table things add constraint taken exclude (plain with =)",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
    ];
    let check = |(index, one, two): (&str, (&str, Value), (&str, Value))| {
        let application = Application::new(THINGS, &file(&["plain", "number"]));
        let world = &application.world;
        world.sql("alter table things drop constraint things_plain_key, drop constraint things_number_key");
        world.sql(index);
        let worker = application.worker();
        let says =
            |number: i64| json!({"public_metadata": {one.0: one.1, two.0: two.1, "seen": number}});
        application.expect(&updated("user_a", 1, &says(1)), "applied");
        drop(worker);
        let waits = world.add_next(&updated("user_b", 2, &says(2)));
        let neighbours: Vec<String> = (0..10)
            .map(|n| {
                let says = json!({"public_metadata": {"plain": format!("neighbour {n}"), "number": 100 + n}});
                world.add_next(&updated(&format!("neighbour_{n}"), 2, &says))
            })
            .collect();
        let _worker = application.worker();
        for svix_id in &neighbours {
            world.wait_for("the neighbours are applied", |world| {
                world.outcome(svix_id) == "applied"
            });
        }
        world.wait_for("it has been tried again", |world| {
            waiting(world, &waits, "attempts").as_str() >= "2"
        });
        let reason = waiting(world, &waits, "reason");
        assert!(reason.contains("constraint taken"), "{index}: {reason}");
        world.sql("delete from things where id = 'user_a'");
        world.settle();
        assert_eq!(application.became(&waits), "applied", "{index}");
        assert_eq!(
            world.sql("select count(*) from things where id = 'user_b'"),
            "1"
        );
    };
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}
