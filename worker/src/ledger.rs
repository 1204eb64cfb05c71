//! What became of an event.

use std::time::Duration;

use tokio_postgres::types::Type;

use crate::database::Database;
use crate::failure::Failure;

/// How long to wait for an answer about one event.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Whether an event has been applied, or found stale or to be ignored, by whomever; waits for a
/// transaction that is about to say so.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn is_recorded(database: &Database, svix_id: &str) -> Result<bool, Failure> {
    let answer = async {
        let mut connection = database.connection().await?;
        let transaction = connection.transaction().await?;
        // Without a name: see the module pooler.
        let sql = include_str!("../sql/probe_ledger.sql");
        let written = transaction
            .execute_typed(sql, &[(&svix_id, Type::TEXT)])
            .await?;
        transaction.rollback().await?;
        Ok(written == 0)
    };
    tokio::time::timeout(ANSWER_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::Unavailable(
                "PostgreSQL does not answer".to_owned(),
            ))
        })
}

/// The outcomes that the ledger records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The event is, or was, what the row shows.
    Applied,
    /// Something newer of the same user was there already.
    Stale,
    /// The event asks for nothing.
    Ignored,
}

impl Outcome {
    /// The word in `clerk_sync.events.outcome`, in logs and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Ignored => "ignored",
        }
    }
}
