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
use worker::apply::{Verdict, apply};
use worker::database::Database;
use worker::database::failure::{Refusal, Remedy};
use worker::decide::outcome::Outcome;
use worker::decide::ring::{self, Search};
use worker::event::Event;
use worker::finish::retry::{NextStep, next_step};
use xtask::history::HistoryEvent;
use xtask::wait;

use self::scenario::{MAX_HANDS, Scenario};
use self::tags::Tags;
use crate::helpers::{DEAD, EVENTS, RETRY, UNFINISHED, Unfenced, World, database, event, targets};

const MAX_ATTEMPTS: u32 = 25;
/// How often a smaller scenario is tried before it passes for one that does not fail.
const CHANCES: u32 = 6;
/// Somebody who waits for an address may need several attempts: 1, 2, 4, 8, 16 s apart.
const DEADLINE: Duration = Duration::from_secs(60);
/// Runs `test` on `cases` scenarios, a few at a time, each from a seed of its own.
fn for_scenarios(
    cases: u32,
    at_a_time: u32,
    test: impl Fn(Scenario) -> Result<(), TestCaseError> + Sync,
) {
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
            // Hands race: while it shrinks, what fails now and then is given several chances to.
            let chances = Cell::new(1);
            TestRunner::new(config)
                .run(&scenario::scenario(), |scenario| {
                    let tried = (0..chances.get()).try_for_each(|_| test(scenario.clone()));
                    if tried.is_err() {
                        chances.set(CHANCES);
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

    /// Those who can only be applied together with the event, as the processor finds them.
    fn ring(&self, event: &Event, awaited: &str) -> Option<Vec<Event>> {
        let own = |event: &Event| Some(object("user", event.object_id()?.as_str()));
        let asks = own(event)?;
        let mut search = Search::new(&asks, awaited);
        while let Some(asked) = search.what_to_ask() {
            let waiting = self.due.values().filter_map(|(_, waits)| waits.clone());
            let of_it = |waits: &ring::Waiting| own(&waits.event).as_ref() == Some(&asked);
            if let Some(ring) = search.found(waiting.filter(of_it).collect()) {
                let events = ring.into_iter().map(|waiting| waiting.event);
                let mut ring: Vec<Event> = events.collect();
                ring.retain(|other| other.svix_id != event.svix_id);
                ring.push(event.clone());
                return Some(ring);
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

/// Several hands take batches from one queue until it is empty.
async fn apply_all(
    databases: &[Database],
    queue: Vec<Arc<Event>>,
    batch_size: usize,
) -> Vec<(String, Verdict)> {
    let queue = Arc::new(Mutex::new(VecDeque::from(queue)));
    let mut hands = JoinSet::new();
    for database in databases {
        let (database, queue) = (database.clone(), Arc::clone(&queue));
        let targets = targets();
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

/// P3, P4, P5: straight into the database, by tasks whose transactions overlap.
#[test]
fn any_history_in_any_order_from_overlapping_batches_ends_as_its_reference() {
    let world = World::migrated();
    world.sql(state::WRITES);
    let runtime = Runtime::new().unwrap();
    let databases: Vec<Database> = (0..MAX_HANDS).map(|_| database(&world)).collect();
    for_scenarios(150, 1, |scenario| {
        runtime.block_on(async {
            let client = databases[0].connection().await.unwrap();
            client.batch_execute(state::CLEAR).await.unwrap();
            let before = scenario.rows_before();
            client.batch_execute(&state::insert(&before)).await.unwrap();
            let history = scenario.history();
            let events: BTreeMap<&str, Arc<Event>> = history
                .events
                .iter()
                .map(|told| {
                    (
                        told.svix_id.as_str(),
                        Arc::new(event(&told.svix_id, &told.body)),
                    )
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
                for (svix_id, verdict) in apply_all(hands, queue, scenario.batch_size).await {
                    record(&svix_id, &verdict)?;
                    let event = &events[svix_id.as_str()];
                    let ring = match &verdict {
                        Verdict::Waiting(awaited) => waiting.ring(event, &awaited.object),
                        _ => None,
                    };
                    let Some(ring) = ring else {
                        waiting.park(event, &verdict)?;
                        continue;
                    };
                    let size = ring.len();
                    let ring = ring.into_iter().map(Arc::new).collect();
                    for (svix_id, verdict) in apply_all(&databases[..1], ring, size).await {
                        record(&svix_id, &verdict)?;
                        if matches!(verdict, Verdict::Recorded(_) | Verdict::Duplicate) {
                            waiting.due.remove(&svix_id);
                        }
                        waiting.park(&events[svix_id.as_str()], &verdict)?;
                    }
                }
                queue = waiting
                    .unpark()
                    .iter()
                    .map(|svix_id| Arc::clone(&events[svix_id.as_str()]))
                    .collect();
            }
            state::check(&history, &before, &lines(&client, state::QUERY).await)?;
            let applied = |svix_id: &str| recorded.get(svix_id) == Some(&Outcome::Applied);
            state::check_writes(
                &history,
                applied,
                &lines(&client, state::QUERY_WRITES).await,
            )
        })
    });
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
        let world = World::migrated();
        let history = scenario.history();
        world.sql(state::WRITES);
        let before = scenario.rows_before();
        world.sql(&state::insert(&before));
        let tags = Tags::plant(&world, &history);
        let mut groups = scenario.groups(&history).into_iter();
        add(&world, &groups.next().unwrap_or_default());
        let batch_size = scenario.batch_size.to_string();
        let workers: Vec<_> = (0..scenario.hands)
            .map(|_| {
                world.worker_with(&[("BATCH_SIZE", batch_size.as_str()), ("RUST_LOG", "info")])
            })
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
        state::check(&history, &before, &world.sql(state::QUERY))?;
        let applied = world.sql("select svix_id from clerk_sync.events where outcome = 'applied'");
        let applied: BTreeSet<&str> = applied.lines().collect();
        let writes = world.sql(state::QUERY_WRITES);
        state::check_writes(&history, |svix_id| applied.contains(svix_id), &writes)?;
        tags.check(&world)
    });
}
