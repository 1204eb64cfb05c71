//! A private pgbouncer.

use std::{
    fs::{self, File},
    os::unix::fs::chown,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::{
    child_process::{self, ChildProcess},
    free_port::free_port,
    packages,
    postgres_server::PostgresServer,
    postgres_user::unprivileged_user,
    wait::block_until,
};

/// A real pgbouncer on a free port of 127.0.0.1, in front of a PostgreSQL: transactions of its clients
/// share a few connections. Dropping it kills it.
#[derive(Debug)]
pub struct Pgbouncer {
    // Declared before the folder: dropped, and so killed, before it.
    process: ChildProcess,
    port: u16,
    folder: TempDir,
}

impl Pgbouncer {
    /// Starts one with `connections` to each database of `postgres`, in transaction mode, and waits until
    /// it lets clients through.
    ///
    /// # Errors
    ///
    /// When pgbouncer is not installed or does not start; the message holds its log.
    pub fn start(postgres: &PostgresServer, connections: u16) -> anyhow::Result<Self> {
        let program = packages::find("pgbouncer").context("pgbouncer is not installed")?;
        let folder = tempfile::Builder::new().prefix("pgbouncer-").tempdir()?;
        let port = free_port()?;
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(
            &settings,
            format!(
                "[databases]\n\
                 * = host=127.0.0.1 port={} user=postgres\n\
                 [pgbouncer]\n\
                 listen_addr = 127.0.0.1\n\
                 listen_port = {port}\n\
                 unix_socket_dir =\n\
                 auth_type = any\n\
                 pool_mode = transaction\n\
                 default_pool_size = {connections}\n",
                postgres.port()
            ),
        )?;
        // It does not run as root either.
        let user = unprivileged_user()?;
        if let Some(user) = &user {
            let (owner, group) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
            chown(folder.path(), owner, group)?;
            chown(&settings, owner, group)?;
        }
        let log = File::create(folder.path().join("pgbouncer.log"))?;
        let mut command = child_process::command(program, "KILL", user.as_ref());
        command.arg(&settings).stdout(log.try_clone()?).stderr(log);
        let pgbouncer = Self {
            process: ChildProcess::spawn(command)?,
            port,
            folder,
        };
        let answers = || {
            postgres
                .psql(&pgbouncer.url("postgres"), "select 1")
                .is_ok()
        };
        let process = &pgbouncer.process;
        block_until(
            "pgbouncer lets clients through",
            Duration::from_secs(30),
            || !process.is_running() || answers(),
        )?;
        let log = fs::read_to_string(pgbouncer.folder.path().join("pgbouncer.log"))?;
        ensure!(process.is_running(), "pgbouncer has not started:\n{log}");
        Ok(pgbouncer)
    }

    /// The URL of a database behind it: `postgres://postgres@127.0.0.1:PORT/DATABASE`.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}
