//! Brings the database to what this version needs.

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use refinery::Runner;
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::database::Database;
use crate::failure::Failure;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock under which migrations run: "clerk" as a number, so that it is
/// unlikely to be the application's.
const LOCK: i64 = 0x63_6c_65_72_6b;

/// How long to wait while another worker migrates.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Applies the migrations that are pending; when many workers start at once, one does it and the
/// others wait. Returns how many were applied.
///
/// # Errors
/// Says why it is not possible now.
pub async fn migrate(database: &Database) -> Result<usize, String> {
    let reason = |failure: Failure| failure.reason().to_owned();
    let mut connection = database.connection().await.map_err(reason)?;
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name("clerk_sync.schema_history");
    loop {
        // Most starts find nothing to do, and may not have the right to do it.
        if is_current(&runner, &connection).await {
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
        let outcome = run(&runner, &mut connection).await;
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
    let answer = transaction.simple_query(&sql).await?;
    let is_locked = answer.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("t"),
        _ => false,
    });
    Ok(is_locked.then_some(transaction))
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

async fn run(runner: &Runner, client: &mut Client) -> Result<usize, String> {
    client
        .batch_execute("CREATE SCHEMA IF NOT EXISTS clerk_sync")
        .await
        .map_err(Failure::from)
        .map_err(|failure| failure.reason().to_owned())?;
    let report = runner
        .run_async(client)
        .await
        .map_err(|error| error.to_string())?;
    Ok(report.applied_migrations().len())
}
