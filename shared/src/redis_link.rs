//! Multiplexed connections to Redis that replace themselves.
//!
//! The `redis` crate's own `ConnectionManager` keeps a connection whose commands time out, because
//! a time-out is not a lost connection to it; behind a peer that has vanished without a word (a
//! pulled cable, a frozen proxy) it would keep it for minutes. A link gives its connection up at
//! the first command that is not answered in time, so a hang is noticed after
//! [`RESPONSE_TIMEOUT`] and the next command goes over a new connection.
//!
//! To a cluster a link's connection is one to every node. The `redis` crate replaces those to single nodes
//! by itself, follows slots that move, and learns of new masters, but only as long as a node says so: one
//! that hangs keeps it for ever, as may nodes that all come back with other addresses. So this one is
//! given up likewise, and the next one begins with the nodes of the URL.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, ResponsePolicy, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, FromRedisValue as _, Pipeline,
    RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::redis_servers::{Kind, RedisServers, Sentinels};
use crate::tls;

/// How long a command may take. Svix gives up on a delivery after 15 s, so an answer must be ready
/// before that; and a Redis that syncs every write to a busy disk may well need a second.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to connect: longer than a resolver takes to give up its first name server and
/// ask the next (5 s, resolv.conf(5)).
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a health check waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take to connect to a node of a cluster, or to ask a Sentinel: one that is gone must not
/// keep us from the others.
const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a command is tried again when a node of a cluster is gone or a slot has moved.
const CLUSTER_RETRIES: u32 = 6;

/// How many connections a link has to a cluster at the most: each is one to every node.
const MOST_CONNECTIONS_TO_A_CLUSTER: usize = 2;

/// How long it may be between two tries, in milliseconds.
const CLUSTER_RETRY_WAIT: std::ops::Range<u64> = 10..500;

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
    speaks_tls: bool,
    /// How many connections it has when it is connected.
    width: usize,
    /// How many commands there have been.
    commands: AtomicUsize,
    connections: RwLock<Option<Connections>>,
    /// Held while connecting, so that a crowd of callers makes one attempt and shares its outcome.
    attempts: Mutex<Attempts>,
}

enum Client {
    Known(Target),
    /// The master is asked for whenever the link connects.
    Sentinels(Box<Sentinels>),
}

/// What a connection leads to.
#[derive(Clone)]
enum Target {
    Server(Box<redis::Client>),
    Cluster(Box<ClusterClient>),
}

