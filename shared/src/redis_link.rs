//! Multiplexed connections to Redis that replace themselves.
//!
//! The `redis` crate's own `ConnectionManager` keeps a connection whose commands time out, because
//! a time-out is not a lost connection to it; behind a peer that has vanished without a word (a
//! pulled cable, a frozen proxy) it would keep it for minutes. A link gives its connection up at
//! the first command that is not answered in time, so a hang is noticed after
//! [`RESPONSE_TIMEOUT`] and the next command goes over a new connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError,
    RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::tls;

/// How long a command may take. Svix gives up on a delivery after 15 s, so an answer must be ready
/// before that; and a Redis that syncs every write to a busy disk may well need a second.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to connect: longer than a resolver takes to give up its first name server and
/// ask the next (5 s, resolv.conf(5)).
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How many commands go over one connection before the next one has its turn: those that come at once
/// then share a write to its socket.
const COMMANDS_IN_A_TURN: usize = 7;

/// How many commands may wait to be written before callers wait for a place.
const PIPELINE_BUFFER: usize = 1024;

/// Connections to one Redis, shared by all clones of the link. Commands of concurrent callers are
/// pipelined. The first command connects; a command that finds its connection broken fails, and
/// the next one connects again.
///
/// A blocking command holds up all that are sent after it: give it a link of its own.
#[derive(Clone)]
pub struct RedisLink(Arc<Inner>);

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    /// How many connections it has when it is connected.
    width: usize,
    /// How many commands there have been.
    commands: AtomicUsize,
    connections: RwLock<Option<Connections>>,
    /// Held while connecting, so that a crowd of callers makes one attempt and shares its outcome.
    attempts: Mutex<Attempts>,
}

/// Connections that were made together. Where one is broken the others are most likely too, and are
/// given up with it.
#[derive(Clone)]
struct Connections {
    open: Arc<[MultiplexedConnection]>,
    /// So that a late failure of an old one does not break the new ones.
    number: u64,
}

#[derive(Default)]
struct Attempts {
    /// How many have succeeded.
    successes: u64,
    /// When the last one failed, and how.
    failed: Option<(Instant, RedisError)>,
}

impl RedisLink {
    /// A link of one connection that is not connected yet.
    ///
    /// # Errors
    /// When `info` is not a server that the `redis` crate can talk to.
    pub fn new(info: ConnectionInfo) -> RedisResult<Self> {
        Self::with_connections(info, 1)
    }

    /// The same with several connections, at least one, that commands use in turn.
    ///
    /// # Errors
    /// As [`RedisLink::new`].
    pub fn with_connections(info: ConnectionInfo, connections: usize) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        Ok(Self(Arc::new(Inner {
            client: Client::open(info)?,
            config,
            width: connections.max(1),
            commands: AtomicUsize::new(0),
            connections: RwLock::default(),
            attempts: Mutex::default(),
        })))
    }

    /// Whether the server answers a PING.
    pub async fn answers(&self) -> bool {
        let mut link = self.clone();
        let ping = redis::cmd("PING");
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, ping.exec_async(&mut link));
        match answer.await {
            Ok(Ok(())) => true,
            // A program that nothing is asked of yet tells it nowhere else.
            Ok(Err(error)) => {
                tracing::warn!(reason = reason(&error), "Redis does not answer");
                false
            }
            Err(_) => false,
        }
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let connections = match self.0.connected() {
            Some(connections) => connections,
            None => self.connect().await?,
        };
        let turn = self.0.commands.fetch_add(1, Ordering::Relaxed) / COMMANDS_IN_A_TURN;
        let connection = &connections.open[turn % connections.open.len()];
        Ok((connection.clone(), connections.number))
    }

    async fn connect(&self) -> RedisResult<Connections> {
        let asked = Instant::now();
        let mut attempts = self.0.attempts.lock().await;
        if let Some(connections) = self.0.connected() {
            return Ok(connections);
        }
        if let Some((at, error)) = &attempts.failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        // All at once: where a name takes long to resolve, they wait for it together.
        let mut connecting = JoinSet::new();
        for _ in 0..self.0.width {
            let (client, config) = (self.0.client.clone(), self.0.config.clone());
            connecting.spawn(async move {
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            });
        }
        let mut open = Vec::with_capacity(self.0.width);
        while let Some(connection) = connecting.join_next().await {
            let panicked = |_| Err((ErrorKind::Client, "connecting has panicked").into());
            match connection.unwrap_or_else(panicked) {
                Ok(connection) => open.push(connection),
                Err(error) => {
                    attempts.failed = Some((Instant::now(), error.clone()));
                    return Err(error);
                }
            }
        }
        attempts.successes += 1;
        attempts.failed = None;
        let connections = Connections {
            open: open.into(),
            number: attempts.successes,
        };
        let place = self.0.connections.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Some(connections.clone());
        Ok(connections)
    }

    fn give_up_on<T>(&self, number: u64, outcome: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &outcome
            && needs_new_connection(error)
        {
            let connections = self.0.connections.write();
            connections
                .unwrap_or_else(PoisonError::into_inner)
                .take_if(|current| current.number == number);
        }
        outcome
    }
}

impl Inner {
    fn connected(&self) -> Option<Connections> {
        let connections = self.connections.read();
        connections.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is wrong, for a log: what TLS says, or the error's kind and code without its text, which may
/// quote a command.
#[must_use]
pub fn reason(error: &RedisError) -> String {
    if let Some(reason) = tls::reason(error) {
        return reason;
    }
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
