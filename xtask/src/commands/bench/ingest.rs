//! The part `ingest`: how many events a second it takes, beside servers that do less, and beside
//! what people would use instead. Each round of each row has a new server process and new stores, so
//! that none begins with what another one has left, and is preceded by a warm-up.

pub(crate) mod row;
pub(crate) mod server;

use std::{env, path::Path, process, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use tempfile::TempDir;
use xtask::{postgres_server::PostgresServer, program::Program, redis_server::RedisServer};

use self::{
    row::{Round, Row},
    server::{Server, free_address},
};
use super::{
    super::stack::data_folder,
    events::{Events, new_secret},
    load::Connections,
    measurement::Measurement,
    node::Node,
    process_usage::usage,
    redis_benchmark,
    rows::{self, CONNECTIONS},
    scale::Scale,
};

pub(crate) const PATH: &str = "/api/webhooks/clerk";
const USERS: &str = include_str!("../../../../worker/sql/create_users.sql");

/// What is compared.
#[derive(Clone, Copy)]
enum Subject {
    Ingest { connections: usize },
    BareServer { connections: usize },
    VerifyingServer { connections: usize },
    QueueingServer { connections: usize },
    RedisAlone { pipeline: usize },
    NodeInline,
    NodeBullmq,
}

const SUBJECTS: [Subject; 12] = [
    Subject::Ingest { connections: 16 },
    Subject::BareServer { connections: 16 },
    Subject::Ingest {
        connections: CONNECTIONS,
    },
    Subject::BareServer {
        connections: CONNECTIONS,
    },
    Subject::QueueingServer {
        connections: CONNECTIONS,
    },
    Subject::VerifyingServer {
        connections: CONNECTIONS,
    },
    Subject::RedisAlone { pipeline: 1 },
    Subject::RedisAlone { pipeline: 16 },
    Subject::NodeInline,
    Subject::NodeBullmq,
    Subject::Ingest { connections: 256 },
    Subject::BareServer { connections: 256 },
];

impl Subject {
    fn name(self) -> String {
        match self {
            Self::Ingest { connections } => rows::ingest(connections),
            Self::BareServer { connections } => rows::bare_server(connections),
            Self::VerifyingServer { connections } => rows::verifying_server(connections),
            Self::QueueingServer { connections } => rows::queueing_server(connections),
            Self::RedisAlone { pipeline } => rows::redis_alone(pipeline),
            Self::NodeInline => rows::NODE_INLINE.into(),
            Self::NodeBullmq => rows::NODE_BULLMQ.into(),
        }
    }

    fn needs_node(self) -> bool {
        matches!(self, Self::NodeInline | Self::NodeBullmq)
    }
}

/// Measures everything in turn, `scale.rounds` times.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let node = Node::install();
    // Where everything can be had, nothing may be left out unnoticed.
    let node = if env::var_os("CI").is_some() {
        Ok(node?)
    } else {
        node.map_err(|error| {
            eprintln!("Without the rows of Node.js: {error:#}");
            error.to_string()
        })
    };
    let folder = data_folder("bench-")?;
    let bench = Bench {
        postgres: PostgresServer::start_in(folder.path())?,
        folder,
        events: if scale.short { 300 } else { 100_000 },
        limit: Duration::from_secs(if scale.short { 2 } else { 6 }),
    };
    let mut rows = SUBJECTS.map(|subject| Row::new("ingest", subject.name(), "requests/s"));
    for _ in 0..scale.rounds {
        for (subject, row) in SUBJECTS.into_iter().zip(&mut rows) {
            match &node {
                Err(reason) if subject.needs_node() => row.not_run(reason),
                node => {
                    let round = bench.measure(subject, node.as_ref().ok()).await;
                    row.add(round.with_context(|| subject.name())?);
                }
            }
        }
    }
    Ok(rows.into_iter().map(Row::finish).collect())
}

struct Bench {
    // Declared before the folder: dropped before it.
    postgres: PostgresServer,
    folder: TempDir,
    /// How many are sent after the warm-up, if the limit allows.
    events: usize,
    limit: Duration,
}

