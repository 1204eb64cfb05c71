//! A private Redis.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    certificates::Certificate,
    child_process::{self, ChildProcess},
    free_port::free_port,
    server_programs,
    wait::block_until,
};

/// The settings that the project ships, in `compose.yaml`: what was acknowledged survives SIGKILL.
const SETTINGS: [[&str; 2]; 7] = [
    ["--bind", "127.0.0.1"],
    ["--appendonly", "yes"],
    ["--appendfsync", "always"],
    ["--maxmemory-policy", "noeviction"],
    ["--save", ""],
    ["--auto-aof-rewrite-min-size", "256mb"],
    ["--rdbcompression", "no"],
];

/// A real redis-server on a free port of 127.0.0.1, its data in a temporary folder. Dropping it
/// kills it and removes the folder.
#[derive(Debug)]
pub struct RedisServer {
    // Declared before the folder: dropped, and so killed, before it.
    process: Option<ChildProcess>,
    port: u16,
    /// The port where TLS is spoken, if it is.
    tls_port: Option<u16>,
    extra_arguments: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one with append-only file, fsync always and no eviction, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When redis-server is not installed or does not start; the message holds its log.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with more arguments, such as `["--maxmemory", "10mb"]`; they win over the above.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(&std::env::temp_dir(), arguments)
    }

    /// The same with the data in a new folder inside `parent`.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub fn start_in(parent: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut server = Self {
            process: None,
            port: free_port()?,
            tls_port: None,
            extra_arguments: arguments.iter().map(|&argument| argument.into()).collect(),
            folder: tempfile::Builder::new()
                .prefix("redis-")
                .tempdir_in(parent)?,
        };
        server.launch()?;
        Ok(server)
    }

    /// Starts another that replicates this one, and waits until it has all data. `port` leads to this
    /// one: its own, or that of a proxy in front.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`], or when the two do not come together.
    pub fn start_replica(&self, port: u16) -> anyhow::Result<Self> {
        // By default the first replica waits 5 s for others to share the transfer with.
        self.cli(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"])?;
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &port.to_string()])?;
        block_until("the replica is connected", Duration::from_secs(60), || {
            replica
                .cli(&["INFO", "replication"])
                .is_ok_and(|info| info.contains("master_link_status:up"))
        })?;
        Ok(replica)
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("redis.log"))?;
        let mut command = child_process::command(server_programs::redis_server(), "KILL", None);
        command
            .args(["--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .args(SETTINGS.as_flattened())
            .args(&self.extra_arguments)
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = ChildProcess::spawn(command)?;
        block_until("redis-server answers PING", Duration::from_secs(60), || {
            !process.is_running() || self.cli(&["PING"]).is_ok_and(|answer| answer == "PONG")
        })?;
        ensure!(
            process.is_running(),
            "redis-server (of the package redis-server) has not started:\n{}",
            self.log()
        );
        self.process = Some(process);
        Ok(())
    }

    /// `redis://127.0.0.1:PORT`; the same after [`RedisServer::restart`].
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on speaks TLS on another port, with this certificate.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn encrypt(&mut self, certificate: &Certificate) -> anyhow::Result<()> {
        let port = self.tls_port.map_or_else(free_port, Ok)?;
        self.cli(&[
            "CONFIG",
            "SET",
            "tls-auth-clients",
            "no",
            "tls-cert-file",
            &certificate.certificate.to_string_lossy(),
            "tls-key-file",
            &certificate.key.to_string_lossy(),
            "tls-port",
            &port.to_string(),
        ])?;
        self.tls_port = Some(port);
        Ok(())
    }

    /// `rediss://localhost:PORT`, after [`RedisServer::encrypt`].
    ///
    /// # Errors
    ///
    /// Before it.
    pub fn tls_url(&self) -> anyhow::Result<String> {
        let port = self.tls_port.context("it does not speak TLS")?;
        Ok(format!("rediss://localhost:{port}"))
    }

    /// The port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs the real redis-cli against the server and returns what it prints, trimmed.
    ///
    /// # Errors
    ///
    /// When redis-cli is not installed, cannot connect, or is answered with an error.
    pub fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("redis-cli")
            .args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .context("cannot run redis-cli (of the package redis-tools)")?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(
            output.status.success(),
            "redis-cli {}: {answer} {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(answer)
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(ChildProcess::is_running)
    }

    /// SIGKILL, then waits for the end of the process. Does nothing when it is not running.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the server again on the same port and data, killing it first if it runs, and waits
    /// until it has loaded them.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.launch()
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    ///
    /// # Errors
    ///
    /// When the server is not running.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// SIGCONT, after [`RedisServer::pause`].
    ///
    /// # Errors
    ///
    /// When the server is not running.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self
            .process
            .as_ref()
            .context("redis-server is not running")?;
        process.signal(signal)
    }

    /// All that the server has logged since the first start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default()
    }

    /// Where the data are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
