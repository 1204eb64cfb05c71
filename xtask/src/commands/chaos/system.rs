//! Everything that runs.

mod damage;
mod redis;

use std::{fs, net::SocketAddr, path::Path};

use anyhow::ensure;
use tokio::{sync::Mutex, task::block_in_place};
use xtask::{
    free_port::free_address, postgres_server::PostgresServer, program::Program, proxy::Proxy,
    redis_server::RedisServer, sender::new_secret,
};

use self::redis::Redis;
use super::process::Process;

pub(crate) const INGESTS: usize = 2;
pub(crate) const WORKERS: usize = 3;
/// How many partitions a cluster has.
const PARTITIONS: u32 = 4;
const DATABASE: &str = "chaos";
const MAX_MEMORY: &str = "512mb";

/// A key of a partition: `events`, `retry` or `dead`.
pub(crate) fn key(partition: u32, name: &str) -> String {
    format!("{{clerk:{partition}}}:{name}")
}

/// The tables, and what tells what is written to them.
const TABLES: [&str; 2] = [
    include_str!("../../../../worker/src/database/create_users.sql"),
    include_str!("tables.sql"),
];
const TABLES_FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/commands/chaos/tables.toml"
);
/// A lock is waited for no longer than 300 ms: PostgreSQL looks for deadlocks before that.
const DEADLOCK_TIMEOUT: &str = "alter database chaos set deadlock_timeout = '50ms'";

/// Redis and PostgreSQL, a proxy before each, ingests and workers. A fault locks what it breaks until
/// it is mended; whoever locks several takes them in the order of the fields.
pub(crate) struct System {
    /// None before a cluster, whose nodes tell their own addresses.
    redis_proxy: Option<Mutex<Proxy>>,
    postgres_proxy: Mutex<Proxy>,
    redis: Mutex<Redis>,
    postgres: Mutex<PostgresServer>,
    ingests: [Mutex<Process>; INGESTS],
    workers: [Mutex<Process>; WORKERS],
    /// Of the webhook endpoints.
    pub(crate) urls: [String; INGESTS],
    pub(crate) secret: String,
    /// Past the proxy.
    pub(crate) redis_url: String,
    /// The same, or, beside a cluster, a server of its own: a failover drops deletions that the new master has
    /// not received, and that is no fault of a worker's.
    pub(crate) cache_url: String,
    _cache: Option<RedisServer>,
    pub(crate) partitions: u32,
}

impl System {
    /// Starts everything, with data and logs in `folder`. Does not wait for the programs.
    pub(crate) fn start(folder: &Path, is_cluster: bool) -> anyhow::Result<Self> {
        let logs = folder.join("logs");
        fs::create_dir(&logs)?;
        let redis = Redis::start(folder, is_cluster)?;
        let postgres = start_postgres(folder)?;
        let redis_proxy = match &redis {
            Redis::Server(server) => Some(Proxy::start(server.port())?),
            Redis::Cluster(_) => None,
        };
        let postgres_proxy = Proxy::start(postgres.port())?;
        let cache = is_cluster.then(|| RedisServer::start_in(folder, &[]));
        let cache = cache.transpose()?;
        let partitions = if is_cluster { PARTITIONS } else { 1 };
        let secret = new_secret();
        let addresses = [free_address()?, free_address()?];
        let proxied_redis = match &redis_proxy {
            Some(proxy) => format!("redis://127.0.0.1:{}", proxy.port()),
            None => redis.url(),
        };
        let of_both = [
            ("REDIS_URL", proxied_redis),
            ("REDIS_PARTITIONS", partitions.to_string()),
            ("SHUTDOWN_GRACE_MS", "3000".into()),
        ];
        let of_worker = environment_of_worker(&postgres_proxy, cache.as_ref());
        let start = |binary, number: usize, own: &[(&'static str, String)]| {
            let environment = [&of_both, own].concat();
            Process::start(binary, number + 1, environment, logs.clone()).map(Mutex::new)
        };
        let ingest = |number: usize| {
            let of_ingest = environment_of_ingest(addresses[number], &secret, is_cluster);
            start("ingest", number, &of_ingest)
        };
        let worker = |number| start("worker", number, &of_worker);
        Ok(Self {
            ingests: [ingest(0)?, ingest(1)?],
            workers: [worker(0)?, worker(1)?, worker(2)?],
            redis_url: redis.url(),
            cache_url: cache.as_ref().map_or_else(|| redis.url(), RedisServer::url),
            _cache: cache,
            partitions,
            redis_proxy: redis_proxy.map(Mutex::new),
            postgres_proxy: Mutex::new(postgres_proxy),
            redis: Mutex::new(redis),
            postgres: Mutex::new(postgres),
            urls: addresses.map(|address| format!("http://{address}/api/webhooks/clerk")),
            secret,
        })
    }

    /// redis-cli, past the proxy, where `key` is.
    pub(crate) async fn cli(&self, key: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let redis = self.redis.lock().await;
        block_in_place(|| redis.cli(key, arguments))
    }

    /// psql, past the proxy.
    pub(crate) async fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let postgres = self.postgres.lock().await;
        block_in_place(|| postgres.psql(DATABASE, statement))
    }

