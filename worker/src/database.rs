//! Connections to PostgreSQL.

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};

use crate::database_url::DatabaseUrl;
use crate::failure::Failure;

/// How many batches one worker processes at once.
pub const BATCHES_AT_ONCE: usize = 3;
/// One for each batch; the others serve health checks, metrics and the ledger's clean-up.
const CONNECTIONS: usize = BATCHES_AT_ONCE + 2;
/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections, replaced when they break.
#[derive(Clone)]
pub struct Database(Pool);

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
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// A connection.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when there is none to be had.
    pub async fn connection(&self) -> Result<Object, Failure> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => match Failure::from(error) {
                // Whatever happens before the first statement is the store's.
                Failure::Refused(refusal) => Failure::Unavailable(refusal.reason),
                unavailable => unavailable,
            },
            PoolError::Timeout(_) => Failure::Unavailable("PostgreSQL does not answer".to_owned()),
            other => Failure::Unavailable(format!("no connection to PostgreSQL: {other}")),
        })
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
