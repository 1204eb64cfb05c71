//! An ingest, and whoever sends to it.

use std::time::Duration;

use xtask::free_port::free_port;
use xtask::program::Program;
use xtask::sender::Sender;
use xtask::wait;

use crate::helpers::DEADLINE;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A running ingest that trusts a sender.
pub(crate) struct Ingest {
    program: Program,
    sender: Sender,
}

impl Ingest {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(redis_url: &str, settings: &[(&str, &str)]) -> Self {
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let admin = format!("127.0.0.1:{}", free_port().unwrap());
        let mut environment = vec![
            ("REDIS_URL", redis_url),
            ("INGEST_ADDR", &address),
            ("ADMIN_ADDR", &admin),
            ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
        ];
        environment.extend_from_slice(settings);
        let program = Program::start("ingest", &environment).unwrap();
        wait::until("the ingest listens", DEADLINE, async || {
            program.output().contains("ingest is listening")
        })
        .await
        .unwrap();
        let url = format!("http://{address}/api/webhooks/clerk");
        Self {
            program,
            sender: Sender::new(&url, SECRET).unwrap(),
        }
    }

    /// Delivers an event once; returns the status of the answer.
    pub(crate) async fn deliver(&self, svix_id: &str, payload: &str) -> u16 {
        self.sender.send(svix_id, payload).await.unwrap().status
    }

    /// Delivers an event again and again until it is taken, as Svix does.
    pub(crate) async fn deliver_until_taken(&self, svix_id: &str, payload: &str) {
        let taken = async {
            while self.deliver(svix_id, payload).await != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(4 * DEADLINE, taken).await;
        assert!(in_time.is_ok(), "{svix_id}\n{}", self.program.output());
    }
}
