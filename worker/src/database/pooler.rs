//! Whether a connection pooler, such as pgbouncer, stands between us and PostgreSQL.
//!
//! A pooler in transaction mode gives each transaction another session of PostgreSQL. A prepared statement
//! has a name in its session, and those of two workers have the same names: through a pooler that does not
//! keep them apart (pgbouncer before 1.21, or with `max_prepared_statements = 0`) a worker would run the
//! statement of another one. So none is given a name where a pooler may be. Each statement is then parsed
//! and planned again.
//!
//! Nothing in the protocol tells of a pooler. But it opens its sessions before it knows its clients, so a
//! session that does not have what a client asked for when it connected is not the client's own.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, Row, SimpleQueryMessage, Statement};

/// A setting of PostgreSQL that nobody reads but this module.
const MARK: &str = "clerk_sync.session";

/// Whether this process has met a pooler. It never forgets: behind a name that led to one there may be
/// one again, and statements without names are right everywhere.
static MET: AtomicBool = AtomicBool::new(false);

/// What a connection asks for to find out.
pub(crate) struct Mark(String);

impl Mark {
    /// Lets `config` ask for a mark of its own; `None` where a pooler is known.
    pub(crate) fn put(config: &mut Config) -> Option<Self> {
        if MET.load(Ordering::Relaxed) {
            return None;
        }
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let options = config.get_options().unwrap_or_default();
        config.options(format!("{options} -c {MARK}={mark}").trim());
        Some(Self(mark))
    }

    /// Whether `error` says that the mark cannot be asked for. pgbouncer calls that a violation of the
    /// protocol; others say that they do not support it.
    pub(crate) fn is_refused(error: &Error) -> bool {
        let refused = matches!(
            error.code(),
            Some(&(SqlState::PROTOCOL_VIOLATION | SqlState::FEATURE_NOT_SUPPORTED))
        );
        if refused {
            meet();
        }
        refused
    }

    /// Looks whether the session has the mark.
    pub(crate) async fn look_at(self, client: &Client) -> Result<(), Error> {
        let sql = format!("SELECT current_setting('{MARK}', true)");
        let answer = client.simple_query(&sql).await?;
        let is_ours = answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0) == Some(self.0.as_str()),
            _ => false,
        });
        if !is_ours {
            meet();
        }
        Ok(())
    }
}

fn meet() {
    if !MET.swap(true, Ordering::Relaxed) {
        tracing::info!("PostgreSQL is behind a connection pooler: no statements are prepared");
    }
}

/// A statement's parameters and their types.
pub(crate) type Parameters<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// Prepares a statement in this session, once; does nothing behind a pooler.
pub(crate) async fn prepare(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: &Parameters<'_>,
) -> Result<Option<Statement>, Error> {
    if MET.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
    transaction
        .prepare_typed_cached(sql, &types)
        .await
        .map(Some)
}

/// Runs a statement and returns its rows: prepared once in each session, or not at all behind a pooler.
pub(crate) async fn query(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: &Parameters<'_>,
) -> Result<Vec<Row>, Error> {
    let Some(statement) = prepare(transaction, sql, parameters).await? else {
        return transaction.query_typed(sql, parameters).await;
    };
    let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
    transaction.query(&statement, &values).await
}
