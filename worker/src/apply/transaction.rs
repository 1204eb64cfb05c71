//! One transaction that applies events: the ledger, the versions, the rows.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Transaction};
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::IsolationLevel;

use crate::apply::canary;
use crate::apply::fence::Fence;
use crate::apply::parents::{self, Held};
use crate::apply::piece::{Piece, UniqueValues};
use crate::apply::probe;
use crate::apply::storage;
use crate::apply::target::Targets;
use crate::apply::verdict::{LeftOut, Verdict};
use crate::apply::winners::LeftOuts;
use crate::apply::written::Written;
use crate::database::failure::{Failure, Refusal};
use crate::decide::outcome::Outcome;
use crate::decide::plan::{name, plan};
use crate::event::Event;
use crate::event::object::Parent;

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
    /// Nothing was written: these events are another worker's.
    Lost(HashSet<usize>),
    /// Nothing was written: of these objects, which rows refer to, something has to be known first.
    Unmet(Vec<Parent>),
}

/// What was written of the new events of a transaction.
#[derive(Default)]
struct Rows<'a> {
    /// The families and ids of objects whose rows are as their newest events say.
    changed: HashSet<(&'a str, &'a str)>,
    /// What became of the events that were not written, by svix-id.
    left_out: LeftOuts<'a>,
    /// The svix-ids of events that are left for another transaction.
    left: HashSet<&'a str>,
}

/// One transaction. The ledger comes first: whoever records a svix-id is the only one to apply it
/// (P3), and a second transaction with the same one waits there until this one has ended.
pub(crate) async fn transact(
    connection: &mut Object,
    targets: &Targets,
    fence: &impl Fence,
    events: &[&Event],
    unique_values: UniqueValues,
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
    let held = match parents::lock(&transaction, &targets.snapshot(), &new).await? {
        Ok(held) => held,
        Err(unmet) => {
            transaction.rollback().await?;
            return Ok(Attempt::Unmet(unmet));
        }
    };
    reach(FaultPoint::ParentsLocked).await;
    let rows = match write(&transaction, targets, &new, unique_values, begun, held).await? {
        Ok(rows) => rows,
        Err(unmet) => {
            transaction.rollback().await?;
            return Ok(Attempt::Unmet(unmet));
        }
    };
    storage::forget_events(&transaction, &rows.unrecorded()).await?;
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

/// Writes the rows of new events piece by piece. The inner error is objects of which something has to be known first.
async fn write<'a>(
    transaction: &Transaction<'_>,
    targets: &Targets,
    new: &[&'a Event],
    unique_values: UniqueValues,
    begun: Instant,
    mut held: Held,
) -> Result<Result<Rows<'a>, Vec<Parent>>, Failure> {
    let mut rows = Rows::default();
    let mut is_one_done = false;
    let mut doubted = None;
    let mut snapshot = targets.snapshot();
    // The last one is next.
    let mut pieces = Piece::all(new, unique_values);
    pieces.reverse();
    while !(is_one_done && begun.elapsed() > LONGEST_WRITING)
        && let Some(piece) = pieces.pop()
    {
        let target = snapshot.get(piece.family()).ok_or_else(unread)?;
        let failure = match piece.write(transaction, target, unique_values, &held).await {
            Ok(Written::Changed(objects)) => {
                is_one_done = true;
                if let Some(held) = &mut held {
                    held.extend(piece.claimed());
                }
                rows.changed
                    .extend(objects.into_iter().map(|id| (piece.family(), id)));
                if !pieces.is_empty() {
                    storage::keep_piece(transaction).await?;
                }
                continue;
            }
            Ok(Written::Unmet(parents)) => return Ok(Err(parents)),
            Ok(Written::Without(left_out)) => {
                storage::give_up_piece(transaction).await?;
                reach(FaultPoint::RolledBack).await;
                if left_out.values().any(LeftOut::doubts_the_table)
                    && targets.have_changed_lately(transaction, &snapshot).await?
                {
                    snapshot = targets.snapshot();
                    pieces.push(piece);
                    continue;
                }
                is_one_done = true;
                pieces.extend(piece.without(&left_out));
                rows.left_out.extend(left_out);
                continue;
            }
            Err(failure) => failure,
        };
        let is_doubtful = matches!(failure, Failure::Doubtful(_));
        let refusal = give_up(transaction, failure).await?;
        // Before the canary is asked: what it says about a table that has changed would be wrong, too.
        if refusal.doubts_the_table && targets.have_changed(transaction, &snapshot).await? {
            snapshot = targets.snapshot();
            pieces.push(piece);
            continue;
        }
        if is_doubtful {
            canary::ask(transaction, &snapshot, piece.events()).await?;
        }
        // An outage may have ended between the failure and the canary.
        let alone = piece.alone().map(|event| &event.svix_id);
        if is_doubtful && alone.is_some() && doubted != alone {
            doubted = alone;
            pieces.push(piece);
            continue;
        }
        let (event, remaining) = piece.split(&refusal, unique_values);
        is_one_done |= event.is_some();
        let refusal = probe::named(transaction, target, event, refusal).await?;
        let refused = |event: &'a Event| (event.svix_id.as_str(), LeftOut::Refused(refusal));
        rows.left_out.extend(event.map(refused));
        pieces.extend(remaining.into_iter().rev());
    }
    let left = pieces.iter().flat_map(Piece::events);
    rows.left = left.map(|event| event.svix_id.as_str()).collect();
    Ok(Ok(rows))
}

