//! Generated histories of many users, and of organizations with their members, in any order, over any number of hands.
//!
//! All tests draw scenarios and compare what is left with [`Reference`](xtask::history::Reference),
//! which applies the events in order. A scenario that fails is shrunk, and the message ends with the
//! two variables that draw the very same one again, such as `PROPTEST_RNG_SEED=1234
//! PROPTEST_CASES=1`; what depends on a race may take several runs. Nothing is written to a file of
//! regressions: what was found once becomes a test of its own. Without these variables each run
//! draws other scenarios; `PROPTEST_CASES=2000` draws more of them.

mod batches;
mod destination;
mod members;
mod scenario;
mod state;
mod table;
mod tags;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use tokio::runtime::Runtime;
use xtask::history::HistoryEvent;
use xtask::wait;

use self::batches::end_as_their_reference;
use self::destination::{Destination as _, QUERY_WRITES};
use self::scenario::Scenario;
use self::tags::Tags;
use crate::helpers::{DEAD, EVENTS, RETRY, UNFINISHED, World};

/// How often a smaller scenario is tried before it passes for one that does not fail: hands race.
const CHANCES: u32 = 6;
/// Somebody who waits for an address may need several attempts: 1, 2, 4, 8, 16 s apart.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `test` on `cases` scenarios, a few at a time.
fn for_scenarios(
    strategy: fn() -> BoxedStrategy<Scenario>,
    cases: u32,
    at_a_time: u32,
    test: impl Fn(Scenario) -> Result<(), TestCaseError> + Sync,
) {
    for_cases(cases, at_a_time, CHANCES, strategy, test);
}

/// Runs `test` on so many cases, a few at a time, each drawn from a seed of its own. While it shrinks, one that fails now
/// and then is given several chances to.
pub(crate) fn for_cases<S: Strategy>(
    cases: u32,
    at_a_time: u32,
    chances_to_fail: u32,
    strategy: fn() -> S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError> + Sync,
) where
    S::Value: Clone,
{
    let config = Config::default();
    let first = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand::random::<u32>().into(),
    };
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config.cases,
        None => cases,
    };
    let next = AtomicU64::new(first);
    let run = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + u64::from(cases) {
                return;
            }
            let config = Config {
                cases: 1,
                rng_seed: RngSeed::Fixed(seed),
                failure_persistence: None,
                // The default allows four for each case.
                max_shrink_iters: 100_000,
                max_shrink_time: 30_000,
                ..Config::default()
            };
            let chances = Cell::new(1);
            TestRunner::new(config)
                .run(&strategy(), |case| {
                    let tried = (0..chances.get()).try_for_each(|_| test(case.clone()));
                    if tried.is_err() {
                        chances.set(chances_to_fail);
                    }
                    tried
                })
                .unwrap_or_else(|error| {
                    panic!("{error}\nagain: PROPTEST_RNG_SEED={seed} PROPTEST_CASES=1")
                });
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(run);
        }
    });
}

/// P3, P4, P5
#[test]
fn any_history_in_any_order_from_overlapping_batches_ends_as_its_reference() {
    end_as_their_reference(&table::BUILT_IN, 150);
}

/// P3, P4, P5: with two things that only one user has at a time.
#[test]
fn any_history_ends_as_its_reference_in_a_table_with_a_key_of_its_own() {
    end_as_their_reference(&table::WITH_OWN_KEY, 150);
}

/// P3, P4, P5: whether a row is left of somebody who was deleted depends on the order; what it says does not.
#[test]
fn any_history_ends_as_its_reference_where_the_rows_of_deleted_users_stay() {
    end_as_their_reference(&table::WITH_ROWS_THAT_STAY, 150);
}

/// Adds a group of deliveries to a stream in one step.
fn add_to(world: &World, stream: &str, group: &[&HistoryEvent]) {
    let script = "for i = 1, #ARGV, 2 do \
         redis.call('XADD', KEYS[1], '*', 'svix-id', ARGV[i], 'payload', ARGV[i + 1]) \
       end";
    let mut command = vec!["EVAL", script, "1", stream];
    for event in group {
        command.extend([event.svix_id.as_str(), event.body.as_str()]);
    }
    world.redis(&command);
}

/// P3, P4, P5, P7: through the stream, over one to four workers; some of the events are there before
/// the workers are.
#[test]
fn any_history_in_any_order_over_several_workers_ends_as_its_reference() {
    for_scenarios(scenario::of_users, 12, 6, |scenario| {
        // A bit of what is drawn anyway.
        let table = match scenario.batch_size % 2 {
            0 => &table::BUILT_IN,
            _ => &table::WITH_OWN_KEY,
        };
        let world = World::new();
        let history = scenario.history();
        Runtime::new().unwrap().block_on(table.create(&world));
        world.sql(&table.before(&scenario));
        let tags = Tags::plant(&world, &history);
        let mut groups = scenario.groups(&history).into_iter();
        add_to(&world, EVENTS, &groups.next().unwrap_or_default());
        let batch_size = scenario.batch_size.to_string();
        let mut settings = vec![("BATCH_SIZE", batch_size.as_str()), ("RUST_LOG", "info")];
        settings.extend(table.path.map(|path| ("TABLES_FILE", path)));
        let workers: Vec<_> = (0..scenario.hands)
            .map(|_| world.worker_with(&settings))
            .collect();
        for group in groups {
            add_to(&world, EVENTS, &group);
        }
        let finished = wait::block_until("all events are finished", DEADLINE, || {
            world.redis(&UNFINISHED) == "0"
        });
        prop_assert!(
            finished.is_ok(),
            "waiting: {}",
            world.redis(&["ZRANGE", RETRY, "0", "-1"])
        );
        drop(workers);
        prop_assert_eq!(world.redis(&["XLEN", DEAD]), "0");
        table.check(&scenario, &history, &world.sql(&table.query()))?;
        let applied = world.sql("select svix_id from clerk_sync.events where outcome = 'applied'");
        let applied: BTreeSet<&str> = applied.lines().collect();
        let writes = world.sql(QUERY_WRITES);
        table.check_writes(&history, &|svix_id| applied.contains(svix_id), &writes)?;
        // The tags of the others are made of keys that nobody knows before.
        match table.path {
            None => tags.check(&world),
            Some(_) => Ok(()),
        }
    });
}
