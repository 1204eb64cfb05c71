//! One transaction that applies events: the ledger, the versions, the rows.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::IsolationLevel;

use crate::apply::Verdict;
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::failure::{Failure, Refusal};
use crate::fence::Fence;
use crate::ledger::Outcome;
use crate::piece::{Addresses, Piece, Written};
use crate::plan::plan;
use crate::storage;

/// How long a transaction may look for what is refused in it. After that it begins again in halves, which
/// are committed one by one: nobody is to wait for it for long, and a slow database must come to an end.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// What a transaction comes to.
pub(crate) enum Attempt {
    /// A verdict on each event: nothing was written of those that are refused.
    Committed(Vec<Verdict>),
    /// Nothing was written: these events wait for an address, and who holds it.
    Waiting(HashMap<usize, String>),
    /// Nothing was written: these events are another worker's.
    Lost(HashSet<usize>),
}

/// One transaction. The ledger comes first: whoever records a svix-id is the only one to apply it
/// (P3), and a second transaction with the same one waits there until this one has ended.
pub(crate) async fn transact(
    connection: &mut Object,
    catalogue: &Catalogue,
    fence: &impl Fence,
    events: &[&Event],
    addresses: Addresses,
) -> Result<Attempt, Failure> {
    let transaction = connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await?;
    let begun = Instant::now();
    reach(FaultPoint::Begun).await;
    let assumed = plan(events).outcomes;
    let ((), recorded) = tokio::try_join!(
        storage::begin(&transaction),
        storage::record_events(&transaction, events, &assumed)
    )?;
    reach(FaultPoint::LedgerWritten).await;
    let new: Vec<&Event> = events
        .iter()
        .copied()
        .filter(|event| recorded.contains(event.svix_id.as_str()))
        .collect();
    // Before the users are locked: while Redis is slow, nobody else is to wait for them.
    let lost = fence.lost(&new).await?;
    if !lost.is_empty() {
        transaction.rollback().await?;
        let places = events
            .iter()
            .enumerate()
            .filter(|(_, event)| lost.contains(event.svix_id.as_str()));
        return Ok(Attempt::Lost(places.map(|(place, _)| place).collect()));
    }
    let mut changed: HashSet<String> = HashSet::new();
    let mut refused: HashMap<&str, Refusal> = HashMap::new();
    // The last one is next.
    let mut pieces = Piece::all(&new, addresses);
    pieces.reverse();
    while let Some(piece) = pieces.pop() {
        match piece.write(&transaction, catalogue, addresses).await {
            Ok(Written::Changed(users)) => {
                changed.extend(users);
                if !pieces.is_empty() {
                    storage::keep_piece(&transaction).await?;
                }
            }
            Ok(Written::Waiting(mut holders)) => {
                transaction.rollback().await?;
                reach(FaultPoint::RolledBack).await;
                let holder = |event: &&Event| holders.remove(event.svix_id.as_str());
                let waiting = events.iter().map(holder).enumerate();
                let waiting = waiting.filter_map(|(place, holder)| Some((place, holder?)));
                return Ok(Attempt::Waiting(waiting.collect()));
            }
            Err(Failure::Refused(refusal))
                if refusal.is_of_its_own()
                    && (events.len() == 1 || begun.elapsed() < LONGEST_SEARCH) =>
            {
                storage::give_up_piece(&transaction).await?;
                let (event, remaining) = piece.split(&refusal, addresses);
                refused.extend(event.map(|event| (event.svix_id.as_str(), refusal)));
                pieces.extend(remaining.into_iter().rev());
            }
            Err(failure) => return Err(failure),
        }
    }
    let svix_ids: Vec<&str> = refused.keys().copied().collect();
    storage::forget_events(&transaction, &svix_ids).await?;

    let accepted = |event: &&Event| !refused.contains_key(event.svix_id.as_str());
    let new: Vec<&Event> = new.into_iter().filter(accepted).collect();
    let outcomes: HashMap<&str, Outcome> = new
        .iter()
        .zip(plan(&new).outcomes)
        .map(|(event, planned)| {
            let lost = event
                .user_id()
                .is_some_and(|user_id| !changed.contains(user_id.as_str()));
            (
                event.svix_id.as_str(),
                if lost { Outcome::Stale } else { planned },
            )
        })
        .collect();
    let corrections: Vec<(&str, Outcome)> = events
        .iter()
        .zip(&assumed)
        .filter_map(|(event, assumed)| {
            let svix_id = event.svix_id.as_str();
            outcomes
                .get(svix_id)
                .filter(|outcome| *outcome != assumed)
                .map(|outcome| (svix_id, *outcome))
        })
        .collect();
    storage::correct_outcomes(&transaction, &corrections).await?;
    reach(FaultPoint::BeforeCommit).await;
    transaction.commit().await?;
    reach(FaultPoint::Committed).await;
    let verdict = |event: &&Event| {
        let svix_id = event.svix_id.as_str();
        match (outcomes.get(svix_id), refused.get(svix_id)) {
            (Some(outcome), _) => Verdict::Recorded(*outcome),
            (None, Some(refusal)) => Verdict::Refused(refusal.clone()),
            (None, None) => Verdict::Duplicate,
        }
    };
    Ok(Attempt::Committed(events.iter().map(verdict).collect()))
}