/// The caller has read the catalogue before.
fn unread() -> Failure {
    Failure::Unavailable("the catalogue has not been read".to_owned())
}

/// Takes a piece back, if it is a row of it that is refused, or may be, so that the transaction can go on.
async fn give_up(transaction: &Transaction<'_>, failure: Failure) -> Result<Refusal, Failure> {
    match failure {
        Failure::Refused(refusal) | Failure::Doubtful(refusal) if refusal.is_of_its_own() => {
            storage::give_up_piece(transaction).await?;
            Ok(refusal)
        }
        failure => Err(failure),
    }
}

impl<'a> Rows<'a> {
    /// The svix-ids of new events that are not to stand in the ledger.
    fn unrecorded(&self) -> Vec<&'a str> {
        let is_recorded = |left_out: &LeftOut| left_out.outcome().is_some();
        let left_out = self
            .left_out
            .iter()
            .filter(|(_, left_out)| !is_recorded(left_out));
        left_out
            .map(|(svix_id, _)| *svix_id)
            .chain(self.left.iter().copied())
            .collect()
    }

    /// What became of the new events that stand in the ledger, by svix-id.
    fn outcomes(&self, new: &[&'a Event]) -> HashMap<&'a str, Outcome> {
        let is_written = |event: &&Event| {
            let svix_id = event.svix_id.as_str();
            !self.left_out.contains_key(svix_id) && !self.left.contains(svix_id)
        };
        let written: Vec<&Event> = new.iter().copied().filter(is_written).collect();
        let planned = plan(&written).outcomes;
        let outcome = |(event, planned): (&&'a Event, Outcome)| {
            let has_lost = name(event)
                .is_some_and(|(family, id)| !self.changed.contains(&(family, id.as_str())));
            let outcome = if has_lost { Outcome::Stale } else { planned };
            (event.svix_id.as_str(), outcome)
        };
        let written = written.iter().zip(planned).map(outcome);
        let left_out = self.left_out.iter();
        let left_out =
            left_out.filter_map(|(svix_id, left_out)| Some((*svix_id, left_out.outcome()?)));
        written.chain(left_out).collect()
    }

    fn verdict(&self, svix_id: &str, outcomes: &HashMap<&str, Outcome>) -> Option<Verdict> {
        if self.left.contains(svix_id) {
            return None;
        }
        Some(match (outcomes.get(svix_id), self.left_out.get(svix_id)) {
            (Some(outcome), _) => Verdict::Recorded(*outcome),
            (None, Some(LeftOut::Refused(refusal))) => Verdict::Refused(refusal.clone()),
            (None, Some(LeftOut::Waiting(awaited))) => Verdict::Waiting(awaited.clone()),
            (None, Some(LeftOut::Ignored | LeftOut::Stale) | None) => Verdict::Duplicate,
        })
    }
}
