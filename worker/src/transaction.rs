//! One transaction that applies events: the ledger, the versions, the rows.

use std::collections::{BTreeSet, HashMap, HashSet};

use deadpool_postgres::{Object, Transaction};
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::IsolationLevel;

use crate::address::settle;
use crate::apply::Verdict;
use crate::event::Event;
use crate::failure::Failure;
use crate::fence::Fence;
use crate::ledger::Outcome;
use crate::plan::plan;
use crate::storage::{self, Claim};
use crate::user::{User, UserId};

/// How many users a transaction sets aside at the most, and how many it looks for in one go. Each takes two
/// round trips; where more are refused, halves are better.
const MOST_ASIDE: usize = 32;
const NAMED_AT_ONCE: usize = 16;

/// How a transaction treats addresses that are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// Hopes that none is.
    Assume,
    /// Finds out who has to wait and who has to make room; costs a round trip.
    Settle,
}

/// What a transaction comes to.
pub(crate) enum Attempt {
    /// Those without a verdict were set aside: each user's are to be tried without the others.
    Committed(Vec<Option<Verdict>>),
    /// Nothing was written: these events wait for an address, and who holds it.
    Waiting(HashMap<usize, String>),
    /// Nothing was written: these events are another worker's.
    Lost(HashSet<usize>),
}

/// One transaction. The ledger comes first: whoever records a svix-id is the only one to apply it
/// (P3), and a second transaction with the same one waits there until this one has ended.
pub(crate) async fn transact(
    connection: &mut Object,
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
    reach(FaultPoint::Begun).await;
    let assumed = plan(events).outcomes;
    let ((), recorded) = tokio::try_join!(
        storage::begin(&transaction),
        storage::record_events(&transaction, events, &assumed)
    )?;
    reach(FaultPoint::LedgerWritten).await;
    let mut new: Vec<&Event> = events
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
    let others = events
        .iter()
        .any(|event| event.user_id() != events[0].user_id());
    // Users whose rows are refused: theirs are tried again without the others, which decides (P6).
    let mut aside: BTreeSet<&UserId> = BTreeSet::new();
    let is_aside = |aside: &BTreeSet<&UserId>, event: &Event| {
        event.user_id().is_some_and(|user| aside.contains(user))
    };
    let (plan, winners, written) = loop {
        new.retain(|event| !is_aside(&aside, event));
        let plan = plan(&new);
        let newest: Vec<&Event> = plan.newest.values().copied().collect();
        let claims = storage::claim_versions(&transaction, &newest).await?;
        reach(FaultPoint::VersionsClaimed).await;
        let winners = Winners::new(&newest, &claims);
        if addresses == Addresses::Settle {
            let waiting = make_room(&transaction, &winners).await?;
            if !waiting.is_empty() {
                transaction.rollback().await?;
                reach(FaultPoint::RolledBack).await;
                let holder = |event: &Event| {
                    let holder = waiting.get(event.upserted()?.id.as_str())?;
                    let mut newest = plan.newest.values();
                    newest
                        .any(|newest| newest.svix_id == event.svix_id)
                        .then(|| holder.clone())
                };
                let places = events
                    .iter()
                    .enumerate()
                    .filter_map(|(place, event)| Some((place, holder(event)?)));
                return Ok(Attempt::Waiting(places.collect()));
            }
        }
        storage::delete_users(&transaction, &winners.deleted).await?;
        reach(FaultPoint::RowsDeleted).await;
        let others = others && aside.len() < MOST_ASIDE;
        match write_rows(&transaction, &winners, others).await? {
            Rows::Written(written) => break (plan, winners, written),
            Rows::Refused(users) => {
                storage::give_up_claims(&transaction).await?;
                aside.extend(users);
            }
        }
    };
    reach(FaultPoint::RowsWritten).await;
    let kept: Vec<&str> = winners
        .users
        .iter()
        .map(|user| user.id.as_str())
        .filter(|id| !written.contains(*id))
        .collect();
    storage::adopt_newer_rows(&transaction, &kept).await?;
    let set_aside: Vec<&str> = events
        .iter()
        .filter(|event| is_aside(&aside, event) && recorded.contains(event.svix_id.as_str()))
        .map(|event| event.svix_id.as_str())
        .collect();
    storage::forget_events(&transaction, &set_aside).await?;

    let changed: HashSet<&str> = written
        .iter()
        .map(String::as_str)
        .chain(winners.deleted.iter().copied())
        .collect();
    let outcomes: HashMap<&str, Outcome> = new
        .iter()
        .zip(&plan.outcomes)
        .map(|(event, planned)| {
            let lost = event
                .user_id()
                .is_some_and(|user_id| !changed.contains(user_id.as_str()));
            (
                event.svix_id.as_str(),
                if lost { Outcome::Stale } else { *planned },
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
    let verdict = |event: &&Event| match outcomes.get(event.svix_id.as_str()) {
        Some(outcome) => Some(Verdict::Recorded(*outcome)),
        None if set_aside.contains(&event.svix_id.as_str()) => None,
        None => Some(Verdict::Duplicate),
    };
    Ok(Attempt::Committed(events.iter().map(verdict).collect()))
}

/// What PostgreSQL says to the rows of the winners.
enum Rows<'a> {
    /// The ids of those that it took.
    Written(HashSet<String>),
    /// Nothing was written: it has named these users in its errors.
    Refused(Vec<&'a UserId>),
}

/// Writes the rows. If PostgreSQL names a user whose row it refuses, goes on behind that one to find the
/// others. Without `others`, who are to be written all the same, the first error ends it.
async fn write_rows<'a>(
    transaction: &Transaction<'_>,
    winners: &Winners<'a>,
    others: bool,
) -> Result<Rows<'a>, Failure> {
    let mut refused = Vec::new();
    // Rows are written in the order of user ids, so all before the named one were good.
    let mut rest = winners.users.as_slice();
    loop {
        match storage::upsert_users(transaction, rest, &winners.first_seen).await {
            Ok(written) if refused.is_empty() => return Ok(Rows::Written(written)),
            Ok(_) => return Ok(Rows::Refused(refused)),
            Err(error) => match Failure::from(error) {
                Failure::Refused(refusal) if others => {
                    let Some(place) = rest.iter().position(|user| refusal.names(&user.id)) else {
                        return Err(Failure::Refused(refusal));
                    };
                    storage::give_up_rows(transaction).await?;
                    refused.push(&rest[place].id);
                    rest = &rest[place + 1..];
                    if refused.len() >= NAMED_AT_ONCE {
                        return Ok(Rows::Refused(refused));
                    }
                }
                failure => return Err(failure),
            },
        }
    }
}

/// The users who are to be written.
struct Winners<'a> {
    /// Rows to write, in the order of user ids.
    users: Vec<&'a User>,
    /// The same in the order of their events.
    oldest_first: Vec<&'a User>,
    /// Rows to delete.
    deleted: Vec<&'a str>,
    /// Of whom nothing was known.
    first_seen: Vec<&'a str>,
}

