//! A private set of Redis Sentinels.

use std::{fs, time::Duration};

use anyhow::ensure;
use tempfile::TempDir;

use crate::{
    free_port::free_port, program::Program, redis_server::RedisServer, server_programs,
    wait::block_until,
};

/// What the Sentinels call the master.
pub const MASTER: &str = "clerk";

const SENTINELS: usize = 3;
const DEADLINE: Duration = Duration::from_secs(60);

/// Three Sentinels that watch one master; two of them agree on a failover after a second of silence.
#[derive(Debug)]
pub struct RedisSentinels {
    _programs: Vec<Program>,
    ports: Vec<u16>,
    _folder: TempDir,
}

impl RedisSentinels {
    /// Starts them and waits until they know each other and a replica of `master`.
    ///
    /// # Errors
    ///
    /// When redis-sentinel is not installed or does not start, or the master has no replica.
    pub fn start(master: &RedisServer) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sentinels-").tempdir()?;
        let mut programs = Vec::new();
        let mut ports = Vec::new();
        for _ in 0..SENTINELS {
            let port = free_port()?;
            // A file, because a Sentinel writes into it what it learns.
            let file = folder.path().join(format!("{port}.conf"));
            fs::write(
                &file,
                format!(
                    "port {port}\nbind 127.0.0.1\ndir {}\n\
                     sentinel monitor {MASTER} 127.0.0.1 {} 2\n\
                     sentinel down-after-milliseconds {MASTER} 1000\n\
                     sentinel failover-timeout {MASTER} 5000\n",
                    folder.path().display(),
                    master.port(),
                ),
            )?;
            let program = server_programs::redis_server();
            let arguments = [&*file.to_string_lossy(), "--sentinel"];
            programs.push(Program::start_file("sentinel", &program, &arguments, &[])?);
            ports.push(port);
        }
        let sentinels = Self {
            _programs: programs,
            ports,
            _folder: folder,
        };
        let others = (SENTINELS - 1).to_string();
        block_until("the Sentinels know all", DEADLINE, || {
            sentinels.ports.iter().all(|&port| {
                let Ok(answer) = ask(port, &["SENTINEL", "MASTER", MASTER]) else {
                    return false;
                };
                let lines: Vec<_> = answer.lines().collect();
                let value = |name| {
                    let place = lines.iter().position(|line| *line == name)?;
                    lines.get(place + 1).copied()
                };
                value("num-other-sentinels") == Some(&others)
                    && value("num-slaves").is_some_and(|count| count != "0")
            })
        })?;
        Ok(sentinels)
    }

    /// `redis-sentinel://127.0.0.1:PORT,…?master=clerk`
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!("redis-sentinel://{}?master={MASTER}", hosts.join(","))
    }
}

fn ask(port: u16, arguments: &[&str]) -> anyhow::Result<String> {
    let output = std::process::Command::new("redis-cli")
        .args(["-e", "-h", "127.0.0.1", "-p", &port.to_string()])
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "the Sentinel does not answer");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
