//! The Redis of a run: one server, or a cluster.

use std::path::Path;

use xtask::{redis_cluster::RedisCluster, redis_server::RedisServer};

use super::MAX_MEMORY;

pub(super) enum Redis {
    Server(RedisServer),
    Cluster(RedisCluster),
}

impl Redis {
    pub(super) fn start(folder: &Path, is_cluster: bool) -> anyhow::Result<Self> {
        let limit = ["--maxmemory", MAX_MEMORY];
        if is_cluster {
            RedisCluster::start_in(folder, &limit).map(Self::Cluster)
        } else {
            RedisServer::start_in(folder, &limit).map(Self::Server)
        }
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Server(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    pub(super) fn nodes(&self) -> &[RedisServer] {
        match self {
            Self::Server(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// redis-cli, where `key` is.
    pub(super) fn cli(&self, key: &str, arguments: &[&str]) -> anyhow::Result<String> {
        match self {
            Self::Server(server) => server.cli(arguments),
            Self::Cluster(cluster) => cluster.cli(key, arguments),
        }
    }

    /// Kills the server, or that master of the cluster that has `key`.
    pub(super) fn kill(&mut self, key: &str) -> anyhow::Result<()> {
        match self {
            Self::Server(server) => server.kill(),
            Self::Cluster(cluster) => {
                cluster.kill_master_of(key)?;
            }
        }
        Ok(())
    }

    pub(super) fn kill_all(&mut self) {
        match self {
            Self::Server(server) => server.kill(),
            Self::Cluster(cluster) => cluster.kill_all(),
        }
    }

    /// Starts what has been killed, and waits until all is as before.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Server(server) => server.restart(),
            Self::Cluster(cluster) => {
                cluster.restart_killed()?;
                cluster.settle()
            }
        }
    }

    pub(super) fn log(&self) -> String {
        self.nodes().iter().map(RedisServer::log).collect()
    }
}
