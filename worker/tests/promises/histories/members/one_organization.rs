//! Four workers that all write what belongs to one organization.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use xtask::history::{History, HistoryEvent};
use xtask::wait;

use super::Members;
use super::state;
use super::stream::Streams;
use crate::helpers::World;
use crate::histories::DEADLINE;
use crate::histories::destination::Destination as _;

const USERS: usize = 12;
const EVENTS: usize = 2000;
/// How many events later than in Clerk's order one is delivered, at the most.
const LATE: usize = 300;

/// For how long; one round if it is not said: `ONE_ORGANIZATION_MINUTES=10`.
fn length() -> Duration {
    let minutes = std::env::var("ONE_ORGANIZATION_MINUTES");
    let minutes = minutes.map_or(0.0, |minutes| minutes.parse().unwrap());
    Duration::from_secs_f64(minutes * 60.0)
}

/// P4, P6: members join, leave and come back, the organization changes and is deleted, and no two transactions wait for
/// each other.
#[test]
fn four_workers_on_one_organization_do_not_deadlock() {
    let (begun, length) = (Instant::now(), length());
    let first: u64 = rand::random::<u32>().into();
    for seed in first.. {
        round(seed);
        if begun.elapsed() >= length {
            println!("{} rounds of {EVENTS} events", seed - first + 1);
            break;
        }
    }
}

/// In a world of its own: svix-ids of another history mean other events.
fn round(seed: u64) {
    let world = World::new();
    // A lock is waited for no longer than 300 ms: PostgreSQL is to look before that.
    let name = world.sql("select current_database()");
    world.sql(&format!(
        "alter database \"{name}\" set deadlock_timeout = '10ms'"
    ));
    let members = Members::with_own_ids(Some(""));
    let streams = Streams::new(&world, &members, 4, 16);
    let workers: Vec<_> = (0..4).map(|_| streams.worker()).collect();
    let mut random = StdRng::seed_from_u64(seed);
    let history = History::with_members(&mut random, USERS, 1, EVENTS);
    let mut late: Vec<(usize, &HistoryEvent)> = history
        .events
        .iter()
        .enumerate()
        .map(|(number, event)| (number + random.random_range(0..LATE), event))
        .collect();
    late.sort_by_key(|(late, _)| *late);
    let delivered: Vec<&HistoryEvent> = late.into_iter().map(|(_, event)| event).collect();
    for group in delivered.chunks(50) {
        streams.add(group);
    }
    wait::block_until("all events are finished", DEADLINE, || {
        streams.unfinished().is_empty()
    })
    .unwrap_or_else(|error| panic!("seed {seed}: {error}: {:?}", streams.unfinished()));
    assert_eq!(streams.dead_letters(), "", "seed {seed}");
    state::check(true, &history, &world.sql(&members.query()))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let outputs: Vec<String> = workers
        .iter()
        .map(|worker| worker.program.output())
        .collect();
    drop(workers);
    // A session tells its deadlocks when it ends, if not before.
    world.wait_for("all sessions have ended", |world| {
        let others = "select count(*) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        world.sql(others) == "0"
    });
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(world.sql(deadlocks), "0", "seed {seed}");
    assert!(outputs.iter().all(|output| !output.contains("40P01")));
}
