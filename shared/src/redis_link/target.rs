//! What connections lead to, and how they are made.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{AsyncConnectionConfig, ConnectionInfo, RedisResult};
use tokio::task::JoinSet;

use super::connection::{Connection, panicked};
use crate::redis_servers::RedisServers;

/// How long a command may take. Svix gives up on a delivery after 15 s, so an answer must be ready
/// before that; and a Redis that syncs every write to a busy disk may well need a second.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to connect: longer than a resolver takes to give up its first name server and
/// ask the next (5 s, resolv.conf(5)).
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long it may take to connect to a node of a cluster, or to ask a Sentinel: one that is gone must not
/// keep us from the others.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it may be between two tries to send a command to a cluster, in milliseconds.
const CLUSTER_RETRY_WAIT: Range<u64> = 10..500;

/// How many commands may wait to be written before callers wait for a place.
const PIPELINE_BUFFER: usize = 1024;

#[derive(Clone)]
pub(super) enum Target {
    Server(Box<redis::Client>),
    Cluster(Box<ClusterClient>),
}

impl Target {
    pub(super) fn server(info: ConnectionInfo) -> RedisResult<Self> {
        Ok(Self::Server(Box::new(redis::Client::open(info)?)))
    }

    /// The cluster that `nodes` of `servers` belong to. A command is tried again `retries` times when a node is
    /// gone or a slot has moved.
    pub(super) fn cluster(
        servers: &RedisServers,
        nodes: &[ConnectionInfo],
        retries: u32,
    ) -> RedisResult<Self> {
        let configure = |builder: ClusterClientBuilder| {
            builder
                .connection_timeout(NODE_TIMEOUT)
                .response_timeout(RESPONSE_TIMEOUT)
                .retries(retries)
                .retry_wait_formula(CLUSTER_RETRY_WAIT.start, 2)
                .min_retry_wait(CLUSTER_RETRY_WAIT.start)
                .max_retry_wait(CLUSTER_RETRY_WAIT.end)
        };
        let client = servers.cluster_client(nodes, configure)?;
        Ok(Self::Cluster(Box::new(client)))
    }

    /// Opens `width` connections, all at once: where a name takes long to resolve, they wait for it together.
    pub(super) async fn open(&self, width: usize) -> RedisResult<Arc<[Connection]>> {
        let mut connecting = JoinSet::new();
        for _ in 0..width {
            connecting.spawn(self.clone().connect());
        }
        let mut open = Vec::with_capacity(width);
        while let Some(connection) = connecting.join_next().await {
            open.push(connection.unwrap_or_else(panicked)?);
        }
        Ok(open.into())
    }

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
