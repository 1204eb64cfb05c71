//! One ingest and one worker.

use std::{slice, time::Duration};

use xtask::{program::Program, sender::new_secret};

use super::super::{
    events::Events,
    ingest::PATH,
    load::{Answered, Connections},
    process_usage::usage,
    rows::CONNECTIONS,
    server::Server,
    stores::Stores,
};

/// More than an ingest takes.
const BEYOND_MAXIMUM: f64 = 50_000.0;

/// Both, ready.
pub(crate) struct Programs {
    pub(crate) ingest: Server,
    pub(crate) worker: Program,
    /// How long it took from the start of the process until it was ready: ingest, worker.
    pub(crate) start_up: [Duration; 2],
    secret: String,
}

impl Programs {
    /// Starts one after the other. The ingest takes events however many wait.
    pub(crate) async fn start(stores: &Stores, database: &str) -> anyhow::Result<Self> {
        let (secret, redis_url) = (new_secret(), stores.redis_url.as_str());
        let settings = [("MAX_BACKLOG", "1000000000")];
        let (ingest, start_up_of_ingest) = Server::ingest(redis_url, &secret, &settings).await?;
        let of_worker = [("REDIS_URL", redis_url), ("DATABASE_URL", database)];
        let (worker, start_up_of_worker) = Program::start_ready("worker", &of_worker).await?;
        Ok(Self {
            ingest,
            worker,
            start_up: [start_up_of_ingest, start_up_of_worker],
            secret,
        })
    }

    /// Sends the ingest all that it takes for a while.
    pub(crate) async fn send(&self, duration: Duration) -> anyhow::Result<Answered> {
        let count = (BEYOND_MAXIMUM * duration.as_secs_f64()) as usize;
        let events = Events::make(PATH, &self.secret, count, |_| false).await?;
        let mut connections = Connections::open(self.ingest.address, CONNECTIONS).await?;
        connections.send(&events, 0..count, duration).await
    }

    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.ingest.program.pid(), self.worker.pid()]
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<[f64; 2]> {
        let [ingest, worker] = self.pids();
        Ok([usage(ingest)?.cpu_seconds, usage(worker)?.cpu_seconds])
    }

    /// Waits until nothing waits for the worker.
    pub(crate) async fn until_drained(&self, stores: &mut Stores) -> anyhow::Result<()> {
        let pause = Duration::from_millis(20);
        stores
            .until_drained(slice::from_ref(&self.worker), pause)
            .await
    }
}
