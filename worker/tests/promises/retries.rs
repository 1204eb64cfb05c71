//! Waiting events survive everything and come back when they are due.

use crate::applications::worlds;
use crate::helpers::{RETRY, World, user};

fn refuse_for_now(world: &World) {
    world.sql_of_table(
        "create function wait() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$; \
         create trigger wait before insert on TABLE for each row execute function wait()",
    );
}

/// P5: the worker dies, Redis is killed, and what waited is still there.
#[test]
fn a_waiting_event_survives_a_kill_of_worker_and_redis() {
    for mut world in worlds() {
        refuse_for_now(&world);
        let worker = world.worker();
        world.add_next(&user("user_1", "ada@example.com", 1).created());
        world.wait_for("it waits", |world| world.redis(&["ZCARD", RETRY]) == "1");
        worker.program.kill();
        world.redis.kill();
        world.redis.restart().unwrap();
        assert_eq!(world.redis(&["ZCARD", RETRY]), "1");
        world.sql_of_table("drop trigger wait on TABLE");
        let _worker = world.worker();
        world.settle();
        assert_eq!(world.users(), "user_1 Ada Lovelace ada@example.com");
        assert_eq!(world.redis(&["EXISTS", "{clerk:0}:retry:entries"]), "0");
    }
}

/// A waiting event is not in the stream, holds no worker's place, and comes back with its attempts.
#[test]
fn a_waiting_event_is_parked_with_its_attempts() {
    let world = World::migrated();
    refuse_for_now(&world);
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "3")]);
    let svix_id = world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.wait_for("it waits", |world| world.redis(&["ZCARD", RETRY]) == "1");
    assert_eq!(world.backlog(), 0);
    world.settle();
    assert_eq!(
        world.dead_letter(&svix_id, "attempts").as_deref(),
        Some("3")
    );
    let waits = worker
        .program
        .output()
        .matches("waits for its next attempt")
        .count();
    assert_eq!(waits, 2, "{}", worker.program.output());
}

/// P3: the second delivery of an event that waits adds nothing.
#[test]
fn a_duplicate_of_a_waiting_event_waits_with_it() {
    let world = World::migrated();
    refuse_for_now(&world);
    let _worker = world.worker();
    let payload = user("user_1", "ada@example.com", 1).created();
    world.add("msg_same", &payload);
    world.wait_for("it waits", |world| world.redis(&["ZCARD", RETRY]) == "1");
    world.add("msg_same", &payload);
    world.wait_for("the duplicate is gone from the stream", |world| {
        world.backlog() == 0
    });
    assert!(world.redis(&["ZCARD", RETRY]).parse::<u32>().unwrap() <= 1);
    world.sql_of_table("drop trigger wait on TABLE");
    world.settle();
    assert_eq!(world.outcome("msg_same"), "applied");
    assert_eq!(world.sql("select count(*) from clerk_sync.events"), "1");
}
