//! What the page shows of one moment.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use shared::redis_link;
use tokio::task::JoinSet;

use super::Sources;
use super::ledger::{Ledger, Outcome};
use super::partition::{Holding, Letter, MOST_ROWS, Partition, Retry};
use crate::metrics::Counts;

/// How long a store may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// All of it. Times are milliseconds.
#[derive(Serialize)]
pub(crate) struct Snapshot {
    /// When, since the epoch.
    at: u64,
    /// Whose counts these are.
    consumer: String,
    counts: Counts,
    stores: [Store; 3],
    /// The first thing of the tables file that does not fit the database.
    misfit: Option<String>,
    /// `None` where Redis does not tell.
    queue: Option<Queue>,
    /// The newest first; `None` where PostgreSQL does not tell, or not soon enough.
    outcomes: Option<Vec<Outcome>>,
}

#[derive(Serialize)]
struct Store {
    name: &'static str,
    /// What is wrong with it.
    problem: Option<String>,
}

/// The partitions that this worker reads, together.
#[derive(Serialize, Default)]
struct Queue {
    partitions: u32,
    backlog: u64,
    pending: u64,
    waiting_retries: u64,
    dead_letters: u64,
    /// Since the oldest event came onto its stream.
    oldest: Option<u64>,
    consumers: List<Consumer>,
    retries: List<Retry>,
    letters: List<Letter>,
}

/// The first rows of a list.
#[derive(Serialize)]
struct List<T> {
    rows: Vec<T>,
    /// How many are not shown.
    more: u64,
}

#[derive(Serialize)]
struct Consumer {
    name: String,
    pending: u64,
    /// Of which partitions, where it holds something.
    held: BTreeMap<u32, u64>,
    /// Since its last sign of life.
    idle: u64,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            more: 0,
        }
    }
}

impl<T> List<T> {
    /// The first of `rows`, of `total`.
    fn cut(mut rows: Vec<T>, total: u64) -> Self {
        rows.truncate(MOST_ROWS);
        let more = total.saturating_sub(rows.len() as u64);
        Self { rows, more }
    }
}

/// Asks all stores at once. One that is away costs its own part alone.
pub(crate) async fn take(sources: &Sources, ledger: &mut Ledger) -> Snapshot {
    let ((queue, redis), cache, outcomes) = tokio::join!(
        queue(sources),
        sources.cache_tags.answers(),
        tokio::time::timeout(TIMEOUT, ledger.newest(&sources.database)),
    );
    let outcomes = match outcomes {
        Ok(Ok(outcomes)) => Ok(outcomes),
        Ok(Err(failure)) => Err(failure.reason().to_owned()),
        Err(_) => Err("it does not answer in time".to_owned()),
    };
    let (outcomes, postgres) = match outcomes {
        Ok(outcomes) => (outcomes, None),
        Err(problem) => (None, Some(problem)),
    };
    let cache = (!cache).then(|| "it does not answer".to_owned());
    let store = |name, problem| Store { name, problem };
    let at = SystemTime::now().duration_since(UNIX_EPOCH);
    Snapshot {
        at: at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
        consumer: sources.consumer.clone(),
        counts: sources.metrics.counts(),
        stores: [
            store("Redis (queue)", redis),
            store("Redis (cache)", cache),
            store("PostgreSQL", postgres),
        ],
        misfit: sources.targets.misfits().into_iter().next(),
        queue,
        outcomes,
    }
}

async fn queue(sources: &Sources) -> (Option<Queue>, Option<String>) {
    let count = sources.partitions;
    let mut asking = JoinSet::new();
    for number in 0..count {
        let ask = Partition::ask(sources.link.clone(), number, count);
        asking.spawn(async move { (number, tokio::time::timeout(TIMEOUT, ask).await) });
    }
    let (mut answered, mut problems) = (Vec::new(), BTreeMap::new());
    while let Some(asked) = asking.join_next().await {
        let Ok((number, answer)) = asked else {
            continue;
        };
        match answer {
            Ok(Ok(partition)) => answered.push((number, partition)),
            Ok(Err(error)) => drop(problems.insert(number, redis_link::reason(&error))),
            Err(_) => drop(problems.insert(number, "it does not answer in time".to_owned())),
        }
    }
    let problem = problems.first_key_value().map(|(number, reason)| {
        let failed = problems.len();
        if answered.is_empty() {
            reason.clone()
        } else {
            format!("{failed} of {count} partitions cannot be asked, {number} first: {reason}")
        }
    });
    (
        (!answered.is_empty()).then(|| sum(count, answered)),
        problem,
    )
}

fn sum(partitions: u32, answered: Vec<(u32, Partition)>) -> Queue {
    let mut queue = Queue {
        partitions,
        ..Queue::default()
    };
    let (mut retries, mut letters) = (Vec::new(), Vec::new());
    let mut consumers = BTreeMap::<String, Consumer>::new();
    for (number, partition) in answered {
        queue.backlog += partition.backlog;
        queue.waiting_retries += partition.waiting_retries;
        queue.dead_letters += partition.dead_letters;
        queue.oldest = queue.oldest.max(partition.oldest);
        retries.extend(partition.retries);
        letters.extend(partition.letters);
        for Holding {
            name,
            pending,
            idle,
        } in partition.consumers
        {
            queue.pending += pending;
            let consumer = consumers.entry(name.clone()).or_insert(Consumer {
                name,
                pending: 0,
                held: BTreeMap::new(),
                idle,
            });
            consumer.pending += pending;
            consumer.idle = consumer.idle.min(idle);
            if pending > 0 {
                consumer.held.insert(number, pending);
            }
        }
    }
    retries.sort_by_key(|retry: &Retry| retry.due);
    letters.sort_by_key(|letter: &Letter| letter.age);
    let mut consumers: Vec<Consumer> = consumers.into_values().collect();
    consumers.sort_by_key(|consumer| std::cmp::Reverse(consumer.pending));
    let total = consumers.len() as u64;
    queue.consumers = List::cut(consumers, total);
    queue.retries = List::cut(retries, queue.waiting_retries);
    queue.letters = List::cut(letters, queue.dead_letters);
    queue
}
