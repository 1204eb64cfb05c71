//! Generated histories of many users, in any order, over any number of hands.
//!
//! Both tests draw scenarios and compare what is left with [`Reference`](xtask::history::Reference),
//! which applies the events in order. A scenario that fails is shrunk, and the message ends with the
//! two variables that draw the very same one again, such as `PROPTEST_RNG_SEED=1234
//! PROPTEST_CASES=1`; what depends on a race may take several runs. Nothing is written to a file of
//! regressions: what was found once becomes a test of its own. Without these variables each run
//! draws other scenarios; `PROPTEST_CASES=2000` draws more of them.

mod scenario;
mod state;
mod table;
mod tags;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use shared::queue::object;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_postgres::{Client, SimpleQueryMessage};
use worker::apply::target::Targets;
use worker::apply::{Verdict, apply};
use worker::database::Database;
use worker::database::failure::{Refusal, Remedy};
use worker::decide::outcome::Outcome;
use worker::decide::ring::{self, Search};
use worker::event::Event;
use worker::event::reader::Reader;
use worker::finish::retry::{NextStep, next_step};
use xtask::history::HistoryEvent;
use xtask::wait;

use self::scenario::{MAX_HANDS, Scenario};
use self::table::Table;
use self::tags::Tags;
use crate::helpers::{DEAD, EVENTS, RETRY, UNFINISHED, Unfenced, World, database, event_of};

