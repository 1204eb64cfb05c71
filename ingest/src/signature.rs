//! Svix signatures, by the rules of the `svix` crate
//! (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).

use hyper::HeaderMap;
use shared::svix_id::SvixId;
use svix::webhooks::{Webhook, WebhookError};

/// Verifies requests against one signing secret, or against several while one is rotated.
#[derive(Debug)]
pub struct Verifier(Vec<Webhook>);

/// Why a request is not a delivery of Svix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// A header is missing, cannot be read, or holds no usable svix-id.
    Header,
    /// The timestamp is not a number, or more than five minutes off.
    Timestamp,
    /// No signature fits any secret.
    Signature,
    /// The body is not UTF-8.
    Body,
}

impl Rejection {
    /// The kind's name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Timestamp => "timestamp",
            Self::Signature => "signature",
            Self::Body => "body",
        }
    }
}

impl Verifier {
    /// Reads signing secrets that are separated by spaces or commas; `None` when there is none, or
    /// one of them is not base64 behind an optional `whsec_`.
    #[must_use]
    pub fn parse(secrets: &str) -> Option<Self> {
        let webhooks: Vec<_> = secrets
            .split([' ', ',', '\t', '\n'])
            .filter(|secret| !secret.is_empty())
            .map(|secret| Webhook::new(secret).ok())
            .collect::<Option<_>>()?;
        (!webhooks.is_empty()).then_some(Self(webhooks))
    }

    /// The svix-id of a request that Svix signed.
    ///
    /// # Errors
    /// Why it is not one. Where the reason depends on the secret, it is that of the first.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<SvixId, Rejection> {
        let mut first_error = None;
        for webhook in &self.0 {
            match webhook.verify(body, headers) {
                Ok(()) => return svix_id(headers).ok_or(Rejection::Header),
                Err(error) => first_error = first_error.or(Some(rejection(&error))),
            }
        }
        Err(first_error.unwrap_or(Rejection::Signature))
    }
}

/// The svix-id that the signature covers: chosen as the `svix` crate chooses it.
fn svix_id(headers: &HeaderMap) -> Option<SvixId> {
    let value = headers
        .get("svix-id")
        .or_else(|| headers.get("webhook-id"))?;
    SvixId::parse(value.to_str().ok()?)
}

fn rejection(error: &WebhookError) -> Rejection {
    match error {
        WebhookError::MissingHeader(_) | WebhookError::InvalidHeader(_) => Rejection::Header,
        WebhookError::InvalidTimestamp
        | WebhookError::TimestampTooOldError
        | WebhookError::FutureTimestampError => Rejection::Timestamp,
        WebhookError::InvalidPayload => Rejection::Body,
        WebhookError::InvalidSignature
        | WebhookError::InvalidSecret(_)
        | WebhookError::EmptySecret => Rejection::Signature,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        secret: String,
        headers: HashMap<String, String>,
        body: String,
        valid: bool,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../shared/fixtures/signatures.json")).unwrap()
    }

    fn header_map(headers: &HashMap<String, String>) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn signed(secret: &str, svix_id: &str, timestamp: i64, body: &[u8]) -> HeaderMap {
        let signature = Webhook::new(secret)
            .unwrap()
            .sign(svix_id, timestamp, body)
            .unwrap();
        header_map(&HashMap::from([
            ("svix-id".into(), svix_id.into()),
            ("svix-timestamp".into(), timestamp.to_string()),
            ("svix-signature".into(), signature),
        ]))
    }

    fn now() -> i64 {
        std::time::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs()
            .try_into()
            .unwrap()
    }

    /// The vectors of the official JavaScript library, whose timestamps are in the past.
    #[test]
    fn signatures_of_the_official_library_are_told_from_forged_ones() {
        for vector in vectors() {
            let headers = header_map(&vector.headers);
            let webhook = Webhook::new(&vector.secret).unwrap();
            let outcome = webhook.verify_ignoring_timestamp(vector.body.as_bytes(), &headers);
            assert_eq!(outcome.is_ok(), vector.valid, "{}", vector.name);
        }
    }

    /// P2
    #[test]
    fn a_stale_timestamp_is_refused_whatever_the_signature() {
        for vector in vectors() {
            let verifier = Verifier::parse(&vector.secret).unwrap();
            let outcome = verifier.verify(&header_map(&vector.headers), vector.body.as_bytes());
            assert_eq!(outcome, Err(Rejection::Timestamp), "{}", vector.name);
        }
        let verifier = Verifier::parse(SECRET).unwrap();
        for timestamp in [now() - 301, now() + 310, -1, i64::MIN, i64::MAX] {
            let headers = signed(SECRET, "msg_1", timestamp, b"{}");
            assert_eq!(
                verifier.verify(&headers, b"{}"),
                Err(Rejection::Timestamp),
                "{timestamp}"
            );
        }
    }

    #[test]
    fn either_secret_is_accepted_while_one_is_rotated() {
        for secrets in [
            format!("{SECRET} {OTHER_SECRET}"),
            format!("{OTHER_SECRET},{SECRET}"),
        ] {
            let verifier = Verifier::parse(&secrets).unwrap();
            for secret in [SECRET, OTHER_SECRET] {
                let headers = signed(secret, "msg_1", now(), b"{}");
                assert_eq!(verifier.verify(&headers, b"{}").unwrap().as_str(), "msg_1");
            }
        }
        let only_the_other = Verifier::parse(OTHER_SECRET).unwrap();
        let headers = signed(SECRET, "msg_1", now(), b"{}");
        assert_eq!(
            only_the_other.verify(&headers, b"{}"),
            Err(Rejection::Signature)
        );
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for secrets in [
            "",
            " , ",
            "whsec_",
            "whsec_not base64!",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,???",
        ] {
            assert!(Verifier::parse(secrets).is_none(), "{secrets:?}");
        }
    }

    #[test]
    fn a_signed_request_without_a_usable_svix_id_is_refused() {
        let verifier = Verifier::parse(SECRET).unwrap();
        for svix_id in ["", &"x".repeat(256)] {
            let headers = signed(SECRET, svix_id, now(), b"{}");
            assert_eq!(
                verifier.verify(&headers, b"{}"),
                Err(Rejection::Header),
                "{svix_id:?}"
            );
        }
    }

    proptest! {
        /// P2
        #[test]
        fn one_changed_byte_is_refused(
            body in proptest::collection::vec(any::<u8>(), 1..200),
            place in any::<proptest::sample::Index>(),
            flip in 1_u8..,
        ) {
            let body = String::from_utf8_lossy(&body).into_owned().into_bytes();
            let headers = signed(SECRET, "msg_1", now(), &body);
            let verifier = Verifier::parse(SECRET).unwrap();
            prop_assert!(verifier.verify(&headers, &body).is_ok());
            let mut changed = body.clone();
            let place = place.index(changed.len());
            changed[place] ^= flip;
            prop_assert!(verifier.verify(&headers, &changed).is_err());
        }
    }
}
