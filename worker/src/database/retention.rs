//! The ledger is kept for some days, not for ever, and so is what is known of most families' objects.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::database::failure::Failure;

/// Statements, and how many rows each deletes at once: none takes long, and who wants to apply an event of an object whose
/// version is just being deleted waits for a moment only.
const STATEMENTS: [(&str, i64); 2] = [
    (include_str!("delete_expired_events.sql"), 10_000),
    (include_str!("delete_expired_versions.sql"), 1_000),
];
/// How often to look.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Deletes rows of the ledger, and versions that are not kept for ever, older than `days` now and every hour, until `stop`
/// is cancelled.
pub async fn keep(database: Database, days: i32, stop: CancellationToken) {
    loop {
        match delete_expired(&database, days).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(
                rows,
                "deleted expired rows of the ledger and of the versions"
            ),
            Err(_) => tracing::warn!(
                "expired rows of the ledger and of the versions could not be deleted: trying again in an hour"
            ),
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await
            .is_none()
        {
            return;
        }
    }
}

async fn delete_expired(database: &Database, days: i32) -> Result<u64, Failure> {
    let connection = database.connection().await?;
    // Whoever keeps tags deletes them within seconds, or its event was removed by hand.
    let tags = "DELETE FROM clerk_sync.cache_tags WHERE kept_at < now() - make_interval(hours => 24 * $1::int)";
    connection
        .execute_typed(tags, &[(&days, Type::INT4)])
        .await?;
    let mut deleted = 0;
    for (sql, at_once) in STATEMENTS {
        // Without a name: see the module pooler.
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&days, Type::INT4), (&at_once, Type::INT8)];
        loop {
            match connection.execute_typed(sql, &parameters).await? {
                0 => break,
                rows => deleted += rows,
            }
        }
    }
    Ok(deleted)
}