const MAX_ATTEMPTS: u32 = 25;
/// How often a smaller scenario is tried before it passes for one that does not fail: hands race.
const CHANCES: u32 = 6;
/// Somebody who waits for an address may need several attempts: 1, 2, 4, 8, 16 s apart.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `test` on `cases` scenarios, a few at a time.
fn for_scenarios(
    cases: u32,
    at_a_time: u32,
    test: impl Fn(Scenario) -> Result<(), TestCaseError> + Sync,
) {
    for_cases(cases, at_a_time, CHANCES, scenario::scenario, test);
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

/// What waits for its next attempt, in a time that does not really pass.
#[derive(Default)]
struct Waiting {
    /// In ms.
    now: u128,
    /// When each is due, in ms, and what it waits for.
    due: BTreeMap<String, (u128, Option<ring::Waiting>)>,
    failed_attempts: BTreeMap<String, u32>,
}

impl Waiting {
    /// As the processor and `park.lua` do it.
    fn park(&mut self, event: &Event, verdict: &Verdict) -> Result<(), TestCaseError> {
        let svix_id = event.svix_id.as_str();
        let (refusal, waits) = match verdict {
            Verdict::Recorded(_) | Verdict::Duplicate | Verdict::Lost => return Ok(()),
            Verdict::Refused(refusal) => (refusal.clone(), None),
            Verdict::Waiting(awaited) => (
                Refusal {
                    reason: format!("{} has the address", awaited.object),
                    remedy: Remedy::WaitUntilFree,
                    ..Refusal::default()
                },
                Some(ring::Waiting {
                    event: event.clone(),
                    failed_attempts: 0,
                    trace: None,
                    awaited: awaited.object.clone(),
                    partition: 0,
                }),
            ),
        };
        if self.due.contains_key(svix_id) {
            return Ok(());
        }
        let failed_attempts = self.failed_attempts.entry(svix_id.to_owned()).or_default();
        *failed_attempts += 1;
        match next_step(&refusal, *failed_attempts, MAX_ATTEMPTS) {
            NextStep::DeadLetter => Err(TestCaseError::fail(format!(
                "{svix_id} is dead-lettered: {refusal:?}"
            ))),
            NextStep::Park { wait } => {
                let due = self.now + wait.as_millis();
                self.due.insert(svix_id.to_owned(), (due, waits));
                Ok(())
            }
        }
    }

    /// Those who wait and can only be applied together with the ring that is searched for, as the processor finds them.
    fn ring(&self, search: &mut Search) -> Option<Vec<Event>> {
        while let Some(asked) = search.what_to_ask() {
            let waiting = self.due.values().filter_map(|(_, waits)| waits.clone());
            let of_it = |waits: &ring::Waiting| object_of(&waits.event).as_ref() == Some(&asked);
            if let Some(ring) = search.found(waiting.filter(of_it).collect()) {
                return Some(ring.into_iter().map(|waiting| waiting.event).collect());
            }
        }
        None
    }

    /// As `unpark.lua` does it, once the next ones are due.
    fn unpark(&mut self) -> Vec<String> {
        let Some(now) = self.due.values().map(|(due, _)| *due).min() else {
            return Vec::new();
        };
        self.now = now;
        let due = self.due.extract_if(.., |_, (due, _)| *due <= now);
        due.map(|(svix_id, _)| svix_id).collect()
    }
}

fn object_of(event: &Event) -> Option<String> {
    Some(object("user", event.object_id()?.as_str()))
}

/// Several hands take batches from one queue until it is empty.
async fn apply_all(
    databases: &[Database],
    targets: &Targets,
    queue: Vec<Arc<Event>>,
    batch_size: usize,
) -> Vec<(String, Verdict)> {
    let queue = Arc::new(Mutex::new(VecDeque::from(queue)));
    let mut hands = JoinSet::new();
    for database in databases {
        let (database, queue) = (database.clone(), Arc::clone(&queue));
        let targets = targets.clone();
        hands.spawn(async move {
            let mut verdicts = Vec::new();
            loop {
                let mut batch: BTreeMap<String, Arc<Event>> = BTreeMap::new();
                {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    let size = batch_size.min(queue.len());
                    for event in queue.drain(..size) {
                        batch.insert(event.svix_id.to_string(), event);
                    }
                }
                if batch.is_empty() {
                    return verdicts;
                }
                // On a machine that is too busy the database seems to be away: then again.
                let given = loop {
                    let events: Vec<&Event> = batch.values().map(Arc::as_ref).collect();
                    if let Ok(given) = apply(&database, &targets, &Unfenced, &events).await {
                        break given;
                    }
                };
                verdicts.extend(batch.into_keys().zip(given));
            }
        });
    }
    hands.join_all().await.into_iter().flatten().collect()
}

async fn lines(client: &Client, query: &str) -> String {
    let messages = client.simple_query(query).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Straight into the database, by tasks whose transactions overlap.
fn ends_as_its_reference(table: &Table, cases: u32) {
    let world = World::new();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(table.create(&world));
    let databases: Vec<Database> = (0..MAX_HANDS).map(|_| database(&world)).collect();
    let tables = table.tables();
    let (reader, targets) = (Reader::new(&tables), Targets::new(tables));
    for_scenarios(cases, 1, |scenario| {
        runtime.block_on(async {
            let client = databases[0].connection().await.unwrap();
            client.batch_execute(&table.clear()).await.unwrap();
            let before = scenario.rows_before();
            client.batch_execute(&table.insert(&before)).await.unwrap();
            let history = scenario.history();
            let events: BTreeMap<&str, Arc<Event>> = history
                .events
                .iter()
                .map(|told| {
                    let event = event_of(&reader, &told.svix_id, &told.body);
                    (told.svix_id.as_str(), Arc::new(event))
                })
                .collect();
            let mut waiting = Waiting::default();
            let mut recorded = BTreeMap::new();
            let mut queue: Vec<Arc<Event>> = scenario
                .deliveries(&history)
                .into_iter()
                .map(|told| Arc::clone(&events[told.svix_id.as_str()]))
                .collect();
            let mut record = |svix_id: &str, verdict: &Verdict| {
                if let Verdict::Recorded(outcome) = verdict {
                    let before = recorded.insert(svix_id.to_owned(), *outcome);
                    prop_assert!(before.is_none(), "{svix_id} was applied twice");
                }
                Ok(())
            };
            while !queue.is_empty() {
                let hands = &databases[..scenario.hands];
                let verdicts = apply_all(hands, &targets, queue, scenario.batch_size).await;
                for (svix_id, verdict) in verdicts {
                    record(&svix_id, &verdict)?;
                    let event = &events[svix_id.as_str()];
                    let mut last = verdict.clone();
                    if let Verdict::Waiting(awaited) = verdict {
                        let object = object_of(event).unwrap();
                        let mut search = Search::new(&object, &awaited.object);
                        let mut ring = vec![Arc::clone(event)];
                        while let Some(more) = waiting.ring(&mut search) {
                            ring.extend(more.into_iter().map(Arc::new));
                            let hand = &databases[..1];
                            let size = ring.len();
                            let verdicts = apply_all(hand, &targets, ring.clone(), size).await;
                            for (svix_id, verdict) in verdicts {
                                record(&svix_id, &verdict)?;
                                if matches!(verdict, Verdict::Recorded(_) | Verdict::Duplicate) {
                                    waiting.due.remove(&svix_id);
                                    ring.retain(|event| event.svix_id.as_str() != svix_id);
                                }
                                if let Verdict::Waiting(awaited) = &verdict {
                                    search.go_on(&awaited.object);
                                }
                                if svix_id == event.svix_id.as_str() {
                                    last = verdict;
                                }
                            }
                            if !matches!(last, Verdict::Waiting(_)) {
                                break;
                            }
                        }
                    }
                    waiting.park(event, &last)?;
                }
                queue = waiting
                    .unpark()
                    .iter()
                    .map(|svix_id| Arc::clone(&events[svix_id.as_str()]))
                    .collect();
            }
            let found = lines(&client, &table.query()).await;
            state::check(table, &history, &before, &found)?;
            let applied = |svix_id: &str| recorded.get(svix_id) == Some(&Outcome::Applied);
            state::check_writes(
                &history,
                applied,
                &lines(&client, state::QUERY_WRITES).await,
            )
        })
    });
}

/// P3, P4, P5
#[test]
fn any_history_in_any_order_from_overlapping_batches_ends_as_its_reference() {
    ends_as_its_reference(&table::BUILT_IN, 150);
}

/// P3, P4, P5: with two things that only one user has at a time.
#[test]
fn any_history_ends_as_its_reference_in_a_table_with_a_key_of_its_own() {
    ends_as_its_reference(&table::WITH_OWN_KEY, 150);
}

/// P3, P4, P5: whether a row is left of somebody who was deleted depends on the order; what it says does not.
#[test]
fn any_history_ends_as_its_reference_where_the_rows_of_deleted_users_stay() {
    ends_as_its_reference(&table::WITH_ROWS_THAT_STAY, 150);
}

/// Adds a group of deliveries in one step.
fn add(world: &World, group: &[&HistoryEvent]) {
    let script = "for i = 1, #ARGV, 2 do \
         redis.call('XADD', KEYS[1], '*', 'svix-id', ARGV[i], 'payload', ARGV[i + 1]) \
       end";
    let mut command = vec!["EVAL", script, "1", EVENTS];
    for event in group {
        command.extend([event.svix_id.as_str(), event.body.as_str()]);
    }
    world.redis(&command);
}

/// P3, P4, P5, P7: through the stream, over one to four workers; some of the events are there before
/// the workers are.
#[test]
fn any_history_in_any_order_over_several_workers_ends_as_its_reference() {
    for_scenarios(12, 6, |scenario| {
        // A bit of what is drawn anyway.
        let table = match scenario.batch_size % 2 {
            0 => &table::BUILT_IN,
            _ => &table::WITH_OWN_KEY,
        };
        let world = World::new();
        let history = scenario.history();
        Runtime::new().unwrap().block_on(table.create(&world));
        let before = scenario.rows_before();
        world.sql(&table.insert(&before));
        let tags = Tags::plant(&world, &history);
        let mut groups = scenario.groups(&history).into_iter();
        add(&world, &groups.next().unwrap_or_default());
        let batch_size = scenario.batch_size.to_string();
        let mut settings = vec![("BATCH_SIZE", batch_size.as_str()), ("RUST_LOG", "info")];
        settings.extend(table.path.map(|path| ("TABLES_FILE", path)));
        let workers: Vec<_> = (0..scenario.hands)
            .map(|_| world.worker_with(&settings))
            .collect();
        for group in groups {
            add(&world, &group);
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
        state::check(table, &history, &before, &world.sql(&table.query()))?;
        let applied = world.sql("select svix_id from clerk_sync.events where outcome = 'applied'");
        let applied: BTreeSet<&str> = applied.lines().collect();
        let writes = world.sql(state::QUERY_WRITES);
        state::check_writes(&history, |svix_id| applied.contains(svix_id), &writes)?;
        // The tags of the others are made of keys that nobody knows before.
        match table.path {
            None => tags.check(&world),
            Some(_) => Ok(()),
        }
    });
}
