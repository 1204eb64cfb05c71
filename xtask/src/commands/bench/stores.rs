//! The Redis and PostgreSQL that the measurements of the worker share, each with a database of its own.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tokio::task::block_in_place;
use xtask::{postgres_server::PostgresServer, program::Program, redis_server::RedisServer, wait};

use super::backlog::{EVENTS, REFUSED_NAME, member::parents, waiting};

/// For whatever takes no time unless something is broken.
const DEADLINE: Duration = Duration::from_secs(60);
/// A copy of a million entries holds Redis up, and so does the rewriting of its file.
const REDIS_DEADLINE: Duration = Duration::from_secs(300);
/// Everything of the queue's that outlives a drain.
const KEYS: [&str; 7] = [
    EVENTS,
    "{clerk:0}:dead",
    "{clerk:0}:dead:letters",
    "{clerk:0}:retry",
    "{clerk:0}:retry:entries",
    "{clerk:0}:retry:objects",
    "{clerk:0}:retry:awaited",
];

/// The table that workers write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// `users`.
    BuiltIn,
    /// That of docs/tables/prisma.sql.
    Prisma,
    /// `memberships` of docs/tables/organizations.sql, among the others there.
    Members,
}

impl Table {
    /// As SQL has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "users",
            Self::Prisma => "\"User\"",
            Self::Members => "memberships",
        }
    }

    /// What is said to the worker besides where the stores are.
    const fn environment(self) -> &'static [(&'static str, &'static str)] {
        macro_rules! file {
            ($name:literal) => {
                &[(
                    "TABLES_FILE",
                    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tables/", $name),
                )]
            };
        }
        match self {
            Self::BuiltIn => &[],
            Self::Prisma => file!("prisma.toml"),
            Self::Members => file!("organizations.toml"),
        }
    }

    /// SQL that comes before the worker's tables, and after them.
    fn schema(self) -> (&'static str, String) {
        match self {
            // The application's own constraint, which refuses some events.
            Self::BuiltIn => (
                "",
                format!(
                    "alter table users add constraint nobody_is_refused
                     check (name not like '{REFUSED_NAME}%')"
                ),
            ),
            Self::Prisma => (
                include_str!("../../../../docs/tables/prisma.sql"),
                String::new(),
            ),
            Self::Members => (
                include_str!("../../../../docs/tables/organizations.sql"),
                parents(),
            ),
        }
    }
}

/// Both stores, and a connection to Redis.
pub(crate) struct Stores {
    pub(crate) redis: MultiplexedConnection,
    pub(crate) redis_url: String,
    pub(crate) redis_pid: u32,
    pub(crate) postgres: PostgresServer,
    /// Of the postmaster.
    pub(crate) postgres_pid: u32,
    _redis: RedisServer,
}

impl Stores {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let server = block_in_place(RedisServer::start)?;
        let postgres = block_in_place(PostgresServer::start)?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(REDIS_DEADLINE));
        let mut redis = Client::open(server.url())?
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let postmaster = fs::read_to_string(postgres.folder().join("data/postmaster.pid"))?;
        let first_line = postmaster.lines().next().context("postmaster.pid")?;
        Ok(Self {
            redis_pid: info(&mut redis, "server", "process_id").await?,
            redis_url: server.url(),
            redis,
            postgres_pid: first_line.trim().parse()?,
            postgres,
            _redis: server,
        })
    }

    /// Stops writing the append-only file while Redis is filled.
    pub(crate) async fn begin_filling(&mut self) -> anyhow::Result<()> {
        self.configure("appendonly", "no").await?;
        self.configure("rdbcompression", "no").await
    }

    /// Writes the append-only file anew and goes on with it, so that no rewrite falls due later because
    /// of what was filled in.
    pub(crate) async fn end_filling(&mut self) -> anyhow::Result<()> {
        self.configure("appendonly", "yes").await?;
        let redis = &mut self.redis;
        wait::until("Redis has written its file", REDIS_DEADLINE, async || {
            let mut busy = 0;
            for name in ["aof_rewrite_in_progress", "aof_rewrite_scheduled"] {
                busy += info(redis, "persistence", name).await.unwrap_or(1);
            }
            busy == 0
        })
        .await?;
        self.configure("rdbcompression", "yes").await
    }

    async fn configure(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        let mut command = redis::cmd("CONFIG");
        command.arg(&["SET", name, value]);
        Ok(command.exec_async(&mut self.redis).await?)
    }

    /// A new database with our tables and the application's.
    pub(crate) fn new_database(&self, table: Table) -> anyhow::Result<String> {
        let url = self.postgres.create_database()?;
        let (before, after) = table.schema();
        self.postgres.psql(&url, before)?;
        let environment = [&[("DATABASE_URL", &*url)], table.environment()].concat();
        let migrated = Program::run("worker", &["migrate"], &environment)?;
        ensure!(migrated.status.success(), "worker migrate: {migrated:?}");
        self.postgres.psql(&url, &after)?;
        // So that what others have written is not written out during what is measured next.
        self.postgres.psql(&url, "checkpoint")?;
        Ok(url)
    }

    pub(crate) fn drop_database(&self, url: &str) -> anyhow::Result<()> {
        let name = url.rsplit('/').next().unwrap_or_default();
        let statement = format!("drop database {name} with (force)");
        self.postgres.psql("postgres", &statement).map(drop)
    }

    /// Removes everything that waits, and all dead letters.
    pub(crate) async fn empty_queue(&mut self) -> anyhow::Result<()> {
        let mut delete = redis::cmd("DEL");
        Ok(delete.arg(&KEYS).exec_async(&mut self.redis).await?)
    }

    /// Empties the queue, starts workers and waits until they wait for entries.
    pub(crate) async fn start_workers(
        &mut self,
        number: usize,
        database: &str,
        table: Table,
    ) -> anyhow::Result<Vec<Program>> {
        self.empty_queue().await?;
        let stores = [
            ("REDIS_URL", self.redis_url.as_str()),
            ("DATABASE_URL", database),
        ];
        let environment = [&stores, table.environment()].concat();
        let mut workers = Vec::new();
        for _ in 0..number {
            workers.push(Program::start_ready("worker", &environment).await?.0);
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

    /// Waits until nothing is in the stream and nothing waits for its next attempt.
    pub(crate) async fn until_drained(
        &mut self,
        workers: &[Program],
        pause: Duration,
    ) -> anyhow::Result<()> {
        let mut left = usize::MAX;
        let mut progress = Instant::now();
        loop {
            let waiting = waiting(&mut self.redis).await?;
            if waiting == 0 {
                return Ok(());
            }
            if waiting < left {
                left = waiting;
                progress = Instant::now();
            }
            let stuck = progress.elapsed() > DEADLINE;
            for worker in workers {
                ensure!(
                    worker.is_running() && !stuck,
                    "{left} events are left; {}:\n{}",
                    if stuck {
                        "nothing happens"
                    } else {
                        "a worker has ended"
                    },
                    last_lines(&worker.output())
                );
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// A worker writes a line an event.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A number of Redis's INFO.
pub(crate) async fn info<T: std::str::FromStr>(
    redis: &mut MultiplexedConnection,
    section: &str,
    name: &str,
) -> anyhow::Result<T> {
    let text: String = redis::cmd("INFO").arg(section).query_async(redis).await?;
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values
        .next()
        .and_then(|value| value.trim().parse().ok())
        .with_context(|| format!("INFO {section} tells no {name}"))
}