    /// How many events are in the streams or wait, of each partition in one step: an entry may move between
    /// the two.
    pub(crate) async fn unfinished(&self) -> anyhow::Result<u64> {
        let script = "return redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])";
        let mut unfinished = 0;
        for partition in 0..self.partitions {
            let [events, retry] = ["events", "retry"].map(|name| key(partition, name));
            let command = ["EVAL", script, "2", &events, &retry];
            unfinished += self.cli(&events, &command).await?.parse::<u64>()?;
        }
        Ok(unfinished)
    }

    /// Puts all dead letters back on the streams.
    pub(crate) async fn replay_dead_letters(&self) -> anyhow::Result<()> {
        let script = include_str!("../../../../worker/lua/replay.lua");
        for partition in 0..self.partitions {
            let [events, dead] = ["events", "dead"].map(|name| key(partition, name));
            let command = ["EVAL", script, "2", &dead, &events, "all"];
            self.cli(&dead, &command).await?;
        }
        Ok(())
    }

    /// What PostgreSQL has said of transactions that waited for each other.
    pub(crate) async fn deadlocks(&self) -> Vec<String> {
        let log = self.postgres.lock().await.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("deadlock detected"));
        lines.map(str::to_owned).collect()
    }

    /// At the end: what processes have done that they should not. Keeps all logs.
    pub(crate) async fn misdeeds(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        let mut misdeeds = Vec::new();
        for program in self.ingests.iter().chain(&self.workers) {
            misdeeds.extend(program.lock().await.misdeeds()?);
        }
        let logs = folder.join("logs");
        fs::write(logs.join("redis.log"), self.redis.lock().await.log())?;
        fs::write(logs.join("postgres.log"), self.postgres.lock().await.log())?;
        Ok(misdeeds)
    }
}

/// With the tables.
fn start_postgres(folder: &Path) -> anyhow::Result<PostgresServer> {
    let postgres = PostgresServer::start_in(folder)?;
    postgres.psql("postgres", &format!("create database {DATABASE}"))?;
    let url = postgres.url(DATABASE);
    for sql in TABLES.into_iter().chain([DEADLOCK_TIMEOUT]) {
        postgres.psql(DATABASE, sql)?;
    }
    let settings = [("DATABASE_URL", &*url), ("TABLES_FILE", TABLES_FILE)];
    let migrated = Program::run("worker", &["migrate"], &settings)?;
    ensure!(migrated.status.success(), "worker migrate: {migrated:?}");
    Ok(postgres)
}

fn environment_of_ingest(
    address: SocketAddr,
    secret: &str,
    is_cluster: bool,
) -> [(&'static str, String); 3] {
    [
        ("INGEST_ADDR", address.to_string()),
        ("CLERK_WEBHOOK_SIGNING_SECRET", secret.into()),
        // Without it a failover loses what the new master has not received.
        ("REDIS_MIN_REPLICAS", u8::from(is_cluster).to_string()),
    ]
}

fn environment_of_worker(
    postgres: &Proxy,
    cache: Option<&RedisServer>,
) -> [(&'static str, String); 5] {
    let port = postgres.port();
    let database_url = format!("postgres://postgres@127.0.0.1:{port}/{DATABASE}");
    let cache_url = cache.map(RedisServer::url).unwrap_or_default();
    [
        ("DATABASE_URL", database_url),
        ("TABLES_FILE", TABLES_FILE.into()),
        ("CACHE_REDIS_URL", cache_url),
        ("RECLAIM_AFTER_MS", "2000".into()),
        ("BATCH_SIZE", "32".into()),
    ]
}
