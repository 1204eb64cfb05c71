//! Everything that is said to PostgreSQL while a batch is applied, as verbs.

use std::collections::HashSet;
use std::time::SystemTime;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use crate::database::catalogue::Columns;
use crate::database::pooler;
use crate::decide::outcome::Outcome;
use crate::event::Event;
use crate::event::user::User;

/// A user whose newest event is newer than all that was known.
#[derive(Debug)]
pub struct Claim {
    /// Whose.
    pub user_id: String,
    /// Nothing was known of this user.
    pub first_seen: bool,
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

/// Locks the users of `newest`, the newest event of each, and returns those who are to be written.
/// Begins a piece of the transaction, which [`give_up_piece`] takes back.
///
/// # Errors
/// What PostgreSQL says.
pub async fn claim_versions(
    transaction: &Transaction<'_>,
    newest: &[&Event],
) -> Result<Vec<Claim>, Error> {
    if newest.is_empty() {
        return Ok(Vec::new());
    }
    let user_ids: Vec<&str> = newest
        .iter()
        .filter_map(|event| Some(event.user_id()?.as_str()))
        .collect();
    let (mut deleted, mut updated_at) = (Vec::new(), Vec::new());
    for event in newest {
        let revision = event.revision();
        deleted.push(revision.0);
        updated_at.push(revision.1);
    }
    let event_at: Vec<SystemTime> = newest.iter().map(|event| event.event_at).collect();
    let svix_ids: Vec<&str> = newest.iter().map(|event| event.svix_id.as_str()).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&user_ids, Type::TEXT_ARRAY),
        (&updated_at, Type::TIMESTAMPTZ_ARRAY),
        (&event_at, Type::TIMESTAMPTZ_ARRAY),
        (&svix_ids, Type::TEXT_ARRAY),
        (&deleted, Type::BOOL_ARRAY),
    ];
    let ((), rows) = tokio::try_join!(
        transaction.batch_execute("SAVEPOINT piece"),
        pooler::query(transaction, include_str!("claim_versions.sql"), &parameters)
    )?;
    rows.iter()
        .map(|row| {
            Ok(Claim {
                user_id: row.try_get(0)?,
                first_seen: row.try_get(1)?,
            })
        })
        .collect()
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

/// Deletes the rows of users whose newest event is a deletion.
///
/// # Errors
/// What PostgreSQL says.
pub async fn delete_users(transaction: &Transaction<'_>, user_ids: &[&str]) -> Result<(), Error> {
    if user_ids.is_empty() {
        return Ok(());
    }
    pooler::query(
        transaction,
        include_str!("delete_users.sql"),
        &[(&user_ids, Type::TEXT_ARRAY)],
    )
    .await
    .map(drop)
}

/// Writes rows as `columns` take them, and returns the ids of those that were written. A row of a user in
/// `first_seen` that is newer stays as it is, and so does one that a trigger leaves out.
///
/// # Errors
/// What PostgreSQL says.
pub async fn upsert_users(
    transaction: &Transaction<'_>,
    users: &[&User],
    columns: &Columns,
    first_seen: &[&str],
) -> Result<HashSet<String>, Error> {
    if users.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    let names: Vec<&str> = users.iter().map(|user| columns.name(&user.name)).collect();
    let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
    let image_urls: Vec<Option<&str>> = users
        .iter()
        .map(|user| columns.image_url(user.image_url.as_deref()))
        .collect();
    let created_at: Vec<SystemTime> = users.iter().map(|user| user.created_at).collect();
    let updated_at: Vec<SystemTime> = users.iter().map(|user| user.updated_at).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
        (&ids, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&emails, Type::TEXT_ARRAY),
        (&image_urls, Type::TEXT_ARRAY),
        (&created_at, Type::TIMESTAMPTZ_ARRAY),
        (&updated_at, Type::TIMESTAMPTZ_ARRAY),
        (&first_seen, Type::TEXT_ARRAY),
    ];
    let rows = pooler::query(transaction, include_str!("upsert_users.sql"), &parameters).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Remembers where the application's own rows are newer than what we know of these users; returns those.
///
/// # Errors
/// What PostgreSQL says.
pub async fn adopt_newer_rows(
    transaction: &Transaction<'_>,
    user_ids: &[&str],
) -> Result<HashSet<String>, Error> {
    if user_ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = pooler::query(
        transaction,
        include_str!("adopt_newer_rows.sql"),
        &[(&user_ids, Type::TEXT_ARRAY)],
    )
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
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

/// A row as it is now.
#[derive(Debug)]
pub struct PresentRow {
    /// Whose; empty if it does not say.
    pub user_id: String,
    /// The address that the user holds, if any.
    pub email: Option<String>,
    /// The row's `"updatedAt"`; the year 1 if it does not say.
    pub updated_at: SystemTime,
    /// The svix-id of the newest thing known of the user, this transaction's own claims included.
    pub version: Option<String>,
}

/// The rows of who holds an address that `users` are to get, and of `users` themselves.
///
/// # Errors
/// What PostgreSQL says.
pub async fn addresses_held(
    transaction: &Transaction<'_>,
    users: &[&User],
) -> Result<Vec<PresentRow>, Error> {
    let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    let rows = pooler::query(
        transaction,
        include_str!("addresses_held.sql"),
        &[(&emails, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)],
    )
    .await?;
    rows.iter()
        .map(|row| {
            Ok(PresentRow {
                user_id: row.try_get(0)?,
                email: row.try_get(1)?,
                updated_at: row.try_get(2)?,
                version: row.try_get(3)?,
            })
        })
        .collect()
}

/// Frees the addresses of users who get another one later in the transaction, with ones that `columns` take.
///
/// # Errors
/// What PostgreSQL says.
pub async fn vacate_addresses(
    transaction: &Transaction<'_>,
    user_ids: &[&str],
    columns: &Columns,
) -> Result<(), Error> {
    let longest = columns.longest_email();
    pooler::query(
        transaction,
        include_str!("vacate_addresses.sql"),
        &[(&user_ids, Type::TEXT_ARRAY), (&longest, Type::INT4)],
    )
    .await
    .map(drop)
}
