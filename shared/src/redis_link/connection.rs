//! One connection: to a server, or to every node of a cluster.

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, ResponsePolicy, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use redis::{
    Cmd, ErrorKind, FromRedisValue as _, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, Value,
};
use tokio::task::{JoinError, JoinSet};

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;
/// How many slots lie between those whose masters are asked whether they answer.
const SLOTS_BETWEEN_PINGS: usize = 2_048;

#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Whether the connection is of no more use after this error. A master that has become a replica answers
    /// READONLY for ever; the new master may be behind the same name.
    pub(super) fn is_lost(&self, error: &RedisError) -> bool {
        let is_demoted = matches!(self, Self::Server(_))
            && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        is_demoted || error.is_unrecoverable_error() || error.is_timeout()
    }

    /// Asks the server, or the masters of slots that are evenly spread, and waits for the first that answers.
    ///
    /// # Errors
    /// When none of them does: the error of the last one.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        let mut pings = JoinSet::new();
        for ping in self.pings() {
            pings.spawn(ping);
        }
        let mut outcome = Err((ErrorKind::Client, "nobody was asked").into());
        while let Some(answer) = pings.join_next().await {
            outcome = answer.unwrap_or_else(panicked).map(drop);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn pings(&self) -> Vec<RedisFuture<'static, Value>> {
        match self {
            Self::Server(connection) => {
                let mut connection = connection.clone();
                vec![Box::pin(async move {
                    connection.send_packed_command(&redis::cmd("PING")).await
                })]
            }
            Self::Cluster(connection) => (0..SLOTS)
                .step_by(SLOTS_BETWEEN_PINGS)
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

    /// Each master's address, which is empty where there is but one, and its answer, which may be an error of its
    /// own.
    pub(super) async fn ask_masters(&mut self, command: &Cmd) -> RedisResult<Vec<(String, Value)>> {
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

    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => connection.send_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }

    pub(super) async fn send_all(
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

    /// The number of its database.
    pub(super) fn database(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// What to say of a task that nobody stops.
pub(super) fn panicked<T>(_: JoinError) -> RedisResult<T> {
    Err((ErrorKind::Client, "a task has panicked").into())
}
