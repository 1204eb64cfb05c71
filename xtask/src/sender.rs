//! Sends events the way Svix delivers Clerk's.

use std::time::SystemTime;

use anyhow::Context as _;
use svix::webhooks::Webhook;
use uuid::Uuid;

use crate::http::{Answer, Http};

/// Signs bodies with one secret and posts them to one URL.
#[derive(Clone)]
pub struct Sender {
    url: String,
    secret: String,
    http: Http,
}

impl Sender {
    /// `url` is the webhook endpoint (`http://…/api/webhooks/clerk`), `secret` the signing secret
    /// (`whsec_…`).
    ///
    /// # Errors
    ///
    /// When the secret is not base64.
    pub fn new(url: &str, secret: &str) -> anyhow::Result<Self> {
        Webhook::new(secret).context("the signing secret")?;
        Ok(Self {
            url: url.into(),
            secret: secret.into(),
            http: Http::new(),
        })
    }

    /// Signs `body` as of now and posts it.
    ///
    /// # Errors
    ///
    /// As [`Http::send`].
    pub async fn send(&self, svix_id: &str, body: &str) -> anyhow::Result<Answer> {
        let mut headers =
            signed_headers(&self.secret, svix_id, seconds_since_epoch()?, body)?.to_vec();
        headers.push(("content-type", "application/json".into()));
        self.http
            .send("POST", &self.url, &headers, body.to_owned())
            .await
    }
}

/// A signing secret that nobody else has.
pub fn new_secret() -> String {
    // Hexadecimal digits are base64 too: these 32 stand for a key of 24 bytes.
    format!("whsec_{}", Uuid::new_v4().simple())
}

/// The three headers of a delivery: `svix-id`, `svix-timestamp`, `svix-signature`. `timestamp` is
/// in seconds since the epoch.
///
/// # Errors
///
/// When the secret is not base64.
pub fn signed_headers(
    secret: &str,
    svix_id: &str,
    timestamp: i64,
    body: &str,
) -> anyhow::Result<[(&'static str, String); 3]> {
    let webhook = Webhook::new(secret).context("the signing secret")?;
    let signature = webhook.sign(svix_id, timestamp, body.as_bytes())?;
    Ok([
        ("svix-id", svix_id.into()),
        ("svix-timestamp", timestamp.to_string()),
        ("svix-signature", signature),
    ])
}

/// The present time as `svix-timestamp` wants it.
///
/// # Errors
///
/// When the clock stands before 1970.
pub fn seconds_since_epoch() -> anyhow::Result<i64> {
    Ok(milliseconds_since_epoch()? / 1000)
}

/// The present time as Clerk's payloads want it.
///
/// # Errors
///
/// When the clock stands before 1970.
pub fn milliseconds_since_epoch() -> anyhow::Result<i64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}
