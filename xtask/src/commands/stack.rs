//! Everything that runs together: Redis, PostgreSQL, ingest and two workers.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use uuid::Uuid;
use xtask::{
    free_port::free_port, http::Http, postgres_server::PostgresServer, postgres_user,
    program::Program, redis_server::RedisServer, wait,
};

const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Above the programs' default of `SHUTDOWN_GRACE_MS`.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
const DATABASE: &str = "demo";

/// Dropping it kills and removes everything; [`Stack::stop`] before is the polite way.
pub(crate) struct Stack {
    // In the order in which they are dropped.
    ingest: Program,
    workers: [Program; 2],
    pub(crate) redis: RedisServer,
    pub(crate) postgres: PostgresServer,
    _folder: TempDir,
    /// Of the webhook endpoint.
    pub(crate) url: String,
    pub(crate) secret: String,
    /// Of ingest and the workers: `http://127.0.0.1:PORT`.
    pub(crate) admin_urls: [String; 3],
}

impl Stack {
    /// Starts everything on free ports with a new signing secret, and waits until it is ready.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = data_folder("demo-")?;
        let redis = RedisServer::start_in(folder.path(), &[])?;
        let postgres = PostgresServer::start_in(folder.path())?;
        postgres.psql("postgres", &format!("create database {DATABASE}"))?;
        let ingest_address = format!("127.0.0.1:{}", free_port()?);
        // Hexadecimal digits are base64 too: these 32 stand for a key of 24 bytes.
        let secret = format!("whsec_{}", Uuid::new_v4().simple());
        let mut admin_addresses = Vec::new();
        for _ in 0..3 {
            admin_addresses.push(format!("127.0.0.1:{}", free_port()?));
        }
        let redis_url = redis.url();
        let ingest = Program::start(
            "ingest",
            &[
                ("INGEST_ADDR", &ingest_address),
                ("ADMIN_ADDR", &admin_addresses[0]),
                ("REDIS_URL", &redis_url),
                ("CLERK_WEBHOOK_SIGNING_SECRET", &secret),
            ],
        )?;
        let database_url = postgres.url(DATABASE);
        let worker = |admin_address: &str| {
            Program::start(
                "worker",
                &[
                    ("ADMIN_ADDR", admin_address),
                    ("REDIS_URL", &redis_url),
                    ("DATABASE_URL", &database_url),
                ],
            )
        };
        let stack = Self {
            ingest,
            workers: [worker(&admin_addresses[1])?, worker(&admin_addresses[2])?],
            redis,
            postgres,
            _folder: folder,
            url: format!("http://{ingest_address}/api/webhooks/clerk"),
            secret,
            admin_urls: [0, 1, 2].map(|index: usize| format!("http://{}", admin_addresses[index])),
        };
        stack.wait_until_ready().await?;
        Ok(stack)
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let http = Http::new();
        for ((name, program), admin_url) in self.programs().into_iter().zip(&self.admin_urls) {
            let readyz = format!("{admin_url}/readyz");
            let what = format!("{name} is ready");
            let ready = wait::until(&what, READY_DEADLINE, async || {
                !program.is_running()
                    || http
                        .get(&readyz)
                        .await
                        .is_ok_and(|answer| answer.status == 200)
            });
            ready
                .await
                .with_context(|| format!("the output of {name}:\n{}", program.output()))?;
            ensure!(
                program.is_running(),
                "{name} has ended:\n{}",
                program.output()
            );
        }
        Ok(())
    }

    /// With their names, in the order of `admin_urls`.
    pub(crate) fn programs(&self) -> [(&'static str, &Program); 3] {
        let [first, second] = &self.workers;
        [
            ("ingest", &self.ingest),
            ("worker 1", first),
            ("worker 2", second),
        ]
    }

    /// SQL against the database of the workers; rows as lines, columns separated by `|`.
    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<String> {
        self.postgres.psql(DATABASE, statement)
    }

    pub(crate) fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// SIGTERM to the programs, ingest first, and then to the stores.
    ///
    /// # Errors
    ///
    /// When a program does not exit with 0 in time.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        for (name, program) in self.programs() {
            program.signal(Signal::SIGTERM)?;
            let status = program.wait(STOP_DEADLINE)?;
            ensure!(
                status.success(),
                "{name}: {status}; its output:\n{}",
                program.output()
            );
        }
        self.postgres.stop_fast()
    }
}

/// `target/PREFIXXXXX`; in the folder for temporary files if PostgreSQL cannot work there.
pub(crate) fn data_folder(prefix: &str) -> anyhow::Result<TempDir> {
    let program = env::current_exe()?;
    let target = program
        .ancestors()
        .nth(2)
        .context("the current program is in no folder")?;
    let parent = if postgres_user::can_work_in(target) {
        PathBuf::from(target)
    } else {
        env::temp_dir()
    };
    let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
    // PostgreSQL may have to run as another user than we.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}
