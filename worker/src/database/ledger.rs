//! What became of an event.

use std::collections::HashSet;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::types::{ToSql, Type};

use crate::database::Database;
use crate::database::failure::Failure;

/// How long to wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Which of these events have been applied, or found stale or to be ignored, by whomever; waits for
/// transactions that are about to say so.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn recorded<'a>(
    database: &Database,
    svix_ids: &[&'a str],
) -> Result<HashSet<&'a str>, Failure> {
    if svix_ids.is_empty() {
        return Ok(HashSet::new());
    }
    let mut connection = database.connection().await?;
    let answer = async {
        let transaction = connection.transaction().await?;
        // Without a name: see the module pooler.
        let sql = include_str!("probe_ledger.sql");
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&svix_ids, Type::TEXT_ARRAY)];
        let mut recorded: HashSet<&str> = svix_ids.iter().copied().collect();
        for row in transaction.query_typed(sql, &parameters).await? {
            recorded.remove(row.try_get::<_, &str>(0)?);
        }
        transaction.rollback().await?;
        Ok(recorded)
    };
    let Ok(answer) = tokio::time::timeout(ANSWER_TIMEOUT, answer).await else {
        // It may be busy with that statement for long: the pool makes a new one.
        drop(Object::take(connection));
        return Err(Failure::Unavailable(
            "PostgreSQL does not answer".to_owned(),
        ));
    };
    answer
}

/// Whether any event has been recorded.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn has_events(database: &Database) -> Result<bool, Failure> {
    let connection = database.connection().await?;
    let sql = include_str!("has_events.sql");
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, connection.query_typed(sql, &[])).await;
    let Ok(rows) = answer else {
        // It may be busy with that statement for long: the pool makes a new one.
        drop(Object::take(connection));
        return Err(Failure::Unavailable(
            "PostgreSQL does not answer".to_owned(),
        ));
    };
    Ok(!rows?.is_empty())
}
