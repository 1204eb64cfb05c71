//! Everything that is said to PostgreSQL while a batch is applied, as verbs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use crate::database::pooler;
use crate::decide::outcome::Outcome;
use crate::event::Event;

/// An object whose newest event is newer than all that was known.
#[derive(Debug)]
pub struct Claim {
    /// Which.
    pub object_id: String,
    /// Nothing was known of it.
    pub first_seen: bool,
    /// Whether its row has gone along with that of a deleted object.
    pub went_along: bool,
}

/// Sets the time zone and the limits of a transaction. Its first statement.
///
/// # Errors
/// What PostgreSQL says.
pub async fn begin(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .batch_execute(concat!(
            include_str!("../database/utc.sql"),
            include_str!("begin.sql")
        ))
        .await
}

/// Lets no statement of the transaction take longer than a second from now on.
///
/// # Errors
/// What PostgreSQL says.
pub async fn shorten_statements(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .batch_execute("SET LOCAL statement_timeout = '1s'")
        .await
}

/// Records events in the ledger and returns the svix-ids of those that were not there yet.
///
/// # Errors
/// What PostgreSQL says.
pub async fn record_events(
    transaction: &Transaction<'_>,
    events: &[&Event],
    outcomes: &[Outcome],
) -> Result<HashSet<String>, Error> {
    let svix_ids: Vec<&str> = events.iter().map(|event| event.svix_id.as_str()).collect();
    let types: Vec<&str> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    let object_ids: Vec<Option<&str>> = events
        .iter()
        .map(|event| Some(event.object_id()?.as_str()))
        .collect();
    let outcomes: Vec<&str> = outcomes.iter().map(|outcome| outcome.name()).collect();
    let received_at: Vec<SystemTime> = events.iter().map(|event| event.received_at).collect();
    let rows = pooler::query(
        transaction,
        include_str!("record_events.sql"),
        &[
            (&svix_ids, Type::TEXT_ARRAY),
            (&types, Type::TEXT_ARRAY),
            (&object_ids, Type::TEXT_ARRAY),
            (&outcomes, Type::TEXT_ARRAY),
            (&received_at, Type::TIMESTAMPTZ_ARRAY),
        ],
    )
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Takes events out of the ledger again, which this transaction has recorded.
///
/// # Errors
/// What PostgreSQL says.
pub async fn forget_events(transaction: &Transaction<'_>, svix_ids: &[&str]) -> Result<(), Error> {
    if svix_ids.is_empty() {
        return Ok(());
    }
    pooler::query(
        transaction,
        include_str!("forget_events.sql"),
        &[(&svix_ids, Type::TEXT_ARRAY)],
    )
    .await
    .map(drop)
}

/// Locks the objects of `newest`, all of one family, and returns the svix-id of the newest event that is known of each.
///
/// # Errors
/// What PostgreSQL says.
pub async fn lock_versions(
    transaction: &Transaction<'_>,
    family: &str,
    newest: &[&Event],
) -> Result<HashMap<String, String>, Error> {
    let object_ids: Vec<&str> = newest
        .iter()
        .filter_map(|event| Some(event.object_id()?.as_str()))
        .collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&family, Type::TEXT), (&object_ids, Type::TEXT_ARRAY)];
    let rows = pooler::query(transaction, include_str!("lock_versions.sql"), &parameters).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Locks the objects of `newest`, the newest event of each, all of one family, and returns those that are to be written.
