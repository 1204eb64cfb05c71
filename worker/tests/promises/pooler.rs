//! Behind a connection pooler in transaction mode, which gives each transaction another session.

use std::sync::Arc;

use nix::sys::signal::Signal;
use xtask::pgbouncer::Pgbouncer;
use xtask::postgres_server::PostgresServer;
use xtask::wait;

use crate::helpers::{DEADLINE, World, user};

/// Fewer than the transactions of two workers at once, so that they take each other's sessions.
const SESSIONS: u16 = 2;
const USERS: usize = 40;
const ROUNDS: i64 = 25;

/// P3, P4, P5, P8: as without a pooler. The workers migrate at the same time, one is killed while it
/// applies, another one comes, and one is stopped.
#[test]
fn events_are_applied_through_a_pooler() {
    let mut world = World::new();
    let direct = world.database_url.clone();
    let postgres = Arc::clone(&world.postgres);
    let pgbouncer = behind(&postgres);
    let name = direct.rsplit_once('/').unwrap().1;
    world.database_url = pgbouncer.url(name);
    let settings = [("BATCH_SIZE", "8"), ("RECLAIM_AFTER_MS", "1000")];
    let workers = [(); 2].map(|()| world.start_worker(&settings));
    for round in 1..=ROUNDS {
        for number in 0..USERS {
            let user = user(
                &format!("user_{number:02}"),
                &format!("{number}@example.com"),
                round,
            );
            let user = user.first_name(format!("Round{round}").as_str());
            world.add_next(&if round == ROUNDS && number == 0 {
                user.deleted()
            } else {
                user.updated()
            });
        }
        if round == ROUNDS / 2 {
            let applied = "select count(*) > 50 from clerk_sync.events";
            wait::block_until("something is applied", DEADLINE, || {
                postgres
                    .psql(&direct, applied)
                    .is_ok_and(|enough| enough == "t")
            })
            .unwrap_or_else(|error| panic!("{error}\n{}", workers[1].program.output()));
            workers[0].program.kill();
        }
    }
    let third = world.worker_with(&settings);
    world.settle();
    let applied = usize::try_from(ROUNDS).unwrap() * USERS;
    assert_eq!(
        world.sql("select count(*) from clerk_sync.events"),
        applied.to_string()
    );
    let expected = format!("{}|Round{ROUNDS}", USERS - 1);
    let users = "select count(*), min(split_part(name, ' ', 1)) from users";
    assert_eq!(world.sql(users), expected);
    assert_eq!(world.redis(&["XLEN", crate::helpers::DEAD]), "0");

    for worker in [&workers[1], &third] {
        let output = worker.program.output();
        assert!(
            output.contains("PostgreSQL is behind a connection pooler"),
            "{output}"
        );
        assert!(!output.contains("SQLSTATE"), "{output}");
        worker.program.signal(Signal::SIGTERM).unwrap();
        assert!(worker.program.wait(DEADLINE).unwrap().success());
    }
    // No session has kept anything of theirs.
    let left = "select (select count(*) from pg_prepared_statements) || ' ' || \
                (select count(*) from pg_locks where locktype = 'advisory')";
    assert_eq!(world.sql(left), "0 0");
}

/// Statements are prepared where there is no pooler: that is faster.
#[test]
fn a_worker_without_a_pooler_does_not_take_it_for_one() {
    let world = World::new();
    let worker = world.worker();
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    let output = worker.program.output();
    assert!(!output.contains("behind a connection pooler"), "{output}");
}

fn behind(postgres: &PostgresServer) -> Pgbouncer {
    Pgbouncer::start(postgres, SESSIONS).unwrap()
}
