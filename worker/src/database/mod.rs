//! Where PostgreSQL is and how to talk to it: connections, what libpq's parameters and variables mean, TLS, poolers,
//! migrations, the ledger's clean-up. It knows nothing of batches.

pub mod cache_tags;
pub mod catalogue;
mod connection_parameters;
mod connection_string;
mod driver_config;
mod entry;
pub mod failure;
pub mod ledger;
mod libpq_keywords;
pub mod migration;
mod password_file;
pub(crate) mod pooler;
pub mod retention;
mod tls;
pub mod url;

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::Row;

use crate::database::entry::Entry;
use crate::database::failure::Failure;
use crate::database::pooler::Parameters;
use crate::database::url::DatabaseUrl;

/// How many batches one worker processes at once.
pub const BATCHES_AT_ONCE: usize = 3;
/// One for each batch; the others serve health checks, metrics and the ledger's clean-up.
const CONNECTIONS: usize = BATCHES_AT_ONCE + 2;
/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections, replaced when they break.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    entry: Entry,
}

impl Database {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Never in practice: the pool is given the runtime that its time-outs need.
    pub fn new(url: &DatabaseUrl) -> Result<Self, String> {
        Self::with_connections(url, CONNECTIONS)
    }

    /// The same with no more than one connection, for whoever must not take one from the batches.
    ///
    /// # Errors
    /// As [`Database::new`].
    pub fn with_one_connection(url: &DatabaseUrl) -> Result<Self, String> {
        Self::with_connections(url, 1)
    }

    fn with_connections(url: &DatabaseUrl, connections: usize) -> Result<Self, String> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_connect(
            url.config.clone(),
            url.clone(),
            ManagerConfig { recycling_method },
        );
        let timeout = url.connection_timeout();
        Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(timeout))
            .create_timeout(Some(timeout))
            .recycle_timeout(Some(timeout))
            .build()
            .map(|pool| Self {
                pool,
                entry: Entry::of(&url.config),
            })
            .map_err(|error| error.to_string())
    }

    /// A connection.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when there is none to be had.
    pub async fn connection(&self) -> Result<Object, Failure> {
        self.pool.get().await.map_err(|error| match error {
            // Whatever happens before the first statement is the store's.
            PoolError::Backend(error) => Failure::Unavailable(
                self.entry
                    .refusal(&error)
                    .unwrap_or_else(|| Failure::from(error).reason().to_owned()),
            ),
            PoolError::Timeout(_) => Failure::Unavailable("PostgreSQL does not answer".to_owned()),
            other => Failure::Unavailable(format!("no connection to PostgreSQL: {other}")),
        })
    }

    /// Prepares every statement again before it is next used, in every session: after ALTER TABLE the plan of a
    /// prepared statement may not be usable any more.
    pub(crate) fn forget_statements(&self) {
        self.pool.manager().statement_caches.clear();
    }

    /// The rows of a statement that only reads, in UTC as the transactions that apply events.
    ///
    /// # Errors
    /// When PostgreSQL does not tell.
    pub(crate) async fn read(
        &self,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let mut connection = self.connection().await?;
        let transaction = connection.build_transaction().read_only(true);
        let transaction = transaction.start().await?;
        // Without a name: see the module pooler.
        let ((), rows) = tokio::try_join!(
            transaction.batch_execute(include_str!("utc.sql")),
            transaction.query_typed(sql, parameters)
        )?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// Whether the server answers.
    pub async fn answers(&self) -> bool {
        let answer = async {
            self.connection()
                .await
                .ok()?
                .simple_query("SELECT 1")
                .await
                .ok()
        };
        tokio::time::timeout(HEALTH_TIMEOUT, answer)
            .await
            .is_ok_and(|answer| answer.is_some())
    }
}
