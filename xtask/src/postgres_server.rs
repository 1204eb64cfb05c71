//! A private PostgreSQL.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    certificates::Certificate,
    child_process::{self, ChildProcess},
    free_port::free_port,
    postgres_user::unprivileged_user,
    server_programs,
    wait::block_until,
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
    binaries: PathBuf,
    /// Whom PostgreSQL runs as when we are root, whom it refuses.
    user: Option<User>,
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
        let user = unprivileged_user()?;
        if let Some(user) = &user {
            chown(
                folder.path(),
                Some(user.uid.as_raw()),
                Some(user.gid.as_raw()),
            )?;
        }
        let mut server = Self {
            process: None,
            port: free_port()?,
            binaries: server_programs::postgres_binaries()?,
            user,
            path: folder.path().canonicalize()?,
            _folder: folder,
        };
        server.initialise()?;
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

    fn initialise(&self) -> anyhow::Result<()> {
        let output =
            child_process::command(self.binaries.join("initdb"), "KILL", self.user.as_ref())
                .args(["--username=postgres", "--auth=trust", "--no-sync"])
                .args(["--locale=C.UTF-8", "--encoding=UTF8"])
                .arg(self.data())
                .current_dir(&self.path)
                .output()
                .context("cannot run setpriv (of the package util-linux)")?;
        ensure!(
            output.status.success(),
            "initdb: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
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
            // After a crash it refuses to start while the old shared memory is in use.
            let log = self.log();
            let may_heal = log.trim_end().rsplit('\n').take(3).any(|line| {
                line.contains("shared memory block") || line.contains("is still in use")
            });
            ensure!(
                may_heal && begin.elapsed() < START_DEADLINE,
                "PostgreSQL has not started:\n{log}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn spawn(&self) -> anyhow::Result<ChildProcess> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path.join("postgres.log"))?;
        // SIGQUIT is PostgreSQL's "stop at once, children included".
        let mut command =
            child_process::command(self.binaries.join("postgres"), "QUIT", self.user.as_ref());
        command
            .arg("-D")
            .arg(self.data())
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", &format!("port={}", self.port)])
            .args([
                "-c",
                &format!("unix_socket_directories={}", self.data().display()),
            ])
            .args(["-c", "max_connections=300"])
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

    /// Who may connect, before everybody whom it takes anyway: lines of pg_hba.conf. Takes effect at the
    /// next start.
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
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        if let Some(user) = &self.user {
            chown(&file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        Ok(())
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
        let output = Command::new(self.binaries.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
            .output()
            .context("cannot run psql")?;
        ensure!(
            output.status.success(),
            "psql: {}{}",
            String::from_utf8_lossy(&output.stderr).trim(),
            // psql: the connection was refused, or has broken.
            if output.status.code() == Some(2) {
                self.crashes()
            } else {
                String::new()
            }
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// What the log says of processes that have ended as they should not, if there were any.
    fn crashes(&self) -> String {
        let log = self.log();
        let lines = log.lines().filter(|line| {
            [
                "PANIC",
                "was terminated by signal",
                "No space left",
                "shared memory",
            ]
            .iter()
            .any(|sign| line.contains(sign))
        });
        lines.flat_map(|line| ["\n", line]).collect()
    }

    /// SIGKILL to every process of the server, as in a crash of the machine, and waits until they
    /// are gone. Does nothing when it is not running.
    pub fn kill(&mut self) {
        // The postmaster first, so that it starts no further process.
        self.process = None;
        let _ = block_until("PostgreSQL's processes are gone", STOP_DEADLINE, || {
            let left = processes_in(&self.data());
            for &pid in &left {
                let _ = kill(pid, Signal::SIGKILL);
            }
            left.is_empty()
        });
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
        fs::read_to_string(self.path.join("postgres.log")).unwrap_or_default()
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

/// The processes that work in `folder`. PostgreSQL's all work in its data folder; once the
/// postmaster is dead nothing else tells that they belong together. Zombies work nowhere.
fn processes_in(folder: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .collect()
}
