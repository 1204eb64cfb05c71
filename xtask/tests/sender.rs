//! The sender, checked by the library that ingest verifies with.

use hyper::HeaderMap;
use svix::webhooks::{Webhook, WebhookError};
use xtask::{
    clerk_payload::UserPayload,
    sender::{seconds_since_epoch, signed_headers},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn headers(timestamp: i64, body: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in signed_headers(SECRET, "msg_1", timestamp, body)? {
        headers.insert(name, value.parse()?);
    }
    Ok(headers)
}

#[test]
fn a_signature_verifies_for_the_body_it_was_made_for_and_no_other() {
    let body = UserPayload::new("user_1", "a@example.com").created();
    let headers = headers(seconds_since_epoch().unwrap(), &body).unwrap();
    let webhook = Webhook::new(SECRET).unwrap();
    webhook.verify(body.as_bytes(), &headers).unwrap();
    let forged = body.replace("a@example.com", "b@example.com");
    let error = webhook.verify(forged.as_bytes(), &headers).unwrap_err();
    assert!(matches!(error, WebhookError::InvalidSignature), "{error}");
}

#[test]
fn the_timestamp_is_the_one_asked_for() {
    let headers = headers(seconds_since_epoch().unwrap() - 600, "{}").unwrap();
    let error = Webhook::new(SECRET)
        .unwrap()
        .verify(b"{}", &headers)
        .unwrap_err();
    assert!(
        matches!(error, WebhookError::TimestampTooOldError),
        "{error}"
    );
}

#[test]
fn a_secret_that_is_not_base64_is_refused() {
    assert!(signed_headers("whsec_?", "msg_1", 0, "{}").is_err());
}
