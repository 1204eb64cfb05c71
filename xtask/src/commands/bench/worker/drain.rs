//! One backlog, drained by some workers into a new database.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use redis::{Client, aio::MultiplexedConnection};
use tokio::task::block_in_place;
use xtask::{
    free_port::free_port, http::Http, postgres_server::PostgresServer, program::Program,
    redis_server::RedisServer, wait,
};

use super::super::{
    backlog::{Backlog, EVENTS, REFUSED_NAME},
    process_usage::{cpu_seconds_of_family, usage},
};

const DEADLINE: Duration = Duration::from_secs(60);
/// Backlogs up to this size are gone so fast that looking seldom would blur the result.
const SMALL: usize = 20_000;
/// Everything of the queue's that outlives a drain.
const KEYS: [&str; 6] = [
    EVENTS,
    "{clerk:0}:dead",
    "{clerk:0}:dead:letters",
    "{clerk:0}:retry",
    "{clerk:0}:retry:entries",
    "{clerk:0}:retry:users",
];

/// The servers that all drains share.
pub(crate) struct Servers {
    pub(crate) redis: MultiplexedConnection,
    pub(crate) redis_pid: u32,
    pub(crate) redis_url: String,
    pub(crate) postgres_pid: u32,
    pub(crate) postgres: PostgresServer,
    _redis: RedisServer,
}