impl Bench {
    async fn measure(&self, subject: Subject, node: Option<&Node>) -> anyhow::Result<Round> {
        let secret = new_secret();
        let redis = RedisServer::start_in(self.folder.path(), &[])?;
        let address = free_address()?;
        match subject {
            Subject::Ingest { connections } => {
                let server = Server::ingest(&redis.url(), &secret).await?;
                let (round, accepted) = self.load(&server, "ingest", &secret, connections).await?;
                check_count(&redis.cli(&["XLEN", "{clerk:0}:events"])?, accepted)?;
                Ok(round)
            }
            Subject::BareServer { connections } => {
                let program = baseline_server(&["--address", &address.to_string()])?;
                let server = Server::listening(program, address).await?;
                let (round, _) = self.load(&server, "server", &secret, connections).await?;
                Ok(round)
            }
            Subject::VerifyingServer { connections } => {
                let address_and_secret = ["--address", &address.to_string(), "--verify", &secret];
                let program = baseline_server(&address_and_secret)?;
                let server = Server::listening(program, address).await?;
                let (round, _) = self.load(&server, "server", &secret, connections).await?;
                Ok(round)
            }
            Subject::QueueingServer { connections } => {
                let arguments = ["--address", &address.to_string(), "--queue", &redis.url()];
                let server = Server::listening(baseline_server(&arguments)?, address).await?;
                let (round, accepted) = self.load(&server, "server", &secret, connections).await?;
                check_count(&redis.cli(&["XLEN", "events"])?, accepted)?;
                Ok(round)
            }
            Subject::RedisAlone { pipeline } => {
                let payload = Events::make(PATH, &secret, 1, |_| false)
                    .await?
                    .first_body()?;
                let report = redis_benchmark::run(&redis, &payload, self.events, pipeline)?;
                let round = Round {
                    value: report.per_second,
                    ..Round::default()
                };
                Ok(round
                    .detail("p50, ms", report.p50)
                    .detail("p99, ms", report.p99))
            }
            Subject::NodeInline => {
                let node = node.context("Node.js is missing")?;
                let database = self.postgres.create_database()?;
                self.postgres.psql(&database, USERS)?;
                let program = node.start_inline(address, &secret, &database)?;
                let server = Server::listening(program, address).await?;
                let (round, accepted) = self.load(&server, "server", &secret, CONNECTIONS).await?;
                let users = "select count(*) from users";
                check_count(&self.postgres.psql(&database, users)?, accepted)?;
                Ok(round)
            }
            Subject::NodeBullmq => {
                let node = node.context("Node.js is missing")?;
                let program = node.start_bullmq(address, &secret, &redis.url())?;
                let server = Server::listening(program, address).await?;
                let (round, accepted) = self.load(&server, "server", &secret, CONNECTIONS).await?;
                check_count(&redis.cli(&["LLEN", "bull:clerk:wait"])?, accepted)?;
                Ok(round)
            }
        }
    }

    /// Returns also how many events the server has accepted in all.
    async fn load(
        &self,
        server: &Server,
        name: &str,
        secret: &str,
        connections: usize,
    ) -> anyhow::Result<(Round, usize)> {
        let (warm_up, pid) = (self.events / 5, server.program.pid());
        let events = Events::make(PATH, secret, warm_up + self.events, |_| false).await?;
        let load = async {
            let mut connections = Connections::open(server.address, connections).await?;
            let warm = connections
                .send(&events, 0..warm_up, self.limit / 5)
                .await?;
            let rest = warm.requests..warm.requests + self.events;
            let before = usage(pid)?;
            let answered = connections.send(&events, rest, self.limit).await?;
            let round = Round::of(&answered).usage(name, before, usage(pid)?, answered.requests);
            anyhow::Ok((round, warm.requests + answered.requests))
        };
        load.await.map_err(|error| {
            let output = server.program.output();
            anyhow!("{error:#}; the output of the server:\n{output}")
        })
    }
}

/// What was answered with 200 must be there, and nothing else (P1, P2).
fn check_count(found: &str, accepted: usize) -> anyhow::Result<()> {
    ensure!(
        found.parse() == Ok(accepted),
        "{accepted} events were accepted, and {found} are there"
    );
    Ok(())
}

/// This program itself, as `bench-server`. Not by its path: cargo may have built it anew since.
fn baseline_server(arguments: &[&str]) -> anyhow::Result<Program> {
    let program = format!("/proc/{}/exe", process::id());
    let arguments = [&["bench-server"], arguments].concat();
    Program::start_file("bench-server", Path::new(&program), &arguments, &[])
}
