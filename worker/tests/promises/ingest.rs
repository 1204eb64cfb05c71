//! An ingest, and whoever sends to it.

use std::time::Duration;

use xtask::free_port::free_port;
use xtask::http::Http;
use xtask::program::Program;
use xtask::sender::{Sender, seconds_since_epoch, signed_headers};
use xtask::wait;

use crate::helpers::DEADLINE;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A running ingest that trusts a sender.
pub(crate) struct Ingest {
    pub(crate) program: Program,
    pub(crate) admin: String,
    sender: Sender,
    url: String,
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
            admin,
            sender: Sender::new(&url, SECRET).unwrap(),
            url,
        }
    }

    /// Delivers an event once, with headers besides those of a delivery; returns the status of the answer.
    pub(crate) async fn deliver_with(
        &self,
        svix_id: &str,
        payload: &str,
        headers: &[(&'static str, String)],
    ) -> u16 {
        self.post(SECRET, svix_id, payload, headers).await
    }

    /// The same, signed by somebody who does not know the secret.
    pub(crate) async fn forge_with(
        &self,
        svix_id: &str,
        payload: &str,
        headers: &[(&'static str, String)],
    ) -> u16 {
        let guessed = SECRET.replace('Q', "R");
        self.post(&guessed, svix_id, payload, headers).await
    }

    async fn post(
        &self,
        secret: &str,
        svix_id: &str,
        payload: &str,
        headers: &[(&'static str, String)],
    ) -> u16 {
        let now = seconds_since_epoch().unwrap();
        let signed = signed_headers(secret, svix_id, now, payload).unwrap();
        let headers = [&signed, headers].concat();
        let http = Http::new();
        let answer = http.send("POST", &self.url, &headers, payload.to_owned());
        answer.await.unwrap().status
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
