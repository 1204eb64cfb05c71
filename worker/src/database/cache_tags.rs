//! Cache tags that nothing but a row tells: kept in the transaction that changes the row, until they are deleted (P7).

use tokio_postgres::types::{ToSql, Type};

use crate::database::Database;
use crate::database::failure::Failure;

/// The tags that are kept for these events.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn kept(database: &Database, svix_ids: &[&str]) -> Result<Vec<String>, Failure> {
    let connection = database.connection().await?;
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&svix_ids, Type::TEXT_ARRAY)];
    let sql = "SELECT tag FROM clerk_sync.cache_tags, unnest(tags) AS kept (tag) WHERE svix_id = ANY($1::text[])";
    // Without a name: see the module pooler.
    let rows = connection.query_typed(sql, &parameters).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Forgets them, once they are deleted.
///
/// # Errors
/// When PostgreSQL does not do it.
pub async fn forget(database: &Database, svix_ids: &[&str]) -> Result<(), Failure> {
    let connection = database.connection().await?;
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&svix_ids, Type::TEXT_ARRAY)];
    // If a crash brings them back, the tags are only deleted once more: the commit need not wait for the disk.
    let sql = "DELETE FROM clerk_sync.cache_tags USING set_config('synchronous_commit', 'off', true) \
               WHERE svix_id = ANY($1::text[])";
    // Without a name: see the module pooler.
    connection.execute_typed(sql, &parameters).await?;
    Ok(())
}
