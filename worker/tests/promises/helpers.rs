//! A world for each test: its own Redis, its own database, as many workers as it wants.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use shared::svix_id::SvixId;
use tempfile::NamedTempFile;
use worker::apply::fence::Fence;
use worker::apply::target::Targets;
use worker::database::Database;
use worker::database::failure::Failure;
use worker::database::url::DatabaseUrl;
use worker::event::Event;
use worker::event::reader::Reader;
use worker::tables::Tables;
use xtask::clerk_payload::UserPayload;
use xtask::free_port::free_port;
use xtask::postgres_server::PostgresServer;
use xtask::program::Program;
use xtask::redis_server::RedisServer;
use xtask::wait;

use crate::applications::{BUILT_IN, Schema};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const EVENTS: &str = "{clerk:0}:events";
pub(crate) const DEAD: &str = "{clerk:0}:dead";
pub(crate) const RETRY: &str = "{clerk:0}:retry";

/// Counts what is not finished, in one step: an entry may move between the two at any time.
pub(crate) const UNFINISHED: [&str; 5] = [
    "EVAL",
    "return redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])",
    "2",
    EVENTS,
    RETRY,
];

/// A Redis and a database that nobody else uses.
pub(crate) struct World {
    pub(crate) redis: RedisServer,
    pub(crate) postgres: Arc<PostgresServer>,
    pub(crate) database_url: String,
    pub(crate) schema: &'static Schema,
    /// Its tables file, if it is not the built-in one.
    pub(crate) tables: Option<NamedTempFile>,
    added: AtomicU32,
}

