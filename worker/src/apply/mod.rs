#![doc = include_str!("README.md")]

mod arrays;
pub mod awaited;
mod canary;
mod dependents;
pub mod fence;
mod holders;
pub mod makers;
mod owners;
pub(crate) mod parents;
mod piece;
pub(crate) mod probe;
pub(crate) mod rows;
pub mod statements;
pub mod storage;
mod tags;
pub mod target;
mod telling;
mod transaction;
pub(crate) mod verdict;
pub(crate) mod winner;
pub(crate) mod winners;
mod wishes;
mod written;

use std::time::Duration;

use deadpool_postgres::Object;
use tokio::time::error::Elapsed;

use crate::apply::fence::Fence;
use crate::apply::piece::UniqueValues;
use crate::apply::target::Targets;
use crate::apply::transaction::{Attempt, Patience, transact};
pub use crate::apply::verdict::Verdict;
use crate::database::Database;
use crate::database::failure::{Failure, Refusal, Remedy};
use crate::event::Event;

/// How long a transaction may take before the connection is given up: longer than its usual statements
/// may take (see `begin.sql`), so this is for a server that says nothing any more, or for a commit that deferred
/// triggers make long: nothing else limits that.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(100);
/// How long it may take to find out whether PostgreSQL is fit for use.
const CANARY_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a transaction that met another one is repeated at once.
const REPEATS: u32 = 3;

/// A store went away before every event had its verdict.
#[derive(Debug)]
pub struct Away {
    /// Which: `postgres` or `redis`.
    pub store: &'static str,
    /// Why it cannot be used.
    pub reason: String,
    /// The verdicts so far, in the order of the events: what was committed before stays.
    pub verdicts: Vec<Option<Verdict>>,
}

/// A failure of a part of the batch, once it is known whose it is.
enum Judged {
    /// The store's.
    Away { store: &'static str, reason: String },
    /// That of an event.
    Refused(Refusal),
    /// That of an event, unless an outage has just ended: the canary passed after the failure. So an event is tried
    /// once more before it is blamed.
    Doubtful(Refusal),
}

/// Applies `events` and returns a verdict on each, in their order. No two may have the same svix-id.
///
/// # Errors
/// When PostgreSQL, or the queue's Redis, is away. Applied again, what was committed before is [`Verdict::Duplicate`].
pub async fn apply(
    database: &Database,
    targets: &Targets,
    fence: &impl Fence,
    events: &[&Event],
) -> Result<Vec<Verdict>, Away> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; events.len()];
    // Parts of the batch that are still to be applied, as indices; the last one is next.
    let mut parts: Vec<(Vec<usize>, UniqueValues, Patience)> = vec![(
        (0..events.len()).collect(),
        UniqueValues::Assume,
        Patience::Usual,
    )];
    while let Some((part, unique_values, patience)) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let part_events: Vec<&Event> = part.iter().map(|index| events[*index]).collect();
        match apply_part(
            database,
            targets,
            fence,
            &part_events,
            unique_values,
            patience,
        )
        .await
        {
            Ok(attempt) => {
                let (decided, rest, unique_values) = outcome(&part, attempt, unique_values);
                for (index, verdict) in decided {
                    verdicts[index] = Some(verdict);
                }
                parts.push((rest, unique_values, patience));
            }
            Err(Judged::Refused(refusal) | Judged::Doubtful(refusal)) => {
                let has_stalled = refusal.remedy == Remedy::Stalled;
                match (&part[..], patience) {
                    // It has all the time that there is once the others are applied.
                    ([_], Patience::Short) if has_stalled => {
                        parts.insert(0, (part, UniqueValues::Assume, Patience::Usual));
                    }
                    ([index], _) => verdicts[*index] = Some(Verdict::Refused(refusal)),
                    _ => {
                        let patience = if has_stalled {
                            Patience::Short
                        } else {
                            patience
                        };
                        let (first, second) = part.split_at(part.len() / 2);
                        for half in [second, first] {
                            parts.push((half.to_vec(), UniqueValues::Assume, patience));
                        }
                    }
                }
            }
            Err(Judged::Away { store, reason }) => {
                return Err(Away {
                    store,
                    reason,
                    verdicts,
                });
            }
        }
    }
    // No index is missing: each was in a part that ended in one of the ways above.
    Ok(verdicts.into_iter().flatten().collect())
}