/// Begins a piece of the transaction, which [`give_up_piece`] takes back.
///
/// # Errors
/// What PostgreSQL says.
pub async fn claim_versions(
    transaction: &Transaction<'_>,
    family: &str,
    newest: &[&Event],
) -> Result<Vec<Claim>, Error> {
    if newest.is_empty() {
        return Ok(Vec::new());
    }
    let object_ids: Vec<&str> = newest
        .iter()
        .filter_map(|event| Some(event.object_id()?.as_str()))
        .collect();
    let (mut deleted, mut updated_at) = (Vec::new(), Vec::new());
    for event in newest {
        let revision = event.revision();
        deleted.push(revision.0);
        updated_at.push(revision.1);
    }
    let event_at: Vec<SystemTime> = newest.iter().map(|event| event.event_at).collect();
    let svix_ids: Vec<&str> = newest.iter().map(|event| event.svix_id.as_str()).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
        (&object_ids, Type::TEXT_ARRAY),
        (&updated_at, Type::TIMESTAMPTZ_ARRAY),
        (&event_at, Type::TIMESTAMPTZ_ARRAY),
        (&svix_ids, Type::TEXT_ARRAY),
        (&deleted, Type::BOOL_ARRAY),
        (&family, Type::TEXT),
    ];
    let ((), rows) = tokio::try_join!(
        transaction.batch_execute("SAVEPOINT piece"),
        pooler::query(transaction, include_str!("claim_versions.sql"), &parameters)
    )?;
    rows.iter()
        .map(|row| {
            Ok(Claim {
                object_id: row.try_get(0)?,
                first_seen: row.try_get(1)?,
                went_along: row.try_get(2)?,
            })
        })
        .collect()
}

/// Notes that the event `svix_id` of another object changes or removes the rows of these, and whether they go along with
/// that one; locks them.
///
/// # Errors
/// What PostgreSQL says.
pub async fn touch_versions(
    transaction: &Transaction<'_>,
    family: &str,
    object_ids: &[String],
    svix_id: Option<&str>,
    go_along: bool,
) -> Result<(), Error> {
    if object_ids.is_empty() {
        return Ok(());
    }
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&family, Type::TEXT),
        (&object_ids, Type::TEXT_ARRAY),
        (&svix_id, Type::TEXT),
        (&go_along, Type::BOOL),
    ];
    pooler::query(transaction, include_str!("touch_versions.sql"), &parameters)
        .await
        .map(drop)
}

/// Notes that these objects have rows again, which had gone along with those of others.
///
/// # Errors
/// What PostgreSQL says.
pub async fn return_versions(
    transaction: &Transaction<'_>,
    family: &str,
    object_ids: &[&str],
) -> Result<(), Error> {
    if object_ids.is_empty() {
        return Ok(());
    }
    let sql = include_str!("return_versions.sql");
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&family, Type::TEXT), (&object_ids, Type::TEXT_ARRAY)];
    pooler::query(transaction, sql, &parameters).await.map(drop)
}

/// Takes back the last [`claim_versions`] and all that was written since, also after an error.
///
/// # Errors
/// What PostgreSQL says.
pub async fn give_up_piece(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .batch_execute("ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece")
        .await
}

/// Takes back what was written since the last [`claim_versions`], also after an error. The piece goes on.
///
/// # Errors
/// What PostgreSQL says.
pub async fn begin_piece_again(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .batch_execute("ROLLBACK TO SAVEPOINT piece")
        .await
}

/// Lets another piece follow.
///
/// # Errors
/// What PostgreSQL says.
pub async fn keep_piece(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute("RELEASE SAVEPOINT piece").await
}

/// Corrects outcomes in the ledger.
///
/// # Errors
/// What PostgreSQL says.
pub async fn correct_outcomes(
    transaction: &Transaction<'_>,
    corrections: &[(&str, Outcome)],
) -> Result<(), Error> {
    if corrections.is_empty() {
        return Ok(());
    }
    let svix_ids: Vec<&str> = corrections.iter().map(|(svix_id, _)| *svix_id).collect();
    let outcomes: Vec<&str> = corrections
        .iter()
        .map(|(_, outcome)| outcome.name())
        .collect();
    pooler::query(
        transaction,
        include_str!("correct_outcomes.sql"),
        &[(&svix_ids, Type::TEXT_ARRAY), (&outcomes, Type::TEXT_ARRAY)],
    )
    .await
    .map(drop)
}

/// Keeps cache tags that nothing but the rows told, until they are deleted.
///
/// # Errors
/// What PostgreSQL says.
pub async fn keep_tags(
    transaction: &Transaction<'_>,
    svix_id: &str,
    tags: &BTreeSet<String>,
) -> Result<(), Error> {
    if tags.is_empty() {
        return Ok(());
    }
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    pooler::query(
        transaction,
        include_str!("keep_tags.sql"),
        &[(&svix_id, Type::TEXT), (&tags, Type::TEXT_ARRAY)],
    )
    .await
    .map(drop)
}