/// A worker and where to ask about it.
pub(crate) struct Worker {
    pub(crate) program: Program,
    pub(crate) admin: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_redis(RedisServer::start().unwrap())
    }

    pub(crate) fn with_redis(redis: RedisServer) -> Self {
        let postgres = PostgresServer::shared().unwrap();
        let database_url = postgres.create_database().unwrap();
        Self {
            redis,
            postgres,
            database_url,
            schema: BUILT_IN,
            tables: None,
            added: AtomicU32::new(0),
        }
    }

    fn tables_file(&self) -> impl Iterator<Item = (&str, &str)> {
        let tables = self.tables.iter();
        tables.map(|file| ("TABLES_FILE", file.path().to_str().unwrap()))
    }

    /// A world whose tables are there before any worker is.
    pub(crate) fn migrated() -> Self {
        let world = Self::new();
        world.migrate();
        world
    }

    pub(crate) fn migrate(&self) {
        let mut settings = vec![("DATABASE_URL", self.database_url.as_str())];
        settings.extend(self.tables_file());
        let output = Program::run("worker", &["migrate"], &settings).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(&[])
    }

    /// A worker that has started: it has migrated, and it is a consumer of the group.
    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> Worker {
        let worker = self.start_worker(settings);
        wait::block_until("the worker has started", DEADLINE, || {
            worker.program.output().contains("worker has started")
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", worker.program.output()));
        worker
    }

    pub(crate) fn start_worker(&self, settings: &[(&str, &str)]) -> Worker {
        let admin = format!("127.0.0.1:{}", free_port().unwrap());
        let redis = self.redis.url();
        let mut environment = vec![
            ("REDIS_URL", redis.as_str()),
            ("DATABASE_URL", self.database_url.as_str()),
            ("ADMIN_ADDR", admin.as_str()),
        ];
        environment.extend(self.tables_file());
        environment.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
        environment.extend_from_slice(settings);
        Worker {
            program: Program::start("worker", &environment).unwrap(),
            admin,
        }
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.postgres
            .psql(&self.database_url, sql)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// SQL in which TABLE and NAME are the application's table and its column of the first name.
    pub(crate) fn sql_of_table(&self, sql: &str) -> String {
        self.sql(&self.schema.sql(sql))
    }

    /// The cache tags of the row of a user.
    pub(crate) fn tags(&self, user_id: &str) -> Vec<String> {
        let tags = self.sql(&self.schema.tags(user_id));
        tags.lines().map(str::to_owned).collect()
    }

    pub(crate) fn redis(&self, command: &[&str]) -> String {
        self.redis
            .cli(command)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Adds an entry by hand.
    pub(crate) fn add(&self, svix_id: &str, payload: &str) {
        self.redis(&["XADD", EVENTS, "*", "svix-id", svix_id, "payload", payload]);
    }

    /// Adds an entry with a svix-id that is greater than all before.
    pub(crate) fn add_next(&self, payload: &str) -> String {
        let svix_id = format!("msg_{:06}", self.added.fetch_add(1, Ordering::Relaxed));
        self.add(&svix_id, payload);
        svix_id
    }

    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        wait::block_until(what, DEADLINE, || condition(self)).unwrap_or_else(|error| {
            panic!(
                "{error}; backlog {}, waiting {}, dead {}\n{}",
                self.backlog(),
                self.redis(&["ZCARD", RETRY]),
                self.redis(&["XRANGE", DEAD, "-", "+"]),
                self.sql("select * from clerk_sync.events order by 1 limit 50"),
            )
        });
    }

    /// Waits until nothing waits: neither in the stream nor for a retry.
    pub(crate) fn settle(&self) {
        self.wait_for("all events are finished", |world| {
            world.redis(&UNFINISHED) == "0"
        });
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.redis(&["XLEN", EVENTS]).parse().unwrap()
    }

    pub(crate) fn outcome(&self, svix_id: &str) -> String {
        self.sql(&format!(
            "select outcome from clerk_sync.events where svix_id = '{svix_id}'"
        ))
    }

    pub(crate) fn users(&self) -> String {
        self.sql("select id || ' ' || name || ' ' || email from users order by id")
    }

    /// Reason of the dead letter of an event.
    pub(crate) fn reason(&self, svix_id: &str) -> Option<String> {
        self.dead_letter(svix_id, "reason")
    }

    /// One field of the dead letter of an event.
    pub(crate) fn dead_letter(&self, svix_id: &str, field: &str) -> Option<String> {
        let script = "for _, letter in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
             local found, value = false, nil \
             for i = 1, #letter[2], 2 do \
               if letter[2][i] == 'svix-id' and letter[2][i + 1] == ARGV[1] then found = true end \
               if letter[2][i] == ARGV[2] then value = letter[2][i + 1] end \
             end \
             if found then return value end \
           end return ''";
        let value = self.redis(&["EVAL", script, "1", DEAD, svix_id, field]);
        (!value.is_empty()).then_some(value)
    }
}

/// A user whose second of `updated_at` is told.
pub(crate) fn user(id: &str, email: &str, second: i64) -> UserPayload {
    let milliseconds = 1_716_883_200_000 + second * 1000;
    UserPayload::new(id, email)
        .updated_at(milliseconds)
        .timestamp(milliseconds + 50)
}

/// An event as a worker reads it that has no tables file.
pub(crate) fn event(svix_id: &str, payload: &str) -> Event {
    event_of(&reader(), svix_id, payload)
}

/// An event as `reader` reads it.
pub(crate) fn event_of(reader: &Reader, svix_id: &str, payload: &str) -> Event {
    let svix_id = SvixId::parse(svix_id).unwrap();
    reader
        .read(svix_id, SystemTime::now(), payload.as_bytes())
        .unwrap()
}

/// Reads events as a worker does that has no tables file.
pub(crate) fn reader() -> Reader {
    Reader::new(&Tables::built_in())
}

/// Where such a worker writes them.
pub(crate) fn targets() -> Targets {
    Targets::new(Tables::built_in())
}

/// For events that stand in no stream: nobody else can have them.
pub(crate) struct Unfenced;

impl Fence for Unfenced {
    async fn lost(&self, _: &[&Event]) -> Result<HashSet<String>, Failure> {
        Ok(HashSet::new())
    }
}

/// The worker's connections to a world.
pub(crate) fn database(world: &World) -> Database {
    let url = DatabaseUrl::parse(Some(&world.database_url), &|_| None);
    Database::new(&url.unwrap()).unwrap()
}