/// Connections that were made together. Where one is broken the others are most likely too, and are
/// given up with it.
#[derive(Clone)]
struct Connections {
    open: Arc<[Connection]>,
    /// So that a late failure of an old one does not break the new ones.
    number: u64,
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
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
        let of_a_cluster = |builder: ClusterClientBuilder| {
            builder
                .connection_timeout(NODE_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT)
                .retries(cluster_retries)
                .retry_wait_formula(CLUSTER_RETRY_WAIT.start, 2)
                .min_retry_wait(CLUSTER_RETRY_WAIT.start)
                .max_retry_wait(CLUSTER_RETRY_WAIT.end)
        };
        let client = match &servers.kind {
            Kind::Server(info) => {
                Client::Known(Target::Server(Box::new(redis::Client::open(info.clone())?)))
            }
            Kind::Cluster(nodes) => {
                let client = servers.cluster_client(nodes, of_a_cluster)?;
                Client::Known(Target::Cluster(Box::new(client)))
            }
            Kind::Sentinels(sentinels) => Client::Sentinels(Box::new(sentinels.clone())),
        };
        let most = match client {
            Client::Known(Target::Cluster(_)) => MOST_CONNECTIONS_TO_A_CLUSTER,
            _ => usize::MAX,
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
        matches!(self.0.client, Client::Known(Target::Cluster(_)))
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
        let mut pings = JoinSet::new();
        for ping in connection.pings() {
            pings.spawn(ping);
        }
        let mut outcome = Err((ErrorKind::Client, "nobody was asked").into());
        while let Some(answer) = pings.join_next().await {
            outcome = answer.unwrap_or_else(panicked).map(drop);
            if outcome.is_ok() {
                break;
            }
        }
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
        let open = match self.0.open().await {
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
    async fn open(&self) -> RedisResult<Arc<[Connection]>> {
        // Whoever must ask for addresses first takes longer than for one connection.
        let all = tokio::time::timeout(CONNECTION_TIMEOUT + NODE_TIMEOUT, self.open_all());
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
        all.await.unwrap_or_else(late)
    }

    async fn open_all(&self) -> RedisResult<Arc<[Connection]>> {
        match &self.client {
            Client::Known(target) => self.open_to(target).await,
            Client::Sentinels(sentinels) => self.open_by(sentinels).await,
        }
    }

    /// All at once: where a name takes long to resolve, they wait for it together.
    async fn open_to(&self, target: &Target) -> RedisResult<Arc<[Connection]>> {
        let mut connecting = JoinSet::new();
        for _ in 0..self.width {
            connecting.spawn(target.clone().connect());
        }
        let mut open = Vec::with_capacity(self.width);
        while let Some(connection) = connecting.join_next().await {
            open.push(connection.unwrap_or_else(panicked)?);
        }
        Ok(open.into())
    }

    /// The first master that a Sentinel names and that lets us in. Whether it is still one is found out by the
    /// first command that changes anything.
    async fn open_by(&self, sentinels: &Sentinels) -> RedisResult<Arc<[Connection]>> {
        let mut asking = JoinSet::new();
        for node in &sentinels.nodes {
            asking.spawn(master_known_to(node.clone(), sentinels.master.clone()));
        }
        let mut tried = Vec::new();
        let mut outcome = Err((ErrorKind::Client, "there is no Sentinel").into());
        while let Some(answer) = asking.join_next().await {
            match answer.unwrap_or_else(panicked) {
                Ok(address) if tried.contains(&address) => {}
                Ok(address) => {
                    let (host, port) = address.clone();
                    tried.push(address);
                    let client = redis::Client::open(sentinels.master_at(host, port))?;
                    outcome = self.open_to(&Target::Server(Box::new(client))).await;
                    if outcome.is_ok() {
                        break;
                    }
                }
                // What keeps us from a master that is known says more.
                Err(error) if tried.is_empty() => outcome = Err(error),
                Err(_) => {}
            }
        }
        outcome
    }

    fn connected(&self) -> Option<Connections> {
        let connections = self.connections.read();
        connections.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn panicked<T>(_: tokio::task::JoinError) -> RedisResult<T> {
    Err((ErrorKind::Client, "a task has panicked").into())
}

/// Where a Sentinel says that the master is
/// (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).
async fn master_known_to(sentinel: ConnectionInfo, master: String) -> RedisResult<(String, u16)> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(NODE_TIMEOUT))
        .set_response_timeout(Some(NODE_TIMEOUT));
    let client = redis::Client::open(sentinel)?;
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let address: Option<(String, u16)> = redis::cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(master)
        .query_async(&mut connection)
        .await?;
    let unknown = || (ErrorKind::MasterNameNotFoundBySentinel, "not known").into();
    address.ok_or_else(unknown)
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

impl Target {
    async fn connect(self) -> RedisResult<Connection> {
        match self {
            Self::Server(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECTION_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT))
                    .set_pipeline_buffer_size(PIPELINE_BUFFER);
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                connection.await.map(Connection::Server)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

impl Connection {
    /// A master that has become a replica answers READONLY for ever; the new master may be behind the
    /// same name.
    fn is_lost(&self, error: &RedisError) -> bool {
        let is_demoted = matches!(self, Self::Server(_))
            && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        is_demoted || error.is_unrecoverable_error() || error.is_timeout()
    }

    /// Each asks a server: of a cluster the masters of slots that are evenly spread.
    fn pings(&self) -> Vec<RedisFuture<'static, Value>> {
        match self {
            Self::Server(connection) => {
                let mut connection = connection.clone();
                vec![Box::pin(async move {
                    connection.send_packed_command(&redis::cmd("PING")).await
                })]
            }
            Self::Cluster(connection) => (0..16_384)
                .step_by(2_048)
                .map(|slot| {
                    let mut connection = connection.clone();
                    let master =
                        SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                    let ping: RedisFuture<'static, Value> = Box::pin(async move {
                        let routing = RoutingInfo::SingleNode(master);
                        connection.route_command(redis::cmd("PING"), routing).await
                    });
                    ping
                })
                .collect(),
        }
    }

    async fn ask_masters(&mut self, command: &Cmd) -> RedisResult<Vec<(String, Value)>> {
        match self {
            Self::Server(connection) => {
                let answer = connection.send_packed_command(command).await;
                let answer = answer.or_else(|error| error.try_into().map(Value::ServerError))?;
                Ok(vec![(String::new(), answer)])
            }
            Self::Cluster(connection) => {
                let masters = (
                    MultipleNodeRoutingInfo::AllMasters,
                    Some(ResponsePolicy::Special),
                );
                let routing = RoutingInfo::MultiNode(masters);
                let answers = connection.route_command(command.clone(), routing).await?;
                Ok(Vec::from_redis_value(answers)?)
            }
        }
    }

    async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => connection.send_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }

    async fn send_all(
        &mut self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        match self {
            Self::Server(connection) => {
                let sent = connection.send_packed_commands(pipeline, offset, count);
                sent.await
            }
            Self::Cluster(connection) => {
                let sent = connection.req_packed_commands(pipeline, offset, count);
                sent.await
            }
        }
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
        connections.map_or(0, |connections| {
            connections.open.first().map_or(0, |open| match open {
                Connection::Server(connection) => connection.get_db(),
                Connection::Cluster(connection) => connection.get_db(),
            })
        })
    }
}
