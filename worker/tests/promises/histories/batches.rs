//! Straight into the database, by tasks whose transactions overlap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
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

use super::destination::{Destination, QUERY_WRITES};
use super::for_scenarios;
use super::scenario::MAX_HANDS;
use crate::helpers::{Unfenced, World, database, event_of};

const MAX_ATTEMPTS: u32 = 25;

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
                    reason: awaited.reason.clone(),
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
    let changed = event.changed()?;
    Some(object(&changed.section.family, changed.id.as_str()))
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

/// Draws so many histories of this destination.
pub(super) fn end_as_their_reference(table: &impl Destination, cases: u32) {
    let world = World::new();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(table.create(&world));
    let databases: Vec<Database> = (0..MAX_HANDS).map(|_| database(&world)).collect();
    let tables = table.tables();
    let (reader, targets) = (Reader::new(&tables), Targets::new(tables));
    for_scenarios(table.strategy(), cases, 1, |scenario| {
        runtime.block_on(async {
            let client = databases[0].connection().await.unwrap();
            client.batch_execute(&table.clear()).await.unwrap();
            client
                .batch_execute(&table.before(&scenario))
                .await
                .unwrap();
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
                    if let Verdict::Waiting(awaited) = verdict
                        && awaited.is_of_a_value
                    {
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
            table.check(&scenario, &history, &found)?;
            let applied = |svix_id: &str| recorded.get(svix_id) == Some(&Outcome::Applied);
            let writes = lines(&client, QUERY_WRITES).await;
            table.check_writes(&history, &applied, &writes)
        })
    });
}
