//! Applies a batch: in one transaction if the database takes it, and otherwise in as few as it takes
//! to single out what it refuses.

use std::time::Duration;

use deadpool_postgres::Object;

use crate::database::Database;
use crate::event::Event;
use crate::failure::{Failure, Refusal, Remedy};
use crate::fence::Fence;
use crate::ledger::Outcome;
use crate::piece::Addresses;
use crate::transaction::{Attempt, transact};

/// How long a transaction may take before the connection is given up: longer than its usual statements
/// may take (see `begin.sql`), so this is for a server that says nothing any more.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(100);
/// When this many single events are held up and nothing at all passes, it is not the events: somebody
/// has locked the table, or PostgreSQL crawls.
const STALLED_IN_A_ROW: u32 = 3;
/// How often a transaction that met another one is repeated at once.
const REPEATS: u32 = 3;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stands in the ledger, since now.
    Recorded(Outcome),
    /// It stood in the ledger before.
    Duplicate,
    /// Its address belongs to another user.
    Waiting {
        /// The id of that user.
        holder: String,
    },
    /// The database refuses it.
    Refused(Refusal),
    /// It is another worker's by now: nothing was done about it, and nothing is to be.
    Lost,
}

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

/// Applies `events` and returns a verdict on each, in their order. No two may have the same svix-id.
/// `passing` tells that PostgreSQL has just let others of the batch pass, so that whatever is held up
/// now is held up alone.
///
/// # Errors
/// When PostgreSQL, or the queue's Redis, is away. Applied again, what was committed before is [`Verdict::Duplicate`].
pub async fn apply(
    database: &Database,
    fence: &impl Fence,
    events: &[&Event],
    passing: bool,
) -> Result<Vec<Verdict>, Away> {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; events.len()];
    let (mut committed, mut stalled) = (passing, 0);
    // Parts of the batch that are still to be applied, as indices; the last one is next.
    let mut parts: Vec<(Vec<usize>, Addresses)> =
        vec![((0..events.len()).collect(), Addresses::Assume)];
    while let Some((part, addresses)) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let part_events: Vec<&Event> = part.iter().map(|index| events[*index]).collect();
        match apply_part(database, fence, &part_events, addresses).await {
            Ok(Attempt::Committed(outcomes)) => {
                committed = true;
                for (index, verdict) in part.iter().zip(outcomes) {
                    verdicts[*index] = Some(verdict);
                }
            }
            Ok(Attempt::Waiting(waiting)) => {
                let mut rest = Vec::new();
                for (place, index) in part.iter().enumerate() {
                    match waiting.get(&place) {
                        Some(holder) => {
                            let holder = holder.clone();
                            verdicts[*index] = Some(Verdict::Waiting { holder });
                        }
                        None => rest.push(*index),
                    }
                }
                parts.push((rest, Addresses::Settle));
            }
            Ok(Attempt::Lost(lost)) => {
                let (gone, rest): (Vec<_>, Vec<_>) = part
                    .iter()
                    .enumerate()
                    .partition(|(place, _)| lost.contains(place));
                for (_, index) in gone {
                    verdicts[*index] = Some(Verdict::Lost);
                }
                parts.push((rest.iter().map(|(_, index)| **index).collect(), addresses));
            }
            Err(Failure::Refused(refusal)) if part.len() == 1 => {
                stalled += u32::from(refusal.remedy == Remedy::Stalled);
                if stalled >= STALLED_IN_A_ROW && !committed {
                    return Err(Away {
                        store: "postgres",
                        reason: refusal.reason,
                        verdicts,
                    });
                }
                verdicts[part[0]] = Some(Verdict::Refused(refusal));
            }
            Err(Failure::Refused(_)) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.push((second.to_vec(), Addresses::Assume));
                parts.push((first.to_vec(), Addresses::Assume));
            }
            Err(Failure::Unavailable(reason)) => {
                return Err(Away {
                    store: "postgres",
                    reason,
                    verdicts,
                });
            }
            Err(Failure::QueueUnavailable(reason)) => {
                return Err(Away {
                    store: "redis",
                    reason,
                    verdicts,
                });
            }
        }
    }
    // No index is missing: each was in a part that ended in one of the ways above.
    Ok(verdicts.into_iter().flatten().collect())
}

/// One part, as often as it meets another transaction; with addresses settled once one is taken.
async fn apply_part(
    database: &Database,
    fence: &impl Fence,
    events: &[&Event],
    mut addresses: Addresses,
) -> Result<Attempt, Failure> {
    let mut repeats = 0;
    loop {
        match apply_once(database, fence, events, addresses).await {
            Err(Failure::Refused(Refusal {
                remedy: Remedy::WaitUntilFree,
                ..
            })) if addresses == Addresses::Assume => {
                addresses = Addresses::Settle;
            }
            Err(Failure::Refused(Refusal {
                remedy: Remedy::Repeat,
                ..
            })) if repeats < REPEATS => {
                repeats += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn apply_once(
    database: &Database,
    fence: &impl Fence,
    events: &[&Event],
    addresses: Addresses,
) -> Result<Attempt, Failure> {
    let mut connection = database.connection().await?;
    let outcome = tokio::time::timeout(
        TRANSACTION_TIMEOUT,
        transact(
            &mut connection,
            database.catalogue(),
            fence,
            events,
            addresses,
        ),
    )
    .await
    .unwrap_or_else(|_| {
        Err(Failure::Unavailable(
            "PostgreSQL does not answer".to_owned(),
        ))
    });
    if let Err(Failure::Unavailable(_)) = outcome {
        // Nobody knows what state it is in: the pool makes a new one.
        drop(Object::take(connection));
    }
    outcome
}
