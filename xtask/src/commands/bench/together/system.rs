//! Everything that runs together, on new stores.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use redis::aio::MultiplexedConnection;
use xtask::{
    postgres_server::PostgresServer, program::Program, redis_server::RedisServer,
    sender::new_secret, wait,
};

use super::{
    super::{backlog, server::Server},
    probes::{self, Probes},
};

/// The backlog of the longest load with a slow worker.
const DRAIN_DEADLINE: Duration = Duration::from_secs(180);

pub(crate) struct System {
    pub(crate) server: Server,
    pub(crate) worker: Program,
    redis: RedisServer,
    /// For looking at the backlog.
    pub(crate) connection: MultiplexedConnection,
    pub(crate) probes: Probes,
    pub(crate) secret: String,
    database: String,
    /// Events that were answered with 200.
    pub(crate) accepted: usize,
}

impl System {
    /// Ready when this returns.
    pub(crate) async fn start(folder: &Path, postgres: &PostgresServer) -> anyhow::Result<Self> {
        let redis = RedisServer::start_in(folder, &probes::REDIS_ARGUMENTS)?;
        let (secret, database) = (new_secret(), postgres.create_database()?);
        let url = redis.url();
        let (server, _) = Server::ingest(&url, &secret, &[]).await?;
        let environment = [("REDIS_URL", url.as_str()), ("DATABASE_URL", &database)];
        let (worker, _) = Program::start_ready("worker", &environment).await?;
        let client = redis::Client::open(url.as_str())?;
        Ok(Self {
            connection: client.get_multiplexed_async_connection().await?,
            probes: Probes::start(&url, &database).await?,
            server,
            worker,
            redis,
            secret,
            database,
            accepted: 0,
        })
    }

    /// Waits until nothing waits any more, and so many probes were seen to the end.
    pub(crate) async fn wait_until_drained(&mut self, probes: usize) -> anyhow::Result<()> {
        let (connection, seen) = (&self.connection, &self.probes);
        let drained = wait::until("nothing waits any more", DRAIN_DEADLINE, async || {
            let mut connection = connection.clone();
            let waiting = backlog::waiting(&mut connection).await;
            waiting.is_ok_and(|waiting| waiting == 0) && seen.are_complete(probes)
        });
        drained
            .await
            .with_context(|| format!("the output of the worker:\n{}", self.worker.output()))
    }

    /// Every event that was accepted has its row, and none was refused (P3, P5).
    pub(crate) fn check(&self, postgres: &PostgresServer) -> anyhow::Result<()> {
        let users = postgres.psql(&self.database, "select count(*) from users")?;
        let letters = self.redis.cli(&["XLEN", "{clerk:0}:dead"])?;
        let accepted = self.accepted;
        ensure!(
            users == accepted.to_string() && letters == "0",
            "{accepted} events were accepted; there are {users} users and {letters} dead letters"
        );
        Ok(())
    }
}