/// The verdicts that an attempt at a part comes to, what of the part is still to be applied, and how.
fn outcome(
    part: &[usize],
    attempt: Attempt,
    unique_values: UniqueValues,
) -> (Vec<(usize, Verdict)>, Vec<usize>, UniqueValues) {
    let (verdicts, unique_values): (Vec<Option<Verdict>>, _) = match attempt {
        Attempt::Committed(verdicts) => (verdicts, UniqueValues::Assume),
        Attempt::Unmet(_) => (vec![None; part.len()], unique_values),
        Attempt::Lost(lost) => {
            let verdict = |place| lost.contains(&place).then_some(Verdict::Lost);
            ((0..part.len()).map(verdict).collect(), unique_values)
        }
    };
    let (mut decided, mut rest) = (Vec::new(), Vec::new());
    for (index, verdict) in part.iter().zip(verdicts) {
        match verdict {
            Some(verdict) => decided.push((*index, verdict)),
            None => rest.push(*index),
        }
    }
    (decided, rest, unique_values)
}

/// One part, as often as it meets another transaction; with unique values settled once one is taken.
async fn apply_part(
    database: &Database,
    targets: &Targets,
    fence: &impl Fence,
    events: &[&Event],
    mut unique_values: UniqueValues,
    patience: Patience,
) -> Result<Attempt, Judged> {
    let (mut repeats, mut prepared_again, mut doubted) = (0, false, false);
    loop {
        let failure =
            match apply_once(database, targets, fence, events, unique_values, patience).await {
                Ok(attempt) => return Ok(attempt),
                Err(failure) => failure,
            };
        match failure.remedy() {
            Some(Remedy::WaitUntilFree) if unique_values == UniqueValues::Assume => {
                unique_values = UniqueValues::Settle;
            }
            Some(Remedy::Repeat) if repeats < REPEATS => repeats += 1,
            Some(Remedy::PrepareAgain) if !prepared_again => {
                database.forget_statements();
                prepared_again = true;
            }
            _ => match judge(database, targets, events, failure).await {
                Judged::Doubtful(_) if !doubted && events.len() == 1 => doubted = true,
                judged => return Err(judged),
            },
        }
    }
}

async fn apply_once(
    database: &Database,
    targets: &Targets,
    fence: &impl Fence,
    events: &[&Event],
    unique_values: UniqueValues,
    patience: Patience,
) -> Result<Attempt, Failure> {
    targets.read(database).await?;
    let mut connection = database.connection().await?;
    let attempt = transact(
        &mut connection,
        targets,
        fence,
        events,
        unique_values,
        patience,
    );
    let attempt = tokio::time::timeout(TRANSACTION_TIMEOUT, attempt).await;
    let attempt = keep_if_sound(connection, attempt)?;
    if let Attempt::Unmet(parents) = &attempt {
        parents::meet(database, &targets.snapshot(), parents).await?;
    }
    Ok(attempt)
}

/// Finds out whose failure it is, where that is in doubt.
async fn judge(
    database: &Database,
    targets: &Targets,
    events: &[&Event],
    failure: Failure,
) -> Judged {
    let away = |reason| Judged::Away {
        store: "postgres",
        reason,
    };
    match failure {
        Failure::Refused(refusal) => Judged::Refused(refusal),
        Failure::Doubtful(refusal) => match ask(database, targets, events).await {
            Ok(()) => Judged::Doubtful(refusal),
            Err(failure) => away(failure.reason().to_owned()),
        },
        Failure::Unavailable(reason) => away(reason),
        Failure::QueueUnavailable(reason) => Judged::Away {
            store: "redis",
            reason,
        },
    }
}

/// Asks PostgreSQL, in a transaction of its own, whether it is fit for use.
async fn ask(database: &Database, targets: &Targets, events: &[&Event]) -> Result<(), Failure> {
    let mut connection = database.connection().await?;
    let answer = async {
        let transaction = connection.transaction().await?;
        storage::begin(&transaction).await?;
        // The table may be another one by now, or gone.
        targets.look(&transaction).await?;
        canary::ask(&transaction, &targets.snapshot(), events.iter().copied()).await?;
        Ok(transaction.rollback().await?)
    };
    let answer = tokio::time::timeout(CANARY_TIMEOUT, answer).await;
    keep_if_sound(connection, answer)
}

/// What was said on a connection. One that nobody knows the state of is not given back to the pool, which makes a
/// new one.
fn keep_if_sound<T>(
    connection: Object,
    answer: Result<Result<T, Failure>, Elapsed>,
) -> Result<T, Failure> {
    let answer = answer.unwrap_or_else(|_| Err(Failure::unanswered()));
    if let Err(failure) = &answer
        && failure.breaks_the_session()
    {
        drop(Object::take(connection));
    }
    answer
}
