//! One ingest and one worker.

use std::{slice, time::Duration};

use uuid::Uuid;
use xtask::{free_port::free_port, program::Program, sender::Sender};

use super::super::{
    process_usage::usage,
    worker::servers::{Servers, start_program},
};

/// Both, ready.
pub(crate) struct Programs {
    pub(crate) ingest: Program,
    pub(crate) worker: Program,
    /// How long it took from the start of the process until it was ready: ingest, worker.
    pub(crate) start_up: [Duration; 2],
    /// To the ingest.
    pub(crate) sender: Sender,
}

impl Programs {
    /// Starts one after the other. The ingest takes events however many wait.
    pub(crate) async fn start(servers: &Servers, database: &str) -> anyhow::Result<Self> {
        // Hexadecimal digits are base64 too: these 32 stand for a key of 24 bytes.
        let secret = format!("whsec_{}", Uuid::new_v4().simple());
        let address = format!("127.0.0.1:{}", free_port()?);
        let redis = ("REDIS_URL", servers.redis_url.as_str());
        let of_ingest = [
            redis,
            ("INGEST_ADDR", &address),
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
            sender: Sender::new(&format!("http://{address}/api/webhooks/clerk"), &secret)?,
        })
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
