//! Brings the database to what this version needs.

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use refinery::Runner;
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::{Client, Error, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::database::failure::Failure;
use crate::database::{Database, ledger};

/// PostgreSQL may be away when the worker starts: that is an outage like any other. Returns whether events have been
/// applied before.
pub async fn until_migrated(
    database: &Database,
    creates_users: bool,
    stop: &CancellationToken,
) -> Option<bool> {
    let mut back_off = BackOff::of_a_store();
    loop {
        match stop
            .run_until_cancelled(prepare(database, creates_users))
            .await?
        {
            Ok(has_worked) => return Some(has_worked),
            Err(reason) => tracing::warn!(reason, "the database cannot be migrated yet"),
        }
        stop.run_until_cancelled(tokio::time::sleep(back_off.after_failure()))
            .await?;
    }
}

async fn prepare(database: &Database, creates_users: bool) -> Result<bool, String> {
    let applied = migrate(database, creates_users).await?;
    tracing::info!(applied, "the database is up to date");
    let has_events = ledger::has_events(database).await;
    has_events.map_err(|failure| failure.reason().to_owned())
}

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock under which migrations run: "clerk" as a number, so that it is
/// unlikely to be the application's.
const LOCK: i64 = 0x63_6c_65_72_6b;

/// What is to be done about the tables of a version that was never released. They have names that no migration knows.
const OLD_FORM: &str = "the schema clerk_sync has the tables of a version that was never released: \
    run DROP SCHEMA clerk_sync CASCADE, then worker migrate, then worker reconcile";

/// How long to wait while another worker migrates.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Makes `users` if there is none and it `creates_users`, and applies the migrations that are pending; when many workers start at once, one
/// does it and the others wait. Returns how many were applied, the table included.
///
/// # Errors
/// Says why it is not possible now.
pub async fn migrate(database: &Database, creates_users: bool) -> Result<usize, String> {
    let reason = |failure: Failure| failure.reason().to_owned();
    let mut connection = database.connection().await.map_err(reason)?;
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name("clerk_sync.schema_history");
    let is_of_old_form = "SELECT to_regclass('clerk_sync.user_versions') IS NOT NULL \
         OR to_regclass('clerk_sync.versions') IS NOT NULL AND to_regclass('clerk_sync.owners') IS NULL";
    if answers_true(&connection, is_of_old_form)
        .await
        .map_err(|error| reason(error.into()))?
    {
        return Err(OLD_FORM.to_owned());
    }
    loop {
        // Most starts find nothing to do, and may not have the right to do it.
        if is_complete(&runner, &connection, creates_users).await {
            return Ok(0);
        }
        // A connection for the lock alone. It goes with its transaction, not with its session: behind a
        // connection pooler a session outlives us, and the next one that we get is another.
        let mut locking = database.connection().await.map_err(reason)?;
        let Some(lock) = lock(&mut locking).await.map_err(reason)? else {
            // Waiting inside the transaction would take a session from the one who has the lock.
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        reach(FaultPoint::MigrationLocked).await;
        let outcome = run(&runner, &mut connection, creates_users).await;
        reach(FaultPoint::Migrated).await;
        // If that fails the connection is gone, and the lock with it.
        let _ = lock.rollback().await;
        return outcome;
    }
}

/// The lock, if nobody else has it.
async fn lock(connection: &mut Object) -> Result<Option<Transaction<'_>>, Failure> {
    let transaction = connection.transaction().await?;
    let sql = format!(
        "SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_try_advisory_xact_lock({LOCK})"
    );
    let is_locked = answers_true(transaction.client(), &sql).await?;
    Ok(is_locked.then_some(transaction))
}

async fn is_complete(runner: &Runner, client: &Client, creates_users: bool) -> bool {
    is_current(runner, client).await
        && (!creates_users || has_users(client).await.is_ok_and(|has| has))
}

/// Whether the search path leads to a table `users`, whoever has made it.
async fn has_users(client: &Client) -> Result<bool, Error> {
    answers_true(client, include_str!("has_users.sql")).await
}

async fn has_schema(client: &Client) -> Result<bool, Error> {
    let sql = "SELECT to_regnamespace('clerk_sync') IS NOT NULL";
    answers_true(client, sql).await
}

async fn answers_true(client: &Client, sql: &str) -> Result<bool, Error> {
    let answer = client.simple_query(sql).await?;
    Ok(answer.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("t"),
        _ => false,
    }))
}

async fn is_current(runner: &Runner, client: &Client) -> bool {
    let newest = runner
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max();
    let applied = client
        .simple_query("SELECT max(version) FROM clerk_sync.schema_history")
        .await;
    let version = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    };
    applied.is_ok_and(|messages| messages.iter().find_map(version) >= newest)
}

/// `users` is no numbered migration: whether it is missing is looked up each time. What is there needs no right
/// to create it.
async fn run(runner: &Runner, client: &mut Client, creates_users: bool) -> Result<usize, String> {
    let mut applied = create_what_is_missing(client, creates_users)
        .await
        .map_err(|error| Failure::from(error).reason().to_owned())?;
    if !is_current(runner, client).await {
        let report = runner.run_async(client).await;
        let report = report.map_err(|error| error.to_string())?;
        applied += report.applied_migrations().len();
    }
    Ok(applied)
}

async fn create_what_is_missing(client: &Client, creates_users: bool) -> Result<usize, Error> {
    let lacks_users = creates_users && !has_users(client).await?;
    if lacks_users {
        client
            .batch_execute(include_str!("create_users.sql"))
            .await?;
    }
    if !has_schema(client).await? {
        client.batch_execute("CREATE SCHEMA clerk_sync").await?;
    }
    Ok(usize::from(lacks_users))
}
