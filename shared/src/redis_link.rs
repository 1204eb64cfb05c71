//! One multiplexed connection to Redis that replaces itself.
//!
//! The `redis` crate's own `ConnectionManager` keeps a connection whose commands time out, because
//! a time-out is not a lost connection to it; behind a peer that has vanished without a word (a
//! pulled cable, a frozen proxy) it would keep it for minutes. A link gives its connection up at
//! the first command that is not answered in time, so a hang is noticed after
//! [`RESPONSE_TIMEOUT`] and the next command goes over a new connection.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError,
    RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;

/// How long a command may take. Svix gives up on a delivery after 15 s, so an answer must be ready
/// before that; and a Redis that syncs every write to a busy disk may well need a second.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to connect: longer than a resolver takes to give up its first name server and
/// ask the next (5 s, resolv.conf(5)).
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How many commands may wait to be written before callers wait for a place.
const PIPELINE_BUFFER: usize = 1024;

/// A connection to one Redis, shared by all its clones. Commands of concurrent callers are
/// pipelined. The first command connects; a command that finds the connection broken fails, and
/// the next one connects again.
///
/// A blocking command holds up all that are sent after it: give it a link of its own.
#[derive(Clone)]
pub struct RedisLink(Arc<Inner>);

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    /// The connection that is in use, unless it is known to be broken, and its number, so that a late
    /// failure of an old one does not break the new one.
    connection: RwLock<Option<(MultiplexedConnection, u64)>>,
    /// Held while connecting, so that a crowd of callers makes one attempt and shares its outcome.
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    /// How many have succeeded.
    connections: u64,
    /// When the last one failed, and how.
    failed: Option<(Instant, RedisError)>,
}

impl RedisLink {
    /// A link that is not connected yet.
    ///
    /// # Errors
    /// When `info` is not a server that the `redis` crate can talk to.
    pub fn new(info: ConnectionInfo) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        Ok(Self(Arc::new(Inner {
            client: Client::open(info)?,
            config,
            connection: RwLock::default(),
            attempts: Mutex::default(),
        })))
    }

    /// Whether the server answers a PING.
    pub async fn answers(&self) -> bool {
        let mut link = self.clone();
        let ping = redis::cmd("PING");
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, ping.exec_async(&mut link));
        answer.await.is_ok_and(|answer| answer.is_ok())
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        if let Some(connection) = self.0.connected() {
            return Ok(connection);
        }
        let asked = Instant::now();
        let mut attempts = self.0.attempts.lock().await;
        if let Some(connection) = self.0.connected() {
            return Ok(connection);
        }
        if let Some((at, error)) = &attempts.failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        match self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&self.0.config)
            .await
        {
            Ok(connection) => {
                attempts.connections += 1;
                attempts.failed = None;
                let connection = (connection, attempts.connections);
                self.0.set(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                attempts.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn give_up_on<T>(&self, number: u64, outcome: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &outcome
            && needs_new_connection(error)
        {
            let connection = self.0.connection.write();
            connection
                .unwrap_or_else(PoisonError::into_inner)
                .take_if(|(_, current)| *current == number);
        }
        outcome
    }
}

impl Inner {
    fn connected(&self) -> Option<(MultiplexedConnection, u64)> {
        let connection = self.connection.read();
        connection.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, connection: (MultiplexedConnection, u64)) {
        let place = self.connection.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

/// What is wrong, for a log: the error's kind and code without its text, which may quote a command.
#[must_use]
pub fn reason(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    format!("{:?} {code}", error.kind()).trim_end().to_owned()
}

/// A master that has become a replica answers READONLY for ever; the new master may be behind the
/// same name.
fn needs_new_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

impl ConnectionLike for RedisLink {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (mut connection, number) = self.connection().await?;
            let outcome = connection.send_packed_command(cmd).await;
            self.give_up_on(number, outcome)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (mut connection, number) = self.connection().await?;
            let outcome = connection
                .send_packed_commands(pipeline, offset, count)
                .await;
            self.give_up_on(number, outcome)
        })
    }

    fn get_db(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }
}
