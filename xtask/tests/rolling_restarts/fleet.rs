//! Two ingests behind a load balancer, two workers, and the stores, all real.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use xtask::{
    free_port::free_port, postgres_server::PostgresServer, program::Program,
    redis_server::RedisServer, sender::Sender, wait,
};

use crate::{
    load::Delivered,
    load_balancer::{LoadBalancer, PLACES},
};

const DEADLINE: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";
const DATABASE: &str = "clerk";

pub(crate) struct Fleet {
    // In the order in which they are dropped.
    load_balancer: LoadBalancer,
    ingests: Vec<Ingest>,
    workers: Vec<Program>,
    redis: RedisServer,
    postgres: PostgresServer,
    /// Of the load balancer, where the next ingest goes.
    next_place: usize,
}

struct Ingest {
    program: Program,
    place: usize,
}

impl Fleet {
    /// Everything is ready.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut postgres = PostgresServer::start()?;
        // The database's own word for when an event was there for others to see.
        postgres.psql("postgres", "alter system set track_commit_timestamp = on")?;
        postgres.stop_fast()?;
        postgres.restart()?;
        postgres.psql("postgres", &format!("create database {DATABASE}"))?;
        let mut fleet = Self {
            load_balancer: LoadBalancer::start().await?,
            ingests: Vec::new(),
            workers: Vec::new(),
            redis: RedisServer::start()?,
            postgres,
            next_place: 0,
        };
        for _ in 0..2 {
            let ingest = fleet.start_ingest().await?;
            fleet.ingests.push(ingest);
            let worker = fleet.start_worker().await?;
            fleet.workers.push(worker);
        }
        Ok(fleet)
    }

    /// Sends to the load balancer.
    pub(crate) fn sender(&self) -> anyhow::Result<Sender> {
        let port = self.load_balancer.port;
        Sender::new(
            &format!("http://127.0.0.1:{port}/api/webhooks/clerk"),
            SECRET,
        )
    }

    /// A new one is ready, the old one gets no requests any more, the old one stops.
    pub(crate) async fn replace_ingest(&mut self, index: usize) -> anyhow::Result<()> {
        let new = self.start_ingest().await?;
        let old = std::mem::replace(&mut self.ingests[index], new);
        self.load_balancer.remove(old.place).await?;
        stop(&old.program).await
    }

    /// A new one is ready, the old one stops.
    pub(crate) async fn replace_worker(&mut self, index: usize) -> anyhow::Result<()> {
        let new = self.start_worker().await?;
        let old = std::mem::replace(&mut self.workers[index], new);
        stop(&old).await
    }

    async fn start_ingest(&mut self) -> anyhow::Result<Ingest> {
        let port = free_port()?;
        let (address, redis_url) = (format!("127.0.0.1:{port}"), self.redis.url());
        let environment = [
            ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
            ("INGEST_ADDR", &address),
            ("REDIS_URL", &redis_url),
            ("TRUSTED_PROXY_HOPS", "1"),
        ];
        let (program, _) = Program::start_ready("ingest", &environment).await?;
        let place = self.next_place;
        self.next_place = (place + 1) % PLACES;
        self.load_balancer.add(place, port).await?;
        Ok(Ingest { program, place })
    }

    async fn start_worker(&self) -> anyhow::Result<Program> {
        let (redis_url, database_url) = (self.redis.url(), self.postgres.url(DATABASE));
        let environment = [
            ("REDIS_URL", redis_url.as_str()),
            ("DATABASE_URL", &database_url),
        ];
        Ok(Program::start_ready("worker", &environment).await?.0)
    }

    /// Waits until no event waits: neither in the stream nor for a retry.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        wait::until("all events are finished", DEADLINE, async || {
            let count = |command: &str, key: &str| self.redis.cli(&[command, key]);
            count("XLEN", "{clerk:0}:events").is_ok_and(|count| count == "0")
                && count("ZCARD", "{clerk:0}:retry").is_ok_and(|count| count == "0")
        })
        .await
    }

    pub(crate) fn dead_letters(&self) -> anyhow::Result<u64> {
        Ok(self.redis.cli(&["XLEN", "{clerk:0}:dead"])?.parse()?)
    }

    pub(crate) fn rows(&self, table: &str) -> anyhow::Result<usize> {
        let count = self.sql(&format!("select count(*) from {table}"))?;
        Ok(count.parse()?)
    }

    /// From when each event was due to its commit, the shortest first.
    pub(crate) fn delays(&self, delivered: &[Delivered]) -> anyhow::Result<Vec<Duration>> {
        let rows = self.sql(
            "select svix_id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint \
               from clerk_sync.events",
        )?;
        let committed: HashMap<&str, u64> = rows
            .lines()
            .map(|row| {
                let (svix_id, microseconds) = row.split_once('|').context("no two columns")?;
                Ok((svix_id, microseconds.parse()?))
            })
            .collect::<anyhow::Result<_>>()?;
        let mut delays = delivered
            .iter()
            .map(|event| {
                let microseconds = committed.get(event.svix_id.as_str());
                let microseconds = microseconds.with_context(|| event.svix_id.clone())?;
                let commit = SystemTime::UNIX_EPOCH + Duration::from_micros(*microseconds);
                Ok(commit.duration_since(event.due)?)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        delays.sort();
        Ok(delays)
    }

    fn sql(&self, statement: &str) -> anyhow::Result<String> {
        self.postgres.psql(DATABASE, statement)
    }
}

/// SIGTERM, and an end with 0.
async fn stop(program: &Program) -> anyhow::Result<()> {
    program.signal(Signal::SIGTERM)?;
    wait::until("it has ended", DEADLINE, async || !program.is_running()).await?;
    let status = program.wait(Duration::ZERO)?;
    ensure!(status.success(), "{status}\n{}", program.output());
    Ok(())
}
