//! Multiplexed connections to Redis that replace themselves.
//!
//! The `redis` crate's own `ConnectionManager` keeps a connection whose commands time out, because
//! a time-out is not a lost connection to it; behind a peer that has vanished without a word (a
//! pulled cable, a frozen proxy) it would keep it for minutes. A link gives its connection up at
//! the first command that is not answered in time, so a hang is noticed after
//! [`RESPONSE_TIMEOUT`] and the next command goes over a new connection.
//!
//! To a cluster a link's connection is one to every node. The `redis` crate replaces those to single nodes
//! by itself, follows slots that move, and learns of new masters, but only as long as a node says so: it
//! waits for ever for one that hangs, and may do so for nodes that all come back with other addresses. So this
//! connection is given up too, and the next one begins with the nodes of the URL.

mod client;
mod connection;
mod target;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use tokio::sync::Mutex;

use self::client::Client;
use self::connection::Connection;
pub use self::target::{CONNECTION_TIMEOUT, RESPONSE_TIMEOUT};
use crate::redis_servers::RedisServers;
use crate::tls;

/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a command is tried again when a node of a cluster is gone or a slot has moved.
const CLUSTER_RETRIES: u32 = 6;

/// How many connections a link has to a cluster at the most: each is one to every node.
const MOST_CONNECTIONS_TO_A_CLUSTER: usize = 2;

/// How many commands go over one connection before the next one has its turn: those that come at once
/// then share a write to its socket.
const COMMANDS_IN_A_TURN: usize = 7;

/// Connections to one Redis, shared by all clones of the link. Commands of concurrent callers are
/// pipelined. The first command connects; a command that finds its connection broken fails, and
/// the next one connects again.
///
/// A blocking command holds up all that are sent after it: give it a link of its own.
#[derive(Clone)]
pub struct RedisLink(Arc<Inner>);

struct Inner {
    client: Client,
    speaks_tls: bool,
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
    open: Arc<[Connection]>,
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
    /// When these are not servers that the `redis` crate can talk to.
    pub fn new(servers: &RedisServers) -> RedisResult<Self> {
        Self::with_connections(servers, 1)
    }

    /// The same with several connections, at least one, that commands use in turn.
    ///
    /// # Errors
    /// As [`RedisLink::new`].
    pub fn with_connections(servers: &RedisServers, connections: usize) -> RedisResult<Self> {
        Self::build(servers, connections, CLUSTER_RETRIES)
    }

    /// The same with one connection, and no command is tried again unless the caller does. For
    /// commands whose lost answer matters: what a read of a consumer group brings is brought once.
    ///
    /// # Errors
    /// As [`RedisLink::new`].
    pub fn without_retries(servers: &RedisServers) -> RedisResult<Self> {
        Self::build(servers, 1, 0)
    }

    fn build(servers: &RedisServers, width: usize, cluster_retries: u32) -> RedisResult<Self> {
        let client = Client::new(servers, cluster_retries)?;
        let most = if client.is_cluster() {
            MOST_CONNECTIONS_TO_A_CLUSTER
        } else {
            usize::MAX
        };
        Ok(Self(Arc::new(Inner {
            client,
            speaks_tls: servers.speak_tls(),
            width: width.clamp(1, most),
            commands: AtomicUsize::new(0),
            connections: RwLock::default(),
            attempts: Mutex::default(),
        })))
    }

    /// Whether keys lie on several servers, so that what is done in one step must be about one slot.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.0.client.is_cluster()
    }

    /// Whether the server, or any master of the cluster, answers a PING: while one is away there is work for
    /// the others.
    pub async fn answers(&self) -> bool {
        match tokio::time::timeout(HEALTH_TIMEOUT, self.ping()).await {
            Ok(Ok(())) => true,
            // A program that nothing is asked of yet tells it nowhere else.
            Ok(Err(error)) => {
                tracing::warn!(reason = reason(&error), "Redis does not answer");
                false
            }
            Err(_) => {
                let reason = reason(&self.silence());
                tracing::warn!(reason, "Redis does not answer");
                false
            }
        }
    }

    /// Asks the server, or every master of the cluster, for something that is not about a key. Returns each one's answer,
    /// which may be an error of its own, and its address, which is empty where there is but one.
    ///
    /// # Errors
    /// When one of them cannot be asked.
    pub async fn ask_masters(&self, command: &Cmd) -> RedisResult<Vec<(String, Value)>> {
        let (mut connection, number) = self.connection().await?;
        let answers = connection.ask_masters(command).await;
        self.judge(&connection, number, answers)
    }

    async fn ping(&self) -> RedisResult<()> {
        let (connection, number) = self.connection().await?;
        let outcome = connection.ping().await;
        self.judge(&connection, number, outcome)
    }

    /// What is wrong when nothing has come in time.
    fn silence(&self) -> RedisError {
        let error = if self.0.speaks_tls && self.0.connected().is_none() {
            io::Error::new(io::ErrorKind::TimedOut, tls::Silence)
        } else {
            io::ErrorKind::TimedOut.into()
        };
        error.into()
    }

    async fn connection(&self) -> RedisResult<(Connection, u64)> {
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
        let open = match self.0.client.open(self.0.width).await {
            Ok(open) => open,
            Err(error) => {
                let is_silence = error.is_timeout() && tls::reason(&error).is_none();
                let error = if is_silence { self.silence() } else { error };
                attempts.failed = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        };
        attempts.successes += 1;
        attempts.failed = None;
        let connections = Connections {
            open,
            number: attempts.successes,
        };
        let place = self.0.connections.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Some(connections.clone());
        Ok(connections)
    }

    fn judge<T>(
        &self,
        connection: &Connection,
        number: u64,
        outcome: RedisResult<T>,
    ) -> RedisResult<T> {
        if let Err(error) = &outcome
            && connection.is_lost(error)
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

impl ConnectionLike for RedisLink {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (mut connection, number) = self.connection().await?;
            let outcome = connection.send(cmd).await;
            self.judge(&connection, number, outcome)
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
            let outcome = connection.send_all(pipeline, offset, count).await;
            for answer in outcome.iter().flatten() {
                // One command of a pipeline may be refused while the pipeline itself succeeds.
                if let Value::ServerError(error) = answer {
                    let _ = self.judge::<()>(&connection, number, Err(error.clone().into()));
                }
            }
            self.judge(&connection, number, outcome)
        })
    }

    fn get_db(&self) -> i64 {
        let connections = self.0.connected();
        let first = connections.as_ref().and_then(|all| all.open.first());
        first.map_or(0, Connection::database)
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