impl Servers {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let server = block_in_place(RedisServer::start)?;
        let postgres = block_in_place(PostgresServer::start)?;
        let mut redis = Client::open(server.url())?
            .get_multiplexed_async_connection_with_config(
                &redis::AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE)),
            )
            .await?;
        let postmaster = fs::read_to_string(postgres.folder().join("data/postmaster.pid"))?;
        Ok(Self {
            redis_pid: info(&mut redis, "server", "process_id").await?,
            redis_url: server.url(),
            redis,
            postgres_pid: postmaster
                .lines()
                .next()
                .context("postmaster.pid is empty")?
                .trim()
                .parse()?,
            postgres,
            _redis: server,
        })
    }

    /// Fills Redis without its append-only file, which is then written anew, so that no rewrite of it
    /// falls due during a measurement.
    pub(crate) async fn build(
        &mut self,
        mix: super::super::backlog::Mix,
        events: usize,
    ) -> anyhow::Result<Backlog> {
        self.configure("appendonly", "no").await?;
        let backlog = Backlog::build(&mut self.redis, mix, events).await?;
        self.configure("appendonly", "yes").await?;
        self.wait_for_rewrite().await?;
        Ok(backlog)
    }

    async fn configure(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        redis::cmd("CONFIG")
            .arg(&["SET", name, value])
            .exec_async(&mut self.redis)
            .await?;
        Ok(())
    }

    async fn wait_for_rewrite(&mut self) -> anyhow::Result<()> {
        let redis = &mut self.redis;
        wait::until(
            "Redis has written its append-only file anew",
            DEADLINE * 5,
            async || {
                let mut busy = 0;
                for name in ["aof_rewrite_in_progress", "aof_rewrite_scheduled"] {
                    busy += info::<u32>(redis, "persistence", name).await.unwrap_or(1);
                }
                busy == 0
            },
        )
        .await
    }

    /// A new database with our tables; the application's own constraint refuses some events.
    pub(crate) fn new_database(&self) -> anyhow::Result<String> {
        let url = self.postgres.create_database()?;
        let migrated = Program::run("worker", &["migrate"], &[("DATABASE_URL", &url)])?;
        ensure!(migrated.status.success(), "worker migrate: {migrated:?}");
        let constraint = format!(
            "alter table users add constraint nobody_is_refused check (name not like '{REFUSED_NAME}%')"
        );
        self.postgres.psql(&url, &constraint)?;
        // So that no checkpoint that others have caused falls into what is measured next.
        self.postgres.psql(&url, "checkpoint")?;
        Ok(url)
    }

    pub(crate) fn drop_database(&self, url: &str) -> anyhow::Result<()> {
        let name = url.rsplit('/').next().unwrap_or_default();
        self.postgres
            .psql("postgres", &format!("drop database {name} with (force)"))?;
        Ok(())
    }

    /// Starts workers and waits until they wait for entries of an empty stream.
    pub(crate) async fn start_workers(
        &mut self,
        number: usize,
        database: &str,
    ) -> anyhow::Result<Vec<Program>> {
        redis::cmd("DEL")
            .arg(&KEYS)
            .exec_async(&mut self.redis)
            .await?;
        let mut workers = Vec::new();
        let mut admin_urls = Vec::new();
        for _ in 0..number {
            let address = format!("127.0.0.1:{}", free_port()?);
            workers.push(Program::start(
                "worker",
                &[
                    ("REDIS_URL", &self.redis_url),
                    ("DATABASE_URL", database),
                    ("ADMIN_ADDR", &address),
                ],
            )?);
            admin_urls.push(format!("http://{address}/readyz"));
        }
        let http = Http::new();
        for url in &admin_urls {
            wait::until("the worker is ready", DEADLINE, async || {
                http.get(url).await.is_ok_and(|answer| answer.status == 200)
            })
            .await?;
        }
        let redis = &mut self.redis;
        wait::until("all workers read", DEADLINE, async || {
            let consumers: redis::RedisResult<Vec<redis::Value>> = redis::cmd("XINFO")
                .arg(&["CONSUMERS", EVENTS, "clerk-worker"])
                .query_async(redis)
                .await;
            consumers.is_ok_and(|consumers| consumers.len() == number)
        })
        .await?;
        Ok(workers)
    }

    /// Lets workers drain a backlog and looks whether everything is where it must be.
    pub(crate) async fn drain(
        &mut self,
        backlog: &Backlog,
        workers: usize,
    ) -> anyhow::Result<Drained> {
        let database = block_in_place(|| self.new_database())?;
        let workers = self.start_workers(workers, &database).await?;
        let before = self.consumed(&workers)?;
        backlog.put(&mut self.redis).await?;
        let begin = Instant::now();
        let pause = Duration::from_millis(if backlog.events <= SMALL { 5 } else { 50 });
        self.until_drained(&workers, pause).await?;
        let seconds = begin.elapsed().as_secs_f64();
        let after = self.consumed(&workers)?;
        self.verify(backlog, &database).await?;
        let mut peak_memory = 0;
        for worker in &workers {
            peak_memory = peak_memory.max(usage(worker.pid())?.peak_memory_bytes);
        }
        drop(workers);
        block_in_place(|| self.drop_database(&database))?;
        let hundred_thousands = backlog.events as f64 / 100_000.0;
        let mut details: BTreeMap<String, f64> = ["worker", "Redis", "PostgreSQL"]
            .iter()
            .zip(before.iter().zip(after))
            .map(|(who, (before, after))| {
                let name = format!("{who} CPU, s per 100,000 events");
                (name, (after - before) / hundred_thousands)
            })
            .collect();
        details.insert(
            "peak memory of a worker, MB".into(),
            peak_memory as f64 / 1e6,
        );
        Ok(Drained {
            events_per_second: backlog.events as f64 / seconds,
            details,
        })
    }

    /// Seconds of processor time of the workers, Redis and PostgreSQL so far.
    fn consumed(&self, workers: &[Program]) -> anyhow::Result<[f64; 3]> {
        let mut of_workers = 0.0;
        for worker in workers {
            of_workers += usage(worker.pid())?.cpu_seconds;
        }
        Ok([
            of_workers,
            usage(self.redis_pid)?.cpu_seconds,
            cpu_seconds_of_family(self.postgres_pid)?,
        ])
    }

    async fn until_drained(&mut self, workers: &[Program], pause: Duration) -> anyhow::Result<()> {
        let mut left = usize::MAX;
        let mut progress = Instant::now();
        loop {
            let (backlog, waiting): (usize, usize) = redis::pipe()
                .cmd("XLEN")
                .arg(EVENTS)
                .cmd("ZCARD")
                .arg("{clerk:0}:retry")
                .query_async(&mut self.redis)
                .await?;
            if backlog + waiting == 0 {
                return Ok(());
            }
            if backlog + waiting < left {
                left = backlog + waiting;
                progress = Instant::now();
            }
            for worker in workers {
                ensure!(
                    worker.is_running(),
                    "a worker has ended:\n{}",
                    worker.output()
                );
            }
            ensure!(
                progress.elapsed() < DEADLINE,
                "{left} events are left, and nothing happens"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn verify(&mut self, backlog: &Backlog, database: &str) -> anyhow::Result<()> {
        let dead: usize = redis::cmd("XLEN")
            .arg("{clerk:0}:dead")
            .query_async(&mut self.redis)
            .await?;
        ensure!(
            dead == backlog.refused,
            "{dead} dead letters, not {}",
            backlog.refused
        );
        let count = |table: &str| -> anyhow::Result<usize> {
            let sql = format!("select count(*) from {table}");
            Ok(block_in_place(|| self.postgres.psql(database, &sql))?.parse()?)
        };
        for (table, expected) in [
            ("clerk_sync.events", backlog.events - backlog.refused),
            ("users", backlog.users),
        ] {
            let rows = count(table)?;
            ensure!(rows == expected, "{table} has {rows} rows, not {expected}");
        }
        Ok(())
    }
}

/// What a drain came to.
pub(crate) struct Drained {
    pub(crate) events_per_second: f64,
    pub(crate) details: BTreeMap<String, f64>,
}

/// A number of Redis's INFO.
pub(crate) async fn info<T: std::str::FromStr>(
    redis: &mut MultiplexedConnection,
    section: &str,
    name: &str,
) -> anyhow::Result<T> {
    let text: String = redis::cmd("INFO").arg(section).query_async(redis).await?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')?
                .trim()
                .parse()
                .ok()
        })
        .with_context(|| format!("INFO {section} tells no {name}"))
}
