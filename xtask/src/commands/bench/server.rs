//! The servers that take the events, each a process of its own on a free port.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use xtask::{free_port::free_address, program::Program, wait};

const LISTEN_DEADLINE: Duration = Duration::from_secs(30);

/// A server that takes events.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The ingest, with its defaults but for `settings`; it is ready when this returns. Also how long it
    /// took to be.
    pub(crate) async fn ingest(
        redis_url: &str,
        secret: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<(Self, Duration)> {
        let address = free_address()?;
        let listens_on = address.to_string();
        let environment = [
            ("INGEST_ADDR", listens_on.as_str()),
            ("REDIS_URL", redis_url),
            ("CLERK_WEBHOOK_SIGNING_SECRET", secret),
        ];
        let environment = [&environment, settings].concat();
        let (program, start_up) = Program::start_ready("ingest", &environment).await?;
        Ok((Self { program, address }, start_up))
    }

    /// A server that needs no more than to listen on `address`.
    pub(crate) async fn listening(program: Program, address: SocketAddr) -> anyhow::Result<Self> {
        let listens = wait::until("the server listens", LISTEN_DEADLINE, async || {
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
