//! Everything that runs together: Redis, PostgreSQL, ingest and two workers.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use xtask::{
    free_port::free_address, postgres_server::PostgresServer, postgres_user, program::Program,
    redis_server::RedisServer, sender::new_secret,
};

use super::demo::table::Files;

/// Above the programs' default of `SHUTDOWN_GRACE_MS`.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
const DATABASE: &str = "demo";

/// Dropping it kills and removes everything; [`Stack::stop`] before is the polite way.
pub(crate) struct Stack {
    // In the order in which they are dropped.
    /// Ingest first.
    pub(crate) members: Vec<Member>,
    pub(crate) redis: RedisServer,
    pub(crate) postgres: PostgresServer,
    _folder: TempDir,
    /// Of the webhook endpoint.
    pub(crate) url: String,
    pub(crate) secret: String,
}

/// Ingest, or a worker.
pub(crate) struct Member {
    /// `worker 2`
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) admin_address: String,
}

impl Member {
    fn start(
        name: &'static str,
        binary: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let admin_address = free_address()?.to_string();
        let environment = [environment, &[("ADMIN_ADDR", &admin_address)]].concat();
        Ok(Self {
            name,
            program: Program::start(binary, &environment)?,
            admin_address,
        })
    }
}

impl Stack {
    /// Starts everything on free ports with a new signing secret, and waits until it is ready. With files of the
    /// caller's, their schema is there before the workers.
    pub(crate) async fn start(files: Option<&Files>) -> anyhow::Result<Self> {
        let folder = data_folder("demo-")?;
        let redis = RedisServer::start_in(folder.path(), &[])?;
        let postgres = PostgresServer::start_in(folder.path())?;
        postgres.psql("postgres", &format!("create database {DATABASE}"))?;
        let tables = files.map(|files| files.tables.display().to_string());
        if let Some(files) = files {
            let schema = files.schema.display().to_string().replace('\'', "''");
            postgres.psql(DATABASE, &format!(r"\i '{schema}'"))?;
        }
        let (address, secret) = (free_address()?.to_string(), new_secret());
        let (redis_url, database_url) = (redis.url(), postgres.url(DATABASE));
        let of_ingest = [
            ("INGEST_ADDR", address.as_str()),
            ("REDIS_URL", &redis_url),
            ("CLERK_WEBHOOK_SIGNING_SECRET", &secret),
        ];
        let mut of_worker = vec![
            ("REDIS_URL", redis_url.as_str()),
            ("DATABASE_URL", &database_url),
        ];
        of_worker.extend(tables.as_deref().map(|file| ("TABLES_FILE", file)));
        let members = vec![
            Member::start("ingest", "ingest", &of_ingest)?,
            Member::start("worker 1", "worker", &of_worker)?,
            Member::start("worker 2", "worker", &of_worker)?,
        ];
        for member in &members {
            let ready = member.program.wait_until_ready(&member.admin_address);
            ready.await?;
        }
        Ok(Self {
            members,
            redis,
            postgres,
            _folder: folder,
            url: format!("http://{address}/api/webhooks/clerk"),
            secret,
        })
    }

    /// SQL against the database of the workers; rows as lines, columns separated by `|`.
    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<String> {
        self.postgres.psql(DATABASE, statement)
    }

    /// What the programs say about anything that has a reason.
    pub(crate) fn complaints(&self) -> String {
        let said = self.members.iter().map(|member| member.program.output());
        let said: Vec<String> = said.collect();
        let lines = said.iter().flat_map(|text| text.lines());
        let lines: Vec<&str> = lines.filter(|line| line.contains("reason")).collect();
        lines.join("\n")
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
        for Member { name, program, .. } in &self.members {
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
