//! A private PostgreSQL.

mod installation;
mod log;
mod processes;

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use self::{installation::Installation, log::Log, processes::kill_all_in};
use crate::{
    certificates::Certificate, child_process::ChildProcess, free_port::free_port, wait::block_until,
};

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A real PostgreSQL on a free port of 127.0.0.1, its data in a temporary folder and synced to disk
/// (what was committed survives SIGKILL), with 300 connections. It has no passwords and one role,
/// `postgres`. Dropping it stops it and removes the folder.
#[derive(Debug)]
pub struct PostgresServer {
    // Declared before the folder: dropped, and so killed, before it.
    process: Option<ChildProcess>,
    port: u16,
    installation: Installation,
    log: Log,
    /// Holds `data` and `postgres.log`. Free of symbolic links, so that it can be compared with
    /// what /proc says.
    path: PathBuf,
    _folder: TempDir,
}

impl PostgresServer {
    /// Creates the cluster, starts it and waits until it accepts connections: one to three seconds.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed or does not start; the message holds its log.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_in(&env::temp_dir())
    }

    /// The same with the data in a new folder inside `parent`, which the user `postgres` must be
    /// able to enter when we are root.
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`].
    pub fn start_in(parent: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir_in(parent)?;
        let installation = Installation::find()?;
        installation.give(folder.path())?;
        let path = folder.path().canonicalize()?;
        let mut server = Self {
            process: None,
            port: free_port()?,
            installation,
            log: Log(path.join("postgres.log")),
            path,
            _folder: folder,
        };
        server
            .installation
            .initialise(&server.data(), &server.path)?;
        server.launch()?;
        Ok(server)
    }

    /// The server that the tests of one process share, each with a database of its own. It is
    /// started for the first who asks, and stops when the last one drops it.
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`].
    pub fn shared() -> anyhow::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let process = self.spawn()?;
            block_until("PostgreSQL accepts connections", START_DEADLINE, || {
                !process.is_running() || self.psql("postgres", "select 1").is_ok()
            })?;
            if process.is_running() {
                self.process = Some(process);
                return Ok(());
            }
            ensure!(
                self.log.may_heal() && begin.elapsed() < START_DEADLINE,
                "PostgreSQL has not started:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn spawn(&self) -> anyhow::Result<ChildProcess> {
        let log = self.log.open()?;
        let mut command = self.installation.server(&self.data(), self.port);
        command
            .current_dir(&self.path)
            .stdout(log.try_clone()?)
            .stderr(log);
        ChildProcess::spawn(command)
    }

    /// Restarts it with TLS and this certificate. Certificates of clients must be signed by the
    /// authority in `authorities`, a file.
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`].
    pub fn encrypt(&mut self, certificate: &Certificate, authorities: &Path) -> anyhow::Result<()> {
        self.write("server.crt", &fs::read(&certificate.certificate)?)?;
        self.write("server.key", &fs::read(&certificate.key)?)?;
        self.write("root.crt", &fs::read(authorities)?)?;
        self.write(
            "postgresql.auto.conf",
            b"ssl = on\nssl_ca_file = 'root.crt'\n",
        )?;
        self.restart()
    }

    /// Puts `lines` first in pg_hba.conf, before those that let everybody connect. Takes effect at the next
    /// start.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn let_in_first(&self, lines: &str) -> anyhow::Result<()> {
        let everybody = "host all all 127.0.0.1/32 trust\nlocal all all trust\n";
        self.write("pg_hba.conf", format!("{lines}\n{everybody}").as_bytes())
    }

    /// Writes a file of the data folder that nobody else may read.
    fn write(&self, file: &str, content: &[u8]) -> anyhow::Result<()> {
        let file = self.data().join(file);
        fs::write(&file, content)?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        Ok(self.installation.give(&file)?)
    }

    /// The port, on 127.0.0.1; the same after [`PostgresServer::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database: `postgres://postgres@127.0.0.1:PORT/DATABASE`.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database with a name of its own and returns its URL.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub fn create_database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        self.psql("postgres", &format!("create database {name}"))?;
        Ok(self.url(&name))
    }

    /// Runs `sql` with the real psql against a database of this server, given by URL or name.
    /// Returns the rows as lines, the columns separated by `|`, trimmed.
    ///
    /// # Errors
    ///
    /// When psql cannot connect or a statement fails; the message is psql's.
    pub fn psql(&self, url_or_database: &str, sql: &str) -> anyhow::Result<String> {
        let url = if url_or_database.contains("://") {
            url_or_database.to_owned()
        } else {
            self.url(url_or_database)
        };
        let output = self.installation.psql(&url, sql)?;
        ensure!(
            output.status.success(),
            "psql: {}{}",
            String::from_utf8_lossy(&output.stderr).trim(),
            // psql: the connection was refused, or has broken.
            if output.status.code() == Some(2) {
                self.log.crashes()
            } else {
                String::new()
            }
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// SIGKILL to every process of the server, as in a crash of the machine, and waits until they
    /// are gone. Does nothing when it is not running.
    pub fn kill(&mut self) {
        // The postmaster first, so that it starts no further process.
        self.process = None;
        kill_all_in(&self.data(), STOP_DEADLINE);
    }

    /// SIGINT: ends the sessions, writes everything out and stops. Does nothing when it is not
    /// running.
    ///
    /// # Errors
    ///
    /// When it still runs after 20 s.
    pub fn stop_fast(&mut self) -> anyhow::Result<()> {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGINT)?;
            process
                .wait(STOP_DEADLINE)
                .context("PostgreSQL does not stop")?;
            self.process = None;
        }
        Ok(())
    }

    /// Starts the server again on the same port and data, killing it first if it runs, and waits
    /// until it accepts connections.
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.launch()
    }

    /// All that the server has logged since the first start.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Where the data and the log are.
    pub fn folder(&self) -> &Path {
        &self.path
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Not SIGKILL at once: that would leave a piece of System V shared memory behind.
        if let Some(process) = &self.process
            && process.signal(Signal::SIGQUIT).is_ok()
        {
            process.wait(STOP_DEADLINE);
        }
        self.kill();
    }
}
