//! One transaction that applies events: the ledger, the versions, the rows.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Transaction};
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::IsolationLevel;

use crate::apply::awaited::Awaited;
use crate::apply::canary;
use crate::apply::fence::Fence;
use crate::apply::piece::{Addresses, Piece, Written};
use crate::apply::storage;
use crate::apply::verdict::Verdict;
use crate::database::catalogue::Catalogue;
use crate::database::failure::{Failure, Refusal};
use crate::decide::outcome::Outcome;
use crate::decide::plan::plan;
use crate::event::Event;

/// How long a transaction begins new pieces, if one has come to an end. Triggers of the application and the search
/// for what is refused may take long; what is done by then is committed, and the rest is left for another one.
const LONGEST_WRITING: Duration = Duration::from_secs(5);

/// How long a statement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as `begin.sql` says.
    Usual,
    /// Less, because one of these events is known to take too long, and the others are not to wait for it.
    Short,
}

/// What a transaction comes to.
pub(crate) enum Attempt {
    /// A verdict on each event but those that are left for another transaction. Nothing was written of those that
    /// are refused.
    Committed(Vec<Option<Verdict>>),
    /// Nothing was written: these events wait for an address, and for whom.
    Waiting(HashMap<usize, Awaited>),
    /// Nothing was written: these events are another worker's.
    Lost(HashSet<usize>),
}

/// What was written of the new events of a transaction.
#[derive(Default)]
struct Rows<'a> {
    /// The users whose rows were written or deleted.
    changed: HashSet<String>,
    /// The svix-ids of events that the database refuses.
    refused: HashMap<&'a str, Refusal>,
    /// The svix-ids of events that are left for another transaction.
    left: HashSet<&'a str>,
}

/// One transaction. The ledger comes first: whoever records a svix-id is the only one to apply it
/// (P3), and a second transaction with the same one waits there until this one has ended.
pub(crate) async fn transact(
    connection: &mut Object,
    catalogue: &Catalogue,
    fence: &impl Fence,
    events: &[&Event],
    addresses: Addresses,
    patience: Patience,
) -> Result<Attempt, Failure> {
    let transaction = connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await?;
    let begun = Instant::now();
    reach(FaultPoint::Begun).await;
    let assumed = plan(events).outcomes;
    let ((), recorded) = tokio::try_join!(
        storage::begin(&transaction),
        storage::record_events(&transaction, events, &assumed)
    )?;
    if patience == Patience::Short {
        storage::shorten_statements(&transaction).await?;
    }
    reach(FaultPoint::LedgerWritten).await;
    let is_new = |event: &&Event| recorded.contains(event.svix_id.as_str());
    let new: Vec<&Event> = events.iter().copied().filter(is_new).collect();
    // Before the users are locked: while Redis is slow, nobody else is to wait for them.
    let lost = fence.lost(&new).await?;
    if !lost.is_empty() {
        transaction.rollback().await?;
        let is_lost = |(_, event): &(_, &&Event)| lost.contains(event.svix_id.as_str());
        let places = events.iter().enumerate().filter(is_lost);
        return Ok(Attempt::Lost(places.map(|(place, _)| place).collect()));
    }
    let rows = match write(&transaction, catalogue, &new, addresses, begun).await? {
        Ok(rows) => rows,
        Err(mut awaited) => {
            transaction.rollback().await?;
            reach(FaultPoint::RolledBack).await;
            let awaited = |event: &&Event| awaited.remove(event.svix_id.as_str());
            let waiting = events.iter().map(awaited).enumerate();
            let waiting = waiting.filter_map(|(place, awaited)| Some((place, awaited?)));
            return Ok(Attempt::Waiting(waiting.collect()));
        }
    };
    let unwritten: Vec<&str> = rows.refused.keys().chain(&rows.left).copied().collect();
    storage::forget_events(&transaction, &unwritten).await?;
    let outcomes = rows.outcomes(&new);
    let is_wrong = |(event, assumed): (&&Event, &Outcome)| {
        let (svix_id, outcome) = outcomes.get_key_value(event.svix_id.as_str())?;
        (outcome != assumed).then_some((*svix_id, *outcome))
    };
    let corrections: Vec<_> = events.iter().zip(&assumed).filter_map(is_wrong).collect();
    storage::correct_outcomes(&transaction, &corrections).await?;
    reach(FaultPoint::BeforeCommit).await;
    transaction.commit().await?;
    reach(FaultPoint::Committed).await;
    let verdict = |event: &&Event| rows.verdict(event.svix_id.as_str(), &outcomes);
    Ok(Attempt::Committed(events.iter().map(verdict).collect()))
}

