//! Everything that runs together, on new stores.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use redis::aio::MultiplexedConnection;
use xtask::{postgres_server::PostgresServer, program::Program, redis_server::RedisServer, wait};

use super::{
    super::{
        events::new_secret,
        ingest::server::{Server, free_address, wait_until_ready},
    },
    backlog,
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
        let server = Server::ingest(&redis.url(), &secret).await?;
        let admin_address = free_address()?.to_string();
        let worker = Program::start(
            "worker",
            &[
                ("ADMIN_ADDR", &admin_address),
                ("REDIS_URL", &redis.url()),
                ("DATABASE_URL", &database),
            ],
        )?;
        wait_until_ready("worker", &worker, &admin_address).await?;
        let client = redis::Client::open(redis.url())?;
        Ok(Self {
            connection: client.get_multiplexed_async_connection().await?,
            probes: Probes::start(&redis.url(), &database).await?,
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
            let drained = backlog::is_drained(&mut connection).await;
            drained.unwrap_or(false) && seen.are_complete(probes)
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