impl<'a> Winners<'a> {
    fn new(newest: &[&'a Event], claims: &[Claim]) -> Self {
        let claims: HashMap<&str, bool> = claims
            .iter()
            .map(|claim| (claim.user_id.as_str(), claim.first_seen))
            .collect();
        let mut winners = Self {
            users: vec![],
            oldest_first: vec![],
            deleted: vec![],
            first_seen: vec![],
        };
        let mut events = Vec::new();
        for event in newest {
            let Some(user_id) = event.user_id().map(UserId::as_str) else {
                continue;
            };
            let Some(first_seen) = claims.get(user_id) else {
                continue;
            };
            if *first_seen {
                winners.first_seen.push(user_id);
            }
            match event.upserted() {
                Some(user) => {
                    winners.users.push(user);
                    events.push(*event);
                }
                None => winners.deleted.push(user_id),
            }
        }
        events.sort_by_key(|event| event.revision());
        winners.oldest_first = events.into_iter().filter_map(Event::upserted).collect();
        winners
    }
}

/// Lets winners make room for each other and returns the ids of those who have to wait, and for whom;
/// if there are any, nothing was written.
async fn make_room(
    transaction: &Transaction<'_>,
    winners: &Winners<'_>,
) -> Result<HashMap<String, String>, tokio_postgres::Error> {
    let present = storage::addresses_held(transaction, &winners.users).await?;
    // The application's own row, newer than what we have: it will stay as it is.
    let stays = |user: &User| {
        winners.first_seen.contains(&user.id.as_str())
            && present
                .iter()
                .any(|row| row.user_id == user.id.as_str() && row.updated_at > user.updated_at)
    };
    let held: Vec<(&str, &str)> = present
        .iter()
        .map(|row| (row.user_id.as_str(), row.email.as_str()))
        .collect();
    let wanted: Vec<(&str, &str)> = winners
        .oldest_first
        .iter()
        .filter(|user| !stays(user))
        .map(|user| (user.id.as_str(), user.email.as_str()))
        .collect();
    let leaving: BTreeSet<&str> = winners.deleted.iter().copied().collect();
    let settlement = settle(&wanted, &leaving, &held);
    if settlement.waiting.is_empty() && !settlement.vacating.is_empty() {
        let vacating: Vec<&str> = settlement.vacating.into_iter().collect();
        storage::vacate_addresses(transaction, &vacating).await?;
        reach(FaultPoint::AddressesVacated).await;
    }
    let owned = |(user, holder): (&str, &str)| (user.to_owned(), holder.to_owned());
    Ok(settlement.waiting.into_iter().map(owned).collect())
}
