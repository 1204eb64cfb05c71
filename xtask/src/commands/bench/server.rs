//! The servers that take the events, each a process of its own on a free port.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use xtask::{free_port::free_port, http::Http, program::Program, wait};

const READY_DEADLINE: Duration = Duration::from_secs(30);

/// A server that takes events.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}

impl Server {
    /// The ingest, with its defaults; it is ready when this returns.
    pub(crate) async fn ingest(redis_url: &str, secret: &str) -> anyhow::Result<Self> {
        let (address, admin_address) = (free_address()?, free_address()?.to_string());
        let program = Program::start(
            "ingest",
            &[
                ("INGEST_ADDR", &address.to_string()),
                ("ADMIN_ADDR", &admin_address),
                ("REDIS_URL", redis_url),
                ("CLERK_WEBHOOK_SIGNING_SECRET", secret),
            ],
        )?;
        wait_until_ready("ingest", &program, &admin_address).await?;
        Ok(Self { program, address })
    }

    /// A server that needs no more than to listen on `address`.
    pub(crate) async fn listening(program: Program, address: SocketAddr) -> anyhow::Result<Self> {
        let listens = wait::until("the server listens", READY_DEADLINE, async || {
            !program.is_running() || TcpStream::connect(address).await.is_ok()
        });
        listens.await.with_context(|| program.output())?;
        ensure!(
            program.is_running(),
            "the server has ended:\n{}",
            program.output()
        );
        Ok(Self { program, address })
    }
}

/// Waits until `ingest` or `worker` says so.
pub(crate) async fn wait_until_ready(
    name: &str,
    program: &Program,
    admin_address: &str,
) -> anyhow::Result<()> {
    let http = Http::new();
    let url = format!("http://{admin_address}/readyz");
    let what = format!("{name} is ready");
    let ready = wait::until(&what, READY_DEADLINE, async || {
        !program.is_running()
            || http
                .get(&url)
                .await
                .is_ok_and(|answer| answer.status == 200)
    });
    ready.await.with_context(|| program.output())?;
    ensure!(
        program.is_running(),
        "{name} has ended:\n{}",
        program.output()
    );
    Ok(())
}
