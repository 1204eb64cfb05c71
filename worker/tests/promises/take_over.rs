//! Entries of a worker that is gone, and those of one that is only slow.

use crate::applications::worlds;
use crate::helpers::{EVENTS, World, user};

const GROUP: &str = "clerk-worker";

/// P3, P5
#[test]
fn entries_of_a_dead_worker_are_taken_over() {
    for world in worlds() {
        world.redis(&["XGROUP", "CREATE", EVENTS, GROUP, "0", "MKSTREAM"]);
        world.add_next(&user("user_1", "ada@example.com", 1).created());
        world.redis(&[
            "XREADGROUP",
            "GROUP",
            GROUP,
            "dead-worker",
            "COUNT",
            "10",
            "STREAMS",
            EVENTS,
            ">",
        ]);
        let _worker = world.worker_with(&[("RECLAIM_AFTER_MS", "500")]);
        world.settle();
        assert_eq!(world.users(), "user_1 Ada Lovelace ada@example.com");
        world.wait_for("the dead consumer is removed", |world| {
            !world
                .redis(&["XINFO", "CONSUMERS", EVENTS, GROUP])
                .contains("dead-worker")
        });
    }
}

#[test]
fn a_deleted_entry_that_is_still_pending_is_cleared() {
    let world = World::migrated();
    world.redis(&["XGROUP", "CREATE", EVENTS, GROUP, "0", "MKSTREAM"]);
    let id = world.redis(&["XADD", EVENTS, "*", "svix-id", "msg_1", "payload", "{}"]);
    world.redis(&[
        "XREADGROUP",
        "GROUP",
        GROUP,
        "dead-worker",
        "COUNT",
        "10",
        "STREAMS",
        EVENTS,
        ">",
    ]);
    world.redis(&["XDEL", EVENTS, &id]);
    let _worker = world.worker_with(&[("RECLAIM_AFTER_MS", "500")]);
    world.wait_for("nothing is pending", |world| {
        world.redis(&["XPENDING", EVENTS, GROUP]).lines().next() == Some("0")
    });
}

/// A consumer that holds something is never removed, however long it is silent.
#[test]
fn a_consumer_that_holds_entries_is_not_removed() {
    let world = World::migrated();
    world.redis(&["XGROUP", "CREATE", EVENTS, GROUP, "0", "MKSTREAM"]);
    world.redis(&[
        "XGROUP",
        "CREATECONSUMER",
        EVENTS,
        GROUP,
        "silent-and-empty",
    ]);
    world.redis(&["XADD", EVENTS, "*", "svix-id", "msg_1", "payload", "{}"]);
    world.redis(&[
        "XREADGROUP",
        "GROUP",
        GROUP,
        "silent-and-holding",
        "STREAMS",
        EVENTS,
        ">",
    ]);
    let script = include_str!("../../src/source/remove_idle_consumers.lua");
    assert_eq!(
        world.redis(&["EVAL", script, "1", EVENTS, GROUP, "-1"]),
        "1"
    );
    let consumers = world.redis(&["XINFO", "CONSUMERS", EVENTS, GROUP]);
    assert!(consumers.contains("silent-and-holding") && !consumers.contains("silent-and-empty"));
}

/// A batch that takes several times the reclaim time stays with its living worker.
#[test]
fn a_long_batch_is_not_stolen_from_a_living_worker() {
    let world = World::migrated();
    // Longer than the time after which a silent worker's entries are taken over.
    world.sql(
        "create table applied_by (pid int); \
         create function slow() returns trigger language plpgsql as $$ \
           begin perform pg_sleep(3); insert into applied_by values (pg_backend_pid()); return new; end $$; \
         create trigger slow before insert on users for each row execute function slow()",
    );
    let settings = [("RECLAIM_AFTER_MS", "600")];
    let workers = [world.worker_with(&settings), world.worker_with(&settings)];
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(world.sql("select count(*) from applied_by"), "1");
    for worker in &workers {
        assert!(
            !worker.program.output().contains("took over"),
            "{}",
            worker.program.output()
        );
    }
}

/// A quiet worker is not taken for one that is gone.
#[test]
fn a_living_worker_without_work_stays_in_the_group() {
    let world = World::migrated();
    let reclaim_after = 200;
    let settings = [("RECLAIM_AFTER_MS", &*reclaim_after.to_string())];
    let _workers = [world.worker_with(&settings), world.worker_with(&settings)];
    let consumers = |world: &World| {
        world
            .redis(&["XINFO", "CONSUMERS", EVENTS, GROUP])
            .lines()
            .filter(|line| *line == "name")
            .count()
    };
    world.wait_for("both are in the group", |world| consumers(world) == 2);
    // Many times the silence after which a consumer is removed.
    let begun = std::time::Instant::now();
    while begun.elapsed().as_millis() < 20 * reclaim_after {
        assert_eq!(consumers(&world), 2);
    }
}
