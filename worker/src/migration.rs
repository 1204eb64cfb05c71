//! Brings the database to what this version needs.

use deadpool_postgres::Object;
use refinery::Runner;
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::Client;

use crate::database::Database;
use crate::failure::Failure;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock under which migrations run: "clerk" as a number, so that it is
/// unlikely to be the application's.
const LOCK: i64 = 0x63_6c_65_72_6b;

/// Applies the migrations that are pending; when many workers start at once, one does it and the
/// others wait. Returns how many were applied.
///
/// # Errors
/// Says why it is not possible now.
pub async fn migrate(database: &Database) -> Result<usize, String> {
    let mut connection = database
        .connection()
        .await
        .map_err(|failure| failure.reason().to_owned())?;
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name("clerk_sync.schema_history");
    // Most starts find nothing to do, and may not have the right to do it.
    if is_current(&runner, &mut connection).await {
        return Ok(0);
    }
    connection
        .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(Failure::from)
        .map_err(|failure| failure.reason().to_owned())?;
    reach(FaultPoint::MigrationLocked).await;
    let outcome = run(&runner, &mut connection).await;
    reach(FaultPoint::Migrated).await;
    // A lock that cannot be given back goes with its session.
    if connection
        .execute("SELECT pg_advisory_unlock($1)", &[&LOCK])
        .await
        .is_err()
    {
        drop(Object::take(connection));
    }
    outcome
}

async fn is_current(runner: &Runner, client: &mut Client) -> bool {
    let newest = runner
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max();
    match runner.get_last_applied_migration_async(client).await {
        Ok(applied) => applied.map(|migration| migration.version()) >= newest,
        Err(_) => false,
    }
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
