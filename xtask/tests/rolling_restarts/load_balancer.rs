//! HAProxy, told by the test which ingests there are, as an ingress controller is told by Kubernetes.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};
use xtask::{free_port::free_port, packages, program::Program, wait};

/// Two ingests, and the one that is about to replace one of them.
pub(crate) const PLACES: usize = 3;
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct LoadBalancer {
    // Declared before the folder: dropped, and so killed, before it.
    program: Program,
    folder: TempDir,
    pub(crate) port: u16,
}

impl LoadBalancer {
    /// Starts with no ingest in any place.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let haproxy = packages::load_balancer()
            .context("HAProxy is not installed; `cargo xtask test` installs it")?;
        let folder = tempfile::Builder::new().prefix("haproxy-").tempdir()?;
        let port = free_port()?;
        let places: String = (0..PLACES)
            .map(|place| format!("  server {place} 127.0.0.1:1 disabled\n"))
            .collect();
        // Nothing is tried twice: what an ingest that goes does not answer is seen by the sender.
        let configuration = format!(
            "global\n  stats socket {socket} level admin\n\
             defaults\n  mode http\n  retries 0\n  option forwardfor\n  timeout connect 5s\n  \
               timeout client 30s\n  timeout server 30s\n\
             frontend clerk\n  bind 127.0.0.1:{port}\n  default_backend ingests\n\
             backend ingests\n  balance roundrobin\n{places}",
            socket = socket(&folder).display(),
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, configuration)?;
        let program = Program::start_file(
            "haproxy",
            &haproxy,
            &["-db", "-f", &file.to_string_lossy()],
            &[],
        )?;
        let load_balancer = Self {
            program,
            folder,
            port,
        };
        wait::until("HAProxy answers", DEADLINE, async || {
            load_balancer.ask("show info").await.is_ok()
        })
        .await
        .with_context(|| load_balancer.program.output())?;
        Ok(load_balancer)
    }

    /// From now on requests go to this ingest too.
    pub(crate) async fn add(&self, place: usize, port: u16) -> anyhow::Result<()> {
        self.ask(&format!(
            "set server ingests/{place} addr 127.0.0.1 port {port}"
        ))
        .await?;
        self.tell(&format!("set server ingests/{place} state ready"))
            .await
    }

    /// No request goes there any more, and those that did are answered when this returns. That is
    /// what the `preStop` of the manifest waits for, which cannot look and so waits for a time.
    pub(crate) async fn remove(&self, place: usize) -> anyhow::Result<()> {
        self.tell(&format!("set server ingests/{place} state drain"))
            .await?;
        wait::until("the ingest has answered everything", DEADLINE, async || {
            self.requests_in(place).await.is_ok_and(|count| count == 0)
        })
        .await?;
        self.tell(&format!("set server ingests/{place} state maint"))
            .await
    }

    async fn requests_in(&self, place: usize) -> anyhow::Result<u32> {
        let table = self.ask("show stat").await?;
        // Proxy, server, queue, longest queue, sessions.
        let row = format!("ingests,{place},");
        let row = table
            .lines()
            .find(|line| line.starts_with(&row))
            .with_context(|| table.clone())?;
        Ok(row.split(',').nth(4).context("too few columns")?.parse()?)
    }

    /// A command that says nothing unless it fails.
    async fn tell(&self, command: &str) -> anyhow::Result<()> {
        let answer = self.ask(command).await?;
        ensure!(answer.trim().is_empty(), "{command}: {answer}");
        Ok(())
    }

    async fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(socket(&self.folder)).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join("socket")
}
