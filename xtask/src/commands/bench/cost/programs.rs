//! One ingest and one worker.

use std::{net::SocketAddr, slice, time::Duration};

use xtask::program::Program;

use super::super::{
    events::{Events, new_secret},
    ingest::{PATH, server::free_address},
    load::{Answered, Connections},
    process_usage::usage,
    rows::CONNECTIONS,
    worker::servers::{Servers, start_program},
};

/// More than an ingest takes.
const BEYOND_MAXIMUM: f64 = 50_000.0;

/// Both, ready.
pub(crate) struct Programs {
    pub(crate) ingest: Program,
    pub(crate) worker: Program,
    /// How long it took from the start of the process until it was ready: ingest, worker.
    pub(crate) start_up: [Duration; 2],
    address: SocketAddr,
    secret: String,
}

impl Programs {
    /// Starts one after the other. The ingest takes events however many wait.
    pub(crate) async fn start(servers: &Servers, database: &str) -> anyhow::Result<Self> {
        let (address, secret) = (free_address()?, new_secret());
        let listens_on = address.to_string();
        let redis = ("REDIS_URL", servers.redis_url.as_str());
        let of_ingest = [
            redis,
            ("INGEST_ADDR", &listens_on),
            ("CLERK_WEBHOOK_SIGNING_SECRET", &secret),
            ("MAX_BACKLOG", "1000000000"),
        ];
        let (ingest, start_up_of_ingest) = start_program("ingest", &of_ingest).await?;
        let of_worker = [redis, ("DATABASE_URL", database)];
        let (worker, start_up_of_worker) = start_program("worker", &of_worker).await?;
        Ok(Self {
            ingest,
            worker,
            start_up: [start_up_of_ingest, start_up_of_worker],
            address,
            secret,
        })
    }

    /// Sends the ingest all that it takes for a while.
    pub(crate) async fn send(&self, duration: Duration) -> anyhow::Result<Answered> {
        let count = (BEYOND_MAXIMUM * duration.as_secs_f64()) as usize;
        let events = Events::make(PATH, &self.secret, count, |_| false).await?;
        let mut connections = Connections::open(self.address, CONNECTIONS).await?;
        connections.send(&events, 0..count, duration).await
    }

    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.ingest.pid(), self.worker.pid()]
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<[f64; 2]> {
        let [ingest, worker] = self.pids();
        Ok([usage(ingest)?.cpu_seconds, usage(worker)?.cpu_seconds])
    }

    /// Waits until nothing waits for the worker.
    pub(crate) async fn until_drained(&self, servers: &mut Servers) -> anyhow::Result<()> {
        let pause = Duration::from_millis(20);
        servers
            .until_drained(slice::from_ref(&self.worker), pause)
            .await
    }
}
