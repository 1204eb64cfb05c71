//! Stops politely.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::applications::worlds;
use crate::helpers::{EVENTS, World, user};

/// P10
#[test]
fn a_stopped_worker_finishes_its_batch_hands_the_rest_back_and_leaves_the_group() {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM];
    for (world, signal) in worlds().zip(signals) {
        world.sql_of_table(
            "create function slow() returns trigger language plpgsql as $$ \
               begin perform pg_sleep(0.5); return new; end $$; \
             create trigger slow before insert on TABLE for each row execute function slow()",
        );
        let worker = world.worker_with(&[("BATCH_SIZE", "2")]);
        for n in 0..10 {
            world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
        }
        world.wait_for("a batch is being applied and the next is read", |world| {
            world
                .redis(&["XPENDING", EVENTS, "clerk-worker"])
                .lines()
                .next()
                >= Some("2")
        });
        worker.program.signal(signal).unwrap();
        let status = worker.program.wait(Duration::from_secs(10)).unwrap();
        assert!(status.success(), "{status}\n{}", worker.program.output());
        assert_eq!(
            world
                .redis(&["XPENDING", EVENTS, "clerk-worker"])
                .lines()
                .next(),
            Some("0")
        );
        assert_eq!(
            world.redis(&["XINFO", "CONSUMERS", EVENTS, "clerk-worker"]),
            ""
        );
        let applied: u64 = world
            .sql("select count(*) from clerk_sync.events")
            .parse()
            .unwrap();
        assert_eq!(world.backlog() + applied, 10);
        assert!(world.backlog() > 0, "some must have been left");
        // Another worker takes them at once, long before the reclaim time of 30 s.
        world.sql_of_table("drop trigger slow on TABLE");
        let _other = world.worker();
        world.settle();
        assert_eq!(world.sql("select count(*) from users"), "10");
        assert!(!_other.program.output().contains("took over"));
    }
}

/// P10: also while a store is away.
#[test]
fn a_worker_stops_within_its_grace_period_while_a_store_is_away() {
    let mut world = World::migrated();
    let blocked = world.worker_with(
        &[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")]
            .map(|(name, _)| (name, world.database_url.as_str())),
    );
    world.redis.kill();
    blocked.program.signal(Signal::SIGTERM).unwrap();
    assert!(
        blocked
            .program
            .wait(Duration::from_secs(10))
            .unwrap()
            .success()
    );
    world.redis.restart().unwrap();
    let never_migrated =
        world.start_worker(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")]);
    xtask::wait::block_until("it has tried", Duration::from_secs(20), || {
        never_migrated
            .program
            .output()
            .contains("cannot be migrated yet")
    })
    .unwrap();
    never_migrated.program.signal(Signal::SIGTERM).unwrap();
    assert!(
        never_migrated
            .program
            .wait(Duration::from_secs(10))
            .unwrap()
            .success()
    );
}

/// P10: a transaction that hangs is given up within the grace period, and nothing of it is lost.
#[test]
fn a_batch_that_does_not_finish_in_time_is_handed_back() {
    let world = World::migrated();
    world.sql(
        "create function hang() returns trigger language plpgsql as $$ \
           begin perform pg_sleep(15); return new; end $$; \
         create trigger hang before insert on users for each row execute function hang()",
    );
    let worker = world.worker_with(&[("SHUTDOWN_GRACE_MS", "1500")]);
    let svix_id = world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.wait_for("it is being applied", |world| {
        world.sql("select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'") == "1"
    });
    worker.program.signal(Signal::SIGTERM).unwrap();
    assert!(
        worker
            .program
            .wait(Duration::from_secs(10))
            .unwrap()
            .success()
    );
    assert_eq!(world.backlog(), 1);
    world.sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()");
    world.sql("drop trigger hang on users");
    let _other = world.worker();
    world.settle();
    assert_eq!(world.outcome(&svix_id), "applied");
}