/// Writes the rows of new events piece by piece. The inner error tells which events wait for an address, and for
/// whom: then nothing that was written is good.
async fn write<'a>(
    transaction: &Transaction<'_>,
    catalogue: &Catalogue,
    new: &[&'a Event],
    addresses: Addresses,
    begun: Instant,
) -> Result<Result<Rows<'a>, HashMap<&'a str, Awaited>>, Failure> {
    let mut rows = Rows::default();
    let mut is_one_done = false;
    let mut doubted = None;
    // The last one is next.
    let mut pieces = Piece::all(new, addresses);
    pieces.reverse();
    while !(is_one_done && begun.elapsed() > LONGEST_WRITING)
        && let Some(piece) = pieces.pop()
    {
        match piece.write(transaction, catalogue, addresses).await {
            Ok(Written::Changed(users)) => {
                is_one_done = true;
                rows.changed.extend(users);
                if !pieces.is_empty() {
                    storage::keep_piece(transaction).await?;
                }
            }
            Ok(Written::Waiting(awaited)) => return Ok(Err(awaited)),
            Err(failure) => {
                let is_doubtful = matches!(failure, Failure::Doubtful(_));
                let refusal = give_up(transaction, &piece, failure).await?;
                // An outage may have ended between the failure and the canary.
                let alone = piece.alone().map(|event| &event.svix_id);
                if is_doubtful && alone.is_some() && doubted != alone {
                    doubted = alone;
                    pieces.push(piece);
                    continue;
                }
                let (event, remaining) = piece.split(&refusal, addresses);
                is_one_done |= event.is_some();
                rows.refused
                    .extend(event.map(|event| (event.svix_id.as_str(), refusal)));
                pieces.extend(remaining.into_iter().rev());
            }
        }
    }
    let left = pieces.iter().flat_map(Piece::events);
    rows.left = left.map(|event| event.svix_id.as_str()).collect();
    Ok(Ok(rows))
}

/// Takes a piece back, if it is a row of it that is refused, so that the transaction can go on.
async fn give_up(
    transaction: &Transaction<'_>,
    piece: &Piece<'_>,
    failure: Failure,
) -> Result<Refusal, Failure> {
    match failure {
        Failure::Refused(refusal) if refusal.is_of_its_own() => {
            storage::give_up_piece(transaction).await?;
            Ok(refusal)
        }
        Failure::Doubtful(refusal) if refusal.is_of_its_own() => {
            storage::give_up_piece(transaction).await?;
            canary::ask(transaction, piece.events()).await?;
            Ok(refusal)
        }
        failure => Err(failure),
    }
}

impl<'a> Rows<'a> {
    fn is_written(&self, svix_id: &str) -> bool {
        !self.refused.contains_key(svix_id) && !self.left.contains(svix_id)
    }

    /// What became of the new events that are neither refused nor left, by svix-id.
    fn outcomes(&self, new: &[&'a Event]) -> HashMap<&'a str, Outcome> {
        let is_written = |event: &&Event| self.is_written(event.svix_id.as_str());
        let written: Vec<&Event> = new.iter().copied().filter(is_written).collect();
        let planned = plan(&written).outcomes;
        let outcome = |(event, planned): (&&'a Event, Outcome)| {
            let has_lost = event
                .user_id()
                .is_some_and(|user_id| !self.changed.contains(user_id.as_str()));
            let outcome = if has_lost { Outcome::Stale } else { planned };
            (event.svix_id.as_str(), outcome)
        };
        written.iter().zip(planned).map(outcome).collect()
    }

    fn verdict(&self, svix_id: &str, outcomes: &HashMap<&str, Outcome>) -> Option<Verdict> {
        if self.left.contains(svix_id) {
            return None;
        }
        Some(match (outcomes.get(svix_id), self.refused.get(svix_id)) {
            (Some(outcome), _) => Verdict::Recorded(*outcome),
            (None, Some(refusal)) => Verdict::Refused(refusal.clone()),
            (None, None) => Verdict::Duplicate,
        })
    }
}
