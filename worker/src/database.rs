//! Connections to PostgreSQL.

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use shared::settings::{Setting, SettingError, redacted_url};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::failure::Failure;

/// How many batches one worker processes at once.
pub const BATCHES_AT_ONCE: usize = 3;
/// One for each batch; the others serve health checks, metrics and the ledger's clean-up.
const CONNECTIONS: usize = BATCHES_AT_ONCE + 2;
/// How long to wait for a connection, new or pooled: longer than a resolver takes to give up its first
/// name server and ask the next (5 s, resolv.conf(5)).
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that has vanished is noticed after this, also while a transaction waits for it.
const SILENCE: Duration = Duration::from_secs(15);

/// Where PostgreSQL is.
#[derive(Clone)]
pub struct DatabaseUrl(Config);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DatabaseUrl(hidden)")
    }
}

impl DatabaseUrl {
    /// Reads `DATABASE_URL`.
    ///
    /// # Errors
    /// When it is missing, cannot be read, or asks for TLS.
    pub fn parse(value: Option<&str>) -> Result<Self, SettingError> {
        const VARIABLE: &str = "DATABASE_URL";
        const EXPECTED: &str = "a URL such as postgres://user:password@host:5432/database";
        let text = Setting::secret(VARIABLE, value).required(EXPECTED, Some)?;
        let refused = |expected: &str| SettingError::new(VARIABLE, redacted_url(text), expected);
        if let Some(mode) = ["require", "verify-ca", "verify-full"]
            .into_iter()
            .find(|mode| asks_for(text, mode))
        {
            return Err(refused(&format!(
                "no sslmode={mode}: TLS to PostgreSQL is not supported yet"
            )));
        }
        let mut config: Config = text.parse().map_err(|_| refused(EXPECTED))?;
        if config.get_hosts().is_empty() || config.get_ssl_mode() == SslMode::Require {
            return Err(refused(EXPECTED));
        }
        config
            .connect_timeout(CONNECTION_TIMEOUT)
            .keepalives_idle(SILENCE)
            .tcp_user_timeout(SILENCE);
        if config.get_application_name().is_none() {
            config.application_name("clerk-worker");
        }
        Ok(Self(config))
    }
}

fn asks_for(text: &str, mode: &str) -> bool {
    text.split(['?', '&', ' '])
        .any(|part| part.strip_prefix("sslmode=") == Some(mode))
}

/// The connections, replaced when they break.
#[derive(Clone)]
pub struct Database(Pool);

impl Database {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Never in practice: the pool is given the runtime that its time-outs need.
    pub fn new(url: &DatabaseUrl) -> Result<Self, String> {
        let recycling_method = RecyclingMethod::Fast;
        let manager =
            Manager::from_config(url.0.clone(), NoTls, ManagerConfig { recycling_method });
        Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECTION_TIMEOUT))
            .create_timeout(Some(CONNECTION_TIMEOUT))
            .recycle_timeout(Some(CONNECTION_TIMEOUT))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for url in [
            None,
            Some("nonsense"),
            Some("postgres://"),
            Some("postgres://me:hunter2@h/d?sslmode=require"),
            Some("postgres://me:hunter2@h/d?sslmode=verify-full"),
            Some("host=h password=hunter2 sslmode=verify-ca"),
            Some("postgres://me:hunter2@h:port/d"),
        ] {
            let error = DatabaseUrl::parse(url).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL: found "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn urls_and_key_value_pairs_are_read() {
        for url in [
            "postgres://me:hunter2@h/d",
            "postgresql://me@h:5432/d?sslmode=disable",
            "postgres://me@h/d?sslmode=prefer",
            "host=h user=me dbname=d",
        ] {
            assert!(DatabaseUrl::parse(Some(url)).is_ok(), "{url}");
        }
    }
}
