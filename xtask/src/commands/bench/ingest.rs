//! The part `ingest`: how many events a second it takes, beside servers that do less, and beside
//! what people would use instead. Each round of each row has a new server process and new stores, so
//! that none begins with what another one has left, and is preceded by a warm-up.

use std::{env, net::SocketAddr, path::Path, process, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use tempfile::TempDir;
use xtask::{
    free_port::free_address, postgres_server::PostgresServer, program::Program,
    redis_server::RedisServer, sender::new_secret,
};

use super::{
    super::stack::data_folder,
    events::Events,
    load::Connections,
    measurement::{Measurement, Round},
    node::Node,
    process_usage::usage,
    redis_benchmark,
    rows::{self, CONNECTIONS},
    scale::Scale,
    server::Server,
};

pub(crate) const PATH: &str = "/api/webhooks/clerk";
const USERS: &str = include_str!("../../../../worker/src/database/create_users.sql");

/// What is compared.
#[derive(Clone, Copy)]
enum Subject {
    Server { kind: Kind, connections: usize },
    RedisAlone { pipeline: usize },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ingest,
    Bare,
    Verifying,
    Queueing,
    NodeInline,
    NodeBullmq,
}

const fn server(kind: Kind, connections: usize) -> Subject {
    Subject::Server { kind, connections }
}

const SUBJECTS: [Subject; 12] = [
    server(Kind::Ingest, 16),
    server(Kind::Bare, 16),
    server(Kind::Ingest, CONNECTIONS),
    server(Kind::Bare, CONNECTIONS),
    server(Kind::Queueing, CONNECTIONS),
    server(Kind::Verifying, CONNECTIONS),
    Subject::RedisAlone { pipeline: 1 },
    Subject::RedisAlone { pipeline: 16 },
    server(Kind::NodeInline, CONNECTIONS),
    server(Kind::NodeBullmq, CONNECTIONS),
    server(Kind::Ingest, 256),
    server(Kind::Bare, 256),
];

impl Subject {
    fn name(self) -> String {
        match self {
            Self::Server { kind, connections } => kind.name(connections),
            Self::RedisAlone { pipeline } => rows::redis_alone(pipeline),
        }
    }

    fn needs_node(self) -> bool {
        matches!(self, Self::Server { kind, .. } if kind.is_node())
    }
}

impl Kind {
    fn name(self, connections: usize) -> String {
        match self {
            Self::Ingest => rows::ingest(connections),
            Self::Bare => rows::bare_server(connections),
            Self::Verifying => rows::verifying_server(connections),
            Self::Queueing => rows::queueing_server(connections),
            Self::NodeInline => rows::NODE_INLINE.into(),
            Self::NodeBullmq => rows::NODE_BULLMQ.into(),
        }
    }

    const fn is_node(self) -> bool {
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
    let mut rows = SUBJECTS.map(|subject| Measurement::new("ingest", subject.name(), "requests/s"));
    for _ in 0..scale.rounds {
        for (subject, row) in SUBJECTS.into_iter().zip(&mut rows) {
            match &node {
                Err(reason) if subject.needs_node() => row.leave_out(reason),
                node => {
                    let round = bench.measure(subject, node.as_ref().ok()).await;
                    row.add(round.with_context(|| subject.name())?);
                }
            }
        }
    }
    Ok(rows.into())
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
        let redis = RedisServer::start_in(self.folder.path(), &[])?;
        match subject {
            Subject::Server { kind, connections } => {
                self.measure_server(kind, connections, &redis, node).await
            }
            Subject::RedisAlone { pipeline } => {
                let one = Events::make(PATH, &new_secret(), 1, |_| false).await?;
                let report =
                    redis_benchmark::run(&redis, &one.first_body()?, self.events, pipeline)?;
                Ok(Round::new(report.per_second)
                    .detail("p50, ms", report.p50)
                    .detail("p99, ms", report.p99))
            }
        }
    }

    async fn measure_server(
        &self,
        kind: Kind,
        connections: usize,
        redis: &RedisServer,
        node: Option<&Node>,
    ) -> anyhow::Result<Round> {
        let secret = new_secret();
        let mut database = String::new();
        if kind == Kind::NodeInline {
            database = self.postgres.create_database()?;
            self.postgres.psql(&database, USERS)?;
        }
        let server = start(kind, &secret, &redis.url(), &database, node).await?;
        let name = if kind == Kind::Ingest {
            "ingest"
        } else {
            "server"
        };
        let (round, accepted) = self.load(&server, name, &secret, connections).await?;
        // What was answered with 200 must be there, and nothing else (P1, P2).
        let found = match kind {
            Kind::Ingest => redis.cli(&["XLEN", "{clerk:0}:events"])?,
            Kind::Queueing => redis.cli(&["XLEN", "events"])?,
            Kind::NodeInline => self
                .postgres
                .psql(&database, "select count(*) from users")?,
            Kind::NodeBullmq => redis.cli(&["LLEN", "bull:clerk:wait"])?,
            Kind::Bare | Kind::Verifying => return Ok(round),
        };
        ensure!(
            found.parse() == Ok(accepted),
            "{accepted} events were accepted, and {found} are there"
        );
        Ok(round)
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

/// Starts a server of this kind; it takes events when this returns.
async fn start(
    kind: Kind,
    secret: &str,
    redis_url: &str,
    database_url: &str,
    node: Option<&Node>,
) -> anyhow::Result<Server> {
    if kind == Kind::Ingest {
        return Ok(Server::ingest(redis_url, secret, &[]).await?.0);
    }
    let address = free_address()?;
    let node = || node.context("Node.js is missing");
    let program = match kind {
        Kind::Verifying => baseline_server(address, &["--verify", secret]),
        Kind::Queueing => baseline_server(address, &["--queue", redis_url]),
        Kind::NodeInline => {
            let store = ("DATABASE_URL", database_url);
            node()?.start("inline.mjs", address, secret, store)
        }
        Kind::NodeBullmq => {
            let store = ("REDIS_URL", redis_url);
            node()?.start("bullmq.mjs", address, secret, store)
        }
        Kind::Bare | Kind::Ingest => baseline_server(address, &[]),
    };
    Server::listening(program?, address).await
}

/// This program itself, as `bench-server`. Not by its path: cargo may have built it anew since.
fn baseline_server(address: SocketAddr, arguments: &[&str]) -> anyhow::Result<Program> {
    let program = format!("/proc/{}/exe", process::id());
    let address = address.to_string();
    let arguments = [&["bench-server", "--address", &address], arguments].concat();
    Program::start_file("bench-server", Path::new(&program), &arguments, &[])
}
