//! Everything between a sender and the rows: ingest, Redis, a worker, PostgreSQL.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use xtask::free_port::free_port;
use xtask::postgres_server::PostgresServer;
use xtask::program::Program;
use xtask::redis_server::RedisServer;
use xtask::wait;

use crate::node::Node;
use crate::peer::TIME_ZONE;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// An ingest in front of a Redis and a database that nobody else uses.
pub(crate) struct World {
    ingest: Program,
    address: String,
    pub(crate) redis: RedisServer,
    postgres: Arc<PostgresServer>,
    pub(crate) database_url: String,
    sent: AtomicU32,
}

impl World {
    /// Starts all but the worker, so that the application can be there first.
    pub(crate) fn new() -> Self {
        let redis = RedisServer::start().unwrap();
        let postgres = PostgresServer::shared().unwrap();
        let database_url = postgres.create_database().unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let ingest = Program::start(
            "ingest",
            &[
                ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
                ("INGEST_ADDR", &address),
                ("ADMIN_ADDR", &admin_address()),
                ("REDIS_URL", &redis.url()),
            ],
        )
        .unwrap();
        let world = Self {
            ingest,
            address,
            redis,
            postgres,
            database_url,
            sent: AtomicU32::new(0),
        };
        wait_for_start(&world.ingest, "the ingest listens", |_| {
            TcpStream::connect(&world.address).is_ok()
        });
        world
    }

    /// A worker that has migrated the database.
    pub(crate) fn worker(&self) -> Program {
        self.worker_with(&[])
    }

    /// The same with more settings.
    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> Program {
        let (redis_url, admin_address) = (self.redis.url(), admin_address());
        let own = [
            ("REDIS_URL", redis_url.as_str()),
            ("DATABASE_URL", &self.database_url),
            ("ADMIN_ADDR", &admin_address),
        ];
        let worker = Program::start("worker", &[&own, settings].concat()).unwrap();
        wait_for_start(&worker, "the worker has migrated the database", |worker| {
            worker.output().contains("worker has started")
        });
        worker
    }

    /// From now on every session begins in the time zone of the peers.
    pub(crate) fn leave_utc(&self) {
        let (_, database) = self.database_url.rsplit_once('/').unwrap();
        self.sql(&format!(
            "alter role current_user in database {database} set timezone = '{TIME_ZONE}'"
        ));
    }

    /// Of the webhook endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/webhooks/clerk", self.address)
    }

    /// Delivers events, signed by the official package for JavaScript, and waits until all are
    /// applied.
    pub(crate) fn deliver(&self, node: &Node, bodies: &[String]) {
        self.send(node, bodies);
        self.settle();
        let applied = "select count(*) from clerk_sync.events where outcome = 'applied'";
        let sent = self.sent.load(Ordering::Relaxed);
        assert_eq!(self.sql(applied), sent.to_string());
    }

    /// Delivers events without waiting for the worker.
    pub(crate) fn send(&self, node: &Node, bodies: &[String]) {
        let deliveries: Vec<Value> = bodies
            .iter()
            .map(|body| {
                let number = self.sent.fetch_add(1, Ordering::Relaxed);
                json!({
                    "svixId": format!("msg_{number}"), "prefix": "svix", "secret": SECRET, "age": 0,
                    "signed": body, "sent": body,
                })
            })
            .collect();
        let sent = node.ask(
            "svix_sender.mjs",
            &json!({ "url": self.url(), "deliveries": deliveries }),
        );
        let statuses: Vec<&Value> = sent
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| &answer["status"])
            .collect();
        assert_eq!(statuses, vec![200; bodies.len()]);
    }

    /// Waits until nothing waits: neither in the stream nor for a retry.
    pub(crate) fn settle(&self) {
        let unfinished = [
            "EVAL",
            "return redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])",
            "2",
            "{clerk:0}:events",
            "{clerk:0}:retry",
        ];
        wait::block_until("all events are finished", DEADLINE, || {
            self.redis.cli(&unfinished).unwrap() == "0"
        })
        .unwrap();
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.postgres
            .psql(&self.database_url, sql)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }
}

fn admin_address() -> String {
    format!("127.0.0.1:{}", free_port().unwrap())
}

fn wait_for_start(program: &Program, what: &str, started: impl Fn(&Program) -> bool) {
    wait::block_until(what, DEADLINE, || !program.is_running() || started(program))
        .unwrap_or_else(|error| panic!("{error}\n{}", program.output()));
    assert!(program.is_running(), "{}", program.output());
}
