//! How a link finds what its connections lead to: it is known, or Sentinels know it.
//!
//! The `redis` crate's own `SentinelClient` waits for the Sentinels' answers in the order of its list, so that one
//! that hangs holds up the others; and its user must be allowed `ROLE` and `SENTINEL MASTERS`. Here the first answer
//! counts, and one command is enough.

use std::io;
use std::sync::Arc;

use redis::{AsyncConnectionConfig, ConnectionInfo, ErrorKind, RedisResult};
use tokio::task::JoinSet;

use super::connection::{Connection, panicked};
use super::target::{CONNECTION_TIMEOUT, NODE_TIMEOUT, Target};
use crate::redis_servers::{Kind, RedisServers, Sentinels};

pub(super) enum Client {
    Known(Target),
    /// The master is asked for whenever the link connects.
    Sentinels(Box<Sentinels>),
}

impl Client {
    /// A command that a cluster cannot answer now is tried again `cluster_retries` times.
    pub(super) fn new(servers: &RedisServers, cluster_retries: u32) -> RedisResult<Self> {
        Ok(match &servers.kind {
            Kind::Server(info) => Self::Known(Target::server(info.clone())?),
            Kind::Cluster(nodes) => Self::Known(Target::cluster(servers, nodes, cluster_retries)?),
            Kind::Sentinels(sentinels) => Self::Sentinels(Box::new(sentinels.clone())),
        })
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Known(Target::Cluster(_)))
    }

    /// Opens `width` connections.
    pub(super) async fn open(&self, width: usize) -> RedisResult<Arc<[Connection]>> {
        let all = async {
            match self {
                Self::Known(target) => target.open(width).await,
                Self::Sentinels(sentinels) => open_by(sentinels, width).await,
            }
        };
        // Asking for addresses first takes longer than one connection.
        let all = tokio::time::timeout(CONNECTION_TIMEOUT + NODE_TIMEOUT, all);
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
        all.await.unwrap_or_else(late)
    }
}

/// Connections to the first master that a Sentinel names and that lets us in. Whether it is still one is found
/// out by the first command that changes anything.
async fn open_by(sentinels: &Sentinels, width: usize) -> RedisResult<Arc<[Connection]>> {
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
                let master = Target::server(sentinels.master_at(host, port))?;
                outcome = master.open(width).await;
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
